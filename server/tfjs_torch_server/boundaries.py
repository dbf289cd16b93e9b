"""A multipart body, cut at its boundaries as it arrives (RFC 2046 and 7578).

It comes in buffers of any length, which are searched, not walked through. What may be the beginning of a boundary is
held back until more has come; everything else goes on at once, so that a part may be larger than the memory.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, Protocol

from .problems import Problem

_PREAMBLE: Final = 1 << 14  # bytes before the first boundary
_HEAD: Final = 1 << 14  # bytes of a part's head
_HEADERS: Final = 32  # lines of it
_LINE: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*)", re.DOTALL)
_BEHIND: Final = re.compile(rb"--|[ \t]{0,64}\r\n")  # what makes a boundary of "--boundary"
_UNDECIDED: Final = re.compile(rb"-|[ \t]{0,64}\r?")

State = Callable[[bytes, int], int]


class Sink(Protocol):
    """Who takes the parts."""

    def begin(self, headers: dict[bytes, bytes]) -> None:
        """A part begins; names of headers in small letters."""

    def data(self, piece: memoryview) -> None:
        """More of its bytes."""

    def end(self) -> None:
        """It has come whole."""


class Cutter:
    """Cuts a body into parts.

    Attributes:
        ended: whether the last boundary has come.

    Example:
        >>> class Shown:
        ...     begin, end = staticmethod(print), staticmethod(lambda: print("end"))
        ...     data = staticmethod(lambda piece: print(bytes(piece)))
        >>> cutter = Cutter(b"x", Shown())
        >>> cutter.feed(b"--x\\r\\nA: 1\\r\\n\\r\\none")
        {b'a': b'1'}
        b'one'
        >>> cutter.feed(b", two\\r\\n--x--")
        b', two'
        end
    """

    def __init__(self, boundary: bytes, sink: Sink) -> None:
        self.ended = False
        self._mark, self._sink = b"\r\n--" + boundary, sink
        self._held, self._inside = b"", False
        self._state: State = self._before

    def feed(self, data: bytes) -> None:
        """More of the body.

        Raises:
            Problem: 400, it is none.
        """
        data = self._held + data if self._held else data
        at = 0
        state: State | None = None
        while state is not self._state:  # a state that stays needs more bytes
            state = self._state
            at = state(data, at)
        self._held = data[at:]

    def _before(self, data: bytes, at: int) -> int:
        """Find the first boundary, behind a preamble, which RFC 2046 allows.

        node's fetch, sent on by a redirect, writes another boundary than its header says: then the body is believed.
        """
        mark, found = self._mark[2:], -1
        if not data.startswith(mark):
            found = data.find(b"\n" + mark, 0, _PREAMBLE)
            line, whole, _ = data[:256].partition(b"\r\n")
            if found < 0 and whole and line.startswith(b"--") and len(line) > 2:
                self._mark, mark = whole + line, line
            elif found < 0:
                if len(data) > _PREAMBLE:
                    raise _malformed("no boundary at its start")
                return at
        self._state = self._behind
        return found + 1 + len(mark)

    def _behind(self, data: bytes, at: int) -> int:
        """After "--boundary": the end, another part, or bytes of a part that happen to look like one."""
        found = _BEHIND.match(data, at)
        if found is None and _UNDECIDED.fullmatch(data, at):
            return at
        if found is None:
            if not self._inside:
                raise _malformed("another first line than its boundary")
            self._sink.data(memoryview(self._mark))
            self._state = self._body
            return at
        if self._inside:
            self._sink.end()
        self.ended = found[0] == b"--"
        self._state = self._epilogue if self.ended else self._head
        return found.end()

    def _head(self, data: bytes, at: int) -> int:
        end = at if data.startswith(b"\r\n", at) else data.find(b"\r\n\r\n", at)
        if max(end, len(data) if end < 0 else 0) - at > _HEAD:
            raise _malformed(f"more than {_HEAD} bytes before a part")
        if end < 0:
            return at
        self._sink.begin(_headers(data[at:end]))
        self._inside, self._state = True, self._body
        return end + 4 if end > at else end + 2

    def _body(self, data: bytes, at: int) -> int:
        found = data.find(self._mark, at)
        if found >= 0:
            self._state = self._behind
            stop, after = found, found + len(self._mark)
        else:
            stop = data.rfind(b"\r", max(at, len(data) - len(self._mark) + 1))
            stop = stop if stop >= 0 and self._mark.startswith(data[stop:]) else len(data)
            after = stop
        if stop > at:
            self._sink.data(memoryview(data)[at:stop])
        return after

    def _epilogue(self, data: bytes, _: int) -> int:
        return len(data)


def _headers(head: bytes) -> dict[bytes, bytes]:
    lines = head.split(b"\r\n") if head else []
    if len(lines) > _HEADERS:
        raise _malformed(f"more than {_HEADERS} lines before a part")
    found = {}
    for line in lines:
        match = _LINE.fullmatch(line)
        if match is None:
            raise _malformed(f"the line {line[:40].decode('latin-1')!r} before a part")
        found[match[1].lower()] = match[2].rstrip()
    return found


def _malformed(found: str) -> Problem:
    return Problem(400, "request", f"multipart/form-data expected, found {found}", "send it as a FormData, or curl -F")
