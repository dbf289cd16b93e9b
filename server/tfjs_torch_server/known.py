"""Small models that were read lately: sketches that train or evolve send the same layers again, with new weights.

What is kept is the checked model.json. That it means the same again hangs on its text and on the names and lengths of
the other files, all of which are compared; the other files' bytes are always those of the request.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeAlias

from tfjs_torch import Artifacts, conversion, read_artifacts

Key: TypeAlias = tuple[bytes, tuple[tuple[str, int], ...]]

_SMALL: Final = 1 << 16  # bytes of a model's files
_ROOM: Final = 1 << 20  # bytes of all; checked JSON takes up to twenty times as much


class Known:
    """The models used last, as many as there is room for; several threads may ask."""

    def __init__(self, room: int = _ROOM) -> None:
        self._models: OrderedDict[Key, Artifacts] = OrderedDict()
        self._left = room
        self._lock = threading.Lock()

    def read(self, files: Mapping[str, bytes | Path]) -> Artifacts:
        """read_artifacts(files).

        Raises:
            TfjsTorchError: see read_artifacts.
        """
        key = _key(files)
        if key is None:
            return read_artifacts(files)
        with self._lock:
            known = self._models.get(key)
            if known is not None:
                self._models.move_to_end(key)
        if known is not None:
            return conversion.with_files(known, files)
        artifacts = read_artifacts(files)
        if not artifacts.notes:  # those that need a warning are read each time
            self._keep(key, conversion.with_files(artifacts, dict.fromkeys(files, b"")))  # nobody's weights are kept
        return artifacts

    def _keep(self, key: Key, artifacts: Artifacts) -> None:
        with self._lock:
            if key not in self._models:
                self._left -= _length(key)
            self._models[key] = artifacts
            while self._left < 0:
                oldest, _ = self._models.popitem(last=False)
                self._left += _length(oldest)


def _key(files: Mapping[str, bytes | Path]) -> Key | None:
    """None for what is not kept: files on disk, large ones, and a model.json that has to be looked for."""
    text = files.get("model.json")
    sizes = [(name, len(data)) for name, data in files.items() if not isinstance(data, Path)]
    if isinstance(text, bytes) and len(sizes) == len(files) and sum(size for _, size in sizes) <= _SMALL:
        return text, tuple(sizes)
    return None


def _length(key: Key) -> int:
    return sum(len(name) + size for name, size in key[1])
