"""ml5.new: the networks that ml5 makes by default, or from a list of layers, once the first data say how wide they are.

Facts: ml5 1.4.0, src/NeuralNetwork: index.js (addDefaultLayers, createNetworkLayers), NeuralNetworkData.js.
"""

from __future__ import annotations

import math
import numbers
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from ..building import sequential
from ..errors import MismatchError, UnsupportedError
from ..layers import supported_layers
from ..layers.network import LayersModel
from .data import Cell, Row, is_number, numbers_of
from .encoding import label_of
from .meta import Column, Meta, document_of, js_keys, one_hot, parse_meta
from .pictures import is_picture, pixels_of
from .vocabulary import LAYERS

Layers = Sequence[Mapping[str, Any]]


MOST_LABELS: Final = 4096  # one-hot codes grow with their square
MOST_COLUMNS: Final = 1 << 20


class Plan(NamedTuple):
    """What a new network is to be.

    Attributes:
        inputs, outputs: names of the columns; `shape`: of pictures and sequences, else None.
        counted: whether inputs, and outputs, were given as a number: data by name bring their own names then.
    """

    task: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    shape: tuple[int, ...] | None
    hidden_units: int
    layers: Layers | None
    learning_rate: float | None
    normalize: bool
    counted: tuple[bool, bool] = (False, False)


def plan_of(
    task: str, inputs: Any, outputs: Any, hidden_units: int, layers: Layers | None, rate: float | None, normalize: bool
) -> Plan:
    """Check what ml5.new was given.

    Raises:
        MismatchError: see there.
    """
    if task not in ("classification", "regression", "imageClassification"):
        raise MismatchError("task", f"classification, regression or imageClassification expected, found {task!r:.60}")
    if type(hidden_units) is not int or hidden_units < 1:
        raise MismatchError("hidden_units", f"a whole number above 0 expected, found {hidden_units!r:.40}")
    shape = None
    if isinstance(inputs, (list, tuple)) and inputs and all(type(size) is int and size > 0 for size in inputs):
        shape, inputs = tuple(inputs), ["image"]
    elif task == "imageClassification":
        raise MismatchError("inputs", f"[width, height, channels] expected, found {inputs!r:.60}")
    if layers is not None:
        if not isinstance(layers, (list, tuple)) or not all(isinstance(layer, Mapping) for layer in layers):
            raise MismatchError("layers", f'a list of {{"type": ...}} expected, found {layers!r:.60}')
        if len(layers) < 2:
            raise MismatchError("layers", f"two layers or more expected, found {len(layers)}; ml5 ignores fewer")
    if rate is not None and (not isinstance(rate, numbers.Real) or isinstance(rate, bool) or not 0 < rate < math.inf):
        raise MismatchError("learning_rate", f"a number above 0 expected, found {rate!r:.40}")
    counted = isinstance(inputs, int), isinstance(outputs, int)
    names = _names("inputs", inputs), _names("outputs", outputs)
    return Plan(task, *names, shape, hidden_units, layers, rate, bool(normalize), counted)


def _names(which: str, given: Any) -> tuple[str, ...]:
    if type(given) is int and 0 < given <= MOST_COLUMNS:
        return tuple(str(at) for at in range(given))
    names = [given] if isinstance(given, str) else given
    if not isinstance(names, (list, tuple)) or not names or not all(isinstance(name, str) for name in names):
        raise MismatchError(which, f'names such as ["r", "g", "b"], or how many, expected, found {given!r:.60}')
    if len(set(names)) < len(names):
        raise MismatchError(which, f"each name once expected, found {', '.join(names)[:200]}")
    return tuple(names)


def meta_of(plan: Plan, rows: Sequence[Row]) -> tuple[list[Row], Meta]:
    """The rows by name, and what ml5 notes of them: dtypes, ranges, codes.

    Raises:
        MismatchError: a row lacks a column, or a column holds what ml5 cannot learn.
    """
    plan = _with_names(plan, rows[0])
    by_name = [
        (
            _named(xs, plan.inputs, f"row {at + 1}: xs", plan.shape is not None),
            _named(ys, plan.outputs, f"row {at + 1}: ys"),
        )
        for at, (xs, ys) in enumerate(rows)
    ]
    names = tuple(by_name[0][0]) if plan.shape else plan.inputs
    inputs = [_column(name, [xs.get(name) for xs, _ in by_name], plan, "inputs") for name in js_keys(names)]
    outputs = [_column(name, [ys.get(name) for _, ys in by_name], plan, "outputs") for name in js_keys(plan.outputs)]
    sorts = plan.task != "regression"
    if sorts != (outputs[0].dtype == "string"):
        raise MismatchError(
            outputs[0].name, f"{'labels' if sorts else 'numbers'} expected for {plan.task}, found others"
        )
    units = plan.shape or (sum(column.units for column in inputs),)
    document = document_of(inputs, outputs, units, sum(column.units for column in outputs), plan.normalize)
    typed: list[Row] = [
        (
            numbers_of(xs, [c.name for c in inputs if c.dtype == "number"]),
            numbers_of(ys, [c.name for c in outputs if c.dtype == "number"]),
        )
        for xs, ys in by_name
    ]
    return typed, parse_meta(document)


def _with_names(plan: Plan, row: Row) -> Plan:
    """The plan with the names that the first row brings, where ml5 goes by those of the data.

    Of `outputs` ml5 heeds only with data by position how many they are; a classifier has one column of labels,
    whether `outputs` counts it, the labels, or lists them (NeuralNetworkUtils.js, formatDataAsObject).
    """
    xs, ys = row
    inputs, outputs = plan.inputs, plan.outputs
    if plan.counted[0] and isinstance(xs, Mapping) and len(xs) == len(inputs):
        inputs = tuple(map(str, xs))
    if plan.task == "regression":
        if plan.counted[1] and isinstance(ys, Mapping) and len(ys) == len(outputs):
            outputs = tuple(map(str, ys))
    elif (plan.counted[1] or len(outputs) > 1) and isinstance(ys, Mapping) and len(ys) == 1:
        outputs = tuple(map(str, ys))
    elif not isinstance(ys, Mapping) and (not isinstance(ys, (list, tuple)) or len(ys) == 1):
        outputs = outputs[:1]
    return plan._replace(inputs=inputs, outputs=outputs)


def created(plan: Plan, meta: Meta, seed: int | None) -> LayersModel:
    """The network, its weights drawn as ml5 draws them.

    Raises:
        UnsupportedError, TopologyError, MismatchError: layers that do not exist or do not fit.
    """
    layers = [dict(layer) for layer in (plan.layers or default_layers(plan.task, plan.hidden_units))]
    given = layers[0].get("inputShape")
    if given is not None and list(given) != list(meta.input_units):
        raise MismatchError(
            "layer 1: inputShape", f"{list(meta.input_units)} expected of these data, found {given!r:.60}"
        )
    if meta.output_units and not layers[-1].get("units"):
        layers[-1]["units"] = meta.output_units
    return sequential([_as_saved(layer, at) for at, layer in enumerate(layers)], meta.input_units, seed=seed)


def default_layers(task: str, hidden_units: int = 16) -> Layers:
    """ml5's own networks, in the words of its option `layers`.

    Example:
        >>> [layer["type"] for layer in default_layers("classification")]
        ['dense', 'dense']
    """
    if task == "imageClassification":
        convolution = {
            "type": "conv2d", "kernelSize": 5, "strides": 1, "activation": "relu",
            "kernelInitializer": "varianceScaling",
        }  # fmt: skip
        pooling = {"type": "maxPooling2d", "poolSize": [2, 2], "strides": [2, 2]}
        last = {"type": "dense", "kernelInitializer": "varianceScaling", "activation": "softmax"}
        return [
            {**convolution, "filters": 8},
            pooling,
            {**convolution, "filters": 16},
            pooling,
            {"type": "flatten"},
            last,
        ]
    hidden = {"type": "dense", "units": hidden_units, "activation": "relu"}
    return [hidden, {"type": "dense", "activation": "sigmoid" if task == "regression" else "softmax"}]


_CLASSES: Final = {"l1l2": "L1L2"}
_DEFAULTS: Final[Mapping[str, Mapping[str, Any]]] = {  # where tf.js' own and ours may differ
    "VarianceScaling": {"scale": 1, "mode": "fan_in", "distribution": "normal", "seed": None},
    "L1L2": {"l1": 0.01, "l2": 0.01},
}


def _as_saved(layer: Mapping[str, Any], at: int) -> dict[str, Any]:
    """A layer in the words of tf.js' factories as model.json has it: conv2d(kernelSize) -> Conv2D, kernel_size."""
    kind = layer.get("type")
    classes = {name.lower(): name for name in LAYERS["1.x"].intersection(supported_layers())}
    if not isinstance(kind, str) or kind.lower() not in classes:
        raise UnsupportedError(f"layer {at + 1}: type", f"a layer of tf.layers expected, found {kind!r:.60}")
    config: dict[str, Any] = {}
    for option, value in layer.items():
        if option in ("type", "inputShape", "input_shape"):
            continue
        name = _snake(option)
        if isinstance(value, str) and name.endswith(("_initializer", "_regularizer", "_constraint")):
            named = _CLASSES.get(value, value[:1].upper() + value[1:])
            value = {"class_name": named, "config": dict(_DEFAULTS.get(named, {}))}
        elif isinstance(value, str) and name != "name":
            value = _snake(value)
        config[name] = list(value) if isinstance(value, tuple) else value
    return {"class_name": classes[kind.lower()], "config": config}


def _snake(text: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", text).lower()


def _named(side: Any, names: Sequence[str], where: str, pixels: bool = False) -> dict[str, Any]:
    if isinstance(side, Mapping):
        missing = [] if pixels and side else [name for name in names if name not in side]
        if missing:
            found = ", ".join(map(str, list(side)[:12])) or "nothing"
            raise MismatchError(where, f"{', '.join(names)} expected, found {found}")
        return dict(side) if pixels else {name: side[name] for name in names}
    if pixels or is_picture(side) or isinstance(side, numbers.Number):
        return {names[0]: side}
    try:
        values = list(side)
    except TypeError:
        raise MismatchError(where, f"{', '.join(names)} expected, found {type(side).__name__}") from None
    if len(values) < len(names):
        raise MismatchError(where, f"{len(names)} values expected, found {len(values)}")
    return dict(zip(names, values, strict=False))


def _column(name: str, values: Sequence[Any], plan: Plan, side: str) -> Column:
    where = f"data: {name}"
    if side == "outputs" and plan.task != "regression":
        return _labelled(name, values, where)
    if side == "inputs" and plan.shape:
        return _pixels(name, values, plan.shape)
    first = values[0]
    if isinstance(first, Cell) and all(map(is_number, values)):
        values = [float(value) for value in values]
    elif isinstance(first, str):
        return _labelled(name, values, where)
    lowest, highest = math.inf, -math.inf
    for at, value in enumerate(values):
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real) or not math.isfinite(value):
            raise MismatchError(f"row {at + 1}: {name}", f"a finite number expected, found {value!r:.40}")
        lowest, highest = min(lowest, float(value)), max(highest, float(value))
    return Column(name, "number", lowest, highest)


def _labelled(name: str, values: Iterable[Any], where: str) -> Column:
    """Labels in the order in which they are first seen; numbers among them in JavaScript's, which ml5 0.x wants."""
    found = list(values)
    labels = js_keys(dict.fromkeys(label_of(value, f"row {at}: {name}") for at, value in enumerate(found, 1)))
    if len(labels) > MOST_LABELS:
        raise MismatchError(
            where, f"at most {MOST_LABELS} labels expected, found {len(labels)}; is it a column of labels?"
        )
    if len(labels) < 2:
        raise MismatchError(where, f"two different values or more expected, found only {labels[0]!r:.60}")
    return Column(name, "string", 0, 1, one_hot(labels))


def _pixels(name: str, values: Sequence[Any], shape: tuple[int, ...]) -> Column:
    lowest, highest = math.inf, -math.inf
    for at, value in enumerate(values):
        where = f"row {at + 1}: {name}"
        try:
            array = pixels_of(value, shape, where) if is_picture(value) else np.asarray(value)
        except ValueError:
            raise MismatchError(where, "lists of equal lengths expected, found others") from None
        if array.dtype.kind not in "buif" or array.size != math.prod(shape) or not np.isfinite(array).all():
            raise MismatchError(where, f"{math.prod(shape)} numbers expected, found {array.size}, or something else")
        lowest, highest = min(lowest, float(array.min())), max(highest, float(array.max()))
    return Column(name, "array", lowest, highest)
