"""ReLU, LeakyReLU, PReLU, ELU, ThresholdedReLU, Softmax (tfjs-layers/src/layers/advanced_activations.ts)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..layout import Reshape
from .config import Config
from .registry import Layer, register


@register("ReLU", becomes="nn.ReLU, nn.ReLU6 or nn.Hardtanh")
class ReLU(Layer):
    passes_mask = True

    def build(self) -> nn.Module:
        config = self.config
        top = None if config.get("max_value", None) is None else config.number("max_value")
        slope = _keras_number(config, "negative_slope", 0.0, "a plain relu")
        threshold = _keras_number(config, "threshold", 0.0, "a plain relu")
        if slope or threshold or (top is not None and top <= 0):
            return GeneralReLU(top, slope, threshold)
        if top is None:
            return nn.ReLU()
        return nn.ReLU6() if top == 6 else nn.Hardtanh(0.0, top)


class GeneralReLU(nn.Module):
    """x above the threshold, cut at the top; below, slope * (x - threshold)."""

    def __init__(self, top: float | None, slope: float, threshold: float) -> None:
        super().__init__()
        self.top, self.slope, self.threshold = top, slope, threshold

    def forward(self, input: Tensor) -> Tensor:
        positive = F.threshold(input, self.threshold, 0.0)
        if self.top is not None:
            positive = positive.clamp(0.0, self.top)
        return positive - self.slope * torch.relu(self.threshold - input) if self.slope else positive

    def extra_repr(self) -> str:
        return f"top={self.top}, slope={self.slope:g}, threshold={self.threshold:g}"


@register("LeakyReLU", becomes="nn.LeakyReLU")
class LeakyReLU(Layer):
    passes_mask_in_keras = True

    def build(self) -> nn.Module:
        alpha = self.config.number("alpha", 0.3)
        return nn.LeakyReLU(_keras_number(self.config, "negative_slope", alpha, f"a slope of {alpha:g}"))


@register("ELU", becomes="nn.ELU")
class ELU(Layer):
    passes_mask_in_keras = True

    def build(self) -> nn.Module:
        return nn.ELU(self.config.number("alpha", 1.0))  # tf.js throws unless it is 1


@register("ThresholdedReLU", becomes="nn.Threshold")
class ThresholdedReLU(Layer):
    passes_mask_in_keras = True

    def build(self) -> nn.Module:
        return nn.Threshold(self.config.number("theta", 1.0), 0.0)


@register("PReLU", becomes="nn.PReLU")
class PReLU(Layer):
    passes_mask = True

    def build(self) -> nn.Module:
        self.config.unimportant("shared_axes")  # the shape of alpha tells
        shape = self.weight_shape("alpha")
        if all(size == 1 for size in shape[:-1]):
            channels = shape[-1] if shape else 1
            self.weight("alpha", "weight", Reshape(shape, (channels,)))
            return ChannelsLastPReLU(channels, device="meta")
        self.weight("alpha", "weight")
        return PReLUOfShape(shape)


class ChannelsLastPReLU(nn.PReLU):
    """nn.PReLU over the last axis."""

    def forward(self, input: Tensor) -> Tensor:
        if self.num_parameters == 1:
            return F.prelu(input, self.weight)
        return F.prelu(input.reshape(-1, self.num_parameters), self.weight).reshape(input.shape)


class PReLUOfShape(nn.Module):
    """A slope for every place of a sample that is not shared."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(shape, device="meta"))

    def forward(self, input: Tensor) -> Tensor:
        return torch.where(input < 0, self.weight * input, input)

    def extra_repr(self) -> str:
        return f"shape={tuple(self.weight.shape)}"


@register("Softmax", becomes="nn.Softmax")
class Softmax(Layer):
    passes_mask_in_keras = True
    takes_mask = True

    def build(self) -> nn.Module:
        axes = self.config.axes("axis", -1 if self.keras else 1)
        return MaskedSoftmax(axes, self.keras and self.context.keras_version >= 3)


class MaskedSoftmax(nn.Softmax):
    """nn.Softmax over one or several axes; what is masked counts -1e9.

    Args:
        axes: over which it sums to 1.
        zeroed: what is masked is 0, even where all is, as in Keras 3.
    """

    def __init__(self, axes: tuple[int, ...], zeroed: bool = False) -> None:
        super().__init__(axes[0])
        self.axes, self.zeroed = axes, zeroed

    def forward(self, input: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is None:
            return self._softmax(input)
        mask = mask.bool()
        far = -3e4 if input.dtype is torch.float16 else -1e9
        if self.zeroed:
            return self._softmax(input.masked_fill(~mask, far)).masked_fill(~mask, 0.0)
        return self._softmax(input + far * (~mask).to(input.dtype))

    def _softmax(self, input: Tensor) -> Tensor:
        if len(self.axes) == 1:
            return torch.softmax(input, self.axes[0])
        return torch.exp(input - torch.logsumexp(input, self.axes, keepdim=True))


def _keras_number(config: Config, key: str, default: float, effect: str) -> float:
    config.number(key, default)  # no other value is one, in either semantics
    return float(config.keras_only(key, default, effect))
