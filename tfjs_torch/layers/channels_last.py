"""Stock convolutions that see tensors as Keras does, channels last, with the stock state_dict.

Their forward moves the channel axis in and out as views: what torch computes on is its own channels_last format.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .functions import Function, linear, name_of
from .geometry import Pads, channels_first, channels_last, padded, same_pads, symmetric

# The convolution's output is nobody else's, so these may overwrite it.
_IN_PLACE: dict[Any, Function] = {torch.relu: torch.relu_, F.relu6: nn.ReLU6(inplace=True).forward}


class Window(NamedTuple):
    """How a kernel moves.

    Attributes:
        same, causal: the padding; neither is "valid".
        first: channels first, on both sides.
        negative: same-padding as tf.js' 3-D layers count it.
        half_first: channels first on the input's side only (tf.js' Conv1D).
    """

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    same: bool = False
    causal: bool = False
    first: bool = False
    negative: bool = False
    half_first: bool = False


def _fixed_sides(window: Window) -> list[int] | None:
    """What torch pads with at all sides, where that does not depend on the size of the input; None where it does."""
    if not (window.same or window.causal):
        return [0] * len(window.kernel)
    if window.causal or window.negative:
        return None
    around = [(width - 1) * step for width, step in zip(window.kernel, window.dilation, strict=True)]
    alike = all(extra == 0 or (extra % 2 == 0 and s == 1) for extra, s in zip(around, window.strides, strict=True))
    return [extra // 2 for extra in around] if alike else None


class _ChannelsLast:
    """Mixed into nn.Conv1d to nn.Conv3d."""

    rank: ClassVar[int]
    convolve: ClassVar[Callable[..., Tensor]]

    def __init__(
        self, inputs: int, filters: int, window: Window, bias: bool, function: Function, groups: int = 1
    ) -> None:
        super().__init__(
            inputs, filters, window.kernel, window.strides, 0, window.dilation, groups, bias, device="meta"
        )  # type: ignore[call-arg]
        self.window = window
        self.activation = function
        self._finish = None if function is linear else _IN_PLACE.get(function, function)
        self._at_sides = _fixed_sides(window)
        self._in = None if window.first or window.half_first else channels_first(self.rank)
        self._out = None if window.first else channels_last(self.rank)

    def forward(self, input: Tensor) -> Tensor:
        x = input
        if self._in is not None:
            # One channel is not permuted: on such ambiguous strides torch 2.13 (oneDNN) computes nonsense.
            one = self.in_channels == 1  # type: ignore[attr-defined]
            x = input.reshape(input.shape[0], 1, *input.shape[1:-1]) if one else input.permute(self._in)
        window, pads = self.window, None
        at_sides: Any = self._at_sides
        if at_sides is None and window.same:
            pads = same_pads(x.shape[2:], window.kernel, window.strides, window.dilation, window.negative)
        elif at_sides is None and window.causal:
            pads = [((window.kernel[0] - 1) * window.dilation[0], 0)]
        if pads is not None:
            at_sides = [before for before, _ in pads] if symmetric(pads) else 0
            x = x if at_sides else padded(x, pads)
        y = type(self).convolve(x, self.weight, self.bias, self.stride, at_sides, self.dilation, self.groups)  # type: ignore[attr-defined]
        if self._out is not None:
            y = y.permute(self._out)
        return y if self._finish is None else self._finish(y)

    def extra_repr(self) -> str:
        text: str = super().extra_repr()  # type: ignore[misc]
        padding = "same" if self.window.same else "causal" if self.window.causal else "valid"
        return f"{text}, padding={padding}, activation={name_of(self.activation)}"


class Conv1d(_ChannelsLast, nn.Conv1d):
    rank = 1
    convolve = staticmethod(F.conv1d)


class Conv2d(_ChannelsLast, nn.Conv2d):
    rank = 2
    convolve = staticmethod(F.conv2d)


class Conv3d(_ChannelsLast, nn.Conv3d):
    rank = 3
    convolve = staticmethod(F.conv3d)


CONVOLUTIONS: dict[int, Any] = {1: Conv1d, 2: Conv2d, 3: Conv3d}


class Separable(nn.Module):
    """A depthwise convolution and a 1x1 one behind it.

    `bias_along_rows` is tf.js' fault with channels_first: the bias is added before the channels are moved back.
    """

    def __init__(self, depthwise: nn.Module, pointwise: nn.Module) -> None:
        super().__init__()
        self.depthwise = depthwise
        self.pointwise = pointwise

    def forward(self, input: Tensor) -> Tensor:
        return self.pointwise(self.depthwise(input))  # type: ignore[no-any-return]


class _Transposed:
    """Mixed into nn.ConvTranspose1d to 3d: the output's length and place as tf.js (and Keras) count them."""

    rank: ClassVar[int]
    convolve: ClassVar[Callable[..., Tensor]]

    def __init__(
        self,
        inputs: int,
        filters: int,
        window: Window,
        bias: bool,
        function: Function,
        output_padding: tuple[int, ...] | None = None,
    ) -> None:
        super().__init__(
            inputs, filters, window.kernel, window.strides, bias=bias, dilation=window.dilation, device="meta"
        )  # type: ignore[call-arg]
        self.window = window
        self.activation = function
        self.extra = output_padding
        self._finish = None if function is linear else _IN_PLACE.get(function, function)
        self._in = None if window.first else channels_first(self.rank)
        self._out = None if window.first else channels_last(self.rank)

    def forward(self, input: Tensor, output_size: Any = None) -> Tensor:
        x = input if self._in is None else input.permute(self._in)
        pads = [self._pads(axis, size) for axis, size in enumerate(x.shape[2:])]
        convolve, args = type(self).convolve, {"stride": self.stride, "dilation": self.dilation}  # type: ignore[attr-defined]
        if all(before <= 0 and after <= before for before, after in pads):  # crop, at least as much at the end
            y = convolve(x, self.weight, self.bias, padding=[-before for before, _ in pads], **args)  # type: ignore[attr-defined]
            y = padded(y, [(0, after - before) for before, after in pads])
        else:
            y = padded(convolve(x, self.weight, None, **args), pads)  # type: ignore[attr-defined]
            if self.bias is not None:  # type: ignore[attr-defined]
                y = y + self.bias.view(-1, *[1] * self.rank)  # type: ignore[attr-defined]
        if self._out is not None:
            y = y.permute(self._out)
        return y if self._finish is None else self._finish(y)

    def _pads(self, axis: int, size: int) -> tuple[int, int]:
        """How much the full result grows (or, negative, shrinks) at the start and at the end."""
        window = self.window
        width = (window.kernel[axis] - 1) * window.dilation[axis] + 1
        stride = window.strides[axis]
        full = (size - 1) * stride + width
        if self.extra is not None:
            length = full - 2 * (width // 2 if window.same else 0) + self.extra[axis]
        else:
            length = size * stride + (0 if window.same else max(width - stride, 0))
        cut = (full - length) // 2 if window.same else 0
        start = cut if window.negative else max(cut, 0)
        return -start, length + start - full

    def extra_repr(self) -> str:
        text: str = super().extra_repr()  # type: ignore[misc]
        return f"{text}, padding={'same' if self.window.same else 'valid'}, activation={name_of(self.activation)}"


class ConvTranspose1d(_Transposed, nn.ConvTranspose1d):
    rank = 1
    convolve = staticmethod(F.conv_transpose1d)


class ConvTranspose2d(_Transposed, nn.ConvTranspose2d):
    rank = 2
    convolve = staticmethod(F.conv_transpose2d)


class ConvTranspose3d(_Transposed, nn.ConvTranspose3d):
    rank = 3
    convolve = staticmethod(F.conv_transpose3d)


TRANSPOSED: dict[int, Any] = {1: ConvTranspose1d, 2: ConvTranspose2d, 3: ConvTranspose3d}

__all__ = ["CONVOLUTIONS", "TRANSPOSED", "Pads", "Separable", "Window"]
