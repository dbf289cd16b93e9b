"""The store: /models and what is below it; quota and expiry; nothing in memory."""

from __future__ import annotations

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest
from serving import (
    CLASSIFIER,
    REGRESSION,
    Server,
    ask,
    eventually,
    get,
    post,
    problem_of,
    sample,
    saved,
    serving,
    unzipped,
    with_weights,
    zip_of,
    zipped,
)

ON_DISK = 4 * 4096  # a small file takes a block; the fourth is the store's own
SCALE = [{"step": "scale", "factor": 2}]


def process(server: Server, name: str, **body: object) -> dict[str, object]:
    response = ask(server, "POST", f"/models/{name}/process", json=body)
    assert response.status_code == 201, response.text
    told: dict[str, object] = response.json()
    return told


def weights_of(server: Server, name: object) -> set[float]:
    return set(np.frombuffer(get(server, f"/models/{name}/model.weights.bin").content, "<f4"))


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("files", [CLASSIFIER, {"m.zip": zipped(CLASSIFIER.items())}], ids=["files", "zip"])
def test_a_stored_model_is_served_byte_for_byte(method: str, files: dict[str, bytes], server: Server) -> None:
    response = post(server, "/models", files, method=method)
    told = response.json()
    assert (response.status_code, response.headers["location"]) == (201, f"{server.url}/models/{told['id']}")
    assert told["url"] == f"{server.url}/models/{told['id']}/model.json"
    assert {file["name"]: get(server, file["url"]).content for file in told["files"]} == CLASSIFIER
    assert {file["name"]: file["bytes"] for file in told["files"]} == {k: len(v) for k, v in CLASSIFIER.items()}
    assert get(server, f"/models/{told['id']}").json() == told


def test_files_have_the_types_that_browsers_expect(server: Server) -> None:
    url = f"/models/{saved(server)['id']}"
    types = {name: get(server, f"{url}/{name}").headers["content-type"].split(";")[0] for name in CLASSIFIER}
    assert set(types.values()) == {"application/json", "application/octet-stream"}
    assert types["model.weights.bin"] == "application/octet-stream"


@pytest.mark.parametrize("tail", [".zip", "/my model.zip", "/model.zip"])
def test_a_stored_model_comes_as_a_zip(tail: str, server: Server) -> None:
    response = get(server, f"/models/{saved(server)['id']}{tail}")
    assert response.headers["content-type"] == "application/zip"
    assert unzipped(response.content) == CLASSIFIER


def test_every_save_gets_an_id_that_nobody_guesses(server: Server) -> None:
    ids = {str(saved(server)["id"]) for _ in range(20)}
    assert len(ids) == 20
    assert all(re.fullmatch(r"[\w-]{20,}", name) for name in ids)


def test_json_and_shards_may_have_names_of_their_own(server: Server) -> None:
    document = CLASSIFIER["model.json"].replace(b"./model.weights.bin", b"sub/my net.bin")
    told = saved(server, {"m.zip": zipped({"net.json": document, "sub/my net.bin": CLASSIFIER["model.weights.bin"]})})
    assert get(server, str(told["url"])).content == document
    assert get(server, f"/models/{told['id']}/sub/my%20net.bin").content == CLASSIFIER["model.weights.bin"]


def test_processing_makes_a_new_id_and_leaves_the_old_one(server: Server) -> None:
    old = saved(server, with_weights(3))
    new = process(server, old["id"], process=SCALE)
    assert new["id"] != old["id"]
    assert (weights_of(server, old["id"]), weights_of(server, new["id"])) == ({3}, {6})
    assert new["report"]["changed_tensors"] == 4  # type: ignore[index]
    assert get(server, f"/models/{new['id']}/model_meta.json").content == CLASSIFIER["model_meta.json"]


def test_processing_takes_query_and_form_as_well(server: Server) -> None:
    old = saved(server, with_weights(3))["id"]
    by_query = ask(server, "POST", f"/models/{old}/process", params={"process": json.dumps(SCALE)})
    by_form = post(server, f"/models/{old}/process", fields={"process": json.dumps(SCALE)})
    assert [weights_of(server, response.json()["id"]) for response in (by_query, by_form)] == [{6}, {6}]


def test_stored_models_are_averaged(server: Server) -> None:
    one, three = saved(server, with_weights(1))["id"], saved(server, with_weights(3))["id"]
    told = process(server, one, process=[{"step": "average"}], **{"with": [three]})
    assert weights_of(server, told["id"]) == {2}


def test_processing_quantises_and_cuts(server: Server) -> None:
    told = process(server, saved(server)["id"], process=[], quantize="uint8", shard_bytes=100)
    shards = [file["bytes"] for file in told["files"] if file["name"].endswith(".bin")]  # type: ignore[attr-defined]
    assert shards == [100, 32]


@pytest.mark.parametrize("others", [["nobody"], "nobody", ["../x"], [5], [None], {"a": 1}])
def test_a_model_to_process_with_that_is_not_there_is_said(others: object, server: Server) -> None:
    body = {"process": [{"step": "average"}], "with": others}
    problem_of(ask(server, "POST", f"/models/{saved(server)['id']}/process", json=body), 400, 404, 422)


def test_a_model_to_process_that_is_not_there_is_404(server: Server) -> None:
    assert ask(server, "POST", "/models/nobody/process", json={"process": SCALE}).status_code == 404


def test_a_deleted_model_is_gone(server: Server) -> None:
    told = saved(server)
    response = ask(server, "DELETE", f"/models/{told['id']}")
    assert (response.status_code, response.content) == (204, b"")
    assert get(server, str(told["url"])).status_code == 404
    assert ask(server, "DELETE", f"/models/{told['id']}").status_code == 404


@pytest.mark.parametrize("name", ["..", "%2e%2e", ".", "%2e", "..%2f..", "%00", "*", "x" * 300])
def test_nothing_else_can_be_deleted(name: str, server: Server) -> None:
    told = saved(server)
    assert ask(server, "DELETE", f"/models/{name}").status_code in (404, 405)
    assert get(server, str(told["url"])).status_code == 200


def test_of_several_models_the_first_is_stored_and_the_others_are_told(server: Server) -> None:
    told = saved(server, [*CLASSIFIER.items(), *REGRESSION.items()])
    assert "2 models" in told["warnings"][0]
    assert unzipped(get(server, f"/models/{told['id']}.zip").content) == CLASSIFIER


@pytest.mark.parametrize("option", ["process", "quantize", "shard_bytes"])
def test_save_with_options_does_them_or_says_that_it_does_not(option: str, server: Server) -> None:
    value = {"process": json.dumps(SCALE), "quantize": "uint8", "shard_bytes": "64"}[option]
    response = post(server, "/models", CLASSIFIER, fields={option: value})
    if response.status_code != 201:
        problem_of(response, 400, 422)
    else:
        found = get(server, f"/models/{response.json()['id']}.zip").content
        assert unzipped(found) != CLASSIFIER


# What stays, and for how long ----------------------------------------------------------------------------------------


def test_two_servers_share_one_store_and_it_outlives_them(tmp_path: Path) -> None:
    with serving(store=tmp_path) as two:
        with serving(store=tmp_path) as one:
            told = saved(one)
            assert get(two, f"/models/{told['id']}/model_meta.json").content == CLASSIFIER["model_meta.json"]
        assert get(two, f"/models/{told['id']}/model.json").content == CLASSIFIER["model.json"]


def test_several_workers_serve_one_store() -> None:
    with serving("--workers", "2") as server, ThreadPoolExecutor(8) as pool:
        told = saved(server)
        found = list(pool.map(lambda _: get(server, f"/models/{told['id']}/model.json").content, range(40)))
    assert set(found) == {CLASSIFIER["model.json"]}


def test_the_time_of_expiry_is_told(server: Server) -> None:
    until = datetime.fromisoformat(str(saved(server)["expires"]).replace("Z", "+00:00"))
    assert 6 < (until - datetime.now(timezone.utc)).total_seconds() / 86400 <= 7.01


def test_an_expired_model_is_gone_from_disk() -> None:
    with serving("--expire", "1s") as server:
        told = saved(server)
        assert get(server, str(told["url"])).status_code == 200
        time.sleep(1.5)
        assert get(server, str(told["url"])).status_code == 404
        saved(server)
        assert eventually(lambda: len(server.stored()) <= 5)
        assert str(told["id"]) not in str(list(server.store.rglob("*")))


def test_a_full_store_is_507_and_deleting_makes_room() -> None:
    with serving("--quota", str(3 * ON_DISK + ON_DISK // 2)) as server:
        ids = [saved(server)["id"] for _ in range(3)]
        problem_of(post(server, "/models", CLASSIFIER), 507)
        problem_of(ask(server, "POST", f"/models/{ids[0]}/process", json={"process": SCALE}), 507)
        assert len([name for name in server.stored() if name == "model.weights.bin"]) == 3
        ask(server, "DELETE", f"/models/{ids[0]}")
        saved(server)


def test_a_full_store_still_converts() -> None:
    with serving("--quota", "1000") as server:
        problem_of(post(server, "/models", CLASSIFIER), 507, 413)
        assert zip_of(post(server, "/convert", CLASSIFIER))["model.json"] == sample()["model.json"]
        assert eventually(lambda: server.left() == [])
