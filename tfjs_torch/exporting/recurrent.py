"""LSTM and RNN: one layer of tf.js for each of torch's, Bidirectional around it where there are two directions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final, TypeAlias

from torch import Tensor, nn

from ..layout import Permute, SummedBiases
from . import configs
from .graph import Key, Record, Symbol
from .registry import module
from .site import Site, is_trainable
from .values import Span, States, Value

Recurrent: TypeAlias = "nn.LSTM | nn.RNN"

_CLASS: Final = {nn.LSTM: ("LSTM", "lstm", "tanh"), nn.RNN: ("SimpleRNN", "simple_rnn", "")}


@module(nn.LSTM, nn.RNN)
def recurrent(site: Site, module: Recurrent, x: Value, hx: Any = None) -> Any:
    """(output, h_n), or (output, (h_n, c_n)), as torch gives them."""
    if not isinstance(x, Value) or x.rank != 3:
        site.refuse("one padded tensor [batch, time, features] expected; tf.js has no packed sequences")
    if getattr(module, "proj_size", 0):
        site.refuse(f"proj_size=0 expected, found {module.proj_size}; tf.js' LSTM has no projection")
    _refuse_states(site, hx)
    x = site.arrange(x, (0, 1, 2) if module.batch_first else (1, 0, 2))
    wanted = _uses_output(site)
    symbol, states, cells = x.symbol, [], []
    for layer in range(module.num_layers):
        top = layer == module.num_layers - 1
        if layer and module.dropout:
            config = {"rate": module.dropout, "noise_shape": None, "seed": None}
            symbol = site.emit("Dropout", config, [symbol], symbol.shape, part=f"dropout{layer}")
        symbol = _layer(site, module, symbol, layer)
        batch = x.shape[x.order[0]]  # type: ignore[index]
        finals, last_cells = _states(module, symbol, batch, whole=top and not wanted)
        states += finals
        cells += last_cells
    time, both = symbol.shape
    shape = (batch, time, both) if module.batch_first else (time, batch, both)
    last = None if module.bidirectional else (1 if module.batch_first else 0, states[-1])
    output = replace(x.become(symbol, shape=shape), last=last)
    return (output, (States(states), States(cells))) if isinstance(module, nn.LSTM) else (output, States(states))


def _refuse_states(site: Site, hx: Any) -> None:
    for state in hx if isinstance(hx, (tuple, list)) and not isinstance(hx, States) else (hx,):
        if state is not None and not (isinstance(state, Tensor) and not bool(state.any())):
            site.refuse("initial states of zeros expected; others are not exported")


def _uses_output(site: Site) -> bool:
    """Whether anything but the last states is used."""
    users = site.node.users if site.node else ()
    return any(user.args[1:] != (1,) and user.users for user in users)


def _layer(site: Site, module: Recurrent, x: Symbol, layer: int) -> Symbol:
    class_name, name, activation = _CLASS[type(module)]
    config = configs.recurrent(
        class_name, module.hidden_size, activation or str(getattr(module, "nonlinearity", "tanh")), module.bias
    )
    weights = _weights(module, f"_l{layer}")
    units = module.hidden_size
    if module.bidirectional:
        back = _weights(module, f"_l{layer}_reverse")
        weights = {f"{way}_{name}/{key}": tensor for way, of in (("forward", weights), ("backward", back))
                   for key, tensor in of.items()}  # fmt: skip
        inner = {"class_name": class_name, "config": {**config, "name": name, "trainable": is_trainable(module)}}
        class_name, config, units = "Bidirectional", {"merge_mode": "concat", "layer": inner}, 2 * units
    return site.emit(
        class_name, config, [x], (x.shape[0], units), part=f"l{layer}" if module.num_layers > 1 else "",
        weights=weights, trainable=is_trainable(module), key="sequence", settle=_settle,
    )  # fmt: skip


def _weights(module: Recurrent, suffix: str) -> dict[str, Tensor]:
    turned = Permute(1, 0)
    (kernel,) = turned.to_tfjs(getattr(module, f"weight_ih{suffix}").detach())
    (recurrent,) = turned.to_tfjs(getattr(module, f"weight_hh{suffix}").detach())
    if not module.bias:
        return {"kernel": kernel, "recurrent_kernel": recurrent}
    pair = (getattr(module, f"bias_{way}{suffix}").detach() for way in ("ih", "hh"))
    return {"kernel": kernel, "recurrent_kernel": recurrent, "bias": SummedBiases().to_tfjs(*pair)[0]}


def _states(module: Recurrent, symbol: Symbol, batch: int, whole: bool) -> tuple[list[Value], list[Value]]:
    """The last hidden states and cells of each direction; `whole` when tf.js may give both directions joined."""
    units = module.hidden_size

    def state(key: Key, size: int = units, span: Span | None = None) -> Value:
        return Value((batch, size), (0, 1), replace(symbol, shape=(size,), key=key), span=span)

    directions = range(2 if module.bidirectional else 1)
    cells = [state(f"c{way}") for way in directions]
    if not module.bidirectional:
        return [state("final")], cells
    joined = state("final", 2 * units) if whole else None
    spans = [Span(joined, 1, way * units, (way + 1) * units) if joined else None for way in directions]
    return [state(f"h{way}", span=spans[way]) for way in directions], cells


def _settle(record: Record, used: set[Key]) -> dict[Key, int]:
    """return_sequences and return_state, and at which place tf.js gives what is used."""
    config = record.config["layer"]["config"] if "layer" in record.config else record.config
    config["return_sequences"] = "sequence" in used
    if len(used) == 1 and used <= {"sequence", "final"}:
        return dict.fromkeys(used, 0)
    config["return_state"] = True
    lstm = "recurrent_activation" in config
    if "layer" not in record.config:
        return {"sequence": 0, "final": 1, "c0": 2}
    states: list[Key] = ["h0", "c0", "h1", "c1"] if lstm else ["h0", "h1"]
    return {"sequence" if "sequence" in used else "final": 0, **{key: i + 1 for i, key in enumerate(states)}}
