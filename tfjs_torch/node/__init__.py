"""Real tf.js in node: where it is installed, and what it makes of a model, layer by layer."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ..artifacts import Artifacts
from ..errors import UnsupportedError

Array = npt.NDArray[Any]

PLACE: Final = "TFJS_TORCH_NODE_MODULES"
_SCRIPT: Final = Path(__file__).with_name("verify.mjs")
_CHECKOUT: Final = Path(__file__).resolve().parents[2] / "tests" / "js" / "node_modules"
_JSON: Final = "model.json"
_SECONDS_TO_LOAD: Final = 60  # beyond any model: tf.js waits for ever on some references, see wiring.py
_BYTES_A_SECOND: Final = 10 << 20
_DTYPES: Final = {"float32": "<f4", "int32": "<i4", "bool": "u1"}


class Tfjs(NamedTuple):
    """An installed tf.js: node itself, and the folder node_modules that holds @tensorflow/tfjs."""

    node: str
    modules: Path


class Made(NamedTuple):
    """What one call of a layer made; `again`: tf.js has called it with the same tensors before, for another output."""

    arrays: list[Array]
    again: bool


class Run(NamedTuple):
    """What tf.js made of a model.

    Attributes:
        version: of tf.js.
        tree: all layers, as [name, layers of a nested model or None].
        calls: {names of the models around a layer and its own: what each of its calls made}.
        outputs: of the model.
        refused: tf.js' own message where it does not load or run the model, else "".
    """

    version: str
    tree: list[Any]
    calls: dict[tuple[str, ...], list[Made]]
    outputs: list[Array]
    refused: str = ""


def find_tfjs() -> Tfjs:
    """node and @tensorflow/tfjs: in the folder that TFJS_TORCH_NODE_MODULES names, in node_modules here or
    further up, in this project's own tests, or installed globally.

    Raises:
        UnsupportedError: there is none; the message says what to install.
    """
    node = shutil.which("node")
    if node is None:
        raise UnsupportedError(
            "verify",
            "node and tf.js to compare with expected, found no node on PATH; "
            "install Node.js 18 or newer (nodejs.org), then: npm install @tensorflow/tfjs",
        )
    modules = find_modules()
    if modules is not None:
        return Tfjs(node, modules)
    named = os.environ.get(PLACE)
    where = f"{PLACE}={named}" if named else f"{PLACE}, node_modules here or above, and npm's global folder"
    raise UnsupportedError("verify", f"tf.js expected in {where}, found none; install it: npm install @tensorflow/tfjs")


def find_modules() -> Path | None:
    """The folder node_modules that holds @tensorflow/tfjs, looked for where find_tfjs says; None: there is none."""
    return next((f for f in _places() if (f / "@tensorflow" / "tfjs" / "package.json").is_file()), None)


def run_tfjs(tfjs: Tfjs, artifacts: Artifacts, inputs: Sequence[Array], folder: Path) -> Run:
    """The model in tf.js, on its cpu backend: wasm is less exact, by more than 1e-5 in a MobileNet.

    Args:
        folder: an empty one, where the arrays lie: they are mapped, and good as long as it is there.

    Raises:
        UnsupportedError: node ended without an answer.
    """
    request = {
        "tfjs": str(tfjs.modules.resolve() / "@tensorflow" / "tfjs"),
        "json": _JSON,
        "files": _written_files(artifacts, folder),
        "inputs": _written_inputs(inputs, folder),
    }
    (folder / "request.json").write_text(json.dumps(request), encoding="utf-8")
    weights = sum(shard.nbytes for shards in artifacts.shards for shard in shards)
    seconds = _SECONDS_TO_LOAD + weights // _BYTES_A_SECOND
    return _answer(_lines(tfjs.node, folder, seconds), folder)


def _places() -> Iterator[Path]:
    named = os.environ.get(PLACE)
    if named:
        yield from (Path(named), Path(named) / "node_modules")
        return
    here = Path.cwd()
    yield from (folder / "node_modules" for folder in (here, *here.parents))
    yield _CHECKOUT
    npm = shutil.which("npm")
    if npm:
        found = subprocess.run([npm, "root", "--global"], capture_output=True, text=True, check=False)
        if found.returncode == 0 and found.stdout.strip():
            yield Path(found.stdout.strip())


def _written_files(artifacts: Artifacts, folder: Path) -> dict[str, str]:
    """{path as the JSON has it: file in the folder}; under numbers, since paths may lead anywhere.

    Files that tf.js would misread as they lie go to it as save_model would write them: layers are compared here.
    """
    files: dict[str, str] = {}
    for path, buffers in artifacts.renamed(_JSON).files():
        files[path] = f"file{len(files)}"
        with (folder / files[path]).open("wb") as file:
            for piece in buffers:
                file.write(piece)
    return files


def _written_inputs(inputs: Sequence[Array], folder: Path) -> list[dict[str, Any]]:
    rows = []
    for i, array in enumerate(inputs):
        (folder / f"input{i}").write_bytes(np.ascontiguousarray(array, "<f4").tobytes())
        rows.append({"shape": array.shape, "file": f"input{i}"})
    return rows


def _lines(node: str, folder: Path, seconds: int) -> Iterator[dict[str, Any]]:
    command = [node, str(_SCRIPT), str(folder / "request.json"), str(folder / "values.bin")]
    with (folder / "stderr").open("wb") as noise, subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=noise
    ) as process:  # fmt: skip
        late = threading.Event()
        alarm = threading.Timer(seconds, _stop, [process, late])
        alarm.start()
        try:
            assert process.stdout is not None
            for line in process.stdout:
                answer = json.loads(line)
                if answer.get("loaded"):
                    alarm.cancel()  # how long it then runs depends on the model, and tf.js does come to an end
                yield answer
            if late.is_set():
                yield {"refused": f"loads without an end (stopped after {seconds} s)"}
        finally:
            alarm.cancel()
            process.kill()


def _stop(process: subprocess.Popen[bytes], late: threading.Event) -> None:
    late.set()
    process.kill()


def _answer(lines: Iterator[dict[str, Any]], folder: Path) -> Run:
    told = list(lines)
    if not told or not {"outputs", "refused"} & told[-1].keys():
        said = (folder / "stderr").read_text(encoding="utf-8", errors="replace").strip()[-500:]
        raise UnsupportedError("verify", f"an answer of node expected, found it ended with: {said or 'nothing'}")
    stored = folder / "values.bin"
    values: Array = np.memmap(stored, np.uint8, "r") if stored.stat().st_size else np.empty(0, np.uint8)
    calls: dict[tuple[str, ...], list[Made]] = {}
    for line in told:
        if "layer" in line:
            made = Made([_cut(values, row) for row in line["tensors"]], line["again"])
            calls.setdefault(tuple(line["layer"]), []).append(made)
    outputs = [_cut(values, row) for row in told[-1].get("outputs", [])]
    tree: list[Any] = next((line["loaded"] for line in told if "loaded" in line), [])
    return Run(told[0]["version"], tree, calls, outputs, told[-1].get("refused", ""))


def _cut(values: Array, row: dict[str, Any]) -> Array:
    dtype = np.dtype(_DTYPES[row["dtype"]])
    size = int(np.prod(row["shape"], dtype=np.int64)) * dtype.itemsize
    return values[row["offset"] : row["offset"] + size].view(dtype).reshape(row["shape"])
