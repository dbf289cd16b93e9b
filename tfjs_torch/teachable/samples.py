"""What users hand to a model of Teachable Machine -> the float32 batch that it computes with."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..errors import MismatchError
from .analyser import normalized, spectrogram
from .metadata import Metadata
from .pictures import check_convention, prepared

Floats = npt.NDArray[np.float32]
Shape = Sequence[int | None]


def batch_of(x: Any, metadata: Metadata, shape: Shape, preprocess: str | None) -> tuple[Floats, bool]:
    """float32 [n, ...] in the model's shape, and whether `x` was one sample rather than several.

    Raises:
        MismatchError: x is nothing that this kind of model takes.
    """
    check_convention(preprocess)
    if isinstance(x, list) and not _is_vector(x):
        if not x:
            raise MismatchError("x", "at least one sample expected, found an empty list")
        return np.stack([_one(each, metadata, shape, preprocess) for each in x]), False
    array = _array(x)
    if array is not None and not array.size:
        raise MismatchError("x", f"numbers expected, found none, in the shape {list(array.shape)}")
    if array is not None and array.ndim == len(shape) and not (metadata.kind == "image" and _is_bytes(array)):
        return np.stack([_one(each, metadata, shape, preprocess) for each in array]), False
    return _one(x, metadata, shape, preprocess)[None], True


def _one(x: Any, metadata: Metadata, shape: Shape, preprocess: str | None) -> Floats:
    wanted = [int(size or 0) for size in shape[1:]]
    if metadata.kind == "image":
        return _picture(x, metadata, wanted, preprocess)
    if metadata.kind == "pose":
        return _pose(x, wanted)
    return _sound(x, wanted, preprocess)


def _picture(x: Any, metadata: Metadata, wanted: list[int], preprocess: str | None) -> Floats:
    array = _array(x)
    if array is not None and not _is_bytes(array):
        size = metadata.image_size
        return _of_shape(array, [size, size, wanted[-1]], "a picture, uint8 pixels, or float32 numbers")
    if preprocess is None:
        raise MismatchError("x", "float32 numbers of the model's shape expected without preprocess, found a picture")
    return prepared(x, metadata.image_size, metadata.grayscale, preprocess)


def _pose(x: Any, wanted: list[int]) -> Floats:
    if isinstance(x, tuple) and len(x) == 2:  # heatmaps and offsets of posenet, [17, 17, 17] and [17, 17, 34]
        parts = [_numbers(part) for part in x]
        if parts[0].ndim != 3 or parts[1].ndim != 3 or parts[0].shape[:2] != parts[1].shape[:2]:
            found = " and ".join(str(list(part.shape)) for part in parts)
            raise MismatchError("x", f"heatmaps [h, w, 17] and offsets [h, w, 34] expected, found {found}")
        return _of_shape(np.concatenate(parts, axis=2).ravel(), wanted, "heatmaps and offsets")
    if isinstance(x, (str, os.PathLike)) or hasattr(x, "getbands"):
        raise MismatchError(
            "x",
            f"{wanted[0]} numbers, posenet's heatmaps and offsets, expected, found a picture: posenet is not in the "
            "export; run it in the browser and send what estimatePose gives as posenetOutput",
        )
    return _of_shape(_numbers(x).ravel(), wanted, "posenet's numbers")


def _sound(x: Any, wanted: list[int], preprocess: str | None) -> Floats:
    frames, bins = wanted[0], wanted[1]
    values = _array(x)
    if isinstance(x, tuple):
        raise MismatchError("x", "a .wav, its samples or a spectrogram in decibels expected, found a pair")
    if values is None or values.ndim == 1:
        values = spectrogram(x, frames, bins)
    if values.shape == (frames, bins):
        values = values[..., None]
    values = _of_shape(values, wanted, "a .wav or a spectrogram in decibels")
    return values if preprocess is None else normalized(values[None])[0]


def _of_shape(array: npt.NDArray[Any], wanted: list[int], what: str) -> Floats:
    if array.dtype.kind not in "fiu" or list(array.shape) != wanted:
        raise MismatchError("x", f"{what} of the shape {wanted} expected, found {array.dtype} {list(array.shape)}")
    return array.astype(np.float32)


def _numbers(x: Any) -> npt.NDArray[Any]:
    try:
        array = _array(x)
        return np.asarray(x, np.float32) if array is None else array
    except (TypeError, ValueError, OverflowError) as error:
        raise MismatchError("x", f"an array of numbers expected, found {type(x).__name__}: {error}") from None


def _array(x: Any) -> npt.NDArray[Any] | None:
    if isinstance(x, torch.Tensor):
        try:
            return x.detach().cpu().numpy()
        except (TypeError, RuntimeError) as error:
            raise MismatchError("x", f"a dense tensor expected, found another one: {error}") from None
    return x if isinstance(x, np.ndarray) else None


def _is_bytes(array: npt.NDArray[Any]) -> bool:
    """Pixels: bytes that are one picture, not several."""
    return array.dtype == np.uint8 and array.ndim < 4


def _is_vector(x: list[Any]) -> bool:
    return bool(x) and all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in x)
