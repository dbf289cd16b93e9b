"""Ways to get tensors onto disk, into a folder that does not exist yet."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias

import safetensors.torch
import torch

from tfjs_torch import load_file, official, save_file

from . import names
from .model import SAFETENSORS_FILE, TFJS

StateDict: TypeAlias = dict[str, torch.Tensor]
Saver: TypeAlias = Callable[[StateDict, Path, "str | None"], None]


def edited(folder: Path) -> StateDict:
    """The model's tensors, changed, in memory of their own."""
    return {name: tensor * 0.5 for name, tensor in load_file(folder / TFJS).items()}


def ours(tensors: StateDict, folder: Path, quantize: str | None) -> None:
    save_file(tensors, output(folder), like=folder / TFJS, quantize=quantize)


def safetensors_file(tensors: StateDict, folder: Path, quantize: str | None) -> None:
    _refuse(quantize)
    output(folder).mkdir()
    safetensors.torch.save_file(tensors, output(folder) / SAFETENSORS_FILE)


def official_file(tensors: StateDict, folder: Path, quantize: str | None) -> None:
    output(folder).mkdir()
    entries = [{"name": name, "data": tensor.numpy()} for name, tensor in tensors.items()]
    one_shard = sum(tensor.nbytes for tensor in tensors.values())
    quantization = {quantize: True} if quantize else None
    official.write_weights([entries], str(output(folder)), one_shard, quantization_dtype_map=quantization)


def plain_write(tensors: StateDict, folder: Path, quantize: str | None) -> None:
    _refuse(quantize)
    output(folder).mkdir()
    with open(output(folder) / "bytes", "wb", buffering=0) as file:
        for tensor in tensors.values():
            _write_all(file.write, tensor.numpy().data.cast("B"))


SAVERS: Final[dict[str, Saver]] = {
    names.OURS: ours,
    names.SAFETENSORS: safetensors_file,
    names.OFFICIAL: official_file,
    names.PLAIN_WRITE: plain_write,
}


def output(folder: Path) -> Path:
    return folder / "saved"


def remove_output(folder: Path) -> None:
    # Removing a file also drops its bytes that are not on the disk yet: nobody pays for another's write-back.
    shutil.rmtree(output(folder), ignore_errors=True)


def _write_all(write: Callable[[memoryview], int], view: memoryview) -> None:
    while view:  # Linux writes at most 2 GB at once
        view = view[write(view) :]


def _refuse(quantize: str | None) -> None:
    if quantize:
        raise ValueError(f"this saver knows no {quantize}")
