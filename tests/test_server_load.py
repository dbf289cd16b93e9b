"""Twenty clients at once: no error, and afterwards no file, no open file and no memory more than before.

LOAD_SECONDS sets how long they go on (default 5; the promise is for 30).
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

import httpx
import pytest
from serving import CLASSIFIER, Server, eventually, head_of, serving, upload

SECONDS = float(os.environ.get("LOAD_SECONDS", "5"))
CLIENTS = 20
BODY, KIND = upload(CLASSIFIER)
STEPS = [json.dumps([{"step": "prune", "amount": 0.5}]), json.dumps([{"step": "noise", "std": 0.1, "seed": 1}]), "[]"]

Action = Callable[[httpx.Client, Server], int]


def form(client: httpx.Client, server: Server, path: str, **query: str) -> httpx.Response:
    return client.post(server.url + path, content=BODY, headers={"Content-Type": KIND}, params=query)


def convert(client: httpx.Client, server: Server) -> int:
    to = random.choice(["tfjs", "safetensors", "npz", "pt"])
    return form(client, server, "/convert", to=to, process=random.choice(STEPS)).status_code


def look(client: httpx.Client, server: Server) -> int:
    return form(client, server, "/inspect").status_code


def keep(client: httpx.Client, server: Server) -> int:
    """Save, load, process, load, delete both."""
    first = form(client, server, "/models").json()
    assert client.get(first["url"]).content == CLASSIFIER["model.json"]
    second = client.post(f"{server.url}/models/{first['id']}/process", json={"process": [{"step": "prune"}]}).json()
    assert client.get(f"{server.url}/models/{second['id']}.zip").status_code == 200
    gone = [client.delete(f"{server.url}/models/{told['id']}").status_code for told in (first, second)]
    assert gone == [204, 204]
    return 200


def go_away(client: httpx.Client, server: Server) -> int:
    """An upload that breaks off somewhere, or an answer that nobody reads."""
    whole = head_of(server, "POST", "/convert", f"Content-Length: {len(BODY)}", f"Content-Type: {KIND}") + BODY
    with socket.create_connection(server.address, timeout=20) as connection, contextlib.suppress(OSError):
        connection.sendall(whole[: random.randrange(1, len(whole) + 1)])
    return 200


def break_off(client: httpx.Client, server: Server) -> int:
    """A form that is none: refused, and the server goes on."""
    response = client.post(f"{server.url}/models", content=BODY[:-300], headers={"Content-Type": KIND})
    return 200 if response.status_code == 400 else response.status_code


def health(client: httpx.Client, server: Server) -> int:
    return client.get(f"{server.url}/healthz").status_code


ACTIONS: list[Action] = [convert, convert, convert, look, keep, go_away, break_off, health]


def hammer(server: Server, seconds: float) -> Counter[tuple[str, str]]:
    """What came back, by (action, status or error)."""
    seen: Counter[tuple[str, str]] = Counter()
    until, lock = time.monotonic() + seconds, threading.Lock()

    def work(number: int) -> None:
        with httpx.Client(trust_env=False, timeout=60) as client:
            for action in itertools.islice(itertools.cycle(ACTIONS), number, None):
                if time.monotonic() > until:
                    return
                try:
                    outcome = str(action(client, server))
                except Exception as error:
                    outcome = f"{type(error).__name__}: {error}"[:200]
                with lock:
                    seen[action.__name__, outcome] += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seen


@pytest.fixture(scope="module")
def loaded() -> Iterator[Server]:
    with serving() as started:
        hammer(started, 1)  # threads and libraries that stay are there before anything is counted
        yield started


def test_twenty_clients_get_no_error_and_leave_nothing(loaded: Server) -> None:
    assert eventually(lambda: loaded.left() == [])
    files, memory = loaded.open_files(), loaded.memory()
    seen = hammer(loaded, SECONDS)
    assert {outcome for _, outcome in seen} == {"200"}, seen
    assert {action for action, _ in seen} == {action.__name__ for action in ACTIONS}
    assert eventually(lambda: loaded.left() == []), loaded.left()
    assert eventually(lambda: loaded.open_files() <= files), f"{files} open files before, {loaded.open_files()} now"
    assert loaded.memory() - memory < 48 << 20, f"{(loaded.memory() - memory) >> 20} MiB more"
