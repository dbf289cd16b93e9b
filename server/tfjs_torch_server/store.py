"""Models on disk, under ids that nobody guesses: one folder each, whole or not there at all. No state in memory."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .outgoing import OutFile
from .problems import Problem
from .work import Work

ID: Final = re.compile(r"[A-Za-z0-9_-]{22}")
_TOUCH: Final = 3600  # seconds: how exact "last loaded" has to be
_ABANDONED: Final = 6 * 3600  # seconds after which an upload's folder belongs to a server that has died
_DELETED: Final = "deleted-"
_FILES, _NAME = "files", "json_name"  # in the folder of a model
_BLOCK: Final = 4096  # bytes that even the smallest file takes
_PIECE: Final = 1 << 20
_BAD_NAMES: Final = (errno.ENAMETOOLONG, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.EINVAL, errno.EILSEQ)


@dataclass(frozen=True)
class Stored:
    """A stored model: its id, its folder, its JSON's name, {file: bytes}, and when it goes (seconds since 1970)."""

    id: str
    folder: Path
    json_name: str
    files: dict[str, int]
    expires: float


class Store:
    """A folder with `models/ID/` for what is stored and `work/` for what is on its way.

    Args:
        folder: made when it is first needed.
        quota: bytes of everything in it; expire: seconds that a model stays after it was last loaded.
    """

    def __init__(self, folder: Path, quota: int, expire: int) -> None:
        self.folder, self.quota, self.expire = folder, quota, expire
        self.models, self.work = folder / "models", folder / "work"

    def add(self, files: list[OutFile], json_name: str, work: Work) -> Stored:
        """Keep files as a new model.

        Raises:
            Problem: 507 no room. ClientGone: nobody waits.
        """
        self.sweep()
        place = work.folder / "model"
        (place / _FILES).mkdir(parents=True)
        for file in files:
            try:
                _write(place / _FILES / file.name, file, work)
            except OSError as error:
                if error.errno in _BAD_NAMES:
                    raise Problem(
                        400, file.name[:80], f"a file name that can be stored expected, found: {error.strerror}"
                    ) from None
                raise
        (place / _NAME).write_text(json_name, encoding="utf-8")
        if self.used() > self.quota:
            raise Problem(507, "store", f"room within {self.quota} bytes expected, found the store full")
        work.advance()
        self.models.mkdir(parents=True, exist_ok=True, mode=0o700)
        own = secrets.token_urlsafe(16)
        place.rename(self.models / own)
        return self.find(own)

    def find(self, own: str) -> Stored:
        """A stored model.

        Raises:
            Problem: 404.
        """
        folder = self.models / own / _FILES
        try:
            if not ID.fullmatch(own):
                raise FileNotFoundError
            expires = folder.parent.stat().st_mtime + self.expire
            json_name = (folder.parent / _NAME).read_text(encoding="utf-8")
            files = {path.relative_to(folder).as_posix(): path.stat().st_size for path in _files_of(folder)}
        except OSError:
            raise missing() from None
        if expires < time.time() or json_name not in files:
            raise missing()
        ordered = sorted(files.items(), key=lambda item: (item[0] != json_name, item[0]))
        return Stored(own, folder, json_name, dict(ordered), expires)

    def open(self, own: str, name: str) -> OutFile | None:
        """A file of a stored model, open already, so that nobody can delete it meanwhile; None when there is none."""
        try:
            stored = self.find(own)
            if name == stored.json_name:
                self._touch(stored)
            return _opened(name, stored.folder / name) if name in stored.files else None
        except (Problem, OSError):
            return None

    def open_all(self, own: str) -> tuple[str, list[OutFile]]:
        """The name of a stored model's JSON, and all files, open already.

        Raises:
            Problem: 404.
        """
        stored = self.find(own)
        files: list[OutFile] = []
        try:
            files += (_opened(name, stored.folder / name) for name in stored.files)
        except OSError:
            raise missing() from None
        return stored.json_name, files

    def delete(self, own: str) -> None:
        """Forget a model.

        Raises:
            Problem: 404.
        """
        self._remove(self.find(own).folder.parent)

    def used(self) -> int:
        """Bytes of all models, and of uploads on their way, so that many at once cannot go beyond the quota."""
        return sum(_size(path) for top in (self.models, self.work) for path in _files_of(top))

    def sweep(self) -> None:
        """Remove what has expired, and what servers that died have left."""
        now = time.time()
        for top, age in ((self.models, self.expire), (self.work, _ABANDONED)):
            for folder in _children(top):
                try:
                    if folder.stat().st_mtime + age < now:
                        self._remove(folder)
                except OSError:  # another worker was faster
                    continue

    def _remove(self, folder: Path) -> None:
        """Out of sight at once, then off the disk."""
        self.work.mkdir(parents=True, exist_ok=True, mode=0o700)
        gone = self.work / f"{_DELETED}{secrets.token_hex(8)}"
        try:
            folder.rename(gone)
        except FileNotFoundError:
            raise missing() from None
        shutil.rmtree(gone, ignore_errors=True)

    def _touch(self, stored: Stored) -> None:
        if stored.expires - self.expire + _TOUCH < time.time():
            os.utime(stored.folder.parent)


def _write(path: Path, file: OutFile, work: Work) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb", buffering=0) as out:
        for piece in file.pieces():
            work.advance()
            out.write(piece)


def missing() -> Problem:
    """404: no such model, or no longer."""
    return Problem(
        404, "id", "the id of a stored model expected, found none of that name", "upload it again: it may have expired"
    )


def _children(folder: Path) -> Iterator[Path]:
    try:
        yield from [Path(entry.path) for entry in os.scandir(folder)]
    except FileNotFoundError:
        return


def _files_of(folder: Path) -> Iterator[Path]:
    for top, _, names in os.walk(folder):
        yield from (Path(top) / name for name in names)


def _opened(name: str, path: Path) -> OutFile:
    file = path.open("rb", buffering=0)

    def pieces() -> Iterator[bytes]:
        with file:
            while piece := file.read(_PIECE):
                yield piece

    return OutFile(name, pieces, os.fstat(file.fileno()).st_size)


def _size(path: Path) -> int:
    try:
        return max(path.stat().st_size, _BLOCK)
    except OSError:  # gone meanwhile
        return 0
