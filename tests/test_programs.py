"""Models as programs (.pt2, .onnx), and weights under torch's own names (--layout torch)."""

from __future__ import annotations

from importlib import util
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import safetensors.torch
import torch

from tfjs_torch import FilesError, MismatchError, UnsupportedError, load_file, load_model
from tfjs_torch import programs as programs_room
from tfjs_torch.cli import main
from tfjs_torch.programs import save_program

CLASSIFIER = Path(__file__).resolve().parents[1] / "samples/ml5-classifier"


def run(*args: object) -> int:
    return main(["convert", *map(str, args)])


@pytest.mark.parametrize("samples", [1, 3])
def test_a_pt2_computes_what_the_model_does_for_any_number_of_samples(samples: int, tmp_path: Path) -> None:
    model = load_model(CLASSIFIER)
    assert run(CLASSIFIER, tmp_path / "model.pt2") == 0
    program = torch.export.load(tmp_path / "model.pt2").module()
    x = torch.rand(samples, 3)
    assert torch.equal(program(x), model(x))


@pytest.mark.parametrize("samples", [1, 3])
def test_an_onnx_computes_what_the_model_does_under_tfjs_names(samples: int, tmp_path: Path) -> None:
    model = load_model(CLASSIFIER)
    assert run(CLASSIFIER, tmp_path / "model.onnx") == 0
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    x = np.random.default_rng(0).random((samples, 3), "float32")
    assert [output.name for output in session.get_outputs()] == ["dense_Dense2"]
    np.testing.assert_allclose(session.run(None, {"dense_Dense1_input": x})[0], model.predict(x), atol=1e-6)


def test_the_command_tells_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(CLASSIFIER, tmp_path / "model.pt2") == 0
    assert "2 layers, 132 parameters -> " in capsys.readouterr().out


def test_a_model_in_training_is_written_for_use_and_stays_in_training(tmp_path: Path) -> None:
    model = load_model(CLASSIFIER).train()
    save_program(model, tmp_path / "model.pt2")
    assert model.training
    assert model.get_layer("dense_Dense1").training


def test_onnx_without_its_packages_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(programs_room, "find_spec", lambda name: None if name == "onnxscript" else util.find_spec(name))
    with pytest.raises(UnsupportedError, match=r"found onnxscript missing; pip install tfjs_torch\[onnx\]"):
        save_program(load_model(CLASSIFIER), tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_only_models_and_only_known_endings_become_programs(tmp_path: Path) -> None:
    with pytest.raises(MismatchError, match="a model from load_model expected, found Linear"):
        save_program(torch.nn.Linear(1, 1), tmp_path / "a.pt2")  # type: ignore[arg-type]
    with pytest.raises(FilesError, match=r"\.pt2 or \.onnx expected"):
        save_program(load_model(CLASSIFIER), tmp_path / "a.pt")


@pytest.mark.parametrize("suffix", ["safetensors", "npz", "pt"])
def test_torch_names_survive_the_way_there_and_back(suffix: str, tmp_path: Path) -> None:
    middle = tmp_path / f"w.{suffix}"
    assert run(CLASSIFIER, middle, "--layout", "torch") == 0
    assert run(middle, tmp_path / "back", "--layout", "torch", "--like", CLASSIFIER) == 0
    for name in ("model.json", "model_meta.json", "model.weights.bin"):
        assert (tmp_path / "back" / name).read_bytes() == (CLASSIFIER / name).read_bytes()


def test_weights_in_the_layout_of_torch_load_into_a_plain_module(tmp_path: Path) -> None:
    assert run(CLASSIFIER, tmp_path / "w.safetensors", "--layout", "torch") == 0
    state_dict = safetensors.torch.load_file(tmp_path / "w.safetensors")
    own = torch.nn.Linear(3, 16)
    own.load_state_dict({key: state_dict[f"dense_Dense1.{key}"] for key in ("weight", "bias")})
    x = torch.rand(2, 3)
    assert torch.equal(load_model(CLASSIFIER).get_layer("dense_Dense1")(x), own(x).relu())


def test_quantize_goes_with_the_layout_of_torch(tmp_path: Path) -> None:
    run(CLASSIFIER, tmp_path / "w.pt", "--layout", "torch")
    assert (
        run(tmp_path / "w.pt", tmp_path / "q", "--layout", "torch", "--like", CLASSIFIER, "--quantize", "float16") == 0
    )
    kernel = load_file(CLASSIFIER)["dense_Dense1/kernel"]
    assert torch.equal(load_file(tmp_path / "q")["dense_Dense1/kernel"], kernel.half().float())


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ([CLASSIFIER, "out", "--layout", "torch"], "--layout torch: a model as SRC and a .safetensors"),
        (["w.pt", "out", "--layout", "torch"], "the other way round with --like MODEL"),
        (["w.pt", "w.npz", "--layout", "torch"], "--layout torch: a model as SRC"),
        ([CLASSIFIER, "out.pt2", "--quantize", "uint8"], "--quantize: another DST than out.pt2 expected"),
        ([CLASSIFIER, "out.onnx", "--shard-size", "4MiB"], "--shard-size: another DST than out.onnx expected"),
        (["w.pt", "out.onnx"], "w.pt: a model with layers as SRC expected, found weights"),
    ],
)
def test_what_does_not_go_together_is_told_in_one_line(
    args: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run(CLASSIFIER, "w.pt", "--layout", "torch")
    capsys.readouterr()
    assert run(*args) == 2
    printed = capsys.readouterr()
    assert words in printed.err
    assert printed.err.count("\n") == 1
    assert [file.name for file in tmp_path.iterdir()] == ["w.pt"]
