"""Images in another size: tf.js' grids (tfjs-core's resizeBilinear, resizeNearestNeighbor) and TensorFlow's."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

CORNERS: Final = "corners"  # first and last pixel stay where they are: tf.js' align_corners
LEGACY: Final = "legacy"  # pixel i comes from i * in / out: tf.js otherwise
HALF: Final = "half"  # the centers of pixels count: TensorFlow 2


class Sampling(NamedTuple):
    """How pixels are made of others.

    Attributes:
        method: "nearest", "bilinear", "area", or what KERNELS has.
        grid: CORNERS, LEGACY or HALF.
        antialias: whether smaller images are smoothed.
    """

    method: str
    grid: str = HALF
    antialias: bool = False


def resized(images: Tensor, height: int, width: int, how: Sampling) -> Tensor:
    """[..., rows, columns, channels] in another size (some kernels change them in the same size, too); rank 3 or 4."""
    if how.method == "bilinear" and not how.antialias and how.grid != LEGACY:
        batch = images if images.dim() == 4 else images[None]
        made = F.interpolate(
            batch.permute(0, 3, 1, 2), (height, width), mode="bilinear", align_corners=how.grid == CORNERS
        ).permute(0, 2, 3, 1)
        return made if images.dim() == 4 else made[0]
    return _along(_along(images, -3, height, how), -2, width, how)


def _along(images: Tensor, axis: int, size: int, how: Sampling) -> Tensor:
    length = images.shape[axis]
    if how.method == "nearest":
        return images.index_select(axis, _nearest(length, size, how.grid).to(images.device))
    if how.method == "area":
        weights = _overlaps(length, size)
    else:
        weights = _bilinear(length, size) if how.grid == LEGACY else _weights(length, size, how)
    made: Tensor = torch.tensordot(images, weights.to(images), dims=([axis], [1]))
    return made.movedim(-1, axis)


def _nearest(length: int, size: int, grid: str) -> Tensor:
    places = torch.arange(size, dtype=torch.float64)
    if grid == CORNERS:
        index = torch.floor(places * ((length - 1) / (size - 1) if size > 1 else length) + 0.5)
    elif grid == LEGACY:
        index = torch.floor(places * (length / size))
    else:
        index = torch.floor((places.float() + 0.5) * (length / size))
    return index.long().clamp(max=length - 1)


def _bilinear(length: int, size: int) -> Tensor:
    """[size, length] weights on the legacy grid."""
    places = torch.arange(size, dtype=torch.float64) * (length / size)
    lower = torch.floor(places)
    part = (places - lower)[:, None]
    lower = lower.long()[:, None]
    index = torch.arange(length)
    return (index == lower) * (1 - part) + (index == (lower + 1).clamp(max=length - 1)) * part


def _overlaps(length: int, size: int) -> Tensor:
    """[size, length]: how much of each pixel lies below each new one."""
    scale = length / size
    start = torch.arange(size, dtype=torch.float64)[:, None] * scale
    index = torch.arange(length, dtype=torch.float64)
    return (torch.minimum(start + scale, index + 1) - torch.maximum(start, index)).clamp(min=0) / scale


def _triangle(x: Tensor) -> Tensor:
    return (1 - x.abs()).clamp(min=0)


def _keys_cubic(x: Tensor) -> Tensor:
    x = x.abs()
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return torch.where(x <= 1, (1.5 * x - 2.5) * x * x + 1, torch.where(x < 2, far, 0.0))


def _mitchell_cubic(x: Tensor) -> Tensor:
    x = x.abs()
    near = ((7 / 6 * x - 2) * x) * x + 8 / 9
    far = ((-7 / 18 * x + 2) * x - 10 / 3) * x + 16 / 9
    return torch.where(x < 1, near, torch.where(x < 2, far, 0.0))


def _lanczos(radius: int) -> Callable[[Tensor], Tensor]:
    return lambda x: torch.where(x.abs() < radius, torch.sinc(x) * torch.sinc(x / radius), 0.0)


def _gaussian(x: Tensor) -> Tensor:
    return torch.where(x.abs() < 1.5, torch.exp(-x * x / (2 * 0.5**2)), 0.0)


KERNELS: Final[Mapping[str, Callable[[Tensor], Tensor]]] = {
    "bilinear": _triangle,
    "bicubic": _keys_cubic,
    "mitchellcubic": _mitchell_cubic,
    "lanczos3": _lanczos(3),
    "lanczos5": _lanczos(5),
    "gaussian": _gaussian,
}


def _weights(length: int, size: int, how: Sampling) -> Tensor:
    """[size, length] weights of a kernel around each new pixel's center, adding up to 1."""
    scale = length / size
    places = (torch.arange(size, dtype=torch.float64) + 0.5) * scale - 0.5
    if how.method == "bicubic" and not how.antialias:  # TensorFlow reads this kernel from a table of 1024 steps
        lower = torch.floor(places)
        places = lower + torch.round((places - lower) * 1024) / 1024
    wide = max(scale, 1.0) if how.antialias else 1.0
    weights = KERNELS[how.method]((torch.arange(length, dtype=torch.float64) - places[:, None]) / wide)
    return weights / weights.sum(1, keepdim=True)


def resized_to_fit(images: Tensor, height: int, width: int, how: Sampling) -> Tensor:
    """The largest part from the middle that has the sides' new ratio, in the new size (Keras' smart_resize)."""
    rows, columns = images.shape[-3:-1]
    part_rows = max(min(rows, math.floor(columns * height / width)), 1)
    part_columns = max(min(columns, math.floor(rows * width / height)), 1)
    return resized(cropped(images, part_rows, part_columns), height, width, how)


def cropped(images: Tensor, rows: int, columns: int) -> Tensor:
    """From the middle; where that is between pixels, nearer to the top and left."""
    top, left = (images.shape[-3] - rows) // 2, (images.shape[-2] - columns) // 2
    return images[..., top : top + rows, left : left + columns, :]


def padded_to_fit(images: Tensor, height: int, width: int, fill: float, how: Sampling) -> Tensor:
    """The whole image with margins on two sides, in the new size (Keras 3's pad_to_aspect_ratio)."""
    rows, columns = images.shape[-3:-1]
    above = (max(rows, math.floor(columns * height / width)) - rows) // 2
    beside = (max(columns, math.floor(rows * width / height)) - columns) // 2
    return resized(F.pad(images, (0, 0, beside, beside, above, above), value=fill), height, width, how)
