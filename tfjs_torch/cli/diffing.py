"""tfjs-torch diff: which tensors of two models differ, and by how much."""

from __future__ import annotations

import argparse
import json
import math

from ..comparison import Difference, compare
from ..conversion import open_tensors, stored_length
from .text import number, plural, progress, table

EXAMPLES = """Relative is the largest absolute difference over the largest magnitude in A.
Exit status: 0 alike within the tolerance, 1 different, 2 error.

examples:
  tfjs-torch diff before after
  tfjs-torch diff my-model weights.safetensors        also across formats
  tfjs-torch diff my-model small.zip --tolerance 0.01
"""


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "diff", help="show which tensors of two models differ, and by how much",
        epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("a", metavar="A", help="model (folder, model.json, .zip), .safetensors, .npz or .pt")
    parser.add_argument("b", metavar="B", help="the same")
    parser.add_argument(
        "--tolerance",
        type=float,
        default=0.0,
        metavar="T",
        help="largest absolute difference that is still alike (default 0)",
    )
    parser.add_argument("--json", action="store_true", help="print every tensor as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    if not args.tolerance >= 0:
        raise argparse.ArgumentTypeError(f"--tolerance: a number of at least 0 expected, found {args.tolerance}")
    a, b = open_tensors(args.a)[0], open_tensors(args.b)[0]
    found = []
    with progress(stored_length(a), "comparing") as advance:
        for difference in compare(a, b):
            found.append(difference)
            if advance and difference.name in a:
                advance(stored_length({"": a[difference.name]}))
    beyond = [difference for difference in found if difference.beyond(args.tolerance)]
    if args.json:
        print(json.dumps([{k: _json(v) for k, v in d._asdict().items()} for d in found], indent=1))
    else:
        _show(found, beyond, args.tolerance)
    return 1 if beyond else 0


def _show(found: list[Difference], beyond: list[Difference], tolerance: float) -> None:
    touched = [d for d in found if d.problem or d.changed]
    if touched:
        rows = [
            [d.name, d.problem, "", "", ""] if d.problem
            else [d.name, f"{d.changed:,} of {d.size:,}", number(d.max_abs), number(d.relative), f"{d.cosine:.6f}"]
            for d in touched
        ]  # fmt: skip
        print(table(["tensor", "changed", "max abs", "relative", "cosine"], rows, right=[2, 3, 4]))
    allowed = f" beyond {tolerance:g}" if tolerance else ""
    differ = "differs" if len(beyond) == 1 else "differ"
    print(
        f"{len(beyond)} of {plural(len(found), 'tensor')} {differ}{allowed}"
        if beyond
        else f"{plural(len(found), 'tensor')}, none differs{allowed}"
    )


def _json(value: object) -> object:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
