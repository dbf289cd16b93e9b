"""Pictures as ml5 makes tensors of them (imgToTensor in utils/imageUtilities.js of 0.x and 1.x)."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from ..errors import MismatchError
from ..layers.resampling import LEGACY, Sampling, resized
from .pictures import Pixels, shown

THINNEST: Final = 64  # times as long as wide: work and memory grow with the long side


def refuse_thin(height: int, width: int) -> None:
    """Refuse a strip that no camera makes, and whose resizing would take all memory.

    Raises:
        MismatchError: one side is more than THINNEST times the other.
    """
    if max(height, width) > THINNEST * min(height, width):
        raise MismatchError(
            "picture", f"a picture at most {THINNEST} times as long as wide expected, found {width} x {height}; cut it"
        )


def squashed(pixels: Pixels, size: int = 224) -> npt.NDArray[np.float32]:
    """A picture squeezed into a square, bilinearly and without keeping its proportions: float32 [size, size, 3].

    Raises:
        MismatchError: a strip, see refuse_thin.

    fromPixels, then tf.image.resizeBilinear on the numbers from 0 to 255; ml5 divides by 127 and subtracts 1 after.

    Example:
        >>> squashed(np.full((3, 5, 3), 127, np.uint8), 2).tolist()[0][0]
        [127.0, 127.0, 127.0]
    """
    refuse_thin(*pixels.shape[:2])
    values = torch.from_numpy(shown(pixels).astype(np.float64))
    return resized(values, size, size, Sampling("bilinear", LEGACY)).float().numpy()
