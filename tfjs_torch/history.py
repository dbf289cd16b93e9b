"""History: how a training went. No torch."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import FilesError
from .loss_curve import curve
from .saving import write_files


def shown(progress: bool | None) -> bool:
    """Whether progress is told on stderr: as asked, else on a terminal."""
    return sys.stderr is not None and sys.stderr.isatty() if progress is None else progress


def unseen(labels: Sequence[str], what: str) -> list[str]:
    """What to say of labels of which there was nothing to learn: a network forgets what it is not shown."""
    named = f"{', '.join(labels[:8])}{' ...' if len(labels) > 8 else ''}"
    return [f"data: no {what} {named}; it may forget them, so mix some in"] if labels else []


@dataclass
class History:
    """How a training went.

    Attributes:
        epochs: one dict an epoch: "epoch" (from 1), "epochs" (of all), "loss", and where they exist "accuracy",
            "val_loss", "val_accuracy". Loss and accuracy are means over the epoch's batches, as tf.js has them.
        notes: sentences about the data and the result, to be shown beside it.

    Example:
        >>> history = History([{"epoch": 1, "epochs": 1, "loss": 0.5}])
        >>> history.loss, history.val_loss, history.to_svg()[:4]
        ([0.5], [], '<svg')
    """

    epochs: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def loss(self) -> list[float]:
        """Of the training rows, one an epoch."""
        return self._all("loss")

    @property
    def accuracy(self) -> list[float]:
        """Share of the training rows whose likeliest class is right; [] in regression."""
        return self._all("accuracy")

    @property
    def val_loss(self) -> list[float]:
        """Of the validation rows; [] without any."""
        return self._all("val_loss")

    @property
    def val_accuracy(self) -> list[float]:
        """Of the validation rows; [] in regression, and without any."""
        return self._all("val_accuracy")

    @property
    def stopped(self) -> bool:
        """Whether `on_epoch` ended it early."""
        return bool(self.epochs) and self.epochs[-1]["epoch"] < self.epochs[-1]["epochs"]

    def note(self, sentences: Iterable[str], progress: bool | None) -> None:
        """Add notes.

        Args:
            sentences: one each.
            progress: whether they are printed on stderr, too; None: on a terminal.
        """
        found = list(sentences)
        self.notes += found
        if found and shown(progress):
            print(*found, sep="\n", file=sys.stderr)

    def _all(self, name: str) -> list[float]:
        return [epoch[name] for epoch in self.epochs if name in epoch]

    def to_svg(self) -> str:
        """The loss curve as a picture."""
        return curve({"loss": self.loss, "validation loss": self.val_loss})

    def save_svg(self, path: str | os.PathLike[str]) -> None:
        """Write the loss curve.

        Raises:
            FilesError: the place cannot be written.
        """
        try:
            target = Path(path)
        except TypeError:
            raise FilesError("path", f"a path expected, found {path!r:.60}") from None
        if not target.name:
            raise FilesError("path", "the path of a file expected, found none")
        write_files(target.parent, [(target.name, [self.to_svg().encode()])])

    def _repr_svg_(self) -> str:
        """Notebooks show the curve."""
        return self.to_svg()
