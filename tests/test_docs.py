"""The pages of docs/: their Python and JavaScript runs, their commands, addresses, links and pictures exist."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import SAMPLES
from ml5_browser import open_chromium, serve
from PIL import Image
from serving import Server, get
from sketches import LIBRARIES, P5

from tfjs_torch.cli import main

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))
WITH_PYTHON = [page for page in PAGES if "```python\n" in page.read_text()]
TEXTS = [*PAGES, ROOT / "README.md", *sorted((ROOT / "samples").glob("*/README.md"))]
COLOURS = {"red": (250, 5, 10), "yellow": (250, 230, 10), "green": (20, 200, 60), "blue": (10, 30, 240)}


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a reader of the pages has by then."""
    shutil.copytree(SAMPLES / "ml5-classifier", tmp_path / "my-model")
    shutil.copytree(ROOT / "tests/cases/teachable/image", tmp_path / "my-export")
    shutil.make_archive(str(tmp_path / "my-export"), "zip", tmp_path / "my-export")
    Image.fromarray(np.full((40, 60, 3), 90, np.uint8)).save(tmp_path / "picture.png")
    rows = [
        {"xs": {"r": r + n % 5, "g": g, "b": b + n % 7}, "ys": {"colour": name}}
        for n in range(10)
        for name, (r, g, b) in COLOURS.items()
    ]
    (tmp_path / "my-data.json").write_text(json.dumps({"data": rows}))
    shutil.copytree(tmp_path / "my-model", tmp_path / "my-sketch/better")
    _, loading = blocks(ROOT / "docs/ml5.md", "js")
    (tmp_path / "my-sketch/sketch.js").write_text(loading)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", WITH_PYTHON, ids=lambda page: page.name)
def test_python_on_the_pages_runs(page: Path, folder: Path) -> None:
    scope: dict[str, Any] = {}
    for block in blocks(page, "python"):
        exec(compile(block, page.name, "exec"), scope)


def test_javascript_about_the_server_runs_in_node(server: Server, folder: Path) -> None:
    script = "\n".join(blocks(ROOT / "docs/http.md", "js")).replace("http://localhost:8000", server.url)
    (folder / "page.mjs").write_text(script)
    node = shutil.which("node")
    assert node, "node expected, found none; install Node.js 20 or newer"
    done = subprocess.run([node, "page.mjs"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "{ before: 0, after: 1 } [ 'orange' ]" in done.stdout
    assert "[ 'red', 'orange' ]" in done.stdout


def test_curl_on_the_page_about_the_server_is_answered(server: Server, folder: Path) -> None:
    lines = [line for block in blocks(ROOT / "docs/http.md", "sh") for line in block.splitlines()]
    commands = [shlex.split(line.replace("localhost:8000", server.url)) for line in lines if line.startswith("curl ")]
    assert shutil.which("curl"), "curl expected, found none; install it"
    told = [subprocess.run([*command, "-sSf"], capture_output=True, check=True).stdout for command in commands]
    answers = [json.loads(text) for text in told]
    assert [sorted(row["label"] for row in answers[0]["results"]), answers[1]["parameters"]] == [
        ["cat", "dog", "nobody"], 132,
    ]  # fmt: skip


@pytest.mark.parametrize("version", ["1.4.0", "0.12.2"])
def test_the_sketches_of_the_guide_save_and_load_in_a_browser(version: str, folder: Path) -> None:
    saving, loading = blocks(ROOT / "docs/ml5.md", "js")
    if version == "0.12.2":
        loading = loading.replace("(results) => { // ml5 0.x: (error, results) => {", "(error, results) => {")
    shutil.copytree("my-model", "better")
    shutil.copy(P5, folder)
    shutil.copy(LIBRARIES[version], folder)
    scripts = "".join(f"<script src={name}></script>" for name in ("p5.min.js", "ml5.min.js", "sketch.js"))
    (folder / "index.html").write_text(f"<!doctype html><meta charset=utf-8>{scripts}")
    (folder / "sketch.js").write_text(loading)
    with serve(folder) as address, open_chromium() as browser:
        page = browser.new_page()
        with page.expect_console_message(lambda told: told.text.startswith("red 0.9")):
            page.goto(f"{address}/index.html")
        downloads: list[str] = []
        page.on("download", lambda download: downloads.append(download.suggested_filename))
        with page.expect_event("download", lambda _: len(downloads) == 4):
            page.evaluate(f"() => {{ {saving} }}")
        dated = re.compile(r"[-_0-9]+(?=\.json)")  # ml5 1.x names the data by the time of day, whatever it is told
        downloads = sorted(dated.sub("my-data", name) for name in downloads)
        assert downloads == ["model.json", "model.weights.bin", "model_meta.json", "my-data.json"]


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_on_the_pages_exist(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for line in "".join(blocks(page, "sh")).splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["tfjs-torch"]:
            # --help comes last: everything before it was understood.
            with pytest.raises(SystemExit) as stopped:
                main([*words[1:], "--help"])
            assert stopped.value.code == 0, f"{line}: {capsys.readouterr().err}"
        elif words and words[0].startswith(("scripts/", "samples/")):
            assert (ROOT / words[0]).is_file()
        elif words[:2] and words[0] == "python" and words[1].endswith(".py"):
            assert (ROOT / words[1]).is_file()


def test_the_commands_of_the_guide_do_what_it_says(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line for block in blocks(ROOT / "docs/ml5.md", "sh") for line in block.splitlines()]
    for line in lines:
        words = shlex.split(line, comments=True)
        if words[:2] == ["tfjs-torch", "ml5"]:
            assert main(words[1:]) == 0, line
    assert sorted(file.name for file in (folder / "better").iterdir()) == [
        "loss.svg", "model.json", "model.weights.bin", "model_meta.json"
    ]  # fmt: skip
    assert "red" in capsys.readouterr().out.splitlines()[-5:][1]


def test_the_page_about_the_server_names_every_address(server: Server) -> None:
    text = (ROOT / "docs/http.md").read_text()
    table = text[text.index("## All addresses") :]
    told = set(re.findall(r"`(GET|POST|PUT|DELETE) (/[\w/{}]*)`", table))
    paths = get(server, "/openapi.json").json()["paths"]
    assert told == {(method.upper(), path) for path, methods in paths.items() for method in methods}


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_pictures_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", page.read_text())
    local = [target.partition("#") for target in targets if "://" not in target]
    assert [path for path, _, _ in local if path and not (page.parent / path).exists()] == []
    for path, _, anchor in local:
        there = page.parent / path if path else page
        if anchor and there.suffix == ".md":
            assert anchor in anchors(there), f"{page.name}: #{anchor}"


def anchors(page: Path) -> list[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
    return [
        f"{name}-{plain[:at].count(name)}" if name in plain[:at] else name for at, name in enumerate(plain)
    ]  # fmt: skip


def test_every_page_and_picture_is_linked() -> None:
    index = (ROOT / "docs/README.md").read_text()
    assert [page.name for page in PAGES if page.name != "README.md" and f"({page.name})" not in index] == []


def test_the_reference_is_what_the_docstrings_say() -> None:
    command = [sys.executable, str(ROOT / "tests/api_reference.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
