"""Small requests that would cost much: they are refused, or end when the client goes; nobody else waits for them."""

from __future__ import annotations

import contextlib
import io
import json
import resource
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from helpers import entry, f32, manifest, quantized
from serving import (
    CLASSIFIER,
    Server,
    ask,
    get,
    head_of,
    leaving_nothing,
    post,
    problem_of,
    saved,
    serving,
    upload,
    zip_of,
    zipped,
)

SECONDS = 30  # a busy machine's; what has no limit takes minutes
ROOM = 6 << 30


@pytest.fixture(scope="module")
def fort() -> Iterator[Server]:
    with serving("--max-upload", "64MiB") as started:
        # A server that fails here must not take the machine with it.
        resource.prlimit(started.pid, resource.RLIMIT_AS, (ROOM, ROOM))
        post(started, "/convert", CLASSIFIER)
        yield started


@pytest.fixture(autouse=True)
def quick(fort: Server) -> Iterator[None]:
    """Nothing takes long, nor much memory, and nothing stays."""
    fort.forget_peak()
    memory, start = fort.memory(), time.monotonic()
    with leaving_nothing(fort):
        yield
    assert time.monotonic() - start < SECONDS
    assert fort.memory("VmHWM") - memory < 512 << 20


def bare(*entries: Any, paths: tuple[str, ...] = ("w.bin",)) -> bytes:
    return json.dumps({"weightsManifest": manifest(*entries, paths=paths)}).encode()


def model_of(layer: str, shape: list[int | None], **config: Any) -> dict[str, bytes]:
    """One layer without weights."""
    given = {"name": "one", "batch_input_shape": shape, "dtype": "float32", **config}
    topology = {"class_name": "Sequential", "config": {"name": "m", "layers": [{"class_name": layer, "config": given}]}}
    return {"model.json": json.dumps({"modelTopology": topology, "weightsManifest": []}).encode()}


def laughs(levels: int) -> Any:
    """A model that calls the model below twice, `levels` deep: 2 ** levels calls."""
    given = {"name": f"in{levels}", "batch_input_shape": [None, 1], "dtype": "float32", "sparse": False}
    door = {"class_name": "InputLayer", "name": f"in{levels}", "config": given, "inbound_nodes": []}
    name, first = f"m{levels}", 1 if levels else 0
    below: Any = laughs(levels - 1) if levels else {"class_name": "Activation", "config": {"activation": "relu"}}
    below = {**below, "name": name, "config": {**below["config"], "name": name}}
    below["inbound_nodes"] = [[[given["name"], 0, 0, {}]], [[name, first, 0, {}]]]
    outputs = [[name, first + 1, 0]]
    config = {"layers": [door, below], "input_layers": [[given["name"], 0, 0]], "output_layers": outputs}
    return {"class_name": "Model", "config": config}


# Numbers -------------------------------------------------------------------------------------------------------------

GROWING = {
    "a vector repeated": (model_of("RepeatVector", [None, 3], n=10**10), "[[1, 2, 3]]"),
    "a padding": (model_of("ZeroPadding2D", [None, 1, 1, 1], padding=[[10**6, 0]] * 2), "[[[[1]]]]"),
    "an enlarged picture": (model_of("UpSampling2D", [None, 1, 1, 1], size=[10**5, 10**5]), "[[[[1]]]]"),
}


@pytest.mark.parametrize("what", GROWING)
def test_a_model_that_makes_much_of_little_is_413(what: str, fort: Server) -> None:
    files, inputs = GROWING[what]
    problem_of(post(fort, "/predict", files, fields={"inputs": inputs}), 413, 422)
    assert post(fort, "/inspect", files).status_code == 200


@pytest.mark.parametrize("path", ["/predict", "/inspect", "/convert"])
def test_a_model_whose_calls_double_with_each_level_is_refused_or_quick(path: str, fort: Server) -> None:
    document = {"modelTopology": {**laughs(40), "class_name": "Model"}, "weightsManifest": []}
    response = post(fort, path, {"model.json": json.dumps(document).encode()}, fields={"inputs": "[[1]]"})
    assert response.status_code == 200 or problem_of(response, 400, 413, 422)


@pytest.mark.parametrize("size", [10**9, 10**13])
@pytest.mark.parametrize("path", ["/convert", "/models"])
def test_a_pt_that_claims_a_tensor_larger_than_the_limit_is_413(size: int, path: str, fort: Server) -> None:
    stream = io.BytesIO()
    torch.save({"a": torch.zeros(1).expand(size)}, stream)
    problem_of(post(fort, path, {"w.pt": stream.getvalue()}), 413)


def test_a_model_that_unpacks_to_more_than_the_limit_is_413(fort: Server) -> None:
    count = 32 << 20
    document = bare(*(entry((count,), name=name, quantization=quantized("uint8")) for name in "abcd"))
    problem_of(post(fort, "/convert", {"m.zip": zipped({"model.json": document, "w.bin": bytes(4 * count)})}), 413)


@pytest.mark.parametrize("to", ["pt2", "onnx"])
def test_an_export_of_a_huge_input_is_413(to: str, fort: Server) -> None:
    problem_of(post(fort, "/convert", model_of("Activation", [None, 10**9], activation="relu"), to=to), 413, 422)


def endless() -> dict[str, bytes]:
    """Ten million steps in time."""
    files = model_of("SimpleRNN", [None, 10**7, 1], units=1)
    document = json.loads(files["model.json"])
    shapes = {"kernel": (1, 1), "recurrent_kernel": (1, 1), "bias": (1,)}
    document["weightsManifest"] = manifest(*(entry(shape, name=f"one/{name}") for name, shape in shapes.items()))
    return {"model.json": json.dumps(document).encode(), "w.bin": f32(1, 1, 1)}


@pytest.mark.parametrize("to", ["pt2", "onnx"])
def test_an_export_without_an_end_is_refused_or_ends_when_the_client_goes(to: str, fort: Server) -> None:
    body, kind = upload(endless())
    head = head_of(fort, "POST", f"/convert?to={to}", f"Content-Length: {len(body)}", f"Content-Type: {kind}")
    with socket.create_connection(fort.address) as connection, contextlib.suppress(TimeoutError):
        connection.sendall(head + body)
        connection.settimeout(2)
        assert connection.recv(1000).startswith((b"HTTP/1.1 413", b"HTTP/1.1 422"))
    assert post(fort, "/convert", CLASSIFIER, to=to).status_code == 200


# Files ---------------------------------------------------------------------------------------------------------------


def test_a_shard_for_every_byte_of_a_large_model_is_refused(fort: Server) -> None:
    files = {"model.json": bare(entry((1 << 21,), "bool")), "w.bin": bytes(1 << 21)}
    problem_of(post(fort, "/convert", files, shard_bytes=1), 413, 422)


def test_more_tensors_than_anybody_has_are_413(fort: Server) -> None:
    document = bare(*(entry((0,), "bool", f"{number}") for number in range(150_000)))
    for path in ("/convert", "/inspect", "/models"):
        problem_of(post(fort, path, {"model.json": document, "w.bin": b""}), 413)


def test_one_model_with_30000_others_is_refused(fort: Server) -> None:
    own = saved(fort)["id"]
    body = {"process": [{"step": "average"}], "with": [own] * 30_000}
    problem_of(ask(fort, "POST", f"/models/{own}/process", json=body), 413, 422)
    ask(fort, "DELETE", f"/models/{own}")


def test_a_glob_that_backtracks_does_not(fort: Server) -> None:
    files = {"model.json": bare(entry(name="a" * 30_000)), "w.bin": f32(1, 2)}
    process = json.dumps([{"step": "prune", "tensors": "*a" * 40 + "b"}])
    problem_of(post(fort, "/convert", files, process=process), 422)


def test_many_ranges_at_once_get_no_more_than_the_file(fort: Server) -> None:
    told = saved(fort)
    ranges = ",".join(f"{at}-{at + 100}" for at in range(400))
    found = get(fort, f"/models/{told['id']}/model.weights.bin", headers={"Range": f"bytes={ranges}"})
    assert len(found.content) <= 60_000
    ask(fort, "DELETE", f"/models/{told['id']}")


# Names that collide or do not fit ------------------------------------------------------------------------------------


NAMES = ["a" * 70_000, "\ud800", "a\0b", "", "../../x", "__metadata__", "a.npy", "é\n"]


@pytest.mark.parametrize("to", ["npz", "safetensors", "pt", "tfjs"])
@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[:12])
def test_any_name_of_a_tensor_is_written_or_refused(name: str, to: str, fort: Server) -> None:
    files = {"model.json": bare(entry(name=name)), "w.bin": f32(1, 2)}
    response = post(fort, "/convert", files, to=to)
    assert response.status_code == 200 or problem_of(response, 400, 422)


@pytest.mark.parametrize("path", ["x" * 70_000, "a/" * 3000 + "w"])
@pytest.mark.parametrize("accept", ["application/zip", "multipart/form-data"])
def test_a_path_that_no_folder_and_no_zip_can_hold_is_refused(path: str, accept: str, fort: Server) -> None:
    files = {"model.json": bare(entry(), paths=(path,)), "other.bin": f32(1, 2)}
    for place in ("/convert", "/models"):
        problem_of(post(fort, place, files, accept=accept), 400, 422)


@pytest.mark.parametrize("name", [".json_name", "report.json", "model.zip", "index.html", "process", ".hidden"])
def test_a_weights_file_of_any_name_is_kept_or_refused(name: str, fort: Server) -> None:
    files = {"model.json": bare(entry(), paths=(name,)), name: f32(1, 2)}
    response = post(fort, "/models", files)
    if response.status_code != 201:
        problem_of(response, 400, 422)
        return
    told = response.json()
    assert {file["name"]: get(fort, file["url"]).content for file in told["files"]} == files
    ask(fort, "DELETE", f"/models/{told['id']}")


def test_a_weights_file_named_like_the_report_is_not_lost(fort: Server) -> None:
    response = post(fort, "/convert", {"model.json": bare(entry(), paths=("report.json",)), "report.json": f32(1, 2)})
    if response.status_code != 200:
        problem_of(response, 400, 422)
    else:
        assert f32(1, 2) in zip_of(response).values()
