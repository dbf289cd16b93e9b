"""ml5.load: which of ml5's saves this is, and what is missing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from .. import strict_json
from ..artifacts import Artifacts, read_artifacts
from ..building import units_of
from ..errors import FilesError, TfjsTorchError, UnsupportedError, warn
from ..layers.network import LayersModel
from ..model import load_model
from ..sources import SourceFiles
from .creating import Layers, plan_of
from .gathering import gather, kind_of, listed_files, located, open_source
from .meta import Meta, parse_meta
from .network import NeuralNetwork

_MOST_JSONS = 8  # beside each other, that are looked into


def load(source: Any, *, task: str | None = None) -> Any:
    """A model that ml5 saved, with the browser's answers.

    Args:
        source: a folder, the path of model.json, a .zip (path or bytes), {file name: bytes or Path}, or the list of
            files that ml5 downloaded; also what holds such a folder, if it is the only one. Any ml5 from 0.4 to 1.4.
        task: what nobody can tell from the files, if the columns mislead.

    Returns:
        nn: a NeuralNetwork; for saves of featureExtractor and KNNClassifier a FeatureExtractor or KNN. Without
            model_meta.json (there is a warning) it answers to the network's own numbers only.

    Raises:
        FilesError, ManifestError, TopologyError: files that are missing or broken. UnsupportedError: a Teachable
        Machine export (teachable.load reads it), a graph-model, a layer not known here.

    Example:
        >>> from tfjs_torch import ml5
        >>> ml5.load("samples/ml5-classifier").classify([20, 20, 240])[0]["label"]
        'blue'
    """
    source = as_source(source)
    neighbours = knn_document(source)
    if neighbours is not None:
        from .knn import open_knn

        return open_knn(*neighbours)
    artifacts, source = _read(source)
    document = artifacts.model_json
    if is_extractor(document):
        from .extractor import open_extractor

        return open_extractor(artifacts)
    meta, text = meta_of(artifacts)
    if meta is None and not isinstance(source, Artifacts):
        meta, text = _renamed_meta(source)
    if meta is None and "metadata.json" in artifacts.sidecars:
        raise UnsupportedError(
            artifacts.where, "ml5's model_meta.json expected, found metadata.json of Teachable Machine; "
            "from tfjs_torch import teachable; teachable.load reads it",
        )  # fmt: skip
    module = load_model(artifacts)
    if meta is None:
        warn(
            f"{artifacts.where}: model_meta.json is missing: without it the network takes and gives plain numbers, "
            "neither scaled nor named; it is the third file of ml5's save()"
        )
    else:
        _tell_of_misfits(module, meta, artifacts.where)
        text = text if meta.generation != "0.4" else None  # today's ml5 cannot use that layout
    return NeuralNetwork(module, meta, text, task=task)


def is_extractor(document: Any) -> bool:
    """Whether a model.json is a save of featureExtractor, of ml5 0.x or 1.4."""
    if not isinstance(document, Mapping):
        return False
    own = document.get("userDefinedMetadata")
    return "ml5Specs" in document or (isinstance(own, Mapping) and "labelIndex" in own)


def is_teachable(source: Any) -> bool:
    """Whether a place holds a Teachable Machine export.

    Raises:
        FilesError, ManifestError: as read_artifacts.
    """
    return knn_document(source) is None and is_export(_read(as_source(source), weights=False)[0])


def _read(source: Any, weights: bool = True) -> tuple[Artifacts, Any]:
    """read_artifacts, also of the only model in a folder below; and the place where it was found."""
    try:
        return read_artifacts(source, weights=weights), source
    except FilesError as error:
        try:
            saved, folder = located(*open_source(source))
        except FilesError:
            raise error from None
        if not folder or saved.files is None:
            raise
    return read_artifacts(saved.files, weights=weights), saved.files


def is_export(artifacts: Artifacts) -> bool:
    """Whether a metadata.json lies beside it that is, or may be, Teachable Machine's: ml5's may have that name."""
    names = artifacts.sidecars
    if "metadata.json" not in names or any(name.endswith("_meta.json") for name in names):
        return False
    try:
        meta = strict_json.loads(artifacts.sidecar("metadata.json"), "metadata.json")
    except TfjsTorchError:  # broken
        return True
    return kind_of(meta) not in ("meta", "meta-0.4")


def as_source(source: Any) -> Any:
    """What read_artifacts takes: a list of paths is {name: path}.

    Raises:
        FilesError: two files of one name, or something else in the list.
    """
    return listed_files(source) if isinstance(source, (list, tuple)) else source


def meta_of(artifacts: Artifacts) -> tuple[Meta | None, bytes | None]:
    """The checked model_meta.json and its text.

    Raises:
        ManifestError: it is there and broken.
    """
    name = next((name for name in artifacts.sidecars if name.endswith("_meta.json")), None)
    if name is None:
        return None, None
    text = artifacts.sidecar(name)
    return parse_meta(strict_json.loads(text, name), name), text


def _renamed_meta(source: Any) -> tuple[Meta | None, bytes | None]:
    """A meta file under a name that belongs to another network, or to none."""
    saved = gather(source)
    name = saved.meta_name
    if name is None or kind_of(saved.meta) not in ("meta", "meta-0.4"):
        return None, None
    warn(f"{saved.where}: took {name!r} for the model_meta.json of {saved.json_name!r}; ml5 finds that one only")
    return parse_meta(saved.meta, name), saved.raw(name)


def knn_document(source: Any) -> tuple[Any, str] | None:
    """The JSON of a KNNClassifier and its name, where the source is one: the only one there, without weights."""
    try:
        files, given = open_source(source)
        names = [name for name in files.names() if "/" not in name]
    except (FilesError, OSError):
        return None
    jsons = [name for name in names if name.endswith(".json")] if given in (None, "model.json") else [given]
    if len(jsons) > _MOST_JSONS or (given in (None, "model.json") and any(".bin" in name for name in names)):
        return None
    found = [(document, name) for name in jsons if kind_of(document := _json_or_none(files, name)) == "knn"]
    return found[0] if len(found) == 1 else None


def _json_or_none(files: SourceFiles, name: str) -> Any:
    try:
        return strict_json.loads(files.text(name), name)
    except (OSError, TfjsTorchError, TypeError):
        return None


def _tell_of_misfits(module: LayersModel, meta: Meta, where: str) -> None:
    shape = module.input_shapes[0]
    sizes = shape[1:] if shape else None
    if meta.inputs[0].dtype == "array" or meta.series_shape:
        wanted: Any = math.prod(meta.input_units) if not meta.series_shape else None
    else:
        wanted = sum(column.units for column in meta.inputs)
    if sizes is not None and None not in sizes and wanted is not None and math.prod(n or 1 for n in sizes) != wanted:
        _tell_of_another(where, f"{wanted} numbers as input, the network takes {list(sizes)}")
    given = sum(column.units for column in meta.outputs)
    with suppress(UnsupportedError):  # it ends in something else than a Dense layer
        if given < units_of(module):
            _tell_of_another(where, f"{given} numbers as output, the network gives {units_of(module)}")


def _tell_of_another(where: str, found: str) -> None:
    warn(f"{where}: model_meta.json describes {found}; it belongs to another save")


def new(
    task: str,
    *,
    inputs: int | Sequence[str] | Sequence[int],
    outputs: int | str | Sequence[str],
    hidden_units: int = 16,
    layers: Layers | None = None,
    learning_rate: float | None = None,
    normalize: bool = True,
) -> NeuralNetwork:
    """A network as ml5.neuralNetwork makes it, to be trained from the start; ml5 loads what it saves.

    As in ml5 the layers are made when the first data tell how many categories and labels there are: by `train`.

    Args:
        task: "classification", "regression" or "imageClassification".
        inputs: names of the inputs, or how many; for imageClassification the shape, [width, height, channels]. A shape
            with another number of axes goes with `layers` that take it (sequences are [steps, features]).
        outputs: names of the outputs, or how many. Labels are found in the data.
        hidden_units: of ml5's default network.
        layers: instead of it, as in ml5's option: [{"type": "dense", "units": 8, "activation": "relu"}, ...], the
            first without inputShape, the last without units.
        learning_rate: None is ml5's own.
        normalize: scale by the ranges of the first data, as normalizeData() does.

    Raises:
        MismatchError: another task, no names, a single layer.

    Example:
        >>> from tfjs_torch import ml5
        >>> nn = ml5.new("classification", inputs=["r", "g", "b"], outputs=["colour"])
        >>> rows = [{"r": 250, "g": 3, "b": 9, "colour": "red"}, {"r": 8, "g": 3, "b": 240, "colour": "blue"}] * 20
        >>> history = nn.train(rows, epochs=30, seed=1)
        >>> nn.labels, nn.classify([255, 0, 0])[0]["label"]
        (['red', 'blue'], 'red')
    """
    plan = plan_of(task, inputs, outputs, hidden_units, layers, learning_rate, normalize)
    return NeuralNetwork(None, None, task=task, plan=plan)
