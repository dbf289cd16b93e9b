"""A .zip as a model: read without unpacking it anywhere, and never trusted."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import SAMPLES, entry, f32, manifest, snapshot, told_all

from tfjs_torch import FilesError, TfjsTorchError, inspect, load_file, read_artifacts, save_file

MODEL = json.dumps({"weightsManifest": manifest(entry())}).encode()
FILES = {"model.json": MODEL, "w.bin": f32(1, 2)}


def zipped(files: Any, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, data in files.items() if isinstance(files, dict) else files:
            archive.writestr(name, data)
    return stream.getvalue()


def with_field(data: bytes, at_local: int, at_central: int, value: bytes) -> bytes:
    """The zip with a field of its last member changed, in the local header and in the central directory."""
    changed = bytearray(data)
    for signature, at in ((b"PK\3\4", at_local), (b"PK\1\2", at_central)):
        start = changed.rindex(signature) + at
        changed[start : start + len(value)] = value
    return bytes(changed)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_is_read(compression: int) -> None:
    assert load_file(zipped(FILES, compression))["a"].tolist() == [1, 2]


@pytest.mark.parametrize("prefix", ["my model/", "./"])
def test_a_folder_around_everything_is_looked_through(prefix: str) -> None:
    assert load_file(zipped({prefix + name: data for name, data in FILES.items()}))["a"].tolist() == [1, 2]


def test_what_macos_adds_is_looked_through() -> None:
    litter = {"__MACOSX/m/._model.json": b"x", "m/.DS_Store": b"x"}
    assert load_file(zipped({f"m/{name}": data for name, data in FILES.items()} | litter))["a"].tolist() == [1, 2]


def test_a_zip_has_the_sidecars_of_its_model() -> None:
    artifacts = read_artifacts(read_artifacts(SAMPLES / "ml5-classifier").to_zip())
    assert list(artifacts.sidecars) == ["model_meta.json"]
    assert told_all(load_file(artifacts)) == told_all(load_file(SAMPLES / "ml5-classifier"))


def test_the_same_model_gives_the_same_zip(tmp_path: Path) -> None:
    state_dict = load_file(SAMPLES / "ml5-classifier")
    for name in ("1.zip", "2.zip"):
        save_file(state_dict, tmp_path / name, like=SAMPLES / "ml5-classifier")
    assert (tmp_path / "1.zip").read_bytes() == (tmp_path / "2.zip").read_bytes()
    assert read_artifacts(SAMPLES / "ml5-classifier").to_zip() == (tmp_path / "1.zip").read_bytes()


def test_a_model_goes_through_a_zip_to_the_same_files(tmp_path: Path) -> None:
    like = SAMPLES / "ml5-classifier"
    save_file(load_file(like), tmp_path / "m.zip", like=like)
    save_file(load_file(tmp_path / "m.zip"), tmp_path / "out", like=tmp_path / "m.zip")
    original = snapshot(like)
    assert snapshot(tmp_path / "out") == {name: original[name] for name in snapshot(tmp_path / "out")}
    assert len(snapshot(tmp_path / "out")) == 3


# what: (bytes, words)
HOSTILE: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", r"a \.zip expected"),
    "text": (b"hello", r"a \.zip expected"),
    "a zip without files": (zipped({}), r"one model\.json expected, found no files"),
    "a zip without a model": (zipped({"a.txt": b""}), r"one model\.json expected, found a\.txt"),
    "a cut zip": (zipped(FILES)[:-30], r"a \.zip expected"),
    "a path above the folder": (zipped({**FILES, "../evil": b""}), "a path inside the model's folder expected"),
    "an absolute path": (zipped({**FILES, "/etc/evil": b""}), "a path inside the model's folder expected"),
    "a drive": (zipped({**FILES, "C:evil": b""}), "a path inside the model's folder expected"),
    "a backslash": (zipped({**FILES, "sub\\evil": b""}), "a path inside the model's folder expected"),
    "a nameless file": (zipped({**FILES, "Q.bin": b""}).replace(b"Q.bin", b"\0.bin"), "zip"),
    "a missing weights file": (zipped({"model.json": MODEL}), r"w\.bin: this weights file expected"),
    "a damaged file": (zipped(FILES, zipfile.ZIP_STORED).replace(f32(1, 2), f32(1, 3)), r"w\.bin: a file that unpacks"),
    "a password": (with_field(zipped(FILES), 6, 8, b"\1"), r"w\.bin: a file that unpacks expected.*encrypted"),
    "an unknown compression": (with_field(zipped(FILES), 8, 10, b"\x63"), r"w\.bin: a file that unpacks expected"),
    "a member that claims too much": (with_field(zipped(FILES), 22, 24, struct.pack("<I", 9)), r"w\.bin"),
    "a member that claims too little": (with_field(zipped(FILES), 22, 24, struct.pack("<I", 7)), r"w\.bin|missing"),
    "a member that claims a gigabyte": (with_field(zipped(FILES), 22, 24, struct.pack("<I", 1 << 30)), "a claim of"),
    "a member that lies behind the end": (with_field(zipped(FILES), 0, 42, struct.pack("<I", 99999)), r"w\.bin"),
    "a bomb": (zipped({**FILES, "w.bin": bytes(1 << 27)}), r"100 times the zip's \d+ bytes expected"),
    "a bomb beside the model": (zipped({**FILES, "x": bytes(1 << 27)}), "at most 100 times"),
}  # fmt: skip


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_zip_is_refused(what: str, tmp_path: Path) -> None:
    data, words = HOSTILE[what]
    (tmp_path / "model.zip").write_bytes(data)
    for source in (data, tmp_path / "model.zip"):
        with pytest.raises(TfjsTorchError, match=words):
            load_file(source)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_file_that_comes_twice_is_refused() -> None:
    with pytest.raises(FilesError, match=r"each file once expected, found 'w\.bin' twice"):
        load_file(zipped([*FILES.items(), ("w.bin", f32(3, 4))]))
    with pytest.raises(FilesError, match=r"found 'w\.bin' twice"):
        load_file(zipped([*FILES.items(), ("./w.bin", f32(3, 4))]))


def test_nothing_is_unpacked_by_a_look_at_the_tensors() -> None:
    damaged = zipped(FILES, zipfile.ZIP_STORED).replace(f32(1, 2), f32(1, 3))
    assert inspect(damaged).parameters == 2


def test_a_zip_stays_closed_and_free(tmp_path: Path) -> None:
    (tmp_path / "m.zip").write_bytes(zipped(FILES))
    state_dict = load_file(tmp_path / "m.zip")
    save_file(state_dict, tmp_path / "m.zip", like=tmp_path / "m.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["m.zip"]
    assert load_file(tmp_path / "m.zip")["a"].tolist() == [1, 2]


def test_files_in_memory_are_read_like_a_zip() -> None:
    assert load_file(FILES)["a"].tolist() == [1, 2]
    assert load_file({f"my model/{name}": bytearray(data) for name, data in FILES.items()})["a"].tolist() == [1, 2]


def test_the_files_of_a_zip_are_unpacked_a_few_times_and_not_once_a_tensor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state_dict = {f"n{i}": torch.linspace(-i, 1, 10) for i in range(100)}
    save_file(state_dict, tmp_path / "m.zip", quantize="uint8")
    found = load_file(tmp_path / "m.zip")
    unpack, unpacked = zipfile.ZipFile.open, []

    def count(*args: Any, **options: Any) -> Any:
        unpacked.append(args[1])
        return unpack(*args, **options)

    monkeypatch.setattr(zipfile.ZipFile, "open", count)
    save_file(found, tmp_path / "out", like=tmp_path / "m.zip")
    assert len(unpacked) < 10
