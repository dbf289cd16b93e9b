"""Every code there is, and sizes at which the work is cut into pieces, runs, threads, windows and files."""

from __future__ import annotations

import mmap
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import entry, f32, manifest, official_write, quantized, read, text, told, told_all, write_model
from judges import TfjsJudge
from numpy.typing import NDArray
from strategies import QUANTIZED, STORED, reference

from tfjs_torch import load_file, save_file, tfjs_to_torch, torch_to_tfjs, write_weights

RANDOM = np.random.default_rng(5)
START = RANDOM.bit_generator.state
BORDERS = [1 << 15, 1 << 16, 1 << 20, 1 << 21]
STEPS = [
    (0.1, -3.0),
    (1e-3, 0),
    (3e4, -1e9),
    (7.3e34, -1e38),
    (1e-45, 1e-44),
    (2.0**-24, 1.0),
    (-0.5, 4.0),
    (0.0, -0.0),
]
COLLIDING = [(1, 2.0**23 + 0.5), (2, 2.0**24 + 1), (2.0**-24, 1), (0, 5), (1e-46, 0), (1e300, 0)]


@pytest.fixture(autouse=True)
def the_same_numbers_in_any_order_of_the_tests() -> None:
    RANDOM.bit_generator.state = START


def codes(by: str, size: int) -> bytes:
    return RANDOM.integers(0, 256, size * np.dtype(by).itemsize, np.uint8).tobytes()


def expected(one: dict[str, Any], data: bytes) -> NDArray[Any]:
    """The rule of the format in plain numpy, all numbers at once."""
    rule = one["quantization"]
    stored = np.frombuffer(data, STORED[rule["dtype"]])
    if rule["dtype"] == "float16":
        bits = stored.view("<u2").astype("<u4")
        special = (bits & 0x8000) << 16 | 0x7F800000 | (bits & 0x3FF) << 13
        with np.errstate(invalid="ignore"):
            return (
                np.where(bits & 0x7C00 == 0x7C00, special, stored.astype("<f4").view("<u4")).astype("<u4").view("<f4")
            )
    numbers: NDArray[Any] = stored.astype("<f8") * rule["scale"] + rule["min"]
    if one["dtype"] == "float32":
        with np.errstate(over="ignore"):
            return numbers.astype("<f4")
    rounded = np.floor(numbers) + (numbers - np.floor(numbers) >= 0.5)
    whole: NDArray[Any] = np.fmod(rounded, 2.0**32).astype("<i8").astype("<i4")
    return whole


@pytest.mark.parametrize("by", ["uint8", "uint16"])
@pytest.mark.parametrize("dtype", ["float32", "int32"])
@pytest.mark.parametrize(("scale", "low"), STEPS)
def test_every_code_means_what_tfjs_makes_of_it(
    by: str, dtype: str, scale: float, low: float, judge: TfjsJudge
) -> None:
    count = 1 << 8 * np.dtype(by).itemsize
    data = np.arange(count, dtype=STORED[by]).tobytes()
    one = entry((count,), dtype, quantization=quantized(by, scale, low))
    found = told(read(data, one)["a"])
    assert found == told(expected(one, data)) == told(judge.decode([one], [data])["a"].array)


def test_every_half_means_what_tfjs_makes_of_it(judge: TfjsJudge) -> None:
    data = np.arange(1 << 16, dtype="<u2").tobytes()
    one = entry((1 << 16,), quantization=quantized("float16"))
    found = told(read(data, one)["a"])
    assert found == told(expected(one, data)) == told(judge.decode([one], [data])["a"].array)
    assert found == told(reference(one, data))


def test_every_half_goes_back_to_itself() -> None:
    data = np.arange(1 << 16, dtype="<u2").tobytes()
    one = entry((1 << 16,), quantization=quantized("float16"))
    again = read(data, one)["a"].clone()
    assert torch_to_tfjs({"a": again}, manifest(one)) == (manifest(one), data)
    assert torch_to_tfjs({"a": again}, manifest(one), quantize="float16") == (manifest(one), data)


@pytest.mark.parametrize("word", [0x7F800001, 0xFF800FFF, 0x7FC00001])
def test_a_nan_whose_payload_fits_no_half_stays_a_nan(word: int) -> None:
    value = np.array([word], "<u4").view("<f4")
    groups, data = torch_to_tfjs({"a": value}, quantize="float16")
    assert tfjs_to_torch(groups, data)["a"].isnan().all()
    assert (data[1] & 0x80) << 24 == word & 0x80000000


@pytest.mark.parametrize(("scale", "low"), COLLIDING)
@pytest.mark.parametrize("dtype", ["float32", "int32"])
def test_codes_that_mean_the_same_number_come_back_as_they_were(dtype: str, scale: float, low: float) -> None:
    groups = manifest(entry((256,), dtype, quantization=quantized("uint8", scale, low)))
    data = RANDOM.permutation(256).astype("u1").tobytes()
    assert torch_to_tfjs(tfjs_to_torch(groups, data), groups) == (groups, data)


def test_floats_are_rounded_to_the_nearest_half_and_ties_to_the_even_one() -> None:
    halves = np.arange(0, 0x7C00, dtype="<u2").view("<f2").astype("<f8")
    between = (halves[:-1] + halves[1:]) / 2
    values = np.concatenate(
        [between, np.nextafter(between.astype("<f4"), -np.inf), np.nextafter(between.astype("<f4"), np.inf)]
    )
    _, data = torch_to_tfjs({"a": values.astype("<f4")}, quantize="float16")
    assert data == values.astype("<f4").astype("<f2").tobytes()


@pytest.mark.parametrize(("by", "dtype"), QUANTIZED)
def test_tensors_around_every_border_are_read_right(by: str, dtype: str, tmp_path: Path) -> None:
    sizes = [1, 7, *(border + off for border in BORDERS for off in (-1, 0, 1)), 3]
    entries = [entry((n,), dtype, str(i), quantization=quantized(by, 0.37, -9)) for i, n in enumerate(sizes)]
    parts = [codes(by, n) for n in sizes]
    whole = {one["name"]: told(expected(one, part)) for one, part in zip(entries, parts, strict=True)}
    data = b"".join(parts)
    assert told_all(read(data, *entries)) == whole
    cuts = [0, 11, len(data) // 3, len(data) // 2 + 1, len(data)]
    files = {f"{i}": data[a:b] for i, (a, b) in enumerate(pairwise(cuts))}
    assert told_all(load_file(write_model(tmp_path, manifest(*entries, paths=files), files))) == whole


@pytest.mark.parametrize("dtype", ["float32", "int32", "bool", "complex64"])
def test_plain_tensors_around_every_border_go_both_ways(dtype: str, tmp_path: Path) -> None:
    sizes = [3, *(border + off for border in BORDERS[1:] for off in (-1, 1))]
    items = np.dtype(STORED[dtype]).itemsize
    parts = [RANDOM.integers(0, 2, n * items, np.uint8).tobytes() for n in sizes]
    entries = [entry((n,), dtype, str(i)) for i, n in enumerate(sizes)]
    data = b"".join(parts)
    files = {"1": data[:5], "2": data[5 : 9 << 20], "3": data[9 << 20 :]} if len(data) > 9 << 20 else {"1": data}
    folder = write_model(tmp_path / "in", manifest(*entries, paths=files), files)
    state_dict = load_file(folder)
    assert [told(state_dict[str(i)])[2] for i in range(len(sizes))] == parts
    save_file(state_dict, tmp_path / "out", like=folder)
    assert b"".join((tmp_path / "out" / name).read_bytes() for name in files) == data


def test_thousands_of_neighbours_are_read_right() -> None:
    entries, parts, whole = [], [], {}
    for index in range(3000):
        size, (by, dtype) = int(RANDOM.integers(0, 40)), QUANTIZED[index % 5]
        one = entry((size,), dtype, str(index), quantization=quantized(by, 0.5 + index, -7))
        part = codes(by, size)
        if index % 7 == 0:
            one, part = entry((size,), name=str(index)), RANDOM.bytes(4 * size)
        entries.append(one)
        parts.append(part)
        whole[str(index)] = told(expected(one, part) if "quantization" in one else np.frombuffer(part, "<f4"))
    found = read(b"".join(parts), *entries)
    assert told_all(found) == whole
    assert torch_to_tfjs(found, manifest(*entries)) == (manifest(*entries), b"".join(parts))


@pytest.mark.parametrize("count", [127, 128, 129, 700])
def test_any_number_of_files_is_read_right(count: int, tmp_path: Path) -> None:
    data = RANDOM.bytes(4 * count)
    files = {str(i): data[i * 4 : i * 4 + 4] for i in range(count)}
    folder = write_model(tmp_path / "in", manifest(entry((count - 1,)), entry((1,), name="b"), paths=files), files)
    state_dict = load_file(folder)
    assert told(state_dict["a"])[2] + told(state_dict["b"])[2] == data
    save_file(state_dict, tmp_path / "out", like=folder)
    assert b"".join((tmp_path / "out" / name).read_bytes() for name in files) == data


@pytest.mark.parametrize("behind", [1, 2, 3])
def test_a_length_across_the_end_of_a_window_is_read_whole(behind: int) -> None:
    values = [b"x" * (65536 - 8 + behind), b"y" * ((1 << 24) + 1)]
    assert read(text(*values), entry((2,), "string"))["a"].tolist() == values


@pytest.mark.parametrize("before", range(-4, 6))
def test_a_string_may_begin_anywhere_around_a_window(before: int) -> None:
    values = [b"x" * (65536 - 8 - before), b"abc", b"", b"y" * 200_000, b"z"] + [b"n"] * 20_000
    found = read(text(*values) + f32(5), entry((len(values),), "string"), entry((1,), name="b"))
    assert found["a"].tolist() == values
    assert found["b"].tolist() == [5]


@pytest.mark.parametrize("by", ["uint8", "uint16", "float16"])
def test_large_tensors_are_quantised_as_by_the_official_package(by: str, tmp_path: Path) -> None:
    arrays = [RANDOM.normal(size=n).astype("f4") for n in ((1 << 20) + 7, 1 << 16, 100_000)]
    groups = [[{"name": str(i), "data": array} for i, array in enumerate(arrays)]]
    ours = write_weights(groups, tmp_path / "ours", quantization_dtype_map={by: True})
    assert ours == official_write(tmp_path / "theirs", groups, quantization_dtype_map={by: True})
    for name in ours[0]["paths"]:
        assert (tmp_path / "ours" / name).read_bytes() == (tmp_path / "theirs" / name).read_bytes()


def test_a_large_cast_is_checked_to_its_end() -> None:
    values = torch.zeros((1 << 21) + 5, dtype=torch.int64)
    values[-1] = 2**31
    with pytest.raises(ValueError, match="found int64 2147483648 at flat index 2097156"):
        torch_to_tfjs({"a": values})
    values[-1] = 2**31 - 1
    assert torch_to_tfjs({"a": values})[1][-4:] == b"\xff\xff\xff\x7f"


def test_a_large_strided_tensor_is_written_by_its_values() -> None:
    every = torch.arange(1 << 21, dtype=torch.float32).reshape(1 << 10, 1 << 11)
    assert torch_to_tfjs({"a": every.T})[1] == every.T.contiguous().numpy().tobytes()


def test_a_tensor_at_an_odd_place_in_its_file_is_aligned_and_its_own(tmp_path: Path) -> None:
    folder = write_model(tmp_path, manifest(entry((1,), "bool"), entry(name="b")), {"w.bin": b"\1" + f32(1, 2)})
    found = load_file(folder)["b"]
    assert (found.data_ptr() % 4, found.tolist()) == (0, [1, 2])


@pytest.mark.parametrize("no_reserve", [None, 0x4000])
def test_a_tensor_at_an_even_place_is_mapped_from_its_file(
    no_reserve: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if no_reserve and not hasattr(mmap, "MAP_NORESERVE"):  # Linux has it; Python names it from 3.13 on
        monkeypatch.setattr(mmap, "MAP_NORESERVE", no_reserve, raising=False)
    folder = write_model(tmp_path, manifest(entry((1 << 16,))), {"w.bin": bytes(1 << 18)})
    found = load_file(folder)["a"]
    assert str(folder / "w.bin") in Path("/proc/self/maps").read_text()
    found += 1
    assert (found.sum(), (folder / "w.bin").read_bytes()) == (1 << 16, bytes(1 << 18))


def test_where_files_cannot_be_mapped_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(19, "No such device")

    folder = write_model(tmp_path, manifest(entry()), {"w.bin": f32(1, 2)})
    monkeypatch.setattr(mmap, "mmap", refuse)
    found = load_file(folder)["a"]
    found += 1
    assert found.tolist() == [2, 3]


def test_many_threads_read_and_write_at_once(tmp_path: Path) -> None:
    state_dict = {"a": torch.rand(100_000), "b": torch.rand(50), "c": torch.tensor([True, False])}
    save_file(state_dict, tmp_path / "in", quantize="uint8:a")
    expected = told_all(load_file(tmp_path / "in"))

    def both_ways(index: int) -> Any:
        save_file(load_file(tmp_path / "in"), tmp_path / f"{index % 3}", like=tmp_path / "in")
        return told_all(load_file(tmp_path / f"{index % 3}"))

    with ThreadPoolExecutor(6) as pool:
        assert all(found == expected for found in pool.map(both_ways, range(30)))
    assert sorted(path.name for path in (tmp_path / "0").iterdir()) == ["model.json", "model.weights.bin"]


def test_the_bytes_of_a_model_come_in_one_piece_from_any_size() -> None:
    state_dict = {str(i): torch.full((i,), i, dtype=torch.int32) for i in range(200)}
    groups, data = torch_to_tfjs(state_dict)
    assert len(data) == 4 * sum(range(200))
    assert told_all(tfjs_to_torch(groups, data)) == told_all(state_dict)


def test_a_model_of_more_files_than_may_be_open(tmp_path: Path) -> None:
    state_dict = {f"{i}": torch.full((3,), float(i)) for i in range(300)}
    save_file(state_dict, tmp_path / "m", shard_bytes=8)
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200)); "
        "from tfjs_torch import load_file, save_file, read_artifacts, inspect; "
        f"a = {str(tmp_path / 'm')!r}; s = load_file(a); assert s['299'].tolist() == [299] * 3; "
        f"save_file(s, {str(tmp_path / 'n')!r}, like=a); read_artifacts(a).save({str(tmp_path / 'o')!r}); "
        f"save_file(s, {str(tmp_path / 'q')!r}, like=a, quantize='uint8'); inspect(a, stats=True); "
        f"load_file({str(tmp_path / 'q')!r})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert read_files(tmp_path / "n") == read_files(tmp_path / "o") == read_files(tmp_path / "m")


def read_files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}
