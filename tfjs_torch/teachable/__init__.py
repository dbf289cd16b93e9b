"""Teachable Machine exports: the library's own answers in Python, more classes, and files that it loads again.

from tfjs_torch import teachable
model = teachable.load("converted_tfjs")          # model.json, weights.bin, metadata.json; a folder or a zip
model.classify("cat.jpg")                         # [{"label": "cat", "confidence": 0.98}, ...]
model.train({"dog": ["dog1.jpg", "dog2.jpg"]})    # a new class, or more pictures of those it has
model.save("better")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .analyser import spectrogram
    from .model import Teachable
    from .opening import load

_HOME = {"Teachable": "model", "load": "opening", "spectrogram": "analyser"}

__all__ = ["Teachable", "load", "spectrogram"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(import_module(f".{_HOME[name]}", __name__), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
