"""model_meta.json: what ml5's numbers mean. No torch.

Three generations: ml5 0.4 kept the ranges beside the columns ({data, meta}); 0.5 wrote columns that hold their own
ranges; today's differs from it in small things only (inputUnits is a list). Facts: ml5 0.12.2 and 1.4.0,
src/NeuralNetwork/NeuralNetworkData.js and index.js.
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..errors import ManifestError

_INDEX = re.compile(r"0|[1-9][0-9]{0,9}")


def js_keys(keys: Iterable[str]) -> list[str]:
    """Keys in the order in which JavaScript lists them: array indices first, in ascending order.

    Example:
        >>> js_keys(["b", "10", "2", "a"])
        ['2', '10', 'b', 'a']
    """
    given = list(keys)
    return sorted(filter(is_index, given), key=int) + [key for key in given if not is_index(key)]


def js_text(value: Any) -> str:
    """A value as JavaScript makes a key of it.

    Example:
        >>> js_text(1.0), js_text(True), js_text("a")
        ('1', 'true', 'a')
    """
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value)


def is_index(key: str) -> bool:
    """Whether JavaScript takes a key for an array index, and lists it out of turn."""
    return bool(_INDEX.fullmatch(key)) and int(key) < 2**32 - 1


class Column(NamedTuple):
    """One named input or output.

    Attributes:
        name: as the sketch calls it; "0", "1", ... where it did not say.
        dtype: "number", "string" (one-hot), "array" (pixels); anything else contributes no units.
        min, max: the range in the training data; None where the file does not say.
        codes: {label: its one-hot code}, in the order of the units, for "string".
    """

    name: str
    dtype: str
    min: float | None = None
    max: float | None = None
    codes: Mapping[str, tuple[float, ...]] = {}

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of a "string" column: the i-th belongs to its i-th unit."""
        return tuple(self.codes)

    @property
    def units(self) -> int:
        """Numbers that the network has for it; 0 for an array, whose size is the network's own."""
        if self.dtype == "string":
            return len(next(iter(self.codes.values()), ()))
        return int(self.dtype == "number")


@dataclass(frozen=True)
class Meta:
    """A checked model_meta.json.

    Attributes:
        inputs, outputs: the columns in the order of the tensor (JavaScript's order of keys).
        input_units: the network's input without the batch, such as (3,) or (20, 20, 4); () where nothing is said.
        output_units: numbers that the network gives; None where nothing is said.
        normalized: whether inputs are scaled to 0...1 by their ranges, and outputs scaled back.
        series_shape: (steps, features) in files of ml5's unreleased sequence tasks.
        generation: "0.4", "0.5" (inputUnits is a number) or "current".
        document: the JSON as it was found.
    """

    inputs: tuple[Column, ...]
    outputs: tuple[Column, ...]
    input_units: tuple[int, ...]
    output_units: int | None
    normalized: bool
    series_shape: tuple[int, int] | None
    generation: str
    document: Mapping[str, Any]

    @property
    def labels(self) -> tuple[str, ...]:
        """What a classifier answers: the labels of the first output column."""
        return self.outputs[0].labels if self.outputs else ()

    @property
    def task(self) -> str:
        """The task that these columns are made by; the file does not say it."""
        sorts = self.outputs and self.outputs[0].dtype == "string"
        if self.series_shape:
            return "sequenceClassification" if sorts else "sequenceRegression"
        if sorts and self.inputs and self.inputs[0].dtype == "array":
            return "imageClassification"
        return "classification" if sorts else "regression"

    def to_document(self) -> dict[str, Any]:
        """The JSON in today's layout; what was found, unless it is one of ml5 0.4."""
        if self.generation != "0.4":
            return copy.deepcopy(dict(self.document))
        return document_of(self.inputs, self.outputs, self.input_units, self.output_units or 0, self.normalized)

    def with_labels(self, labels: Sequence[str]) -> Meta:
        """The same with other labels of the first output column, in the order of the units."""
        document = self.to_document()
        first = self.outputs[0]
        column = first._replace(codes=one_hot(labels))
        entry = document["outputs"][first.name]
        entry |= {"uniqueValues": list(labels), "legend": {k: list(map(plain, c)) for k, c in column.codes.items()}}
        document["outputUnits"] = sum(c.units for c in (column, *self.outputs[1:]))
        return parse_meta(document, "model_meta.json")


def document_of(
    inputs: Sequence[Column],
    outputs: Sequence[Column],
    input_units: Sequence[int],
    output_units: int,
    normalized: bool,
) -> dict[str, Any]:
    """The JSON that ml5 1.x writes for these columns, keys in its order.

    Example:
        >>> document_of([Column("x", "number", 0, 1)], [Column("y", "number", 0, 9)], [1], 1, True)["outputs"]
        {'y': {'dtype': 'number', 'min': 0, 'max': 9}}
    """

    def entry(column: Column) -> dict[str, Any]:
        if column.dtype != "string":
            return {"dtype": column.dtype, "min": plain(column.min), "max": plain(column.max)}
        legend = {label: [plain(x) for x in column.codes[label]] for label in js_keys(column.codes)}
        return {"dtype": "string", "min": 0, "max": 1, "uniqueValues": list(column.labels), "legend": legend}

    return {
        "inputUnits": list(input_units),
        "outputUnits": output_units,
        "inputs": {column.name: entry(column) for column in inputs},
        "outputs": {column.name: entry(column) for column in outputs},
        "isNormalized": normalized,
    }


def one_hot(labels: Sequence[str]) -> dict[str, tuple[float, ...]]:
    """{label: code}, the i-th label with its 1 at i.

    Example:
        >>> one_hot(["up", "down"])
        {'up': (1, 0), 'down': (0, 1)}
    """
    return {label: tuple(int(i == at) for i in range(len(labels))) for at, label in enumerate(labels)}


def plain(value: float | None) -> float | int | None:
    """A number as JavaScript writes it: 255 rather than 255.0."""
    if value is None or isinstance(value, int):
        return value
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def parse_meta(document: Any, where: str = "model_meta.json") -> Meta:
    """Check a parsed model_meta.json of any ml5.

    Raises:
        ManifestError: it is none, or its parts have other types than ml5 gives them.

    Example:
        >>> from tfjs_torch.ml5.meta import parse_meta
        >>> column = {"dtype": "string", "legend": {"1": [0, 1], "2": [1, 0]}}
        >>> parse_meta({"inputUnits": [1], "inputs": {"x": {"dtype": "number"}}, "outputs": {"y": column}}).labels
        ('2', '1')
    """
    _object(document, where)
    old = isinstance(document.get("meta"), dict) and "inputs" not in document
    found = document["meta"] if old else document
    ranges = _object(document.get("data") or {}, f"{where}: data") if old else {}
    for side in ("inputs", "outputs"):
        if not _object(found.get(side), f"{where}: {side}"):
            raise ManifestError(f"{where}: {side}", "at least one column expected, found none; train before you save")
    units = found.get("inputUnits")
    return Meta(
        inputs=_columns(found["inputs"], f"{where}: inputs", ranges.get("inputMin"), ranges.get("inputMax")),
        outputs=_columns(found["outputs"], f"{where}: outputs", ranges.get("outputMin"), ranges.get("outputMax")),
        input_units=_sizes(units, f"{where}: inputUnits"),
        output_units=next(iter(_sizes(found.get("outputUnits"), f"{where}: outputUnits")), None),
        normalized=_is_true(found.get("isNormalized")),
        series_shape=_series(found.get("seriesShape"), f"{where}: seriesShape"),
        generation="0.4" if old else "current" if isinstance(units, list) else "0.5",
        document=document,
    )


def _columns(side: Mapping[str, Any], where: str, mins: Any, maxs: Any) -> tuple[Column, ...]:
    columns: list[Column] = []
    at = 0  # ml5 0.4 has one range a unit, or one number for all
    for name in js_keys(side):
        entry = _object(side[name], f"{where}: {name}")
        dtype = entry.get("dtype")
        if not isinstance(dtype, str):
            raise ManifestError(
                f"{where}: {name}: dtype", f'"number", "string" or "array" expected, found {dtype!r:.40}'
            )
        codes = _codes(entry, f"{where}: {name}") if dtype == "string" else {}
        lowest, highest = entry.get("min", _at(mins, at)), entry.get("max", _at(maxs, at))
        column = Column(
            name, dtype, _number(lowest, f"{where}: {name}: min"), _number(highest, f"{where}: {name}: max"), codes
        )
        columns.append(column)
        at += column.units
    return tuple(columns)


def _codes(entry: Mapping[str, Any], where: str) -> dict[str, tuple[float, ...]]:
    """In the order of the units. JavaScript's order of keys says nothing: it sorts labels like "10" (issue 1044)."""
    legend = entry.get("legend")
    if legend is None:
        unique = entry.get("uniqueValues")
        if not isinstance(unique, list) or not unique:
            raise ManifestError(f"{where}: legend", "{label: one-hot code} expected, found none")
        return one_hot([js_text(value) for value in unique])
    codes: dict[str, tuple[float, ...]] = {}
    for label in js_keys(_object(legend, f"{where}: legend")):
        code = legend[label]
        if not isinstance(code, list) or not code or any(_number(x, f"{where}: {label!r}") is None for x in code):
            raise ManifestError(f"{where}: legend: {label!r:.40}", f"a list of numbers expected, found {code!r:.60}")
        codes[label] = tuple(code)
    if not codes or len({len(code) for code in codes.values()}) > 1:
        raise ManifestError(f"{where}: legend", "codes of one length expected, found others, or none")
    return dict(sorted(codes.items(), key=lambda item: item[1], reverse=True))


def _is_true(value: Any) -> bool:
    """As JavaScript's `if` has it: empty lists and objects are true."""
    return isinstance(value, (list, dict)) or bool(value)


def _object(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ManifestError(where, f"an object, as ml5 writes it, expected, found {value!r:.60}")
    return value


def _at(values: Any, index: int) -> Any:
    if isinstance(values, list):
        return values[index] if index < len(values) else None
    return values


def _number(value: Any, where: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not _is_finite(value):
        raise ManifestError(where, f"a finite number expected, found {value!r:.40}")
    return value


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond what a double holds
        return False


def _sizes(value: Any, where: str) -> tuple[int, ...]:
    sizes = value if isinstance(value, list) else [] if value is None else [value]
    if any(type(size) is not int or not 0 <= size < 2**31 for size in sizes):
        raise ManifestError(where, f"sizes such as [3] expected, found {value!r:.60}")
    return tuple(sizes)


def _series(value: Any, where: str) -> tuple[int, int] | None:
    if value is None:
        return None
    sizes = _sizes(value, where)
    if len(sizes) != 2:
        raise ManifestError(where, f"[steps, features] expected, found {value!r:.60}")
    return sizes[0], sizes[1]
