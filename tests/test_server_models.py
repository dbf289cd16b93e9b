"""POST /convert with several models, and with weights that go back into their model."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from helpers import told_all
from safetensors.torch import save
from serving import (
    CLASSIFIER,
    REGRESSION,
    Server,
    in_folder,
    post,
    problem_of,
    report_of,
    unzipped,
    with_weights,
    zip_of,
    zipped,
)

from tfjs_torch import load_file, load_model, read_artifacts

STATE = load_file(CLASSIFIER)

# Several models ------------------------------------------------------------------------------------------------------

TWO = {
    "two zips": [("a.zip", zipped(with_weights(1).items())), ("b.zip", zipped(with_weights(3).items()))],
    "folders": in_folder("a", with_weights(1)) + in_folder("b", with_weights(3)),
    "repeated names": list(with_weights(1).items()) + list(with_weights(3).items()),
    "repeated names, the jsons first": [
        (name, files[name]) for name in CLASSIFIER for files in (with_weights(1), with_weights(3))
    ],
    "files and a zip": [*with_weights(1).items(), ("b.zip", zipped(with_weights(3).items()))],
    "a zip with two folders": [("m.zip", zipped(in_folder("a", with_weights(1)) + in_folder("b", with_weights(3))))],
}


@pytest.mark.parametrize("how", TWO)
def test_two_models_are_averaged(how: str, server: Server) -> None:
    found = zip_of(post(server, "/convert", TWO[how], process='[{"step": "average"}]'))
    assert set(np.frombuffer(found["model.weights.bin"], "<f4")) == {2}


def test_the_first_model_is_the_main_one(server: Server) -> None:
    steps = '[{"step": "interpolate", "amount": 0.25}]'
    found = zip_of(post(server, "/convert", TWO["two zips"], process=steps))
    assert set(np.frombuffer(found["model.weights.bin"], "<f4")) == {1.5}


def test_models_that_do_not_fit_each_other_are_422(server: Server) -> None:
    files = in_folder("a", CLASSIFIER) + in_folder("b", REGRESSION)
    problem_of(post(server, "/convert", files, process='[{"step": "average"}]'), 422)


@pytest.mark.parametrize("step", ["average", "interpolate", "crossover"])
def test_a_step_for_several_models_needs_them(step: str, server: Server) -> None:
    problem_of(post(server, "/convert", CLASSIFIER, process=json.dumps([{"step": step}])), 422)


def test_a_second_model_that_no_step_uses_is_told(server: Server) -> None:
    response = post(server, "/convert", TWO["two zips"], accept="application/json")
    if response.status_code == 200:
        assert response.json()["warnings"]
    else:
        problem_of(response, 422)


# The weights' way back -----------------------------------------------------------------------------------------------

DOUBLED = {name: tensor * 2 for name, tensor in STATE.items()}


def as_pt(state: dict[str, Any]) -> bytes:
    stream = io.BytesIO()
    torch.save(state, stream)
    return stream.getvalue()


def as_npz(state: dict[str, Any]) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **{name: tensor.numpy() for name, tensor in state.items()})
    return stream.getvalue()


WRITE: dict[str, Callable[[dict[str, Any]], bytes]] = {"safetensors": save, "pt": as_pt, "npz": as_npz}


@pytest.mark.parametrize("ending", WRITE)
@pytest.mark.parametrize("leaving", [set(), {"model.weights.bin"}, {"model_meta.json"}], ids=str)
def test_weights_go_back_into_their_model(ending: str, leaving: set[str], server: Server) -> None:
    files = {name: data for name, data in CLASSIFIER.items() if name not in leaving}
    found = zip_of(post(server, "/convert", {f"changed.{ending}": WRITE[ending](DOUBLED), **files}))
    doubled = (np.frombuffer(CLASSIFIER["model.weights.bin"], "<f4") * 2).tobytes()
    assert found["model.json"] == CLASSIFIER["model.json"]
    assert found["model.weights.bin"] == doubled


def test_weights_go_back_into_a_zipped_model(server: Server) -> None:
    files = {"m.zip": zipped(CLASSIFIER.items()), "changed.safetensors": save(STATE)}
    found = zip_of(post(server, "/convert", files))
    assert {**CLASSIFIER, "report.json": found["report.json"]} == found


@pytest.mark.parametrize("ending", WRITE)
def test_weights_of_the_layout_of_torch_go_back(ending: str, server: Server) -> None:
    files = {**CLASSIFIER, f"w.{ending}": WRITE[ending](dict(load_model(CLASSIFIER).state_dict()))}
    assert (
        zip_of(post(server, "/convert", files, layout="torch"))["model.weights.bin"] == CLASSIFIER["model.weights.bin"]
    )


def test_the_report_compares_with_the_weights_that_were_there(server: Server) -> None:
    files = {**CLASSIFIER, "w.safetensors": save(DOUBLED)}
    report = report_of(post(server, "/convert", files, accept="application/json"))
    assert report["changed_tensors"] > 0


def test_weights_that_do_not_fit_the_model_are_422_in_the_words_of_torch(server: Server) -> None:
    problem = problem_of(post(server, "/convert", {**REGRESSION, "w.safetensors": save(STATE)}), 422)
    assert "dense_Dense" in problem["detail"] + problem["where"]


@pytest.mark.parametrize("state", [{}, {"x": torch.zeros(2)}], ids=["none", "other"])
def test_missing_keys_are_422(state: dict[str, Any], server: Server) -> None:
    problem_of(post(server, "/convert", {**CLASSIFIER, "w.safetensors": save(state)}), 422)


@pytest.mark.parametrize("ending", WRITE)
def test_weights_without_a_model_become_a_bare_manifest_with_a_warning(ending: str, server: Server) -> None:
    found = zip_of(post(server, "/convert", {f"w.{ending}": WRITE[ending](STATE)}))
    assert any("model.json" in sentence for sentence in json.loads(found.pop("report.json"))["warnings"])
    assert told_all(load_file(found)) == told_all(STATE)


def test_a_way_there_and_back_ends_with_the_same_bytes(server: Server) -> None:
    there = post(server, "/convert", CLASSIFIER, to="safetensors").content
    back = zip_of(post(server, "/convert", {**CLASSIFIER, "model.safetensors": there}))
    assert {**CLASSIFIER, "report.json": back["report.json"]} == back


def test_what_convert_packs_is_a_model_that_the_library_reads(server: Server) -> None:
    data = post(server, "/convert", CLASSIFIER, quantize="uint8").content
    assert zipfile.is_zipfile(io.BytesIO(data))
    assert read_artifacts({k: v for k, v in unzipped(data).items() if k != "report.json"}).sidecars
