"""tfjs-torch ml5: check, repair, predict, train, as their users meet them."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tfjs_torch import ml5
from tfjs_torch.cli import main

ROOT = Path(__file__).resolve().parents[1]
CLASSIFIER, REGRESSION = ROOT / "samples/ml5-classifier", ROOT / "samples/ml5-regression"
CASES = ROOT / "tests/cases/ml5"
COLOURS = CASES / "1.4.0-classification"
NAMES = ("model.json", "model_meta.json", "model.weights.bin")


def run(*args: object) -> int:
    return main(["ml5", *map(str, args)])


def copied(folder: Path, to: Path, *names: str) -> Path:
    to.mkdir()
    for name in names or NAMES:
        shutil.copy(folder / name, to / name)
    return to


def test_check_says_that_all_is_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", copied(CLASSIFIER, tmp_path / "save")) == 0
    assert "by every route" in capsys.readouterr().out


def test_check_names_what_is_wrong_and_what_mends_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", copied(CASES / "0.12.2-classification-numeric-labels", tmp_path / "save")) == 1
    shown = capsys.readouterr().out
    assert "ml5 0.x" in shown
    assert "tfjs-torch ml5 repair does it" in shown


def test_check_takes_the_files_themselves_and_prints_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = copied(CLASSIFIER, tmp_path / "save")
    assert run("check", folder / "model.json", folder / "model.weights.bin", "--json") == 1
    assert [finding["code"] for finding in json.loads(capsys.readouterr().out)] == ["meta-missing"]


def test_check_of_several_places_names_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = (
        copied(CLASSIFIER, tmp_path / "one"),
        copied(CLASSIFIER, tmp_path / "two", "model.json", "model_meta.json"),
    )
    assert run("check", one, two) == 1
    shown = capsys.readouterr().out
    assert f"{one}:" in shown
    assert f"{two}:" in shown


def test_repair_writes_what_check_finds_nothing_wrong_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = copied(CASES / "0.12.2-classification-numeric-labels", tmp_path / "save")
    assert run("repair", source, tmp_path / "mended") == 0
    assert f"written: {tmp_path / 'mended'}" in capsys.readouterr().out
    assert run("check", tmp_path / "mended") == 0
    assert ml5.load(tmp_path / "mended").labels == ["0", "1", "2", "10"]


def test_what_cannot_be_repaired_is_one_line_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = copied(CLASSIFIER, tmp_path / "save", "model.json", "model.weights.bin")
    assert run("repair", source, tmp_path / "mended") == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "mended").exists()


@pytest.mark.parametrize(
    "given",
    [["r=255", "g=0", "b=90"], ['{"r": 255, "g": 0, "b": 90}'], ["[255, 0, 90]"]],
    ids=["values", "object", "list"],
)
def test_predict_takes_inputs_in_three_forms(given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run("predict", CLASSIFIER, *given, "--json") == 0
    assert json.loads(capsys.readouterr().out) == ml5.load(CLASSIFIER).classify([255, 0, 90])


def test_predict_takes_many_inputs_from_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in.csv").write_text("r,g,b\n255,0,90\n0,0,255\n")
    assert run("predict", CLASSIFIER, tmp_path / "in.csv", "--json") == 0
    assert [best["label"] for best, *_ in json.loads(capsys.readouterr().out)] == ["red", "blue"]
    assert run("predict", REGRESSION, "x=1", "y=2") == 0
    shown = capsys.readouterr().out
    assert "east" in shown
    assert "value" in shown


def test_predict_takes_a_list_of_inputs_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("predict", CLASSIFIER, "[[255, 0, 90], [0, 0, 255]]", "--json") == 0
    assert [best["label"] for best, *_ in json.loads(capsys.readouterr().out)] == ["red", "blue"]
    assert run("predict", CLASSIFIER, '[{"r": 1, "g": 2, "b": 3}]') == 0
    assert run("predict", CLASSIFIER, "[]", "--json") == 0
    assert "1:" in capsys.readouterr().out


def test_predict_reads_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from PIL import Image

    folder = CASES / "1.4.0-imageClassification"
    width, height, _ = json.loads((folder / "model_meta.json").read_text())["inputUnits"]
    Image.new("RGB", (width, height), "red").save(tmp_path / "x.png")
    assert run("predict", folder, tmp_path / "x.png", "--json") == 0
    assert {answer["label"] for answer in json.loads(capsys.readouterr().out)} == set(ml5.load(folder).labels)


@pytest.mark.parametrize("given", [["r=255"], ["no-such-file"], ["{"], ["r=x", "g=1", "b=1"], ["x.csv"]])
def test_inputs_that_do_not_fit_are_one_line(given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run("predict", CLASSIFIER, *given) == 2
    printed = capsys.readouterr()
    assert (printed.out, printed.err.count("\n")) == ("", 1)


def test_train_writes_three_files_and_a_curve(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("train", COLOURS, COLOURS / "data.json", tmp_path / "out", "--epochs", 20, "--seed", 1) == 0
    printed = capsys.readouterr()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["loss.svg", *sorted(NAMES)]
    assert "20 epochs: loss" in printed.out
    assert "right before, 100.0% right after" in printed.out
    assert printed.err.startswith("epoch 1/20")
    assert "<svg" in (tmp_path / "out/loss.svg").read_text()
    again = ml5.load(COLOURS)
    again.train(COLOURS / "data.json", epochs=20, seed=1)
    assert (tmp_path / "out/model.weights.bin").read_bytes() == again.files()["model.weights.bin"]


def test_train_tells_of_new_labels_and_writes_a_zip(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "data.csv").write_text("r,g,b,colour\n250,9,9,red\n9,9,9,black\n250,250,250,white\n")
    assert (
        run("train", CLASSIFIER, tmp_path / "data.csv", tmp_path / "out.zip", "--epochs", 1, "--name", "gesture") == 0
    )
    assert "new labels: black, white" in capsys.readouterr().out
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        assert "gesture_meta.json" in archive.namelist()
    assert (tmp_path / "loss.svg").exists()


def test_data_that_do_not_fit_are_one_line_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data.csv").write_text("x,y\n1,2\n")
    assert run("train", CLASSIFIER, tmp_path / "data.csv", tmp_path / "out") == 2
    assert "the columns r, g, b, colour expected, found x, y" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def training(out: Path, data: Path = COLOURS / "data.json") -> list[str]:
    given = [COLOURS, data, out]
    return [sys.executable, "-m", "tfjs_torch", "ml5", "train", *map(str, given)]


def test_on_a_terminal_one_line_of_loss_is_written_over(tmp_path: Path) -> None:
    keyboard, screen = pty.openpty()
    command = training(tmp_path / "o")
    process = subprocess.Popen([*command, "--epochs", "5"], cwd=ROOT, stderr=screen, stdout=subprocess.DEVNULL)
    assert process.wait(60) == 0
    os.close(screen)
    shown = os.read(keyboard, 1 << 16).decode()
    os.close(keyboard)
    assert shown.count("\r\x1b[Kepoch") == 5
    assert "epoch 5/5  loss" in shown


def interrupted(command: list[str], times: int) -> subprocess.CompletedProcess[str]:
    """A training that gets Ctrl-C once its first epoch is told; the second one when it has answered the first."""
    with subprocess.Popen(
        command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # it listens, also where the tests do not
    ) as process:  # fmt: skip
        assert process.stderr
        assert process.stderr.readline().startswith("epoch 1/")
        for _ in range(times):
            process.send_signal(signal.SIGINT)
            said = iter(process.stderr.readline, "")
            assert any("stopp" in line for line in said)
        printed, rest = process.communicate(timeout=60)
        return subprocess.CompletedProcess(command, process.returncode, printed, rest)


def test_ctrl_c_ends_after_the_epoch_and_writes_what_was_learnt(tmp_path: Path) -> None:
    done = interrupted([*training(tmp_path / "o"), "--epochs", "1000000", "--seed", "1"], 1)
    assert done.returncode == 0, done.stderr
    told = re.search(r"stopped after ([\d,]+) epochs? of 1,000,000: loss", done.stdout)
    assert told
    again = ml5.load(COLOURS)
    again.train(COLOURS / "data.json", epochs=int(told[1].replace(",", "")), seed=1)
    assert (tmp_path / "o/model.weights.bin").read_bytes() == again.files()["model.weights.bin"]
    assert (tmp_path / "o/loss.svg").exists()


def test_ctrl_c_twice_quits_and_writes_nothing(tmp_path: Path) -> None:
    rows = json.loads((COLOURS / "data.json").read_text())["data"]
    (tmp_path / "long.json").write_text(json.dumps({"data": rows * 150}))
    command = training(tmp_path / "o", tmp_path / "long.json")
    done = interrupted([*command, "--epochs", "1000", "--batch-size", "1"], 2)  # an epoch takes a while
    assert done.returncode == 130
    assert not (tmp_path / "o").exists()


def test_stopping_leaves_nothing(tmp_path: Path) -> None:
    command = training(tmp_path / "o")
    process = subprocess.Popen([*command, "--epochs", "1000000"], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert process.stderr.readline().startswith("epoch 1/")
    process.terminate()
    assert process.wait(30) == 130
    assert "stopped" in process.stderr.read()
    process.stderr.close()
    assert not (tmp_path / "o").exists()


def test_categories_that_look_like_numbers_stay_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nn = ml5.new("regression", inputs=["zip", "n"], outputs=["y"])
    codes = ("05", "5", "1e3", "nan")
    nn.train(
        [{"zip": code, "n": n, "y": 10 * at + n} for at, code in enumerate(codes) for n in (1, 2)], epochs=3, seed=1
    )
    nn.save(tmp_path / "zips")
    (tmp_path / "inputs.csv").write_text("zip,n\n05,1\n5,1\n")
    for code in codes:
        assert main(["ml5", "predict", str(tmp_path / "zips"), f"zip={code}", "n=1", "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == nn.predict({"zip": code, "n": 1})
    assert main(["ml5", "predict", str(tmp_path / "zips"), str(tmp_path / "inputs.csv"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == nn.predict([{"zip": "05", "n": 1}, {"zip": "5", "n": 1}])
    assert found[0] != found[1]


def test_a_save_whose_meta_file_has_the_name_of_teachable_machines_is_still_ml5s(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("model.json", "model.weights.bin"):
        shutil.copy(CLASSIFIER / name, tmp_path)
    shutil.copy(CLASSIFIER / "model_meta.json", tmp_path / "metadata.json")
    assert main(["ml5", "predict", str(tmp_path), "r=255", "g=0", "b=0"]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("red")


def test_a_place_that_cannot_be_written_is_refused_before_the_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "my-data.json"
    shutil.copy(ROOT / "samples/more-colours.json", data)
    assert main(["ml5", "train", str(CLASSIFIER), str(data), str(data), "--epochs", "100000"]) == 2
    assert "a folder or a .zip" in capsys.readouterr().err
