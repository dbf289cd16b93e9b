"""decode_weights and write_weights of the package tensorflowjs, with our codec and without its defects.

Same signatures, same results, same files byte for byte; where the official functions misread or
write what cannot be read (tests/test_section6*.py has the list, number by number), these raise or do it
right.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from .codec import decode
from .encoder import manifest_dtype
from .errors import ManifestError, MismatchError
from .manifest import new_entry, parse_manifest
from .saving import write_files
from .sharding import SHARD_BYTES, cut_groups, split
from .shards import MemoryShard, Stream
from .tensors import Quantize, encode_all


def decode_weights(weights_manifest: list[Any], data_buffers: Any, flatten: bool = False) -> list[Any]:
    """Decode weights as tensorflowjs.read_weights.decode_weights does.

    Args:
        weights_manifest: the list of groups.
        data_buffers: one buffer a group, each group's files joined; a single buffer for a single group.
        flatten: one list of entries instead of one a group.

    Returns:
        [[{"name": str, "data": ndarray}]], arrays writable, strings as object arrays of bytes.

    Raises:
        ManifestError, WeightsLengthError, MismatchError: see tfjs_torch.errors.

    Example:
        >>> from tfjs_torch import decode_weights
        >>> entry = {"name": "b", "shape": [2], "dtype": "int32"}
        >>> decode_weights([{"paths": [], "weights": [entry]}], bytes.fromhex("0100000002000000"), flatten=True)
        [{'name': 'b', 'data': array([1, 2], dtype=int32)}]
    """
    if not isinstance(weights_manifest, list):
        raise ManifestError("weights_manifest", f"a list of groups expected, found {type(weights_manifest).__name__}")
    groups = [{"paths": [], **group} if isinstance(group, dict) else group for group in weights_manifest]
    manifest = parse_manifest(groups, "weights_manifest")
    buffers = data_buffers if isinstance(data_buffers, list) else [data_buffers]
    if len(buffers) != len(groups):
        raise MismatchError("data_buffers", f"one buffer a group expected ({len(groups)}), found {len(buffers)}")
    streams = [Stream([MemoryShard(f"data_buffers[{i}]", buffer)]) for i, buffer in enumerate(buffers)]
    decoded = decode([(g.specs, s) for g, s in zip(manifest.groups, streams, strict=True)], "data_buffers")
    entries = [{"name": spec.name, "data": array} for spec, array in decoded]
    if flatten:
        return entries
    left = iter(entries)
    return [[next(left) for _ in group.specs] for group in manifest.groups]


def write_weights(
    weight_groups: list[Any],
    write_dir: str | os.PathLike[str],
    shard_size_bytes: int | None = SHARD_BYTES,
    write_manifest: bool = True,
    quantization_dtype_map: Quantize = None,
) -> list[Any]:
    """Write weights as tensorflowjs.write_weights.write_weights does.

    Args:
        weight_groups: [[{"name": str, "data": ndarray}]], names unique.
        write_dir: the folder for group1-shard1of1.bin ..., made if missing.
        shard_size_bytes: length of each file but the last of a group; None: one file a group.
        write_manifest: also write weights_manifest.json.
        quantization_dtype_map: {"uint8" | "uint16" | "float16": True | glob | [globs]} of float32 tensors.

    Returns:
        The manifest, a list of groups.

    Raises:
        MismatchError, UnsupportedError, ManifestError: see tfjs_torch.errors; nothing is written then.

    Files that tf.js 4.22 would misread (two groups, the second larger) are not written: all tensors go
    into one group then, with a warning.

    Example:
        >>> import numpy as np, tempfile
        >>> from tfjs_torch import write_weights
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_weights([[{"name": "b", "data": np.zeros(2, "float32")}]], folder)[0]["paths"]
        ['group1-shard1of1.bin']
    """
    if not isinstance(weight_groups, list) or not weight_groups:
        raise ManifestError("weight_groups", f"a list of at least one group expected, found {weight_groups!r:.60}")
    groups = [_entries(group, f"weight_groups[{i}]") for i, group in enumerate(weight_groups)]
    tensors = {name: data for group in groups for name, data in group}
    json_groups = [
        {"paths": [], "weights": [new_entry(n, data.shape, manifest_dtype(data, n)) for n, data in group]}
        for group in groups
    ]
    manifest = parse_manifest(json_groups, "weight_groups")
    encoding = encode_all(manifest, tensors, quantization_dtype_map)
    cuts = cut_groups(
        encoding.totals, shard_bytes=_shard_bytes(shard_size_bytes, encoding.totals), where="write_weights"
    )
    document: list[Any] = manifest.changed(encoding.quantization, [[cut.path for cut in group] for group in cuts])
    files = list(split(encoding.pieces(), [cut for group in cuts for cut in group]))
    if write_manifest:
        files.append(("weights_manifest.json", iter([json.dumps(document, allow_nan=False).encode()])))
    write_files(write_dir, iter(files))
    return document


def _shard_bytes(given: Any, totals: Sequence[int]) -> int:
    return max(1, *totals, 0) if given is None else given


def _entries(group: Any, where: str) -> list[tuple[str, Any]]:
    if not isinstance(group, list):
        raise ManifestError(where, f"a list of entries expected, found {type(group).__name__}")
    for index, entry in enumerate(group):
        here = f"{where}[{index}]"
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            raise ManifestError(here, 'an entry {"name": str, "data": ndarray} expected')
        if not isinstance(entry.get("data"), np.ndarray):
            raise ManifestError(
                f"{here} {entry['name']!r}",
                f'a numpy array under "data" expected, found {type(entry.get("data")).__name__}',
            )
    return [(entry["name"], entry["data"]) for entry in group]
