"""Our page in real Chromium, used as people use it: by what they see and read.

with open_page(browser, server) as page:
    page.drop(folder / "model.json", folder / "model.weights.bin")
    page.add_step("Prune", {"How much": "0.5"})
    page.run()
    files = page.take()
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ml5_browser import REPOSITORY, SetupError, listen, payload

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

AXE = REPOSITORY / "tests/js/node_modules/axe-core/axe.min.js"
PATIENCE = 20_000  # milliseconds that anything on the page may take
NAME = """() => {
  const { ariaLabel, labels, innerText } = document.activeElement;
  return (ariaLabel || labels?.[0]?.innerText || innerText || "").trim().split("\\n")[0];
}"""
RING = """() => {
  const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(document.activeElement);
  return (outlineStyle !== "none" && parseFloat(outlineWidth) > 0) || boxShadow !== "none";
}"""
STILL = "() => Promise.all(document.getAnimations().map(({ finished }) => finished.catch(() => {})))"
CHECK = """async () => {
  const { violations } = await axe.run(document, { preload: false, resultTypes: ["violations"] });
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html, any, all, none }) =>
    html.slice(0, 150) + " " + [...any, ...all, ...none].map(({ message }) => message).join("; ")).join(" | ")}`);
}"""


class Workbench:
    """One browser tab with the page.

    Attributes:
        page: Playwright's own, for what this class does not say.
        complaints: errors that the browser has logged; blocked scripts and styles (CSP) are among them.
        strangers: addresses of other servers that the page has asked for. They get no answer.
    """

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.complaints = listen(page)
        self.strangers: list[str] = []
        page.route(lambda address: not self._own(address), lambda route: route.abort())
        page.on("request", lambda request: self.strangers.extend([request.url][: not self._own(request.url)]))
        page.goto(url)

    def _own(self, address: str) -> bool:
        parts = urlsplit(address)
        return parts.scheme in ("blob", "data") or f"{parts.scheme}://{parts.netloc}" == self.url

    @property
    def tab(self) -> Locator:
        """What of the page is on show."""
        return self.page.locator("main > [role=tabpanel]:visible")

    def part(self, heading: str) -> Locator:
        """A section of the page by its heading."""
        return self.page.get_by_role("region", name=heading, exact=True)

    # Putting a model in

    def drop(self, *paths: Path, at: tuple[float, float] | None = None) -> None:
        """Files or folders dragged from the desktop onto the drop zone, or onto another place of the window."""
        if at is None:
            zone = self.tab.get_by_role("group", name="Drop").first
            zone.scroll_into_view_if_needed()
            box = zone.bounding_box()
            assert box is not None
            at = box["x"] + box["width"] / 2, box["y"] + 10
        self._forget("[role=alert]")
        place = {"x": at[0], "y": at[1]}
        data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
        devtools = self.page.context.new_cdp_session(self.page)
        for kind in ("dragEnter", "dragOver", "drop"):
            devtools.send("Input.dispatchDragEvent", {"type": kind, **place, "data": data})
        devtools.detach()

    def choose(self, files: Mapping[str, bytes]) -> None:
        """Files from the file picker."""
        self._forget("[role=alert]")
        with self.page.expect_file_chooser() as picker:
            self.tab.get_by_role("button", name="Choose files").first.click()
        picker.value.set_files([payload(name, content) for name, content in files.items()])

    def slow_down(self, bytes_a_second: int) -> None:
        """A slow line for uploads; -1: as fast as it can be."""
        devtools = self.page.context.new_cdp_session(self.page)
        line = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": bytes_a_second}
        devtools.send("Network.enable")
        devtools.send("Network.emulateNetworkConditions", line)

    def wait_for_model(self) -> str:
        """The headline of the model that has been opened."""
        title = self.tab.locator("h1.answer")
        title.or_(self._alert).first.wait_for()
        assert title.is_visible(), self.problem()
        return title.inner_text()

    def problem(self) -> str:
        """The sentences of the error on show."""
        self._alert.first.wait_for()
        return self._alert.first.inner_text()

    @property
    def _alert(self) -> Locator:
        fresh = self.page.get_by_role("alert").and_(self.page.locator(":not([data-old])"))
        return fresh.filter(visible=True, has_text=re.compile(r"\S"))

    def _forget(self, selector: str) -> None:
        """What is on show is no answer to what comes now."""
        self.page.locator(selector).evaluate_all("all => all.forEach((each) => { each.dataset.old = true; })")

    # Working with it

    def add_step(self, title: str, options: Mapping[str, str] | None = None) -> Locator:
        """A step of the list, with values for its controls by their labels; its card."""
        part = self.part("Change it")
        kinds = part.locator("details").first
        if kinds.get_attribute("open") is None:
            kinds.get_by_text("Add a step").click()
        kinds.locator("button").filter(has=self.page.get_by_text(title, exact=True)).click()
        card = part.locator("ol > li").last
        for label, value in (options or {}).items():
            control = card.get_by_label(label, exact=True)
            if control.evaluate("node => node.tagName") == "SELECT":
                control.select_option(value)
            else:
                control.fill(value)
        return card

    def run(self) -> str:
        """Run the steps; the line that says what has changed."""
        button = self.page.get_by_role("button", name="Run in PyTorch")
        self._forget("[role=alert], section")
        button.click()
        changed = self.part("What changed").and_(self.page.locator(":not([data-old])"))
        changed.or_(self._alert).first.wait_for()
        assert changed.is_visible(), self.problem()
        return changed.locator("p").first.inner_text()

    # Taking it away

    def take(self) -> dict[str, bytes]:
        """The files of the list, one by one, as {name: bytes}."""
        found = {}
        for button in self.tab.get_by_role("button", name="Download ").all():
            name, content = self.download(button)
            found[name] = content
        return found

    def download(self, button: Locator) -> tuple[str, bytes]:
        """Name and bytes of what a button gives."""
        with self.page.expect_download() as download:
            button.click()
        return download.value.suggested_filename, download.value.path().read_bytes()

    # By keyboard

    def tab_to(self, name: str) -> Keyboard:
        """Press Tab until the element with this name has the focus; it must be seen to have it."""
        for _ in range(300):
            self.page.keyboard.press("Tab")
            if self.focused() == name:
                assert self.page.evaluate(RING), f"{name}: a visible focus expected, found none"
                return Keyboard(self.page)
        raise AssertionError(f"{name}: not reached by Tab")

    def focused(self) -> str:
        """What a screen reader calls the element that has the focus, by its first line."""
        name: str = self.page.evaluate(NAME)
        return name

    # Judging it

    def violations(self) -> list[str]:
        """What axe finds wrong for people with disabilities, in the state on show."""
        if not AXE.is_file():
            raise SetupError(f"{AXE.relative_to(REPOSITORY)} is missing; run scripts/tools")
        # Colours in transition are neither the old nor the new ones.
        self.page.evaluate(STILL)
        if not self.page.evaluate("() => Boolean(globalThis.axe)"):
            self.page.evaluate(AXE.read_text(encoding="utf-8"))
        found: list[str] = self.page.evaluate(CHECK)
        return found

    def sideways(self) -> int:
        """By how many pixels the page is wider than its window."""
        wider: int = self.page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
        return max(0, wider)


class Keyboard:
    """Keys for whatever has the focus."""

    def __init__(self, page: Page) -> None:
        self._page = page

    def press(self, key: str) -> None:
        self._page.keyboard.press(key)


@contextmanager
def open_page(browser: Browser, url: str, **options: Any) -> Iterator[Workbench]:
    """The page of the server at `url`, in a context of its own.

    `options`: Playwright's for a context, such as viewport and color_scheme.
    """
    context = browser.new_context(**options)
    context.set_default_timeout(PATIENCE)
    try:
        yield Workbench(context.new_page(), url)
    finally:
        context.close()
