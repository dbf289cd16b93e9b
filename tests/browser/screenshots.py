"""Pictures of the page, for the README and for looking at it: three widths, light and dark.

    scripts/screenshots [FOLDER]

Each shows the example model after a step, from top to bottom; those without a width show the first screen (page),
and parts of it (changed, try, and of other models: check, finetuned).
They are the same in every run on the same machine, as long as the page, its fonts and the browser stay the same.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ml5_browser import REPOSITORY, open_chromium
from page import Workbench, open_page
from serving import CLASSIFIER, GESTURE, serving
from sketches import open_finetuning
from small_png import small_png

if TYPE_CHECKING:
    from playwright.sync_api import Browser

FOLDER = REPOSITORY / "docs/screenshots"
WIDTHS = (375, 768, 1280)
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
PARTS = {"changed": "What changed", "try": "Try it"}
CALM: Any = {"animations": "disabled", "caret": "hide"}
# The only words on the page that differ from run to run.
SAME_TIME = """() => {
  for (const line of document.querySelectorAll("section p")) {
    const text = line.textContent.replace(/It took .* seconds?/, "It took 0.002 seconds");
    if (text !== line.textContent) line.textContent = text;
  }
}"""


def main() -> None:
    """Makes all pictures."""
    parser = argparse.ArgumentParser(description="Makes pictures of the page.")
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    with serving() as server, open_chromium() as browser:
        for path in (*take_all(browser, server.url, folder), take_sketch(browser, server.url, folder)):
            print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def take_all(browser: Browser, url: str, folder: Path) -> Iterator[Path]:
    """The pictures as files in `folder`."""
    for scheme in SCHEMES:
        for width in WIDTHS:
            size: Any = {"width": width, "height": 800}
            with open_page(browser, url, color_scheme=scheme, viewport=size, reduced_motion="reduce") as page:
                prepare(page)
                yield keep(page, page.page.screenshot(full_page=True, **CALM), folder / f"page-{width}-{scheme}.png")
                if width == max(WIDTHS):
                    yield keep(page, page.page.screenshot(**CALM), folder / f"page-{scheme}.png")
                    for name, heading in PARTS.items():
                        yield keep(page, page.part(heading).screenshot(**CALM), folder / f"{name}-{scheme}.png")
                    check(page)
                    yield keep(page, page.part("Check").screenshot(**CALM), folder / f"check-{scheme}.png")
                    finetune(page)
                    yield keep(page, page.page.screenshot(**CALM), folder / f"finetuned-{scheme}.png")
                    yield keep(page, page.part("Change it").screenshot(**CALM), folder / f"finetune-{scheme}.png")


def take_sketch(browser: Browser, url: str, folder: Path) -> Path:
    """samples/ml5-finetune when PyTorch has trained its network; ml5's weights differ from run to run."""
    with open_finetuning(browser, url) as page:
        page.get_by_role("button", name="Finetune").click()
        page.get_by_text("and PyTorch").wait_for()
        page.get_by_label("Server").fill("http://localhost:8000")
        page.evaluate("() => document.activeElement.blur()")
        path = folder / "sketch-finetuned.png"
        path.write_bytes(small_png(page, page.locator("body").screenshot(**CALM)))
    return path


def prepare(page: Workbench) -> None:
    """The example, half of its weights pruned, and what it says before and after."""
    page.page.get_by_role("button", name="Try the example").click()
    page.wait_for_model()
    page.add_step("Prune", {"Amount": "0.5"})
    page.run()
    trial = page.part("Try it")
    trial.get_by_role("button", name="Try it").click()
    trial.get_by_role("region", name="After").wait_for()
    trial.get_by_text("Computed by TensorFlow.js").wait_for()
    page.page.wait_for_timeout(600)  # what is said aloud comes when nothing has moved for a while
    page.page.evaluate(SAME_TIME)
    page.page.evaluate("() => { document.activeElement.blur(); scrollTo(0, 0); }")


def check(page: Workbench) -> None:
    """A model under a name of its own."""
    page.page.get_by_role("button", name="Open another model").click()
    page.choose(GESTURE)
    page.wait_for_model()
    page.part("Check").get_by_role("button", name="Repair").wait_for()


def finetune(page: Workbench) -> None:
    """The example after more training."""
    page.page.get_by_role("button", name="Open another model").click()
    page.choose({**CLASSIFIER, "my-data.json": (REPOSITORY / "samples/more-colours.json").read_bytes()})
    page.wait_for_model()
    page.add_step("Finetune", {"Epochs": "100"})
    page.run()
    page.page.evaluate(SAME_TIME)
    page.page.evaluate("() => document.activeElement.blur()")


def keep(page: Workbench, picture: bytes, path: Path) -> Path:
    blank = page.page.context.new_page()  # the page itself may not fetch what is no file of its server
    path.write_bytes(small_png(blank, picture))
    blank.close()
    return path


if __name__ == "__main__":
    main()
