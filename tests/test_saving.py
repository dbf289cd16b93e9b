"""What is written where: names, order, unknown keys, sidecars, shards; over anything that was there before."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import SAMPLES, entry, f32, i32, manifest, parse, quantized, snapshot, told_all, write_files, write_model

from tfjs_torch import (
    MismatchError,
    TfjsTorchWarning,
    UnsupportedError,
    load_file,
    read_artifacts,
    save_file,
    torch_to_tfjs,
)

CLASSIFIER = SAMPLES / "ml5-classifier"
# Keys in an order that nobody sorts, and some that nobody knows, at every level.
STRANGE: Any = {
    "zebra": {"null": None, "é": [1, 2.5, 1e-7, True]},
    "weightsManifest": [
        {
            "weights": [
                {"dtype": "float32", "x-note": "kept", "name": "a", "shape": [2]},
                {"quantization": {"scale": 1, "x": [], "min": -1, "dtype": "uint8"}, "name": "q", "shape": [2],
                 "dtype": "float32"},
            ],
            "x-group": 7,
            "paths": ["./sub/1.bin"],
        },
    ],
    "format": "layers-model",
    "modelTopology": None,
}  # fmt: skip
STRANGE_DATA = f32(1, 2) + b"\3\4"


def strange(folder: Path) -> Path:
    write_files(folder, {"model.json": json.dumps(STRANGE, indent=1).encode(), "sub/1.bin": STRANGE_DATA})
    return folder


def order_of(value: Any) -> Any:
    """A document with its keys in a list, to compare their order, too."""
    if isinstance(value, dict):
        return [(key, order_of(one)) for key, one in value.items()]
    return [order_of(one) for one in value] if isinstance(value, list) else value


def test_a_new_model_is_two_files(tmp_path: Path) -> None:
    save_file({"a": torch.tensor([1.0, 2.0])}, tmp_path)
    found = snapshot(tmp_path)
    assert found["model.weights.bin"] == f32(1, 2)
    assert json.loads(found["model.json"] or b"")["weightsManifest"] == manifest(entry(), paths=["./model.weights.bin"])


def test_the_bytes_of_a_two_by_two_tensor() -> None:
    groups, data = torch_to_tfjs({"k": torch.tensor([[1.0, -2.0], [0.5, 3.0]])})
    assert groups == [
        {"paths": ["./model.weights.bin"], "weights": [{"name": "k", "shape": [2, 2], "dtype": "float32"}]}
    ]
    assert data.hex() == "0000803f" + "000000c0" + "0000003f" + "00004040"


@pytest.mark.parametrize("target", ["out", "out/model.json", "a/b/c"])
def test_a_target_is_a_folder_or_a_json_in_it(target: str, tmp_path: Path) -> None:
    save_file({"a": torch.zeros(2)}, tmp_path / target)
    folder = tmp_path / target.removesuffix("/model.json")
    assert sorted(snapshot(folder)) == ["model.json", "model.weights.bin"]


def test_a_target_may_name_the_json(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(2)}, str(tmp_path / "my.json"))
    assert sorted(snapshot(tmp_path)) == ["model.weights.bin", "my.json"]
    assert load_file(tmp_path)["a"].tolist() == load_file(tmp_path / "my.json")["a"].tolist() == [0, 0]


@pytest.mark.parametrize("target", ["m.zip", "M.ZIP", "a/b/m.zip"])
def test_a_target_may_be_a_zip(target: str, tmp_path: Path) -> None:
    save_file({"a": torch.zeros(2)}, tmp_path / target)
    assert list(read_artifacts(tmp_path / target).manifest.paths) == ["./model.weights.bin"]


def test_the_sidecars_of_ml5_travel_along_byte_for_byte(tmp_path: Path) -> None:
    save_file(load_file(CLASSIFIER), tmp_path, like=CLASSIFIER)
    assert sorted(snapshot(tmp_path)) == ["model.json", "model.weights.bin", "model_meta.json"]
    assert all((tmp_path / name).read_bytes() == (CLASSIFIER / name).read_bytes() for name in snapshot(tmp_path))


@pytest.mark.parametrize("name", ["metadata.json", "gesture_meta.json", "vocab.json", "class_names.txt"])
def test_other_sidecars_travel_along(name: str, tmp_path: Path) -> None:
    write_files(tmp_path / "in", {"gesture.json": json.dumps(manifest(entry())).encode(), "w.bin": f32(1, 2)})
    write_files(tmp_path / "in", {name: b"\xff any bytes", "expected.json": b"{}"})
    save_file(load_file(tmp_path / "in"), tmp_path / "out", like=tmp_path / "in")
    assert snapshot(tmp_path / "out") == {n: b for n, b in snapshot(tmp_path / "in").items() if n != "expected.json"}


def test_an_unchanged_json_stays_as_it_is_to_the_byte(tmp_path: Path) -> None:
    like = strange(tmp_path / "in")
    state_dict = load_file(like)
    state_dict["a"] += 1
    save_file(state_dict, tmp_path / "out", like=like)
    assert (tmp_path / "out/model.json").read_bytes() == (like / "model.json").read_bytes()
    assert (tmp_path / "out/sub/1.bin").read_bytes() == f32(2, 3) + b"\3\4"


def test_unknown_keys_and_their_order_stay_where_the_json_must_change(tmp_path: Path) -> None:
    like = strange(tmp_path / "in")
    state_dict = load_file(like)
    state_dict["q"] = torch.tensor([0.0, 0.1])
    save_file(state_dict, tmp_path / "out", like=like)
    changed = parse(tmp_path / "out/model.json")
    entries = (document["weightsManifest"][0]["weights"][1] for document in (changed, STRANGE))
    new, old = (one["quantization"] for one in entries)
    assert list(new) == ["scale", "x", "min", "dtype"]
    assert new["scale"] != old["scale"]
    new.update(old)
    assert order_of(changed) == order_of(STRANGE)


def test_the_given_manifest_is_never_changed() -> None:
    before = json.dumps(STRANGE)
    state_dict = {"a": torch.zeros(2), "q": torch.tensor([0.0, 0.1])}
    document, _ = torch_to_tfjs(state_dict, STRANGE, quantize="uint8")
    assert json.dumps(STRANGE) == before != json.dumps(document)


def test_a_quantised_entry_keeps_scale_and_min_that_reproduce_the_tensor() -> None:
    groups = manifest(entry((3,), quantization=quantized("uint8", 0.1, -1)))
    values = torch.tensor([-1.0, -0.9, -0.8], dtype=torch.float64).float()
    assert torch_to_tfjs({"a": values}, groups) == (groups, b"\0\1\2")


def test_any_other_is_quantised_afresh_and_the_manifest_says_so() -> None:
    groups = manifest(entry((3,), quantization=quantized("uint8", 0.1, -1)))
    changed, data = torch_to_tfjs({"a": torch.tensor([0.0, 1.0, 255.0])}, groups)
    assert changed[0]["weights"][0]["quantization"] == {"dtype": "uint8", "min": 0.0, "scale": 1.0}
    assert data == b"\0\1\xff"


@pytest.mark.parametrize("like", [dict, list, "artifacts", "folder", "json", "zip", "files"])
def test_a_template_comes_in_many_forms(like: Any, tmp_path: Path) -> None:
    folder = write_model(tmp_path / "in", manifest(entry()), {"w.bin": f32(1, 2)})
    document, files = parse(folder / "model.json"), snapshot(folder)
    read_artifacts(folder).save(tmp_path / "in.zip")
    forms = {
        dict: document, list: document["weightsManifest"], "artifacts": read_artifacts(folder), "folder": str(folder),
        "json": folder / "model.json", "zip": tmp_path / "in.zip", "files": files,
    }  # fmt: skip
    save_file({"a": torch.tensor([3, 4])}, tmp_path / "out", like=forms[like])
    assert (tmp_path / "out/w.bin").read_bytes() == f32(3, 4)
    json_name = "weights_manifest.json" if like is list else "model.json"  # no tf.js loads a list from a model.json
    assert parse(tmp_path / "out" / json_name) == forms.get(like if like is list else dict)


@pytest.mark.parametrize(
    ("shard_bytes", "names"),
    [
        (None, ["model.weights.bin"]),
        (100, ["model.weights.bin"]),
        (24, ["model.weights.bin"]),
        (8, ["group1-shard1of3.bin", "group1-shard2of3.bin", "group1-shard3of3.bin"]),
    ],
)
def test_shards_are_named_as_the_converter_names_them(
    shard_bytes: int | None, names: list[str], tmp_path: Path
) -> None:
    save_file({"a": torch.zeros(6)}, tmp_path, shard_bytes=shard_bytes)
    found = {name: data for name, data in snapshot(tmp_path).items() if name != "model.json"}
    paths = parse(tmp_path / "model.json")["weightsManifest"][0]["paths"]
    assert [os.path.normpath(path) for path in paths] == names
    assert (sorted(found), b"".join(found[name] or b"" for name in names)) == (names, bytes(24))


def test_the_cuts_of_a_template_stay(tmp_path: Path) -> None:
    files = {"x/1": bytes(5), "2": bytes(7), "3": bytes(4)}
    like = write_model(tmp_path / "in", manifest(entry((4,)), paths=files), files)
    save_file({"a": torch.arange(4.0)}, tmp_path / "out", like=like)
    found = snapshot(tmp_path / "out")
    assert [len(found[name] or b"") for name in files] == [5, 7, 4]
    assert b"".join(found[name] or b"" for name in files) == f32(0, 1, 2, 3)


def test_the_groups_of_a_template_stay(tmp_path: Path) -> None:
    groups = [*manifest(entry((3,)), paths=["1"]), *manifest(entry((2,), "int32", "b"), paths=["2"])]
    like = write_model(tmp_path / "in", groups, {"1": bytes(12), "2": bytes(8)})
    save_file({"b": torch.tensor([5, 6]), "a": torch.ones(3)}, tmp_path / "out", like=like)
    assert parse(tmp_path / "out/model.json")["weightsManifest"] == groups
    assert (snapshot(tmp_path / "out")["1"], snapshot(tmp_path / "out")["2"]) == (f32(1, 1, 1), i32(5, 6))


def test_shard_bytes_cut_a_template_anew(tmp_path: Path) -> None:
    save_file(load_file(CLASSIFIER), tmp_path, like=CLASSIFIER, shard_bytes=200)
    assert sorted(len(data or b"") for name, data in snapshot(tmp_path).items() if name.endswith(".bin")) == [
        128,
        200,
        200,
    ]
    assert told_all(load_file(tmp_path)) == told_all(load_file(CLASSIFIER))


def test_the_names_of_a_manifest_stay_where_their_files_were_never_seen(tmp_path: Path) -> None:
    groups = manifest(entry((6,)), paths=["z", "y/x", "./w"])
    save_file({"a": torch.arange(6.0)}, tmp_path, like=groups)
    found = snapshot(tmp_path)
    assert [found[name] for name in ("z", "y/x", "w")] == [f32(0, 1), f32(2, 3), f32(4, 5)]
    assert parse(tmp_path / "weights_manifest.json") == groups


def test_a_checkpoint_is_not_cut_into_shards(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="one file a variable"):
        save_file({"w": torch.zeros(4)}, tmp_path, like={"w": {"filename": "w", "shape": [4]}}, shard_bytes=4)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("quantize", "sizes"), [("uint8", [8, 2]), ("uint16", [8, 8, 4]), ("float32", [8] * 5)])
def test_a_sharded_template_keeps_its_shard_length_when_its_bytes_change(
    quantize: str, sizes: list[int], tmp_path: Path
) -> None:
    save_file({"a": torch.arange(10.0)}, tmp_path / "in", shard_bytes=8)
    save_file(load_file(tmp_path / "in"), tmp_path / "out", like=tmp_path / "in", quantize=quantize)
    paths = parse(tmp_path / "out/model.json")["weightsManifest"][0]["paths"]
    assert [(tmp_path / "out" / path).stat().st_size for path in paths] == sizes
    assert load_file(tmp_path / "out")["a"].allclose(torch.arange(10.0), atol=0.02)


def test_a_checkpoint_is_never_quantised(tmp_path: Path) -> None:
    checkpoint = {"a": {"filename": "a", "shape": [1]}}
    with pytest.raises(UnsupportedError, match="float32 only"):
        torch_to_tfjs({"a": torch.ones(1)}, checkpoint, quantize="uint8")
    with pytest.raises(MismatchError, match="float32"):
        torch_to_tfjs({"a": torch.ones(1) * 1j}, checkpoint)


@pytest.mark.parametrize("name", ["\ud800", "a\0b", "日本", '"\\'])
def test_a_strange_name_survives_the_json(name: str, tmp_path: Path) -> None:
    save_file({name: torch.tensor([1.0])}, tmp_path)
    assert list(load_file(tmp_path)) == [name]


def test_a_model_without_weights_files_goes_both_ways(tmp_path: Path) -> None:
    write_files(tmp_path / "in", {"model.json": b'{"modelTopology": {"class_name": "Sequential", "config": []}}'})
    assert load_file(tmp_path / "in") == {}
    save_file({}, tmp_path / "out", like=tmp_path / "in")
    assert snapshot(tmp_path / "out") == snapshot(tmp_path / "in")
    with pytest.raises(MismatchError, match="Unexpected"):
        save_file({"a": torch.zeros(1)}, tmp_path / "out", like=tmp_path / "in")


def test_a_graph_model_keeps_all_that_belongs_to_it(tmp_path: Path) -> None:
    document: Any = {
        "format": "graph-model", "generatedBy": "2.15.0", "convertedBy": None, "signature": {"inputs": {}},
        "modelTopology": {"node": [{"name": "axis", "op": "Const"}]}, "modelInitializer": {"node": []},
        "initializerSignature": {}, "userDefinedMetadata": {"structuredOutputKeys": ["b", "a"]},
        "weightsManifest": manifest(entry((1,), "bool", "no"), entry((), "int32", "axis"), paths=["w"]),
    }  # fmt: skip
    write_files(tmp_path / "in", {"graph.json": json.dumps(document).encode(), "w": b"\0" + i32(-1)})
    state_dict = load_file(tmp_path / "in")
    save_file(
        {"axis": state_dict["axis"] - 1, "no": state_dict["no"]}, tmp_path / "out/graph.json", like=tmp_path / "in"
    )
    assert order_of(parse(tmp_path / "out/graph.json")) == order_of(document)
    assert (tmp_path / "out/w").read_bytes() == b"\0" + i32(-2)


def test_a_checkpoint_goes_both_ways(tmp_path: Path) -> None:
    document = {"b/k": {"filename": "b_k", "shape": [2, 1], "x": 1}, "a": {"shape": [], "filename": "a"}}
    write_files(tmp_path / "in", {"manifest.json": json.dumps(document).encode(), "b_k": f32(1, 2), "a": f32(3)})
    state_dict = load_file(tmp_path / "in")
    assert {name: tensor.tolist() for name, tensor in state_dict.items()} == {"b/k": [[1], [2]], "a": 3}
    assert torch_to_tfjs(state_dict, document) == (document, f32(1, 2, 3))
    save_file({"a": torch.tensor(4.0), "b/k": state_dict["b/k"]}, tmp_path / "out", like=tmp_path / "in")
    assert snapshot(tmp_path / "out") == {**snapshot(tmp_path / "in"), "a": f32(4)}


def test_the_json_is_renamed_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    renamed: list[str] = []
    rename = os.replace

    def note(source: Any, target: Any) -> None:
        renamed.append(Path(target).name)
        rename(source, target)

    monkeypatch.setattr(os, "replace", note)
    save_file(load_file(CLASSIFIER), tmp_path, like=CLASSIFIER)
    assert (renamed[-1], sorted(renamed)) == ("model.json", ["model.json", "model.weights.bin", "model_meta.json"])


def test_nothing_is_renamed_before_everything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []
    rename = os.replace

    def note(source: Any, target: Any) -> None:
        written.append(len(list(tmp_path.iterdir())))
        rename(source, target)

    monkeypatch.setattr(os, "replace", note)
    save_file(load_file(CLASSIFIER), tmp_path, like=CLASSIFIER)
    assert written == [3, 3, 3]


@pytest.mark.parametrize("quantize", [None, "uint8", "float16"])
def test_a_model_is_saved_over_itself_while_its_tensors_are_mapped_from_it(
    quantize: str | None, tmp_path: Path
) -> None:
    tensor = torch.rand(1 << 20)
    save_file({"a": tensor, "b": tensor * 2}, tmp_path, quantize=quantize)
    state_dict = load_file(tmp_path)
    before = told_all(state_dict)
    state_dict["a"][0] = 0
    save_file(state_dict, tmp_path, like=tmp_path)
    assert told_all(state_dict)["b"] == before["b"] == told_all(load_file(tmp_path))["b"]
    assert load_file(tmp_path)["a"][0] == 0


def test_files_of_an_earlier_model_stay(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(6)}, tmp_path, shard_bytes=8)
    save_file({"a": torch.ones(6)}, tmp_path)
    assert sorted(n for n in snapshot(tmp_path) if n.startswith("group1")) == [
        f"group1-shard{i}of3.bin" for i in (1, 2, 3)
    ]
    assert load_file(tmp_path)["a"].tolist() == [1] * 6


def test_a_name_as_long_as_the_disk_takes_is_written(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(2)}, tmp_path, like=manifest(entry(), paths=["日" * 80 + ".bin"]))
    assert load_file(tmp_path)["a"].tolist() == [0, 0]


def test_new_files_have_the_usual_mode(tmp_path: Path) -> None:
    (tmp_path / "usual").write_bytes(b"")
    save_file({"a": torch.zeros(2)}, tmp_path)
    assert (tmp_path / "model.json").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_layout_that_tfjs_misreads_is_not_written_when_only_the_manifest_is_given(tmp_path: Path) -> None:
    groups = [*manifest(entry((1,)), paths=["1"]), *manifest(entry((2,), name="b"), paths=["2"])]
    with pytest.warns(TfjsTorchWarning, match="would misread"):
        save_file({"a": torch.zeros(1), "b": torch.zeros(2)}, tmp_path, like={"weightsManifest": groups})
    assert [len(group["weights"]) for group in parse(tmp_path / "model.json")["weightsManifest"]] == [2]
