"""What became of a model's tensors: ranges before and after, how many numbers changed, histograms to compare.

`comparison` says how far two models are apart; this tells one story for people who changed one. A tensor is looked at
in pieces, so that nothing is held twice.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import accumulate
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from .encoder import Tensor

Array = npt.NDArray[Any]

_SPAN: Final = 1 << 20
_SMALL: Final = 1 << 12  # numbers of a tensor that is looked at together with others ...
_TOGETHER: Final = 1 << 18  # ... so many at once
_FLOAT: Final = np.dtype(np.float32)


class Numbers(NamedTuple):
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


class Change(NamedTuple):
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
        return _range_of(self.before, self.after)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        ends = self.range
        before = self.before.to_dict()
        return {
            "name": self.name, "shape": list(self.shape), "dtype": self.dtype, "size": self.size,
            "changed": self.changed, "largest_change": self.largest,
            "before": before, "after": before if self.after is self.before else self.after.to_dict(),
            "range": list(ends) if ends else None,
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
        if not (_is_numeric(after) and _is_numeric(before)):
            return _of_strings(name, before, after)
        if after is before and hasattr(before, "pieces"):
            return _unchanged(name, before, bins)
        return _of_numbers(name, before, after, bins)


def changes_of(before: Mapping[str, Tensor], after: Mapping[str, Tensor], bins: int = 0) -> list[Change]:
    """change_of for every tensor of `after`, in its order; where `before` lacks one, nothing has changed.

    Small ones are looked at side by side, since numpy takes as long for ten numbers as for a thousand.

    Example:
        >>> import numpy as np
        >>> from tfjs_torch.changes import changes_of
        >>> x, y = np.array([1.0, 2.0]), np.array([1.0, 0.0])
        >>> [change.changed for change in changes_of({"a": x, "b": x}, {"a": x, "b": y})]
        [0, 1]
    """
    found: dict[str, Change] = {}
    for names in () if bins else _batches(before, after):
        found.update((change.name, change) for change in _side_by_side(names, before, after))
    return [
        found[name] if name in found else change_of(name, before.get(name, tensor), tensor, bins)
        for name, tensor in after.items()
    ]


def _batches(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[list[str]]:
    """Names of small float32 arrays."""
    names: list[str] = []
    size = 0
    for name, y in after.items():
        x = before.get(name, y)
        if _is_small(y) and (x is y or (_is_small(x) and x.shape == y.shape)):
            names.append(name)
            size += y.size
        if size >= _TOGETHER:
            yield names
            names, size = [], 0
    if names:
        yield names


def _is_small(tensor: Any) -> bool:
    return type(tensor) is np.ndarray and tensor.dtype is _FLOAT and 0 < tensor.size <= _SMALL


def _side_by_side(names: list[str], before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """The changes of these; [] where a number is none, which takes a closer look."""
    new = [after[name] for name in names]
    sides = [*(before.get(name, after[name]) for name in names), *new]
    both = np.concatenate([tensor.ravel() for tensor in sides])
    starts = list(accumulate((tensor.size for tensor in sides[:-1]), initial=0))
    lows, highs = np.minimum.reduceat(both, starts).tolist(), np.maximum.reduceat(both, starts).tolist()
    if not all(map(math.isfinite, lows + highs)):
        return []
    ends = list(map(Numbers, lows, highs))
    x, y = both.reshape(2, -1)
    starts = starts[: len(names)]
    changed = np.add.reduceat(x != y, starts, dtype=np.int64).tolist()
    largest = np.maximum.reduceat(np.abs(np.subtract(x, y, dtype=np.float64)), starts).tolist()
    rows = zip(names, new, changed, largest, ends[: len(names)], ends[len(names) :], strict=True)
    return [Change(name, y.shape, "float32", y.size, *found) for name, y, *found in rows]


def _of_numbers(name: str, before: Tensor, after: Tensor, bins: int) -> Change:
    x = _flat(before)
    y = x if after is before else _flat(after)
    changed, largest = (0, 0.0) if y is x else _differences(x, y)
    old = _ends(_runs(x))
    new = old if changed == 0 else _ends(_runs(y))
    if bins:
        low, high = _range_of(old, new) or (0.0, 0.0)
        same = new is old
        old = _filled(_runs(x), old, low, high, bins)
        new = old if same else _filled(_runs(y), new, low, high, bins)
    return Change(name, _shape(after), _name_of(y.dtype), y.size, changed, largest, old, new)


def _range_of(*sides: Numbers) -> tuple[float, float] | None:
    ends = [end for side in sides for end in side[:2] if end is not None]
    return (min(ends), max(ends)) if ends else None


def _is_numeric(tensor: Tensor) -> bool:
    return np.dtype(tensor.dtype).kind in "biufc"


@lru_cache(maxsize=64)
def _name_of(dtype: np.dtype[Any]) -> str:
    return dtype.name  # numpy makes it anew each time


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
    return Change(name, _shape(tensor), _name_of(dtype), math.prod(tensor.shape), 0, 0.0, own, own)


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
        count = int(np.count_nonzero(p != q))
        if not count:
            continue
        gaps = np.abs(np.subtract(p, q, dtype=wide))
        far = float(np.maximum.reduce(gaps))
        if math.isnan(far):  # NaN in one is as far as can be, NaN in both is nothing; equal infinities are none either
            both = np.isnan(p) & np.isnan(q)
            count -= int(np.count_nonzero(both))
            far = float(np.where(np.isnan(gaps) & (p != q), np.inf, gaps)[~both & (p != q)].max(initial=0.0))
        changed, largest = changed + count, max(largest, far)
    return changed, largest if math.isfinite(largest) else None


def _text(value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else bytes(value)
