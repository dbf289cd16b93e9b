"""The step finetune: more training on the server, told as it goes, within limits, and over when nobody waits."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from serving import (
    CLASSIFIER,
    EVENTS,
    REGRESSION,
    Server,
    ask,
    colours,
    events_of,
    eventually,
    finetune,
    get,
    post,
    problem_of,
    saved,
    saved_data,
    serving,
    steps_of,
    streaming,
    table,
    upload,
    zip_of,
    zipped,
)
from tfjs_torch_server import events
from tfjs_torch_server.work import Work

from tfjs_torch import ml5

ROWS = colours(60)
DATA = saved_data(ROWS)
WITH_DATA = {**CLASSIFIER, "data.json": DATA}
LONG = '[{"step": "finetune", "epochs": 1000, "batch_size": 1}]'
LIMITS = ("--train-rows", "500", "--train-epochs", "200000", "--train-seconds", "1")


def trained(server: Server, files: Any = None, process: str = "", **more: Any) -> dict[str, bytes]:
    """The files of the answer."""
    response = post(server, "/convert", files or WITH_DATA, process=process or finetune(), **more)
    return zip_of(response)


def report_of(files: dict[str, bytes]) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(files["report.json"])
    return report


# What comes back ------------------------------------------------------------------------------------------------------


def test_the_step_is_offered_with_what_it_takes(server: Server) -> None:
    step = steps_of(server)["finetune"]
    assert step["takes"] == "module"
    assert list(step["options"]["properties"])[:2] == ["epochs", "learning_rate"]
    assert step["options"]["properties"]["epochs"]["maximum"] == 1000
    assert get(server, "/formats").json()["limits"]["train_rows"] == 20_000


def test_it_is_the_training_of_the_library(server: Server) -> None:
    network = ml5.load(CLASSIFIER)
    network.train(ROWS, epochs=3, seed=5)
    found = trained(server, process=finetune(3, seed=5))
    assert found["model.weights.bin"] == network.files()["model.weights.bin"]
    assert found["model_meta.json"] == CLASSIFIER["model_meta.json"]


def test_the_report_tells_how_it_went(server: Server) -> None:
    report = report_of(trained(server, process=finetune(30)))
    told = report["finetune"]
    assert [epoch["epoch"] for epoch in told["epochs"]] == list(range(1, 31))
    assert (told["rows"], told["new_labels"]) == (60, [])
    assert told["accuracy"]["after"] > told["accuracy"]["before"]
    assert told["loss"]["after"] < told["loss"]["before"]
    assert report["changed_parameters"] > 100
    assert report["steps"][0]["epochs"] == 30


def test_new_labels_widen_the_network(server: Server) -> None:
    data = saved_data(colours(90, ["red", "blue", "purple"]))
    found = trained(server, {**CLASSIFIER, "data.json": data})
    told = report_of(found)["finetune"]
    assert told["new_labels"] == ["purple"]
    assert told["labels"] == ["red", "yellow", "green", "blue", "purple"]
    network = ml5.load({name: found[name] for name in CLASSIFIER})
    assert len(network.classify([1, 2, 3])) == 5
    changed = {tensor["name"]: tensor["changed"] for tensor in report_of(found)["tensors"]}
    assert changed["dense_Dense2/kernel"] is None
    assert changed["dense_Dense1/kernel"] > 0


def test_numbers_are_learnt_too(server: Server) -> None:
    inputs, outputs = (json.loads(REGRESSION["model_meta.json"])[side] for side in ("inputs", "outputs"))
    rows = [{"xs": dict.fromkeys(inputs, 10), "ys": {name: told["max"] for name, told in outputs.items()}}]
    files = {**REGRESSION, "data.json": saved_data(rows * 20)}
    told = report_of(trained(server, files, finetune(30, learning_rate=0.01)))["finetune"]
    assert "accuracy" not in told
    assert told["loss"]["after"] < told["loss"]["before"]


@pytest.mark.parametrize("place", ["field", "text", "zip", "csv", "flat rows"])
def test_data_may_come_as(place: str, server: Server) -> None:
    fields = [("process", finetune(3, seed=5)), *([("data", DATA.decode())] if place == "text" else [])]
    files: Any = {
        "field": [*CLASSIFIER.items(), ("data", DATA)], "text": CLASSIFIER, "zip": {"all.zip": zipped(WITH_DATA)},
        "csv": {**CLASSIFIER, "my rows.csv": table(ROWS)},
        "flat rows": [*CLASSIFIER.items(), ("data", json.dumps([{**row["xs"], **row["ys"]} for row in ROWS]).encode())],
    }[place]  # fmt: skip
    found = zip_of(post(server, "/convert", files, fields=fields))
    assert found["model.weights.bin"] == trained(server, process=finetune(3, seed=5))["model.weights.bin"]


def test_a_name_of_its_own_stays(server: Server) -> None:
    renamed = {
        name.replace("model", "gesture"): data.replace(b"./model.", b"./gesture.") for name, data in CLASSIFIER.items()
    }
    assert set(renamed) < set(trained(server, {**renamed, "data.json": DATA}))


def test_other_steps_may_stand_before_and_after(server: Server) -> None:
    steps = [{"step": "scale", "factor": 0.5}, *json.loads(finetune()), {"step": "prune", "amount": 0.5}]
    found = trained(server, process=json.dumps(steps))
    assert [step["step"] for step in report_of(found)["steps"]] == ["scale", "finetune", "prune"]
    network = ml5.load({name: found[name] for name in CLASSIFIER})
    zeros = sum(int((tensor == 0).sum()) for tensor in network.module.state_dict().values())
    assert zeros >= 60


@pytest.mark.parametrize("to", ["safetensors", "npz"])
def test_the_result_may_be_of_another_kind(to: str, server: Server) -> None:
    response = post(server, "/convert", WITH_DATA, process=finetune(), to=to)
    assert response.status_code == 200
    assert f'filename="model.{to}"' in response.headers["content-disposition"]


def test_a_stored_model_becomes_a_new_one(server: Server) -> None:
    own = saved(server)["id"]
    told = ask(server, "POST", f"/models/{own}/process", json={"process": json.loads(finetune()), "data": ROWS}).json()
    again = post(server, f"/models/{own}/process", {"data.json": DATA}, fields={"process": finetune()}).json()
    assert told["id"] != own
    assert told["report"]["finetune"]["rows"] == 60
    files = [get(server, one["files"][1]["url"]).content for one in (told, again)]
    assert files[0] == files[1]


def test_data_without_the_step_are_told(server: Server) -> None:
    report = post(server, "/convert", WITH_DATA, accept="application/json").json()
    assert "data.json" in str(report["warnings"])


# Events ---------------------------------------------------------------------------------------------------------------


def test_progress_comes_as_events_and_the_result_is_stored(server: Server) -> None:
    response = post(
        server, "/convert", WITH_DATA, process=finetune(100), accept=EVENTS, headers={"Origin": "http://a.b"}
    )
    assert response.headers["content-type"].startswith(EVENTS)
    assert (response.headers["cache-control"], response.headers["x-accel-buffering"]) == ("no-store", "no")
    assert response.headers["access-control-allow-origin"] == "*"
    (first, _), *progress, (last, done) = events_of(response.text)
    assert (first, last) == ("started", "done")
    epochs = [told["epoch"] for kind, told in progress if kind == "progress"]
    assert (epochs[0], epochs[-1]) == (1, 100)
    assert epochs == sorted(set(epochs))
    assert {"epochs", "loss", "accuracy", "val_loss", "seconds"} <= progress[0][1].keys()
    assert done["report"]["finetune"]["rows"] == 60
    assert [file["name"] for file in done["files"]] == ["model.json", "model.weights.bin", "model_meta.json"]
    assert len(get(server, done["files"][1]["url"]).content) == 528


def test_events_come_while_it_trains_and_not_too_many(server: Server) -> None:
    with streaming(server, finetune(200)) as lines:
        times = [time.monotonic() for line in lines if line.startswith("event: progress")]
    assert times[-1] - times[0] > 0.1
    assert len(times) < 25 * (times[-1] - times[0]) + 3


def test_a_stored_model_tells_events_too(server: Server) -> None:
    body = {"process": json.loads(finetune()), "data": ROWS}
    path = f"/models/{saved(server)['id']}/process"
    response = ask(server, "POST", path, json=body, headers={"Accept": EVENTS})
    assert events_of(response.text)[-1][0] == "done"


def test_a_problem_is_the_last_event(server: Server) -> None:
    response = post(server, "/convert", CLASSIFIER, process=finetune(), accept=EVENTS)
    (kind, problem) = events_of(response.text)[-1]
    assert (kind, problem["status"], problem["where"]) == ("problem", 422, "data")


def test_events_are_for_what_can_be_stored(server: Server) -> None:
    problem_of(post(server, "/convert", WITH_DATA, process=finetune(), to="pt", accept=EVENTS), 422)


def test_a_comment_keeps_a_silent_stream_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_SILENCE", 0.1)
    sent: list[Any] = []

    async def receive() -> Any:
        await anyio.sleep_forever()

    async def send(message: Any) -> None:
        sent.append(message.get("body", b""))

    def job(_: Any) -> dict[str, Any]:
        time.sleep(0.5)
        return {"id": "x"}

    stream = events.Events(Work(tmp_path), job, print, None)
    anyio.run(stream, {"type": "http"}, receive, send)
    assert sent.count(b": still working\n\n") >= 2  # how many more depends on how busy the machine is
    assert sent[-1] == b'event: done\ndata: {"id":"x"}\n\n'


# Nobody waits ---------------------------------------------------------------------------------------------------------


def state(server: Server) -> str:
    return Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()[0]


def busy(server: Server) -> float:
    """Seconds of computing so far."""
    return sum(map(int, Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()[11:13])) / 100


def rests(server: Server) -> bool:
    before = busy(server)
    time.sleep(0.3)
    return busy(server) - before < 0.1


def test_who_closes_the_stream_ends_the_training_and_leaves_nothing() -> None:
    with serving() as server:
        for _ in range(3):  # two may train at once: the third finds a place
            with streaming(server, LONG, rows=2000) as lines:
                assert next(line for line in lines if line.startswith("event: progress"))
                assert eventually(lambda: not rests(server))
        assert eventually(lambda: rests(server))
        assert eventually(lambda: server.left() == [])


def test_who_does_not_wait_for_the_files_ends_the_training_too() -> None:
    with serving() as server:
        body, kind = upload({**CLASSIFIER, "data.json": saved_data(colours(2000))}, {"process": LONG})
        with httpx.Client(trust_env=False, timeout=3) as client, pytest.raises(httpx.ReadTimeout):
            client.post(f"{server.url}/convert", content=body, headers={"Content-Type": kind})
        assert eventually(lambda: rests(server))
        assert eventually(lambda: server.left() == [])


def test_a_server_that_is_stopped_does_not_wait_for_a_training() -> None:
    with pytest.raises(AssertionError, match="the server has ended"):
        stop_in_the_middle()


def stop_in_the_middle() -> None:
    with serving() as server, streaming(server, LONG, rows=2000) as lines:
        assert next(line for line in lines if line.startswith("event: progress"))
        os.kill(server.pid, signal.SIGTERM)
        assert eventually(lambda: state(server) == "Z", 15)


# Limits ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def strict() -> Iterator[Server]:
    with serving(*LIMITS) as started:
        yield started


BEYOND = {
    "rows": (501, finetune(1), "500 rows"),
    "epochs": (60, '[{"step": "finetune", "epochs": 1000000}]', "epochs"),
    "seconds": (500, '[{"step": "finetune", "epochs": 100000}]', "1 seconds"),
}


@pytest.mark.parametrize("limit", BEYOND)
def test_beyond_a_limit_of_the_operator_nothing_is_kept(limit: str, strict: Server) -> None:
    rows, process, named = BEYOND[limit]
    files = {**CLASSIFIER, "data.json": saved_data(colours(rows))}
    problem = problem_of(post(strict, "/convert", files, process=process), 413, 422)
    assert named in problem["detail"]
    assert eventually(lambda: strict.left() == [])


def test_events_tell_of_the_limit_and_keep_nothing(strict: Server) -> None:
    process = '[{"step": "finetune", "epochs": 100000}]'
    *progress, (kind, problem) = events_of(post(strict, "/convert", WITH_DATA, process=process, accept=EVENTS).text)
    assert progress
    assert (kind, problem["status"]) == ("problem", 413)
    assert "--train-seconds" in problem["what_to_do"]
    assert eventually(lambda: strict.left() == [])
