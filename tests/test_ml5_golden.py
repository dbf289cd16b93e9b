"""Networks that real ml5 trained and saved: `ml5.load` gives the same tensors, outputs, labels and values.

The project's own lie in `cases/ml5`; those beside the repository are ml5 0.12.2's too. All numbers are from before
ml5 saved, so nothing of ours made them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import SHARED_MODELS
from judges import CASES
from ml5_browser import Ml5Error
from ml5_judge import VERSIONS, Ml5Judge

from tfjs_torch import ml5

OWN = sorted(path.parent for path in CASES.glob("ml5/*/expected.json"))
# featureExtractor and KNNClassifier save other things; their tests are elsewhere.
SHARED = sorted(
    path.parent
    for path in SHARED_MODELS.glob("ml5-0.12.2/*/expected.json")
    if path.parent.name not in ("featureExtractor-standin", "knn")
)
Answer = dict[str, Any]
KEYS = ("label", "confidence", "value")


def expected(folder: Path) -> Answer:
    found: Answer = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    return found


def options_of(folder: Path) -> Answer:
    """What was given to `ml5.neuralNetwork`."""
    options: Answer = expected(folder)["options"]["options"]
    return options


def answers(folder: Path) -> list[Answer]:
    """What ml5 was asked; a batch counts as single samples."""
    return [one for answer in expected(folder)["beforeSaving"] for one in singles(answer)]


def singles(answer: Answer) -> list[Answer]:
    count = len(answer["modelOutput"])
    if count == 1:
        return [answer]
    return [
        {
            "input": answer["input"][at],
            "modelInput": answer["modelInput"][at : at + 1],
            "modelOutput": answer["modelOutput"][at : at + 1],
            "ml5": {how: results[at] for how, results in answer["ml5"].items()},
        }
        for at in range(count)
    ]


def saved_files(folder: Path) -> dict[str, bytes]:
    others = ("expected.json", "data.json")
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name not in others}


def load(folder: Path) -> ml5.NeuralNetwork:
    network: ml5.NeuralNetwork = ml5.load(saved_files(folder), task=options_of(folder)["task"])
    return network


def right_results(folder: Path, answer: Answer) -> list[Answer]:
    """What ml5 answered, with the labels that the network learned.

    ml5 0.x names unit i by the i-th key of the legend, and JavaScript puts keys like "10" in ascending order. So its
    labels are wrong where such labels were first seen in another order; those of 1.x, by the codes, are right.
    """
    results: list[Answer] = answer["ml5"][expected(folder)["options"]["how"]]
    if not results or "confidence" not in results[0]:
        return results
    (column,) = expected(folder)["meta"]["outputs"].values()
    unit_of = {label: code.index(1) for label, code in column["legend"].items()}
    pairs = [(answer["modelOutput"][0][unit], label) for label, unit in unit_of.items()]
    return [{"label": label, "confidence": value} for value, label in sorted(pairs, key=lambda pair: -pair[0])]


def value_of(result: Answer) -> float:
    found: float = result["value"] if "value" in result else result["confidence"]
    return found


def name_of(folder: Path) -> str:
    return folder.name if folder in OWN else f"shared-{folder.name}"


@pytest.fixture(params=OWN + SHARED, ids=name_of)
def folder(request: pytest.FixtureRequest) -> Path:
    found: Path = request.param
    return found


def test_all_scenarios_are_there() -> None:
    from ml5_scenarios import SCENARIOS

    assert {f.name for f in OWN} == {f"{v}-{name}" for name, case in SCENARIOS.items() for v in case.versions}


def test_the_network_is_given_the_tensor_that_ml5_gave_it(folder: Path) -> None:
    network = load(folder)
    for answer in answers(folder):
        tensor = network.encode(answer["input"])
        assert tensor.dtype == np.float32
        np.testing.assert_allclose(tensor, np.array(answer["modelInput"], np.float32), rtol=1e-6, atol=1e-7)


def test_the_module_computes_what_tfjs_computed(folder: Path) -> None:
    module = load(folder).module
    assert module is not None
    for answer in answers(folder):
        with torch.no_grad():
            output = module(torch.tensor(answer["modelInput"], dtype=torch.float32)).numpy()
        np.testing.assert_allclose(output, np.array(answer["modelOutput"], np.float32), rtol=1e-6, atol=1e-7)


def test_from_the_same_outputs_come_exactly_the_answers_of_ml5(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = load(folder)
    for answer in answers(folder):
        outputs = np.array(answer["modelOutput"], np.float32)
        monkeypatch.setattr(type(network.module), "predict", lambda *_, outputs=outputs, **__: outputs)
        wanted = right_results(folder, answer)
        assert network.answer(answer["input"]) == [{key: one[key] for key in KEYS if key in one} for one in wanted]


def test_the_answers_are_those_of_ml5_in_its_order(folder: Path) -> None:
    network, columns = load(folder), expected(folder)["meta"]["outputs"]
    for answer in answers(folder):
        wanted, found = right_results(folder, answer), network.answer(answer["input"])
        assert [one["label"] for one in found] == [one["label"] for one in wanted]
        for one, other in zip(found, wanted, strict=True):
            column = columns.get(one["label"], {"min": 0, "max": 1})
            size = max(1, abs(column["min"]), abs(column["max"]))  # 0.5 may be 0.5 of 300, less 150
            assert value_of(one) == pytest.approx(value_of(other), rel=1e-6, abs=3e-7 * size)


def test_a_list_of_samples_gives_a_list_of_answers(folder: Path) -> None:
    network, inputs = load(folder), [answer["input"] for answer in answers(folder)]
    for found, given in zip(network.answer(inputs), inputs, strict=True):
        alone = network.answer(given)
        assert [one["label"] for one in found] == [one["label"] for one in alone]


@pytest.mark.parametrize("own", OWN, ids=name_of)
def test_the_folder_itself_loads_with_the_data_beside_the_network(own: Path) -> None:
    assert ml5.load(own).files().keys() == {"model.json", "model_meta.json", "model.weights.bin"}


@pytest.mark.parametrize("own", [folder for folder in OWN if (folder / "data.json").is_file()], ids=name_of)
def test_the_data_that_ml5_saved_teach_the_network_on(own: Path) -> None:
    history = ml5.load(own).train(own / "data.json", epochs=1, seed=1, device="cpu", progress=False)
    assert np.isfinite(history.loss).all()


@pytest.mark.parametrize("own", OWN, ids=name_of)
@pytest.mark.parametrize("version", VERSIONS)
def test_real_ml5_of_both_versions_answers_the_same_from_the_golden_files(
    ml5_judge: Ml5Judge, version: str, own: Path
) -> None:
    how = expected(own)["options"]["how"]
    found = ml5_judge.ask(
        version, "files", saved_files(own), options_of(own)["task"], [a["input"] for a in answers(own)]
    )
    if version == "0.12.2" and "constant-column" in own.name:
        assert all(np.isnan([one["value"] for one in results]).any() for results in found)  # it divides by zero
        return
    for results, answer in zip(found, answers(own), strict=True):
        wanted = right_results(own, answer) if version == "1.4.0" else answer["ml5"][f"{how}Sync"]
        assert [one["label"] for one in results] == [one["label"] for one in wanted]
        assert [value_of(one) for one in results] == pytest.approx(
            [value_of(one) for one in wanted], rel=2e-5, abs=1e-6
        )


@pytest.mark.parametrize("version", VERSIONS)
def test_ml5_needs_to_be_told_that_a_network_takes_pictures(ml5_judge: Ml5Judge, version: str) -> None:
    own = CASES / f"ml5/{version}-imageClassification"
    with pytest.raises(Ml5Error):
        ml5_judge.ask(version, "files", saved_files(own), "classification", [answers(own)[0]["input"]])
