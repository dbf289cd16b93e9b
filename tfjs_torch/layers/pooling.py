"""Max and average pooling, local and global."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .geometry import Pads, channels_first, channels_last, padded, same_pads, symmetric
from .registry import Layer, register

_MAX: dict[int, Callable[..., Any]] = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
_AVERAGE: dict[int, Callable[..., Any]] = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


class _Pooling(Layer):
    @property
    def rank(self) -> int:
        return next(int(mark) for mark in self.node.class_name if mark.isdigit())

    def first(self) -> bool:
        """channels_first; tf.js' 1-D layers do not look at it."""
        if self.rank > 1:
            return self.config.channels_first()
        default = "channels_last"
        return self.config.keras_only("data_format", default, "along axis 1 all the same") == "channels_first"  # type: ignore[no-any-return]


@register("MaxPooling1D", "MaxPool1D", becomes="F.max_pool1d")
@register("MaxPooling2D", "MaxPool2D", becomes="F.max_pool2d")
@register("MaxPooling3D", "MaxPool3D", becomes="F.max_pool3d")
@register("AveragePooling1D", "AvgPool1D", becomes="F.avg_pool1d")
@register("AveragePooling2D", "AvgPool2D", becomes="F.avg_pool2d")
@register("AveragePooling3D", "AvgPool3D", becomes="F.avg_pool3d")
class Pooling(_Pooling):
    def build(self) -> nn.Module:
        size = self.config.sizes("pool_size", self.rank, 2)
        strides = self.config.sizes("strides", self.rank, list(size))
        same = self.config.text("padding", "valid", ("valid", "same")) == "same"
        if self.rank == 3 and same:
            self.tell_of_shifted_windows(size, strides)
        module = MaxPool if self.node.class_name.startswith("Max") else AveragePool
        return module(size, strides, same, self.first(), self.rank == 3 and not self.keras)


class _Pool(nn.Module):
    """Windows over the axes between batch and channels."""

    def __init__(
        self, size: tuple[int, ...], strides: tuple[int, ...], same: bool, first: bool, negative: bool
    ) -> None:
        super().__init__()
        self.size = size
        self.strides = strides
        self.same = same
        self.negative = negative
        self._in = None if first else channels_first(len(size))
        self._out = None if first else channels_last(len(size))

    def forward(self, input: Tensor) -> Tensor:
        x = input if self._in is None else input.permute(self._in)
        rank = len(self.size)
        pads: Pads = [(0, 0)] * rank
        if self.same:
            pads = same_pads(x.shape[2:], self.size, self.strides, (1,) * rank, self.negative)
        y = self.pool(x, pads)
        return y if self._out is None else y.permute(self._out)

    def pool(self, x: Tensor, pads: Pads) -> Tensor:
        raise NotImplementedError

    def extra_repr(self) -> str:
        return f"pool_size={self.size}, strides={self.strides}, padding={'same' if self.same else 'valid'}"


class MaxPool(_Pool):
    def pool(self, x: Tensor, pads: Pads) -> Tensor:
        window = _MAX[len(self.size)]
        if symmetric(pads) and all(before <= size // 2 for (before, _), size in zip(pads, self.size, strict=True)):
            return window(x, self.size, self.strides, [before for before, _ in pads])  # type: ignore[no-any-return]
        return window(padded(x, pads, -math.inf), self.size, self.strides)  # type: ignore[no-any-return]


class AveragePool(_Pool):
    """Cells of the padding do not count."""

    def pool(self, x: Tensor, pads: Pads) -> Tensor:
        window = _AVERAGE[len(self.size)]
        if symmetric(pads) and all(before <= size // 2 for (before, _), size in zip(pads, self.size, strict=True)):
            sides = [before for before, _ in pads]
            return window(x, self.size, self.strides, sides, False, False)  # type: ignore[no-any-return]
        there = torch.ones((1, 1, *x.shape[2:]), dtype=x.dtype, device=x.device)
        total = window(padded(x, pads), self.size, self.strides)
        return total / window(padded(there, pads), self.size, self.strides)  # type: ignore[no-any-return]


@register("GlobalMaxPooling1D", "GlobalMaxPool1D", becomes="amax over time")
@register("GlobalMaxPooling2D", "GlobalMaxPool2D", becomes="amax over rows and columns")
@register("GlobalMaxPooling3D", "GlobalMaxPool3D", becomes="amax over space")
@register("GlobalAveragePooling1D", "GlobalAvgPool1D", becomes="mean over time")
@register("GlobalAveragePooling2D", "GlobalAvgPool2D", becomes="mean over rows and columns")
@register("GlobalAveragePooling3D", "GlobalAvgPool3D", becomes="mean over space")
class GlobalPooling(_Pooling):
    def build(self) -> nn.Module:
        axis = 2 if self.first() else 1
        axes = tuple(range(axis, axis + self.rank))
        keep = bool(self.config.keras_only("keepdims", False, "without the axes of size 1"))
        average = "Average" in self.node.class_name or "Avg" in self.node.class_name
        if average and self.rank == 1 and self.keras:
            self.takes_mask = True  # type: ignore[misc]
            return MaskedMean(axes[0], keep)
        return GlobalPool(axes, keep, average)


class GlobalPool(nn.Module):
    """The mean or the maximum over `axes`."""

    def __init__(self, axes: tuple[int, ...], keep: bool, average: bool) -> None:
        super().__init__()
        self.axes = axes
        self.keep = keep
        self.average = average

    def forward(self, input: Tensor) -> Tensor:
        return input.mean(self.axes, self.keep) if self.average else input.amax(self.axes, self.keep)

    def extra_repr(self) -> str:
        return f"{'mean' if self.average else 'max'} over {self.axes}, keepdims={self.keep}"


class MaskedMean(nn.Module):
    """Keras' GlobalAveragePooling1D: masked steps do not count."""

    def __init__(self, axis: int, keep: bool) -> None:
        super().__init__()
        self.axis = axis
        self.keep = keep

    def forward(self, input: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is None:
            return input.mean(self.axis, self.keep)
        weights = mask.to(input.dtype).unsqueeze(2 if self.axis == 1 else 1)
        return (input * weights).sum(self.axis, self.keep) / weights.sum(self.axis, self.keep)
