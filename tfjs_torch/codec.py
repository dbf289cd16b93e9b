"""Weight bytes <-> {name: ndarray}. Knows no layer, no torch, no disk.

The byte encodings: tfjs-core/src/io/io_utils.ts. All numbers are little-endian; a string is its
length as uint32 followed by that many bytes; complex64 is (re, im) pairs of float32.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np

from .errors import WeightsLengthError
from .manifest import NUMERIC, WeightSpec
from .quantization import Array, dequantize
from .shards import Bytes, Stream

Extent = tuple[int, int]

_DTYPES: Final = {name: (np.dtype(dtype), itemsize) for name, (dtype, itemsize) in NUMERIC.items()}
_PARALLEL_FROM: Final = 1 << 20  # elements; below, starting threads costs more than it saves
_SPAN: Final = 1 << 20  # elements that one thread takes at once
_STRING_WINDOW: Final = 1 << 16


def extents(specs: Sequence[WeightSpec], stream: Stream, where: str = "weights") -> list[Extent]:
    """(start, stop) of every tensor in its group's stream; the last one must end with the last byte.

    Raises:
        WeightsLengthError: bytes are missing or left over; says which tensor or file, and how many.
    """
    found: list[Extent] = []
    position = 0
    for spec in specs:
        start = position
        position = start + spec.nbytes if spec.nbytes is not None else _strings_stop(spec, stream, start)
        found.append((start, position))
    if position != stream.nbytes:
        raise _wrong_length(specs, found, stream, where)
    return found


def decode(specs: Sequence[WeightSpec], stream: Stream, where: str = "weights") -> Iterator[Array]:
    """The tensors of one group, in order, each writable and in memory of its own or privately mapped.

    Numeric tensors come in the manifest's dtype and shape; strings as object arrays of bytes.
    Lengths are checked to the last byte before the first tensor is made.
    """
    for spec, (start, stop) in zip(specs, extents(specs, stream, where), strict=True):
        yield decode_tensor(spec, stream, start, stop)
        stream.close_before(stop)


def decode_tensor(spec: WeightSpec, stream: Stream, start: int, stop: int) -> Array:
    if spec.dtype == "string":
        return _decode_strings(spec, stream, start, stop)
    if spec.quantization and spec.size:
        return _dequantized(spec, stream, start)
    dtype, itemsize = _DTYPES[spec.dtype]
    found = stream.locate(start, stop) if spec.size else None
    mapped = stream.map(found[0]) if found else None
    if found and mapped is not None and not found[1] % itemsize and dtype != np.bool_:
        return np.ndarray(spec.shape, dtype, mapped, found[1])
    values = np.empty(spec.shape, dtype)
    if spec.size:
        stream.read(start, values.reshape(-1).view(np.uint8))
    return normalized_bool(values) if dtype == np.bool_ else values


def decoded_pieces(spec: WeightSpec, stream: Stream, start: int, stop: int) -> Iterator[Bytes]:
    """The decoded bytes of a numeric tensor in bounded pieces, for writing elsewhere.

    A piece is valid until the next one is asked for.
    """
    if spec.quantization is None:
        for piece in stream.pieces(start, stop):
            yield (piece != 0).view(np.uint8) if spec.dtype == "bool" else piece
        return
    stored, itemsize = _DTYPES[spec.stored]
    values = np.empty(min(_SPAN, spec.size), _DTYPES[spec.dtype][0])
    for codes in stream.pieces(start, stop, _SPAN * itemsize):
        out = values[: codes.size // itemsize]
        dequantize(_as(codes, stored), spec.quantization, out)
        yield out.view(np.uint8)


def encoded_strings(values: Array) -> bytes:
    """The bytes of a string tensor (object array of bytes or str; str is written as UTF-8)."""
    encoded = [value.encode() if isinstance(value, str) else bytes(value) for value in values.reshape(-1).tolist()]
    return b"".join(part for value in encoded for part in (struct.pack("<I", len(value)), value))


def in_spans(work: Callable[[int, int], None], size: int) -> None:
    """Call work(start, stop) for spans of [0, size), on all processors when it is worth it."""
    spans = [(start, min(start + _SPAN, size)) for start in range(0, size, _SPAN)]
    workers = min(_processors(), len(spans))
    if size < _PARALLEL_FROM or workers < 2:
        for span in spans:
            work(*span)
        return
    with ThreadPoolExecutor(workers) as pool:
        for _ in pool.map(lambda span: work(*span), spans):
            pass


def normalized_bool(values: Array) -> Array:
    """Any non-zero byte is True; torch and numpy count on 1 (tf.js keeps the raw byte)."""
    codes = values.view(np.uint8)
    return values if not codes.size or codes.max() <= 1 else np.asarray(codes != 0)


def _dequantized(spec: WeightSpec, stream: Stream, start: int) -> Array:
    assert spec.quantization is not None
    quantization = spec.quantization
    stored, itemsize = _DTYPES[spec.stored]
    values: Array = np.empty(spec.shape, _DTYPES[spec.dtype][0])
    flat = values.reshape(-1)

    def work(first: int, last: int) -> None:
        scratch = np.empty((last - first) * itemsize, np.uint8)
        codes = stream.window(start + first * itemsize, start + last * itemsize, scratch)
        dequantize(_as(codes, stored), quantization, flat[first:last])

    in_spans(work, spec.size)
    return values


def _as(codes: Bytes, dtype: np.dtype[Any]) -> Array:
    """Bytes as numbers; copied only where they start at an odd address."""
    if codes.ctypes.data % dtype.itemsize:
        codes = codes.copy()
    return codes.view(dtype)


def _strings_stop(spec: WeightSpec, stream: Stream, start: int) -> int:
    """Where a string tensor ends: its lengths are read, window by window."""
    position, low, window = start, start, np.empty(0, np.uint8)
    for index in range(spec.size):
        if not low <= position <= low + window.size - 4:
            low, size = position, min(_STRING_WINDOW, stream.nbytes - position)
            if size < 4:
                raise _cut_string(spec, index, f"4 bytes of length expected at byte {position}, {max(size, 0)} found")
            window = stream.window(low, low + size, np.empty(size, np.uint8)).copy()
        length = int.from_bytes(window[position - low : position - low + 4].tobytes(), "little")
        position += 4 + length
        if position > stream.nbytes:
            left = stream.nbytes - position + length
            raise _cut_string(spec, index, f"{length} bytes of text expected, {left} found")
    return position


def _decode_strings(spec: WeightSpec, stream: Stream, start: int, stop: int) -> Array:
    raw = np.empty(stop - start, np.uint8)
    stream.read(start, raw)
    data = raw.tobytes()
    values = np.empty(spec.size, object)
    position = 0
    for index in range(spec.size):
        length = int.from_bytes(data[position : position + 4], "little")
        values[index] = data[position + 4 : position + 4 + length]
        position += 4 + length
    return values.reshape(spec.shape)


def _cut_string(spec: WeightSpec, index: int, found: str) -> WeightsLengthError:
    return WeightsLengthError(
        spec.name, f"string {index} of {spec.size}: {found}; the weights file is cut or not its own"
    )


def _wrong_length(specs: Sequence[WeightSpec], found: list[Extent], stream: Stream, where: str) -> WeightsLengthError:
    needed = found[-1][1] if found else 0
    off = stream.nbytes - needed
    files = ", ".join(f"{shard.name} {shard.nbytes}" for shard in stream.shards[:8]) or "no file"
    what = f"{needed} bytes expected for {len(specs)} tensors, {stream.nbytes} found ({files})"
    suspect = _odd_shard(stream, needed)
    where = f"{where}: {suspect}" if suspect else where
    if off > 0:
        return WeightsLengthError(
            where, f"{what}: {off} too many; the file belongs to another model, or to another save"
        )
    cut = next(spec for spec, (_, stop) in zip(specs, found, strict=True) if stop > stream.nbytes)
    return WeightsLengthError(where, f"{what}: {-off} missing, from tensor {cut.name!r} on; copy the file again")


def _odd_shard(stream: Stream, needed: int) -> str:
    """The file that most likely has the wrong length: the only one, or the one that breaks the equal cut."""
    sizes = [shard.nbytes for shard in stream.shards]
    if len(sizes) == 1:
        return stream.shards[0].name
    suspects = []
    for index, size in enumerate(sizes):
        mended = [*sizes[:index], size + needed - stream.nbytes, *sizes[index + 1 :]]
        if len(set(mended[:-1])) == 1 and 0 < mended[-1] <= mended[0]:
            suspects.append(stream.shards[index].name)
    return suspects[0] if len(suspects) == 1 else ""


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
