"""The command line as its users meet it: what it prints, what it writes, how it fails."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import shutil
import struct
import subprocess
import sys
import termios
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from tfjs_torch import load_file, read_artifacts, save_file
from tfjs_torch.cli import main
from tfjs_torch.containers import read_container

CLASSIFIER = Path(__file__).resolve().parents[1] / "samples/ml5-classifier"
EVERY_DTYPE = {
    "f": np.array([[1.5, -0.0, np.inf]], "float32"),
    "i": np.array([-(2**31), 2**31 - 1], "int32"),
    "b": np.array([True, False]),
    "c": np.array([1 + 2j], "complex64"),
    "scalar": np.array(3.0, "float32"),
    "empty": np.zeros((0, 3), "float32"),
}


def run(*args: object) -> int:
    return main([str(arg) for arg in args])


def fails(capsys: pytest.CaptureFixture[str], *args: object) -> str:
    """The one line on stderr of a command that exits with 2."""
    assert run(*args) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("tfjs-torch: ")
    assert printed.err.count("\n") == 1
    return printed.err


def same(a: Path, b: Path) -> bool:
    first, second = ({k: np.asarray(v) for k, v in read_container(p).items()} for p in (a, b))
    return list(first) == list(second) and all(first[k].tobytes() == second[k].tobytes() for k in first)


def test_inspect_shows_layers_tensors_and_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("inspect", CLASSIFIER) == 0
    shown = capsys.readouterr().out
    for word in ("132 parameters", "dense_Dense1/kernel", "3×16", "float32", "Dense", "model_meta.json", "█"):
        assert word in shown


def test_inspect_json_is_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("inspect", CLASSIFIER / "model.json", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    kernel = found["tensors"][0]
    values = load_file(CLASSIFIER)["dense_Dense1/kernel"].double()
    assert found["parameters"] == 132
    assert kernel["statistics"]["min"] == values.min()
    assert kernel["statistics"]["std"] == pytest.approx(values.std(correction=0))
    assert sum(kernel["statistics"]["histogram"]) == 48


def test_inspect_warns_of_what_tfjs_would_not_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entry = {"name": "a:0", "shape": [2], "dtype": "float32"}
    (tmp_path / "model.json").write_text(json.dumps({"weightsManifest": [{"paths": ["w"], "weights": [entry]}]}))
    (tmp_path / "w").write_bytes(np.array([np.nan, 1], "<f4").tobytes())
    assert run("inspect", tmp_path) == 0
    shown = capsys.readouterr().out
    assert "! a:0: names end in ':0'" in shown
    assert "1 of 2 values are NaN" in shown


@pytest.mark.parametrize("suffix", ["safetensors", "npz", "pt"])
def test_a_model_survives_the_way_there_and_back(suffix: str, tmp_path: Path) -> None:
    middle = tmp_path / f"w.{suffix}"
    assert run("convert", CLASSIFIER, middle) == 0
    assert run("convert", middle, tmp_path / "back", "--like", CLASSIFIER) == 0
    for name in ("model.json", "model_meta.json", "model.weights.bin"):
        assert (tmp_path / "back" / name).read_bytes() == (CLASSIFIER / name).read_bytes()


@pytest.mark.parametrize("suffix", ["safetensors", "npz", "pt"])
def test_every_dtype_survives_every_container(suffix: str, tmp_path: Path) -> None:
    save_file(EVERY_DTYPE, tmp_path / "m")
    assert run("convert", tmp_path / "m", tmp_path / f"w.{suffix}") == 0
    assert run("convert", tmp_path / f"w.{suffix}", tmp_path / "n", "--like", tmp_path / "m") == 0
    assert (tmp_path / "n/model.weights.bin").read_bytes() == (tmp_path / "m/model.weights.bin").read_bytes()


def test_safetensors_are_what_their_own_library_reads(tmp_path: Path) -> None:
    save_file(EVERY_DTYPE, tmp_path / "m")
    run("convert", tmp_path / "m", tmp_path / "w.safetensors")
    theirs = safetensors.torch.load_file(tmp_path / "w.safetensors")
    ours = load_file(tmp_path / "m")
    assert theirs.keys() == ours.keys()
    assert all(torch.equal(theirs[name], ours[name]) and theirs[name].dtype == ours[name].dtype for name in ours)


def test_npz_and_pt_are_what_their_own_libraries_read(tmp_path: Path) -> None:
    run("convert", CLASSIFIER, tmp_path / "w.npz")
    run("convert", CLASSIFIER, tmp_path / "w.pt")
    ours = load_file(CLASSIFIER)
    with np.load(tmp_path / "w.npz") as theirs:
        assert all(np.array_equal(theirs[name], tensor.numpy()) for name, tensor in ours.items())
    loaded = torch.load(tmp_path / "w.pt", weights_only=True)
    assert all(torch.equal(loaded[name], tensor) for name, tensor in ours.items())


def test_bfloat16_of_torch_is_widened_exactly(tmp_path: Path) -> None:
    tensors = {"a": torch.tensor([1.0, -3.140625, float("inf")], dtype=torch.bfloat16)}
    safetensors.torch.save_file(tensors, tmp_path / "a.safetensors")
    torch.save(tensors, tmp_path / "a.pt")
    for name in ("a.safetensors", "a.pt"):
        run("convert", tmp_path / name, tmp_path / f"{name}.zip")
        assert torch.equal(load_file(tmp_path / f"{name}.zip")["a"], tensors["a"].float())


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
def test_dtype_casts_as_torch_does(dtype: str, suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"w.{suffix}"
    assert run("convert", CLASSIFIER, file, "--dtype", dtype) == 0
    loaded = safetensors.torch.load_file(file) if suffix == "safetensors" else torch.load(file, weights_only=True)
    for name, tensor in load_file(CLASSIFIER).items():
        assert torch.equal(loaded[name], tensor.to(getattr(torch, dtype)))


def test_quantize_takes_globs_and_dtype_undoes_it(tmp_path: Path) -> None:
    assert run("convert", CLASSIFIER, tmp_path / "q", "--quantize", "uint8:*kernel", "--quantize", "float16:*bias") == 0
    stored = [spec.stored for spec in read_artifacts(tmp_path / "q").manifest.specs]
    assert stored == ["uint8", "float16", "uint8", "float16"]
    assert run("convert", tmp_path / "q", tmp_path / "plain", "--dtype", "float32") == 0
    plain = read_artifacts(tmp_path / "plain").manifest.specs
    assert [spec.stored for spec in plain] == ["float32"] * 4
    assert run("diff", tmp_path / "q", tmp_path / "plain") == 0


def test_shard_size_cuts_the_weights(tmp_path: Path) -> None:
    assert run("convert", CLASSIFIER, tmp_path / "s", "--shard-size", "200B") == 0
    sizes = sorted(file.stat().st_size for file in (tmp_path / "s").glob("*.bin"))
    assert sizes == [128, 200, 200]
    assert run("diff", CLASSIFIER, tmp_path / "s") == 0


def test_diff_says_what_differs_and_by_how_much(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state_dict = load_file(CLASSIFIER)
    state_dict["dense_Dense2/bias"][1] += 0.25
    save_file(state_dict, tmp_path / "changed", like=CLASSIFIER)
    assert run("diff", CLASSIFIER, tmp_path / "changed") == 1
    shown = capsys.readouterr().out
    assert "1 of 4 tensors differs" in shown
    assert "dense_Dense2/bias  1 of 4" in shown
    assert run("diff", CLASSIFIER, tmp_path / "changed", "--tolerance", "0.3") == 0


def test_diff_names_tensors_that_only_one_side_has(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_file({"a": torch.zeros(2), "b": torch.zeros(2)}, tmp_path / "a")
    save_file({"b": torch.zeros(2, 1), "c": torch.zeros(2)}, tmp_path / "b")
    assert run("diff", tmp_path / "a", tmp_path / "b", "--json") == 1
    problems = {d["name"]: d["problem"] for d in json.loads(capsys.readouterr().out)}
    assert problems == {"a": "only in A", "b": "shape [2] in A, [2, 1] in B", "c": "only in B"}


def test_nothing_is_overwritten_without_force(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "w.npz").write_text("mine")
    assert "--force" in fails(capsys, "convert", CLASSIFIER, tmp_path / "w.npz")
    assert (tmp_path / "w.npz").read_text() == "mine"
    assert run("convert", CLASSIFIER, tmp_path / "w.npz", "--force") == 0


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["inspect", "nowhere"], ["nowhere", "expected", "found nothing"]),
        (["convert", CLASSIFIER, "out.pt", "--quantize", "uint8"], ["--quantize", "folder"]),
        (["convert", CLASSIFIER, "out", "--quantize", "int4"], ["int4", "uint8"]),
        (["convert", CLASSIFIER, "out", "--quantize", "uint8:conv*"], ["'conv*'", "dense_Dense1/kernel"]),
        (["convert", CLASSIFIER, "out.h5"], ["out.h5", "folder"]),
        (["inspect", CLASSIFIER / "model.weights.bin"], ["model.weights.bin", "give", "ml5-classifier"]),
        (["inspect", CLASSIFIER / "sketch.html"], ["sketch.html", "a web page"]),
        (["inspect", CLASSIFIER.parent], ["found none here, but in ml5-", "give that folder"]),
        (["convert", CLASSIFIER, "out", "--shard-size", "huge"], ["--shard-size", "'huge'"]),
        (["convert", CLASSIFIER, "out", "--dtype", "float16"], ["--dtype", "--quantize float16"]),
        (["convert", CLASSIFIER, "out.npz", "--dtype", "bfloat16"], ["bfloat16", "safetensors"]),
        (["convert", CLASSIFIER, "out.safetensors", "--dtype", "int7"], ["int7", "float16"]),
        (["convert", "missing.pt", "out"], ["missing.pt", "found none"]),
        (["diff", CLASSIFIER, "missing.safetensors"], ["missing.safetensors"]),
        (["diff", CLASSIFIER, CLASSIFIER, "--tolerance", "-1"], ["--tolerance"]),
    ],
    ids=lambda value: " ".join(map(str, value[:1] + value[2:])) if isinstance(value, list) else None,
)
def test_errors_are_one_line(
    args: list[object], words: list[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    line = fails(capsys, *args)
    assert [word for word in words if word not in line] == []
    assert list(tmp_path.iterdir()) == []


def test_a_pickle_in_a_pt_is_not_executed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "executed"),)

    torch.save({"a": Evil()}, tmp_path / "evil.pt")
    assert "state_dict" in fails(capsys, "convert", tmp_path / "evil.pt", tmp_path / "out")
    assert not (tmp_path / "executed").exists()


def test_a_pickle_in_a_npz_is_not_executed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "evil.npz", a=np.array([{}], object))
    assert ".npz of plain arrays" in fails(capsys, "convert", tmp_path / "evil.npz", tmp_path / "out")


@pytest.mark.parametrize("suffix", ["safetensors", "npz", "pt"])
def test_broken_containers_are_refused(suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = tmp_path / f"good.{suffix}"
    run("convert", CLASSIFIER, good)
    capsys.readouterr()
    for cut in (0, 5, len(good.read_bytes()) // 2):
        (tmp_path / f"cut.{suffix}").write_bytes(good.read_bytes()[:cut])
        assert f"cut.{suffix}" in fails(capsys, "convert", tmp_path / f"cut.{suffix}", tmp_path / "out")


def test_notes_go_to_stderr_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(CLASSIFIER, tmp_path / "m")
    (tmp_path / "m/model.weights.bin").rename(tmp_path / "m/weights (1).bin")
    assert run("convert", tmp_path / "m", tmp_path / "w.safetensors") == 0
    assert capsys.readouterr().err.count("note: ") == 1


def test_the_numbered_files_of_a_browser_are_saved_under_plain_names(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    for name, numbered in (("model.json", "model (1).json"), ("model_meta.json", "model_meta (1).json")):
        shutil.copy(CLASSIFIER / name, tmp_path / "m" / numbered)
    shutil.copy(CLASSIFIER / "model.weights.bin", tmp_path / "m/model.weights (1).bin")
    assert run("convert", tmp_path / "m", tmp_path / "out") == 0
    saved = {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()}
    assert saved == {name: (CLASSIFIER / name).read_bytes() for name in saved}
    assert len(saved) == 3


def test_the_meta_of_another_network_is_noticed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(CLASSIFIER, tmp_path / "m")
    shutil.copy(CLASSIFIER.parent / "ml5-regression/model_meta.json", tmp_path / "m/model_meta.json")
    run("inspect", tmp_path / "m")
    assert "! model_meta.json: inputUnits [2], but the network takes [3]" in capsys.readouterr().out


def test_weights_without_layers_are_announced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("convert", CLASSIFIER, tmp_path / "w.npz")
    assert run("convert", tmp_path / "w.npz", tmp_path / "m") == 0
    assert "weights only, no layers" in capsys.readouterr().err


def test_a_training_checkpoint_is_looked_into(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"epoch": 3, "model_state_dict": {"a": torch.ones(2)}, "optimizer": {"lr": 0.1}}, tmp_path / "ck.pt")
    assert run("convert", tmp_path / "ck.pt", tmp_path / "m") == 0
    assert "took the state_dict under 'model_state_dict'" in capsys.readouterr().err
    assert load_file(tmp_path / "m")["a"].tolist() == [1, 1]


def test_ml5_users_are_warned_of_several_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("convert", CLASSIFIER, tmp_path / "m", "--shard-size", "200") == 0
    assert "ml5's file picker takes exactly one" in capsys.readouterr().err
    assert run("convert", CLASSIFIER, tmp_path / "m", "--force") == 0
    assert "group1-shard1of3.bin, group1-shard2of3.bin, group1-shard3of3.bin of the model" in capsys.readouterr().err
    assert run("convert", CLASSIFIER, tmp_path / "m", "--force") == 0
    assert capsys.readouterr().err == ""


def test_a_terminal_without_unicode_gets_ascii() -> None:
    command = [sys.executable, "-m", "tfjs_torch", "inspect", str(CLASSIFIER)]
    done = subprocess.run(command, capture_output=True, env={**os.environ, "PYTHONIOENCODING": "ascii"}, check=True)
    assert b"3x16" in done.stdout
    assert b"?" not in done.stdout


def test_a_closed_stdout_is_no_error() -> None:
    command = f"{sys.executable} -m tfjs_torch inspect {CLASSIFIER} >&-"
    assert subprocess.run(["sh", "-c", command], capture_output=True, check=False).returncode == 0


def test_a_terminated_command_leaves_nothing_behind(tmp_path: Path) -> None:
    # The piece that is being written waits for the signal, so that it always comes in the middle.
    code = (
        "import os, signal, sys; from tfjs_torch import cli, conversion; "
        "conversion._counted = lambda *_: iter(lambda: os.kill(os.getpid(), signal.SIGTERM), 0); "
        f"sys.exit(cli.main(['convert', {str(CLASSIFIER)!r}, {str(tmp_path / 'out')!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "tfjs-torch: stopped; nothing was written\n")
    assert list(tmp_path.iterdir()) == []


def test_a_big_endian_npz_is_cast_right(tmp_path: Path) -> None:
    np.savez(tmp_path / "be.npz", w=np.arange(3, dtype=">f4"))
    for dtype in ("float16", "float64", "bfloat16"):
        assert run("convert", tmp_path / "be.npz", tmp_path / f"{dtype}.safetensors", "--dtype", dtype) == 0
        assert safetensors.torch.load_file(tmp_path / f"{dtype}.safetensors")["w"].tolist() == [0, 1, 2]


def test_diff_takes_strided_tensors(tmp_path: Path) -> None:
    torch.save({"w": torch.arange(10.0)[::2]}, tmp_path / "s.pt")
    assert run("diff", tmp_path / "s.pt", tmp_path / "s.pt") == 0


@pytest.mark.parametrize(("name", "suffix"), [("__metadata__", "safetensors"), ("a\ud800", "npz"), ("a\0b", "npz")])
def test_names_that_a_container_cannot_hold_are_refused(
    name: str, suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_file({name: torch.zeros(1)}, tmp_path / "m")
    assert "a name that" in fails(capsys, "convert", tmp_path / "m", tmp_path / f"o.{suffix}")
    assert not (tmp_path / f"o.{suffix}").exists()


def test_a_model_beside_the_new_json_is_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(CLASSIFIER, tmp_path / "m")
    assert "--force" in fails(capsys, "convert", CLASSIFIER.parent / "ml5-regression", tmp_path / "m/new.json")
    assert (tmp_path / "m/model.weights.bin").read_bytes() == (CLASSIFIER / "model.weights.bin").read_bytes()


@pytest.mark.parametrize("args", [["convert"], ["nope"], ["diff", "a", "b", "--tolerance", "x"]], ids=" ".join)
def test_wrong_usage_is_one_line_too(args: list[str]) -> None:
    done = process(*args)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "--help" in done.stderr


def process(*args: object, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tfjs_torch", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, input=stdin, check=False)


def test_python_m_is_the_same_command() -> None:
    done = process("diff", CLASSIFIER, CLASSIFIER)
    assert (done.returncode, done.stderr) == (0, "")
    assert "none differs" in done.stdout


@pytest.mark.parametrize("command", [[], ["inspect"], ["convert"], ["diff"]])
def test_help_has_examples(command: list[str]) -> None:
    done = process(*command, "--help")
    assert done.returncode == 0
    assert "examples:\n  tfjs-torch " in done.stdout


def test_converting_to_safetensors_imports_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from tfjs_torch.cli import main; "
        f"main(['convert', {str(CLASSIFIER)!r}, {str(tmp_path / 'w.safetensors')!r}]); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_a_closed_pipe_is_no_error() -> None:
    command = f"{sys.executable} -m tfjs_torch inspect {CLASSIFIER} | head -1"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.stderr == ""


def big_model(folder: Path) -> Path:
    save_file({f"t{i}": np.zeros(1 << 24, "float32") for i in range(2)}, folder)
    return folder


def test_no_progress_bar_in_a_pipe(tmp_path: Path) -> None:
    done = process("convert", big_model(tmp_path / "m"), tmp_path / "w.safetensors")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_progress_bar_on_a_terminal(tmp_path: Path) -> None:
    # tqdm shows nothing in the first second; a process whose clock runs fast shows it at once.
    fast = "import tqdm.std as t, itertools; c = itertools.count(step=2.0); t.time = lambda: next(c); "
    args = ["convert", str(big_model(tmp_path / "m")), str(tmp_path / "w.safetensors")]
    command = [sys.executable, "-c", f"{fast}from tfjs_torch.cli import main; main({args!r})"]
    leader, follower = pty.openpty()
    fcntl.ioctl(leader, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    with subprocess.Popen(command, stdout=follower, stderr=follower) as process:
        os.close(follower)
        shown = b""
        with contextlib.suppress(OSError):  # that is how a terminal says that its last writer has gone
            while chunk := os.read(leader, 1 << 16):
                shown += chunk
    os.close(leader)
    assert process.returncode == 0
    assert b"converting" in shown
