"""Flatten, Reshape, Permute, RepeatVector, ZeroPadding, Cropping, UpSampling."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import MismatchError
from .geometry import channels_first, channels_last, padded
from .registry import Layer, register
from .resampling import KERNELS, Sampling, resized


@register("Flatten", becomes="nn.Flatten")
class Flatten(Layer):
    def build(self) -> nn.Module:
        return FlattenFirst() if self.config.channels_first() else nn.Flatten()


class FlattenFirst(nn.Module):
    """Channels that come first are moved last before flattening."""

    def forward(self, input: Tensor) -> Tensor:
        return input.movedim(1, -1).flatten(1) if input.dim() > 2 else input.flatten(1)


@register("Reshape", becomes="x.reshape")
class Reshape(Layer):
    def build(self) -> nn.Module:
        shape = self.config.get("target_shape")
        listed = list(shape) if isinstance(shape, (list, tuple)) else [shape]
        sizes = [-1 if size is None else size for size in listed]
        if not all(isinstance(size, int) and size >= -1 for size in sizes) or sizes.count(-1) > 1:
            raise self.config.wrong("target_shape", "sizes, at most one of them open", shape)
        return ReshapeTo(sizes)


class ReshapeTo(nn.Module):
    """Everything but the batch under another shape."""

    def __init__(self, sizes: list[int]) -> None:
        super().__init__()
        self.sizes = sizes

    def forward(self, input: Tensor) -> Tensor:
        if -1 not in self.sizes and math.prod(self.sizes) != math.prod(input.shape[1:]):
            raise MismatchError("Reshape", f"{self.sizes} expected of what has {list(input.shape[1:])}; not as many")
        return input.reshape(input.shape[0], *self.sizes)

    def extra_repr(self) -> str:
        return str(self.sizes)


@register("Permute", becomes="x.permute")
class Permute(Layer):
    def build(self) -> nn.Module:
        axes = self.config.integers("dims")
        if sorted(axes) != list(range(1, len(axes) + 1)):
            raise self.config.wrong("dims", f"the numbers 1 to {len(axes)}", axes)
        return PermuteAxes((0, *axes))


class PermuteAxes(nn.Module):
    def __init__(self, axes: tuple[int, ...]) -> None:
        super().__init__()
        self.axes = axes

    def forward(self, input: Tensor) -> Tensor:
        return input.permute(self.axes)

    def extra_repr(self) -> str:
        return str(self.axes)


@register("RepeatVector", becomes="x.unsqueeze(1).repeat(1, n, 1)")
class RepeatVector(Layer):
    def build(self) -> nn.Module:
        return Repeat(self.config.integer("n", least=1))


class Repeat(nn.Module):
    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def forward(self, input: Tensor) -> Tensor:
        return input.unsqueeze(1).repeat(1, self.times, 1)

    def extra_repr(self) -> str:
        return str(self.times)


class _AtSides(Layer):
    """What ZeroPadding and Cropping read: one number, one a axis, or a pair a axis."""

    def sides(self, key: str, default: int) -> list[tuple[int, int]]:
        rank = next(int(mark) for mark in self.node.class_name if mark.isdigit())
        found = self.config.value(key, default)
        given = found if isinstance(found, (list, tuple)) else [found] * rank
        if rank == 1 and len(given) == 2 and not isinstance(given[0], (list, tuple)):
            given = [given]
        pairs = [tuple(pair) if isinstance(pair, (list, tuple)) else (pair, pair) for pair in given]
        whole = all(len(p) == 2 and all(isinstance(x, int) and x >= 0 for x in p) for p in pairs)
        if len(pairs) != rank or not whole:
            raise self.config.wrong(key, f"{rank} pairs of sizes", found)
        return pairs

    def first(self) -> bool:
        return self.config.channels_first()


@register("ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D", becomes="F.pad")
class ZeroPadding(_AtSides):
    def build(self) -> nn.Module:
        sides = self.sides("padding", 1)
        self.fresh = any(map(any, sides))
        return Pad(sides, self.first())


@register("Cropping1D", "Cropping2D", "Cropping3D", becomes="slices")
class Cropping(_AtSides):
    def build(self) -> nn.Module:
        default = 1 if self.node.class_name == "Cropping1D" else 0
        return Pad([(-before, -after) for before, after in self.sides("cropping", default)], self.first())


class Pad(nn.Module):
    """Zeros around the space axes, or, negative, less of them."""

    def __init__(self, pads: list[tuple[int, int]], first: bool) -> None:
        super().__init__()
        self.pads = pads
        self.first = first

    def forward(self, input: Tensor) -> Tensor:
        for axis, (before, after) in enumerate(self.pads, 2 if self.first else 1):
            if input.shape[axis] + before + after <= 0:
                size = input.shape[axis]
                raise MismatchError("Cropping", f"more than {-before - after} along axis {axis} expected, found {size}")
        return padded(input, self.pads if self.first else [*self.pads, (0, 0)])

    def extra_repr(self) -> str:
        return f"{self.pads}"


@register("UpSampling1D", becomes="x.repeat_interleave")
@register("UpSampling2D", becomes="F.interpolate; in tf.js' bilinear form index arithmetic")
@register("UpSampling3D", becomes="x.repeat_interleave")
class UpSampling(Layer):
    def build(self) -> nn.Module:
        rank = next(int(mark) for mark in self.node.class_name if mark.isdigit())
        size = self.config.sizes("size", rank, 2)
        if rank != 2:
            return Nearest(size, rank == 3 and self.config.channels_first())
        first = self.config.channels_first()
        mode = self.config.text("interpolation", "nearest", ("nearest", *KERNELS))
        if mode == "nearest":
            return Nearest(size, first)
        if self.keras or mode != "bilinear":  # tf.js refuses the others
            return Smooth(size, first, mode)
        self.config.quirk("tf.js interpolates bilinearly from the corner of pixels, Keras from their middle")
        return BilinearAsTfjs(size, first)


class Nearest(nn.Module):
    """Every cell several times."""

    def __init__(self, size: tuple[int, ...], first: bool) -> None:
        super().__init__()
        self.size = size
        self.first = first

    def forward(self, input: Tensor) -> Tensor:
        rank = len(self.size)
        if rank > 1:
            x = input if self.first else input.permute(channels_first(rank))
            y = F.interpolate(x, scale_factor=[float(size) for size in self.size], mode="nearest")
            return y if self.first else y.permute(channels_last(rank))
        return input.repeat_interleave(self.size[0], 1)

    def extra_repr(self) -> str:
        return f"size={self.size}"


class Smooth(nn.Module):
    """Keras' bilinear, bicubic, ..."""

    def __init__(self, size: tuple[int, ...], first: bool, mode: str) -> None:
        super().__init__()
        self.size = size
        self.first = first
        self.mode = mode

    def forward(self, input: Tensor) -> Tensor:
        x = input.permute(0, 2, 3, 1) if self.first else input
        y = resized(x, x.shape[1] * self.size[0], x.shape[2] * self.size[1], Sampling(self.mode))
        return y.permute(0, 3, 1, 2) if self.first else y

    def extra_repr(self) -> str:
        return f"size={self.size}, mode={self.mode}"


class BilinearAsTfjs(nn.Module):
    """Bilinear on the grid source = target * in / out, without half a pixel's shift."""

    def __init__(self, size: tuple[int, ...], first: bool) -> None:
        super().__init__()
        self.size = size
        self.first = first

    def forward(self, input: Tensor) -> Tensor:
        axis = 2 if self.first else 1
        for offset, times in enumerate(self.size):
            input = _stretched(input, axis + offset, times)
        return input

    def extra_repr(self) -> str:
        return f"size={self.size}, mode=bilinear as tf.js"


def _stretched(x: Tensor, axis: int, times: int) -> Tensor:
    size = x.shape[axis]
    place = torch.arange(size * times, device=x.device)
    low = place // times
    share = ((place % times).to(x.dtype) / times).view([-1 if i == axis else 1 for i in range(x.dim())])
    below = x.index_select(axis, low)
    return below + (x.index_select(axis, (low + 1).clamp(max=size - 1)) - below) * share
