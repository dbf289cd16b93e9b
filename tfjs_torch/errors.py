"""The error tree.

    TfjsTorchError(ValueError)       everything that this package raises on purpose; has .where
    ├── FormatError                  the bytes or the JSON break the format
    │   ├── ManifestError            model.json / weightsManifest
    │   ├── WeightsLengthError       weight bytes: too few, too many, or cut in the middle of a value
    │   ├── FilesError               a file is missing, ambiguous, unreadable or outside of the model's folder
    │   └── TopologyError            modelTopology
    ├── UnsupportedError             valid, but not converted here
    └── MismatchError                two valid inputs do not fit: a state_dict against a manifest

    TfjsTorchWarning(UserWarning)    the job was done, and the user should know something about it

A message reads `where: what was expected, what was found; what to do`.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class TfjsTorchError(ValueError):
    """Base of all errors of this package.

    Attributes:
        where: the file, tensor or layer that the error is about ("" when it is about none).

    Example:
        >>> from tfjs_torch.errors import TfjsTorchError
        >>> str(TfjsTorchError("dense/kernel", "shape (2, 3) expected, (3, 2) found"))
        'dense/kernel: shape (2, 3) expected, (3, 2) found'
    """

    def __init__(self, where: str, message: str) -> None:
        self.where = where
        self.message = message
        super().__init__(where, message)

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


class FormatError(TfjsTorchError):
    """The bytes or the JSON break the format."""


class ManifestError(FormatError):
    """The weightsManifest (or the JSON around it) breaks the format."""


class WeightsLengthError(FormatError):
    """The weight bytes are too few, too many, or end inside a value."""


class FilesError(FormatError):
    """A file is missing, ambiguous, unreadable, or leads out of the model's folder."""


class TopologyError(FormatError):
    """The modelTopology breaks the format."""


class UnsupportedError(TfjsTorchError):
    """Valid input that this package does not convert."""


class MismatchError(TfjsTorchError):
    """Two valid inputs do not fit each other."""


class TfjsTorchWarning(UserWarning):
    """Something the user should know about a job that was done nevertheless."""


_collector: ContextVar[list[str] | None] = ContextVar("collector", default=None)


@contextmanager
def collected_warnings() -> Iterator[list[str]]:
    """The warnings of the calls inside, each once, as a list instead of Python's own way.

    Unlike `warnings.catch_warnings` it is good for several threads and tasks at once: each has its own.

    Example:
        >>> from tfjs_torch import errors
        >>> with errors.collected_warnings() as told:
        ...     errors.warn("something to know")
        >>> told
        ['something to know']
    """
    told: list[str] = []
    token = _collector.set(told)
    try:
        yield told
    finally:
        _collector.reset(token)


def warn(message: str) -> None:
    """Warn at the line of the caller's own code, not at one of this package."""
    told = _collector.get()
    if told is not None:
        if message not in told:
            told.append(message)
        return
    level, frame = 2, sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == __package__:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, TfjsTorchWarning, stacklevel=level)
