"""Samples of any rate -> 44 100 Hz, as Chromium's decodeAudioData makes them for an AudioContext of that rate.

A windowed sinc moves over the samples: 32 taps under a Blackman window, cut off at 0.9 of the lower of both Nyquist
frequencies, kept at 33 positions from one sample to the next; a result lies between those of the two positions beside
it. The way through the samples is a sum of float64 steps that starts anew after 48 samples and then after every 64, so
it may come out a rounding short of a sample. That is heard, as the kernel does not fade to zero: hence the same sum.
Products are added as processors with AVX2 and FMA do it, eight sums side by side.

Differences to Chromium 156 on such a processor, measured with noise (tests/test_teachable_browser.py) at 48 000,
22 050, 16 000, 96 000 and 8000 Hz: none, every sample of a channel is the same to the bit. Where Chromium adds in
another order (older and ARM processors), float32 rounds otherwise: expect 2e-7 for noise of amplitude 0.5.
Sources: media/base/sinc_resampler.h and .cc of Chromium, and measurements (how many samples it takes at once).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]

RATE: Final = 44_100
_TAPS: Final = 32
_LANES: Final = 8
_POSITIONS: Final = 32
_CUTOFF: Final = 0.9
_FIRST, _NEXT = 48, 64  # source samples after which the sum of steps starts anew
_AT_ONCE: Final = 1 << 12


def resampled(samples: Floats, rate: int) -> Floats:
    """Samples [n] at `rate` Hz as float32 at 44 100 Hz.

    Example:
        >>> resampled(np.ones(48, np.float32), 48_000).shape
        (44,)
    """
    if rate == RATE:
        return samples
    ratio = rate / RATE
    made = np.empty(int(len(samples) / ratio), np.float32)
    margin = np.zeros(_TAPS)
    windows = np.lib.stride_tricks.sliding_window_view(np.concatenate([margin[: _TAPS // 2], samples, margin]), _TAPS)
    kernels = _kernels(ratio)
    sources, positions, behind = _places(len(made), ratio)
    for position in range(_POSITIONS):
        rows = np.flatnonzero(positions == position)
        for start in range(0, len(rows), _AT_ONCE):
            some = rows[start : start + _AT_ONCE]
            near, share = windows[sources[some]], behind[some, None]
            before, after = (_summed(near, kernel) for kernel in kernels[position : position + 2])
            quarters = before * (1 - share).astype(np.float32) + after * share.astype(np.float32)
            halves = quarters[:, :2] + quarters[:, 2:]
            made[some] = halves[:, 0] + halves[:, 1]
    return made


def _summed(near: Doubles, kernel: Floats) -> Floats:
    """Samples [n, taps] times a kernel, added up to four sums each; float64 since FMA does not round the products."""
    sums = np.zeros((len(near), _LANES), np.float32)
    for tap in range(0, _TAPS, _LANES):
        sums = (near[:, tap : tap + _LANES] * kernel[tap : tap + _LANES].astype(np.float64) + sums).astype(np.float32)
    made: Floats = sums[:, : _LANES // 2] + sums[:, _LANES // 2 :]
    return made


def _kernels(ratio: float) -> Floats:
    """float32 [positions + 1, taps], rounded where Chromium rounds."""
    moved = np.arange(_TAPS) - np.arange(_POSITIONS + 1)[:, None] / _POSITIONS
    angles = (np.float32(np.pi) * (moved - _TAPS // 2).astype(np.float32)).astype(np.float64)
    turns = 2 * np.pi * moved / _TAPS
    window = (0.42 - 0.5 * np.cos(turns) + 0.08 * np.cos(2 * turns)).astype(np.float32)
    cutoff = _CUTOFF * min(1.0, 1 / ratio)
    sinc = np.divide(np.sin(cutoff * angles), angles, out=np.full_like(angles, cutoff), where=angles != 0)
    made: Floats = (window * sinc).astype(np.float32)
    return made


def _places(count: int, ratio: float) -> tuple[Places, Places, Doubles]:
    """For each result the source sample before it, the position before it, and how far behind that it lies, 0 to 1."""
    steps = np.fromiter(_steps(ratio), np.float64, count)
    starts = np.concatenate([[0], np.cumsum(np.diff(steps) < 0)])[:count]
    after, whole = np.modf(steps)
    behind, positions = np.modf(after * _POSITIONS)
    sources = np.where(starts, _FIRST + (starts - 1) * _NEXT, 0) + whole.astype(np.intp)
    return sources, positions.astype(np.intp), behind


def _steps(ratio: float) -> Iterator[float]:
    place, end = 0.0, _FIRST
    while True:
        yield place
        place += ratio
        if place >= end:
            place -= end
            end = _NEXT
