"""ConvLSTM2D, its cell, and what Keras has besides: ConvLSTM1D, ConvLSTM3D."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Final, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..layout import Permute
from .functions import Function, function_of, name_of
from .geometry import channels_first, channels_last, padded, same_pads
from .recurrent_cells import States
from .recurrent_layers import CellLayer, SequenceLayer, begin_with_ones
from .recurrent_modules import Recurrent, Settings, turned
from .registry import register

Sizes = tuple[int, ...]
_CONVOLUTIONS: Final[dict[int, Callable[..., Tensor]]] = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


class Options(NamedTuple):
    """A convolutional cell's options; the names are the config's, `gate` is recurrent_activation."""

    inputs: int
    filters: int
    kernel_size: Sizes
    strides: Sizes
    same: bool
    channels_first: bool
    dilation: Sizes
    activation: Function
    gate: Function
    bias: bool
    dropout: float
    recurrent_dropout: float


class ConvLayer(SequenceLayer):
    rank: ClassVar[int]

    def build(self) -> nn.Module:
        return ConvLSTM(self.options(), self.settings())

    def cells(self) -> list[CellLayer]:
        return []  # none that could lie beside another one in one module

    def options(self) -> Options:
        config, rank, version = self.config, self.rank, self.context.keras_version
        filters, kernel_size = config.integer("filters", least=1), config.sizes("kernel_size", rank)
        layout = Permute(rank + 1, rank, *range(rank))
        kernel = self.weight("kernel", "weight_ih", layout, (*kernel_size, None, 4 * filters))
        self.weight("recurrent_kernel", "weight_hh", layout, (*kernel_size, filters, 4 * filters))
        bias = config.flag("use_bias", True)
        if bias:
            self.weight("bias", "bias", shape=(4 * filters,))
            begin_with_ones(self, 1, filters)
        return Options(
            kernel[rank],
            filters,
            kernel_size,
            config.sizes("strides", rank, 1),
            config.text("padding", "valid", ("valid", "same")) == "same",
            config.channels_first(),
            config.sizes("dilation_rate", rank, 1),
            function_of(config, "activation", "tanh", version),
            function_of(config, "recurrent_activation", "hard_sigmoid", version),
            bias,
            config.number("dropout", 0.0),
            config.number("recurrent_dropout", 0.0),
        )


@register("ConvLSTM1D", becomes="two convolutions and a loop over time")
class ConvLSTM1D(ConvLayer):
    rank = 1


@register("ConvLSTM2D", becomes="two convolutions and a loop over time")
class ConvLSTM2D(ConvLayer):
    rank = 2


@register("ConvLSTM3D", becomes="two convolutions and a loop over time")
class ConvLSTM3D(ConvLayer):
    rank = 3


@register("ConvLSTM2DCell", becomes="one step of ConvLSTM2D")
class ConvLSTM2DCell(ConvLSTM2D):
    makes_mask = False
    takes_mask = False

    def build(self) -> nn.Module:
        return ConvStep(self.options(), Settings(self.where, self.keras, return_state=True))


class ConvLSTM(Recurrent, nn.Module):
    """An LSTM over images, gates i, f, g, o: convolutions of the inputs, and same ones of the last output."""

    def __init__(self, options: Options, settings: Settings) -> None:
        super().__init__()
        self.options = options
        self.settings = settings
        gates, rank = 4 * options.filters, len(options.kernel_size)
        self.convolution = _CONVOLUTIONS[rank]
        self.inwards, self.outwards = channels_first(rank), channels_last(rank)
        self.weight_ih = nn.Parameter(torch.empty(gates, options.inputs, *options.kernel_size, device="meta"))
        self.weight_hh = nn.Parameter(torch.empty(gates, options.filters, *options.kernel_size, device="meta"))
        self.bias = nn.Parameter(torch.empty(gates, device="meta")) if options.bias else None

    def _state_shapes(self, x: Tensor) -> list[tuple[int, ...]]:
        o = self.options
        sizes = x.shape[3:] if o.channels_first else x.shape[2:-1]
        reach = [(k - 1) * d + 1 for k, d in zip(o.kernel_size, o.dilation, strict=True)]
        space = [
            -(-size // stride) if o.same else (size - whole) // stride + 1
            for size, whole, stride in zip(sizes, reach, o.strides, strict=True)
        ]
        shape = (o.filters, *space) if o.channels_first else (*space, o.filters)
        return [(x.shape[0], *shape)] * 2

    def _run(self, x: Tensor, states: States, mask: Tensor | None) -> tuple[list[Tensor], States]:
        x, mask = turned(x, mask, self.settings.go_backwards)
        if not self.options.channels_first:
            x, states = x.movedim(-1, 2), tuple(state.permute(self.inwards) for state in states)
        out, last = self._scan(x, states, mask)
        if not self.options.channels_first:
            out, last = out.movedim(2, -1), tuple(state.permute(self.outwards) for state in last)
        return [self._finished(out, mask, False)], last

    def _scan(self, x: Tensor, states: States, mask: Tensor | None) -> tuple[Tensor, States]:
        """Channels first, in the order of the work."""
        given = self._of_inputs(x)
        given = given.view(*x.shape[:2], *given.shape[1:])
        drop = self._masks(states[0], self.options.recurrent_dropout)
        activation, gate = self.options.activation, self.options.gate
        outputs, (h, c) = [], states
        for t in range(x.shape[1]):
            i, f, g, o = (given[:, t] + self._of_state(h, drop)).chunk(4, 1)
            c_next = gate(f) * c + gate(i) * activation(g)
            h_next = gate(o) * activation(c_next)
            if mask is not None:
                here = mask[:, t].reshape(-1, *[1] * (h.dim() - 1))
                h_next, c_next = torch.where(here, h_next, h), torch.where(here, c_next, c)
            h, c = h_next, c_next
            outputs.append(h)
        return torch.stack(outputs, 1), (h, c)

    def _of_inputs(self, x: Tensor) -> Tensor:
        """All steps' images convolved at once."""
        o = self.options
        drop, groups = self._masks(x[:, 0], o.dropout), 1
        if drop is not None:  # each gate sees its own part of the input
            x, groups = torch.cat([x] * 4, 2) * drop.unsqueeze(1), 4
        x = x.flatten(0, 1)
        if o.same:
            x = padded(x, same_pads(x.shape[2:], o.kernel_size, o.strides, o.dilation, False))
        return self.convolution(x, self.weight_ih, self.bias, o.strides, 0, o.dilation, groups)

    def _of_state(self, h: Tensor, drop: Tensor | None) -> Tensor:
        groups = 1
        if drop is not None:
            h, groups = torch.cat([h] * 4, 1) * drop, 4
        kernel = self.options.kernel_size
        if all(size % 2 for size in kernel):
            return self.convolution(h, self.weight_hh, padding=tuple(size // 2 for size in kernel), groups=groups)
        ones = (1,) * len(kernel)
        h = padded(h, same_pads(h.shape[2:], kernel, ones, ones, False))
        return self.convolution(h, self.weight_hh, groups=groups)

    def _masks(self, like: Tensor, rate: float) -> Tensor | None:
        """Dropout for each of the four gates, constant over time."""
        if not self.training or not 0 < rate < 1:
            return None
        return F.dropout(torch.cat([torch.ones_like(like)] * 4, 1), rate)

    def extra_repr(self) -> str:
        o = self.options
        return (
            f"{o.inputs}, {o.filters}, kernel_size={o.kernel_size}, stride={o.strides}, dilation={o.dilation}, "
            f"activation={name_of(o.activation)}, gates={name_of(o.gate)}"
        )


class ConvStep(ConvLSTM):
    """forward(x, h, c) makes one step: [output, h, c]."""

    def forward(self, x: Tensor, *states: Tensor, mask: Any = None) -> Any:
        return super().forward(x.unsqueeze(1), *states)
