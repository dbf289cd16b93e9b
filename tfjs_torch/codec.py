"""Weight bytes -> arrays. Knows no layer, no torch, no disk.

The byte encodings: tfjs-core/src/io/io_utils.ts. All numbers are little-endian; a string is its
length as uint32 followed by that many bytes; complex64 is (re, im) pairs of float32.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeAlias

import numpy as np

from .errors import WeightsLengthError
from .manifest import NUMERIC, WeightSpec
from .parallel import Arena, in_parallel
from .quantization import Array, Dequantizer, quiet
from .shards import Bytes, Shard, Stream

Extent: TypeAlias = "tuple[int, int]"
_Located: TypeAlias = "tuple[Sequence[WeightSpec], Stream, list[Extent]]"
Groups: TypeAlias = "Sequence[tuple[Sequence[WeightSpec], Stream]]"

_DTYPES: Final = {name: (np.dtype(dtype), itemsize) for name, (dtype, itemsize) in NUMERIC.items()}
_BOOL: Final = np.dtype(np.bool_)
_SPAN: Final = 1 << 20  # elements that are dequantised at once
_SMALL: Final = 1 << 15  # elements; a smaller tensor is over before another thread gets the interpreter
_OPEN_FILES: Final = 64  # a model of a thousand files is decoded in batches of so many
_LFS: Final = b"version https://git-lfs"
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


def decode(groups: Groups, where: str = "weights") -> Iterator[tuple[WeightSpec, Array]]:
    """All tensors of all groups, in order, each writable and in memory of its own or privately mapped.

    Numeric tensors come in the manifest's dtype and shape; strings as object arrays of bytes.
    All lengths of all groups are checked before the first tensor is made.
    """
    located: list[_Located] = []
    for specs, stream in groups:
        with stream:
            located.append((specs, stream, extents(specs, stream, where)))
    for batch in _batches(located):
        made: list[tuple[WeightSpec, Array]] = []
        with contextlib.ExitStack() as open_streams:
            for _, stream, _ in batch:
                open_streams.enter_context(stream)
            _decode_batch(batch, made)
        yield from made


def _decode_batch(batch: list[_Located], made: list[tuple[WeightSpec, Array]]) -> None:
    arena = Arena(sum(_memory(spec) for specs, _, _ in batch for spec in specs if spec.quantization))
    quantized: list[_Quantized] = []
    for specs, stream, places in batch:
        for spec, (start, stop) in zip(specs, places, strict=True):
            if spec.quantization:
                values = arena.take(spec.shape, *_DTYPES[spec.dtype])
                quantized.append(_Quantized(spec, stream, start, values))
            else:
                values = _plain(spec, stream, start, stop)
            made.append((spec, values))
    _fill(quantized)


def decode_tensor(spec: WeightSpec, stream: Stream, start: int, stop: int) -> Array:
    """One tensor by itself."""
    if not spec.quantization:
        return _plain(spec, stream, start, stop)
    values: Array = np.empty(spec.shape, _DTYPES[spec.dtype][0])
    in_parallel([(_Quantized(spec, stream, start, values).fill, spec.size)], _SPAN)
    return values


def decoded_pieces(spec: WeightSpec, stream: Stream, start: int, stop: int) -> Iterator[Bytes]:
    """The decoded bytes of a numeric tensor in bounded pieces, for writing elsewhere.

    A piece is valid until the next one is asked for.
    """
    if spec.quantization is None:
        for piece in stream.pieces(start, stop):
            yield (piece != 0).view(np.uint8) if spec.dtype == "bool" else piece
        return
    values = np.empty(min(_SPAN, spec.size), _DTYPES[spec.dtype][0])
    tensor = _Quantized(spec, stream, start, values)
    for first in range(0, spec.size, _SPAN):
        last = min(first + _SPAN, spec.size)
        tensor.fill(first, last, values[: last - first])
        yield values[: last - first].view(np.uint8)


def encoded_strings(values: Array) -> bytes:
    """The bytes of a string tensor (object array of bytes or str; str is written as UTF-8).

    Raises:
        UnicodeEncodeError: a str with a lone surrogate.
    """
    encoded = [value.encode() if isinstance(value, str) else bytes(value) for value in values.reshape(-1).tolist()]
    return b"".join(part for value in encoded for part in (struct.pack("<I", len(value)), value))


def _fill(tensors: list[_Quantized]) -> None:
    """Dequantise all: the large ones span by span on all processors, neighbouring small ones in one go."""
    run: list[_Quantized] = []
    tensors = [tensor for tensor in tensors if tensor.spec.size]
    for tensor in tensors:
        if tensor.spec.size < _SMALL and run and not run[-1].is_followed_by(tensor, run[0]):
            _fill_run(run)
            run = []
        if tensor.spec.size < _SMALL:
            run.append(tensor)
    _fill_run(run)
    in_parallel([(tensor.fill, tensor.spec.size) for tensor in tensors if tensor.spec.size >= _SMALL], _SPAN)


def _fill_run(run: list[_Quantized]) -> None:
    if not run:
        return
    start, stop = run[0].start, run[-1].stop
    codes = run[0].stream.window(start, stop, np.empty(stop - start, np.uint8))
    even = not codes.ctypes.data % 2
    scratch = np.empty(_SMALL)
    with quiet():
        for tensor in run:
            own = codes[tensor.start - start : tensor.stop - start]
            if tensor.itemsize > 1:
                own = (own if even and not (tensor.start - start) % 2 else own.copy()).view(tensor.stored)
            tensor.dequantizer.fill(own, tensor.values, scratch)


class _Quantized:
    """A quantised tensor on its way from codes to values."""

    def __init__(self, spec: WeightSpec, stream: Stream, start: int, values: Array) -> None:
        assert spec.quantization is not None
        self.spec, self.stream = spec, stream
        self.stored, self.itemsize = _DTYPES[spec.stored]
        self.start, self.stop = start, start + spec.size * self.itemsize
        self.values = values.reshape(-1)
        self.dequantizer = Dequantizer(spec.quantization)

    def is_followed_by(self, other: _Quantized, first: _Quantized) -> bool:
        """Whether `other` comes right after this one, near enough to `first` to be read together with it."""
        return other.stream is self.stream and other.start == self.stop and other.stop - first.start <= _SPAN

    def fill(self, first: int, last: int, out: Array | None = None) -> None:
        """Dequantise elements [first, last) into their place, or into `out`."""
        scratch = np.empty((last - first) * self.itemsize, np.uint8)
        start = self.start + first * self.itemsize
        codes = self.stream.window(start, start + scratch.size, scratch)
        with quiet():
            self.dequantizer.fill(_as(codes, self.stored), self.values[first:last] if out is None else out)


def _plain(spec: WeightSpec, stream: Stream, start: int, stop: int) -> Array:
    if spec.dtype == "string":
        return _decode_strings(spec, stream, start, stop)
    dtype, itemsize = _DTYPES[spec.dtype]
    found = stream.locate(start, stop) if spec.size else None
    mapped = stream.map(found[0]) if found else None
    if found and mapped is not None and not found[1] % itemsize and dtype is not _BOOL:
        return np.ndarray(spec.shape, dtype, mapped, found[1])
    values: Array = np.empty(spec.shape, dtype)
    if spec.size:
        stream.read(start, values.reshape(-1).view(np.uint8))
    return normalized_bool(values) if dtype is _BOOL else values


def normalized_bool(values: Array) -> Array:
    """Any non-zero byte is True; torch and numpy count on 1 (tf.js keeps the raw byte)."""
    codes = values.view(np.uint8)
    return values if not codes.size or codes.max() <= 1 else np.asarray(codes != 0)


def _memory(spec: WeightSpec) -> int:
    """Bytes of a decoded numeric tensor."""
    return spec.size * _DTYPES[spec.dtype][1]


def _batches(located: list[_Located]) -> Iterator[list[_Located]]:
    batch: list[_Located] = []
    files = 0
    for group in located:
        if batch and files + len(group[1].shards) > _OPEN_FILES:
            yield batch
            batch, files = [], 0
        batch.append(group)
        files += len(group[1].shards)
    yield batch


def _as(codes: Bytes, dtype: np.dtype[Any]) -> Array:
    """Bytes as numbers; copied only where they start at an odd address."""
    if dtype.itemsize > 1 and codes.ctypes.data % dtype.itemsize:
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
    if any(_is_lfs_pointer(shard) for shard in stream.shards[:8]):
        return WeightsLengthError(where, f"{what}: a Git LFS pointer, not the file itself; run git lfs pull")
    if off > 0:
        return WeightsLengthError(where, f"{what}: {off} too many; the file belongs to another model or save")
    cut = next(spec for spec, (_, stop) in zip(specs, found, strict=True) if stop > stream.nbytes)
    return WeightsLengthError(where, f"{what}: {-off} missing, from tensor {cut.name!r} on; copy the file again")


def _is_lfs_pointer(shard: Shard) -> bool:
    """Whether a file is what Git leaves in the place of a large one that was not fetched."""
    if not len(_LFS) < shard.nbytes < 1024:
        return False
    first = np.empty(len(_LFS), np.uint8)
    shard.read_into(0, first)
    return first.tobytes() == _LFS


def _odd_shard(stream: Stream, needed: int) -> str:
    """The file that most likely has the wrong length: the only one, or the one that breaks the equal cut."""
    sizes = [shard.nbytes for shard in stream.shards]
    if len(sizes) == 1:
        return stream.shards[0].name
    suspects = []
    for index, size in enumerate(sizes):
        mended = [*sizes[:index], size + needed - stream.nbytes, *sizes[index + 1 :]]
        if len(set(mended[:-1])) == 1 and 0 < mended[-1] <= mended[0]:
            likely = (len(set(mended)) == 1, mended[0] % 1024 == 0, index)  # cuts are equal, sizes round, ends lost
            suspects.append((likely, stream.shards[index].name))
    return max(suspects)[1] if suspects else ""
