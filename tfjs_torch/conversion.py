"""Any of the files that hold weights -> any other: models of tf.js, .safetensors, .npz, .pt."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from .artifacts import Artifacts, read_artifacts, stream_pieces, target_of, template
from .codec import decode, extents
from .containers import Advance, is_container, read_container, write_container
from .encoder import Tensor
from .errors import MismatchError
from .manifest import NUMERIC
from .quantization import Array
from .saving import Files, inside, write_files
from .shards import Stream
from .sources import MemoryFiles
from .tensors import Quantize, encode_files, groups_of, stored_tensors

_FLOAT: Final = np.dtype("<f4")
PROGRAMS: Final = (".pt2", ".onnx")  # whole models, written through torch's own exporters


class Converted(NamedTuple):
    """What convert() did: how many tensors and numbers, and the files it wrote with their lengths."""

    tensors: int
    parameters: int
    files: dict[str, int]


def is_program(path: str | os.PathLike[str]) -> bool:
    return Path(path).suffix.lower() in PROGRAMS


def open_tensors(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], Artifacts | None]:
    """The tensors of a model or a container, not read yet; and the model's files if it is one.

    Raises:
        FilesError and the other errors of tfjs_torch.errors.
    """
    if is_container(path):
        return read_container(path), None
    artifacts = read_artifacts(path)
    return open_model(artifacts), artifacts


def open_model(artifacts: Artifacts) -> dict[str, Tensor]:
    """The tensors of a model, lengths checked, none read yet.

    Raises:
        WeightsLengthError: the weight files do not have exactly the bytes that the manifest asks for.
    """
    return dict(stored_tensors(artifacts))


def read_model(artifacts: Artifacts) -> dict[str, Array]:
    """Like open_model, with every tensor read at once: for small models.

    Raises:
        WeightsLengthError: see open_model.
    """
    if any(spec.stored != "float32" for spec in artifacts.manifest.specs):
        return {spec.name: values for spec, values in decode(groups_of(artifacts), artifacts.where)}
    found: dict[str, Array] = {}
    for specs, stream in groups_of(artifacts):
        with stream:
            places = extents(specs, stream, artifacts.where)
            whole = np.empty(stream.nbytes, np.uint8)
            stream.read(0, whole)
        for spec, (start, _) in zip(specs, places, strict=True):
            found[spec.name] = np.ndarray(spec.shape, _FLOAT, whole, start)
    return found


def with_files(artifacts: Artifacts, files: Mapping[str, Any]) -> Artifacts:
    """The same model with the bytes of other files, {name: bytes or path}, of the same names, lengths and JSON.

    Nothing is looked at again: what a model's files mean hangs on these alone.
    """
    source = MemoryFiles(files)
    shards = tuple(tuple(source.shard(shard.name) for shard in group) for group in artifacts.shards)
    sidecars = {name: source.shard(shard.name) for name, shard in artifacts.sidecars.items()}
    return Artifacts(
        artifacts.json_name, artifacts.json_text, artifacts.manifest, shards, sidecars, artifacts.notes, artifacts.where
    )


def model_length(artifacts: Artifacts) -> int:
    """Bytes of a model's tensors once decoded (strings not counted); nothing is read."""
    return sum(spec.size * NUMERIC[spec.dtype][1] for spec in artifacts.manifest.specs if spec.dtype in NUMERIC)


def open_container(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The tensors of a .safetensors, .npz, .pt or .pth file.

    Raises:
        FilesError: the file is missing or broken, or holds anything but tensors. Nothing in it is ever executed.
    """
    return read_container(path)


def model_files(
    tensors: Mapping[str, Tensor],
    like: Artifacts | None,
    *,
    quantize: Quantize = None,
    shard_bytes: int | None = None,
    advance: Advance | None = None,
) -> Files:
    """(name, buffers) of a model's files, lazily, the JSON last; all checks come before the first buffer.

    Args:
        tensors: the values, fetched when they are written.
        like: the template, see save_file; None makes a model.json without layers.
        quantize, shard_bytes: see save_file.
        advance: told the number of bytes after each piece.

    Raises:
        MismatchError: tensors that do not fit the template.

    Example:
        >>> from tfjs_torch.conversion import model_files, open_tensors
        >>> tensors, artifacts = open_tensors("samples/ml5-classifier")
        >>> [name for name, pieces in model_files(tensors, artifacts) if list(pieces)]
        ['./model.weights.bin', 'model_meta.json', 'model.json']
    """
    plain = None if quantize or shard_bytes is not None or like is None else _as_saved(tensors, like)
    return iter(plain) if plain else encode_files(tensors, like, quantize, shard_bytes, advance=advance)


def _as_saved(tensors: Mapping[str, Tensor], like: Artifacts) -> list[tuple[str, Iterable[Any]]] | None:
    """The files of a small model as tf.js and ml5 save it, float32 arrays in one file; None for all others."""
    specs, groups = like.manifest.specs, like.manifest.groups
    if len(groups) != 1 or len(groups[0].paths) != 1 or len(tensors) != len(specs) or not like.json_text:
        return None
    arrays: list[Any] = [tensors.get(spec.name) for spec in specs]
    for spec, array in zip(specs, arrays, strict=True):
        if type(array) is not np.ndarray or array.dtype is not _FLOAT or array.shape != spec.shape:
            return None
        if spec.stored != "float32" or not array.flags.c_contiguous:
            return None
    sidecars = [(name, stream_pieces(Stream([shard]))) for name, shard in like.sidecars.items()]
    return [(groups[0].paths[0], arrays), *sidecars, (like.json_name, [like.json_text])]


def in_layout_of_torch(artifacts: Artifacts, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """A model's tensors under the keys and in the shapes of torch's modules (`dense.weight`, [out, in]).

    Raises:
        UnsupportedError: a graph-model, or a layer that is not known. MismatchError: no layers.
    """
    import torch  # here: a second to import, for those who need it

    from .weights import as_modules_have_them

    own = {name: tensor if _is_text(tensor) else torch.from_numpy(_owned(tensor)) for name, tensor in tensors.items()}
    return as_modules_have_them(artifacts.manifest, own, None, artifacts.where)


def from_layout_of_torch(artifacts: Artifacts, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The way back: the manifest's tensors, of the state_dict of torch's modules.

    Raises:
        MismatchError: missing or unexpected keys, or a shape that does not fit.
    """
    from .assembly import assemble  # here: torch takes a second to import
    from .torch_tensors import as_tensors
    from .weights import under_stored_names

    weights = assemble(artifacts.manifest, where=artifacts.where).weights
    given = {name: np.asarray(tensor) for name, tensor in tensors.items()}
    return as_tensors(under_stored_names(artifacts.manifest, weights, given, artifacts))


def _is_text(tensor: Tensor) -> bool:
    return np.dtype(tensor.dtype).kind in "OSU"


def _owned(tensor: Tensor) -> Any:
    """An array that torch may take over: writable, in this machine's byte order."""
    array = np.asarray(tensor)
    return array if array.flags.writeable and array.flags.c_contiguous else array.copy()


def stored_length(tensors: Mapping[str, Tensor]) -> int:
    """Bytes of all tensors once decoded (strings not counted), for a progress bar."""
    return sum(
        math.prod(t.shape) * np.dtype(t.dtype).itemsize for t in tensors.values() if np.dtype(t.dtype).kind != "O"
    )


def convert(
    tensors: Mapping[str, Tensor],
    target: str | os.PathLike[str],
    *,
    like: Any = None,
    quantize: Quantize = None,
    shard_bytes: int | None = None,
    dtype: str | None = None,
    advance: Advance | None = None,
) -> Converted:
    """Write tensors to a model (folder, .zip or .json) or a container (.safetensors, .npz, .pt).

    Args:
        tensors: see open_tensors.
        target: where to write; its ending tells the kind.
        like: the template of a model, see save_file. For containers: not allowed.
        quantize, shard_bytes: see save_file. For containers: not allowed.
        dtype: cast floating tensors. Models: "float32" only, which undoes quantisation.
        advance: told the number of bytes after each piece.

    Raises:
        MismatchError: options that do not go with the target, or tensors that do not fit.
    """
    parameters = sum(int(np.prod(t.shape, dtype=np.int64)) for t in tensors.values())
    if is_container(target):
        for option, given in (("--like", like), ("--quantize", quantize), ("--shard-size", shard_bytes)):
            if given:
                raise MismatchError(option, f"a folder, .json or .zip as target expected, found {os.fspath(target)}")
        write_container(target, tensors, dtype, advance)
        return Converted(len(tensors), parameters, {os.fspath(target): Path(target).stat().st_size})
    if dtype not in (None, "float32"):
        raise MismatchError(
            "--dtype",
            f"float32 expected for a tf.js model, found {dtype!r}; use --quantize float16, which tf.js reads",
        )
    if dtype and quantize:
        raise MismatchError("--dtype", "either --dtype float32 or --quantize expected, found both")
    folder, json_name = target_of(target)
    files = encode_files(
        tensors, template(like), "float32" if dtype else quantize, shard_bytes, json_name, advance=advance
    )
    written: dict[str, int] = {}
    write_files(folder, ((name, _counted(name, pieces, written)) for name, pieces in files))
    return Converted(len(tensors), parameters, written)


def _counted(path: str, pieces: Any, written: dict[str, int]) -> Any:
    name = inside(path)
    written[name] = 0
    for piece in pieces:
        written[name] += memoryview(piece).nbytes
        yield piece
