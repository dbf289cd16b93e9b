"""inspect(): what a model is, without torch: files, tensors, layers, numbers, and what looks odd."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from .artifacts import Artifacts, Source, read_artifacts
from .codec import Extent, decoded_pieces, extents
from .errors import TopologyError
from .manifest import NUMERIC, WeightSpec
from .oddities import file_oddities, layer_oddities, tensor_oddities
from .quantization import Array
from .shards import Stream
from .statistics import Statistics, statistics
from .tensors import groups_of
from .topology import LayerSpec, layers_of, ops_of


@dataclass(frozen=True)
class TensorSummary:
    """One tensor: `nbytes` is its stored length; `group` is "optimizer" for optimizer state."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    quantization: dict[str, Any] | None
    nbytes: int
    size: int
    group: str | None = None
    statistics: Statistics | None = None


@dataclass(frozen=True)
class LayerSummary:
    """One layer: how deep it is nested, and how many numbers its own weights hold."""

    name: str
    class_name: str
    depth: int
    parameters: int


@dataclass(frozen=True)
class ModelSummary:
    """What inspect() found.

    Attributes:
        format: "layers-model", "graph-model", "weights-manifest" (no topology) or "deeplearn.js-checkpoint".
        declared_format: what the JSON itself says; None as usual from ml5 and in old files.
        files: {weight file: bytes}; sidecars: names of the files that travel along.
        ops: {op: count} of a graph-model; layers: those of a layers-model.
        parameters: numbers without the optimizer's; nbytes: stored bytes of all tensors.
        oddities: sentences, each with what to do.
    """

    where: str
    format: str
    declared_format: str | None
    generated_by: str | None
    converted_by: str | None
    files: dict[str, int]
    sidecars: list[str]
    tensors: list[TensorSummary]
    layers: list[LayerSummary]
    ops: dict[str, int]
    parameters: int
    optimizer_parameters: int
    nbytes: int
    oddities: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain JSON values."""
        plain = asdict(self)
        for tensor, own in zip(plain["tensors"], self.tensors, strict=True):
            tensor["shape"] = list(own.shape)
            tensor["statistics"] = own.statistics._asdict() if own.statistics else None
        return plain


def inspect(source: Source, *, stats: bool = False, advance: Callable[[int], Any] | None = None) -> ModelSummary:
    """Look at a model: tensors, shapes, dtypes, quantisation, layers, parameters, format, oddities.

    Args:
        source: a folder, the path of the JSON, a .zip, {file name: bytes}, or Artifacts.
        stats: also read the numbers: min, mean, max, std and a histogram of every tensor.
        advance: told the number of stored bytes of every tensor whose numbers were read.

    Raises:
        FilesError, ManifestError, WeightsLengthError, UnsupportedError: see tfjs_torch.errors.

    Example:
        >>> from tfjs_torch import inspect
        >>> summary = inspect("samples/ml5-classifier")
        >>> summary.parameters, [layer.class_name for layer in summary.layers]
        (132, ['Dense', 'Dense'])
    """
    artifacts = read_artifacts(source)
    tensors = list(_tensors(artifacts, stats, advance))
    layers, ops, broken = _topology(artifacts)
    document = artifacts.model_json if artifacts.manifest.form == "model.json" else {}
    return ModelSummary(
        where=artifacts.where,
        format=_format(artifacts),
        declared_format=_text(document.get("format")),
        generated_by=_text(document.get("generatedBy")),
        converted_by=_text(document.get("convertedBy")),
        files={shard.name.removeprefix("./"): shard.nbytes for shards in artifacts.shards for shard in shards},
        sidecars=list(artifacts.sidecars),
        tensors=tensors,
        layers=_with_parameters(layers, tensors),
        ops=ops,
        parameters=sum(t.size for t in tensors if t.group != "optimizer"),
        optimizer_parameters=sum(t.size for t in tensors if t.group == "optimizer"),
        nbytes=sum(t.nbytes for t in tensors),
        oddities=[
            *artifacts.notes,
            *broken,
            *file_oddities(artifacts),
            *layer_oddities(layers, artifacts),
            *tensor_oddities(tensors),
        ],
    )


def _tensors(artifacts: Artifacts, stats: bool, advance: Callable[[int], Any] | None) -> Iterator[TensorSummary]:
    for specs, stream in groups_of(artifacts):
        with stream:
            for spec, (start, stop) in zip(specs, extents(specs, stream, artifacts.where), strict=True):
                numbers = statistics(_runs(spec, stream, (start, stop))) if stats and spec.dtype != "string" else None
                quantization = None
                if spec.quantization:
                    quantization = spec.quantization._asdict()
                    if spec.stored == "float16":
                        quantization = {"dtype": "float16"}
                yield TensorSummary(
                    spec.name, spec.shape, spec.dtype, quantization, stop - start, spec.size, spec.group, numbers
                )
                if advance:
                    advance(stop - start)


def _runs(spec: WeightSpec, stream: Stream, extent: Extent) -> Callable[[], Iterator[Array]]:
    dtype = np.dtype(NUMERIC[spec.dtype][0])
    return lambda: (np.frombuffer(piece, dtype) for piece in decoded_pieces(spec, stream, *extent))


def _format(artifacts: Artifacts) -> str:
    form, document = artifacts.manifest.form, artifacts.model_json
    if form == "checkpoint":
        return "deeplearn.js-checkpoint"
    topology = document.get("modelTopology") if form == "model.json" else None
    if not isinstance(topology, dict):
        return "weights-manifest"
    return "graph-model" if "node" in topology else "layers-model"


def _topology(artifacts: Artifacts) -> tuple[list[LayerSpec], dict[str, int], list[str]]:
    document = artifacts.model_json
    topology = document.get("modelTopology") if artifacts.manifest.form == "model.json" else None
    if topology is None:
        return [], {}, []
    try:
        if isinstance(topology, dict) and "node" in topology:
            return [], ops_of(topology), []
        return layers_of(topology), {}, []
    except TopologyError as error:
        return [], {}, [str(error)]


def _with_parameters(layers: list[LayerSpec], tensors: list[TensorSummary]) -> list[LayerSummary]:
    """A tensor belongs to the layer with the longest name that its own begins with (lstm/lstm_cell/kernel: lstm)."""
    found = dict.fromkeys((layer.name for layer in layers), 0)
    for tensor in tensors:
        scope = tensor.name.rpartition("/")[0] if tensor.group != "optimizer" else ""
        while scope and scope not in found:
            scope = scope.rpartition("/")[0]
        if scope:
            found[scope] += tensor.size
    return [LayerSummary(layer.name, layer.class_name, layer.depth, found[layer.name]) for layer in layers]


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
