"""Training: one step of gradient descent as tf.js does it, dropout and statistics, initializers, penalties, limits."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import layer_cases
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tfjs_torch import load_file, load_model, save_model

pytestmark = pytest.mark.filterwarnings("ignore::tfjs_torch.TfjsTorchWarning")

# Where the gradient of tf.js is no gradient, so that nothing is to be learnt from it (all backends alike, then cpu).
WRONG_IN_TFJS = {
    "average_pooling2d": "divides by the whole window, though the forward pass does not count the padding",
    "up_sampling2d": "mixes up the samples of a batch",
}
CASES = [path for path in sorted(layer_cases.GRADIENTS.glob("*.json")) if path.stem not in WRONG_IN_TFJS]
TINY = 1e-7


def categorical(made: Tensor, wanted: Tensor) -> Tensor:
    shares = (made / made.sum(-1, keepdim=True)).clamp(TINY, 1 - TINY)
    return -(wanted * shares.log()).sum(-1).mean()


def binary(made: Tensor, wanted: Tensor) -> Tensor:
    logits = (made.clamp(TINY, 1 - TINY) / (1 - made.clamp(TINY, 1 - TINY))).log()
    return F.binary_cross_entropy_with_logits(logits, wanted)


# As tfjs-layers/src/losses.ts defines them.
LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "meanSquaredError": F.mse_loss,
    "meanAbsoluteError": F.l1_loss,
    "meanSquaredLogarithmicError": lambda made, wanted: F.mse_loss(made.clamp(min=TINY).log1p(), wanted.log1p()),
    "categoricalCrossentropy": categorical,
    "sparseCategoricalCrossentropy": lambda made, wanted: F.nll_loss(made.log(), wanted.flatten().long()),
    "binaryCrossentropy": binary,
    "hinge": lambda made, wanted: (1 - made * wanted).clamp(min=0).mean(),
    "cosineProximity": lambda made, wanted: -(F.normalize(made, dim=-1) * F.normalize(wanted, dim=-1)).sum(-1).mean(),
    "logcosh": lambda made, wanted: (made - wanted).cosh().log().mean(),
}


@pytest.mark.parametrize("path", CASES, ids=layer_cases.name_of)
def test_one_step_of_gradient_descent_is_that_of_tfjs(path: Path, tmp_path: Path) -> None:
    case = layer_cases.load_gradients(path)
    model = load_model(case.files).train()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], case.learning_rate)
    made = model(*map(torch.from_numpy, case.inputs))
    made = made if isinstance(made, list) else [made]
    pairs = zip(made, map(torch.from_numpy, case.targets), strict=True)
    loss: Any = sum((LOSSES[case.loss](x, y) for x, y in pairs), start=model.regularization_loss())
    loss.backward()
    optimizer.step()
    save_model(model, tmp_path)
    found, wanted = load_file(tmp_path), load_file(case.files_after)
    for name, tensor in wanted.items():
        assert float((found[name] - tensor).abs().max()) <= 1e-5 * max(1.0, float(tensor.abs().max())), name


@pytest.mark.parametrize("path", CASES, ids=layer_cases.name_of)
def test_gradients_are_those_of_tfjs(path: Path) -> None:
    case = layer_cases.load_gradients(path)
    model = load_model(case.files).train()
    made = model(*map(torch.from_numpy, case.inputs))
    made = made if isinstance(made, list) else [made]
    pairs = zip(made, map(torch.from_numpy, case.targets), strict=True)
    loss: Any = sum((LOSSES[case.loss](x, y) for x, y in pairs), start=model.regularization_loss())
    loss.backward()
    parameters = dict(model.named_parameters())
    for weight in model.layer_weights:
        if not any(name in case.gradients for name in weight.names):
            continue
        first = parameters[weight.keys[0]]
        assert first.grad is not None
        rest = [torch.zeros_like(parameters[key]) for key in weight.keys[1:]]  # biases that torch adds and tf.js lacks
        (found,) = weight.layout.to_tfjs(first.grad, *rest)
        wanted = case.gradients[weight.names[0]]
        assert np.abs(found.numpy() - wanted).max() <= 1e-5 * max(1.0, float(np.abs(wanted).max())), weight.names


@pytest.mark.parametrize("name", WRONG_IN_TFJS)
def test_gradients_that_tfjs_has_wrong_are_those_of_the_outputs(name: str) -> None:
    case = layer_cases.load_gradients(layer_cases.GRADIENTS / f"{name}.json")
    model = load_model(case.files).double()
    inputs = [torch.from_numpy(x).double().requires_grad_() for x in case.inputs]
    assert torch.autograd.gradcheck(model, inputs)


DENSE = {"name": "d", "units": 3, "batch_input_shape": [None, 2]}


def model_of(*layers: dict[str, Any], weights: dict[str, list[int]]) -> Any:
    """A Sequential of layers {class_name, config} whose weights are 0, 0.01, 0.02, ..."""
    config = {"name": "net", "layers": list(layers)}
    specs = [{"name": name, "shape": shape, "dtype": "float32"} for name, shape in weights.items()]
    size = sum(int(np.prod(shape)) for shape in weights.values())
    document = {
        "modelTopology": {"class_name": "Sequential", "config": config},
        "weightsManifest": [{"paths": ["w.bin"] if specs else [], "weights": specs}],
    }
    data = (np.arange(size, dtype="<f4") / 100).tobytes()
    return load_model({"model.json": json.dumps(document).encode(), **({"w.bin": data} if specs else {})})


def dense(**options: Any) -> Any:
    layer = {"class_name": "Dense", "config": {**DENSE, **options}}
    return model_of(layer, weights={"d/kernel": [2, 3], "d/bias": [3]})


def test_frozen_layers_want_no_gradients() -> None:
    model = dense(trainable=False)
    assert [parameter.requires_grad for parameter in model.parameters()] == [False, False]


def test_penalties_are_a_term_of_the_loss() -> None:
    model = dense(kernel_regularizer={"class_name": "L1L2", "config": {"l1": 0.5, "l2": 2.0}})
    kernel = torch.arange(6) / 100
    assert torch.allclose(model.regularization_loss(), 0.5 * kernel.abs().sum() + 2.0 * kernel.square().sum())


def test_constraints_hold_after_a_step() -> None:
    model = dense(kernel_constraint={"class_name": "NonNeg", "config": {}})
    with torch.no_grad():
        model.d.weight.sub_(0.03)
    model.apply_constraints()
    assert float(model.d.weight.detach().min()) == 0.0


INITIALIZERS: list[tuple[str, dict[str, Any], Callable[[Tensor], bool]]] = [
    ("Zeros", {}, lambda w: not w.any()),
    ("Ones", {}, lambda w: bool((w == 1).all())),
    ("Constant", {"value": 0.25}, lambda w: bool((w == 0.25).all())),
    ("RandomUniform", {"minval": 2, "maxval": 3}, lambda w: 2 <= float(w.min()) < float(w.max()) <= 3),
    ("RandomNormal", {"mean": 5, "stddev": 0.1}, lambda w: abs(float(w.mean()) - 5) < 0.05),
    ("TruncatedNormal", {"mean": 0, "stddev": 1}, lambda w: 1 < float(w.abs().max()) <= 2),
    ("GlorotUniform", {}, lambda w: 0.15 < float(w.abs().max()) <= (6 / 150) ** 0.5),
    ("HeNormal", {}, lambda w: abs(float(w.std()) - (2 / 100) ** 0.5 * 0.88) < 0.02),
    (
        "VarianceScaling",
        {"scale": 1, "mode": "fan_in", "distribution": "uniform"},
        lambda w: 0.1 < float(w.max()) <= 0.03**0.5,
    ),
    ("Orthogonal", {"gain": 1}, lambda w: torch.allclose(w @ w.T, torch.eye(50), atol=1e-5)),
]


@pytest.mark.parametrize(("kind", "options", "holds"), INITIALIZERS, ids=[row[0] for row in INITIALIZERS])
def test_initializers_are_those_of_the_file(
    kind: str, options: dict[str, Any], holds: Callable[[Tensor], bool]
) -> None:
    config = {"name": "d", "units": 50, "batch_input_shape": [None, 100], "use_bias": False}
    layer = {
        "class_name": "Dense",
        "config": {**config, "kernel_initializer": {"class_name": kind, "config": options}},
    }
    model = model_of(layer, weights={"d/kernel": [100, 50]})
    torch.manual_seed(0)
    model.reset_parameters()
    assert holds(model.d.weight.detach())


def test_dropout_drops_while_training_only() -> None:
    layer = {"class_name": "Dropout", "config": {"name": "drop", "rate": 0.5, "batch_input_shape": [None, 1000]}}
    model, x = model_of(layer, weights={}), torch.ones(1, 1000)
    assert torch.equal(model(x), x)
    dropped = model.train()(x)
    assert sorted(set(dropped.flatten().tolist())) == [0.0, 2.0]


def test_a_frozen_cell_of_an_rnn_wants_no_gradients() -> None:
    cells = [
        {"class_name": "LSTMCell", "config": {"name": name, "units": 2, "use_bias": False, "trainable": name == "b"}}
        for name in "ab"
    ]
    config = {"name": "rnn", "cell": cells, "batch_input_shape": [None, 3, 2]}
    weights = {f"rnn/RNNCell_{i}/{name}": [2, 8] for i in (0, 1) for name in ("kernel", "recurrent_kernel")}
    model = model_of({"class_name": "RNN", "config": config}, weights=weights)
    assert {key: parameter.requires_grad for key, parameter in model.named_parameters()} == {
        "rnn.cells.0.weight_ih": False,
        "rnn.cells.0.weight_hh": False,
        "rnn.cells.1.weight_ih": True,
        "rnn.cells.1.weight_hh": True,
    }


@pytest.mark.parametrize("forget", [True, None])
def test_the_forget_gate_of_a_new_lstm_is_open_if_the_file_says_so(forget: bool | None) -> None:
    config = {"name": "lstm", "units": 2, "unit_forget_bias": forget, "batch_input_shape": [None, 3, 2]}
    weights = {"lstm/kernel": [2, 8], "lstm/recurrent_kernel": [2, 8], "lstm/bias": [8]}
    model = model_of({"class_name": "LSTM", "config": config}, weights=weights)
    model.reset_parameters()
    one = 1.0 if forget else 0.0
    assert model.lstm.bias_ih_l0.tolist() == [0, 0, one, one, 0, 0, 0, 0]
