"""A value that goes into another dtype arrives as it was, or is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import entry, manifest, warned

from tfjs_torch import MismatchError, UnsupportedError, torch_to_tfjs
from tfjs_torch.comparison import compare
from tfjs_torch.containers import write_container

SIGNIFICANT_BITS = {"float16": 11, "float32": 24}


def fits(value: int, target: str) -> bool:
    """Whether a dtype has this very number; told with Python's integers, which round nothing."""
    if target in SIGNIFICANT_BITS:
        odd = abs(value) >> ((value & -value).bit_length() - 1) if value else 0
        return odd.bit_length() <= SIGNIFICANT_BITS[target] and (target == "float32" or abs(value) <= 65504)
    return np.iinfo(target).min <= value <= np.iinfo(target).max


@pytest.mark.parametrize("target", ["int32", "uint8", "uint16", "float32", "float16"])
@pytest.mark.parametrize("source", ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"])
def test_an_integer_survives_or_is_refused(source: str, target: str) -> None:
    limits = np.iinfo(source)
    for value in {int(limits.min), -1 if limits.min else 0, 0, 1, int(limits.max) // 2 + 1, int(limits.max)}:
        array, groups = np.array([value], source), manifest(entry((1,), target))
        with warned():
            if fits(value, target):
                assert int(np.frombuffer(torch_to_tfjs({"a": array}, groups)[1], target)[0]) == value
            else:
                with pytest.raises(MismatchError, match=rf"{target} holds expected, found {source} {value}"):
                    torch_to_tfjs({"a": array}, groups)


def test_strings_and_numbers_of_one_name_are_told_apart() -> None:
    numbers: Any = {"a": np.array([1, 2])}
    text: Any = {"a": np.array([b"x", b"y"])}
    other: Any = {"a": np.array(["x", "z"])}
    assert [d.problem for d in compare(numbers, text)] == ["int64 in A, |S1 in B"]
    assert [d.changed for d in compare(text, other)] == [1]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_cast_for_a_container_makes_no_infinity(dtype: str, tmp_path: Path) -> None:
    tensors: Any = {"a": np.array([np.finfo("float32").max, np.inf], "float32")}
    with pytest.raises(MismatchError, match=f"within the range of {dtype}"):
        write_container(tmp_path / "a.safetensors", tensors, dtype)
    assert list(tmp_path.iterdir()) == []


def test_a_dtype_that_nobody_reads_is_refused(tmp_path: Path) -> None:
    tensors: Any = {"a": np.zeros(1, np.longdouble)}
    with pytest.raises(UnsupportedError, match="a dtype that others can read"):
        write_container(tmp_path / "a.npz", tensors)
