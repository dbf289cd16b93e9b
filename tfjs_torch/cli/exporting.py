"""tfjs-torch export: a module of torch, made by the user's own Python file, as a new model of tf.js."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..artifacts import Artifacts
from ..containers import is_container
from ..conversion import convert, open_tensors
from ..errors import FilesError, MismatchError, TfjsTorchError
from ..tensors import stored_tensors
from .text import plural, size

if TYPE_CHECKING:
    from torch import nn

EXAMPLES = """FILE.py is imported, so its code is run: use your own. FACTORY() makes the nn.Module; a class will do.
Shapes are those of torch without the batch: 3,224,224 for images, 40 for 40 ids. The model takes channels last.

examples:
  tfjs-torch export net.py:Net out --input-shape 1,28,28
  tfjs-torch export net.py:make out.zip --input-shape 3,224,224 --weights trained.safetensors
  tfjs-torch export net.py:make out --input-shape 1,28,28 --quantize uint8
  tfjs-torch export two.py:Both out --input-shape 3,64,64 --input-shape 10    two inputs
"""


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "export", help="make a model of tf.js from a PyTorch module",
        epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("factory", metavar="FILE.py:FACTORY", help="what makes the module; the file is run")
    parser.add_argument("target", metavar="OUT", help="folder, .json or .zip")
    parser.add_argument(
        "--input-shape", metavar="SIZES", action="append", required=True, dest="shapes",
        help="such as 3,224,224, without the batch; once for every input",
    )  # fmt: skip
    parser.add_argument("--weights", metavar="FILE", help="the state_dict to load: .safetensors, .pt or .npz")
    parser.add_argument(
        "--quantize", metavar="TYPE[:GLOB]", action="append",
        help="store float32 tensors as uint8, uint16 or float16; may be given several times",
    )  # fmt: skip
    parser.add_argument("--force", action="store_true", help="overwrite OUT")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    if args.target in ("", "-") or is_container(args.target):
        raise FilesError("OUT", f"a folder, .json or .zip to write to expected, found {args.target!r}")
    target = Path(args.target)
    place = target.parent if target.suffix.lower() == ".json" else target  # a JSON's files go into its folder
    if not args.force and (place.is_file() or (place.is_dir() and any(place.iterdir()))):
        raise FilesError(str(place), "a new place to write to expected, found something there; --force overwrites it")
    from ..exporting import export_model  # imports torch, which --help can do without

    module = _made(args.factory)
    if args.weights:
        _load(module, args.weights)
    artifacts = export_model(module, [_sizes(text) for text in args.shapes])
    done = convert(dict(stored_tensors(artifacts)), target, like=artifacts, quantize=args.quantize)
    files = ", ".join(f"{name} ({size(nbytes)})" for name, nbytes in done.files.items())
    print(f"{plural(done.tensors, 'tensor')}, {plural(done.parameters, 'number')} -> {args.target}: {files}")
    print(f"{_layers(artifacts)}; takes {' and '.join(_inputs(artifacts))}")
    return 0


def _made(text: str) -> nn.Module:
    from torch import nn

    file, _, name = text.rpartition(":")
    if not file or not name:
        raise MismatchError("FILE.py:FACTORY", f"a file and a name in it expected, found {text!r}")
    factory = _found(Path(file), name)
    try:
        module = factory()
    except Exception as error:  # the user's own code
        raise MismatchError(
            text, f"a call without arguments expected to make the module, found {_told(error)}"
        ) from error
    if not isinstance(module, nn.Module):
        raise MismatchError(text, f"a torch.nn.Module expected, found {type(module).__name__}")
    return module


def _found(file: Path, name: str) -> Callable[[], Any]:
    """What a file of the user's has under a name; what lies beside it can be imported by it."""
    if not file.is_file():
        raise FilesError(str(file), "a Python file expected, found none")
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        raise FilesError(str(file), "a Python file expected, found another ending than .py")
    loaded = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(file.resolve().parent))
    sys.modules[file.stem] = loaded  # as `import` does; dataclasses and pickles look there
    try:
        spec.loader.exec_module(loaded)
    except TfjsTorchError:
        raise
    except Exception as error:  # the user's own code
        raise FilesError(str(file), f"a file that can be imported expected, found {_told(error)}") from error
    factory: Callable[[], Any] | None = getattr(loaded, name, None)
    if not callable(factory):
        raise FilesError(str(file), f"a function or class {name!r} expected, found none")
    return factory


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _load(module: nn.Module, path: str) -> None:
    import numpy as np
    import torch

    if not is_container(path):
        raise FilesError(path, "a state_dict as .safetensors, .pt or .npz expected")
    tensors, _ = open_tensors(path)
    try:
        module.load_state_dict({name: torch.from_numpy(np.array(tensor)) for name, tensor in tensors.items()})
    except RuntimeError as error:
        raise MismatchError(path, f"weights that fit the module expected; {error}") from None


def _sizes(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise MismatchError("--input-shape", f"sizes such as 3,224,224 expected, found {text!r}") from None


def _layers(artifacts: Artifacts) -> str:
    topology = artifacts.model_json["modelTopology"]
    return f"{topology['class_name']} of {plural(len(topology['config']['layers']), 'layer')}"


def _inputs(artifacts: Artifacts) -> list[str]:
    layers = [layer["config"] for layer in artifacts.model_json["modelTopology"]["config"]["layers"]]
    shapes = [config["batch_input_shape"][1:] for config in layers if "batch_input_shape" in config]
    return [f"[batch, {', '.join(map(str, shape))}]" for shape in shapes]
