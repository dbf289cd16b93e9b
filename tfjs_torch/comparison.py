"""Two sets of tensors, name by name: how far are they apart?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .encoder import Tensor

Array = npt.NDArray[Any]

_SPAN = 1 << 20


class Difference(NamedTuple):
    """One tensor in both sets, or what keeps it from being compared.

    Attributes:
        name: the tensor.
        problem: "" when compared; else "only in A", "only in B", or the two shapes.
        max_abs: largest absolute difference; NaN in only one of them counts as infinity.
        relative: max_abs over the largest magnitude in A (infinity when that is 0 and they differ).
        cosine: of the angle between the two as vectors; NaN when one of them is all zeros.
        changed: how many values differ, of how many.
        size: how many values there are.
    """

    name: str
    problem: str = ""
    max_abs: float = 0.0
    relative: float = 0.0
    cosine: float = 1.0
    changed: int = 0
    size: int = 0

    def beyond(self, tolerance: float) -> bool:
        return bool(self.problem) or not self.max_abs <= tolerance


def compare(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> Iterator[Difference]:
    """Every name of either set, in A's order, then what only B has.

    Example:
        >>> import numpy as np
        >>> from tfjs_torch.comparison import compare
        >>> [d.max_abs for d in compare({"w": np.zeros(2)}, {"w": np.array([0.0, 0.5])})]
        [0.5]
    """
    for name, tensor in a.items():
        yield _difference(name, tensor, b[name]) if name in b else Difference(name, "only in A")
    for name in b:
        if name not in a:
            yield Difference(name, "only in B")


def _difference(name: str, a: Tensor, b: Tensor) -> Difference:
    if tuple(a.shape) != tuple(b.shape):
        return Difference(name, f"shape {list(a.shape)} in A, {list(b.shape)} in B")
    x, y = (np.ascontiguousarray(np.asarray(tensor)).reshape(-1) for tensor in (a, b))
    texts = [array.dtype.kind in "OSU" for array in (x, y)]
    if texts[0] != texts[1]:
        return Difference(name, f"{x.dtype} in A, {y.dtype} in B")
    if all(texts):
        changed = sum(_text(p) != _text(q) for p, q in zip(x.tolist(), y.tolist(), strict=True))
        far = math.inf if changed else 0.0
        return Difference(name, "", far, far, math.nan if changed else 1.0, changed, x.size)
    if x.dtype == y.dtype and _same_bytes(x, y):
        return Difference(name, size=x.size)
    top = apart = 0.0
    dot = xx = yy = 0.0
    changed = 0
    for start in range(0, x.size, _SPAN):
        p, q = _wide(x[start : start + _SPAN]), _wide(y[start : start + _SPAN])
        with np.errstate(invalid="ignore", over="ignore"):
            gap = np.abs(p - q)
            same = (p == q) | ((p != p) & (q != q))
            gap[same] = 0
            gap[np.isnan(gap)] = math.inf
            changed += int(p.size - same.sum())
            apart, top = max(apart, float(gap.max())), max(top, float(np.nanmax(np.abs(p), initial=0)))
            dot, xx, yy = dot + float(np.real(np.vdot(p, q))), xx + _squares(p), yy + _squares(q)
    relative = apart / top if top else (math.inf if apart else 0.0)
    scale = math.sqrt(xx) * math.sqrt(yy)
    cosine = dot / scale if scale and math.isfinite(scale) else math.nan
    cosine = 1.0 if not changed else max(-1.0, min(1.0, cosine)) if math.isfinite(cosine) else math.nan
    return Difference(name, "", apart, relative, cosine, changed, x.size)


def _same_bytes(x: Array, y: Array) -> bool:
    spans = range(0, x.size, _SPAN)
    return all(np.array_equal(x[i : i + _SPAN].view(np.uint8), y[i : i + _SPAN].view(np.uint8)) for i in spans)


def _wide(run: Array) -> Array:
    return run.astype(np.complex128 if run.dtype.kind == "c" else np.float64)


def _squares(run: Array) -> float:
    return float(np.real(np.vdot(run, run)))


def _text(value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else bytes(value)
