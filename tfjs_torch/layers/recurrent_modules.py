"""Recurrent layers as modules: torch's own where they are exact, else ours with the same keys and shapes.

`forward` takes [batch, time, features], then the initial states if the model gives any, and gives the output, or
[output, *states] with return_state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor, nn

from ..errors import MismatchError
from .functions import looked_on, name_of
from .recurrent_cells import GATES, STATES, Cell, States, Weights, run_cell, run_stock, stock


class Settings(NamedTuple):
    """What a recurrent layer does around its cell.

    Attributes:
        where: the layer, for messages.
        keras: Keras' rule for masks: steps before the first valid one are zeros, not the initial state.
        merge: how two directions are joined: "concat", "sum", "ave", "mul", or None for two outputs.
        keras_3: Keras 3's rules for states; Keras 2 prefers kept ones to given ones unless they are all zeros.
    The others are the options of that name.
    """

    where: str
    keras: bool
    return_sequences: bool = False
    return_state: bool = False
    go_backwards: bool = False
    stateful: bool = False
    time_major: bool = False
    zero_output_for_mask: bool = False
    merge: str | None = "concat"
    keras_3: bool = False


class Recurrent:
    """What all recurrent modules share: states that are given or kept, masks, and the order of the outputs."""

    settings: Settings
    _kept: States | None = None

    def forward(self, x: Tensor, *states: Tensor, mask: Any = None) -> Any:
        settings = self.settings
        if isinstance(mask, (list, tuple)):  # one for each input: Keras 3 hands none on when states are given
            mask = None if settings.keras_3 else mask[0]
        if settings.time_major:
            x, mask = x.transpose(0, 1), None if mask is None else mask.transpose(0, 1)
        if mask is not None:
            mask = checked_mask(mask, x, settings)
        outputs, last = self._run(x, self._initial(x, states), mask)
        if settings.stateful:
            self._kept = tuple(state.detach() for state in last)
        if settings.time_major and settings.return_sequences:
            outputs = [output.transpose(0, 1) for output in outputs]
        if settings.return_state:
            return [*outputs, *last]
        return outputs[0] if len(outputs) == 1 else outputs

    def forget(self) -> None:
        """Start from zeros again; without an effect unless the layer is stateful."""
        self._kept = None

    def compute_mask(self, inputs: list[Tensor], masks: list[Any]) -> Any:
        mask = masks[0] if self.settings.return_sequences else None
        if not self.settings.keras:  # tf.js gives the output's mask to the states, too
            return mask
        return [mask, mask, None] if self.settings.merge is None else [mask, None]

    def _initial(self, x: Tensor, given: States) -> States:
        kept = self._kept if self.settings.stateful else None
        keras_2 = self.settings.keras and not self.settings.keras_3
        if given and kept and keras_2 and any(bool(state.any()) for state in kept):
            given = ()
        if not given and kept is None:
            return self._zeros(x)
        states = given or tuple(state.to(x) for state in kept or ())
        wanted = self._state_shapes(x)
        found = [tuple(state.shape) for state in states]
        if found != wanted:
            origin = "initial" if given else "kept"
            advice = "" if given else "; call reset_states() before another batch size"
            raise MismatchError(
                self.settings.where, f"{origin} states of the shapes {_listed(wanted)} expected, "
                f"found {_listed(found)}{advice}",
            )  # fmt: skip
        return states

    def _zeros(self, x: Tensor) -> States:
        return tuple(x.new_zeros(shape) for shape in self._state_shapes(x))

    def _state_shapes(self, x: Tensor) -> list[tuple[int, ...]]:
        raise NotImplementedError

    def _run(self, x: Tensor, states: States, mask: Tensor | None) -> tuple[list[Tensor], States]:
        """The outputs (two where directions are not merged), and the last states."""
        raise NotImplementedError

    def _finished(self, out: Tensor, mask: Tensor | None, backwards: bool) -> Tensor:
        """All steps in the order of the work -> what the layer gives; the mask is in the order of the work, too."""
        settings = self.settings
        if mask is not None and settings.keras:
            shown = mask if settings.zero_output_for_mask else mask.cumsum(1) > 0
            shown = shown.reshape(*shown.shape, *[1] * (out.dim() - 2))
            out = torch.where(shown, out, torch.zeros((), dtype=out.dtype, device=out.device))
        if not settings.return_sequences:
            return out[:, -1]
        return out.flip(1) if backwards else out


def checked_mask(mask: Tensor, x: Tensor, settings: Settings) -> Tensor:
    """[batch, time] of bools; tf.js takes the first steps of a longer one.

    Raises:
        MismatchError: a mask of other samples or of fewer steps.
    """
    mask = mask.squeeze(2) if mask.dim() == 3 and mask.shape[2] == 1 else mask
    steps = x.shape[1]
    fits = mask.dim() == 2 and mask.shape[0] == x.shape[0]
    if not fits or mask.shape[1] < steps or (settings.keras and mask.shape[1] != steps):
        raise MismatchError(
            settings.where,
            f"a mask of {x.shape[0]} samples and {steps} steps expected, found the shape {list(mask.shape)}"
            + ("" if settings.keras else "; tf.js hands the last mask on to every later layer"),
        )
    return mask.bool()


def turned(x: Tensor, mask: Tensor | None, backwards: bool) -> tuple[Tensor, Tensor | None]:
    """Input and mask in the order of the work."""
    steps = x.shape[1]
    if backwards:
        x, mask = x.flip(1), None if mask is None else mask.flip(1)
    return x, None if mask is None else mask[:, :steps]


def merged(forward: Tensor, backward: Tensor, merge: str | None) -> list[Tensor]:
    """The outputs of two directions joined."""
    if merge is None:
        return [forward, backward]
    if merge == "concat":
        return [torch.cat([forward, backward], -1)]
    if merge == "mul":
        return [forward * backward]
    return [(forward + backward) * 0.5] if merge == "ave" else [forward + backward]


class Layered(Recurrent):
    """One cell, or one for each direction, whose tensors are called as in torch: weight_ih_l0, ..._reverse."""

    directions: tuple[Cell, ...]
    training: bool
    _flat_weights_names: list[str]

    def setup(self, directions: tuple[Cell, ...], settings: Settings) -> None:
        self.directions = directions
        self.settings = settings
        if directions[0].bias and not directions[0].two_biases:
            for name in ("bias_hh_l0", "bias_hh_l0_reverse")[: len(directions)]:
                getattr(self, name).requires_grad_(False)  # tf.js has one bias; a second one would learn twice as fast

    def extra_repr(self) -> str:
        cell = self.directions[0]
        said = super().extra_repr()  # type: ignore[misc]
        if stock(cell) is None:
            said += f", activation={name_of(cell.activation)}"
            said += f", gates={name_of(cell.gate)}" if GATES[cell.kind] > 1 else ""
        return str(said)

    def _state_shapes(self, x: Tensor) -> list[tuple[int, ...]]:
        cell = self.directions[0]
        return [(x.shape[0], cell.units)] * (STATES[cell.kind] * len(self.directions))

    def _run(self, x: Tensor, states: States, mask: Tensor | None) -> tuple[list[Tensor], States]:
        if mask is not None and not (mask.is_meta or looked_on()) and bool(mask[:, : x.shape[1]].all()):
            mask = None
        if len(self.directions) == 2:
            return self._run_both(x, states, mask)
        x, mask = turned(x, mask, self.settings.go_backwards)
        out, last = run_cell(self.directions[0], x, states, self._weights(0), mask, self.training)
        return [self._finished(out, mask, False)], last

    def _run_both(self, x: Tensor, states: States, mask: Tensor | None) -> tuple[list[Tensor], States]:
        first, second = self.directions
        backwards = self.settings.go_backwards
        mode = stock(first)
        drops = self.training and _drops(first, second)
        if mode is not None and mode == stock(second) and mask is None and not drops:
            return self._run_both_at_once(mode, x.flip(1) if backwards else x, states)
        half = len(states) // 2
        x_1, mask_1 = turned(x, mask, backwards)
        x_2, mask_2 = turned(x, mask, not backwards)
        out_1, last_1 = run_cell(first, x_1, states[:half], self._weights(0), mask_1, self.training)
        out_2, last_2 = run_cell(second, x_2, states[half:], self._weights(1), mask_2, self.training)
        forward, backward = self._finished(out_1, mask_1, False), self._finished(out_2, mask_2, True)
        return merged(forward, backward, self.settings.merge), (*last_1, *last_2)

    def _run_both_at_once(self, mode: str, x: Tensor, states: States) -> tuple[list[Tensor], States]:
        half, merge = len(states) // 2, self.settings.merge
        paired = tuple(torch.stack((a, b)) for a, b in zip(states[:half], states[half:], strict=True))
        out, last = run_stock(mode, x, paired, self._given(), self.directions[0].bias, True)
        flat = (*(state[0] for state in last), *(state[1] for state in last))
        if not self.settings.return_sequences:
            return merged(last[0][0], last[0][1], merge), flat
        if merge == "concat":
            return [out], flat
        forward, backward = out.chunk(2, 2)
        return merged(forward, backward, merge), flat

    def _weights(self, direction: int) -> Weights:
        given = self._given()
        count = len(given) // len(self.directions)
        return Weights(*given[direction * count : (direction + 1) * count])

    def _given(self) -> list[Tensor]:
        return [getattr(self, name) for name in self._flat_weights_names]  # not _flat_weights: that may be outdated


def _drops(*cells: Cell) -> bool:
    return any(cell.dropout > 0 or cell.recurrent_dropout > 0 for cell in cells)


class StockLSTM(Layered, nn.LSTM):  # type: ignore[misc]
    """nn.LSTM, called as tf.js calls it."""


class StockGRU(Layered, nn.GRU):  # type: ignore[misc]
    """nn.GRU, called as tf.js calls it."""


class StockRNN(Layered, nn.RNN):  # type: ignore[misc]
    """nn.RNN, called as tf.js calls it."""


class OwnRecurrent(Layered, nn.RNNBase):
    """A cell that torch has not, with the keys and shapes of the one that is nearest."""


_STOCK: Final[dict[str, Callable[..., Any]]] = {
    "LSTM": StockLSTM,
    "GRU": StockGRU,
    "RNN_TANH": StockRNN,
    "RNN_RELU": StockRNN,
}


def layered(directions: tuple[Cell, ...], inputs: int, settings: Settings) -> nn.Module:
    """The module of one cell, or of two directions of the same kind, width and bias; on the meta device."""
    cell = directions[0]
    modes = {stock(each) for each in directions}
    mode = modes.pop() if len(modes) == 1 else None
    options: dict[str, Any] = {
        "bias": cell.bias,
        "batch_first": True,
        "bidirectional": len(directions) == 2,
        "device": "meta",
    }
    if mode is None:
        near = {"SimpleRNN": "RNN_TANH"}.get(cell.kind, cell.kind)
        module: Any = OwnRecurrent(near, inputs, cell.units, **options)
    else:
        nonlinearity = {"nonlinearity": mode[4:].lower()} if mode.startswith("RNN") else {}
        module = _STOCK[mode](inputs, cell.units, **options, **nonlinearity)
    module.setup(directions, settings)
    return module  # type: ignore[no-any-return]


class CellModule(nn.RNNCellBase):
    """One cell with the keys of nn.LSTMCell. forward(x, *states) makes one step: [output, *states]."""

    def __init__(self, cell: Cell, inputs: int) -> None:
        super().__init__(inputs, cell.units, cell.bias, GATES[cell.kind], device="meta")
        self.cell = cell
        if cell.bias and not cell.two_biases:
            self.bias_hh.requires_grad_(False)

    def forward(self, x: Tensor, *states: Tensor, mask: Any = None) -> list[Tensor]:
        if not states:
            states = tuple(x.new_zeros(len(x), self.cell.units) for _ in range(STATES[self.cell.kind]))
        out, last = self.over(x.unsqueeze(1), states, None)
        return [out[:, 0], *last]

    def over(self, x: Tensor, states: States, mask: Tensor | None) -> tuple[Tensor, States]:
        """A whole sequence, see run_cell."""
        given = [tensor for tensor in (self.bias_ih, self.bias_hh) if tensor is not None]
        return run_cell(self.cell, x, states, Weights(self.weight_ih, self.weight_hh, *given), mask, self.training)


class Stack(Recurrent, nn.Module):
    """Cells above each other, `cells.0` the lowest. A masked step is left out by all of them."""

    def __init__(self, cells: Sequence[CellModule], settings: Settings, reverse_states: bool) -> None:
        super().__init__()
        self.cells = nn.ModuleList(cells)
        self.settings = settings
        self.reverse_states = reverse_states

    def _state_shapes(self, x: Tensor) -> list[tuple[int, ...]]:
        return [(x.shape[0], cell.units) for cell in self._order() for _ in range(STATES[cell.kind])]

    def _order(self) -> list[Cell]:
        """The cells in the order of the states: tf.js begins with the highest."""
        cells: list[Any] = [module.cell for module in self.cells]
        return cells[::-1] if self.reverse_states else cells

    def _run(self, x: Tensor, states: States, mask: Tensor | None) -> tuple[list[Tensor], States]:
        x, mask = turned(x, mask, self.settings.go_backwards)
        left, split = list(states), []
        for cell in self._order():
            split.append(tuple(left[: STATES[cell.kind]]))
            del left[: STATES[cell.kind]]
        lasts: list[States] = []
        for module, given in zip(self.cells, split[::-1] if self.reverse_states else split, strict=True):
            x, last = module.over(x, given, mask)  # type: ignore[operator]
            lasts.append(last)
        ordered = lasts[::-1] if self.reverse_states else lasts
        return [self._finished(x, mask, False)], tuple(state for last in ordered for state in last)


def _listed(shapes: Sequence[tuple[int, ...]]) -> str:
    return ", ".join(str(list(shape)) for shape in shapes) or "none"
