"""Site: the place in the traced module that a rule exports, and how it makes layers there."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from torch import Tensor, fx, nn

from ..errors import UnsupportedError
from ..layout import Layout
from .graph import Graph, Key, Record, Shape, Symbol
from .values import Part, Value, as_it_is

Settle = Callable[[Record, set[Key]], dict[Key, int]]


@dataclass(frozen=True)
class Site:
    """One call of a module or function.

    Attributes:
        graph: where layers are added.
        path: the module's path, or the name that torch.fx gave to the call.
        where: the same for messages.
        shape: what comes out in torch, batch included; () where that is no tensor.
        node: the call as torch.fx has it.
        floating: whether what comes out is floating point.
    """

    graph: Graph
    path: str
    where: str
    shape: Shape = ()
    node: fx.Node | None = None
    floating: bool = True

    def refuse(self, why: str) -> NoReturn:
        raise UnsupportedError(self.where, why)

    def emit(
        self,
        class_name: str,
        config: Mapping[str, Any],
        inputs: Sequence[Symbol],
        shape: Iterable[int],
        *,
        part: str = "",
        weights: Mapping[str, Tensor] | None = None,
        fixed: Iterable[str] = (),
        trainable: bool = True,
        key: Key = 0,
        settle: Settle | None = None,
    ) -> Symbol:
        """Make a layer and call it; a module that is called again calls its layer again, if that can be the same.

        Args:
            part: what to call a helper beside the layer itself.
            weights, fixed, settle: see Record.
            shape: of the result in tf.js, without the batch.
        """
        held = {name: tensor.detach().cpu().contiguous() for name, tensor in (weights or {}).items()}
        record = self._shared(class_name, config, held, part) if held else None
        if record is None:
            name = self.graph.name_of(self.path, part)
            record = Record(name, class_name, dict(config), held, frozenset(fixed), trainable, settle=settle)
            if held:
                self.graph.shared.setdefault((self.path, part), []).append(record)
        return self.graph.add(record, inputs, tuple(shape), key)

    def _shared(
        self, class_name: str, config: Mapping[str, Any], weights: Mapping[str, Tensor], part: str
    ) -> Record | None:
        known = self.graph.shared.get((self.path, part), ())
        return next((record for record in known if record.same(class_name, config, weights)), None)

    def reshape(self, symbol: Symbol, shape: Iterable[int], part: str = "reshape") -> Symbol:
        """The same numbers in the same order; of several such steps only the last is kept."""
        shape = tuple(shape)
        if not shape:
            self.refuse("features beside the batch expected; a layer of tf.js has no shape [batch]")
        while symbol.layer.class_name in ("Reshape", "Flatten") and symbol.shape != shape:
            symbol = symbol.layer.calls[symbol.call][0]
        if symbol.shape == shape:
            return symbol
        if len(symbol.shape) > 1 and len(shape) == 1:
            return self.emit("Flatten", {}, [symbol], shape, part=part)
        return self.emit("Reshape", {"target_shape": list(shape)}, [symbol], shape, part=part)

    def permute(self, symbol: Symbol, axes: Sequence[int]) -> Symbol:
        """Axes in another order; they count from 0 without the batch."""
        if list(axes) == sorted(axes):
            return symbol
        dims = [axis + 1 for axis in axes]
        return self.emit("Permute", {"dims": dims}, [symbol], (symbol.shape[axis] for axis in axes), part="permute")

    def margin(self, class_name: str, symbol: Symbol, pairs: Sequence[tuple[int, int]]) -> Symbol:
        """ZeroPadding2D or Cropping2D along any axes (the batch not counted); tf.js has them for images only."""
        sign, key, part = (1, "padding", "pad") if class_name == "ZeroPadding2D" else (-1, "cropping", "crop")
        shape = list(symbol.shape)
        for axes in _axes_of_images(len(pairs)):
            both = [(0, 0), *(pairs[axis] for axis in axes)][-2:]
            if not any(map(any, both)):
                continue
            symbol = self.reshape(symbol, _image(shape, axes))
            sizes = [size + sign * sum(pair) for size, pair in zip(symbol.shape, both, strict=False)]
            config = {key: [list(pair) for pair in both], "data_format": "channels_last"}
            symbol = self.emit(class_name, config, [symbol], (*sizes, symbol.shape[2]), part=part)
            for axis in axes:
                shape[axis] += sign * sum(pairs[axis])
        return self.reshape(symbol, shape)

    def subsample(self, symbol: Symbol, strides: Sequence[int]) -> Symbol:
        """Every stride-th element along the first axes: the maximum of one element."""
        shape = list(symbol.shape)
        for axes in _axes_of_images(len(strides)):
            both = [1, *(strides[axis] for axis in axes)][-2:]
            if both == [1, 1]:
                continue
            symbol = self.reshape(symbol, _image(shape, axes))
            sizes = [-(-size // stride) for size, stride in zip(symbol.shape, both, strict=False)]
            config = {"pool_size": [1, 1], "padding": "valid", "strides": both, "data_format": "channels_last"}
            symbol = self.emit("MaxPooling2D", config, [symbol], (*sizes, symbol.shape[2]), part="every")
            for axis in axes:
                shape[axis] = -(-shape[axis] // strides[axis])
        return self.reshape(symbol, shape)

    def arrange(self, value: Value, wanted: Sequence[int | None]) -> Value:
        """The value in another order of axes; numbers are moved only where they must be."""
        value = self.unflattened(value)
        order = tuple(wanted)
        if value.order == order:
            return value
        if value.order[0] != order[0]:
            self.refuse(
                f"the batch on axis {order[0]} expected, found it on axis {value.order[0]}; tf.js has it first, always"
            )
        have, want, symbol = value.long_axes(value.order), value.long_axes(order), value.symbol
        if have != want and None not in order and sorted(map(str, order)) == sorted(map(str, value.order)):
            symbol = self.permute(symbol, [value.order.index(axis) - 1 for axis in order[1:]])
        elif have != want:
            symbol = self.reshape(symbol, (value.shape[axis] for axis in have))
            symbol = self.permute(symbol, [have.index(axis) for axis in want])
        symbol = self.reshape(symbol, value.sized(order))
        return value.become(symbol, order=order, nonnegative=value.nonnegative)

    def unflattened(self, value: Value) -> Value:
        """Features in torch's order."""
        if not value.parts:
            return value
        pieces, start, total = [], 0, sum(part.size for part in value.parts)
        for part in value.parts:
            cut = self.margin("Cropping2D", value.symbol, [(start, total - start - part.size)])
            pieces.append(self._in_order(cut, part))
            start += part.size
        symbol = pieces[0]
        if len(pieces) > 1:
            symbol = self.emit("Concatenate", {"axis": 1}, pieces, (total,), part="features")
        return value.become(symbol, parts=(), nonnegative=value.nonnegative)

    def _in_order(self, symbol: Symbol, part: Part) -> Symbol:
        grid = self.reshape(symbol, (part.sizes[axis] for axis in part.order))
        grid = self.permute(grid, [part.order.index(axis) for axis in range(len(part.order))])
        return self.reshape(grid, (part.size,))

    def full(self, value: Value) -> Value:
        """Every axis of torch's, and no other."""
        return self.arrange(value, value.full_order())

    def plain(self, value: Value) -> Value:
        """Exactly as torch has it."""
        return self.arrange(value, as_it_is(value.rank))


def _axes_of_images(count: int) -> list[tuple[int, ...]]:
    """Axes that one layer for images works on: the first two together, each other one alone."""
    return [(0, 1), *((axis,) for axis in range(2, count))] if count > 1 else [(0,)]


def _image(shape: Sequence[int], axes: Sequence[int]) -> Shape:
    """(height, width, channels) with the axes as height and width, or a single one as width."""
    first, last = axes[0], axes[-1]
    height = shape[first] if len(axes) > 1 else math.prod(shape[:first])
    return height, shape[last], math.prod(shape[last + 1 :])


def weights_of(module: nn.Module, **layouts: tuple[str, Layout]) -> dict[str, Tensor]:
    """{name in tf.js: tensor as tf.js has it} of name=(attribute, layout); what the module lacks is left out."""
    found: dict[str, Tensor] = {}
    for name, (attribute, layout) in layouts.items():
        tensor = getattr(module, attribute, None)
        if tensor is not None:
            (found[name],) = layout.to_tfjs(tensor.detach())
    return found


def in_rows(weights: Mapping[str, Tensor], rows: Tensor | None) -> dict[str, Tensor]:
    """Weights of one number a feature, for features that lie in another order."""
    return {name: tensor if rows is None else tensor[rows.to(tensor.device)] for name, tensor in weights.items()}


def is_trainable(module: nn.Module) -> bool:
    """False when all parameters are frozen; tf.js has one flag a layer."""
    parameters = list(module.parameters(recurse=False))
    return not parameters or any(parameter.requires_grad for parameter in parameters)
