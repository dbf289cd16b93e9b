"""Ways to get a model's tensors from disk. Each takes the folder that model.make() has filled."""

from __future__ import annotations

import functools
import json
import math
import mmap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import safetensors.torch
import torch

from tfjs_torch import load_file, official

from . import names
from .model import SAFETENSORS_FILE, TFJS, TORCH_FILE

_VALUES_A_PAGE: Final = 4096 // 4

Loader: TypeAlias = Callable[[Path], Mapping[str, torch.Tensor]]


def ours(folder: Path) -> Mapping[str, torch.Tensor]:
    return load_file(folder / TFJS)


def forum_answer(folder: Path) -> Mapping[str, torch.Tensor]:
    groups = _groups(folder)
    buffers = [b"".join((folder / TFJS / path).read_bytes() for path in group["paths"]) for group in groups]
    entries = official.decode_weights(groups, buffers, flatten=True)
    return {entry["name"]: torch.from_numpy(entry["data"]) for entry in entries}


def safetensors_file(folder: Path) -> Mapping[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = safetensors.torch.load_file(folder / SAFETENSORS_FILE)
    return tensors


def torch_mmap(folder: Path) -> Mapping[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = torch.load(folder / TORCH_FILE, mmap=True, weights_only=True)
    return tensors


def mapped_views(folder: Path) -> Mapping[str, torch.Tensor]:
    (group,) = _groups(folder)
    with open(folder / TFJS / group["paths"][0], "rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    shapes = [entry["shape"] for entry in group["weights"]]
    pieces = torch.split(torch.frombuffer(mapped, dtype=torch.float32), [math.prod(shape) for shape in shapes])
    return {
        entry["name"]: piece.view(shape) for entry, shape, piece in zip(group["weights"], shapes, pieces, strict=True)
    }


def memcpy(folder: Path) -> Mapping[str, torch.Tensor]:
    return {name: torch.from_numpy(values.copy()) for name, values in _in_memory(folder).items()}


LOADERS: Final[dict[str, Loader]] = {
    names.OURS: ours,
    names.FORUM: forum_answer,
    names.SAFETENSORS: safetensors_file,
    names.TORCH_MMAP: torch_mmap,
    names.MAPPED_VIEWS: mapped_views,
    names.COPY: memcpy,
}


def touch(tensors: Mapping[str, torch.Tensor]) -> None:
    """Look at one value in every page. Not at all of them: that would time the processors' sum."""
    for tensor in tensors.values():
        tensor.reshape(-1)[::_VALUES_A_PAGE].sum()


def _groups(folder: Path) -> list[dict[str, Any]]:
    groups: list[dict[str, Any]] = json.loads((folder / TFJS / "model.json").read_bytes())["weightsManifest"]
    return groups


@functools.cache
def _in_memory(folder: Path) -> dict[str, np.ndarray[Any, np.dtype[np.float32]]]:
    entries = [entry for group in _groups(folder) for entry in group["weights"]]
    return {entry["name"]: np.ones(entry["shape"], np.float32) for entry in entries}
