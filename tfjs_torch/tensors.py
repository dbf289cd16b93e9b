"""All tensors of a model at once, as numpy: decode by name, encode under a manifest. No torch here."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np

from ._version import __version__
from .artifacts import Artifacts
from .codec import Groups, decode_tensor, decoded_pieces, extents
from .encoder import Encoded, Stored, Tensor, encode_tensor, manifest_dtype, may_be_kept
from .errors import MismatchError, UnsupportedError, warn
from .manifest import NUMERIC, Manifest, WeightSpec, new_entry, parse_manifest
from .quantization import Array
from .saving import Files
from .sharding import SINGLE_FILE
from .shards import Bytes

Quantize: TypeAlias = "str | Sequence[str] | Mapping[str, bool | str | Sequence[str]] | None"
Advance: TypeAlias = Callable[[int], Any]

_STORAGES = ("uint8", "uint16", "float16", "float32")


def groups_of(artifacts: Artifacts) -> Groups:
    return list(zip((group.specs for group in artifacts.manifest.groups), artifacts.streams(), strict=True))


def stored_bytes(artifacts: Artifacts, wanted: Callable[[WeightSpec], bool] = lambda _: True) -> dict[str, Stored]:
    """Where the bytes of the wanted tensors lie in a template, {} when its weight files were not given."""
    found: dict[str, Stored] = {}
    for specs, stream in groups_of(artifacts) if artifacts.shards else ():
        if any(map(wanted, specs)):
            with stream:
                places = extents(specs, stream, artifacts.where)
            pairs = zip(specs, places, strict=True)
            found.update((spec.name, Stored(stream, place)) for spec, place in pairs if wanted(spec))
    return found


class StoredTensor:
    """A tensor of a model that is decoded only when it is asked for: whole, or in bounded pieces."""

    def __init__(self, spec: WeightSpec, stored: Stored) -> None:
        self.shape = spec.shape
        self.dtype = np.dtype(object if spec.dtype == "string" else NUMERIC[spec.dtype][0])
        self._spec, self._stored = spec, stored

    def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
        with self._stored.stream as stream:
            array = decode_tensor(self._spec, stream, *self._stored.extent)
        return array if dtype is None else array.astype(dtype)

    def pieces(self) -> Iterator[Bytes]:
        """The decoded bytes in pieces that are valid until the next is asked for."""
        with self._stored.stream as stream:
            yield from decoded_pieces(self._spec, stream, *self._stored.extent)


def stored_tensors(artifacts: Artifacts) -> dict[str, StoredTensor]:
    """All tensors of a model, lengths checked, none decoded yet."""
    places = stored_bytes(artifacts)
    return {spec.name: StoredTensor(spec, places[spec.name]) for spec in artifacts.manifest.specs}


@dataclass
class Encoding:
    """All tensors, ready to be written: nothing can go wrong any more but the writing itself."""

    groups: list[list[Encoded]] = field(default_factory=list)
    quantization: dict[str, dict[str, Any] | None] = field(default_factory=dict)

    @property
    def totals(self) -> list[int]:
        return [sum(tensor.nbytes for tensor in group) for group in self.groups]

    def pieces(self, advance: Advance | None = None) -> Iterator[Any]:
        """All bytes in order; `advance` is told of them as decoded bytes (a uint8 code stands for 4)."""
        for group in self.groups:
            for tensor in group:
                yield from tensor.pieces() if advance is None else _counted(tensor, advance)


def encode_all(
    manifest: Manifest,
    tensors: Mapping[str, Tensor],
    quantize: Quantize = None,
    stored: Mapping[str, Stored] | None = None,
) -> Encoding:
    """Fit tensors under a manifest, checking names, shapes, dtypes and values of all before any is written.

    Raises:
        MismatchError: names, shapes or values do not fit.
    """
    specs = manifest.specs
    _match_names([spec.name for spec in specs], tensors)
    storage = _storages(quantize, specs)
    if manifest.form == "checkpoint" and storage:
        raise UnsupportedError("quantize", "deeplearn.js checkpoints are float32 only; save without quantize")
    entries = _raw_entries(manifest)
    encoding = Encoding()
    for group in manifest.groups:
        encoded = []
        for spec in group.specs:
            tensor = encode_tensor(
                spec,
                tensors[spec.name],
                quantize_to=storage.get(spec.name),
                stored=(stored or {}).get(spec.name),
                entry=entries.get(spec.name) if spec.quantization else None,
            )
            if tensor.changed:
                encoding.quantization[spec.name] = tensor.quantization
            encoded.append(tensor)
        encoding.groups.append(encoded)
    return encoding


def new_manifest(tensors: Mapping[str, Tensor]) -> Manifest:
    """A manifest for tensors without a template: one group, one file, dtypes that tf.js loads.

    Raises:
        UnsupportedError: a dtype that tf.js cannot load.
    """
    entries = []
    for name, tensor in tensors.items():
        entry = new_entry(name, [int(size) for size in tensor.shape], manifest_dtype(tensor, name))
        if entry["dtype"] == "string" and 0 in entry["shape"]:
            raise UnsupportedError(
                name, "a string tensor without elements makes the official reader misread what follows"
            )
        entries.append(entry)
    paths = [SINGLE_FILE] if any(0 not in entry["shape"] for entry in entries) else []
    return parse_manifest([{"paths": paths, "weights": entries}], "state_dict")


def _counted(tensor: Encoded, advance: Advance) -> Iterator[Any]:
    for piece in tensor.pieces():
        yield piece
        advance(memoryview(piece).nbytes * tensor.decoded // (tensor.nbytes or 1))


Encode: TypeAlias = "Callable[[Manifest, Mapping[str, Tensor], Quantize, Mapping[str, Stored]], Encoding]"


def encode_files(
    tensors: Mapping[str, Tensor],
    like: Artifacts | None,
    quantize: Quantize = None,
    shard_bytes: int | None = None,
    json_name: str | None = None,
    encode: Encode = encode_all,
    advance: Advance | None = None,
) -> Files:
    """(name, buffers) of a model's files, the JSON last; everything is checked before the first buffer.

    Args:
        tensors: the values.
        like: the template; None makes a model.json without topology.
        json_name: another name for the JSON.
        encode: how tensors become bytes (see engines).
        advance: told the number of bytes after each piece.
    """
    artifacts = like or Artifacts("model.json", b"", _weights_only(new_manifest(tensors)), ())
    if json_name:
        artifacts = artifacts.renamed(json_name)
    encoding = encode(artifacts.manifest, tensors, quantize, stored_bytes(artifacts, may_be_kept))
    return artifacts.files_with(encoding.quantization, encoding.pieces(advance), encoding.totals, shard_bytes)


def _weights_only(manifest: Manifest) -> Manifest:
    document = {
        "format": "weights",  # no tf.js loader looks at it; neither of the two model formats would be true
        "generatedBy": f"tfjs_torch {__version__}",
        "convertedBy": None,
        "weightsManifest": manifest.document,
    }
    return parse_manifest(document, "state_dict")


def _match_names(expected: Sequence[str], tensors: Mapping[str, Any]) -> None:
    names = set(expected)
    missing = [name for name in expected if name not in tensors]
    unexpected = [name for name in tensors if name not in names]
    if missing or unexpected:
        raise MismatchError(
            "state_dict",
            f"the {len(expected)} tensors of the manifest expected. {said_of_keys(missing, unexpected)} "
            + ('Keys of torch\'s modules need layout="torch"' if _of_torch(unexpected) else _OTHER_MODEL),
        )


def said_of_keys(missing: Sequence[str], unexpected: Sequence[str]) -> str:
    """In torch's words: which keys of a state_dict are missing, and which are too many."""
    both = (("Missing", missing), ("Unexpected", unexpected))
    return " ".join(f"{what} key(s) in state_dict: {_quoted(keys)}." for what, keys in both if keys)


_OTHER_MODEL: Final = "Give the model that the state_dict came from"


def _of_torch(keys: Sequence[str]) -> bool:
    return any(key.endswith((".weight", ".bias", ".weight_ih_l0")) for key in keys)


def _quoted(keys: Sequence[str]) -> str:
    """As torch quotes them; twenty are enough to see what is wrong."""
    return ", ".join(f'"{key}"' for key in keys[:20]) + (" ..." if len(keys) > 20 else "")


def _storages(quantize: Quantize, specs: Sequence[WeightSpec]) -> dict[str, str]:
    """{tensor name: storage dtype} of the float32 tensors that `quantize` names."""
    names = [spec.name for spec in specs if spec.dtype == "float32"]
    chosen: dict[str, str] = {}
    rules = _rules(quantize)
    for storage, pattern in rules:
        matched = [name for name in names if pattern is None or fnmatch.fnmatchcase(name, pattern)]
        if pattern is not None and not matched:
            said = f"no float32 tensor matches {pattern!r}; there are {', '.join(names[:5]) or 'none at all'}"
            if not isinstance(quantize, Mapping):
                raise MismatchError("quantize", f"a glob of tensor names expected; {said}")
            warn(f"quantize: {said}")  # the official package's form, which allows it
        for name in matched:
            if pattern is not None and chosen.get(name, storage) != storage:
                raise MismatchError(name, f"one quantisation expected, found {chosen[name]} and {storage}")
            chosen.setdefault(name, storage)
    return chosen


def _rules(quantize: Quantize) -> list[tuple[str, str | None]]:
    """(storage, pattern) pairs, those for everything that is left (pattern None) last."""
    if quantize is None:
        return []
    rules: list[tuple[Any, Any]] = []
    if isinstance(quantize, Mapping):
        for storage, patterns in quantize.items():
            if isinstance(patterns, bool):
                rules += [(storage, None)] if patterns else []
            else:
                rules += [(storage, pattern) for pattern in _listed(patterns)]
    else:
        for rule in _listed(quantize):
            storage, _, pattern = rule.partition(":")
            rules.append((storage, pattern or None))
    for storage, _ in rules:
        if storage not in _STORAGES:
            raise MismatchError("quantize", f"one of {', '.join(_STORAGES)} expected, found {storage!r}")
    if sum(pattern is None for _, pattern in rules) > 1:
        raise MismatchError("quantize", "one dtype for all remaining tensors expected, found several")
    return sorted(rules, key=lambda rule: rule[1] is None)


def _listed(given: Any) -> list[str]:
    found = [given] if isinstance(given, str) else given
    if not isinstance(found, (list, tuple)) or not all(isinstance(item, str) for item in found):
        raise MismatchError(
            "quantize", f'"uint8", "uint8:glob", a list of such, or {{dtype: globs}} expected, found {given!r}'
        )
    return list(found)


def _raw_entries(manifest: Manifest) -> dict[str, Any]:
    if manifest.form == "checkpoint":
        return {}
    groups = (
        manifest.document["weightsManifest"] if manifest.form == "model.json" and manifest.groups else manifest.document
    )
    return {entry["name"]: entry for group in groups if manifest.groups for entry in group["weights"]}
