"""Pooling, also over everything: exact wherever tf.js' own padding, or zeros, can be torch's."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from . import configs
from .graph import Shape, Symbol
from .registry import function, module
from .site import Site
from .values import Value, channels_last


@dataclass(frozen=True)
class _Window:
    """One axis: n cells, and `out` windows of k cells, s apart, that begin p before the first cell."""

    n: int
    k: int
    s: int
    p: int
    out: int

    @property
    def end(self) -> int:
        """How far the last window reaches beyond the last cell."""
        return (self.out - 1) * self.s + self.k - self.n - self.p

    @property
    def is_same(self) -> bool:
        """Whether tf.js' own padding puts the windows there."""
        out = -(-self.n // self.s)
        return out == self.out and max((out - 1) * self.s + self.k - self.n, 0) // 2 == self.p

    @property
    def shift(self) -> int:
        """Which of all windows of stride 1 with tf.js' own padding is the first."""
        return (self.k - 1) // 2 - self.p

    @property
    def is_among_same(self) -> bool:
        """Whether they are all among those."""
        return self.shift >= 0 and self.shift + (self.out - 1) * self.s < self.n


@module(nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)
def max_pool(site: Site, module: Any, x: Value) -> Value:
    if module.return_indices or any(size != 1 for size in _each(module.dilation, 1)):
        site.refuse("dilation=1 and return_indices=False expected; tf.js' MaxPooling has neither")
    x, windows = _windows(site, module, x)
    symbol = _valid_or_same(site, x.symbol, windows, "Max")
    if symbol is None and x.nonnegative:  # zeros never win over what is 0 or more
        symbol = _zeros_around(site, x.symbol, windows, "Max")
    symbol = symbol or _picked(site, x.symbol, windows, "Max")
    if symbol is None:
        site.refuse(
            f"padding={module.padding} pads with -infinity, and no layer of tf.js does just that here; "
            "put it behind a ReLU, or pad less"
        )
    return x.become(symbol, shape=site.shape, nonnegative=x.nonnegative)


@module(nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)
def average_pool(site: Site, module: Any, x: Value) -> Value:
    if getattr(module, "divisor_override", None) is not None:
        site.refuse(f"divisor_override=None expected, found {module.divisor_override}")
    x, windows = _windows(site, module, x)
    padded = any(window.p for window in windows)
    symbol = None
    if not (module.count_include_pad and padded):  # tf.js leaves padding out of the mean
        symbol = _valid_or_same(site, x.symbol, windows, "Average") or _picked(site, x.symbol, windows, "Average")
    elif all(window.end <= window.p for window in windows):
        symbol = _zeros_around(site, x.symbol, windows, "Average")
    if symbol is None:
        site.refuse("padding that tf.js' AveragePooling can have expected; use count_include_pad=True, ceil_mode=False")
    return x.become(symbol, shape=site.shape, nonnegative=x.nonnegative)


def _windows(site: Site, module: Any, x: Value) -> tuple[Value, list[_Window]]:
    rank = int(type(module).__name__[-2])
    if x.rank != rank + 2:
        site.refuse(f"an input with batch and channels expected, found shape {list(x.shape)}")
    x = site.arrange(x, channels_last(x.rank))
    kernel, padding = _each(module.kernel_size, rank), _each(module.padding, rank)
    strides = kernel if module.stride is None or module.stride == [] else _each(module.stride, rank)
    rows = zip(x.shape[2:], kernel, strides, padding, site.shape[2:], strict=True)
    return x, [_Window(*row) for row in rows]


def _each(option: Any, rank: int) -> Shape:
    return tuple(option) if isinstance(option, (tuple, list)) else (option,) * rank


def _valid_or_same(site: Site, x: Symbol, windows: Sequence[_Window], kind: str) -> Symbol | None:
    if all(window.p == 0 and window.end <= 0 for window in windows):
        return _pooled(site, x, windows, kind, "valid")
    # tf.js' padding of volumes is its own where strides are larger than windows
    if all(window.is_same and (len(windows) < 3 or window.k >= window.s) for window in windows):
        return _pooled(site, x, windows, kind, "same")
    return None


def _zeros_around(site: Site, x: Symbol, windows: Sequence[_Window], kind: str) -> Symbol:
    pairs = [(window.p, max(window.end, 0)) for window in windows]
    return _pooled(site, site.margin("ZeroPadding2D", x, [*pairs, (0, 0)]), windows, kind, "valid")


def _picked(site: Site, x: Symbol, windows: Sequence[_Window], kind: str) -> Symbol | None:
    """All windows of stride 1, of which every s-th is kept: there tf.js' padding hangs on no size."""
    if not all(window.is_among_same for window in windows):
        return None
    close = [window.__class__(window.n, window.k, 1, (window.k - 1) // 2, window.n) for window in windows]
    symbol = _pooled(site, x, close, kind, "same")
    crops = [(window.shift, window.n - window.shift - (window.out - 1) * window.s - 1) for window in windows]
    symbol = site.margin("Cropping2D", symbol, [*crops, (0, 0)])
    return site.subsample(symbol, [window.s for window in windows])


def _pooled(site: Site, x: Symbol, windows: Sequence[_Window], kind: str, padding: str) -> Symbol:
    config = configs.pooling([window.k for window in windows], [window.s for window in windows], padding)
    shape = (*(window.out for window in windows), x.shape[-1])
    return site.emit(f"{kind}Pooling{len(windows)}D", config, [x], shape)


@module(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)
def adaptive_average(site: Site, module: nn.AdaptiveAvgPool2d, x: Value) -> Value:
    return _adaptive(site, x, "Average")


@module(nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d)
def adaptive_max(site: Site, module: nn.AdaptiveMaxPool2d, x: Value) -> Value:
    if module.return_indices:
        site.refuse("return_indices=False expected; tf.js has no layer that gives places")
    return _adaptive(site, x, "Max")


def _adaptive(site: Site, x: Value, kind: str) -> Value:
    x = site.arrange(x, channels_last(x.rank))
    sizes, outs = x.shape[2:], site.shape[2:]
    if all(out == 1 for out in outs):
        return over_everything(site, x, list(range(2, x.rank)), kind, keepdim=True)
    if sizes == outs:
        return x
    if any(n % out for n, out in zip(sizes, outs, strict=True)):
        site.refuse(f"sizes that divide expected, found {list(sizes)} -> {list(outs)}; tf.js' windows are all alike")
    windows = [_Window(n, n // out, n // out, 0, out) for n, out in zip(sizes, outs, strict=True)]
    symbol = _pooled(site, x.symbol, windows, kind, "valid")
    return x.become(symbol, shape=site.shape, nonnegative=x.nonnegative)


def over_everything(site: Site, x: Value, axes: Sequence[int], kind: str, keepdim: bool) -> Value:
    """The mean or maximum over whole axes: tf.js' global pooling, to which those axes are space."""
    x = site.full(x)
    rest = [axis for axis in x.order[1:] if axis not in axes]
    if [axis for axis in x.order[1:] if axis in axes] + rest != list(x.order[1:]):
        x = site.arrange(x, (x.order[0], *sorted(axes), *rest))
    features = math.prod(x.sized([None, *rest]))
    reduced = list(x.symbol.shape[: len(axes)])
    flat = 2 if len(axes) == 2 and len(rest) <= 1 else 1
    space = reduced if flat == 2 else [math.prod(reduced)]
    symbol = site.reshape(x.symbol, (*space, features))
    config = {} if flat == 1 else configs.space()
    symbol = site.emit(f"Global{kind}Pooling{flat}D", config, [symbol], (features,))
    order: list[int | None] = [x.order[0], *rest]
    shape = [1 if axis in axes else size for axis, size in enumerate(x.shape)]
    if len(rest) > 1:
        symbol = site.reshape(symbol, x.sized(order))
    order = order if rest else [*order, None]
    if not keepdim:
        left = [axis for axis in range(x.rank) if axis not in axes]
        shape = [size for axis, size in enumerate(shape) if axis not in axes]
        order = [None if axis is None else left.index(axis) for axis in order]
    return x.become(symbol, shape=tuple(shape), order=tuple(order), nonnegative=x.nonnegative)


def _of_function(made: Callable[..., Any], rule: Callable[..., Value]) -> Callable[..., Value]:
    def of_arguments(site: Site, input: Value, *args: Any, **options: Any) -> Value:
        return rule(site, made(*args, **options), input)

    return of_arguments


def _max_of(made: type[Any]) -> Callable[..., Any]:
    def of(
        kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Any:  # fmt: skip
        return made(kernel_size, stride, padding, dilation, return_indices, ceil_mode)

    return of


for _rank in (1, 2, 3):
    _max, _average = getattr(nn, f"MaxPool{_rank}d"), getattr(nn, f"AvgPool{_rank}d")
    _functions = (getattr(F, f"max_pool{_rank}d"), getattr(torch, f"max_pool{_rank}d"))
    function(*_functions)(_of_function(_max_of(_max), max_pool))
    function(getattr(F, f"avg_pool{_rank}d"))(_of_function(_average, average_pool))
    _wide, _high = (getattr(nn, f"Adaptive{_kind}Pool{_rank}d") for _kind in ("Avg", "Max"))
    function(getattr(F, f"adaptive_avg_pool{_rank}d"))(_of_function(_wide, adaptive_average))
    function(getattr(F, f"adaptive_max_pool{_rank}d"))(_of_function(_high, adaptive_max))
function(torch.adaptive_avg_pool1d)(_of_function(nn.AdaptiveAvgPool1d, adaptive_average))
