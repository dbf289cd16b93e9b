"""The two engines that turn bytes into arrays and back: our own codec, and the official package.

The second is there to be compared with; it goes through the same checks and the same files.
"""

from __future__ import annotations

import glob
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from . import official
from .codec import Groups, decode, extents, normalized_bool
from .encoder import Encoded, Stored, Tensor
from .errors import MismatchError, TfjsTorchError, UnsupportedError
from .manifest import Manifest, WeightSpec
from .quantization import Array, quiet
from .tensors import Encode, Encoding, Quantize, encode_all

Decode = Callable[[Groups, str], Iterator[tuple[WeightSpec, Array]]]


class Engine(NamedTuple):
    decode: Decode
    encode: Encode


def find(name: str) -> Engine:
    """The engine "tfjs_torch" or "tensorflowjs"."""
    if name == "tfjs_torch":
        return Engine(decode, encode_all)
    if name == "tensorflowjs":
        return Engine(_decode_officially, _encode_officially)
    raise MismatchError("engine", f'"tfjs_torch" or "tensorflowjs" expected, found {name!r}')


def _decode_officially(groups: Groups, where: str) -> Iterator[tuple[WeightSpec, Array]]:
    for specs, stream in groups:
        with stream:
            extents(specs, stream, where)
            data = np.empty(stream.nbytes, np.uint8)
            stream.read(0, data)
        entries = [_entry(spec) for spec in specs]
        decoded = _officially(official.decode_weights, [{"paths": [], "weights": entries}], [data.tobytes()], True)
        for spec, found in zip(specs, decoded, strict=True):
            values = np.array(found["data"]).reshape(spec.shape)  # a copy: theirs are views of read-only bytes
            yield spec, normalized_bool(values) if spec.dtype == "bool" else values


def _encode_officially(
    manifest: Manifest, tensors: Mapping[str, Tensor], quantize: Quantize, stored: Mapping[str, Stored]
) -> Encoding:
    chosen = encode_all(manifest, tensors, quantize)  # our checks, and our choice of what is quantised
    encoding = Encoding()
    for group in manifest.groups:
        entries = [{"name": spec.name, "data": _fitted(spec, tensors[spec.name])} for spec in group.specs]
        wanted: dict[str, list[str]] = {}
        for spec in group.specs:
            storage = _storage(spec, chosen)
            if storage:
                wanted.setdefault(storage, []).append(glob.escape(spec.name))
        with tempfile.TemporaryDirectory() as folder:
            written = _officially(official.write_weights, [entries], folder, 1 << 40, False, wanted)
            data = b"".join((Path(folder) / name).read_bytes() for name in written[0]["paths"])
        for spec, entry in zip(group.specs, written[0]["weights"], strict=True):
            if "quantization" in entry or spec.quantization:
                encoding.quantization[spec.name] = entry.get("quantization")
        encoding.groups.append([Encoded(len(data), lambda data=data: iter([data]), len(data))])  # type: ignore[misc]
    return encoding


def _storage(spec: WeightSpec, chosen: Encoding) -> str | None:
    if spec.name not in chosen.quantization:
        return spec.quantization.dtype if spec.quantization else None
    changed = chosen.quantization[spec.name]
    return changed["dtype"] if changed else None


def _fitted(spec: WeightSpec, tensor: Tensor) -> Array:
    if spec.dtype == "float16":  # theirs would write float32 under an entry that still says float16
        raise UnsupportedError(
            spec.name, "a dtype that the official writer keeps expected, found float16; use the own engine"
        )
    values = np.asarray(tensor)
    return values if spec.dtype == "string" else values.astype(spec.dtype)


def _entry(spec: WeightSpec) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": spec.name, "shape": list(spec.shape), "dtype": spec.dtype}
    if spec.quantization:
        entry["quantization"] = spec.quantization._asdict()
    return entry


def _officially(function: Callable[..., Any], *args: Any) -> Any:
    try:
        with quiet():
            return function(*args)
    except TfjsTorchError:
        raise
    except Exception as error:  # theirs raises plain Exception, TypeError, KeyError ... on valid input, too
        raise UnsupportedError("engine tensorflowjs", f"{type(error).__name__}: {error}; use the own engine") from error
