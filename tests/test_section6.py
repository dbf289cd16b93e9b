"""The numbered cases of the fact sheet's section 6: what this package does, beside what the official one does.

The numbers are those of the sheet; they name the official package's defects throughout the tests. Rows 1 to 26
stand here, the others in test_section6_from_27.py.
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
    officially,
    quantized,
    read,
    text,
    told,
    told_all,
)
from judges import TfjsJudge

from tfjs_torch import (
    ManifestError,
    TfjsTorchWarning,
    UnsupportedError,
    WeightsLengthError,
    official,
    tfjs_to_torch,
    torch_to_tfjs,
    write_weights,
)

INT32_TIES = entry((8,), "int32", quantization=quantized("uint8", 0.5, -2.0))


def test_row_01_bytes_of_an_element_missing_are_an_error() -> None:
    with pytest.raises(WeightsLengthError, match=r"16 bytes expected .* 12 found .* 4 missing"):
        read(f32(1, 2, 3), entry((4,)))


def test_row_02_a_part_of_an_element_is_an_error() -> None:
    with pytest.raises(WeightsLengthError, match="3 missing"):
        read(f32(1, 2, 3) + b"\0", entry((4,)))


def test_row_03_bytes_left_over_are_an_error_where_both_others_ignore_them(judge: TfjsJudge) -> None:
    with pytest.raises(WeightsLengthError, match="4 too many"):
        read(f32(1, 2, 3), entry())
    assert official_reads(manifest(entry()), f32(1, 2, 3)).keys() == judge.decode([entry()], [f32(1, 2, 3)]).keys()


def test_row_04_bytes_left_over_in_a_group_are_an_error_because_tfjs_shifts_the_next_group(judge: TfjsJudge) -> None:
    groups = [*manifest(entry((1,)), paths=["1.bin"]), *manifest(entry((1,), name="b"), paths=["2.bin"])]
    with pytest.raises(WeightsLengthError, match=r"1\.bin.*4 too many"):
        tfjs_to_torch(groups, [f32(1, 99), f32(2)])
    assert judge.decode([entry((1,)), entry((1,), name="b")], [f32(1, 99), f32(2)])["b"].array.tolist() == [99]


@pytest.mark.parametrize("shape", [(0,), (0, 3)])
def test_row_05_an_empty_tensor_has_no_bytes(shape: tuple[int, ...]) -> None:
    assert told_all(read(f32(1), entry(shape), entry((1,), name="b"))) == {
        "a": ("float32", shape, b""),
        "b": ("float32", (1,), f32(1)),
    }


def test_row_06_a_manifest_of_empty_tensors_needs_no_file() -> None:
    assert told(tfjs_to_torch(manifest(entry((0,)), paths=[]), [])["a"]) == ("float32", (0,), b"")
    assert official_reads(manifest(entry((0,)), paths=[]), b"") == {"a": ("float32", (0,), b"")}


def test_row_07_an_empty_shape_is_a_scalar() -> None:
    assert told(read(f32(1), entry(()))["a"]) == ("float32", (), f32(1))


def test_row_08_a_negative_size_is_an_error_where_the_official_package_takes_all_that_is_left() -> None:
    with pytest.raises(ManifestError, match=r"'a': non-negative integers in shape expected, found -1"):
        read(f32(1, 2), entry((-1,)))
    assert official_reads(manifest(entry((-1,))), f32(1, 2)) == {"a": ("float32", (2,), f32(1, 2))}


@pytest.mark.parametrize("broken", [entry(None), {"name": "a", "dtype": "float32"}])
def test_row_09_a_missing_shape_is_a_clear_error(broken: dict[str, Any]) -> None:
    with pytest.raises(ManifestError, match="'a': a list of sizes under \"shape\" expected, found nothing"):
        read(f32(1), broken)
    assert official_fails(official.decode_weights, manifest(broken), f32(1)) in ("TypeError", "KeyError")


def test_row_10_strings_may_be_empty() -> None:
    assert read(text(b"", b"x"), entry((2,), "string"))["a"].tolist() == [b"", b"x"]


def test_row_11_a_string_tensor_without_elements_takes_no_bytes_where_the_official_package_skips_4() -> None:
    entries = entry((0,), "string"), entry((1,), "int32", "b")
    assert read(i32(7), *entries)["b"].tolist() == [7]
    assert official_fails(official.decode_weights, manifest(*entries), i32(7)) == "ValueError"


def test_row_12_a_cut_string_is_an_error_where_both_others_shorten_it(judge: TfjsJudge) -> None:
    cut = text(b"abc")[:-2]
    with pytest.raises(WeightsLengthError, match=r"'?a'?: string 0 of 1: 3 bytes of text expected, 1 found"):
        read(cut, entry((1,), "string"))
    assert judge.decode([entry((1,), "string")], [cut])["a"].array.tolist() == [b"a"]
    assert official_reads(manifest(entry((1,), "string")), cut)["a"] == ("string", (1,), [b"a"])


def test_row_13_a_string_of_4_gib_is_an_error_where_the_official_package_misreads_what_follows() -> None:
    data = b"\xff\xff\xff\xff" + f32(1, 2)
    entries = entry((1,), "string"), entry((2,), name="b")
    with pytest.raises(WeightsLengthError, match="4294967295 bytes of text expected, 8 found"):
        read(data, *entries)
    assert official_reads(manifest(*entries), data)["b"] != ("float32", (2,), f32(1, 2))


def test_row_14_a_string_scalar_is_one_string() -> None:
    assert told(read(text(b"\xc3\xa9"), entry((), "string"))["a"]) == ("string", (), [b"\xc3\xa9"])


def test_row_15_a_quantised_string_is_an_error() -> None:
    broken = entry((1,), "string", quantization=quantized("uint8"))
    with pytest.raises(ManifestError, match="uint8 codes of float32 or int32 expected, found dtype 'string'"):
        read(text(b"x"), broken)
    assert official_fails(official.decode_weights, manifest(broken), text(b"x")) == "TypeError"


@pytest.mark.parametrize("dtype", ["int64", "float64", "int8"])
def test_row_16_dtypes_that_tfjs_cannot_load_are_an_error(dtype: str) -> None:
    with pytest.raises(UnsupportedError, match=f"found dtype '{dtype}', which tf.js cannot load either"):
        read(bytes(16), entry(dtype=dtype))


def test_row_17_bfloat16_is_an_error() -> None:
    with pytest.raises(UnsupportedError, match="found dtype 'bfloat16'"):
        read(bytes(4), entry(dtype="bfloat16"))
    # The official package fails, too, unless something else in the process has taught numpy the name.


def test_row_18_float16_without_quantization_is_read_with_a_warning() -> None:
    with pytest.warns(TfjsTorchWarning, match='a: dtype "float16" stored unquantised, which tf.js refuses'):
        found = read(b"\1\x7c\0\x3c", entry(dtype="float16"))
    assert told_all(found) == official_reads(manifest(entry(dtype="float16")), b"\1\x7c\0\x3c")


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_row_19_unsigned_dtypes_are_read_with_a_warning(dtype: str) -> None:
    data = bytes(range(2 * np.dtype(dtype).itemsize))
    with pytest.warns(TfjsTorchWarning, match=f'a: dtype "{dtype}" stored unquantised, which tf.js refuses'):
        found = read(data, entry(dtype=dtype))
    assert told(found["a"]) == (dtype, (2,), data)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_row_19_unsigned_dtypes_are_never_written_where_the_official_package_writes_them(
    dtype: str, tmp_path: Path
) -> None:
    with pytest.raises(UnsupportedError, match=f"a: .* found {dtype}, which tf.js cannot load"):
        write_weights(named(a=np.zeros(2, dtype)), tmp_path)
    with pytest.raises(UnsupportedError, match=f"found {dtype}, which tf.js cannot load"):
        torch_to_tfjs({"a": torch.zeros(2, dtype=getattr(torch, dtype))})
    assert list(tmp_path.iterdir()) == []
    assert official_write(tmp_path, named(a=np.zeros(2, dtype)))[0]["weights"][0]["dtype"] == dtype


@pytest.mark.parametrize("nothing", [None, {}])
def test_row_20_quantization_null_or_empty_means_unquantised(nothing: Any) -> None:
    with pytest.warns(TfjsTorchWarning, match='"quantization": .* which tf.js refuses'):
        found = read(f32(1, 2), entry(quantization=nothing))
    assert told_all(found) == official_reads(manifest(entry(quantization=nothing)), f32(1, 2))


def test_row_21_ties_of_quantised_int32_go_up_as_in_tfjs_where_the_official_package_takes_the_even() -> None:
    codes = bytes(range(8))
    assert read(codes, INT32_TIES)["a"].tolist() == [-2, -1, -1, 0, 0, 1, 1, 2]
    assert officially(official.decode_weights, manifest(INT32_TIES), [codes], True)[0]["data"].tolist() == [
        -2, -2, -1, 0, 0, 0, 1, 2,
    ]  # fmt: skip


@pytest.mark.parametrize("dtype", ["bool", "complex64"])
def test_row_22_quantised_bool_and_complex64_are_an_error_where_the_official_package_casts(dtype: str) -> None:
    broken = entry(dtype=dtype, quantization=quantized("uint8", 1.0, 0.0))
    with pytest.raises(ManifestError, match=f"uint8 codes of float32 or int32 expected, found dtype '{dtype}'"):
        read(b"\3\4", broken)
    assert official_reads(manifest(broken), b"\3\4")["a"][0] == dtype


@pytest.mark.parametrize("key", ["min", "scale"])
def test_row_23_quantization_without_min_or_scale_is_an_error(key: str) -> None:
    half = {name: value for name, value in quantized("uint8").items() if name != key}
    with pytest.raises(ManifestError, match=f'a finite number under "{key}" expected, found nothing'):
        read(b"\3\4", entry(quantization=half))


def test_row_24_int32_stored_as_float16_is_an_error() -> None:
    with pytest.raises(ManifestError, match="float16 codes of float32 expected, found dtype 'int32'"):
        read(bytes(4), entry(dtype="int32", quantization=quantized("float16")))


def test_row_25_an_odd_number_of_bytes_for_uint16_is_an_error() -> None:
    with pytest.raises(WeightsLengthError, match=r"4 bytes expected .* 3 found .* 1 missing"):
        read(bytes(3), entry(quantization=quantized("uint16")))


@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity"])
def test_row_26_the_tokens_nan_and_infinity_are_an_error_where_the_official_package_takes_them(token: str) -> None:
    said = json.dumps(manifest(entry(quantization=quantized("uint8", low=7777)))).replace("7777", token)
    with pytest.raises(ManifestError, match=f"strict JSON expected, found the token {token}"):
        tfjs_to_torch(said, b"\0\1")
    assert "a" in official_reads(json.loads(said), b"\0\1")
