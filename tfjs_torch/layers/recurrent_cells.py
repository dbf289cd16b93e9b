"""What one recurrent cell computes over a sequence: torch's own kernels where they are exact, else a loop over time.

A cell's tensors have the shapes and the order of gates of torch's cells: i, f, g, o for an LSTM, r, z, n for a GRU.
The formulas: tfjs-layers/src/layers/recurrent.ts, keras/layers/rnn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import forward_ad

from .functions import Function, hard_sigmoid, linear, log_softmax, looked_on, softmax

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


def _leave_to_torch(function: Any) -> None:
    """Keep torch.compile out of a function, as it keeps out of nn.LSTM: its backends cannot follow the kernels.

    torch.compiler.disable does the same; but it imports the compiler, which takes longer than loading most models.
    """
    function._torchdynamo_disable = True
    frames: Any = torch._C._dynamo.eval_frame
    if hasattr(frames, "set_code_exec_strategy"):
        skip = frames._FrameExecStrategy(frames._FrameAction.SKIP, frames._FrameAction.DEFAULT)
        frames.set_code_exec_strategy(function.__code__, skip)
    elif hasattr(frames, "skip_code"):  # before torch 2.7
        frames.skip_code(function.__code__)


_leave_to_torch(run_stock)


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
    if drop is None and mask is None and _may_overwrite(cell, x, states, weights):
        return _overwriting(cell, x, states, weights)
    return _loop(cell, x, states, weights, mask, drop)


def one(x: Tensor) -> Tensor:
    """A hard sigmoid whose slope and offset are in the weights already."""
    return x.clamp(0, 1)


_OVER: Final[Mapping[Function, Function]] = {  # functions that can overwrite what they are given
    one: lambda x: x.clamp_(0, 1),
    linear: linear,
    torch.relu: torch.relu_,
    torch.sigmoid: torch.sigmoid_,
    torch.tanh: torch.tanh_,
}


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


def _bias_of_inputs(cell: Cell, weights: Weights) -> Tensor | None:
    """What does not depend on the state, of both biases."""
    if weights.bias_hh is None or (cell.kind == "GRU" and cell.two_biases):
        return weights.bias_ih
    return weights.bias_hh if weights.bias_ih is None else weights.bias_ih + weights.bias_hh


def _may_overwrite(cell: Cell, x: Tensor, states: States, weights: Weights) -> bool:
    """Whether the functions can, and nobody looks at the values in between: no gradients of either
    mode, no tracing, no autocast."""
    known = cell.activation in _OVER and cell.gate in _OVER and not (cell.kind == "GRU" and cell.two_biases)
    if not known or looked_on() or forward_ad._current_level >= 0:
        return False
    given = (x, *states, *(tensor for tensor in weights if tensor is not None))
    needed = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in given)
    return not needed and not torch.is_autocast_enabled(x.device.type)


def _overwriting(cell: Cell, x: Tensor, states: States, weights: Weights) -> Scanned:
    """All steps in the same memory. Units come first, then the batch: each gate is one piece, whatever the batch."""
    hh, units = weights.hh, cell.units
    given = _summands(x, weights.ih, _bias_of_inputs(cell, weights))
    if len(x) == 1 and len(given) > units // 4:
        hh = hh.t().contiguous().t()  # a matrix times one vector is faster so; over some steps that pays for the copy
    out = given.new_empty(len(given), units, len(x))
    h, *more = (state.t().clone(memory_format=torch.contiguous_format) for state in states)
    with torch.inference_mode():  # less to do for each of the many small operations; no tensor from in here gets out
        over: Any = {"SimpleRNN": _simple_over, "GRU": _gru_over, "LSTM": _lstm_over}[cell.kind]
        over(cell, given, hh, out, h, *more)
    return out.permute(2, 0, 1), (out[-1].t().clone(), *(state.t() for state in more))


def _summands(x: Tensor, ih: Tensor, bias: Tensor | None) -> Tensor:
    """What the inputs add to each step, the bias included: [time, gates * units, batch]."""
    batch, steps, features = x.shape
    if batch == 1:
        return F.linear(x[0], ih, bias).unsqueeze(2)
    summand = x.new_zeros(1, 1) if bias is None else bias.unsqueeze(1)
    made = torch.addmm(summand, ih, x.permute(2, 1, 0).reshape(features, -1))
    return made.view(-1, steps, batch).transpose(0, 1)


def _simple_over(cell: Cell, given: Tensor, hh: Tensor, out: Tensor, h: Tensor) -> None:
    activation = _OVER[cell.activation]
    for x, h_next in zip(given.unbind(), out.unbind(), strict=True):
        h = activation(torch.addmm(x, hh, h, out=h_next))


def _lstm_over(cell: Cell, given: Tensor, hh: Tensor, out: Tensor, h: Tensor, c: Tensor) -> None:
    """Leaves the last cell state in c."""
    gate, activation = _OVER[cell.gate], _OVER[cell.activation]
    total = given.new_empty(given.shape[1:])
    gates, (i, f, o, g) = total[: 3 * cell.units], total.chunk(4)
    for x, h_next in zip(given.unbind(), out.unbind(), strict=True):
        torch.addmm(x, hh, h, out=total)
        gate(gates)
        c.mul_(f).addcmul_(i, activation(g))
        h = torch.mul(o, cell.activation(c), out=h_next)


def _gru_over(cell: Cell, given: Tensor, hh: Tensor, out: Tensor, h: Tensor) -> None:
    gate, activation, split = _OVER[cell.gate], _OVER[cell.activation], 2 * cell.units
    gates, n, kept = given.new_empty(split, h.shape[1]), torch.empty_like(h), torch.empty_like(h)
    (r, z), of_gates, of_inner = gates.chunk(2), hh[:split], hh[split:]
    for x, x_inner, h_next in zip(given[:, :split].unbind(), given[:, split:].unbind(), out.unbind(), strict=True):
        gate(torch.addmm(x, of_gates, h, out=gates))
        torch.mul(r, h, out=kept)
        activation(torch.addmm(x_inner, of_inner, kept, out=n))
        h = torch.lerp(n, h, z, out=h_next)


Step: TypeAlias = "Callable[[Tensor, States], States]"


def _loop(cell: Cell, x: Tensor, states: States, weights: Weights, mask: Tensor | None, drop: Tensor | None) -> Scanned:
    step = {"SimpleRNN": _simple_step, "GRU": _gru_step, "LSTM": _lstm_step}[cell.kind](cell, weights)
    projected = F.linear(x.transpose(0, 1), weights.ih, _bias_of_inputs(cell, weights))
    given: Iterable[Tensor | None] = [None] * len(projected) if mask is None else mask.unsqueeze(2).unbind(1)
    outputs = []
    for summand, here in zip(projected.unbind(), given, strict=True):
        before = states
        states = step(summand, before if drop is None else (before[0] * drop, *before[1:]))
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
    turned, activation, sizes = weights.hh.t(), cell.activation, (3 * cell.units, cell.units)

    def step(x: Tensor, states: States) -> States:
        gates, inner = torch.addmm(x, states[0], turned).split(sizes, 1)  # one node of autograd; two slices are slower
        i, f, o = _gates_of(cell.gate, gates, 3)
        c = torch.addcmul(f * states[1], i, activation(inner))
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
        return (torch.addcmul(n, z, h - n),)

    def after(x: Tensor, states: States) -> States:
        (h,) = states
        given = h @ turned if bias is None else torch.addmm(bias, h, turned)
        r, z = _gates_of(gate, x[:, : 2 * units] + given[:, : 2 * units], 2)
        n = activation(x[:, 2 * units :] + r * given[:, 2 * units :])
        return (torch.addcmul(n, z, h - n),)

    return after if cell.two_biases else before
