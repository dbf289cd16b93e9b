"""weightsManifest JSON <-> WeightSpecs: every check that needs no weight byte.

The format: tfjs-core/src/io/types.ts (WeightsManifestConfig). A manifest is a list of groups; the
bytes of a group are its files joined in the order of `paths`, and its tensors lie in them in the
order of `weights`, without alignment, padding, header or checksum.

Three JSON forms are read: a model.json (dict with "weightsManifest"), a bare manifest (list; the
pre-1.0 weights_manifest.json), and a deeplearn.js checkpoint ({name: {filename, shape}}, one raw
float32 file a variable). Each is written back in its own form, unknown keys and key order kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from .errors import ManifestError, UnsupportedError

# manifest dtype -> (numpy dtype of the bytes on disk, bytes an element)
NUMERIC: Final[dict[str, tuple[str, int]]] = {
    "float32": ("<f4", 4),
    "int32": ("<i4", 4),
    "bool": ("|b1", 1),
    "complex64": ("<c8", 8),
    "float16": ("<f2", 2),
    "uint8": ("|u1", 1),
    "uint16": ("<u2", 2),
}
TFJS_DTYPES: Final = ("float32", "int32", "bool", "string", "complex64")  # what tf.js itself reads
QUANTIZED: Final = {"uint8": ("float32", "int32"), "uint16": ("float32", "int32"), "float16": ("float32",)}
_VALID_ELSEWHERE: Final = frozenset(
    ["int8", "int16", "int64", "uint32", "uint64", "float64", "bfloat16", "complex128", "qint8", "quint8", "qint32"]
)
_MAX_BYTES: Final = 2**63 - 1
_MAX_RANK: Final = 32


class Quantization(NamedTuple):
    """How a tensor is stored: value = code * scale + min ("uint8", "uint16"), or IEEE half ("float16")."""

    dtype: str
    scale: float
    min: float


class WeightSpec(NamedTuple):
    """One tensor of a manifest.

    `dtype` is the dtype of the values, `stored` that of the bytes (they differ when quantised).
    `size` counts elements; `nbytes` is the stored length, None for strings (their bytes tell).
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    quantization: Quantization | None
    group: str | None
    size: int
    stored: str
    nbytes: int | None


class Group(NamedTuple):
    paths: tuple[str, ...]
    specs: tuple[WeightSpec, ...]


@dataclass
class Manifest:
    """A checked manifest together with the JSON document that it came from.

    Attributes:
        document: the parsed JSON, as given: a model.json dict, a list of groups, or a checkpoint dict.
        form: "model.json", "list" or "checkpoint".
        groups: the checked groups.
        notes: what real tf.js would refuse although it is readable here, with what to do.
    """

    document: Any
    form: str
    groups: tuple[Group, ...]
    notes: tuple[str, ...] = field(default=())

    @property
    def specs(self) -> list[WeightSpec]:
        return [spec for group in self.groups for spec in group.specs]

    @property
    def paths(self) -> list[str]:
        return [path for group in self.groups for path in group.paths]

    def changed(
        self,
        quantization: Mapping[str, dict[str, Any] | None],
        paths: Sequence[Sequence[str]] | None = None,
    ) -> Any:
        """The document with other `quantization` entries (None removes one) and other `paths`.

        Everything else stays, in its order. Without a change the document itself comes back.
        `paths` with one list for several groups merges them into one group.
        """
        same_paths = paths is None or [list(names) for names in paths] == [list(group.paths) for group in self.groups]
        if self.form == "checkpoint" or (not quantization and same_paths):
            return self.document
        raw = self.document["weightsManifest"] if self.form == "model.json" else self.document
        groups = [{**group, "weights": [_requantized(e, quantization) for e in group["weights"]]} for group in raw]
        if paths is not None and len(paths) < len(groups):
            groups = [{**groups[0], "weights": [entry for group in groups for entry in group["weights"]]}]
        for group, names in zip(groups, paths or (), strict=False):
            group["paths"] = list(names)
        return {**self.document, "weightsManifest": groups} if self.form == "model.json" else groups


def parse_manifest(document: Any, where: str = "manifest") -> Manifest:
    """Check a parsed manifest in any of its three forms.

    Raises:
        ManifestError: the JSON breaks the format; names the entry.
        UnsupportedError: a dtype that neither tf.js nor this package reads.

    Example:
        >>> from tfjs_torch.manifest import parse_manifest
        >>> entry = {"name": "dense/kernel", "shape": [2, 3], "dtype": "float32"}
        >>> parse_manifest([{"paths": ["w.bin"], "weights": [entry]}]).specs[0].nbytes
        24
    """
    if isinstance(document, list):
        return _from_groups(document, document, "list", where)
    if isinstance(document, dict):
        if document.get("weightsManifest") is not None:
            groups = document["weightsManifest"]
            return _from_groups(document, groups, "model.json", f"{where} weightsManifest")
        if _is_checkpoint(document):
            return _from_checkpoint(document, where)
        if "modelTopology" in document:  # a topology-only file: valid, and there is nothing to read
            return Manifest(document, "model.json", ())
    raise ManifestError(
        where,
        'a model.json with "weightsManifest", a list of weight groups, or a deeplearn.js checkpoint '
        f"expected, found {_kind(document)}; give the JSON file that was saved beside the weights",
    )


def is_manifest(document: Any) -> bool:
    """Whether parsed JSON looks like one of the three forms (it may still be a broken one)."""
    if isinstance(document, list):
        return bool(document) and all(isinstance(group, dict) and "weights" in group for group in document)
    return isinstance(document, dict) and (
        "weightsManifest" in document or "modelTopology" in document or _is_checkpoint(document)
    )


def new_entry(name: str, shape: Sequence[int], dtype: str) -> dict[str, Any]:
    """A manifest entry, keys in the order that tf.js writes them."""
    return {"name": name, "shape": list(shape), "dtype": dtype}


def _is_checkpoint(document: dict[str, Any]) -> bool:
    return bool(document) and all(
        isinstance(entry, dict) and "filename" in entry and "shape" in entry for entry in document.values()
    )


def _from_checkpoint(document: dict[str, Any], where: str) -> Manifest:
    # deeplearn.js' CheckpointLoader reads every variable as float32 from a file of its own.
    groups = []
    for name, entry in document.items():
        path = _path(entry["filename"], f"{where} {name}")
        variable = {"name": name, "shape": entry["shape"], "dtype": "float32"}
        groups.append(Group((path,), (_spec(variable, f"{where} {name}", []),)))
    _refuse_bad_names([spec.name for group in groups for spec in group.specs], where)
    return Manifest(document, "checkpoint", tuple(groups))


def _from_groups(document: Any, groups: Any, form: str, where: str) -> Manifest:
    if not isinstance(groups, list):
        raise ManifestError(where, f"a list of weight groups expected, found {_kind(groups)}")
    refused: list[tuple[str, str]] = []
    checked = tuple(_group(group, f"{where}[{i}]", refused) for i, group in enumerate(groups))
    _refuse_bad_names([spec.name for group in checked for spec in group.specs], where)
    return Manifest(document, form, checked, tuple(_summarize(refused)))


def _group(raw: Any, where: str, refused: list[tuple[str, str]]) -> Group:
    if not isinstance(raw, dict):
        raise ManifestError(where, f'a group {{"paths": [...], "weights": [...]}} expected, found {_kind(raw)}')
    for key in ("paths", "weights"):
        if not isinstance(raw.get(key), list):
            raise ManifestError(where, f'a list under "{key}" expected, found {_kind(raw.get(key))}')
    paths = tuple(_path(path, f"{where}.paths[{i}]") for i, path in enumerate(raw["paths"]))
    specs = tuple(_spec(entry, f"{where}.weights[{i}]", refused) for i, entry in enumerate(raw["weights"]))
    return Group(paths, specs)


def _path(path: Any, where: str) -> str:
    if not isinstance(path, str) or not path:
        raise ManifestError(where, f"a file name expected, found {_kind(path)}")
    return path


def _spec(raw: Any, where: str, refused: list[tuple[str, str]]) -> WeightSpec:
    if not isinstance(raw, dict):
        raise ManifestError(where, f'an entry {{"name", "shape", "dtype"}} expected, found {_kind(raw)}')
    name = raw.get("name")
    if not isinstance(name, str):
        raise ManifestError(where, f'a string under "name" expected, found {_kind(name)}')
    shape = _shape(raw.get("shape"), where, name)
    dtype = raw.get("dtype")
    if not isinstance(dtype, str):
        raise ManifestError(f"{where} {name!r}", f'a string under "dtype" expected, found {_kind(dtype)}')
    if dtype not in TFJS_DTYPES:
        refused.append((_check_foreign_dtype(dtype, where, name), name))
    quantization = _quantization(raw, dtype, where, name, refused) if "quantization" in raw else None
    stored = quantization.dtype if quantization else dtype
    size = math.prod(shape)
    nbytes = None if dtype == "string" else size * NUMERIC[stored][1]
    return WeightSpec(name, shape, dtype, quantization, raw.get("group"), size, stored, nbytes)


def _shape(raw: Any, where: str, name: str) -> tuple[int, ...]:
    if not isinstance(raw, list):
        raise ManifestError(f"{where} {name!r}", f'a list of sizes under "shape" expected, found {_kind(raw)}')
    if len(raw) > _MAX_RANK:
        raise UnsupportedError(f"{where} {name!r}", f"at most {_MAX_RANK} dimensions expected, found {len(raw)}")
    # 3.0 is 3: JSON has one kind of number, and tf.js sees no difference.
    dims = [int(d) if type(d) is float and d.is_integer() else d for d in raw]
    for dim in dims:
        if type(dim) is not int or dim < 0:
            raise ManifestError(f"{where} {name!r}", f"non-negative integers in shape expected, found {_kind(dim)}")
    # Zeros are left out: numpy and torch refuse (0, 2**62, 2**62), too. 16: the widest value in memory.
    if math.prod(d for d in dims if d) > _MAX_BYTES // 16:
        raise ManifestError(f"{where} {name!r}", f"a shape that fits into memory expected, found {_short(dims)}")
    return tuple(dims)


def _check_foreign_dtype(dtype: str, where: str, name: str) -> str:
    if dtype in NUMERIC:
        what = f'dtype "{dtype}" stored unquantised, which tf.js refuses to load'
        return what + ('; quantize="float16" stores it so that tf.js reads it' if dtype == "float16" else "")
    if dtype in _VALID_ELSEWHERE:
        raise UnsupportedError(
            f"{where} {name!r}",
            f"one of {', '.join(TFJS_DTYPES)} expected, found dtype {dtype!r}, which tf.js cannot load either; "
            "convert the model again with a supported dtype",
        )
    raise ManifestError(f"{where} {name!r}", f"one of {', '.join(TFJS_DTYPES)} expected, found dtype {dtype!r}")


def _quantization(
    entry: dict[str, Any], dtype: str, where: str, name: str, refused: list[tuple[str, str]]
) -> Quantization | None:
    raw = entry["quantization"]
    if raw is None or raw == {}:  # the official Python reader takes both as "not quantised"; tf.js throws
        refused.append((f'"quantization": {"null" if raw is None else "{}"}, which tf.js refuses to load', name))
        return None
    here = f"{where} {name!r} quantization"
    if not isinstance(raw, dict):
        raise ManifestError(here, f"an object expected, found {_kind(raw)}")
    stored = raw.get("dtype")
    if not isinstance(stored, str) or stored not in QUANTIZED:
        raise ManifestError(here, f'"dtype" uint8, uint16 or float16 expected, found {_kind(stored)}')
    if dtype not in QUANTIZED[stored]:
        raise ManifestError(here, f"{stored} codes of {' or '.join(QUANTIZED[stored])} expected, found dtype {dtype!r}")
    if stored == "float16":
        return Quantization(stored, 1.0, 0.0)
    return Quantization(stored, _finite(raw, "scale", here), _finite(raw, "min", here))


def _finite(raw: dict[str, Any], key: str, where: str) -> float:
    value = raw.get(key)
    if type(value) is float and math.isfinite(value):
        return value
    try:
        if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(float(value)):
            return float(value)  # float64 whatever the JSON number's form: "min": -1 is -1.0
    except OverflowError:
        pass
    raise ManifestError(where, f'a finite number under "{key}" expected, found {_kind(value)}')


def _refuse_bad_names(names: list[str], where: str) -> None:
    seen: set[str] = set()
    if len(set(names)) < len(names):
        twice = next(name for name in names if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ManifestError(where, f"unique tensor names expected, found {twice!r} twice; tf.js keeps only the last")
    if "__proto__" in names:
        raise ManifestError(where, "found a tensor named '__proto__', which a browser loses; rename it")


def _summarize(refused: Iterable[tuple[str, str]]) -> list[str]:
    names: dict[str, list[str]] = {}
    for what, name in refused:
        names.setdefault(what, []).append(name)
    return [
        f"{found[0]}{f' and {len(found) - 1} more' if len(found) > 1 else ''}: {what}" for what, found in names.items()
    ]


def _requantized(entry: dict[str, Any], quantization: Mapping[str, dict[str, Any] | None]) -> dict[str, Any]:
    if entry["name"] not in quantization:
        return entry
    new = quantization[entry["name"]]
    if new is None:
        return {key: value for key, value in entry.items() if key != "quantization"}
    return {**entry, "quantization": new}


def _kind(value: Any) -> str:
    """A short, safe description of an unexpected value."""
    if value is None:
        return "nothing"
    if isinstance(value, (dict, list)):
        return f"an object with {len(value)} keys" if isinstance(value, dict) else f"a list of {len(value)}"
    return _short(value)


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:  # an integer of thousands of digits
        return "a huge number"
    return text if len(text) <= 60 else text[:57] + "..."
