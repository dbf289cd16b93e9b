"""What looks wrong about a model that can be read all the same: sentences, each with what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final, Protocol

import numpy as np

from . import strict_json
from .artifacts import Artifacts
from .errors import ManifestError
from .sharding import misread_by_tfjs
from .shards import Shard
from .statistics import Statistics
from .topology import LayerSpec

_META_LIMIT: Final = 16 << 20  # bytes; a real model_meta.json has hundreds
_FILE_LIMIT: Final = 2 << 30  # Chrome's limit for one ArrayBuffer


class Tensor(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def statistics(self) -> Statistics | None: ...


def file_oddities(artifacts: Artifacts) -> Iterator[str]:
    shards = [shard for group in artifacts.shards for shard in group]
    if artifacts.manifest.form != "checkpoint" and misread_by_tfjs([shard.nbytes for shard in shards]):
        yield "tf.js 4.22 reads zeros from files of these lengths (the last is the largest); convert it to mend it"
    for shard in shards:
        if shard.nbytes > _FILE_LIMIT:
            yield f"{shard.name}: browsers take at most 2 GiB a file, found {shard.nbytes}; use --shard-size 4MiB"
    document, paths = artifacts.model_json, artifacts.manifest.paths
    as_ml5_saves = len(paths) == 1 and paths[0].startswith("./") and paths[0].endswith(".weights.bin")
    beside = any("_meta" in name or name == "metadata.json" for name in artifacts.sidecars)
    bare = isinstance(document, dict) and set(document) == {"modelTopology", "weightsManifest"}
    if as_ml5_saves and bare and not beside:
        yield "no model_meta.json: ml5 cannot use a neuralNetwork without it; if it is one, put it beside model.json"


def layer_oddities(layers: Sequence[LayerSpec], artifacts: Artifacts) -> Iterator[str]:
    if any("batch_shape" in layer.config or isinstance(layer.config.get("dtype"), dict) for layer in layers):
        yield "written by Keras 3 (batch_shape, dtype policies): tf.js 4.22 refuses the topology; the weights are fine"
    for name, shard in artifacts.sidecars.items():
        if layers and "_meta" in name and shard.nbytes <= _META_LIMIT:
            yield from _meta_oddities(name, shard, layers[0].config, layers[-1].config)


def tensor_oddities(tensors: Sequence[Tensor]) -> Iterator[str]:
    colon = [t.name for t in tensors if re.search(r":\d+$", t.name)]
    if colon:
        yield f"{_first(colon)}: names end in ':0', which tf.js does not match with layers; rename them"
    high = [t.name for t in tensors if len(t.shape) > 6]
    if high:
        yield f"{_first(high)}: more than 6 dimensions, which tf.js' WebGL and WASM backends do not take"
    if tensors and re.match(r"\s*[+-]?\d", tensors[0].name.rpartition("/")[2]):
        yield f"{tensors[0].name}: the first name ends in a number, so tf.js matches all weights by index, not by name"
    empty = [t.name for t in tensors if t.dtype == "string" and 0 in t.shape]
    if empty:
        yield f"{_first(empty)}: an empty string tensor; the official Python reader misreads what follows it"
    for tensor in tensors:
        found = tensor.statistics
        if found and found.nan:
            yield f"{tensor.name}: {found.nan} of {tensor.size} values are NaN; such a model predicts NaN"
        elif found and found.infinite:
            yield f"{tensor.name}: {found.infinite} of {tensor.size} values are infinite"


def _meta_oddities(name: str, shard: Shard, first: dict[str, Any], last: dict[str, Any]) -> Iterator[str]:
    """Whether ml5's model_meta.json speaks of another network: people mix up the files of two saves."""
    text = np.empty(shard.nbytes, np.uint8)
    shard.read_into(0, text)
    shard.close()
    try:
        meta = strict_json.loads(text.tobytes(), name)
    except ManifestError as error:
        yield f"{error}; ml5 cannot read it"
        return
    if not isinstance(meta, dict):
        return
    shape, units = first.get("batch_input_shape"), last.get("units")
    inputs, outputs = meta.get("inputUnits"), meta.get("outputUnits")
    wanted = inputs if isinstance(inputs, list) else [inputs]
    if isinstance(shape, list) and inputs is not None and shape[-len(wanted) :] != wanted:
        yield f"{name}: inputUnits {inputs}, but the network takes {shape[1:]}; it belongs to another save"
    if isinstance(units, int) and isinstance(outputs, int) and outputs != units:
        yield f"{name}: outputUnits {outputs}, but the network has {units}; it belongs to another save"


def _first(names: list[str]) -> str:
    return f"{names[0]} and {len(names) - 1} more" if len(names) > 1 else names[0]
