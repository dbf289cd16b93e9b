"""Arithmetic of tensors with tensors and with constants, concatenation, sums and means over axes."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import warn
from .convolution import scaled_channels
from .linear import holding, linear
from .pooling import over_everything
from .registry import function
from .site import Site
from .values import Part, Value, channels_last

_MANY: Final = 4096  # numbers in a JSON are for reading; more than this are weights in the wrong place


def merge(site: Site, class_name: str, a: Value, b: Value, nonnegative: bool = False) -> Value:
    """Add, Multiply, Maximum or Minimum of two tensors, broadcast as torch does."""
    if a.rank != b.rank:
        site.refuse(f"tensors of one rank expected, found shapes {list(a.shape)} and {list(b.shape)}; reshape one")
    if (a.order, a.parts, a.shape) != (b.order, b.parts, b.shape):
        order = common_order([a, b])
        a, b = site.arrange(a, order), site.arrange(b, order)
    shape = tuple(max(m, n) for m, n in zip(a.symbol.shape, b.symbol.shape, strict=True))
    symbol = site.emit(class_name, {}, [a.symbol, b.symbol], shape)
    return a.become(symbol, shape=site.shape, nonnegative=nonnegative)


def common_order(values: Sequence[Value]) -> tuple[int, ...]:
    """The order of the value that decides on most axes; images before others."""
    rank = values[0].rank
    last = channels_last(rank)
    return max((v.full_order() for v in values), key=lambda o: (_weight(values, o), o == last))


def _weight(values: Sequence[Value], order: Sequence[int]) -> int:
    """Numbers that need not be moved."""
    return sum(math.prod(v.shape) for v in values if v.long_axes(v.order) == v.long_axes(order) and not v.parts)


def affine(site: Site, x: Value, scale: Any, offset: Any) -> Value:
    """scale * x + offset, numbers or nested lists of them in the order of tf.js."""
    numbers = np.asarray([np.min(scale), np.min(offset)])
    if np.all(np.asarray(scale) == 1) and np.all(np.asarray(offset) == 0):
        return x
    config = {"scale": scale, "offset": offset}
    symbol = site.emit("Rescaling", config, [x.symbol], x.symbol.shape)
    return x.become(symbol, nonnegative=x.nonnegative and bool((numbers >= 0).all()))


def _with_constant(site: Site, x: Value, constant: Tensor, times: bool, trainable: bool) -> Value:
    """x * constant or x + constant, where the constant is the same for all samples."""
    if constant.numel() == 1 and constant.dim() <= x.rank:
        number = float(constant)
        return affine(site, x, number, 0) if times else affine(site, x, 1, number)
    x = site.full(x)
    wide = constant.reshape((1,) * (x.rank - constant.dim()) + tuple(constant.shape)).float()
    order = x.full_order()
    fits = wide.dim() == x.rank and all(size in (1, x.shape[axis]) for axis, size in enumerate(wide.shape))
    if not fits or wide.shape[order[0]] != 1:
        site.refuse(f"a constant that is the same for all samples expected, found shape {list(constant.shape)}")
    turned = wide.permute(order)[0]
    if x.order == channels_last(4) and turned.numel() == turned.shape[-1]:
        flat = turned.flatten()
        scale, offset = (flat, None) if times else (torch.ones_like(flat), flat)
        return x.become(scaled_channels(site, x.symbol, scale, offset, trainable))
    if turned.numel() > _MANY:
        site.refuse(
            f"at most {_MANY} constant numbers expected, found {turned.numel()}; tf.js has no layer that adds weights"
        )
    if trainable:
        warn(f"{site.where}: a parameter was exported as a constant; tf.js will not train it")
    while turned.dim() > 1 and turned.shape[0] == 1:
        turned = turned[0]
    numbers = turned.detach().cpu().tolist()
    return affine(site, x, numbers, 0) if times else affine(site, x, 1, numbers)


def _constant(site: Site, given: Any) -> tuple[Tensor, bool]:
    """A constant as a tensor, and whether training would change it."""
    if isinstance(given, (bool, int, float)):
        return torch.tensor(float(given), dtype=torch.float64), False
    if not isinstance(given, Tensor):
        site.refuse(f"a number or a tensor expected, found {type(given).__name__}")
    return given.detach(), isinstance(given, nn.Parameter) and given.requires_grad


@function(operator.add, operator.iadd, torch.add, "add", "add_")
def add(site: Site, input: Any, other: Any, *, alpha: float = 1) -> Value:
    if not isinstance(other, Value):
        constant, trainable = _constant(site, other)
        return _with_constant(site, input, constant * alpha, False, trainable)
    other = affine(site, other, alpha, 0)
    if not isinstance(input, Value):
        return add(site, other, input)
    return merge(site, "Add", input, other, input.nonnegative and other.nonnegative)


@function(operator.sub, operator.isub, torch.sub, "sub", "sub_")
def subtract(site: Site, input: Any, other: Any, *, alpha: float = 1) -> Value:
    """tf.js has no Subtract."""
    return add(site, input, other, alpha=-alpha)


@function(torch.rsub)
def subtract_from(site: Site, input: Any, other: Any) -> Value:
    return subtract(site, other, input)


@function(operator.mul, operator.imul, torch.mul, "mul", "mul_", torch.multiply)
def multiply(site: Site, input: Any, other: Any) -> Value:
    if not isinstance(input, Value):
        input, other = other, input
    if not isinstance(other, Value):
        constant, trainable = _constant(site, other)
        return _with_constant(site, input, constant, True, trainable)
    return merge(site, "Multiply", input, other, input is other or (input.nonnegative and other.nonnegative))


@function(operator.truediv, operator.itruediv, torch.div, "div", "div_")
def divide(site: Site, input: Any, other: Any) -> Value:
    if isinstance(other, Value):
        site.refuse("division by constants expected; tf.js has no layer that divides by what it computes")
    constant, trainable = _constant(site, other)
    return _with_constant(site, input, 1 / constant.double(), True, trainable)


@function(operator.matmul, torch.matmul, "matmul", torch.mm, "mm")
def matrix_product(site: Site, input: Any, other: Any) -> Value:
    if not isinstance(input, Value) or not isinstance(other, Tensor) or other.dim() != 2:
        site.refuse("a computed tensor times a matrix of weights expected; tf.js has no layer for other products")
    made = nn.Linear(other.shape[0], other.shape[1], bias=False, device="meta")
    return linear(site, holding(site, made, weight=other.T), input)


@function(operator.neg, torch.neg, "neg")
def negative(site: Site, input: Value) -> Value:
    return affine(site, input, -1, 0)


@function(torch.abs, "abs", operator.abs)
def absolute(site: Site, input: Value) -> Value:
    return merge(site, "Maximum", input, negative(site, input), nonnegative=True)


@function(operator.pow, torch.pow, "pow", torch.square, "square")
def power(site: Site, input: Any, exponent: Any = 2) -> Value:
    if not isinstance(input, Value) or exponent not in (1, 2):
        site.refuse(f"a square expected, found the exponent {exponent!r:.40}; tf.js multiplies and no more")
    return input if exponent == 1 else merge(site, "Multiply", input, input, nonnegative=True)


@function(torch.maximum, "maximum")
def maximum(site: Site, input: Any, other: Any) -> Value:
    return _extreme(site, "Maximum", input, other)


@function(torch.minimum, "minimum")
def minimum(site: Site, input: Any, other: Any) -> Value:
    return _extreme(site, "Minimum", input, other)


def _extreme(site: Site, class_name: str, a: Any, b: Any) -> Value:
    if not isinstance(a, Value) or not isinstance(b, Value):
        site.refuse("two computed tensors expected, found a constant; tf.js has clamp(min=0) as ReLU and no more")
    either = class_name == "Maximum"
    known = (a.nonnegative or b.nonnegative) if either else (a.nonnegative and b.nonnegative)
    return merge(site, class_name, a, b, known)


@function(torch.cat, torch.concat, torch.concatenate)
def concatenate(site: Site, tensors: Sequence[Any], dim: int = 0) -> Value:
    if not all(isinstance(value, Value) for value in tensors):
        site.refuse("computed tensors expected, found a constant among them; tf.js has no layer that holds constants")
    values: list[Value] = list(tensors)
    axis = values[0].axis(dim)
    if axis == values[0].order[0]:
        site.refuse("features to be joined expected, found samples: this is the batch's axis")
    nonnegative = all(value.nonnegative for value in values)
    whole = _rejoined(values, axis)
    if whole is not None:
        return whole
    if any(value.parts for value in values) and all(value.order == (0, 1) for value in values):
        parts = tuple(part for value in values for part in value.parts or (Part((value.shape[1],), (0,)),))
        symbol = _joined(site, values, 1)
        return values[0].become(symbol, shape=site.shape, parts=parts, nonnegative=nonnegative)
    order = common_order(values)
    values = [site.arrange(value, order) for value in values]
    symbol = _joined(site, values, order.index(axis))
    return values[0].become(symbol, shape=site.shape, order=order, nonnegative=nonnegative)


def _joined(site: Site, values: Sequence[Value], axis: int) -> Any:
    shape = list(values[0].symbol.shape)
    shape[axis - 1] = sum(value.symbol.shape[axis - 1] for value in values)
    if len(values) == 1:
        return values[0].symbol
    return site.emit("Concatenate", {"axis": axis}, [value.symbol for value in values], shape)


def _rejoined(values: Sequence[Value], axis: int) -> Value | None:
    """What the values were cut from, if they are all of it in its order (both directions' last states)."""
    spans = [value.span for value in values]
    first = spans[0]
    if first is None or first.axis != axis or first.start != 0:
        return None
    stop = 0
    for span in spans:
        if span is None or span.base is not first.base or span.axis != axis or span.start != stop:
            return None
        stop = span.stop
    return first.base if stop == first.base.shape[axis] else None


def _reduced(kind: str, scaled: bool = False) -> Callable[..., Value]:
    def rule(site: Site, input: Value, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Value:
        given = range(input.rank) if dim is None or dim == () else dim if isinstance(dim, (tuple, list)) else (dim,)
        axes = sorted(input.axis(one) for one in given)
        if input.order[0] in axes:
            site.refuse("a reduction over features expected, found one over the batch; name the dims")
        found = over_everything(site, input, axes, kind, keepdim)
        return affine(site, found, math.prod(input.shape[axis] for axis in axes), 0) if scaled else found

    return rule


function(torch.mean, "mean")(_reduced("Average"))
function(torch.sum, "sum")(_reduced("Average", scaled=True))
function(torch.amax, "amax")(_reduced("Max"))
