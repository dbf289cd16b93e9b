"""Files that appear complete or not at all: written beside their place, then renamed into it.

Targets are a folder or a .zip. Files come as (name, buffers), lazily; the last one, the JSON, is
renamed last, so that whoever sees it finds everything that it names.
"""

from __future__ import annotations

import contextlib
import os
import re
import zipfile
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, Final

from .errors import FilesError

ZIP_TIME: Final = (1980, 1, 1, 0, 0, 0)  # fixed: the same model gives the same zip
_BUFFER = 1 << 17  # larger pieces go to the file at once; this is for small ones (measured: 1 MiB is slower)

# Absolute, drive, URL, Windows separator, NUL, a lone surrogate (no file system and no zip can hold one).
_LEADS_OUT = re.compile("^/|^[A-Za-z]:|://|[\\\\\\0\ud800-\udfff]")

Files = Iterable[tuple[str, Iterable[Any]]]


def is_zip_path(path: str | os.PathLike[str]) -> bool:
    return os.fspath(path).lower().endswith(".zip")


def write_files(target: str | os.PathLike[str], files: Files) -> None:
    """Write all files into a folder (made if missing) or a .zip; on any error nothing is left behind.

    Raises:
        FilesError: a name that leads out of the target, or the place cannot be written.
    """
    path = Path(target)
    try:
        if is_zip_path(path):
            with replacing(path) as file:
                write_zip_stream(file, _each_once(files, path))
        else:
            _write_folder(path, _each_once(files, path))
    except OSError as error:
        where = str(error.filename or path)
        raise FilesError(where, f"a place with room to write to expected, found: {error.strerror or error}") from error


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file that appears under `path` when the block ends well, and not at all when it does not.

    Raises:
        FilesError: the place cannot be written.
    """
    try:
        with _folder(path.parent), _temporary(path) as (file, temporary):
            yield file
            file.close()
            _rename([(temporary, path)])
    except OSError as error:
        where = str(error.filename or path)
        raise FilesError(where, f"a place with room to write to expected, found: {error.strerror or error}") from error


def write_zip_stream(stream: IO[bytes], files: Files) -> None:
    """Write a zip into an open binary stream: JSON deflated, weights stored (they hardly shrink)."""
    with zipfile.ZipFile(stream, "w") as archive:
        for name, pieces in files:
            info = zipfile.ZipInfo(inside(name), ZIP_TIME)
            info.compress_type = zipfile.ZIP_DEFLATED if name.endswith(".json") else zipfile.ZIP_STORED
            info.external_attr = 0o644 << 16
            with archive.open(info, "w", force_zip64=True) as file:
                for piece in pieces:
                    file.write(piece)


def inside(name: str, where: str = "weightsManifest paths") -> str:
    """A manifest path as a plain relative one; refused when it could lead out of the model's folder.

    Raises:
        FilesError: absolute paths, "..", drive letters, backslashes, URLs, NULs.

    Example:
        >>> from tfjs_torch.saving import inside
        >>> inside("./model.weights.bin")
        'model.weights.bin'
    """
    plain = _inside(name)
    if plain is None:
        raise FilesError(
            where, f"a path inside the model's folder expected, found {name!r}; nothing was read or written"
        )
    return plain


@lru_cache(maxsize=1024)
def _inside(name: str) -> str | None:
    parts = [part for part in name.split("/") if part not in ("", ".")]
    return None if not parts or ".." in parts or _LEADS_OUT.search(name) else "/".join(parts)


def resolve_inside(folder: Path, name: str, where: str) -> Path:
    """The file that a manifest path means, symbolic links followed, still inside `folder`.

    Raises:
        FilesError: it leads out of the folder.
    """
    path = folder / inside(name, where)
    try:
        real, root = path.resolve(), folder.resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a name too long
        raise FilesError(where, f"a path inside the model's folder expected, found {name!r}: {error}") from None
    if not real.is_relative_to(root):
        raise FilesError(
            where,
            f"a file inside {folder} expected, found {name!r}, a link that leads out of it; copy the files (cp -rL)",
        )
    return path


def _each_once(files: Files, target: Path) -> Iterator[tuple[str, Iterable[Any]]]:
    seen: set[str] = set()
    for name, pieces in files:
        name = inside(name)
        if name in seen:
            raise FilesError(str(target), f"every file once expected, found {name!r} twice; rename it in the manifest")
        seen.add(name)
        yield name, pieces


def _write_folder(folder: Path, files: Files) -> None:
    finished: list[tuple[Path, Path]] = []
    with contextlib.ExitStack() as made:
        made.enter_context(_folder(folder))
        try:
            for name, pieces in files:
                path = resolve_inside(folder, name, str(folder))
                made.enter_context(_folder(path.parent))
                with _temporary(path) as (file, temporary):
                    for piece in pieces:
                        file.write(piece)
                finished.append((temporary, path))
        except BaseException:
            for temporary, _ in finished:
                temporary.unlink(missing_ok=True)
            raise
        _rename(finished)


@contextlib.contextmanager
def _folder(folder: Path) -> Iterator[None]:
    """Make a folder with its parents; when the block fails, remove those that were made."""
    if "\0" in str(folder):
        raise FilesError(str(folder), "a path without NUL characters expected")
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for path in missing:
            with contextlib.suppress(OSError):  # somebody else put a file there meanwhile
                path.rmdir()
        raise


def _rename(finished: list[tuple[Path, Path]]) -> None:
    try:
        for _, path in finished:
            if path.is_dir():
                raise IsADirectoryError(21, "a folder of that name is in the way", str(path))
        while finished:
            os.replace(*finished[0])
            finished.pop(0)
    finally:
        for temporary, _ in finished:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def _temporary(path: Path) -> Iterator[tuple[IO[bytes], Path]]:
    """A new file beside `path`; removed when the block fails. Not mkstemp: the mode follows the umask."""
    temporary = path.with_name(f".tfjs_torch-{os.urandom(8).hex()}.tmp")
    try:
        with open(temporary, "xb", buffering=_BUFFER) as file:
            yield file, temporary
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename == str(temporary):
            error.filename = str(path)  # the name that the user knows
        raise
