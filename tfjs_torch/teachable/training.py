"""Training of the last layers, on what the layers below make of the examples, computed once."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from .. import strict_json
from ..artifacts import read_artifacts
from ..building import bytes_of, tensors_of, units_of, widened
from ..errors import UnsupportedError, collected_warnings
from ..fitting import fit
from ..history import History, unseen
from ..layers.network import LayersModel
from ..model import load_model

RATES: Final = {"image": 0.001, "pose": 0.0001, "audio": 0.001}
_OPTIMIZERS: Final = {"image": "adam", "pose": "rmsprop", "audio": "adam"}
_AT_ONCE: Final = 32  # examples that go through the lower layers together


def widened_to(module: LayersModel, units: int, seed: int | None) -> LayersModel:
    """A copy of the model, with new units behind those that it has."""
    have = units_of(module)
    if units == have:
        return copy.deepcopy(module)
    order: list[int | None] = [*range(have), *([None] * (units - have))]
    made = widened(module, order, seed=seed)
    artifacts, tensors = module.artifacts, tensors_of(made)
    document = {**artifacts.model_json, "modelTopology": made.artifacts.model_json["modelTopology"]}
    specs = [{"name": name, "shape": list(tensor.shape), "dtype": "float32"} for name, tensor in tensors.items()]
    path = artifacts.manifest.paths[0] if len(artifacts.manifest.paths) == 1 else "weights.bin"
    document["weightsManifest"] = [{"paths": [path], "weights": specs}]
    files = {name: artifacts.sidecar(name) for name in artifacts.sidecars}
    files[artifacts.json_name] = strict_json.dumps(document, artifacts.json_name)
    files[path.removeprefix("./")] = b"".join(map(bytes_of, tensors.values()))
    with collected_warnings():
        return load_model(read_artifacts(files))


def train(
    module: LayersModel,
    kind: str,
    batches: Sequence[Any],
    classes: Sequence[int],
    units: int,
    *,
    labels: Sequence[str],
    **options: Any,
) -> History:
    """Train the head of the module in place."""
    missing = [label for at, label in enumerate(labels) if at not in set(classes)]
    head = module if kind == "pose" else _head(module)
    inputs = torch.from_numpy(np.concatenate(batches))
    features = inputs if head is module else _features(module, head, inputs)
    targets = torch.nn.functional.one_hot(torch.tensor(classes), units).float()
    for parameter in head.parameters():
        parameter.requires_grad_(True)
    history = fit(head, features, targets, loss="categoricalCrossentropy", optimizer=_OPTIMIZERS[kind], **options)
    history.note(unseen(missing, "examples of"), options.get("progress"))
    return history


def _head(module: LayersModel) -> nn.Module:
    """The last layer (of an image model: two Dense layers in a Sequential)."""
    head = module.get_layer(module.layers[-1])
    if not any(True for _ in head.parameters()):
        raise UnsupportedError(module.layers[-1], "weights in the last layer expected, to be trained, found none")
    return head


def _features(module: LayersModel, head: nn.Module, inputs: Tensor) -> Tensor:
    """What reaches the head."""
    seen: list[Tensor] = []
    hook = head.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach().clone()))
    try:
        with torch.no_grad():
            for some in inputs.split(_AT_ONCE):
                module(some)
    finally:
        hook.remove()
    return torch.cat(seen)
