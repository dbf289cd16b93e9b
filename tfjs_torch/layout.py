"""How one weight lies on each side: small invertible objects, written once and used in both directions.

`to_torch` takes the tensors of tf.js and gives those of torch, `to_tfjs` the other way; both move numbers and never
change one, so that -0.0, infinities and NaN payloads survive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import torch
from torch import Tensor

Tensors: TypeAlias = "tuple[Tensor, ...]"


class Layout(Protocol):
    """Some tensors of tf.js <-> some of torch.

    Raises:
        ValueError: the tensors of torch hold what tf.js has no place for; the message says what was expected.
    """

    def to_torch(self, *tensors: Tensor) -> Tensors: ...

    def to_tfjs(self, *tensors: Tensor) -> Tensors: ...


@dataclass(frozen=True)
class Permute:
    """Axes in another order: a Dense kernel [in, out] is Permute(1, 0) of nn.Linear's [out, in]."""

    axes: tuple[int, ...]

    def __init__(self, *axes: int) -> None:
        object.__setattr__(self, "axes", axes)

    def to_torch(self, *tensors: Tensor) -> Tensors:
        return tuple(tensor.permute(self.axes) if self.axes else tensor for tensor in tensors)

    def to_tfjs(self, *tensors: Tensor) -> Tensors:
        back = sorted(range(len(self.axes)), key=self.axes.__getitem__)
        return tuple(tensor.permute(back) if self.axes else tensor for tensor in tensors)


AS_IS = Permute()


@dataclass(frozen=True)
class Reshape:
    """The same numbers in the same order under another shape."""

    tfjs: tuple[int, ...]
    torch: tuple[int, ...]

    def to_torch(self, *tensors: Tensor) -> Tensors:
        return tuple(tensor.reshape(self.torch) for tensor in tensors)

    def to_tfjs(self, *tensors: Tensor) -> Tensors:
        return tuple(tensor.reshape(self.tfjs) for tensor in tensors)


@dataclass(frozen=True)
class Chain:
    """One layout after another, first to last on the way to torch."""

    steps: tuple[Layout, ...]

    def __init__(self, *steps: Layout) -> None:
        object.__setattr__(self, "steps", steps)

    def to_torch(self, *tensors: Tensor) -> Tensors:
        for step in self.steps:
            tensors = step.to_torch(*tensors)
        return tensors

    def to_tfjs(self, *tensors: Tensor) -> Tensors:
        for step in reversed(self.steps):
            tensors = step.to_tfjs(*tensors)
        return tensors


def of_convolution(rank: int) -> Layout:
    """[*space, in, out] <-> [out, in, *space]; of a transposed one, [*space, out, in] <-> [in, out, *space]."""
    return Permute(rank + 1, rank, *range(rank))


def of_depthwise(kernel: tuple[int, ...], channels: int, times: int) -> Layout:
    """[*space, channels, times] <-> [channels * times, 1, *space]."""
    rank = len(kernel)
    turned = Permute(rank, rank + 1, *range(rank))
    return Chain(turned, Reshape((channels, times, *kernel), (channels * times, 1, *kernel)))


@dataclass(frozen=True)
class Blocks:
    """Equal blocks along the first axis in another order: a GRU's z, r, h are torch's r, z, n as Blocks(1, 0, 2)."""

    order: tuple[int, ...]

    def __init__(self, *order: int) -> None:
        object.__setattr__(self, "order", order)

    def to_torch(self, *tensors: Tensor) -> Tensors:
        return tuple(self._moved(tensor, self.order) for tensor in tensors)

    def to_tfjs(self, *tensors: Tensor) -> Tensors:
        back = sorted(range(len(self.order)), key=self.order.__getitem__)
        return tuple(self._moved(tensor, back) for tensor in tensors)

    def _moved(self, tensor: Tensor, order: Sequence[int]) -> Tensor:
        blocks = tensor.chunk(len(self.order))
        return torch.cat([blocks[i] for i in order])


class SummedBiases:
    """One bias of tf.js <-> the two that torch adds up; the second one comes as zeros."""

    def to_torch(self, *tensors: Tensor) -> Tensors:
        (bias,) = tensors
        return bias, torch.zeros_like(bias)

    def to_tfjs(self, *tensors: Tensor) -> Tensors:
        first, second = tensors
        return (torch.where(second == 0, first, first + second),)  # where: -0.0 + 0.0 would be 0.0


class Rows:
    """One tensor of tf.js <-> its rows as tensors of torch (a GRU's bias with reset_after)."""

    def to_torch(self, *tensors: Tensor) -> Tensors:
        (rows,) = tensors
        return tuple(rows.unbind())

    def to_tfjs(self, *tensors: Tensor) -> Tensors:
        return (torch.stack(tensors),)


@dataclass(frozen=True)
class Constant:
    """A tensor that only torch has, such as the weight of a BatchNorm with scale=false."""

    value: float
    shape: tuple[int, ...]

    def to_torch(self, *tensors: Tensor) -> Tensors:
        return (torch.full(self.shape, self.value),)

    def to_tfjs(self, *tensors: Tensor) -> Tensors:
        (found,) = tensors
        if tuple(found.shape) != self.shape or not bool((found == self.value).all()):
            raise ValueError(
                f"only {self.value:g} expected, since this layer has no such weight in tf.js; found others"
            )
        return ()


class Counter:
    """torch's num_batches_tracked: starts at 0, and tf.js has nothing like it."""

    def to_torch(self, *tensors: Tensor) -> Tensors:
        return (torch.tensor(0),)

    def to_tfjs(self, *tensors: Tensor) -> Tensors:
        return ()
