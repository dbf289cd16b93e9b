"""Text that comes over the network, or out of a file of data, is never taken for the path of a picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from serving import Server, post, problem_of

from tfjs_torch import MismatchError, ml5

CASE = Path(__file__).parent / "cases/ml5/1.4.0-imageClassification"
FILES = {name: (CASE / name).read_bytes() for name in ("model.json", "model_meta.json", "model.weights.bin")}
META = json.loads(FILES["model_meta.json"])
INPUT, OUTPUT = next(iter(META["inputs"])), next(iter(META["outputs"]))


@pytest.fixture
def secret(tmp_path: Path) -> str:
    path = tmp_path / "secret.png"
    Image.new("RGB", tuple(META["inputUnits"][:2]), "red").save(path)
    return str(path)


def forms(path: str) -> list[tuple[str, Any]]:
    named = {INPUT: path}
    return [
        ("input", path),
        ("input", [path]),
        ("input", named),
        ("input", [named]),
        ("inputs", named),
        ("inputs", [named]),
    ]


def test_predict_opens_no_file_of_the_server(server: Server, secret: str) -> None:
    for field, value in forms(secret):
        problem = problem_of(post(server, "/predict", FILES, fields={field: json.dumps(value)}), 400, 422)
        assert "expected" in problem["detail"]


def test_data_open_no_file_of_the_server(server: Server, secret: str) -> None:
    step = '[{"step": "finetune", "epochs": 1}]'
    rows = json.dumps({"data": [{"xs": {INPUT: secret}, "ys": {OUTPUT: "h"}}]}).encode()
    for name, data in (("data.json", rows), ("data.csv", f"{INPUT},{OUTPUT}\n{secret},h\n".encode())):
        problem_of(post(server, "/convert", {**FILES, name: data}, fields={"process": step}), 400, 422)


def test_data_of_strangers_open_no_file_either(secret: str) -> None:
    nn = ml5.load(FILES)
    for data in (
        json.dumps([{INPUT: secret, OUTPUT: nn.labels[0]}]).encode(),
        f"{INPUT},{OUTPUT}\n{secret},h\n".encode(),
    ):
        with pytest.raises(MismatchError, match="numbers expected"):
            nn.train(data)
    nn.classify(secret)  # given by the caller's own code, it is a path


def test_a_picture_in_numbers_is_not_too_long_to_ask_about(server: Server) -> None:
    files = {
        name: (CASE.parents[1] / "teachable/image" / name).read_bytes()
        for name in ("model.json", "weights.bin", "metadata.json")
    }
    numbers = json.dumps([[[[0.123456789] * 3] * 224] * 224])
    assert len(numbers) > 1 << 20
    assert post(server, "/predict", files, fields={"inputs": numbers}).status_code == 200
