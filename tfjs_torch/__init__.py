"""TensorFlow.js weights <-> PyTorch: model.json and its weight files as a state_dict, and back.

    from tfjs_torch import load_file, save_file
    state_dict = load_file("my-model")                      # the folder with model.json
    save_file(state_dict, "changed", like="my-model")       # the same files, new weights

Names are imported when they are first used: reading a manifest does not import torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from . import layers, ml5, official, processing, teachable
    from .artifacts import Artifacts, read_artifacts
    from .compat import decode_weights, write_weights
    from .errors import (
        FilesError,
        FormatError,
        ManifestError,
        MismatchError,
        TfjsTorchError,
        TfjsTorchWarning,
        TopologyError,
        UnsupportedError,
        WeightsLengthError,
    )
    from .exporting import export_model
    from .layers import supported_layers
    from .model import load_model, save_model
    from .outlining import Outline, outline
    from .processing import process
    from .summary import ModelSummary, inspect
    from .verifying import Report, verify
    from .weights import load_file, save_file, tfjs_to_torch, torch_to_tfjs

_ROOMS = {
    "artifacts": ("Artifacts", "read_artifacts"),
    "compat": ("decode_weights", "write_weights"),
    "errors": (
        "FilesError", "FormatError", "ManifestError", "MismatchError", "TfjsTorchError", "TfjsTorchWarning",
        "TopologyError", "UnsupportedError", "WeightsLengthError",
    ),
    "exporting": ("export_model",),
    "layers": ("supported_layers",),
    "model": ("load_model", "save_model"),
    "outlining": ("Outline", "outline"),
    "processing": ("process",),
    "summary": ("ModelSummary", "inspect"),
    "verifying": ("Report", "verify"),
    "weights": ("load_file", "save_file", "tfjs_to_torch", "torch_to_tfjs"),
}  # fmt: skip
_HOME = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = [
    "Artifacts",
    "FilesError",
    "FormatError",
    "ManifestError",
    "MismatchError",
    "ModelSummary",
    "Outline",
    "Report",
    "TfjsTorchError",
    "TfjsTorchWarning",
    "TopologyError",
    "UnsupportedError",
    "WeightsLengthError",
    "__version__",
    "decode_weights",
    "export_model",
    "inspect",
    "layers",
    "load_file",
    "load_model",
    "ml5",
    "official",
    "outline",
    "process",
    "processing",
    "read_artifacts",
    "save_file",
    "save_model",
    "supported_layers",
    "teachable",
    "tfjs_to_torch",
    "torch_to_tfjs",
    "verify",
    "write_weights",
]


def __getattr__(name: str) -> Any:
    if name in ("layers", "ml5", "official", "processing", "teachable"):
        return import_module(f".{name}", __name__)
    if name in _HOME:
        try:
            value = getattr(import_module(f".{_HOME[name]}", __name__), name)
        except ModuleNotFoundError as error:
            if error.name != "torch":
                raise
            raise ModuleNotFoundError(f"{__name__}.{name} needs PyTorch: pip install torch", name="torch") from None
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
