"""Real ml5 1.4.0 and 0.12.2 in real Chromium as judges of saved networks: they load by every route and answer.

with Ml5Judge() as judge:
    judge.ask("1.4.0", "object", files, "classification", [{"r": 255, "g": 0, "b": 0}])
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, unquote, urlsplit

from ml5_browser import ML5, REPOSITORY, Ml5Error, SetupError, listen, open_chromium, payload, running

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

VERSIONS = {"1.4.0": ML5, "0.12.2": REPOSITORY / "tests/js/node_modules/ml5-0.12/dist/ml5.min.js"}
ROUTES = ("string", "object", "files")
SCRIPT = Path(__file__).with_suffix(".js")
LOST = Path(__file__).with_name("lost.js")

# Far beyond any answer on a busy machine: only an ml5 that says nothing at all gets here.
SECONDS_TO_ANSWER = 20

PAGE = """<!DOCTYPE html>
<html lang="en">
  <head><meta charset="utf-8"><title>ml5 {version}</title><link rel="icon" href="data:,"></head>
  <body>
    <input id="files" type="file" multiple>
    <script src="/ml5-{version}.js"></script>
    <script src="/judge.js"></script>
  </body>
</html>
"""

Place = str | Mapping[str, Any]
T = TypeVar("T")


class Ml5Judge:
    """One Chromium and one web server, for as long as the `with` block lasts; a page for each version of ml5.

    Playwright runs in a thread of its own here, so other tests of the session may use it, or asyncio, as they like.
    """

    def __enter__(self) -> Ml5Judge:
        """Starts both. Raises: SetupError when ml5, Playwright or Chromium is missing."""
        for path in VERSIONS.values():
            if not path.is_file():
                raise SetupError(f"{path.relative_to(REPOSITORY)} is missing; run scripts/tools")
        with ExitStack() as stack:
            self._thread = stack.enter_context(ThreadPoolExecutor(1))
            self._pages: dict[str, tuple[Page, list[str]]] = {}
            self._served = own_files()
            self._address = stack.enter_context(serve_memory(self._served))
            chromium = open_chromium()
            self._chromium: Browser = self._in_thread(chromium.__enter__)
            stack.callback(self._in_thread, lambda: chromium.__exit__(None, None, None))
            self._asked = 0
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        """Ends all."""
        self._stack.close()

    def ask(
        self,
        version: str,
        route: str,
        files: Mapping[str, bytes],
        task: str,
        inputs: Sequence[Any],
        *,
        how: str | None = None,
        place: Place | Callable[[str], Place] | None = None,
        query: str = "",
    ) -> list[Any]:
        """What ml5 answers to each of `inputs`, on tf.js' cpu backend.

        `version`: "1.4.0" or "0.12.2". `files`: {name: bytes}, as the browser sees them.
        `route`: "string" (the full URL of the JSON), "object" (three full URLs) or "files" (the file picker).
        `task` is given to `ml5.neuralNetwork`. `inputs`: JSON values; for "imageClassification" lists of pixels.
        `how`: the method that is asked; without it `predict` for a regression, else `classify`.
        `place`: what `nn.load` gets in place of what the route says, or a function from the folder's URL to that.
        `query`: what follows the address of the page, as "?id=1".
        Raises: Ml5Error with ml5's own words, when it does not load the files, answers with an error, or never does.
        """
        how = how or ("predict" if task == "regression" else "classify")
        self._asked += 1
        folder = f"/{self._asked}/"
        self._served.update({folder + name: content for name, content in files.items()})
        address = self._address + folder
        if place is None:
            place = place_of(route, files, address)
        elif callable(place):
            place = place(address)
        request = {"place": place, "task": task, "inputs": list(inputs), "how": how, "query": query}
        try:
            return self._in_thread(lambda: self._ask(version, files, request))
        finally:
            for name in files:
                del self._served[folder + name]

    def load_only(self, version: str, route: str, files: Mapping[str, bytes], task: str) -> None:
        """Only loads. Beware: ml5 1.x "loads" some files that no question can follow. Raises: Ml5Error."""
        self.ask(version, route, files, task, [])

    def run(self, version: str, files: Mapping[str, bytes], picked: Mapping[str, bytes], page: str = "") -> Any:
        """What a sketch of its own puts into `window.answers`.

        `files`: {path: bytes} of its folder, which is "/sketch/"; ml5 lies in "ml5@VERSION/ml5.min.js" there.
        `picked`: what is chosen in the first file picker of the page.
        `page`: what is opened, as "index.html?id=1"; "" is index.html as well.
        Raises: Ml5Error when something goes wrong before.
        """
        own = {f"/sketch/{name}": content for name, content in files.items()}
        own[f"/sketch/ml5@{version}/ml5.min.js"] = VERSIONS[version].read_bytes()
        own["/sketch/"] = files["index.html"]
        self._served.update(own)
        try:
            return self._in_thread(lambda: self._run(f"{self._address}/sketch/{page}", picked))
        finally:
            for path in own:
                del self._served[path]

    def _run(self, address: str, picked: Mapping[str, bytes]) -> Any:
        from playwright.sync_api import Error

        page = self._chromium.new_page()
        try:
            complaints = listen(page)
            page.add_init_script(path=LOST)
            page.goto(address)
            if picked:
                page.set_input_files("input", [payload(name, data) for name, data in picked.items()])
            page.wait_for_function("window.answers || window.lost", timeout=SECONDS_TO_ANSWER * 1000)
            answers, lost = page.evaluate("[window.answers, window.lost]")
            if lost:
                raise Ml5Error(_reason(lost, complaints))
            return answers
        except Error as error:
            raise Ml5Error(_reason(error.message, complaints)) from error
        finally:
            page.close()

    def _in_thread(self, work: Callable[[], T]) -> T:
        return self._thread.submit(work).result()

    def _ask(self, version: str, files: Mapping[str, bytes], request: Mapping[str, Any]) -> list[Any]:
        from playwright.sync_api import Error

        page, complaints = self._page(version)
        complaints.clear()
        more = {"calls": version.startswith("0."), "seconds": SECONDS_TO_ANSWER}
        try:
            # An empty list of files would leave those of the question before.
            page.set_input_files("#files", [payload(name.rpartition("/")[2], data) for name, data in files.items()])
            answers: list[Any] = page.evaluate("(request) => ask(request)", {**request, **more})
            return answers
        except Error as error:
            if "ml5 did not answer" in error.message:  # what may still come must not reach the next question
                self._pages.pop(version)[0].close()
            raise Ml5Error(_reason(error.message, complaints)) from error

    def _page(self, version: str) -> tuple[Page, list[str]]:
        if version not in self._pages:
            page = self._chromium.new_page()
            complaints = listen(page)
            page.goto(f"{self._address}/{version}.html")
            found = page.evaluate("() => start()")
            if found != version:
                raise SetupError(f"ml5 is {found}, not {version}; run scripts/tools")
            self._pages[version] = page, complaints
        return self._pages[version]


def place_of(route: str, files: Mapping[str, bytes], address: str) -> Place:
    """What a user who knows the files gives to `nn.load`; `address` ends in "/". A missing file gets a 404."""
    jsons = [name for name in files if ".json" in name and "_meta" not in name]
    model = next((name for name in jsons if b'"modelTopology"' in files[name]), jsons[0] if jsons else "model.json")
    stem = model.removesuffix(".json")
    others = [name for name in files if ".json" in name and name != model]
    likely = [name for name in others if "_meta" in name] or [name for name in others if "meta" in name]
    metadata = likely[0] if likely else f"{stem}_meta.json"
    weights = next((name for name in files if ".bin" in name), f"{stem}.weights.bin")
    if route == "files":
        return "files"
    if route == "string":
        return address + quote(model)
    parts = {"model": model, "metadata": metadata, "weights": weights}
    return {part: address + quote(name) for part, name in parts.items()}


def _reason(message: str, complaints: Sequence[str]) -> str:
    """ml5's own words: the error, and what the console said beside it."""
    words = re.sub(r"^Page\.evaluate: (Error: )?", "", message.split("\n    at ")[0].strip())
    return "; ".join([words, *(text for text in complaints if text not in words)])


def own_files() -> dict[str, bytes]:
    """What the judge's pages are made of, by path."""
    files = {"/judge.js": SCRIPT.read_bytes()}
    for version, path in VERSIONS.items():
        files[f"/ml5-{version}.js"] = path.read_bytes()
        files[f"/{version}.html"] = PAGE.format(version=version).encode()
    return files


TYPES = {".html": "text/html", ".js": "text/javascript", ".json": "application/json"}


@contextmanager
def serve_memory(files: Mapping[str, bytes]) -> Iterator[str]:
    """The address of a web server of {path: bytes}, on this machine only; the rest is a 404 with a page."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            found = files.get(path)
            if found is None:
                self.send_error(404)
                return
            self.send_response(200)
            kind = "text/html" if path.endswith("/") else TYPES.get(Path(path).suffix, "application/octet-stream")
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(found)))
            self.end_headers()
            self.wfile.write(found)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with running(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as address:
        yield address
