"""Pictures as browsers read them: turned upright, bytes row by row, transparency as a canvas keeps it.

Pillow is imported when it is needed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..errors import FilesError, MismatchError, UnsupportedError

Pixels = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.signedinteger[Any]]

BROWSERS: Final = ("PNG", "JPEG", "WEBP", "GIF", "BMP")  # what all of them draw, in Pillow's words


class Text(str):
    """Text that came out of a file or a request: never the path of a picture, whatever it says."""

    __slots__ = ()


def as_text(value: Any) -> Any:
    """Parsed JSON with all its text as Text.

    Example:
        >>> is_picture("/etc/passwd"), is_picture(as_text(["/etc/passwd"])[0])
        (True, False)
    """
    if isinstance(value, str):
        return Text(value)
    if isinstance(value, dict):
        return {key: as_text(item) for key, item in value.items()}
    if isinstance(value, list) and any(isinstance(item, (str, list, dict)) for item in value):
        return [as_text(item) for item in value]
    return value


def is_picture(value: Any) -> bool:
    """A PIL image or the path of one, which only a caller in Python can give."""
    if isinstance(value, (str, os.PathLike)):
        return not isinstance(value, Text)
    return hasattr(value, "convert") and hasattr(value, "getbands")


def pixels_of(picture: Any, units: Sequence[int], where: str = "picture") -> Pixels:
    """The bytes of a picture, flat, as getImageData gives them; `units` are the network's [width, height, channels].

    Nothing is resized, as in ml5: which way to resize would change the answers, and only the sketch knows.

    Raises:
        MismatchError: another size, or a network that takes no picture.
    """
    if len(units) != 3 or units[2] not in (1, 3, 4):
        raise MismatchError(where, f"{list(units)} numbers expected, found a picture; give a list or an array")
    found = rgba_of(picture, where)
    width, height, channels = units
    if found.shape[:2] not in ((height, width), (width, height)):
        size = f"{found.shape[1]} x {found.shape[0]}"
        raise MismatchError(
            where,
            f"a picture of {width} x {height} expected, as the sketch trained with, found {size}; "
            f"image.resize(({width}, {height})) makes one",
        )
    colours = shown(found)
    if channels == 1:  # ml5 itself has no grey pictures; these weights are those of everybody else
        wide: Ints = colours.astype(np.int64) @ np.array([19595, 38470, 7471])
        grey: Pixels = ((wide + 32768) >> 16).astype(np.uint8)
        return grey.ravel()
    alpha = found[..., 3:] if found.shape[2] == 4 else np.full((*found.shape[:2], 1), 255, np.uint8)
    return (colours if channels == 3 else np.concatenate([colours, alpha], axis=-1)).ravel()


def rgba_of(picture: Any, where: str = "picture", *, upright: bool = True) -> Pixels:
    """uint8 [height, width, 3 or 4] of a PIL image, a path, or an array [h, w], [h, w, 1, 3 or 4] of bytes.

    `upright`: turned as its EXIF data say, as browsers draw it. Three channels where the picture has no alpha.

    Raises:
        FilesError: no picture. MismatchError: another kind of array. UnsupportedError: Pillow is not installed.
    """
    if hasattr(picture, "detach"):
        picture = picture.detach().cpu().numpy()
    if isinstance(picture, np.ndarray):
        return _colours(picture, where)
    if isinstance(picture, (str, os.PathLike)):
        with opened(picture, where) as image:
            return rgba_of(image, where, upright=upright)
    image = opened(picture, where)
    if 0 in image.size:
        raise MismatchError(where, "a picture with pixels expected, found an empty one")
    with reading(str(getattr(image, "filename", "")) or where):
        image = _upright(image, where) if upright else image
        if image.mode.startswith("I;16"):
            return _colours((np.asarray(image) >> 8).astype(np.uint8), where)
        has_alpha = image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info
        return np.asarray(image.convert("RGBA" if has_alpha else "RGB"), np.uint8)


def shown(pixels: Pixels) -> Pixels:
    """What fromPixels gives of [h, w, 3 or 4]: three channels, as a canvas keeps them."""
    if pixels.shape[2] == 3 or pixels[..., 3].min() == 255:
        return pixels[..., :3]
    return unpremultiplied(premultiplied(pixels))


def premultiplied(pixels: Pixels) -> Ints:
    """RGBA as a canvas keeps it: colours times alpha, in bytes."""
    wide = pixels.astype(np.int32)
    products = wide[..., :3] * wide[..., 3:] + 128
    return np.concatenate([(products + (products >> 8)) >> 8, wide[..., 3:]], axis=-1)


def unpremultiplied(picture: Ints) -> Pixels:
    """The colours that getImageData gives back, [h, w, 3]; black where nothing was drawn."""
    alpha = picture[..., 3:]
    colours = (picture[..., :3] * 510 + alpha) // np.maximum(2 * alpha, 1)
    return np.where(alpha > 0, colours.clip(0, 255), 0).astype(np.uint8)


def pillow(where: str) -> Any:
    """The modules PIL.Image and PIL.ImageOps. Raises UnsupportedError where Pillow is not installed."""
    try:
        from PIL import Image, ImageOps
    except ModuleNotFoundError:
        raise UnsupportedError(where, "Pillow to read pictures expected, found none; pip install pillow") from None
    return Image, ImageOps


def opened(picture: Any, where: str = "picture") -> Any:
    """A PIL image, its pixels not yet read where it comes from a path. Kinds that browsers draw are tried first.

    Raises:
        FilesError: no file, or no picture. MismatchError: something else. UnsupportedError: Pillow is not installed.
    """
    Image, _ = pillow(where)  # noqa: N806
    if isinstance(picture, Image.Image):
        return picture
    if not isinstance(picture, (str, os.PathLike)):
        raise MismatchError(where, f"a PIL image, a path or an array expected, found {type(picture).__name__}")
    with reading(os.fspath(picture)):
        try:
            return Image.open(picture, formats=BROWSERS)
        except Image.UnidentifiedImageError:
            return Image.open(picture)


@contextmanager
def reading(where: str) -> Iterator[None]:
    """A block in which what Pillow raises becomes FilesError."""
    Image, _ = pillow(where)  # noqa: N806
    try:
        yield
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise FilesError(where, f"a picture expected, found: {error}") from None


def _upright(image: Any, where: str) -> Any:
    _, ImageOps = pillow(where)  # noqa: N806
    return ImageOps.exif_transpose(image)


def _colours(array: npt.NDArray[Any], where: str) -> Pixels:
    if array.dtype != np.uint8:
        raise MismatchError(where, f"uint8 pixels from 0 to 255 expected, found {array.dtype} {list(array.shape)}")
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or 0 in array.shape:
        raise MismatchError(where, f"the shape [h, w] or [h, w, 1, 3 or 4] expected, found {list(array.shape)}")
    return array if array.shape[2] > 1 else np.repeat(array, 3, axis=2)
