"""Topology and manifest -> the module without its weights, and where each weight goes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .errors import MismatchError, UnsupportedError
from .layers import Context, StoredWeights, Weight
from .layers.models import ModelLayer
from .layers.network import LayersModel
from .manifest import Manifest
from .tensors import said_of_keys
from .wiring import Node, wiring_of

SEMANTICS = ("tfjs", "keras")


class Assembly(NamedTuple):
    """A model whose weights are not there yet.

    Attributes:
        model: the module, its parameters on the meta device.
        weights: which tensors of the manifest become which of the state_dict.
        quirks: where tf.js and Keras differ in this model, in sentences.
    """

    model: LayersModel
    weights: tuple[Weight, ...]
    quirks: tuple[str, ...]


def assemble(manifest: Manifest, semantics: str = "tfjs", where: str = "model.json") -> Assembly:
    """Build the module that a model.json describes.

    Raises:
        TopologyError: no layers-model. UnsupportedError: a graph-model, or a layer that is not known here.
        MismatchError: layers and weights that do not fit each other, or other semantics than "tfjs" and "keras".
    """
    if semantics not in SEMANTICS:
        raise MismatchError("semantics", f'"tfjs" or "keras" expected, found {semantics!r}')
    topology = _topology(manifest, where)
    wiring = wiring_of(topology, keras=semantics == "keras")
    stored = StoredWeights((spec for spec in manifest.specs if spec.group != "optimizer"), wiring)
    context = Context(stored, semantics == "keras", _keras_version(manifest.document, topology))
    root = ModelLayer(Node(wiring.name, wiring.class_name, {}, "modelTopology", wiring), context)
    model = root.finish()
    stored.refuse_rest()
    assert isinstance(model, LayersModel)
    model.layer_weights = tuple(root.weights)
    return Assembly(model, model.layer_weights, tuple(root.config.quirks))


def to_torch(weights: tuple[Weight, ...], tensors: Mapping[str, Any]) -> dict[str, Tensor]:
    """{state_dict key: tensor} of {manifest name: tensor}, contiguous."""
    state: dict[str, Tensor] = {}
    for weight in weights:
        for key, tensor in weight.to_torch(tensors).items():
            state[key] = tensor.contiguous()
    return state


def as_parameter(tensor: Tensor) -> Tensor:
    """float32, which tf.js computes in, whatever the file stores; torch's own counters stay."""
    return tensor if tensor.dtype in (torch.float32, torch.int64) else tensor.float()


def to_tfjs(weights: tuple[Weight, ...], state_dict: Mapping[str, Any]) -> dict[str, Tensor]:
    """{manifest name: tensor} of {state_dict key: tensor}.

    Raises:
        MismatchError: missing or unexpected keys, in torch's words, or a shape that does not fit.
    """
    known = {key: weight.keys_optional for weight in weights for key in weight.keys}
    missing = [key for key, optional in known.items() if key not in state_dict and not optional]
    unexpected = [key for key in state_dict if key not in known]
    if missing or unexpected:
        said = said_of_keys(missing, unexpected)
        raise MismatchError("state_dict", f"the keys of this model expected. {said}")
    tensors: dict[str, Tensor] = {}
    for weight in weights:
        tensors.update(weight.to_tfjs(state_dict))
    return tensors


def _topology(manifest: Manifest, where: str) -> Any:
    document = manifest.document
    topology = document.get("modelTopology") if isinstance(document, dict) else None
    if topology is None:
        raise MismatchError(
            where, "a model.json with layers (modelTopology) expected, found weights only. The layers say what weights "
            "mean, and nothing is guessed; load_file(path) reads the weights as they are",
        )  # fmt: skip
    if isinstance(topology, dict) and "node" in topology and "class_name" not in topology:
        raise UnsupportedError(where, "a layers-model expected, found a graph-model; load_file(path) reads its weights")
    return topology


def _keras_version(document: Any, topology: Any) -> int:
    """The major version of the Keras that wrote the file; 2, whose formulas tf.js has, for tf.js' own files."""
    said = topology.get("keras_version") if isinstance(topology, dict) else None
    for text in (said, document.get("generatedBy")):
        match = re.match(r"(?:keras v?)?(\d+)\.\d", text) if isinstance(text, str) else None
        if match:
            return int(match[1])
    return 2
