"""The places that a model's files come from: a folder, a .zip, a dict of bytes. One face for all three.

Nothing here trusts a name or a length that the place claims: paths stay inside, links are followed
and checked, a zip may not unpack to far more than it is.
"""

from __future__ import annotations

import copy
import io
import os
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any, Final, Protocol

from .errors import FilesError
from .saving import inside, resolve_inside
from .shards import FileShard, MemoryShard, Shard

JSON_LIMIT: Final = 256 << 20  # bytes of a model.json; real ones stay below 30 MB
ZIP_RATIO: Final = 100  # real weights shrink to 90 %, pruned ones to 10 %; bombs to 0.1 % ...
ZIP_HARMLESS: Final = 64 << 20  # ... and below this size nobody is hurt


class SourceFiles(Protocol):
    where: str

    def names(self) -> Iterable[str]:
        """Names of all files, relative, with forward slashes."""

    def names_below(self) -> Iterable[str]:
        """Names of model.json files in folders below, for a hint."""

    def has(self, name: str) -> bool: ...

    def shard(self, name: str) -> Shard: ...

    def text(self, name: str) -> bytes: ...

    def describe(self, name: str) -> str:
        """A file's name for messages."""

    def below(self, folder: str) -> SourceFiles:
        """The files of a folder in it, as a place of its own."""


class FolderFiles:
    def __init__(self, folder: Path) -> None:
        self.folder, self.where = folder, str(folder)

    def names(self) -> list[str]:
        # Direct children only, and no links that lead out: weights in subfolders are found by the manifest's paths.
        return [child.name for child in self.folder.iterdir() if child.is_file() and self._is_inside(child.name)]

    def names_below(self) -> list[str]:
        return [path.relative_to(self.folder).as_posix() for path in self.folder.glob("*/model.json")]

    def has(self, name: str) -> bool:
        return is_file(resolve_inside(self.folder, name, self.where))

    def shard(self, name: str) -> Shard:
        return FileShard(name, resolve_inside(self.folder, name, self.where))

    def text(self, name: str) -> bytes:
        path = self.folder / name  # the JSON itself: the user may well point at a link
        try:
            _limit(path.stat().st_size, self.describe(name))
            return path.read_bytes()
        except OSError as error:
            raise FilesError(str(path), f"a readable file expected, found {error.strerror}") from None

    def describe(self, name: str) -> str:
        return os.path.join(self.where, name.removeprefix("./"))

    def below(self, folder: str) -> FolderFiles:
        return FolderFiles(resolve_inside(self.folder, folder, self.where))

    def _is_inside(self, name: str) -> bool:
        try:
            resolve_inside(self.folder, name, self.where)
        except FilesError:
            return False
        return True


class MemoryFiles:
    """{file name: its bytes, or the path where they lie}."""

    def __init__(self, files: Mapping[str, Any], where: str = "files") -> None:
        self.where = where
        for name, data in files.items():
            if not isinstance(name, str) or not isinstance(data, (bytes, bytearray, memoryview, Path)):
                raise FilesError(
                    where, f"{{file name: bytes or Path}} expected, found {type(name).__name__}: {type(data).__name__}"
                )
        top = _common_folder(files)
        self._files = {inside(name, where)[len(top) :]: data for name, data in files.items()}

    def names(self) -> list[str]:
        return list(self._files)

    def names_below(self) -> list[str]:
        return self.names()

    def has(self, name: str) -> bool:
        return inside(name, self.where) in self._files

    def shard(self, name: str) -> Shard:
        data = self._files[inside(name, self.where)]
        return FileShard(name, data) if isinstance(data, Path) else MemoryShard(name, data)

    def text(self, name: str) -> bytes:
        data = self._files[inside(name, self.where)]
        if isinstance(data, Path):
            return FolderFiles(data.parent).text(data.name)
        _limit(len(data), name)
        return bytes(data)

    def describe(self, name: str) -> str:
        return name

    def below(self, folder: str) -> MemoryFiles:
        own = f"{inside(folder, self.where)}/"
        files = {name[len(own) :]: data for name, data in self._files.items() if name.startswith(own)}
        return MemoryFiles(files, f"{self.where}/{folder}")


class ZipFiles:
    """Files of a .zip; a folder that holds all of them, and what macOS adds, are looked through."""

    def __init__(self, archive: Path | IO[bytes], where: str) -> None:
        self.where = where
        try:
            self._zip = zipfile.ZipFile(archive)
        except MemoryError:
            raise
        except Exception as error:  # zipfile lets any error out of a broken archive
            raise FilesError(where, f"a .zip expected, found: {error}") from None
        members = [m for m in self._zip.infolist() if not m.filename.endswith("/") and not _is_litter(m.filename)]
        top = _common_folder([member.filename for member in members])
        self._members: dict[str, zipfile.ZipInfo] = {}
        for member in members:
            name = inside(member.filename, where)[len(top) :]
            if name in self._members:
                raise FilesError(where, f"each file once expected, found {name!r} twice")
            self._members[name] = member
        packed = archive.stat().st_size if isinstance(archive, Path) else archive.seek(0, io.SEEK_END)
        refuse_bomb(self._members.values(), packed, where)

    def names(self) -> list[str]:
        return list(self._members)

    def names_below(self) -> list[str]:
        return self.names()

    def has(self, name: str) -> bool:
        return inside(name, self.where) in self._members

    def shard(self, name: str) -> Shard:
        return ZipShard(name, self._zip, self._members[inside(name, self.where)], self.where)

    def text(self, name: str) -> bytes:
        member = self._members[inside(name, self.where)]
        _limit(member.file_size, self.describe(name))
        return read_member(self._zip, member, self.where)

    def describe(self, name: str) -> str:
        return f"{self.where}/{name}"

    def below(self, folder: str) -> ZipFiles:
        own = f"{inside(folder, self.where)}/"
        made = copy.copy(self)
        made.where = f"{self.where}/{folder}"
        made._members = {name[len(own) :]: member for name, member in self._members.items() if name.startswith(own)}
        return made


class ZipShard(MemoryShard):
    """A file in a .zip; unpacked when its bytes are first wanted, and kept while the shard is."""

    def __init__(self, name: str, archive: zipfile.ZipFile, member: zipfile.ZipInfo, where: str) -> None:
        self.name, self.nbytes = name, member.file_size
        self._archive, self._member, self._where = archive, member, where
        self._unpacked: Any = None

    def read_into(self, start: int, out: Any) -> None:
        out[...] = self.in_memory()[start : start + out.size]

    def in_memory(self) -> Any:
        if self._unpacked is None:
            self._unpacked = MemoryShard(self.name, read_member(self._archive, self._member, self._where)).in_memory()
        return self._unpacked


def refuse_bomb(members: Iterable[zipfile.ZipInfo], packed: int, where: str) -> None:
    """Refuse a zip that claims to unpack to far more than it is.

    Raises:
        FilesError: more than ZIP_RATIO times as much, and enough to hurt.
    """
    unpacked = sum(member.file_size for member in members)
    if unpacked > max(ZIP_HARMLESS, ZIP_RATIO * packed):
        raise FilesError(
            where,
            f"at most {ZIP_RATIO} times the zip's {packed} bytes expected, found a claim of {unpacked}; "
            "if it is a real model, unzip it and give the folder",
        )


def is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name too long for the file system, or with a NUL
        return False


def is_dir(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, where: str) -> bytes:
    """Unpack one file, never more than it claims to be."""
    try:
        with archive.open(member) as file:
            data = file.read(member.file_size + 1)
    except MemoryError:
        raise
    except Exception as error:  # zipfile lets any error out of a broken archive
        raise FilesError(f"{where}/{member.filename}", f"a file that unpacks expected, found: {error}") from None
    if len(data) != member.file_size:
        raise FilesError(f"{where}/{member.filename}", f"{member.file_size} bytes expected, found {len(data)}")
    return data


def _limit(size: int, where: str) -> None:
    if size > JSON_LIMIT:
        raise FilesError(where, f"a JSON of at most {JSON_LIMIT} bytes expected, found {size}")


def _is_litter(name: str) -> bool:
    return name.startswith("__MACOSX/") or name.rsplit("/", 1)[-1].startswith(".")


def _common_folder(names: Iterable[str]) -> str:
    tops = {name.removeprefix("./").split("/", 1)[0] if "/" in name.removeprefix("./") else "" for name in names}
    return f"{tops.pop()}/" if len(tops) == 1 and tops != {""} else ""
