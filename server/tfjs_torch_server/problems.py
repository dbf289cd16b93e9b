"""Errors as RFC 9457 problem details: what went wrong, where, and what to do."""

from __future__ import annotations

import errno
import json
import logging
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from tfjs_torch import FilesError, FormatError, MismatchError, TfjsTorchError, UnsupportedError

from .work import ClientGone

Handler = Callable[[Request], Awaitable[Response]]

MEDIA_TYPE: Final = "application/problem+json"

_TITLES: Final = {
    400: "The files or the request are malformed",
    401: "A token is needed",
    403: "This page may not call this server",
    404: "There is nothing here",
    405: "This address does not answer that method",
    406: "None of the accepted kinds of answer can be given",
    408: "The upload came too slowly",
    413: "Too large",
    415: "This kind of file is not read here",
    421: "This server does not answer under that name",
    422: "The parts do not fit, or cannot be converted here",
    500: "A fault of this server",
    507: "No room left",
}
_ADVICE: Final = {
    400: "save the model again and upload the files as they are",
    413: "upload less, or ask the operator for a higher limit",
    422: "compare the files with each other, and the options with GET /formats",
    500: "the operator finds the details in the server's log",
    507: "try again later, or ask the operator for more room",
}
_log = logging.getLogger("tfjs_torch.server")
_private: list[re.Pattern[str]] = []


def keep_private(folder: Path) -> None:
    """Paths below this folder of the server are told without it from now on."""
    found = re.compile(re.escape(str(folder.absolute())) + r"(/(work|models)/[^/]+)?/?")
    if found not in _private:
        _private.append(found)


class Problem(Exception):
    """An answer with an error status.

    Args:
        status: of HTTP.
        where: the part, file, tensor or option that it is about.
        detail: what was expected and what was found, a sentence.
        what_to_do: a sentence for the user.
    """

    def __init__(self, status: int, where: str, detail: str, what_to_do: str = "", **headers: str) -> None:
        super().__init__(detail)
        self.status, self.where, self.detail = status, where, detail
        self.what_to_do = what_to_do or _ADVICE.get(status, "see /docs")
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def to_dict(self) -> dict[str, Any]:
        """The JSON of the answer."""
        return {
            "type": f"/docs#problem-{self.status}",
            "title": _TITLES.get(self.status, "The request failed"),
            "status": self.status,
            "detail": self.detail,
            "where": self.where,
            "what_to_do": self.what_to_do,
        }

    def response(self) -> Response:
        """Lone surrogates, which names from outside may hold, are written as escapes."""
        body = json.dumps(self.to_dict()).encode("ascii")
        return Response(body, self.status, {**self.headers, "Cache-Control": "no-store"}, MEDIA_TYPE)


def problem_of(error: BaseException) -> Problem:
    """The answer to an exception; one that nobody has foreseen is logged, and its text stays here."""
    if isinstance(error, Problem):
        return error
    if type(error) is TfjsTorchError:  # only code of the operator's own ends so
        _log.error("an own step failed", exc_info=error)
        return Problem(
            422, error.where.rpartition(":")[2],
            f"a step that runs expected, found this server's own step fail with {type(error.__cause__).__name__}",
            "tell the operator, who finds the details in the log",
        )  # fmt: skip
    if isinstance(error, TfjsTorchError):
        said, _, advice = _public(error.message).rpartition("; ")
        return Problem(_status(error), _public(error.where), said or advice, advice if said else "")
    if isinstance(error, MemoryError):
        return Problem(413, "request", "more memory needed than this server has", "upload a smaller model")
    if isinstance(error, RecursionError):
        return Problem(400, "model.json", "layers of a sane depth expected, found them nested too deep")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Problem(507, "store", "room on the server's disk expected, found it full")
    _log.error("unforeseen error", exc_info=error)
    return Problem(500, "server", f"an answer expected, found an unforeseen {type(error).__name__}")


def _public(text: str) -> str:
    for folder in _private:
        text = folder.sub("", text)
    return text


def _status(error: TfjsTorchError) -> int:
    cause: Any = error.__cause__
    if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
        return 507
    if isinstance(error, (FilesError, FormatError)):
        return 400
    return 422 if isinstance(error, (MismatchError, UnsupportedError)) else 400


def caught(handler: Handler) -> Handler:
    """A route whose errors are answers."""

    async def route(request: Request) -> Response:
        try:
            return await handler(request)
        except ClientGone:
            return Response(status_code=499)  # nobody reads it; the log shows it
        except Exception as error:
            return problem_of(error).response()

    route.__name__, route.__doc__ = handler.__name__, handler.__doc__
    return route


async def unforeseen(_: Request, error: Exception) -> Response:
    """What no route has caught."""
    return problem_of(error).response()


async def http_problem(_: Request, error: Exception) -> Response:
    """No such address, or method."""
    assert isinstance(error, HTTPException)
    todo = {404: "see / for the page and /docs for the addresses", 405: "see /docs"}.get(error.status_code, "see /docs")
    problem = Problem(error.status_code, "address", "an address of this server expected, found another one", todo)
    if error.status_code == 405:
        problem.detail = "another method expected at this address"
    problem.headers.update(error.headers or {})
    return problem.response()
