"""Which files of a place belong to a model: the JSON, the weight files that it names, the sidecars.

People rename files, browsers add " (1)" to them, folders hold two models. What is certain is taken,
what was guessed is said, what is ambiguous is refused.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from . import strict_json
from .errors import FilesError, ManifestError, WeightsLengthError, warn
from .manifest import Group, Manifest, is_manifest
from .saving import inside
from .shards import Shard
from .sources import SourceFiles

SIDECARS: Final = ("metadata.json", "vocab.json", "class_names.txt", "tensorflowjs_model.pb")
_USUAL_NAMES: Final = ("model.json", "weights_manifest.json", "manifest.json")
_META: Final = re.compile(r"_meta( ?\(\d+\))?\.json$")  # browsers number a second download
_NO_WEIGHTS: Final = (".json", ".txt", ".pb", ".js", ".html", ".md", ".py", ".png", ".jpg")


class FoundJson(NamedTuple):
    name: str
    text: bytes
    document: Any


def read_json(files: SourceFiles, name: str) -> FoundJson:
    text = files.text(name)
    return FoundJson(name, text, strict_json.loads(text, files.describe(name)))


def find_json(files: SourceFiles) -> FoundJson:
    """model.json, or the only other JSON with a manifest (ml5's save("flower") makes flower.json).

    Raises:
        FilesError: none, or several. ManifestError: the only candidate is no JSON.
    """
    names = sorted(name for name in files.names() if name.endswith(".json") and "/" not in name)
    for name in _USUAL_NAMES:
        if files.has(name):
            return read_json(files, name)
    found, broken = [], []
    for name in names:
        if name not in SIDECARS and not _META.search(name):
            try:
                candidate = read_json(files, name)
            except ManifestError as error:
                broken.append(error)
                continue
            found += [candidate] if is_manifest(candidate.document) else []
    if len(found) == 1:
        return found[0]
    if broken and not found:
        raise broken[0]
    raise FilesError(files.where, f"one model.json expected, {_what_else(files, found)}")


def find_shards(files: SourceFiles, json_name: str, manifest: Manifest) -> tuple[list[tuple[Shard, ...]], list[str]]:
    """The weight files of each group, and sentences about what had to be guessed.

    Raises:
        FilesError: a file is missing, and no other one is the only one of its length.
        WeightsLengthError: a file has the wrong length while another has the right one.
    """
    missing = [path for path in dict.fromkeys(manifest.paths) if not files.has(path)]
    found = {path: files.shard(path) for path in manifest.paths if path not in missing}
    notes = []
    if missing:
        path = missing[0]
        candidates = _of_its_length(files, manifest, path, found) if len(missing) == 1 else []
        if len(candidates) != 1:
            raise _missing(files, missing, candidates)
        found[path] = candidates[0]
        notes.append(
            f"{files.where}: {path!r} of the manifest is not there; took {candidates[0].name!r}, "
            f"the only file of its length (saving writes {inside(path)!r})"
        )
    elif len(manifest.paths) == 1:
        notes += _rivals(files, json_name, manifest, found[manifest.paths[0]])
    for note in notes:
        warn(note)
    return [tuple(found[path] for path in group.paths) for group in manifest.groups], notes


def find_sidecars(files: SourceFiles, json_name: str, manifest: Manifest) -> dict[str, Shard]:
    """What travels along: the JSON's own NAME_meta.json (else model_meta.json), and the well-known names."""
    stem, number = _split_number(json_name)
    metas = (f"{stem}_meta{number}.json", f"{stem}_meta.json", "model_meta.json")
    wanted = [*[name for name in metas if files.has(name)][:1], *SIDECARS]
    taken = {inside(path) for path in manifest.paths} | {json_name}
    return {plain_name(name): files.shard(name) for name in wanted if files.has(name) and name not in taken}


def plain_name(name: str) -> str:
    """Without the number that a browser gave a second download: ml5 does not find "model_meta (1).json".

    Example:
        >>> plain_name("model (1).json"), plain_name("model.json")
        ('model.json', 'model.json')
    """
    return _split_number(name)[0] + ".json" if name.endswith(".json") else name


def _rivals(files: SourceFiles, json_name: str, manifest: Manifest, taken: Shard) -> list[str]:
    """Whether another file goes better with this JSON than the one that its manifest names."""
    path, needed = manifest.paths[0], _bytes_needed(manifest.groups[0])
    if taken.nbytes != needed:
        others = _of_its_length(files, manifest, path, {})
        if len(others) == 1:
            raise WeightsLengthError(
                files.describe(path),
                f"{needed} bytes expected, {taken.nbytes} found; {others[0].name!r} has the right length: "
                f"if it belongs to {json_name}, put the two into a folder of their own",
            )
        return []
    stem, number = _split_number(json_name)
    own = {f"{stem}.weights{number}.bin", f"{stem}.weights.bin", f"{stem}{number}.weights.bin"} - {inside(path)}
    return [
        f"{files.where}: took {path!r}, as {json_name} says; {name!r} lies there too and fits as well"
        for name in sorted(own)
        if files.has(name) and files.shard(name).nbytes == needed
    ]


def _of_its_length(files: SourceFiles, manifest: Manifest, path: str, found: Mapping[str, Shard]) -> list[Shard]:
    """Files that the manifest does not name, of exactly the length that `path` must have."""
    group = next(group for group in manifest.groups if path in group.paths)
    length = _bytes_needed(group)
    if length is None or group.paths.count(path) > 1:
        return []
    length -= sum(found[other].nbytes for other in group.paths if other != path)
    named = {inside(other) for other in manifest.paths}
    others = []
    for name in files.names():
        if "/" not in name and name[:1] != "." and name not in named and not name.lower().endswith(_NO_WEIGHTS):
            with contextlib.suppress(FilesError):  # it vanished meanwhile, or may not be read
                others.append(files.shard(name))
    return [shard for shard in others if shard.nbytes == length > 0]


def _bytes_needed(group: Group) -> int | None:
    lengths = [spec.nbytes for spec in group.specs]
    return None if None in lengths else sum(length or 0 for length in lengths)


def _missing(files: SourceFiles, missing: list[str], candidates: list[Shard]) -> FilesError:
    more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
    if candidates:
        names = sorted(repr(shard.name) for shard in candidates)
        there = f"{', '.join(names)}, each of the right length; keep the right one"
    else:
        there = f"{_listed(files)}; add it, under that name"
    return FilesError(files.describe(missing[0]), f"this weights file{more} expected beside the JSON, found {there}")


def _what_else(files: SourceFiles, found: list[FoundJson]) -> str:
    if found:
        return f"found several: {', '.join(candidate.name for candidate in found)}; name the one you mean"
    below = sorted({name.rpartition("/")[0] for name in files.names_below() if name.endswith("/model.json")})
    if below:
        return f"found none here, but in {', '.join(below[:5])}; give that folder (of a zip: unpacked)"
    return (
        f"found {_listed(files)}; give the folder with the files that were saved "
        "(ml5: model.json, model_meta.json and model.weights.bin, all three)"
    )


def _listed(files: SourceFiles) -> str:
    names = sorted(files.names())
    return ", ".join(names[:12]) + (" ..." if len(names) > 12 else "") if names else "no files"


def _split_number(json_name: str) -> tuple[str, str]:
    """ "model (1).json" -> ("model", " (1)"): how browsers name a second download."""
    found = re.fullmatch(r"(.*?)( ?\(\d+\))?\.json", json_name)
    return (found[1], found[2] or "") if found else (json_name, "")
