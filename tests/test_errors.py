"""Bad input: one error of our tree each, which names the place and says what was expected and what was found."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import entry, f32, manifest, quantized, strings, text, write_files, write_model

from tfjs_torch import (
    FilesError,
    ManifestError,
    MismatchError,
    TfjsTorchError,
    TfjsTorchWarning,
    UnsupportedError,
    WeightsLengthError,
    load_file,
    read_artifacts,
    save_file,
    tfjs_to_torch,
    torch_to_tfjs,
    write_weights,
)

ONE = manifest(entry())
INT32, BOOL, STRING = (manifest(entry(dtype=dtype)) for dtype in ("int32", "bool", "string"))
HALF = manifest(entry(quantization=quantized("float16")))
SCALED = entry(quantization=quantized("uint8", 77))
DEEP = "[" * 100_000 + "]" * 100_000

# what: (manifest, words)
MANIFESTS: dict[str, tuple[Any, str]] = {
    "cut JSON": ('{"weightsManifest": [', "manifest: JSON expected, found .* at line 1 column 22"),
    "JSON in UTF-16": ('{"a": 1}'.encode("utf-16"), "UTF-8 JSON text expected, found byte 0xff"),
    "JSON 100,000 deep": (DEEP, "JSON of a sane depth expected"),
    "a key 100,000 deep": (f'{{"weightsManifest": {DEEP}}}', "JSON of a sane depth expected"),
    "the token NaN": ('{"weightsManifest": [], "x": NaN}', "found the token NaN"),
    "a number of 5,000 digits": ("[" + "9" * 5000 + "]", "manifest"),
    "a number for a manifest": (7, 'a model.json with "weightsManifest".* expected, found 7'),
    "an object of something else": ({"a": 1}, "expected, found an object"),
    "a group without weights": ([{"paths": []}], r'\[0\]: a list under "weights" expected'),
    "a path that is a number": ([{"paths": [1], "weights": []}], r"\[0\]\.paths\[0\]: a file name expected, found 1"),
    "an entry that is a list": (manifest([]), r"weights\[0\]: an entry .* expected, found a list"),
    "a name that is a number": (manifest(entry(name=7)), 'a string under "name" expected, found 7'),
    "the name __proto__": (manifest(entry(name="__proto__")), "named '__proto__'"),
    "a name that comes twice": (manifest(entry(), entry()), "found 'a' twice"),
    "a dtype that is a list": (manifest(entry(dtype=["float32"])), "'a': .* expected, found a list"),
    "a shape of -1": (manifest(entry((-1,))), "'a': non-negative integers .* found -1"),
    "a shape of 1.5": (manifest(entry((1.5,))), "'a': non-negative integers .* found 1.5"),
    "a shape of true": (manifest(entry((True,))), "non-negative integers .* found True"),
    "a shape beyond 64 bits": (manifest(entry((2**62, 4))), "a shape that fits into memory"),
    "an empty shape beyond 64 bits": (manifest(entry((0, 2**62, 2**62))), "fits into memory"),
    "a shape of 1e300": (manifest(entry((1e300,))), "a shape that fits into memory"),
    "a scale that is a string": (manifest(entry(quantization=quantized("uint8", "1"))), "'1'"),
    "a scale of 1e999": (
        json.dumps(manifest(entry(quantization=quantized("uint8", 77)))).replace("77", "1e999"),
        "inf",
    ),
    "codes of int8": (
        manifest(entry(quantization=quantized("int8"))),
        "uint8, uint16 or float16 expected, found 'int8'",
    ),
    "a checkpoint with a shape of 5": ({"a": {"filename": "a", "shape": 5}}, "'a': a list of sizes"),
    "a checkpoint without a shape": ({"a": {"filename": "a", "shape": None}}, "'a': a list of sizes"),
    "a checkpoint with a file 7": ({"a": {"filename": 7, "shape": [1]}}, "a file name expected, found 7"),
}

# what: (manifest, bin, error, words)
BYTES: dict[str, tuple[Any, Any, type[TfjsTorchError], str]] = {
    "a byte too few": (ONE, bytes(7), WeightsLengthError, "8 bytes expected .*, 7 found .* 1 missing, from tensor 'a'"),
    "a byte too many": (ONE, bytes(9), WeightsLengthError, "8 bytes expected .*, 9 found .* 1 too many"),
    "no bytes": (ONE, b"", WeightsLengthError, "8 missing"),
    "bytes for no tensors": ([], b"\0", WeightsLengthError, "1 too many"),
    "a string cut in its length": (STRING, bytes(3), WeightsLengthError, "4 bytes of length"),
    "a string cut in its text": (STRING, text(b"", b"ab")[:-1], WeightsLengthError, "2 bytes of text"),
    "10**17 strings": (manifest(entry((10**17,), "string")), text(b""), WeightsLengthError, r"string 1 of 10{17}"),
    "40 dimensions": (manifest(entry((1,) * 40)), f32(1), UnsupportedError, "at most 32 dimensions .* found 40"),
    "a shard too many": (ONE, [bytes(4), bytes(4)], MismatchError, r"1 shards expected \(w\.bin\), found 2"),
    "bytes under another name": (ONE, {"v.bin": bytes(8)}, FilesError, "w.bin: bytes .* expected in bin, found v.bin"),
    "a list for bytes": (ONE, [[1, 2]], FilesError, "bytes in one piece expected, found list"),
    "a number for bytes": (ONE, 8, FilesError, "bytes in one piece expected, found int"),
    "a path that is not there": (ONE, "/nowhere/w.bin", FilesError, "/nowhere/w.bin: a readable file expected"),
    "a path of 5,000 characters": (ONE, "w" * 5000, FilesError, "w"),
    "a path with a NUL": (ONE, "w\0", FilesError, "w"),
    "a manifest path of 5,000 characters": ("m" * 5000, b"", FilesError, "a readable JSON file expected"),
    "an empty path for a manifest": ("", b"", FilesError, "a readable JSON file expected"),
}

# what: (tensor, manifest, words)
VALUES: dict[str, tuple[Any, Any, str]] = {
    "another shape": (torch.zeros(2, 1), ONE, r"a: shape \(2,\) expected, found \(2, 1\)"),
    "a list": ([1.0, 2.0], ONE, "a: a torch tensor or numpy array expected, found list"),
    "int64 beyond int32": (torch.tensor([0, 2**31]), None, "a: .*int32.* found int64 2147483648 at flat index 1"),
    "float64 beyond float32": (np.array([1e300]), None, "a: .*float32.* found float64 1e.300 at flat index 0"),
    "complex128 beyond complex64": (np.array([1e300j]), None, "a: .*complex64"),
    "a fraction for int32": (torch.tensor([1, 1.5]), INT32, "a: .*int32.* found float32 1.5 at flat index 1"),
    "NaN for int32": (torch.tensor([1, np.nan]), INT32, "a: .*int32.* found float32 nan"),
    "2**31 for int32": (torch.tensor([1, 2.0**31]), INT32, "a: .*int32"),
    "2 for bool": (torch.tensor([1, 2]), BOOL, "a: .*bool.* found int64 2"),
    "2**24 + 1 for float32": (torch.tensor([1, 2**24 + 1]), ONE, "a: .*float32.* found int64 16777217"),
    "complex for float32": (torch.tensor([1, 1j]), ONE, "a: .*float32.* found complex64 "),
    "complex NaN for float32": (torch.tensor([1, complex(np.nan, 5)]), ONE, "a: .*float32"),
    "text for float32": (np.array(["1.5", "2"]), ONE, "a: .*float32"),
    "strings for float32": (strings(b"x", b"y"), ONE, "a: .*float32"),
    "numbers for strings": (torch.zeros(2), STRING, "a: an object array of bytes"),
    "None for strings": (np.array([None, b""]), STRING, "a: an object array"),
    "dates": (np.array(["2020", "2021"], "M8[D]"), ONE, "a: .*float32"),
    "raw records": (np.zeros(2, "V4"), ONE, "a: .*float32"),
    "a sparse tensor": (torch.zeros(2).to_sparse(), ONE, "a: a dense tensor .* found layout torch.sparse_coo"),
    "a meta tensor": (torch.zeros(2, device="meta"), ONE, "a: a dense tensor with values .* on meta"),
    "a float beyond float16": (torch.tensor([1, 7e4]), HALF, "a: .*65504.* found 70000"),
}


@pytest.mark.parametrize("what", MANIFESTS)
def test_a_manifest_that_cannot_be_read_is_said(what: str) -> None:
    given, words = MANIFESTS[what]
    with pytest.raises(ManifestError, match=words):
        tfjs_to_torch(given, b"")


@pytest.mark.parametrize("what", BYTES)
def test_bytes_that_do_not_fit_are_said(what: str) -> None:
    given, data, error, words = BYTES[what]
    with pytest.raises(error, match=words):
        tfjs_to_torch(given, data)


@pytest.mark.parametrize("what", VALUES)
def test_a_value_that_cannot_be_written_is_said(what: str) -> None:
    tensor, given, words = VALUES[what]
    with pytest.raises(MismatchError, match=words):
        torch_to_tfjs({"a": tensor}, given)


@pytest.mark.parametrize("tensor", [torch.zeros(2).to(torch.float8_e4m3fn), np.zeros(2, "V4")], ids=["float8", "void"])
def test_a_dtype_that_nobody_reads_is_said(tensor: Any) -> None:
    with pytest.raises(UnsupportedError, match=r"^a: .* cast it"):
        torch_to_tfjs({"a": tensor})


@pytest.mark.parametrize("groups", [[], {}, None, "a", ["a"], [None], [[1]]], ids=str)
def test_weight_groups_that_are_none_are_said(groups: Any, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="weight_groups"):
        write_weights(groups, tmp_path)


@pytest.mark.parametrize(
    "state_dict", [None, [("a", torch.zeros(2))], torch.nn.Linear(1, 1)], ids=["none", "list", "module"]
)
def test_a_state_dict_that_is_none_is_said(state_dict: Any) -> None:
    with pytest.raises(MismatchError, match=r"state_dict: \{name: tensor\} expected, found"):
        torch_to_tfjs(state_dict)


def test_a_name_that_is_no_string_is_said() -> None:
    with pytest.raises(MismatchError, match="names that are strings expected, found 1"):
        torch_to_tfjs({1: torch.zeros(2)})  # type: ignore[dict-item]


def test_missing_and_unexpected_keys_are_told_in_the_words_of_torch() -> None:
    with pytest.raises(RuntimeError) as theirs:
        torch.nn.Linear(1, 1).load_state_dict({"x": torch.zeros(1)})
    with pytest.raises(MismatchError) as ours:
        torch_to_tfjs({"x": torch.zeros(1)}, manifest(entry(name="weight"), entry(name="bias")))
    assert all(line.strip() in str(ours.value) for line in str(theirs.value).splitlines()[1:])


def test_a_missing_key_is_said_also_while_another_models_bools_are_remembered() -> None:
    remembered = tfjs_to_torch(BOOL, b"\2\0")
    with pytest.raises(MismatchError, match="Missing"):
        torch_to_tfjs({}, ONE)
    assert torch_to_tfjs({"a": np.float32(3)}, manifest(entry(())))[1] == f32(3)
    assert remembered["a"].tolist() == [True, False]


@pytest.mark.parametrize(
    "quantize",
    ["int4", 5, [5], {"uint8": 5}, {"uint4": True}, {"uint8": "a", "uint16": "*"}, ["uint8", "uint16"]],
    ids=str,
)
def test_a_quantize_that_means_nothing_is_said(quantize: Any) -> None:
    with pytest.raises(MismatchError):
        torch_to_tfjs({"a": torch.zeros(2)}, quantize=quantize)


def test_a_quantize_pattern_that_matches_nothing_is_said() -> None:
    with pytest.raises(MismatchError, match="no float32 tensor matches 'b'; there are a"):
        torch_to_tfjs({"a": torch.zeros(2)}, quantize="uint8:b")


@pytest.mark.parametrize("shard_bytes", [0, -1, 1.5, "4"])
def test_a_shard_length_that_is_none_is_said(shard_bytes: Any, tmp_path: Path) -> None:
    with pytest.raises(MismatchError, match="a positive whole number of bytes expected"):
        save_file({"a": torch.zeros(2)}, tmp_path, shard_bytes=shard_bytes)


@pytest.mark.parametrize("call", [tfjs_to_torch, torch_to_tfjs])
def test_a_layout_that_is_none_is_said(call: Callable[..., Any]) -> None:
    with pytest.raises(MismatchError, match=r'layout: "tfjs" or "torch" expected, found .keras.'):
        call({}, [], layout="keras")


def test_a_bare_manifest_has_no_layout_of_torch() -> None:
    with pytest.raises(MismatchError, match="nothing is guessed"):
        tfjs_to_torch([], b"", layout="torch")
    with pytest.raises(MismatchError, match="nothing is guessed"):
        torch_to_tfjs({}, [], layout="torch")


def test_an_engine_that_is_none_is_said(tmp_path: Path) -> None:
    with pytest.raises(MismatchError, match='engine: "tfjs_torch" or "tensorflowjs" expected'):
        tfjs_to_torch([], [], engine="numpy")
    with pytest.raises(MismatchError, match="engine"):
        save_file({}, tmp_path, engine="numpy")


@pytest.mark.parametrize("shard", [0, 1, 2])
@pytest.mark.parametrize("off", [-1, 1])
def test_the_shard_of_a_wrong_length_is_named_with_the_bytes_that_are_off(shard: int, off: int, tmp_path: Path) -> None:
    sizes = [8, 8, 4]
    sizes[shard] += off
    names = ["1.bin", "2.bin", "3.bin"]
    folder = write_model(tmp_path, manifest(entry((5,)), paths=names), dict(zip(names, map(bytes, sizes), strict=True)))
    with pytest.raises(WeightsLengthError, match="1 missing" if off < 0 else "1 too many") as caught:
        load_file(folder)
    assert names[shard] in caught.value.where


def test_where_two_shards_may_be_wrong_both_are_named(tmp_path: Path) -> None:
    files = {"1.bin": bytes(9), "2.bin": bytes(4)}
    with pytest.raises(WeightsLengthError, match=r"1\.bin 9, 2\.bin 4"):
        load_file(write_model(tmp_path, manifest(entry((3,)), paths=files), files))


def test_all_groups_are_checked_before_the_first_tensor_is_made() -> None:
    groups = [*manifest(entry((1 << 30,)), paths=[]), *manifest(entry(name="b"), paths=["b"])]
    with pytest.raises(WeightsLengthError):
        tfjs_to_torch(groups, [b""])


def test_a_byte_order_mark_is_fine(tmp_path: Path) -> None:
    said = b"\xef\xbb\xbf" + json.dumps({"weightsManifest": ONE}).encode()
    write_files(tmp_path, {"model.json": said, "w.bin": f32(1, 2)})
    assert load_file(tmp_path)["a"].tolist() == [1, 2]
    assert tfjs_to_torch(said, f32(1, 2))["a"].tolist() == [1, 2]
    assert tfjs_to_torch(said.decode(), f32(1, 2))["a"].tolist() == [1, 2]


def test_a_renamed_weights_file_is_taken_and_named(tmp_path: Path) -> None:
    folder = write_model(tmp_path, ONE, {"renamed.bin": f32(1, 2), "short.bin": f32(1), "notes.txt": bytes(8)})
    with pytest.warns(TfjsTorchWarning, match=r"'w\.bin' .*is not there; took 'renamed\.bin'"):
        assert load_file(folder)["a"].tolist() == [1, 2]


def test_two_stand_ins_for_a_missing_file_are_refused_and_named(tmp_path: Path) -> None:
    folder = write_model(tmp_path, ONE, {name: bytes(8) for name in ("v.bin", "x.bin", "u.bin")})
    with pytest.raises(FilesError, match=r"w\.bin: .* found 'u\.bin', 'v\.bin'|'u\.bin' and 'v\.bin'"):
        load_file(folder)


@pytest.mark.parametrize("others", [{}, {"v.bin": 7}, {"v.bin": 9}], ids=str)
def test_a_missing_file_without_one_clear_stand_in_is_refused(others: dict[str, int], tmp_path: Path) -> None:
    folder = write_model(tmp_path, ONE, {name: bytes(size) for name, size in others.items()})
    with pytest.raises(FilesError, match=r"w\.bin: this weights file expected beside the JSON, found .*model\.json"):
        load_file(folder)


def test_a_file_of_the_wrong_length_beside_one_of_the_right_length_is_said(tmp_path: Path) -> None:
    folder = write_model(tmp_path, ONE, {"w.bin": bytes(4), "v.bin": bytes(8)})
    with pytest.raises(WeightsLengthError, match=r"8 bytes expected, 4 found; 'v\.bin' has the right length"):
        load_file(folder)


def test_a_rival_file_that_bears_the_name_of_the_json_is_said(tmp_path: Path) -> None:
    folder = write_model(tmp_path, ONE, {"w.bin": f32(1, 2), "model.weights.bin": f32(3, 4)})
    with pytest.warns(TfjsTorchWarning, match=r"took 'w\.bin'.*'model\.weights\.bin' lies there too"):
        assert load_file(folder)["a"].tolist() == [1, 2]


def test_warnings_point_at_the_line_of_the_caller(tmp_path: Path) -> None:
    folder = write_model(tmp_path, ONE, {"renamed.bin": f32(1, 2)})
    with pytest.warns(TfjsTorchWarning) as caught:
        load_file(folder)
    assert [warning.filename for warning in caught] == [__file__]


def test_two_missing_files_are_counted(tmp_path: Path) -> None:
    with pytest.raises(FilesError, match=r"1\.bin: this weights file and 1 more expected"):
        load_file(write_model(tmp_path, manifest(entry(), paths=["1.bin", "2.bin"]), {"3.bin": bytes(4)}))


@pytest.mark.parametrize("name", ["w.bin", "model_meta.json"])
def test_a_link_out_of_the_folder_is_refused(name: str, tmp_path: Path) -> None:
    write_files(tmp_path, {name: f32(1, 2)})
    folder = write_model(tmp_path / "model", ONE, {} if name == "w.bin" else {"w.bin": f32(1, 2)})
    (folder / name).symlink_to(tmp_path / name)
    with pytest.raises(FilesError, match="a link that leads out of it"):
        load_file(folder)


def test_links_in_a_circle_are_refused(tmp_path: Path) -> None:
    folder = write_model(tmp_path, ONE, {})
    (folder / "w.bin").symlink_to("v.bin")
    (folder / "v.bin").symlink_to("w.bin")
    with pytest.raises(FilesError, match=r"w\.bin"):
        load_file(folder)


def test_a_link_inside_the_folder_is_fine(tmp_path: Path) -> None:
    folder = write_model(tmp_path, ONE, {"real.bin": f32(1, 2)})
    (folder / "w.bin").symlink_to("real.bin")
    assert load_file(folder)["a"].tolist() == [1, 2]


def test_a_link_to_the_whole_model_is_fine(tmp_path: Path) -> None:
    write_model(tmp_path / "model", ONE, {"w.bin": f32(1, 2)})
    (tmp_path / "link").symlink_to("model")
    assert load_file(tmp_path / "link")["a"].tolist() == [1, 2]


MODEL, LONG = (json.dumps({"weightsManifest": manifest(entry(), paths=[p])}).encode() for p in ("w.bin", "w" * 300))

# what: (files of the folder, what is opened, words)
PLACES: dict[str, tuple[dict[str, bytes], str, str]] = {
    "an empty folder": ({"sub/x": b""}, "", r"one model\.json expected, found no files"),
    "a folder of other files": ({"a.txt": b""}, "", r"one model\.json expected, found a\.txt; .*model_meta\.json"),
    "two models": ({"a.json": MODEL, "b.json": MODEL}, "", r"several: a\.json, b\.json"),
    "nothing": ({}, "gone", "found nothing there"),
    "a path of 5,000 characters": ({}, "x" * 5000, "x"),
    "a path with a NUL": ({}, "x\0", "x"),
    "a zip that is none": ({"a.zip": b"PK"}, "a.zip", r"a \.zip expected"),
    "a long name in the manifest": ({"model.json": LONG}, "", "w"),
    "a folder for a weights file": ({"model.json": MODEL, "w.bin/x": b""}, "", r"w\.bin"),
}


@pytest.mark.parametrize("what", PLACES)
def test_a_place_without_a_model_is_said(what: str, tmp_path: Path) -> None:
    files, name, words = PLACES[what]
    write_files(tmp_path, files)
    with pytest.raises(FilesError, match=words):
        read_artifacts(os.path.join(tmp_path, name))


@pytest.mark.parametrize("source", [7, None, 1.5, {"model.json": "text"}, {7: b""}, {"../model.json": b"{}"}], ids=str)
def test_a_source_of_another_kind_is_said(source: Any) -> None:
    with pytest.raises(FilesError):
        read_artifacts(source)


def test_a_file_cut_while_it_is_read_is_said(tmp_path: Path) -> None:
    groups = manifest(entry((1000,), "bool"))
    artifacts = read_artifacts(write_model(tmp_path, groups, {"w.bin": bytes(1000)}))
    (tmp_path / "w.bin").write_bytes(bytes(10))
    with pytest.raises(FilesError, match="the file cut short meanwhile"):
        load_file(artifacts)


@pytest.mark.parametrize(
    ("sizes", "needed", "wrong"),
    [([8, 7], 16, 1), ([9, 8], 16, 0), ([4 << 20, 99], (4 << 20) + 100, 1), ([7, 8], 16, 0), ([8, 8, 3], 20, 2)],
)
def test_the_shard_that_is_wrong_is_named(sizes: list[int], needed: int, wrong: int) -> None:
    names = [f"s{index}.bin" for index in range(len(sizes))]
    groups = manifest(entry((needed,), "bool"), paths=names)
    with pytest.raises(WeightsLengthError, match=rf"^weights: {names[wrong]}: {needed} bytes expected"):
        tfjs_to_torch(groups, [bytes(size) for size in sizes])


def test_text_that_is_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MismatchError, match="text that UTF-8 can hold"):
        torch_to_tfjs({"a": strings("\ud800")}, manifest(entry((1,), "string")))
    with pytest.raises(FilesError, match="a path inside the model's folder"):
        save_file({"a": torch.zeros(2)}, tmp_path / "o.zip", like=manifest(entry(), paths=["\ud800.bin"]))
