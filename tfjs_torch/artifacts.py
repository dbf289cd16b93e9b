"""One model as files: the JSON, its weight files, and the sidecars that ml5 and Teachable Machine need.

Read from a folder, the path of the JSON, a .zip, or {file name: bytes or path}; written back to a folder or
a .zip, complete or not at all.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeAlias

from . import strict_json
from .discovery import find_json, find_shards, find_sidecars, plain_name, read_json
from .errors import FilesError, UnsupportedError, warn
from .manifest import Manifest, is_manifest, parse_manifest
from .saving import Files, write_files, write_zip_stream
from .sharding import Cut, cut_groups, split
from .shards import MAX_MAPPED, Shard, Stream
from .sources import FolderFiles, MemoryFiles, SourceFiles, ZipFiles, is_dir, is_file

Source: TypeAlias = "str | os.PathLike[str] | bytes | Mapping[str, Any] | SourceFiles | Artifacts"

_JSON_NAME: Final = {"model.json": "model.json", "list": "weights_manifest.json", "checkpoint": "manifest.json"}
_OTHER_FILES: Final = (".bin", ".safetensors", ".npz", ".npy", ".pt", ".pth", ".h5", ".keras", ".pb", ".onnx", ".pkl")


@dataclass(frozen=True)
class Artifacts:
    """A model's files, with its JSON parsed and checked and no weight byte read yet.

    Attributes:
        json_name: file name of the JSON, usually "model.json".
        json_text: its bytes as they were found; written back as they are while the model is unchanged.
        manifest: the checked manifest (`manifest.document` is the parsed JSON).
        shards: the weight files of each group, in the manifest's order.
        sidecars: files that travel along, such as model_meta.json (ml5) and metadata.json
            (Teachable Machine): {name: Shard}.
        notes: what was taken for granted on the way, in sentences.
        where: the place the model came from, for messages.

    Example:
        >>> from tfjs_torch import read_artifacts
        >>> artifacts = read_artifacts("samples/ml5-classifier")
        >>> artifacts.json_name, list(artifacts.sidecars), len(artifacts.shards)
        ('model.json', ['model_meta.json'], 1)
    """

    json_name: str
    json_text: bytes
    manifest: Manifest
    shards: tuple[tuple[Shard, ...], ...]
    sidecars: Mapping[str, Shard] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    where: str = "model"

    def __deepcopy__(self, _: Any) -> Artifacts:
        """Nothing here ever changes, so that a copied model shares its files."""
        return self

    @property
    def model_json(self) -> Any:
        """The parsed JSON: a model.json dict, a list of groups, or a deeplearn.js checkpoint dict."""
        return self.manifest.document

    def streams(self) -> list[Stream]:
        """The weight bytes of each group."""
        mappable = sum(map(len, self.shards)) <= MAX_MAPPED
        return [Stream(shards, mappable) for shards in self.shards]

    def files(self) -> Files:
        """(name, buffers) of everything, the JSON last; a layout that tf.js would misread is cut anew."""
        pieces = (piece for stream in self.streams() for piece in stream_pieces(stream))
        return self.files_with({}, pieces, [stream.nbytes for stream in self.streams()])

    def files_with(
        self,
        quantization: Mapping[str, dict[str, Any] | None],
        pieces: Iterable[Any],
        totals: Sequence[int],
        shard_bytes: int | None = None,
    ) -> Files:
        """Like files(), with other weight bytes and, where they differ, other quantization entries."""
        cuts = self.cuts(totals, shard_bytes)
        document = self.manifest.changed(quantization, [[cut.path for cut in group] for group in cuts])
        yield from split(pieces, [cut for group in cuts for cut in group])
        for name, shard in self.sidecars.items():
            yield name, stream_pieces(Stream([shard]))
        same = document is self.manifest.document and self.json_text
        yield self.json_name, [self.json_text if same else strict_json.dumps(document, self.json_name)]

    def cuts(self, totals: Sequence[int], shard_bytes: int | None = None) -> list[list[Cut]]:
        """The weight files to write when the groups have these lengths."""
        paths = [list(group.paths) for group in self.manifest.groups]
        if self.manifest.form == "checkpoint":  # one file a variable, each read on its own: always right
            if shard_bytes is not None:
                raise UnsupportedError("shard_bytes", "deeplearn.js checkpoints have one file a variable; leave it out")
            return [[Cut(group[0], total)] for group, total in zip(paths, totals, strict=True)]
        known = (
            all(len(shards) == len(names) for shards, names in zip(self.shards, paths, strict=False)) and self.shards
        )
        sizes = [[shard.nbytes for shard in shards] for shards in self.shards] if known else None
        return cut_groups(totals, paths, sizes, shard_bytes, self.where)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to a folder, a .zip, or under another JSON name ("out/my.json").

        Files appear complete or not at all, the JSON last.

        Raises:
            FilesError: the place cannot be written, or a manifest path leads out of it.

        Example:
            >>> import tempfile
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     read_artifacts("samples/ml5-classifier").save(folder)
            ...     inside = sorted(os.listdir(folder))
            >>> inside
            ['model.json', 'model.weights.bin', 'model_meta.json']
        """
        folder, json_name = target_of(path)
        write_files(folder, (self.renamed(json_name) if json_name else self).files())

    def sidecar(self, name: str) -> bytes:
        """The bytes of a file that travels along.

        Example:
            >>> read_artifacts("samples/ml5-classifier").sidecar("model_meta.json")[:13]
            b'{"inputUnits"'
        """
        return b"".join(map(bytes, stream_pieces(Stream([self.sidecars[name]]))))

    def to_zip(self) -> bytes:
        """Everything as the bytes of a .zip; the same model gives the same bytes.

        Example:
            >>> len(read_artifacts("samples/ml5-classifier").to_zip()) > 528
            True
        """
        stream = io.BytesIO()
        write_zip_stream(stream, self.files())
        return stream.getvalue()

    def renamed(self, json_name: str) -> Artifacts:
        """The same model with its JSON under another name."""
        return replace(self, json_name=json_name)


def read_artifacts(source: Source, *, weights: bool = True) -> Artifacts:
    """Find and check a model's files. Weight files are opened only when their bytes are wanted.

    Args:
        source: a folder, the path of the JSON, a .zip (path or bytes), {file name: bytes or Path}, or Artifacts.
        weights: False leaves the weight files out, which need not be there then: a template to write like.

    Raises:
        FilesError: no model there, several, a file missing, or a path that leads out of the folder.
        ManifestError: the JSON breaks the format.
        UnsupportedError: a dtype that is not read here.

    Example:
        >>> from tfjs_torch import read_artifacts
        >>> [(shard.name, shard.nbytes) for shard in read_artifacts("samples/ml5-classifier").shards[0]]
        [('./model.weights.bin', 528)]
    """
    if isinstance(source, Artifacts):
        return source
    files, given = _open(source)
    json_name, text, document = read_json(files, given) if given else find_json(files)
    where = files.describe(json_name)
    manifest = parse_manifest(document, where)
    for note in manifest.notes:
        warn(f"{where}: {note}")
    shards, notes = find_shards(files, json_name, manifest) if weights else ([], [])
    sidecars = find_sidecars(files, json_name, manifest)
    notes = [*manifest.notes, *notes]
    return Artifacts(plain_name(json_name), text, manifest, tuple(shards), sidecars, tuple(notes), where)


def template(like: Source | list[Any] | None) -> Artifacts | None:
    """A model to write like: read_artifacts, or a parsed model.json or manifest without its weight files."""
    if like is None:
        return None
    if isinstance(like, list) or (isinstance(like, Mapping) and is_manifest(like)):
        manifest = parse_manifest(like, "like")
        return Artifacts(_JSON_NAME[manifest.form], b"", manifest, ())
    return read_artifacts(like)


def target_of(path: str | os.PathLike[str]) -> tuple[Path, str | None]:
    """(folder or .zip, name of the JSON) of a path to write to: "out", "out.zip" or "out/my.json".

    Raises:
        FilesError: the ending of another kind of file.
    """
    try:
        target = Path(path)
    except TypeError:
        raise FilesError("path", f"a path expected, found {type(path).__name__} {path!r:.60}") from None
    suffix = target.suffix.lower()
    if not os.fspath(path):
        raise FilesError("path", "a path to write to expected, found an empty one")
    if suffix in _OTHER_FILES:
        raise FilesError(str(target), f"a folder, a .json or a .zip to write a tf.js model to expected, found {suffix}")
    return (target.parent, target.name) if suffix == ".json" else (target, None)


def stream_pieces(stream: Stream) -> Iterator[Any]:
    with stream:
        yield from stream.pieces(0, stream.nbytes)


def _open(source: Any) -> tuple[SourceFiles, str | None]:
    if isinstance(source, (FolderFiles, MemoryFiles, ZipFiles)):
        return source, None
    if isinstance(source, (bytes, bytearray, memoryview)):
        return ZipFiles(io.BytesIO(source), "zip"), None
    if isinstance(source, Mapping):
        return MemoryFiles(source), None
    try:
        path = Path(source)
    except TypeError:
        raise FilesError(
            "source", f"a path, bytes or {{name: bytes}} expected, found {type(source).__name__}"
        ) from None
    if is_dir(path) and source not in ("", b""):
        return FolderFiles(path), None
    if not is_file(path):
        raise FilesError(str(path), "a folder, a model.json or a .zip expected, found nothing there; check the path")
    if path.suffix.lower() == ".zip":
        return ZipFiles(path, str(path)), None
    if path.suffix.lower() in _OTHER_FILES:
        raise FilesError(
            str(path),
            "a tf.js model expected (a folder, a model.json or a .zip), found a file of weights; "
            + (
                f"it belongs to a model.json: give {path.parent}"
                if path.suffix == ".bin"
                else "convert and diff read it"
            ),
        )
    return FolderFiles(path.parent), path.name
