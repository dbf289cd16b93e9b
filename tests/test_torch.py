"""Loaded tensors are good citizens of torch, and anything that torch calls a tensor can be saved."""

from __future__ import annotations

import gc
import io
import json
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import SAMPLES, entry, f32, i32, manifest, parse, quantized, strings, told, told_all, warned, write_model
from safetensors.torch import load_file as load_safetensors
from safetensors.torch import save_file as save_safetensors

from tfjs_torch import MismatchError, load_file, read_artifacts, save_file, tfjs_to_torch, torch_to_tfjs

MODEL = SAMPLES / "ml5-classifier"
CODES = entry((2,), name="q", quantization=quantized("uint8"))
ENTRIES = entry((3,)), entry((2,), "int32", "i"), entry((3,), "bool", "b"), CODES
DATA = f32(1, 2, 3) + i32(4, 5) + b"\0\1\1" + b"\6\7"


@pytest.fixture(params=["memory", "disk", "zip"])
def state_dict(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    if request.param == "memory":
        return tfjs_to_torch(manifest(*ENTRIES), DATA)
    folder = write_model(tmp_path / "m", manifest(*ENTRIES), {"w.bin": DATA})
    if request.param == "zip":
        read_artifacts(folder).save(tmp_path / "m.zip")
        return load_file(tmp_path / "m.zip")
    return load_file(folder)


def saved(value: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream)
    return stream.getvalue()


def test_torch_save_and_load_give_the_same(state_dict: dict[str, Any]) -> None:
    again = torch.load(io.BytesIO(saved(state_dict)), weights_only=True)
    assert told_all(again) == told_all(state_dict)


def test_torch_save_stores_the_bytes_of_the_tensor_and_not_of_its_file(tmp_path: Path) -> None:
    entries = entry((1 << 20,)), entry((3,), name="small")
    folder = write_model(tmp_path, manifest(*entries), {"w.bin": bytes((1 << 22) + 12)})
    assert len(saved(load_file(folder)["small"])) < 5000
    assert load_file(folder)["small"].untyped_storage().nbytes() == 12


def test_safetensors_takes_it(state_dict: dict[str, Any], tmp_path: Path) -> None:
    save_safetensors(state_dict, tmp_path / "m.safetensors")
    assert told_all(load_safetensors(tmp_path / "m.safetensors")) == told_all(state_dict)


def test_it_can_be_changed_in_place(state_dict: dict[str, Any]) -> None:
    state_dict["a"].mul_(2).add_(1)
    state_dict["i"][0] = -1
    state_dict["b"].logical_not_()
    state_dict["q"].clamp_(max=6.5)
    assert [state_dict[n].tolist() for n in "aibq"] == [[3, 5, 7], [-1, 5], [True, False, False], [6, 6.5]]


def test_it_can_be_trained(state_dict: dict[str, Any]) -> None:
    parameter = torch.nn.Parameter(state_dict["a"])
    optimizer = torch.optim.SGD([parameter], lr=0.5)
    torch.autograd.backward((parameter**2).sum())
    optimizer.step()
    assert state_dict["a"].tolist() == parameter.tolist() == [0, 0, 0]
    groups, data = torch_to_tfjs({**state_dict, "a": parameter}, manifest(*ENTRIES))
    assert (groups, data[:12]) == (manifest(*ENTRIES), f32(0, 0, 0))


def test_it_can_require_a_gradient(state_dict: dict[str, Any]) -> None:
    torch.autograd.backward(state_dict["q"].requires_grad_().sum())
    assert state_dict["q"].grad.tolist() == [1, 1]


def test_it_loads_into_a_module() -> None:
    loaded = load_file(MODEL)
    layer = torch.nn.Linear(3, 16)
    layer.load_state_dict({"weight": loaded["dense_Dense1/kernel"].T, "bias": loaded["dense_Dense1/bias"]})
    assert torch.equal(layer.weight, loaded["dense_Dense1/kernel"].T)


def test_it_outlives_its_files_and_its_dict(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "m", manifest(*ENTRIES), {"w.bin": DATA})
    tensor = load_file(folder)["a"]
    (folder / "w.bin").unlink()
    gc.collect()
    assert tensor.tolist() == [1, 2, 3]


def resident() -> int:
    """Bytes of memory that this process really has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


# what: (tensor, the same in float32 or int32)
INPUTS: dict[str, tuple[Any, bytes]] = {
    "float64": (torch.tensor([1 / 3, 1e-50], dtype=torch.float64), f32(1 / 3, 0)),
    "float16": (torch.tensor([0.5, -2.0], dtype=torch.float16), f32(0.5, -2)),
    "bfloat16": (torch.tensor([0.5, -2.0], dtype=torch.bfloat16), f32(0.5, -2)),
    "int64": (torch.tensor([-(2**31), 2**31 - 1]), i32(-(2**31), 2**31 - 1)),
    "transposed": (torch.arange(6.0).reshape(2, 3).T, f32(0, 3, 1, 4, 2, 5)),
    "expanded": (torch.tensor([[1.0], [2.0]]).expand(2, 3), f32(1, 1, 1, 2, 2, 2)),
    "every second": (torch.arange(6.0)[::2], f32(0, 2, 4)),
    "a slice": (torch.arange(6.0)[2:4], f32(2, 3)),
    "channels last": (torch.arange(8.0).reshape(1, 2, 2, 2).to(memory_format=torch.channels_last), f32(*range(8))),
    "conjugated": (torch.tensor([1 + 2j]).conj(), f32(1, -2)),
    "negated": (torch.tensor([1 + 2j]).conj().imag, f32(-2)),
    "complex128": (torch.tensor([1 + 2j], dtype=torch.complex128), f32(1, 2)),
    "a parameter": (torch.nn.Parameter(torch.ones(1)), f32(1)),
    "needs a gradient": (torch.ones(1, requires_grad=True) * 2, f32(2)),
    "a numpy array": (np.array([1.5]), f32(1.5)),
    "a numpy number": (np.float32(1.5), f32(1.5)),
    "big-endian numpy": (np.array([1, 2], ">i4"), i32(1, 2)),
    "Fortran numpy": (np.asfortranarray(np.arange(6, dtype="f4").reshape(2, 3)), f32(*range(6))),
    "backwards numpy": (np.arange(3, dtype="f4")[::-1], f32(2, 1, 0)),
    "read-only numpy": (np.frombuffer(f32(7), "<f4"), f32(7)),
    "a bool of any byte": (np.frombuffer(b"\0\2\xff", bool), b"\0\1\1"),
    "strings": (strings("é", b"\0"), b"\2\0\0\0\xc3\xa9" + b"\1\0\0\0\0"),
    "fixed-width strings": (np.array(["a", "bc"]), b"\1\0\0\0a" + b"\2\0\0\0bc"),
}  # fmt: skip


@pytest.mark.parametrize("what", INPUTS)
def test_any_tensor_is_written_by_its_values(what: str) -> None:
    tensor, data = INPUTS[what]
    groups, written = torch_to_tfjs({"a": tensor})
    assert (groups[0]["weights"][0]["shape"], written) == (list(tensor.shape), data)


@pytest.mark.parametrize("what", INPUTS)
def test_any_tensor_is_written_to_disk_by_its_values(what: str, tmp_path: Path) -> None:
    tensor, data = INPUTS[what]
    save_file({"a": tensor}, tmp_path)
    assert (tmp_path / "model.weights.bin").read_bytes() == data


def test_the_dtype_of_a_template_is_kept() -> None:
    groups = manifest(entry((2,), "float32", "a"), entry((2,), "int32", "b"), entry((2,), "bool", "c"))
    whole = {name: torch.tensor([0.0, 1.0], dtype=torch.float64) for name in "abc"}
    assert torch_to_tfjs(whole, groups) == (groups, f32(0, 1) + i32(0, 1) + b"\0\1")


def test_a_sliced_tensor_is_quantised_by_its_values() -> None:
    every = torch.linspace(-3, 3, 12).reshape(3, 4)
    part = {"a": every.T[1:]}
    assert torch_to_tfjs(part, quantize="uint8") == torch_to_tfjs({"a": part["a"].contiguous()}, quantize="uint8")


def test_the_order_of_a_state_dict_does_not_matter_under_a_template() -> None:
    groups, data = torch_to_tfjs({"a": torch.zeros(1), "b": torch.ones(1)})
    assert torch_to_tfjs({"b": torch.ones(1), "a": torch.zeros(1)}, groups) == (groups, data)


@pytest.mark.parametrize("form", ["dict", "list", "text", "bytes", "bytearray", "memoryview", "path", "str path"])
def test_a_manifest_comes_in_many_forms(form: str) -> None:
    path = MODEL / "model.json"
    said = path.read_bytes()
    forms = {
        "dict": parse(path), "list": parse(path)["weightsManifest"], "path": path, "str path": str(path),
        "text": said.decode(), "bytes": said, "bytearray": bytearray(said), "memoryview": memoryview(said),
    }  # fmt: skip
    data = (MODEL / "model.weights.bin").read_bytes()
    state_dict = tfjs_to_torch(forms[form], data)
    assert told_all(state_dict) == told_all(load_file(MODEL))
    back, written = torch_to_tfjs(state_dict, forms[form])
    assert (back, written) == (forms["list"] if form == "list" else forms["dict"], data)


WEIGHT_FORMS: dict[str, Callable[[Path], Any]] = {
    "bytes": Path.read_bytes,
    "bytearray": lambda path: bytearray(path.read_bytes()),
    "memoryview": lambda path: memoryview(path.read_bytes()),
    "array": lambda path: np.frombuffer(path.read_bytes(), "u1"),
    "list": lambda path: [path.read_bytes()],
    "tuple": lambda path: (path.read_bytes(),),
    "dict": lambda path: {f"./{path.name}": path.read_bytes()},
    "plain dict": lambda path: {path.name: path.read_bytes()},
    "path": lambda path: path,
    "str path": str,
    "paths": lambda path: [path],
    "folder": lambda path: path.parent,
}


@pytest.mark.parametrize("form", WEIGHT_FORMS)
def test_weight_bytes_come_in_many_forms(form: str) -> None:
    data = WEIGHT_FORMS[form](MODEL / "model.weights.bin")
    assert told_all(tfjs_to_torch(MODEL / "model.json", data)) == told_all(load_file(MODEL))


def test_a_list_of_shards_is_in_the_order_of_the_manifest() -> None:
    groups = [*manifest(entry((2,)), paths=["z", "a"]), *manifest(entry((1,), name="b"), paths=["m"])]
    assert tfjs_to_torch(groups, [f32(1), f32(2), f32(3)])["a"].tolist() == [1, 2]
    assert tfjs_to_torch(groups, {"a": f32(2), "m": f32(3), "z": f32(1)})["a"].tolist() == [1, 2]


def test_strings_are_numpy_arrays_of_bytes_that_can_be_changed(tmp_path: Path) -> None:
    groups = manifest(entry((2,), "string"))
    found = tfjs_to_torch(groups, b"\1\0\0\0a" + b"\0\0\0\0")
    found["a"][1] = "é"
    assert torch_to_tfjs(found, groups) == (groups, b"\1\0\0\0a" + b"\2\0\0\0\xc3\xa9")


def test_a_device_may_be_named() -> None:
    for device in (None, "cpu", torch.device("cpu")):
        assert tfjs_to_torch(manifest(entry()), f32(1, 2), device=device)["a"].device.type == "cpu"
    assert load_file(MODEL, device="meta")["dense_Dense1/kernel"].is_meta


def test_opening_touches_no_weight_byte(tmp_path: Path) -> None:
    folder = write_model(tmp_path, manifest(entry((1 << 27,)), entry((2,), name="b")), {"w.bin": b""})
    with open(folder / "w.bin", "r+b") as file:
        file.truncate((1 << 29) + 8)  # holes, that take no room
    before = resident()
    assert load_file(folder)["b"].tolist() == [0, 0]
    assert resident() - before < 1 << 25


def test_the_front_door_does_not_open_torch() -> None:
    code = "import sys, tfjs_torch; tfjs_torch.inspect(sys.argv[1], stats=True); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code, str(MODEL)], check=False).returncode == 0


def test_the_garbage_collector_is_left_as_it_was(tmp_path: Path) -> None:
    for enabled in (True, False):
        (gc.enable if enabled else gc.disable)()
        try:
            save_file(load_file(MODEL), tmp_path, like=MODEL)
            with pytest.raises(MismatchError):
                save_file({}, tmp_path, like=MODEL)
            assert gc.isenabled() is enabled
        finally:
            gc.enable()


def test_a_thousand_groups_keep_no_thousand_files_open(tmp_path: Path) -> None:
    groups = [group for i in range(300) for group in manifest(entry((1,), name=str(i)), paths=[f"{i}"])]
    folder = write_model(tmp_path, groups, {f"{i}": f32(i) for i in range(300)})
    before = len(list(Path("/proc/self/fd").iterdir()))
    state_dict = load_file(folder)
    assert len(list(Path("/proc/self/fd").iterdir())) - before < 150
    assert [int(tensor) for tensor in state_dict.values()] == list(range(300))


def test_no_file_stays_open_once_the_tensors_are_gone(tmp_path: Path) -> None:
    before = set(Path("/proc/self/fd").iterdir())
    with warned():
        save_file(load_file(MODEL), tmp_path, like=MODEL)
    gc.collect()
    assert set(Path("/proc/self/fd").iterdir()) == before


def test_json_text_with_leading_blanks_is_no_path() -> None:
    said = " \n\t" + json.dumps(manifest(entry()))
    assert told(tfjs_to_torch(said, f32(1, 2))["a"]) == ("float32", (2,), f32(1, 2))
