"""Hypothesis strategies: any model that the format allows, as bytes that none of our code made."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

Draw = st.DrawFn

SIZES = {"float32": 4, "int32": 4, "bool": 1, "complex64": 8, "float16": 2, "uint8": 1, "uint16": 2}
STORED = {"float32": "<f4", "int32": "<i4", "bool": "u1", "complex64": "<c8"} | {
    "float16": "<f2", "uint8": "u1", "uint16": "<u2"
}  # fmt: skip
QUANTIZED = [("float16", "float32")] + [(by, dtype) for by in ("uint8", "uint16") for dtype in ("float32", "int32")]
REFUSED_BY_TFJS = ("float16", "uint8", "uint16")

# -0.0, NaNs quiet and signalling with payloads, infinities, subnormals, the largest, integers.
WORDS = [
    0, 0x80000000, 0x7FC00000, 0x7FC00001, 0xFFC12345, 0x7F800001, 0xFFA00000, 0x7F800000, 0xFF800000, 1, 0x80000001,
    0x007FFFFF, 0x00800000, 0x7F7FFFFF, 0xFF7FFFFF, 0x3F800000, 0x7FFFFFFF, 0xFFFFFFFF, 0x00010203,
]  # fmt: skip
HALVES = [0, 0x8000, 0x7C00, 0xFC00, 0x7C01, 0x7E00, 0xFE01, 1, 0x83FF, 0x0400, 0x7BFF, 0x3C00, 0xFFFF]


class Model(NamedTuple):
    """Groups of a manifest, the bytes of each group, and the files that they are cut into."""

    groups: list[dict[str, Any]]
    streams: list[bytes]
    files: dict[str, bytes]

    @property
    def data(self) -> bytes:
        return b"".join(self.streams)

    @property
    def entries(self) -> list[dict[str, Any]]:
        return [entry for group in self.groups for entry in group["weights"]]


names = st.text(max_size=8).filter(lambda name: name != "__proto__")
shapes = st.lists(st.integers(0, 3), max_size=5).filter(lambda shape: math.prod(shape) <= 24)
finite = st.floats(allow_nan=False, allow_infinity=False)
# Steps that a converter would choose; steps so fine that codes collide; steps of any size at all.
scales = st.floats(1e-6, 10) | st.sampled_from([0, 1, -1, 0.5, 2.0**-24, 1e-12, 1e-45]) | finite
lows = st.floats(-10, 10) | st.sampled_from([0, -1, -0.0, 2.0**23 + 0.5, 2.0**31 - 100, -(2**31)]) | finite


@st.composite
def payloads(draw: Draw, stored: str, size: int) -> bytes:
    """`size` elements of any bits."""
    if stored in ("float32", "int32", "complex64"):
        words = st.sampled_from(WORDS) | st.integers(0, 2**32 - 1)
        count = size * SIZES[stored] // 4
        return np.array(draw(st.lists(words, min_size=count, max_size=count)), "<u4").tobytes()
    if stored == "float16":
        halves = st.sampled_from(HALVES) | st.integers(0, 2**16 - 1)
        return np.array(draw(st.lists(halves, min_size=size, max_size=size)), "<u2").tobytes()
    nbytes = size * SIZES[stored]
    return draw(st.binary(min_size=nbytes, max_size=nbytes))


@st.composite
def weights(draw: Draw, name: str, *, for_tfjs: bool) -> tuple[dict[str, Any], bytes]:
    """An entry and its bytes."""
    shape = draw(shapes)
    entry: dict[str, Any] = {"name": name, "shape": shape, "dtype": "string"}
    kind = draw(st.sampled_from(["plain", "quantized", "string"]))
    if kind == "string":
        texts = draw(st.lists(st.binary(max_size=5), min_size=math.prod(shape), max_size=math.prod(shape)))
        return entry, b"".join(len(text).to_bytes(4, "little") + text for text in texts)
    if kind == "plain":
        stored = draw(st.sampled_from([dtype for dtype in SIZES if not for_tfjs or dtype not in REFUSED_BY_TFJS]))
        entry["dtype"] = stored
    else:
        stored, entry["dtype"] = draw(st.sampled_from(QUANTIZED))
        entry["quantization"] = {"dtype": stored}
        if stored != "float16":
            entry["quantization"] |= {"min": draw(lows), "scale": draw(scales)}
    if draw(st.booleans()):
        entry["group"] = "optimizer"
    return entry, draw(payloads(stored, math.prod(shape)))


@st.composite
def models(draw: Draw, *, for_tfjs: bool = False) -> Model:
    """Tensors of all dtypes in up to three groups, each cut into files at any byte."""
    groups, streams, files = [], [], {}
    left = iter(draw(st.lists(names, unique=True, max_size=6)))
    for index in range(draw(st.integers(1, 3))):
        count = draw(st.integers(0, 4))
        found = [draw(weights(name, for_tfjs=for_tfjs)) for _, name in zip(range(count), left, strict=False)]
        stream = b"".join(data for _, data in found)
        cuts = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=3)))
        parts = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
        own = {f"{index}-{i}.bin": part for i, part in enumerate(parts)}
        files.update(own)
        groups.append({"paths": list(own), "weights": [entry for entry, _ in found]})
        streams.append(stream)
    return Model(groups, streams, files)


def reference_all(model: Model) -> dict[str, NDArray[Any]]:
    """Every tensor of a model, decoded by `reference`."""
    found = {}
    for group, stream in zip(model.groups, model.streams, strict=True):
        for entry in group["weights"]:
            nbytes = _length(entry, stream)
            found[entry["name"]] = reference(entry, stream[:nbytes])
            stream = stream[nbytes:]
    return found


def reference(entry: dict[str, Any], data: bytes) -> NDArray[Any]:
    """What an entry's bytes mean, one number at a time, by the words of the format and nothing else."""
    shape, dtype = entry["shape"], entry["dtype"]
    if dtype == "string":
        return _strings(data, math.prod(shape)).reshape(shape)
    rule = entry.get("quantization")
    stored = np.frombuffer(data, STORED[rule["dtype"] if rule else dtype]).reshape(shape)
    if dtype == "bool":
        return np.array(stored != 0)
    if rule is None:
        return stored
    if rule["dtype"] == "float16":
        return np.array([_half(int(bits)) for bits in stored.view("<u2").ravel()], "<u4").view("<f4").reshape(shape)
    numbers = [float(code) * float(rule["scale"]) + float(rule["min"]) for code in stored.ravel().tolist()]
    with np.errstate(over="ignore"):
        values = (
            np.array(numbers, "<f8").astype("<f4")
            if dtype == "float32"
            else np.array([_round(n) for n in numbers], "<i4")
        )
    return values.reshape(shape)


def _strings(data: bytes, count: int) -> NDArray[Any]:
    array: NDArray[Any] = np.empty(count, object)
    at = 0
    for index in range(count):
        size = int.from_bytes(data[at : at + 4], "little")
        array[index] = data[at + 4 : at + 4 + size]
        at += 4 + size
    return array


def _length(entry: dict[str, Any], stream: bytes) -> int:
    size: int = math.prod(entry["shape"])
    if entry["dtype"] != "string":
        stored: str = entry.get("quantization", entry)["dtype"]
        return size * SIZES[stored]
    at = 0
    for _ in range(size):
        at += 4 + int.from_bytes(stream[at : at + 4], "little")
    return at


def _half(bits: int) -> int:
    """The bits of the float32 that an IEEE half is; a NaN keeps its payload."""
    sign, exponent, fraction = (bits & 0x8000) << 16, bits >> 10 & 31, bits & 0x3FF
    if exponent == 31:
        return sign | 0x7F800000 | fraction << 13
    value = (fraction / 1024 + (1 if exponent else 0)) * 2.0 ** (max(exponent, 1) - 15)
    return sign | int(np.array(value, "<f4").view("<u4"))


def _round(number: float) -> int:
    """Math.round into an Int32Array: ties go up, what does not fit wraps, what is not finite is 0."""
    if not math.isfinite(number):
        return 0
    floor = math.floor(number)
    up = 1 if number - floor >= 0.5 else 0
    return (floor + up + 2**31) % 2**32 - 2**31
