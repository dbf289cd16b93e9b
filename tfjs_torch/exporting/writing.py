"""Layers and their calls -> model.json and its weights, in the order in which tf.js would write them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from torch import Tensor

from .._version import __version__
from ..artifacts import Artifacts
from ..errors import UnsupportedError
from ..manifest import parse_manifest
from ..shards import MemoryShard
from ..tensors import encode_all, new_manifest
from ..torch_tensors import as_tensors
from .configs import Config
from .graph import Key, Record, Symbol

Call = tuple[Record, int]

_VERSION: Final = "tfjs-layers 4.22.0"  # what the files are made for


@dataclass
class _Network:
    """What the outputs need: layers in tf.js' order, the calls that are kept, the place of each output of a layer."""

    inputs: list[Symbol]
    outputs: list[Symbol]
    layers: list[Record]
    calls: dict[Record, list[int]]
    places: dict[Record, dict[Key, int]]

    def reference(self, symbol: Symbol) -> list[Any]:
        place = self.places[symbol.layer][symbol.key]
        return [symbol.layer.name, self.calls[symbol.layer].index(symbol.call), place]

    @property
    def is_chain(self) -> bool:
        """Whether each layer has one call, and takes what the one before it gives."""
        if len(self.inputs) != 1 or len(self.outputs) != 1 or self.outputs[0].layer is not self.layers[-1]:
            return False
        pairs = zip(self.layers, self.layers[1:], strict=False)
        return all(len(self.calls[record]) == 1 for record in self.layers) and all(
            [symbol.layer for symbol in after.calls[self.calls[after][0]]] == [before] for before, after in pairs
        ) and all(not record.config.get("return_state") for record in self.layers)  # fmt: skip


def write(name: str, inputs: Sequence[Symbol], outputs: Sequence[Symbol]) -> Artifacts:
    """A layers-model of everything that the outputs need.

    Raises:
        UnsupportedError: an input that no output needs, or a weight of a dtype that tf.js cannot load.
    """
    network = _network(inputs, outputs)
    tensors = as_tensors(dict(_weights(network.layers)))
    document = {
        "format": "layers-model",
        "generatedBy": f"tfjs_torch {__version__}",
        "convertedBy": None,
        "modelTopology": {**_topology(name, network), "keras_version": _VERSION, "backend": "tensor_flow.js"},
        "weightsManifest": new_manifest(tensors).document,
    }
    manifest = parse_manifest(document, name)
    data = b"".join(encode_all(manifest, tensors).pieces())
    shards = tuple(tuple(MemoryShard(path, data) for path in group.paths) for group in manifest.groups)
    return Artifacts("model.json", b"", manifest, shards, where=name)


def _network(inputs: Sequence[Symbol], outputs: Sequence[Symbol]) -> _Network:
    finished, met = _walked(outputs)
    for symbol in inputs:
        if symbol.layer not in met:
            raise UnsupportedError(symbol.layer.name, "an input that the outputs hang on expected; leave this one out")
    used: dict[Record, set[Key]] = {}
    for symbol in [*outputs, *(symbol for record, call in finished for symbol in record.calls[call])]:
        used.setdefault(symbol.layer, set()).add(symbol.key)
    places = {
        record: record.settle(record, keys) if record.settle else dict.fromkeys(keys, 0)
        for record, keys in used.items()
    }
    calls: dict[Record, list[int]] = {}
    for record, call in sorted(finished, key=lambda one: one[1]):
        calls.setdefault(record, []).append(call)
    return _Network(list(inputs), list(outputs), _sorted(finished, met), calls, places)


def _walked(outputs: Sequence[Symbol]) -> tuple[list[Call], list[Record]]:
    """Calls, each behind those that it needs, and layers in the order of meeting them on the way from the outputs."""
    finished: dict[Call, None] = {}
    met: dict[Record, None] = {}
    seen: set[Call] = set()
    for output in outputs:
        stack: list[tuple[Call, Iterator[Symbol]]] = []  # not recursion: models are deeper than Python's stack
        push: Symbol | None = output
        while push is not None or stack:
            if push is not None:
                call = (push.layer, push.call)
                if call not in seen:
                    seen.add(call)
                    met.setdefault(push.layer)
                    stack.append((call, iter(push.layer.calls[push.call])))
            if not stack:
                break
            call, left = stack[-1]
            push = next(left, None)
            if push is None:
                finished[call] = None
                stack.pop()
    return list(finished), list(met)


def _sorted(finished: Sequence[Call], met: Sequence[Record]) -> list[Record]:
    """As a Container of tf.js sorts its layers: those furthest from the outputs first."""
    depths: dict[Call, int] = {}
    of_layer: dict[Record, int] = {}
    for record, call in reversed(finished):
        depth = max(depths.get((record, call), 0), of_layer.get(record, 0))
        depths[record, call] = of_layer[record] = depth
        for symbol in record.calls[call]:
            before = (symbol.layer, symbol.call)
            depths[before] = max(depth + 1, depths.get(before, 0))
    return sorted(met, key=lambda record: -of_layer[record])


def _weights(layers: Sequence[Record]) -> Iterator[tuple[str, Tensor]]:
    """Those that training changes, of all layers; then the others."""
    for fixed in (False, True):
        for record in layers:
            for name, tensor in record.weights.items():
                if (name in record.fixed or not record.trainable) is fixed:
                    yield f"{record.name}/{name}", tensor


def _topology(name: str, network: _Network) -> Config:
    if network.is_chain:
        first, *layers = network.layers
        begin = {key: first.config[key] for key in ("batch_input_shape", "dtype")}
        listed = [
            {"class_name": record.class_name, "config": {**_config(record), **(begin if i == 0 else {})}}
            for i, record in enumerate(layers)
        ]
        return {"class_name": "Sequential", "config": {"name": name, "layers": listed}}
    config = {
        "name": name,
        "layers": [_node(network, record) for record in network.layers],
        "input_layers": [network.reference(symbol) for symbol in network.inputs],
        "output_layers": [network.reference(symbol) for symbol in network.outputs],
    }
    return {"class_name": "Model", "config": config}


def _node(network: _Network, record: Record) -> Config:
    inbound = [
        [[*network.reference(symbol), {}] for symbol in record.calls[call]]
        for call in network.calls[record]
        if record.calls[call]
    ]
    return {
        "name": record.name, "class_name": record.class_name, "config": _config(record), "inbound_nodes": inbound,
    }  # fmt: skip


def _config(record: Record) -> Mapping[str, Any]:
    trainable = {} if record.class_name == "InputLayer" else {"trainable": record.trainable}
    return {**record.config, "name": record.name, **trainable}


def name_of(class_name: str) -> str:
    """ResNet -> "res_net", as tf.js names its models."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", class_name).lower().strip("_") or "model"
