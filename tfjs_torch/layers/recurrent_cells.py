"""What one recurrent cell computes over a sequence: torch's own kernels where they are exact, else a loop over time.

A cell's tensors have the shapes and the order of gates of torch's cells: i, f, g, o for an LSTM, r, z, n for a GRU.
The formulas: tfjs-layers/src/layers/recurrent.ts, keras/layers/rnn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from .functions import Function, hard_sigmoid, log_softmax, softmax

States: TypeAlias = "tuple[Tensor, ...]"
Scanned: TypeAlias = "tuple[Tensor, States]"  # [batch, time, units], and the last states

GATES: Final = {"SimpleRNN": 1, "GRU": 3, "LSTM": 4}
STATES: Final = {"SimpleRNN": 1, "GRU": 1, "LSTM": 2}
_SLOPES: Final = ((hard_sigmoid, 0.2), (F.hardsigmoid, 1 / 6))


class Cell(NamedTuple):
    """A cell's options.

    Attributes:
        kind: "SimpleRNN", "GRU" or "LSTM".
        units: width of its states and its output.
        activation, gate: the functions; a SimpleRNN has no gates.
        bias: whether it has one.
        two_biases: whether both of torch's count; a GRU then resets behind the matrix, as torch's does.
        dropout, recurrent_dropout: rates in training.
    """

    kind: str
    units: int
    activation: Function
    gate: Function
    bias: bool
    two_biases: bool
    dropout: float
    recurrent_dropout: float

    def alike(self, other: Cell) -> bool:
        """Whether the tensors of both have the same shapes."""
        return (self.kind, self.units, self.bias, self.two_biases) == (
            other.kind, other.units, other.bias, other.two_biases,
        )  # fmt: skip


class Weights(NamedTuple):
    """A cell's tensors under torch's names."""

    ih: Tensor
    hh: Tensor
    bias_ih: Tensor | None = None
    bias_hh: Tensor | None = None


def stock(cell: Cell) -> str | None:
    """The mode of nn.RNNBase that computes exactly this, if one does."""
    if cell.kind == "SimpleRNN":
        return "RNN_TANH" if cell.activation is torch.tanh else "RNN_RELU" if cell.activation is torch.relu else None
    usual = cell.activation is torch.tanh and cell.gate is torch.sigmoid
    return cell.kind if usual and (cell.kind == "LSTM" or cell.two_biases) else None


def run_stock(mode: str, x: Tensor, states: States, weights: list[Tensor], bias: bool, both: bool) -> Scanned:
    """torch's kernel over [batch, time, features]; states are [directions, batch, units]."""
    train = torch.is_grad_enabled()  # what backward needs is kept even in evaluation
    if mode == "LSTM":
        out, h, c = torch.lstm(x, states, weights, bias, 1, 0.0, train, both, True)
        return out, (h, c)
    kernel = {"GRU": torch.gru, "RNN_TANH": torch.rnn_tanh, "RNN_RELU": torch.rnn_relu}[mode]
    out, h = kernel(x, states[0], weights, bias, 1, 0.0, train, both, True)
    return out, (h,)


def run_cell(
    cell: Cell, x: Tensor, states: States, weights: Weights, mask: Tensor | None = None, training: bool = False
) -> Scanned:
    """One cell over a sequence.

    Args:
        x: [batch, time, features].
        states: [batch, units] each.
        mask: [batch, time]; where it is False, the states and the output stay what they are.
        training: whether dropout is on; its masks hold for the whole sequence.

    Returns:
        [batch, time, units] and the last states.
    """
    drop = None
    if training and 0 < cell.dropout < 1:
        x = x * F.dropout(x.new_ones(x.shape[0], 1, x.shape[2]), cell.dropout)
    if training and 0 < cell.recurrent_dropout < 1:
        drop = F.dropout(torch.ones_like(states[0]), cell.recurrent_dropout)
    mode = stock(cell)
    if mode is not None and drop is None and mask is None:
        given = [tensor for tensor in weights if tensor is not None]
        out, last = run_stock(mode, x, tuple(state.unsqueeze(0) for state in states), given, cell.bias, False)
        return out, tuple(state.squeeze(0) for state in last)
    cell, weights = _arranged(cell, weights)
    projected = _projected(cell, x, weights)
    if drop is None and mask is None and _may_overwrite(cell, projected, weights):
        loop = _lstm_in_place if cell.kind == "LSTM" else _gru_in_place
        return loop(cell, projected, states, weights)
    return _loop(cell, projected, states, weights, mask, drop)


def one(x: Tensor) -> Tensor:
    """A hard sigmoid whose slope and offset are in the weights already."""
    return x.clamp(0, 1)


def _arranged(cell: Cell, weights: Weights) -> tuple[Cell, Weights]:
    """Gates first, i, f, o, g for an LSTM; a hard sigmoid's slope and offset go into the weights once for all steps."""
    if cell.kind == "SimpleRNN":
        return cell, weights
    slope = next((slope for function, slope in _SLOPES if cell.gate is function), None)
    units, lstm = cell.units, cell.kind == "LSTM"

    def arranged(tensor: Tensor, offset: float = 0.0) -> Tensor:
        gates, inner = [tensor[: 2 * units], *([tensor[3 * units :]] if lstm else [])], tensor[2 * units : 3 * units]
        if slope is not None:
            gates = [gate * slope + offset if offset else gate * slope for gate in gates]
        return torch.cat([*gates, inner])

    bias_ih, bias_hh = weights.bias_ih, weights.bias_hh
    if bias_ih is None:
        bias_ih = weights.ih.new_zeros(len(weights.ih))
    bias_ih, bias_hh = arranged(bias_ih, 0.5), None if bias_hh is None else arranged(bias_hh)
    gate = cell.gate if slope is None else one
    return cell._replace(gate=gate), Weights(arranged(weights.ih), arranged(weights.hh), bias_ih, bias_hh)


def _projected(cell: Cell, x: Tensor, weights: Weights) -> Tensor:
    """What the inputs add to each step, biases included: [time, batch, gates * units]."""
    bias = weights.bias_ih
    if weights.bias_hh is not None and not (cell.kind == "GRU" and cell.two_biases):
        bias = weights.bias_hh if bias is None else bias + weights.bias_hh
    return F.linear(x.transpose(0, 1), weights.ih, bias)


def _may_overwrite(cell: Cell, projected: Tensor, weights: Weights) -> bool:
    """Whether nobody looks at the values in between: no gradients, no tracing, no autocast."""
    usual = cell.activation is torch.tanh and cell.kind != "SimpleRNN" and not (cell.kind == "GRU" and cell.two_biases)
    if not usual or cell.gate not in (one, torch.sigmoid) or torch.compiler.is_compiling():
        return False
    needed = torch.is_grad_enabled() and (projected.requires_grad or weights.hh.requires_grad)
    return not needed and not torch.is_autocast_enabled(projected.device.type)


def _lstm_in_place(cell: Cell, projected: Tensor, states: States, weights: Weights) -> Scanned:
    h, c = states[0], states[1].clone()
    units, turned = cell.units, weights.hh.t()
    out = projected.new_empty(*projected.shape[:2], units)
    z, squashed = torch.empty_like(projected[0]), torch.empty_like(c)
    if len(c) == 1 and len(projected) > units // 4:
        turned = turned.contiguous()  # a matrix times one vector is faster so; over some steps that pays for the copy
    gates, (i, f, o, g) = z[:, : 3 * units], z.chunk(4, 1)
    sigmoid, several = cell.gate is torch.sigmoid, len(c) > 1
    for given, h_next in zip(projected.unbind(), out.unbind(), strict=True):
        torch.addmm(given, h, turned, out=z)
        if sigmoid:
            gates.sigmoid_()
        else:
            gates.clamp_(0, 1)
        inner = squashed.copy_(g) if several else g  # tanh is slow on rows that are apart
        c.mul_(f).addcmul_(i, inner.tanh_())
        torch.tanh(c, out=squashed)
        torch.mul(o, squashed, out=h_next)
        h = h_next
    return out.transpose(0, 1), (h, c)


def _gru_in_place(cell: Cell, projected: Tensor, states: States, weights: Weights) -> Scanned:
    h, units = states[0], cell.units
    gates_turned, inner_turned = weights.hh[: 2 * units].t(), weights.hh[2 * units :].t()
    out = projected.new_empty(*projected.shape[:2], units)
    gates, n, kept = projected.new_empty(len(h), 2 * units), torch.empty_like(h), torch.empty_like(h)
    r, z = gates.chunk(2, 1)
    sigmoid = cell.gate is torch.sigmoid
    for_gates, for_inner = projected[..., : 2 * units].unbind(), projected[..., 2 * units :].unbind()
    for given, given_inner, h_next in zip(for_gates, for_inner, out.unbind(), strict=True):
        torch.addmm(given, h, gates_turned, out=gates)
        if sigmoid:
            gates.sigmoid_()
        else:
            gates.clamp_(0, 1)
        torch.mul(r, h, out=kept)
        torch.addmm(given_inner, kept, inner_turned, out=n)
        torch.lerp(n.tanh_(), h, z, out=h_next)
        h = h_next
    return out.transpose(0, 1), (h,)


Step: TypeAlias = "Callable[[Tensor, States], States]"


def _loop(
    cell: Cell, projected: Tensor, states: States, weights: Weights, mask: Tensor | None, drop: Tensor | None
) -> Scanned:
    step = {"SimpleRNN": _simple_step, "GRU": _gru_step, "LSTM": _lstm_step}[cell.kind](cell, weights)
    given: Iterable[Tensor | None] = [None] * len(projected) if mask is None else mask.unsqueeze(2).unbind(1)
    outputs = []
    for x, here in zip(projected.unbind(), given, strict=True):
        before = states
        states = step(x, before if drop is None else (before[0] * drop, *before[1:]))
        if here is not None:
            states = tuple(torch.where(here, new, old) for new, old in zip(states, before, strict=True))
        outputs.append(states[0])
    return torch.stack(outputs, 1), states


def _simple_step(cell: Cell, weights: Weights) -> Step:
    turned = weights.hh.t()
    return lambda x, states: (cell.activation(torch.addmm(x, states[0], turned)),)


def _gates_of(gate: Function, total: Tensor, count: int) -> tuple[Tensor, ...]:
    """The gates' blocks; a softmax is one over each of them."""
    if gate in (softmax, log_softmax):
        return tuple(gate(block) for block in total.chunk(count, 1))
    return gate(total).chunk(count, 1)


def _lstm_step(cell: Cell, weights: Weights) -> Step:
    turned, activation, gates = weights.hh.t(), cell.activation, 3 * cell.units

    def step(x: Tensor, states: States) -> States:
        z = torch.addmm(x, states[0], turned)
        i, f, o = _gates_of(cell.gate, z[:, :gates], 3)
        c = f * states[1] + i * activation(z[:, gates:])
        return o * activation(c), c

    return step


def _gru_step(cell: Cell, weights: Weights) -> Step:
    units, activation, gate = cell.units, cell.activation, cell.gate
    turned, bias = weights.hh.t(), weights.bias_hh
    gates_turned, inner_turned = turned[:, : 2 * units], turned[:, 2 * units :]

    def before(x: Tensor, states: States) -> States:
        (h,) = states
        r, z = _gates_of(gate, torch.addmm(x[:, : 2 * units], h, gates_turned), 2)
        n = activation(torch.addmm(x[:, 2 * units :], r * h, inner_turned))
        return (n + z * (h - n),)

    def after(x: Tensor, states: States) -> States:
        (h,) = states
        given = h @ turned if bias is None else torch.addmm(bias, h, turned)
        r, z = _gates_of(gate, x[:, : 2 * units] + given[:, : 2 * units], 2)
        n = activation(x[:, 2 * units :] + r * given[:, 2 * units :])
        return (n + z * (h - n),)

    return after if cell.two_biases else before
