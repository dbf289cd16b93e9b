"""The page's "Try it": its numbers are those that real ml5 answered; tf.js in the browser or PyTorch computes them."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from helpers import SAMPLES, SHARED_MODELS
from ml5_browser import REPOSITORY, SAVED_FILES, listen, open_chromium, payload, serve

from tfjs_torch import load_file, save_file

if TYPE_CHECKING:
    from playwright.sync_api import Page

MODELS = [SAMPLES / "ml5-classifier", SAMPLES / "ml5-regression"]
SAVED_BY_0_12 = sorted(path.parent for path in SHARED_MODELS.glob("ml5-0.12.2/*/model_meta.json"))
CLASSIFIER = MODELS[0]
# ml5 0.x gives a label to another unit where labels are numbers; 1.x and the page do not.
MISLABELLED = "classification-numeric-labels"
THREE_NUMBERS = {"outline": {"inputs": [{"name": "in", "shape": [None, 3]}]}}
RED = base64.b64decode(  # a PNG of one red pixel
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
)
COLUMN, TEXT = {"dtype": "number"}, {"dtype": "string"}
STRANGE: list[Any] = [
    None, 1, "meta", [], {}, {"inputs": None, "outputs": 3}, {"inputs": {"x": None}, "outputs": {"y": []}},
    {"inputUnits": None, "inputs": {"x": {"dtype": "boolean"}}, "outputs": {"y": TEXT}},
    {"inputUnits": [2], "inputs": {"x": {**COLUMN, "min": None}}, "outputs": {"y": {**TEXT, "legend": {"a": 1}}}},
    {"inputUnits": ["a"], "inputs": {"x": {"dtype": "array"}}, "outputs": {"y": {**TEXT, "uniqueValues": [{}]}}},
    {"meta": {"inputs": {"x": 5}, "outputs": {"y": {"min": "low"}}}, "data": None}, {"meta": {"inputs": 7}},
]  # fmt: skip


@pytest.fixture(scope="module")
def new_page() -> Iterator[Any]:
    with serve(REPOSITORY) as address, open_chromium() as chromium:

        def opened() -> Page:
            page = chromium.new_page()
            page.goto(f"{address}/tests/browser/tryit.html")
            return page

        yield opened


@pytest.fixture
def page(new_page: Any) -> Iterator[Page]:
    """The panel's own page; no error may appear in it unless the test waits for one."""
    opened = new_page()
    complaints = listen(opened)
    yield opened
    opened.close()
    assert [text for text in complaints if "404" not in text and "integrity" not in text] == []


def choose(page: Page, folder: Path, picker: str = "files") -> None:
    page.set_input_files(f"#{picker}", [payload(name, folder / name) for name in SAVED_FILES])


def open_panel(page: Page, **options: Any) -> None:
    page.evaluate("(options) => mount(options)", options)
    page.get_by_role("button", name="Try it").click()
    page.locator(".try-row, .problem").first.wait_for()


def rows(page: Page, side: int = 0) -> list[str]:
    return page.locator(".try-side").nth(side).locator("li").all_inner_texts()


def close_to(result: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """An answer of ml5, by what the page shows of it."""
    numbers = ("confidence", "value")
    return [
        {"label": one["label"], **{k: pytest.approx(v, rel=1e-5) for k, v in one.items() if k in numbers}}
        for one in result
    ]


def halved(folder: Path) -> Path:
    weights = load_file(CLASSIFIER)
    weights["dense_Dense2/kernel"] *= 0.5
    save_file(weights, folder, like=CLASSIFIER)
    return folder


@pytest.mark.parametrize("folder", [*MODELS, *SAVED_BY_0_12], ids=lambda path: path.name)
def test_the_page_feeds_the_network_and_answers_as_ml5_did(page: Page, folder: Path) -> None:
    told = answers_of(folder)
    choose(page, folder)
    answers = page.evaluate("(inputs) => answersOf(inputs)", [one["input"] for one in told])
    for answer, one in zip(answers, told, strict=True):
        if "fed" in one:
            assert answer["encoded"] == pytest.approx(flat(one["fed"]), rel=1e-5, abs=1e-7)
        result = one["result"] if folder.name != MISLABELLED else by_unit(folder, one["units"])
        assert answer["answer"] == close_to(result)


def answers_of(folder: Path) -> list[dict[str, Any]]:
    """Real ml5's, {"input", "result"}; those of 0.12.2 with what it fed the network and what came out."""
    told = json.loads((folder / "expected.json").read_text())
    return told.get("answers") or [row for each in told["beforeSaving"] for row in single(each)]


def single(told: dict[str, Any]) -> list[dict[str, Any]]:
    """One row for each input of a batch."""
    given, fed, units = told["input"], told["modelInput"], told["modelOutput"]
    result = told["ml5"].get("classify") or told["ml5"]["predict"]
    if not isinstance(given[0] if isinstance(given, list) else None, list):
        given, result = [given], [result]
    keys = ("input", "fed", "units", "result")
    return [dict(zip(keys, row, strict=True)) for row in zip(given, fed, units, result, strict=True)]


def flat(nested: Any) -> list[float]:
    return [number for each in nested for number in flat(each)] if isinstance(nested, list) else [nested]


def by_unit(folder: Path, units: list[float]) -> list[dict[str, Any]]:
    (output,) = json.loads((folder / "model_meta.json").read_text())["outputs"].values()
    named = zip(output["uniqueValues"], units, strict=True)
    return [{"label": label, "confidence": unit} for label, unit in sorted(named, key=lambda one: -one[1])]


@pytest.mark.parametrize("meta", STRANGE, ids=str)
def test_no_meta_makes_the_page_stumble(page: Page, meta: Any) -> None:
    inspected = {"outline": {"inputs": [{"name": "in", "shape": [None, 2]}]}, "metadata": meta}
    assert page.evaluate("(meta) => describe(meta, meta)", meta)[0]["title"] == "Task"
    assert page.evaluate("([meta, inspected]) => read(meta, inspected).inputs.length", [meta, inspected]) >= 1
    page.evaluate("(meta) => read(meta, { outline: null, metadata: null })", meta)


def test_the_first_generation_of_meta_is_read(page: Page) -> None:
    columns = {"x": COLUMN, "y": COLUMN}
    legend = {"dtype": "string", "legend": {"C": [1, 0], "D": [0, 1]}}
    inner = {"inputUnits": 2, "outputUnits": 2, "inputs": columns, "outputs": {"label": legend}, "isNormalized": True}
    meta = {"data": {"inputMin": [10, 30], "inputMax": [20, 50], "outputMin": 0, "outputMax": 1}, "meta": inner}
    inspected = {"outline": {"inputs": [{"name": "in", "shape": [None, 2]}]}}
    found = page.evaluate("([meta, all]) => ({ ...encodeAs(read(meta, all), [15, 35]) })", [meta, inspected])
    assert found == {"labels": ["C", "D"], "numbers": [0.5, 0.25]}


def test_labels_follow_their_codes_and_not_their_place(page: Page) -> None:
    legend = {"10": [1, 0, 0], "2": [0, 1, 0], "1": [0, 0, 1]}
    meta = {
        "inputUnits": [1],
        "inputs": {"x": {"dtype": "number"}},
        "outputs": {"d": {"dtype": "string", "legend": legend}},
    }
    assert page.evaluate("(meta) => read(meta, {}).labels", meta) == ["10", "2", "1"]
    assert "Watch out" in [fact["title"] for fact in page.evaluate("(meta) => describe(meta, null)", meta)]


def test_teachable_machine_pictures_go_from_minus_one_to_one(page: Page) -> None:
    inspected = {"outline": {"inputs": [{"name": "in", "shape": [None, 1, 1, 3]}]}, "metadata": {"labels": ["a", "b"]}}
    found = page.evaluate("(all) => encodeAs(read(null, all), [[0, 127.5, 255]])", inspected)
    assert found == {"labels": ["a", "b"], "numbers": [-1, 0, 1]}


def test_the_panel_shows_one_answer_before_anything_is_changed(page: Page) -> None:
    choose(page, CLASSIFIER)
    open_panel(page)
    assert [row.split()[0] for row in rows(page)] == ["red", "yellow", "green", "blue"]
    assert "Computed by TensorFlow.js 4.22.0 in your browser." in page.inner_text("#panel")
    assert page.locator(".try-side h3").all_inner_texts() == ["Now"]


def test_the_panel_shows_before_and_after_and_follows_the_sliders(page: Page, tmp_path: Path) -> None:
    choose(page, CLASSIFIER)
    choose(page, halved(tmp_path), "changed")
    open_panel(page)
    before, after = rows(page), rows(page, 1)
    assert before != after
    assert re.search(r"Before: \w+ \d+\.\d %\. After: \w+ \d+\.\d %\.", said(page))
    page.get_by_role("slider").first.press("End")
    page.get_by_label("r", exact=True).fill("300")  # outside of the training data, as ml5 allows
    page.wait_for_timeout(200)
    assert rows(page) != before


def said(page: Page) -> str:
    page.locator(".try-say:not(:empty)").wait_for()
    return page.inner_text(".try-say")


def test_an_answer_that_arrives_later_is_shown_beside_the_first(page: Page, tmp_path: Path) -> None:
    choose(page, CLASSIFIER)
    open_panel(page)
    choose(page, halved(tmp_path), "changed")
    page.evaluate("change()")
    page.locator(".try-side").nth(1).wait_for()
    assert page.locator(".try-side h3").all_inner_texts() == ["Before", "After"]


def test_the_panel_keeps_no_tensor_but_the_weights_and_none_once_closed(page: Page, tmp_path: Path) -> None:
    choose(page, CLASSIFIER)
    choose(page, halved(tmp_path), "changed")
    open_panel(page)
    for _ in range(20):
        page.get_by_role("slider").first.press("ArrowRight")
        page.evaluate("change()")
    page.wait_for_timeout(500)
    assert page.evaluate("tf.memory().numTensors") == 8
    page.evaluate("panel.close()")
    assert page.evaluate("tf.memory().numTensors") == 0


@pytest.mark.parametrize("script", [{"src": "/nowhere/tf.js"}, {"integrity": "sha384-AAAA"}], ids=["gone", "altered"])
def test_pytorch_answers_where_tf_js_cannot_be_fetched(page: Page, script: dict[str, str]) -> None:
    choose(page, CLASSIFIER)
    open_panel(page, **script, server=[[0.7, 0.1, 0.1, 0.1]])
    assert rows(page)[0].split() == ["red", "70.0", "%"]
    assert "Computed by PyTorch on the server." in page.inner_text("#panel")
    assert page.evaluate("asked[0].inputs") == [[[pytest.approx(0.5, abs=1e-3)] * 3]]


def test_pytorch_answers_for_both_sides_where_tf_js_refuses_one(page: Page, tmp_path: Path) -> None:
    for name in SAVED_FILES:
        (tmp_path / name).write_bytes((CLASSIFIER / name).read_bytes().replace(b'"Dense"', b'"Dance"'))
    choose(page, CLASSIFIER)
    choose(page, tmp_path, "changed")
    open_panel(page, server=[[0.1, 0.7, 0.1, 0.1]])
    assert "Unknown layer: Dance" in page.inner_text("#panel")
    assert (page.evaluate("asked.length"), page.evaluate("tf.memory().numTensors")) == (2, 0)


def test_what_the_server_says_stands_in_the_panel(page: Page) -> None:
    choose(page, CLASSIFIER)
    open_panel(page, src="/nowhere/tf.js")
    assert page.get_by_role("alert").inner_text() == "The server does not answer."


def test_an_empty_field_is_told_and_can_be_filled_again(page: Page) -> None:
    choose(page, CLASSIFIER)
    open_panel(page)
    page.get_by_label("r", exact=True).fill("")
    page.locator(".problem").wait_for()
    assert page.get_by_role("alert").inner_text() == "r: type a number."
    page.get_by_label("r", exact=True).fill("3")
    page.locator(".try-row").first.wait_for()


def test_a_network_without_meta_gets_plain_numbers(page: Page) -> None:
    page.set_input_files("#files", [payload(name, CLASSIFIER / name) for name in ("model.json", "model.weights.bin")])
    open_panel(page, inspected=THREE_NUMBERS)
    assert page.get_by_role("spinbutton").count() == 3
    assert [row.split()[:2] for row in rows(page)] == [["output", str(i + 1)] for i in range(4)]


def test_weights_under_the_name_that_a_browser_gave_them_are_found(page: Page) -> None:
    names = {"model (1).json": "model.json", "model.weights (1).bin": "model.weights.bin"}
    page.set_input_files("#files", [payload(name, CLASSIFIER / saved) for name, saved in names.items()])
    open_panel(page, inspected=THREE_NUMBERS)
    assert "Computed by TensorFlow.js" in page.inner_text("#panel")


def test_a_picture_of_ones_own_is_given_to_the_network(page: Page) -> None:
    weights = {"outline": {"inputs": [{"name": "in", "shape": [None, 1, 1, 3]}]}}
    choose(page, CLASSIFIER)
    open_panel(page, inspected={**weights, "meta": None}, src="/nowhere/tf.js", server=[[1]])
    page.get_by_label("choose a picture").set_input_files([payload("red.png", RED)])
    page.wait_for_timeout(500)
    assert page.evaluate("asked.at(-1).inputs") == [[[[[1, 0, 0]]]]]
    page.get_by_label("choose a picture").set_input_files([payload("a.png", b"no")])
    page.locator(".problem").wait_for()
    assert page.get_by_role("alert").inner_text() == "This file is not a picture."
