"""SimpleRNN, GRU, LSTM, their cells, RNN, StackedRNNCells, CuDNNGRU, CuDNNLSTM."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..errors import UnsupportedError
from ..layout import Blocks, Chain, Layout, Reshape, Rows, Tensors
from .functions import Function
from .recurrent_cells import GATES, Cell
from .recurrent_layers import GRU_GATES, CellLayer, GatedCell, LongShortCell, SequenceLayer, SimpleCell
from .registry import Layer, register


@register("SimpleRNNCell", becomes="nn.RNNCell's weights")
class SimpleRNNCell(SimpleCell):
    pass


@register("GRUCell", becomes="nn.GRUCell's weights")
class GRUCell(GatedCell):
    pass


@register("LSTMCell", becomes="nn.LSTMCell's weights")
class LSTMCell(LongShortCell):
    pass


@register("SimpleRNN", becomes="nn.RNN (activation tanh or relu), else a loop with its weights")
class SimpleRNN(SequenceLayer):
    cell_class = SimpleCell


@register("GRU", becomes="nn.GRU (reset_after, tanh and sigmoid), else a loop with its weights")
class GRU(SequenceLayer):
    cell_class = GatedCell


@register("LSTM", becomes="nn.LSTM (tanh and sigmoid), else a loop with its weights")
class LSTM(SequenceLayer):
    cell_class = LongShortCell


@register("RNN", becomes="as the layer of its cell; of several cells: a stack of nn.LSTMCell's kind")
class RNN(SequenceLayer):
    """Around one cell, or around StackedRNNCells."""


@register("StackedRNNCells", becomes="cells.0, cells.1, ... of the RNN around it")
class StackedRNNCells(Layer):
    def build(self) -> nn.Module:
        raise UnsupportedError(self.where, "an RNN around the cells expected, found them alone")


class CudnnKernel:
    """The matrices as cuDNN has them: each gate's is transposed already, under the shape of the other side."""

    def __init__(self, gates: int) -> None:
        self.gates = gates

    def to_torch(self, *tensors: Tensor) -> Tensors:
        (kernel,) = tensors
        rows, columns = kernel.shape[0], kernel.shape[1] // self.gates
        return (torch.cat([block.reshape(columns, rows) for block in kernel.chunk(self.gates, 1)]),)

    def to_tfjs(self, *tensors: Tensor) -> Tensors:
        (weight,) = tensors
        return (torch.cat([block.reshape(block.shape[::-1]) for block in weight.chunk(self.gates)], 1),)


class CudnnCell(CellLayer):
    """A cell whose functions are fixed, with two biases."""

    def activation(self) -> Function:
        return torch.tanh

    def function(self, key: str, default: str) -> Function:
        return torch.sigmoid

    def two_biases(self) -> bool:
        return True

    def kernel_layout(self) -> Layout:
        kernel = CudnnKernel(GATES[self.kind])
        return Chain(kernel, GRU_GATES) if self.kind == "GRU" else kernel

    def bias_layout(self, cell: Cell) -> tuple[Layout, tuple[int, ...]]:
        rows = GATES[self.kind] * cell.units
        order = GRU_GATES if self.kind == "GRU" else Blocks(*range(GATES[self.kind]))
        return Chain(Reshape((2 * rows,), (2, rows)), Rows(), order), (2 * rows,)


class CudnnLongShortCell(CudnnCell):
    kind = "LSTM"
    forget_block = 5  # of eight: the second bias has it


class CudnnGatedCell(CudnnCell):
    kind = "GRU"


@register("CuDNNLSTM", becomes="nn.LSTM")
class CuDNNLSTM(SequenceLayer):
    cell_class = CudnnLongShortCell


@register("CuDNNGRU", becomes="nn.GRU")
class CuDNNGRU(SequenceLayer):
    cell_class = CudnnGatedCell
