"""What a tensor's numbers look like: range, mean, spread, histogram; in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

BINS: Final = 24


class Statistics(NamedTuple):
    """Over the finite values of a tensor (complex ones by magnitude). All None when there are none.

    `histogram` counts values in BINS equal steps from min to max.
    """

    min: float | None
    mean: float | None
    max: float | None
    std: float | None
    zeros: int
    nan: int
    infinite: int
    histogram: tuple[int, ...]


def statistics(runs: Callable[[], Iterable[Array]]) -> Statistics:
    """Two passes over the runs of a tensor (1-D arrays)."""
    low, high, total, count, zeros, nan, infinite = math.inf, -math.inf, 0.0, 0, 0, 0, 0
    for run in runs():
        values, bad_nan, bad_inf = _finite(run)
        nan, infinite = nan + bad_nan, infinite + bad_inf
        if values.size:
            low, high = min(low, float(values.min())), max(high, float(values.max()))
            total += float(values.sum())
            zeros += values.size - int(np.count_nonzero(values))
            count += values.size
    if not count:
        return Statistics(None, None, None, None, 0, nan, infinite, ())
    mean, squares = total / count, 0.0
    histogram = np.zeros(BINS, np.int64)
    for run in runs():
        values = _finite(run)[0]
        squares += float(np.square(values - mean).sum())
        if high > low:
            steps = (values - low) * (BINS / (high - low))
            histogram += np.bincount(np.minimum(steps.astype(np.int64), BINS - 1), minlength=BINS)
    return Statistics(low, mean, high, math.sqrt(squares / count), zeros, nan, infinite, tuple(histogram.tolist()))


def _finite(run: Array) -> tuple[Array, int, int]:
    with np.errstate(invalid="ignore", over="ignore"):  # signalling NaNs, and huge complex numbers
        values = (np.abs(run) if run.dtype.kind == "c" else run).astype(np.float64)
    finite = np.isfinite(values)
    if finite.all():
        return values, 0, 0
    nan = int(np.isnan(values).sum())
    return values[finite], nan, int(values.size - finite.sum()) - nan
