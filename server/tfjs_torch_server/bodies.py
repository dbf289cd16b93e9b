"""Bodies that are no upload: JSON, or a form of options, with rows to train with where there are any."""

from __future__ import annotations

import json
from typing import Any, Final

import anyio.to_thread
from starlette.requests import Request

from tfjs_torch import TfjsTorchError

from .multipart import read_parts, refuse_length, too_large
from .options import Options, options_of, options_of_json
from .problems import Problem
from .recognise import DATA, is_data, name_of
from .settings import Settings
from .work import Work
from .zips import File

_MAX: Final = 8 << 20  # bytes of a JSON body
_SHORT: Final = 1 << 16  # bytes that are parsed at once

Tables = list[tuple[str, File]]


def is_form(request: Request) -> bool:
    """Whether the body is multipart."""
    return request.headers.get("content-type", "").lower().startswith("multipart/")


async def options_and_data(request: Request, work: Work, settings: Settings) -> tuple[Options, Tables]:
    """What is asked for, and the files with rows.

    Raises:
        Problem: 400, 408, 413, 415, 422. TfjsTorchError: see options_of.
    """
    if is_form(request):
        return await _of_form(request, work, settings)
    body = await json_body(request, settings)
    data: Tables = []
    if isinstance(body, dict) and body.get(DATA) is not None:
        text = await anyio.to_thread.run_sync(json.dumps, body.pop(DATA))
        data.append((DATA, text.encode()))
    return options_of_json(body, request.query_params), data


async def _of_form(request: Request, work: Work, settings: Settings) -> tuple[Options, Tables]:
    fields: dict[str, list[str]] = {}
    data: Tables = []
    for number, part in enumerate(await read_parts(request, work, settings), 1):
        named = part.filename is None
        if (part.name == DATA or not named) and is_data(name_of(part, number), part.data, settings, named):
            data.append((name_of(part, number), part.data))
        else:
            fields.setdefault(part.name, []).append(part.read().decode("utf-8", "replace"))
    return options_of(request.query_params, fields), data


def is_question(request: Request) -> bool:
    """Whether the body is JSON, or the text that fetch() takes it for where a sketch does not say so."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind.endswith("json") or kind == "text/plain"


async def json_body(request: Request, settings: Settings, any_text: bool = False) -> Any:
    """The parsed body; {} for an empty one.

    Raises:
        Problem: 400 no JSON, 413 too long, 415 of another kind.
    """
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if not kind.endswith("json") and not any_text:
        raise Problem(415, "Content-Type", f"application/json or a form expected, found {kind:.80}", "send JSON")
    refuse_length(request, settings)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX:
            raise too_large(settings)
    if not body.strip():
        return {}
    try:
        return json.loads(body) if len(body) < _SHORT else await anyio.to_thread.run_sync(json.loads, body)
    except (ValueError, RecursionError) as error:
        if isinstance(error, TfjsTorchError):
            raise
        raise Problem(
            400, "body", f"a JSON object expected, found: {error!s:.100}",
            'send {"process": [...]} to change a model, {"model": ID, "input": ...} to ask one',
        ) from None  # fmt: skip
