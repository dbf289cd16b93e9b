"""The numbered cases of section 6, continued: rows 27 to 51 (see test_section6.py).

Row 48 has no test: it is about a Keras loader, which this package does not have.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import (
    entry,
    f32,
    i32,
    manifest,
    named,
    official_fails,
    official_reads,
    official_write,
    quantized,
    read,
    told,
    told_all,
    warned,
    weight_data,
    write_model,
)
from judges import TfjsJudge

from tfjs_torch import (
    FilesError,
    ManifestError,
    MismatchError,
    TfjsTorchError,
    TfjsTorchWarning,
    UnsupportedError,
    decode_weights,
    inspect,
    load_file,
    official,
    save_file,
    tfjs_to_torch,
    torch_to_tfjs,
    write_weights,
)


def test_row_27_a_constant_tensor_is_quantised_exactly() -> None:
    value = float(np.float32(3.3))
    groups, data = torch_to_tfjs({"a": torch.full((2, 2), 3.3)}, quantize="uint8")
    assert (data, groups[0]["weights"][0]["quantization"]["min"]) == (bytes(4), value)
    assert groups[0]["weights"][0]["quantization"]["scale"] == 1
    assert tfjs_to_torch(groups, data)["a"].tolist() == [[value, value], [value, value]]


def test_row_28_an_empty_tensor_is_stored_unquantised_where_the_official_package_fails(tmp_path: Path) -> None:
    empty, options = named(a=np.zeros((0, 2), "f4")), {"uint8": True}
    assert write_weights(empty, tmp_path, quantization_dtype_map=options)[0]["weights"] == [entry((0, 2))]
    assert official_fails(official_write, tmp_path, empty, 99, True, options) == "ValueError"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_row_29_what_is_not_finite_is_stored_unquantised_where_the_official_json_cannot_be_loaded(
    value: float, tmp_path: Path
) -> None:
    arrays, options = named(a=np.array([1, value], "f4")), {"uint8": True}
    with pytest.warns(TfjsTorchWarning, match="a: NaN or infinity cannot be quantised to uint8; stored as float32"):
        assert write_weights(arrays, tmp_path / "ours", quantization_dtype_map=options)[0]["weights"] == [entry()]
    written = official_write(tmp_path / "theirs", arrays, 99, True, options)
    with pytest.raises(ManifestError, match="strict JSON"):
        tfjs_to_torch(json.dumps(written), b"\0\0")


def test_row_30_a_name_that_comes_twice_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="unique tensor names expected, found 'a' twice"):
        read(f32(1, 2, 3, 4), entry(), entry())
    with pytest.raises(ManifestError, match="'a' twice"):
        write_weights([*named(a=np.zeros(1, "f4")), *named(a=np.zeros(1, "f4"))], tmp_path)


@pytest.mark.parametrize("name", ["a b/é:0", "../a", "constructor", "", "\0", "7", "日本/核"])
def test_row_31_any_weight_name_goes_both_ways(name: str, judge: TfjsJudge) -> None:
    groups, data = torch_to_tfjs({name: torch.tensor([1.0]), "z": torch.tensor([2.0])})
    assert list(tfjs_to_torch(groups, data)) == [name, "z"]
    assert judge.decode(groups[0]["weights"], [data])[name].array.tolist() == [1]


def test_row_32_a_tensor_may_be_cut_at_any_byte() -> None:
    data = f32(1, 2, 3)
    groups = manifest(entry((3,)), paths=["1", "2", "3"])
    assert told(tfjs_to_torch(groups, [data[:5], data[5:10], data[10:]])["a"])[2] == data


def test_row_33_a_second_file_larger_than_the_first_is_read_and_never_written(tmp_path: Path, judge: TfjsJudge) -> None:
    groups = [
        *manifest(entry((1,)), paths=["1.bin"]),
        *manifest(entry((2,), name="b"), entry((2,), name="c"), paths=["2.bin"]),
    ]
    first = write_model(tmp_path / "first", groups, {"1.bin": f32(1), "2.bin": f32(2, 3, 4, 5)})
    state = load_file(first)
    assert state["c"].tolist() == [4, 5]
    assert judge.load(first)["c"].array.tolist() == [0, 0]
    with pytest.warns(TfjsTorchWarning, match=r"tf\.js 4\.22 would misread"):
        save_file(state, tmp_path / "second", like=first)
    assert judge.load(tmp_path / "second")["c"].array.tolist() == [4, 5]


def test_row_34_decode_weights_wants_one_buffer_a_group() -> None:
    with pytest.raises(MismatchError, match=r"one buffer a group expected \(1\), found 2"):
        decode_weights(manifest(entry()), [f32(1), f32(2)])
    assert official_fails(official.decode_weights, manifest(entry()), [f32(1), f32(2)]) == "ValueError"


def test_row_35_decode_weights_takes_one_buffer_as_it_is() -> None:
    ours, theirs = (call(manifest(entry()), f32(1, 2)) for call in (decode_weights, official.decode_weights))
    assert [[e["data"].tolist() for e in group] for group in ours] == [[[1, 2]]]
    assert [[e["data"].tolist() for e in group] for group in theirs] == [[[1, 2]]]


@pytest.mark.parametrize("path", ["../w.bin", "/etc/hostname", "sub/../../w.bin", "..\\w.bin", "file:///etc/hostname"])
def test_row_36_a_path_that_leaves_the_folder_is_an_error(path: str, tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(f32(1, 2))
    with pytest.raises(FilesError, match="a path inside the model's folder expected"):
        load_file(write_model(tmp_path / "model", manifest(entry(), paths=[path]), {}))


def test_row_37_a_path_may_begin_with_a_dot(tmp_path: Path) -> None:
    folder = write_model(tmp_path, manifest(entry(), paths=["./w.bin"]), {"w.bin": f32(1, 2)})
    assert load_file(folder)["a"].tolist() == [1, 2]


def test_row_38_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FilesError, match=r"gone\.bin: this weights file expected beside the JSON, found .*model\.json"):
        load_file(write_model(tmp_path, manifest(entry(), paths=["gone.bin"]), {}))


def test_row_39_a_file_may_be_named_twice(tmp_path: Path) -> None:
    folder = write_model(tmp_path, manifest(entry(), paths=["w.bin", "w.bin"]), {"w.bin": f32(1)})
    found = load_file(folder)["a"]
    found[0] = 5
    assert found.tolist() == [5, 1]


@pytest.mark.parametrize("shape", [(3,), (1, 3)])
def test_row_40_any_byte_but_zero_is_true_and_stays_as_it_is(shape: tuple[int, ...]) -> None:
    groups = manifest(entry(shape, "bool"))
    found = tfjs_to_torch(groups, b"\0\2\xff")
    assert found["a"].flatten().tolist() == [False, True, True]
    assert torch_to_tfjs(found, groups) == (groups, b"\0\2\xff")


def test_row_40_a_bool_scalar_of_any_byte_but_zero_is_true() -> None:
    assert told(read(b"\2", entry((), "bool"))["a"]) == ("bool", (), b"\1")


@pytest.mark.parametrize("dtype", ["<f4", "f4", "float", "Float32", "float32 ", "half"])
def test_row_41_other_spellings_of_a_dtype_are_an_error(dtype: str) -> None:
    with pytest.raises(ManifestError, match=f"one of float32, .* expected, found dtype '{dtype}'"):
        read(f32(1, 2), entry(dtype=dtype))


def test_row_42_a_manifest_that_is_an_object_is_an_error() -> None:
    with pytest.raises(ManifestError, match=r"a list of weight groups expected, found an object"):
        tfjs_to_torch({"weightsManifest": manifest(entry())[0]}, f32(1, 2))
    with pytest.raises(ManifestError, match="a list of groups expected, found dict"):
        decode_weights({}, [])  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [2**40, 2**31, -(2**31) - 1])
def test_row_43_an_int64_that_int32_cannot_hold_is_an_error_where_the_official_package_wraps(
    value: int, tmp_path: Path
) -> None:
    with pytest.raises(MismatchError, match=f"n: .*int32.* found int64 {value} at flat index 1"):
        torch_to_tfjs({"n": torch.tensor([0, value])})
    written = official_write(tmp_path, named(n=np.array([0, value])))
    assert np.frombuffer(weight_data(tmp_path, written), "<i4")[1] != value


@pytest.mark.parametrize("dtype", [torch.int8, torch.int16, torch.uint32])
def test_row_44_dtypes_without_a_counterpart_are_an_error(dtype: torch.dtype) -> None:
    with pytest.raises(UnsupportedError, match=r"a: one of float32, .* which tf.js cannot load; cast it first"):
        torch_to_tfjs({"a": torch.zeros(2, dtype=dtype)})


@pytest.mark.parametrize("broken", [{"data": np.zeros(1, "f4")}, {"name": "a"}, {"name": "a", "data": [1.0]}, "a"])
def test_row_45_a_malformed_entry_is_a_clear_error_where_the_official_package_crashes(
    broken: Any, tmp_path: Path
) -> None:
    with pytest.raises(TfjsTorchError, match=r"weight_groups\[0\]\[0\]"):
        write_weights([[broken]], tmp_path)
    assert official_fails(official_write, tmp_path, [[broken]]) == "TypeError"


def test_row_46_no_shard_size_means_one_file_where_the_official_package_fails(tmp_path: Path) -> None:
    groups = named(a=np.zeros(3, "f4"))
    assert write_weights(groups, tmp_path, shard_size_bytes=None)[0]["paths"] == ["group1-shard1of1.bin"]
    assert official_fails(official_write, tmp_path, groups, None) == "TypeError"


def test_row_47_a_big_endian_array_is_swapped_where_the_official_package_refuses_it(tmp_path: Path) -> None:
    groups = named(a=np.array([1, 2], ">f4"))
    assert weight_data(tmp_path, write_weights(groups, tmp_path)) == f32(1, 2)
    assert official_fails(official_write, tmp_path, groups) == "ValueError"


def test_row_49_codes_are_dequantised_in_float64_and_rounded_once(judge: TfjsJudge) -> None:
    one = entry((256,), quantization=quantized("uint8", 0.00509803940852, -0.10196078817))
    found = told_all(read(bytes(range(256)), one))
    assert found == official_reads(manifest(one), bytes(range(256)))
    assert found == {n: told(t.array) for n, t in judge.decode([one], [bytes(range(256))]).items()}


def test_row_50_optimizer_weights_are_told_apart(tmp_path: Path) -> None:
    groups = manifest(entry(), entry((), "int32", "iter", group="optimizer"))
    folder = write_model(tmp_path, groups, {"w.bin": f32(1, 2) + i32(3)})
    assert (inspect(folder).parameters, inspect(folder).optimizer_parameters) == (2, 1)
    assert torch_to_tfjs(load_file(folder), groups)[0][0]["weights"][1]["group"] == "optimizer"


def test_row_51_min_and_scale_may_be_json_integers_where_the_official_package_overflows() -> None:
    groups = manifest(entry(quantization=quantized("uint8", 300, -100000)))
    with warned():
        found = tfjs_to_torch(groups, b"\1\xff")
    assert found["a"].tolist() == [-99700.0, -23500.0]
    assert torch_to_tfjs(found, groups) == (groups, b"\1\xff")
    assert official_fails(official.decode_weights, groups, b"\1\xff") == "OverflowError"
