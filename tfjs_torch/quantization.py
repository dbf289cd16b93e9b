"""Affine uint8/uint16 and float16, both ways, on runs of numbers.

Reading follows tf.js (tfjs-core/src/io/io_utils.ts): code * scale + min in float64, rounded once to
float32; for int32, ties go up (Math.round). Halves are widened bit by bit, NaN payloads included.

Writing follows the official Python package (tensorflowjs/quantization.py): the range is nudged so
that a real 0 is exactly one of the codes.
"""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from .manifest import Quantization

Array = npt.NDArray[Any]

CODES: Final = {"uint8": 255, "uint16": 65535}
# Elements handled at once: their float64 values (512 KiB) stay in the second-level cache, and a numpy call takes
# longer than two threads need to hand each other the interpreter (measured: half as many run slower on two threads).
CHUNK: Final = 1 << 16
_FLOAT32_OVERFLOW: Final = 2.0**128
_HALF_SIGN_AND_BODY: Final = np.int32(-0x70002000)  # 0x8fffe000: sign bit, exponent and mantissa in float32's places
_HALF_REBIAS: Final = np.float32(2.0**112)  # float32 exponents count from -127, half ones from -15
_HALF_BEYOND: Final = np.float32(65536.0)  # first value that no finite half has: infinities and NaNs land here


class Range(NamedTuple):
    """Smallest and largest finite value, and whether a value was NaN or infinite."""

    low: float
    high: float
    finite: bool


class Dequantizer:
    """Codes -> values of one tensor; may be used from several threads. Use it inside `quiet()`."""

    def __init__(self, quantization: Quantization) -> None:
        self._half = quantization.dtype == "float16"
        self._scale, self._min = quantization.scale, quantization.min

    def fill(self, codes: Array, out: Array, scratch: Array | None = None) -> None:
        """Fill `out` (float32 or int32, 1-D) with the values of `codes` (uint8, uint16 or float16, 1-D).

        `scratch`: CHUNK float64 numbers, for callers that have many small tensors.
        """
        if self._half:
            _widen(codes, out)
            return
        scratch = np.empty(min(CHUNK, codes.size)) if scratch is None else scratch
        for start in range(0, codes.size, CHUNK):
            piece = codes[start : start + CHUNK]
            values = scratch[: piece.size]
            values[...] = piece
            values *= self._scale
            values += self._min
            out[start : start + CHUNK] = _rounded(values) if out.dtype == np.int32 else values


def quiet() -> Any:
    """numpy without warnings: tf.js overflows to Infinity in silence, too. For the thread that enters it."""
    return np.errstate(all="ignore")


def dequantize(codes: Array, quantization: Quantization, out: Array) -> None:
    """Fill `out` (float32 or int32, 1-D) with the values of `codes` (uint8, uint16 or float16, 1-D)."""
    with quiet():
        Dequantizer(quantization).fill(codes, out)


def requantize(values: Array, quantization: Quantization) -> Array | None:
    """The codes that dequantise to exactly `values` (float32 or int32, 1-D), or None when there are none."""
    codes = quantize(values, quantization)
    again = np.empty_like(values)
    dequantize(codes, quantization, again)
    wrong = np.flatnonzero(_bits(again) != _bits(values))
    if wrong.size and quantization.dtype != "float16":
        _try_neighbours(codes, wrong, values, quantization)
        dequantize(codes, quantization, again)
        wrong = np.flatnonzero(_bits(again) != _bits(values))
    return None if wrong.size else codes


def code_range(quantization: Quantization) -> tuple[float, float]:
    """What the first and the last code mean."""
    return quantization.min, CODES[quantization.dtype] * quantization.scale + quantization.min


def is_ambiguous(quantization: Quantization, dtype: str) -> bool:
    """Whether different codes can mean the same value: the steps are finer than the values' own."""
    if quantization.dtype == "float16":
        return False
    scale = abs(quantization.scale)
    top = max(map(abs, code_range(quantization)))
    if dtype == "int32":
        return scale < 1 or top > 2**31 - 1
    # frexp: top < 2**exponent, so that float32 numbers of its size are at most 2**(exponent - 24) apart.
    return not top < _FLOAT32_OVERFLOW or scale <= 2.0 ** (max(math.frexp(top)[1], -125) - 23)


def value_range(values: Array) -> Range:
    """The range of a run of float32 or int32 values (1-D, not empty)."""
    low, high = float(values.min()), float(values.max())
    return Range(low, high, bool(np.isfinite(low) and np.isfinite(high)))  # NaN and infinities show in min or max


def affine(dtype: str, found: Range) -> Quantization:
    """Scale and min that spread the codes of uint8 or uint16 over a finite range (official algorithm)."""
    low, high = found.low, found.high
    if low == high:
        return Quantization(dtype, 1.0, low)
    scale = (high - low) / CODES[dtype]
    if low <= 0 <= high:  # nudge: a real 0 must be one of the codes (zero padding, ReLU)
        low = -float(np.round((0 - low) / scale)) * scale
    return Quantization(dtype, scale, low)


def quantize(values: Array, quantization: Quantization) -> Array:
    """The nearest codes of `values` (1-D); what lies beyond the nudged range is clipped to it."""
    if quantization.dtype == "float16":
        return narrow(values)
    return _nearest_codes(values, quantization)


def narrow(values: Array) -> Array:
    """float32 -> float16, to nearest even; NaNs keep the payload bits that fit."""
    with quiet():
        halves: Array = values.astype("<f2")
    nan = np.flatnonzero(np.isnan(values))
    if nan.size:
        bits = values.view("<u4")[nan]
        payload = ((bits >> 13) & 0x3FF).astype("<u2")
        payload[payload == 0] = 0x200  # a payload that does not fit must not turn the NaN into an infinity
        halves.view("<u2")[nan] = (bits >> 16).astype("<u2") & 0x8000 | 0x7C00 | payload
    return halves


def _nearest_codes(values: Array, quantization: Quantization) -> Array:
    last = CODES[quantization.dtype]
    low, high = sorted(code_range(quantization))
    codes = np.empty(values.size, "|u1" if last == 255 else "<u2")
    with quiet():  # NaNs become code 0, infinities the nearest end; the caller looks at the result
        for start in range(0, values.size, CHUNK):
            scaled = values[start : start + CHUNK].astype(np.float64)
            np.clip(scaled, low, high, out=scaled)
            scaled -= quantization.min
            scaled /= quantization.scale
            np.round(scaled, out=scaled)
            np.nan_to_num(scaled, copy=False, nan=0.0)
            codes[start : start + CHUNK] = np.clip(scaled, 0, last)
    return codes


def _try_neighbours(codes: Array, wrong: Array, values: Array, quantization: Quantization) -> None:
    """Rounding can leave the nearest code one or two off; look around it. Changes `codes` in place."""
    for step in (-1, 1, -2, 2):
        tried = np.clip(codes[wrong].astype(np.int64) + step, 0, CODES[quantization.dtype]).astype(codes.dtype)
        again = np.empty(wrong.size, values.dtype)
        dequantize(tried, quantization, again)
        hit = _bits(again) == _bits(values[wrong])
        codes[wrong[hit]] = tried[hit]
        wrong = wrong[~hit]


def _widen(halves: Array, out: Array) -> None:
    """float16 -> float32: shift the bits into place and multiply the exponent bias in.

    1.5 times as fast as numpy's own conversion, and unlike hardware it does not quieten NaNs.
    """
    source, target = halves.view("<i2"), out.view("<i4")
    for start in range(0, halves.size, CHUNK):
        bits, values = target[start : start + CHUNK], out[start : start + CHUNK]
        bits[...] = source[start : start + CHUNK]
        bits <<= 13
        bits &= _HALF_SIGN_AND_BODY
        values *= _HALF_REBIAS
        if values.max() >= _HALF_BEYOND or values.min() <= -_HALF_BEYOND:
            codes = source[start : start + CHUNK].astype("<i4")
            special = (codes & 0x7C00) == 0x7C00
            bits[special] = ((codes << 13) & _HALF_SIGN_AND_BODY)[special] | 0x7F800000


def _rounded(values: Array) -> Array:
    """float64 -> int32 as tf.js does: Math.round, then into an Int32Array."""
    whole = np.floor(values)  # not floor(x + 0.5), which is off by one just under a half
    whole += (values - whole) >= 0.5
    return whole if whole.min() >= -(2.0**31) and whole.max() < 2.0**31 else _wrap(whole)


def _wrap(values: Array) -> Array:
    """What an Int32Array makes of a number that is too large: modulo 2**32, infinities become 0."""
    finite = np.where(np.isfinite(values), values, 0.0)
    return np.fmod(finite, 2.0**32).astype(np.int64).astype(np.int32)


def _bits(values: Array) -> Array:
    return values.view("<u4")
