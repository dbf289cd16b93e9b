"""KNNClassifier of ml5 0.12 beside ours: what it saves, we answer alike; what we save, it loads."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import SHARED_MODELS
from ml5_browser import REPOSITORY, open_chromium, serve
from ml5_judge import VERSIONS

from tfjs_torch import TfjsTorchError, ml5
from tfjs_torch.ml5.knn import open_knn

RANDOM = np.random.default_rng(4)
EXAMPLES = [(RANDOM.normal(at % 3, 1, 5).round(3).tolist(), ["cat", "dog", "owl"][at % 3]) for at in range(14)]
ASKED = RANDOM.normal(1, 1, (20, 5)).round(3).tolist()
PETS: dict[str, Any] = {
    "dataset": {"0": {"shape": [2, 2], "dtype": "float32", "label": "a"}, "1": {"shape": [1, 2], "label": "b"}},
    "tensors": [{"0": 1, "1": 0, "2": 0.6, "3": 0.8}, {"0": 0, "1": 1}],
}


@pytest.fixture(scope="module")
def page() -> Iterator[Any]:
    with serve(REPOSITORY) as address, open_chromium() as chromium:
        page = chromium.new_page()
        page.goto(f"{address}/tests/browser/")
        page.add_script_tag(path=VERSIONS["0.12.2"])
        page.add_script_tag(path=Path(__file__).parent / "browser/knn_page.js")
        yield page


@pytest.mark.parametrize("k", [1, 3, 5, 40])
def test_answers_are_those_of_ml5(page: Any, k: int) -> None:
    made = page.evaluate("taught", [EXAMPLES, ASKED, k])
    knn = open_knn(json.loads(made["text"]), "pets.json")
    assert [knn.classify(x, k) for x in ASKED] == [rounded(answer) for answer in made["answers"]]


def rounded(answer: dict[str, Any]) -> dict[str, Any]:
    """Shares as float32: ours are means of float32, ml5's of doubles."""
    return {
        key: {name: float(np.float32(share)) for name, share in value.items()} if isinstance(value, dict) else value
        for key, value in answer.items()
    }


def test_what_is_added_and_saved_here_ml5_loads(page: Any, tmp_path: Path) -> None:
    half = len(EXAMPLES) // 2
    text = page.evaluate("taught", [EXAMPLES[:half], [], 3])["text"]
    knn = open_knn(json.loads(text), "pets.json")
    for vector, label in [*EXAMPLES[half:], ([1, -1, 1, -1, 1], "new")]:
        knn.add(vector, label)
    knn.save(tmp_path / "more.json")
    theirs = page.evaluate("reloaded", [json.loads((tmp_path / "more.json").read_text()), ASKED, 3])
    ours = ml5.load(tmp_path / "more.json").classify(ASKED)
    assert [rounded(answer)["confidencesByLabel"] for answer in theirs] == [a["confidencesByLabel"] for a in ours]


def test_ml5_itself_forgets_the_label_when_it_loads(page: Any) -> None:
    (answer,) = page.evaluate("reloaded", [PETS, [[1, 0]], 1])
    assert (answer["label"], "classIndex" in answer) == ("0", False)


@pytest.mark.parametrize("name", ["myKNN.json", "model.json"])
def test_it_is_known_in_every_kind_of_place(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(json.dumps(PETS))
    with zipfile.ZipFile(tmp_path / "pets.zip", "w") as archive:
        archive.write(tmp_path / name, f"pets/{name}")
    zipped = tmp_path / "pets.zip"
    for source in (tmp_path / name, tmp_path, zipped, zipped.read_bytes(), [tmp_path / name], {name: tmp_path / name}):
        assert ml5.load(source).labels == ["a", "b"]


def test_a_batch_gives_a_list_and_the_module_tensors() -> None:
    knn = open_knn(PETS, "pets.json")
    assert [answer["label"] for answer in knn.classify([[2, 0.1], [0, 3]], k=1)] == ["a", "b"]
    assert [(row["label"], round(row["confidence"], 3)) for row in knn.answer([2, 0.1])] == [("a", 0.667), ("b", 0.333)]
    assert knn(torch.tensor([[0.0, 2.0]]), k=2).tolist() == [[0.5, 0.5]]
    assert [*knn.state_dict()] == ["examples", "classes"]


def test_saved_unchanged_the_document_is_the_same(tmp_path: Path) -> None:
    open_knn(PETS, "pets.json").save(tmp_path)
    assert json.loads((tmp_path / "myKNN.json").read_text()) == PETS


@pytest.mark.skipif(
    not SHARED_MODELS.is_dir(), reason="the real models lie beside the repository where it is developed"
)
def test_a_real_save_is_loaded_by_ml5_load() -> None:
    knn = ml5.load(SHARED_MODELS / "ml5-0.12.2/knn/pets.json")
    expected = json.loads((SHARED_MODELS / "ml5-0.12.2/knn/expected.json").read_text())
    assert (knn.labels, knn.examples.shape) == (["a", "b"], (3, 3))
    assert knn.to_document() == json.loads(expected["json"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dataset": []}, "a dataset with as many"),
        ({"tensors": [{"0": 1}]}, "a dataset with as many"),
        ({"tensors": [{"0": 1}, {"0": 0, "1": 1}]}, "4 numbers for the shape"),
        ({"tensors": [{"0": 1, "1": "x", "2": 0, "3": 0}, {"0": 0, "1": 1}]}, "4 numbers"),
        ({"tensors": [None, {"0": 0, "1": 1}]}, "4 numbers"),
        ({"dataset": {"x": PETS["dataset"]["0"], "1": PETS["dataset"]["1"]}}, "numbers of classes"),
        ({"dataset": {"0": {"shape": [2, -2]}, "1": PETS["dataset"]["1"]}}, r"a shape \[examples"),
        ({"dataset": {"0": {"shape": [4, 1]}, "1": PETS["dataset"]["1"]}}, "examples of one length"),
    ],
)
def test_broken_files_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(TfjsTorchError, match=message):
        open_knn({**PETS, **change}, "pets.json")


@pytest.mark.parametrize(
    ("x", "k", "message"),
    [
        ([1, 2, 3], 3, "2 numbers expected"),
        ([0, 0], 3, "a vector of length 0"),
        ([1, 2], 0, "above 0"),
        ("x", 3, "numbers"),
    ],
)
def test_other_questions_are_refused(x: Any, k: int, message: str) -> None:
    with pytest.raises(TfjsTorchError, match=message):
        open_knn(PETS, "pets.json").classify(x, k)
