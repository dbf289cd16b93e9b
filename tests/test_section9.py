"""The writer's checklist of the fact sheet (section 9): one test or more for each of its rules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import entry, f32, manifest, parse, strings, write_model
from judges import CASES, TfjsJudge

from tfjs_torch import (
    ManifestError,
    TfjsTorchWarning,
    UnsupportedError,
    inspect,
    load_file,
    save_file,
    tfjs_to_torch,
    torch_to_tfjs,
)
from tfjs_torch.sharding import SHARD_BYTES, cut_groups, misread_by_tfjs

LAYOUTS: list[dict[str, Any]] = json.loads((CASES / "shard_layouts.json").read_text(encoding="utf-8"))["layouts"]
TENSORS = {"dense/kernel": torch.arange(6.0).reshape(2, 3), "dense/bias": torch.zeros(3)}


def sizes_in(folder: Path) -> list[int]:
    return [
        (folder / path).stat().st_size
        for group in parse(folder / "model.json")["weightsManifest"]
        for path in group["paths"]
    ]


def test_rule_1_one_group_and_one_file_named_as_tfjs_names_it(tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path)
    assert [group["paths"] for group in parse(tmp_path / "model.json")["weightsManifest"]] == [["./model.weights.bin"]]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.json", "model.weights.bin"]


def test_rule_1_shards_are_equal_and_the_last_is_no_larger(tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path, shard_bytes=8)
    assert sizes_in(tmp_path) == [8, 8, 8, 8, 4]


def test_rule_1_the_usual_shard_has_4_mib() -> None:
    assert SHARD_BYTES == 4 * 1024 * 1024
    assert [cut.nbytes for cut in cut_groups([10 << 20], shard_bytes=SHARD_BYTES)[0]] == [4 << 20, 4 << 20, 2 << 20]


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda one: f"{one['stream']}-{'-'.join(map(str, one['sizes']))}")
def test_rule_1_every_layout_that_tfjs_misread_is_known_to_be_misread(layout: dict[str, Any]) -> None:
    # Only this way round: tf.js reads some doubtful layouts right, depending on where the tensors lie.
    assert layout["right"] or misread_by_tfjs(layout["sizes"])


@pytest.mark.parametrize("sizes", [one["sizes"] for one in LAYOUTS if len(set(one["sizes"][:-1])) > 1], ids=str)
def test_rule_1_files_of_unequal_leading_lengths_are_no_danger(sizes: list[int]) -> None:
    assert not misread_by_tfjs(sizes)


@pytest.mark.parametrize("sizes", [[4, 8], [4, 4, 9], [0, 4]])
def test_rule_1_a_layout_that_tfjs_misreads_is_cut_anew(sizes: list[int], tmp_path: Path, judge: TfjsJudge) -> None:
    count, names = sum(sizes), [f"{i}.bin" for i in range(len(sizes))]
    groups = manifest(*(entry((1,), "bool", f"b{i}") for i in range(count)), paths=names)
    files = {name: b"\1" * size for name, size in zip(names, sizes, strict=True)}
    first = write_model(tmp_path / "first", groups, files)
    with pytest.warns(TfjsTorchWarning, match=r"would misread files .* written as one file"):
        save_file(load_file(first), tmp_path / "second", like=first)
    assert sizes_in(tmp_path / "second") == [count]
    assert all(tensor.array.all() for tensor in judge.load(tmp_path / "second").values())


def test_rule_2_only_dtypes_that_tfjs_reads_are_written() -> None:
    tensors = [torch.zeros(1, dtype=d) for d in (torch.float16, torch.bfloat16, torch.float64, torch.int64)]
    tensors += [torch.zeros(1, dtype=d) for d in (torch.bool, torch.int32, torch.complex64, torch.complex128)]
    groups, _ = torch_to_tfjs({str(i): tensor for i, tensor in enumerate(tensors)})
    assert [e["dtype"] for e in groups[0]["weights"]] == [
        "float32", "float32", "float32", "int32", "bool", "int32", "complex64", "complex64",
    ]  # fmt: skip


def test_rule_3_a_quantization_key_is_there_only_where_it_is_real() -> None:
    groups, _ = torch_to_tfjs({**TENSORS, "empty": torch.zeros(0), "step": torch.tensor(1)}, quantize="uint8")
    kept = {e["name"]: sorted(e["quantization"]) for e in groups[0]["weights"] if "quantization" in e}
    assert kept == {name: ["dtype", "min", "original_dtype", "scale"] for name in TENSORS}


def test_rule_3_dequantising_removes_the_key() -> None:
    groups, _ = torch_to_tfjs(TENSORS, quantize="uint8")
    again, plain = torch_to_tfjs(TENSORS, groups, quantize="float32")
    assert (again[0]["weights"], plain) == (torch_to_tfjs(TENSORS)[0][0]["weights"], f32(0, 1, 2, 3, 4, 5, 0, 0, 0))


def test_rule_4_the_name_proto_is_refused() -> None:
    with pytest.raises(ManifestError, match="'__proto__', which a browser loses; rename it"):
        torch_to_tfjs({"__proto__": torch.zeros(1)})


def test_rule_4_a_first_name_that_is_a_number_is_pointed_out(tmp_path: Path) -> None:
    save_file({"dense/0": torch.zeros(1)}, tmp_path)
    assert any("tf.js matches all weights by index" in said for said in inspect(tmp_path).oddities)


def test_rule_5_no_byte_is_written_beyond_the_tensors(tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path)
    assert sizes_in(tmp_path) == [36]


@pytest.mark.parametrize("shard_bytes", [None, 8])
def test_rule_5_no_empty_file_is_written(shard_bytes: int | None, tmp_path: Path) -> None:
    save_file({"empty": torch.zeros(0, 3)}, tmp_path, shard_bytes=shard_bytes)
    assert [path.name for path in tmp_path.iterdir()] == ["model.json"]
    assert parse(tmp_path / "model.json")["weightsManifest"][0]["paths"] == []
    assert load_file(tmp_path)["empty"].shape == (0, 3)


def test_rule_5_an_empty_state_dict_is_a_model_without_files(tmp_path: Path, judge: TfjsJudge) -> None:
    save_file({}, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["model.json"]
    assert load_file(tmp_path) == judge.load(tmp_path) == {}


def test_rule_6_a_new_string_tensor_without_elements_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="official reader misread what follows"):
        torch_to_tfjs({"s": strings()})


def test_rule_6_one_that_is_there_already_stays() -> None:
    groups = manifest(entry((0,), "string"), entry((1,), name="b"))
    assert torch_to_tfjs({"a": strings(), "b": torch.ones(1)}, groups) == (groups, f32(1))


def test_rule_7_the_json_is_strict_and_says_who_wrote_it(tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path)
    said = json.loads((tmp_path / "model.json").read_bytes(), parse_constant=pytest.fail)
    assert list(said) == ["format", "generatedBy", "convertedBy", "weightsManifest"]
    assert said["generatedBy"].startswith("tfjs_torch ")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_rule_7_what_is_not_finite_never_reaches_the_json(value: float) -> None:
    with pytest.warns(TfjsTorchWarning, match="stored as float32"):
        groups, _ = torch_to_tfjs({"a": torch.tensor([0.0, value])}, quantize="uint16")
    assert groups[0]["weights"] == [entry()]


def test_rule_7_a_range_whose_codes_would_overflow_is_stored_plainly() -> None:
    widest = torch.finfo(torch.float32)
    with pytest.warns(TfjsTorchWarning, match="cannot be quantised to uint8; stored as float32"):
        groups, data = torch_to_tfjs({"a": torch.tensor([widest.min, 1, widest.max])}, quantize="uint8")
    assert tfjs_to_torch(groups, data)["a"].tolist() == [widest.min, 1, widest.max]


def test_rule_8_a_new_model_has_no_training_config(tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path)
    assert "trainingConfig" not in parse(tmp_path / "model.json")


def test_rule_8_the_training_config_of_a_template_stays(tmp_path: Path) -> None:
    like = CASES / "js-optimizer-adam"
    save_file({name: tensor * 2 for name, tensor in load_file(like).items()}, tmp_path, like=like)
    assert parse(tmp_path / "model.json")["trainingConfig"] == parse(like / "model.json")["trainingConfig"]


def test_rule_9_a_file_beyond_2_gib_is_pointed_out(tmp_path: Path) -> None:
    size = (1 << 29) + 1
    folder = write_model(tmp_path, manifest(entry((size,))), {"w.bin": b""})
    with open(folder / "w.bin", "r+b") as file:
        file.truncate(4 * size)  # all holes: takes no room
    assert any("browsers take at most 2 GiB a file" in said for said in inspect(folder).oddities)
