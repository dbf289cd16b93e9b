"""The whole journey, judged by real ml5 in a real browser: its files -> PyTorch -> its file picker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ml5_browser import Ml5Browser

from tfjs_torch import load_file, save_file

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
MODELS = ["ml5-classifier", "ml5-regression"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Ml5Browser]:
    with Ml5Browser() as started:
        yield started


def expected(model: str) -> tuple[str, list[Any], list[Any]]:
    found = json.loads((SAMPLES / model / "expected.json").read_text())
    return found["task"], [a["input"] for a in found["answers"]], [a["result"] for a in found["answers"]]


def values(results: list[Any]) -> list[float]:
    """The numbers of ml5's answers, labels in a fixed order."""
    return [
        answer.get("confidence", answer.get("value"))
        for result in results
        for answer in sorted(result, key=lambda answer: str(answer["label"]))
    ]


@pytest.mark.parametrize("model", MODELS)
def test_ml5_answers_the_same_from_files_that_went_through_torch(
    browser: Ml5Browser, model: str, tmp_path: Path
) -> None:
    task, inputs, results = expected(model)
    save_file(load_file(SAMPLES / model), tmp_path, like=SAMPLES / model)
    assert browser.load_and_run(tmp_path, task, inputs) == results


@pytest.mark.parametrize("model", MODELS)
def test_ml5_sees_a_change_made_in_torch(browser: Ml5Browser, model: str, tmp_path: Path) -> None:
    task, inputs, results = expected(model)
    state_dict = load_file(SAMPLES / model)
    state_dict["dense_Dense2/kernel"] *= 0.5
    save_file(state_dict, tmp_path, like=SAMPLES / model)
    changed = browser.load_and_run(tmp_path, task, inputs)
    assert max(abs(a - b) for a, b in zip(values(changed), values(results), strict=True)) > 0.01


@pytest.mark.parametrize("quantize", ["uint8", "uint16", "float16"])
def test_ml5_loads_a_quantised_model_and_answers_nearly_the_same(
    browser: Ml5Browser, quantize: str, tmp_path: Path
) -> None:
    task, inputs, results = expected("ml5-classifier")
    save_file(load_file(SAMPLES / "ml5-classifier"), tmp_path, like=SAMPLES / "ml5-classifier", quantize=quantize)
    answers = browser.load_and_run(tmp_path, task, inputs)
    allowed = {"uint8": 0.05, "uint16": 1e-3, "float16": 5e-3}[quantize]
    assert max(abs(a - b) for a, b in zip(values(answers), values(results), strict=True)) < allowed
