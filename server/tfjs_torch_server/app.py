"""The app: which address does what. Bodies are read in multipart.py, work is done in threads, answers in answers.py."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, nullcontext
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
from .answering import job_of
from .answers import BINARY, Finished, accepted, answer, disposition, zipped
from .bodies import is_form, is_question, json_body, options_and_data
from .checking import Given, checked, given_files, repaired
from .convert import Result, convert, is_quick
from .doors import with_doors
from .events import EVENTS, Events, wants_events
from .finetuning import offered
from .looking import inspected, json_of
from .multipart import read_parts
from .options import LAYOUTS, PROGRAMS, STORAGES, TARGETS, Options, options_of
from .problems import Handler, Problem, caught, http_problem, keep_private, unforeseen
from .recognise import Model, Upload, is_small, recognise
from .settings import Settings
from .stopping import Say, Training, stop
from .store import Store, Stored
from .work import Work, closed, give_back_large_blocks, in_thread

_SINGLE: Final = frozenset(TARGETS) - {"tfjs"}
_EXPORTS, _PREDICTIONS, _PICTURES, _TRAININGS = 2, 8, 2, 2  # of a worker at once
_MAX_OTHERS: Final = 100  # models that one request mixes
_SANDBOX: Final = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox; default-src 'none'"}


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
        self.api.add_exception_handler(HTTPException, http_problem)
        self.api.add_exception_handler(Exception, unforeseen)
        self._exporting: anyio.CapacityLimiter | None = None
        self._running: anyio.CapacityLimiter | None = None
        self._decoding: anyio.CapacityLimiter | None = None
        self._training: anyio.CapacityLimiter | None = None
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
        self._decoding, self._training = anyio.CapacityLimiter(_PICTURES), anyio.CapacityLimiter(_TRAININGS)
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
            ("/check", ["POST"], self.check, documents.CHECK),
            ("/repair", ["POST"], self.repair, documents.REPAIR),
            ("/models", ["POST", "PUT"], self.store_model, documents.STORE),
            ("/models/{id}/process", ["POST"], self.process, documents.PROCESS),
            ("/models/{id}", ["DELETE"], self.delete, documents.DELETE),
            ("/models/{id}", ["GET", "HEAD"], self.stored, documents.STORED),
            ("/models/{id}/{file:path}", ["GET", "HEAD"], self.stored_file, documents.STORED_FILE),
            ("/trainings/{id}/stop", ["POST"], self.stop, documents.STOP),
            ("/formats", ["GET", "HEAD"], self.formats, documents.FORMATS),
            ("/healthz", ["GET", "HEAD"], self.health, documents.HEALTH),
        ]
        for path, methods, handler, described in routes:
            for method in methods:
                shown = method in ("GET", "POST", "DELETE") or (method == "PUT" and "PUT" in methods)
                self.api.add_api_route(
                    path, caught(handler), methods=[method], include_in_schema=shown, response_model=None,
                    operation_id=f"{handler.__name__}_{method.lower()}", **described,
                )  # fmt: skip
        for path, methods, handler, _ in routes:
            # tf.js may be given an address with a slash behind it, and fetch in node cannot send a form a second time.
            self.api.add_route(f"{path}/", caught(handler), methods=methods, include_in_schema=False)
        whole_page = page.page_app()
        for address in page.page_addresses():
            self.api.router.routes.append(Route(address, whole_page, methods=["GET", "HEAD"], include_in_schema=False))
        self.api.add_route(page.VENDOR, self.vendor, methods=["GET", "HEAD"], include_in_schema=False)

    async def convert(self, request: Request) -> Response:
        """Files in, files and a report out; nothing is kept, unless events are asked for."""
        accept = request.headers.get("accept", "")

        def kind(options: Options) -> str:
            return EVENTS if wants_events(accept) else accepted(accept, options.to in _SINGLE)

        return await self._with_upload(request, lambda work, upload: self._converted(request, work, upload, kind))

    async def _converted(
        self, request: Request, work: Work, upload: Upload, kind: Callable[[Options], str]
    ) -> Response:
        options = options_of(request.query_params, upload.options)
        chosen = kind(options)
        if chosen == EVENTS:
            return self._streamed(request, work, upload, options)
        quick = not work.has_folder and is_quick(upload, options)
        result = await in_thread(
            request, work, convert, upload, options, work, self.settings, quick=quick, limiter=self._limiter(options)
        )
        return answer(result, chosen, work)

    def _streamed(self, request: Request, work: Work, upload: Upload, options: Options) -> Response:
        """The conversion as events; what comes of it is stored."""
        _refuse_other_kinds(options)

        def job(say: Say) -> dict[str, Any]:
            training = Training(self.store.work, say, lambda own: str(request.url_for("stop", id=own)))
            with training if options.trains else nullcontext():
                result = convert(upload, options, work, self.settings, training.tell)
            told = self._told(request, self.store.add(result.files, result.files[-1].name, work))
            return {**told, "report": result.report}

        return Events(work, job, lambda told: self.store.delete(told["id"]), self._limiter(options))

    def _limiter(self, options: Options) -> anyio.CapacityLimiter | None:
        """Of how many may do such work at once."""
        if options.trains:
            return self._training
        return self._exporting if options.to in PROGRAMS else None

    async def inspect(self, request: Request) -> Response:
        """What a model is."""

        async def looked(work: Work, upload: Upload) -> Response:
            return _json(await in_thread(request, work, lambda: json_of(inspected(upload, work, self.settings))), work)

        return await self._with_upload(request, looked)

    async def predict(self, request: Request) -> Response:
        """What a model answers, computed by PyTorch."""

        async def asked(work: Work, upload: Upload, body: Mapping[str, Any] | None = None) -> Response:
            job = job_of(request.query_params, upload, body, self.settings)
            limiter = self._decoding if upload.samples else self._running
            return _json(await in_thread(request, work, lambda: json_of(job(work)), limiter=limiter), work)

        if not is_question(request):
            return await self._with_upload(request, asked)
        body = await json_body(request, self.settings, any_text=True)
        if not isinstance(body, dict):
            raise Problem(422, "body", f"a JSON object expected, found {body!r:.60}", 'send {"model": id, "input": {}}')
        names = [str(name) for name in request.query_params.getlist("model") or [body.get("model", "")]]
        upload = Upload([await anyio.to_thread.run_sync(self._model, name) for name in names], {})
        return await self._with_work(lambda work: asked(work, upload, body))

    async def check(self, request: Request) -> Response:
        """What ml5 will do with the files, by every route."""

        async def looked(work: Work) -> Response:
            files = await self._given(request, work)
            return _json(await in_thread(request, work, lambda: json_of(checked(files))), work)

        return await self._with_work(looked)

    async def repair(self, request: Request) -> Response:
        """The files as every ml5 loads them."""

        async def mended(work: Work) -> Response:
            kind = accepted(request.headers.get("accept", ""), single=False)
            files = await self._given(request, work)
            return answer(await in_thread(request, work, repaired, files), kind, work)

        return await self._with_work(mended)

    async def _given(self, request: Request, work: Work) -> Given:
        """The files as they came; of a stored model, if its id came."""
        names, files = request.query_params.getlist("model"), Given()
        if is_form(request) or not names:
            parts = await read_parts(request, work, self.settings)
            files, options = await in_thread(request, work, given_files, parts, work, self.settings)
            names += options.get("model", [])
        for name in names:
            files = (await anyio.to_thread.run_sync(self._model, name)).files
        if not files:
            raise Problem(400, "request", "the files of a model expected, found none", "upload what ml5 saved")
        return files

    async def store_model(self, request: Request) -> Response:
        """Keep a model and say where."""

        async def keep(work: Work, upload: Upload) -> Response:
            options = options_of(request.query_params, upload.options)
            _refuse_other_kinds(options)
            limiter = self._limiter(options)
            result = await in_thread(request, work, convert, upload, options, work, self.settings, limiter=limiter)
            return await self._kept(request, work, result)

        return await self._with_upload(request, keep)

    async def process(self, request: Request) -> Response:
        """A stored model with other weights, as a new one."""
        work = Work(self.store.work)
        try:
            options, data = await options_and_data(request, work, self.settings)
            names = [request.path_params["id"], *options.others]
            models = [await anyio.to_thread.run_sync(self._model, name) for name in names]
            if len(names) > _MAX_OTHERS + 1:
                raise Problem(
                    422, "with", f"at most {_MAX_OTHERS} models expected, found {len(names) - 1}", "average fewer"
                )
            _refuse_other_kinds(options)
            upload, limiter = Upload(models, {}, data=data), self._limiter(options)
            if wants_events(request.headers.get("accept", "")):
                return self._streamed(request, work, upload, options)
            try:
                result = await in_thread(request, work, convert, upload, options, work, self.settings, limiter=limiter)
            except (TfjsTorchError, OSError):
                for name in names:  # deleted meanwhile: that is the reason, then
                    await anyio.to_thread.run_sync(self.store.find, name)
                raise
            return await self._kept(request, work, result, with_report=True)
        except BaseException:
            await closed(work)
            raise

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

    async def stop(self, request: Request) -> Response:
        """Let a training end early and keep what it has learnt."""
        await anyio.to_thread.run_sync(stop, self.store.work, request.path_params["id"])
        return Response(status_code=202)

    async def formats(self, _: Request) -> Response:
        """What can be asked for, and within which limits."""
        settings = self.settings
        steps = [offered(step, settings) for step in processing.steps().values()]
        return JSONResponse(
            {
                "version": __version__, "to": TARGETS, "layouts": LAYOUTS, "quantize": STORAGES, "steps": steps,
                "limits": {
                    "max_upload": settings.max_upload, "max_parts": settings.max_parts,
                    "max_tensors": settings.max_tensors, "max_json": settings.max_json, "max_depth": settings.max_depth,
                    "quota": settings.quota, "expire": settings.expire, "train_rows": settings.train_rows,
                    "train_epochs": settings.train_epochs, "train_seconds": settings.train_seconds,
                    "max_pixels": settings.max_pixels, "max_sound": settings.max_sound,
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

        async def received(work: Work) -> Response:
            parts = await read_parts(request, work, self.settings)
            quick = not work.has_folder and is_small(parts)
            stored = request.query_params.getlist("model")
            upload = await in_thread(request, work, recognise, parts, work, self.settings, bool(stored), quick=quick)
            for name in [*stored, *upload.options.get("model", [])]:
                upload.models.append(await anyio.to_thread.run_sync(self._model, name))
            return await handler(work, upload)

        return await self._with_work(received)

    async def _with_work(self, handler: Callable[[Work], Awaitable[Response]]) -> Response:
        work = Work(self.store.work)
        try:
            return await handler(work)
        except BaseException:
            await closed(work)
            raise


def _refuse_other_kinds(options: Options) -> None:
    for name, value in (("to", options.to), ("layout", options.layout)):
        if value != "tfjs":
            raise Problem(422, name, f"{name}=tfjs expected for what is stored, found {value}", "leave it out")


def _json(body: bytes, work: Work, status: int = 200) -> Response:
    return Finished(work, [body], "application/json", {}, status)
