"""Pictures as ml5 reads them: RGBA bytes, row by row, at their own size. Pillow is imported when it is needed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..errors import FilesError, MismatchError, UnsupportedError

_MODES: Final = {1: "L", 3: "RGB", 4: "RGBA"}


def is_picture(value: Any) -> bool:
    """A PIL image or the path of one."""
    return isinstance(value, (str, os.PathLike)) or (hasattr(value, "convert") and hasattr(value, "getbands"))


def opened(picture: Any, where: str = "picture") -> Any:
    """A PIL image, turned upright as browsers turn it, from an image or a path.

    Raises:
        FilesError: no file, or no picture. UnsupportedError: Pillow is not installed.
    """
    try:
        from PIL import Image, ImageOps
    except ModuleNotFoundError:
        raise UnsupportedError(where, "Pillow to read pictures expected, found none; pip install pillow") from None
    if not isinstance(picture, (str, os.PathLike)):
        return picture
    try:
        with Image.open(Path(picture)) as file:
            return ImageOps.exif_transpose(file)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise FilesError(f"{os.fspath(picture)}", f"a picture expected, found: {error}") from None


def pixels_of(picture: Any, units: Sequence[int], where: str = "picture") -> npt.NDArray[np.uint8]:
    """The bytes of a picture, flat, as getImageData gives them; `units` are the network's [width, height, channels].

    Nothing is resized, as in ml5: which way to resize would change the answers, and only the sketch knows.

    Raises:
        MismatchError: another size, or a network that takes no picture.
    """
    if len(units) != 3 or units[2] not in _MODES:
        raise MismatchError(where, f"{list(units)} numbers expected, found a picture; give a list or an array")
    image = opened(picture, where)
    width, height, channels = units
    if image.size not in ((width, height), (height, width)):
        found = f"{image.size[0]} x {image.size[1]}"
        raise MismatchError(
            where,
            f"a picture of {width} x {height} expected, as the sketch trained with, found {found}; "
            f"image.resize(({width}, {height})) makes one",
        )
    return np.asarray(image.convert(_MODES[channels]), np.uint8).ravel()
