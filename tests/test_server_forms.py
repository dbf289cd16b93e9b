"""Forms as RFC 7578 and RFC 2046 allow them, written by hand: any order, names, boundaries and cuts."""

from __future__ import annotations

import json

import pytest
from helpers import entry, manifest
from serving import CLASSIFIER, Server, head_of, multipart, parsed, part, post_raw, send_raw, zip_of

JSON, WEIGHTS = CLASSIFIER["model.json"], CLASSIFIER["model.weights.bin"]
FORM = "multipart/form-data; boundary="


def model_part(disposition: str = 'form-data; name="model.json"; filename="model.json"', *headers: str) -> bytes:
    return "\r\n".join([f"Content-Disposition: {disposition}", *headers, "", ""]).encode() + JSON


FIRST, SECOND = part(JSON, "model.json", "model.json"), part(WEIGHTS, "model.weights.bin", "model.weights.bin")


def body(boundary: str, *parts: bytes) -> bytes:
    return multipart(*parts or (FIRST, SECOND), boundary=boundary)[0]


NAMES = {
    "any field name": 'form-data; name="x"; filename="model.json"',
    "no field name": 'form-data; filename="model.json"',
    "an unquoted file name": "form-data; name=x; filename=model.json",
    "no spaces": 'form-data;name="x";filename="model.json"',
    "the file name first": 'form-data; filename="model.json"; name="x"',
    "capital letters": 'FORM-DATA; NAME="x"; FILENAME="model.json"',
    "filename*": "form-data; name=\"x\"; filename*=UTF-8''model.json",
    "filename and filename*": 'form-data; name="x"; filename="?.json"; filename*=UTF-8\'\'model.json',
    "a path of Windows": 'form-data; name="x"; filename="C:\\\\Users\\\\me\\\\model.json"',
    "a semicolon in the field name": 'form-data; name="a;b=\\"c\\""; filename="model.json"',
    "another name of the json": 'form-data; name="x"; filename="my-net.json"',
    "no file name": 'form-data; name="model.json"',
}


@pytest.mark.parametrize("what", NAMES)
def test_a_part_is_recognised_with(what: str, server: Server) -> None:
    response = post_raw(server, "/inspect", body("x", model_part(NAMES[what]), SECOND), FORM + "x")
    assert response.status_code == 200, response.text
    assert response.json()["parameters"] == 132


HEADERS = {
    "none": (),
    "json": ("Content-Type: application/json",),
    "text": ("Content-Type: text/plain; charset=utf-8",),
    "unknown ones": ("Content-Transfer-Encoding: binary", "X-Other: 1", f"Content-Length: {len(JSON)}"),
    "small letters": ("content-type:application/json",),
}


@pytest.mark.parametrize("what", HEADERS)
def test_a_part_is_read_with_these_headers(what: str, server: Server) -> None:
    given = model_part('form-data; name="m"; filename="model.json"', *HEADERS[what])
    response = post_raw(server, "/inspect", body("x", given, SECOND), FORM + "x")
    assert response.status_code == 200, response.text


LONGEST = "0123456789" * 7
BODIES = {
    "the parts swapped": (body("x", SECOND, FIRST), FORM + "x"),
    "a boundary of WebKit": (body("----WebKitFormBoundaryA1b2C3d4"), FORM + "----WebKitFormBoundaryA1b2C3d4"),
    "a boundary of undici": (body("----formdata-undici-0123"), FORM + "----formdata-undici-0123"),
    "the longest boundary": (body(LONGEST), FORM + LONGEST),
    "a quoted boundary": (body("a b:(c)/=?'+_,.-d"), FORM + '"a b:(c)/=?\'+_,.-d"'),
    "dashes for a boundary": (body("--"), FORM + "--"),
    "capital letters": (body("x"), "Multipart/Form-Data; Boundary=x"),
    "more parameters": (body("x"), "multipart/form-data; charset=utf-8; boundary=x"),
    "no space before the boundary": (body("x"), "multipart/form-data;boundary=x"),
    "a line before": (b"\r\n" + body("x"), FORM + "x"),
    "a preamble": (b"This is a message in MIME format.\r\n" + body("x"), FORM + "x"),
    "an epilogue": (body("x") + b"the end\r\n--y\r\n", FORM + "x"),
    "no newline at the end": (body("x").removesuffix(b"\r\n"), FORM + "x"),
    "spaces behind a boundary": (body("x").replace(b"--x\r\n", b"--x \t\r\n"), FORM + "x"),
    "an empty part beside": (body("x", FIRST, part(b"", "more", ""), SECOND), FORM + "x"),
}


@pytest.mark.parametrize("what", BODIES)
def test_a_body_is_read_with(what: str, server: Server) -> None:
    given, kind = BODIES[what]
    found = zip_of(post_raw(server, "/convert", given, kind))
    assert (found["model.json"], found["model.weights.bin"]) == (JSON, WEIGHTS)


@pytest.mark.parametrize("tail", [b"\r\n", b"\n", b"\r", b"-", b"\r\n--", b"\r\n--xy", b"\r\n--X", b"\0"])
def test_weights_that_look_like_a_boundary_stay_whole(tail: bytes, server: Server) -> None:
    data = (b"\r\n--" * 20 + b"\r\n" * 4)[: 16 - len(tail)] + tail
    document = json.dumps({"weightsManifest": manifest(entry((16,), "bool"))}).encode()
    kind = FORM + "x-boundary"
    given = multipart(part(document, "a", "model.json"), part(data, "b", "w.bin"), boundary="x-boundary")[0]
    assert zip_of(post_raw(server, "/convert", given, kind))["w.bin"] == data


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_chunked_body_is_read_however_it_is_cut(size: int, server: Server) -> None:
    given = body("boundary")
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(c), c) for c in (given[i : i + size] for i in range(0, len(given), size)))
    head = head_of(server, "POST", "/convert", "Transfer-Encoding: chunked", f"Content-Type: {FORM}boundary")
    assert zip_of(parsed(send_raw(server, head + chunks + b"0\r\n\r\n")))["model.weights.bin"] == WEIGHTS
