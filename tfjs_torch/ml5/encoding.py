"""A sketch's values -> the network's numbers -> results, as ml5 computes them. No torch.

All arithmetic is in double precision, as in JavaScript, and rounded to float32 once, when the tensor is made. Facts:
ml5 0.12.2 and 1.4.0, src/NeuralNetwork/index.js (formatInputsForPrediction, classifyInternal, predictInternal). Where
the two differ (min === max, the order of labels), it is done as in 1.x.
"""

from __future__ import annotations

import contextlib
import math
import numbers
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import MismatchError
from .meta import Column, Meta, js_text
from .pictures import is_picture, pixels_of

Array = npt.NDArray[np.float32]
Result = dict[str, Any]


def samples_of(meta: Meta, given: Any) -> tuple[list[Any], bool]:
    """One sample, or a list of them: (the samples, whether it was a single one).

    A dict is one sample; so is a list of plain values, taken by position. A list of samples is a batch.
    """
    if isinstance(given, Mapping) or is_picture(given):
        return [given], True
    if isinstance(given, np.ndarray) or hasattr(given, "detach"):
        given = array_of(given)
        if not _takes_array(meta):
            single = given.ndim == (2 if meta.series_shape else 1)
            return ([given.tolist()], True) if single else (list(given.tolist()), False)
    elif not isinstance(given, (list, tuple)):
        raise MismatchError("input", f"a dict, a list of values or a list of samples expected, found {_said(given)}")
    if _takes_array(meta):
        return _arrays_of(meta, given)
    if meta.series_shape:
        single = bool(given) and all(_is_step(step) for step in given)
    else:
        single = bool(given) and all(isinstance(value, (str, numbers.Number)) for value in given)
    return ([given], True) if single else (list(given), False)


def _arrays_of(meta: Meta, given: Any) -> tuple[list[Any], bool]:
    """As many numbers as the network takes are one sample, however they are nested; [[...]] is a batch of one."""
    if any(isinstance(value, Mapping) or is_picture(value) for value in given):
        return list(given), False
    try:
        array = array_of(given)
    except MismatchError:
        return list(given), False  # the odd one is named later
    single = array.size == math.prod(meta.input_units) and (array.shape == meta.input_units or len(array) != 1)
    return ([array], True) if single or array.ndim < 2 else (list(array), False)


def encode(meta: Meta, samples: Sequence[Any], shape: Sequence[int], what: str = "input") -> Array:
    """Samples as the network takes them.

    Args:
        meta: what the columns are.
        samples: each a dict by column, a list by position, or pixels.
        shape: the network's input without the batch.
        what: a sample is called in messages: "input 3", "row 3".

    Returns:
        float32 [len(samples), *shape].

    Raises:
        MismatchError: a value is missing, is no number, or an unknown category; or the columns do not fit `shape`.
    """
    if _takes_array(meta):
        rows = [_array_units(meta, sample, _where(samples, at, what)) for at, sample in enumerate(samples)]
    elif meta.series_shape:
        rows = [_series_units(meta, sample, shape, _where(samples, at, what)) for at, sample in enumerate(samples)]
    else:
        rows = [
            _units(meta.inputs, meta.normalized, sample, _where(samples, at, what)) for at, sample in enumerate(samples)
        ]
    size = math.prod(shape)
    for at, row in enumerate(rows):
        if len(row) != size:
            raise MismatchError(
                _where(samples, at, what),
                f"{size} numbers for the network's input {list(shape)} expected, found {len(row)}",
            )
    with np.errstate(over="ignore"):
        return np.array(rows, np.float64).reshape(len(rows), *shape).astype(np.float32)


def encode_targets(meta: Meta, samples: Sequence[Any]) -> Array:
    """What the network is to answer: float32 [n, output units]; one-hot, or scaled by the ranges.

    Raises:
        MismatchError: as encode.
    """
    rows = [_units(meta.outputs, meta.normalized, ys, f"row {at + 1}: ys") for at, ys in enumerate(samples)]
    with np.errstate(over="ignore"):
        return np.array(rows, np.float64).reshape(len(rows), -1).astype(np.float32)


def classified(labels: Sequence[str], numbers_: Sequence[float]) -> list[Result]:
    """[{"label", "confidence"}], the most likely first; those alike stay in the order of the units."""
    pairs = zip(labels, numbers_, strict=False)
    ranked = sorted(pairs, key=lambda pair: -pair[1] if pair[1] == pair[1] else math.inf)
    return [{"label": label, "confidence": float(value)} for label, value in ranked]


def predicted(meta: Meta, numbers_: Sequence[float]) -> list[Result]:
    """[{"label", "value"}], one an output column."""
    return [
        {"label": column.name, "value": _unscaled(column, float(value), meta.normalized)}
        for column, value in zip(meta.outputs, numbers_, strict=False)
    ]


def _unscaled(column: Column, value: float, normalized: bool) -> float:
    if not normalized:
        return value
    low, high = _range(column, f"model_meta.json: outputs: {column.name}")
    return low if low == high else value * (high - low) + low


def listed(names: Iterable[Any]) -> str:
    """Names for a message or a summary, twelve at most.

    Example:
        >>> listed(["r", "g"]), listed([])
        ('r, g', 'nothing')
    """
    shown = [str(name)[:40] for name in names]
    more = f" and {len(shown) - 12} more" if len(shown) > 12 else ""
    return ", ".join(shown[:12]) + more if shown else "nothing"


def _takes_array(meta: Meta) -> bool:
    return bool(meta.inputs) and meta.inputs[0].dtype == "array"


def _is_step(step: Any) -> bool:
    return isinstance(step, Mapping) or (
        isinstance(step, (list, tuple)) and all(isinstance(value, (str, numbers.Number)) for value in step)
    )


def _units(columns: Sequence[Column], normalized: bool, sample: Any, where: str) -> list[float]:
    units: list[float] = []
    for column, value in zip(columns, _by_column(columns, sample, where), strict=True):
        units += _column_units(column, value, normalized, f"{where}: {column.name}")
    return units


def _by_column(columns: Sequence[Column], sample: Any, where: str) -> list[Any]:
    """The sample's values in the order of the columns; what is beyond them is ignored, as in ml5."""
    names = [column.name for column in columns]
    if isinstance(sample, Mapping):
        missing = [name for name in names if name not in sample]
        if missing:
            raise MismatchError(where, f"{listed(names)} expected, found {listed(sample)}; add {listed(missing)}")
        return [sample[name] for name in names]
    if isinstance(sample, np.ndarray) or hasattr(sample, "detach"):
        sample = array_of(sample).tolist()
    if not isinstance(sample, (list, tuple)):
        if len(names) == 1 and isinstance(sample, (str, numbers.Number)):
            return [sample]
        raise MismatchError(where, f"a dict or a list with {listed(names)} expected, found {_said(sample)}")
    if len(sample) < len(names):
        raise MismatchError(where, f"{len(names)} values ({listed(names)}) expected, found {len(sample)}")
    return list(sample[: len(names)])


def _column_units(column: Column, value: Any, normalized: bool, where: str) -> list[float]:
    if column.dtype == "string":
        label = label_of(value, where)
        if label not in column.codes:
            raise MismatchError(where, f"one of {listed(column.codes)} expected, found {_said(value)}")
        return list(column.codes[label])
    if column.dtype == "array":
        values = array_of(value).ravel().tolist() if not isinstance(value, str) else []
        return _scaled_all(column, values, normalized, where)
    if column.dtype != "number":
        return []  # ml5 gives a boolean column no unit
    return [_scaled(column, _finite(value, where), normalized, where)]


def _array_units(meta: Meta, sample: Any, where: str) -> Any:
    column = meta.inputs[0]
    if isinstance(sample, Mapping):
        if column.name not in sample:
            raise MismatchError(where, f"{column.name} expected, found {listed(sample)}")
        sample = sample[column.name]
    values = pixels_of(sample, meta.input_units, where) if is_picture(sample) else array_of(sample, where).ravel()
    return _scaled_all(column, values, meta.normalized, where)


def _scaled_all(column: Column, values: Any, normalized: bool, where: str) -> list[float]:
    array: npt.NDArray[Any] = np.asarray(values)
    if array.dtype.kind not in "buif" or not np.isfinite(array).all():
        raise MismatchError(where, "finite numbers expected, found others")
    if not normalized:
        return list(array.tolist())
    low, high = _range(column, where)
    return [0.0] * array.size if low == high else list(((array - np.float64(low)) / (high - low)).tolist())


def _series_units(meta: Meta, sample: Any, shape: Sequence[int], where: str) -> list[float]:
    """A list of steps, each a dict or a list of features."""
    if isinstance(sample, np.ndarray):
        sample = sample.tolist()
    if not isinstance(sample, (list, tuple)) or len(sample) != shape[0]:
        found = f"{len(sample)}" if isinstance(sample, (list, tuple)) else _said(sample)
        raise MismatchError(where, f"{shape[0]} steps expected, found {found}")
    steps = [_units(meta.inputs, meta.normalized, step, f"{where}: step {i + 1}") for i, step in enumerate(sample)]
    return [unit for step in steps for unit in step]


def _scaled(column: Column, value: float, normalized: bool, where: str) -> float:
    if not normalized:
        return value
    low, high = _range(column, where)
    return 0.0 if low == high else (value - low) / (high - low)


def _range(column: Column, where: str) -> tuple[float, float]:
    if column.min is None or column.max is None:
        raise MismatchError(where, "min and max of this column in model_meta.json expected, found none; train it again")
    return column.min, column.max


def label_of(value: Any, where: str) -> str:
    """The text of a label.

    Raises:
        MismatchError: something that is none: a list, None, NaN (which pandas makes of an empty cell).
    """
    plain = isinstance(value, (str, bool, np.bool_)) or (isinstance(value, numbers.Real) and value == value)
    if not plain:
        raise MismatchError(where, f"a label (text, or a number) expected, found {_said(value)}")
    return js_text(value)


def _finite(value: Any, where: str) -> float:
    if isinstance(value, numbers.Real) and not isinstance(value, (bool, np.bool_)):
        with contextlib.suppress(OverflowError):  # an integer beyond what a double holds
            if math.isfinite(number := float(value)):
                return number
    hint = ""
    if isinstance(value, str):  # of an input field, perhaps
        hint = "; write decimals with a point" if "," in value else "; it is a text: without quotes, or by Number(...)"
    raise MismatchError(where, f"a finite number expected, found {_said(value)}{hint}")


def array_of(value: Any, where: str = "input") -> npt.NDArray[Any]:
    """Numbers of a list, an array or a tensor.

    Raises:
        MismatchError: no numbers, or lists of unequal lengths.
    """
    try:
        if hasattr(value, "detach"):
            value = value.detach().cpu()
            value = (value.float() if value.is_floating_point() else value).numpy()
        array = np.asarray(value)
    except (ValueError, TypeError, RuntimeError, OverflowError):
        raise MismatchError(where, "numbers in lists of equal lengths expected, found others") from None
    if array.dtype.kind not in "buif":
        raise MismatchError(where, f"numbers expected, found {_said(value)}")
    return array


def _where(samples: Sequence[Any], at: int, what: str) -> str:
    return f"{what} {at + 1}" if len(samples) > 1 or what == "row" else what


def _said(value: Any) -> str:
    return f"{value!r:.60}" if isinstance(value, (str, numbers.Number, bool)) else type(value).__name__
