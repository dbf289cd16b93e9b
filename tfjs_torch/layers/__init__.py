"""Layers of tf.js and Keras as torch modules: one file a family, each layer's weights and module side by side.

`register` adds a layer of your own, `supported_layers` lists all.
"""

from __future__ import annotations

from importlib import import_module
from typing import Final

from .config import Config
from .registry import Context, Layer, Weight, find, register, supported_layers
from .stored import StoredWeights

FAMILIES: Final = (
    "activations", "attention", "batch_normalization", "convolutional", "convolutional_recurrent", "core", "merging",
    "models", "multi_head", "normalization", "operations", "pooling", "preprocessing", "recurrent", "regularization",
    "reshaping", "wrappers",
)  # fmt: skip

for _family in FAMILIES:
    import_module(f".{_family}", __name__)

__all__ = ["Config", "Context", "Layer", "StoredWeights", "Weight", "find", "register", "supported_layers"]
