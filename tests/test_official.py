"""The adapter over the real decode_weights and write_weights of the package tensorflowjs."""

from __future__ import annotations

import importlib.util
import inspect
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import entry, f32, manifest, named, official_write, officially, snapshot, told, told_all

import tfjs_torch
from tfjs_torch import UnsupportedError, load_file, official, save_file, tfjs_to_torch

NOSY = """
import sys
before = set(sys.modules)
from tfjs_torch import official
entry = {"name": "a", "shape": [1], "dtype": "int32"}
[[found]] = official.decode_weights([{"paths": [], "weights": [entry]}], [b"\\7\\0\\0\\0"])
assert found["data"].tolist() == [7]
new = {name.split(".")[0] for name in set(sys.modules) - before}
assert not new & {"tensorflow", "tensorflowjs", "jax", "h5py"}, new
"""


@pytest.fixture
def nothing_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(official, "_loaded", {})


def in_a_fresh_process(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_it_works_where_the_package_itself_cannot_be_imported() -> None:
    assert in_a_fresh_process("import tensorflowjs").returncode
    done = in_a_fresh_process(NOSY)
    assert done.returncode == 0, done.stderr


def test_modules_of_the_same_names_stay_as_they_were(nothing_loaded: None, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = {name: type(sys)(name) for name in ("tensorflow", "tensorflowjs", "tensorflowjs.quantization")}
    mine["tensorflowjs"].__spec__ = importlib.util.find_spec("tensorflowjs")
    for name, module in mine.items():
        monkeypatch.setitem(sys.modules, name, module)
    official.decode_weights([], [])
    assert {name: sys.modules[name] for name in mine} == mine


def test_it_is_loaded_once_by_many_threads(nothing_loaded: None) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: official._module("read_weights"), range(32)))
    assert len(set(map(id, found))) == 1


def test_it_reads_and_writes_as_the_real_package_does(tmp_path: Path) -> None:
    groups = official_write(tmp_path, named(a=np.array([1, 2], "f4"), b=np.array(["x"], object)))
    assert groups == manifest(entry(), entry((1,), "string", "b"), paths=["group1-shard1of1.bin"])
    assert sorted(snapshot(tmp_path)) == ["group1-shard1of1.bin", "weights_manifest.json"]
    [[a, b]] = officially(official.decode_weights, groups, [(tmp_path / "group1-shard1of1.bin").read_bytes()])
    assert (a["data"].tolist(), b["data"].tolist()) == ([1, 2], [b"x"])


def test_its_arguments_are_those_of_the_real_functions(tmp_path: Path) -> None:
    flat = official.decode_weights(manifest(entry()), f32(1, 2), flatten=True)
    assert flat[0]["data"].tolist() == [1, 2]
    groups = official.write_weights(
        named(a=np.zeros(4, "f4")), str(tmp_path), shard_size_bytes=3, write_manifest=False,
        quantization_dtype_map={"uint16": "a"},
    )  # fmt: skip
    assert [path.stat().st_size for path in sorted(tmp_path.iterdir())] == [3, 3, 2]
    assert groups[0]["weights"][0]["quantization"]["dtype"] == "uint16"


@pytest.mark.parametrize("name", ["decode_weights", "write_weights"])
def test_ours_and_the_adapter_take_the_arguments_of_the_real_functions(name: str) -> None:
    room = "read_weights" if name == "decode_weights" else "write_weights"
    real, ours = getattr(official._module(room), name), getattr(tfjs_torch, name)
    for function in (ours, getattr(official, name)):
        parameters = inspect.signature(function).parameters.values()
        assert [(p.name, p.default) for p in parameters] == [
            (p.name, p.default) for p in inspect.signature(real).parameters.values()
        ]


def test_a_missing_package_is_said_with_what_to_do(
    nothing_loaded: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "tensorflowjs" else find(name, *a)
    )
    calls: list[Any] = [
        lambda: official.decode_weights([], []),
        lambda: official.write_weights([[]], str(tmp_path)),
        lambda: tfjs_to_torch(manifest(entry()), f32(1, 2), engine="tensorflowjs"),
        lambda: save_file({"a": torch.zeros(2)}, tmp_path, engine="tensorflowjs"),
    ]
    for call in calls:
        with pytest.raises(UnsupportedError, match=r"tensorflowjs expected, found none; pip install"):
            call()
    assert list(tmp_path.iterdir()) == []


def test_the_engine_gives_writable_tensors_of_their_own() -> None:
    data = bytearray(f32(1, 2))
    found = tfjs_to_torch(manifest(entry()), data, engine="tensorflowjs")
    found["a"] += 1
    assert (found["a"].tolist(), bytes(data)) == ([2, 3], f32(1, 2))


def test_the_engine_checks_lengths_as_ours_does() -> None:
    with pytest.raises(ValueError, match="1 too many"):
        tfjs_to_torch(manifest(entry()), bytes(9), engine="tensorflowjs")


def test_what_the_engine_cannot_do_is_said() -> None:
    empty_strings = manifest(entry((0,), "string"), entry((1,), name="b"))
    with pytest.raises(UnsupportedError, match=r"engine tensorflowjs: ValueError: .*; use the own engine"):
        tfjs_to_torch(empty_strings, f32(1), engine="tensorflowjs")


@pytest.mark.parametrize("quantize", [None, "uint8", "uint16", "float16", ["uint8:[[]a]", "uint16:b*"]], ids=str)
@pytest.mark.parametrize("shard_bytes", [None, 7])
def test_the_engine_saves_the_same_files(quantize: Any, shard_bytes: int | None, tmp_path: Path) -> None:
    state_dict = {
        "[a]": torch.linspace(-1, 2, 9),
        "b*": torch.tensor([[0.5, 0.7]]),
        "n": torch.tensor(3),
        "c": torch.ones(2) * 1j,
    }
    for engine in ("tfjs_torch", "tensorflowjs"):
        save_file(state_dict, tmp_path / engine, quantize=quantize, shard_bytes=shard_bytes, engine=engine)
    assert snapshot(tmp_path / "tfjs_torch") == snapshot(tmp_path / "tensorflowjs")


def test_the_engine_saves_under_a_template(tmp_path: Path) -> None:
    state_dict = {"a": torch.linspace(-1, 2, 9), "s": np.array([b"x"], object)}
    save_file(state_dict, tmp_path / "in", quantize="uint8")
    edited = {**load_file(tmp_path / "in"), "a": torch.linspace(0, 1, 9)}
    save_file(edited, tmp_path / "out", like=tmp_path / "in", engine="tensorflowjs")
    save_file(edited, tmp_path / "own", like=tmp_path / "in")
    assert told_all(load_file(tmp_path / "out")) == told_all(load_file(tmp_path / "own"))
    assert told(load_file(tmp_path / "out")["s"]) == ("string", (1,), [b"x"])
