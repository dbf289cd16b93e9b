"""Makes the golden cases that the official `tensorflowjs` package writes, and its column of refusals.json.

Run it after make_with_tfjs.mjs, which makes refusals.json:

    pip install "numpy>=2" && pip install --no-deps tensorflowjs==4.22.0
    python tests/cases/make_with_tensorflowjs.py [--force] [--into FOLDER]

The numbers in expected.json are those that tf.js reads from the package's files.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from judges import JudgedTensor, TfjsJudge  # noqa: E402


def official_modules() -> tuple[Any, Any, str]:
    """read_weights, write_weights and the version, without TensorFlow: of it they only use GFile, as open()."""
    package = importlib.util.find_spec("tensorflowjs")
    if package is None:
        raise SystemExit("tensorflowjs is missing; see the top of this file")
    # An empty stand-in keeps the package's own __init__, which needs TensorFlow, from running.
    bare = ModuleType("tensorflowjs")
    bare.__path__ = list(package.submodule_search_locations or ())
    tensorflow: Any = ModuleType("tensorflow")
    tensorflow.io = SimpleNamespace(gfile=SimpleNamespace(GFile=open))
    sys.modules.update(tensorflowjs=bare, tensorflow=tensorflow)
    names = ("read_weights", "write_weights", "version")
    read, write, version = (importlib.import_module(f"tensorflowjs.{name}") for name in names)
    return read, write, version.version


READ, WRITE, VERSION = official_modules()
MADE_BY = f"make_with_tensorflowjs.py, tensorflowjs {VERSION}, numpy {np.__version__}"

Weights = dict[str, NDArray[Any]]


def f32(*values: float, shape: tuple[int, ...] = (-1,)) -> NDArray[np.float32]:
    return np.array(values, np.float32).reshape(shape)


def spread(low: float, high: float, *shape: int) -> NDArray[np.float32]:
    values = np.random.default_rng(7).uniform(low, high, shape).astype(np.float32)
    values.flat[:2] = low, high
    return values


LAYERS = {
    "conv/kernel": spread(-1, 2, 3, 3, 2),
    "conv/bias": f32(0.5, -0.25, 0, 1),
    "dense/kernel": spread(-0.3, 0.1, 4, 5),
    "dense/bias": f32(1, 2, 3, 4, 5),
}
STRINGS = np.array(["", "a", "é", b"\xff\xfe", b"tail\0", "日本"], object).reshape(2, 3)

# folder: (groups, further arguments of write_weights)
CASES: dict[str, tuple[list[Weights], dict[str, Any]]] = {
    # The second file is the smaller one: tf.js would misread it the other way round.
    "py-two-groups": ([{"a/kernel": f32(1, 2, 3, 4, shape=(2, 2)), "a/bias": f32(-0.0)}, {"b": f32(5, 6)}], {}),
    "py-zero-byte-group": ([{"a": f32(1, 2)}, {"none": f32(shape=(0, 3))}], {}),
    "py-shards-5": ([{"a": f32(1, 2, 3), "flag": np.array(True), "b": f32(4)}], {"shard_size_bytes": 5}),
    "py-shards-7": ([{"s": np.array(["ab", ""], object), "a": f32(1, 2, 3, 4, 5)}], {"shard_size_bytes": 7}),
    "py-shards-4096": ([{"a": spread(-1, 1, 30, 34)}], {"shard_size_bytes": 4096}),
    "py-uint8": ([LAYERS], {"quantization_dtype_map": {"uint8": True}}),
    "py-uint16": ([LAYERS], {"quantization_dtype_map": {"uint16": "*"}}),
    "py-float16": (
        [{**LAYERS, "special": f32(-0.0, np.inf, -np.inf, 6e-8, 65504, 1 / 3)}],
        {"quantization_dtype_map": {"float16": True}},
    ),
    "py-globs": (
        [{**LAYERS, "steps": np.array([1, 2], np.int32)}],
        {"quantization_dtype_map": {"uint8": ["*/kernel"], "uint16": "conv/b*", "float16": True}},
    ),
    "py-constant": (
        [
            {
                "threes": np.full((2, 2), 3.3, np.float32),
                "zeros": np.zeros(3, np.float32),
                "scalar": np.array(-7.5, np.float32),
            }
        ],
        {"quantization_dtype_map": {"uint8": "*s", "uint16": "scalar"}},
    ),
    "py-range-without-zero": (
        [
            {
                "above": spread(2.5, 9, 7),
                "below": spread(-9, -2.5, 7),
                "from zero": spread(0, 3, 7),
                "far": spread(1e6, 1e6 + 1, 7),
            }
        ],
        {"quantization_dtype_map": {"uint8": ["above", "far"], "uint16": True}},
    ),
    "py-strings": ([{"s": STRINGS, "scalar": np.array("é", object), "u": np.array(["x", "yz"]), "last": f32(1)}], {}),
    "py-dtypes": (
        [
            {
                "bool": np.array([[True, False], [False, True]]),
                "complex64": np.array([1 + 2j, -0.5j, complex(-0.0, np.inf)], np.complex64),
                "int32": np.array([0, -1, 2**31 - 1, -(2**31)], np.int32),
                "from float64": np.array([1 / 3, 1e300]),
                "from int64": np.array([-5]),
            }
        ],
        {},
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--force", action="store_true", help="make anew what is there")
    parser.add_argument("--into", type=Path, default=HERE)
    options = parser.parse_args()
    np.seterr(all="ignore")
    with TfjsJudge() as judge:
        for name, (groups, arguments) in CASES.items():
            folder = fresh(options.into / name, options.force)
            count = make_case(judge, folder, groups, arguments)
            say(f"made {name}: {count} tensors")
    count = fill_refusals(options.into / "refusals.json", options.force)
    say(f"filled refusals.json: {count} cases")


def fresh(folder: Path, force: bool) -> Path:
    if folder.exists() and not force:
        raise SystemExit(f"{folder} is there already; --force makes it anew")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def make_case(judge: TfjsJudge, folder: Path, groups: list[Weights], arguments: dict[str, Any]) -> int:
    entries = [[{"name": name, "data": data} for name, data in group.items()] for group in groups]
    manifest = WRITE.write_weights(entries, str(folder), **arguments)
    tensors = judge.load(folder, "weights_manifest.json")
    check_against_one_buffer(judge, folder, manifest, tensors)
    rows = [hex_row(t.name, t.array, t.dtype) for t in tensors.values()]
    write_listing(folder / "expected.json", "tensors", rows, MADE_BY)
    return len(rows)


def check_against_one_buffer(
    judge: TfjsJudge, folder: Path, manifest: list[dict[str, Any]], tensors: dict[str, JudgedTensor]
) -> None:
    stream = b"".join((folder / path).read_bytes() for group in manifest for path in group["paths"])
    joined = judge.decode([spec for group in manifest for spec in group["weights"]], [stream])
    rows = [[hex_row(t.name, t.array, t.dtype) for t in read.values()] for read in (tensors, joined)]
    if rows[0] != rows[1]:
        raise SystemExit(f"tf.js misreads the shards of {folder.name}")


def fill_refusals(path: Path, force: bool) -> int:
    listing = json.loads(path.read_text(encoding="utf-8"))
    if "official" in listing["cases"][0] and not force:
        raise SystemExit(f"{path} is filled already; --force fills it anew")
    for case in listing["cases"]:
        case["official"] = what_official_did(case["json"], case["files"])
    made_by = f"{listing['made_by'].split('; ')[0]}; {MADE_BY}"
    write_listing(path, "cases", listing["cases"], made_by)
    return len(listing["cases"])


def what_official_did(text: str, files: dict[str, str]) -> dict[str, Any]:
    """Reads as the package's own Keras loader does: json.load, then read_weights of the manifest."""
    with folder_of(files):
        try:
            weights = READ.read_weights(json.loads(text)["weightsManifest"], ".", flatten=True)
            return {"tensors": [hex_row(w["name"], w["data"]) for w in weights]}
        except Exception as error:  # whatever it raises is what is asked for
            return {"error": f"{type(error).__name__}: {error}"}


@contextmanager
def folder_of(files: dict[str, str]) -> Iterator[None]:
    """Stands in a folder holding the files, so that no message names a path of this machine."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent, "model")
        folder.mkdir()
        for name, content in files.items():
            (folder / name).write_bytes(bytes.fromhex(content))
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


def hex_row(name: Any, array: NDArray[Any], dtype: str | None = None) -> dict[str, Any]:
    row = {"name": name, "shape": list(array.shape), "dtype": dtype or array.dtype.name}
    if array.dtype == object:
        return {**row, "dtype": "string", "strings": [text.hex() for text in array.ravel()]}
    return {**row, "data": array.tobytes().hex()}


def write_listing(path: Path, key: str, rows: Iterable[dict[str, Any]], made_by: str) -> None:
    lines = ",\n".join("  " + json.dumps(row, separators=(",", ":")) for row in rows)
    path.write_text(f'{{\n "made_by": {json.dumps(made_by)},\n "{key}": [\n{lines}\n ]\n}}\n', encoding="utf-8")


def say(message: str) -> None:
    print(message, file=sys.stderr)


if __name__ == "__main__":
    main()
