"""Views: flatten, reshape, permute, squeeze, indexing, splitting. Most of it is bookkeeping, and no layer."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from .graph import Shape
from .merging import concatenate
from .registry import function, module
from .site import Site
from .values import Part, Span, States, Value, as_it_is


@module(nn.Flatten, nn.Unflatten)
def as_module(site: Site, module: nn.Module, x: Value) -> Value:
    return reshaped(site, x, site.shape)


@function(
    torch.flatten, "flatten", torch.reshape, "reshape", "view", torch.unflatten, "unflatten", "view_as", "reshape_as",
    torch.ravel, "ravel",
)  # fmt: skip
def as_function(site: Site, input: Value, *args: Any, **options: Any) -> Value:
    return reshaped(site, input, site.shape)


def reshaped(site: Site, x: Value, target: Shape) -> Value:
    """torch's reshape: rows of numbers in torch's order of axes, whatever tf.js' is."""
    if x.shape == target:
        return x
    if len(target) == 2 and x.order[0] == 0 and x.shape[0] == target[0]:
        return _flattened(site, x, target)
    x = site.full(x)
    batch = x.order[0]
    segments = _segments(x.shape, target)
    kept = next((new for old, new in segments if [a for a in old if x.shape[a] != 1 or a == batch] == [batch]), [])
    places = [axis for axis in kept if target[axis] == x.shape[batch]]  # type: ignore[index]
    if not places:
        site.refuse(f"samples to stay samples expected, found {list(x.shape)} -> {list(target)}; tf.js keeps the batch")
    x, inner = _together(site, x, [pair for pair in segments if batch not in pair[0]])
    order = (places[0], *(axis for _, new in inner for axis in new))
    symbol = site.reshape(x.symbol, (target[axis] for axis in order[1:]), part="")
    return x.become(symbol, shape=target, order=order, nonnegative=x.nonnegative)


def _flattened(site: Site, x: Value, target: Shape) -> Value:
    """To features. Where that changes their order, the next Linear takes its weights in that order."""
    if x.rank == 2:
        return x
    full = x if len(x.order) == x.rank and None not in x.order else site.full(x)
    symbol = site.reshape(full.symbol, (target[1],), part="")
    moved = full.long_axes(full.order) != sorted(full.long_axes(full.order))
    part = Part(full.shape[1:], tuple(axis - 1 for axis in full.order[1:]))  # type: ignore[operator]
    parts = (part,) if moved else ()
    return x.become(symbol, shape=target, order=(0, 1), parts=parts, nonnegative=x.nonnegative)


def _segments(old: Shape, new: Shape) -> list[tuple[list[int], list[int]]]:
    """Runs of axes that become runs of axes, as short as they can be."""
    found: list[tuple[list[int], list[int]]] = []
    i = j = 0
    while i < len(old) or j < len(new):
        a, b = [i] if i < len(old) else [], [j] if j < len(new) else []
        i, j = i + len(a), j + len(b)
        while math.prod(old[k] for k in a) != math.prod(new[k] for k in b):
            if math.prod(old[k] for k in a) < math.prod(new[k] for k in b) and i < len(old):
                a.append(i)
                i += 1
            elif j < len(new):
                b.append(j)
                j += 1
            else:
                a.append(i)
                i += 1
        found.append((a, b))
    return found


def _together(
    site: Site, x: Value, segments: list[tuple[list[int], list[int]]]
) -> tuple[Value, list[tuple[list[int], list[int]]]]:
    """Each segment's axes side by side in torch's order; the segments in the order in which tf.js has them."""

    def place(segment: tuple[list[int], list[int]]) -> int:
        return max((x.order.index(axis) for axis in segment[0] if x.shape[axis] != 1), default=len(x.order))

    ordered = sorted(segments, key=place)
    return site.arrange(x, (x.order[0], *(axis for old, _ in ordered for axis in old))), ordered


@function(torch.permute, "permute")
def permute(site: Site, input: Value, *dims: Any) -> Value:
    axes = dims[0] if isinstance(dims[0], (tuple, list)) else dims
    return _permuted(site, input, [input.axis(axis) for axis in axes])


@function(torch.transpose, "transpose", torch.swapaxes, "swapaxes", "swapdims")
def transpose(site: Site, input: Value, dim0: int, dim1: int) -> Value:
    axes = list(range(input.rank))
    a, b = input.axis(dim0), input.axis(dim1)
    axes[a], axes[b] = b, a
    return _permuted(site, input, axes)


@function(torch.movedim, "movedim", torch.moveaxis, "moveaxis")
def movedim(site: Site, input: Value, source: Any, destination: Any) -> Value:
    return _permuted(site, input, torch.movedim(torch.empty(as_it_is(input.rank)), source, destination).shape)


@function("t", torch.t)
def turned(site: Site, input: Value) -> Value:
    return _permuted(site, input, list(reversed(range(input.rank))))


def _permuted(site: Site, x: Value, axes: Sequence[int]) -> Value:
    x = site.unflattened(x)
    order = tuple(None if axis is None else list(axes).index(axis) for axis in x.order)
    return x.become(x.symbol, shape=tuple(x.shape[axis] for axis in axes), order=order, nonnegative=x.nonnegative)


@function(torch.unsqueeze, "unsqueeze")
def unsqueeze(site: Site, input: Value, dim: int) -> Value:
    return unsqueezed(site.unflattened(input), dim % (input.rank + 1))


def unsqueezed(x: Value, axis: int) -> Value:
    """No layer: an axis of size 1 is written where one is needed."""
    order = tuple(None if a is None else a + (a >= axis) for a in x.order)
    shape = (*x.shape[:axis], 1, *x.shape[axis:])
    return x.become(x.symbol, shape=shape, order=order, nonnegative=x.nonnegative)


@function(torch.stack)
def stack(site: Site, tensors: Sequence[Any], dim: int = 0) -> Value:
    if not all(isinstance(value, Value) for value in tensors):
        site.refuse("computed tensors expected, found a constant among them; tf.js has no layer that holds constants")
    axis = dim % (tensors[0].rank + 1)
    return concatenate(site, [unsqueezed(value, axis) for value in tensors], axis)


@function(torch.squeeze, "squeeze")
def squeeze(site: Site, input: Value, dim: Any = None) -> Value:
    x = site.unflattened(input)
    given = range(x.rank) if dim is None else dim if isinstance(dim, (tuple, list)) else (dim,)
    for axis in sorted({x.axis(one) for one in given}, reverse=True):
        if x.shape[axis] == 1:
            x = squeezed(x, axis)
    return x


def squeezed(x: Value, axis: int) -> Value:
    order = tuple(None if a is None or a == axis else a - (a > axis) for a in x.order)
    shape = (*x.shape[:axis], *x.shape[axis + 1 :])
    return x.become(x.symbol, shape=shape, order=order, nonnegative=x.nonnegative)


def cut(site: Site, x: Value, axis: int, start: int, stop: int, step: int = 1) -> Value:
    """x[start:stop:step] along one axis."""
    if (start, stop, step) == (0, x.shape[axis], 1):
        return x
    if axis == x.order[0]:
        site.refuse("all samples expected, found some: this is the batch's axis")
    whole = x if x.span is None else None
    full = site.full(x)
    place = full.order.index(axis) - 1
    pairs = [(0, 0)] * len(full.symbol.shape)
    pairs[place] = (start, x.shape[axis] - stop)
    symbol = site.margin("Cropping2D", full.symbol, pairs)
    symbol = site.subsample(symbol, [step if i == place else 1 for i in range(len(pairs))])
    shape = tuple(-(-(stop - start) // step) if a == axis else size for a, size in enumerate(x.shape))
    made = full.become(symbol, shape=shape, nonnegative=x.nonnegative)
    return replace(made, span=Span(whole, axis, start, stop)) if whole is not None and step == 1 else made


@function(operator.getitem)
def index(site: Site, input: Value, at: Any) -> Value:
    keys = list(at) if isinstance(at, tuple) else [at]
    if isinstance(input, States):
        if isinstance(keys[0], int):
            return index(site, input[keys[0]], tuple(keys[1:])) if keys[1:] else input[keys[0]]
        input = stacked(site, input)
    if any(not isinstance(key, (int, slice, type(None), type(Ellipsis))) or isinstance(key, bool) for key in keys):
        site.refuse("numbers and slices as an index expected; tf.js has no layer that looks up or masks")
    if input.last is not None and _is_last(input, keys):
        return input.last[1]
    if Ellipsis in keys:
        place = keys.index(Ellipsis)
        named = sum(key is not None and key is not Ellipsis for key in keys)
        keys[place : place + 1] = [slice(None)] * (input.rank - named)
    x, axis = input, 0
    for key in keys:
        if key is None:
            x = unsqueezed(site.unflattened(x), axis)
        elif isinstance(key, int):
            start = key % x.shape[axis]
            x = squeezed(_kept(site, cut(site, x, axis, start, start + 1), axis), axis)
            continue
        else:
            start, stop, step = key.indices(x.shape[axis])
            x = cut(site, x, axis, start, max(stop, start), step)
        axis += 1
    return x


def _kept(site: Site, x: Value, axis: int) -> Value:
    if axis == x.order[0]:
        site.refuse("all samples expected, found one: this is the batch's axis")
    return x


def _is_last(x: Value, keys: Sequence[Any]) -> bool:
    """Whether the index picks the last step of a recurrent layer's output, and all of that."""
    axis = x.last[0] if x.last else 0
    others = [key for i, key in enumerate(keys) if i != axis]
    return (
        len(keys) > axis
        and keys[axis] in (-1, x.shape[axis] - 1)
        and all(key == slice(None) or (key is Ellipsis and axis < keys.index(key)) for key in others)
    )


def stacked(site: Site, states: States) -> Value:
    """As torch gives them: [layers * directions, batch, units]."""
    batch, units = states[0].shape
    features = concatenate(site, states, 1)
    symbol = site.reshape(features.symbol, (len(states), units))
    return features.become(symbol, shape=(len(states), batch, units), order=(1, 0, 2))


@function("select", torch.select)
def select(site: Site, input: Value, dim: int, index: int) -> Value:
    axis = input.axis(dim)
    return globals()["index"](site, input, (*[slice(None)] * axis, index))  # type: ignore[no-any-return]


@function("narrow", torch.narrow)
def narrow(site: Site, input: Value, dim: int, start: int, length: int) -> Value:
    return cut(site, input, input.axis(dim), start, start + length)


@function("chunk", torch.chunk)
def chunk(site: Site, input: Value, chunks: int, dim: int = 0) -> tuple[Value, ...]:
    size = -(-input.shape[input.axis(dim)] // chunks)
    return split(site, input, size, dim)


@function("split", torch.split)
def split(site: Site, input: Value, split_size: int | Sequence[int], dim: int = 0) -> tuple[Value, ...]:
    axis = input.axis(dim)
    total = input.shape[axis]
    if isinstance(split_size, int):
        sizes = [min(split_size, total - start) for start in range(0, total, split_size)]
    else:
        sizes = list(split_size)
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    return tuple(cut(site, input, axis, start, start + size) for start, size in zip(starts, sizes, strict=True))


@function("unbind", torch.unbind)
def unbind(site: Site, input: Value, dim: int = 0) -> tuple[Value, ...]:
    axis = input.axis(dim)
    pieces = split(site, input, 1, axis)
    return tuple(squeezed(piece, axis) for piece in pieces)
