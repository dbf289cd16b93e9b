"""Convolutions, transposed and depthwise ones, zero padding, upsampling."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..layout import AS_IS, of_convolution, of_depthwise
from . import configs
from .graph import Symbol
from .linear import holding
from .registry import function, module
from .site import Site, is_trainable, weights_of
from .values import Value, channels_last

Convolution: TypeAlias = "nn.Conv1d | nn.Conv2d | nn.Conv3d"
Transposed: TypeAlias = "nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d"

_BOTH_WAYS = "tf.js' {} has one group, or a DepthwiseConv2D as many as channels; found groups={} of {} channels"


@module(nn.Conv1d, nn.Conv2d, nn.Conv3d)
def convolution(site: Site, module: Convolution, x: Value) -> Value:
    _batched(site, module, x)
    if module.padding_mode != "zeros":
        site.refuse(f"padding_mode='zeros' expected, found {module.padding_mode!r}; tf.js pads with zeros only")
    x = site.arrange(x, channels_last(x.rank))
    symbol = (_depthwise if module.groups > 1 else _full)(site, module, x.symbol)
    return x.become(symbol, shape=site.shape)


def _batched(site: Site, module: Any, x: Value) -> None:
    if x.rank != len(module.kernel_size) + 2:
        site.refuse(f"an input with batch and channels expected, found shape {list(x.shape)}")


def _full(site: Site, module: Convolution, x: Symbol) -> Symbol:
    rank, strides, dilation = len(module.kernel_size), module.stride, module.dilation
    later = (1,) * rank
    if max(strides) > 1 and max(dilation) > 1:  # tf.js does one or the other
        strides, later = later, strides
    x, padding = _padded(site, module, x, strides)
    config = configs.convolution(
        module.out_channels, module.kernel_size, strides, padding, dilation, module.bias is not None
    )
    weights = weights_of(module, kernel=("weight", of_convolution(rank)), bias=("bias", AS_IS))
    space = _space(x, module.kernel_size, strides, dilation, padding)
    trainable = is_trainable(module)
    made = site.emit(f"Conv{rank}D", config, [x], (*space, module.out_channels), weights=weights, trainable=trainable)
    return site.subsample(made, later)


def _padded(site: Site, module: Convolution, x: Symbol, strides: Sequence[int]) -> tuple[Symbol, str]:
    """Padding that is the same as tf.js' own where that hangs on no size; zeros around the input elsewhere."""
    if isinstance(module.padding, str):
        return x, module.padding  # torch allows "same" with stride 1 only, where both put the odd one at the end
    reach = [(k - 1) * d for k, d in zip(module.kernel_size, module.dilation, strict=True)]
    if not any(module.padding):
        return x, "valid"
    if max(strides) == 1 and all(2 * p == r for p, r in zip(module.padding, reach, strict=True)):
        return x, "same"
    return site.margin("ZeroPadding2D", x, [*((p, p) for p in module.padding), (0, 0)]), "valid"


def _space(
    x: Symbol, kernel: Sequence[int], strides: Sequence[int], dilation: Sequence[int], padding: str
) -> list[int]:
    sizes = []
    for n, k, s, d in zip(x.shape, kernel, strides, dilation, strict=False):
        sizes.append(-(-n // s) if padding == "same" else (n - (k - 1) * d - 1) // s + 1)
    return sizes


def _depthwise(site: Site, module: Convolution, x: Symbol) -> Symbol:
    rank, channels = len(module.kernel_size), module.in_channels
    if module.groups != channels or rank == 3:
        site.refuse(_BOTH_WAYS.format(f"Conv{rank}D", module.groups, channels))
    if max(module.dilation) > 1:
        site.refuse(f"dilation=1 expected, found {module.dilation}; tf.js' DepthwiseConv2D ignores it")
    x, padding = _padded(site, module, x, module.stride)
    kernel, strides = (*module.kernel_size, 1)[:2], (*module.stride, *module.stride)[:2]
    image = site.reshape(x, (*x.shape[:-1], *[1] * (2 - rank), channels))
    times = module.out_channels // channels
    config = configs.depthwise(kernel, strides, padding, times, module.bias is not None)
    # [height, width, channels, times] <-> [channels * times, 1, *space]
    layout = of_depthwise(tuple(kernel), channels, times)
    weights = weights_of(module, depthwise_kernel=("weight", layout), bias=("bias", AS_IS))
    shape = (*_space(image, kernel, strides, (1, 1), padding), module.out_channels)
    made = site.emit("DepthwiseConv2D", config, [image], shape, weights=weights, trainable=is_trainable(module))
    return site.reshape(made, (*shape[:rank], module.out_channels))


def scaled_channels(site: Site, x: Symbol, scale: Tensor, offset: Tensor | None, trainable: bool) -> Symbol:
    """scale * x + offset with one number a channel of an image: a depthwise convolution of one pixel."""
    channels = x.shape[-1]
    kernel = {"depthwise_kernel": scale.reshape(1, 1, channels, 1)}
    bias = {} if offset is None else {"bias": offset}
    config = configs.depthwise((1, 1), (1, 1), "valid", 1, offset is not None)
    weights = {**kernel, **bias}
    return site.emit("DepthwiseConv2D", config, [x], x.shape, part="scale", weights=weights, trainable=trainable)


@module(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
def transposed(site: Site, module: Transposed, x: Value, output_size: Any = None) -> Value:
    _batched(site, module, x)
    rank = len(module.kernel_size)
    if module.groups > 1 or max(module.dilation) > 1:
        site.refuse(f"groups=1 and dilation=1 expected, found {module.groups} and {module.dilation}; tf.js has neither")
    x = site.arrange(x, channels_last(x.rank))
    sizes = zip(x.shape[2:], module.kernel_size, module.stride, strict=True)
    full = [(n - 1) * s + max(k, s) for n, k, s in sizes]
    padding: tuple[int, ...] = module.padding  # type: ignore[assignment]
    crops = [(p, whole - p - out) for p, whole, out in zip(padding, full, site.shape[2:], strict=True)]
    if min(end for _, end in crops) < 0:
        site.refuse(f"a smaller output_padding expected, found {module.output_padding}; tf.js' output ends before it")
    extra = (1,) * (2 - rank)  # tf.js has none for sequences: an image of width 1
    layout = of_convolution(rank)
    weights = weights_of(module, kernel=("weight", layout), bias=("bias", AS_IS))
    if extra:
        weights["kernel"] = weights["kernel"].unsqueeze(1)
    config = configs.convolution(
        module.out_channels,
        (*module.kernel_size, *extra),
        (*module.stride, *extra),
        "valid",
        None,
        module.bias is not None,
    )
    image = site.reshape(x.symbol, (*x.symbol.shape[:-1], *extra, module.in_channels))
    made = site.emit(
        f"Conv{max(rank, 2)}DTranspose", config, [image], (*full, *extra, module.out_channels),
        weights=weights, trainable=is_trainable(module),
    )  # fmt: skip
    cropped = site.margin("Cropping2D", made, [*crops, *((0, 0) for _ in extra), (0, 0)])
    return x.become(site.reshape(cropped, (*site.shape[2:], module.out_channels)), shape=site.shape)


def _of_function(made: type[Any]) -> Any:
    def rule(
        site: Site, input: Value, weight: Tensor, bias: Any = None,
        stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1,
    ) -> Value:  # fmt: skip
        of = made(
            weight.shape[1] * groups, weight.shape[0], tuple(weight.shape[2:]), stride, padding, dilation, groups,
            bias is not None, device="meta",
        )  # fmt: skip
        return convolution(site, holding(site, of, weight=weight, bias=bias), input)

    return rule


function(F.conv1d, torch.conv1d)(_of_function(nn.Conv1d))
function(F.conv2d, torch.conv2d)(_of_function(nn.Conv2d))
function(F.conv3d, torch.conv3d)(_of_function(nn.Conv3d))


@module(nn.ZeroPad1d, nn.ZeroPad2d, nn.ZeroPad3d, nn.ConstantPad1d, nn.ConstantPad2d, nn.ConstantPad3d)
def zero_pad(site: Site, module: Any, x: Value) -> Value:
    return pad(site, x, module.padding, value=module.value)


@function(F.pad)
def pad(site: Site, input: Value, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Value:
    if mode != "constant" or value not in (None, 0):
        site.refuse(f"padding with zeros expected, found mode={mode!r} and value={value}; tf.js has no other")
    x = site.full(input)
    pairs = {x.rank - 1 - i: (pad[2 * i], pad[2 * i + 1]) for i in range(len(pad) // 2)}
    if any(pairs.get(x.order[0], (0, 0))):  # type: ignore[arg-type]
        site.refuse("padding of features expected, found padding of the batch")
    ordered = [pairs.get(axis, (0, 0)) for axis in x.order[1:]]  # type: ignore[arg-type]
    symbol = site.margin("Cropping2D", x.symbol, [(max(-a, 0), max(-b, 0)) for a, b in ordered])
    symbol = site.margin("ZeroPadding2D", symbol, [(max(a, 0), max(b, 0)) for a, b in ordered])
    return x.become(symbol, shape=site.shape, nonnegative=x.nonnegative)


@module(nn.Upsample, nn.UpsamplingNearest2d)
def upsample(site: Site, module: nn.Upsample, x: Value) -> Value:
    return _nearest(site, x, module.mode)


@function(F.interpolate, F.upsample, F.upsample_nearest)
def interpolate(
    site: Site, input: Value, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
    align_corners: Any = None, recompute_scale_factor: Any = None, antialias: bool = False,
) -> Value:  # fmt: skip
    return _nearest(site, input, mode)


def _nearest(site: Site, x: Value, mode: str) -> Value:
    if mode not in ("nearest", "nearest-exact"):
        site.refuse(f"mode='nearest' expected, found {mode!r}; tf.js' UpSampling2D lays its grid in another way")
    x = site.arrange(x, channels_last(x.rank))
    before, after = x.shape[2:], site.shape[2:]
    if mode == "nearest" and all(n % m == 0 for n, m in zip(before, after, strict=True)):
        symbol = site.subsample(x.symbol, [n // m for n, m in zip(before, after, strict=True)])
    elif all(m % n == 0 for n, m in zip(before, after, strict=True)):
        symbol = _repeated(site, x.symbol, [m // n for n, m in zip(before, after, strict=True)])
    else:
        site.refuse(f"whole factors expected, found {list(before)} -> {list(after)}")
    return x.become(symbol, shape=site.shape, nonnegative=x.nonnegative)


def _repeated(site: Site, x: Symbol, factors: Sequence[int]) -> Symbol:
    shape = list(x.shape)
    if len(factors) != 2:  # one axis at a time, as the height of an image
        for axis, factor in enumerate(factors):
            before, after = shape[:axis], shape[axis + 1 :]
            image = (math.prod(before), shape[axis], math.prod(after))
            x = _upsampled(site, site.reshape(x, image), (1, factor))
            shape[axis] *= factor
        return site.reshape(x, shape)
    return _upsampled(site, x, factors)


def _upsampled(site: Site, x: Symbol, factors: Sequence[int]) -> Symbol:
    height, width, channels = x.shape
    config = configs.space(size=list(factors))
    config["interpolation"] = "nearest"
    return site.emit("UpSampling2D", config, [x], (height * factors[0], width * factors[1], channels))
