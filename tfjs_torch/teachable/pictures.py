"""Pictures as image models of Teachable Machine take them, in the three ways that are in use."""

from __future__ import annotations

import os
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..errors import MismatchError
from ..ml5.pictures import Pixels, opened, pillow, reading, rgba_of
from ..ml5.squashing import refuse_thin, squashed
from .canvas import cropped, smaller_by

Floats = npt.NDArray[np.float32]

CONVENTIONS: Final = ("teachable", "ml5", "keras")
_ORIENTATION: Final = 0x0112  # EXIF: 5 to 8 turn by a quarter
_GRAY: Final = np.array([0.2989, 0.5870, 0.1140], np.float32)


def prepared(picture: Any, size: int, grayscale: bool, convention: str) -> Floats:
    """float32 [size, size, 3], or [size, size, 1] in grey, of a PIL image, a path, or uint8 pixels.

    Args:
        picture: what squashing.rgba_of takes.
        size, grayscale: as the model wants it.
        convention: "teachable", what the library @teachablemachine/image does: the short side fits, the middle stays,
            x / 127 - 1 (canvas.ts, tf.ts); "ml5", what ml5.imageClassifier does: squeezed into the square, x / 127 - 1;
            "keras", the snippet for Keras that Teachable Machine hands out: ImageOps.fit with Lanczos, x / 127.5 - 1.

    Raises:
        MismatchError: another convention, no picture, or a strip (see squashing.refuse_thin).
        UnsupportedError: Pillow is not installed.

    Example:
        >>> prepared(np.full((8, 9, 3), 254, np.uint8), 4, True, "teachable").shape
        (4, 4, 1)
    """
    if convention == "keras":
        return _as_keras(picture, size, grayscale)
    teachable = convention == "teachable"
    values = _on_canvas(picture, size).astype(np.float32) if teachable else squashed(rgba_of(picture), size)
    return _scaled(_gray(values) if grayscale else values, 127)


def _on_canvas(picture: Any, size: int) -> Pixels:
    """The square that the browser draws. A JPEG file of whole blocks is decoded smaller at once, as Chromium does."""
    if not isinstance(picture, (str, os.PathLike)):
        return cropped(rgba_of(picture), size)
    with opened(picture) as image:
        width, height = image.size
        with reading(os.fspath(picture)):  # what comes before the pixels
            orientation = image.getexif().get(_ORIENTATION, 1)
        if image.format == "JPEG" and width % _block(image, 1) == 0 and height % _block(image, 2) == 0:
            level = min(smaller_by(width, height, size), 3)
            image.draft(None, (width >> level, height >> level))
        pixels = rgba_of(image)
    sides = (width, height) if orientation in (5, 6, 7, 8) else (height, width)
    return cropped(pixels, size, sides, orientation if orientation in range(1, 9) else 1)


def _block(image: Any, axis: int) -> int:
    """Side of a JPEG's blocks, 8 or 16, by the sampling factors of its channels (id, horizontal, vertical, table)."""
    return 8 * max((channel[axis] for channel in getattr(image, "layer", ())), default=1)


def check_convention(convention: Any) -> None:
    """Raises MismatchError unless it is one of CONVENTIONS, or None."""
    if convention is not None and convention not in CONVENTIONS:
        wanted = ", ".join(f'"{name}"' for name in CONVENTIONS)
        raise MismatchError("preprocess", f"{wanted} or None expected, found {convention!r:.40}")


def _as_keras(picture: Any, size: int, grayscale: bool) -> Floats:
    pixels = rgba_of(picture, upright=False)  # the snippet does not look at EXIF
    refuse_thin(*pixels.shape[:2])
    Image, ImageOps = pillow("keras")  # noqa: N806
    image = Image.fromarray(np.ascontiguousarray(pixels[..., :3]))
    fitted = ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS)
    values = np.asarray(fitted.convert("L") if grayscale else fitted, np.uint8)
    return _scaled(values.reshape(size, size, -1).astype(np.float32), 127.5)


def _gray(values: Floats) -> Floats:
    products = values * _GRAY
    made: Floats = products.astype(np.float64).sum(axis=-1, keepdims=True).astype(np.float32)
    return made


def _scaled(values: Floats, half: float) -> Floats:
    made: Floats = values / np.float32(half) - np.float32(1)
    return made
