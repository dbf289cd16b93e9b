"""Pictures and sounds of a request: looked at before anything is decoded, and refused where that would cost much."""

from __future__ import annotations

import mmap
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from tfjs_torch.ml5.pictures import BROWSERS, pillow

from .problems import Problem
from .settings import Settings
from .work import Work
from .zips import File

PICTURE: Final = "picture"
SOUND: Final = "sound"
_TOGETHER: Final = 4  # times the limit of one
_BYTES: Final = 8  # of a pixel, in files that are not packed at all: four channels of 16 bits
_HEADERS: Final = 1 << 20  # bytes of a picture that are no pixels
_MARKER: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # in a JPEG's numbers: where they end
_SCAN, _END, _LONG = 0xDA, 0xD9, 0xC0  # markers; from the last on they have a length. Phones put a film behind the end
_MAX_SCANS: Final = 100  # programs write ten at most


class Sample(NamedTuple):
    """A file that came in the field `picture` or `sound`."""

    field: str
    name: str
    data: File


def checked_files(samples: Sequence[Sample], work: Work, settings: Settings) -> list[tuple[str, Path]]:
    """(name, file) of pictures or sounds that may be decoded.

    Raises:
        Problem: 413 beyond a limit, 415 other kinds of files, 422 both at once.
        UnsupportedError: Pillow is not installed.
    """
    field = samples[0].field
    if any(sample.field != field for sample in samples):
        raise Problem(422, field, "pictures or sounds expected, found both", "ask about them one after the other")
    files = [(sample.name, _on_disk(sample.data, work)) for sample in samples]
    most = settings.max_pixels if field == PICTURE else settings.max_sound
    left = _TOGETHER * most
    for name, path in files:
        work.advance()
        left -= _pixels(name, path, settings) if field == PICTURE else _sound_bytes(name, path, settings)
        if left < 0:
            unit = "pixels" if field == PICTURE else "bytes"
            raise Problem(
                413, name, f"at most {_TOGETHER * most} {unit} in a request expected, found more",
                f"send fewer; the operator sets the limit with --max-{'pixels' if field == PICTURE else 'sound'}",
            )  # fmt: skip
    return files


def _on_disk(data: File, work: Work) -> Path:
    if isinstance(data, Path):
        return data
    path = work.new_file()
    path.write_bytes(data)
    return path


def _pixels(name: str, path: Path, settings: Settings) -> int:
    """How many a picture has, by its header."""
    Image, _ = pillow(name)  # noqa: N806
    most = settings.max_pixels
    try:
        with Image.open(path, formats=BROWSERS) as image:
            width, height = image.size
    except Image.DecompressionBombError:
        raise _too_many(name, most, "many more") from None
    except Exception:  # Pillow lets many errors out of a broken header
        raise Problem(
            415, name, f"a picture (PNG, JPEG, WebP, GIF or BMP) expected, found {_start(path)!r}",
            "save it again as PNG or JPEG; curl wants an @ before the file: -F picture=@cat.jpg",
        ) from None  # fmt: skip
    if not width * height:
        raise Problem(415, name, "a picture with pixels expected, found an empty one", "save it again")
    if width * height > most:
        raise _too_many(name, most, f"{width} x {height}")
    size = path.stat().st_size
    if size > _BYTES * most + _HEADERS:
        raise Problem(
            413, name, f"a picture of at most {_BYTES * most + _HEADERS} bytes expected, found {size}",
            "save it again as PNG or JPEG",
        )  # fmt: skip
    if image.format in ("JPEG", "MPO") and _scans(path) > _MAX_SCANS:
        raise Problem(413, name, f"a JPEG of at most {_MAX_SCANS} scans expected, found more", "save it again")
    return int(width * height)


def _too_many(name: str, most: int, found: str) -> Problem:
    return Problem(
        413, name, f"a picture of at most {most} pixels expected, found {found}",
        "make it smaller; the operator sets the limit with --max-pixels",
    )  # fmt: skip


def _scans(path: Path) -> int:
    """How often a JPEG goes over all of its pixels."""
    at, count = 2, 0
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        while count <= _MAX_SCANS and (found := _MARKER.search(data, at)):
            at, kind = found.end(), data[found.end() - 1]
            if kind == _END:
                break
            count += kind == _SCAN
            at += int.from_bytes(data[at : at + 2], "big") if kind >= _LONG else 0
    return count


def _sound_bytes(name: str, path: Path, settings: Settings) -> int:
    start = _start(path)
    if start[:4] != b"RIFF" or start[8:12] != b"WAVE":
        raise Problem(
            415, name, f"a .wav expected, found {start!r}",
            "`ffmpeg -i IN OUT.wav` makes one; curl wants an @ before the file: -F sound=@clap.wav",
        )  # fmt: skip
    size = path.stat().st_size
    if size > settings.max_sound:
        raise Problem(
            413, name, f"a .wav of at most {settings.max_sound} bytes expected, found {size}",
            "send its first second; the operator sets the limit with --max-sound",
        )  # fmt: skip
    return size


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(12)
