"""/inspect, /predict, /formats, /healthz; tokens, CORS, Host, HEAD, the access log; the operator's own steps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import SAMPLES
from serving import (
    CLASSIFIER,
    STEPS,
    Server,
    ask,
    eventually,
    get,
    head_of,
    in_folder,
    parsed,
    post,
    problem_of,
    saved,
    send_raw,
    serving,
    steps_of,
    with_weights,
    zip_of,
    zipped,
)

import tfjs_torch

# /inspect, /predict --------------------------------------------------------------------------------------------------


def test_inspect_is_what_the_library_says_and_the_sidecars(server: Server) -> None:
    found = post(server, "/inspect", CLASSIFIER).json()
    said = json.loads(json.dumps(tfjs_torch.inspect(CLASSIFIER, stats=True).to_dict()))
    assert {**said, "where": found["where"]}.items() <= found.items()
    assert found["where"] == "model.json"
    assert (found["meta"], found["metadata"]) == (json.loads(CLASSIFIER["model_meta.json"]), None)
    assert {file["name"]: file["bytes"] for file in found["sizes"]} == {k: len(v) for k, v in CLASSIFIER.items()}


def test_inspect_tells_how_layers_hang_together(server: Server) -> None:
    outline = post(server, "/inspect", CLASSIFIER).json()["outline"]
    assert [layer["name"] for layer in outline["layers"]] == ["dense_Dense1", "dense_Dense2"]
    assert [layer["output_shape"] for layer in outline["layers"]] == [[None, 16], [None, 4]]
    assert outline["layers"][1]["inputs"] == ["dense_Dense1"]
    assert (outline["inputs"][0]["shape"], outline["outputs"][0]["shape"]) == ([None, 3], [None, 4])
    assert (outline["runs"], outline["why_not"]) == (True, "")


def test_inspect_reads_the_metadata_of_teachable_machine(server: Server) -> None:
    files = {**CLASSIFIER, "metadata.json": b'{"labels": ["cat", "dog"], "imageSize": 224}'}
    assert post(server, "/inspect", files).json()["metadata"]["labels"] == ["cat", "dog"]


@pytest.mark.parametrize(
    "files", [{"m.zip": zipped(CLASSIFIER.items())}, dict(in_folder("m", CLASSIFIER))], ids=["zip", "folder"]
)
def test_inspect_takes_a_zip_and_a_folder(files: dict[str, bytes], server: Server) -> None:
    assert post(server, "/inspect", files).json()["parameters"] == 132


def test_inspect_says_why_a_model_does_not_run_here(server: Server) -> None:
    document = CLASSIFIER["model.json"].replace(b'"class_name":"Dense"', b'"class_name":"Odd"', 1)
    outline = post(server, "/inspect", {**CLASSIFIER, "model.json": document}).json()["outline"]
    assert not outline["runs"]
    assert "Odd" in outline["why_not"]


INPUTS = ["[[[0.1, 0.2, 0.3], [1, 2, 3]]]", "[[0.1, 0.2, 0.3], [1, 2, 3]]", "[[0.1, 0.2, 0.3]]", "[[[0.1, 0.2, 0.3]]]"]


@pytest.mark.parametrize("inputs", INPUTS)
def test_predict_is_what_the_library_predicts(inputs: str, server: Server) -> None:
    found = post(server, "/predict", CLASSIFIER, fields={"inputs": inputs})
    assert found.status_code == 200, found.text
    given = np.array(json.loads(inputs), "f4").reshape(-1, 3)
    wanted = tfjs_torch.load_model(CLASSIFIER).predict(given)
    assert np.allclose(found.json()["outputs"][0], wanted, atol=1e-6)
    assert len(found.json()["output_names"]) == 1


WRONG_INPUTS = [
    "", "x", "5", "{}", "[]", "[[]]", "[[1, 2]]", "[[1, 2, 3], [4]]", '[["a", "b", "c"]]', "[[1, 2, NaN]]",
    "[[[1, 2, 3]], [[1, 2, 3]]]", "null", "[null]", "[[true, null, 1]]", "[" * 5000, "[[1e400, 1, 1]]",
    "[[" + "9" * 5000 + ", 1, 1]]",
]  # fmt: skip


@pytest.mark.parametrize("inputs", WRONG_INPUTS, ids=lambda text: text[:20])
def test_inputs_that_do_not_fit_are_said(inputs: str, server: Server) -> None:
    problem_of(post(server, "/predict", CLASSIFIER, fields={"inputs": inputs}), 400, 422)


def test_predict_without_inputs_is_said(server: Server) -> None:
    assert "inputs" in str(problem_of(post(server, "/predict", CLASSIFIER), 400, 422))


# /formats, /healthz --------------------------------------------------------------------------------------------------


def test_health_is_told(server: Server) -> None:
    assert get(server, "/healthz").json() == {"status": "ok", "version": tfjs_torch.__version__}


def test_formats_tell_everything_that_convert_takes(server: Server) -> None:
    found = get(server, "/formats").json()
    assert set(found["to"]) == {"tfjs", "safetensors", "pt", "npz", "pt2", "onnx"}
    assert set(found["quantize"]) >= {"uint8", "uint16", "float16"}
    assert set(found["layouts"]) == {"tfjs", "torch"}
    assert {step["name"] for step in found["steps"]} >= set(STEPS)
    assert found["limits"]["max_upload"] == 1 << 30
    assert found["token"] is False
    assert found["tfjs"]["integrity"].startswith("sha384-")


@pytest.mark.parametrize("name", STEPS)
def test_a_step_is_told_as_a_schema_that_becomes_controls(name: str, server: Server) -> None:
    step = steps_of(server)[name]
    assert step["title"]
    assert step["description"]
    for option in step["options"]["properties"].values():
        assert option["title"]
        assert option["description"]
        assert "type" in option or "enum" in option or "anyOf" in option


@pytest.mark.parametrize("name", STEPS)
def test_a_step_runs_with_the_defaults_of_its_schema(name: str, server: Server) -> None:
    step = steps_of(server)[name]
    options = {key: value["default"] for key, value in step["options"]["properties"].items() if "default" in value}
    lacking = set(step["options"].get("required", ())) - set(options)
    options |= {key: step["options"]["properties"][key].get("minimum", 0.5) for key in lacking}
    others = [part for n in range(step["others"][0]) for part in in_folder(str(n), with_weights(n))]
    files = in_folder("main", CLASSIFIER) + others
    response = post(server, "/convert", files, process=json.dumps([{"step": name, **options}]))
    assert response.status_code == 200, response.text
    said = json.loads(zip_of(response)["report.json"])["steps"][0]
    assert said.items() >= {"step": name, **options}.items()


# Tokens --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def locked() -> Iterator[Server]:
    with serving("--token", "s3cret") as started:
        yield started


BEARER = {"Authorization": "Bearer s3cret"}
WRITING = [
    ("POST", "/convert"), ("POST", "/inspect"), ("POST", "/predict"), ("POST", "/models"), ("PUT", "/models"),
    ("POST", "/models/x/process"), ("DELETE", "/models/x"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), WRITING)
@pytest.mark.parametrize("token", ["", "Bearer wrong", "Basic s3cret", "s3cret", "Bearer s3cre", "Bearer \xe9"])
def test_writing_needs_the_token(method: str, path: str, token: str, locked: Server) -> None:
    headers = {b"Authorization": token.encode("latin-1"), b"Origin": b"null"}
    response = ask(locked, method, path, headers=headers)
    problem_of(response, 401)
    assert response.headers["www-authenticate"].startswith("Bearer")
    assert response.headers["access-control-allow-origin"] == "*"


def test_with_the_token_everything_works(locked: Server) -> None:
    told = saved(locked, headers=BEARER)
    assert get(locked, str(told["url"])).content == CLASSIFIER["model.json"]
    assert zip_of(post(locked, "/convert", CLASSIFIER, headers=BEARER))
    assert ask(locked, "DELETE", f"/models/{told['id']}", headers=BEARER).status_code == 204


def test_a_small_b_in_bearer_is_fine(locked: Server) -> None:
    assert zip_of(post(locked, "/convert", CLASSIFIER, headers={"Authorization": "bearer s3cret"}))


def test_who_only_reads_needs_no_token(locked: Server) -> None:
    paths = ["/healthz", "/formats", "/openapi.json", "/"]
    assert [get(locked, path).status_code for path in paths] == [200] * 4
    assert get(locked, "/formats").json()["token"] is True


def test_an_upload_without_the_token_is_refused_before_it_is_sent(locked: Server) -> None:
    head = head_of(
        locked, "POST", "/models", "Content-Length: 100000000", "Content-Type: multipart/form-data; boundary=x"
    )
    assert parsed(send_raw(locked, head)).status_code == 401


def test_the_token_stands_in_no_log(locked: Server) -> None:
    post(locked, "/convert", CLASSIFIER, headers=BEARER)
    assert b"s3cret" not in locked.log.read_bytes()


# Other origins and hosts ---------------------------------------------------------------------------------------------

SKETCH = {"Origin": "https://editor.p5js.org"}


@pytest.mark.parametrize("path", ["/formats", "/nothing", "/models/x/model.json", "/healthz"])
def test_every_page_may_read_by_default_and_never_with_credentials(path: str, server: Server) -> None:
    headers = get(server, path, headers=SKETCH).headers
    assert headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in headers


@pytest.mark.parametrize("path", ["/convert", "/models", "/inspect"])
def test_errors_can_be_read_by_every_page_too(path: str, server: Server) -> None:
    response = post(server, path, {"model.json": b"{"}, headers=SKETCH)
    problem_of(response, 400)
    assert response.headers["access-control-allow-origin"] == "*"


def test_a_page_may_read_the_names_of_files_and_the_place_of_the_model(server: Server) -> None:
    exposed = post(server, "/models", CLASSIFIER, headers=SKETCH).headers["access-control-expose-headers"].lower()
    assert exposed == "*" or {"content-disposition", "location"} <= set(exposed.replace(" ", "").split(","))


def test_allow_origin_narrows() -> None:
    with serving("--allow-origin", "https://a.example", "--allow-origin", "https://b.example") as server:
        for origin in ("https://a.example", "https://b.example"):
            headers = get(server, "/healthz", headers={"Origin": origin}).headers
            assert headers["access-control-allow-origin"] == origin
            assert "origin" in headers["vary"].lower()
        for origin in ("https://evil.example", "null", "https://a.example.evil.example", "http://a.example"):
            assert "access-control-allow-origin" not in get(server, "/healthz", headers={"Origin": origin}).headers
        assert get(server, "/healthz").status_code == 200


def test_allow_origin_refuses_the_preflight_of_others() -> None:
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "PUT"}
    with serving("--allow-origin", "https://a.example") as server:
        assert "access-control-allow-origin" not in ask(server, "OPTIONS", "/models", headers=asked).headers


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil.example", ""]
)
@pytest.mark.parametrize("path", ["/", "/formats", "/models/x/model.json"])
def test_a_foreign_host_is_421_on_loopback(host: str, path: str, server: Server) -> None:
    answer = send_raw(server, f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    assert parsed(answer).status_code in ((421,) if host else (400, 421))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "LOCALHOST"])
def test_names_of_loopback_are_served(host: str, server: Server) -> None:
    assert get(server, "/healthz", headers={"Host": f"{host}:{server.address[1]}"}).status_code == 200


# HEAD, methods, the log ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/healthz", "/formats", "/openapi.json"])
def test_head_is_get_without_a_body(path: str, server: Server) -> None:
    told, got = ask(server, "HEAD", path), get(server, path)
    assert (told.status_code, told.content) == (200, b"")
    assert told.headers["content-type"] == got.headers["content-type"]


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/convert"), ("DELETE", "/convert"), ("PATCH", "/models"), ("PUT", "/inspect")],
)
def test_a_method_that_is_not_there_is_405_with_those_that_are(method: str, path: str, server: Server) -> None:
    response = ask(server, method, path)
    problem_of(response, 405)
    assert response.headers["allow"]


def test_nowhere_is_404_as_a_problem(server: Server) -> None:
    problem_of(get(server, "/nothing/here"), 404)


def test_every_request_is_one_line_of_json_in_the_log(server: Server) -> None:
    def told() -> list[dict[str, Any]]:
        return [line for line in server.log_lines() if (line.get("path"), line.get("status")) == ("/convert", 200)]

    before = len(told())
    post(server, "/convert", CLASSIFIER)
    assert eventually(lambda: len(told()) == before + 1)
    line = told()[-1]
    assert line["method"] == "POST"
    assert line.keys() >= {"time", "ms", "client", "bytes_in", "bytes_out"}


def test_a_request_cannot_forge_a_line_of_the_log(server: Server) -> None:
    get(server, '/x%0a{"method":"FORGED"}')
    assert "FORGED" not in [line.get("method") for line in server.log_lines()]


# The operator's own --------------------------------------------------------------------------------------------------

OWN = '''
"""Steps of my own."""


def flip(state_dict: dict, options: dict) -> dict:
    """Turn every sign around."""
    return {name: -tensor for name, tensor in state_dict.items()}


def fails(state_dict: dict, options: dict) -> dict:
    """Always fails."""
    raise RuntimeError("secret path /home/x")


def odd(state_dict: dict, options: dict) -> dict:
    """Returns what is no state_dict."""
    return 5
'''


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    file = tmp_path_factory.mktemp("own") / "my.py"
    file.write_text(OWN)
    options = [word for name in ("flip", "fails", "odd") for word in ("--processor", f"{file}:{name}")]
    with serving(*options, may_fail=True) as started:
        yield started


def test_the_operators_step_runs_under_its_name(own: Server) -> None:
    assert "flip" in steps_of(own)
    found = zip_of(post(own, "/convert", with_weights(3), process='[{"step": "flip"}]'))
    assert set(np.frombuffer(found["model.weights.bin"], "<f4")) == {-3}


@pytest.mark.parametrize("step", ["fails", "odd"])
def test_an_operators_step_that_fails_is_said_without_its_secrets(step: str, own: Server) -> None:
    response = post(own, "/convert", CLASSIFIER, process=json.dumps([{"step": step}]))
    problem = problem_of(response, 422, 500)
    assert step in problem["where"] + problem["detail"]
    assert str(SAMPLES) not in response.text


@pytest.mark.parametrize("given", ["nowhere.py:f", "json:nothing", "json"])
def test_an_operators_step_that_is_not_there_stops_the_start(given: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="does not answer"), serving("--processor", given):
        pass


@pytest.mark.parametrize(
    "options",
    [
        ("--max-upload", "x"),
        ("--quota", "-1"),
        ("--expire", "soon"),
        ("--workers", "0"),
        ("--port", "99999"),
        ("--odd",),
    ],
    ids=str,
)
def test_an_option_that_means_nothing_stops_the_start_with_one_line(options: tuple[str, ...]) -> None:
    with (
        pytest.raises(AssertionError, match=r"tfjs-torch: .*(expected|unrecognized|invalid|see)") as caught,
        serving(*options),
    ):
        pass
    assert "Traceback" not in str(caught.value)


def test_max_upload_is_told_and_held() -> None:
    with serving("--max-upload", "1MiB") as server:
        assert get(server, "/formats").json()["limits"]["max_upload"] == 1 << 20
        problem_of(post(server, "/convert", {"x.bin": bytes(2 << 20)}), 413)
