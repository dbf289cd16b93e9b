"""After a save that fails the target is exactly as it was: no half file, no temporary file, no new folder."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import SAMPLES, entry, f32, manifest, quantized, snapshot, write_files, write_model

from tfjs_torch import FilesError, TfjsTorchError, load_file, read_artifacts, save_file, write_weights
from tfjs_torch.saving import write_files as write_atomically

GOOD = torch.zeros(2)
HALF = manifest(entry(quantization=quantized("float16")))
BEFORE = {"model.json": b"old json", "w.bin": b"old bytes", "other.txt": b"mine"}

# what: (state_dict, like, options)
FAILURES: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "a missing key": ({}, manifest(entry()), {}),
    "an unexpected key": ({"a": GOOD, "b": GOOD}, manifest(entry()), {}),
    "another shape in the last tensor": ({"a": GOOD, "b": GOOD}, manifest(entry(), entry((3,), name="b")), {}),
    "an integer out of range in the last tensor": ({"a": GOOD, "b": torch.tensor([2**40])}, None, {}),
    "a float out of range in the last tensor": ({"a": GOOD, "b": np.array([1e300])}, None, {}),
    "a fraction for int32": ({"a": GOOD + 0.5}, manifest(entry(dtype="int32")), {}),
    "a value that float16 cannot hold": ({"a": GOOD, "b": GOOD + 1e6}, None, {"quantize": "float16"}),
    "a value that a float16 entry cannot hold": (
        {"a": GOOD + 1e6},
        manifest(entry(quantization=quantized("float16"))),
        {},
    ),
    "a sparse tensor": ({"a": GOOD, "b": GOOD.to_sparse()}, None, {}),
    "a name that is no string": ({"a": GOOD, 7: GOOD}, None, {}),
    "the name __proto__": ({"a": GOOD, "__proto__": GOOD}, None, {}),
    "a path above the folder": ({"a": GOOD}, manifest(entry(), paths=["../w.bin"]), {}),
    "an absolute path": ({"a": GOOD}, manifest(entry(), paths=["/tmp/w.bin"]), {}),
    "a JSON that cannot be strict": ({"a": GOOD}, {"weightsManifest": manifest(entry()), "x": float("nan")}, {}),
    "a template that is broken": ({"a": GOOD}, manifest(entry((-1,))), {}),
    "a template that is not there": ({"a": GOOD}, "/nowhere", {}),
    "an unknown quantisation": ({"a": GOOD}, None, {"quantize": "uint4"}),
    "shards of no bytes": ({"a": GOOD}, None, {"shard_bytes": 0}),
    "an unknown layout": ({"a": GOOD}, None, {"layout": "keras"}),
    "an unknown engine": ({"a": GOOD}, None, {"engine": "numpy"}),
}


@contextmanager
def disk_full_after(nbytes: int) -> Iterator[None]:
    """No file of this process can grow beyond `nbytes`: writing fails midway, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (nbytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("what", FAILURES)
@pytest.mark.parametrize("target", ["out", "out/other.json", "out/model.zip"])
def test_what_cannot_be_saved_leaves_a_model_as_it_was(what: str, target: str, tmp_path: Path) -> None:
    state_dict, like, options = FAILURES[what]
    write_files(tmp_path / "out", {**BEFORE, "model.zip": b"old zip"})
    before = snapshot(tmp_path)
    with pytest.raises(TfjsTorchError):
        save_file(state_dict, tmp_path / target, like=like, **options)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("what", FAILURES)
@pytest.mark.parametrize("target", ["new", "new/sub", "new/model.zip"])
def test_what_cannot_be_saved_makes_no_folder(what: str, target: str, tmp_path: Path) -> None:
    state_dict, like, options = FAILURES[what]
    with pytest.raises(TfjsTorchError):
        save_file(state_dict, tmp_path / target, like=like, **options)
    assert snapshot(tmp_path) == {}


@pytest.mark.parametrize("target", ["out", "out/model.zip", "new/sub", "new/model.zip"])
@pytest.mark.parametrize("quantize", [None, "uint8"])
def test_a_disk_that_is_full_midway_leaves_everything_as_it_was(
    target: str, quantize: str | None, tmp_path: Path
) -> None:
    write_files(tmp_path / "out", BEFORE)
    before = snapshot(tmp_path)
    state_dict = {name: torch.rand(100_000) for name in "ab"}
    with pytest.raises(FilesError, match="write to expected, found: File too large"), disk_full_after(150_000):
        save_file(state_dict, tmp_path / target, quantize=quantize)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, TfjsTorchError])
@pytest.mark.parametrize("target", ["out", "out/model.zip", "new/sub", "new/model.zip"])
def test_an_interruption_midway_leaves_everything_as_it_was(
    error: type[BaseException], target: str, tmp_path: Path
) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"half of"
        raise error("where", "what")

    write_files(tmp_path / "out", BEFORE)
    before = snapshot(tmp_path)
    with pytest.raises(error):
        write_atomically(tmp_path / target, [("w.bin", [b"all"]), ("model.json", pieces())])
    assert snapshot(tmp_path) == before


def model(path: str) -> dict[str, Any]:
    return {"weightsManifest": manifest(entry(), paths=[path])}


@pytest.mark.parametrize("way", ["x.bin", "sub/x.bin", "model.json"])
def test_a_folder_in_the_way_of_a_file_leaves_everything_as_it_was(way: str, tmp_path: Path) -> None:
    write_files(tmp_path, {f"{way}/inside": b"mine"})
    before = snapshot(tmp_path)
    with pytest.raises(FilesError, match="a folder of that name is in the way"):
        save_file({"a": GOOD}, tmp_path, like=model(way if way != "model.json" else "w.bin"))
    assert snapshot(tmp_path) == before


def test_a_weights_file_named_like_the_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FilesError, match=r"every file once expected, found 'model\.json' twice"):
        save_file({"a": GOOD}, tmp_path, like=model("./model.json"))
    assert snapshot(tmp_path) == {}


@pytest.mark.parametrize("target", ["file", "file/sub", "file/model.json", "file/model.zip"])
def test_a_file_in_the_way_of_a_folder_is_said(target: str, tmp_path: Path) -> None:
    write_files(tmp_path, {"file": b"mine"})
    with pytest.raises(FilesError, match=r"write to expected, found: (File exists|Not a directory)"):
        save_file({"a": GOOD}, tmp_path / target)
    assert snapshot(tmp_path) == {"file": b"mine"}


def test_a_rename_that_fails_keeps_the_old_json_and_no_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse_json(source: Any, target: Any) -> None:
        if str(target).endswith(".json"):
            raise PermissionError(13, "Permission denied", str(target))
        rename(source, target)

    rename = os.replace
    write_files(tmp_path, BEFORE)
    monkeypatch.setattr(os, "replace", refuse_json)
    with pytest.raises(FilesError, match=r"model\.json: .*Permission denied"):
        save_file({"a": GOOD}, tmp_path)
    assert snapshot(tmp_path).keys() <= {*BEFORE, "model.weights.bin"}
    assert (tmp_path / "model.json").read_bytes() == b"old json"


def test_a_link_that_leads_out_of_the_target_is_not_followed(tmp_path: Path) -> None:
    write_files(tmp_path, {"secret": b"mine", "out/x": b""})
    (tmp_path / "out/sub").symlink_to(tmp_path)
    with pytest.raises(FilesError, match="leads out"):
        save_file({"a": GOOD}, tmp_path / "out", like=manifest(entry(), paths=["sub/secret"]))
    assert (tmp_path / "secret").read_bytes() == b"mine"


def test_artifacts_whose_weights_went_away_leave_everything_as_it_was(tmp_path: Path) -> None:
    artifacts = read_artifacts(write_model(tmp_path / "model", manifest(entry()), {"w.bin": f32(1, 2)}))
    (tmp_path / "model/w.bin").unlink()
    write_files(tmp_path / "out", BEFORE)
    before = snapshot(tmp_path)
    with pytest.raises(FilesError):
        artifacts.save(tmp_path / "out")
    assert snapshot(tmp_path) == before


def test_write_weights_that_fails_leaves_everything_as_it_was(tmp_path: Path) -> None:
    write_files(tmp_path, BEFORE)
    with pytest.raises(TfjsTorchError):
        write_weights([[{"name": "a", "data": np.zeros(1, "f4")}, {"name": "b", "data": np.array([2**40])}]], tmp_path)
    assert snapshot(tmp_path) == BEFORE


def test_the_state_dict_is_as_it_was_after_all(tmp_path: Path) -> None:
    state_dict = load_file(SAMPLES / "ml5-classifier")
    before = {name: (tensor.clone(), tensor.data_ptr()) for name, tensor in state_dict.items()}
    save_file(state_dict, tmp_path, like=SAMPLES / "ml5-classifier", quantize="uint8")
    assert all(torch.equal(state_dict[n], t) and state_dict[n].data_ptr() == p for n, (t, p) in before.items())
