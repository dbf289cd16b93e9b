"""Sketches on other web pages call the server: what real browsers, real tf.js and real ml5 do across origins."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from helpers import SAMPLES
from ml5_browser import REPOSITORY, open_chromium
from serving import MODEL_FILES, Server, sample, saved, serving
from sketches import LIBRARIES, sketch

if TYPE_CHECKING:
    from playwright.sync_api import Browser

EXPECTED = json.loads((SAMPLES / "ml5-classifier/expected.json").read_text())
INPUTS = [answer["input"] for answer in EXPECTED["answers"]]
RESULTS = [
    label["confidence"]
    for answer in EXPECTED["answers"]
    for label in sorted(answer["result"], key=lambda label: str(label["label"]))
]
SAVE = """async ([url, requestInit]) => {
  await tf.setBackend("cpu");
  const model = tf.sequential({ layers: [tf.layers.dense({ units: 2, inputShape: [3] })] });
  const { responses } = await model.save(requestInit ? tf.io.http(url, { requestInit }) : url);
  return [await responses[0].json(), await model.predict(tf.tensor([[1, 2, 3]])).array()];
}"""
FAILURE = "([url, options]) => fetch(url, options).then(async (r) => [r.status, await r.text()], (e) => [0, e.message])"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with open_chromium() as started:
        yield started


def test_model_save_stores_and_load_layers_model_brings_the_same_network(chromium: Browser, server: Server) -> None:
    with sketch(chromium, "tf.js") as page:
        stored, before = page.run(SAVE, [f"{server.url}/models", None])
        assert {file["name"] for file in stored["files"]} == {"model.json", "model.weights.bin"}
        after = page.run("([url, inputs]) => loadAndPredict(url, inputs)", [stored["url"], [[1, 2, 3]]])
        assert after == before
        assert page.complaints == []


def test_model_save_to_convert_answers_with_files_that_the_sketch_can_read(chromium: Browser, server: Server) -> None:
    with sketch(chromium, "tf.js") as page:
        accept = {"headers": {"Accept": "application/json"}}
        report, _ = page.run(SAVE, [f'{server.url}/convert?process=[{{"step":"scale","factor":2}}]', accept])
        assert report["changed_tensors"] >= 1


def test_a_put_with_a_token_passes_the_preflight(chromium: Browser) -> None:
    with serving("--token", "open-sesame") as server, sketch(chromium, "tf.js") as page:
        request = {"method": "PUT", "headers": {"Authorization": "Bearer open-sesame"}}
        stored, before = page.run(SAVE, [f"{server.url}/models", request])
        after = page.run("([url, inputs]) => loadAndPredict(url, inputs)", [stored["url"], [[1, 2, 3]]])
        assert after == before
        # Without the token the sketch can read why it was refused.
        status, text = page.run(FAILURE, [f"{server.url}/models", {"method": "POST", "body": "x"}])
        assert status == 401
        assert json.loads(text)["what_to_do"]


@pytest.mark.parametrize("version", ["1.4.0", "0.12.2"])
def test_ml5_loads_a_stored_model_by_its_address(chromium: Browser, server: Server, version: str) -> None:
    url = saved(server)["url"]
    with sketch(chromium, version) as page:
        page.load("classification", url)
        assert page.ask(INPUTS) == pytest.approx(RESULTS, abs=1e-6)


@pytest.mark.parametrize("version", ["1.4.0", "0.12.2"])
def test_ml5_loads_a_stored_model_by_the_addresses_of_its_files(
    chromium: Browser, server: Server, version: str
) -> None:
    urls = {file["name"]: file["url"] for file in saved(server)["files"]}
    place = {key: urls[name] for key, name in zip(("model", "metadata", "weights"), MODEL_FILES, strict=True)}
    with sketch(chromium, version) as page:
        page.run("(place) => load('classification', place)", place)
        assert page.ask(INPUTS) == pytest.approx(RESULTS, abs=1e-6)


def test_fetch_with_form_data_brings_the_three_files_and_a_report(chromium: Browser, server: Server) -> None:
    with sketch(chromium, "tf.js") as page:
        answer = convert(page.run, server)
        assert answer["status"] == 200
        sizes = {name: len(content) for name, content in sample().items()}
        assert {name: size for name, size in answer["files"].items() if name in sizes} == sizes
        assert answer["files"].keys() - sizes == {"report.json"}


def test_a_page_opened_from_the_disk_may_call(chromium: Browser, server: Server) -> None:
    page = chromium.new_page()
    page.goto((REPOSITORY / "tests/browser/ml5_sketch.html").as_uri())
    page.add_script_tag(path=LIBRARIES["tf.js"])
    assert convert(page.evaluate, server)["status"] == 200
    page.close()


def test_refusals_can_be_read_from_another_origin(chromium: Browser, server: Server) -> None:
    with sketch(chromium, "tf.js") as page:
        status, text = page.run(FAILURE, [f"{server.url}/models/none/model.weights.bin", {}])
        assert (status, text) == (404, "")
        status, text = page.run(FAILURE, [f"{server.url}/convert", {"method": "POST", "body": "no form"}])
        assert status == 415
        assert json.loads(text)["detail"]


def test_allow_origin_shuts_other_pages_out(chromium: Browser) -> None:
    with serving("--allow-origin", "https://example.org") as server, sketch(chromium, "tf.js") as page:
        status, message = page.run(FAILURE, [f"{server.url}/formats", {}])
        assert (status, message) == (0, "Failed to fetch")


def convert(run: Any, server: Server) -> Any:
    """What a page gets from POST /convert for the sample's three files; their bytes go as a text of Latin-1 letters."""
    files = {name: content.decode("latin-1") for name, content in sample().items()}
    return run("([url, files]) => convert(url, files)", [f"{server.url}/convert", files])
