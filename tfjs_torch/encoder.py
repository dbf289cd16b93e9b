"""One tensor -> the bytes of its manifest entry: casts, range checks and the choice of quantisation.

A tensor is anything with `.shape` and `.dtype` (numpy's) that `np.asarray` turns into an array, so
that one that lies on a GPU or in a file is fetched only while it is written.

The rule for casts: the value must survive. The one exception is rounding float64 to float32 (and
complex128 to complex64), because PyTorch and numpy users compute in them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from .codec import Extent, decoded_pieces, encoded_strings
from .errors import MismatchError, UnsupportedError, warn
from .manifest import NUMERIC, TFJS_DTYPES, Quantization, WeightSpec
from .quantization import Array, Range, affine, code_range, narrow, quantize, requantize, value_range
from .shards import Bytes, Stream

_SPAN: Final = 1 << 20  # elements handled at once
_HALF_OVERFLOW: Final = 65520.0  # the smallest float32 that rounds to an infinite half
_FLOAT32_MAX: Final = float(np.finfo(np.float32).max)
_OWN_DTYPE: Final = {  # numpy dtype -> the manifest dtype that a new entry gets
    "float16": "float32", "float32": "float32", "float64": "float32", "int32": "int32", "int64": "int32",
    "bool": "bool", "complex64": "complex64", "complex128": "complex64", "object": "string",
}  # fmt: skip


class Tensor(Protocol):
    @property
    def shape(self) -> Any: ...

    @property
    def dtype(self) -> Any: ...

    def __array__(self, dtype: Any = None, copy: Any = None) -> npt.NDArray[Any]: ...


class Stored(NamedTuple):
    """The bytes that an entry had before: they are written again if they still mean the same values."""

    stream: Stream
    extent: Extent

    def pieces(self) -> Iterator[Bytes]:
        with self.stream:
            yield from self.stream.pieces(*self.extent)


class Encoded(NamedTuple):
    """An entry ready to be written: stored length, bytes in bounded pieces, and its quantization.

    `quantization` is the manifest's JSON for it (None: stored as it is); only set where `changed`.
    `decoded` is its length before quantisation.
    """

    nbytes: int
    pieces: Callable[[], Iterator[Any]]
    decoded: int
    changed: bool = False
    quantization: dict[str, Any] | None = None


def manifest_dtype(tensor: Tensor, name: str) -> str:
    """The dtype of a new entry.

    Raises:
        UnsupportedError: a dtype that tf.js cannot load and that has no obvious stand-in.
    """
    dtype = np.dtype(tensor.dtype)
    if dtype.kind in "SU":
        return "string"
    own = _OWN_DTYPE.get(dtype.name)
    if own is None:
        raise UnsupportedError(
            name,
            f"one of {', '.join(TFJS_DTYPES)} expected, found {dtype.name}, which tf.js cannot load; cast it first",
        )
    return own


def may_be_kept(spec: WeightSpec) -> bool:
    """Whether different stored bytes can mean the same values, so that the old ones are worth looking at."""
    return spec.quantization is not None or spec.dtype == "bool"


def encode_tensor(
    spec: WeightSpec,
    tensor: Tensor,
    *,
    quantize_to: str | None = None,
    stored: Stored | None = None,
    entry: dict[str, Any] | None = None,
) -> Encoded:
    """Decide how `tensor` is stored under `spec`, checking every value, and say how to get its bytes.

    Args:
        spec: the manifest entry; its dtype and shape are kept.
        tensor: the values.
        quantize_to: None keeps the entry's storage; "uint8", "uint16", "float16" or "float32" (plain) changes it.
        stored: bytes to keep if they still decode to exactly these values.
        entry: the raw JSON entry, for the unknown keys of its quantization.

    Raises:
        MismatchError: the shape differs, or a value does not survive the dtype; names tensor and value.
    """
    if tuple(tensor.shape) != spec.shape:
        raise MismatchError(spec.name, f"shape {spec.shape} expected, found {tuple(tensor.shape)}")
    if spec.dtype == "string":
        return _encode_string(spec, tensor)
    values = _Values(spec, tensor)
    before = spec.quantization.dtype if spec.quantization else "float32"
    wanted = quantize_to if quantize_to and spec.dtype == "float32" else before
    if wanted == before:
        if stored and may_be_kept(spec) and values.equal(stored):
            return Encoded(stored.extent[1] - stored.extent[0], stored.pieces, values.nbytes)
        if spec.quantization is None:
            return Encoded(values.nbytes, values.bytes, values.nbytes)
        if values.reproduced_by(spec.quantization):
            return _quantized(values, spec.quantization, changed=False)
    return _afresh(spec, values, wanted, dict((entry or {}).get("quantization") or {}))


def _encode_string(spec: WeightSpec, tensor: Tensor) -> Encoded:
    values = np.asarray(tensor)
    if values.dtype.kind not in "OSU" or not all(isinstance(v, (str, bytes)) for v in values.reshape(-1).tolist()):
        raise MismatchError(spec.name, f"an object array of bytes or str expected, found {values.dtype}")
    try:
        data = encoded_strings(values)
    except UnicodeEncodeError as error:
        raise MismatchError(spec.name, f"text that UTF-8 can hold expected, found {error.object!r:.60}") from None
    return Encoded(len(data), lambda: iter([data]), len(data))


def _afresh(spec: WeightSpec, values: _Values, wanted: str, old: dict[str, Any]) -> Encoded:
    plain = Encoded(values.nbytes, values.bytes, values.nbytes, spec.quantization is not None)
    if wanted == "float32" or not spec.size:
        return plain
    found = values.range()
    if wanted == "float16":
        if not found.low > -_HALF_OVERFLOW or not found.high < _HALF_OVERFLOW:
            values.refuse_half_overflow()
        new = Quantization("float16", 1.0, 0.0)
        json = {key: value for key, value in old.items() if key not in ("min", "scale")} | {"dtype": "float16"}
    else:
        new = affine(wanted, found) if found.finite else Quantization(wanted, np.inf, 0.0)
        if not all(abs(end) <= _FLOAT32_MAX for end in code_range(new)):
            why = "a range beyond that of float32" if found.finite else "NaN or infinity"
            warn(f"{spec.name}: {why} cannot be quantised to {wanted}; stored as float32")
            return plain
        json = {**old, "dtype": wanted, "min": new.min, "scale": new.scale}
    if not old:
        json["original_dtype"] = spec.dtype
    return _quantized(values, new, changed=True, json=json)


def _quantized(values: _Values, by: Quantization, changed: bool, json: dict[str, Any] | None = None) -> Encoded:
    def pieces() -> Iterator[Bytes]:
        for run in values.runs():
            codes = quantize(run, by) if changed else requantize(run, by)
            assert codes is not None
            yield codes.view(np.uint8)

    return Encoded(values.size * NUMERIC[by.dtype][1], pieces, values.nbytes, changed, json)


class _Values:
    """The values of a tensor as flat runs in the entry's dtype, each cast and checked on its way."""

    def __init__(self, spec: WeightSpec, tensor: Tensor) -> None:
        self.spec, self.tensor = spec, tensor
        self.dtype = np.dtype(NUMERIC[spec.dtype][0])
        self.itemsize, self.size = self.dtype.itemsize, spec.size
        self.nbytes = self.size * self.itemsize
        if np.dtype(tensor.dtype).kind not in "biufc":
            raise MismatchError(spec.name, f"numbers for {spec.dtype} expected, found {np.dtype(tensor.dtype)}")
        if np.dtype(tensor.dtype) != self.dtype:  # a cast: look at every value before anything is written
            for _ in self.runs():
                pass

    def flat(self) -> Array:
        return np.ascontiguousarray(np.asarray(self.tensor)).reshape(-1)

    def runs(self) -> Iterator[Array]:
        flat = self.flat()
        for start in range(0, self.size, _SPAN):
            run = flat[start : start + _SPAN]
            yield run if run.dtype == self.dtype else cast(run, self.dtype, self.spec.name, start)

    def bytes(self) -> Iterator[Bytes]:
        flat = self.flat()
        if flat.dtype == self.dtype and self.dtype != np.bool_:
            yield flat.view(np.uint8)  # the hot path: one piece, no copy
            return
        for run in self.runs():
            yield run.view(np.uint8) if self.dtype != np.bool_ else (run.view(np.uint8) != 0).view(np.uint8)

    def range(self) -> Range:
        found = [value_range(run) for run in self.runs()]
        return Range(
            float(np.min([f.low for f in found])), float(np.max([f.high for f in found])), all(f.finite for f in found)
        )

    def reproduced_by(self, quantization: Quantization) -> bool:
        return all(requantize(run, quantization) is not None for run in self.runs())

    def equal(self, stored: Stored) -> bool:
        flat, start = self.flat(), 0
        with stored.stream:
            for piece in decoded_pieces(self.spec, stored.stream, *stored.extent):
                run = flat[start : start + piece.size // self.itemsize]
                run = run if run.dtype == self.dtype else cast(run, self.dtype, self.spec.name, start)
                if not np.array_equal(run.view(np.uint8), piece):
                    return False
                start += run.size
        return start == self.size

    def refuse_half_overflow(self) -> None:
        for run in self.runs():
            beyond = np.flatnonzero(np.isinf(narrow(run)) & np.isfinite(run))
            if beyond.size:
                raise MismatchError(
                    self.spec.name,
                    f"values within ±65504 expected for float16, found {run[beyond[0]]!s}; use uint16 instead",
                )


def cast(run: Array, dtype: np.dtype[Any], name: str, start: int = 0) -> Array:
    """`run` (1-D) in another dtype, if every value survives it.

    Rounding float64 to float32 and complex128 to complex64 is allowed, a finite value becoming infinite is not.

    Raises:
        MismatchError: names the first value that is lost.
    """
    with np.errstate(all="ignore"):
        loses_imaginary = run.dtype.kind == "c" and dtype.kind != "c"
        new = (run.real if loses_imaginary else run).astype(dtype)
        again = new.astype(run.dtype)
    if (run.dtype.kind, dtype.kind) in (("f", "f"), ("c", "c")) and run.dtype.itemsize > dtype.itemsize >= 4:
        kept = np.isfinite(new) | ~np.isfinite(run)  # rounding
    else:
        kept = ((again == run) & _way_back_is_safe(run, new)) | (_nan(run) & _nan(new))
    if not kept.all():
        at = int(np.argmin(kept))
        raise MismatchError(
            name,
            f"values that {dtype.name} holds expected, found {run.dtype.name} {run[at]!s} at flat index {start + at}",
        )
    return new


def _nan(values: Array) -> Array:
    """Which values are NaN; of complex ones, those that are a real NaN."""
    if values.dtype.kind == "c":
        values = np.where(values.imag == 0, values.real, 0.0)
    found: Array = np.isnan(values)
    return found


def _way_back_is_safe(run: Array, new: Array) -> Array:
    """Where comparing with the way back tells: integers wrap both ways, and a float beyond them becomes any integer."""
    safe: Array = np.ones(run.shape, bool)
    if run.dtype.kind in "iu" and new.dtype.kind in "iu":
        safe = (new < 0) == (run < 0)
    elif run.dtype.kind in "iu" and new.dtype.kind in "fc":
        limit = 2.0**64 if run.dtype.kind == "u" else 2.0**63
        real = new.real.astype(np.float64)
        safe = (real >= -limit) & (real < limit)
    return safe
