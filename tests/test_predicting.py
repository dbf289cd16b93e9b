"""tfjs-torch predict: what it prints, what it writes, how it fails."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tfjs_torch import load_model
from tfjs_torch.cli import main

CLASSIFIER = Path(__file__).resolve().parents[1] / "samples/ml5-classifier"
X = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1]], "float32")


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", X)


def run(*args: object) -> int:
    return main(["predict", *map(str, args)])


def two_inputs_two_outputs() -> Path:
    """Named a and b; the outputs are their sum, and the second one itself."""
    inputs = [{"class_name": "InputLayer", "name": n, "config": {"name": n, "batch_input_shape": [None, 2]},
               "inbound_nodes": []} for n in "ab"]  # fmt: skip
    calls = [[["a", 0, 0, {}], ["b", 0, 0, {}]]]
    both = {"class_name": "Add", "name": "sum", "config": {"name": "sum"}, "inbound_nodes": calls}
    same = {"class_name": "Activation", "name": "same", "config": {"name": "same", "activation": "linear"},
            "inbound_nodes": [[["b", 0, 0, {}]]]}  # fmt: skip
    ends = {"input_layers": [["a", 0, 0], ["b", 0, 0]], "output_layers": [["sum", 0, 0], ["same", 0, 0]]}
    topology = {"class_name": "Model", "config": {"name": "m", "layers": [*inputs, both, same], **ends}}
    Path("model.json").write_text(json.dumps({"modelTopology": topology, "weightsManifest": []}))
    return Path("model.json")


def test_a_line_is_printed_for_each_sample(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(CLASSIFIER, "x.npy") == 0
    shown = [[float(number) for number in line.split()] for line in capsys.readouterr().out.splitlines()]
    np.testing.assert_allclose(shown, load_model(CLASSIFIER).predict(X), rtol=1e-5)


def test_the_same_numbers_are_written(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(CLASSIFIER, "x.npy", "y.npy") == 0
    assert capsys.readouterr().out == "3 samples -> y.npy: dense_Dense2 [3, 4]\n"
    assert np.load("y.npy").tobytes() == load_model(CLASSIFIER).predict(X).tobytes()


def test_several_inputs_and_outputs_go_by_their_names(capsys: pytest.CaptureFixture[str]) -> None:
    np.savez("ab.npz", b=np.array([[3.0, 4.0]]), a=np.array([[10.0, 20.0]]))
    assert run(two_inputs_two_outputs(), "ab.npz", "y.npz") == 0
    with np.load("y.npz") as found:
        assert {name: found[name].tolist() for name in found.files} == {"sum": [[13, 24]], "same": [[3, 4]]}
    capsys.readouterr()
    assert run("model.json", "ab.npz") == 0
    assert capsys.readouterr().out.split() == [
        "sum,",
        "shape",
        "[1,",
        "2]",
        "13",
        "24",
        "same,",
        "shape",
        "[1,",
        "2]",
        "3",
        "4",
    ]


def test_nothing_is_overwritten_without_force(capsys: pytest.CaptureFixture[str]) -> None:
    Path("y.npy").write_text("mine")
    assert run(CLASSIFIER, "x.npy", "y.npy") == 2
    assert "--force" in capsys.readouterr().err
    assert Path("y.npy").read_text() == "mine"
    assert run(CLASSIFIER, "x.npy", "y.npy", "--force") == 0


def test_semantics_are_passed_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(CLASSIFIER, "x.npy", "--semantics", "keras") == 0
    assert len(capsys.readouterr().out.splitlines()) == 3


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["wide.npy"], "the shape [any, 3] expected, found [2, 4]"),
        (["scalar.npy"], "a batch axis expected, found a single number"),
        (["objects.npy"], "objects.npy: a .npy of plain numbers expected"),
        (["text.npy"], "text.npy: a .npy of plain numbers expected"),
        (["x.npz"], "the names dense_Dense1_input expected, found x"),
        (["nowhere.npy"], "nowhere.npy: a .npy or .npz file expected, found none"),
        (["lies.npy"], "lies.npy: a .npy of plain numbers expected"),
        (["x.npy", "y.txt"], "y.txt: a .npy or .npz to write to expected"),
    ],
)
def test_what_does_not_fit_is_told_in_one_line(args: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    np.save("wide.npy", np.zeros((2, 4)))
    np.save("scalar.npy", np.float32(1))
    np.save("objects.npy", np.array([{}], object), allow_pickle=True)
    np.save("text.npy", np.array(["a"]))
    np.savez("x.npz", x=X)
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000, 1000000), }"
    Path("lies.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    assert run(CLASSIFIER, *args) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert words in printed.err
    assert printed.err.count("\n") == 1


def test_several_outputs_need_a_npz(capsys: pytest.CaptureFixture[str]) -> None:
    np.savez("ab.npz", a=np.zeros((1, 2)), b=np.zeros((1, 2)))
    assert run(two_inputs_two_outputs(), "ab.npz", "y.npy") == 2
    assert "y.npy: a .npz for 2 outputs (sum, same) expected" in capsys.readouterr().err
