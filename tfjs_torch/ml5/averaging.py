"""ml5.average: one network of many that began alike."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Mapping
from itertools import zip_longest
from typing import Any

import torch

from ..building import rebuilt, tensors_of
from ..errors import MismatchError
from ..layers.network import LayersModel
from .network import NeuralNetwork
from .opening import load


def average(models: Iterable[Any]) -> NeuralNetwork:
    """The mean of all weights: of networks that were trained on from the same save, by thirty students, say.

    Networks that began with different random weights have nothing in common, and neither has their mean.

    Args:
        models: what ml5.load takes, or loaded ones; all with the same layers and the same model_meta.json, ranges
            included. Names of layers may differ: ml5 counts them through a page.

    Returns:
        nn: with names and meta of the first.

    Raises:
        MismatchError: no models, or two that differ; it says where.

    Example:
        >>> from tfjs_torch import ml5
        >>> nn = ml5.average(["samples/ml5-classifier", "samples/ml5-classifier"])
        >>> nn.labels
        ['red', 'yellow', 'green', 'blue']
    """
    if isinstance(models, (str, bytes, Mapping)) or not isinstance(models, Iterable):
        raise MismatchError("models", f"a list of models expected, found {type(models).__name__}")
    given = list(models)
    networks = [model if isinstance(model, NeuralNetwork) else load(model) for model in given]
    if not networks:
        raise MismatchError("models", "one network or more expected, found none")
    for at, network in enumerate(networks):
        if not isinstance(network, NeuralNetwork) or network.module is None:
            raise MismatchError(f"model {at + 1}", "a trained neuralNetwork expected, found something else")
    first = networks[0]
    topology = first.module.artifacts.model_json["modelTopology"]
    tensors = [_by_layer(network.module) for network in networks]
    for at, network in enumerate(networks[1:], 2):
        where = f"model {at} ({given[at - 1]})" if isinstance(given[at - 1], (str, os.PathLike)) else f"model {at}"
        _refuse(f"{where}: model_meta.json", _difference(first.meta, network.meta))
        layers = network.module.artifacts.model_json["modelTopology"]
        _refuse(f"{where}: modelTopology", _difference(_alike(topology), _alike(layers)))
        shapes = [[list(tensor.shape) for tensor in one.values()] for one in (tensors[0], tensors[at - 1])]
        _refuse(f"{where}: weights", _difference(shapes[0], shapes[1]))
    columns = [list(one.values()) for one in tensors]
    means = [torch.stack([t.double() for t in same]).mean(0).float() for same in zip(*columns, strict=True)]
    mean = dict(zip(tensors[0], means, strict=True))
    module = rebuilt(copy.deepcopy(topology), {name: mean[name] for name in tensors_of(first.module)})
    return NeuralNetwork(module, first._meta, first._meta_text, task=first.task)


def _by_layer(module: LayersModel) -> dict[str, torch.Tensor]:
    """Tensors in the order of the layers: that of the file says nothing."""
    tensors = tensors_of(module)
    return {name: tensors[name] for weight in module.layer_weights for name in weight.names}


def _refuse(where: str, difference: str) -> None:
    if difference:
        raise MismatchError(where, f"the same as in model 1 expected, found another {difference}")


def _alike(value: Any) -> Any:
    """A topology without what differs from page to page and from one tf.js to the next.

    Names, versions, how weights were drawn, the order of options, and those that only newer files write; the layers of
    a Sequential are a bare list in old ones.
    """
    if isinstance(value, dict):
        kept = {key: _alike(item) for key, item in sorted(value.items()) if not _skipped(key, item)}
        layers = value.get("config") if value.get("class_name") == "Sequential" else None
        return kept | {"config": {"layers": _alike(layers)}} if isinstance(layers, list) else kept
    return [_alike(item) for item in value] if isinstance(value, list) else value


def _skipped(key: str, value: Any) -> bool:
    if key in ("name", "keras_version", "backend") or key.endswith("_initializer"):
        return True
    return value is None or (key == "reset_after" and value is False)


def _difference(one: Any, other: Any, path: str = "") -> str:
    """Where two JSON values differ first: "inputs: r: max (254, 251)"; "" where they do not."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in dict.fromkeys([*one, *other]):
            if (key in one) != (key in other):
                return f"{path}{key} (in only one of them)"
            found = _difference(one[key], other[key], f"{path}{key}: ")
            if found:
                return found
        return "" if list(one) == list(other) else f"{path}order of keys"
    if isinstance(one, list) and isinstance(other, list):
        missing = object()
        for at, (a, b) in enumerate(zip_longest(one, other, fillvalue=missing)):
            if a is missing or b is missing:
                return f"{path}length ({len(one)}, {len(other)})"
            found = _difference(a, b, f"{path}{at + 1}: ")
            if found:
                return found
        return ""
    return (
        ""
        if one == other and isinstance(one, bool) == isinstance(other, bool)
        else f"{path.rstrip(': ')} ({one!r:.60}, {other!r:.60})"
    )
