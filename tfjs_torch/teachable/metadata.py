"""metadata.json of a Teachable Machine export: which kind of model it is, and what its classes are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from .. import strict_json
from ..errors import ManifestError, MismatchError, warn

IMAGE_SIZE: Final = 224  # of exports whose metadata says nothing (libraries/image/src/custom-mobilenet.ts)
_PACKAGES: Final = {"@teachablemachine/image": "image", "@teachablemachine/pose": "pose"}
_AXES: Final = {"image": 4, "pose": 2, "audio": 4}

Shape = Sequence[int | None]


class Metadata(NamedTuple):
    """What the file says.

    Attributes:
        kind: "image", "pose" or "audio".
        labels: in the order of the model's outputs.
        key: under which the labels stand.
        image_size, grayscale: of image models; 224 and False where the file says nothing.
        document: all of it.
    """

    kind: str
    labels: tuple[str, ...]
    key: str
    image_size: int
    grayscale: bool
    document: Mapping[str, Any]


def read_metadata(document: Any, shape: Shape, units: int, where: str) -> Metadata:
    """A parsed metadata.json, held against the model's input shape and number of outputs.

    Raises:
        ManifestError: no labels. MismatchError: it belongs to another kind of model than this one.

    Example:
        >>> read_metadata({"labels": ["cat", "dog"]}, (None, 224, 224, 3), 2, "metadata.json")[:3]
        ('image', ('cat', 'dog'), 'labels')
    """
    if not isinstance(document, Mapping):
        raise ManifestError(where, f"an object expected, found {type(document).__name__}")
    kind = _kind(document, shape, where)
    key = "labels" if kind != "audio" else next((k for k in ("wordLabels", "words") if k in document), "labels")
    labels = _labels(document.get(key), key, units, where)
    if len(shape) != _AXES[kind]:
        raise MismatchError(where, f"a model of {kind}s with {_AXES[kind]} axes expected, found inputs {list(shape)}")
    size, grayscale = document.get("imageSize", IMAGE_SIZE), document.get("grayscale", False)
    if kind == "image":
        size, grayscale = _fitting(size, grayscale, shape, where)
    return Metadata(kind, labels, key, size if kind == "image" else 0, bool(grayscale), document)


def written(metadata: Metadata, labels: Sequence[str]) -> bytes:
    """The file with these labels, as JSON.stringify writes it."""
    document = {**metadata.document, metadata.key: list(labels)}
    return strict_json.dumps(document, "metadata.json")


def _kind(document: Mapping[str, Any], shape: Shape, where: str) -> str:
    package, settings = document.get("packageName"), document.get("modelSettings")
    if isinstance(package, str) and package in _PACKAGES:
        return _PACKAGES[package]
    if isinstance(settings, Mapping) and "posenet" in settings:
        return "pose"
    if {"wordLabels", "words", "tfjsSpeechCommandsVersion"} & document.keys():
        return "audio"
    kind = "image" if len(shape) == 4 else "pose"
    if package is not None:
        known = ", ".join(_PACKAGES)
        warn(
            f"{where}: packageName {known} expected, found {package!r:.60}; taken for a model of {kind}s by its inputs"
        )
    return kind


def _labels(found: Any, key: str, units: int, where: str) -> tuple[str, ...]:
    if not isinstance(found, list) or not all(isinstance(label, str) for label in found):
        raise ManifestError(where, f"a list of texts under {key!r} expected, found {type(found).__name__}")
    if len(found) != units:
        warn(f"{where}: {units} labels expected, one for each output of the model, found {len(found)}")
    return (*found[:units], *(f"Class {at + 1}" for at in range(len(found), units)))


def _fitting(size: Any, grayscale: Any, shape: Shape, where: str) -> tuple[int, bool]:
    """The model's own size and channels, where the file says others."""
    if type(size) is not int or not 1 <= size <= 4096:
        raise ManifestError(where, f"an imageSize from 1 to 4096 expected, found {size!r:.60}")
    height, width, channels = shape[1:]
    if (height or size, width or size) != (size, size):
        if height != width or height is None:
            raise MismatchError(where, f"a model of squares of {size} expected, found inputs {list(shape)}")
        warn(f"{where}: imageSize {height} expected, as the model has it, found {size}; taken as the model has it")
        size = height
    if channels not in (1, 3):
        raise MismatchError(where, f"a model of 1 or 3 channels expected, found inputs {list(shape)}")
    if bool(grayscale) != (channels == 1):
        said = "is not said to be" if channels == 1 else "is said to be"
        warn(f"{where}: the model takes {channels} channel(s), and {said} grayscale; taken as the model has it")
    return size, channels == 1
