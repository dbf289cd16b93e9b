"""tfjs-torch inspect: what a model is, for a person (or --json for a program)."""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Iterator

from ..artifacts import read_artifacts
from ..errors import TfjsTorchWarning
from ..summary import ModelSummary, TensorSummary, inspect
from .text import bars, number, plural, progress, shape, size, table

EXAMPLES = """examples:
  tfjs-torch inspect my-model                 the folder with model.json
  tfjs-torch inspect my-model/model.json
  tfjs-torch inspect model.zip --json | jq .parameters
"""


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "inspect", help="show tensors, layers, numbers and oddities of a model",
        epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("path", metavar="PATH", help="folder with model.json, the JSON itself, or a .zip")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TfjsTorchWarning)  # they come with the oddities
        artifacts = read_artifacts(args.path)
    total = sum(shard.nbytes for shards in artifacts.shards for shard in shards)
    with progress(total, "reading") as advance:
        summary = inspect(artifacts, stats=True, advance=advance)
    print(json.dumps(summary.to_dict(), indent=1) if args.json else "\n".join(_lines(summary)))
    return 0


def _lines(summary: ModelSummary) -> Iterator[str]:
    made_by = " / ".join(text for text in (summary.generated_by, summary.converted_by) if text)
    yield summary.where
    silent = " (the file does not say so, as usual from ml5)" if not summary.declared_format and summary.layers else ""
    yield f"{summary.format}{silent}{f', made by {made_by}' if made_by else ''}"
    optimizer = f" + {summary.optimizer_parameters:,} of the optimizer" if summary.optimizer_parameters else ""
    inside = f"in {plural(len(summary.tensors), 'tensor')}, {size(summary.nbytes)}"
    yield f"{plural(summary.parameters, 'parameter')}{optimizer} {inside}"
    beside = f"; beside them {', '.join(summary.sidecars)}" if summary.sidecars else ""
    yield f"files: {', '.join(f'{name} ({size(n)})' for name, n in _some(summary.files)) or 'none'}{beside}"
    if summary.layers:
        yield ""
        rows = [
            ["  " * x.depth + x.name, x.class_name, f"{x.parameters:,}" if x.parameters else ""] for x in summary.layers
        ]
        yield table(["layer", "class", "parameters"], rows, right=[2])
    if summary.ops:
        yield f"\nops: {', '.join(f'{op} {count}' for op, count in summary.ops.items())}"
    if summary.tensors:
        yield ""
        head = ["tensor", "shape", "dtype", "stored", "bytes", "min", "mean", "max", "std", "histogram"]
        yield table(head, map(_row, summary.tensors), right=[4, 5, 6, 7, 8])
    if summary.oddities:
        yield ""
        yield from (f"! {oddity}" for oddity in summary.oddities)


def _row(tensor: TensorSummary) -> list[str]:
    found = tensor.statistics
    numbers = [number(value) for value in (found.min, found.mean, found.max, found.std)] if found else [""] * 4
    stored = tensor.quantization["dtype"] if tensor.quantization else ""
    name = f"{tensor.name} (optimizer)" if tensor.group == "optimizer" else tensor.name
    return [
        name, shape(tensor.shape), tensor.dtype, stored, f"{tensor.nbytes:,}", *numbers,
        bars(found.histogram) if found else "",
    ]  # fmt: skip


def _some(files: dict[str, int], most: int = 6) -> list[tuple[str, int]]:
    first = list(files.items())[:most]
    left = sum(list(files.values())[most:])
    return [*first, (f"{len(files) - most} more", left)] if len(files) > most else first
