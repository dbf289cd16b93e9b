"""drawImage of a browser's canvas, in numpy: what Teachable Machine's library sees of a picture.

The library draws a picture so that its short side fits, and lets the canvas cut off the rest. How the pixels come out
is the browser's business. Chromium's canvas without a GPU, measured (tests/test_teachable_browser.py):

1. A picture that shrinks to half or less is first halved as often as both sides stay at least as large as what is drawn
   (sides rounded up): by box filters [1 1] (of even sides) and [1 2 1] (of odd ones) while the halves are no smaller
   than that, and one bilinear step to the exact size.
2. The rest is bilinear, with positions in sixteenths of a pixel and sums that are rounded down.
3. Colours are multiplied with alpha before, divided by it after.

Met within one grey level, but for mirrored JPEGs (EXIF 2 to 4) and transparent pictures of odd sides that shrink to
less than a half: there one pixel value in a hundred is up to 10 levels off. A canvas on a GPU interpolates otherwise:
with Chromium on SwiftShader photos were 1 to 3 levels off on average and up to 23, noise that shrinks much more.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..ml5.pictures import Ints, Pixels, premultiplied, unpremultiplied
from ..ml5.squashing import refuse_thin

_SPAN: Final = 127  # pixels of a row that Chromium computes in one go; positions are rounded at the start of each
_ONE: Final = float(1 << 32)


def cropped(pixels: Pixels, size: int, original: tuple[int, int] | None = None, orientation: int = 1) -> Pixels:
    """A picture as Teachable Machine crops it: the short side fits `size`, the long one is cut on both ends.

    Args:
        pixels: uint8 [height, width, 3 or 4]; four channels are RGBA, not premultiplied.
        size: side of the square.
        original: height and width of the picture where it was decoded smaller (see smaller_by).
        orientation: by EXIF, 1 to 8, from which the pixels were turned upright: Chromium interpolates in the file's
            own rows and columns.

    Returns:
        uint8 [size, size, 3]: what getImageData gives, without its alpha; fully transparent pixels are black.

    Raises:
        MismatchError: a strip, see squashing.refuse_thin.

    The rule: cropTo in libraries/image/src/utils/canvas.ts of teachablemachine-community. See the module for the
    browser's part, which is met within one grey level.

    Example:
        >>> cropped(np.full((60, 90, 3), 200, np.uint8), 4)[0, 0].tolist()
        [200, 200, 200]
    """
    sides = original or (pixels.shape[0], pixels.shape[1])
    refuse_thin(*sides)
    if pixels.shape[2] == 3 or pixels[..., 3].min() == 255:
        return _drawn(pixels[..., :3].astype(np.int32), size, sides, orientation).astype(np.uint8)
    return unpremultiplied(_drawn(premultiplied(pixels), size, sides, orientation))


def smaller_by(width: int, height: int, size: int) -> int:
    """How many times Chromium halves a picture before it draws it; a JPEG of whole blocks is decoded that much smaller.

    Example:
        >>> smaller_by(640, 480, 224), smaller_by(4032, 3024, 224)
        (1, 3)
    """
    wide, high = _sides(width, height, size)
    level = 0
    while _halved(width, level + 1) >= wide and _halved(height, level + 1) >= high:
        level += 1
        if _halved(width, level) == _halved(height, level) == 1:
            break
    return level


def _sides(width: int, height: int, size: int) -> tuple[int, int]:
    """In which size the picture is drawn."""
    scale = size / min(width, height)
    return math.ceil(width * scale), math.ceil(height * scale)


def _drawn(picture: Ints, size: int, original: tuple[int, int], orientation: int) -> Ints:
    """The square in the middle of a picture that is drawn so that its short side fits."""
    height, width = original
    wide, high = _sides(width, height, size)
    level = smaller_by(width, height, size)
    picture = _shrunk(picture, _halved(width, level), _halved(height, level))
    if orientation > 4:  # quarter turns: in float32
        return _bilinear(picture, high, wide, size)
    xs = _sixteenths(picture.shape[1], width, wide, size, _SPAN, orientation in (2, 3))
    ys = _sixteenths(picture.shape[0], height, high, size, 1, orientation in (3, 4))
    left, right, x = _neighbours(xs, picture.shape[1])
    upper, lower, y = _neighbours(ys, picture.shape[0])
    x, y = x[None, :, None], y[:, None, None]
    above, below = picture[upper], picture[lower]
    total = above[:, left] * ((16 - x) * (16 - y)) + above[:, right] * (x * (16 - y))
    total += below[:, left] * ((16 - x) * y) + below[:, right] * (x * y)
    made: Ints = total >> 8
    return made


def _shrunk(picture: Ints, wide: int, high: int) -> Ints:
    """In halves, and one step to the exact size."""
    height, width = picture.shape[:2]
    for _ in range(math.floor(math.log2(math.sqrt((width / wide) * (height / high))) + 1e-6)):
        picture = _half(picture)
    return picture if picture.shape[:2] == (high, wide) else _bilinear(picture, high, wide)


def _halved(side: int, level: int) -> int:
    return -(-side >> level)


def _half(picture: Ints) -> Ints:
    rows, n = _half_rows(picture)
    both, m = _half_rows(rows.transpose(1, 0, 2))
    return both.transpose(1, 0, 2) // (n * m)


def _half_rows(picture: Ints) -> tuple[Ints, int]:
    """Half as many rows, and by what to divide them."""
    rows = len(picture)
    if rows == 1:
        return picture, 1
    if rows % 2 == 0:
        return picture[0::2] + picture[1::2], 2
    return picture[0 : rows - 1 : 2] + 2 * picture[1::2] + picture[2::2], 4


def _bilinear(picture: Ints, height: int, width: int, size: int | None = None) -> Ints:
    """In another size, and of that the square in the middle."""

    def positions(side: int, drawn: int) -> tuple[Ints, Ints, npt.NDArray[np.float64]]:
        pixel = np.arange(drawn) if size is None else np.arange(size) + (drawn - size) // 2
        at = (pixel + 0.5) * side / drawn - 0.5
        first = np.floor(at).astype(np.int64)
        return first.clip(0, side - 1), (first + 1).clip(0, side - 1), at - first

    left, right, x = positions(picture.shape[1], width)
    upper, lower, y = positions(picture.shape[0], height)
    rows = picture[:, left] * (1 - x)[None, :, None] + picture[:, right] * x[None, :, None]
    made = rows[upper] * (1 - y)[:, None, None] + rows[lower] * y[:, None, None]
    return np.floor(made + 0.5).astype(np.int64)


def _sixteenths(side: int, original: int, drawn: int, size: int, span: int, mirrored: bool) -> Ints:
    """Where each pixel of the square lies in the picture, in sixteenths of its pixels, with Chromium's float32."""
    f = np.float32
    source = f(f(original) * f(f(side) / f(original)))
    step = f(f(1) / f(f(drawn) / source))
    shift = f(f((drawn - size) // 2) * step)
    pixel = np.arange(size)
    start = pixel // span * span
    first = ((start + 0.5).astype(f) * step + shift).astype(np.float64) * _ONE
    at: Any = first.astype(np.int64) - (1 << 31) + (pixel - start) * int(float(step) * _ONE)
    made: Ints = -(-at >> 28) if mirrored else at >> 28
    return made


def _neighbours(sixteenths: Ints, side: int) -> tuple[Ints, Ints, Ints]:
    first = sixteenths >> 4
    return first.clip(0, side - 1), (first + 1).clip(0, side - 1), sixteenths & 15
