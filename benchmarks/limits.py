"""What the machine can do at best with so many bytes."""

from __future__ import annotations

import mmap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

_FILE = "limit"
_PIECE = 8 << 20


def limits(nbytes: int, folder: Path) -> dict[str, Callable[[], object]]:
    source, target = np.ones(nbytes, np.uint8), np.ones(nbytes, np.uint8)
    kept = folder / "kept"
    source.tofile(kept)
    return {
        "memcpy into memory in use": lambda: np.copyto(target, source),
        "memcpy into fresh memory": source.copy,
        "read the file into fresh memory": kept.read_bytes,
        "map the file, look at every value": lambda: _mapped(kept).sum(),
        "write a new file": lambda: _write(source, folder / _FILE),
    }


def remove_file(folder: Path) -> None:
    (folder / _FILE).unlink(missing_ok=True)


def _mapped(path: Path) -> torch.Tensor:
    with open(path, "rb") as file:
        return torch.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY), dtype=torch.float32)


def _write(source: np.ndarray[tuple[int], np.dtype[np.uint8]], path: Path) -> None:
    with open(path, "wb", buffering=0) as file:
        for start in range(0, source.size, _PIECE):
            file.write(source[start : start + _PIECE].data)
