"""The rows of conformance: what real tf.js sends and asks for over HTTP. The second row is test_server_forms.py."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import numpy as np
import pytest
from helpers import entry, manifest
from serving import (
    CLASSIFIER,
    Server,
    ask,
    eventually,
    get,
    part,
    post,
    problem_of,
    sample,
    saved,
    serving,
    upload,
    zip_of,
)
from tfjs_client import TfjsClient

JSON, WEIGHTS = sample()["model.json"], sample()["model.weights.bin"]

FORM = "multipart/form-data; boundary="

# 1 ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_what_tfjs_saves_tfjs_loads_and_predicts_the_same(method: str, server: Server, tfjs: TfjsClient) -> None:
    sent = tfjs.save(f"{server.url}/models", method=method)
    assert sent["status"] == 201
    loaded = tfjs.load(json.loads(sent["text"])["url"])
    assert loaded["predictions"] == sent["predictions"]


def test_a_model_saved_to_convert_comes_back_as_the_same_files(server: Server, tfjs: TfjsClient) -> None:
    found = tfjs.convert(f"{server.url}/convert?to=tfjs")
    names = ["model.json", "model.weights.bin", "report.json"]
    assert sorted(found["names"]) == [[name, name] for name in names]
    assert found["names"][-1][0] == "report.json"
    assert found["again"] == found["predictions"]
    assert found["report"]["changed_tensors"] == 0


def test_a_model_saved_to_convert_with_a_step_comes_back_changed(server: Server, tfjs: TfjsClient) -> None:
    found = tfjs.convert(f'{server.url}/convert?process=[{{"step":"scale","factor":0.5}}]')
    assert found["again"] != found["predictions"]
    assert found["report"]["changed_tensors"] > 0


def test_fetch_and_form_data_give_the_files_without_a_zip_library(server: Server, tfjs: TfjsClient) -> None:
    found = tfjs.form(f"{server.url}/convert", sample().items())
    assert found.pop("report.json")
    assert found == sample()


# 3 ------------------------------------------------------------------------------------------------------------------

WRONG_WEIGHTS = {"none": None, "empty": b"", "shorter": WEIGHTS[:-1], "longer": WEIGHTS + b"\0", "half": WEIGHTS[:264]}


@pytest.fixture(scope="module")
def clean() -> Iterator[Server]:
    """A server whose store is empty before and after each test that asks for it."""
    with serving() as started:
        yield started


@pytest.mark.parametrize("what", WRONG_WEIGHTS)
@pytest.mark.parametrize("path", ["/models", "/convert", "/inspect"])
def test_weights_that_do_not_fit_are_refused_and_nothing_is_stored(what: str, path: str, clean: Server) -> None:
    data = WRONG_WEIGHTS[what]
    files = {"model.json": JSON, **({} if data is None else {"model.weights.bin": data})}
    problem = problem_of(post(clean, path, files), 400, 422)
    assert "model.weights.bin" in problem["where"] + problem["detail"]
    assert eventually(lambda: clean.left() == [])


def test_a_model_without_weights_is_stored_as_tfjs_sends_it(server: Server, tfjs: TfjsClient) -> None:
    sent = tfjs.save(f"{server.url}/models", weightless=True)
    assert tfjs.load(json.loads(sent["text"])["url"])["predictions"] == sent["predictions"]


# 4 ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["../../x", "/tmp/x", "..", "a/../../x", "..\\x", "C:/x", "./../x"])
def test_a_path_in_the_manifest_leads_nowhere(path: str, clean: Server) -> None:
    document = json.dumps({"weightsManifest": manifest(entry((4,), "bool"), paths=[path])}).encode()
    around = sorted(clean.store.parent.iterdir())
    for name in ("x", path, "model.weights.bin"):
        problem_of(post(clean, "/models", {"model.json": document, name: b"\0\1\0\1"}), 400, 422)
    assert sorted(clean.store.parent.iterdir()) == around
    assert eventually(lambda: clean.left() == [])


# 5, 6 ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("query", ["", "?v=2", "?v=2&tfjs-format=file", "?a=b/c"])
def test_any_query_is_ignored(query: str, server: Server) -> None:
    told = saved(server)
    for name in ("model.json", "model_meta.json", "model.weights.bin"):
        found = get(server, f"/models/{told['id']}/{name}{query}")
        assert (found.status_code, found.content) == (200, sample()[name])


def test_tfjs_hands_the_query_of_the_url_on_to_the_weights(server: Server, tfjs: TfjsClient) -> None:
    asked = tfjs.load(f"{saved(server)['url']}?v=2")["asked"]
    assert [url.rpartition("/")[2] for url, _, _ in asked] == ["model.json?v=2", "model.weights.bin?v=2"]
    assert {status for _, status, _ in asked} == {200}


MISSING = [
    "/models/{id}/other.bin", "/models/{id}/report.json", "/models/{id}/..%2Fmodel.json", "/models/{id}/%00",
    "/models/nobody/model.json", "/models/nobody/w.bin", "/models/%2e%2e/model.json",
    "/models/{id}/" + "x" * 5000, "/models/{id}x/model.json", "/models/{id}/model.json/x", "/models/{id}/%ff",
]  # fmt: skip


@pytest.mark.parametrize("path", MISSING)
def test_what_is_not_there_is_404_without_a_body(path: str, server: Server) -> None:
    response = get(server, path.format(id=saved(server)["id"]), headers={"Origin": "null"})
    assert (response.status_code, response.content) == (404, b"")
    assert response.headers["access-control-allow-origin"] == "*"


# 7 ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/models", "/convert", "/inspect", "/predict", "/models/x", "/models/x/process"])
def test_a_preflight_for_put_and_a_token_is_granted(path: str, server: Server) -> None:
    asked = {"Origin": "https://editor.p5js.org", "Access-Control-Request-Method": "PUT"}
    asked |= {
        "Access-Control-Request-Headers": "authorization,x-other",
        "Access-Control-Request-Private-Network": "true",
    }
    response = ask(server, "OPTIONS", path, headers=asked)
    assert response.is_success
    allowed = response.headers
    assert allowed["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in allowed
    assert {"PUT", "POST", "DELETE"} <= {word.strip() for word in allowed["access-control-allow-methods"].split(",")}
    assert {"authorization", "x-other"} <= set(
        allowed["access-control-allow-headers"].lower().replace(" ", "").split(",")
    )
    assert allowed["access-control-allow-private-network"] == "true"


# 8 ------------------------------------------------------------------------------------------------------------------


@contextmanager
def redirecting(to: str) -> Iterator[str]:
    """A proxy that sends every POST on with 307."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(307)
            self.send_header("Location", to)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as proxy:
        threading.Thread(target=proxy.serve_forever).start()
        try:
            yield f"http://127.0.0.1:{proxy.server_port}"
        finally:
            proxy.shutdown()


def test_a_save_that_is_sent_on_with_307_arrives(server: Server) -> None:
    content, kind = upload(CLASSIFIER)
    with redirecting(f"{server.url}/models") as url:
        sent = ask(server, "POST", url, content=content, headers={"Content-Type": kind})
    assert (len(sent.history), sent.status_code) == (1, 201)
    assert get(server, sent.json()["url"]).content == JSON


def test_tfjs_in_node_is_sent_on_too_although_its_boundary_changes_on_the_way(server: Server, tfjs: TfjsClient) -> None:
    with redirecting(f"{server.url}/models") as url:
        sent = tfjs.save(url)
    assert tfjs.load(json.loads(sent["text"])["url"])["predictions"] == sent["predictions"]


def test_a_slash_at_the_end_does_not_lose_the_model(server: Server, tfjs: TfjsClient) -> None:
    assert tfjs.save(f"{server.url}/models/")["status"] == 201


# 9 ------------------------------------------------------------------------------------------------------------------


def test_tfjs_gets_all_shards_at_once(server: Server, tfjs: TfjsClient) -> None:
    files = zip_of(post(server, "/convert", sample(), shard_bytes=16, accept="application/zip"))
    del files["report.json"]
    asked = tfjs.load(saved(server, files)["url"])["asked"]
    assert len(asked) == 1 + 528 // 16
    assert [size for _, status, size in asked[1:] if status == 200] == [16] * 33


def test_two_hundred_gets_at_once_all_get_the_same_bytes(server: Server) -> None:
    url = f"{saved(server)['url'].removesuffix('model.json')}model.weights.bin"
    with ThreadPoolExecutor(32) as pool, httpx.Client(trust_env=False, timeout=60) as client:
        found = list(pool.map(lambda _: client.get(url).content, range(200)))
    assert set(found) == {WEIGHTS}


# 10 -----------------------------------------------------------------------------------------------------------------


def test_the_optimizer_and_the_training_config_come_back_unchanged(server: Server, tfjs: TfjsClient) -> None:
    told = json.loads(tfjs.save(f"{server.url}/models", compiled=True)["text"])
    document = get(server, f"/models/{told['id']}/model.json").json()
    groups = [spec.get("group") for spec in document["weightsManifest"][0]["weights"]]
    assert groups.count("optimizer") > 4
    assert document["trainingConfig"]["optimizer_config"]["class_name"] == "Adam"
    optimizer = tfjs.load(told["url"])["optimizer"]
    assert len(optimizer) == groups.count("optimizer")


def test_a_stored_optimizer_survives_a_step(server: Server, tfjs: TfjsClient) -> None:
    told = json.loads(tfjs.save(f"{server.url}/models", compiled=True)["text"])
    response = ask(
        server, "POST", f"/models/{told['id']}/process", json={"process": [{"step": "prune", "amount": 0.5}]}
    )
    assert len(tfjs.load(response.json()["url"])["optimizer"]) == len(tfjs.load(told["url"])["optimizer"])


# 11 -----------------------------------------------------------------------------------------------------------------


TENSORS, BLOCK = 32, np.random.default_rng(1).standard_normal(1 << 20, "f4").tobytes()


def large() -> Iterator[bytes]:
    """A form with a model of 128 MiB, piece by piece."""
    entries = (entry((1 << 20,), name=f"t{number}") for number in range(TENSORS))
    document = json.dumps({"weightsManifest": manifest(*entries)}).encode()
    yield b"--x\r\n" + part(document, "m", "model.json") + b"\r\n--x\r\n" + part(b"", "w", "w.bin")
    yield from [BLOCK] * TENSORS
    yield b"\r\n--x--\r\n"


@pytest.mark.parametrize(
    "path",
    ["/convert", '/convert?process=[{"step":"scale"}]', "/convert?quantize=uint8", "/convert?to=npz"],
)
def test_more_than_100_megabytes_pass_through_with_little_memory(path: str, clean: Server) -> None:
    post(clean, path, CLASSIFIER)  # what is loaded once is loaded
    clean.forget_peak()
    before, headers = clean.memory(), {"Content-Type": FORM + "x"}
    with httpx.stream(
        "POST", clean.url + path, content=large(), headers=headers, trust_env=False, timeout=60
    ) as answer:
        assert answer.status_code == 200
        assert sum(map(len, answer.iter_raw(1 << 20))) > TENSORS << (20 if "uint8" in path else 22)
    assert clean.memory("VmHWM") - before < 64 << 20, f"{(clean.memory('VmHWM') - before) >> 20} MiB"


def test_more_than_100_megabytes_are_stored_and_served_with_little_memory(clean: Server) -> None:
    clean.forget_peak()
    before = clean.memory()
    told = ask(clean, "POST", "/models", content=large(), headers={"Content-Type": FORM + "x"}).json()
    with httpx.stream("GET", f"{clean.url}/models/{told['id']}/w.bin", trust_env=False) as answer:
        assert sum(map(len, answer.iter_raw(1 << 20))) == TENSORS << 22
    assert clean.memory("VmHWM") - before < 64 << 20
    ask(clean, "DELETE", f"/models/{told['id']}")


# 12 -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["", "/model.json", "/model.weights.bin", ".zip"])
def test_head_tells_the_length_and_sends_nothing(path: str, server: Server) -> None:
    url = f"/models/{saved(server)['id']}{path}"
    told, got = ask(server, "HEAD", url), get(server, url)
    assert (told.status_code, told.content) == (200, b"")
    assert told.headers["content-type"] == got.headers["content-type"]
    assert int(told.headers.get("content-length", len(got.content))) == len(got.content)


def test_a_range_gets_the_part_or_the_whole(server: Server) -> None:
    url = f"/models/{saved(server)['id']}/model.weights.bin"
    found = get(server, url, headers={"Range": "bytes=0-15"})
    assert (found.status_code, len(found.content)) in {(200, 528), (206, 16)}
