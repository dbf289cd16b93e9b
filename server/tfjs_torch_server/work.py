"""One request's work: a folder for what does not fit into memory, and a thread that stops when the client has gone."""

from __future__ import annotations

import contextlib
import ctypes
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Final, TypeVar

import anyio
import anyio.to_thread
from starlette.requests import Request

T = TypeVar("T")

PREFIX: Final = "upload-"

_M_MMAP_THRESHOLD: Final = -3  # malloc.h


def give_back_large_blocks() -> None:
    """Tell the C library to return every block of a megabyte or more to the system when it is freed.

    By itself glibc keeps freed blocks of up to 32 MB, in each thread (measured: 630 instead of 200 MB after a model of
    1 GB). Elsewhere nothing happens.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, 1 << 20)


class ClientGone(Exception):
    """Nobody waits for the answer any more."""


class Work:
    """What one request needs while it runs; `close` leaves nothing behind.

    Attributes:
        stopped: set when the client has gone.
    """

    def __init__(self, parent: Path) -> None:
        self._parent = parent
        self._folder: Path | None = None
        self._files = 0
        self.stopped = threading.Event()

    @property
    def folder(self) -> Path:
        """A folder of its own, made when it is first needed."""
        if self._folder is None:
            self._parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._folder = Path(mkdtemp(prefix=PREFIX, dir=self._parent))
        return self._folder

    @property
    def has_folder(self) -> bool:
        """Whether anything of it lies on disk."""
        return self._folder is not None

    def new_file(self, suffix: str = "") -> Path:
        """A path that nobody has used; numbered, since names from outside never become paths here."""
        self._files += 1
        return self.folder / f"{self._files}{suffix}"

    def advance(self, _: int = 0) -> None:
        """To be called now and then by long work.

        Raises:
            ClientGone: it can stop.
        """
        if self.stopped.is_set():
            raise ClientGone

    def close(self) -> None:
        """Remove the folder."""
        self.stopped.set()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


async def closed(work: Work) -> None:
    """Close, in a thread where files have to go, whatever happens to the request meanwhile."""
    if not work.has_folder:
        work.close()
        return
    with anyio.CancelScope(shield=True):
        await anyio.to_thread.run_sync(work.close)


async def in_thread(
    request: Request,
    work: Work,
    function: Callable[..., T],
    *args: Any,
    quick: bool = False,
    limiter: anyio.CapacityLimiter | None = None,
) -> T:
    """Run a function in a thread; when the client goes meanwhile, `work.stopped` is set and ClientGone raised.

    Args:
        request: its body must have been read.
        limiter: of how many such functions may run at once; None: anyio's own of 40 threads.
        quick: for what takes a millisecond or less: it is done here, since a thread would take as long again.
    """
    if quick:
        return function(*args)
    result: list[T] = []
    failed: list[BaseException] = []

    async def watch() -> None:
        try:
            while (await request.receive())["type"] != "http.disconnect":
                pass
        finally:  # the client has gone, or the server is being stopped
            if not result and not failed:
                work.stopped.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        try:
            result.append(await anyio.to_thread.run_sync(function, *args, limiter=limiter))
        except Exception as error:  # out of the group as itself, not as a group of one
            failed.append(error)
        tasks.cancel_scope.cancel()
    if failed:
        raise failed[0]
    return result[0]
