"""What callers of tfjs_to_torch may hand in as `manifest` and `bin`, brought into one form."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from . import strict_json
from .errors import FilesError, MismatchError, warn
from .manifest import Manifest, WeightSpec, parse_manifest
from .saving import resolve_inside
from .shards import MAX_MAPPED, FileShard, MemoryShard, Shard, Stream
from .sources import is_dir

Groups = list[tuple[Sequence[WeightSpec], Stream]]


def given_manifest(manifest: Any) -> Manifest:
    """Parse a manifest given as dict, list, JSON text or bytes, or a path to the JSON; warn about its oddities."""
    where = "manifest"
    if isinstance(manifest, (bytes, bytearray, memoryview)) or (isinstance(manifest, str) and _is_json(manifest)):
        manifest = strict_json.loads(manifest, where)
    elif isinstance(manifest, (str, os.PathLike)):
        where = os.fspath(manifest)
        manifest = strict_json.loads(_read(Path(manifest)), where)
    parsed = parse_manifest(manifest, where)
    for note in parsed.notes:
        warn(f"{where}: {note}")
    return parsed


def given_groups(manifest: Manifest, data: Any) -> Groups:
    """Each group's specs with the stream of its bytes."""
    if isinstance(data, Mapping):
        return _per_file(manifest, [_by_path(data, path, manifest.paths) for path in manifest.paths])
    if isinstance(data, (str, os.PathLike)):
        path = Path(data)
        if is_dir(path):
            files = [FileShard(p, resolve_inside(path, p, str(path))) for p in manifest.paths]
            return _per_file(manifest, files)
        return _joined(manifest, FileShard(path.name, path))
    if not isinstance(data, (list, tuple)):
        return _joined(manifest, MemoryShard("bin", data))
    names = manifest.paths if len(data) == len(manifest.paths) else [f"bin[{i}]" for i in range(len(data))]
    shards = [_shard(name, item) for name, item in zip(names, data, strict=True)]
    if len(shards) == len(manifest.paths):
        return _per_file(manifest, shards)
    if len(shards) == 1:
        return _joined(manifest, shards[0])
    raise MismatchError(
        "bin", f"{len(manifest.paths)} shards expected ({', '.join(manifest.paths[:8])}), found {len(shards)}"
    )


def _per_file(manifest: Manifest, shards: Sequence[Shard]) -> Groups:
    left, mappable = iter(shards), len(shards) <= MAX_MAPPED
    return [(group.specs, Stream([next(left) for _ in group.paths], mappable)) for group in manifest.groups]


def _joined(manifest: Manifest, shard: Shard) -> Groups:
    """All bytes of all groups in one piece: tf.js' own `weightData`."""
    return [(manifest.specs, Stream([shard]))] if manifest.groups or shard.nbytes else []


def _by_path(data: Mapping[Any, Any], path: str, paths: Sequence[str]) -> Shard:
    by_plain = {posixpath.normpath(str(key)): key for key in data}
    alone = sum(posixpath.basename(other) == posixpath.basename(path) for other in paths) == 1
    for name in (posixpath.normpath(path), *([posixpath.basename(path)] if alone else [])):
        if name in by_plain:
            return _shard(path, data[by_plain[name]])
    raise FilesError(path, f"bytes for this file expected in bin, found {', '.join(map(str, data)) or 'nothing'}")


def _shard(name: str, item: Any) -> Shard:
    return FileShard(name, Path(item)) if isinstance(item, (str, os.PathLike)) else MemoryShard(name, item)


def _read(path: Path) -> bytes:
    if str(path) == ".":
        raise FilesError("manifest", "a readable JSON file expected, found an empty path")
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise FilesError(str(path), f"a readable JSON file expected, found: {error}") from None


def _is_json(text: str) -> bool:
    return text.lstrip("\ufeff \t\r\n")[:1] in ("{", "[")
