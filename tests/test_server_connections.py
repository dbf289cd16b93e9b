"""Clients that send too much, too slowly, or go away: what they began ends, and nothing of it stays."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from helpers import entry, manifest
from serving import (
    CLASSIFIER,
    Server,
    eventually,
    get,
    head_of,
    parsed,
    post,
    problem_of,
    send_raw,
    serving,
    unharmed,
    upload,
    zip_of,
)

SIZE = 32 << 20
LARGE = {"model.json": json.dumps({"weightsManifest": manifest(entry((SIZE,), "bool"))}).encode(), "w.bin": bytes(SIZE)}


@pytest.fixture(scope="module")
def fort(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("steps")
    (folder / "my.py").write_text(TICK)
    with serving(
        "--max-upload", "40MiB", "--processor", f"{folder / 'my.py'}:tick", env={"TICKS": str(folder)}
    ) as started:
        post(started, "/convert", CLASSIFIER)
        yield started


TICK = '''
import os
import time
from pathlib import Path


def tick(state_dict: dict, options: dict) -> dict:
    """Leaves a mark and takes its time."""
    with Path(os.environ["TICKS"], "ticks").open("a") as file:
        file.write(".")
    time.sleep(0.1)
    return state_dict
'''


@pytest.fixture(autouse=True)
def nobody_hurt(fort: Server) -> Iterator[None]:
    with unharmed(fort):
        yield


def request_of(server: Server, path: str, files: dict[str, bytes], *headers: str) -> bytes:
    body, kind = upload(files)
    return head_of(server, "POST", path, f"Content-Length: {len(body)}", f"Content-Type: {kind}", *headers) + body


@contextlib.contextmanager
def connected(server: Server, data: bytes) -> Iterator[socket.socket]:
    with socket.create_connection(server.address, timeout=20) as connection:
        connection.sendall(data)
        yield connection


# Too much ------------------------------------------------------------------------------------------------------------

PATHS = ["/convert", "/models", "/inspect", "/predict"]


@pytest.mark.parametrize("path", PATHS)
def test_a_length_beyond_the_limit_is_413_before_anything_is_sent(path: str, fort: Server) -> None:
    head = head_of(fort, "POST", path, "Content-Length: 50000000", "Content-Type: multipart/form-data; boundary=x")
    start = time.monotonic()
    problem_of(parsed(send_raw(fort, head)), 413)
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("path", PATHS)
def test_more_bytes_than_the_limit_without_a_length_are_413(path: str, fort: Server) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"--x\r\nContent-Disposition: form-data; name=f; filename=w.bin\r\n\r\n"
        for _ in range(60):
            yield bytes(1 << 20)

    head = head_of(fort, "POST", path, "Transfer-Encoding: chunked", "Content-Type: multipart/form-data; boundary=x")
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks())
    problem_of(parsed(send_raw(fort, head + body + b"0\r\n\r\n")), 413)


def test_a_client_that_asks_first_is_told_to_go_on(fort: Server) -> None:
    head, body = request_of(fort, "/convert", CLASSIFIER, "Expect: 100-continue").split(b"\r\n\r\n", 1)
    with connected(fort, head + b"\r\n\r\n") as connection:
        assert connection.recv(1000).startswith(b"HTTP/1.1 100")
        connection.sendall(body)
        assert b"200" in connection.recv(1000)


def test_a_client_that_asks_first_with_too_much_is_told_no(fort: Server) -> None:
    lines = ["Content-Length: 50000000", "Content-Type: multipart/form-data; boundary=x", "Expect: 100-continue"]
    with connected(fort, head_of(fort, "POST", "/convert", *lines)) as connection:
        assert connection.recv(1000).startswith(b"HTTP/1.1 413")


# Too slowly ----------------------------------------------------------------------------------------------------------


def test_slow_clients_keep_nobody_waiting(fort: Server) -> None:
    whole = request_of(fort, "/convert", LARGE)
    with contextlib.ExitStack() as stack:
        for length in [10, 200, len(whole) // 8] * 20:
            stack.enter_context(connected(fort, whole[:length]))
        start = time.monotonic()
        assert zip_of(post(fort, "/convert", CLASSIFIER))
        assert get(fort, "/healthz").status_code == 200
        assert time.monotonic() - start < 5


def test_a_slow_upload_arrives_whole(fort: Server) -> None:
    whole = request_of(fort, "/convert", CLASSIFIER)
    with connected(fort, whole[:300]) as connection:
        for start in range(300, len(whole), 300):
            time.sleep(0.02)
            connection.sendall(whole[start : start + 300])
        assert b"200 OK" in connection.recv(1000)


def test_small_requests_stay_quick_beside_large_ones(fort: Server) -> None:
    with ThreadPoolExecutor(2) as pool:
        large = [pool.submit(post, fort, "/convert", LARGE, quantize="") for _ in range(2)]
        slowest = 0.0
        while not all(one.done() for one in large):
            start = time.monotonic()
            get(fort, "/healthz")
            slowest = max(slowest, time.monotonic() - start)
        assert all(one.result().status_code == 200 for one in large)
    assert slowest < 2


# Gone ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("fraction", [0.0001, 0.1, 0.5, 0.99])
def test_an_upload_that_stops_midway_leaves_nothing(path: str, fraction: float, fort: Server) -> None:
    whole = request_of(fort, path, LARGE)
    with connected(fort, whole[: int(len(whole) * fraction)]):
        pass


def test_an_upload_that_breaks_off_with_a_reset_leaves_nothing(fort: Server) -> None:
    whole = request_of(fort, "/models", LARGE)
    with connected(fort, whole[: len(whole) // 2]) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def test_a_client_that_shuts_its_side_too_early_gets_400_or_nothing(fort: Server) -> None:
    whole = request_of(fort, "/convert", CLASSIFIER)
    answer = send_raw(fort, whole[:1000], shut=True)
    assert answer == b"" or parsed(answer).status_code == 400


@pytest.mark.parametrize("accept", ["application/zip", "multipart/form-data"])
def test_a_download_that_stops_midway_leaves_nothing(accept: str, fort: Server) -> None:
    with connected(fort, request_of(fort, "/convert", LARGE, f"Accept: {accept}")) as connection:
        assert b"200 OK" in connection.recv(1000)


def test_work_stops_when_the_client_has_gone(fort: Server, tmp_path_factory: pytest.TempPathFactory) -> None:
    marks = Path(next(tmp_path_factory.getbasetemp().glob("steps*")), "ticks")
    marks.unlink(missing_ok=True)
    path = "/convert?process=" + json.dumps([{"step": "tick"}] * 60).replace(" ", "").replace('"', "%22")
    with connected(fort, request_of(fort, path, CLASSIFIER)):
        assert eventually(marks.exists)
    time.sleep(0.5)
    done = marks.stat().st_size
    time.sleep(0.5)
    assert marks.stat().st_size == done < 30


def test_many_who_go_leave_no_thread_behind(fort: Server) -> None:
    whole = request_of(fort, "/convert", CLASSIFIER)
    threads = len(list(Path(f"/proc/{fort.pid}/task").iterdir()))
    for _ in range(200):
        with connected(fort, whole[:-10]):
            pass
    assert len(list(Path(f"/proc/{fort.pid}/task").iterdir())) <= threads + 40
