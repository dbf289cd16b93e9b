"""What a worker does with whole networks: ours, native torch and tf.js, which first have to agree on the numbers."""

from __future__ import annotations

import functools
import json
import math
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from tfjs_torch import load_model

from . import names
from .natives import filled
from .networks import NETWORKS, Network
from .tfjs import Calls, waiting
from .timing import Patience, Samples, take_turns

THREADS: Final = 2
_TURN: Final = 0.03  # seconds of calls in a row, so that neither the clock nor the pipe to node is what is measured
_TOLERANCE: Final = 1e-4

Predict: TypeAlias = "Callable[[], Tensor]"


def write(network: Network, folder: Path, batch: int = 1) -> None:
    """The network with random weights as TensorFlow.js files, and an input for tf.js."""
    random = np.random.default_rng(seed=0)
    specs = [{"name": name, "shape": shape, "dtype": "float32"} for name, shape in network.weights.items()]
    manifest = [{"paths": ["model.weights.bin"], "weights": specs}]
    (folder / "model.json").write_text(
        json.dumps({"format": "layers-model", "modelTopology": network.topology, "weightsManifest": manifest})
    )
    with open(folder / "model.weights.bin", "wb") as file:
        for name, shape in network.weights.items():
            file.write(_drawn(name, shape, random).data)
    values = random.random((batch, *network.shape), np.float32)
    (folder / "input.json").write_text(json.dumps({"shape": values.shape}))
    (folder / "input.bin").write_bytes(values.data)


def time_forward(network: str, batch: int, contestants: list[str], patience: Patience) -> Samples:
    """Seconds a prediction; tf.js computes in node, with one thread, since its wasm has no others there."""
    torch.set_num_threads(THREADS)
    with tempfile.TemporaryDirectory() as made, ExitStack() as stack, torch.inference_mode():
        folder = Path(made)
        write(NETWORKS[network](), folder, batch)
        predictions = _predictions(network, folder)
        calls: dict[str, Calls] = {name: functools.partial(_repeat, predict) for name, predict in predictions.items()}
        if names.WASM in contestants:
            calls[names.WASM] = stack.enter_context(waiting(folder))
            predictions[names.WASM] = functools.partial(_output_of_tfjs, folder)
        _agree(network, predictions)
        return _timed({name: calls[name] for name in contestants}, patience)


def time_training(network: str, batch: int, contestants: list[str], patience: Patience) -> Samples:
    """Seconds of a step of gradient descent."""
    torch.set_num_threads(THREADS)
    with tempfile.TemporaryDirectory() as folder:
        write(NETWORKS[network](), Path(folder), batch)
        modules = _modules(network, Path(folder))
    steps: dict[str, Calls] = {name: functools.partial(_repeat, _step(*modules[name])) for name in contestants}
    return _timed(steps, patience)


def _drawn(name: str, shape: tuple[int, ...], random: np.random.Generator) -> Any:
    leaf = name.rpartition("/")[2]
    if leaf in ("gamma", "moving_variance"):
        return 0.5 + random.random(shape, np.float32)
    if leaf in ("beta", "moving_mean", "bias"):
        return 0.1 * random.standard_normal(shape, np.float32)
    depthwise = leaf == "depthwise_kernel"
    terms = math.prod(shape[:2] if depthwise else shape[:-1])
    size = np.float32((2 / terms) ** 0.5)  # what goes through the layers grows neither large nor small
    return size * random.standard_normal(shape, np.float32)


def _input(folder: Path) -> Tensor:
    shape = json.loads((folder / "input.json").read_text())["shape"]
    return torch.from_numpy(np.fromfile(folder / "input.bin", np.float32).reshape(shape))


def _modules(network: str, folder: Path) -> dict[str, tuple[nn.Module, Tensor]]:
    """Each with the input in the form that it likes best."""
    ours, x = load_model(folder), _input(folder)
    channels_first = x.permute(0, 3, 1, 2) if x.dim() == 4 else x
    modules = {names.OURS: (ours, x), names.TORCH: (filled(network, ours.state_dict()), channels_first.contiguous())}
    if x.dim() == 4:
        native: Any = filled(network, ours.state_dict()).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        modules[names.CHANNELS_LAST] = (native, channels_first.contiguous(memory_format=torch.channels_last))
    return modules


def _predictions(network: str, folder: Path) -> dict[str, Predict]:
    return {name: functools.partial(module, x) for name, (module, x) in _modules(network, folder).items()}


def _agree(network: str, predictions: dict[str, Predict]) -> None:
    """A contestant that computes something else is none."""
    expected = predictions[names.OURS]().numpy()
    for name, predict in predictions.items():
        if name in (names.TORCH, names.CHANNELS_LAST) and "hard_sigmoid" in network:
            continue  # nn.LSTM has no such gates; it only does the same work
        made = predict()
        found = (made.permute(0, 2, 3, 1) if made.dim() == 4 and name != names.OURS else made).numpy()
        difference = float(abs(found.reshape(expected.shape) - expected).max() / abs(expected).max())
        if not difference <= _TOLERANCE:
            raise AssertionError(f"{network}: {name} differs from ours by {difference:.2g} of the largest output")


def _step(module: nn.Module, x: Tensor) -> Predict:
    module.train()
    with torch.no_grad():
        target = torch.rand_like(module(x))
    optimizer = torch.optim.SGD(module.parameters(), lr=1e-3)

    def step() -> Tensor:
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(module(x), target)
        loss.backward()
        optimizer.step()
        return loss

    return step


def _timed(calls: dict[str, Calls], patience: Patience) -> Samples:
    counts = {name: _calls_a_turn(call) for name, call in calls.items()}
    turns = {name: functools.partial(call, counts[name]) for name, call in calls.items()}
    samples = take_turns(turns, patience)
    return {name: [seconds / counts[name] for seconds in values] for name, values in samples.items()}


def _calls_a_turn(call: Calls) -> int:
    call(3)
    start = time.perf_counter()
    call(3)
    return max(1, math.ceil(3 * _TURN / (time.perf_counter() - start)))


def _repeat(predict: Predict, calls: int) -> None:
    for _ in range(calls):
        predict()


def _output_of_tfjs(folder: Path) -> Tensor:
    return torch.from_numpy(np.fromfile(folder / "output.bin", np.float32))
