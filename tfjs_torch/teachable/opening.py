"""teachable.load: the three files of an export -> a Teachable."""

from __future__ import annotations

import os
from collections.abc import Sequence

from .. import strict_json
from ..artifacts import Artifacts, Source, read_artifacts
from ..errors import FilesError, TopologyError, UnsupportedError
from ..layers.network import LayersModel
from ..layers.shapes import head_of
from ..ml5.opening import as_source
from ..model import load_model
from .metadata import Metadata, read_metadata
from .model import Teachable

METADATA = "metadata.json"


def load(source: Source | Sequence[str | os.PathLike[str]]) -> Teachable:
    """An export of Teachable Machine: images (224 in colour, 96 in grey), poses (the head), or audio.

    Args:
        source: the folder, the path of model.json, a .zip (path or bytes), {file name: bytes or Path}, or a list of
            paths: model.json, weights.bin and metadata.json, as "TensorFlow.js: download my model" gives them.

    Raises:
        FilesError: a file is missing; without metadata.json nobody knows labels and kind (tfjs_torch.load_model reads
            the other two alone). ManifestError, TopologyError: the JSON breaks the format. MismatchError: the files
            do not belong together. UnsupportedError: not a model of Teachable Machine.

    The files: libraries/image, libraries/pose of teachablemachine-community; speech-commands of tfjs-models.

    Example:
        >>> from tfjs_torch import teachable
        >>> model = teachable.load("tests/cases/teachable/image")
        >>> model.kind, model.labels, model.image_size
        ('image', ['cat', 'dog', 'nobody'], 224)
    """
    artifacts = read_artifacts(as_source(source))
    module = load_model(artifacts)
    return Teachable(module, metadata_of(artifacts, module))


def metadata_of(artifacts: Artifacts, module: LayersModel) -> Metadata:
    """What metadata.json says, held against the model.

    Raises:
        FilesError: it is missing. ManifestError, MismatchError: it does not go with the model.
    """
    if METADATA not in artifacts.sidecars and any(name.endswith("_meta.json") for name in artifacts.sidecars):
        raise UnsupportedError(
            artifacts.where, "an export of Teachable Machine expected, found a save of ml5; ml5.load reads it"
        )
    if METADATA not in artifacts.sidecars:
        raise FilesError(
            artifacts.where,
            f"{METADATA} beside model.json expected, which holds the labels, found none; add the one of the export, "
            "or use tfjs_torch.load_model, which needs none",
        )
    if len(module.input_names) != 1 or len(module.output_names) != 1:
        found = f"found {len(module.input_names)} and {len(module.output_names)}"
        raise UnsupportedError(artifacts.where, f"a model with one input and one output expected, {found}")
    shape = module.input_shapes[0]
    if shape is None or len(shape) < 2:
        raise UnsupportedError(artifacts.where, f"an input whose shape the file says expected, found {shape}")
    document = strict_json.loads(artifacts.sidecar(METADATA), METADATA)
    return read_metadata(document, shape, _units(artifacts), METADATA)


def _units(artifacts: Artifacts) -> int:
    units = head_of(artifacts.model_json["modelTopology"], artifacts.where).config.get("units")
    if type(units) is not int:
        raise TopologyError(artifacts.where, f"a whole number of units in the last layer expected, found {units!r:.40}")
    return units
