"""Real ml5 in real Chromium: gives it three files and hands back what it answers.

Needs `pip install playwright==1.65.2`, a Chromium, and `npm ci --ignore-scripts` in samples/ml5.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser, FilePayload, Page

REPOSITORY = Path(__file__).resolve().parents[2]
ML5 = REPOSITORY / "samples/ml5/node_modules/ml5/dist/ml5.min.js"
SAVED_FILES = ("model.json", "model_meta.json", "model.weights.bin")


class SetupError(RuntimeError):
    """A tool is missing; the message says how to install it."""


class Ml5Error(RuntimeError):
    """ml5 refused the files or an input; the message is ml5's own."""


class Ml5Browser:
    """Chromium with ml5, for as long as the `with` block lasts.

    Playwright keeps an event loop of its own in this thread, so `asyncio.run` fails inside the block.

        with Ml5Browser() as browser:
            results = browser.load_and_run(folder, "classification", [{"r": 255, "g": 0, "b": 0}])
    """

    def __enter__(self) -> Ml5Browser:
        """Starts the server and Chromium; raises SetupError."""
        require_ml5()
        with ExitStack() as stack:
            self._address = stack.enter_context(serve(REPOSITORY))
            self._chromium = stack.enter_context(open_chromium())
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        """Ends both."""
        self._stack.close()

    def load_and_run(
        self, files: Path | Mapping[str, Path | bytes], task: str, inputs: Sequence[Mapping[str, Any]]
    ) -> list[Any]:
        """What ml5 answers to each of `inputs`, computed on tf.js' cpu backend.

        `files`: a folder with the three files as `nn.save()` names them, or {name the browser sees: path or bytes}.
        `task`: "regression" asks `nn.predict`; every other task asks `nn.classify`.
        One list a raw input: [{"label", "value", ...}] by output, or [{"label", "confidence", ...}] by confidence.
        Raises Ml5Error when `nn.load` or an answer fails.
        """
        from playwright.sync_api import Error

        if isinstance(files, Path):
            files = {name: files / name for name in SAVED_FILES}
        page = self._chromium.new_page()
        try:
            complaints = listen(page)
            page.goto(f"{self._address}/tests/browser/ml5_loader.html")
            page.set_input_files("#files", [payload(name, content) for name, content in files.items()])
            results: list[Any] = page.evaluate("([task, inputs]) => loadAndRun(task, inputs)", [task, inputs])
            return results
        except Error as error:
            reason = error.message.splitlines()[0].removeprefix("Page.evaluate: ")
            also = "".join(f"; the page also said: {text}" for text in complaints if text not in reason)
            raise Ml5Error(f"{', '.join(files)}: {reason}{also}") from error
        finally:
            page.close()


def payload(name: str, content: Path | bytes) -> FilePayload:
    """One entry of the browser's file picker."""
    kind = "application/json" if name.endswith(".json") else "application/octet-stream"
    return {"name": name, "mimeType": kind, "buffer": content if isinstance(content, bytes) else content.read_bytes()}


def listen(page: Page) -> list[str]:
    """A list that fills with the page's errors while it runs."""
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(error.message))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    return complaints


def require_ml5() -> None:
    """Raises SetupError unless npm has brought ml5."""
    if not ML5.is_file():
        raise SetupError(f"{ML5.relative_to(REPOSITORY)} is missing; run `npm ci --ignore-scripts` in samples/ml5")


@contextmanager
def open_chromium() -> Iterator[Browser]:
    """A headless Chromium: $CHROMIUM, or `chromium` on the PATH. Raises SetupError."""
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError as error:
        raise SetupError("playwright is missing; run `pip install playwright==1.65.2`") from error
    program = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if program is None or shutil.which(program) is None:
        raise SetupError(
            f"Chromium is missing ({program or 'chromium'} is no program); "
            "install it (Debian: apt-get install chromium) or set CHROMIUM to its path"
        )
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """The address of a web server of `folder`, on this machine only."""
    with running(ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(folder)))) as address:
        yield address


@contextmanager
def running(server: ThreadingHTTPServer) -> Iterator[str]:
    """The address of a server that runs in a thread of its own."""
    with server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files without a log line for each."""

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""
