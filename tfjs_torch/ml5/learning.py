"""How ml5 trains its tasks, and what has to be said about data and results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from torch import Tensor

from ..errors import MismatchError
from ..history import unseen
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


def order_note(before: Sequence[str], after: Sequence[str]) -> list[str]:
    """What to say where known labels have changed places."""
    if [label for label in after if label in before] == list(before):
        return []
    return [
        f"labels: the network's outputs stand in the order {listed(after)} now. They are numbers, and ml5 0.x "
        "(and classifySync of 1.x) mixes them up in any other order"
    ]


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


def notes_on(
    labels: Sequence[str], targets: Tensor, scaled: bool, before: float, after: float, rate: float
) -> list[str]:
    """What has to be said of a training.

    Args:
        labels: what the network tells apart; none in regression.
        targets: what it should have answered, [rows, units].
        scaled: whether targets belong between 0 and 1.
        before, after: the loss on all rows; `before` is infinite for a new network.
        rate: the learning rate.
    """
    gone = [label for label, rows in zip(labels, targets.sum(0).tolist(), strict=False) if not rows]
    notes = unseen(gone, "rows with")
    if scaled and not labels and bool(((targets < -1e-6) | (targets > 1 + 1e-6)).any()):
        notes.append(
            "data: some outputs are beyond the range that this network was made for; "
            "ml5's default network cannot answer beyond it: train a new one with ml5.new"
        )
    if after > 1.2 * before:  # ml5's rates are made for networks that begin: a step of Adam at 0.2 is far for others
        notes.append(
            f"training: the loss on these data grew from {before:.4g} to {after:.4g}; "
            f"a learning_rate below {rate:g}, such as {rate / 10:g}, or more epochs help"
        )
    return notes
