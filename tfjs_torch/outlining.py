"""outline(): a layers-model from input to output: its layers, what each one reads, and the shape of what it makes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .artifacts import Artifacts, Source, read_artifacts
from .assembly import assemble
from .codec import extents
from .errors import TfjsTorchError
from .tensors import groups_of
from .topology import layers_of
from .trial import Path, Shape, Trial, said_of
from .wiring import Wiring, wiring_of


@dataclass(frozen=True)
class Port:
    """An input or output of the model; `shape` is batch first, None for sizes left open (or for a shape not known)."""

    name: str
    shape: Shape | None


@dataclass(frozen=True)
class LayerOutline:
    """One layer.

    Attributes:
        name, class_name: as the JSON has them.
        depth: how deep it is nested: 0 for the model's own layers.
        output_shapes: of each of its outputs, when it is first called; batch first, None for the batch and for what
            depends on sizes that the model leaves open. Empty: not known.
        inputs: the layers of the same model that it reads, in order, each once. Where a Sequential begins without an
            InputLayer, its first layer reads "<its name>_input", as the input is called.
    """

    name: str
    class_name: str
    depth: int
    output_shapes: tuple[Shape, ...] = ()
    inputs: tuple[str, ...] = ()

    @property
    def output_shape(self) -> Shape | None:
        """That of its first output; None where it is not known."""
        return self.output_shapes[0] if self.output_shapes else None


@dataclass(frozen=True)
class Outline:
    """What outline() found.

    Attributes:
        layers: in the order of the file, nested models followed by their own layers (as in inspect).
        inputs, outputs: the model's, in the order in which it takes and gives them; an output is called like the
            layer that makes it.
        runs: whether load_model builds the model, and layers and weights fit each other.
        why_not: why it does not run, or why shapes are missing; "" where there is nothing to tell.
    """

    layers: tuple[LayerOutline, ...]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    runs: bool
    why_not: str

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain JSON values."""
        return {
            "layers": [
                {
                    "name": layer.name,
                    "class_name": layer.class_name,
                    "depth": layer.depth,
                    "output_shape": _plain(layer.output_shape),
                    "inputs": list(layer.inputs),
                }
                for layer in self.layers
            ],
            "inputs": [{"name": port.name, "shape": _plain(port.shape)} for port in self.inputs],
            "outputs": [{"name": port.name, "shape": _plain(port.shape)} for port in self.outputs],
            "runs": self.runs,
            "why_not": self.why_not,
        }


def outline(source: Source) -> Outline:
    """A model from input to output, with the shape of what each layer makes. No weights are read.

    Args:
        source: a folder, the path of the JSON, a .zip (path or bytes), {file name: bytes}, or Artifacts.

    Returns:
        an Outline. Shapes are those that tf.js makes (tfjs-layers 4.22), batch first, channels last. What cannot be
        known is None, and `why_not` says why: a graph-model, weights only, a layer that is not known here, layers
        that do not fit each other. It tells of no quirks: load_model does.

    Raises:
        FilesError, ManifestError, UnsupportedError: what read_artifacts raises, and nothing else.

    Example:
        >>> from tfjs_torch import outline
        >>> found = outline("samples/ml5-classifier")
        >>> [(layer.name, layer.output_shape, layer.inputs) for layer in found.layers]
        [('dense_Dense1', (None, 16), ('dense_Dense1_input',)), ('dense_Dense2', (None, 4), ('dense_Dense1',))]
        >>> found.inputs, found.runs
        ((Port(name='dense_Dense1_input', shape=(None, 3)),), True)
    """
    artifacts = read_artifacts(source)
    try:
        model = assemble(artifacts.manifest, where=artifacts.where).model
    except Exception as error:  # a registered layer may raise anything
        return _not_built(artifacts, error)
    trial = Trial(model)
    problem = _wrong_length(artifacts)
    wiring = model._wiring
    layers = _rows(wiring, trial.shapes, 0, ())
    made = trial.shapes.get((), ())
    outputs = [Port(ref.layer, made[i] if i < len(made) else None) for i, ref in enumerate(wiring.outputs)]
    why_not = "; ".join(filter(None, (problem, trial.problem)))
    inputs = [Port(name, shape) for name, shape in zip(model.input_names, trial.entered, strict=True)]
    return Outline(tuple(layers), tuple(inputs), tuple(outputs), trial.runs and not problem, why_not)


def _not_built(artifacts: Artifacts, error: Exception) -> Outline:
    """What the JSON alone says."""
    document = artifacts.manifest.document
    topology = document.get("modelTopology") if isinstance(document, dict) else None
    try:
        wiring = wiring_of(topology)
    except TfjsTorchError:
        return Outline(_listed(topology), (), (), False, said_of(error))
    layers = tuple(_rows(wiring, {}, 0, ()))
    inputs = tuple(Port(entry.name, entry.shape) for entry in wiring.inputs)
    return Outline(layers, inputs, tuple(Port(ref.layer, None) for ref in wiring.outputs), False, said_of(error))


def _listed(topology: Any) -> tuple[LayerOutline, ...]:
    try:
        return tuple(LayerOutline(layer.name, layer.class_name, layer.depth) for layer in layers_of(topology))
    except TfjsTorchError:
        return ()


def _rows(wiring: Wiring, shapes: Mapping[Path, tuple[Shape, ...]], depth: int, above: Path) -> Iterator[LayerOutline]:
    given = {entry.ref.layer: entry.shape for entry in wiring.inputs}
    reads: dict[str, dict[str, None]] = {}
    for call in wiring.calls:
        reads.setdefault(call.layer, {}).update(dict.fromkeys(ref.layer for ref in call.inputs))
    for node in wiring.nodes:
        path = (*above, node.name)
        shape = given.get(node.name) if node.class_name == "InputLayer" else None
        known = (shape,) if shape is not None else shapes.get(path, ())
        yield LayerOutline(node.name, node.class_name, depth, known, tuple(reads.get(node.name, ())))
        if node.model:
            yield from _rows(node.model, shapes, depth + 1, path)


def _wrong_length(artifacts: Artifacts) -> str:
    """Whether weight files are too short or too long, as far as their sizes tell."""
    try:
        for specs, stream in groups_of(artifacts) if artifacts.shards else ():
            if all(spec.nbytes is not None for spec in specs):  # else the bytes would have to be read
                extents(specs, stream, artifacts.where)
    except TfjsTorchError as error:
        return said_of(error)
    return ""


def _plain(shape: Shape | None) -> list[int | None] | None:
    return None if shape is None else list(shape)
