"""The app: which address does what. Bodies are read in multipart.py, work is done in threads, answers in answers.py."""

from __future__ import annotations

import gc
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import anyio
import anyio.to_thread
from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from tfjs_torch import TfjsTorchError, __version__, processing
from tfjs_torch.node import find_modules

from . import documents, page
from .answers import BINARY, Finished, accepted, answer, disposition, zipped
from .convert import Result, convert, is_quick
from .doors import with_doors
from .looking import inspected, json_of, predicted
from .multipart import read_parts, refuse_length, too_large
from .options import LAYOUTS, PROGRAMS, STORAGES, TARGETS, Options, options_of, options_of_json
from .problems import Problem, keep_private, problem_of
from .recognise import Model, Upload, is_small, recognise
from .settings import Settings
from .store import Store, Stored
from .work import ClientGone, Work, closed, give_back_large_blocks, in_thread

_SINGLE: Final = frozenset(TARGETS) - {"tfjs"}
_EXPORTS, _PREDICTIONS = 2, 8  # of a worker at once
_MAX_OTHERS: Final = 100  # models that one request mixes
_MAX_BODY: Final = 1 << 20  # bytes of a JSON body
_SANDBOX: Final = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox; default-src 'none'"}

Handler = Callable[[Request], Awaitable[Response]]


def create_app(settings: Settings | None = None) -> ASGIApp:
    """The server as an ASGI app.

    Args:
        settings: None takes the defaults.

    Raises:
        TfjsTorchError: an own processor that cannot be loaded.

    Example:
        >>> from tfjs_torch_server import create_app
        >>> app = create_app()
    """
    return Server(settings or Settings())


class Server:
    """The routes and what they share: settings, the store, and nothing about any request."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = Store(settings.folder, settings.quota, settings.expire)
        keep_private(self.store.folder)
        for name in settings.processors:
            processing.load(name)
            keep_private(Path(name.rpartition(":")[0]).parent)
        self.api = FastAPI(
            title="tfjs_torch", version=__version__, summary=documents.SUMMARY, description=documents.DESCRIPTION,
            lifespan=self._lifespan, redoc_url=None, redirect_slashes=False,
        )  # fmt: skip
        self.api.add_exception_handler(HTTPException, _http_problem)
        self.api.add_exception_handler(Exception, _unforeseen)
        self._exporting: anyio.CapacityLimiter | None = None
        self._running: anyio.CapacityLimiter | None = None
        self._add_routes()
        self._vendored = page.installed_tfjs(find_modules()) if settings.vendor else None
        self._script = page.script(self._vendored)
        self._app = with_doors(self.api, settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        await self._app(scope, receive, send)

    @asynccontextmanager
    async def _lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        self._exporting, self._running = anyio.CapacityLimiter(_EXPORTS), anyio.CapacityLimiter(_PREDICTIONS)
        await anyio.to_thread.run_sync(self.store.sweep)
        give_back_large_blocks()
        gc.collect()
        gc.freeze()  # what torch has made lives for ever: the collector need not walk through it during requests
        yield
        gc.unfreeze()

    def _add_routes(self) -> None:
        routes: list[tuple[str, list[str], Handler, dict[str, Any]]] = [
            ("/convert", ["POST"], self.convert, documents.CONVERT),
            ("/inspect", ["POST"], self.inspect, documents.INSPECT),
            ("/predict", ["POST"], self.predict, documents.PREDICT),
            ("/models", ["POST", "PUT"], self.store_model, documents.STORE),
            ("/models/{id}/process", ["POST"], self.process, documents.PROCESS),
            ("/models/{id}", ["DELETE"], self.delete, documents.DELETE),
            ("/models/{id}", ["GET", "HEAD"], self.stored, documents.STORED),
            ("/models/{id}/{file:path}", ["GET", "HEAD"], self.stored_file, documents.STORED_FILE),
            ("/formats", ["GET", "HEAD"], self.formats, documents.FORMATS),
            ("/healthz", ["GET", "HEAD"], self.health, documents.HEALTH),
        ]
        for path, methods, handler, described in routes:
            for method in methods:
                shown = method in ("GET", "POST", "DELETE") or (method == "PUT" and "PUT" in methods)
                self.api.add_api_route(
                    path, _caught(handler), methods=[method], include_in_schema=shown, response_model=None,
                    operation_id=f"{handler.__name__}_{method.lower()}", **described,
                )  # fmt: skip
        for path, methods, handler, _ in routes:
            # tf.js may be given an address with a slash behind it, and fetch in node cannot send a form a second time.
            self.api.add_route(f"{path}/", _caught(handler), methods=methods, include_in_schema=False)
        whole_page = page.page_app()
        for address in page.page_addresses():
            self.api.router.routes.append(Route(address, whole_page, methods=["GET", "HEAD"], include_in_schema=False))
        self.api.add_route(page.VENDOR, self.vendor, methods=["GET", "HEAD"], include_in_schema=False)

    async def convert(self, request: Request) -> Response:
        """Files in, files and a report out; nothing is kept."""

        def kind(options: Options) -> str:
            return accepted(request.headers.get("accept", ""), options.to in _SINGLE)

        return await self._with_upload(request, lambda work, upload: self._converted(request, work, upload, kind))

    async def _converted(
        self, request: Request, work: Work, upload: Upload, kind: Callable[[Options], str]
    ) -> Response:
        options = options_of(request.query_params, upload.options)
        chosen = kind(options)
        quick = not work.has_folder and is_quick(upload, options)
        limiter = self._exporting if options.to in PROGRAMS else None
        return answer(
            await in_thread(request, work, convert, upload, options, work, self.settings, quick=quick, limiter=limiter),
            chosen,
            work,
        )

    async def inspect(self, request: Request) -> Response:
        """What a model is."""

        async def looked(work: Work, upload: Upload) -> Response:
            return _json(await in_thread(request, work, lambda: json_of(inspected(upload, work, self.settings))), work)

        return await self._with_upload(request, looked)

    async def predict(self, request: Request) -> Response:
        """What a model answers, computed by PyTorch."""

        async def asked(work: Work, upload: Upload) -> Response:
            given = request.query_params.getlist("inputs") or upload.options.get("inputs", [])
            if len(given) != 1:
                raise Problem(422, "inputs", f"one field with JSON expected, found {len(given)}", "add inputs=[[...]]")
            limiter = self._running
            answered = await in_thread(
                request, work, lambda: json_of(predicted(upload, given[0], work)), limiter=limiter
            )
            return _json(answered, work)

        return await self._with_upload(request, asked)

    async def store_model(self, request: Request) -> Response:
        """Keep a model and say where."""

        async def keep(work: Work, upload: Upload) -> Response:
            options = options_of(request.query_params, upload.options)
            _refuse_other_kinds(options)
            result = await in_thread(request, work, convert, upload, options, work, self.settings)
            return await self._kept(request, work, result)

        return await self._with_upload(request, keep)

    async def process(self, request: Request) -> Response:
        """A stored model with other weights, as a new one."""
        work = Work(self.store.work)
        try:
            options = await self._options(request, work)
            names = [request.path_params["id"], *options.others]
            models = [await anyio.to_thread.run_sync(self._model, name) for name in names]
            if len(names) > _MAX_OTHERS + 1:
                raise Problem(
                    422, "with", f"at most {_MAX_OTHERS} models expected, found {len(names) - 1}", "average fewer"
                )
            _refuse_other_kinds(options)
            try:
                result = await in_thread(request, work, convert, Upload(models, {}), options, work, self.settings)
            except (TfjsTorchError, OSError):
                for name in names:  # deleted meanwhile: that is the reason, then
                    await anyio.to_thread.run_sync(self.store.find, name)
                raise
            return await self._kept(request, work, result, with_report=True)
        except BaseException:
            await closed(work)
            raise

    async def _options(self, request: Request, work: Work) -> Options:
        if request.headers.get("content-type", "").lower().startswith("multipart/"):
            parts = await read_parts(request, work, self.settings)
            fields: dict[str, list[str]] = {}
            for part in parts:
                fields.setdefault(part.name, []).append(part.read().decode("utf-8", "replace"))
            return options_of(request.query_params, fields)
        kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
        if not kind.endswith("json"):
            raise Problem(415, "Content-Type", f"application/json or a form expected, found {kind:.80}", "send JSON")
        refuse_length(request, self.settings)
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > _MAX_BODY:
                raise too_large(self.settings)
        if not body.strip():
            return options_of(request.query_params, {})
        try:
            return options_of_json(json.loads(body), request.query_params)
        except (ValueError, RecursionError) as error:
            if isinstance(error, TfjsTorchError):
                raise
            raise Problem(
                400, "body", f"a JSON object expected, found: {error!s:.100}", 'send {"process": [...]}'
            ) from None

    def _model(self, name: str) -> Model:
        stored = self.store.find(name)
        return Model({file: stored.folder / file for file in stored.files})

    async def _kept(self, request: Request, work: Work, result: Result, with_report: bool = False) -> Response:
        json_name = result.files[-1].name
        stored = await in_thread(request, work, self.store.add, result.files, json_name, work)
        told = self._told(request, stored)
        if with_report:
            told["report"] = result.report
        elif result.report["warnings"]:
            told["warnings"] = result.report["warnings"]
        response = _json(await in_thread(request, work, json_of, told, quick=not with_report), work, 201)
        response.headers["Location"] = str(request.url_for("stored", id=stored.id))
        return response

    def _told(self, request: Request, stored: Stored) -> dict[str, Any]:
        def url(name: str) -> str:
            return f"{request.url_for('stored', id=stored.id)}/{quote(name)}"

        until = datetime.fromtimestamp(stored.expires, timezone.utc).isoformat(timespec="seconds")
        files = [{"name": name, "bytes": size, "url": url(name)} for name, size in stored.files.items()]
        return {"id": stored.id, "url": url(stored.json_name), "files": files, "expires": until}

    async def stored(self, request: Request) -> Response:
        """What is stored under an id; with .zip behind it, all of it."""
        own: str = request.path_params["id"]
        if own.endswith(".zip"):
            return await self._zip(own.removesuffix(".zip"))
        found = await anyio.to_thread.run_sync(self.store.find, own)
        return JSONResponse(self._told(request, found), headers={"Cache-Control": "no-store"})

    async def stored_file(self, request: Request) -> Response:
        """One file; what is not there has an empty body, since tf.js takes any body for weights."""
        own, name = request.path_params["id"], request.path_params["file"]
        file = await anyio.to_thread.run_sync(self.store.open, own, name)
        if file is None and name.endswith(".zip"):
            try:
                return await self._zip(own)
            except Problem:
                file = None
        if file is None:
            return Response(status_code=404)
        kind = "application/json" if name.endswith(".json") else BINARY
        headers = {**_SANDBOX, "Content-Length": str(file.size)}
        return Finished(Work(self.store.work), file.pieces(), kind, headers, 200)

    async def _zip(self, own: str) -> Response:
        json_name, files = await anyio.to_thread.run_sync(self.store.open_all, own)
        headers = {"Content-Disposition": disposition(f"{json_name.removesuffix('.json')}.zip")}
        return Finished(Work(self.store.work), zipped(files), "application/zip", headers, 200)

    async def delete(self, request: Request) -> Response:
        """Forget a model."""
        await anyio.to_thread.run_sync(self.store.delete, request.path_params["id"])
        return Response(status_code=204)

    async def formats(self, _: Request) -> Response:
        """What can be asked for, and within which limits."""
        settings = self.settings
        steps = [
            {
                "name": name, "title": step.title, "description": step.description, "options": step.options,
                "others": list(step.others), "takes": step.takes,
            }
            for name, step in processing.steps().items()
        ]  # fmt: skip
        return JSONResponse(
            {
                "version": __version__, "to": TARGETS, "layouts": LAYOUTS, "quantize": STORAGES, "steps": steps,
                "limits": {
                    "max_upload": settings.max_upload, "max_parts": settings.max_parts,
                    "max_tensors": settings.max_tensors, "max_json": settings.max_json, "max_depth": settings.max_depth,
                    "quota": settings.quota, "expire": settings.expire,
                },
                "token": settings.token is not None, "tfjs": self._script._asdict(),
            }
        )  # fmt: skip

    async def health(self, _: Request) -> Response:
        """Whether the server answers."""
        return JSONResponse({"status": "ok", "version": __version__})

    async def vendor(self, _: Request) -> Response:
        """The installed tf.js."""
        if self._vendored is None:
            return Problem(
                404, "tf.js", "an installed copy expected, found none", "npm install @tensorflow/tfjs"
            ).response()
        headers = {**page.SECURITY, "Cache-Control": "public, max-age=86400"}
        return FileResponse(self._vendored, media_type="text/javascript", headers=headers)

    async def _with_upload(self, request: Request, handler: Callable[[Work, Upload], Awaitable[Response]]) -> Response:
        """Read and sort the parts, then go on; the work is closed by the answer, or here when there is none."""
        work = Work(self.store.work)
        try:
            parts = await read_parts(request, work, self.settings)
            quick = not work.has_folder and is_small(parts)
            upload = await in_thread(request, work, recognise, parts, work, self.settings, quick=quick)
            return await handler(work, upload)
        except BaseException:
            await closed(work)
            raise


def _refuse_other_kinds(options: Options) -> None:
    for name, value in (("to", options.to), ("layout", options.layout)):
        if value != "tfjs":
            raise Problem(422, name, f"{name}=tfjs expected for what is stored, found {value}", "leave it out")


def _caught(handler: Handler) -> Handler:
    async def route(request: Request) -> Response:
        try:
            return await handler(request)
        except ClientGone:
            return Response(status_code=499)  # nobody reads it; the log shows it
        except Exception as error:
            return problem_of(error).response()

    route.__name__, route.__doc__ = handler.__name__, handler.__doc__
    return route


async def _unforeseen(_: Request, error: Exception) -> Response:
    return problem_of(error).response()


async def _http_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    todo = {404: "see / for the page and /docs for the addresses", 405: "see /docs"}.get(error.status_code, "see /docs")
    problem = Problem(error.status_code, "address", "an address of this server expected, found another one", todo)
    if error.status_code == 405:
        problem.detail = "another method expected at this address"
    problem.headers.update(error.headers or {})
    return problem.response()


def _json(body: bytes, work: Work, status: int = 200) -> Response:
    return Finished(work, [body], "application/json", {}, status)
