"""Trainings that end early and keep what they have learnt, when somebody who knows their id asks any of the workers."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from .problems import Problem
from .store import ID

Say = Callable[[str, dict[str, Any]], None]

# Empty folders among the uploads, so that every process sees them and what a dead one has left is swept. Asking renames
# the one into the other: that happens or does not, and nothing can be written beside a training that is just ending.
_RUNS: Final = "training-"
_STOPS: Final = "stopping-"


class Training:
    """One that can be stopped, inside `with`; it is told as the event `started`.

    Args:
        parent: the folder of what is on its way.
        say: sends an event.
        address: the URL that stops it, by its id.
    """

    def __init__(self, parent: Path, say: Say, address: Callable[[str], str]) -> None:
        self.id = secrets.token_urlsafe(16)
        self._runs, self._stops = parent / f"{_RUNS}{self.id}", parent / f"{_STOPS}{self.id}"
        self._say, self._address = say, address

    def __enter__(self) -> Training:
        self._runs.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._runs.mkdir(mode=0o700)
        self._say("started", {"id": self.id, "stop": self._address(self.id)})
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for folder in (self._runs, self._stops):  # in this order: only the first can become the second
            with contextlib.suppress(OSError):
                folder.rmdir()

    def tell(self, epoch: dict[str, Any]) -> str | None:
        """Send an epoch's numbers; "stop" when it shall be the last one."""
        self._say("progress", epoch)
        return "stop" if self._stops.exists() else None


def stop(parent: Path, own: str) -> None:
    """Ask a training to end after the epoch that runs; twice is as good as once.

    Raises:
        Problem: 404, none of that id runs.
    """
    if ID.fullmatch(own):
        stops = parent / f"{_STOPS}{own}"
        with contextlib.suppress(FileNotFoundError):
            (parent / f"{_RUNS}{own}").rename(stops)
        if stops.exists():
            return
    raise Problem(
        404, "id", "the id of a training that runs expected, found none of that name",
        "it may be over: what came of it is in its event done",
    )  # fmt: skip
