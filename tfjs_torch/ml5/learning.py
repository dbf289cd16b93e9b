"""How ml5 trains its tasks, and what has to be said about data and results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from torch import Tensor

from ..errors import MismatchError, warn
from .creating import MOST_LABELS
from .data import Row, output_of
from .encoding import label_of, listed
from .meta import Column, one_hot


class Learning(NamedTuple):
    """How ml5 compiles a task (src/NeuralNetwork/index.js, compile and DEFAULTS)."""

    loss: str
    optimizer: str
    rate: float


LEARNING: Final = {
    "classification": Learning("categoricalCrossentropy", "sgd", 0.2),
    "regression": Learning("meanSquaredError", "adam", 0.2),
    "imageClassification": Learning("categoricalCrossentropy", "sgd", 0.02),
    "sequenceClassification": Learning("categoricalCrossentropy", "sgd", 0.2),
    "sequenceRegression": Learning("meanSquaredError", "adam", 0.2),
}


def new_labels(rows: Sequence[Row], column: str, known: Sequence[str]) -> list[str]:
    """Labels in the data that the network does not know, as they are first seen.

    Raises:
        MismatchError: a label that is none.
    """
    labels = [(at, output_of(ys, column)) for at, (_, ys) in enumerate(rows, 1)]
    asked = dict.fromkeys(label_of(label, f"row {at}: {column}") for at, label in labels if label is not None)
    if len(asked) > MOST_LABELS:
        raise MismatchError(
            column, f"at most {MOST_LABELS} labels expected, found {len(asked)}; is it a column of labels?"
        )
    return [label for label in asked if label not in known]


def refuse_gaps(column: Column) -> None:
    """ml5 reads labels by their rank and learns them by their codes: those must say the same.

    Raises:
        MismatchError: a legend that leaves out a unit, or holds codes that are not one-hot.
    """
    if column.codes != one_hot(column.labels):
        raise MismatchError(
            f"model_meta.json: outputs: {column.name}: legend",
            "a code for each output, with a single 1, expected, found others; answers and training would differ",
        )


def tell_of_missing(labels: Sequence[str], targets: Tensor) -> None:
    """A network forgets what it is not shown."""
    gone = [label for label, rows in zip(labels, targets.sum(0).tolist(), strict=False) if not rows]
    if gone:
        warn(f"data: no rows with {listed(gone)}; the network may forget them, so mix some in")


def tell_of_growth(before: float, after: float, rate: float) -> None:
    """ml5's rates are made for networks that begin: a step of Adam at 0.2 is far for one that is nearly there."""
    if after > 1.2 * before:
        warn(
            f"training: the loss on these data grew from {before:.4g} to {after:.4g}; "
            f"a learning_rate below {rate:g}, such as {rate / 10:g}, or more epochs help"
        )
