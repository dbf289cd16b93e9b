"""Long work as server-sent events: how it goes, then what came of it. Who closes the connection ends the work."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock
from typing import Any, Final

import anyio
import anyio.to_thread
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from .looking import json_of
from .problems import problem_of
from .stopping import Say
from .work import ClientGone, Work, closed

EVENTS: Final = "text/event-stream"

_PAUSE: Final = 0.05  # seconds between two events of progress, at least
_SILENCE: Final = 15  # seconds after which a comment keeps proxies from closing


def wants_events(accept: str) -> bool:
    """Whether an Accept header asks for a stream of events.

    Example:
        >>> wants_events("text/event-stream"), wants_events("*/*"), wants_events("")
        (True, False, False)
    """
    wishes = (wish.partition(";") for wish in accept.lower().split(","))
    return any(kind.strip() == EVENTS and rest.replace(" ", "") != "q=0" for kind, _, rest in wishes)


class Events(Response):
    """A stream of events: what the work says of itself, then one `done` or `problem`.

    Args:
        job: the work, in a thread; it gets a function to say an event, and gives the data of `done`.
        undo: called with them when nobody was there any more to hear it.
        limiter: of how many such jobs may run at once.
    """

    def __init__(
        self, work: Work, job: Callable[[Say], dict[str, Any]], undo: Callable[[dict[str, Any]], None],
        limiter: anyio.CapacityLimiter | None,
    ) -> None:  # fmt: skip
        super().__init__(None, 200, {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}, EVENTS)
        del self.headers["content-length"]
        self._work, self._job, self._undo, self._limiter = work, job, undo, limiter
        self._news = _News()
        self._last: bytes = b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        finished = anyio.Event()
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._watch, receive)
                tasks.start_soon(self._do, finished)
                try:
                    await self._tell(send, finished)
                except (ClientDisconnect, OSError):
                    pass
                finally:
                    if not finished.is_set():
                        self._work.stopped.set()
                tasks.cancel_scope.cancel()
        finally:
            await closed(self._work)

    async def _watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._work.stopped.set()

    async def _do(self, finished: anyio.Event) -> None:
        self._last = await anyio.to_thread.run_sync(self._outcome, limiter=self._limiter)
        finished.set()

    async def _tell(self, send: Send, finished: anyio.Event) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        chunk, said = b": working\n\n", 0.0
        while not self._work.stopped.is_set():
            if chunk or time.monotonic() - said > _SILENCE:
                said = time.monotonic()
                await send({"type": "http.response.body", "body": chunk or b": still working\n\n", "more_body": True})
            if finished.is_set():
                await send({"type": "http.response.body", "body": self._news.taken() + self._last, "more_body": False})
                return
            with anyio.move_on_after(_PAUSE):
                await finished.wait()
            chunk = self._news.taken()

    def _outcome(self) -> bytes:
        """The last event."""
        try:
            self._work.advance()
            done = self._job(self._news.say)
            if self._work.stopped.is_set():
                self._undo(done)
            return _event("done", done)
        except ClientGone:
            return b""
        except Exception as error:
            return _event("problem", problem_of(error).to_dict())


class _News:
    """What a thread says, until it is sent; of epochs the first of all, and the latest."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._waiting: list[tuple[str, dict[str, Any]]] = []

    def say(self, kind: str, data: dict[str, Any]) -> None:
        with self._lock:
            if self._waiting and kind == self._waiting[-1][0] == "progress" and self._waiting[-1][1]["epoch"] > 1:
                self._waiting.pop()
            self._waiting.append((kind, data))

    def taken(self) -> bytes:
        with self._lock:
            some, self._waiting = self._waiting, []
        return b"".join(_event(kind, data) for kind, data in some)


def _event(kind: str, data: dict[str, Any]) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), json_of(data))
