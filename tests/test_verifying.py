"""verify: what it says of models that agree with tf.js, that depart, and that tf.js refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tfjs_torch import UnsupportedError, load_model, node, read_artifacts, save_model
from tfjs_torch.cli import main
from tfjs_torch.sample_inputs import draw_inputs
from tfjs_torch.verifying import Report, compare_with_tfjs, verify

CLASSIFIER = Path(__file__).resolve().parents[1] / "samples/ml5-classifier"
X = np.array([[1, 0, 0], [0, 0.5, 0]], "float32")


def layer(class_name: str, name: str, **config: Any) -> dict[str, Any]:
    return {"class_name": class_name, "config": {"name": name, **config}}


def sequential(name: str | None, *layers: dict[str, Any]) -> dict[str, Any]:
    """Without a name in the form of old files: a bare list."""
    return {"class_name": "Sequential", "config": {"name": name, "layers": list(layers)} if name else list(layers)}


def model(topology: Any, **weights: tuple[int, ...]) -> dict[str, bytes]:
    """A model's files; the weights' names have __ for a slash."""
    random = np.random.default_rng(0)
    names = [name.replace("__", "/") for name in weights]
    entries = [{"name": n, "shape": s, "dtype": "float32"} for n, s in zip(names, weights.values(), strict=True)]
    document = {"modelTopology": topology, "weightsManifest": [{"paths": ["w.bin"], "weights": entries}]}
    data = b"".join(random.normal(size=shape).astype("<f4").tobytes() for shape in weights.values())
    return {"model.json": json.dumps(document).encode(), "w.bin": data}


def changed(where: str, by: float) -> Report:
    """The classifier, after one number of it has changed on our side."""
    ours = load_model(CLASSIFIER)
    with torch.no_grad():
        ours.get_parameter(where).view(-1)[0] += by
    return compare_with_tfjs(ours, read_artifacts(CLASSIFIER), X, 1e-5)


EMBEDDED = model(
    sequential(
        "outer",
        layer("Embedding", "ids", input_dim=5, output_dim=3, mask_zero=True, batch_input_shape=[None, None]),
        layer("SimpleRNN", "rnn", units=2, return_sequences=True),
        layer("SimpleRNN", "last", units=2),
    ),
    ids__embeddings=(5, 3),
    rnn__kernel=(3, 2),
    rnn__recurrent_kernel=(2, 2),
    rnn__bias=(2,),
    last__kernel=(2, 2),
    last__recurrent_kernel=(2, 2),
    last__bias=(2,),
)


TWICE = [
    {**layer("InputLayer", "x", batch_input_shape=[None, 3]), "name": "x", "inbound_nodes": []},
    {**layer("Dense", "d", units=3), "name": "d", "inbound_nodes": [[["x", 0, 0, {}]], [["d", 0, 0, {}]]]},
]


def functional(layers: list[dict[str, Any]], output: str) -> dict[str, Any]:
    ends = {"input_layers": [["x", 0, 0]], "output_layers": [[output, 1, 0]]}
    return {"class_name": "Model", "config": {"name": "m", "layers": layers, **ends}}


def test_every_layer_of_an_ml5_model_agrees_with_tfjs() -> None:
    report = verify(CLASSIFIER)
    assert [(row.name, row.class_name, row.shape) for row in report.layers] == [
        ("dense_Dense1", "Dense", (2, 16)),
        ("dense_Dense2", "Dense", (2, 4)),
    ]
    assert report.ok
    assert report.first_departure is None
    assert str(report).splitlines()[-1] == f"all 2 layers within 1e-05 of tf.js {report.tfjs_version}"


def test_inputs_may_be_given_and_may_be_named() -> None:
    assert verify(CLASSIFIER, inputs=X).ok
    assert verify(CLASSIFIER, inputs={"dense_Dense1_input": X}).layers == verify(CLASSIFIER, inputs=[X]).layers


def test_the_first_layer_that_departs_is_named() -> None:
    report = changed("dense_Dense2.bias", 0.25)
    assert [row.ok for row in report.layers] == [True, False]
    assert report.first_departure is report.layers[1]
    assert not report.ok
    assert str(report).splitlines()[-1].startswith("dense_Dense2 (Dense) is the first to depart from tf.js")


def test_a_departure_goes_on_through_the_layers_behind_it() -> None:
    assert [row.ok for row in changed("dense_Dense1.bias", 1.0).layers] == [False, False]


def test_the_difference_is_measured_in_tfjs_own_magnitude() -> None:
    row = changed("dense_Dense1.bias", 0.5).layers[0]
    reference = load_model(CLASSIFIER).get_layer("dense_Dense1")(torch.from_numpy(X)).abs().max().item()
    assert row.max_abs == pytest.approx(0.5, rel=1e-5)
    assert row.relative == pytest.approx(0.5 / reference, rel=1e-5)


def test_nan_in_both_is_no_difference_and_in_one_is_infinite() -> None:
    assert verify(CLASSIFIER, inputs=np.full((1, 3), np.nan, "float32")).ok
    assert changed("dense_Dense2.bias", np.nan).layers[1].max_abs == np.inf


def test_ids_are_drawn_within_the_embedding_and_masks_are_the_same() -> None:
    report = verify(EMBEDDED)
    assert report.ok
    assert [row.shape for row in report.layers] == [(2, 7, 3), (2, 7, 2), (2, 2)]


def test_ids_that_reach_an_embedding_by_a_detour_are_within_it_too() -> None:
    shaped = layer("Reshape", "shaped", target_shape=[4], batch_input_shape=[None, 2, 2])
    files = model(sequential("s", shaped, layer("Embedding", "ids", input_dim=3, output_dim=2)), ids__embeddings=(3, 2))
    (ids,) = draw_inputs(load_model(files))
    assert set(ids.ravel().tolist()) == {0, 1, 2}
    assert verify(files).ok


def test_nested_models_are_compared_as_wholes_and_inside() -> None:
    inner = sequential("inner", layer("Dense", "a", units=4), layer("Dense", "b", units=4))
    files = model(
        sequential("outer", layer("Dense", "first", units=3, batch_input_shape=[None, 2]), with_input(inner, 3)),
        first__kernel=(2, 3), first__bias=(3,), a__kernel=(3, 4), a__bias=(4,), b__kernel=(4, 4), b__bias=(4,),
    )  # fmt: skip
    report = verify(files)
    assert [row.name for row in report.layers] == ["first", "inner/a", "inner/b", "inner"]
    assert report.ok


def test_nested_models_without_a_name_are_found_too() -> None:
    files = model(
        sequential(None, with_input(sequential(None, layer("Dense", "a", units=4)), 3),
                   with_input(sequential(None, layer("Dense", "b", units=2)), 4)),
        a__kernel=(3, 4), a__bias=(4,), b__kernel=(4, 2), b__bias=(2,),
    )  # fmt: skip
    report = verify(files)
    assert report.ok
    assert [row.name for row in report.layers if row.class_name == "Dense"] == ["sequential_1/a", "sequential_2/b"]


def with_input(node_: dict[str, Any], size: int) -> dict[str, Any]:
    layers = node_["config"]["layers"] if isinstance(node_["config"], dict) else node_["config"]
    layers[0]["config"]["batch_input_shape"] = [None, size]
    return node_


def test_a_layer_called_twice_has_two_rows() -> None:
    report = verify(model(functional(TWICE, "d"), d__kernel=(3, 3), d__bias=(3,)))
    assert [row.name for row in report.layers] == ["d", "d (call 2)"]
    assert report.ok


def test_what_tfjs_refuses_is_told_in_its_own_words(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    files = model(sequential("s", layer("Dense", "d", units=2, activation="silu", batch_input_shape=[None, 3])),
                  d__kernel=(3, 2), d__bias=(2,))  # fmt: skip
    report = verify(files)
    assert "Unknown activation" in report.refused
    assert (report.ok, report.layers, report.outputs) == (False, [], [])
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    assert main(["verify", str(tmp_path)]) == 1
    assert "refuses this model: Unknown activation" in capsys.readouterr().out


def test_a_model_that_tfjs_loads_without_an_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = {**layer("Flatten", "waits"), "name": "waits", "inbound_nodes": [[["d", 5, 0, {}]]]}
    monkeypatch.setattr(node, "_SECONDS_TO_LOAD", 3)
    files = model(functional([*TWICE, waits], "d"), d__kernel=(3, 3), d__bias=(3,))
    assert "without an end" in verify(files).refused


def test_a_missing_node_is_told_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UnsupportedError, match=r"no node on PATH; install Node\.js.*npm install @tensorflow/tfjs"):
        verify(CLASSIFIER)


def test_a_missing_tfjs_is_told_with_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TFJS_TORCH_NODE_MODULES", str(tmp_path))
    with pytest.raises(UnsupportedError, match="found none; install it: npm install @tensorflow/tfjs"):
        verify(CLASSIFIER)


def test_tfjs_is_found_above_the_current_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = tmp_path / "node_modules/@tensorflow/tfjs/package.json"
    package.parent.mkdir(parents=True)
    package.write_text("{}")
    (tmp_path / "deep/deeper").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "deep/deeper")
    assert node.find_tfjs().modules == tmp_path / "node_modules"


def test_the_command_prints_every_layer_and_exits_with_what_it_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "x.npy", X)
    assert main(["verify", str(CLASSIFIER), "--inputs", str(tmp_path / "x.npy")]) == 0
    shown = capsys.readouterr().out
    for words in (
        "layer",
        "relative",
        "dense_Dense1  ",
        "Dense  2x16",
        "output 0: dense_Dense2",
        "all 2 layers within",
    ):
        assert words in shown
    assert main(["verify", str(CLASSIFIER), "--tolerance", "0"]) == 1
    assert "is the first to depart" in capsys.readouterr().out


def test_the_command_prints_json_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(CLASSIFIER), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["ok"], found["first_departure"], found["layers"][0]["shape"]) == (True, None, [2, 16])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--inputs", "nowhere.npy"], "nowhere.npy: a .npy or .npz file expected, found none"),
        (["--inputs", "wide.npy"], "the shape [any, 3] expected, found [2, 4]"),
        (["--inputs", "other.npz"], "the names dense_Dense1_input expected, found x"),
        (["--inputs", "wide.npy", "wide.npy"], "--inputs: 1 file expected (dense_Dense1_input), found 2"),
        (["--inputs", "wide.npy", "other.npz"], "found both"),
        (["--tolerance", "-1"], "--tolerance"),
    ],
)
def test_wrong_inputs_are_told_in_one_line(
    options: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("wide.npy", np.zeros((2, 4)))
    np.savez("other.npz", x=X)
    assert main(["verify", str(CLASSIFIER), *options]) == 2
    assert words in capsys.readouterr().err


def test_a_trained_model_agrees_once_it_is_saved(tmp_path: Path) -> None:
    ours = load_model(CLASSIFIER)
    with torch.no_grad():
        ours.get_parameter("dense_Dense1.bias").add_(1)
    save_model(ours, tmp_path)
    assert verify(tmp_path).ok
