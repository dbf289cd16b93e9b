"""ml5 models: the browser's answers in Python, more training in PyTorch, and files that the sketch loads again.

    from tfjs_torch import ml5
    nn = ml5.load("my-model")                      # the folder with ml5's three files
    nn.classify({"r": 255, "g": 0, "b": 90})       # as nn.classify in the sketch
    nn.train("my-data.json", epochs=50)            # what nn.saveData() saved
    nn.save("better")

Names are imported when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .averaging import average
    from .checking import check
    from .extractor import FeatureExtractor
    from .findings import Finding
    from .knn import KNN
    from .network import NeuralNetwork
    from .opening import load, new
    from .repairing import repair, repaired_files

_HOME = {
    "FeatureExtractor": "extractor", "Finding": "findings", "KNN": "knn", "NeuralNetwork": "network",
    "average": "averaging", "check": "checking", "load": "opening", "new": "opening", "repair": "repairing",
    "repaired_files": "repairing",
}  # fmt: skip

__all__ = [
    "KNN",
    "FeatureExtractor",
    "Finding",
    "NeuralNetwork",
    "average",
    "check",
    "load",
    "new",
    "repair",
    "repaired_files",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(import_module(f".{_HOME[name]}", __name__), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
