"""What the tests share: small manifests, and comparisons that see every bit."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from judges import CASES, JudgedTensor

from tfjs_torch import TfjsTorchWarning, official, tfjs_to_torch

ROOT = CASES.parent.parent
SAMPLES = ROOT / "samples"
SHARED_MODELS = ROOT.parent / "shared" / "models"

State = dict[str, Any]
Told = tuple[str, tuple[int, ...], Any]


def entry(shape: Any = (2,), dtype: Any = "float32", name: Any = "a", **more: Any) -> dict[str, Any]:
    return {"name": name, "shape": list(shape) if isinstance(shape, tuple) else shape, "dtype": dtype, **more}


def quantized(by: str, scale: Any = 1.0, low: Any = 0.0) -> dict[str, Any]:
    return {"dtype": by} if by == "float16" else {"dtype": by, "min": low, "scale": scale}


def manifest(*entries: Any, paths: Iterable[str] = ("w.bin",)) -> list[dict[str, Any]]:
    return [{"paths": list(paths), "weights": list(entries)}]


def read(data: bytes, *entries: Any) -> State:
    return tfjs_to_torch(manifest(*entries), data)


def named(**arrays: Any) -> list[Any]:
    """One group for write_weights."""
    return [[{"name": name, "data": data} for name, data in arrays.items()]]


def f32(*values: float) -> bytes:
    return np.array(values, "<f4").tobytes()


def i32(*values: int) -> bytes:
    return np.array(values, "<i4").tobytes()


def text(*values: bytes) -> bytes:
    return b"".join(len(value).to_bytes(4, "little") + value for value in values)


def strings(*values: bytes | str) -> Any:
    """An object array; np.array(values) would make a fixed-width one that loses trailing NULs."""
    array = np.empty(len(values), object)
    array[:] = values
    return array


def told(value: Any) -> Told:
    """dtype, shape and every bit of a tensor (a string tensor: its strings), to compare with ==."""
    array = value.detach().resolve_conj().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
    if array.dtype.kind in "OSU":
        return "string", array.shape, [bytes(v) if isinstance(v, bytes) else v.encode() for v in array.ravel()]
    return array.dtype.name, array.shape, array.tobytes()


def told_all(state_dict: Mapping[str, Any]) -> dict[str, Told]:
    return {name: told(value) for name, value in state_dict.items()}


def judged(tensor: JudgedTensor) -> Told:
    """What tf.js holds, as torch must hold it: any non-zero byte of a bool is True."""
    return told(tensor.array != 0 if tensor.dtype == "bool" else tensor.array)


def judged_all(tensors: Mapping[str, JudgedTensor]) -> dict[str, Told]:
    return {name: judged(tensor) for name, tensor in tensors.items()}


def quiet(tensors: Mapping[str, Told]) -> dict[str, Told]:
    """The signalling NaNs of complex64 made quiet: tf.js does that when it takes the pairs apart."""
    return {name: _quiet(*one) if one[0] == "complex64" else one for name, one in tensors.items()}


def _quiet(dtype: str, shape: tuple[int, ...], data: bytes) -> Told:
    bits = np.frombuffer(data, "<u4")
    return dtype, shape, np.where(np.isnan(bits.view("<f4")), bits | 0x400000, bits).astype("<u4").tobytes()


def write_model(folder: Path, groups: Any, files: Mapping[str, bytes], **more: Any) -> Path:
    """A model.json around weight groups, and files beside it."""
    write_files(folder, {"model.json": json.dumps({**more, "weightsManifest": groups}).encode(), **files})
    return folder


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def snapshot(folder: Path) -> dict[str, bytes | None]:
    """Every file under a folder with its bytes, folders as None."""
    return {
        str(path.relative_to(folder)): None if path.is_dir() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
    }


def groups_in(document: Any) -> list[dict[str, Any]]:
    groups: list[dict[str, Any]] = document["weightsManifest"] if isinstance(document, dict) else document
    return groups


def weight_data(folder: Path, document: Any) -> bytes:
    """All weight bytes in the manifest's order: tf.js' own `weightData`."""
    return b"".join((folder / path).read_bytes() for group in groups_in(document) for path in group["paths"])


def json_of(case: Path) -> Path:
    return case / ("weights_manifest.json" if case.name.startswith("py-") else "model.json")


def parse(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8-sig"))


@contextmanager
def warned() -> Iterator[None]:
    """Our own warnings may come; any other is still an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TfjsTorchWarning)
        yield


def officially(call: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """A call of the official package, whose numpy warnings are its own business."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call(*args, **options)


def official_reads(groups: Any, *buffers: bytes) -> dict[str, Told]:
    found = officially(official.decode_weights, groups, list(buffers), True)
    return {one["name"]: told(one["data"]) for one in found}


def official_write(folder: Path, groups: Any, *args: Any, **options: Any) -> Any:
    folder.mkdir(exist_ok=True)
    return officially(official.write_weights, groups, str(folder), *args, **options)


def official_fails(call: Callable[..., Any], *args: Any) -> str:
    """The name of what the official package raises."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - it raises anything, that is the point
        officially(call, *args)
    return type(caught.value).__name__
