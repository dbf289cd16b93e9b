"""The group "server": requests beside a FastAPI route that does nothing but parse or copy, on loopback."""

from __future__ import annotations

import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import quote

from .model import MB
from .report import NO_TARGET, Table, Target, memory_text, ratio_text, time_text
from .runner import ROOT, Runner, say
from .tables import command

_SAMPLE: Final = ROOT / "samples/ml5-classifier"
_BOUNDARY: Final = "benchmark"
_HEADERS: Final = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}", "Accept": "multipart/form-data"}
_ROUNDS, _REQUESTS = 20, 100
_TENSOR: Final = 10 * MB
_PEER: Final = """
from fastapi import FastAPI, Request, Response
app = FastAPI()
@app.get("/healthz")
async def health() -> dict: return {}
@app.post("/parse")
async def parse(request: Request) -> dict: return {"parts": len(await request.form())}
@app.post("/copy")
async def copy(request: Request) -> Response: return Response(await request.body())
"""


class _Served(NamedTuple):
    port: int
    pid: int


def server(runner: Runner) -> Iterator[Table]:
    """Small requests, a large model, and memory."""
    with _serving("-m", "tfjs_torch", "serve", "--max-upload", "8GiB") as ours, _peer() as peer:
        yield _small(runner, ours, peer)
        yield _large(runner, ours, peer)


def _small(runner: Runner, ours: _Served, peer: _Served) -> Table:
    explanation = (
        "samples/ml5-classifier's three files to /convert, one client on one connection, answered as "
        "multipart/form-data, beside a FastAPI route that only awaits request.form(). Rounds take turns; medians."
    )
    header = ["request", "p50", "of parsing alone", "target", "reached"]
    table = Table("Small requests", command("server"), explanation, header)
    body = _form({path.name: path.read_bytes() for path in sorted(_SAMPLE.glob("model*"))})
    paths = {
        "parsing alone": (peer.port, "/parse"),
        "no step": (ours.port, "/convert"),
        "scale": (ours.port, f"/convert?process={quote(json.dumps(['scale']))}"),
        "prune": (ours.port, f"/convert?process={quote(json.dumps(['prune']))}"),
    }
    say("small requests")
    times: dict[str, list[float]] = {name: [] for name in paths}
    for _ in range(2 if runner.quick else _ROUNDS):
        for name, (port, path) in paths.items():
            times[name] += _timed_requests(port, path, body, 10 if runner.quick else _REQUESTS)
    medians = {name: statistics.median(found) for name, found in times.items()}
    for name, seconds in medians.items():
        ratio = seconds / medians["parsing alone"]
        verdict = NO_TARGET
        if not runner.quick and name in ("scale", "prune"):
            verdict = Target("≥ 0.5× its requests/s, p50 ≤ 5 ms", 2.0).verdict(ratio, ratio_text(1 / ratio))
        table.rows.append([name, time_text(seconds), f"{ratio_text(1 / ratio)} requests/s", *verdict])
    return table


def _large(runner: Runner, ours: _Served, peer: _Served) -> Table:
    explanation = (
        "A model of tensors of 10 MB to /convert and back, beside the same bytes through a FastAPI route that returns "
        "`await request.body()`. The most memory that our process had resident in between (200 MB of it are torch)."
    )
    header = ["request", "time", "of copying", "peak memory", "target", "reached"]
    table = Table("A large model in and out", command("server"), explanation, header)
    count = 4 if runner.quick else 100
    cases: list[tuple[str, str, Target | None]] = [("no step", "/convert", Target("≤ 2.0× copying", 2.0))]
    cases += [(step, f"/convert?process={quote(json.dumps([step]))}", None) for step in ("scale", "prune")]
    for name, path, target in cases:
        say(f"large model, {name}")
        _forget_peak(ours)
        seconds, copied = (
            min(_round_trip(port, where, count) for _ in range(3))
            for port, where in ((ours.port, path), (peer.port, "/copy"))
        )
        shown = ratio_text(seconds / copied)
        verdict = target.verdict(seconds / copied, shown) if target and not runner.quick else NO_TARGET
        row = [f"{count * 10} MB, {name}", time_text(seconds), shown, memory_text(_peak(ours))]
        table.rows.append([*row, *verdict])
    return table


def _form(files: dict[str, bytes]) -> bytes:
    head = '--{}\r\nContent-Disposition: form-data; name="file"; filename="{}"\r\n\r\n'
    return b"".join(head.format(_BOUNDARY, n).encode() + data + b"\r\n" for n, data in files.items()) + _end()


def _end() -> bytes:
    return f"--{_BOUNDARY}--\r\n".encode()


def _timed_requests(port: int, path: str, body: bytes, count: int) -> list[float]:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    times = []
    for _ in range(count):
        start = time.perf_counter()
        connection.request("POST", path, body, _HEADERS)
        answer = connection.getresponse()
        answer.read()
        times.append(time.perf_counter() - start)
        assert answer.status == 200, answer.status
    connection.close()
    return times


def _round_trip(port: int, path: str, tensors: int) -> float:
    specs = [{"name": f"t{i}/kernel", "shape": [_TENSOR // 4], "dtype": "float32"} for i in range(tensors)]
    document = {"modelTopology": {}, "weightsManifest": [{"paths": ["w.bin"], "weights": specs}]}
    start, block = (
        _form({"model.json": json.dumps(document).encode(), "w.bin": b""})[: -len(_end()) - 2],
        os.urandom(MB),
    )
    length = len(start) + tensors * _TENSOR + 2 + len(_end())
    began = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    connection.putrequest("POST", path)
    for name, value in {**_HEADERS, "Content-Length": str(length)}.items():
        connection.putheader(name, value)
    connection.endheaders(start)
    for _ in range(tensors * _TENSOR // MB):
        connection.send(block)
    connection.send(b"\r\n" + _end())
    answer = connection.getresponse()
    buffer = bytearray(MB)
    while answer.readinto(buffer):
        pass
    assert answer.status == 200, answer.status
    connection.close()
    return time.perf_counter() - began


@contextmanager
def _peer() -> Iterator[_Served]:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "peer.py").write_text(_PEER, encoding="utf-8")
        with _serving("-m", "uvicorn", "peer:app", "--app-dir", folder, "--no-access-log") as served:
            yield served


@contextmanager
def _serving(*arguments: str) -> Iterator[_Served]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as store:
        own = ["--store", store] if "serve" in arguments else []
        started = [sys.executable, *arguments, "--port", str(port), *own]
        process = subprocess.Popen(started, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _wait_until(lambda: _answers(port))
            yield _Served(port, process.pid)
        finally:
            process.terminate()
            process.wait()


def _answers(port: int) -> bool:
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except OSError:
        return False


def _wait_until(ready: Callable[[], bool]) -> None:
    for _ in range(600):
        if ready():
            return
        time.sleep(0.1)
    raise RuntimeError("a server expected to answer within a minute, found it silent")


def _forget_peak(served: _Served) -> None:
    Path(f"/proc/{served.pid}/clear_refs").write_text("5")


def _peak(served: _Served) -> int:
    lines = Path(f"/proc/{served.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
