"""Each sample runs as a user would run it, and does what it says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tfjs_torch import UnsupportedError, load_file, load_model, read_artifacts

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
MODELS = ["ml5-classifier", "ml5-regression"]


def run(script: str, *args: object) -> str:
    done = subprocess.run(
        [sys.executable, SAMPLES / script, *map(str, args)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("model", MODELS)
def test_a_pruned_model_has_zeros_and_the_same_files(model: str, tmp_path: Path) -> None:
    run("roundtrip.py", SAMPLES / model, tmp_path, "--fraction", 0.5)
    for name, tensor in load_file(tmp_path).items():
        if name.endswith("kernel"):
            assert int((tensor == 0).sum()) == tensor.numel() // 2
    for unchanged in ("model.json", "model_meta.json"):
        assert (tmp_path / unchanged).read_bytes() == (SAMPLES / model / unchanged).read_bytes()
    assert {file.name for file in tmp_path.iterdir()} == {"model.json", "model_meta.json", "model.weights.bin"}


def test_the_average_of_a_model_and_its_pruned_self_lies_between(tmp_path: Path) -> None:
    run("roundtrip.py", SAMPLES / "ml5-classifier", tmp_path / "pruned")
    run("average_models.py", tmp_path / "mean", SAMPLES / "ml5-classifier", tmp_path / "pruned", "--weights", 3, 1)
    whole, pruned = load_file(SAMPLES / "ml5-classifier"), load_file(tmp_path / "pruned")
    for name, tensor in load_file(tmp_path / "mean").items():
        assert torch.equal(tensor, (whole[name].double() * 0.75 + pruned[name].double() * 0.25).float())


def test_models_of_different_sketches_are_not_averaged(tmp_path: Path) -> None:
    places = [tmp_path, *(SAMPLES / model for model in MODELS)]
    command = [sys.executable, str(SAMPLES / "average_models.py"), *map(str, places)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "the same layers" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("model", MODELS)
def test_the_samples_are_what_ml5_saves(model: str) -> None:
    artifacts = read_artifacts(SAMPLES / model)
    assert list(artifacts.model_json) == ["modelTopology", "weightsManifest"]
    assert artifacts.manifest.paths == ["./model.weights.bin"]
    assert list(artifacts.sidecars) == ["model_meta.json"]


def test_a_layer_of_ones_own_is_taught_to_load_model(tmp_path: Path) -> None:
    config = {"name": "twice", "batch_input_shape": [None, 3]}
    layers = [{"class_name": "Antirectifier", "config": config}]
    document = {
        "modelTopology": {"class_name": "Sequential", "config": {"name": "net", "layers": layers}},
        "weightsManifest": [{"paths": [], "weights": []}],
    }
    (tmp_path / "model.json").write_text(json.dumps(document))
    assert "(twice): Module()" in run("custom_layer.py", tmp_path)
    with pytest.raises(UnsupportedError, match=r"found 'Antirectifier'; write it in torch"):
        load_model(tmp_path)


def test_a_net_trained_in_torch_answers_the_same_in_tfjs(tmp_path: Path) -> None:
    said = run("train_in_torch.py", tmp_path / "net", "--steps", 20)
    assert "layers within 1e-05 of tf.js" in said
    assert (tmp_path / "net/model.json").is_file()
