"""inspect(): what a model is and what looks odd about it, without torch."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import SAMPLES, entry, f32, json_of, manifest, quantized, text, warned, write_files, write_model
from judges import CASES

from tfjs_torch import ModelSummary, inspect, tfjs_to_torch

SEQUENTIAL = {"class_name": "Sequential", "config": []}
KERAS_3 = [{"class_name": "InputLayer", "config": {"batch_shape": [None, 2]}}]
CLASSIFIER = SAMPLES / "ml5-classifier"


def look(groups: Any, data: bytes, **more: Any) -> ModelSummary:
    """The summary, with statistics, of a model of one file."""
    said = json.dumps({**more, "weightsManifest": groups}).encode()
    with warned():
        return inspect({"model.json": said, "w.bin": data}, stats=True)


def test_a_model_of_ml5_is_told_in_full() -> None:
    summary = inspect(CLASSIFIER)
    assert [(t.name, t.shape, t.dtype, t.nbytes, t.size, t.quantization) for t in summary.tensors] == [
        ("dense_Dense1/kernel", (3, 16), "float32", 192, 48, None),
        ("dense_Dense1/bias", (16,), "float32", 64, 16, None),
        ("dense_Dense2/kernel", (16, 4), "float32", 256, 64, None),
        ("dense_Dense2/bias", (4,), "float32", 16, 4, None),
    ]
    assert [(layer.name, layer.class_name, layer.depth, layer.parameters) for layer in summary.layers] == [
        ("dense_Dense1", "Dense", 0, 64),
        ("dense_Dense2", "Dense", 0, 68),
    ]
    assert (summary.format, summary.parameters, summary.nbytes) == ("layers-model", 132, 528)
    assert (summary.files, summary.sidecars) == ({"model.weights.bin": 528}, ["model_meta.json"])
    assert summary.oddities == []


def test_parameters_of_the_optimizer_are_counted_apart() -> None:
    summary = inspect(CASES / "js-optimizer-adam")
    assert summary.parameters == sum(t.size for t in summary.tensors if t.group != "optimizer")
    assert summary.optimizer_parameters == sum(t.size for t in summary.tensors if t.group == "optimizer") > 1
    assert sum(layer.parameters for layer in summary.layers) == summary.parameters


def test_layers_inside_of_models_are_told_with_their_depth() -> None:
    layers = inspect(CASES / "js-nested").layers
    assert {layer.depth for layer in layers} >= {0, 1}
    assert sum(layer.parameters for layer in layers) == inspect(CASES / "js-nested").parameters


def test_the_numbers_of_a_tensor() -> None:
    found = look(manifest(entry((4,))), f32(-1, 0, 2, 5)).tensors[0].statistics
    assert found is not None
    assert (found.min, found.mean, found.max, found.zeros, found.nan, found.infinite) == (-1, 1.5, 5, 1, 0, 0)
    assert found.std == pytest.approx(np.std([-1, 0, 2, 5]))
    assert sum(found.histogram) == 4


def test_numbers_that_are_none_are_counted_and_left_out() -> None:
    snan = b"\1\0\x80\x7f"
    summary = look(manifest(entry((5,))), snan + f32(math.nan, math.inf, -math.inf, 3))
    found = summary.tensors[0].statistics
    assert found is not None
    assert (found.min, found.max, found.std, found.nan, found.infinite) == (3, 3, 0, 2, 2)
    assert any("a: 2 of 5 values are NaN" in said for said in summary.oddities)


@pytest.mark.parametrize("values", [(), (math.nan,), (math.inf, -math.inf)])
def test_a_tensor_without_a_finite_number_has_no_range(values: tuple[float, ...]) -> None:
    found = look(manifest(entry((len(values),))), f32(*values)).tensors[0].statistics
    assert found is not None
    assert (found.min, found.mean, found.max, found.std) == (None, None, None, None)


def test_statistics_of_quantised_tensors_are_of_their_values() -> None:
    summary = look(manifest(entry((3,), quantization=quantized("uint8", 0.5, -1))), b"\0\2\4")
    found = summary.tensors[0]
    assert found.statistics is not None
    assert (found.statistics.min, found.statistics.max, found.nbytes) == (-1, 1, 3)
    assert found.quantization == {"dtype": "uint8", "scale": 0.5, "min": -1.0}


def test_other_dtypes_have_statistics_where_they_have_numbers() -> None:
    entries = entry((2,), "complex64"), entry((2,), "bool", "b"), entry((1,), "string", "s"), entry((), "int32", "i")
    summary = look(manifest(*entries), f32(3, 4, 0, 0) + b"\0\5" + text(b"x") + b"\7\0\0\0")
    ranges = {t.name: t.statistics and (t.statistics.min, t.statistics.max) for t in summary.tensors}
    assert ranges == {"a": (0, 5), "b": (0, 1), "s": None, "i": (7, 7)}


# what: (JSON, format)
FORMS: dict[str, tuple[Any, str]] = {
    "a layers-model": ({"format": "layers-model", "modelTopology": SEQUENTIAL}, "layers-model"),
    "a graph-model": ({"format": "graph-model", "modelTopology": {"node": [{"op": "Const"}]}}, "graph-model"),
    "a graph that does not say so": ({"modelTopology": {"node": []}}, "graph-model"),
    "no topology": ({"weightsManifest": []}, "weights-manifest"),
    "a bare list": ([], "weights-manifest"),
    "a checkpoint": ({"a": {"filename": "a", "shape": []}}, "deeplearn.js-checkpoint"),
}  # fmt: skip


@pytest.mark.parametrize("what", FORMS)
def test_the_form_of_a_model_is_told(what: str) -> None:
    document, expected = FORMS[what]
    assert inspect({"model.json": json.dumps(document).encode(), "a": f32(1)}).format == expected


def test_the_ops_of_a_graph_are_counted() -> None:
    nodes = [{"name": str(i), "op": op} for i, op in enumerate(["Const", "Add", "Const"])]
    assert look(manifest(entry()), f32(1, 2), modelTopology={"node": nodes}).ops == {"Const": 2, "Add": 1}


# what: (groups, weight bytes, other keys, words)
ODDITIES: dict[str, tuple[Any, bytes, dict[str, Any], str]] = {
    "names with :0": (manifest(entry(name="dense/kernel:0")), f32(1, 2), {}, "names end in ':0'"),
    "seven dimensions": (manifest(entry((1,) * 7)), f32(1), {}, "more than 6 dimensions"),
    "a first name that is a number": (manifest(entry(name="dense/0")), f32(1, 2), {}, "by index, not by name"),
    "empty strings": (manifest(entry((0,), "string")), b"", {}, "an empty string tensor"),
    "infinity": (manifest(entry()), f32(1, math.inf), {}, "a: 1 of 2 values are infinite"),
    "Keras 3": (manifest(), b"", {"modelTopology": {"class_name": "Sequential", "config": KERAS_3}}, "Keras 3"),
    "no layers at all": (manifest(), b"", {"modelTopology": {"class_name": "Sequential"}}, "export it again"),
    "float16 stored plainly": (manifest(entry(dtype="float16")), bytes(4), {}, "which tf.js refuses to load"),
    "no sidecar": (manifest(entry(), paths=["./m.weights.bin"]), b"", {"modelTopology": SEQUENTIAL}, "no model_meta"),
}  # fmt: skip


@pytest.mark.parametrize("what", ODDITIES)
def test_what_looks_odd_is_said_with_what_to_do(what: str) -> None:
    groups, data, more, words = ODDITIES[what]
    said = json.dumps({**more, "weightsManifest": groups}).encode()
    files = {"model.json": said, "w.bin": data, "m.weights.bin": bytes(8)}
    with warned():
        assert re.search(words, "\n".join(inspect(files, stats=True).oddities))


def test_files_that_tfjs_misreads_are_pointed_out(tmp_path: Path) -> None:
    write_model(tmp_path, manifest(entry((3,)), paths=["1", "2"]), {"1": bytes(4), "2": bytes(8)})
    assert any("tf.js 4.22 reads zeros" in said for said in inspect(tmp_path).oddities)


def test_a_renamed_file_is_an_oddity(tmp_path: Path) -> None:
    write_model(tmp_path, manifest(entry()), {"other.bin": f32(1, 2)})
    with warned():
        assert any("other.bin" in said for said in inspect(tmp_path).oddities)


def test_a_sidecar_of_another_network_is_pointed_out(tmp_path: Path) -> None:
    write_files(tmp_path, {path.name: path.read_bytes() for path in CLASSIFIER.glob("model*")})
    meta = {**json.loads((tmp_path / "model_meta.json").read_text()), "outputUnits": 9}
    write_files(tmp_path, {"model_meta.json": json.dumps(meta).encode()})
    assert any("it belongs to another save" in said for said in inspect(tmp_path).oddities)


@pytest.mark.parametrize(
    "case", sorted(path.parent for path in CASES.glob("*/expected.json")), ids=lambda path: path.name
)
def test_a_summary_is_plain_json_and_agrees_with_the_tensors(case: Path) -> None:
    with warned():
        summary = inspect(case, stats=True)
        loaded = tfjs_to_torch(json_of(case), case)
    json.dumps(summary.to_dict(), allow_nan=False)
    assert [(t.name, t.shape) for t in summary.tensors] == [(name, tuple(t.shape)) for name, t in loaded.items()]


def test_a_bare_list_with_the_usual_path_is_told() -> None:
    said = json.dumps(manifest(entry(), paths=["./model.weights.bin"])).encode()
    assert inspect({"weights_manifest.json": said, "model.weights.bin": f32(1, 2)}).parameters == 2


@pytest.mark.parametrize("value", [5, None, {}, ["a"]])
def test_a_maker_that_is_no_text_is_passed_over(value: Any) -> None:
    summary = look(manifest(entry()), f32(1, 2), generatedBy=value, convertedBy=value, format=value)
    assert (summary.generated_by, summary.converted_by, summary.declared_format) == (None, None, None)


def test_the_weights_inside_of_a_layer_count_for_it() -> None:
    wrapped = {"class_name": "Bidirectional", "config": {"name": "b"}}
    entries = [entry(name=f"b/{way}_lstm/kernel") for way in ("forward", "backward")]
    topology = {"class_name": "Sequential", "config": [wrapped]}
    summary = look(manifest(*entries), f32(1, 2, 3, 4), modelTopology=topology)
    assert [layer.parameters for layer in summary.layers] == [4]
