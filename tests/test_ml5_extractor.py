"""featureExtractor saves of ml5 0.x and 1.4: the answers of their networks, and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import SHARED_MODELS, snapshot
from judges import CASES
from PIL import Image

from tfjs_torch import TfjsTorchError, ml5

GOLDEN = CASES / "teachable"
PIXELS = (np.arange(224 * 224 * 3) * 7919 % 251).reshape(224, 224, 3).astype(np.uint8)
FEATURES = (np.arange(1275) * 7919 % 251).astype(np.float32) / np.float32(127) - 1


def saved(name: str, **keys: Any) -> dict[str, bytes]:
    """A golden model under the JSON keys that ml5 adds: joined networks look the same in both."""
    document = {**json.loads((GOLDEN / name / "model.json").read_text()), **keys}
    return {"model.json": json.dumps(document).encode(), "weights.bin": (GOLDEN / name / "weights.bin").read_bytes()}


def answers_of_tfjs(name: str) -> list[float]:
    found: list[float] = json.loads((GOLDEN / name / "expected.json").read_text())["answers"]
    return found


def joined(*names: str) -> dict[str, bytes]:
    return saved("image", ml5Specs={"mapStringToIndex": [*names]})


def head(**own: Any) -> dict[str, bytes]:
    return saved("pose", userDefinedMetadata=own)


def test_saves_of_0x_take_pictures() -> None:
    found = {row["label"]: row["confidence"] for row in ml5.load(joined("blue", "red", "green")).classify(PIXELS)}
    assert list(map(found.get, ("blue", "red", "green"))) == pytest.approx(answers_of_tfjs("image"), abs=1e-6)


def test_pictures_are_squeezed_whatever_their_proportions() -> None:
    nn, wide = ml5.load(joined("a", "b", "c")), Image.fromarray(PIXELS[:100])
    assert nn.classify(wide)[0]["confidence"] == nn.classify(np.asarray(wide))[0]["confidence"]
    assert [len(answer) for answer in nn.classify([wide, PIXELS])] == [3, 3]


def test_outputs_without_a_label_are_called_by_their_number() -> None:
    assert ml5.load(joined("blue")).labels == ["blue", "1", "2"]


def test_saves_of_1_4_take_features() -> None:
    nn = ml5.load(head(task="classification", labelIndex=["up", 7]))
    answer = nn.classify(FEATURES)
    assert [row["label"] for row in answer] == ["up", "7"]
    assert [row["confidence"] for row in answer] == pytest.approx(answers_of_tfjs("pose"), abs=1e-6)
    assert nn.classify(FEATURES[None]) == [answer] == nn.classify([FEATURES])


def test_pictures_for_a_head_alone_are_refused_with_the_reason() -> None:
    with pytest.raises(TfjsTorchError, match=r"ml5 1\.4 does not save MobileNet"):
        ml5.load(head(task="classification", labelIndex=["up", "down"])).classify("me.png")


def test_regressions_predict_a_value() -> None:
    nn = ml5.load(head(task="regression", labelIndex=[]))
    value = pytest.approx(answers_of_tfjs("pose")[0], abs=1e-6)
    assert nn.predict(FEATURES) == nn.answer(FEATURES) == [{"label": "value", "value": value}]
    with pytest.raises(TfjsTorchError, match="call predict"):
        nn.classify(FEATURES)


@pytest.mark.parametrize("x", [np.zeros(3, np.float32), "text", {"a": 1}, [], None])
def test_other_samples_are_refused(x: Any) -> None:
    with pytest.raises(TfjsTorchError, match="expected"):
        ml5.load(head(task="classification", labelIndex=["up", "down"])).classify(x)


@pytest.mark.parametrize("specs", [None, {}, {"mapStringToIndex": "red"}, {"mapStringToIndex": [{}]}])
def test_labels_that_are_none_are_refused(specs: Any) -> None:
    with pytest.raises(TfjsTorchError, match="a list of labels"):
        ml5.load(saved("image", ml5Specs=specs))


def test_saved_unchanged_the_files_are_the_same(tmp_path: Path) -> None:
    files = joined("blue", "red", "green")
    ml5.load(files).save(tmp_path)
    assert snapshot(tmp_path) == files


@pytest.mark.skipif(
    not SHARED_MODELS.is_dir(), reason="the real models lie beside the repository where it is developed"
)
def test_a_real_save_is_loaded_with_its_labels() -> None:
    nn = ml5.load(SHARED_MODELS / "ml5-0.12.2/featureExtractor-standin")
    assert (nn.labels, nn.usage, nn.takes_pictures) == (["blue", "red"], "classification", True)
    red = np.zeros((30, 40, 3), np.uint8) + np.array([255, 0, 0], np.uint8)
    assert nn.classify(red)[0]["label"] == "red"
