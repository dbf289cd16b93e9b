"""New layers-models: the weights that tf.js would make, and models with other units at their end."""

from __future__ import annotations

from typing import Any

import layer_cases
import pytest
import torch
from test_layers import BY_TFJS

from tfjs_torch import MismatchError, TopologyError, UnsupportedError, load_model, outline, read_artifacts
from tfjs_torch.building import sequential, tensors_of, widened
from tfjs_torch.layers.shapes import _RULES, head_of, weight_shapes
from tfjs_torch.topology import layers_of


def known_layers() -> list[tuple[str, str, dict[str, Any], tuple[int, ...], dict[str, tuple[int, ...]]]]:
    """(case, class, config, input shape, weights in the file) of the golden models of real tf.js."""
    found = []
    for path in BY_TFJS:
        artifacts = read_artifacts(layer_cases.load(path).files)
        seen = outline(artifacts)
        made: dict[str, Any] = {entry.name: entry.output_shape for entry in seen.layers}
        made |= {port.name: port.shape for port in seen.inputs}
        specs = {spec.name: spec.shape for spec in artifacts.manifest.specs}
        configs = {layer.name: layer.config for layer in layers_of(artifacts.model_json["modelTopology"])}
        for entry in seen.layers:
            shape = made.get(entry.inputs[0]) if entry.inputs else None
            if entry.class_name not in _RULES or shape is None or None in shape[1:] or entry.depth:
                continue
            own = {n.removeprefix(f"{entry.name}/"): s for n, s in specs.items() if n.startswith(f"{entry.name}/")}
            config = configs[entry.name]
            odd = any(key != key.lower() for key in config) or any("/" in name for name in own)  # as Keras names them
            if own and config.get("data_format") != "channels_first" and not odd:
                found.append((layer_cases.name_of(path), entry.class_name, config, shape[1:], own))
    return found


def test_new_layers_have_the_weights_that_tfjs_makes() -> None:
    cases = known_layers()
    assert {case[1] for case in cases} == set(_RULES)
    for name, class_name, config, shape, own in cases:
        assert weight_shapes(class_name, config, shape) == own, name


@pytest.mark.parametrize(
    ("class_name", "config", "shape", "error"),
    [
        ("Dense", {}, (3,), TopologyError),
        ("Dense", {"units": 0}, (3,), TopologyError),
        ("Dense", {"units": 2}, (), MismatchError),
        ("Conv2D", {"filters": 2, "kernel_size": [3]}, (8, 8, 1), TopologyError),
        ("Conv2D", {"filters": 2, "kernel_size": 3, "data_format": "channels_first"}, (1, 8, 8), UnsupportedError),
        ("BatchNormalization", {"axis": 4}, (3,), TopologyError),
    ],
)
def test_layers_that_cannot_be_made_are_refused(
    class_name: str, config: dict[str, Any], shape: tuple[int, ...], error: type[Exception]
) -> None:
    with pytest.raises(error):
        weight_shapes(class_name, config, shape)


def dense(units: int, **options: Any) -> dict[str, Any]:
    return {"class_name": "Dense", "config": {"units": units, **options}}


def test_one_seed_draws_the_same_weights_and_leaves_torchs_own_alone() -> None:
    torch.manual_seed(5)
    wanted = torch.rand(1)
    torch.manual_seed(5)
    one, two = sequential([dense(4)], (3,), seed=1), sequential([dense(4)], (3,), seed=1)
    assert torch.equal(torch.rand(1), wanted)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))


def test_weights_are_drawn_as_tfjs_draws_them() -> None:
    weight = sequential([dense(400)], (400,), seed=2).state_dict()["dense_Dense1.weight"]
    assert float(weight.std()) == pytest.approx((2 / 800) ** 0.5 * 0.88, rel=0.02)  # normal, cut at two deviations
    assert float(weight.abs().max()) <= 2 * (2 / 800) ** 0.5


def test_an_lstm_begins_by_remembering() -> None:
    model = sequential([{"class_name": "LSTM", "config": {"units": 3}}], (5, 2), seed=1)
    assert tensors_of(model)["lstm_LSTM1/bias"].tolist() == [0] * 3 + [1] * 3 + [0] * 6


def test_names_are_those_of_tfjs() -> None:
    pool = {"class_name": "MaxPooling2D", "config": {"pool_size": [2, 2]}}
    model = sequential([pool, pool, {"class_name": "Flatten", "config": {}}, dense(2)], (8, 8, 1))
    assert model.layers == [
        "max_pooling2d_MaxPooling2D1", "max_pooling2d_MaxPooling2D2", "flatten_Flatten1", "dense_Dense1",
    ]  # fmt: skip


def test_a_wider_head_keeps_what_the_others_answer() -> None:
    model, x = load_model("samples/ml5-classifier"), torch.rand(5, 3)
    wider = widened(model, [3, None, 0, 1, 2], seed=1)
    old, new = model(x), wider(x)[:, [2, 3, 4, 0]]
    assert torch.allclose(new / new.sum(1, keepdim=True), old, atol=1e-6)


def test_a_head_is_found_behind_an_activation_and_in_nested_models() -> None:
    inner = {"class_name": "Sequential", "config": {"name": "s", "layers": [dense(2, name="last")]}}
    soft = {"class_name": "Activation", "config": {"name": "a", "activation": "softmax"}}
    assert head_of({"class_name": "Sequential", "config": {"layers": [inner, soft]}}).bias == "last/bias"
    first, last = {"name": "x", **dense(3, name="x"), "inbound_nodes": []}, {"name": "y", **dense(2, name="y")}
    last["inbound_nodes"] = [[["x", 0, 0, {}]]]
    model = {"class_name": "Model", "config": {"layers": [last, first], "output_layers": [["y", 0, 0]]}}
    assert head_of(model).kernel == "y/kernel"


@pytest.mark.parametrize("topology", [None, {}, {"config": []}, {"config": {"layers": [1]}}])
def test_models_without_layers_have_no_head(topology: Any) -> None:
    with pytest.raises(TopologyError):
        head_of(topology)


def test_a_model_that_ends_in_something_else_cannot_be_widened() -> None:
    model = sequential([{"class_name": "Flatten", "config": {}}], (2, 2))
    with pytest.raises(UnsupportedError, match="Flatten"):
        widened(model, [0, None])


def test_frozen_layers_stay_frozen() -> None:
    model = load_model("samples/ml5-classifier")
    model.dense_Dense1.requires_grad_(False)
    assert [p.requires_grad for p in widened(model, [0, 1, 2, 3, None]).parameters()] == [False, False, True, True]
