"""What became of a model's tensors: ranges before and after, how many numbers changed, histograms to compare.

`comparison` says how far two models are apart; this tells one story for people who changed one. A tensor is looked at
in pieces, so that nothing is held twice.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from .encoder import Tensor

Array = npt.NDArray[Any]

_SPAN: Final = 1 << 20


@dataclass(frozen=True)
class Numbers:
    """One side of a change. None where there is no finite number, or where nobody asked.

    Attributes:
        min, max: of the finite numbers (complex ones by magnitude).
        mean, std, histogram: only with histograms; the histogram counts over equal bins of the change's `range`.
        nan, infinite: how many of each.
    """

    min: float | None
    max: float | None
    mean: float | None = None
    std: float | None = None
    nan: int = 0
    infinite: int = 0
    histogram: tuple[int, ...] | None = None

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        plain: dict[str, Any] = {
            "min": self.min, "max": self.max, "mean": self.mean, "std": self.std,
            "nan": self.nan, "infinite": self.infinite,
        }  # fmt: skip
        return plain if self.histogram is None else {**plain, "histogram": list(self.histogram)}


@dataclass(frozen=True)
class Change:
    """One tensor before and after.

    Attributes:
        changed: how many of its `size` numbers differ (NaN equals NaN); None when the shapes do.
        largest: the largest difference; infinity is None, as JSON has none.
        range: the lowest and highest number of both sides.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    size: int
    changed: int | None
    largest: float | None
    before: Numbers
    after: Numbers

    @property
    def range(self) -> tuple[float, float] | None:
        ends = [end for side in (self.before, self.after) for end in (side.min, side.max) if end is not None]
        return (min(ends), max(ends)) if ends else None

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "name": self.name, "shape": list(self.shape), "dtype": self.dtype, "size": self.size,
            "changed": self.changed, "largest_change": self.largest,
            "before": self.before.to_dict(), "after": self.after.to_dict(),
            "range": list(self.range) if self.range else None,
        }  # fmt: skip


def change_of(name: str, before: Tensor, after: Tensor, bins: int = 0) -> Change:
    """Compare a tensor with what became of it.

    Args:
        before, after: anything with `.shape` and `.dtype` that numpy can read; the same object: nothing changed.
        bins: how many bins the histograms have; 0 leaves histogram, mean and std out.

    Example:
        >>> import numpy as np
        >>> from tfjs_torch.changes import change_of
        >>> change = change_of("w", np.array([1.0, 2.0]), np.array([1.0, 0.0]))
        >>> change.changed, change.largest, change.range
        (1, 2.0, (0.0, 2.0))
    """
    with np.errstate(all="ignore"):
        if np.dtype(after.dtype).kind not in "biufc" or np.dtype(before.dtype).kind not in "biufc":
            return _of_strings(name, before, after)
        if after is before and hasattr(before, "pieces"):
            return _unchanged(name, before, bins)
        return _of_numbers(name, before, after, bins)


def _of_numbers(name: str, before: Tensor, after: Tensor, bins: int) -> Change:
    x, y = _flat(before), _flat(after)
    changed, largest = (0, 0.0) if after is before else _differences(x, y)
    old = _ends(_runs(x))
    new = old if changed == 0 else _ends(_runs(y))
    if bins:
        ends = [end for side in (old, new) for end in (side.min, side.max) if end is not None]
        low, high = (min(ends), max(ends)) if ends else (0.0, 0.0)
        same = new is old
        old = _filled(_runs(x), old, low, high, bins)
        new = old if same else _filled(_runs(y), new, low, high, bins)
    return Change(name, _shape(after), y.dtype.name, y.size, changed, largest, old, new)


def _of_strings(name: str, before: Tensor, after: Tensor) -> Change:
    x, y = (list(map(_text, np.asarray(side).reshape(-1).tolist())) for side in (before, after))
    changed = sum(p != q for p, q in zip(x, y, strict=True)) if len(x) == len(y) else None
    return Change(name, _shape(after), "string", len(y), changed, None, Numbers(None, None), Numbers(None, None))


def _unchanged(name: str, tensor: Any, bins: int) -> Change:
    """The numbers of a tensor that comes in pieces, which is never held whole."""
    dtype = np.dtype(tensor.dtype)

    def runs() -> Iterator[Array]:
        for piece in tensor.pieces():
            yield from _runs(piece.view(dtype))

    own = _ends(runs())
    if bins:
        own = _filled(runs(), own, own.min or 0.0, own.max or 0.0, bins)
    return Change(name, _shape(tensor), dtype.name, math.prod(tensor.shape), 0, 0.0, own, own)


def _flat(tensor: Tensor) -> Array:
    return np.ascontiguousarray(np.asarray(tensor)).reshape(-1)


def _shape(tensor: Tensor) -> tuple[int, ...]:
    return tuple(int(size) for size in tensor.shape)


def _runs(flat: Array) -> Iterator[Array]:
    """Magnitudes of complex numbers, and bools as numbers, in pieces; floats and integers as they are."""
    for start in range(0, flat.size, _SPAN):
        run = flat[start : start + _SPAN]
        kind = run.dtype.kind
        yield np.abs(run) if kind == "c" else run.view(np.uint8) if kind == "b" else run


def _ends(runs: Iterable[Array]) -> Numbers:
    low, high, nan, infinite = math.inf, -math.inf, 0, 0
    for run in runs:
        bottom, top = float(np.minimum.reduce(run)), float(np.maximum.reduce(run))
        if not (math.isfinite(bottom) and math.isfinite(top)):
            bad = int(np.isnan(run).sum())
            nan, infinite = nan + bad, infinite + int(np.isinf(run).sum())
            run = run[np.isfinite(run)]
            if not run.size:
                continue
            bottom, top = float(run.min()), float(run.max())
        low, high = min(low, bottom), max(high, top)
    if low > high:
        return Numbers(None, None, nan=nan, infinite=infinite)
    return Numbers(low, high, nan=nan, infinite=infinite)


def _filled(runs: Iterable[Array], ends: Numbers, low: float, high: float, bins: int) -> Numbers:
    """With mean, deviation and histogram, in a second pass."""
    counts, total, squares, n = np.zeros(bins, np.int64), 0.0, 0.0, 0
    middle, width = (low + high) / 2, high - low
    if ends.min is None:
        return Numbers(None, None, None, None, ends.nan, ends.infinite, tuple(counts.tolist()))
    for run in runs:
        values = run.astype(np.float64)
        if ends.nan or ends.infinite:
            values = values[np.isfinite(values)]
        shifted = values - middle
        total, squares, n = total + float(shifted.sum()), squares + float(shifted @ shifted), n + values.size
        if width > 0 and math.isfinite(width):
            places = ((values - low) * (bins / width)).astype(np.int64)
            counts += np.bincount(np.clip(places, 0, bins - 1), minlength=bins)
        else:
            counts[bins // 2] += values.size
    mean = total / n
    std = math.sqrt(max(squares / n - mean * mean, 0.0))
    return Numbers(ends.min, ends.max, middle + mean, std, ends.nan, ends.infinite, tuple(counts.tolist()))


def _differences(x: Array, y: Array) -> tuple[int | None, float | None]:
    """How many numbers differ, and by how much at most."""
    if x.shape != y.shape:
        return None, None
    changed, largest = 0, 0.0
    wide = np.complex128 if "c" in (x.dtype.kind, y.dtype.kind) else np.float64
    for start in range(0, x.size, _SPAN):
        p, q = x[start : start + _SPAN], y[start : start + _SPAN]
        different = p != q
        if not different.any():
            continue
        p, q = p[different].astype(wide), q[different].astype(wide)
        gaps = np.abs(p - q)
        if math.isnan(far := float(np.maximum.reduce(gaps))):  # NaN in one is as far as can be, NaN in both is nothing
            gaps = np.where(np.isnan(gaps), np.inf, gaps)[~(np.isnan(p) & np.isnan(q))]
            far = float(gaps.max(initial=0.0))
        changed, largest = changed + gaps.size, max(largest, far)
    return changed, largest if math.isfinite(largest) else None


def _text(value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else bytes(value)
