"""The judges: what real tf.js does with given weights, and what the golden cases hold.

`TfjsJudge` keeps one node process that runs the real `@tensorflow/tfjs`. A missing node is a failure and
never a skip: tests without their judge would prove nothing.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

TESTS = Path(__file__).resolve().parent
JS = TESTS / "js"
CASES = TESTS / "cases"

# Far beyond any answer; only a tf.js that loops for ever gets here.
SECONDS_TO_ANSWER = 120

# A bool stays the byte that tf.js holds, which may be neither 0 nor 1.
STORED_AS = {"float32": "<f4", "int32": "<i4", "bool": "u1", "complex64": "<c8"}
DTYPE_OF = {"float32": "float32", "int32": "int32", "bool": "bool", "complex64": "complex64", "object": "string"}


class JudgeMissing(RuntimeError):
    """node or its packages are not installed."""


class JudgeFault(RuntimeError):
    """The request was wrong or the process ended: nobody has judged anything."""


class TfjsRefused(Exception):
    """tf.js itself threw; the message is tf.js' own, as `Class: message`."""


@dataclass(frozen=True)
class JudgedTensor:
    """A tensor as tf.js holds it: little-endian numbers, bool as raw uint8, strings as an object array of bytes."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    array: NDArray[Any]

    @classmethod
    def of(cls, name: str, array: NDArray[Any], dtype: str | None = None) -> JudgedTensor:
        """`dtype` is only needed to pass uint8 bytes as a bool."""
        dtype = dtype or DTYPE_OF[array.dtype.name]
        stored = array if dtype == "string" else array.astype(STORED_AS[dtype])
        return cls(name, array.shape, dtype, stored)

    @property
    def data(self) -> bytes:
        """The numbers' little-endian bytes, for a comparison that tells NaN payloads and zeros apart."""
        return self.array.tobytes()


@dataclass(frozen=True)
class JudgedModel:
    """A layers-model that tf.js has built and filled; None is a dimension left open."""

    weights: dict[str, JudgedTensor]
    inputs: list[tuple[int | None, ...]]
    outputs: list[NDArray[np.float32]]


@dataclass(frozen=True)
class Drawn:
    """An input that tf.js' side draws: `shape` with the batch, numbers from `low` to below `high`."""

    shape: tuple[int, ...]
    low: float = -1.0
    high: float = 1.0
    integer: bool = False


@dataclass(frozen=True)
class DrawnModel:
    """A layers-model that tf.js has built from a topology, filled at random, saved, loaded and run."""

    document: dict[str, Any]
    weights: bytes
    inputs: list[NDArray[np.float32]]
    outputs: list[NDArray[np.float32]]

    @property
    def files(self) -> dict[str, bytes]:
        return {"model.json": json.dumps(self.document).encode(), "weights.bin": self.weights}


@dataclass(frozen=True)
class Run:
    """What a model made of its inputs; `layers` has each call of each layer, in the order in which they ended.

    A layer with several outputs stands there several times in a row, and tf.js runs it once for each of them that is
    needed. A nested model stands after its own layers. What a wrapper or a recurrent layer calls inside of itself is
    not there.
    """

    outputs: list[NDArray[Any]]
    layers: list[tuple[str, NDArray[Any]]]


class TfjsJudge:
    """One node process running real tf.js, for the length of a `with` block. Not for several threads at once.

    >>> with TfjsJudge() as judge:  # doctest: +SKIP
    ...     judge.decode([{"name": "a", "shape": [1], "dtype": "float32"}], [b"\\0\\0\\x80\\x3f"])["a"].array
    array([1.], dtype=float32)
    """

    def __enter__(self) -> TfjsJudge:
        node = shutil.which("node")
        if node is None or not (JS / "node_modules" / "@tensorflow" / "tfjs").is_dir():
            missing = "node" if node is None else "tests/js/node_modules"
            raise JudgeMissing(f"{missing} is missing, and these tests need real tf.js; run scripts/test")
        self._noise = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            [node, str(JS / "judge.mjs")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._noise
        )
        return self

    def __exit__(self, *_: object) -> None:
        # Closes the pipes and waits: the judge ends with its input.
        self._process.communicate()
        self._noise.close()

    def decode(self, specs: Sequence[Any], buffers: Sequence[bytes]) -> dict[str, JudgedTensor]:
        """tf.io.decodeWeights of a flat list of weight specs and a list of files' bytes."""
        answer = self._ask("decode", specs=list(specs), buffers=[_to_base64(b) for b in buffers])
        return _tensors(answer["tensors"], base64.b64decode)

    def load(self, folder: Path, json_name: str = "model.json") -> dict[str, JudgedTensor]:
        """All weights of a folder, read by tf.js' HTTP handler; a bare weights_manifest.json will do too."""
        answer = self._ask("load", dir=str(folder), json=json_name)
        return _tensors(answer["tensors"], base64.b64decode)

    def model(
        self, folder: Path, json_name: str = "model.json", *, predict: Sequence[NDArray[Any]] | None = None
    ) -> JudgedModel:
        """tf.loadLayersModel of a folder; `predict` takes one float32 array, batch first, for each input."""
        inputs = [{"shape": x.shape, "data": _to_base64(x.astype("<f4").tobytes())} for x in predict or ()]
        answer = self._ask("model", dir=str(folder), json=json_name, predict=inputs or None)
        return JudgedModel(
            _tensors(answer["weights"], base64.b64decode),
            [tuple(shape) for shape in answer["inputs"]],
            [_tensor(row, base64.b64decode).array for row in answer["outputs"]],
        )

    def draw(self, topology: Mapping[str, Any], inputs: Sequence[Drawn | NDArray[Any]], seed: int | str) -> DrawnModel:
        """Builds the model of a topology, `{"class_name", "config"}`, with weights drawn by `seed`, and runs it once.

        TfjsRefused tells that tf.js does not build, save, load or run it. Give every layer a name, and resolve every
        reference: tf.js waits for ever for a layer that is not there.
        """
        answer = self._ask("draw", topology=topology, inputs=[_input_row(given) for given in inputs], seed=seed)
        return DrawnModel(
            answer["document"],
            base64.b64decode(answer["weights"]),
            _arrays(answer["inputs"]),
            _arrays(answer["outputs"]),
        )

    def run(
        self,
        files: Mapping[str, bytes] | Path,
        inputs: Sequence[NDArray[Any]],
        *,
        per_layer: bool = False,
        json_name: str = "model.json",
    ) -> Run:
        """tf.loadLayersModel of a folder or of files in memory, and one predict; batch first, float32 or int32."""
        rows = [_input_row(given) for given in inputs]
        if isinstance(files, Path):
            answer = self._ask("run", dir=str(files), json=json_name, inputs=rows, perLayer=per_layer)
        else:
            held = {path: _to_base64(data) for path, data in files.items()}
            answer = self._ask("run", files=held, json=json_name, inputs=rows, perLayer=per_layer)
        layers = [(row["name"], _tensor(row, base64.b64decode).array) for row in answer.get("layers", [])]
        return Run(_arrays(answer["outputs"]), layers)

    def encode(
        self, tensors: Iterable[JudgedTensor], groups: Mapping[str, str] | None = None
    ) -> tuple[list[dict[str, Any]], bytes]:
        """tf.io.encodeWeights: the specs and the bytes. `groups` gives a weight's group by its name."""
        rows = [_request_row(tensor, (groups or {}).get(tensor.name)) for tensor in tensors]
        answer = self._ask("encode", tensors=rows)
        return answer["specs"], base64.b64decode(answer["data"])

    def _ask(self, op: str, **request: Any) -> dict[str, Any]:
        line = json.dumps({"id": op, "op": op, **request}, allow_nan=False)
        answer = self._exchange(line.encode() + b"\n")
        if "error" not in answer:
            return answer
        raise (TfjsRefused if answer["refused"] else JudgeFault)(answer["error"])

    def _exchange(self, line: bytes) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        alarm = threading.Timer(SECONDS_TO_ANSWER, self._process.kill)
        alarm.start()
        try:
            self._process.stdin.write(line)
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = b""
        finally:
            alarm.cancel()
        if not answer:
            raise JudgeFault(f"the tf.js process ended without an answer: {self._last_words()}")
        result: dict[str, Any] = json.loads(answer)
        return result

    def _last_words(self) -> str:
        self._noise.seek(0)
        return self._noise.read()[-2000:].decode(errors="replace")


def expected(case: Path) -> dict[str, JudgedTensor]:
    """What tf.js read from a golden case, as its expected.json records it."""
    rows = json.loads((case / "expected.json").read_text(encoding="utf-8"))["tensors"]
    return recorded(rows)


def recorded(rows: Iterable[Mapping[str, Any]]) -> dict[str, JudgedTensor]:
    """Tensors from the hex form of expected.json and of the `tfjs` column of refusals.json."""
    return _tensors(rows, bytes.fromhex)


def _tensors(rows: Iterable[Mapping[str, Any]], to_bytes: Callable[[str], bytes]) -> dict[str, JudgedTensor]:
    return {row["name"]: _tensor(row, to_bytes) for row in rows}


def _tensor(row: Mapping[str, Any], to_bytes: Callable[[str], bytes]) -> JudgedTensor:
    shape = tuple(row["shape"])
    array: NDArray[Any]
    if "strings" in row:
        array = np.empty(len(row["strings"]), object)
        array[:] = [to_bytes(text) for text in row["strings"]]
    else:
        array = np.frombuffer(to_bytes(row["data"]), STORED_AS[row["dtype"]])
    return JudgedTensor(row["name"], shape, row["dtype"], array.reshape(shape))


def _arrays(rows: Iterable[Mapping[str, Any]]) -> list[NDArray[Any]]:
    return [_tensor(row, base64.b64decode).array for row in rows]


def _input_row(given: Drawn | NDArray[Any]) -> dict[str, Any]:
    if isinstance(given, Drawn):
        return asdict(given)
    dtype = "int32" if given.dtype.kind in "iu" else "float32"
    return _request_row(JudgedTensor.of("", given, dtype), None)


def _request_row(tensor: JudgedTensor, group: str | None) -> dict[str, Any]:
    row: dict[str, Any] = {"name": tensor.name, "shape": tensor.shape, "dtype": tensor.dtype}
    if group is not None:
        row["group"] = group
    if tensor.dtype == "string":
        return {**row, "strings": [_to_base64(text) for text in tensor.array.ravel()]}
    return {**row, "data": _to_base64(tensor.data)}


def _to_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
