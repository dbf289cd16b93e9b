"""LayerNormalization (tfjs-layers/src/layers/normalization.ts), and Keras' other ones but BatchNormalization."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import MismatchError
from ..layout import AS_IS
from .registry import Layer, Weight, register

_EPSILON: Final = 1e-7


def _placed(tensor: Tensor, axes: Sequence[int], rank: int) -> Tensor:
    """A tensor over these axes, reshaped to be multiplied with one of that rank; its last axis is their last one."""
    shape = [1] * rank
    for axis, size in zip(sorted(axes, reverse=True), reversed(tensor.shape), strict=False):
        shape[axis] = size
    return tensor.reshape(shape)


@register("LayerNormalization", becomes="nn.LayerNorm")
class LayerNormalization(Layer):
    passes_mask = True

    def build(self) -> nn.Module:
        config = self.config
        axes, epsilon = config.axes("axis", -1), config.number("epsilon", 1e-3, 0)
        rms = bool(config.keras_only("rms_scaling", False, "plain layer normalization"))
        scale, center = config.flag("scale", True) or rms, config.flag("center", True) and not rms
        if not scale and not center:
            return PlainLayerNorm(axes, epsilon)
        shape = self.weight_shape("gamma" if scale else "beta")
        if scale:
            self.weight("gamma", "weight", shape=shape)
        else:
            self.constant("weight", 1.0, shape)
        if center:
            self.weight("beta", "bias", shape=shape)
        module = AxesLayerNorm(shape, axes, epsilon, center, rms)
        module.weight.requires_grad_(scale)
        return module


def _trailing(axes: Sequence[int], rank: int) -> bool:
    return sorted(axis % rank for axis in axes) == list(range(rank - len(axes), rank))


def _standardized(input: Tensor, axes: Sequence[int], epsilon: float, rms: bool = False) -> Tensor:
    variance, mean = torch.var_mean(input, tuple(axes), correction=0, keepdim=True)
    return (input if rms else input - mean) * torch.rsqrt(variance + epsilon)


class AxesLayerNorm(nn.LayerNorm):
    """nn.LayerNorm over any axes.

    Args:
        rms: Keras' deprecated rms_scaling: divided by the deviation without subtracting the mean.
    """

    def __init__(self, shape: Sequence[int], axes: tuple[int, ...], eps: float, bias: bool, rms: bool = False) -> None:
        super().__init__(tuple(shape), eps, True, bias, device="meta")
        self.axes, self.rms = axes, rms

    def forward(self, input: Tensor) -> Tensor:
        rank = input.dim()
        if self.axes in ((-1,), (rank - 1,)) and not self.rms:
            return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)
        axes = sorted(axis % rank for axis in self.axes)
        shape = [input.shape[axis] for axis in axes]  # in their order, however the file lists them
        if math.prod(shape) != self.weight.numel():
            raise MismatchError(
                "LayerNormalization", f"{list(self.weight.shape)} along axes {axes} expected, found {shape}"
            )
        weight, bias = self.weight.reshape(shape), None if self.bias is None else self.bias.reshape(shape)
        if _trailing(axes, rank) and not self.rms:
            return F.layer_norm(input, shape, weight, bias, self.eps)
        made = _standardized(input, axes, self.eps, self.rms) * _placed(weight, axes, rank)
        return made if bias is None else made + _placed(bias, axes, rank)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, axes={self.axes}"


class PlainLayerNorm(nn.Module):
    """Layer normalization with neither weight nor bias."""

    def __init__(self, axes: tuple[int, ...], eps: float) -> None:
        super().__init__()
        self.axes, self.eps = axes, eps

    def forward(self, input: Tensor) -> Tensor:
        if _trailing(self.axes, input.dim()):
            return F.layer_norm(input, input.shape[-len(self.axes) :], eps=self.eps)
        return _standardized(input, self.axes, self.eps)

    def extra_repr(self) -> str:
        return f"axes={self.axes}, eps={self.eps:g}"


@register("RMSNormalization", becomes="nn.RMSNorm's formula and weight")
class RMSNormalization(Layer):
    def build(self) -> nn.Module:
        axes, epsilon = self.config.axes("axis", -1), self.config.number("epsilon", 1e-6, 0)
        return AxesRMSNorm(self.weight("scale", "weight"), axes, epsilon)


class AxesRMSNorm(nn.Module):
    """nn.RMSNorm (torch 2.4) over any axes."""

    def __init__(self, shape: Sequence[int], axes: tuple[int, ...], eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(tuple(shape), device="meta"))
        self.axes, self.eps = axes, eps

    def forward(self, x: Tensor) -> Tensor:
        made = x * torch.rsqrt(x.square().mean(self.axes, keepdim=True) + self.eps)
        return made * _placed(self.weight, [axis % x.dim() for axis in self.axes], x.dim())


@register("GroupNormalization", becomes="nn.GroupNorm")
class GroupNormalization(Layer):
    passes_mask = True

    def build(self) -> nn.Module:
        config = self.config
        groups, epsilon = config.integer("groups", 32, -1), config.number("epsilon", 1e-3, 0)
        axis = config.integer("axis", -1, -8)
        scale, center = config.flag("scale", True), config.flag("center", True)
        if not scale and not center:
            return AxisGroupNorm(groups, None, axis, epsilon)
        channels = self.length_of("gamma" if scale else "beta")
        for used, name, key, value in ((scale, "gamma", "weight", 1.0), (center, "beta", "bias", 0.0)):
            if used:
                self.weight(name, key, shape=(channels,))
            else:
                self.constant(key, value, (channels,))
        if groups != -1 and (not groups or channels % groups):
            raise config.wrong("groups", f"a divisor of {channels} channels", groups)
        module = AxisGroupNorm(groups, channels, axis, epsilon)
        module.weight.requires_grad_(scale)
        module.bias.requires_grad_(center)
        return module


class AxisGroupNorm(nn.GroupNorm):
    """nn.GroupNorm over the channels of any axis; -1 groups are as many as channels."""

    def __init__(self, groups: int, channels: int | None, axis: int, eps: float) -> None:
        known = channels if channels is not None else max(groups, 1)
        super().__init__(known if groups == -1 else groups, known, eps, channels is not None, device="meta")
        self.axis, self.each = axis, groups == -1

    def forward(self, input: Tensor) -> Tensor:
        moved = input.movedim(self.axis, 1)
        groups = moved.shape[1] if self.each else self.num_groups
        return F.group_norm(moved, groups, self.weight, self.bias, self.eps).movedim(1, self.axis)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, axis={self.axis}"


@register("UnitNormalization", becomes="x / |x|")
class UnitNormalization(Layer):
    passes_mask = True

    def build(self) -> nn.Module:
        return UnitNorm(self.config.axes("axis", -1), 1e-12 if self.context.keras_version >= 3 else 1e-6)


class UnitNorm(nn.Module):
    """Length 1 along some axes."""

    def __init__(self, axes: tuple[int, ...], eps: float) -> None:
        super().__init__()
        self.axes, self.eps = axes, eps

    def forward(self, input: Tensor) -> Tensor:
        length: Tensor = torch.linalg.vector_norm(input, dim=self.axes, keepdim=True)
        return input / length.clamp(min=self.eps)

    def extra_repr(self) -> str:
        return f"axes={self.axes}"


@register("Normalization", becomes="(x - mean) / deviation, which are fixed")
class Normalization(Layer):
    def passes(self) -> bool:
        return self.context.keras_version >= 3

    def build(self) -> nn.Module:
        config = self.config
        axes = () if config.get("axis", -1) in (None, []) else config.axes("axis", -1)
        mean, variance = config.get("mean", None), config.get("variance", None)
        module = FixedNorm(axes, config.flag("invert", False))
        if mean is None or variance is None:
            for name in ("mean", "variance", "count"):
                self._claim(module, name)
        else:
            for name, value in (("mean", mean), ("variance", variance)):
                module.register_buffer(name, self._numbers(name, value), persistent=False)
        return module

    def _claim(self, module: nn.Module, name: str) -> None:
        spec = None if self.has_weight(name) else self.context.stored.claim_bare(name)
        if spec is not None:
            self.weights.append(Weight((spec.name,), (spec.shape,), (name,), AS_IS, {}))
            shape = spec.shape
        elif name == "count" and not self.has_weight(name):
            return
        else:
            shape = self.weight(name, name)
        module.register_buffer(name, torch.empty(shape, device="meta"))

    def _numbers(self, name: str, value: Any) -> Tensor:
        try:
            return torch.tensor(value, dtype=torch.float32)
        except (TypeError, ValueError):
            raise self.config.wrong(name, "numbers", value) from None


class FixedNorm(nn.Module):
    """(x - mean) / deviation along the kept axes, or back again.

    Args:
        axes: those that have a mean of their own; none: one mean for all.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, axes: tuple[int, ...], invert: bool) -> None:
        super().__init__()
        self.axes, self.invert = axes, invert

    def forward(self, input: Tensor) -> Tensor:
        rank = input.dim()
        axes = [axis % rank for axis in self.axes]
        mean, variance = (_placed(tensor, axes, rank) for tensor in (self.mean, self.variance))
        deviation = variance.sqrt().clamp(min=_EPSILON)
        return input * deviation + mean if self.invert else (input - mean) / deviation

    def extra_repr(self) -> str:
        return f"axes={self.axes}, invert={self.invert}"
