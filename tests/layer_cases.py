"""The golden cases of layers: models, inputs, and what tf.js or Keras makes of them, in use and in training.

`tests/cases/README.md` tells where they come from.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from judges import CASES
from numpy.typing import NDArray

LAYERS = CASES / "layers"
GRADIENTS = CASES / "gradients"

# float64 and bool are Keras' alone: tf.js holds every input of a model as float32.
STORED_AS = {"float32": "<f4", "float64": "<f8", "int32": "<i4", "bool": "?"}

Arrays = list[NDArray[Any]]


@dataclass(frozen=True)
class LayerCase:
    """One golden model. Its calls are made one after the other on one loaded model: states may be kept."""

    name: str
    layer: str
    about: str
    semantics: str
    quirk: str | None
    files: dict[str, bytes]
    calls: list[tuple[Arrays, Arrays]]
    tolerance: float | None = None  # what the case itself allows, where it cannot be exact: half precision

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class GradientCase:
    """One golden step of training: gradient descent with all samples at once."""

    name: str
    about: str
    files: dict[str, bytes]
    inputs: Arrays
    targets: Arrays
    loss: str
    learning_rate: float
    outputs_before: Arrays
    gradients: dict[str, NDArray[Any]]
    files_after: dict[str, bytes]

    def __str__(self) -> str:
        return self.name


def paths(folder: Path = LAYERS) -> list[Path]:
    """Every case below the folder; give them to `pytest.mark.parametrize` with `ids=name_of`."""
    return sorted(folder.rglob("*.json"))


def name_of(path: Path) -> str:
    """`recurrent/lstm_masked`, or the bare name of a gradient."""
    return path.relative_to(GRADIENTS if path.parent == GRADIENTS else LAYERS).with_suffix("").as_posix()


def load(path: Path) -> LayerCase:
    case = json.loads(path.read_text(encoding="utf-8"))
    calls = case.get("calls") or [{"inputs": case["inputs"], "outputs": case["outputs"]}]
    return LayerCase(
        name=name_of(path),
        layer=case["layer"],
        about=case["about"],
        semantics=case["semantics"],
        quirk=case.get("quirk"),
        files=files_of(case),
        tolerance=case.get("tolerance"),
        calls=[(arrays(call["inputs"]), arrays(call["outputs"])) for call in calls],
    )


def load_gradients(path: Path) -> GradientCase:
    case = json.loads(path.read_text(encoding="utf-8"))
    gradients = {name: array({"dtype": "float32", **row}) for name, row in case["gradients"].items()}
    return GradientCase(
        name=name_of(path),
        about=case["about"],
        files=files_of(case),
        inputs=arrays(case["inputs"]),
        targets=arrays(case["targets"]),
        loss=case["loss"],
        learning_rate=case["optimizer"]["learning_rate"],
        outputs_before=arrays(case["outputs_before"]),
        gradients=gradients,
        files_after=files_of({**case, "weights": case["weights_after"]}),
    )


def load_all(semantics: str | None = None) -> list[LayerCase]:
    """All cases, or those of `tfjs` or of `keras` alone."""
    return [case for case in map(load, paths()) if semantics in (None, case.semantics)]


def files_of(case: Mapping[str, Any]) -> dict[str, bytes]:
    """The files of a case's model, as a browser would fetch them."""
    return {"model.json": json.dumps(case["model"]).encode(), "weights.bin": base64.b64decode(case["weights"])}


def arrays(rows: Iterable[Mapping[str, Any]]) -> Arrays:
    """Tensors as they stand in a case: a shape, a dtype, and base64 of little-endian numbers."""
    return [array(row) for row in rows]


def array(row: Mapping[str, Any]) -> NDArray[Any]:
    """An array that may be written, as torch wants it."""
    return np.frombuffer(base64.b64decode(row["data"]), STORED_AS[row["dtype"]]).reshape(row["shape"]).copy()
