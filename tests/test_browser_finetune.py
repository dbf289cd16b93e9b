"""The page trains further, checks and repairs; real ml5 1.4.0 and 0.12.2 load what comes of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ml5_browser import open_chromium, payload
from page import Workbench, open_page
from serving import (
    CLASSIFIER,
    GESTURE,
    Server,
    colours,
    eventually,
    finetune,
    post,
    saved_data,
    serving,
    table,
    zip_of,
)
from sketches import sketch

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROWS = colours(90, ["red", "blue", "purple"])
DATA = saved_data(ROWS)
ASKED = [{"r": r, "g": 40, "b": b} for r in (5, 250) for b in (10, 240)]
NETWORK = "Failed to load resource"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with open_chromium() as started:
        yield started


@pytest.fixture(scope="module")
def own_server() -> Iterator[Server]:
    """One whose store nobody else fills."""
    with serving() as started:
        yield started


@pytest.fixture
def page(chromium: Browser, own_server: Server) -> Iterator[Workbench]:
    with open_page(chromium, own_server.url) as opened:
        yield opened
        assert [text for text in opened.complaints if NETWORK not in text] == []
        assert opened.strangers == []


def answers_of(server: Server, files: dict[str, bytes]) -> list[float]:
    """What /predict says of ASKED, labels in a fixed order."""
    told = [post(server, "/predict", files, fields={"input": json.dumps(one)}).json() for one in ASKED]
    ranked = [sorted(one["results"], key=lambda answer: str(answer["label"])) for one in told]
    return [answer["confidence"] for one in ranked for answer in one]


def written(files: dict[str, bytes], folder: Path) -> list[Path]:
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in files]


# More training --------------------------------------------------------------------------------------------------------


def test_a_dropped_network_learns_a_new_label_and_goes_back_into_ml5(
    chromium: Browser, own_server: Server, page: Workbench, tmp_path: Path
) -> None:
    page.drop(*written({**CLASSIFIER, "data.json": DATA}, tmp_path))
    page.wait_for_model()
    card = page.add_step("Finetune", {"Epochs": "1000", "Batch size": "1"})
    assert "data.json" in card.inner_text()
    start(page)
    bar = page.page.get_by_role("progressbar", name="Training")
    page.page.get_by_text(re.compile(r"Epoch \d+ of 1,000 · loss")).wait_for()
    assert page.page.get_by_role("img", name=re.compile("^Loss from")).is_visible()
    assert page.violations() == []
    page.page.get_by_role("button", name="Cancel").click()
    bar.wait_for(state="detached")
    assert page.page.get_by_role("status").inner_text() == "Cancelled."
    assert eventually(lambda: own_server.left() == [])

    card.get_by_label("Epochs", exact=True).fill("40")
    card.get_by_label("Batch size", exact=True).fill("16")
    page.run()
    told = page.part("What changed").inner_text()
    assert "New labels: purple" in told
    assert re.search(r"right after\s+\d+ %", told)
    files = page.take()
    assert files.keys() == CLASSIFIER.keys()
    assert eventually(lambda: own_server.left() == [])  # the server has kept it only until it was fetched
    wanted = answers_of(own_server, files)
    assert len(wanted) == 5 * len(ASKED)
    for version in ("1.4.0", "0.12.2"):
        with sketch(chromium, version) as other:
            other.load("classification", files)
            assert other.ask(ASKED) == pytest.approx(wanted, abs=1e-5)


def test_stop_and_keep_gives_what_was_learnt_so_far(
    chromium: Browser, own_server: Server, page: Workbench, tmp_path: Path
) -> None:
    page.drop(*written({**CLASSIFIER, "data.json": DATA}, tmp_path))
    page.wait_for_model()
    page.add_step("Finetune", {"Epochs": "1000", "Batch size": "1"})
    start(page)
    page.page.get_by_text(re.compile(r"Epoch \d+ of 1,000 · loss")).wait_for()
    button = page.page.get_by_role("button", name="Stop and keep")
    assert page.violations() == []
    button.focus()
    page.page.keyboard.press("Enter")
    changed = page.part("What changed")
    said = changed.get_by_text(re.compile(r"^Stopped after \d+ epochs? of 1,000\.$"))
    said.wait_for()
    assert page.violations() == []
    assert page.focused() == "What changed"
    epochs = int(re.findall(r"\d+", said.inner_text())[0])
    assert 1 <= epochs < 1000
    files = page.take()
    process = finetune(epochs, batch_size=1)
    wanted = zip_of(post(own_server, "/convert", {**CLASSIFIER, "data.json": DATA}, process=process))
    assert {name: wanted[name] for name in files} == files
    with sketch(chromium, "1.4.0") as other:
        other.load("classification", files)
        assert other.ask(ASKED) == pytest.approx(answers_of(own_server, files), abs=1e-5)
    assert eventually(lambda: own_server.left() == [])


def test_a_stop_in_a_small_window_fits_and_is_told(page: Workbench) -> None:
    page.page.set_viewport_size({"width": 375, "height": 800})
    page.choose({**CLASSIFIER, "data.json": saved_data(ROWS * 200)})
    page.wait_for_model()
    page.add_step("Finetune", {"Epochs": "1000", "Batch size": "1"})
    start(page)
    page.page.get_by_role("button", name="Stop and keep").click()
    page.page.get_by_role("button", name="Stopping after this epoch…").wait_for()
    assert page.page.get_by_role("status").inner_text() == "Stopping after this epoch…"
    assert page.sideways() == 0
    page.page.get_by_role("button", name="Cancel").click()
    page.page.get_by_role("progressbar").wait_for(state="detached")


def start(page: Workbench) -> None:
    page.page.get_by_role("button", name="Run in PyTorch").click()


def test_try_it_shows_the_new_labels_after_a_training(page: Workbench) -> None:
    page.choose({**CLASSIFIER, "data.json": DATA})
    page.wait_for_model()
    panel = page.part("Try it")
    panel.get_by_role("button", name="Try it").click()
    ranges = json.loads(CLASSIFIER["model_meta.json"])["inputs"]
    for name, told in ranges.items():
        assert panel.get_by_label(name, exact=True).get_attribute("max") == str(told["max"])
    page.add_step("Finetune", {"Epochs": "20"})
    page.run()
    panel.get_by_role("region", name="After").get_by_text("purple").wait_for()
    assert panel.get_by_role("region", name="Before").get_by_text("purple").count() == 0
    page.page.get_by_role("button", name="Open the finetuned model").click()
    page.page.get_by_role("heading", name=re.compile("5 labels")).wait_for()


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_data_are_chosen_in_the_step(kind: str, page: Workbench) -> None:
    page.choose(CLASSIFIER)
    page.wait_for_model()
    card = page.add_step("Finetune", {"Epochs": "3"})
    assert "r, g, b and colour" in card.inner_text()
    start(page)
    assert "rows to train with" in page.problem()
    page._forget("[role=alert]")
    content = table(ROWS) if kind == "csv" else DATA
    card.get_by_label("Data to train with").set_input_files(payload(f"mine.{kind}", content))
    page.run()
    assert "On your 90 rows" in page.part("What changed").inner_text()


def test_data_that_do_not_fit_are_explained_beside_the_button(page: Workbench) -> None:
    page.choose({**CLASSIFIER, "data.csv": b"x,y\n1,2\n"})
    page.wait_for_model()
    page.add_step("Finetune")
    start(page)
    assert "columns r, g, b, colour expected" in page.problem()


# Check and repair -----------------------------------------------------------------------------------------------------


def test_a_good_save_is_called_good(page: Workbench) -> None:
    page.choose(CLASSIFIER)
    page.wait_for_model()
    page.part("Check").get_by_text("ml5 0.12 and 1.x load these files by every route.").wait_for()
    assert page.part("Check").get_by_role("button", name="Repair").count() == 0


def test_a_save_with_names_of_its_own_is_repaired(chromium: Browser, own_server: Server, page: Workbench) -> None:
    page.choose(GESTURE)
    page.wait_for_model()
    check = page.part("Check")
    check.get_by_text("Goes wrong", exact=True).wait_for()
    assert check.get_by_role("row", name="ml5 0.12").inner_text().count("goes wrong") == 2
    assert page.violations() == []
    check.get_by_role("button", name="Repair").click()
    check.get_by_role("heading", name="Repaired").wait_for()
    check.get_by_text("load these files by every route").wait_for()
    assert page.focused() == "Check"
    assert page.violations() == []
    name, content = page.download(check.get_by_role("button", name="Save model.json"))
    assert (name, content) == ("model.json", page.take()["model.json"])
    with sketch(chromium, "0.12.2") as other:
        other.load("classification", page.take())
        assert other.ask(ASKED) == pytest.approx(answers_of(own_server, CLASSIFIER), abs=1e-5)


def test_a_drop_beside_the_box_counts_and_data_for_an_open_model_too(page: Workbench, tmp_path: Path) -> None:
    page.drop(*written(dict(CLASSIFIER), tmp_path), at=(3, 300))
    page.wait_for_model()
    assert "to train with" not in page.tab.locator(".opened").inner_text()
    page.drop(*written({"my-data.json": DATA}, tmp_path), at=(3, 300))
    page.tab.locator(".opened").get_by_text("my-data.json to train with").wait_for()
    assert "Data to train with: my-data.json" in page.add_step("Finetune").inner_text()


def test_data_stay_when_a_save_is_repaired(page: Workbench) -> None:
    page.choose({**GESTURE, "my-data.json": DATA})
    page.wait_for_model()
    page.part("Check").get_by_role("button", name="Repair").click()
    page.part("Check").get_by_role("heading", name="Repaired").wait_for()
    assert "my-data.json to train with" in page.tab.locator(".opened").inner_text()


def test_the_browsers_own_numbers_in_names_are_seen(page: Workbench) -> None:
    page.choose({name.replace(".", " (1).", 1): data for name, data in CLASSIFIER.items()})
    page.wait_for_model()
    page.part("Check").get_by_text("(1)").first.wait_for()


MISSING: dict[str, tuple[list[str], str, bool]] = {
    "no meta": (["model.json", "model.weights.bin"], "names, ranges and labels are missing", True),
    "no weights": (["model.json", "model_meta.json"], "weights are missing", False),
    "the weights alone": (["model.weights.bin"], "description of the network is missing", False),
}


@pytest.mark.parametrize("what", MISSING)
def test_a_missing_file_is_no_dead_end(what: str, page: Workbench) -> None:
    names, said, opens = MISSING[what]
    page.choose({name: CLASSIFIER[name] for name in names})
    if opens:
        page.wait_for_model()
    page.page.get_by_text(said).wait_for()
    assert page.violations() == []
    assert page.sideways() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_the_new_parts_of_a_small_window(scheme: Any, page: Workbench) -> None:
    page.page.set_viewport_size({"width": 375, "height": 800})
    page.page.emulate_media(color_scheme=scheme)
    page.choose({**GESTURE, "data.json": DATA})
    page.wait_for_model()
    page.part("Check").get_by_role("button", name="Repair").wait_for()
    page.add_step("Finetune", {"Epochs": "5"})
    page.run()
    assert page.violations() == []
    assert page.sideways() == 0
