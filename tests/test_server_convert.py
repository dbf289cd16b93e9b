"""POST /convert: every target, every kind of answer, options, several models, and the weights' way back."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import entry, f32, i32, manifest, told_all
from safetensors.torch import load
from serving import CLASSIFIER, Server, form_of, post, problem_of, report_of, sample, with_weights, zip_of, zipped

from tfjs_torch import load_file, load_model

STATE = load_file(CLASSIFIER)
EVERY_KIND = [
    *(
        (to, kind)
        for to in ("tfjs", "safetensors", "pt", "npz")
        for kind in ("multipart/form-data", "application/zip", "*/*")
    ),
    ("safetensors", "application/json"),
    ("pt2", "multipart/form-data"),  # an export takes seconds
    ("onnx", "application/zip"),
]
PRUNE = json.dumps([{"step": "prune", "amount": 0.5}])
SCALE = '[{"step": "scale", "factor": 2}]'


def read_npz(data: bytes) -> dict[str, Any]:
    with np.load(io.BytesIO(data), allow_pickle=False) as found:
        return dict(found)


READ: dict[str, Callable[[bytes], dict[str, Any]]] = {
    "safetensors": load,
    "pt": lambda data: torch.load(io.BytesIO(data), weights_only=True),
    "npz": read_npz,
}

# The answers ---------------------------------------------------------------------------------------------------------


def test_the_same_files_come_back_byte_for_byte_as_a_form(server: Server) -> None:
    found = form_of(post(server, "/convert", CLASSIFIER, accept="multipart/form-data"))
    assert list(found)[-1] == "report.json"
    assert {name: data for name, data in found.items() if name != "report.json"} == CLASSIFIER


@pytest.mark.parametrize("accept", ["application/zip", "*/*", None, "application/*", "image/png, */*;q=0.1"])
def test_the_same_files_come_back_byte_for_byte_as_a_zip(accept: str | None, server: Server) -> None:
    found = zip_of(post(server, "/convert", CLASSIFIER, accept=accept))
    assert json.loads(found.pop("report.json"))["changed_tensors"] == 0
    assert found == CLASSIFIER


@pytest.mark.parametrize("model", ["ml5-classifier", "ml5-regression"])
def test_a_zip_in_gives_the_same_files_out(model: str, server: Server) -> None:
    packed = zipped(sample(model).items())
    found = zip_of(post(server, "/convert", {"my model.zip": packed}))
    assert {**sample(model), "report.json": found["report.json"]} == found


PREFERRED = {
    "multipart/form-data;q=0.5, application/zip": "application/zip",
    "application/zip;q=0.5, multipart/form-data": "multipart/form-data",
    "application/json;q=0.1, multipart/form-data;q=0.2": "multipart/form-data",
    "application/zip;q=0, */*": "multipart/form-data",
    "APPLICATION/JSON": "application/json",
    "text/html, application/zip": "application/zip",
}


@pytest.mark.parametrize("accept", [key for key in PREFERRED if "q=0," not in key])
def test_the_kind_that_the_client_likes_best_is_given(accept: str, server: Server) -> None:
    response = post(server, "/convert", CLASSIFIER, accept=accept)
    assert response.headers["content-type"].split(";")[0] == PREFERRED[accept]


@pytest.mark.parametrize("accept", ["image/png", "text/html", "application/zip;q=0"])
def test_a_kind_that_cannot_be_given_is_406(accept: str, server: Server) -> None:
    problem_of(post(server, "/convert", CLASSIFIER, accept=accept), 406)


@pytest.mark.parametrize(("to", "accept"), EVERY_KIND)
def test_every_target_comes_in_every_kind(to: str, accept: str, server: Server) -> None:
    response = post(server, "/convert", CLASSIFIER, to=to, accept=accept)
    assert response.status_code == 200, response.text
    names = {"tfjs": set(CLASSIFIER)}.get(to, {f"model.{to}"})
    match response.headers["content-type"].split(";")[0]:
        case "multipart/form-data":
            assert set(form_of(response)) == names | {"report.json"}
        case "application/zip":
            assert set(zip_of(response)) == names | {"report.json"}
        case "application/json":
            assert {file["name"] for file in response.json()["files"]} == names
        case _:
            assert accept == "*/*"
            assert response.headers["content-disposition"] == f'attachment; filename="model.{to}"'
            assert int(response.headers["content-length"]) == len(response.content)


@pytest.mark.parametrize("to", READ)
def test_weights_arrive_bit_for_bit(to: str, server: Server) -> None:
    response = post(server, "/convert", CLASSIFIER, to=to)
    assert told_all(READ[to](response.content)) == told_all(STATE)


@pytest.mark.parametrize("to", READ)
def test_the_layout_of_torch_is_what_the_built_model_takes(to: str, server: Server) -> None:
    found = READ[to](post(server, "/convert", CLASSIFIER, to=to, layout="torch").content)
    assert told_all(found) == told_all(load_model(CLASSIFIER).state_dict())


@pytest.mark.parametrize("to", ["pt2", "onnx"])
def test_a_program_predicts_what_the_model_predicts(to: str, server: Server, tmp_path: Path) -> None:
    given = torch.tensor([[0.1, 0.2, 0.3], [-1.0, 0.0, 1.0]])
    response = post(server, "/convert", CLASSIFIER, to=to)
    assert response.headers["content-disposition"] == f'attachment; filename="model.{to}"'
    (tmp_path / f"m.{to}").write_bytes(response.content)
    found = ran(tmp_path / f"m.{to}", given)
    assert torch.allclose(found, load_model(CLASSIFIER)(given), atol=1e-6)


def ran(path: Path, given: torch.Tensor) -> torch.Tensor:
    if path.suffix == ".pt2":
        found: torch.Tensor = torch.export.load(path).module()(given)
        return found
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path))
    return torch.from_numpy(session.run(None, {session.get_inputs()[0].name: given.numpy()})[0])


def test_file_names_survive(server: Server) -> None:
    document = CLASSIFIER["model.json"].replace(b"./model.weights.bin", "mëine gewichte.bin".encode())
    files = {"my net.json": document, "mëine gewichte.bin": CLASSIFIER["model.weights.bin"]}
    assert set(form_of(post(server, "/convert", files, accept="multipart/form-data"))) == {*files, "report.json"}
    assert set(zip_of(post(server, "/convert", files))) == {*files, "report.json"}


@pytest.mark.parametrize("name", ['a"b.bin', "a\\b.bin", "a;b.bin", "a%22b.bin", "ä'b.bin", "b .bin", "日本.bin"])
def test_odd_file_names_cannot_break_the_answer(name: str, server: Server) -> None:
    document = json.dumps({"weightsManifest": manifest(entry(), paths=[name])}).encode()
    packed = zipped({"model.json": document, name: f32(1, 2)})
    response = post(server, "/convert", {"m.zip": packed}, accept="multipart/form-data")
    if response.status_code != 200:
        problem_of(response, 400, 422)
    else:
        assert sorted(form_of(response).values())[0] == f32(1, 2)


# Options -------------------------------------------------------------------------------------------------------------


def test_fields_of_the_form_are_options_too(server: Server) -> None:
    response = post(server, "/convert", CLASSIFIER, fields={"to": "npz", "layout": "torch"})
    assert set(read_npz(response.content)) == set(load_model(CLASSIFIER).state_dict())


def test_the_query_wins_over_the_fields(server: Server) -> None:
    response = post(server, "/convert", CLASSIFIER, fields={"to": "npz"}, to="safetensors")
    assert response.headers["content-disposition"].endswith('"model.safetensors"')


@pytest.mark.parametrize("size", ["64", "0.0625KiB", " 64 "])
def test_shards_are_cut_as_asked(size: str, server: Server) -> None:
    found = zip_of(post(server, "/convert", CLASSIFIER, shard_bytes=size))
    shards = [data for name, data in found.items() if name.endswith(".bin")]
    assert [len(data) for data in shards] == [64] * 8 + [16]
    assert told_all(load_file({k: v for k, v in found.items() if k != "report.json"})) == told_all(STATE)


@pytest.mark.parametrize(("by", "stored"), [("uint8", 132), ("uint16", 264), ("float16", 264)])
def test_quantised_weights_are_as_short_as_they_can_be(by: str, stored: int, server: Server) -> None:
    found = zip_of(post(server, "/convert", CLASSIFIER, quantize=by))
    assert len(found["model.weights.bin"]) == stored
    again = zip_of(post(server, "/convert", {k: v for k, v in found.items() if k != "report.json"}, quantize="float32"))
    assert len(again["model.weights.bin"]) == 528


def test_quantize_may_name_tensors_and_come_several_times(server: Server) -> None:
    found = zip_of(post(server, "/convert", CLASSIFIER, quantize=["uint8:*kernel", "float16:*bias"]))
    specs = json.loads(found["model.json"])["weightsManifest"][0]["weights"]
    assert [spec["quantization"]["dtype"] for spec in specs] == ["uint8", "float16"] * 2


def test_what_the_operator_should_know_is_a_warning(server: Server) -> None:
    files = {"model.json": CLASSIFIER["model.json"], "renamed.bin": CLASSIFIER["model.weights.bin"]}
    report = report_of(post(server, "/convert", files, accept="application/json"))
    assert any("renamed.bin" in sentence for sentence in report["warnings"])


# Steps and their report ----------------------------------------------------------------------------------------------


def test_a_step_changes_the_weights_and_nothing_else(server: Server) -> None:
    found = zip_of(post(server, "/convert", CLASSIFIER, process=PRUNE))
    assert (found["model.json"], found["model_meta.json"]) == (CLASSIFIER["model.json"], CLASSIFIER["model_meta.json"])
    zeros = int((np.frombuffer(found["model.weights.bin"], "<f4") == 0).sum())
    assert zeros >= 112 // 2


def test_the_report_tells_what_has_changed(server: Server) -> None:
    report = report_of(
        post(server, "/convert", with_weights(3), process=SCALE, histograms=4, accept="application/json")
    )
    first = report["tensors"][0]
    assert (first["name"], first["shape"], first["dtype"], first["size"]) == (
        "dense_Dense1/kernel",
        [3, 16],
        "float32",
        48,
    )
    assert (first["changed"], first["largest_change"], first["range"]) == (48, 3, [3, 6])
    assert (first["before"]["min"], first["after"]["mean"], first["after"]["std"]) == (3, 6, 0)
    assert (report["changed_tensors"], report["parameters"], report["changed_parameters"]) == (4, 132, 132)
    assert report["steps"][0].items() >= {"step": "scale", "factor": 2}.items()
    assert {file["name"]: file["bytes"] for file in report["files"]} == {k: len(v) for k, v in CLASSIFIER.items()}
    assert (report["to"], report["warnings"]) == ("tfjs", [])
    assert 0 <= report["seconds"] < 10


def test_every_kind_of_answer_has_the_same_report(server: Server) -> None:
    def timeless(report: Any) -> Any:
        return {**report, "seconds": 0}

    plain = report_of(post(server, "/convert", CLASSIFIER, process=PRUNE, accept="application/json"))
    packed = zip_of(post(server, "/convert", CLASSIFIER, process=PRUNE))["report.json"]
    form = form_of(post(server, "/convert", CLASSIFIER, process=PRUNE, accept="multipart/form-data"))["report.json"]
    assert timeless(plain) == timeless(json.loads(packed)) == timeless(json.loads(form))


@pytest.mark.parametrize("bins", [1, 24, 256])
def test_histograms_count_every_number_over_the_common_range(bins: int, server: Server) -> None:
    report = report_of(post(server, "/convert", CLASSIFIER, process=PRUNE, histograms=bins, accept="application/json"))
    for tensor in report["tensors"]:
        for side in (tensor["before"], tensor["after"]):
            assert len(side["histogram"]) == bins
            assert sum(side["histogram"]) == tensor["size"]


def test_without_histograms_there_are_none(server: Server) -> None:
    report = report_of(post(server, "/convert", CLASSIFIER, accept="application/json"))
    assert "histogram" not in report["tensors"][0]["before"]


def test_strings_and_tensors_without_finite_numbers_have_no_minimum(server: Server) -> None:
    entries = entry(name="nan"), entry(name="inf"), entry((1,), "string", "text"), entry((0,), name="none")
    data = f32(float("nan"), float("nan"), float("inf"), float("-inf")) + b"\1\0\0\0a"
    document = json.dumps({"weightsManifest": manifest(*entries)}).encode()
    files = {"model.json": document, "w.bin": data}
    report = report_of(post(server, "/convert", files, histograms=4, accept="application/json"))
    sides = {tensor["name"]: tensor["before"] for tensor in report["tensors"]}
    assert [side["min"] for side in sides.values()] == [None] * 4
    assert (sides["nan"]["nan"], sides["inf"]["infinite"]) == (2, 2)


def test_steps_run_in_their_order(server: Server) -> None:
    steps = '[{"step": "scale", "factor": 2}, {"step": "clip", "min": -5, "max": 5}, {"step": "scale", "factor": 10}]'
    found = zip_of(post(server, "/convert", with_weights(3), process=steps))
    assert set(np.frombuffer(found["model.weights.bin"], "<f4")) == {50}


def test_a_seed_gives_the_same_noise_and_none_gives_another(server: Server) -> None:
    def noisy(**seed: int) -> bytes:
        steps = json.dumps([{"step": "noise", "std": 0.1, **seed}])
        return zip_of(post(server, "/convert", CLASSIFIER, process=steps))["model.weights.bin"]

    assert noisy(seed=1) == noisy(seed=1) != noisy(seed=2)


def test_integers_stay_integers(server: Server) -> None:
    document = json.dumps({"weightsManifest": manifest(entry((2,), "int32", "i"), entry((2,), "bool", "b"))}).encode()
    files = {"model.json": document, "w.bin": i32(5, -5) + b"\0\1"}
    response = post(server, "/convert", files, process=PRUNE)
    if response.status_code != 200:
        problem_of(response, 422)
    else:
        assert zip_of(response)["model.json"] == document
