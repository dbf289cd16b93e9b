"""What we write, real ml5 0.12.2 and 1.4.0 load by every route, and it answers the same as ours."""

from __future__ import annotations

import json
import random
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from judges import CASES
from ml5_judge import ROUTES, VERSIONS, Ml5Judge
from ml5_scenarios import LAYERS_OF_NUMBERS, LAYERS_OF_PICTURES, LAYERS_OF_WALKS, drawn, picture, sums, walk
from test_ml5_golden import answers, saved_files

from tfjs_torch import UnsupportedError, ml5

GOLDEN = CASES / "ml5"
TRAINED = sorted(path.parent.name for path in GOLDEN.glob("*/data.json"))
EVERYWHERE = tuple((version, route) for version in VERSIONS for route in ROUTES)
# By another name than "model": facts, section 2.
NAMED = (("1.4.0", "object"), *((version, "files") for version in VERSIONS))

Rows = list[tuple[Any, Any]]


class Written(NamedTuple):
    """A network and what both sides are asked."""

    network: ml5.NeuralNetwork
    inputs: Sequence[Any]


def agree(
    judge: Ml5Judge,
    written: Written,
    files: dict[str, bytes] | None = None,
    ways: Sequence[tuple[str, str]] = EVERYWHERE,
    how: str | None = None,
) -> None:
    """ml5 gives the labels, the order and the numbers that we give; what we load again from the files does, too."""
    network, inputs = written
    files = files or network.files()
    ours = network.answer(list(inputs))
    task = "imageClassification" if str(network.task).startswith("sequence") else str(network.task)
    assert_alike(ml5.load(files, task=task).answer(list(inputs)), ours, "loaded here")
    for version, route in ways:
        assert_alike(judge.ask(version, route, files, task, inputs, how=how), ours, f"{version}, {route}")


def assert_alike(found: Sequence[Any], wanted: Sequence[Any], where: str) -> None:
    for theirs, own in zip(map(told, found), map(told, wanted), strict=True):
        assert [label for label, _ in theirs] == [label for label, _ in own], where
        numbers = [number for _, number in own]
        size = max(1.0, *map(abs, numbers))
        assert [number for _, number in theirs] == pytest.approx(numbers, rel=1e-6, abs=1e-6 * size), where


def told(results: list[dict[str, Any]]) -> list[tuple[str, float]]:
    return [(one["label"], one["value"] if "value" in one else one["confidence"]) for one in results]


def sorts(names: Sequence[str], labels: Sequence[str], output: str = "label", count: int = 24, seed: int = 1) -> Rows:
    """Each label has a corner of its own."""

    def row(chance: random.Random, number: int) -> tuple[Any, Any]:
        at = number % len(labels)
        values = [round(10 * (at + place) % 37 + chance.random(), 3) for place in range(len(names))]
        return dict(zip(names, values, strict=True)), {output: labels[at]}

    return drawn(seed, count, row)


def new(task: str, rows: Rows, inputs: Any = None, count: int = 3, epochs: int = 3, **options: Any) -> Written:
    """A network of ours that has learnt a little."""
    outputs = list(rows[0][1])
    network = ml5.new(task, inputs=inputs or list(rows[0][0]), outputs=outputs, **options)
    network.train(rows, epochs=epochs, seed=1, device="cpu", progress=False)
    return Written(network, [xs if inputs is None else next(iter(xs.values())) for xs, _ in rows[:count]])


def orders(_: random.Random, number: int) -> tuple[Any, Any]:
    kind = ("crème brûlée", "🍦", "tea & cake")[number % 3]
    return {"kind": kind, "how many": number % 5}, {"price": 3 + number % 5 * (1 + number % 3)}


WORDS = ("sun", "über cloud", "🌧️ rain")
NEW: dict[str, Callable[[], Written]] = {
    "words": lambda: new("classification", sorts("rgb", WORDS)),
    "number-like labels": lambda: new("classification", sorts("ab", ("10", "2", "1", "0"))),
    "numbers and words": lambda: new("classification", sorts("ab", ("two", "2", "01", "1", "-1"))),
    "one-hot inputs": lambda: new("classification", [({"mood": y["m"], "x": at}, y) for at, (_, y) in enumerate(
        sorts("x", ("good", "bad", "7"), "m"))]),
    "index-like inputs": lambda: new("classification", sorts(("0", "1"), WORDS)),
    "indices in another order": lambda: new("classification", sorts(("z", "10", "2", "a"), WORDS)),
    "names with spaces, accents and emoji": lambda: new(
        "classification", sorts(("left hand x", "größe", "🖐️ y", '"quoted"'), WORDS, "which one?")),
    "not normalized": lambda: new("classification", sorts("ab", WORDS), normalize=False, learning_rate=0.001),
    "two outputs": lambda: new("regression", drawn(4, 30, sums)),
    "numbers from one-hot inputs": lambda: new("regression", drawn(5, 30, orders)),
    "numbers not normalized": lambda: new("regression", drawn(6, 30, sums), normalize=False, hidden_units=5),
    "a picture": lambda: new("imageClassification", drawn(7, 12, picture(17, 16, 1)), [17, 16, 1]),
    "a picture of four channels": lambda: new(
        "imageClassification", drawn(8, 12, picture(8, 6, 4)), [8, 6, 4], layers=LAYERS_OF_PICTURES),
}  # fmt: skip

Layers = list[Any]
SOFTMAX = {"type": "dense", "activation": "softmax"}
NUMBER_LAYERS: dict[str, Layers] = {
    "batchNormalization and dropout": [*LAYERS_OF_NUMBERS],
    "leakyReLU": [
        {"type": "dense", "units": 7}, {"type": "leakyReLU"}, {"type": "gaussianNoise", "stddev": 0.1}, SOFTMAX],
    "prelu": [{"type": "dense", "units": 4}, {"type": "prelu"}, SOFTMAX],
    "embedding": [{"type": "embedding", "inputDim": 40, "outputDim": 3}, {"type": "flatten"}, SOFTMAX],
    "layerNormalization": [
        {"type": "dense", "units": 5, "activation": "hardSigmoid", "kernelRegularizer": "l1l2"},
        {"type": "layerNormalization"}, {"type": "activation", "activation": "softsign"}, SOFTMAX],
    "repeatVector": [
        {"type": "repeatVector", "n": 3}, {"type": "simpleRNN", "units": 4, "kernelConstraint": "maxNorm"}, SOFTMAX],
}  # fmt: skip
PICTURE_LAYERS: dict[str, Layers] = {
    "separableConv2d": [
        {"type": "separableConv2d", "filters": 3, "kernelSize": 3, "activation": "relu", "depthMultiplier": 2},
        {"type": "globalAveragePooling2d"}, SOFTMAX],
    "depthwiseConv2d": [
        {"type": "depthwiseConv2d", "kernelSize": [3, 2], "strides": 2, "padding": "same"},
        {"type": "averagePooling2d", "poolSize": 2}, {"type": "batchNormalization"}, {"type": "flatten"}, SOFTMAX],
    "conv2dTranspose": [
        {"type": "conv2dTranspose", "filters": 2, "kernelSize": 3, "strides": 2, "kernelInitializer": "heNormal"},
        {"type": "globalMaxPooling2d"}, SOFTMAX],
}  # fmt: skip
WALK_LAYERS: dict[str, Layers] = {
    "conv1d": [*LAYERS_OF_WALKS],
    "lstm": [{"type": "lstm", "units": 4, "returnSequences": True}, {"type": "lstm", "units": 3}, SOFTMAX],
    "gru": [{"type": "gru", "units": 4}, SOFTMAX],
    "simpleRNN": [{"type": "simpleRNN", "units": 4, "activation": "tanh"}, {"type": "dropout", "rate": 0.2}, SOFTMAX],
}


def layered(name: str) -> Written:
    if name in NUMBER_LAYERS:
        rows, normalize = sorts("abc", WORDS), name != "embedding"
        return new("classification", rows, layers=NUMBER_LAYERS[name], normalize=normalize)
    if name in PICTURE_LAYERS:
        rows = drawn(9, 12, picture(8, 6, 4))
        return new("imageClassification", rows, [8, 6, 4], layers=PICTURE_LAYERS[name])
    return new("imageClassification", drawn(10, 12, walk(12)), [12, 2], layers=WALK_LAYERS[name])


@pytest.mark.parametrize("name", NEW)
def test_ml5_answers_as_a_network_that_was_made_here(ml5_judge: Ml5Judge, name: str) -> None:
    agree(ml5_judge, NEW[name]())


@pytest.mark.parametrize("name", [*NUMBER_LAYERS, *PICTURE_LAYERS, *WALK_LAYERS])
def test_ml5_answers_as_a_network_of_layers_that_was_made_here(ml5_judge: Ml5Judge, name: str) -> None:
    agree(ml5_judge, layered(name))


def trained(name: str, data: Any = None) -> Written:
    """A golden save that has learnt on here."""
    network = ml5.load(saved_files(GOLDEN / name))
    network.train(GOLDEN / name / "data.json" if data is None else data, epochs=3, seed=1, device="cpu", progress=False)
    return Written(network, [answer["input"] for answer in answers(GOLDEN / name)])


@pytest.mark.parametrize("name", TRAINED)
def test_ml5_answers_as_its_own_network_that_has_learnt_on_here(ml5_judge: Ml5Judge, name: str) -> None:
    only_1x = "constant-column" in name  # 0.x divides by zero there, with its own files as well
    agree(ml5_judge, trained(name), ways=[way for way in EVERYWHERE if way[0] == "1.4.0" or not only_1x])


@pytest.mark.parametrize("version", VERSIONS)
def test_ml5_answers_as_a_network_of_neuroevolution_that_has_learnt(ml5_judge: Ml5Judge, version: str) -> None:
    rows = [([at % 2, at, 1, 0, -at], "up" if at % 2 else "down") for at in range(20)]
    agree(ml5_judge, trained(f"{version}-neuroevolution-classification", rows))


# Golden save -> the data that it knows, with labels that it does not know.
MORE = {
    "classification": ("colour", {"green": "grün", "red-ish": "7"}),
    "classification-numeric-labels": ("digit", {"2": "3", "1": "-1"}),
    "classification-custom-layers": ("label", {"high": "0"}),
}


def widened(name: str) -> Written:
    output, renamed = MORE[name.partition("-")[2]]
    data = json.loads((GOLDEN / name / "data.json").read_text(encoding="utf-8"))["data"]
    new = [{"xs": row["xs"], "ys": {output: renamed.get(row["ys"][output], row["ys"][output])}} for row in data]
    written = trained(name, {"data": data[::2] + new})
    assert {*renamed.values()} < {*written.network.labels}
    return written


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", MORE)
def test_ml5_knows_new_labels(ml5_judge: Ml5Judge, name: str, version: str) -> None:
    agree(ml5_judge, widened(f"{version}-{name}"))


def repaired(name: str) -> tuple[Written, dict[str, bytes]]:
    files, done = ml5.repaired_files(saved_files(GOLDEN / name))
    assert done
    return Written(ml5.load(GOLDEN / name), [answer["input"] for answer in answers(GOLDEN / name)]), files


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ["classification-numeric-labels", "custom-name"])
def test_ml5_answers_right_after_repair(ml5_judge: Ml5Judge, name: str, version: str) -> None:
    agree(ml5_judge, *repaired(f"{version}-{name}"))


def test_what_was_repaired_and_has_learnt_on_is_right_everywhere(ml5_judge: Ml5Judge) -> None:
    network = ml5.load(repaired("0.12.2-classification-numeric-labels")[1])
    data = GOLDEN / "0.12.2-classification-numeric-labels/data.json"
    network.train(data, epochs=2, seed=1, device="cpu", progress=False)
    agree(ml5_judge, Written(network, [[1, 1], [10, 1], [1, 10], {"b": 10, "a": 10}]))


SYNCED: dict[str, Callable[[], tuple[Any, ...]]] = {
    "new": lambda: (NEW["number-like labels"](), None),
    "new, beside words": lambda: (NEW["numbers and words"](), None),
    "new labels beside words": lambda: (widened("1.4.0-classification"), None),
    "new labels beside numbers": lambda: (widened("1.4.0-classification-numeric-labels"), None),
    "repaired": lambda: repaired("1.4.0-classification-numeric-labels"),
}


@pytest.mark.parametrize("name", SYNCED)
def test_classify_sync_does_not_mix_up_labels_that_are_numbers(ml5_judge: Ml5Judge, name: str) -> None:
    written, files = SYNCED[name]()
    agree(ml5_judge, written, files, [(version, "files") for version in VERSIONS], "classifySync")


@pytest.mark.parametrize("name", ["classification", "regression", "imageClassification"])
def test_ml5_answers_as_the_average(ml5_judge: Ml5Judge, name: str) -> None:
    one, other = trained(f"1.4.0-{name}"), ml5.load(GOLDEN / f"1.4.0-{name}")
    agree(ml5_judge, Written(ml5.average([one.network, other]), one.inputs))


@pytest.mark.parametrize("place", ["folder", "saved.zip"])
@pytest.mark.parametrize("name", ["model", "gesture", "größe 2 (new)"])
def test_ml5_reads_what_was_saved(ml5_judge: Ml5Judge, tmp_path: Path, name: str, place: str) -> None:
    written = trained("1.4.0-classification")
    written.network.save(tmp_path / place, name=name)
    files = {path.name: path.read_bytes() for path in unzipped(tmp_path / place).iterdir()}
    assert files == written.network.files(name)
    agree(ml5_judge, written, files, EVERYWHERE if name == "model" else NAMED)


def unzipped(place: Path) -> Path:
    if place.suffix != ".zip":
        return place
    with zipfile.ZipFile(place) as archive:
        archive.extractall(place.with_suffix(""))
    return place.with_suffix("")


@pytest.mark.parametrize("layer", [{"type": "identity"}, {"type": "groupNormalization", "groups": 1}])
def test_layers_that_ml5_does_not_have_are_refused(layer: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedError, match=r"tf\.layers"):
        new("classification", sorts("ab", WORDS), layers=[layer, SOFTMAX])
