"""A layers-model's JSON -> which layer is called with what, in the order in which tf.js computes.

Every reference is resolved here, so that nothing later meets a missing one (tf.js itself loops for ever on some).
Read are the forms of tf.js, of Keras 1 and 2 (lists) and of Keras 3 (dicts with __keras_tensor__).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any, Final, NamedTuple

from .errors import TopologyError
from .topology import MODELS, model_node

Shape = tuple["int | None", ...]

_MOST_OUTPUTS: Final = 1000  # no layer of a real model comes near


class Ref(NamedTuple):
    """One output of one call of a layer."""

    layer: str
    call: int
    output: int


class Call(NamedTuple):
    """A layer applied to tensors.

    Attributes:
        layer: the layer's name.
        number: which call of this layer it is, from 0.
        inputs: the tensors, in the order of the arguments; those given by keyword come last.
        keywords: what was given by keyword: plain values, and {name: [positions in inputs]} in `placed`.
    """

    layer: str
    number: int
    inputs: tuple[Ref, ...]
    keywords: Mapping[str, Any]
    placed: Mapping[str, tuple[int, ...]]


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


def wiring_of(topology: Any, where: str = "modelTopology") -> Wiring:
    """Parse a layers-model.

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
        return _wiring(model_node(topology), where)
    except RecursionError:
        raise TopologyError(where, "models nested to a sane depth expected, found thousands") from None


def _wiring(model: Any, where: str) -> Wiring:
    class_name = model.get("class_name") if isinstance(model, dict) else None
    if class_name not in MODELS:
        raise TopologyError(where, f"a model of class {', '.join(MODELS)} expected, found {class_name!r}")
    config = model.get("config")
    layers = config.get("layers") if isinstance(config, dict) else config
    if not isinstance(layers, list) or not layers:
        raise TopologyError(where, 'a config with a list of "layers" expected; export the model again')
    name = (config.get("name") if isinstance(config, dict) else None) or model.get("name")
    name = name if isinstance(name, str) else class_name.lower()
    nodes = _named([node_of(layer, f"{where}.layers[{i}]") for i, layer in enumerate(layers)])
    _check_unique(nodes, where)
    functional = isinstance(config, dict) and ("input_layers" in config or "output_layers" in config)
    if class_name == "Sequential" or not functional:
        return _sequential(name, class_name, nodes, where)
    return _functional(name, class_name, nodes, layers, config, where)


def node_of(layer: Any, where: str, name: str | None = None) -> Node:
    """A layer's JSON as a Node; `name` is for one that has none.

    Raises:
        TopologyError: it is no layer.
    """
    if not isinstance(layer, dict) or not isinstance(layer.get("class_name"), str):
        raise TopologyError(where, 'a layer with a "class_name" expected')
    config = layer.get("config")
    model = _wiring(layer, where) if layer["class_name"] in MODELS else None
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
    name: str, class_name: str, nodes: tuple[Node, ...], layers: list[Any], config: dict[str, Any], where: str
) -> Wiring:
    known = {node.name: node for node in nodes}
    found: dict[tuple[str, int], Call] = {}
    for node, layer in zip(nodes, layers, strict=True):
        raw = layer.get("inbound_nodes", [])
        if not isinstance(raw, list):
            raise TopologyError(node.where, f"a list of inbound_nodes expected, found {raw!r:.60}")
        for index, call in enumerate(raw):
            found[node.name, index] = _call(node.name, index, call, known, f"{node.where}.inbound_nodes[{index}]")
    inputs = [_as_ref(item, known, f"{where}.input_layers") for item in _listed(config.get("input_layers"))]
    outputs = [_as_ref(item, known, f"{where}.output_layers") for item in _listed(config.get("output_layers"))]
    if not inputs or not outputs:
        raise TopologyError(where, "input_layers and output_layers expected, found none; export the model again")
    first = _first_calls(nodes, layers, [ref for call in found.values() for ref in call.inputs])
    calls = {key: call._replace(inputs=tuple(_moved(r, first) for r in call.inputs)) for key, call in found.items()}
    first = _first_calls(nodes, [{}] * len(nodes), outputs)
    outputs = [_moved(ref, first) for ref in outputs]
    given = [_input_at(ref, known, where) for ref in inputs]
    ordered = _ordered(calls, outputs, {entry.ref for entry in given}, known, where)
    return Wiring(name, class_name, nodes, tuple(given), tuple(ordered), tuple(outputs), where)


def _input_at(ref: Ref, known: Mapping[str, Node], where: str) -> Input:
    node = known[ref.layer]
    if node.class_name != "InputLayer":
        raise TopologyError(where, f"an InputLayer among input_layers expected, found {ref.layer!r}, {node.class_name}")
    return _input(node)


def _listed(value: Any) -> list[Any]:
    """[[name, call, output], ...]; Keras 3 writes a single one without the outer list, and dicts for named ones."""
    if isinstance(value, dict):  # Keras takes and gives what is named in the order of the names
        return [item for _, each in sorted(value.items()) for item in _listed(each)]
    if not isinstance(value, list):
        return []
    if _looks_like_ref(value) or not all(isinstance(each, (list, dict)) for each in value):
        return [value]  # a wrong one, too: its reader says what is wrong with it
    return [item for each in value for item in _listed(each)]


def _looks_like_ref(value: Any) -> bool:
    return (
        isinstance(value, list)
        and 3 <= len(value) <= 4
        and isinstance(value[0], str)
        and all(isinstance(item, int) and not isinstance(item, bool) for item in value[1:3])
    )


def _as_ref(value: Any, known: Mapping[str, Node], where: str) -> Ref:
    if not _looks_like_ref(value):
        raise TopologyError(where, f"[layer name, call, output] expected, found {value!r:.80}")
    name, call, output = value[:3]
    if name not in known:
        raise TopologyError(where, f"the name of a layer of this model expected, found {name!r}")
    outputs = 1 if known[name].class_name == "InputLayer" else _MOST_OUTPUTS
    if call < 0 or not 0 <= output < outputs:
        raise TopologyError(
            where, f"a call and an output that layer {name!r} may have expected, found {call} and {output}"
        )
    return Ref(name, call, output)


def _call(layer: str, index: int, raw: Any, known: Mapping[str, Node], where: str) -> Call:
    inputs: list[Ref] = []
    keywords: dict[str, Any] = {}
    if isinstance(raw, dict):  # Keras 3
        inputs += [_as_ref(ref, known, where) for ref in _keras_tensors(raw.get("args"))]
        keywords = raw["kwargs"] if isinstance(raw.get("kwargs"), dict) else {}
        given = raw["args"] if isinstance(raw.get("args"), list) else []
        keywords = {**{f"argument_{i}": x for i, x in enumerate(given) if not [*_keras_tensors(x)]}, **keywords}
    elif isinstance(raw, list):
        for item in _listed(raw):
            inputs.append(_as_ref(item, known, where))
            if len(item) > 3 and isinstance(item[3], dict):
                keywords = {**keywords, **item[3]}
    else:
        raise TopologyError(where, f"a list of inputs expected, found {raw!r:.80}")
    plain, placed = {}, {}
    for key, value in keywords.items():
        refs = [_as_ref(ref, known, where) for ref in (*_keras_tensors(value), *_refs_in(value, known))]
        if refs:
            placed[key] = tuple(range(len(inputs), len(inputs) + len(refs)))
            inputs += refs
        else:
            plain[key] = value
    return Call(layer, index, tuple(inputs), plain, placed)


def _keras_tensors(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for item in value:
            yield from _keras_tensors(item)
    elif isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
        config = value.get("config")
        yield config.get("keras_history") if isinstance(config, dict) else None
    elif isinstance(value, dict):
        for item in value.values():
            yield from _keras_tensors(item)


def _refs_in(value: Any, known: Mapping[str, Node]) -> Iterator[Any]:
    """Tensors that Keras 2 gives by keyword: {"initial_state": [["encoder", 0, 1], ...]}."""
    if _looks_like_ref(value) and value[0] in known:
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _refs_in(item, known)


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
