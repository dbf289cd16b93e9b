"""Finding a model's files as people leave them: renamed, numbered by the browser, two models in one folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers import entry, f32, manifest, snapshot, warned, write_files

from tfjs_torch import (
    FilesError,
    ManifestError,
    TfjsTorchWarning,
    WeightsLengthError,
    inspect,
    load_file,
    read_artifacts,
    save_file,
)

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


def model(path: str = "w.bin", size: int = 2) -> bytes:
    return json.dumps({"weightsManifest": manifest(entry((size,)), paths=[path])}).encode()


def test_a_json_of_any_name_is_found_beside_its_meta(tmp_path: Path) -> None:
    write_files(
        tmp_path, {"flower.json": model(), "flower_meta.json": b"{}", "expected.json": b"{}", "w.bin": f32(1, 2)}
    )
    found = read_artifacts(tmp_path)
    assert (found.json_name, list(found.sidecars)) == ("flower.json", ["flower_meta.json"])


def test_a_broken_json_beside_it_is_no_matter(tmp_path: Path) -> None:
    write_files(tmp_path, {"flower.json": model(), "notes.json": b"{", "w.bin": f32(1, 2)})
    assert load_file(tmp_path)["a"].tolist() == [1, 2]


def test_the_usual_name_comes_first(tmp_path: Path) -> None:
    write_files(tmp_path, {"model.json": model(), "a.json": model("gone"), "w.bin": f32(1, 2)})
    assert read_artifacts(tmp_path).json_name == "model.json"


def test_two_unusual_names_are_refused(tmp_path: Path) -> None:
    write_files(tmp_path, {"b.json": model(), "a.json": model(), "w.bin": f32(1, 2)})
    with pytest.raises(FilesError, match=r"found several: a\.json, b\.json; name the one you mean"):
        load_file(tmp_path)
    assert load_file(tmp_path / "b.json")["a"].tolist() == [1, 2]


def test_a_model_one_folder_below_is_pointed_out(tmp_path: Path) -> None:
    write_files(tmp_path, {"my/model.json": model(), "my/w.bin": f32(1, 2)})
    with pytest.raises(FilesError, match="found none here, but in my"):
        load_file(tmp_path)


def test_the_meta_of_the_json_goes_before_the_usual_one(tmp_path: Path) -> None:
    files = {"a.json": model(), "a_meta.json": b"1", "model_meta.json": b"2", "w.bin": f32(1, 2)}
    write_files(tmp_path / "in", files)
    save_file(load_file(tmp_path / "in"), tmp_path / "out", like=tmp_path / "in/a.json")
    assert snapshot(tmp_path / "out") == {name: data for name, data in files.items() if name != "model_meta.json"}


def test_numbered_downloads_are_found_and_saved_under_plain_names(tmp_path: Path) -> None:
    files = {"model (1).json": model("./model.weights.bin"), "model_meta (1).json": b"{}"}
    write_files(tmp_path / "in", {**files, "model.weights (1).bin": f32(1, 2)})
    with pytest.warns(TfjsTorchWarning, match=r"took 'model\.weights \(1\)\.bin'"):
        save_file(load_file(tmp_path / "in"), tmp_path / "out", like=tmp_path / "in")
    assert sorted(snapshot(tmp_path / "out")) == ["model.json", "model.weights.bin", "model_meta.json"]


def test_a_file_that_fits_better_is_pointed_out(tmp_path: Path) -> None:
    files = {
        "flower.json": model("./model.weights.bin"),
        "model.weights.bin": f32(1, 2),
        "flower.weights.bin": f32(3, 4),
    }
    write_files(tmp_path, files)
    with pytest.warns(TfjsTorchWarning, match=r"'flower\.weights\.bin' lies there too and fits as well"):
        assert load_file(tmp_path)["a"].tolist() == [1, 2]


def test_a_file_of_the_wrong_length_beside_one_that_fits_is_refused(tmp_path: Path) -> None:
    write_files(tmp_path, {"model.json": model(), "w.bin": f32(1, 2, 3), "v.bin": f32(3, 4)})
    with pytest.raises(WeightsLengthError, match=r"8 bytes expected, 12 found; 'v\.bin' has the right length"):
        load_file(tmp_path)


@pytest.mark.parametrize("name", ["w.txt", "w.PNG", ".w.bin", "sub/v.bin"])
def test_what_is_surely_no_weights_file_never_stands_in(name: str, tmp_path: Path) -> None:
    write_files(tmp_path, {"model.json": model(), name: f32(1, 2)})
    with pytest.raises(FilesError, match=r"w\.bin: this weights file expected"):
        load_file(tmp_path)


def test_a_renamed_shard_among_others_is_taken(tmp_path: Path) -> None:
    said = json.dumps({"weightsManifest": manifest(entry((3,)), paths=["1", "2"])}).encode()
    write_files(tmp_path, {"model.json": said, "1": f32(1, 2), "two": f32(3)})
    with warned():
        assert load_file(tmp_path)["a"].tolist() == [1, 2, 3]
        save_file(load_file(tmp_path), tmp_path / "out", like=tmp_path)
    assert snapshot(tmp_path / "out") == {"model.json": said, "1": f32(1, 2), "2": f32(3)}


def test_a_pointer_of_git_lfs_is_called_what_it_is(tmp_path: Path) -> None:
    write_files(tmp_path, {"model.json": model(size=1000), "w.bin": LFS})
    with pytest.raises(WeightsLengthError, match="a Git LFS pointer, not the file itself; run git lfs pull"):
        load_file(tmp_path)


@pytest.mark.parametrize("said", [b"", b" \n", b"<!DOCTYPE html><html>404", b"\xef\xbb\xbf"])
def test_a_json_that_is_something_else_is_called_what_it_is(said: bytes, tmp_path: Path) -> None:
    write_files(tmp_path, {"model.json": said})
    words = "a web page" if said.startswith(b"<") else "an empty file"
    with pytest.raises(ManifestError, match=f"JSON expected, found {words}"):
        load_file(tmp_path)


def test_a_json_of_300_mb_is_refused_unread(tmp_path: Path) -> None:
    write_files(tmp_path, {"model.json": b"{"})
    with open(tmp_path / "model.json", "r+b") as file:
        file.truncate(300 << 20)
    with pytest.raises(FilesError, match=r"a JSON of at most 268435456 bytes expected, found 314572800"):
        load_file(tmp_path)


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pt", "weights.npz", "model.weights.bin"])
def test_a_file_of_weights_alone_is_no_model(name: str, tmp_path: Path) -> None:
    write_files(tmp_path, {name: bytes(8)})
    with pytest.raises(FilesError, match=r"a folder, a model\.json or a \.zip"):
        inspect(tmp_path / name)


@pytest.mark.parametrize("name", ["out.safetensors", "out.pt", "out.npz", "out.bin"])
def test_a_target_that_means_another_format_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(FilesError, match=r"to write a tf\.js model to expected"):
        save_file({}, tmp_path / name)
    assert list(tmp_path.iterdir()) == []
