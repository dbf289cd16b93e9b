"""featureExtractor saves: a MobileNet with a trained head (ml5 0.x), or the head alone (ml5 1.4)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..artifacts import Artifacts
from ..errors import ManifestError, MismatchError, TopologyError, UnsupportedError
from ..layers.network import LayersModel
from ..layers.shapes import head_of
from ..model import load_model, save_model
from .encoding import array_of
from .pictures import rgba_of
from .squashing import squashed

Floats = npt.NDArray[np.float32]


class FeatureExtractor:
    """What ml5.load gives for a save of ml5.featureExtractor.

    Attributes:
        task: "featureExtractor".
        usage: "classification" or "regression".
        labels: in the order of the outputs; [] in regression. An output without a name is called by its number.
        module: the network. Of ml5 0.x it takes pictures [n, 224, 224, 3], of ml5 1.4 MobileNet's features [n, d].
        takes_pictures: which of the two.

    Sources: src/FeatureExtractor/Mobilenet.js of ml5 0.12.2 and of 1.4.0.
    """

    task = "featureExtractor"

    def __init__(self, module: LayersModel, usage: str, labels: list[str]) -> None:
        self.module, self.usage, self.labels = module, usage, labels
        shape = module.input_shapes[0] or ()
        self._shape = [int(size or 0) for size in shape[1:]]
        self.takes_pictures = len(self._shape) == 3

    def classify(self, x: Any) -> Any:
        """[{"label", "confidence"}], best first, as `classifier.classify` in the sketch; a list gives a list of those.

        Args:
            x: saves of ml5 0.x: a PIL image, a path, uint8 pixels [h, w, 3 or 4] (squeezed into the network's square
                as ml5 does, x / 127 - 1), or float32 numbers of the network's own shape. Saves of 1.4: the features
                that MobileNet gives, [d] or a batch [n, d].

        Raises:
            MismatchError: a regression, or x does not fit. UnsupportedError: a picture for a save without MobileNet.
            FilesError: no picture there.
        """
        self._wants("classification", "predict")
        rows, single = self._outputs(x)
        answers = [self._sorted(row) for row in rows]
        return answers[0] if single else answers

    def _sorted(self, row: list[float]) -> list[dict[str, Any]]:
        pairs = sorted(zip(self.labels, row, strict=True), key=lambda pair: -pair[1])
        return [{"label": label, "confidence": value} for label, value in pairs]

    def predict(self, x: Any) -> Any:
        """[{"label": "value", "value"}]; a list of samples gives a list of those.

        `regressor.predict` in the sketch gives the same number, as {"value"} in 0.x and [{"value"}] in 1.4. Args and
        errors as in classify.
        """
        self._wants("regression", "classify")
        rows, single = self._outputs(x)
        answers = [[{"label": "value", "value": row[0]}] for row in rows]
        return answers[0] if single else answers

    def answer(self, x: Any) -> Any:
        """classify or predict, whichever the save is for."""
        return self.classify(x) if self.usage == "classification" else self.predict(x)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the files that it came from, with the weights as they are now; unchanged, byte for byte.

        Raises:
            FilesError: the place cannot be written.
        """
        save_model(self.module, path)

    def _wants(self, usage: str, other: str) -> None:
        if self.usage != usage:
            raise MismatchError("featureExtractor", f"a save for {usage} expected, found {self.usage}; call {other}")

    def _outputs(self, x: Any) -> tuple[list[list[float]], bool]:
        several, single = self._listed(x)
        batch = np.stack([self._prepared(each) for each in several])
        made: list[list[float]] = self.module.predict(batch).tolist()
        return made, single

    def _listed(self, x: Any) -> tuple[list[Any], bool]:
        if isinstance(x, torch.Tensor) and x.layout == torch.strided:
            x = array_of(x, "x")
        if isinstance(x, np.ndarray) and x.ndim == len(self._shape) + 1:
            x = list(x)
        if not isinstance(x, list) or (x and isinstance(x[0], (int, float))):
            return [x], True
        if not x:
            raise MismatchError("x", "at least one sample expected, found none")
        return x, False

    def _prepared(self, x: Any) -> Floats:
        if isinstance(x, torch.Tensor) and x.layout == torch.strided:
            x = x.detach().cpu().numpy()
        if self.takes_pictures and not (isinstance(x, np.ndarray) and x.dtype.kind == "f"):
            return squashed(rgba_of(x), self._shape[0]) / np.float32(127) - np.float32(1)
        if isinstance(x, (str, os.PathLike)) or hasattr(x, "getbands"):
            raise UnsupportedError(
                "x",
                f"the {self._shape[0]} features of MobileNet expected, found a picture: ml5 1.4 does not save "
                "MobileNet itself; saves of ml5 0.x take pictures",
            )
        try:
            made = np.asarray(x, np.float32)
        except (TypeError, ValueError, OverflowError) as error:
            raise MismatchError("x", f"an array of numbers expected, found {type(x).__name__}: {error}") from None
        if list(made.shape) != self._shape:
            raise MismatchError("x", f"the shape {self._shape} expected, found {list(made.shape)}")
        return made


def open_extractor(artifacts: Artifacts) -> FeatureExtractor:
    """The object of a save that has ml5Specs (0.x) or userDefinedMetadata (1.4) in its JSON.

    Raises:
        ManifestError: labels that are none. TopologyError, MismatchError, UnsupportedError: see load_model.
    """
    document, where = artifacts.model_json, artifacts.where
    module = load_model(artifacts)
    shape = module.input_shapes[0]
    if len(module.input_names) != 1 or len(module.output_names) != 1 or shape is None or len(shape) not in (2, 4):
        raise UnsupportedError(where, f"one input of a picture or of features expected, found {shape}")
    if len(shape) == 4 and (shape[1] is None or shape[1:] != (shape[1], shape[1], 3)):
        raise UnsupportedError(where, f"squares of three channels expected, found {list(shape)}")
    units = head_of(document["modelTopology"], where).config.get("units")
    if type(units) is not int:
        raise TopologyError(where, f"a whole number of units in the last layer expected, found {units!r:.40}")
    own = document.get("userDefinedMetadata")
    if "ml5Specs" in document:
        usage = "regression" if units == 1 else "classification"
        names = _names(document["ml5Specs"], "mapStringToIndex", where)
    else:
        usage = "regression" if isinstance(own, Mapping) and own.get("task") == "regression" else "classification"
        names = _names(own, "labelIndex", where)
    labels = [names[at] if at < len(names) else str(at) for at in range(units)] if usage == "classification" else []
    return FeatureExtractor(module, usage, labels)


def _names(specs: Any, key: str, where: str) -> list[str]:
    """Labels; ml5 1.4 takes numbers as labels, too."""
    found = specs.get(key) if isinstance(specs, Mapping) else None
    if not isinstance(found, list) or not all(isinstance(name, (str, int, float)) for name in found):
        raise ManifestError(where, f"a list of labels under {key!r} expected, found {type(found).__name__}")
    return [str(name) for name in found]
