"""The three files of a save, such that ml5 0.12 and 1.x load them by every route (facts: measured with both).

One group in one file, "./NAME.weights.bin"; float32; nothing but modelTopology and weightsManifest in the JSON.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

from .. import strict_json
from ..artifacts import Artifacts, target_of
from ..building import Files, bytes_of, document_files, tensors_of
from ..errors import FilesError, MismatchError
from ..layers.network import LayersModel
from ..saving import write_files
from .gathering import check_name
from .repairing import repaired_files
from .topologies import mended_topology


def saved_files(model: LayersModel, meta: bytes, name: str) -> Files:
    """{NAME.weights.bin, NAME_meta.json, NAME.json}, the JSON last; its text stays where nothing about it changes.

    Raises:
        MismatchError: a name that is no file name.
    """
    check_name(name)
    assert model.artifacts is not None
    tensors = tensors_of(model)
    text = _unchanged_text(model.artifacts, name)
    if text is not None:
        made = {f"{name}.weights.bin": b"".join(map(bytes_of, tensors.values())), f"{name}.json": text}
    else:
        made = document_files(model.artifacts.model_json["modelTopology"], tensors, name)
    weights, json_name = f"{name}.weights.bin", f"{name}.json"
    files = {weights: made[weights], f"{name}_meta.json": meta, json_name: made[json_name]}
    if text is None:  # layers from elsewhere may be in forms that ml5 does not read
        with contextlib.suppress(MismatchError):  # what cannot be mended is told by check, and harms nobody here
            mended = repaired_files(files, name)[0]
            if mended[f"{name}_meta.json"] == meta:  # else labels would change places: only repair itself does that
                return mended
        topology, _ = mended_topology(model.artifacts.model_json["modelTopology"])
        files.update(document_files(topology, tensors, name))
    return files


def place_of(path: str | os.PathLike[str]) -> Path:
    """A folder or .zip for the three files.

    Raises:
        FilesError: the name of another kind of file.
    """
    folder, json_name = target_of(path)
    if json_name is not None:
        wanted = "a folder or a .zip for the three files expected, found the name of a .json"
        raise FilesError(str(path), f"{wanted}; name= says what they are called")
    return folder


def write(files: Files, path: str | os.PathLike[str]) -> None:
    """To a folder or a .zip, complete or not at all.

    Raises:
        FilesError: the place cannot be written.
    """
    try:
        write_files(place_of(path), ((name, [data]) for name, data in files.items()))
    except UnicodeError:
        raise FilesError("path", f"a path that this system can write expected, found {path!r:.60}") from None


def dumped(document: Any) -> bytes:
    """A model_meta.json."""
    return strict_json.dumps(document, "model_meta.json")


def _unchanged_text(artifacts: Artifacts, name: str) -> bytes | None:
    document, groups = artifacts.model_json, artifacts.manifest.groups
    as_saved = (
        set(document) == {"modelTopology", "weightsManifest"}
        and len(groups) == 1
        and list(groups[0].paths) == [f"./{name}.weights.bin"]
        and all(spec.stored == spec.dtype == "float32" for spec in groups[0].specs)
    )
    return artifacts.json_text if as_saved else None
