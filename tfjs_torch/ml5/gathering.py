"""What was saved, as far as it is there: which file is the network, which the weights, which the meta. No torch.

Unlike read_artifacts nothing has to be right here: check wants to tell what is wrong. Names stay as they are, because
browsers look for them.
"""

from __future__ import annotations

import io
import os
import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from .. import strict_json
from ..errors import FilesError, ManifestError, MismatchError, TfjsTorchError
from ..manifest import Manifest, parse_manifest
from ..saving import inside
from ..shards import Shard
from ..sources import FolderFiles, MemoryFiles, SourceFiles, ZipFiles, is_dir, is_file

NUMBER: Final = re.compile(r" ?\(\d+\)(?=\.)")  # what a browser adds to the name of a second download
_MOST_FOLDERS: Final = 64  # that are looked into
_MOST_PARSED: Final = 64  # JSON files of a folder that are looked into
_NAME: Final = re.compile(r"[^/\\:*?\"<>|.\x00-\x1f\x7f\ud800-\udfff][^/\\:*?\"<>|\x00-\x1f\x7f\ud800-\udfff]*")


@dataclass
class Saved:
    """Files of one save.

    Attributes:
        where: the place, for messages.
        names: all names at the top, in the order of the place.
        parsed: {name: its parsed JSON, or the error}.
        json_name, meta_name: the files of network and meta; None where there is none.
        document, meta: their parsed JSON, None where it cannot be parsed.
        manifest: the checked manifest; None, with `problem`, where it breaks the format.
        paths: the manifest's paths.
        weights: the file for each path; None where it is not there.
        lone_weights: a .bin that lies there without a JSON that names it.
    """

    where: str
    names: list[str]
    parsed: Mapping[str, Any]
    json_name: str | None = None
    meta_name: str | None = None
    document: Any = None
    meta: Any = None
    manifest: Manifest | None = None
    problem: TfjsTorchError | None = None
    weights: Sequence[Shard | None] = ()
    lone_weights: str | None = None
    files: SourceFiles | None = None

    @property
    def paths(self) -> list[str]:
        return self.manifest.paths if self.manifest else []

    def raw(self, name: str) -> bytes:
        """A file's bytes."""
        assert self.files is not None
        return self.files.text(name)


def check_name(name: Any) -> None:
    """A name for the three files.

    Raises:
        MismatchError: no file name, or one that ml5 would take for another of the three.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise MismatchError("name", f"a file name such as model expected, found {name!r:.60}")
    if "_meta" in name or ".json" in name or ".bin" in name:
        raise MismatchError(
            "name",
            f"a name without _meta, .json and .bin, by which ml5 tells files apart, expected, found {name!r:.60}",
        )


def kind_of(document: Any) -> str:
    """What a parsed JSON is: "network", "meta", "meta-0.4", "knn", "data", "teachable" or "other".

    Example:
        >>> kind_of({"data": [{"xs": {"x": 1}, "ys": {"y": 2}}]})
        'data'
    """
    if not isinstance(document, dict):
        return "other"
    if "modelTopology" in document or "weightsManifest" in document:
        return "network"
    if "inputs" in document and "outputs" in document:
        return "meta"
    if isinstance(document.get("meta"), dict) and "inputs" in document["meta"]:
        return "meta-0.4"
    if isinstance(document.get("dataset"), dict) and isinstance(document.get("tensors"), list):
        return "knn"
    if isinstance(document.get("data"), list) or isinstance(document.get("entries"), list):
        return "data"
    if isinstance(document.get("labels") or document.get("wordLabels"), list):
        return "teachable"
    return "other"


def gather(source: Any) -> Saved:
    """Find what there is.

    Raises:
        FilesError: there is no such place, or it holds several models.
    """
    return gathered(*open_source(source))


def located(files: SourceFiles, given: str | None = None, likely: Iterable[str] = ()) -> tuple[Saved, str]:
    """The save in a place, and the folder in it: "", else one that is likely, else the only one that has a model.

    Raises:
        FilesError: it holds several models.
    """
    saved = gathered(files, given)
    if saved.json_name is not None or given is not None:
        return saved, ""
    for folder in likely:
        inner = _in_folder(files, folder)
        if inner is not None:
            return inner, folder
    below = {posixpath.dirname(name) for name in files.names_below() if name.endswith(".json")} - {""}
    folders = sorted(below) if len(below) <= _MOST_FOLDERS else []
    found = [(inner, folder) for folder in folders if (inner := _in_folder(files, folder)) is not None]
    return found[0] if len(found) == 1 else (saved, "")


def _in_folder(files: SourceFiles, folder: str) -> Saved | None:
    try:
        saved = gathered(files.below(folder))
    except (FilesError, OSError):  # no such folder, for example
        return None
    return saved if saved.json_name is not None else None


def gathered(files: SourceFiles, given: str | None = None) -> Saved:
    """gather in a place that is open; `given`: the name of the JSON, where it is known.

    Raises:
        FilesError: it holds several models.
    """
    names = sorted(files.names()) if isinstance(files, FolderFiles) else list(files.names())
    names = [name for name in names if "/" not in name]
    parsed = {name: _parsed(files, name) for name in _likely_first(names)[:_MOST_PARSED]}
    saved = Saved(files.where, names, parsed, files=files)
    saved.json_name = _network(saved, given)
    if saved.json_name is not None:
        found = parsed.get(saved.json_name) or _parsed(files, saved.json_name)
        _take_network(saved, found, files)
    else:
        saved.lone_weights = next((name for name in names if ".bin" in name), None)
    saved.meta_name = _meta(saved)
    if saved.meta_name is not None and not isinstance(parsed[saved.meta_name], TfjsTorchError):
        saved.meta = parsed[saved.meta_name]
    return saved


def open_source(source: Any) -> tuple[SourceFiles, str | None]:
    """The files of a place, and the name of the JSON where it was given.

    Raises:
        FilesError: there is no such place.
    """
    if isinstance(source, (FolderFiles, MemoryFiles, ZipFiles)):
        return source, None
    if isinstance(source, (bytes, bytearray, memoryview)):
        return ZipFiles(io.BytesIO(source), "zip"), None
    if isinstance(source, Mapping):
        return MemoryFiles(source), None
    if isinstance(source, (list, tuple)):
        return MemoryFiles(listed_files(source)), None
    try:
        path = Path(source)
    except TypeError:
        raise FilesError(
            "source", f"a path, a list of paths or {{name: bytes}} expected, found {source!r:.60}"
        ) from None
    if is_dir(path) and os.fspath(source):
        return FolderFiles(path), None
    if not is_file(path):
        raise FilesError(str(path), "a folder, a model.json or a .zip expected, found nothing there; check the path")
    if path.suffix.lower() == ".zip":
        return ZipFiles(path, str(path)), None
    return FolderFiles(path.parent), path.name if path.suffix == ".json" and "_meta" not in path.name else None


def is_numbered(name: str) -> bool:
    """Whether a browser gave it a number.

    Example:
        >>> is_numbered("model (1).json"), is_numbered("model.json")
        (True, False)
    """
    return bool(NUMBER.search(name))


def stem_of(json_name: str) -> str:
    """What save() was given as the name.

    Example:
        >>> stem_of("gesture (2).json")
        'gesture'
    """
    return NUMBER.sub("", json_name).removesuffix(".json")


def needed(manifest: Manifest) -> list[int | None]:
    """The bytes of each group; None where strings make that unknown."""
    return [_sum(spec.nbytes for spec in group.specs) for group in manifest.groups]


def _sum(lengths: Any) -> int | None:
    listed = list(lengths)
    return None if None in listed else sum(listed)


def _likely_first(names: Sequence[str]) -> list[str]:
    usual = ("model.json", "model_meta.json", "metadata.json")
    return sorted((name for name in names if ".json" in name), key=lambda name: (name not in usual, name))


def listed_files(source: Sequence[Any]) -> dict[str, Path]:
    """{name: path} of a list of paths.

    Raises:
        FilesError: something else in it, a file that is not there, or two of one name.
    """
    files: dict[str, Path] = {}
    for item in source:
        if not isinstance(item, (str, os.PathLike)):
            raise FilesError("source", f"a list of paths expected, found {type(item).__name__} in it")
        path = Path(item)
        if not is_file(path):
            found = "a folder; give it alone, not in a list" if is_dir(path) else "nothing there; check the path"
            raise FilesError(str(path), f"a file expected, found {found}")
        if path.name in files:
            raise FilesError("source", f"files of different names, each name once, expected, found {path.name!r} twice")
        files[path.name] = path
    return files


def _parsed(files: SourceFiles, name: str) -> Any:
    """The JSON, or the error."""
    try:
        text = files.text(name)
    except FilesError as error:
        return error
    try:
        return strict_json.loads(text, files.describe(name))
    except ManifestError as error:
        return error


def _network(saved: Saved, given: str | None) -> str | None:
    if given is not None:
        return given if kind_of(saved.parsed.get(given)) in ("network", "other") else None
    if "model.json" in saved.parsed and kind_of(saved.parsed["model.json"]) in ("network", "other"):
        return "model.json"
    found = [name for name, document in saved.parsed.items() if kind_of(document) == "network"]
    if len(found) > 1:
        raise FilesError(
            saved.where, f"one model expected, found several: {', '.join(found)}; give the path of the one you mean"
        )
    if found:
        return found[0]
    paired = {stem_of(name).removesuffix("_meta") for name in saved.names if "_meta" in name}
    paired |= {stem_of(name.removesuffix(".bin") + ".json").removesuffix(".weights") for name in saved.names}
    broken = [name for name, document in saved.parsed.items() if isinstance(document, TfjsTorchError)]
    return next((name for name in broken if "_meta" not in name and stem_of(name) in paired), None)


def _meta(saved: Saved) -> str | None:
    """The network's own NAME_meta.json, else any."""
    stem, number = stem_of(saved.json_name or "model.json"), NUMBER.search(saved.json_name or "")
    wanted = [f"{stem}_meta{number[0] if number else ''}.json", f"{stem}_meta.json", "model_meta.json"]
    kinds = {name: kind_of(document) for name, document in saved.parsed.items() if name != saved.json_name}
    wanted += [name for name in kinds if stem_of(name) == f"{stem}_meta"]
    wanted += [name for name, kind in kinds.items() if kind in ("meta", "meta-0.4")]
    wanted += [name for name in kinds if "_meta" in name]
    return next((name for name in wanted if name in kinds), None)


def _take_network(saved: Saved, found: Any, files: SourceFiles) -> None:
    assert saved.json_name is not None
    if isinstance(found, TfjsTorchError):
        saved.problem = found
        return
    saved.document = found
    try:
        saved.manifest = parse_manifest(found, saved.json_name)
        for path in saved.manifest.paths:
            inside(path)
    except TfjsTorchError as error:
        saved.manifest, saved.problem = None, error
        return
    saved.weights = [_shard(files, path) for path in saved.manifest.paths]
    if len(saved.weights) == 1 and saved.weights[0] is None:
        saved.weights = [_elsewhere(saved, files)]


def _shard(files: SourceFiles, path: str) -> Shard | None:
    try:
        return files.shard(path) if files.has(path) else None
    except FilesError:
        return None


def _elsewhere(saved: Saved, files: SourceFiles) -> Shard | None:
    """The one .bin of the right length under another name; else the one called like the JSON; else the only one."""
    assert saved.manifest is not None
    assert saved.json_name is not None
    names = [name for name in saved.names if ".bin" in name]
    shards = {name: shard for name in names if (shard := _shard(files, name))}
    length = sum(n or 0 for n in needed(saved.manifest))
    right = [shard for shard in shards.values() if shard.nbytes == length]
    if len(right) == 1:
        return right[0]
    number = NUMBER.search(saved.json_name)
    own = f"{stem_of(saved.json_name)}.weights{number[0] if number else ''}.bin"
    return shards.get(own) or (next(iter(shards.values())) if len(shards) == 1 else None)
