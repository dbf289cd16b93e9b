"""The whole journey in a real browser: real ml5 saves, our page changes the network in PyTorch, real ml5 loads it."""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from helpers import SAMPLES
from ml5_browser import open_chromium
from page import Workbench, open_page
from serving import MODEL_FILES, Server, sample
from sketches import LIBRARIES, sketch
from tfjs_torch_server.page import CDN, CDN_INTEGRITY

from tfjs_torch import load_file
from tfjs_torch.conversion import convert, open_container

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CLASSIFIER = SAMPLES / "ml5-classifier"
SAMPLE_FILES = [CLASSIFIER / name for name in MODEL_FILES]
PLACES = [{"x": x, "y": y} for x in (20, 150, 290) for y in (40, 170)]
OUTPUTS: dict[str, Callable[[float, float], Any]] = {
    "classification": lambda x, y: {"side": "left" if x < y else "right"},
    "regression": lambda x, y: {"sum": x + y},
}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with open_chromium() as started:
        yield started


@pytest.fixture
def page(chromium: Browser, server: Server) -> Iterator[Workbench]:
    """The page in a new tab; at the end nothing was blocked, nothing failed, and no other server was asked."""
    with open_page(chromium, server.url) as opened:
        yield opened
        assert opened.complaints == []
        assert opened.strangers == []


def lesson(task: str) -> list[tuple[Any, Any]]:
    """Places on a map, and what a network is to say about each."""
    dice = random.Random(3)
    places = [(dice.uniform(0, 300), dice.uniform(0, 300)) for _ in range(80)]
    return [({"x": x, "y": y}, OUTPUTS[task](x, y)) for x, y in places]


def written(files: Mapping[str, bytes], folder: Path) -> list[Path]:
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in files]


@pytest.mark.parametrize("task", OUTPUTS)
@pytest.mark.parametrize("version", ["1.4.0", "0.12.2"])
def test_a_network_of_ml5_goes_through_pytorch_and_back_into_ml5(
    version: str, task: str, chromium: Browser, page: Workbench, tmp_path: Path
) -> None:
    with sketch(chromium, version) as trained:
        trained.train(task, lesson(task), epochs=15, batchSize=20)
        before = trained.ask(PLACES)
        saved = trained.save()

    page.drop(*written(saved, tmp_path / "saved"))
    assert "x and y" in page.wait_for_model()
    assert page.take() == saved

    factor = page.add_step("Scale", {"Factor": "1"})
    assert page.run().startswith("Nothing")
    unchanged = page.take()
    factor.get_by_label("Factor", exact=True).fill("0.5")
    weights = np.frombuffer(saved["model.weights.bin"], "<f4")
    assert page.run().startswith(f"{np.count_nonzero(weights)} of {weights.size} numbers")
    changed = page.take()

    assert unchanged == saved
    assert changed == {**saved, "model.weights.bin": (weights / 2).tobytes()}
    with sketch(chromium, version) as loaded:
        loaded.load(task, unchanged)
        assert loaded.ask(PLACES) == before
        loaded.load(task, changed)
        assert max(abs(a - b) for a, b in zip(loaded.ask(PLACES), before, strict=True)) > 0.01


# Ways in ------------------------------------------------------------------------------------------------------------


def as_zip(files: Mapping[str, bytes], folder: str = "") -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in files.items():
            archive.writestr(f"{folder}{name}", content)
    return target.getvalue()


@pytest.mark.parametrize("folder", ["", "my-model/"])
def test_a_zip_can_be_dropped(folder: str, page: Workbench, tmp_path: Path) -> None:
    page.drop(*written({"model.zip": as_zip(sample(), folder)}, tmp_path))
    assert "red, yellow, green and blue" in page.wait_for_model()
    page.add_step("Scale", {"Factor": "1"})
    page.run()
    assert page.take() == sample()


def test_the_folder_of_a_sketch_can_be_dropped(page: Workbench) -> None:
    page.drop(CLASSIFIER)  # with sketch.js, README.md and another JSON file in it
    assert "red, yellow, green and blue" in page.wait_for_model()
    page.add_step("Scale", {"Factor": "1"})
    page.run()
    assert page.take() == sample()


def test_the_sketch_in_a_folder_is_checked_with_its_model(page: Workbench, tmp_path: Path) -> None:
    sketch = 'nn = ml5.neuralNetwork();\nnn.load("model/", ready);\nml5.setBackend("webgl");'
    files = {f"model/{name}": content for name, content in sample().items()} | {"sketch.js": sketch.encode()}
    for name, content in files.items():
        path = tmp_path / "my sketch" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    page.drop(tmp_path / "my sketch")
    assert "red, yellow, green and blue" in page.wait_for_model()
    page.part("Check").get_by_text("sketch.js, line 2").wait_for()
    told = page.part("Check").inner_text()
    assert 'model: "model/model.json"' in told
    assert "ml5 0.12 and 1.x load these files by every route" in told  # it is the sketch that does not
    page.add_step("Scale", {"Factor": "1"})
    page.run()
    assert page.take() == sample()


def test_of_several_models_none_is_taken_in_silence(page: Workbench, tmp_path: Path) -> None:
    for folder in ("model", "better"):
        (tmp_path / "sketch" / folder).mkdir(parents=True)
        written(sample(), tmp_path / "sketch" / folder)
    page.drop(tmp_path / "sketch")
    assert "several models: in sketch/better, sketch/model" in page.problem()


def test_a_folder_can_be_chosen(page: Workbench) -> None:
    with page.page.expect_file_chooser() as picker:
        page.tab.get_by_role("button", name="Choose a folder").click()
    picker.value.set_files(CLASSIFIER)
    assert "red, yellow, green and blue" in page.wait_for_model()


def test_files_that_miss_the_zone_do_not_replace_the_page(page: Workbench) -> None:
    page.drop(*SAMPLE_FILES, at=(5, 5))
    page.page.wait_for_timeout(300)
    assert page.page.url.rstrip("/#") == page.url


def test_the_example_opens_with_one_button(page: Workbench) -> None:
    page.page.get_by_role("button", name="Try the example").click()
    assert "labels" in page.wait_for_model()


def test_another_model_can_be_opened_after_the_first(page: Workbench) -> None:
    page.drop(*SAMPLE_FILES)
    page.wait_for_model()
    page.page.get_by_role("button", name="Open another model").click()
    page.drop(*(SAMPLES / "ml5-regression" / name for name in MODEL_FILES))
    assert "x and y" in page.wait_for_model()
    assert page.take() == sample("ml5-regression")


def test_another_model_is_mixed_in(page: Workbench, tmp_path: Path) -> None:
    weights = np.frombuffer(sample()["model.weights.bin"], "<f4")
    other = {**sample(), "model.weights.bin": (weights * 3).tobytes()}
    page.drop(*SAMPLE_FILES)
    page.wait_for_model()
    page.add_step("Average models")
    with page.page.expect_file_chooser() as picker:
        page.part("Change it").get_by_role("button", name="Choose files").click()
    picker.value.set_files(written(other, tmp_path))
    page.part("Change it").get_by_text("Model 2:").wait_for()
    page.run()
    mixed = np.frombuffer(page.take()["model.weights.bin"], "<f4")
    np.testing.assert_allclose(mixed, weights * 2, rtol=1e-6)


# Ways out -----------------------------------------------------------------------------------------------------------


def test_the_zip_holds_the_files_and_a_report(page: Workbench) -> None:
    page.choose(sample())
    page.wait_for_model()
    name, content = page.download(page.tab.get_by_role("button", name=".zip"))
    assert name == "model.zip"
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        found = {entry: archive.read(entry) for entry in archive.namelist()}
    assert found.pop("report.json")
    assert found == sample()


@pytest.mark.parametrize("kind", [".safetensors", ".pt", ".npz"])
def test_weights_for_python_are_those_of_the_changed_network(kind: str, page: Workbench, tmp_path: Path) -> None:
    page.choose(sample())
    page.wait_for_model()
    page.add_step("Scale", {"Factor": "2"})
    page.run()
    button = page.tab.get_by_role("button").filter(has=page.page.get_by_text(kind, exact=True))
    name, content = page.download(button)
    assert name == f"model{kind}"
    (tmp_path / name).write_bytes(content)
    before, after = load_file(CLASSIFIER), open_container(tmp_path / name)
    assert after.keys() == before.keys()
    assert all(np.array_equal(after[key], before[key] * 2) for key in before)


def test_a_link_loads_in_tfjs_and_in_ml5_until_it_is_deleted(chromium: Browser, page: Workbench) -> None:
    page.choose(sample())
    page.wait_for_model()
    page.page.get_by_role("button", name="Get a link").click()
    url = page.page.get_by_label("Link to the model").input_value()
    with sketch(chromium, "tf.js") as other:
        (shares,) = other.run("([url, inputs]) => loadAndPredict(url, inputs)", [url, [[1, 0, 0]]])
        assert sum(shares) == pytest.approx(1)
    with sketch(chromium, "1.4.0") as other:
        other.load("classification", url)
        assert len(other.ask([{"r": 1, "g": 2, "b": 3}])) == 4
    with page.page.expect_response(url.rpartition("/")[0]):
        page.page.get_by_role("button", name="Delete it now").click()
    page.page.get_by_role("button", name="Get a link").wait_for()
    with sketch(chromium, "tf.js") as other:
        assert other.run("(url) => fetch(url).then(({ status }) => status)", url) == 404


# The second tab -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["safetensors", "pt", "npz"])
def test_weights_from_python_become_files_for_ml5(
    kind: str, chromium: Browser, page: Workbench, tmp_path: Path
) -> None:
    state_dict = {name: tensor.numpy() for name, tensor in load_file(CLASSIFIER).items()}
    state_dict["dense_Dense2/bias"] += 0.25
    convert(state_dict, tmp_path / f"trained.{kind}")
    page.page.get_by_role("tab", name="Back to ml5").click()
    start = page.page.get_by_role("button", name="Make the ml5 files")
    page.drop(tmp_path / f"trained.{kind}")
    assert start.is_disabled()
    page.drop(CLASSIFIER / "model.json", CLASSIFIER / "model_meta.json")
    start.click()
    page.part("What changed").wait_for()
    files = page.take()

    assert files.keys() == sample().keys()
    assert files["model.weights.bin"][-16:] == state_dict["dense_Dense2/bias"].tobytes()
    assert files["model_meta.json"] == sample()["model_meta.json"]
    with sketch(chromium, "1.4.0") as other:
        other.load("classification", files)
        assert len(other.ask([{"r": 255, "g": 0, "b": 0}])) == 4


def test_the_second_tab_opens_what_it_made_in_the_first(page: Workbench, tmp_path: Path) -> None:
    convert({name: tensor.numpy() for name, tensor in load_file(CLASSIFIER).items()}, tmp_path / "trained.safetensors")
    page.page.get_by_role("tab", name="Back to ml5").click()
    page.choose({**sample(), "trained.safetensors": (tmp_path / "trained.safetensors").read_bytes()})
    page.page.get_by_role("button", name="Make the ml5 files").click()
    page.part("What changed").get_by_text("Nothing").wait_for()
    assert "red, yellow, green and blue" in page.wait_for_model()
    assert page.take() == sample()


# Trying it ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("computed_by", ["TensorFlow.js", "PyTorch"])
def test_try_it_says_what_ml5_says(computed_by: str, page: Workbench) -> None:
    if computed_by == "PyTorch":
        page.page.route("**/vendor/*", lambda route: route.fulfill(status=404))
    expected = json.loads((CLASSIFIER / "expected.json").read_text())["answers"][5]
    page.choose(sample())
    page.wait_for_model()
    panel = page.part("Try it")
    panel.get_by_role("button", name="Try it").click()
    for label, value in expected["input"].items():
        panel.get_by_label(label, exact=True).fill(str(value))
    panel.get_by_text(f"Computed by {computed_by}").wait_for()
    for answer in expected["result"]:
        row = panel.get_by_role("listitem").filter(has_text=answer["label"])
        row.get_by_text(f"{answer['confidence'] * 100:.1f} %").wait_for()
    page.add_step("Scale", {"Factor": "0"})
    page.run()
    after = panel.get_by_role("region", name="After").get_by_role("listitem")
    after.filter(has_text="red").get_by_text("25.0 %").wait_for()
    if computed_by == "PyTorch":
        # The missing script is what this test has arranged.
        page.complaints[:] = [text for text in page.complaints if "404" not in text and "integrity" not in text]


def test_tfjs_of_the_cdn_passes_the_rules_of_the_page(chromium: Browser, server: Server) -> None:
    with open_page(chromium, server.url) as page:
        source = {"src": CDN, "integrity": CDN_INTEGRITY}  # what a server without an installed copy tells
        page.page.route("**/formats", lambda route: route.fulfill(json={**route.fetch().json(), "tfjs": source}))
        same = LIBRARIES["tf.js"].with_name(CDN.rpartition("/")[2])
        allowed = {"Access-Control-Allow-Origin": "*"}
        page.page.route(CDN, lambda route: route.fulfill(path=same, headers=allowed))
        page.page.reload()
        page.choose(sample())
        page.wait_for_model()
        assert page.strangers == []
        page.part("Try it").get_by_role("button", name="Try it").click()
        page.part("Try it").get_by_text("Computed by TensorFlow.js").wait_for()
        assert page.strangers == [CDN]
        assert page.complaints == []
