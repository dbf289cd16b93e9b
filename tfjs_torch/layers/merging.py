"""Add, Subtract, Multiply, Average, Maximum, Minimum, Concatenate, Dot (tfjs-layers/src/layers/merge.ts)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Final

import torch
from torch import Tensor, nn

from ..errors import MismatchError
from .registry import Layer, register

Masks = Sequence["Tensor | None"]
Rule = str  # how masks are merged: that of "tfjs", "keras2" or "keras3"


def _mean(inputs: Sequence[Tensor]) -> Tensor:
    return reduce(torch.add, inputs) * (1 / len(inputs))


_FUNCTIONS: Final[Mapping[str, Callable[[Sequence[Tensor]], Tensor]]] = {
    "Add": lambda inputs: reduce(torch.add, inputs),
    "Subtract": lambda inputs: inputs[0] - inputs[1],
    "Multiply": lambda inputs: reduce(torch.mul, inputs),
    "Average": _mean,
    "Maximum": lambda inputs: reduce(torch.maximum, inputs),
    "Minimum": lambda inputs: reduce(torch.minimum, inputs),
}


class _Merge(Layer):
    """What all of them share."""

    makes_mask = True

    def rule(self) -> Rule:
        return "tfjs" if not self.keras else "keras3" if self.context.keras_version >= 3 else "keras2"


@register("Add", becomes="x + y")
@register("Subtract", becomes="x - y")
@register("Multiply", becomes="x * y")
@register("Average", becomes="(x + y) / 2")
@register("Maximum", becomes="torch.maximum")
@register("Minimum", becomes="torch.minimum")
class Merge(_Merge):
    fresh = True

    takes_mask = True
    takes_all_masks = True

    def build(self) -> nn.Module:
        return Elementwise(self.node.class_name.rpartition(">")[2], self.rule())


class Elementwise(nn.Module):
    """Merges its inputs element by element; lower ranks get axes of length 1 behind the batch."""

    def __init__(self, kind: str, rule: Rule) -> None:
        super().__init__()
        self.kind, self.rule = kind, rule

    def forward(self, *inputs: Tensor, mask: Masks | None = None) -> Tensor:
        if len(inputs) < 2 or (self.kind == "Subtract" and len(inputs) > 2):
            many = "two" if self.kind == "Subtract" else "at least two"
            raise MismatchError(self.kind, f"{many} inputs expected, found {len(inputs)}")
        rank = max(x.dim() for x in inputs)
        if self.rule == "keras3" and mask is not None and all(x.dim() == rank for x in inputs):
            if self.kind == "Multiply":
                return _multiplied(inputs, mask)
            if self.kind in ("Maximum", "Minimum"):
                return _compared(inputs, mask, self.kind)
        return _FUNCTIONS[self.kind]([x if x.dim() == rank else _of_rank(x, rank) for x in inputs])

    def compute_mask(self, inputs: Masks, masks: Masks) -> Tensor | None:
        known = [mask for mask in masks if mask is not None]
        if not known:
            return None
        if self.rule == "tfjs":  # it forgets the last one, and adds an axis in front
            first = masks[0]
            return None if first is None else reduce(torch.logical_and, [m for m in masks[:-1] if m is not None])[None]
        if self.rule == "keras3":
            return reduce(torch.logical_or, known) if len(known) == len(masks) else None
        return reduce(torch.logical_and, known)

    def extra_repr(self) -> str:
        return self.kind


def _multiplied(inputs: Sequence[Tensor], masks: Masks) -> Tensor:
    """As Keras 3: what is masked counts as 1; where all of them are masked, 0 comes out."""
    made = reduce(
        torch.mul, [x if m is None else torch.where(m[..., None], x, 1) for x, m in zip(inputs, masks, strict=True)]
    )
    known = [mask for mask in masks if mask is not None]
    return torch.where(reduce(torch.logical_or, known)[..., None], made, 0) if len(known) == len(masks) else made


def _compared(inputs: Sequence[Tensor], masks: Masks, kind: str) -> Tensor:
    """As Keras 3: what is masked gives way to what is not."""
    made, seen = inputs[0], masks[0]
    for x, mask in zip(inputs[1:], masks[1:], strict=True):
        if mask is not None:
            x = torch.where(mask[..., None], x, made)
        if seen is not None:
            made = torch.where(seen[..., None], made, x)
        seen = None if mask is None or seen is None else seen | mask
        made = _FUNCTIONS[kind]([made, x])
    return made


def _of_rank(x: Tensor, rank: int) -> Tensor:
    return x.reshape(x.shape[0], *[1] * (rank - x.dim()), *x.shape[1:])


@register("Concatenate", becomes="torch.cat")
class Concatenate(_Merge):
    def build(self) -> nn.Module:
        axis = self.config.integer("axis", -1, -8)
        if axis < -1 and not self.keras:
            self.config.quirk(f"tf.js joins along the last axis, though the file says axis {axis}")
        return Joined(axis, -1 if axis < 0 and not self.keras else axis, self.rule())


class Joined(nn.Module):
    """Puts its inputs one behind the other.

    Args:
        axis: along which masks are joined; dim: along which inputs are.
    """

    def __init__(self, axis: int, dim: int, rule: Rule) -> None:
        super().__init__()
        self.axis, self.dim, self.rule = axis, dim, rule

    def forward(self, *inputs: Tensor) -> Tensor:
        return torch.cat(inputs, self.dim)

    def compute_mask(self, inputs: Sequence[Tensor], masks: Masks) -> Tensor | None:
        if all(mask is None for mask in masks):
            return None
        full = [self._full(x, mask) for x, mask in zip(inputs, masks, strict=True)]
        joined = torch.cat(full, self.axis)
        return joined.any(-1) if self.rule == "keras3" else joined.all(-1)

    def _full(self, x: Tensor, mask: Tensor | None) -> Tensor:
        if mask is None:
            return torch.ones_like(x, dtype=torch.bool)
        if mask.dim() >= x.dim():
            return mask
        return mask[..., None].expand(x.shape) if self.rule == "keras3" else mask[..., None]

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


@register("Dot", becomes="torch.matmul")
class Dot(_Merge):
    makes_mask = False

    def build(self) -> nn.Module:
        axes = self.config.integers("axes")
        if len(axes) not in (1, 2):
            raise self.config.wrong("axes", "one or two axes", axes)
        normalize = self.config.flag("normalize", False)
        if normalize and not self.keras:
            self.config.quirk("tf.js takes sums of squares below 1e-7 as 1e-7, Keras below 1e-12")
        return DotProduct(axes[0], axes[-1], (1e-12 if self.keras else 1e-7) if normalize else None)


class DotProduct(nn.Module):
    """Sums products along an axis of each, sample by sample: what is left of one, then what is left of the other.

    Args:
        axis, other_axis: of the first input and of the second one, the batch being 0.
        least: the least sum of squares to divide by, so as to have vectors of length 1; None leaves them as they are.
    """

    def __init__(self, axis: int, other_axis: int, least: float | None) -> None:
        super().__init__()
        self.axis, self.other_axis, self.least = axis, other_axis, least

    def forward(self, *inputs: Tensor) -> Tensor:
        if len(inputs) != 2:
            raise MismatchError("Dot", f"two inputs expected, found {len(inputs)}")
        x, y = self._unit(inputs[0].movedim(self.axis, -1)), self._unit(inputs[1].movedim(self.other_axis, 1), 1)
        left = x.flatten(1, -2) if x.dim() > 2 else x[:, None]
        right = y.flatten(2) if y.dim() > 2 else y[..., None]
        made, shape = torch.matmul(left, right), (*x.shape[:-1], *y.shape[2:])
        return made.reshape(shape if len(shape) > 1 else (*shape, 1))

    def _unit(self, x: Tensor, axis: int = -1) -> Tensor:
        if self.least is None:
            return x
        return x / x.square().sum(axis, keepdim=True).clamp(min=self.least).sqrt()

    def extra_repr(self) -> str:
        return f"axes=({self.axis}, {self.other_axis}), normalize={self.least is not None}"
