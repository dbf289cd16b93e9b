"""tfjs-torch convert: models of tf.js <-> .safetensors, .npz, .pt, and into each other."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..conversion import convert, open_tensors, stored_length
from ..errors import FilesError
from .text import parse_size, progress, size

EXAMPLES = """SRC and DST by their ending: .safetensors, .npz, .pt; anything else is a model of tf.js
(a folder, a model.json, a .zip).

examples:
  tfjs-torch convert my-model weights.safetensors              tf.js -> PyTorch
  tfjs-torch convert changed.safetensors out --like my-model   and back: same files, new weights
  tfjs-torch convert my-model small.zip --quantize uint8       a quarter of the size
  tfjs-torch convert my-model small --quantize float16:conv*   only tensors of that name
  tfjs-torch convert my-model out --shard-size 4MiB            many small files
  tfjs-torch convert quantised plain --dtype float32           undo quantisation
"""


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "convert", help="turn a model into PyTorch weights, or back",
        epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("source", metavar="SRC", help="model (folder, model.json, .zip), .safetensors, .npz or .pt")
    parser.add_argument("target", metavar="DST", help="folder, .json, .zip, .safetensors, .npz or .pt")
    parser.add_argument(
        "--like", metavar="MODEL", help="write the model like this one (default: like SRC, if it is a model)"
    )
    parser.add_argument(
        "--quantize", metavar="TYPE[:GLOB]", action="append",
        help="store float32 tensors as uint8, uint16 or float16; may be given several times",
    )  # fmt: skip
    parser.add_argument("--shard-size", metavar="SIZE", help="cut the weights into files of this size, such as 4MiB")
    parser.add_argument("--dtype", metavar="TYPE", help="cast floating tensors: float32, float16, bfloat16 or float64")
    parser.add_argument("--force", action="store_true", help="overwrite DST")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    target = Path(args.target)
    if not args.force and (target.is_file() or (target.is_dir() and any(target.iterdir()))):
        raise FilesError(str(target), "a new place to write to expected, found something there; --force overwrites it")
    shard_bytes = parse_size(args.shard_size) if args.shard_size else None
    tensors, artifacts = open_tensors(args.source)
    to_model = target.suffix.lower() not in (".safetensors", ".npz", ".pt", ".pth")
    like = args.like if args.like or not to_model else artifacts
    with progress(stored_length(tensors), "converting") as advance:
        done = convert(
            tensors,
            target,
            like=like,
            quantize=args.quantize,
            shard_bytes=shard_bytes,
            dtype=args.dtype,
            advance=advance,
        )
    files = [f"{name} ({size(nbytes)})" for name, nbytes in done.files.items()]
    more = f" and {len(files) - 6} more" if len(files) > 6 else ""
    where = "" if list(done.files) == [args.target] else f"{target}: "
    print(f"{done.tensors} tensors, {done.parameters:,} numbers -> {where}{', '.join(files[:6])}{more}")
    if to_model and like is None:
        print("note: weights only, no layers: browsers need a model to put them into; see --like", file=sys.stderr)
    return 0
