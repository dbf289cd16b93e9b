"""model_meta.json: three generations, JavaScript's order of keys, and everything that may be wrong with it."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfjs_torch import ManifestError
from tfjs_torch.ml5.meta import Column, document_of, js_keys, one_hot, parse_meta

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
X = {"dtype": "number", "min": 0, "max": 9}


def meta(**changes: Any) -> dict[str, Any]:
    whole = {"inputUnits": [1], "outputUnits": 1, "inputs": {"x": X}, "outputs": {"y": X}, "isNormalized": True}
    return {**whole, **changes}


def test_integer_like_keys_come_first_in_ascending_order() -> None:
    assert js_keys(["b", "10", "02", "4294967295", "2", "-1", "4294967294"]) == [
        "2", "10", "4294967294", "b", "02", "4294967295", "-1",
    ]  # fmt: skip


def test_columns_come_in_the_order_of_the_tensor() -> None:
    assert [column.name for column in parse_meta(meta(inputs={"a": X, "1": X, "0": X})).inputs] == ["0", "1", "a"]


def test_a_label_belongs_to_the_unit_that_its_code_says() -> None:
    column = {"dtype": "string", "legend": {"1": [0, 0, 1], "2": [0, 1, 0], "10": [1, 0, 0]}}
    assert parse_meta(meta(outputs={"y": column})).labels == ("10", "2", "1")


def test_without_a_legend_the_unique_values_tell() -> None:
    assert parse_meta(meta(outputs={"y": {"dtype": "string", "uniqueValues": ["b", 1, "a"]}})).labels == ("b", "1", "a")


def test_ml5_04_keeps_ranges_beside_the_columns() -> None:
    inputs = {
        "x": {"dtype": "number"},
        "kind": {"dtype": "string", "legend": {"a": [1, 0], "b": [0, 1]}},
        "z": {"dtype": "number"},
    }
    inner = {
        "inputUnits": 4,
        "outputUnits": 1,
        "inputs": inputs,
        "outputs": {"y": {"dtype": "number"}},
        "isNormalized": True,
    }
    old = {"data": {"inputMin": [1, 0, 0, 2], "inputMax": [3, 1, 1, 4], "outputMin": 5, "outputMax": 6}, "meta": inner}
    found = parse_meta(old)
    assert found.generation == "0.4"
    assert [(c.name, c.min, c.max) for c in (*found.inputs, *found.outputs)] == [
        ("x", 1, 3), ("kind", 0, 1), ("z", 2, 4), ("y", 5, 6),
    ]  # fmt: skip
    assert parse_meta(found.to_document()).inputs == found.inputs
    assert found.to_document()["inputUnits"] == [4]


@pytest.mark.parametrize("sample", ["ml5-classifier", "ml5-regression"])
def test_what_ml5_wrote_is_written_the_same(sample: str) -> None:
    text = (SAMPLES / sample / "model_meta.json").read_text()
    found = parse_meta(json.loads(text))
    again = document_of(found.inputs, found.outputs, found.input_units, found.output_units or 0, found.normalized)
    assert json.dumps(again, separators=(",", ":"), ensure_ascii=False) == text


def test_other_labels_change_the_labels_only() -> None:
    column = {"dtype": "string", "min": 0, "max": 1, "uniqueValues": ["a", "b"], "legend": {"a": [1, 0], "b": [0, 1]}}
    before = meta(outputs={"y": column}, outputUnits=2, own="kept")
    after = parse_meta(before).with_labels(["1", "a", "b"]).to_document()
    assert after["outputUnits"] == 3
    assert after["outputs"]["y"]["legend"] == {"1": [1, 0, 0], "a": [0, 1, 0], "b": [0, 0, 1]}
    assert {**after, "outputs": 0, "outputUnits": 0} == {**before, "outputs": 0, "outputUnits": 0}


def column(kind: str) -> dict[str, Any]:
    return {"dtype": kind, "uniqueValues": ["a", "b"]}


@pytest.mark.parametrize(
    ("inputs", "output", "series", "task"),
    [
        ("number", "string", None, "classification"),
        ("number", "number", None, "regression"),
        ("array", "string", None, "imageClassification"),
        ("number", "string", [3, 1], "sequenceClassification"),
        ("number", "number", [3, 1], "sequenceRegression"),
    ],
)
def test_the_columns_tell_the_task(inputs: str, output: str, series: Any, task: str) -> None:
    found = parse_meta(meta(inputs={"x": column(inputs)}, outputs={"y": column(output)}, seriesShape=series))
    assert found.task == task


@pytest.mark.parametrize(
    "broken",
    [
        None, [], "x", {}, meta(inputs={}), meta(inputs=[X]), meta(inputs={"x": 1}), meta(inputs={"x": {}}),
        meta(inputs={"x": {"dtype": 3}}), meta(inputs={"x": {"dtype": "number", "min": "0"}}),
        meta(inputs={"x": {"dtype": "number", "min": True}}), meta(inputs={"x": {"dtype": "number", "min": 10**400}}),
        meta(outputs={"y": {"dtype": "string"}}), meta(outputs={"y": {"dtype": "string", "legend": {}}}),
        meta(outputs={"y": {"dtype": "string", "legend": {"a": 1}}}),
        meta(outputs={"y": {"dtype": "string", "legend": {"a": [1, 0], "b": [1]}}}),
        meta(outputs={"y": {"dtype": "string", "legend": {"a": ["1"]}}}),
        meta(inputUnits=["3"]), meta(inputUnits=[2.5]), meta(outputUnits=-1), meta(seriesShape=[1]),
        {"meta": {"inputs": {"x": X}}, "data": []},
    ],
    ids=lambda value: json.dumps(value)[:70],
)  # fmt: skip
def test_what_ml5_never_writes_is_refused(broken: Any) -> None:
    with pytest.raises(ManifestError, match="expected, found"):
        parse_meta(broken)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys([*meta(), "meta", "data", "seriesShape"], json_values)))
def test_nothing_else_comes_out_of_anything(document: dict[str, Any]) -> None:
    with contextlib.suppress(ManifestError):
        parse_meta(document)


def test_codes_are_one_hot() -> None:
    assert Column("y", "string", codes=one_hot(["a", "b", "c"])).units == 3
