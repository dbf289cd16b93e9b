"""tfjs-torch predict: numbers in, what the model makes of them out."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..containers import write_container
from ..errors import FilesError, MismatchError
from ..saving import replacing
from .arrays import read_inputs
from .text import plural

EXAMPLES = """Inputs as tf.js takes them: the first axis counts samples, images are height x width x channels.
A model with several inputs takes one .npz whose arrays have the inputs' names; a model with several
outputs writes one .npz. Without OUT the numbers are printed, a line for each sample.

examples:
  tfjs-torch predict my-model x.npy              print
  tfjs-torch predict my-model x.npy y.npy        write
  tfjs-torch predict my-model x.npz y.npz        several inputs, several outputs
  tfjs-torch predict my-model x.npy --semantics keras

Make such a file in Python: numpy.save("x.npy", array), or numpy.savez("x.npz", image=a, age=b)
"""

_LONGEST = 16  # numbers in a printed line


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "predict", help="run a model on the numbers in a file",
        epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("path", metavar="PATH", help="folder with model.json, the JSON itself, or a .zip")
    parser.add_argument("inputs", metavar="IN", help=".npy, or .npz with the inputs' names")
    parser.add_argument("target", metavar="OUT", nargs="?", help=".npy, or .npz; default: print")
    parser.add_argument(
        "--semantics", choices=["tfjs", "keras"], default="tfjs", help="what layers compute where both differ"
    )
    parser.add_argument("--force", action="store_true", help="overwrite OUT")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    target = None if args.target is None else Path(args.target)
    if target is not None:
        _check(target, args.force)
    inputs = read_inputs([args.inputs])
    from ..model import load_model  # here: torch takes a second to import
    from ..sample_inputs import unique

    model = load_model(args.path, semantics=args.semantics)
    names = unique(model.output_names)
    if target is not None and len(names) > 1 and target.suffix.lower() == ".npy":
        raise MismatchError(args.target, f"a .npz for {len(names)} outputs ({', '.join(names)}) expected, found .npy")
    try:
        made = model.predict(inputs)
    except (RuntimeError, IndexError) as error:  # what torch says of shapes that no input_shapes has told
        raise MismatchError(args.inputs, f"numbers that fit the model expected, found: {error}") from None
    outputs = dict(zip(names, made if isinstance(made, list) else [made], strict=True))
    if target is None:
        for name, array in outputs.items():
            print("\n".join(_lines(name, array, len(outputs) > 1)))
    else:
        _write(target, outputs)
        shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in outputs.items())
        print(f"{plural(len(next(iter(outputs.values()))), 'sample')} -> {args.target}: {shapes}")
    return 0


def _check(target: Path, force: bool) -> None:
    if target.suffix.lower() not in (".npy", ".npz"):
        raise FilesError(str(target), "a .npy or .npz to write to expected")
    if target.is_dir() or (target.exists() and not force):
        raise FilesError(str(target), "a new file to write to expected, found it there; --force overwrites it")


def _write(target: Path, outputs: dict[str, Any]) -> None:
    if target.suffix.lower() == ".npz":
        write_container(target, outputs)
        return
    with replacing(target) as file:
        np.save(file, next(iter(outputs.values())))


def _lines(name: str, array: npt.NDArray[Any], headed: bool) -> Iterator[str]:
    """A line for each sample; larger ones are cut short."""
    if headed or array.ndim != 2:
        yield f"{name}, shape {list(array.shape)}"
    for sample in array:
        numbers = sample.reshape(-1)
        more = f"  ... {numbers.size - _LONGEST:,} more" if numbers.size > _LONGEST else ""
        yield "  ".join(f"{value:<11.6g}" for value in numbers[:_LONGEST].tolist()).rstrip() + more
