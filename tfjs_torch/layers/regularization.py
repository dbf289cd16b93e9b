"""Dropout, SpatialDropout, GaussianNoise, GaussianDropout, AlphaDropout: nothing in evaluation mode."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import MismatchError
from .registry import Layer, register

_SELU_FLOOR: Final = -1.6732632423543772 * 1.0507009873554805  # what selu tends to on the left


class _Regularizer(Layer):
    """Works while training, or where Keras' call of it says so."""

    passes_mask = True
    call_options = ("training",)

    def rate(self) -> float:
        rate = min(max(self.config.number("rate"), 0.0), 1.0)  # as tf.js cuts it
        return 0.0 if rate == 1 and not self.keras else rate  # dropping all is nothing to tf.js

    def noise_shape(self) -> tuple[int | None, ...] | None:
        """For each axis, 1 where all places share their fate; None stands for the input's length."""
        self.config.unimportant("seed")
        found = self.config.get("noise_shape", None)
        if found is None:
            return None
        if not isinstance(found, list) or not all(
            size is None or (isinstance(size, int) and size >= -1) for size in found
        ):
            raise self.config.wrong("noise_shape", "a list of sizes and nulls", found)
        return tuple(found)


@register("Dropout", becomes="nn.Dropout")
class Dropout(_Regularizer):
    def build(self) -> nn.Module:
        return SharedDropout(self.rate(), self.noise_shape())


@register("SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", becomes="nn.Dropout of whole channels")
class SpatialDropout(_Regularizer):
    def build(self) -> nn.Module:
        self.noise_shape()  # tf.js writes it, and looks at the rank instead
        rank = int(self.node.class_name[-2])
        first = self.config.channels_first()
        self.config.unimportant("data_format")
        return SharedDropout(self.rate(), (None, None, *[1] * rank) if first else (None, *[1] * rank, None))


class SharedDropout(nn.Dropout):
    """nn.Dropout where several places may share their fate.

    Args:
        shape: of what is drawn; None, or None in place of a length, as the input has it.
    """

    def __init__(self, rate: float, shape: Sequence[int | None] | None = None) -> None:
        super().__init__(rate)
        self.shape = None if shape is None else tuple(shape)

    def forward(self, input: Tensor, training: bool | None = None) -> Tensor:
        drops = self.training if training is None else training
        if not drops:
            return input
        if self.shape is None:
            return F.dropout(input, self.p, True)
        return input * F.dropout(input.new_ones(_drawn(self.shape, input)), self.p, True)

    def extra_repr(self) -> str:
        return super().extra_repr() if self.shape is None else f"{super().extra_repr()}, shape={self.shape}"


def _drawn(shape: Sequence[int | None], input: Tensor) -> list[int]:
    if len(shape) != input.dim():
        raise MismatchError("noise_shape", f"{input.dim()} axes expected, as the input has, found {list(shape)}")
    return [own if size is None or size == -1 else size for own, size in zip(input.shape, shape, strict=True)]


@register("AlphaDropout", becomes="nn.AlphaDropout")
class AlphaDropout(_Regularizer):
    def build(self) -> nn.Module:
        return SharedAlphaDropout(self.rate(), self.noise_shape())


class SharedAlphaDropout(nn.AlphaDropout):
    """nn.AlphaDropout where several places may share their fate."""

    def __init__(self, rate: float, shape: Sequence[int | None] | None = None) -> None:
        super().__init__(rate)
        self.shape = None if shape is None else tuple(shape)

    def forward(self, input: Tensor, training: bool | None = None) -> Tensor:
        drops = self.training if training is None else training
        if not drops or not 0 < self.p < 1:
            return input
        drawn = list(input.shape) if self.shape is None else _drawn(self.shape, input)
        kept = torch.rand(drawn, dtype=input.dtype, device=input.device) >= self.p
        scale = ((1 - self.p) * (1 + self.p * _SELU_FLOOR**2)) ** -0.5
        made: Tensor = torch.where(kept, input, _SELU_FLOOR) * scale - scale * _SELU_FLOOR * self.p
        return made


@register("GaussianNoise", becomes="x + noise while training")
class GaussianNoise(_Regularizer):
    def build(self) -> nn.Module:
        self.config.unimportant("seed")
        return Noise(self.config.number("stddev"), False)


@register("GaussianDropout", becomes="x * noise while training")
class GaussianDropout(_Regularizer):
    def build(self) -> nn.Module:
        self.config.unimportant("seed")
        rate = self.rate()
        return Noise(math.sqrt(rate / (1 - rate)) if rate < 1 else 0.0, True)


class Noise(nn.Module):
    """Normal noise while training: added around 0, or multiplied around 1."""

    def __init__(self, deviation: float, times: bool) -> None:
        super().__init__()
        self.deviation, self.times = deviation, times

    def forward(self, input: Tensor, training: bool | None = None) -> Tensor:
        drawn = self.training if training is None else training
        if not drawn or not self.deviation:
            return input
        noise = torch.randn_like(input) * self.deviation
        return input * (1 + noise) if self.times else input + noise

    def extra_repr(self) -> str:
        return f"deviation={self.deviation:g}, times={self.times}"
