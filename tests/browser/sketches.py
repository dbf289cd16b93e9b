"""Sketches in real Chromium: pages with real ml5 (1.4.0 or 0.12.2) or tf.js, on an origin that is not the server's.

with sketch(browser, "1.4.0") as page:
    page.train("classification", rows, epochs=20)
    files = page.save()
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ml5_browser import ML5, REPOSITORY, SAVED_FILES, SetupError, listen, payload, serve

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Download, Page

MODULES = REPOSITORY / "tests/js/node_modules"
P5 = ML5.parents[2] / "p5/lib/p5.min.js"
LIBRARIES = {
    "1.4.0": ML5,
    "0.12.2": MODULES / "ml5-0.12/dist/ml5.min.js",
    "tf.js": MODULES / "@tensorflow/tfjs/dist/tf.min.js",
}

Row = Mapping[str, Any]


class Sketch:
    """One page with one library; what it answers is computed on tf.js' cpu backend."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints = listen(page)

    def train(self, task: str, rows: Sequence[tuple[Row, Row]], **options: Any) -> None:
        """ml5 learns `rows` (inputs, outputs); `options`: epochs, batchSize."""
        self.page.evaluate("([task, rows, options]) => train(task, rows, options)", [task, rows, options])

    def save(self) -> dict[str, bytes]:
        """The three downloads of `nn.save()` as {name: bytes}."""
        downloads: list[Download] = []

        def is_last(download: Download) -> bool:
            downloads.append(download)
            return len(downloads) == len(SAVED_FILES)

        with self.page.expect_event("download", is_last):
            self.page.evaluate("() => void nn.save()")
        return {download.suggested_filename: download.path().read_bytes() for download in downloads}

    def load(self, task: str, files: Mapping[str, bytes] | str) -> None:
        """`nn.load` from the file picker, or from an address."""
        if isinstance(files, str):
            self.page.evaluate("([task, url]) => load(task, url)", [task, files])
            return
        self.page.set_input_files("#files", [payload(name, content) for name, content in files.items()])
        self.page.evaluate("(task) => load(task)", task)

    def ask(self, inputs: Sequence[Row]) -> list[float]:
        """ml5's confidences or values, labels in a fixed order, all inputs one after another."""
        results = self.page.evaluate("(inputs) => ask(inputs)", list(inputs))
        return [
            answer.get("confidence", answer.get("value"))
            for result in results
            for answer in sorted(result, key=lambda answer: str(answer["label"]))
        ]

    def run(self, script: str, argument: object = None) -> Any:
        """What a function of the page answers."""
        return self.page.evaluate(script, argument)


@contextmanager
def sketch(browser: Browser | BrowserContext, library: str) -> Iterator[Sketch]:
    """A page with `library` (a key of LIBRARIES), from a web server of its own; raises SetupError."""
    path = LIBRARIES[library]
    if not path.is_file():
        raise SetupError(f"{path.relative_to(REPOSITORY)} is missing; run scripts/tools")
    with serve(REPOSITORY) as address:
        page = browser.new_page()
        try:
            made = Sketch(page)
            page.goto(f"{address}/tests/browser/ml5_sketch.html")
            page.add_script_tag(url=f"{address}/{path.relative_to(REPOSITORY)}")
            yield made
        finally:
            page.close()


@contextmanager
def open_finetuning(browser: Browser | BrowserContext, server: str) -> Iterator[Page]:
    """samples/ml5-finetune, trained roughly by ml5; at the end nothing has failed but what could not be reached."""
    page = browser.new_page()
    page.set_viewport_size({"width": 700, "height": 600})
    complaints = listen(page)
    # The very files that the CDN has, from npm.
    page.route("https://cdn.jsdelivr.net/npm/ml5@1.4.0/dist/ml5.min.js", lambda route: route.fulfill(path=ML5))
    page.route("https://cdn.jsdelivr.net/npm/p5@1.11.10/lib/p5.min.js", lambda route: route.fulfill(path=P5))
    page.goto((REPOSITORY / "samples/ml5-finetune/index.html").as_uri())
    page.get_by_label("Server").fill(server)
    page.get_by_text("PyTorch can go on from here").wait_for()
    yield page
    assert [text for text in complaints if "Failed to load resource" not in text] == []
    page.close()
