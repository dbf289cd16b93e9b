"""tfjs-torch convert: models of tf.js <-> .safetensors, .npz, .pt, and into each other; into .pt2 and .onnx."""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np

from ..artifacts import Artifacts, read_artifacts
from ..containers import is_container, read_container
from ..conversion import Converted, convert, is_program, open_tensors, stored_length
from ..errors import FilesError, MismatchError, TfjsTorchError, TfjsTorchWarning
from ..saving import inside
from .text import note, parse_size, plural, progress, size

EXAMPLES = """SRC and DST by their ending: .safetensors, .npz, .pt; anything else is a model of tf.js
(a folder, a model.json, a .zip). DST may also be a program that runs by itself: .pt2 (torch.export) or .onnx.

examples:
  tfjs-torch convert my-model weights.safetensors              tf.js -> PyTorch
  tfjs-torch convert changed.safetensors out --like my-model   and back: same files, new weights
  tfjs-torch convert my-model small.zip --quantize uint8       a quarter of the size
  tfjs-torch convert my-model small --quantize float16:conv*   only tensors of that name
  tfjs-torch convert my-model out --shard-size 4MiB            many small files
  tfjs-torch convert quantised plain --dtype float32           undo quantisation
  tfjs-torch convert my-model weights.pt --layout torch        names and shapes of torch's modules
  tfjs-torch convert trained.pt out --like my-model --layout torch
  tfjs-torch convert my-model model.onnx                       the model itself, for any ONNX runtime
"""


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "convert", help="turn a model into PyTorch weights, or back",
        epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("source", metavar="SRC", help="model (folder, model.json, .zip), .safetensors, .npz or .pt")
    parser.add_argument("target", metavar="DST", help="folder, .json, .zip, .safetensors, .npz, .pt, .pt2 or .onnx")
    parser.add_argument(
        "--like", metavar="MODEL", help="write the model like this one (default: like SRC, if it is a model)"
    )
    parser.add_argument(
        "--quantize", metavar="TYPE[:GLOB]", action="append",
        help="store float32 tensors as uint8, uint16 or float16; may be given several times",
    )  # fmt: skip
    parser.add_argument("--shard-size", metavar="SIZE", help="cut the weights into files of this size, such as 4MiB")
    parser.add_argument("--dtype", metavar="TYPE", help="cast floating tensors: float32, float16, bfloat16 or float64")
    parser.add_argument(
        "--layout", choices=["tfjs", "torch"], default="tfjs",
        help="names and shapes in the .safetensors, .npz or .pt: as in tf.js (default), or as in torch's modules",
    )  # fmt: skip
    parser.add_argument("--force", action="store_true", help="overwrite DST")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    if args.target in ("", "-"):
        raise FilesError("DST", f"a file or folder to write to expected, found {args.target!r}")
    target = Path(args.target)
    place = target.parent if target.suffix.lower() == ".json" else target  # a JSON's files go into its folder
    if not args.force and (place.is_file() or (place.is_dir() and any(place.iterdir()))):
        raise FilesError(str(place), "a new place to write to expected, found something there; --force overwrites it")
    if is_program(target):
        return _write_program(args, target)
    if args.layout == "torch":
        return _convert_in_layout_of_torch(args, target)
    shard_bytes = parse_size(args.shard_size) if args.shard_size else None
    tensors, artifacts = open_tensors(args.source)
    like = None if is_container(target) else read_artifacts(args.like) if args.like else artifacts
    if is_container(target) and args.like:
        raise MismatchError("--like", f"a folder, .json or .zip as DST expected, found {target}")
    before = _weight_files(place)
    with progress(stored_length(tensors), "converting") as advance:
        options = {"quantize": args.quantize, "shard_bytes": shard_bytes, "dtype": args.dtype}
        done = convert(tensors, target, like=like, advance=advance, **options)
    _tell(args.target, done)
    if not is_container(target):
        _advise(place, done, like, shard_bytes, before)
    return 0


def _write_program(args: argparse.Namespace, target: Path) -> int:
    for option in ("like", "quantize", "shard_size", "dtype"):
        if getattr(args, option):
            raise MismatchError(f"--{option.replace('_', '-')}", f"another DST than {target} expected; leave it out")
    if is_container(args.source):
        raise MismatchError(args.source, "a model with layers as SRC expected, found weights; see --like")
    from ..model import load_model  # here: torch takes a second to import
    from ..programs import save_program

    model = load_model(args.source)
    save_program(model, target)
    numbers = plural(sum(parameter.numel() for parameter in model.parameters()), "parameter")
    print(f"{plural(len(model.layers), 'layer')}, {numbers} -> {target} ({size(target.stat().st_size)})")
    return 0


def _convert_in_layout_of_torch(args: argparse.Namespace, target: Path) -> int:
    """Between a model and a state_dict of torch's modules; which layers there are says the model."""
    from ..weights import load_file, save_file  # here: torch takes a second to import

    if is_container(target) and not is_container(args.source) and not args.like:
        tensors = {name: tensor.numpy() for name, tensor in load_file(args.source, layout="torch").items()}
        options = {"quantize": args.quantize, "shard_bytes": args.shard_size, "dtype": args.dtype}
        _tell(args.target, convert(tensors, target, **options))
        return 0
    if is_container(target) or not is_container(args.source) or not args.like:
        raise MismatchError(
            "--layout torch",
            "a model as SRC and a .safetensors, .npz or .pt as DST expected, or the other way round with --like MODEL",
        )
    if args.dtype not in (None, "float32") or (args.dtype and args.quantize):
        raise MismatchError("--dtype", "float32 alone expected for a tf.js model; see --quantize")
    tensors = {name: np.asarray(tensor) for name, tensor in read_container(args.source).items()}
    shard_bytes = parse_size(args.shard_size) if args.shard_size else None
    quantize = "float32" if args.dtype else args.quantize
    save_file(tensors, target, like=args.like, layout="torch", quantize=quantize, shard_bytes=shard_bytes)
    parameters = sum(tensor.size for tensor in tensors.values())
    _tell(args.target, Converted(len(tensors), parameters, _lengths(read_artifacts(target))))
    return 0


def _lengths(artifacts: Artifacts) -> dict[str, int]:
    shards = [shard for group in artifacts.shards for shard in group] + list(artifacts.sidecars.values())
    return {inside(shard.name): shard.nbytes for shard in shards} | {artifacts.json_name: len(artifacts.json_text)}


def _tell(target: str, done: Converted) -> None:
    files = [f"{name} ({size(nbytes)})" for name, nbytes in done.files.items()]
    more = f" and {len(files) - 6} more" if len(files) > 6 else ""
    where = "" if list(done.files) == [target] else f"{target}: "
    counts = f"{plural(done.tensors, 'tensor')}, {plural(done.parameters, 'number')}"
    print(f"{counts} -> {where}{', '.join(files[:6])}{more}")


def _advise(target: Path, done: Converted, like: Artifacts | None, shard_bytes: int | None, before: set[str]) -> None:
    """What the user may stumble over next, on stderr."""
    if like is None:
        note("weights only, no layers: browsers need a model to put them into; see --like")
    if like and shard_bytes and any("_meta" in name for name in like.sidecars):
        note("several weight files: ml5's file picker takes exactly one; leave --shard-size out for ml5")
    stale = sorted(name for name in before - set(done.files) if (target / name).is_file())
    if stale:
        note(f"{', '.join(stale[:6])} of the model that was there before: no longer used, still there")


def _weight_files(target: Path) -> set[str]:
    """The weight files of a model that is about to be overwritten."""
    if not target.is_dir():
        return set()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TfjsTorchWarning)
            return {inside(path) for path in read_artifacts(target).manifest.paths}
    except TfjsTorchError:
        return set()
