"""The page for everybody: mistakes explained, keyboard alone, screen readers, small windows, snippets that run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest
from helpers import SAMPLES
from ml5_browser import open_chromium, payload
from page import Workbench, open_page
from serving import MODEL_FILES, Server, sample, serving
from sketches import sketch

if TYPE_CHECKING:
    from playwright.sync_api import Browser

JSON, META, WEIGHTS = (sample()[name] for name in MODEL_FILES)
NETWORK = "Failed to load resource"  # what the browser itself logs about any refusal


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with open_chromium() as started:
        yield started


@pytest.fixture
def page(chromium: Browser, server: Server) -> Iterator[Workbench]:
    with open_page(chromium, server.url) as opened:
        yield opened
        assert [text for text in opened.complaints if NETWORK not in text] == []
        assert opened.strangers == []


# Mistakes -----------------------------------------------------------------------------------------------------------

WRONG: dict[str, tuple[Mapping[str, bytes], str]] = {
    "weights alone": ({"model.weights.bin": WEIGHTS}, "model.json"),
    "no weights": ({"model.json": JSON, "model_meta.json": META}, "model.weights.bin"),
    "a picture": ({"cat.png": b"\x89PNG\r\n\x1a\n" + bytes(99)}, "cat.png"),
    "another JSON": ({"data.json": b'{"rows": [1, 2]}'}, "data.json"),
    "broken JSON": ({"model.json": JSON[:300], "model.weights.bin": WEIGHTS}, "model.json"),
    "a web page": ({"model.json": b"<!DOCTYPE html><p>404", "model.weights.bin": WEIGHTS}, "model.json"),
    "short weights": ({"model.json": JSON, "model.weights.bin": WEIGHTS[:100]}, "model.weights.bin"),
    "long weights": ({"model.json": JSON, "model.weights.bin": WEIGHTS + bytes(4)}, "model.weights.bin"),
    "a broken zip": ({"model.zip": b"PK\x03\x04" + bytes(50)}, "model.zip"),
    "an empty file": ({"model.json": b""}, "model.json"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_files_are_explained_and_the_right_ones_still_open(wrong: str, page: Workbench) -> None:
    files, named = WRONG[wrong]
    page.choose(files)
    told = page.problem()
    assert named in told
    assert told.rstrip()[-1] in ".!?)"
    for noise in ("undefined", "[object", "null", "NaN", "Traceback", "Error:", "/tmp", "went wrong"):
        assert noise not in told
    assert page.violations() == []
    page.choose(sample())
    assert "red" in page.wait_for_model()


def test_files_that_a_browser_has_renamed_open(page: Workbench) -> None:
    page.choose({"model (1).json": JSON, "model_meta (2).json": META, "model.weights (1).bin": WEIGHTS})
    assert "red, yellow, green and blue" in page.wait_for_model()


def test_a_step_that_fails_says_so_beside_its_button(page: Workbench) -> None:
    page.choose(sample())
    page.wait_for_model()
    page.add_step("Clip", {"Smallest": "2", "Largest": "1"})
    page.page.get_by_role("button", name="Run in PyTorch").click()
    assert "max" in page.problem()
    assert page.part("Change it").get_by_role("alert").is_visible()


def test_weights_that_do_not_fit_are_explained_in_the_second_tab(page: Workbench) -> None:
    page.page.get_by_role("tab", name="Back to ml5").click()
    page.choose({"model.json": sample("ml5-regression")["model.json"], "w.pt": b"no weights"})
    page.page.get_by_role("button", name="Make the ml5 files").click()
    assert "w.pt" in page.problem()


def test_a_server_with_a_token_asks_for_it(chromium: Browser) -> None:
    with serving("--token", "open-sesame") as server, open_page(chromium, server.url) as page:
        field = page.page.get_by_label("token")
        field.fill("wrong")
        field.press("Enter")
        page.choose(sample())
        assert "token" in page.problem()
        field.fill("open-sesame")
        field.press("Enter")
        page.choose(sample())
        assert "red" in page.wait_for_model()


def test_a_server_that_is_gone_is_named_as_the_reason(page: Workbench) -> None:
    page.page.context.set_offline(True)
    page.choose(sample())
    assert "server" in page.problem()
    page.page.context.set_offline(False)
    page.choose(sample())
    assert "red" in page.wait_for_model()


def test_a_long_upload_shows_its_progress_and_can_be_cancelled(page: Workbench) -> None:
    page.slow_down(bytes_a_second=200_000)
    page.choose({"model.json": JSON, "model.weights.bin": bytes(4_000_000)})
    bar = page.page.get_by_role("progressbar")
    bar.wait_for()
    page.page.wait_for_function("() => 0 < document.querySelector('progress').value")
    assert page.violations() == []
    page.page.get_by_role("button", name="Cancel").click()
    bar.wait_for(state="detached")
    assert page.page.get_by_role("status").inner_text() == "Cancelled."
    page.slow_down(bytes_a_second=-1)
    page.choose(sample())
    assert "red" in page.wait_for_model()


# Keyboard -----------------------------------------------------------------------------------------------------------


def test_the_whole_way_is_possible_by_keyboard(page: Workbench) -> None:
    with page.page.expect_file_chooser() as picker:
        page.tab_to("Choose files").press("Enter")
    picker.value.set_files([payload(name, content) for name, content in sample().items()])
    headline = page.wait_for_model()
    assert page.focused() == headline
    page.tab_to("Scale").press("Enter")
    page.tab_to("Factor").press("Control+a")
    page.page.keyboard.type("0.5")
    page.tab_to("Run in PyTorch").press("Enter")
    page.part("What changed").wait_for()
    page.page.wait_for_function("() => document.activeElement.textContent === 'What changed'")
    with page.page.expect_download() as download:
        page.tab_to("Download model.weights.bin").press("Enter")
    assert download.value.path().read_bytes() != WEIGHTS


def test_tabs_are_changed_with_the_arrow_keys(page: Workbench) -> None:
    page.tab_to("Open a model").press("ArrowRight")
    assert page.page.get_by_role("tab", name="Back to ml5").get_attribute("aria-selected") == "true"
    assert page.page.get_by_role("heading", name="From PyTorch back to ml5").is_visible()


# Everybody's eyes and ears --------------------------------------------------------------------------------------------


LOOKS: list[tuple[int, Literal["light", "dark"]]] = [(375, "light"), (1280, "dark"), (1280, "light")]


def test_axe_finds_nothing_in_any_state_and_nothing_is_too_wide(page: Workbench) -> None:
    found = {}
    for state in states(page):
        for width, scheme in LOOKS:
            page.page.set_viewport_size({"width": width, "height": 800})
            page.page.emulate_media(color_scheme=scheme)
            found[state, width, scheme] = (page.violations(), page.sideways())
    assert len(found) == 8 * len(LOOKS)
    assert {look: told for look, told in found.items() if told != ([], 0)} == {}


def states(page: Workbench) -> Iterator[str]:
    """The page in one state after the other."""
    page.page.get_by_role("button", name="Try the example").wait_for()
    yield "at the start"
    page.choose({"cat.png": b"\x89PNG"})
    page.problem()
    yield "with a problem"
    page.choose(sample())
    page.wait_for_model()
    yield "with a model"
    page.add_step("Prune")
    page.add_step("Average models")
    page.add_step("Quantize")
    yield "with steps"
    page.part("Change it").get_by_role("button", name="Remove: Average models").click()
    page.run()
    page.part("Try it").get_by_role("button", name="Try it").click()
    page.part("Try it").get_by_role("region", name="After").wait_for()
    page.page.get_by_role("button", name="Get a link").click()
    page.page.get_by_label("Link to the model").wait_for()
    yield "with everything open"
    page.page.get_by_role("tab", name="Python").click()
    yield "with another snippet"
    page.page.get_by_role("tab", name="Back to ml5").click()
    yield "in the second tab"
    page.choose({"model.json": JSON, "model.weights.bin": WEIGHTS})
    page.choose({"w.pt": b"no weights"})
    page.page.get_by_role("button", name="Make the ml5 files").click()
    page.problem()
    yield "with a problem in the second tab"


def test_a_large_network_of_many_layers_is_for_everybody_too(page: Workbench) -> None:
    page.choose(nested_model())
    page.wait_for_model()
    assert page.violations() == []


def nested_model() -> dict[str, bytes]:
    """A golden case with a network within a network, made by tf.js."""
    folder = Path(__file__).parent / "cases/js-nested"
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.name.startswith("model")}


def test_nothing_of_the_page_comes_from_elsewhere_and_it_is_small(chromium: Browser, server: Server) -> None:
    with open_page(chromium, server.url) as page:
        sizes: dict[str, int] = {}
        page.page.on("response", lambda response: sizes.update({response.url: len(response.body())}))
        page.page.reload(wait_until="networkidle")
        page.page.get_by_role("button", name="Try the example").wait_for()
        assert page.strangers == []
    page_files = {url: size for url, size in sizes.items() if not url.endswith("/formats")}
    assert sum(page_files.values()) < 60_000, page_files


# Snippets -----------------------------------------------------------------------------------------------------------


def snippet(page: Workbench, language: str) -> str:
    page.page.get_by_role("tab", name=language, exact=True).click()
    return page.page.get_by_role("tabpanel", name=language, exact=True).locator("code").inner_text()


@pytest.mark.parametrize("version", ["1.4.0", "0.12.2"])
@pytest.mark.parametrize("model", ["ml5-classifier", "ml5-regression"])
def test_the_snippet_for_ml5_runs_in_a_sketch(model: str, version: str, chromium: Browser, page: Workbench) -> None:
    page.choose(sample(model))
    page.wait_for_model()
    page.page.get_by_role("button", name="Get a link").click()
    page.page.get_by_label("Link to the model").wait_for()
    code = snippet(page, "ml5")
    with sketch(chromium, version) as other:
        with other.page.expect_console_message(lambda message: message.type == "log", timeout=10_000) as told:
            other.page.add_script_tag(content=code, type="module")
        (results,) = (argument.json_value() for argument in told.value.args)
        assert {"label", "confidence" if model == "ml5-classifier" else "value"} <= results[0].keys()
        assert other.complaints == []


def test_the_snippet_for_fetch_runs_in_a_page(chromium: Browser, page: Workbench) -> None:
    page.choose(sample())
    page.wait_for_model()
    page.add_step("Scale", {"Factor": "0.5"})
    page.run()
    ready = "const input = document.getElementById('files');\n"
    code = ready + snippet(page, "fetch") + "\nconsole.log(files.map((file) => file.name).join());"
    with sketch(chromium, "tf.js") as other:
        other.page.set_input_files("#files", [payload(name, content) for name, content in sample().items()])
        with other.page.expect_console_message(lambda message: "report" in message.text) as told:
            other.page.add_script_tag(content=code, type="module")
        assert set(told.value.text.split(",")) == {*MODEL_FILES, "report.json"}


def test_the_snippet_for_python_runs(page: Workbench, tmp_path: Path) -> None:
    page.choose(sample())
    page.wait_for_model()
    (tmp_path / "my-model").symlink_to(SAMPLES / "ml5-classifier")
    subprocess.run([sys.executable, "-c", snippet(page, "Python")], cwd=tmp_path, check=True)
    assert {file.name for file in (tmp_path / "changed").iterdir()} == set(MODEL_FILES)
