"""tfjs-torch verify: our outputs beside those of real tf.js, layer by layer."""

from __future__ import annotations

import argparse
import json
import math
from typing import TYPE_CHECKING

from ..errors import MismatchError
from .arrays import read_inputs
from .text import plural

if TYPE_CHECKING:
    from ..verifying import Report, Row

EXAMPLES = """Needs node and tf.js: npm install @tensorflow/tfjs in this folder, above it, or where the environment
variable TFJS_TORCH_NODE_MODULES points to. Relative is the largest absolute difference over the largest
magnitude in tf.js. Exit status: 0 alike within the tolerance, 1 different (or tf.js refuses the model), 2 error.

examples:
  tfjs-torch verify my-model                              with random inputs
  tfjs-torch verify my-model --inputs x.npy
  tfjs-torch verify my-model --inputs image.npy age.npy   several inputs, in the model's order
  tfjs-torch verify my-model --inputs x.npz               the same by name
  tfjs-torch verify my-model --json | jq '.layers[] | select(.ok | not)'
"""


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "verify", help="run a model here and in real tf.js, and compare every layer",
        epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("path", metavar="PATH", help="folder with model.json, the JSON itself, or a .zip")
    parser.add_argument("--inputs", metavar="FILE", nargs="+", help=".npy for each input, or one .npz with their names")
    parser.add_argument(
        "--tolerance", type=float, default=1e-5, metavar="T", help="largest relative difference (default 1e-5)"
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    if not args.tolerance >= 0:
        raise argparse.ArgumentTypeError(f"--tolerance: a number of at least 0 expected, found {args.tolerance}")
    inputs = read_inputs(args.inputs) if args.inputs else None
    from ..model import load_model  # here: torch takes a second to import, and other commands do without
    from ..verifying import compare_with_tfjs

    model = load_model(args.path)
    names, files = model.input_names, args.inputs or ()
    if len(files) > 1 and len(files) != len(names):  # a list might also be the samples of one input
        expected = f"{plural(len(names), 'file')} expected ({', '.join(names)})"
        raise MismatchError("--inputs", f"{expected}, found {len(files)}")
    report = compare_with_tfjs(model, model.artifacts, inputs, args.tolerance)
    print(json.dumps(_as_json(report), indent=1) if args.json else report)
    return 0 if report.ok else 1


def _as_json(report: Report) -> dict[str, object]:
    first = report.first_departure
    return {
        "where": report.where,
        "ok": report.ok,
        "tolerance": report.tolerance,
        "tfjs_version": report.tfjs_version,
        "refused": report.refused,
        "first_departure": first.name if first else None,
        "layers": [_row(row) for row in report.layers],
        "outputs": [_row(row) for row in report.outputs],
    }


def _row(row: Row) -> dict[str, object]:
    """JSON has no infinity."""
    return {k: str(v) if isinstance(v, float) and not math.isfinite(v) else v for k, v in row._asdict().items()}
