"""ml5.repair: what it writes is loaded by real ml5 0.12.2 and 1.4.0 by every route, and answers the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from judges import CASES
from ml5_judge import Ml5Judge
from ml5_situations import GOOD, INPUTS, ROUTES, SITUATIONS, TASK, VERSIONS, Files
from ml5_spoiling import META, MODEL, WEIGHTS, Document, layers, parsed, with_meta, with_model

from tfjs_torch import TfjsTorchError, errors, ml5
from tfjs_torch.errors import FilesError, MismatchError

SPOILT = {name: case.spoil(GOOD) for name, case in SITUATIONS.items()}
REPAIRABLE = [name for name, files in SPOILT.items() if any(finding.repairable for finding in ml5.check(files))]
HARMLESS = [name for name, files in SPOILT.items() if not ml5.check(files)]
# ml5.load is stricter than ml5 with these, or cannot read them before they are repaired.
NOT_READ = {"too-many-bytes", "topology-as-text", "meta-renamed", "meta-with-hyphen", "text-endings"}


def confidences(results: list[list[dict[str, Any]]]) -> list[dict[str, float]]:
    return [{one["label"]: one["confidence"] for one in result} for result in results]


def ours(files: Files) -> list[dict[str, float]]:
    with errors.collected_warnings():
        return confidences(ml5.load(files).classify(INPUTS))


def alike(found: list[dict[str, float]], right: list[dict[str, float]], tolerance: float = 1e-6) -> bool:
    if [set(one) for one in found] != [set(one) for one in right]:
        return False
    pairs = zip(found, right, strict=True)
    return all(abs(one[label] - two[label]) <= tolerance for one, two in pairs for label in one)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", REPAIRABLE)
def test_real_ml5_loads_repaired_files_by_every_route(ml5_judge: Ml5Judge, name: str, version: str) -> None:
    files, _ = ml5.repaired_files(SPOILT[name])
    right = ours(files)
    for route in ROUTES:
        assert alike(confidences(ml5_judge.ask(VERSIONS[version], route, files, TASK, INPUTS)), right), route


@pytest.mark.parametrize("name", sorted({*REPAIRABLE} - NOT_READ))
def test_repairing_keeps_the_answers(name: str) -> None:
    assert alike(ours(ml5.repaired_files(SPOILT[name])[0]), ours(SPOILT[name]))


@pytest.mark.parametrize("name", sorted({*REPAIRABLE} & NOT_READ))
def test_what_only_repair_reads_answers_like_the_good_files(name: str) -> None:
    assert alike(ours(ml5.repaired_files(SPOILT[name])[0]), ours(GOOD))


@pytest.mark.parametrize("name", REPAIRABLE)
def test_nothing_is_left_to_repair(name: str) -> None:
    files, done = ml5.repaired_files(SPOILT[name])
    assert ml5.check(files) == []
    assert done


@pytest.mark.parametrize("name", HARMLESS)
def test_good_files_come_back_byte_for_byte(name: str) -> None:
    files, _ = ml5.repaired_files(SPOILT[name])
    assert sorted(files.values()) == sorted(SPOILT[name].values())


# ---- labels that look like numbers -----------------------------------------------------------------------------------


def with_tail(*tail: Document, extra: bytes = b"", entries: list[Document] | None = None) -> Files:
    """Number-like labels, and layers behind the one that has them."""
    files = SITUATIONS["number-labels"].spoil(GOOD)

    def change(document: Document) -> None:
        layers(document)[-1]["config"]["activation"] = "linear"
        layers(document).extend(tail)
        document["weightsManifest"][0]["weights"] += entries or []

    return with_model(files, change) | {WEIGHTS: files[WEIGHTS] + extra}


ACTIVATION = {"class_name": "Activation", "config": {"name": "end", "activation": "softmax"}}
DROPOUT = {"class_name": "Dropout", "config": {"name": "drop", "rate": 0.5}}
RESHAPE = {"class_name": "Reshape", "config": {"name": "shape", "target_shape": [4]}}
NORM = {
    "class_name": "BatchNormalization",
    "config": {"name": "bn", "axis": -1, "momentum": 0.99, "epsilon": 0.001, "center": True, "scale": True},
}


def normalised() -> Files:
    names = ("gamma", "beta", "moving_mean", "moving_variance")
    entries = [{"name": f"bn/{name}", "shape": [4], "dtype": "float32"} for name in names]
    numbers = np.array([1, 0.5, 2, 1.5, 0, 1, -1, 0.5, 0.1, 0.2, 0.3, 0.4, 1, 2, 3, 4], "<f4")
    return with_tail(NORM, ACTIVATION, extra=numbers.tobytes(), entries=entries)


TAILS = {"activation": with_tail(ACTIVATION), "dropout": with_tail(DROPOUT, ACTIVATION), "normalised": normalised()}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("how", ["classify", "classifySync"])
def test_units_move_under_the_layers_behind_them(ml5_judge: Ml5Judge, tail: str, version: str, how: str) -> None:
    files, _ = ml5.repaired_files(TAILS[tail])
    found = ml5_judge.ask(VERSIONS[version], "files", files, TASK, INPUTS, how=how)
    assert alike(confidences(found), ours(TAILS[tail]))


def test_units_that_cannot_move_are_left_and_told() -> None:
    spoilt = with_tail(RESHAPE, ACTIVATION)
    files, done = ml5.repaired_files(spoilt)
    assert files == spoilt
    assert [sentence[:14] for sentence in done] == ["Left as it is:"]


def test_units_of_rounded_weights_move_as_float32() -> None:
    spoilt = SITUATIONS["quantized-uint8"].spoil(SITUATIONS["number-labels"].spoil(GOOD))
    files, _ = ml5.repaired_files(spoilt)
    assert len(files[WEIGHTS]) == 528
    assert alike(ours(files), ours(spoilt))


# ---- several things at once ------------------------------------------------------------------------------------------


def test_everything_at_once(ml5_judge: Ml5Judge) -> None:
    files = GOOD
    for name in ("number-labels", "meta-of-0-4", "quantized-float16", "keras3-batch-shape", "names-with-colon-zero"):
        files = SITUATIONS[name].spoil(files)
    files = SITUATIONS["browser-duplicates"].spoil(files)
    mended, done = ml5.repaired_files(files)
    assert len(done) == 6
    for version in VERSIONS.values():
        found = ml5_judge.ask(version, "string", mended, TASK, INPUTS)
        assert alike(confidences(found), ours(SITUATIONS["quantized-float16"].spoil(relabelled())))


def relabelled() -> Files:
    return SITUATIONS["number-labels"].spoil(GOOD)


def test_unused_nan_becomes_null() -> None:
    files = GOOD | {META: GOOD[META].replace(b'"min":0,', b'"min":NaN,', 1)}
    mended, done = ml5.repaired_files(files)
    assert done == ["The meta file holds null instead of NaN."]
    assert parsed(mended, META)["outputs"]["colour"]["min"] is None


def test_sizes_are_the_networks_own() -> None:
    files = with_meta(GOOD, lambda d: d.update(inputUnits=[7], outputUnits=9))
    mended, _ = ml5.repaired_files(files)
    assert mended == GOOD


def test_a_cells_name_goes_out_of_the_weights_names() -> None:
    with errors.collected_warnings():
        files, _ = ml5.repaired_files(recurrent("lstm/lstm_cell/"))
    entries = parsed(files, MODEL)["weightsManifest"][0]["weights"]
    assert [entry["name"] for entry in entries][:2] == ["lstm/kernel", "lstm/recurrent_kernel"]


def recurrent(scope: str) -> Files:
    config = {"name": "lstm", "units": 4, "activation": "tanh", "recurrent_activation": "sigmoid"}
    lstm = {"class_name": "LSTM", "config": config | {"batch_input_shape": [None, 6, 2]}}
    shapes = {"kernel": [2, 16], "recurrent_kernel": [4, 16], "bias": [16]}
    entries = [{"name": scope + name, "shape": shape, "dtype": "float32"} for name, shape in shapes.items()]
    document = {
        "modelTopology": {"class_name": "Sequential", "config": {"name": "s", "layers": [lstm]}},
        "weightsManifest": [{"paths": ["./model.weights.bin"], "weights": entries}],
    }
    meta = parsed(GOOD, META) | {"inputUnits": [6, 2], "inputs": {"xy": {"dtype": "array", "min": 0, "max": 1}}}
    weights = np.linspace(-1, 1, 112).astype("<f4").tobytes()
    return {MODEL: json.dumps(document).encode(), META: json.dumps(meta).encode(), WEIGHTS: weights}


def graph_of_keras3(files: Files) -> Files:
    """As model.to_json() of Keras 3 writes calls, ends, shapes and types."""

    def change(document: Document) -> None:
        config = document["modelTopology"]["config"]
        for layer in config["layers"]:
            tensors = [{"class_name": "__keras_tensor__", "config": {"keras_history": ref[:3]}}
                       for node in layer["inbound_nodes"] for ref in node]  # fmt: skip
            layer["inbound_nodes"] = [{"args": tensors, "kwargs": {}}] if tensors else []
            layer["config"]["dtype"] = {"class_name": "DTypePolicy", "config": {"name": "float32"}}
            if "batch_input_shape" in layer["config"]:
                layer["config"]["batch_shape"] = layer["config"].pop("batch_input_shape")
        config.update({key: config[key][0] for key in ("input_layers", "output_layers")})

    return with_model(SITUATIONS["graph-as-functional"].spoil(files), change)


def lone_ends(files: Files) -> Files:
    ends = {"input_layers": ["in", 0, 0]}
    return with_model(SITUATIONS["graph-as-model"].spoil(files), lambda d: d["modelTopology"]["config"].update(ends))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("spoil", [graph_of_keras3, lone_ends])
def test_graphs_of_keras3_become_those_of_before(ml5_judge: Ml5Judge, spoil: Any, version: str) -> None:
    files, _ = ml5.repaired_files(spoil(GOOD))
    assert alike(confidences(ml5_judge.ask(VERSIONS[version], "object", files, TASK, INPUTS)), ours(GOOD))


# ---- where to, and what not ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("out", ["folder", "files.zip"])
def test_repair_writes_a_folder_or_a_zip(tmp_path: Path, out: str) -> None:
    assert ml5.repair(SPOILT["browser-duplicates"], tmp_path / out)
    assert ml5.check(tmp_path / out) == []


def test_repair_may_write_where_it_reads(tmp_path: Path) -> None:
    for name, data in SPOILT["meta-of-0-4"].items():
        (tmp_path / name).write_bytes(data)
    ml5.repair(tmp_path, tmp_path)
    assert ml5.check(tmp_path) == []


def test_another_name_is_given_to_all_three() -> None:
    files, _ = ml5.repaired_files(GOOD, "gesture")
    assert list(files) == ["gesture.weights.bin", "gesture_meta.json", "gesture.json"]
    assert parsed(files, "gesture.json")["weightsManifest"][0]["paths"] == ["./gesture.weights.bin"]


REFUSED: dict[str, tuple[str, str]] = {
    "meta-missing": ("model_meta.json", "missing"),
    "weights-missing": ("model.weights.bin", "model.weights.bin is not there"),
    "model-missing": ("model.json", "only model_meta.json and model.weights.bin there"),
    "never-trained": ("model.json", "before it was trained"),
    "meta-with-null-range": ("model_meta.json", "range"),
    "too-few-bytes": ("model.weights.bin", "528 bytes"),
    "weight-not-listed": ("model.json", "do not fit"),
    "graph-model": ("model.json", "graph-model"),
    "input-missing": ("model_meta.json", "another save"),
    "model-not-json": ("model.json", "JSON expected"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_mended_is_refused_in_plain_words(name: str, tmp_path: Path) -> None:
    where, said = REFUSED[name]
    with pytest.raises(MismatchError, match=said) as caught:
        ml5.repair(SPOILT[name], tmp_path / "out")
    assert caught.value.where == where
    assert not (tmp_path / "out").exists()


BAD_CALLS: dict[str, tuple[Callable[[], Any], type[TfjsTorchError]]] = {
    "a name with a slash": (lambda: ml5.repaired_files(GOOD, "a/b"), MismatchError),
    "no name": (lambda: ml5.repaired_files(GOOD, ""), MismatchError),
    "a JSON to write to": (lambda: ml5.repair(GOOD, "out/model.json"), FilesError),
    "a number": (lambda: ml5.repair(7, "out"), FilesError),
    "nothing there": (lambda: ml5.repair("not/there", "out"), FilesError),
}


@pytest.mark.parametrize("call", BAD_CALLS)
def test_wrong_calls_say_what_is_wrong(call: str) -> None:
    wrong, error = BAD_CALLS[call]
    with pytest.raises(error):
        wrong()


# ---- real saves of every task ----------------------------------------------------------------------------------------


def saved(folder: Path) -> Files:
    return {f.name: f.read_bytes() for f in folder.iterdir() if f.name not in ("data.json", "expected.json")}


def spoilt_all_over(files: Files) -> Files:
    """In two shards of which ml5 1.x misreads one, under names that no layer has, in Keras 3's form."""
    (name,) = [name for name in files if name.endswith(".bin")]
    (model,) = [name for name in files if name.endswith(".json") and "_meta" not in name]
    document = json.loads(files[model])
    (group,) = document["weightsManifest"]
    group["paths"] = ["a.bin", "b.bin"]
    for entry in group["weights"]:
        entry["name"] = f"model/{entry['name']}:0"
    first = document["modelTopology"]["config"]["layers"][0]["config"]
    first["batch_shape"] = first.pop("batch_input_shape")
    shards = {"a.bin": files[name][:8], "b.bin": files[name][8:]}
    return {model: json.dumps(document).encode(), **shards} | {n: d for n, d in files.items() if "_meta" in n}


def numbers(results: list[dict[str, Any]]) -> dict[str, float]:
    return {one["label"]: one["confidence" if "confidence" in one else "value"] for one in results}


GOLDEN = sorted((CASES / "ml5").glob("1.4.0-*"))


@pytest.mark.parametrize("folder", GOLDEN, ids=lambda folder: str(folder.name))
def test_real_saves_of_every_task_answer_as_before_they_were_spoilt(ml5_judge: Ml5Judge, folder: Path) -> None:
    files, _ = ml5.repaired_files(spoilt_all_over(saved(folder)))
    told = json.loads((folder / "expected.json").read_text())
    asked, how, task = told["beforeSaving"][:2], told["options"]["how"], told["options"]["options"]["task"]
    versions = ["1.4.0"] if "constant-column" in folder.name else ["1.4.0", "0.12.2"]
    for version in versions:
        found = ml5_judge.ask(version, "string", files, task, [one["input"] for one in asked])
        assert [numbers(one) for one in found] == [pytest.approx(numbers(one["ml5"][how]), rel=1e-6) for one in asked]
