"""Options that mean nothing, in every place that takes options: 422 or 400, naming the option; never a 500."""

from __future__ import annotations

from typing import Any

import pytest
from serving import CLASSIFIER, STEPS, Server, ask, get, in_folder, post, post_raw, problem_of, saved, steps_of

OPTIONS: dict[str, list[Any]] = {
    "to": ["exe", "tfjs\0", ["tfjs", "pt"], "x" * 5000],
    "layout": ["keras"],
    "quantize": ["uint4", "uint8:nothing*", "uint8:[" + "x" * 5000, ["uint8", "uint16"], ":", "uint8:" + "*a" * 50],
    "shard_bytes": ["-1", "0", "nan", "inf", "1e999", "x", "9" * 400, "4 apples", "٤"],
    "histograms": ["-1", "257", "nan", "9" * 5000, "x", "²", "1.5"],
}
MEANT = [(name, value) for name, values in OPTIONS.items() for value in values]


@pytest.mark.parametrize(("name", "value"), MEANT, ids=lambda value: str(value)[:20])
def test_an_option_that_means_nothing_is_said(name: str, value: Any, server: Server) -> None:
    problem = problem_of(post(server, "/convert", CLASSIFIER, **{name: value}), 400, 422)
    assert name in problem["where"] + problem["detail"]


@pytest.mark.parametrize("place", ["query", "field"])
def test_a_misspelt_option_is_told(place: str, server: Server) -> None:
    more: Any = {"quantise": "uint8"} if place == "query" else {"fields": {"quantise": "uint8"}}
    response = post(server, "/convert", CLASSIFIER, accept="application/json", **more)
    said = response.json()["warnings"] if response.status_code == 200 else problem_of(response, 400, 422)
    assert "quantise" in str(said)


def test_a_file_that_belongs_to_no_model_is_told(server: Server) -> None:
    response = post(server, "/convert", {**CLASSIFIER, "notes.txt": b"hello"}, accept="application/json")
    assert "notes.txt" in str(response.json()["warnings"])


PROCESS = [
    "x", "{", "5", "null", "[5]", "[null]", "[[]]", "[{}]", '[{"step": 5}]', '[{"step": null}]', "{}",
    '[{"step": "nothing"}]', '[{"step": "__class__"}]', '[{"step": "../x"}]', '[{"Step": "prune"}]',
    '[{"step": ["prune"]}]',
    '[{"step": "prune", "amout": 0.5}]', '[{"step": "prune", "amount": "half"}]', '[{"step": "prune", "amount": NaN}]',
    '[{"step": "prune", "amount": Infinity}]', '[{"step": "prune", "amount": 1e999}]',
    '[{"step": "prune", "amount": -1}]',
    '[{"step": "prune", "amount": 2}]', '[{"step": "prune", "amount": true}]', '[{"step": "prune", "amount": null}]',
    '[{"step": "prune", "amount": {}}]', f'[{{"step": "prune", "amount": {"9" * 5000}}}]',
    '[{"step": "noise", "std": 0.1, "seed": 1.5}]', '[{"step": "noise", "std": 0.1, "seed": 1e30}]',
    '[{"step": "noise", "std": 0.1, "seed": -1e300}]', '[{"step": "cast", "dtype": "object"}]',
    '[{"step": "clip", "min": 2, "max": 1}]',
    "[" * 100_000, "[" * 100_000 + "]" * 100_000,
    '[{"step": "prune", "amount": 0.1}' + ', {"step": "prune", "amount": 0.1}' * 10_000 + "]",
    '[{"step": "prune", "amount": 0.5}] x', "\ufeff[", "\0",
]  # fmt: skip


@pytest.mark.parametrize("process", PROCESS, ids=lambda text: text[:30])
def test_steps_that_mean_nothing_are_said(process: str, server: Server) -> None:
    problem_of(post(server, "/convert", CLASSIFIER, fields={"process": process}), 400, 413, 422)


@pytest.mark.parametrize("process", PROCESS, ids=lambda text: text[:30])
def test_steps_that_mean_nothing_are_said_of_stored_models_too(process: str, server: Server) -> None:
    if process == "null":  # as if it were not there
        return
    body = b'{"process": %s}' % process.encode()
    problem_of(post_raw(server, f"/models/{saved(server)['id']}/process", body, "application/json"), 400, 413, 422)


NUMBERS = [
    "NaN",
    "-Infinity",
    "1e999",
    '"x"',
    "[]",
    "{}",
    "9" * 400,
    "-1e308",
    "1e308",
    "null",
    "true",
    '"\\ud800"',
    "-0.0",
    "1e-320",
]


@pytest.mark.parametrize("name", STEPS)
def test_no_value_of_any_option_of_a_step_is_a_fault_of_the_server(name: str, server: Server) -> None:
    step = steps_of(server)[name]
    files = in_folder("0", CLASSIFIER) + in_folder("1", CLASSIFIER)
    for option in step["options"]["properties"]:
        for number in NUMBERS:
            process = f'[{{"step": "{name}", "{option}": {number}}}]'
            response = post(server, "/convert", files, fields={"process": process}, accept="application/json")
            assert response.status_code == 200 or problem_of(response, 400, 422), process
            assert response.status_code != 200 or number not in ("NaN", "-Infinity", "1e999", "{}"), process


BODIES = [
    b"{", b"5", b"null", b'"x"', b"[]", b"[" * 100_000, b"\xff", b'{"process": 5}', b'{"proces": []}',
    b'{"with": [[]]}', b'{"process": [], "quantize": {"uint8": "a"}}', b'{"process": [], "shard_bytes": -1}',
    b'{"process": [], "with": ["a", null]}', b'{"process": [], "shard_bytes": NaN}',
    b'{"process": [], "shard_bytes": true}',
]  # fmt: skip


@pytest.mark.parametrize("body", BODIES, ids=lambda body: str(body[:30]))
def test_a_body_of_process_that_means_nothing_is_said(body: bytes, server: Server) -> None:
    problem_of(post_raw(server, f"/models/{saved(server)['id']}/process", body, "application/json"), 400, 413, 422)


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "x"])
def test_a_body_of_process_of_another_kind_is_415(kind: str, server: Server) -> None:
    problem_of(post_raw(server, f"/models/{saved(server)['id']}/process", b"{}", kind), 415)


def test_a_body_of_process_of_10_megabytes_is_413(server: Server) -> None:
    body = b'{"process": [' + b" " * (10 << 20) + b"]}"
    problem_of(post_raw(server, f"/models/{saved(server)['id']}/process", body, "application/json"), 413, 400)


@pytest.mark.parametrize("query", ["?to", "?=", "?&&&", "?%ff=%ff", "?" + "a=b&" * 2000, "?to=tfjs#x", "?process=%00"])
def test_an_odd_query_is_no_fault_of_the_server(query: str, server: Server) -> None:
    body, kind = b"--x--\r\n", "multipart/form-data; boundary=x"
    assert 400 <= post_raw(server, f"/convert{query}", body, kind).status_code < 500
    assert get(server, f"/healthz{query}").status_code == 200


def test_options_in_fields_may_not_be_huge(server: Server) -> None:
    problem_of(post(server, "/convert", CLASSIFIER, fields={"process": " " * (4 << 20)}), 400, 413, 422)
    assert ask(server, "GET", "/healthz").status_code == 200
