"""Conv1D to Conv3D, their transposes, DepthwiseConv, SeparableConv, LocallyConnected."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import MismatchError
from ..layout import of_convolution, of_depthwise
from .channels_last import CONVOLUTIONS, TRANSPOSED, Separable, Window
from .functions import Function, function_of, linear
from .geometry import channels_first, channels_last
from .registry import Layer, register


class _Convolution(Layer):
    """What all convolutions read."""

    @property
    def rank(self) -> int:
        return next(int(mark) for mark in self.node.class_name if mark.isdigit())

    def function(self) -> Function:
        found = function_of(self.config, keras_version=self.context.keras_version)
        self.fresh = found is linear
        return found

    def bias(self, filters: int, key: str = "bias") -> bool:
        used = self.config.flag("use_bias", True)
        if used:
            self.weight("bias", key, shape=(filters,))
        return used

    def dilation_of_keras(self, effect: str) -> tuple[int, ...]:
        """The dilation where tf.js ignores it; `effect` is what it computes instead."""
        self.config.keras_only("dilation_rate", [1] * self.rank, effect)
        return self.config.sizes("dilation_rate", self.rank, 1) if self.keras else (1,) * self.rank

    def window(self, dilation: tuple[int, ...] | None = None) -> Window:
        rank, config = self.rank, self.config
        padding = config.text("padding", "valid", ("valid", "same", "causal") if rank == 1 else ("valid", "same"))
        if dilation is None:
            dilation = config.sizes("dilation_rate", rank, 1)
        strides = config.sizes("strides", rank, 1)
        config.unimportant("lora_rank", "lora_alpha")
        kernel = config.sizes("kernel_size", rank)
        if rank == 3 and padding == "same":
            self.tell_of_shifted_windows(kernel, strides)
        return Window(
            kernel, strides, dilation, padding == "same", padding == "causal",
            config.channels_first(), negative=rank == 3 and not self.keras,
        )  # fmt: skip


@register("Conv1D", "Convolution1D", becomes="nn.Conv1d")
@register("Conv2D", "Convolution2D", becomes="nn.Conv2d")
@register("Conv3D", "Convolution3D", becomes="nn.Conv3d")
class Conv(_Convolution):
    def build(self) -> nn.Module:
        filters, window = self.config.integer("filters"), self.window()
        groups = self.config.integer("groups", 1, 1)
        if window.first and self.rank == 1 and not self.keras:
            self.config.quirk("tf.js leaves the channels of a channels_first Conv1D last in its output")
            window = window._replace(first=False, half_first=True)
        shape = self.weight("kernel", "weight", of_convolution(self.rank), (*window.kernel, None, filters))
        bias = self.bias(filters)
        return CONVOLUTIONS[self.rank](shape[-2] * groups, filters, window, bias, self.function(), groups)  # type: ignore[no-any-return]


@register("Conv1DTranspose", becomes="nn.ConvTranspose1d")
@register("Conv2DTranspose", "Convolution2DTranspose", "Deconvolution2D", becomes="nn.ConvTranspose2d")
@register("Conv3DTranspose", "Convolution3DTranspose", "Deconvolution3D", becomes="nn.ConvTranspose3d")
class ConvTranspose(_Convolution):
    def build(self) -> nn.Module:
        rank = self.rank
        window = self.window(self.dilation_of_keras("without it"))
        extra = self.config.keras_only("output_padding", None, "without it")
        extra = None if extra is None else self.config.sizes("output_padding", rank, least=0)
        self.config.unimportant("groups")
        filters = self.config.integer("filters")
        layout = of_convolution(rank)
        shape = self.weight("kernel", "weight", layout, (*window.kernel, filters, None))
        bias = self.bias(filters)
        return TRANSPOSED[rank](shape[-1], filters, window, bias, self.function(), extra)  # type: ignore[no-any-return]


class _Depthwise(_Convolution):
    def depthwise(self, window: Window, key: str) -> tuple[int, int]:
        """Claim the kernel [*space, C, M]: torch has it as [C * M, 1, *space]. Returns C and M."""
        name = "depthwise_kernel" if self.has_weight("depthwise_kernel") else "kernel"  # as Keras 3 calls it
        *_, channels, times = self.weight_shape(name)
        layout = of_depthwise(window.kernel, channels, times)
        self.weight(name, key, layout, (*window.kernel, None, None))
        return channels, times


@register("DepthwiseConv1D", becomes="nn.Conv1d with groups")
@register("DepthwiseConv2D", becomes="nn.Conv2d with groups")
class DepthwiseConv(_Depthwise):
    def build(self) -> nn.Module:
        rank = self.rank
        window = self.window(self.dilation_of_keras("an undilated kernel"))
        self.config.unimportant("depth_multiplier", "filters", "groups")  # the kernel's shape tells
        channels, times = self.depthwise(window, "weight")
        bias = self.bias(channels * times)
        module = CONVOLUTIONS[rank]
        return module(channels, channels * times, window, bias, self.function(), channels)  # type: ignore[no-any-return]


@register("SeparableConv1D", "SeparableConvolution1D", becomes="nn.Conv1d with groups, then nn.Conv1d")
@register("SeparableConv2D", "SeparableConvolution2D", becomes="nn.Conv2d with groups, then nn.Conv2d")
class SeparableConv(_Depthwise):
    def build(self) -> nn.Module:
        rank, window, filters = self.rank, self.window(), self.config.integer("filters")
        self.config.unimportant("depth_multiplier", "groups")
        channels, times = self.depthwise(window, "depthwise.weight")
        one = (1,) * rank
        self.weight("pointwise_kernel", "pointwise.weight", of_convolution(rank), (*one, channels * times, filters))
        bias = self.bias(filters, "pointwise.bias")
        module = CONVOLUTIONS[rank]
        after = Window(one, one, one, first=window.first)
        depthwise = module(channels, channels * times, window, False, linear, channels)
        if window.first and rank == 2 and not self.keras:
            if bias:
                self.config.quirk("tf.js adds the bias of a channels_first SeparableConv2D along the rows")
            pointwise = module(channels * times, filters, after._replace(first=False), bias, self.function())
            return SeparableAsTfjs(depthwise, pointwise)
        return Separable(depthwise, module(channels * times, filters, after, bias, self.function()))


class SeparableAsTfjs(Separable):
    """channels_first: the channels are moved back last, so that the bias meets the rows."""

    def forward(self, input: Tensor) -> Tensor:
        pointwise: Any = self.pointwise
        x = self.depthwise(input)
        y = F.conv2d(x, pointwise.weight)
        if pointwise.bias is not None:
            y = self._biased(y, pointwise.bias)
        return pointwise.activation(y.movedim(1, -1)).movedim(-1, 1)  # type: ignore[no-any-return]

    def _biased(self, y: Tensor, bias: Tensor) -> Tensor:
        rows, filters = y.shape[2], len(bias)
        if rows != filters:
            said = f"as many rows as filters ({filters}) expected by tf.js, found {rows}"
            raise MismatchError("SeparableConv2D", said)
        return y + bias.view(-1, 1)


@register("LocallyConnected1D", "LocallyConnected2D", becomes="a matrix product a window")
class LocallyConnected(_Convolution):
    def build(self) -> nn.Module:
        self.config.text("padding", "valid", ("valid",))
        self.config.unimportant("implementation")
        filters, window = self.config.integer("filters"), self.window()
        places, width, _ = self.weight("kernel", "weight", shape=(None, None, filters))
        bias: tuple[int, ...] = ()
        if self.config.flag("use_bias", True):
            bias = self.weight("bias", "bias")
        return Local(window, (places, width, filters), bias, self.function())


class Local(nn.Module):
    """A convolution whose kernel is another one at every place; `weight` is [places, width, filters]."""

    def __init__(self, window: Window, kernel: tuple[int, ...], bias: tuple[int, ...], function: Function) -> None:
        super().__init__()
        self.window = window
        self.activation = function
        self.weight = nn.Parameter(torch.empty(kernel, device="meta"))
        self.bias = nn.Parameter(torch.empty(bias, device="meta")) if bias else None

    def forward(self, input: Tensor) -> Tensor:
        rank, window = len(self.window.kernel), self.window
        x = input.permute(channels_last(rank)) if window.first else input
        for axis, (width, stride) in enumerate(zip(window.kernel, window.strides, strict=True), 1):
            x = x.unfold(axis, width, stride)  # windows behind: [N, *places, C, *widths]
        places = x.shape[1 : rank + 1]
        x = x.movedim(rank + 1, -1).reshape(x.shape[0], self.weight.shape[0], self.weight.shape[1])
        y = (x.unsqueeze(-2) @ self.weight).reshape(x.shape[0], *places, -1)
        if self.bias is not None:
            y = y + self.bias
        y = y.permute(channels_first(rank)) if window.first else y
        return self.activation(y)
