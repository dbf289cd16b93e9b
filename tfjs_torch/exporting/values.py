"""What is known of a tensor while a module is traced: its shape in torch, and where tf.js has each of torch's axes.

torch keeps channels before space, tf.js after it. So every value carries its `order`: axis i of tf.js' tensor is axis
order[i] of torch's. Transposing is then bookkeeping; layers ask for the order that they need (site.arrange).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import torch
from torch import Tensor

from .graph import Shape, Symbol

Order: TypeAlias = "tuple[int | None, ...]"


@dataclass(frozen=True)
class Part:
    """Features that were flattened in another order than torch's: torch's sizes, and tf.js' order of them."""

    sizes: Shape
    order: tuple[int, ...]

    @property
    def size(self) -> int:
        return math.prod(self.sizes)

    def rows(self) -> Tensor:
        """rows[j]: which of torch's features tf.js has at place j."""
        return torch.arange(self.size).reshape(self.sizes).permute(self.order).flatten()


@dataclass(frozen=True)
class Span:
    """Where a value was cut from: base[start:stop] along one axis of torch."""

    base: Value
    axis: int
    start: int
    stop: int


@dataclass(frozen=True)
class Value:
    """A tensor of the traced module.

    Attributes:
        shape: as torch has it, with the batch of the sample.
        order: torch's axis of each axis of tf.js, the batch first. None is an axis of size 1 that torch has not;
            axes of size 1 that tf.js has not are left out.
        symbol: the tensor of tf.js.
        parts: where features lie in another order than torch's, those that were flattened together.
        nonnegative: whether no element can be below 0.
        span: where it was cut from, if it was.
        last: (axis, value): what indexing the axis with -1 gives.
    """

    shape: Shape
    order: Order
    symbol: Symbol
    parts: tuple[Part, ...] = ()
    nonnegative: bool = False
    span: Span | None = None
    last: tuple[int, Value] | None = None

    @property
    def rank(self) -> int:
        return len(self.shape)

    def rows(self) -> Tensor | None:
        """The order of the features, to turn weights by; None when it is torch's."""
        if not self.parts:
            return None
        starts = [sum(part.size for part in self.parts[:i]) for i in range(len(self.parts))]
        return torch.cat([part.rows() + start for part, start in zip(self.parts, starts, strict=True)])

    def become(self, symbol: Symbol, **changes: Any) -> Value:
        """Another tensor in the same order; nothing else is kept that might not hold."""
        return replace(self, symbol=symbol, span=None, last=None, **{"nonnegative": False, **changes})

    def sized(self, order: Sequence[int | None]) -> Shape:
        """The shape of tf.js, without the batch, in some order."""
        return tuple(1 if axis is None else self.shape[axis] for axis in order[1:])

    def long_axes(self, order: Sequence[int | None]) -> list[int]:
        """The axes that decide how numbers lie in memory."""
        return [axis for axis in order[1:] if axis is not None and self.shape[axis] != 1]

    def full_order(self) -> tuple[int, ...]:
        """An order with every axis of torch's that needs no number moved: channels last if it may be."""
        present = [axis for axis in self.order if axis is not None]
        if len(present) == self.rank == len(self.order):
            return tuple(present)
        for wanted in (channels_last(self.rank), as_it_is(self.rank)):
            if wanted[0] == self.order[0] and self.long_axes(wanted) == self.long_axes(self.order):
                return wanted
        return tuple(present + [axis for axis in range(self.rank) if axis not in present])

    def last_order(self, axis: int) -> tuple[int, ...]:
        """A full order that ends with `axis`, and is else as it is."""
        return (*(a for a in self.full_order() if a != axis), axis)

    def axis(self, dim: int) -> int:
        """torch's axis of a dim that may be negative."""
        return dim % self.rank


class States(tuple[Value, ...]):
    """The last states of a recurrent module, [batch, units] each: torch stacks them, tf.js does not."""


def channels_last(rank: int) -> tuple[int, ...]:
    """tf.js' order of (batch, channels, *space)."""
    return (0, *range(2, rank), 1) if rank > 2 else as_it_is(rank)


def as_it_is(rank: int) -> tuple[int, ...]:
    return tuple(range(rank))
