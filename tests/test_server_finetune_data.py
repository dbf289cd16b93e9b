"""Data to train with that nobody can train with: said in words, with the right status, and nothing is left."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from serving import CLASSIFIER, Server, colours, finetune, post, problem_of, saved_data, table

ROWS = colours(60)
WITH_DATA = {**CLASSIFIER, "data.json": saved_data(ROWS)}


def row(**values: Any) -> bytes:
    return saved_data([{"xs": {"r": 1, "g": 2, "b": 3, **values}, "ys": {"colour": "red"}}])


HOSTILE: dict[str, bytes] = {
    "nothing": b"",
    "a brace": b"{",
    "brackets": b'{"xs": 1, "data": ' + b"[" * 100_000,
    "deep": b'{"xs": 1, "data": ' + b"[" * 300 + b"]" * 300 + b"}",
    "no rows": b'{"data": []}',
    "a number": b'{"data": 5}',
    "numbers": b'{"data": [5, 6]}',
    "null": b'{"data": [null]}',
    "no columns": b'{"data": [{"xs": {}, "ys": {}}]}',
    "other columns": saved_data([{"xs": {"x": 1, "y": 2}, "ys": {"colour": "red"}}]),
    "another output": saved_data([{"xs": {"r": 1, "g": 2, "b": 3}, "ys": {"shape": "red"}}]),
    "text": row(r="red"),
    "true": row(r=True),
    "null in a row": row(r=None),
    "a list": row(r=[1, 2]),
    "NaN": row(r=math.nan),
    "infinity": row(r=math.inf),
    "a huge number": row(r=0).replace(b'"r": 0', b'"r": 1e999'),
    "digits": row(r=0).replace(b'"r": 0', b'"r": ' + b"9" * 10_000),
    "a list as label": saved_data([{"xs": {"r": 1, "g": 2, "b": 3}, "ys": {"colour": ["red"]}}]),
    "an object as label": saved_data([{"xs": {"r": 1, "g": 2, "b": 3}, "ys": {"colour": {"a": 1}}}]),
    "no label": saved_data([{"xs": {"r": 1, "g": 2, "b": 3}, "ys": {"colour": None}}]),
    "short rows": saved_data([{"xs": [1, 2], "ys": ["red"]}]),
    "a web page": b"<!DOCTYPE html><p>404",
    "bytes": bytes(range(256)),
    "100 MB": b'{"data": [' + b" " * 100_000_000 + b"]}",
}


@pytest.mark.parametrize("what", HOSTILE)
def test_data_that_do_not_fit_are_explained(what: str, server: Server) -> None:
    files = [*CLASSIFIER.items(), ("data.json", HOSTILE[what])]
    problem = problem_of(post(server, "/convert", files, fields={"process": finetune()}), 400, 413, 422)
    assert problem["what_to_do"]
    assert "data.json" in problem["where"] + problem["detail"]
    named = [*CLASSIFIER.items(), ("data", HOSTILE[what])]
    problem_of(post(server, "/convert", named, fields={"process": finetune()}), 400, 413, 422)


TABLES = {
    "no lines": b"r,g,b,colour\n", "other columns": b"x,y\n1,2\n", "a short line": b"r,g,b,colour\n1,2\n",
    "a long line": b"r,g,b,colour\n1,2,3,red,5\n", "text": b"r,g,b,colour\na,b,c,red\n", "zeros": b"\0" * 50,
}  # fmt: skip


@pytest.mark.parametrize("what", TABLES)
def test_tables_that_do_not_fit_are_explained(what: str, server: Server) -> None:
    problem = problem_of(post(server, "/convert", {**CLASSIFIER, "t.csv": TABLES[what]}, process=finetune()), 400, 422)
    assert "t.csv" in problem["where"] + problem["detail"]


def test_a_network_without_its_meta_is_not_trained(server: Server) -> None:
    files = {name: data for name, data in WITH_DATA.items() if name != "model_meta.json"}
    assert problem_of(post(server, "/convert", files, process=finetune()), 422)["where"] == "model_meta.json"


@pytest.mark.parametrize("process", [
    '[{"step": "finetune", "epochs": 0}]', '[{"step": "finetune", "learning_rate": -1}]',
    '[{"step": "finetune", "validation_split": 1}]', '[{"step": "finetune", "batch_size": 0.5}]',
    '["finetune", "finetune"]',
])  # fmt: skip
def test_options_that_mean_nothing_are_said(process: str, server: Server) -> None:
    problem_of(post(server, "/convert", WITH_DATA, process=process), 422)


def test_a_column_of_numbers_is_not_taken_for_labels(server: Server) -> None:
    rows = [{"xs": row["xs"], "ys": {"colour": number / 7}} for number, row in enumerate(colours(1200))]
    problem_of(post(server, "/convert", {**CLASSIFIER, "data.json": saved_data(rows)}, process=finetune()), 413)


def test_a_network_that_would_fill_the_memory_is_not_trained(server: Server) -> None:
    layers = [
        {"class_name": "Dense", "config": {"name": "d", "units": 4, "batch_input_shape": [None, 3]}},
        {"class_name": "Reshape", "config": {"name": "r", "target_shape": [2, 2, 1]}},
        {"class_name": "UpSampling2D", "config": {"name": "u", "size": [9000, 9000]}},
        {"class_name": "GlobalAveragePooling2D", "config": {"name": "g"}},
        {"class_name": "Dense", "config": {"name": "e", "units": 4, "activation": "softmax"}},
    ]
    shapes = {"d/kernel": [3, 4], "d/bias": [4], "e/kernel": [1, 4], "e/bias": [4]}
    document = {
        "modelTopology": {"class_name": "Sequential", "config": {"name": "s", "layers": layers}},
        "weightsManifest": [{
            "paths": ["./model.weights.bin"],
            "weights": [{"name": name, "shape": shape, "dtype": "float32"} for name, shape in shapes.items()],
        }],
    }  # fmt: skip
    files = {**WITH_DATA, "model.json": json.dumps(document).encode(), "model.weights.bin": bytes(4 * 24)}
    assert "numbers" in problem_of(post(server, "/convert", files, process=finetune()), 413)["detail"]


def test_two_files_of_data_are_one_too_many(server: Server) -> None:
    problem = problem_of(post(server, "/convert", {**WITH_DATA, "more.csv": table(ROWS)}, process=finetune()), 422)
    assert "more.csv" in problem["detail"]
