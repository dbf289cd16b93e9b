"""nn.train, ml5.new and ml5.average: what is learnt, what stays, and what is refused."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tfjs_torch import MismatchError, TfjsTorchWarning, TopologyError, UnsupportedError, ml5
from tfjs_torch.ml5.creating import default_layers

ROOT = Path(__file__).resolve().parents[1]
CLASSIFIER, REGRESSION = ROOT / "samples/ml5-classifier", ROOT / "samples/ml5-regression"
CASES = ROOT / "tests/cases/ml5"


def colours(count: int, labels: tuple[str, str] = ("red", "blue"), seed: int = 1) -> list[dict[str, Any]]:
    rng = random.Random(seed)
    rows = []
    for i in range(count):
        strong, weak = rng.randint(180, 250), rng.randint(5, 70)
        red, blue = (strong, weak) if i % 2 else (weak, strong)
        rows.append({"r": red, "g": rng.randint(5, 70), "b": blue, "colour": labels[1 - i % 2]})
    return rows


def weights(nn: Any) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in nn.module.parameters()]


def same(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_training_goes_on_from_the_saved_weights() -> None:
    data = CASES / "1.4.0-classification/data.json"
    nn = ml5.load(CASES / "1.4.0-classification")
    before = nn.evaluate(data)
    history = nn.train(data, epochs=20, seed=1)
    assert nn.evaluate(data)["loss"] < before["loss"]
    assert history.loss[0] < 1.5 * before["loss"] + 0.1  # not from the start


@pytest.mark.parametrize("label", [float("nan"), [1], {}, None], ids=str)
def test_what_is_no_label_is_refused(label: Any) -> None:
    with pytest.raises(MismatchError, match=r"row 5: (ys: )?colour"):
        ml5.load(CLASSIFIER).train([*colours(4), {**colours(1)[0], "colour": label}])


def test_one_seed_gives_the_same_files() -> None:
    made = []
    for _ in range(2):
        nn = ml5.load(CLASSIFIER)
        nn.train(colours(40), epochs=3, seed=7)
        made.append(nn.files())
    assert made[0] == made[1]


def test_the_interface_stays_and_with_it_the_meta_file() -> None:
    nn = ml5.load(CLASSIFIER)
    nn.train(colours(40), epochs=2, seed=1)
    assert nn.files()["model_meta.json"] == (CLASSIFIER / "model_meta.json").read_bytes()
    assert nn.files()["model.json"] == (CLASSIFIER / "model.json").read_bytes()
    assert nn.files()["model.weights.bin"] != (CLASSIFIER / "model.weights.bin").read_bytes()


def test_a_legend_that_leaves_out_an_output_is_not_trained() -> None:
    nn = ml5.load(CLASSIFIER)
    files = nn.files()
    meta = json.loads(files["model_meta.json"])
    del meta["outputs"]["colour"]["legend"]["red"]
    odd = ml5.load({**files, "model_meta.json": json.dumps(meta).encode()})
    with pytest.raises(MismatchError, match="legend: a code for each output"):
        odd.train(colours(20))


def test_new_labels_widen_the_last_layer_and_old_ones_are_kept() -> None:
    nn = ml5.load(CLASSIFIER)
    white = [{"r": 255 - i % 9, "g": 245, "b": 250, "colour": "white"} for i in range(30)]
    nn.train(colours(60) + white, epochs=40, seed=1)
    assert nn.labels == ["red", "yellow", "green", "blue", "white"]
    assert nn.meta["outputUnits"] == 5
    assert nn.classify([252, 245, 250])[0]["label"] == "white"
    assert [nn.classify(c)[0]["label"] for c in ([250, 10, 10], [20, 160, 60])] == ["red", "green"]
    assert json.loads(nn.files()["model.json"])["weightsManifest"][0]["weights"][-1]["shape"] == [5]


def test_new_labels_that_are_numbers_get_the_unit_that_javascript_gives_them() -> None:
    nn = ml5.new("classification", inputs=["r", "g", "b"], outputs="colour")
    nn.train(colours(40, ("10", "2")), epochs=20, seed=1)
    assert nn.labels == ["2", "10"]
    before = {answer["label"]: answer["confidence"] for answer in nn.classify([250, 10, 10])}
    nn.train([*colours(40, ("10", "2")), {"r": 9, "g": 250, "b": 9, "colour": 7}], epochs=1, learning_rate=1e-9, seed=1)
    after = {answer["label"]: answer["confidence"] for answer in nn.classify([250, 10, 10])}
    assert nn.labels == ["2", "7", "10"]
    assert after["10"] / after["2"] == pytest.approx(before["10"] / before["2"], rel=1e-3)


def test_a_failed_training_leaves_everything_as_it_was() -> None:
    nn = ml5.load(CLASSIFIER)
    module, before, labels = nn.module, weights(nn), nn.labels

    def stop(epoch: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        nn.train([*colours(40), {"r": 1, "g": 2, "b": 3, "colour": "new"}], epochs=3, on_epoch=stop)
    assert nn.module is module
    assert same(weights(nn), before)
    assert nn.labels == labels
    with pytest.raises(MismatchError, match="row 2: r"):
        nn.train([*colours(1), {"r": "x", "g": 2, "b": 3, "colour": "red"}])
    assert same(weights(nn), before)


def test_epochs_are_told_one_by_one() -> None:
    told: list[Any] = []
    ml5.load(CLASSIFIER).train(colours(40), epochs=3, on_epoch=told.append)
    assert [(epoch["epoch"], epoch["epochs"]) for epoch in told] == [(1, 3), (2, 3), (3, 3)]
    assert told[0].keys() == {"epoch", "epochs", "loss", "accuracy", "val_loss", "val_accuracy"}


def test_a_training_that_is_told_to_stop_keeps_what_it_has_learnt_new_labels_too() -> None:
    stopped, fewer = ml5.load(CLASSIFIER), ml5.load(CLASSIFIER)
    rows = [*colours(40), {"r": 1, "g": 2, "b": 3, "colour": "new"}]
    history = stopped.train(rows, epochs=90, seed=4, on_epoch=lambda told: "stop" if told["epoch"] == 2 else None)
    fewer.train(rows, epochs=2, seed=4)
    assert (len(history.epochs), history.stopped) == (2, True)
    assert stopped.labels[-1] == "new"
    assert stopped.files() == fewer.files()


def test_a_training_that_makes_it_worse_says_so_and_names_a_better_rate() -> None:
    data = CASES / "1.4.0-regression/data.json"
    (told,) = ml5.load(CASES / "1.4.0-regression").train(data, epochs=1, seed=1).notes
    assert re.search(r"grew from .* below 0\.2, such as 0\.02", told)
    nn = ml5.load(CASES / "1.4.0-regression")
    assert nn.train(data, epochs=20, learning_rate=0.001, seed=1).notes == []


def test_labels_without_rows_are_told() -> None:
    (told,) = ml5.load(CLASSIFIER).train(colours(20), epochs=1, seed=1).notes
    assert "no rows with yellow, green; it may forget them" in told


@pytest.mark.parametrize(("progress", "shown"), [(True, True), (False, False), (None, False)])
def test_notes_are_told_where_progress_is(
    progress: bool | None, shown: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    ml5.load(CLASSIFIER).train(colours(20), epochs=1, seed=1, progress=progress)
    assert ("no rows with" in capsys.readouterr().err) == shown


@pytest.mark.parametrize("version", ["0.12.2", "1.4.0"])
def test_labels_that_some_ml5_mix_up_stand_in_their_order_after_training(version: str) -> None:
    case = CASES / f"{version}-classification-numeric-labels"
    nn = ml5.load(case)
    assert nn.labels != sorted(nn.labels, key=int)
    before = nn.classify([1, 1])
    history = nn.train(case / "data.json", epochs=1, learning_rate=1e-12, seed=1)
    assert nn.labels == sorted(nn.labels, key=int)
    assert "ml5 0.x" in history.notes[0]
    after = nn.classify([1, 1])
    assert [one["label"] for one in after] == [one["label"] for one in before]
    assert [one["confidence"] for one in after] == pytest.approx([one["confidence"] for one in before], rel=1e-5)
    assert nn.train(case / "data.json", epochs=1, seed=1, learning_rate=1e-12).notes == []


def test_a_network_of_nan_says_that_training_cannot_help() -> None:
    files = ml5.load(CLASSIFIER).files()
    files["model.weights.bin"] = b"\xff" * len(files["model.weights.bin"])
    with pytest.raises(MismatchError, match=r"NaN before the training.*ml5\.new"):
        ml5.load(files).train(colours(20), epochs=1)


def test_labels_that_it_does_not_know_are_wrong_answers() -> None:
    nn, known = ml5.load(CLASSIFIER), [{"r": 255, "g": 0, "b": 0, "colour": "red"}]
    new = [{"r": 255, "g": 0, "b": 0, "colour": "orange"}]
    assert nn.evaluate(known)["accuracy"] == 1
    assert nn.evaluate(known * 3 + new) == {"accuracy": 0.75}
    assert nn.evaluate(new) == {"accuracy": 0}


def test_outputs_beyond_the_range_are_told() -> None:
    rows = [{"x": 1, "y": 2, "east": 1e6, "south": 0}, {"x": 3, "y": 2, "east": 1, "south": 0}]
    notes = ml5.load(REGRESSION).train(rows, epochs=1, seed=1).notes
    assert any("beyond the range" in told for told in notes)


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_the_default_networks_are_those_of_ml5(task: str) -> None:
    case = json.loads((CASES / f"1.4.0-{task}/model.json").read_text())["modelTopology"]["config"]["layers"]
    made = default_layers(task)
    assert [layer["config"]["activation"] for layer in case] == [layer["activation"] for layer in made]
    assert case[0]["config"]["units"] == made[0]["units"]


def test_the_default_network_for_pictures_is_that_of_ml5() -> None:
    saved = json.loads((CASES / "1.4.0-imageClassification-default/model.json").read_text())["modelTopology"]
    nn = pictures([17, 16, 1])
    ours = json.loads(nn.files()["model.json"])["modelTopology"]
    for one, other in zip(saved["config"]["layers"], ours["config"]["layers"], strict=True):
        assert one["class_name"] == other["class_name"]
        for option in ("units", "filters", "kernel_size", "pool_size", "padding", "activation", "kernel_initializer"):
            if option in other["config"]:
                given = other["config"][option]
                assert one["config"][option] in (given, [given] * 2), option


def pictures(shape: list[int], **options: Any) -> Any:
    rng = np.random.default_rng(1)
    rows = [({"image": rng.integers(0, 255, shape)}, {"label": "ab"[i % 2]}) for i in range(12)]
    nn = ml5.new("imageClassification", inputs=shape, outputs=["label"], **options)
    nn.train(rows, epochs=1, seed=1)
    return nn


def test_a_new_network_is_made_when_the_first_data_come() -> None:
    nn = ml5.new("classification", inputs=["r", "g", "b"], outputs=["colour"], hidden_units=5)
    assert (nn.module, nn.inputs, nn.labels) == (None, ["r", "g", "b"], [])
    with pytest.raises(MismatchError, match="call train first"):
        nn.classify([1, 2, 3])
    nn.train(colours(40), epochs=10, seed=1)
    assert nn.module.dense_Dense1.weight.shape == (5, 3)
    assert nn.labels == ["blue", "red"]  # as they are first seen
    assert nn.evaluate(colours(40, seed=5))["accuracy"] == 1


def test_categories_as_inputs_are_one_hot() -> None:
    rows = [
        {"size": s, "kind": k, "price": s * (2 if k == "loft" else 1)} for s in range(20, 120) for k in ("loft", "tent")
    ]
    nn = ml5.new("regression", inputs=["size", "kind"], outputs=["price"], learning_rate=0.02)
    nn.train(rows, epochs=40, seed=1)
    assert nn.encode({"size": 20, "kind": "tent"}).tolist() == [[0, 0, 1]]
    assert nn.predict({"size": 100, "kind": "loft"})[0]["value"] == pytest.approx(200, abs=20)


def test_a_csv_column_of_numbers_is_numbers_and_another_one_categories() -> None:
    nn = ml5.new("classification", inputs=["x", "kind"], outputs=["y"])
    nn.train(b"x,kind,y\n1,a,1\n2,b,2\n3,a,1\n", epochs=1, seed=1, validation_split=0)
    assert nn.encode([3, "b"]).tolist() == [[1, 0, 1]]
    assert nn.labels == ["1", "2"]


def test_layers_may_be_given_in_the_words_of_ml5() -> None:
    layers = [
        {"type": "conv2d", "filters": 3, "kernelSize": [3, 3], "activation": "relu", "padding": "same"},
        {"type": "batchNormalization"},
        {"type": "flatten"},
        {"type": "dropout", "rate": 0.25},
        {"type": "dense", "kernelInitializer": "heNormal", "activation": "softmax", "useBias": False},
    ]
    nn = pictures([6, 5, 4], layers=layers)
    kinds = [name.rpartition("_")[2] for name in nn.module.layers]
    assert kinds[1:4] == [
        "BatchNormalization1",
        "Flatten1",
        "Dropout1",
    ]
    names = [spec["name"] for spec in json.loads(nn.files()["model.json"])["weightsManifest"][0]["weights"]]
    assert names[-2:] == [f"batch_normalization_BatchNormalization1/moving_{kind}" for kind in ("mean", "variance")]
    assert nn.module.dense_Dense1.bias is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "poetry"}, "task"),
        ({"inputs": []}, "inputs"),
        ({"inputs": ["a", "a"]}, "each name once"),
        ({"inputs": 0}, "inputs"),
        ({"outputs": None}, "outputs"),
        ({"hidden_units": 0}, "hidden_units"),
        ({"layers": [{"type": "dense"}]}, "two layers"),
        ({"layers": [5, 6]}, "layers"),
        ({"layers": "ab"}, "layers"),
        ({"learning_rate": 0}, "learning_rate"),
        ({"task": "imageClassification"}, "width, height"),
    ],
)
def test_plans_that_cannot_be_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(MismatchError, match=message):
        ml5.new(**{"task": "classification", "inputs": ["r", "g", "b"], "outputs": ["colour"], **options})


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (colours(1), "two different values"),
        ([{"r": 1, "g": 2, "b": 3}], "the columns"),
        ([{**row, "g": None} for row in colours(4)], "row 1: g"),
        ([{**row, "g": True} for row in colours(4)], "row 1: g"),
        ([*colours(4), {**colours(1)[0], "colour": None}], "row 5: colour: a label"),
    ],
)
def test_first_data_that_cannot_be_learnt_are_refused(rows: Any, message: str) -> None:
    nn = ml5.new("classification", inputs=["r", "g", "b"], outputs=["colour"])
    with pytest.raises(MismatchError, match=message):
        nn.train(rows)
    assert nn.module is None
    nn.train(colours(20), epochs=1)


def test_layers_that_do_not_exist_or_do_not_fit_are_refused() -> None:
    def train(*layers: dict[str, Any]) -> None:
        ml5.new("classification", inputs=["r", "g", "b"], outputs=["colour"], layers=layers).train(colours(20))

    with pytest.raises(UnsupportedError, match=r"tf\.layers"):
        train({"type": "magic"}, {"type": "dense"})
    with pytest.raises(TopologyError, match="units"):
        train({"type": "dense"}, {"type": "dense", "activation": "softmax"})
    with pytest.raises(MismatchError, match=r"2 outputs .* expected, found"):
        train({"type": "dense", "units": 3}, {"type": "dense", "units": 7, "activation": "softmax"})
    with pytest.raises(MismatchError, match="inputShape"):
        train({"type": "dense", "units": 3, "inputShape": [9]}, {"type": "dense", "activation": "softmax"})
    with pytest.raises((MismatchError, TopologyError)):
        train({"type": "conv2d", "filters": 2, "kernelSize": 3}, {"type": "dense", "activation": "softmax"})


def test_the_average_of_a_network_and_itself_is_itself() -> None:
    nn = ml5.average([CLASSIFIER, ml5.load(CLASSIFIER), CLASSIFIER])
    assert nn.files() == ml5.load(CLASSIFIER).files()


def test_the_average_is_the_mean_of_the_weights() -> None:
    students = [ml5.load(CLASSIFIER) for _ in range(3)]
    for seed, student in enumerate(students):
        student.train(colours(30, seed=seed), epochs=2, seed=seed)
    means = [torch.stack(tensors).mean(0) for tensors in zip(*map(weights, students), strict=True)]
    for mean, found in zip(means, weights(ml5.average(students)), strict=True):
        assert torch.allclose(mean, found, atol=1e-7)


def test_the_order_of_tensors_in_the_file_says_nothing() -> None:
    files = ml5.load(CLASSIFIER).files()
    document = json.loads(files["model.json"])
    specs = document["weightsManifest"][0]["weights"]
    pieces, start = [], 0
    for spec in specs:
        size = 4 * int(np.prod(spec["shape"]))
        pieces.append(files["model.weights.bin"][start : start + size])
        start += size
    specs.reverse()
    turned = {**files, "model.json": json.dumps(document).encode(), "model.weights.bin": b"".join(reversed(pieces))}
    assert ml5.average([CLASSIFIER, turned]).files() == files


def test_names_of_layers_may_differ_and_nothing_else(tmp_path: Path) -> None:
    files = {name: data.replace(b"dense_Dense", b"dense_Dense9") for name, data in ml5.load(CLASSIFIER).files().items()}
    assert ml5.average([CLASSIFIER, files]).labels == ml5.load(CLASSIFIER).labels
    wider = ml5.load(CLASSIFIER)
    wider.train([*colours(30), {"r": 1, "g": 1, "b": 1, "colour": "black"}], epochs=1, seed=1)
    with pytest.raises(MismatchError, match=r"model 2: model_meta\.json.*outputUnits \(4, 5\)"):
        ml5.average([CLASSIFIER, wider])
    meta = files["model_meta.json"].replace(b'"max":249', b'"max":248')
    with pytest.raises(MismatchError, match=r"inputs: g: max \(249, 248\)"):
        ml5.average([CLASSIFIER, {**files, "model_meta.json": meta}])
    changed = {**files, "model.json": files["model.json"].replace(b'"relu"', b'"tanh"')}
    with pytest.raises(MismatchError, match=r"modelTopology.*activation \('relu', 'tanh'\)"):
        ml5.average([CLASSIFIER, changed])


def test_no_models_have_no_average() -> None:
    with pytest.raises(MismatchError, match="one network or more"):
        ml5.average([])
    for wrong in (None, 5, "samples/ml5-classifier", ml5.load(CLASSIFIER)):
        with pytest.raises(MismatchError, match="a list of models"):
            ml5.average(wrong)  # type: ignore[arg-type]
    with pytest.raises(MismatchError, match="trained neuralNetwork"):
        ml5.average([ml5.new("regression", inputs=1, outputs=1)])


# What ml5 goes by -----------------------------------------------------------------------------------------------------

BY_NAME = [({"x": n % 3, "y": n % 5}, {"size": "small" if n % 2 else "large"}) for n in range(30)]
BY_PLACE = [([n % 3, n % 5], ["small" if n % 2 else "large"]) for n in range(30)]


@pytest.mark.parametrize("outputs", [1, 2, ["small", "large"], ["size"], "size"])
@pytest.mark.parametrize("inputs", [2, ["x", "y"]])
def test_data_by_name_bring_their_names_where_numbers_or_labels_were_given(inputs: Any, outputs: Any) -> None:
    nn = ml5.new("classification", inputs=inputs, outputs=outputs)
    nn.train(BY_NAME, epochs=1, seed=1)
    assert (nn.inputs, nn.outputs, sorted(nn.labels)) == (["x", "y"], ["size"], ["large", "small"])


@pytest.mark.parametrize("outputs", [1, 2, ["0", "1"]])
def test_data_by_place_are_numbered_and_a_classifier_has_one_column(outputs: Any) -> None:
    nn = ml5.new("classification", inputs=2, outputs=outputs)
    nn.train(BY_PLACE, epochs=1, seed=1)
    assert (nn.inputs, nn.outputs) == (["0", "1"], ["0"])


def test_a_regression_takes_names_only_if_their_number_fits() -> None:
    rows = [({"x": n}, {"a": n, "b": 2 * n}) for n in range(9)]
    nn = ml5.new("regression", inputs=1, outputs=2)
    nn.train(rows, epochs=1, seed=1)
    assert (nn.inputs, nn.outputs) == (["x"], ["a", "b"])
    with pytest.raises(MismatchError, match="0, 1, 2 expected, found a, b"):
        ml5.new("regression", inputs=1, outputs=3).train(rows)
    with pytest.raises(MismatchError, match="colour expected, found size"):
        ml5.new("classification", inputs=2, outputs=["colour"]).train(BY_NAME)


def test_saves_of_two_releases_of_ml5_may_be_averaged() -> None:
    files = ml5.load(CLASSIFIER).files()
    document = json.loads(files["model.json"])
    config = document["modelTopology"]["config"]
    document["modelTopology"]["config"] = [  # as tf.js 1.2 wrote it, with its keys in another order
        {**layer, "config": dict(sorted(layer["config"].items()))} for layer in config["layers"]
    ]
    old = {**files, "model.json": json.dumps(document).encode()}
    assert ml5.average([old, CLASSIFIER]).labels == ml5.load(CLASSIFIER).labels
    assert ml5.average([CLASSIFIER, old]).files()["model.weights.bin"] == files["model.weights.bin"]


def test_a_meta_of_fewer_outputs_is_told() -> None:
    files = dict(ml5.load(CLASSIFIER).files())
    meta = json.loads(files["model_meta.json"])
    meta["outputs"] = {"value": {"dtype": "number", "min": 0, "max": 1}}
    with pytest.warns(TfjsTorchWarning, match="describes 1 numbers as output, the network gives 4"):
        ml5.load({**files, "model_meta.json": json.dumps(meta).encode()})
