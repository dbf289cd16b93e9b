"""Files and a report as one answer: multipart/form-data, a zip, the report alone, or the single file."""

from __future__ import annotations

import io
import json
import secrets
import zipfile
from collections.abc import Iterable, Iterator
from typing import Any, Final
from urllib.parse import quote

import anyio.to_thread
from pydantic_core import PydanticSerializationError, to_json
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from .convert import Result
from .outgoing import OutFile
from .problems import Problem
from .work import Work, closed

FORM, ZIP, JSON, BINARY = "multipart/form-data", "application/zip", "application/json", "application/octet-stream"
REPORT: Final = "report.json"

_AT_ONCE: Final = 16 << 20  # bytes that are made and sent in one piece
_CHUNK: Final = 1 << 20
_ZIP_TIME: Final = (1980, 1, 1, 0, 0, 0)  # the same files give the same zip


def accepted(header: str, single: bool) -> str:
    """Which kind of answer goes best with an Accept header.

    Args:
        header: "" counts as "*/*".
        single: whether the answer is one file beside the report.

    Raises:
        Problem: 406.

    Example:
        >>> accepted("text/html, multipart/form-data;q=0.5", single=False)
        'multipart/form-data'
        >>> accepted("*/*", single=False), accepted("", single=True)
        ('application/zip', 'application/octet-stream')
    """
    offers = [BINARY, ZIP, FORM, JSON] if single else [ZIP, FORM, JSON]
    wishes = [_wish(wish) for wish in (header.strip() or "*/*").split(",")]
    weighed = [(max((_fits(kind, offer), q) for kind, q in wishes), offer) for offer in offers]
    best = max((q for (fit, q), _ in weighed if fit), default=0.0)
    for (fit, q), offer in weighed:
        if fit and q == best > 0:
            return offer
    raise Problem(
        406, "Accept", f"one of {', '.join(offers)} expected, found {header:.80}", f"for example Accept: {offers[0]}"
    )


def answer(result: Result, kind: str, work: Work, status: int = 200) -> Response:
    """The response; the work's folder goes when it has been sent."""
    taken = {file.name for file in result.files}
    report = OutFile.of(f"tfjs_torch-{REPORT}" if REPORT in taken else REPORT, _json(result.report))
    if kind == JSON:
        return Finished(work, report.pieces(), JSON, {}, status)
    if kind == BINARY:
        only = result.files[0]
        headers = {"Content-Disposition": disposition(only.name)} | length_of([only])
        return Finished(work, only.pieces(), BINARY, headers, status)
    files = [*result.files, report]
    if kind == ZIP:
        name = result.report.get("name") or "model.zip"
        return Finished(work, zipped(files), ZIP, {"Content-Disposition": disposition(name)}, status)
    boundary = f"tfjs-torch-{secrets.token_hex(12)}"
    heads = [_head(boundary, file.name) for file in files]
    tail = f"\r\n--{boundary}--\r\n".encode()
    extra = sum(map(len, heads)) - 2 + len(tail)  # the first delimiter needs no line break before it
    return Finished(work, _form(files, heads, tail), f'{FORM}; boundary="{boundary}"', length_of(files, extra), status)


def length_of(files: Iterable[OutFile], extra: int = 0) -> dict[str, str]:
    """Content-Length, when all lengths are known."""
    sizes = [file.size for file in files]
    return {} if None in sizes else {"Content-Length": str(sum(size or 0 for size in sizes) + extra)}


def disposition(name: str) -> str:
    """Content-Disposition of a download, for names in any alphabet (RFC 6266)."""
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\%' else "_" for c in name)
    more = "" if plain == name else f"; filename*=UTF-8''{quote(name.encode('utf-8', 'replace'), safe='')}"
    return f'attachment; filename="{plain}"{more}'


def zipped(files: Iterable[OutFile]) -> Iterator[bytes]:
    """A zip of files, while it is made: weights stored, as they hardly shrink, JSON deflated."""
    out = _Outlet()
    with zipfile.ZipFile(out, "w") as archive:
        for file in files:
            info = zipfile.ZipInfo(file.name, _ZIP_TIME)
            info.compress_type = zipfile.ZIP_DEFLATED if file.name.endswith(".json") else zipfile.ZIP_STORED
            info.external_attr = 0o644 << 16
            with archive.open(info, "w", force_zip64=file.size is None or file.size >= 1 << 31) as member:
                for piece in file.pieces():
                    member.write(piece)
                    yield from out.taken()
            yield from out.taken()
    yield from out.taken()


class Finished(Response):
    """An answer of pieces, made in a thread; at its end, or when the client goes, the work is closed."""

    def __init__(self, work: Work, pieces: Iterable[Any], kind: str, headers: dict[str, str], status: int) -> None:
        super().__init__(None, status, {"Cache-Control": "no-store", **headers}, kind)
        if "Content-Length" not in headers:
            del self.headers["content-length"]
        self._work, self._pieces = work, iter(pieces)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._send(send)
        except (ClientDisconnect, OSError):
            pass
        finally:
            await closed(self._work)

    async def _send(self, send: Send) -> None:
        chunk, more = self._next() if self._is_small() else await anyio.to_thread.run_sync(self._next)
        if not more and "content-length" not in self.headers:
            self.headers["content-length"] = str(len(chunk))
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        while more:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
            chunk, more = await anyio.to_thread.run_sync(self._next)
        await send({"type": "http.response.body", "body": chunk, "more_body": False})

    def _is_small(self) -> bool:
        length = self.headers.get("content-length", "")
        return not self._work.has_folder and (not length or int(length) < _CHUNK)

    def _next(self) -> tuple[bytes, bool]:
        """About a megabyte, and whether more may come."""
        held: list[bytes] = []
        size = 0
        for piece in self._pieces:
            data = piece if isinstance(piece, bytes) else bytes(piece)
            held.append(data)
            size += len(data)
            if size >= _CHUNK:
                return held[0] if len(held) == 1 else b"".join(held), True
        return b"".join(held), False


class _Outlet(io.RawIOBase):
    """Where zipfile writes; whoever sends takes it from here."""

    def __init__(self) -> None:
        self._held: list[bytes] = []
        self._at = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        copied = bytes(data)
        self._held.append(copied)
        self._at += len(copied)
        return len(copied)

    def tell(self) -> int:
        return self._at

    def taken(self) -> list[bytes]:
        held, self._held = self._held, []
        return held


def _form(files: list[OutFile], heads: list[bytes], tail: bytes) -> Iterator[Any]:
    for number, (file, head) in enumerate(zip(files, heads, strict=True)):
        yield head if number else head[2:]
        yield from file.pieces()
    yield tail


def _head(boundary: str, name: str) -> bytes:
    """As browsers write it: UTF-8, with quotes and line breaks escaped (the HTML standard's multipart encoding)."""
    escaped = name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
    kind = JSON if name.endswith(".json") else BINARY
    return (
        f'\r\n--{boundary}\r\nContent-Disposition: form-data; name="{escaped}"; filename="{escaped}"\r\n'
        f"Content-Type: {kind}\r\n\r\n"
    ).encode("utf-8", "replace")


def _json(value: Any) -> bytes:
    """pydantic writes numbers in a quarter of the time; names with lone surrogates only json can write, as escapes."""
    try:
        return to_json(value, inf_nan_mode="null")
    except PydanticSerializationError:
        return json.dumps(value, allow_nan=False, separators=(",", ":")).encode("ascii")


def _wish(text: str) -> tuple[str, float]:
    kind, *options = (part.strip().lower() for part in text.split(";"))
    for option in options:
        if option.startswith("q="):
            try:
                return kind, max(0.0, min(1.0, float(option[2:])))
            except ValueError:
                return kind, 0.0
    return kind, 1.0


def _fits(kind: str, offer: str) -> int:
    """How exactly a kind names an offer; 0: not at all."""
    if kind == offer:
        return 3
    return 2 if kind == f"{offer.partition('/')[0]}/*" else int(kind in ("*/*", "*"))
