"""Damaged input: whatever is done to a valid model, only errors of our own tree come out."""

from __future__ import annotations

import copy
import io
import json
import zipfile
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from helpers import SAMPLES, entry, f32, i32, manifest, quantized, text, warned
from hypothesis import given, settings
from hypothesis import strategies as st

from tfjs_torch import TfjsTorchError, inspect, load_file, read_artifacts, tfjs_to_torch, torch_to_tfjs

GROUPS = [
    *manifest(entry((2, 1)), entry((2,), "int32", "i"), entry((2,), "string", "s"), paths=["a.bin", "b.bin"]),
    *manifest(
        entry((), "bool", "flag", group="optimizer"),
        entry((3,), name="q", quantization=quantized("uint8", 0.5, -1)),
        entry((2,), name="h", quantization=quantized("float16")),
        paths=["sub/c.bin"],
    ),
]
STREAM = f32(1, 2) + i32(3, 4) + text(b"x", b"yz")
FILES = {"a.bin": STREAM[:5], "b.bin": STREAM[5:], "sub/c.bin": b"\1" + b"\0\1\2" + b"\0\x3c\1\x7c"}
LAYERED = json.loads((SAMPLES / "ml5-classifier/model.json").read_text())
DOCUMENT = {**LAYERED, "weightsManifest": GROUPS}
CHECKPOINT = {"k": {"filename": "a", "shape": [2]}, "b": {"filename": "b", "shape": []}}

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from([2**63, -(2**70)])
    | st.sampled_from(["../x", "/x", "a.bin", "__proto__", "float32", "uint8", "string", "\ud800", "\0", "x" * 300])
)  # fmt: skip
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)


def everything_is_tried(source: Any) -> None:
    """Read, look at and write back; what is refused is refused by an error of ours."""
    for call in (
        lambda: inspect(source, stats=True),
        lambda: read_artifacts(source).to_zip(),
        lambda: _both_ways(source),
    ):
        refused_or_done(call)


def _both_ways(source: Any) -> None:
    artifacts = read_artifacts(source)
    torch_to_tfjs(load_file(artifacts), artifacts.model_json, quantize="uint8")


def refused_or_done(call: Callable[[], Any]) -> None:
    with warned(), suppress(TfjsTorchError):
        call()


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) in a document."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
    return [(value, key) for key in keys] + [place for key in keys for place in places(value[key])]


@st.composite
def damaged_documents(draw: st.DrawFn, document: Any) -> Any:
    """A document with up to three of its values replaced, removed or doubled."""
    document = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        container, key = draw(st.sampled_from(places(document) or [([None], 0)]))
        action = draw(st.sampled_from(["replace", "remove", "double"]))
        if action == "remove":
            del container[key]
        elif action == "double" and isinstance(container, list):
            container.append(copy.deepcopy(container[key]))
        else:
            container[key] = draw(values)
    return document


@st.composite
def damaged_bytes(draw: st.DrawFn, data: bytes) -> bytes:
    """Bytes with some changed, cut out or put in."""
    changed = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(changed)))
        changed[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(changed)


def zipped() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {"model.json": json.dumps(DOCUMENT).encode(), **FILES}.items():
            archive.writestr(name, data)
    return stream.getvalue()


def test_the_whole_model_is_fine_to_begin_with() -> None:
    everything_is_tried({"model.json": json.dumps(DOCUMENT).encode(), **FILES})
    assert len(load_file(zipped())) == 6


@given(damaged_documents(DOCUMENT))
@settings(max_examples=400)
def test_a_damaged_document(document: Any) -> None:
    everything_is_tried({"model.json": json.dumps(document).encode(), **FILES})


@given(damaged_documents(GROUPS) | damaged_documents(CHECKPOINT) | values)
@settings(max_examples=400)
def test_a_damaged_manifest_in_memory(document: Any) -> None:
    refused_or_done(lambda: tfjs_to_torch(document, STREAM))
    refused_or_done(lambda: tfjs_to_torch(document, {**FILES, "a": f32(1, 2), "b": f32(3)}))
    refused_or_done(lambda: torch_to_tfjs({}, document))


@given(damaged_bytes(json.dumps(DOCUMENT).encode()))
@settings(max_examples=400)
def test_damaged_json(said: bytes) -> None:
    everything_is_tried({"model.json": said, **FILES})


@given(st.sampled_from(sorted(FILES)).flatmap(lambda name: st.tuples(st.just(name), damaged_bytes(FILES[name]))))
@settings(max_examples=200)
def test_damaged_weights(file: tuple[str, bytes]) -> None:
    everything_is_tried({"model.json": json.dumps(DOCUMENT).encode(), **FILES, file[0]: file[1]})


@given(damaged_bytes(zipped()))
@settings(max_examples=400)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_damaged_zip(data: bytes) -> None:
    everything_is_tried(data)


@given(st.binary(max_size=200))
def test_bytes_of_any_kind(data: bytes) -> None:
    everything_is_tried(data)
    everything_is_tried({"model.json": data})


@given(st.dictionaries(st.text(max_size=10), st.binary(max_size=20), max_size=4))
def test_files_of_any_names(files: dict[str, bytes]) -> None:
    everything_is_tried(files)
    everything_is_tried({**files, "model.json": json.dumps(DOCUMENT).encode()})
