"""The real server as a process of its own, and small ways to talk to it.

    with serving("--token", "secret") as server:
        response = post(server, "/convert", sample("ml5-classifier"), to="safetensors")

Every server has its own folder for uploads on their way (`temp`) and its own store, so a test can say what was left.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import re
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from helpers import SAMPLES, f32

SECONDS_TO_START = 60
SECONDS_TO_CLEAN = 10

Files = Mapping[str, bytes] | Iterable[tuple[str, bytes]]
MODEL_FILES = ("model.json", "model_meta.json", "model.weights.bin")
EVENTS = "text/event-stream"
STEPS = [
    "average", "cast", "clip", "crossover", "interpolate", "mutate", "noise", "prune", "quantize", "scale", "smooth"
]  # fmt: skip
PROBLEM = {"type", "title", "status", "detail", "where", "what_to_do"}


@dataclass(frozen=True)
class Server:
    """A server that runs; `temp` is the folder for what is on its way, `log` what the process printed."""

    url: str
    store: Path
    temp: Path
    pid: int
    log: Path

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.url.removeprefix("http://").split(":")
        return host, int(port)

    def log_lines(self) -> list[dict[str, Any]]:
        """The lines of the access log."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def open_files(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def memory(self, what: str = "VmRSS") -> int:
        """Bytes: VmRSS now, VmHWM at most so far."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith(what))) << 10

    def forget_peak(self) -> None:
        """VmHWM begins anew."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def left(self) -> list[str]:
        """Everything in the folder for what is on its way and in the store, but the store's own two folders."""
        found = [path for folder in (self.temp, self.store) for path in walked(folder)]
        return sorted(str(path) for path in found if path.is_file() or path.parent not in (self.temp, self.store))

    def stored(self) -> list[str]:
        """Names of the files in the store."""
        return sorted(path.name for path in walked(self.store) if path.is_file())


@contextlib.contextmanager
def serving(
    *options: str, store: Path | None = None, env: Mapping[str, str] | None = None, may_fail: bool = False
) -> Iterator[Server]:
    """`tfjs-torch serve` on a free port of 127.0.0.1; it is killed at the end, and a traceback in its log is a failure.

    Args:
        options: more of the command line.
        store: the folder of the store (default: one of its own).
        env: more environment variables.
        may_fail: a traceback in the log is expected.
    """
    with tempfile.TemporaryDirectory(prefix="serving-") as folder:
        temp, home, log = Path(folder, "temp"), store or Path(folder, "store"), Path(folder, "log")
        temp.mkdir()
        home.mkdir(exist_ok=True)
        port = free_port()
        command = [sys.executable, "-m", "tfjs_torch", "serve", "--port", str(port), "--store", str(home), *options]
        more = {"TMPDIR": str(temp), "PYTHONUNBUFFERED": "1", **(env or {})}
        with (
            log.open("wb") as out,
            subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={**os.environ, **more},
                start_new_session=True,
            ) as process,
        ):
            server = Server(f"http://127.0.0.1:{port}", home, temp, process.pid, log)
            try:
                _wait_for(process, server)
                yield server
                assert process.poll() is None, f"the server has ended: {_last_words(log)}"
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)  # its workers too
        assert may_fail or b"Traceback" not in log.read_bytes(), _last_words(log)


def walked(folder: Path) -> Iterator[Path]:
    """Files and folders below; what goes while we look is gone."""
    for top, folders, files in os.walk(folder):
        yield from (Path(top, name) for name in (*folders, *files))


def free_port() -> int:
    """Below those that the system gives to clients, so that none of them takes it meanwhile."""
    while True:
        port = random.SystemRandom().randrange(10_000, 32_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def _wait_for(process: subprocess.Popen[bytes], server: Server) -> None:
    until = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError):
            # No proxy of the environment comes between.
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{server.url}/healthz").close()
            return
        time.sleep(0.05)
    raise AssertionError(f"the server does not answer: {_last_words(server.log)}")


def _last_words(log: Path) -> str:
    """The first traceback, else the end."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    said = [line for line in lines if not line.startswith("{")]
    first = next((n for n, line in enumerate(said) if "Traceback" in line), max(len(said) - 40, 0))
    return "\n".join(said[first : first + 80])


def eventually(holds: Callable[[], Any], seconds: float = SECONDS_TO_CLEAN) -> bool:
    """Whether something becomes true in time; a server may need a moment to see that a client has gone."""
    until = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


@contextlib.contextmanager
def leaving_nothing(server: Server) -> Iterator[None]:
    """Afterwards nothing lies on disk that did not before; what earlier requests left may go meanwhile."""
    before = set(server.left())
    yield
    assert eventually(lambda: before.issuperset(server.left())), set(server.left()) - before


@contextlib.contextmanager
def unharmed(server: Server) -> Iterator[None]:
    """Afterwards a server has left nothing on disk, and has no more files open than before."""
    open_files = server.open_files()
    with leaving_nothing(server):
        yield
    assert eventually(lambda: server.open_files() <= open_files), f"{server.open_files()} open, not {open_files}"


def sample(name: str = "ml5-classifier") -> dict[str, bytes]:
    """The three files of a sample, as ml5 saved them."""
    return {file: (SAMPLES / name / file).read_bytes() for file in MODEL_FILES}


CLASSIFIER, REGRESSION = sample(), sample("ml5-regression")
# The classifier as nn.save("gesture") writes it.
GESTURE = {n.replace("model", "gesture"): data.replace(b"./model", b"./gesture") for n, data in CLASSIFIER.items()}


def with_weights(values: float) -> dict[str, bytes]:
    """The classifier with every weight set to one number."""
    return {**CLASSIFIER, "model.weights.bin": f32(*[values] * 132)}


def in_folder(folder: str, files: dict[str, bytes]) -> list[tuple[str, bytes]]:
    return [(f"{folder}/{name}", data) for name, data in files.items()]


def part(data: bytes, name: str | None = "file", filename: str | None = None, *headers: str) -> bytes:
    """One part of a multipart body, with its headers."""
    names = [] if name is None else [f'; name="{name}"']
    names += [] if filename is None else [f'; filename="{filename}"']
    lines = [f"Content-Disposition: form-data{''.join(names)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + data


def multipart(*parts: bytes, boundary: str = "") -> tuple[bytes, str]:
    """A body made of whole parts, and its Content-Type."""
    boundary = boundary or f"----tests{secrets.token_hex(8)}"
    body = b"".join(b"--%s\r\n%s\r\n" % (boundary.encode(), one) for one in parts)
    return body + b"--%s--\r\n" % boundary.encode(), f"multipart/form-data; boundary={boundary}"


def upload(files: Files, fields: Mapping[str, str] | Iterable[tuple[str, str]] = ()) -> tuple[bytes, str]:
    """A multipart body of files and of options, as a browser sends them."""
    given = files.items() if isinstance(files, Mapping) else files
    options = fields.items() if isinstance(fields, Mapping) else fields
    return multipart(
        *(part(data, name, name, "Content-Type: application/octet-stream") for name, data in given),
        *(part(value.encode(), name) for name, value in options),
    )


def ask(server: Server, method: str, path: str, **more: Any) -> httpx.Response:
    """One request on a connection of its own, so that no open one is counted as a leak."""
    url = path if path.startswith("http") else server.url + path
    headers = httpx.Headers(more.pop("headers", {}))
    headers["Connection"] = "close"
    with httpx.Client(trust_env=False, timeout=60, follow_redirects=True) as client:
        return client.request(method, url, headers=headers, **more)


def get(server: Server, path: str, **more: Any) -> httpx.Response:
    return ask(server, "GET", path, **more)


def post(
    server: Server,
    path: str,
    files: Files = (),
    *,
    fields: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    accept: str | None = None,
    method: str = "POST",
    headers: Mapping[str, str] | None = None,
    **query: Any,
) -> httpx.Response:
    """Files as a form; `query` and `fields` are options.

    >>> post(server, "/convert", sample(), to="npz", accept="application/zip")  # doctest: +SKIP
    """
    body, kind = upload(files, fields)
    told = {"Content-Type": kind, **({"Accept": accept} if accept else {}), **(headers or {})}
    return ask(server, method, path, content=body, headers=told, params=query or None)


def form_of(response: httpx.Response) -> dict[str, bytes]:
    """The parts of a multipart/form-data answer: {file name: bytes}; its names and file names must be equal."""
    kind, _, boundary = response.headers["content-type"].partition("; boundary=")
    assert kind == "multipart/form-data"
    pieces = (b"\r\n" + response.content).split(b"\r\n--" + boundary.strip('"').encode())
    assert pieces[0] == b""
    assert pieces[-1].strip() == b"--"
    found = {}
    for head, _, data in (piece.removeprefix(b"\r\n").partition(b"\r\n\r\n") for piece in pieces[1:-1]):
        said = re.search(rb'; name="([^"]*)"; filename="([^"]*)"', head)
        assert said is not None, head
        assert said[1] == said[2]
        found[said[1].decode()] = data
    return found


def zip_of(response: httpx.Response) -> dict[str, bytes]:
    """The files of a zip answer, its report.json among them."""
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/zip"
    return unzipped(response.content)


def unzipped(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(files: Files, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, data in files.items() if isinstance(files, Mapping) else files:
            archive.writestr(name, data)
    return stream.getvalue()


def report_of(response: httpx.Response) -> Any:
    """The report of an answer to `Accept: application/json`."""
    assert response.status_code == 200, response.text
    return response.json()


def problem_of(response: httpx.Response, *statuses: int) -> dict[str, Any]:
    """The problem+json of an answer with one of these statuses, whole and with words for people."""
    assert response.status_code in statuses, f"{response.status_code}: {response.text[:500]}"
    assert response.headers["content-type"].split(";")[0] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert problem.keys() >= PROBLEM
    assert problem["status"] == response.status_code
    assert problem["title"]
    assert problem["detail"]
    assert problem["what_to_do"]
    assert isinstance(problem["where"], str)
    assert "Traceback" not in response.text
    return problem


def saved(server: Server, files: Files | None = None, **more: Any) -> dict[str, Any]:
    """Put a model into the store; what the server tells about it."""
    response = post(server, "/models", sample() if files is None else files, **more)
    assert response.status_code == 201, response.text
    told: dict[str, Any] = response.json()
    return told


def send_raw(server: Server, request: bytes, *, shut: bool = False, seconds: float = 20) -> bytes:
    """Bytes on a socket, and everything that comes back until the server closes or `seconds` have passed."""
    with socket.create_connection(server.address, timeout=seconds) as connection:
        # A server that has seen enough may close before all was sent.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(request)
            if shut:
                connection.shutdown(socket.SHUT_WR)
        return b"".join(_received(connection))


def _received(connection: socket.socket) -> Iterator[bytes]:
    with contextlib.suppress(TimeoutError, ConnectionResetError):
        while data := connection.recv(1 << 16):
            yield data


def head_of(server: Server, method: str, path: str, *headers: str) -> bytes:
    """The first lines of a request, by hand."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {server.address[0]}:{server.address[1]}", *headers]
    if not any(line.lower().startswith("connection:") for line in lines):
        lines.append("Connection: close")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def post_raw(server: Server, path: str, body: bytes, kind: str, *headers: str) -> httpx.Response:
    """A body exactly as given, for what no honest client sends."""
    length = f"Content-Length: {len(body)}"
    answer = send_raw(server, head_of(server, "POST", path, length, f"Content-Type: {kind}", *headers) + body)
    return parsed(answer)


def parsed(answer: bytes) -> httpx.Response:
    """The raw bytes of one HTTP/1.1 answer as a Response."""
    head, _, rest = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 "), f"no answer: {answer[:200]!r}"
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = [tuple(line.split(": ", 1)) for line in lines]
    kept = [(name, value) for name, value in headers if name.lower() != "transfer-encoding"]
    chunked = len(kept) < len(headers)
    return httpx.Response(int(first.split()[1]), headers=kept, content=_unchunked(rest) if chunked else rest)


def _unchunked(data: bytes) -> bytes:
    whole = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        whole, data = whole + data[: int(size, 16)], data[int(size, 16) + 2 :]
    return whole


def steps_of(server: Server) -> dict[str, Any]:
    """The steps that a server offers, by name."""
    return {step["name"]: step for step in get(server, "/formats").json()["steps"]}


def colours(count: int = 60, labels: Sequence[str] = ("red", "blue"), seed: int = 1) -> list[dict[str, Any]]:
    """Rows for the classifier as ml5 saves them: the larger of red and blue; where both are large, the third label."""
    dice = random.Random(seed)
    rows = []
    for _ in range(count):
        r, g, b = (dice.randrange(256) for _ in range(3))
        label = labels[2] if len(labels) > 2 and min(r, b) > 110 else labels[r < b]
        rows.append({"xs": {"r": r, "g": g, "b": b}, "ys": {"colour": label}})
    return rows


def saved_data(rows: Iterable[Any]) -> bytes:
    """What nn.saveData() writes."""
    return json.dumps({"data": list(rows)}).encode()


def events_of(text: str) -> list[tuple[str, dict[str, Any]]]:
    """The events of a stream, without its comments."""
    found = re.findall(r"^event: (\w+)\ndata: (.*)\n\n", text, re.MULTILINE)
    return [(kind, json.loads(data)) for kind, data in found]


@contextlib.contextmanager
def streaming(server: Server, process: str, rows: int = 60) -> Iterator[Iterator[str]]:
    """The lines of a training's stream; the connection closes at the end of the block."""
    body, kind = upload({**CLASSIFIER, "data.json": saved_data(colours(rows))}, {"process": process})
    headers = {"Content-Type": kind, "Accept": EVENTS, "Connection": "close"}
    with (
        httpx.Client(trust_env=False, timeout=60) as client,
        client.stream("POST", f"{server.url}/convert", content=body, headers=headers) as response,
    ):
        yield response.iter_lines()


def finetune(epochs: int = 3, **options: Any) -> str:
    """The step, as the field `process` holds it."""
    return json.dumps([{"step": "finetune", "epochs": epochs, **options}])


def table(rows: list[dict[str, Any]]) -> bytes:
    """The same rows as a CSV."""
    lines = ["r,g,b,colour", *(",".join(map(str, [*row["xs"].values(), row["ys"]["colour"]])) for row in rows)]
    return "\n".join(lines).encode()
