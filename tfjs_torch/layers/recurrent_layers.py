"""CellLayer and SequenceLayer: how the JSON of recurrent layers becomes modules, shared with the wrappers."""

from __future__ import annotations

import re
from typing import Any, ClassVar

import torch
from torch import nn

from ..errors import TopologyError, UnsupportedError
from ..layout import Blocks, Chain, Layout, Permute, Rows, SummedBiases
from ..wiring import Node, node_of
from .functions import Function, function_of, linear
from .recurrent_cells import GATES, Cell
from .recurrent_modules import CellModule, Settings, Stack, layered
from .registry import Layer, find

GRU_GATES = Blocks(1, 0, 2)  # tf.js: z, r, h; torch: r, z, n
_WITHOUT_EFFECT = (
    "implementation", "unroll", "unit_forget_bias", "seed", "use_cudnn", "input_dim", "input_length", "weights",
)  # fmt: skip
_OF_CELLS = (
    "units", "activation", "recurrent_activation", "use_bias", "dropout", "recurrent_dropout", "reset_after",
)  # fmt: skip


def below(scope: str, pattern: str) -> str:
    """The scope of what lies in another scope, as a pattern."""
    return f"{scope if '[' in scope else re.escape(scope)}/{pattern}"


def begin_with_ones(layer: Layer, block: int, units: int) -> None:
    """unit_forget_bias: where that block of the bias, the weight claimed last, begins. Missing: on in Keras alone."""
    if layer.config.get("unit_forget_bias", layer.keras):
        bias = layer.weights.pop()
        ones = slice(block * units, (block + 1) * units)
        layer.weights.append(bias._replace(config={**bias.config, "ones": ones}))


class CellLayer(Layer):
    """A cell: its options, and its weights, which the layer around it names."""

    kind: ClassVar[str]
    forget_block: ClassVar[int | None] = None  # which of the bias' blocks is that of the forget gate

    def build(self) -> nn.Module:
        cell = self.cell()
        return CellModule(cell, self.claim(cell))

    def cell(self) -> Cell:
        """Every option read."""
        config = self.config
        config.unimportant(*_WITHOUT_EFFECT)
        gated = GATES[self.kind] > 1
        return Cell(
            self.kind,
            config.integer("units", least=1),
            self.activation(),
            self.function("recurrent_activation", "hard_sigmoid") if gated else linear,
            config.flag("use_bias", True),
            self.two_biases(),
            min(1.0, max(0.0, config.number("dropout", 0.0))),
            min(1.0, max(0.0, config.number("recurrent_dropout", 0.0))),
        )

    def activation(self) -> Function:
        return self.function("activation", "tanh")

    def function(self, key: str, default: str) -> Function:
        return function_of(self.config, key, default, self.context.keras_version)

    def two_biases(self) -> bool:
        return False

    def claim(self, cell: Cell, suffix: str = "") -> int:
        """Claim the weights, `suffix` ends their keys; the number of features that the cell takes."""
        rows = GATES[self.kind] * cell.units
        inputs, _ = self.weight("kernel", f"weight_ih{suffix}", self.kernel_layout(), (None, rows))
        self.weight("recurrent_kernel", f"weight_hh{suffix}", self.kernel_layout(), (cell.units, rows))
        if cell.bias:
            layout, shape = self.bias_layout(cell)
            self.weight("bias", (f"bias_ih{suffix}", f"bias_hh{suffix}"), layout, shape)
            if self.forget_block is not None:
                begin_with_ones(self, self.forget_block, cell.units)
        return inputs

    def kernel_layout(self) -> Layout:
        return Chain(Permute(1, 0), GRU_GATES) if self.kind == "GRU" else Permute(1, 0)

    def bias_layout(self, cell: Cell) -> tuple[Layout, tuple[int, ...]]:
        rows = GATES[self.kind] * cell.units
        if self.kind != "GRU":
            return SummedBiases(), (rows,)
        if cell.two_biases:
            return Chain(Rows(), GRU_GATES), (2, rows)
        return Chain(GRU_GATES, SummedBiases()), (rows,)


class SimpleCell(CellLayer):
    kind = "SimpleRNN"

    def activation(self) -> Function:
        if not self.keras and self.config.get("activation", "tanh") is None:
            self.config.quirk("tf.js takes activation=None as tanh, in this class alone; Keras takes it as linear")
            return torch.tanh
        return super().activation()


class LongShortCell(CellLayer):
    kind = "LSTM"
    forget_block = 1


class GatedCell(CellLayer):
    kind = "GRU"

    def two_biases(self) -> bool:
        after = self.config.flag("reset_after", False)
        if after and not self.keras:
            self.config.quirk("tf.js refuses reset_after=true; computed as Keras does")
        return after


class SequenceLayer(Layer):
    """A recurrent layer: cells over time."""

    makes_mask = True  # the module knows whether it hands one on
    takes_mask = True
    cell_class: ClassVar[type[CellLayer] | None] = None

    def build(self) -> nn.Module:
        cells, settings = self.cells(), self.settings()
        if len(cells) > 1:
            return self.stacked(cells, settings)
        cell = cells[0].cell()
        inputs = cells[0].claim(cell, "_l0")
        self.adopt(cells[0])
        return layered((cell,), inputs, settings)

    def cells(self) -> list[CellLayer]:
        """The cells, from the lowest; options and weights are theirs to read and to claim."""
        if self.cell_class is None:
            return self._cells_inside()
        cell = self.cell_class(self.node, self.context, self.scope, self.owner)
        cell.config = self.config  # one dict says all
        return [cell]

    def settings(self, merge: str | None = "concat") -> Settings:
        config = self.config
        repeats = "outputs of masked steps that repeat the one before"
        config.unimportant(*_WITHOUT_EFFECT, "states")
        if config.get("num_constants", None):
            raise UnsupportedError(f"{self.where}: num_constants", "no constants expected; build the layer in torch")
        return Settings(
            self.where,
            self.keras,
            config.flag("return_sequences", False),
            config.flag("return_state", False),
            config.flag("go_backwards", False),
            config.flag("stateful", False),
            bool(config.keras_only("time_major", False, "with the batch first")),
            bool(config.keras_only("zero_output_for_mask", False, repeats)),
            merge,
            self.keras and self.context.keras_version >= 3,
        )

    def adopt(self, inner: Layer, prefix: str = "") -> None:
        """Take over an inner layer's weights and what it has to tell; refuse what it has not read."""
        self.weights += [weight.below(prefix) for weight in inner.weights] if prefix else inner.weights
        if inner.config is self.config:
            return
        inner.config.refuse_rest()
        for quirk in inner.config.quirks:
            self.config.quirk(f"{inner.where}: {quirk}")

    def stacked(self, cells: list[CellLayer], settings: Settings) -> nn.Module:
        modules = []
        for i, layer in enumerate(cells):
            self._find_scope(layer, i)
            cell = layer.cell()
            modules.append(CellModule(cell, layer.claim(cell)))
            self.adopt(layer, f"cells.{i}")
        return Stack(modules, settings, not self.keras or self._reversed)

    _reversed = False

    def _cells_inside(self) -> list[CellLayer]:
        self.config.unimportant(*_OF_CELLS, "cells")  # tf.js writes the cell's options once more
        given = self.config.get("cell", None)
        where = f"{self.where}: cell"
        if isinstance(given, list):
            listed: Any = given
        else:
            node = self.nested("cell")
            assert node is not None
            if node.class_name.rpartition(">")[2] != "StackedRNNCells":
                return [self._cell(node)]
            where = f"{where} {node.name!r}"
            listed = node.config.get("cells")
            self._reversed = bool(node.config.get("reverse_state_order"))
        if not isinstance(listed, list) or not listed:
            raise TopologyError(where, f"a list of cells expected, found {listed!r:.60}")
        return [self._cell(node_of(cell, f"{where}[{i}]", f"cell_{i}")) for i, cell in enumerate(listed)]

    def _cell(self, node: Node) -> CellLayer:
        found = find(node)
        if not issubclass(found, CellLayer):
            raise UnsupportedError(
                f"{self.where}: cell", f"SimpleRNNCell, GRUCell or LSTMCell expected, found {node.class_name!r}"
            )
        return found(node, self.context, self.scope, self.owner)

    def _find_scope(self, cell: CellLayer, index: int) -> None:
        """tf.js counts the cells of a stack, Keras names them."""
        cell.scope = below(self.scope, f"[R]NNCell_{index}")
        if not cell.has_weight("kernel"):
            cell.scope = below(self.scope, rf"(?:[^/]+/)*{re.escape(cell.name)}")


def frozen(node: Node, module: nn.Module) -> nn.Module:
    """The module, without gradients where its own layer in the JSON says so."""
    return module.requires_grad_(False) if node.config.get("trainable") is False else module
