"""References between the layers of a model, in the forms of tf.js, of Keras 1 and 2 (lists) and of Keras 3 (dicts)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from .errors import TopologyError

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


def listed(value: Any) -> list[Any]:
    """[[name, call, output], ...]; Keras 3 writes a single one without the outer list, and dicts for named ones."""
    if isinstance(value, dict):  # Keras takes and gives what is named in the order of the names
        return [item for _, each in sorted(value.items()) for item in listed(each)]
    if not isinstance(value, list):
        return []
    if _looks_like_ref(value) or not all(isinstance(each, (list, dict)) for each in value):
        return [value]  # a wrong one, too: its reader says what is wrong with it
    return [item for each in value for item in listed(each)]


def _looks_like_ref(value: Any) -> bool:
    return (
        isinstance(value, list)
        and 3 <= len(value) <= 4
        and isinstance(value[0], str)
        and all(isinstance(item, int) and not isinstance(item, bool) for item in value[1:3])
    )


def as_ref(value: Any, known: Mapping[str, Any], where: str) -> Ref:
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


def call_of(layer: str, index: int, raw: Any, known: Mapping[str, Any], where: str) -> Call:
    inputs: list[Ref] = []
    keywords: dict[str, Any] = {}
    if isinstance(raw, dict):  # Keras 3
        inputs += [as_ref(ref, known, where) for ref in _keras_tensors(raw.get("args"))]
        keywords = raw["kwargs"] if isinstance(raw.get("kwargs"), dict) else {}
        given = raw["args"] if isinstance(raw.get("args"), list) else []
        keywords = {**{f"argument_{i}": x for i, x in enumerate(given) if not [*_keras_tensors(x)]}, **keywords}
    elif isinstance(raw, list):
        for item in listed(raw):
            inputs.append(as_ref(item, known, where))
            if len(item) > 3 and isinstance(item[3], dict):
                keywords = {**keywords, **item[3]}
    else:
        raise TopologyError(where, f"a list of inputs expected, found {raw!r:.80}")
    plain, placed = {}, {}
    for key, value in keywords.items():
        refs = [as_ref(ref, known, where) for ref in (*_keras_tensors(value), *_refs_in(value, known))]
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


def _refs_in(value: Any, known: Mapping[str, Any]) -> Iterator[Any]:
    """Tensors that Keras 2 gives by keyword: {"initial_state": [["encoder", 0, 1], ...]}."""
    if _looks_like_ref(value) and value[0] in known:
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _refs_in(item, known)
