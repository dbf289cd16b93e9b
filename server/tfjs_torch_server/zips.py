"""Zips of an upload, unpacked piece by piece within the limits."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Final

from .multipart import Part
from .problems import Problem
from .settings import Settings
from .work import ClientGone, Work

CONTAINERS: Final = (".safetensors", ".npz", ".pt", ".pth")
ZIP: Final = (b"PK\x03\x04", b"PK\x05\x06")

_RATIO, _HARMLESS = 100, 64 << 20  # as in the library: bombs pack a thousandfold
_PIECE: Final = 1 << 20
_INDEX: Final = 4 << 20  # bytes of a zip's list of files

File = bytes | Path


class Room:
    """How many bytes zips may still unpack to."""

    def __init__(self, left: int) -> None:
        self.left = left

    def take(self, count: int, name: str) -> None:
        self.left -= count
        if self.left < 0:
            raise Problem(413, name, "a zip that unpacks to less expected", "upload fewer or smaller files")


def open_zip(part: Part, name: str, work: Work, settings: Settings, room: Room) -> list[tuple[str, File]] | str:
    """The files of a zip, unpacked piece by piece; or, of a .npz or .pt, which are zips inside, a name that says so.

    Raises:
        Problem: 400 broken, 413 a bomb.
    """
    if not isinstance(part.data, Path):
        path = work.new_file()
        path.write_bytes(part.data)
        part.data = path
    try:
        with part.data.open("rb") as file, zipfile.ZipFile(_ShortReads(file)) as archive:
            members = [info for info in archive.infolist() if not _is_litter(info.filename)]
            names = [info.filename for info in members]
            claimed = sum(info.file_size for info in members)
            if claimed > max(_HARMLESS, _RATIO * part.size):
                raise Problem(
                    413, name, f"at most {_RATIO} times the zip's {part.size} bytes expected, found {claimed}"
                )
            kind = _kind_of_zip(name, names)
            if kind is not None:
                room.take(claimed, name)
                return name + kind
            if len(members) > settings.max_parts:
                raise Problem(413, name, f"at most {settings.max_parts} files expected, found {len(members)}")
            top = _common_folder(names)
            return [(info.filename[len(top) :], _unpack(archive, info, work, room)) for info in members]
    except (Problem, ClientGone, MemoryError, OSError):
        raise
    except Exception as error:  # zipfile lets any error out of a broken archive
        raise Problem(400, name, f"a zip that unpacks expected, found: {error!s:.200}", "pack it again") from None


class _ShortReads:
    """A file as zipfile reads it, but for an index of millions of files, which it would hold whole."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.seek, self.tell, self.close = file.seek, file.tell, file.close
        self.seekable = file.seekable

    def read(self, count: int = -1) -> bytes:
        if count > _INDEX:
            raise Problem(413, "zip", "a zip of fewer files expected", "pack the model's own files only")
        return self._file.read(count)


def _kind_of_zip(name: str, names: list[str]) -> str | None:
    """What to add to the name of a .npz or .pt; None for a zip of files."""
    if name.lower().endswith(CONTAINERS):
        return ""
    if any(re.fullmatch(r"[^/]+/data\.pkl", inner) for inner in names):
        return ".pt"
    return ".npz" if names and all(inner.endswith(".npy") for inner in names) else None


def _unpack(archive: zipfile.ZipFile, info: zipfile.ZipInfo, work: Work, room: Room) -> File:
    with archive.open(info) as packed:
        start = packed.read(_PIECE)
        room.take(len(start), info.filename)
        if len(start) < _PIECE:
            return start
        path = work.new_file()
        with path.open("wb", buffering=0) as file:
            while start:
                file.write(start)
                work.advance()
                start = packed.read(_PIECE)
                room.take(len(start), info.filename)
        return path


def _is_litter(name: str) -> bool:
    return name.endswith("/") or name.startswith("__MACOSX/") or name.rpartition("/")[2].startswith(".")


def _common_folder(names: Iterable[str]) -> str:
    tops = {name.split("/", 1)[0] if "/" in name else "" for name in names}
    return f"{tops.pop()}/" if len(tops) == 1 and "" not in tops else ""
