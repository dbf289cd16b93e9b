"""Each sample runs as a user would run it, and does what it says."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from ml5_browser import ML5, listen, open_chromium
from serving import Server, get, sample, serving
from sketches import open_finetuning, sketch

from tfjs_torch import UnsupportedError, load_file, load_model, ml5, read_artifacts

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
MODELS = ["ml5-classifier", "ml5-regression"]


def run(script: str, *args: object) -> str:
    done = subprocess.run(
        [sys.executable, SAMPLES / script, *map(str, args)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("model", MODELS)
def test_a_pruned_model_has_zeros_and_the_same_files(model: str, tmp_path: Path) -> None:
    run("roundtrip.py", SAMPLES / model, tmp_path, "--fraction", 0.5)
    for name, tensor in load_file(tmp_path).items():
        if name.endswith("kernel"):
            assert int((tensor == 0).sum()) == tensor.numel() // 2
    for unchanged in ("model.json", "model_meta.json"):
        assert (tmp_path / unchanged).read_bytes() == (SAMPLES / model / unchanged).read_bytes()
    assert {file.name for file in tmp_path.iterdir()} == {"model.json", "model_meta.json", "model.weights.bin"}


def test_the_average_of_a_model_and_its_pruned_self_lies_between(tmp_path: Path) -> None:
    run("roundtrip.py", SAMPLES / "ml5-classifier", tmp_path / "pruned")
    run("average_models.py", tmp_path / "mean", SAMPLES / "ml5-classifier", tmp_path / "pruned", "--weights", 3, 1)
    whole, pruned = load_file(SAMPLES / "ml5-classifier"), load_file(tmp_path / "pruned")
    for name, tensor in load_file(tmp_path / "mean").items():
        assert torch.equal(tensor, (whole[name].double() * 0.75 + pruned[name].double() * 0.25).float())


def test_models_of_different_sketches_are_not_averaged(tmp_path: Path) -> None:
    places = [tmp_path, *(SAMPLES / model for model in MODELS)]
    command = [sys.executable, str(SAMPLES / "average_models.py"), *map(str, places)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "the same layers" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("model", MODELS)
def test_the_samples_are_what_ml5_saves(model: str) -> None:
    artifacts = read_artifacts(SAMPLES / model)
    assert list(artifacts.model_json) == ["modelTopology", "weightsManifest"]
    assert artifacts.manifest.paths == ["./model.weights.bin"]
    assert list(artifacts.sidecars) == ["model_meta.json"]


def test_a_layer_of_ones_own_is_taught_to_load_model(tmp_path: Path) -> None:
    config = {"name": "twice", "batch_input_shape": [None, 3]}
    layers = [{"class_name": "Antirectifier", "config": config}]
    document = {
        "modelTopology": {"class_name": "Sequential", "config": {"name": "net", "layers": layers}},
        "weightsManifest": [{"paths": [], "weights": []}],
    }
    (tmp_path / "model.json").write_text(json.dumps(document))
    assert "(twice): Module()" in run("custom_layer.py", tmp_path)
    with pytest.raises(UnsupportedError, match=r"found 'Antirectifier'; write it in torch"):
        load_model(tmp_path)


def test_a_net_trained_in_torch_answers_the_same_in_tfjs(tmp_path: Path) -> None:
    said = run("train_in_torch.py", tmp_path / "net", "--steps", 20)
    assert "layers within 1e-05 of tf.js" in said
    assert (tmp_path / "net/model.json").is_file()


def test_the_average_of_a_class_is_better_than_its_teacher_and_its_students(tmp_path: Path) -> None:
    said = run("class_average.py", tmp_path / "class", "--students", 8)
    teacher, students, worst, average = (
        float(share) for share in re.findall(r"([\d.]+)%", re.sub(r"(?m)^  .*", "", said))
    )
    assert worst <= students < average
    assert teacher < average
    assert ml5.load(tmp_path / "class-average").labels == ["red", "yellow", "green", "blue"]


def test_the_saves_of_a_real_class_are_averaged_and_a_stranger_is_named(tmp_path: Path) -> None:
    for student in ("ada", "bea"):
        shutil.copytree(SAMPLES / "ml5-classifier", tmp_path / "class" / student)
    said = run("class_average.py", tmp_path / "class", tmp_path / "class/all")
    assert said.splitlines()[:2] == ["model 1: ada", "model 2: bea"]
    assert (tmp_path / "class/all/model.weights.bin").read_bytes() == sample("ml5-classifier")["model.weights.bin"]
    shutil.copytree(SAMPLES / "ml5-regression", tmp_path / "class/eve")
    command = [sys.executable, str(SAMPLES / "class_average.py"), str(tmp_path / "class"), str(tmp_path / "class/all")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "model 3: eve" in done.stdout
    assert "class/eve): model_meta.json: the same as in model 1 expected" in done.stderr


# Samples that talk to the server -----------------------------------------------------------------------------------


def node(server: str, folder: Path, out: Path, *steps: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("node")
    assert program, "node expected, found none; install Node.js 20 or newer"
    command = [program, str(SAMPLES / "convert_from_js.mjs"), server, str(folder), str(out), *steps]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_node_gets_the_three_files_and_a_report_back(server: Server, tmp_path: Path) -> None:
    done = node(server.url, SAMPLES / "ml5-classifier", tmp_path / "out")
    assert (done.returncode, done.stderr) == (0, "")
    found = {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()}
    assert json.loads(found.pop("report.json"))["changed_parameters"] == 0
    assert found == sample("ml5-classifier")


def test_node_has_the_server_prune_the_weights(server: Server, tmp_path: Path) -> None:
    steps = '[{"step": "prune", "amount": 0.5, "tensors": "*kernel"}]'
    done = node(server.url, SAMPLES / "ml5-classifier", tmp_path, steps)
    assert "of 132 numbers changed" in done.stdout
    kernels = [tensor for name, tensor in load_file(tmp_path).items() if name.endswith("kernel")]
    assert sum(int((kernel == 0).sum()) for kernel in kernels) == sum(kernel.numel() for kernel in kernels) // 2


def test_node_says_what_the_server_refused(server: Server, tmp_path: Path) -> None:
    done = node(server.url, SAMPLES / "ml5-classifier", tmp_path, '[{"step": "polish"}]')
    assert done.returncode == 1
    assert "polish" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_step_of_ones_own_runs_in_the_server(tmp_path: Path) -> None:
    with serving("--processor", f"{SAMPLES / 'own_processor.py'}:signs_only") as server:
        offered = {step["name"]: step["title"] for step in get(server, "/formats").json()["steps"]}
        done = node(server.url, SAMPLES / "ml5-classifier", tmp_path, '[{"step": "signs_only", "amount": 1}]')
    assert offered["signs_only"] == "Signs only"
    assert done.returncode == 0, done.stderr
    before, after = load_file(SAMPLES / "ml5-classifier"), load_file(tmp_path)
    for name, tensor in after.items():
        if name.endswith("kernel"):
            assert torch.equal(tensor.sign(), before[name].sign())
            torch.testing.assert_close(tensor.abs(), before[name].abs().mean().expand_as(tensor))
        else:
            assert torch.equal(tensor, before[name])


def test_a_sketch_sends_its_network_to_the_server_and_loads_what_comes_back(server: Server) -> None:
    with open_chromium() as browser:
        page = browser.new_page()
        complaints = listen(page)
        # The very file that the CDN has, from npm.
        page.route("https://cdn.jsdelivr.net/npm/ml5@1.4.0/dist/ml5.min.js", lambda route: route.fulfill(path=ML5))
        page.goto((SAMPLES / "browser-roundtrip/index.html").as_uri())
        page.get_by_label("Server").fill(server.url)
        send = page.get_by_role("button", name="Send")
        told = {}
        for change in ("nothing", "make all weights smaller"):
            page.get_by_label("What PyTorch shall do").select_option(change)
            with page.expect_response("**/convert*"):
                send.click()
            page.get_by_role("status").get_by_text("PyTorch changed").wait_for()
            rows = page.locator("#answers tr").all()[1:]
            told[change] = [row.locator("td").all_inner_texts()[1:] for row in rows]
        assert all(before == after for before, after in told["nothing"])
        assert any(before != after for before, after in told["make all weights smaller"])
        page.get_by_label("Server").fill("http://127.0.0.1:1")
        send.click()
        page.get_by_text("No server answers at http://127.0.0.1:1").wait_for()
        assert [text for text in complaints if "ERR_" not in text] == []


def test_a_sketch_has_its_network_finetuned_and_loads_what_comes_back(server: Server) -> None:
    with open_chromium() as browser, open_finetuning(browser, server.url) as page:
        page.get_by_role("button", name="Finetune").click()
        told = page.get_by_text("and PyTorch").inner_text()
        before, after = map(int, re.findall(r"(?:ml5 got|PyTorch) (\d+)", told))
        assert after >= before
        assert page.get_by_role("progressbar").evaluate("bar => bar.value") == 1
        page.get_by_label("Epochs").fill("100000")
        page.get_by_role("button", name="Finetune").click()
        page.get_by_text("at most 1000 epochs expected").wait_for()
        page.get_by_label("Server").fill("http://127.0.0.1:1")
        page.get_by_role("button", name="Finetune").click()
        page.get_by_text("No server answers at http://127.0.0.1:1").wait_for()


def test_a_sketch_can_stop_the_training_and_keep_what_was_learnt(server: Server) -> None:
    with open_chromium() as browser, open_finetuning(browser, server.url) as page:
        page.get_by_label("Epochs").fill("1000")
        page.get_by_role("button", name="Finetune").click()
        page.get_by_text("PyTorch trains").wait_for()
        page.get_by_role("button", name="Stop").click()
        page.get_by_text("and PyTorch").wait_for()
        assert page.get_by_role("progressbar").evaluate("bar => bar.value") < 1


@pytest.mark.parametrize("version", ["1.4.0", "0.12.2"])
def test_the_files_of_the_sketch_are_those_that_ml5_saves(version: str) -> None:
    script = (SAMPLES / "browser-roundtrip/sketch.js").read_text()
    start = script.index("async function filesOf")
    function = script[start : script.index("\n}\n", start) + 3]
    with open_chromium() as browser, sketch(browser, version) as page:
        page.train("classification", [({"x": n}, {"size": "small" if n < 5 else "large"}) for n in range(10)], epochs=1)
        page.page.add_script_tag(content=function)
        texts = "async () => Promise.all((await filesOf(nn)).map(async (file) => [file.name, await latin(file)]))"
        latin = "const latin = async (file) => String.fromCharCode(...new Uint8Array(await file.arrayBuffer()));"
        page.page.add_script_tag(content=latin)
        files = {name: text.encode("latin-1") for name, text in page.run(texts)}
        assert files == page.save()
