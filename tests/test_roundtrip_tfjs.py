"""Files that this package writes, loaded by real tf.js in node: its tensors equal ours, bit for bit."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import SAMPLES, State, groups_in, json_of, judged_all, parse, quiet, strings, told, told_all, warned
from judges import CASES, JudgedTensor, TfjsJudge

from tfjs_torch import load_file, save_file, tfjs_to_torch, torch_to_tfjs, write_weights

NUMBERS = np.array([0x7FC12345, 0xFF800001, 0x80000000, 1, 0x807FFFFF, 0x7F800000, 0xFF800000, 0x3F800000], "<u4")
STATE: State = {
    "bool": torch.tensor([True, False, True]),
    "float32": torch.from_numpy(NUMBERS.view("<f4")).reshape(2, 4),
    "int32": torch.tensor([[2**31 - 1, -(2**31), 0]], dtype=torch.int32),
    "complex64": torch.from_numpy(NUMBERS.view("<c8")),
    "string": strings(b"", "é", b"\xff\0").reshape(3, 1),
    "scalar": torch.tensor(0.1),
    "empty": torch.zeros(0, 3),
    "of rank 6": torch.arange(4.0).reshape(1, 2, 1, 2, 1, 1),
}
FINITE: State = {
    "conv/kernel": torch.linspace(-1, 2, 36).reshape(3, 3, 2, 2),
    "conv/bias": torch.linspace(5, 6, 7),
    "constant": torch.full((3,), 0.3),
    "steps": torch.tensor([1, 2], dtype=torch.int32),
}
FOLDERS = sorted(path.parent for path in CASES.glob("*/expected.json"))
LAYERS_MODELS = ["js-dense", "js-conv-batchnorm", "js-lstm", "js-nested", "js-optimizer-adam"]


def assert_tfjs_reads_what_we_read(judge: TfjsJudge, json_path: Path) -> None:
    theirs = judged_all(judge.load(json_path.parent, json_path.name))
    assert quiet(theirs) == quiet(told_all(load_file(json_path)))


def edited(state_dict: State) -> State:
    """Every number changed, within what its dtype holds."""
    return {name: value if isinstance(value, np.ndarray) else _edited(value) for name, value in state_dict.items()}


def _edited(value: Any) -> Any:
    if value.dtype is torch.bool:
        return ~value
    return value * 3 + 1 if value.is_complex() else (value * 3 + 1).clamp(-1000, 1000)


def ramp(shape: tuple[int | None, ...]) -> Any:
    sizes = [size or 2 for size in shape]
    return np.linspace(-1, 1, int(np.prod(sizes)), dtype=np.float32).reshape(sizes)


def predict(judge: TfjsJudge, folder: Path) -> list[bytes]:
    inputs = [ramp(shape) for shape in judge.model(folder).inputs]
    return [output.tobytes() for output in judge.model(folder, predict=inputs).outputs]


@pytest.mark.parametrize("shard_bytes", [None, 1, 5, 8, 64])
def test_every_dtype_arrives(shard_bytes: int | None, tmp_path: Path, judge: TfjsJudge) -> None:
    save_file(STATE, tmp_path, shard_bytes=shard_bytes)
    assert quiet(judged_all(judge.load(tmp_path))) == quiet(told_all(STATE))


def test_every_dtype_arrives_through_memory(judge: TfjsJudge) -> None:
    groups, data = torch_to_tfjs(STATE)
    assert quiet(judged_all(judge.decode(groups[0]["weights"], [data]))) == quiet(told_all(STATE))


@pytest.mark.parametrize("quantize", ["uint8", "uint16", "float16", ["uint8:conv/*", "float16:constant"]], ids=str)
@pytest.mark.parametrize("shard_bytes", [None, 3])
def test_quantised_tensors_arrive(quantize: Any, shard_bytes: int | None, tmp_path: Path, judge: TfjsJudge) -> None:
    save_file(FINITE, tmp_path, quantize=quantize, shard_bytes=shard_bytes)
    assert "quantization" in parse(tmp_path / "model.json")["weightsManifest"][0]["weights"][0]
    assert_tfjs_reads_what_we_read(judge, tmp_path / "model.json")


def test_an_unpacked_zip_arrives(tmp_path: Path, judge: TfjsJudge) -> None:
    save_file(STATE, tmp_path / "model.zip")
    with zipfile.ZipFile(tmp_path / "model.zip") as archive:
        archive.extractall(tmp_path)
    assert quiet(judged_all(judge.load(tmp_path))) == quiet(told_all(STATE))


@pytest.mark.parametrize("like", [json_of(folder) for folder in FOLDERS], ids=lambda path: path.parent.name)
def test_edited_values_arrive_under_a_template(like: Path, tmp_path: Path, judge: TfjsJudge) -> None:
    state_dict = edited(load_file(like))
    with warned():  # a NaN or infinity under a quantised entry, a file that two entries share
        save_file(state_dict, tmp_path / like.name, like=like)
    assert_tfjs_reads_what_we_read(judge, tmp_path / like.name)
    exact = {e["name"] for g in groups_in(parse(tmp_path / like.name)) for e in g["weights"] if "quantization" not in e}
    found = load_file(tmp_path / like.name)
    assert all(told(found[name]) == told(state_dict[name]) for name in exact)


@pytest.mark.parametrize("quantize", ["uint8", "uint16", "float16", "float32"])
def test_a_template_can_be_quantised_on_its_way(quantize: str, tmp_path: Path, judge: TfjsJudge) -> None:
    like = CASES / "js-conv-batchnorm"
    save_file(load_file(like), tmp_path, like=like, quantize=quantize)
    assert_tfjs_reads_what_we_read(judge, tmp_path / "model.json")
    assert len(predict(judge, tmp_path)) == 1


@pytest.mark.parametrize("name", LAYERS_MODELS)
def test_an_unchanged_model_predicts_the_same(name: str, tmp_path: Path, judge: TfjsJudge) -> None:
    save_file(load_file(CASES / name), tmp_path, like=CASES / name)
    assert predict(judge, tmp_path) == predict(judge, CASES / name)


@pytest.mark.parametrize("name", LAYERS_MODELS)
def test_a_changed_model_predicts_something_else(name: str, tmp_path: Path, judge: TfjsJudge) -> None:
    state_dict = load_file(CASES / name)
    state_dict = {n: v * 0.5 if v.dtype is torch.float32 else v for n, v in state_dict.items()}
    save_file(state_dict, tmp_path, like=CASES / name)
    weights = judged_all(judge.model(tmp_path).weights)
    assert weights == {name: one for name, one in told_all(state_dict).items() if name in weights}
    assert predict(judge, tmp_path) != predict(judge, CASES / name)


@pytest.mark.parametrize("model", ["ml5-classifier", "ml5-regression"])
def test_an_edited_ml5_model_is_loaded_with_the_edit(model: str, tmp_path: Path, judge: TfjsJudge) -> None:
    state_dict = load_file(SAMPLES / model)
    state_dict["dense_Dense2/bias"] += torch.arange(len(state_dict["dense_Dense2/bias"])) + 1.0
    save_file(state_dict, tmp_path, like=SAMPLES / model)
    loaded = judge.model(tmp_path)
    assert judged_all(loaded.weights) == told_all(state_dict)
    assert predict(judge, tmp_path) != predict(judge, SAMPLES / model)


def test_what_torch_computes_is_what_tfjs_predicts(tmp_path: Path, judge: TfjsJudge) -> None:
    state_dict = load_file(SAMPLES / "ml5-regression")
    state_dict = {name: tensor * 1.5 for name, tensor in state_dict.items()}
    save_file(state_dict, tmp_path, like=SAMPLES / "ml5-regression")
    x = ramp(judge.model(tmp_path).inputs[0])
    hidden = torch.relu(torch.from_numpy(x) @ state_dict["dense_Dense1/kernel"] + state_dict["dense_Dense1/bias"])
    logits = hidden @ state_dict["dense_Dense2/kernel"] + state_dict["dense_Dense2/bias"]
    answer = judge.model(tmp_path, predict=[x]).outputs[0]
    np.testing.assert_allclose(answer, torch.sigmoid(logits).numpy(), rtol=1e-5)


def test_optimizer_state_stays_apart(tmp_path: Path, judge: TfjsJudge) -> None:
    like = CASES / "js-optimizer-adam"
    save_file(edited(load_file(like)), tmp_path, like=like)
    entries = parse(tmp_path / "model.json")["weightsManifest"][0]["weights"]
    optimizer = {e["name"] for e in entries if e.get("group") == "optimizer"}
    assert "iter" in optimizer
    assert judge.model(tmp_path).weights.keys() == {e["name"] for e in entries} - optimizer


def test_files_of_write_weights_arrive(tmp_path: Path, judge: TfjsJudge) -> None:
    arrays = {name: value if isinstance(value, np.ndarray) else value.numpy() for name, value in STATE.items()}
    write_weights([[{"name": name, "data": data} for name, data in arrays.items()]], tmp_path, 16)
    assert quiet(judged_all(judge.load(tmp_path, "weights_manifest.json"))) == quiet(told_all(STATE))


def test_what_tfjs_encodes_is_what_we_encode(judge: TfjsJudge) -> None:
    without_nan = {n: v for n, v in STATE.items() if n != "complex64"}
    arrays = {n: v if isinstance(v, np.ndarray) else v.numpy() for n, v in without_nan.items()}
    arrays["string"] = strings(*told(STATE["string"])[2]).reshape(3, 1)
    specs, data = judge.encode(JudgedTensor.of(name, array) for name, array in arrays.items())
    groups, ours = torch_to_tfjs(without_nan)
    assert (groups[0]["weights"], ours) == (specs, data)
    assert told_all(tfjs_to_torch(groups, data)) == told_all(without_nan)
