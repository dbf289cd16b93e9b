"""Models to measure with: normally distributed weights, so many bytes in so many equal tensors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

KB: Final = 1 << 10
MB: Final = 1 << 20
GB: Final = 1 << 30

TFJS: Final = "tfjs"  # the folder with model.json and model.weights.bin
SAFETENSORS_FILE: Final = "model.safetensors"
TORCH_FILE: Final = "model.pt"

_ROWS = 16


@dataclass(frozen=True)
class Model:
    """`nbytes` counts float32 values, whatever they are stored as."""

    nbytes: int
    tensors: int
    storage: str = "float32"

    def __str__(self) -> str:
        return f"{size_text(self.nbytes)} × {self.tensors:,}"


def size_text(nbytes: int) -> str:
    for unit, name in ((GB, "GB"), (MB, "MB")):
        if nbytes >= unit:
            return f"{nbytes / unit:.4g} {name}"
    return f"{nbytes / KB:.4g} KB"


def make(model: Model, folder: Path, peers_too: bool) -> None:
    """Write the model as TensorFlow.js files and, for comparisons of loaders, in the peers' formats."""
    import numpy as np
    import safetensors.torch
    import torch

    from tfjs_torch import save_file

    random = np.random.default_rng(seed=0)
    shape = (_ROWS, max(1, model.nbytes // 4 // model.tensors // _ROWS))
    state_dict = {
        f"layer_{index}/kernel": torch.from_numpy(random.standard_normal(shape, np.float32))
        for index in range(model.tensors)
    }
    save_file(state_dict, folder / TFJS, quantize=None if model.storage == "float32" else model.storage)
    if peers_too:
        safetensors.torch.save_file(state_dict, folder / SAFETENSORS_FILE)
        torch.save(state_dict, folder / TORCH_FILE)
