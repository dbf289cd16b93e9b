"""The forms that training data come in -> samples and their labels."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ..errors import FilesError, MismatchError, UnsupportedError

_SUFFIXES: Final[Mapping[str, tuple[str, ...]]] = {
    "image": (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff"),
    "audio": (".wav",),
}


def examples_of(data: Any, kind: str) -> tuple[list[Any], list[str]]:
    """(samples, their labels) of [(x, label), ...], {label: [x, ...]}, or a folder of folders.

    Raises:
        MismatchError: another form, or no examples. FilesError: no such folder, or nothing in it.

    Example:
        >>> examples_of({"cat": ["1.png", "2.png"], "dog": ["3.png"]}, "image")
        (['1.png', '2.png', '3.png'], ['cat', 'cat', 'dog'])
    """
    if isinstance(data, (str, os.PathLike)):
        data = _of_folder(Path(data), kind)
    if isinstance(data, Mapping):
        data = [(x, label) for label, some in data.items() for x in _listed(some, label)]
    if not isinstance(data, (list, tuple)) or not all(isinstance(row, (list, tuple)) and len(row) == 2 for row in data):
        raise MismatchError("data", f"(x, label) pairs or {{label: [x, ...]}} expected, found {type(data).__name__}")
    if not data:
        raise MismatchError("data", "at least one example expected, found none")
    labels = [label for _, label in data]
    wrong = next((label for label in labels if not isinstance(label, str) or not label), None)
    if wrong is not None or None in labels:
        raise MismatchError("data", f"a text as label expected, found {wrong!r:.60}")
    return [x for x, _ in data], labels


def _listed(some: Any, label: Any) -> list[Any]:
    if not isinstance(some, (list, tuple)):
        raise MismatchError(f"data[{label!r}]", f"a list of examples expected, found {type(some).__name__}")
    return list(some)


def _of_folder(folder: Path, kind: str) -> dict[str, list[str]]:
    if kind not in _SUFFIXES:
        raise UnsupportedError(str(folder), "pairs of posenet's numbers and a label expected for poses, found a folder")
    if not folder.is_dir():
        raise FilesError(str(folder), "a folder with one folder for each label expected, found none")
    found: dict[str, list[str]] = {}
    for child in sorted(folder.iterdir()):
        if child.is_dir() and not child.name.startswith("."):
            files = sorted(f for f in child.iterdir() if f.suffix.lower() in _SUFFIXES[kind] and f.name[:1] != ".")
            if files:
                found[child.name] = [str(file) for file in files]
    if not found:
        wanted = ", ".join(_SUFFIXES[kind])
        raise FilesError(str(folder), f"folders with files ({wanted}) for each label expected, found none")
    return found
