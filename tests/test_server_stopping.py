"""A training that is stopped early and kept: as if fewer epochs had been asked for, through any process."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from serving import (
    CLASSIFIER,
    EVENTS,
    Server,
    ask,
    colours,
    events_of,
    eventually,
    finetune,
    get,
    leaving_nothing,
    post,
    problem_of,
    saved,
    saved_data,
    serving,
    streaming,
    zip_of,
)
from tfjs_torch_server.problems import Problem
from tfjs_torch_server.stopping import Training, stop

from tfjs_torch import ml5

Told = tuple[str, dict[str, Any]]

ROWS = 500
DATA = {**CLASSIFIER, "data.json": saved_data(colours(ROWS))}
LONG = finetune(1000, seed=5, batch_size=4)


def events_in(lines: Iterator[str]) -> Iterator[Told]:
    """The events of a stream as they come."""
    kind = ""
    for line in lines:
        if line.startswith("event: "):
            kind = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield kind, json.loads(line.removeprefix("data: "))


def awaited(events: Iterator[Told], wanted: str) -> dict[str, Any]:
    return next(told for kind, told in events if kind == wanted)


def stopped(server: Server, process: str, *, after: str = "progress", through: Server | None = None) -> dict[str, Any]:
    """What the event `done` tells of a training that is stopped after the first event of a kind."""
    with streaming(server, process, ROWS) as lines:
        events = events_in(lines)
        own = awaited(events, "started")["id"]
        if after != "started":
            awaited(events, after)
        assert ask(through or server, "POST", f"/trainings/{own}/stop").status_code == 202
        return awaited(events, "done")


def weights_of(server: Server, done: dict[str, Any]) -> bytes:
    url = next(file["url"] for file in done["files"] if file["name"] == "model.weights.bin")
    return get(server, url).content


def test_a_stopped_training_gives_the_bits_of_as_many_epochs(server: Server) -> None:
    with leaving_nothing(server):
        done = stopped(server, LONG)
        told = done["report"]["finetune"]
        assert told["stopped"] is True
        assert 1 <= len(told["epochs"]) < 1000
        assert [epoch["epoch"] for epoch in told["epochs"]] == list(range(1, len(told["epochs"]) + 1))
        network = ml5.load(CLASSIFIER)
        network.train(colours(ROWS), epochs=len(told["epochs"]), seed=5, batch_size=4)
        assert weights_of(server, done) == network.files()["model.weights.bin"]
        assert told["loss"]["after"] < told["loss"]["before"]
        ask(server, "DELETE", f"/models/{done['id']}")


def test_steps_behind_the_training_are_done_as_ever(server: Server) -> None:
    rest = [{"step": "prune", "amount": 0.5}]
    done = stopped(server, json.dumps([*json.loads(LONG), *rest]))
    fewer = json.loads(finetune(len(done["report"]["finetune"]["epochs"]), seed=5, batch_size=4))
    wanted = zip_of(post(server, "/convert", DATA, process=json.dumps([*fewer, *rest])))
    assert weights_of(server, done) == wanted["model.weights.bin"]
    assert json.loads(wanted["report.json"])["finetune"]["stopped"] is False


def test_a_stop_ends_it_with_the_epoch_that_runs_and_twice_is_as_good_as_once(tmp_path: Path) -> None:
    said: list[tuple[str, dict[str, Any]]] = []
    with Training(tmp_path, lambda *event: said.append(event), str) as training:
        assert training.tell({"epoch": 1}) is None
        stop(tmp_path, training.id)
        stop(tmp_path, training.id)
        assert training.tell({"epoch": 2}) == "stop"
    assert [kind for kind, _ in said] == ["started", "progress", "progress"]
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(Problem):
        stop(tmp_path, training.id)


def test_a_stop_answers_with_nothing_and_the_training_is_shorter(server: Server) -> None:
    with streaming(server, finetune(1000, batch_size=1), 2000) as lines:
        events = events_in(lines)
        answer = press(awaited(events, "started")["stop"])
        assert (answer.status_code, answer.content) == (202, b"")
        done = awaited(events, "done")
    assert 1 <= len(done["report"]["finetune"]["epochs"]) < 1000


def press(address: str) -> httpx.Response:
    """The stop of a training, on a busy machine."""
    return httpx.post(address, trust_env=False, timeout=60)


def test_another_process_on_the_same_store_stops_it_too(tmp_path: Path) -> None:
    with serving(store=tmp_path) as one, serving(store=tmp_path) as two:
        done = stopped(one, LONG, through=two)
        assert done["report"]["finetune"]["stopped"]
        ask(two, "DELETE", f"/models/{done['id']}")
        assert eventually(lambda: one.left() == [])


def test_workers_of_one_server_stop_each_others_trainings() -> None:
    with serving("--workers", "2") as server:
        for _ in range(4):
            assert stopped(server, LONG)["report"]["finetune"]["stopped"]


def test_a_training_of_a_stored_model_is_stopped_too(server: Server) -> None:
    path, body = f"/models/{saved(server)['id']}/process", {"process": json.loads(LONG), "data": colours(ROWS)}
    with httpx.stream(
        "POST", server.url + path, json=body, headers={"Accept": EVENTS}, trust_env=False, timeout=60
    ) as response:
        events = events_in(response.iter_lines())
        press(awaited(events, "started")["stop"])
        assert awaited(events, "done")["report"]["finetune"]["stopped"]


def test_a_stop_makes_room_for_the_next_training(server: Server) -> None:
    with streaming(server, LONG, ROWS) as first, streaming(server, LONG, ROWS) as second:
        running = [awaited(events_in(lines), "started")["id"] for lines in (first, second)]
        with streaming(server, finetune(1), ROWS) as third:  # two may train at once: it waits
            ask(server, "POST", f"/trainings/{running[0]}/stop")
            assert awaited(events_in(third), "done")["report"]["finetune"]["stopped"] is False
        assert awaited(events_in(first), "done")["report"]["finetune"]["stopped"] is True


# What cannot be stopped ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "own",
    ["x", "..", "%2e%2e", "A" * 22, "A" * 23, "A" * 5000, "%00", "a%2Fb", "..%2F..%2Fmodels", "ä" * 22, "%ff" * 22],
)
def test_an_id_that_is_none_is_nothing_there(own: str, server: Server) -> None:
    with leaving_nothing(server):
        problem_of(ask(server, "POST", f"/trainings/{own}/stop"), 404)


def test_a_stored_model_is_no_training(server: Server) -> None:
    own = saved(server)["id"]
    problem_of(ask(server, "POST", f"/trainings/{own}/stop"), 404)
    assert get(server, f"/models/{own}").status_code == 200


def test_a_training_that_is_over_is_nothing_there_and_the_advice_says_so(server: Server) -> None:
    told = dict(events_of(post(server, "/convert", DATA, process=finetune(), accept=EVENTS).text))
    assert told["done"]["report"]["finetune"]["stopped"] is False
    problem = problem_of(press(told["started"]["stop"]), 404)
    assert "over" in problem["what_to_do"]


def test_a_training_that_was_cancelled_or_failed_is_nothing_there() -> None:
    with serving("--train-seconds", "1") as server:
        with streaming(server, LONG, ROWS) as lines:
            gone = awaited(events_in(lines), "started")["stop"]
        assert eventually(lambda: press(gone).status_code == 404)
        with streaming(server, finetune(1000, batch_size=1), 2000) as lines:
            events = events_in(lines)
            failed = awaited(events, "started")["stop"]
            awaited(events, "problem")
        problem_of(press(failed), 404)
        assert eventually(lambda: server.left() == [])


def test_what_does_not_train_has_nothing_to_stop(server: Server) -> None:
    prune = '[{"step": "prune", "amount": 0.3}]'
    found = events_of(post(server, "/convert", CLASSIFIER, process=prune, accept=EVENTS).text)
    assert [kind for kind, _ in found] == ["done"]


def test_the_log_does_not_tell_ids() -> None:
    with serving() as server:
        with streaming(server, LONG, ROWS) as lines:
            events = events_in(lines)
            own = awaited(events, "started")["id"]
            ask(server, "POST", f"/trainings/{own}/stop")
            awaited(events, "done")
        assert eventually(lambda: "/trainings/" in server.log.read_text())
        assert own not in server.log.read_text()


def test_only_who_has_the_token_stops() -> None:
    with serving("--token", "secret") as server:
        problem_of(ask(server, "POST", f"/trainings/{'A' * 22}/stop"), 401)


def test_what_a_server_that_died_has_left_is_swept(tmp_path: Path) -> None:
    for name in ("training-", "stopping-"):
        (tmp_path / "work" / f"{name}{'A' * 22}").mkdir(parents=True)
        os.utime(tmp_path / "work" / f"{name}{'A' * 22}", (0, 0))
    with serving(store=tmp_path) as server:
        assert server.left() == []
