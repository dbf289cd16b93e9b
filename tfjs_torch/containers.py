"""Other files that hold named tensors: .safetensors, .npz, .pt.

.safetensors and .npz are written piece by piece, .safetensors is read tensor by tensor; .npz is read, and .pt
read and written, whole.

Nothing is executed: .pt goes through torch's weights_only loader, .npz without pickle. torch is
imported for .pt only.
"""

from __future__ import annotations

import errno
import io
import json
import os
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from .encoder import Tensor
from .errors import FilesError, MismatchError, UnsupportedError, warn
from .quantization import Array
from .saving import ZIP_TIME, replacing
from .shards import PIECE, Bytes, FileShard, Stream
from .sources import refuse_bomb

KINDS: Final = (".safetensors", ".npz", ".pt", ".pth")
BFLOAT16: Final = "bfloat16"  # numpy has no such dtype

_SAFETENSORS: Final = {  # format: the README of safetensors; name there -> numpy's
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "|u1", "BOOL": "|b1", "C64": "<c8",
}  # fmt: skip
_SAFETENSORS_NAME: Final = {np.dtype(v): k for k, v in _SAFETENSORS.items() if k != "BF16"}
_FLOATS: Final = ("float16", "float32", "float64", BFLOAT16)

_LONGEST_NAME: Final = 65_000  # bytes of a name in a zip
_STATE_DICT: Final = "a state_dict of plain tensors expected (torch.save(model.state_dict(), ...))"
_CHECKPOINT_KEYS: Final = ("state_dict", "model_state_dict", "model")  # where training checkpoints keep it

Advance = Callable[[int], Any]


class Column(NamedTuple):
    """One tensor on its way into a file: the dtype it gets there, and its bytes in pieces."""

    shape: tuple[int, ...]
    dtype: str
    pieces: Callable[[], Iterator[Bytes]]

    @property
    def nbytes(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64)) * (
            2 if self.dtype == BFLOAT16 else np.dtype(self.dtype).itemsize
        )


def is_container(path: str | os.PathLike[str]) -> bool:
    return Path(path).suffix.lower() in KINDS


def read_container(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The tensors of a .safetensors, .npz, .pt or .pth file; those of .safetensors are read when they are used.

    Raises:
        FilesError: the file is missing or broken, or holds anything but tensors.
    """
    file = Path(path)
    if not file.is_file():
        raise FilesError(str(file), "a file expected, found none; check the path")
    return {".safetensors": _read_safetensors, ".npz": _read_npz}.get(file.suffix.lower(), _read_pt)(file)


def write_container(
    path: str | os.PathLike[str],
    tensors: Mapping[str, Tensor],
    dtype: str | None = None,
    advance: Advance | None = None,
) -> None:
    """Write tensors to a .safetensors, .npz, .pt or .pth file, complete or not at all.

    Args:
        dtype: cast floating tensors to float16, bfloat16, float32 or float64.
        advance: told the number of bytes after each piece.

    Raises:
        UnsupportedError: strings, or a dtype that the file cannot hold. FilesError: the place cannot be written.
    """
    file = Path(path)
    columns = {name: _column(name, tensor, dtype) for name, tensor in tensors.items()}
    suffix = file.suffix.lower()
    if suffix == ".npz" and any(column.dtype == BFLOAT16 for column in columns.values()):
        raise UnsupportedError("bfloat16", "numpy has no bfloat16; write .safetensors or .pt, or take float16")
    for name in columns:
        if suffix == ".npz" and len(name.encode("utf-8", "surrogatepass")) > _LONGEST_NAME:
            raise UnsupportedError(f"{name[:60]}...", "a name that a zip can hold expected; write .safetensors")
        if (suffix == ".safetensors" and name == "__metadata__") or re.search("[\0\ud800-\udfff]", name):
            raise UnsupportedError(name.encode("unicode_escape").decode(), f"a name that {suffix} can hold expected")
    with replacing(file) as target:
        {".safetensors": _write_safetensors, ".npz": _write_npz}.get(suffix, _write_pt)(target, columns, advance)


def _column(name: str, tensor: Tensor, dtype: str | None) -> Column:
    own = np.dtype(tensor.dtype).newbyteorder("<")
    if own.kind not in "biufc":
        raise UnsupportedError(
            name, "numbers expected, found strings, which this file cannot hold; use load_file in Python"
        )
    if own not in _SAFETENSORS_NAME:
        raise UnsupportedError(name, f"a dtype that others can read expected, found {own}; cast it first")
    shape = tuple(int(size) for size in tensor.shape)
    if dtype is None or own.kind != "f" or own.name == dtype:
        return Column(shape, own.str, lambda: _pieces(tensor))
    if dtype not in _FLOATS:
        raise MismatchError("dtype", f"one of {', '.join(_FLOATS)} expected, found {dtype!r}")
    return Column(shape, dtype, lambda: (_cast(p.view(own), dtype, name).view(np.uint8) for p in _pieces(tensor)))


def _pieces(tensor: Tensor) -> Iterator[Bytes]:
    """The tensor's little-endian bytes; from where they lie in bounded pieces if it can do that."""
    if hasattr(tensor, "pieces"):
        yield from tensor.pieces()
        return
    array = np.asarray(tensor)
    flat = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(-1).view(np.uint8)
    for start in range(0, flat.size, PIECE):
        yield flat[start : start + PIECE]


def _cast(run: Array, dtype: str, name: str) -> Array:
    with np.errstate(all="ignore"):
        new = _to_bfloat16(run) if dtype == BFLOAT16 else run.astype(dtype)
        infinite = (new & 0x7FFF) == 0x7F80 if dtype == BFLOAT16 else np.isinf(new)
    if (infinite & np.isfinite(run)).any():
        raise MismatchError(name, f"values within the range of {dtype} expected, found {np.abs(run).max()!s}")
    return new


def _to_bfloat16(run: Array) -> Array:
    """float -> the upper half of its float32 bits, to nearest even; NaNs stay NaNs."""
    bits = run.astype("<f4").view("<u4")
    rounded = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")
    return np.where(np.isnan(run), ((bits >> 16) | 0x40).astype("<u2"), rounded)


# --- .safetensors ---------------------------------------------------------------------------------


def _write_safetensors(target: Any, columns: Mapping[str, Column], advance: Advance | None) -> None:
    # Widest elements first: every tensor then starts at a multiple of its own size.
    ordered = sorted(
        columns.items(), key=lambda item: -(2 if item[1].dtype == BFLOAT16 else np.dtype(item[1].dtype).itemsize)
    )
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    position = 0
    for name, column in ordered:
        end = position + column.nbytes
        kind = "BF16" if column.dtype == BFLOAT16 else _SAFETENSORS_NAME[np.dtype(column.dtype)]
        header[name] = {"dtype": kind, "shape": list(column.shape), "data_offsets": [position, end]}
        position = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    target.write(len(text).to_bytes(8, "little") + text)
    _write_pieces(target, (column for _, column in ordered), advance)


class _SafetensorsTensor:
    def __init__(self, stream: Stream, start: int, shape: tuple[int, ...], kind: str) -> None:
        self.shape, self._kind, self._stream, self._start = shape, kind, stream, start
        self._stored = np.dtype(_SAFETENSORS[kind])
        self.dtype = np.dtype("<f4") if kind == "BF16" else self._stored
        self._size = int(np.prod(shape, dtype=np.int64)) * self._stored.itemsize

    def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
        raw = np.empty(self._size, np.uint8)
        with self._stream:
            self._stream.read(self._start, raw)
        values = raw.view(self._stored)
        if self._kind == "BF16":  # the upper half of a float32: widening is exact
            values = (values.astype("<u4") << 16).view("<f4")
        array: Array = values.reshape(self.shape)
        return array if dtype is None else array.astype(dtype)


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError, safe_open

    try:
        with open(path, "rb") as file, safe_open(path, framework="np"):  # the library checks the whole header
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length))
    except OSError as error:
        raise FilesError(str(path), f"a readable file expected, found: {error.strerror or error}") from None
    except (SafetensorError, ValueError) as error:
        raise FilesError(str(path), f"a .safetensors file expected, found: {error}; save it again") from None
    stream = Stream([FileShard(path.name, path)])
    header.pop("__metadata__", None)
    tensors: dict[str, Tensor] = {}
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        if entry["dtype"] not in _SAFETENSORS:
            raise UnsupportedError(name, f"a dtype that numpy has expected, found {entry['dtype']}; cast it first")
        start = 8 + length + entry["data_offsets"][0]
        tensors[name] = _SafetensorsTensor(stream, start, tuple(entry["shape"]), entry["dtype"])
    return tensors


# --- .npz -----------------------------------------------------------------------------------------


def _write_npz(target: Any, columns: Mapping[str, Column], advance: Advance | None) -> None:
    with zipfile.ZipFile(target, "w") as archive:
        for name, column in columns.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy", ZIP_TIME), "w", force_zip64=True) as file:
                described = {"descr": np.dtype(column.dtype).str, "fortran_order": False, "shape": column.shape}
                np.lib.format.write_array_header_1_0(_Writer(file), described)
                _write_pieces(file, [column], advance)


class _Writer(io.RawIOBase):
    """What numpy's header writer needs of a file."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def write(self, data: Any) -> int:
        self._file.write(data)
        return len(data)


def _read_npz(path: Path) -> dict[str, Tensor]:
    try:
        with zipfile.ZipFile(path) as archive:
            refuse_bomb(archive.infolist(), path.stat().st_size, str(path))
        with np.load(path, allow_pickle=False) as found:
            return {name: found[name] for name in found.files}
    except (FilesError, MemoryError):
        raise
    except Exception as error:  # numpy parses the headers as Python literals: any error may come out of a broken one
        raise FilesError(str(path), f"a .npz of plain arrays expected, found: {error}") from None


# --- .pt ------------------------------------------------------------------------------------------


def _write_pt(target: Any, columns: Mapping[str, Column], advance: Advance | None) -> None:
    import torch

    state_dict = {}
    for name, column in columns.items():
        raw = np.empty(column.nbytes, np.uint8)
        _write_pieces(_Filler(raw), [column], advance)
        dtype = torch.bfloat16 if column.dtype == BFLOAT16 else None
        values = torch.from_numpy(raw.view("<i2" if dtype else column.dtype).reshape(column.shape))
        state_dict[name] = values.view(dtype) if dtype else values
    try:
        torch.save(state_dict, target)
    except RuntimeError as error:  # torch hides the OSError of a full disk behind one of its own
        raise OSError(errno.EIO, f"torch.save could not write it all; is the disk full? ({error!s:.60})") from error


class _Filler:
    def __init__(self, out: Bytes) -> None:
        self._out, self._at = out, 0

    def write(self, piece: Bytes) -> None:
        self._out[self._at : self._at + piece.size] = piece
        self._at += piece.size


def _read_pt(path: Path) -> dict[str, Tensor]:
    import pickle

    import torch

    from .torch_tensors import as_tensors

    try:
        found = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except (MemoryError, KeyboardInterrupt):
        raise
    except OSError as error:
        raise FilesError(str(path), f"a readable file expected, found: {error.strerror or error}") from None
    except pickle.UnpicklingError:
        what = "other objects, which are never loaded: they can run code" if _looks_pickled(path) else "no torch file"
        raise FilesError(str(path), f"{_STATE_DICT}, found {what}") from None
    except Exception as error:  # torch raises whatever it trips over in a broken file
        raise FilesError(
            str(path), f"{_STATE_DICT}, found a broken file or a program ({type(error).__name__})"
        ) from None
    for key in _CHECKPOINT_KEYS if isinstance(found, Mapping) else ():
        if isinstance(found.get(key), Mapping):
            found = found[key]
            warn(f"{path}: a training checkpoint; took the state_dict under {key!r}")
            break
    if not isinstance(found, Mapping):
        raise FilesError(str(path), f"{_STATE_DICT}, found {type(found).__name__}")
    try:
        return as_tensors(found)
    except MismatchError as error:
        raise FilesError(str(path), f"{_STATE_DICT}, found {error}; save the dict of tensors alone") from None


def _looks_pickled(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(1) in (b"\x80", b"P")  # a pickle, or a zip of them


def _write_pieces(target: Any, columns: Any, advance: Advance | None) -> None:
    for column in columns:
        for piece in column.pieces():
            target.write(piece)
            if advance:
                advance(piece.nbytes)
