"""The judge of ml5's files says yes to what ml5 saved itself, and no in ml5's own words."""

from __future__ import annotations

import json

import pytest
from helpers import SAMPLES
from ml5_browser import Ml5Error
from ml5_judge import ROUTES, VERSIONS, Ml5Judge

FOLDER = SAMPLES / "ml5-classifier"
FILES = {name: (FOLDER / name).read_bytes() for name in ("model.json", "model_meta.json", "model.weights.bin")}
RED = {"r": 255, "g": 0, "b": 0}


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("version", VERSIONS)
def test_the_judge_hears_what_ml5_answered_after_training(ml5_judge: Ml5Judge, version: str, route: str) -> None:
    answers = json.loads((FOLDER / "expected.json").read_text())["answers"]
    found = ml5_judge.ask(version, route, FILES, "classification", [a["input"] for a in answers])
    for results, answer in zip(found, answers, strict=True):
        assert [r["label"] for r in results] == [r["label"] for r in answer["result"]]
        assert [r["confidence"] for r in results] == pytest.approx([r["confidence"] for r in answer["result"]], 1e-6)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("version", VERSIONS)
def test_a_missing_meta_file_is_an_error(ml5_judge: Ml5Judge, version: str, route: str) -> None:
    files = {name: data for name, data in FILES.items() if "_meta" not in name}
    with pytest.raises(Ml5Error, match="404" if route != "files" else "Cannot read|have shape"):
        ml5_judge.ask(version, route, files, "classification", [RED])


@pytest.mark.parametrize("version", VERSIONS)
def test_a_custom_name_does_not_load_by_string(ml5_judge: Ml5Judge, version: str) -> None:
    files = {name.replace("model", "gesture"): data.replace(b"./model.", b"./gesture.") for name, data in FILES.items()}
    with pytest.raises(Ml5Error, match="404"):
        ml5_judge.ask(version, "string", files, "classification", [RED])
    assert ml5_judge.ask(version, "files", files, "classification", [RED])[0][0]["label"] == "red"


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("version", VERSIONS)
def test_a_wrong_shape_is_an_error_in_the_words_of_tfjs(ml5_judge: Ml5Judge, version: str, route: str) -> None:
    files = FILES | {"model.json": FILES["model.json"].replace(b'"shape":[3,16]', b'"shape":[16,3]')}
    with pytest.raises(Ml5Error, match=r"Shape mismatch: \[3,16\] vs\. \[16,3\]"):
        ml5_judge.ask(version, route, files, "classification", [RED])


def test_files_that_load_in_silence_and_cannot_answer_are_an_error(ml5_judge: Ml5Judge) -> None:
    files = FILES | {"model_meta.json": b'{"inputUnits": NaN}'}
    ml5_judge.load_only("1.4.0", "object", files, "classification")
    with pytest.raises(Ml5Error, match="Cannot convert undefined or null to object"):
        ml5_judge.ask("1.4.0", "object", files, "classification", [RED])


def test_one_question_leaves_nothing_for_the_next(ml5_judge: Ml5Judge) -> None:
    before = ml5_judge.ask("0.12.2", "files", FILES, "classification", [RED])
    with pytest.raises(Ml5Error):
        ml5_judge.ask("0.12.2", "files", {}, "classification", [RED])
    assert ml5_judge.ask("0.12.2", "files", FILES, "classification", [RED]) == before
