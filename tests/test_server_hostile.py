"""Uploads that mean harm, or that broke on the way: the right 4xx with advice, nothing left behind, nobody hurt."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import entry, f32, manifest
from safetensors.torch import save
from serving import (
    CLASSIFIER,
    Files,
    Server,
    ask,
    get,
    head_of,
    multipart,
    parsed,
    part,
    post,
    post_raw,
    problem_of,
    send_raw,
    serving,
    unharmed,
    zipped,
)

JSON, WEIGHTS = CLASSIFIER["model.json"], CLASSIFIER["model.weights.bin"]
FORM = "multipart/form-data; boundary="
MALFORMED = (400, 413, 415, 422)
DEEP = b"[" * 100_000 + b"]" * 100_000


def model_of(*entries: Any, data: bytes = b"", paths: tuple[str, ...] = ("w.bin",)) -> dict[str, bytes]:
    return {"model.json": json.dumps({"weightsManifest": manifest(*entries, paths=paths)}).encode(), "w.bin": data}


@pytest.fixture(scope="module")
def fort() -> Iterator[Server]:
    with serving("--max-upload", "64MiB") as started:
        for to in (
            "tfjs",
            "pt",
            "npz",
            "safetensors",
        ):  # what libraries open for good is open before anything is counted
            post(started, "/convert", CLASSIFIER, to=to)
        yield started


@pytest.fixture(autouse=True)
def nobody_hurt(fort: Server) -> Iterator[None]:
    """After each test: nothing on disk, no more open files than before, and the server answers."""
    with unharmed(fort):
        yield
    assert get(fort, "/healthz").status_code == 200


# Files ---------------------------------------------------------------------------------------------------------------


class Harm:
    """Writes a file when it is unpickled."""

    def __init__(self, marker: str) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.mkdir, (self.marker,)


def bomb(megabytes: int, name: str = "model.weights.bin") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.json", JSON)
        with archive.open(name, "w") as member:
            for _ in range(megabytes):
                member.write(bytes(1 << 20))
    return stream.getvalue()


def lying(data: bytes, size: int) -> bytes:
    """A zip whose last member claims another size."""
    changed = bytearray(data)
    for signature, at in ((b"PK\3\4", 22), (b"PK\1\2", 24)):
        start = changed.rindex(signature) + at
        changed[start : start + 4] = struct.pack("<I", size)
    return bytes(changed)


def linked() -> bytes:
    info = zipfile.ZipInfo("model.weights.bin")
    info.external_attr = 0o120777 << 16
    return zipped([("model.json", JSON), (info, b"/etc/passwd")])  # type: ignore[list-item]


def safetensors(header: bytes, data: bytes = b"", length: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def npz(**members: bytes) -> bytes:
    return zipped({f"{name}.npy": data for name, data in members.items()})


def npy(header: str, data: bytes = b"") -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text + data


def tensors(count: int) -> dict[str, bytes]:
    entries = ",".join(f'{{"name":"{n:07}","shape":[0],"dtype":"bool"}}' for n in range(count))
    return {"model.json": f'{{"weightsManifest":[{{"paths":["w.bin"],"weights":[{entries}]}}]}}'.encode(), "w.bin": b""}


def topology(text: bytes) -> dict[str, bytes]:
    return {"model.json": b'{"modelTopology": %s, "weightsManifest": []}' % text}


FILES: dict[str, Files] = {
    "a picture": {"cat.png": b"\x89PNG\r\n\x1a\n" + bytes(100)},
    "a text": {"notes.txt": b"hello"},
    "a program": {"run.exe": b"MZ" + bytes(100)},
    "weights alone": {"model.weights.bin": WEIGHTS},
    "the metadata alone": {"model_meta.json": CLASSIFIER["model_meta.json"]},
    "an empty model.json": {"model.json": b"", "model.weights.bin": WEIGHTS},
    "a web page": {"model.json": b"<!doctype html><title>404</title>", "model.weights.bin": WEIGHTS},
    "half a model.json": {"model.json": JSON[:700], "model.weights.bin": WEIGHTS},
    "UTF-16": {"model.json": JSON.decode().encode("utf-16"), "model.weights.bin": WEIGHTS},
    "bytes that are no text": {"model.json": JSON + b"\xff\xfe", "model.weights.bin": WEIGHTS},
    "an array": {"model.json": b"[]"},
    "null": {"model.json": b"null"},
    "a number": {"model.json": b"5"},
    "an empty object": {"model.json": b"{}"},
    "a manifest that is a number": {"model.json": b'{"weightsManifest": 5}'},
    "groups that are numbers": {"model.json": b'{"weightsManifest": [5]}'},
    "NaN": {"model.json": JSON[:-1] + b', "x": NaN}', "model.weights.bin": WEIGHTS},
    "a number of 100,000 digits": {"model.json": b'{"weightsManifest": [], "x": %s}' % (b"9" * 100_000)},
    "a deep model.json": {"model.json": b'{"weightsManifest": %s}' % DEEP},
    "a deep topology": topology(DEEP),
    "a deep array for model.json": {"model.json": DEEP},
    "deep objects": topology(b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "an unclosed depth": {"model.json": b'{"modelTopology":' + b"[" * 200_000},
    "a deep model_meta.json": {**CLASSIFIER, "model_meta.json": b'{"inputUnits":' + DEEP + b"}"},
    "a deep metadata.json": {**CLASSIFIER, "metadata.json": b'{"labels":' + DEEP + b"}"},
    "more numbers than there are atoms": model_of(entry((1 << 40, 1 << 40)), data=bytes(8)),
    "a size of minus one": model_of(entry((-1,)), data=bytes(8)),
    "a size of a half": model_of(entry([0.5]), data=bytes(8)),
    "a size of 400 digits": model_of(entry([10**400]), data=bytes(8)),
    "an empty shape with a huge one": model_of(entry((0, 1 << 62)), entry((1 << 62,), name="b")),
    "an unknown dtype": model_of(entry(dtype="float1024"), data=bytes(8)),
    "a tensor twice": model_of(entry(), entry(), data=bytes(16)),
    "a million tensors": tensors(1_000_000),
    "200,000 tensors": tensors(200_000),
    "a million tensors in a zip": {"m.zip": zipped(tensors(1_000_000))},
    "two model.json, weights for one": [("model.json", JSON), *CLASSIFIER.items()],
    "weights twice": [*CLASSIFIER.items(), ("model.weights.bin", bytes(528))],
    "a file without its name": [("model.json", JSON), ("", WEIGHTS[:100])],
    "half a zip": {"m.zip": zipped(CLASSIFIER)[:600]},
    "an empty zip": {"m.zip": zipped({})},
    "no zip": {"m.zip": b"PK\3\4" + bytes(100)},
    "a zip in a zip": {"m.zip": zipped({"n.zip": zipped(CLASSIFIER)})},
    "a zip of other files": {"m.zip": zipped({"a.txt": b"x"})},
    "a zip bomb": {"m.zip": bomb(256)},
    "a zip bomb beside a model": {**CLASSIFIER, "m.zip": bomb(256)},
    "a bomb in the json": {"m.zip": bomb(256, "metadata.json")},
    "a bomb that lies": {"m.zip": lying(bomb(200), 528)},
    "a zip that claims 4 GB": {"m.zip": lying(zipped(CLASSIFIER), 0xFFFFFFF0)},
    "a zip of 5,000 files": {"m.zip": zipped({**CLASSIFIER, **{f"{n}.bin": b"" for n in range(5000)}})},
    "a zip with a way out": {"m.zip": zipped({"model.json": JSON, "../model.weights.bin": WEIGHTS})},
    "a zip with an absolute name": {"m.zip": zipped({"model.json": JSON, "/tmp/model.weights.bin": WEIGHTS})},
    "a zip with a name twice": {"m.zip": zipped({**CLASSIFIER, "model.jsom": JSON}).replace(b"jsom", b"json")},
    "a link in a zip": {"m.zip": linked()},
    "a safetensors with a header of 2**60": {**CLASSIFIER, "w.safetensors": safetensors(b"{}", length=1 << 60)},
    "a safetensors with a deep header": {**CLASSIFIER, "w.safetensors": safetensors(b'{"a":' + DEEP + b"}")},
    "a safetensors that is cut": {**CLASSIFIER, "w.safetensors": save({"a": torch.zeros(9)})[:-1]},
    "an empty safetensors": {**CLASSIFIER, "w.safetensors": b""},
    "a safetensors of nothing": {**CLASSIFIER, "w.safetensors": bytes(100)},
    "a .pt of nothing": {**CLASSIFIER, "w.pt": bytes(100)},
    "an empty .pt": {**CLASSIFIER, "w.pt": b""},
    "an .npz of nothing": {**CLASSIFIER, "w.npz": bytes(100)},
    "an empty .npz": {**CLASSIFIER, "w.npz": zipped({})},
    "an .npz of a huge shape": {
        **CLASSIFIER, "w.npz": npz(a=npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776,)}"))
    },
    "an .npz with code for a header": {**CLASSIFIER, "w.npz": npz(a=npy("__import__('os').getpid()"))},
    "an .npz with a deep header": {**CLASSIFIER, "w.npz": npz(a=npy("(" * 9000 + ")" * 9000))},
    "an .npz bomb": {**CLASSIFIER, "w.npz": bomb(256, "a.npy")},
    "a .pt bomb": {**CLASSIFIER, "w.pt": bomb(256, "archive/data.pkl")},
    "two files of weights": {**CLASSIFIER, "a.safetensors": save({}), "b.safetensors": save({})},
}  # fmt: skip


@pytest.mark.parametrize("what", FILES)
@pytest.mark.parametrize("path", ["/convert", "/models"])
def test_harmful_files_are_refused_with_advice(what: str, path: str, fort: Server) -> None:
    problem_of(post(fort, path, FILES[what]), *MALFORMED)


@pytest.mark.parametrize("path", ["/inspect", "/predict"])
@pytest.mark.parametrize("what", [name for name in FILES if "million" not in name and "bomb" not in name])
def test_harmful_files_hurt_nobody_who_looks_at_them(what: str, path: str, fort: Server) -> None:
    response = post(fort, path, FILES[what], fields={"inputs": "[[1, 2, 3]]"})
    assert response.status_code == 200 or problem_of(response, *MALFORMED)


STATUSES = {
    "a picture": 415, "a text": 415, "weights alone": 400, "half a model.json": 400, "a web page": 400, 
    "a zip bomb": 413, "a deep topology": 400, "an unknown dtype": 400, "a million tensors": 413, "half a zip": 400,
}  # fmt: skip


@pytest.mark.parametrize("what", STATUSES)
def test_the_status_tells_what_is_wrong(what: str, fort: Server) -> None:
    problem_of(post(fort, "/convert", FILES[what]), STATUSES[what])


def harmful_pt(marker: str) -> bytes:
    stream = io.BytesIO()
    torch.save({"a": Harm(marker)}, stream)
    return stream.getvalue()


def harmful_npz(marker: str) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, a=np.array([Harm(marker)], object))
    return stream.getvalue()


PICKLES = {
    "w.pt": harmful_pt,
    "w.pth": harmful_pt,
    "w.npz": harmful_npz,
    "old.pt": lambda marker: pickle.dumps({"a": Harm(marker)}),
    "w.npy": lambda marker: pickle.dumps(Harm(marker)),
    "w.pkl": lambda marker: pickle.dumps(Harm(marker)),
    "model.weights.bin": lambda marker: pickle.dumps(Harm(marker)),
    "nameless": harmful_pt,
}


@pytest.mark.parametrize("name", PICKLES)
@pytest.mark.parametrize("path", ["/convert", "/models", "/inspect", "/predict"])
def test_a_pickle_is_never_executed(name: str, path: str, fort: Server, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    pickled = PICKLES[name](str(marker))
    assert isinstance(pickle.dumps(Harm("")), bytes)
    response = post(fort, path, {**CLASSIFIER, name: pickled}, fields={"inputs": "[[1, 2, 3]]"})
    assert response.status_code in (200, 201) or problem_of(response, *MALFORMED)
    assert not marker.exists()
    if response.status_code == 201:
        ask(fort, "DELETE", f"/models/{response.json()['id']}")


def test_a_harmful_pickle_is_named_with_what_to_do(fort: Server, tmp_path: Path) -> None:
    files = {**CLASSIFIER, "w.pt": harmful_pt(str(tmp_path / "marker"))}
    assert "w.pt" in str(problem_of(post(fort, "/convert", files), 400, 415, 422))


# Names ---------------------------------------------------------------------------------------------------------------

NAMES = {
    "NUL": b"w\0.bin", "a newline": b"w%0A.bin", "a tab": b"w\t.bin", "Unicode": "wëights–日本.bin".encode(),
    "very long": b"w" * 5000 + b".bin", "long": b"w" * 300 + b".bin", "no UTF-8": b"w\xff\xfe.bin", "only dots": b"..",
    "a way out": b"../../w.bin", "an absolute path": b"/etc/passwd", "a path of Windows": b"C:\\w.bin", "CON": b"CON",
    "a slash at the end": b"w.bin/", "from right to left": "\u202enib.w".encode(), "a surrogate": b"\xed\xa0\x80.bin",
    "spaces": b"   ", "a percent": b"%2e%2e%2fw.bin", "a quote": b'w\\".bin', "an emoji": "😀.bin".encode(),
    "none": b"", "a format": b"{0.__class__}%s%n.bin", "markup": b"<script>alert(1)</script>.bin",
    "500 folders": b"a/" * 500 + b"w",
}  # fmt: skip


@pytest.mark.parametrize("what", NAMES)
@pytest.mark.parametrize("path", ["/convert", "/models", "/inspect"])
def test_a_file_of_any_name_is_read_or_refused(what: str, path: str, fort: Server) -> None:
    head = b'Content-Disposition: form-data; name="f"; filename="%s"\r\n\r\n' % NAMES[what]
    body, kind = multipart(part(JSON, "m", "model.json"), head + WEIGHTS)
    response = post_raw(fort, path, body, kind)
    assert response.status_code in (200, 201) or problem_of(response, *MALFORMED)
    if response.status_code == 201:
        assert ask(fort, "DELETE", f"/models/{response.json()['id']}").status_code == 204


@pytest.mark.parametrize(
    "name", ["w\0.bin", "w\n.bin", "w\r\nX-Evil: 1.bin", "é" * 300, "\ud800.bin", "a/" * 500 + "w", "‮x", " "]
)
@pytest.mark.parametrize("accept", ["multipart/form-data", "application/zip", "application/json"])
def test_a_manifest_with_any_path_is_read_or_refused(name: str, accept: str, fort: Server) -> None:
    document = json.dumps({"weightsManifest": manifest(entry(), paths=[name])}).encode()
    response = post(fort, "/convert", {"model.json": document, "other.bin": f32(1, 2)}, accept=accept)
    assert response.status_code == 200 or problem_of(response, *MALFORMED)
    assert "x-evil" not in response.headers
    assert accept == "application/zip" or b"\r\nX-Evil" not in response.content


# Requests ------------------------------------------------------------------------------------------------------------

GOOD = multipart(*(part(data, name, name) for name, data in CLASSIFIER.items()), boundary="x")[0]


def many(more: bytes) -> bytes:
    return b'--x\r\nContent-Disposition: form-data; name="a"%s\r\n\r\n\r\n' % more * 100_000 + b"--x--"


REQUESTS: dict[str, tuple[bytes, str, tuple[int, ...]]] = {
    "json": (JSON, "application/json", (415,)),
    "text": (b"hello", "text/plain", (415,)),
    "a form without files": (b"to=pt", "application/x-www-form-urlencoded", (415,)),
    "another multipart": (GOOD, "multipart/mixed; boundary=x", (415,)),
    "a type that is none": (GOOD, "multipart", (415,)),
    "no boundary": (GOOD, "multipart/form-data", (400,)),
    "an empty boundary": (GOOD, FORM, (400,)),
    "a long boundary": (GOOD, FORM + "x" * 5000, (400,)),
    "an empty body": (b"", FORM + "x", (400,)),
    "no parts": (b"--x--\r\n", FORM + "x", (400,)),
    "a body cut off in a part": (GOOD[:1000], FORM + "x", (400,)),
    "a body cut off in a head": (GOOD[:30], FORM + "x", (400,)),
    "a body cut off before its end": (GOOD[:-6], FORM + "x", (400,)),
    "no empty line after the head": (b"--x\r\nContent-Disposition: form-data\r\n--x--\r\n", FORM + "x", (400,)),
    "a part without a disposition": (b"--x\r\n\r\n{}\r\n--x--\r\n", FORM + "x", (400, 415)),
    "a head that is none": (b"--x\r\nhello\r\n\r\n{}\r\n--x--\r\n", FORM + "x", (400,)),
    "a head of 10 MB": (b"--x\r\nX: " + b"y" * (10 << 20) + b"\r\n\r\n\r\n--x--\r\n", FORM + "x", (400, 413, 431)),
    "a name of 10 MB": (b"--x\r\n" + b"y" * (10 << 20) + b": 1\r\n\r\n\r\n--x--\r\n", FORM + "x", (400, 413, 431)),
    "100,000 heads": (b"--x\r\n" + b"X: y\r\n" * 100_000 + b"\r\n\r\n--x--\r\n", FORM + "x", (400, 413, 431)),
    "100,000 parts": (many(b""), FORM + "x", (400, 413)),
    "100,000 files": (many(b'; filename="a"'), FORM + "x", (400, 413)),
    "noise": (np.random.default_rng(1).bytes(1 << 20), FORM + "x", (400,)),
    "only newlines": (b"\r\n" * 500_000, FORM + "x", (400,)),
    "only boundaries": (b"--x\r\n" * 100_000, FORM + "x", (400, 413)),
}  # fmt: skip


@pytest.mark.parametrize("what", REQUESTS)
def test_a_request_that_is_no_form_is_refused(what: str, fort: Server) -> None:
    body, kind, statuses = REQUESTS[what]
    problem_of(post_raw(fort, "/convert", body, kind), *statuses)


def test_a_request_without_a_content_type_is_415(fort: Server) -> None:
    problem_of(parsed(send_raw(fort, head_of(fort, "POST", "/models", "Content-Length: 5") + b"hello")), 415)


@pytest.mark.parametrize("length", ["-1", "x", "1e3", "99999999999999999999999", "5, 6"])
def test_a_length_that_is_none_is_refused(length: str, fort: Server) -> None:
    head = head_of(fort, "POST", "/models", f"Content-Length: {length}", f"Content-Type: {FORM}x")
    assert parsed(send_raw(fort, head, shut=True)).status_code in (400, 413)


def test_a_packed_body_is_refused(fort: Server) -> None:
    problem_of(post_raw(fort, "/convert", b"\x1f\x8b" + bytes(100), FORM + "x", "Content-Encoding: gzip"), 400, 415)
