"""A layers-model's JSON -> which layer is called with what, in the order in which tf.js computes.

Every reference is resolved here, so that nothing later meets a missing one (tf.js itself loops for ever on some).
Read are the forms of tf.js, of Keras 1 and 2 (lists) and of Keras 3 (dicts with __keras_tensor__).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any, NamedTuple

from .errors import TopologyError
from .references import Call, Ref, as_ref, call_of, listed
from .topology import MODELS, model_node

Shape = tuple["int | None", ...]


class Input(NamedTuple):
    """An input of a model: its name, its shape (None is left open), its dtype, and where its value goes."""

    name: str
    shape: Shape | None
    dtype: str
    ref: Ref


class Node(NamedTuple):
    """A layer as the JSON has it: name, class and config; for a nested model also its wiring."""

    name: str
    class_name: str
    config: dict[str, Any]
    where: str
    model: Wiring | None = None


class Wiring(NamedTuple):
    """A whole model: layers in the order of the file, calls in the order of computation."""

    name: str
    class_name: str
    nodes: tuple[Node, ...]
    inputs: tuple[Input, ...]
    calls: tuple[Call, ...]
    outputs: tuple[Ref, ...]
    where: str
    renumbered: tuple[str, ...] = ()


def wiring_of(topology: Any, where: str = "modelTopology", keras: bool = False) -> Wiring:
    """Parse a layers-model.

    Args:
        topology: the modelTopology.
        where: its place, for messages.
        keras: whether a layer's calls are counted in the order of the file, as Keras does. tf.js counts them in the
            order in which their inputs are ready; `renumbered` names the layers for which that makes a difference.

    Raises:
        TopologyError: the JSON is no layers-model, or refers to what is not there.

    Example:
        >>> from tfjs_torch.wiring import wiring_of
        >>> dense = {"class_name": "Dense", "config": {"name": "d", "units": 2, "batch_input_shape": [None, 3]}}
        >>> model = wiring_of({"class_name": "Sequential", "config": [dense]})
        >>> model.inputs[0].name, model.inputs[0].shape, model.outputs
        ('d_input', (None, 3), (Ref(layer='d', call=0, output=0),))
    """
    try:
        return _wiring(model_node(topology), where, keras)
    except RecursionError:
        raise TopologyError(where, "models nested to a sane depth expected, found thousands") from None


def _wiring(model: Any, where: str, keras: bool) -> Wiring:
    class_name = model.get("class_name") if isinstance(model, dict) else None
    if class_name not in MODELS:
        raise TopologyError(where, f"a model of class {', '.join(MODELS)} expected, found {class_name!r}")
    config = model.get("config")
    layers = config.get("layers") if isinstance(config, dict) else config
    if not isinstance(layers, list) or not layers:
        raise TopologyError(where, 'a config with a list of "layers" expected; export the model again')
    name = (config.get("name") if isinstance(config, dict) else None) or model.get("name")
    name = name if isinstance(name, str) else class_name.lower()
    nodes = _named([node_of(layer, f"{where}.layers[{i}]", keras=keras) for i, layer in enumerate(layers)])
    _check_unique(nodes, where)
    functional = isinstance(config, dict) and ("input_layers" in config or "output_layers" in config)
    if class_name == "Sequential" or not functional:
        return _sequential(name, class_name, nodes, where)
    return _functional(name, class_name, nodes, layers, config, where, keras)


def node_of(layer: Any, where: str, name: str | None = None, keras: bool = False) -> Node:
    """A layer's JSON as a Node; `name` is for one that has none.

    Raises:
        TopologyError: it is no layer.
    """
    if not isinstance(layer, dict) or not isinstance(layer.get("class_name"), str):
        raise TopologyError(where, 'a layer with a "class_name" expected')
    config = layer.get("config")
    model = _wiring(layer, where, keras) if layer["class_name"] in MODELS else None
    if model is None and not isinstance(config, dict):
        raise TopologyError(where, f'a layer with a "config" expected, found {config!r:.60}')
    config = config if isinstance(config, dict) else {}
    name = config.get("name", layer.get("name")) or name
    if model is None and (not isinstance(name, str) or not name):
        raise TopologyError(where, f"a layer with a name expected, found {name!r}")
    return Node(name if isinstance(name, str) else "", layer["class_name"], config, where, model)


def _named(nodes: Sequence[Node]) -> tuple[Node, ...]:
    """Nested models whose config is a bare list have no name; tf.js counts them, too."""
    taken = {node.name for node in nodes}
    named = []
    for node in nodes:
        if not node.name:
            free = (f"{node.class_name.lower()}_{i}" for i in count(1))
            node = node._replace(name=next(name for name in free if name not in taken))
            taken.add(node.name)
        named.append(node)
    return tuple(named)


def _check_unique(nodes: Sequence[Node], where: str) -> None:
    seen: set[str] = set()
    for node in nodes:
        if node.name in seen:
            raise TopologyError(where, f"layers with different names expected, found two called {node.name!r}")
        seen.add(node.name)


def _sequential(name: str, class_name: str, nodes: tuple[Node, ...], where: str) -> Wiring:
    first = nodes[0]
    if first.class_name == "InputLayer":
        given = _input(first)
        rest = nodes[1:]
    else:
        shape, dtype = _input_of_first(first)
        given = Input(f"{first.name}_input", shape, dtype, Ref(f"{first.name}_input", 0, 0))
        rest = nodes
    calls, ref = [], given.ref
    for node in rest:
        calls.append(Call(node.name, 0, (ref,), {}, {}))
        ref = Ref(node.name, 0, 0)
    return Wiring(name, class_name, nodes, (given,), tuple(calls), (ref,), where)


def _input_of_first(node: Node) -> tuple[Shape | None, str]:
    """The shape that a Sequential without an InputLayer takes: its first layer's, or that one's first layer's."""
    shape = _batch_shape(node)
    if shape is None and node.model:
        return node.model.inputs[0].shape, node.model.inputs[0].dtype
    if shape is None and "input_dim" in node.config and "output_dim" in node.config:  # an Embedding says it so
        shape = (None, node.config.get("input_length") if isinstance(node.config.get("input_length"), int) else None)
    dtype = node.config.get("dtype")
    return shape, dtype if isinstance(dtype, str) else "float32"


def _input(node: Node) -> Input:
    dtype = node.config.get("dtype")
    return Input(node.name, _batch_shape(node), dtype if isinstance(dtype, str) else "float32", Ref(node.name, 0, 0))


def _batch_shape(node: Node) -> Shape | None:
    for key in ("batch_input_shape", "batch_shape"):
        shape = node.config.get(key)
        if shape is None:
            continue
        if not isinstance(shape, list) or not all(_is_size(size) for size in shape):
            raise TopologyError(node.where, f"{key}: a list of sizes and nulls expected, found {shape!r:.60}")
        return tuple(shape)
    return None


def _is_size(value: Any) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0)


def _functional(
    name: str,
    class_name: str,
    nodes: tuple[Node, ...],
    layers: list[Any],
    config: dict[str, Any],
    where: str,
    keras: bool,
) -> Wiring:
    known = {node.name: node for node in nodes}
    found: dict[tuple[str, int], Call] = {}
    for node, layer in zip(nodes, layers, strict=True):
        raw = layer.get("inbound_nodes", [])
        if not isinstance(raw, list):
            raise TopologyError(node.where, f"a list of inbound_nodes expected, found {raw!r:.60}")
        for index, call in enumerate(raw):
            found[node.name, index] = call_of(node.name, index, call, known, f"{node.where}.inbound_nodes[{index}]")
    inputs = [as_ref(item, known, f"{where}.input_layers") for item in listed(config.get("input_layers"))]
    outputs = [as_ref(item, known, f"{where}.output_layers") for item in listed(config.get("output_layers"))]
    if not inputs or not outputs:
        raise TopologyError(where, "input_layers and output_layers expected, found none; export the model again")
    first = _first_calls(nodes, layers, [ref for call in found.values() for ref in call.inputs])
    calls: Mapping[tuple[str, int], Call] = {
        key: call._replace(inputs=tuple(_moved(r, first) for r in call.inputs)) for key, call in found.items()
    }
    calls, renumbered = (calls, ()) if keras else _counted_as_ready(nodes, calls)
    first = _first_calls(nodes, [{}] * len(nodes), outputs)
    outputs = [_moved(ref, first) for ref in outputs]
    given = [_input_at(ref, known, where) for ref in inputs]
    ordered = _ordered(calls, outputs, {entry.ref for entry in given}, known, where)
    return Wiring(name, class_name, nodes, tuple(given), tuple(ordered), tuple(outputs), where, renumbered)


def _counted_as_ready(
    nodes: Sequence[Node], calls: Mapping[tuple[str, int], Call]
) -> tuple[Mapping[tuple[str, int], Call], tuple[str, ...]]:
    """The calls under the numbers that tf.js gives them while it loads: a call whose inputs are not there yet waits.

    (engine/container.ts goes through the layers again and again.) And the layers for which that is another order.
    """
    made = {node.name: int(node.class_name == "InputLayer") for node in nodes}
    waiting = {node.name: [call for key, call in calls.items() if key[0] == node.name] for node in nodes}
    counted: dict[tuple[str, int], Call] = {}
    while any(waiting.values()):
        before = len(counted)
        for name, own in waiting.items():
            waiting[name] = []
            for call in own:
                if all(ref.call < made[ref.layer] for ref in call.inputs):
                    counted[name, made[name]] = call._replace(number=made[name])
                    made[name] += 1
                else:
                    waiting[name].append(call)
        if len(counted) == before:  # tf.js goes on for ever; what is wrong is told when the calls are put in order
            return calls, ()
    moved = {key[0] for key, call in counted.items() if key not in calls or call.inputs != calls[key].inputs}
    return counted, tuple(name for name in waiting if name in moved)


def _input_at(ref: Ref, known: Mapping[str, Node], where: str) -> Input:
    node = known[ref.layer]
    if node.class_name != "InputLayer":
        raise TopologyError(where, f"an InputLayer among input_layers expected, found {ref.layer!r}, {node.class_name}")
    return _input(node)


def _first_calls(nodes: Sequence[Node], layers: Sequence[Any], refs: Sequence[Ref]) -> dict[str, int]:
    """What a nested model's first call is called: 1 where its own construction counts as call 0, as in tf.js.

    Keras 3 counts so among the outputs of a model, but not between its layers.
    """
    first = {}
    for node, layer in zip(nodes, layers, strict=True):
        if not node.model:
            continue
        calls = layer.get("inbound_nodes") or []
        used = [ref.call for ref in refs if ref.layer == node.name]
        counts_from_0 = 0 in used or (
            any(isinstance(call, dict) for call in calls) and max(used, default=0) < len(calls)
        )
        first[node.name] = 0 if counts_from_0 else 1
    return first


def _moved(ref: Ref, first: Mapping[str, int]) -> Ref:
    return ref._replace(call=ref.call - first.get(ref.layer, 0))


def _ordered(
    calls: Mapping[tuple[str, int], Call],
    outputs: Sequence[Ref],
    given: set[Ref],
    known: Mapping[str, Node],
    where: str,
) -> list[Call]:
    """The calls that the outputs need, inputs first, in tf.js' own order (its masks depend on it)."""
    ordered: list[Call] = []
    done: set[tuple[str, int]] = {(ref.layer, ref.call) for ref in given}
    open_: set[tuple[str, int]] = set()
    for output in outputs:
        stack = [(output.layer, output.call)]
        while stack:
            key = stack[-1]
            if key in done:
                stack.pop()
                continue
            of_input = known[key[0]].class_name == "InputLayer"
            if key not in calls or of_input:
                said = "an InputLayer that is no input of the model" if of_input else ""
                raise TopologyError(where, f"call {key[1]} of layer {key[0]!r} expected, found {said or 'none'}")
            if key in open_:
                stack.pop()
                open_.discard(key)
                done.add(key)
                ordered.append(calls[key])
                continue
            open_.add(key)
            for ref in calls[key].inputs:
                before = (ref.layer, ref.call)
                if before in open_:
                    raise TopologyError(where, f"layers without a cycle expected, found one through {ref.layer!r}")
                if before not in done:
                    stack.append(before)
    return ordered
