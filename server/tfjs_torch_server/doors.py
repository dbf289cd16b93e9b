"""What every request passes on its way in and out: the log, CORS, the Host check, the token."""

from __future__ import annotations

import hmac
import json
import logging
import time
from typing import Any, Final

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .problems import Problem
from .settings import Settings

access: Final = logging.getLogger("tfjs_torch.access")

_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_READS: Final = ("GET", "HEAD", "OPTIONS")
_MAX_AGE: Final = 86400


def with_doors(app: ASGIApp, settings: Settings) -> ASGIApp:
    """The app behind its doors, the outermost last."""
    everybody = settings.allow_origins == ("*",)
    guarded = Guard(app, settings)
    shared = CORSMiddleware(
        guarded, allow_origins=settings.allow_origins, allow_methods=[*_READS, "POST", "PUT", "DELETE"],
        allow_headers=["*"], allow_credentials=not everybody, allow_private_network=True,
        expose_headers=["Content-Disposition", "Location", "WWW-Authenticate"], max_age=_MAX_AGE,
    )  # fmt: skip
    return AccessLog(shared)


class AccessLog:
    """One line of JSON a request: when, what, which status, how long, how many bytes."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not access.isEnabledFor(logging.INFO):
            await self._app(scope, receive, send)
            return
        started, came, went, status = time.perf_counter(), 0, 0, 0

        async def counted_receive() -> Message:
            nonlocal came
            message = await receive()
            came += len(message.get("body", b""))
            return message

        async def counted_send(message: Message) -> None:
            nonlocal went, status
            status = message.get("status", status)
            went += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, counted_receive, counted_send)
        finally:
            line: dict[str, Any] = {
                "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "client": (scope.get("client") or ("",))[0],
                "method": scope["method"], "path": _without_ids(scope["path"]), "status": status,
                "ms": round((time.perf_counter() - started) * 1000, 1), "bytes_in": came, "bytes_out": went,
            }  # fmt: skip
            access.info(json.dumps(line))


class Guard:
    """Refuses foreign names of this server (DNS rebinding), and writing without the token.

    A page of a stranger may point its own name at 127.0.0.1; the browser then sends that name as Host.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._token = settings.token
        self._hosts = {*_LOOPBACK, *(host.lower() for host in settings.allow_hosts)}
        self._any = "*" in settings.allow_hosts
        self._origins = settings.allow_origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        problem = self._problem(scope) if scope["type"] == "http" else None
        await (problem.response() if problem else self._app)(scope, receive, send)

    def _problem(self, scope: Scope) -> Problem | None:
        headers = Headers(scope=scope)
        host = _host(headers.get("host", ""))
        if not self._any and _is_loopback(scope.get("server")) and host not in self._hosts:
            return Problem(
                421, "Host", f"localhost, 127.0.0.1 or an allowed name expected, found {host[:80]!r}",
                "call the server under its own name, or start it with --allow-host NAME",
            )  # fmt: skip
        if scope["method"] not in _READS and self._is_foreign(headers):
            return Problem(
                403, "Origin", f"a page of {', '.join(self._origins)} expected, found {headers['origin'][:80]!r}",
                "ask whoever runs the server to allow it: --allow-origin",
            )  # fmt: skip
        if self._token is not None and scope["method"] not in _READS:
            kind, _, given = headers.get("authorization", "").partition(" ")
            if kind.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), self._token.encode()):
                return Problem(
                    401, "Authorization", "Bearer and the server's token expected, found neither or another one",
                    "ask whoever runs the server for the token", WWW_Authenticate="Bearer",
                )  # fmt: skip
        return None

    def _is_foreign(self, headers: Headers) -> bool:
        """Whether a page calls that may not. CORS alone would keep it from reading the answer, not from writing."""
        origin = headers.get("origin")
        own = origin is not None and origin.partition("://")[2] == headers.get("host")
        return origin is not None and not own and "*" not in self._origins and origin not in self._origins


def _host(header: str) -> str:
    """The name of a Host header, without the port.

    Example:
        >>> _host("Localhost:8000"), _host("[::1]:8000")
        ('localhost', '::1')
    """
    header = header.strip().lower()
    if header.startswith("["):
        return header[1:].partition("]")[0]
    return header.rpartition(":")[0] if header.count(":") == 1 else header


def _is_loopback(server: Any) -> bool:
    """Whether the connection came in over loopback; over a Unix socket there is a proxy in between."""
    name = str(server[0]) if server else ""
    return name.startswith(("127.", "::ffff:127.")) or name in ("::1", "localhost")


def _without_ids(path: str) -> str:
    """Ids of stored models, and of trainings, are as good as passwords: only their beginning is logged."""
    parts = path.split("/", 3)
    if len(parts) > 2 and parts[1] in ("models", "trainings"):
        own, dot, rest = parts[2].partition(".")
        parts[2] = f"{own[:6]}…{dot}{rest}" if len(own) > 6 else parts[2]
    return "/".join(parts)
