"""POST /check, /repair, and /predict with a sketch's own values."""

from __future__ import annotations

import json
from typing import Any

import pytest
from helpers import SAMPLES
from serving import (
    CLASSIFIER,
    GESTURE,
    REGRESSION,
    Server,
    ask,
    eventually,
    form_of,
    get,
    in_folder,
    post,
    problem_of,
    saved,
    serving,
    zip_of,
    zipped,
)

from tfjs_torch import ml5

JSON, META, WEIGHTS = "model.json", "model_meta.json", "model.weights.bin"


def only(*names: str) -> dict[str, bytes]:
    return {name: CLASSIFIER[name] for name in names}


def check(server: Server, files: Any, **query: Any) -> Any:
    response = post(server, "/check", files, **query)
    assert response.status_code == 200, response.text
    return response.json()


def codes(server: Server, files: Any) -> list[str]:
    return [finding["code"] for finding in check(server, files)["findings"]]


# Check ----------------------------------------------------------------------------------------------------------------


def test_a_good_save_has_no_findings(server: Server) -> None:
    told = check(server, CLASSIFIER)
    assert told["findings"] == []
    assert told["ml5"]["task"] == "classification"
    assert told["ml5"]["inputs"] == ["r", "g", "b"]
    assert told["ml5"]["labels"] == ["red", "yellow", "green", "blue"]


FILES: dict[str, Any] = {
    "custom names": GESTURE,
    "numbers of the browser": {name.replace(".", " (1).", 1): data for name, data in CLASSIFIER.items()},
    "no meta": only(JSON, WEIGHTS),
    "no weights": only(JSON, META),
    "the JSON alone": only(JSON),
    "the weights alone": only(WEIGHTS),
    "the meta alone": only(META),
    "long weights": {**CLASSIFIER, WEIGHTS: CLASSIFIER[WEIGHTS] + b"1234"},
    "short weights": {**CLASSIFIER, WEIGHTS: CLASSIFIER[WEIGHTS][:-4]},
    "a broken JSON": {**CLASSIFIER, JSON: CLASSIFIER[JSON][:300]},
    "a web page": {JSON: b"<!DOCTYPE html><p>404"},
    "data": {"data.json": b'{"data": [{"xs": {"a": 1}, "ys": {"b": 2}}]}'},
    "a picture": {"cat.png": b"\x89PNG\r\n\x1a\n"},
}  # fmt: skip


@pytest.mark.parametrize("what", FILES)
def test_it_says_what_the_library_says_of_the_names_as_they_were(what: str, server: Server) -> None:
    found = check(server, FILES[what])["findings"]
    assert found == [finding.to_dict() for finding in ml5.check(FILES[what])]
    assert found
    assert all(finding["message"] and finding["advice"] for finding in found)


@pytest.mark.parametrize("way", ["a zip", "a zip with a folder", "a folder"])
def test_files_are_found_in(way: str, server: Server) -> None:
    folder = in_folder("my-model", GESTURE)
    files: Any = {
        "a zip": {"m.zip": zipped(GESTURE)}, "a zip with a folder": {"m.zip": zipped(folder)}, "a folder": folder
    }  # fmt: skip
    assert codes(server, files[way]) == ["custom-name"]


def test_a_stored_model_is_checked_by_its_id(server: Server) -> None:
    own = saved(server)["id"]
    assert ask(server, "POST", f"/check?model={own}").json()["findings"] == []
    assert post(server, "/check", fields={"model": own}).json()["ml5"]["outputs"] == ["colour"]
    problem_of(ask(server, "POST", "/check?model=" + "x" * 22), 404)


def test_what_is_no_upload_is_refused(server: Server) -> None:
    problem_of(ask(server, "POST", "/check", json={}), 415)
    problem_of(post(server, "/check", {}), 400)
    problem_of(post(server, "/check", [(JSON, b"{}"), (JSON, b"{}")]), 400)
    problem_of(post(server, "/check", {JSON: b"[" * 100_000}), 400)


# Repair ---------------------------------------------------------------------------------------------------------------


def test_a_repaired_save_loads_everywhere(server: Server) -> None:
    found = form_of(post(server, "/repair", GESTURE, accept="multipart/form-data"))
    report = json.loads(found.pop("report.json"))
    assert found == ml5.repaired_files(GESTURE)[0]
    assert (report["done"], report["findings"]) == (ml5.repaired_files(GESTURE)[1], [])
    assert check(server, found)["findings"] == []


def test_a_good_save_comes_back_as_it_is(server: Server) -> None:
    found = zip_of(post(server, "/repair", CLASSIFIER))
    assert json.loads(found.pop("report.json"))["done"] == []
    assert found == CLASSIFIER


LOST = ["no meta", "no weights", "the weights alone", "a broken JSON", "a picture", "short weights"]


@pytest.mark.parametrize("what", LOST)
def test_what_cannot_be_repaired_is_said(what: str, server: Server) -> None:
    assert len(problem_of(post(server, "/repair", FILES[what]), 422)["detail"]) > 20


def test_nothing_is_left_behind() -> None:
    with serving() as server:
        check(server, {"m.zip": zipped(GESTURE)})
        post(server, "/repair", {"m.zip": zipped(GESTURE)})
        problem_of(post(server, "/repair", {"m.zip": zipped(only(JSON))}), 422)
        assert eventually(lambda: server.left() == [])


# Predict, as a sketch asks --------------------------------------------------------------------------------------------

ASKED: dict[str, list[dict[str, Any]]] = {
    name: json.loads((SAMPLES / name / "expected.json").read_text())["answers"]
    for name in ("ml5-classifier", "ml5-regression")
}


def same(found: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> bool:
    values = [[one.get("confidence", one.get("value")) for one in side] for side in (found, wanted)]
    return [one["label"] for one in found] == [one["label"] for one in wanted] and values[0] == pytest.approx(
        values[1], rel=1e-5, abs=1e-6
    )


@pytest.mark.parametrize("name", ASKED)
def test_the_answers_are_those_of_ml5(name: str, server: Server) -> None:
    files = CLASSIFIER if name == "ml5-classifier" else REGRESSION
    inputs = [answer["input"] for answer in ASKED[name]]
    told = post(server, "/predict", files, fields={"input": json.dumps(inputs)}).json()
    assert told["task"] == ("classification" if files is CLASSIFIER else "regression")
    assert all(same(*pair) for pair in zip(told["results"], (answer["result"] for answer in ASKED[name]), strict=True))


@pytest.mark.parametrize("body", [
    {"input": {"r": 255, "g": 0, "b": 0}}, {"input": [255, 0, 0]}, {"inputs": {"r": 255, "g": 0, "b": 0}},
])  # fmt: skip
@pytest.mark.parametrize("kind", ["application/json", "text/plain;charset=UTF-8"])
def test_a_sketch_asks_a_stored_model(kind: str, body: dict[str, Any], server: Server) -> None:
    text = json.dumps({"model": saved(server)["id"], **body})
    told = ask(server, "POST", "/predict", content=text, headers={"Content-Type": kind}).json()
    assert told["results"][0]["label"] == "red"


def test_a_list_of_objects_is_answered_by_a_list(server: Server) -> None:
    asked = '[{"r": 255, "g": 0, "b": 0}, {"r": 0, "g": 0, "b": 255}]'
    told = post(server, "/predict", CLASSIFIER, fields={"inputs": asked}).json()
    assert [best["label"] for best, *_ in told["results"]] == ["red", "blue"]


def test_arrays_are_answered_by_arrays_as_before(server: Server) -> None:
    own = saved(server)["id"]
    told = ask(server, "POST", "/predict", json={"model": own, "inputs": [[[1, 0, 0]]]}).json()
    assert told == post(server, "/predict", CLASSIFIER, fields={"inputs": "[[[1, 0, 0]]]"}).json()
    assert told == post(server, "/predict", fields={"inputs": "[[1, 0, 0]]", "model": own}).json()
    assert len(told["outputs"][0][0]) == 4


def test_a_network_of_teachable_machine_names_flat_numbers(server: Server) -> None:
    files = {**only(JSON, WEIGHTS), "metadata.json": b'{"labels": ["a", "b", "c", "d"]}'}
    told = post(server, "/predict", files, fields={"input": "[1, 0, 0]"}).json()
    assert sorted(one["label"] for one in told["results"]) == ["a", "b", "c", "d"]
    assert told["results"][0]["confidence"] == max(one["confidence"] for one in told["results"])
    files["metadata.json"] = b'{"labels": ["a"]}'
    told = post(server, "/predict", files, fields={"input": "[[1, 0, 0], [0, 1, 0]]"}).json()
    assert "4 labels expected" in told["warnings"][0]
    assert len(told["results"]) == 2


@pytest.mark.parametrize("given", [
    "{", "5", "null", "{}", '{"r": 1}', '{"r": "x", "g": 1, "b": 2}', '{"r": null, "g": 1, "b": 2}', "[[[[1]]]]",
    '[{"r": 1, "g": 1, "b": 2}, 5]', '{"r": NaN, "g": 1, "b": 2}', "[1, 2]", '"red"', "[" * 5000,
    '{"r": 1e999, "g": 1, "b": 2}', '{"r": [1], "g": {}, "b": true}',
])  # fmt: skip
def test_inputs_that_do_not_fit_are_explained(given: str, server: Server) -> None:
    problem_of(post(server, "/predict", CLASSIFIER, fields={"input": given}), 400, 422)


def test_questions_without_an_answer_are_refused(server: Server) -> None:
    own = saved(server)["id"]
    problem_of(ask(server, "POST", "/predict", json={"model": own}), 422)
    problem_of(ask(server, "POST", "/predict", json={"model": own, "input": [1, 2, 3], "inputs": [1]}), 422)
    problem_of(ask(server, "POST", "/predict", json={"input": [1, 2, 3]}), 404)
    problem_of(ask(server, "POST", "/predict", json=[own]), 422)
    problem_of(ask(server, "POST", "/predict", content=b"x", headers={"Content-Type": "application/xml"}), 415)
    problem_of(post(server, "/predict", only(JSON, WEIGHTS), fields={"input": "[1, 2, 3]"}), 422)


def test_the_document_tells_of_them(server: Server) -> None:
    paths = get(server, "/openapi.json").json()["paths"]
    assert {"/check", "/repair", "/predict"} <= paths.keys()
    assert "input" in str(paths["/predict"])


def test_a_sketch_may_come_along(server: Server) -> None:
    files = {f"model/{name}": content for name, content in CLASSIFIER.items()}
    files["sketch.js"] = b'nn = ml5.neuralNetwork(); nn.load("model/"); ml5.setBackend("webgl");'
    told = post(server, "/check", files).json()
    found = [(finding["code"], finding["where"]) for finding in told["findings"]]
    assert found == [("load-folder", "sketch.js, line 1")]
    assert told["ml5"]["labels"] == ["red", "yellow", "green", "blue"]
