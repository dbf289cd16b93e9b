"""multipart/form-data as it arrives: small parts stay in memory, large ones go to disk, limits hold at every byte."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from typing import IO, Any, Final

import anyio
import anyio.to_thread
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from .problems import Problem
from .settings import Settings
from .work import ClientGone, Work

_IN_MEMORY: Final = 1 << 20  # bytes of a part that need no file
_BATCH: Final = 1 << 20  # bytes that are parsed at once in a thread
_SILENCE: Final = 30  # seconds without a byte
_GRACE: Final = 60  # seconds after which an upload must have been faster than ...
_PREAMBLE: Final = 1 << 14  # bytes before the first boundary
_SLOWEST: Final = 1 << 10  # ... so many bytes a second


@dataclass
class Part:
    """One part of a form: a file, or an option (no file name).

    Attributes:
        data: its bytes, or the file where they lie.
    """

    name: str = ""
    filename: str | None = None
    content_type: str = ""
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
    form = _Form(work, settings, _boundary(request))
    refuse_length(request, settings)
    waiting: list[bytes] = []
    held, started = 0, time.monotonic()
    try:
        stream = request.stream().__aiter__()
        while True:
            with anyio.fail_after(_SILENCE):
                chunk = await anext(stream, None)
            if chunk is None:
                break
            held += len(chunk)
            form.received += len(chunk)
            waiting.append(chunk)
            if form.received > settings.max_upload:
                raise too_large(settings)
            if form.received < _SLOWEST * (time.monotonic() - started - _GRACE):
                raise TimeoutError
            if held >= _BATCH:
                await anyio.to_thread.run_sync(form.feed, waiting)
                waiting, held = [], 0
        form.feed(waiting)
        return form.finish()
    except TimeoutError:
        raise Problem(408, "request", f"a byte every {_SILENCE} seconds expected", "upload again") from None
    except ClientDisconnect:
        raise ClientGone from None
    except FormParserError as error:
        raise Problem(400, "request", f"multipart/form-data expected, found: {error}", "see /docs") from None
    finally:
        form.close()


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


@dataclass
class _Form:
    work: Work
    settings: Settings
    boundary: bytes
    received: int = 0
    parts: list[Part] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._memory, self._ended = bytearray(), False
        self._file: IO[bytes] | None = None
        self._header: list[bytes] = [b"", b""]
        callbacks: Any = {
            "on_part_begin": self._begin, "on_part_data": self._data, "on_part_end": self._end,
            "on_header_field": self._header_field, "on_header_value": self._header_value,
            "on_header_end": self._header_end, "on_end": self._finish,
        }  # fmt: skip
        self._callbacks = callbacks
        self._parser: MultipartParser | None = None
        self._start = b""

    def feed(self, chunks: list[bytes]) -> None:
        for chunk in chunks:
            if self._parser is None:
                chunk = self._opened(self._start + chunk)
            if self._parser is not None:
                self._parser.write(chunk)
        self.work.advance()

    def _opened(self, start: bytes) -> bytes:
        """Find the first boundary, behind a preamble that RFC 2046 allows; returns the body from there on.

        node's fetch, sent on by a redirect, writes another boundary than its header says: then the body is believed.
        """
        mark, at = b"--" + self.boundary, start.find(b"--" + self.boundary)
        if at > 0 and start[at - 1 : at] != b"\n":
            at = -1
        first, ended, _ = start[:_PREAMBLE].partition(b"\r\n")
        if at < 0 and ended and first.startswith(b"--") and 2 < len(first) <= 256:
            mark, at = first, 0
        if at < 0:
            self._start = start
            if len(start) > _PREAMBLE:
                raise Problem(400, "request", "the first part's boundary expected, found none", "upload again")
            return b""
        self._parser = MultipartParser(mark[2:], self._callbacks, max_header_count=32, max_header_size=8192)
        return start[at:]

    def finish(self) -> list[Part]:
        if self._parser is not None:
            self._parser.finalize()
        if not self._ended:
            raise Problem(400, "request", "a whole multipart body expected, found it cut off", "upload again")
        return self.parts

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _begin(self) -> None:
        if len(self.parts) >= self.settings.max_parts:
            raise Problem(
                413, "request", f"at most {self.settings.max_parts} parts expected, found more",
                "upload a .zip, or larger shards", Connection="close",
            )  # fmt: skip
        self.parts.append(Part())

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header[0] += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._header[1] += data[start:end]

    def _header_end(self) -> None:
        (name, value), part = self._header, self.parts[-1]
        self._header = [b"", b""]
        if name.lower() == b"content-type":
            part.content_type = value.decode("latin-1").split(";")[0].strip().lower()
        elif name.lower() == b"content-disposition":
            part.name, part.filename = _names(value)

    def _data(self, data: bytes, start: int, end: int) -> None:
        part = self.parts[-1]
        part.size += end - start
        if self._file is None and part.size > _IN_MEMORY:
            part.data = self.work.new_file()
            self._file = part.data.open("wb", buffering=0)
            self._file.write(self._memory)
            self._memory = bytearray()
        if self._file is None:
            self._memory += data[start:end]
        else:
            self._file.write(memoryview(data)[start:end])

    def _end(self) -> None:
        if self._file is None:
            self.parts[-1].data = bytes(self._memory)
            self._memory = bytearray()
        self.close()

    def _finish(self) -> None:
        self._ended = True


def _names(disposition: bytes) -> tuple[str, str | None]:
    """The field's name and the file's, in any of the forms that RFC 7578 and browsers know."""
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
