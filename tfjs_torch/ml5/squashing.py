"""Pictures as ml5 makes tensors of them (imgToTensor in utils/imageUtilities.js of 0.x and 1.x)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from ..layers.resampling import LEGACY, Sampling, resized
from .pictures import Pixels, shown


def squashed(pixels: Pixels, size: int = 224) -> npt.NDArray[np.float32]:
    """A picture squeezed into a square, bilinearly and without keeping its proportions: float32 [size, size, 3].

    fromPixels, then tf.image.resizeBilinear on the numbers from 0 to 255; ml5 divides by 127 and subtracts 1 after.

    Example:
        >>> squashed(np.full((3, 5, 3), 127, np.uint8), 2).tolist()[0][0]
        [127.0, 127.0, 127.0]
    """
    values = torch.from_numpy(shown(pixels).astype(np.float64))
    return resized(values, size, size, Sampling("bilinear", LEGACY)).float().numpy()
