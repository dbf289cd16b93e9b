"""multipart/form-data as it arrives: small parts stay in memory, large ones go to disk, limits hold at every byte."""

from __future__ import annotations

import math
import re
import time
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import IO, Final

import anyio
import anyio.to_thread
from python_multipart.multipart import parse_options_header
from starlette.requests import Request

from .boundaries import Cutter
from .problems import Problem
from .settings import Settings
from .work import ClientGone, Work

_IN_MEMORY: Final = 1 << 20  # bytes of a part that need no file
_ALL_IN_MEMORY: Final = 16 << 20  # bytes of all such parts
_BATCH: Final = 1 << 20  # bytes that are parsed at once in a thread
_SILENCE: Final = 30  # seconds without a byte
_GRACE: Final = 60  # seconds after which an upload must have been faster than ...
_SLOWEST: Final = 1 << 10  # ... so many bytes a second
_USUAL: Final = re.compile(rb'form-data; name="([^"\\]*)"(?:; filename="([^"\\]*)")?')  # what browsers write


@dataclass
class Part:
    """One part of a form: a file, or an option (no file name).

    Attributes:
        data: its bytes, or the file where they lie.
    """

    name: str = ""
    filename: str | None = None
    data: bytes | Path = b""
    size: int = 0

    def head(self, length: int) -> bytes:
        """The first bytes."""
        if isinstance(self.data, Path):
            with self.data.open("rb") as file:
                return file.read(length)
        return self.data[:length]

    def read(self) -> bytes:
        """All bytes."""
        return self.data.read_bytes() if isinstance(self.data, Path) else self.data


async def read_parts(request: Request, work: Work, settings: Settings) -> list[Part]:
    """All parts of a request's body.

    Raises:
        Problem: 400 malformed, 408 too slow, 413 beyond a limit, 415 no multipart.
        ClientGone: the client went away in the middle.
    """
    form = _Form(work, settings)
    cutter = Cutter(_boundary(request), form)
    refuse_length(request, settings)
    try:
        await _feed(cutter, request, settings)
        if not cutter.ended:
            raise Problem(400, "request", "a whole multipart body expected, found it cut off", "upload again")
        return form.parts
    finally:
        form.close()


async def _feed(cutter: Cutter, request: Request, settings: Settings) -> None:
    waiting: list[bytes] = []
    held, received, started, more = 0, 0, time.monotonic(), True
    with anyio.move_on_after(_SILENCE) as limit:
        while more:
            message = await request.receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            chunk, more = message.get("body", b""), message.get("more_body", False)
            waiting.append(chunk)
            held, received = held + len(chunk), received + len(chunk)
            if received > settings.max_upload:
                raise too_large(settings)
            if received < _SLOWEST * (time.monotonic() - started - _GRACE):
                raise _too_slow()
            if held >= _BATCH:
                limit.deadline = math.inf  # a slow disk is not the client's fault
                await anyio.to_thread.run_sync(cutter.feed, b"".join(waiting))
                waiting, held = [], 0
            if more:
                limit.deadline = anyio.current_time() + _SILENCE
        cutter.feed(b"".join(waiting))
    if limit.cancelled_caught:
        raise _too_slow()


def _too_slow() -> Problem:
    return Problem(408, "request", f"a byte every {_SILENCE} seconds expected", "upload again")


def refuse_length(request: Request, settings: Settings) -> None:
    """Refuse a body that says beforehand that it is too large.

    Raises:
        Problem: 413.
    """
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > settings.max_upload:
        raise too_large(settings)


def too_large(settings: Settings) -> Problem:
    return Problem(
        413, "request", f"at most {settings.max_upload} bytes expected, found more",
        "upload fewer or smaller files; the operator sets the limit with --max-upload",
        Connection="close",
    )  # fmt: skip


def _boundary(request: Request) -> bytes:
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind != b"multipart/form-data":
        found = kind.decode("latin-1") or "no Content-Type"
        raise Problem(
            415, "Content-Type", f"multipart/form-data expected, found {found:.80}",
            "send the files as a FormData, or with curl -F",
        )  # fmt: skip
    boundary = options.get(b"boundary", b"")
    if not 0 < len(boundary) <= 256:
        raise Problem(
            400, "Content-Type", "a boundary of at most 70 characters expected", "let FormData set the header"
        )
    return boundary


class _Form:
    """Takes the parts: short ones stay in memory, the others go to disk."""

    def __init__(self, work: Work, settings: Settings) -> None:
        self.parts: list[Part] = []
        self._work, self._settings = work, settings
        self._held: list[bytes] = []
        self._file: IO[bytes] | None = None
        self._room = _ALL_IN_MEMORY

    def begin(self, headers: dict[bytes, bytes]) -> None:
        if len(self.parts) >= self._settings.max_parts:
            raise Problem(
                413, "request", f"at most {self._settings.max_parts} parts expected, found more",
                "upload a .zip, or larger shards", Connection="close",
            )  # fmt: skip
        self.parts.append(Part(*_names(headers.get(b"content-disposition", b""))))

    def data(self, piece: memoryview) -> None:
        part = self.parts[-1]
        part.size += len(piece)
        if self._file is None and part.size > min(_IN_MEMORY, self._room):
            self._work.advance()
            part.data = self._work.new_file()
            self._file = part.data.open("wb")
            self._file.writelines(self._held)
            self._held = []
        if self._file is None:
            self._held.append(bytes(piece))
        else:
            self._file.write(piece)

    def end(self) -> None:
        if self._file is None:
            self._room -= self.parts[-1].size
            self.parts[-1].data = self._held[0] if len(self._held) == 1 else b"".join(self._held)
            self._held = []
        self.close()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _names(disposition: bytes) -> tuple[str, str | None]:
    """The field's name and the file's, in any of the forms that RFC 7578 and browsers know."""
    usual = _USUAL.fullmatch(disposition)
    if usual:
        return _text(usual[1]), None if usual[2] is None else _text(usual[2])
    _, options = parse_options_header(disposition)
    name = _text(options.get(b"name", b""))
    if b"filename" in options:
        return name, _text(options[b"filename"])
    if b"filename*" in disposition.lower():  # RFC 7578 forbids it; some clients send it all the same
        message = Message()
        message["content-disposition"] = disposition.decode("latin-1")
        return name, message.get_filename()
    return name, None


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", errors="replace")
