"""The house rules that a machine can check (ARCHITECTURE.md says why they are there)."""

from __future__ import annotations

import ast
import doctest
import gzip
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tfjs_torch

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "tfjs_torch"

# Every room may import those before it. ARCHITECTURE.md draws the same picture.
ORDER = [
    "_version", "errors", "strict_json",
    "manifest", "topology", "references", "wiring", "parallel", "quantization", "shards", "codec", "encoder",
    "saving", "sharding", "sources", "discovery", "artifacts", "tensors",
    "official", "engines", "given", "compat", "statistics", "oddities", "summary", "comparison", "changes",
    "torch_tensors", "containers", "layout", "layers", "assembly", "weights", "model",
    "exporting", "node", "sample_inputs", "trial", "outlining", "verifying", "conversion", "programs",
    "processing", "randomness", "loss_curve", "history", "optimizers", "fitting", "building", "ml5", "teachable", "cli",
    "__main__", "__init__",
]  # fmt: skip
WITH_TORCH = [
    "torch_tensors",
    "layout",
    "layers",
    "assembly",
    "weights",
    "model",
    "exporting",
    "sample_inputs",
    "trial",
    "outlining",
    "verifying",
    "programs",
    "processing",
    "randomness",
    "optimizers",
    "fitting",
    "building",
    "teachable",
]
WITHOUT_TORCH = [room for room in ORDER if room not in WITH_TORCH]


def files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room_of(file: Path) -> str:
    relative = file.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imported_rooms(file: Path) -> set[str]:
    depth = len(file.relative_to(PACKAGE).parts)
    rooms = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == depth:
            rooms |= {node.module.split(".")[0]} if node.module else {alias.name for alias in node.names}
    return rooms


def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:  # an unpacked archive has no git: then everything counts that is not installed
        return [f for f in ROOT.rglob("*") if f.is_file() and not {".venv", "node_modules"} & set(f.parts)]
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


@pytest.mark.parametrize("file", files(), ids=lambda f: str(f.relative_to(PACKAGE)))
def test_imports_point_one_way(file: Path) -> None:
    own = ORDER.index(room_of(file))
    assert {room for room in imported_rooms(file) if ORDER.index(room) > own} == set()


@pytest.mark.parametrize("file", files(), ids=lambda f: str(f.relative_to(PACKAGE)))
def test_no_room_outgrows_400_lines(file: Path) -> None:
    assert len(file.read_text().splitlines()) <= 400


@pytest.mark.parametrize("room", WITHOUT_TORCH)
def test_torch_is_not_imported_before_it_is_needed(room: str) -> None:
    if room == "__main__":
        return
    name = "tfjs_torch" if room == "__init__" else f"tfjs_torch.{room}"
    code = f"import sys, {name}; sys.exit('torch' in sys.modules or 'tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


SERVER, PAGE = ROOT / "server/tfjs_torch_server", ROOT / "web/tfjs_torch_web"
# Rooms of the library that the server may enter by themselves; everything else comes through the front door.
OPEN_TO_THE_SERVER = {
    "changes", "conversion", "errors", "ml5", "ml5.data", "ml5.meta", "ml5.opening", "ml5.pictures", "node",
    "processing", "programs", "teachable", "teachable.pictures",
}  # fmt: skip


@pytest.mark.parametrize("file", sorted(SERVER.glob("*.py")), ids=lambda f: f.name)
def test_the_server_comes_in_through_the_doors(file: Path) -> None:
    assert len(file.read_text().splitlines()) <= 400
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and (node.module or "").startswith("tfjs_torch"):
            room = (node.module or "").partition(".")[2]
            names = {alias.name for alias in node.names}
            allowed = {*tfjs_torch.__all__, *OPEN_TO_THE_SERVER} if not room else names
            assert node.module == "tfjs_torch_web" or (room in {"", *OPEN_TO_THE_SERVER} and names <= allowed)


def test_the_picture_in_the_architecture_names_every_room_of_the_server() -> None:
    text = (SERVER / "__init__.py").read_text()
    assert [f.name for f in SERVER.glob("*.py") if f.name != "__init__.py" and f.name not in text] == []


def test_the_page_is_small_and_safe() -> None:
    files = {f.name: f.read_text() for f in PAGE.iterdir() if f.suffix in (".js", ".css", ".html")}
    assert sum(len(gzip.compress(text.encode())) for text in files.values()) < 60_000  # as it goes over the line
    first = {"index.html", "style.css", *imported_at_once("app.js", files)}  # the rest is fetched when it is needed
    assert sum(len(files[name].encode()) for name in first) < 60_000
    unsafe = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|<\w+ on|style=")
    assert {name: found[0] for name, text in files.items() if (found := unsafe.search(text))} == {}


def imported_at_once(name: str, files: dict[str, str]) -> set[str]:
    found = re.findall(r'^import .*"\./(\w+\.js)";$', files[name], re.MULTILINE)
    return {name}.union(*(imported_at_once(other, files) for other in found))


def test_public_names_are_sorted_and_all_there() -> None:
    assert tfjs_torch.__all__ == sorted(tfjs_torch.__all__)
    for name in tfjs_torch.__all__:
        assert getattr(tfjs_torch, name) is not None


@pytest.mark.parametrize("name", [n for n in tfjs_torch.__all__ if inspect.isfunction(getattr(tfjs_torch, n))])
def test_public_functions_say_what_they_raise_and_show_an_example(name: str) -> None:
    doc = inspect.getdoc(getattr(tfjs_torch, name)) or ""
    assert "Raises" in doc or "raises" in doc
    assert ">>>" in doc


@pytest.mark.parametrize("module", [m.name for m in pkgutil.walk_packages(tfjs_torch.__path__, "tfjs_torch.")])
def test_examples_in_docstrings_run(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    if module != "tfjs_torch.__main__":
        assert doctest.testmod(importlib.import_module(module)).failed == 0


def test_examples_in_the_readme_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert blocks
    (tmp_path / "samples").symlink_to(ROOT / "samples")
    (tmp_path / "my-model").symlink_to(ROOT / "samples/ml5-classifier")
    monkeypatch.chdir(tmp_path)
    scope: dict[str, object] = {}
    for block in blocks:
        exec(block, scope)


def test_the_picture_in_the_architecture_names_every_room() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    rooms = {room_of(file) for file in files()} - {"_version", "__main__", "__init__"}
    assert {room for room in rooms if f"{room}.py" not in text and f"{room}/" not in text} == set()


def test_the_readme_lists_the_layers_that_the_registry_holds() -> None:
    # In a process of its own: here, a test may have registered layers.
    made = subprocess.run([sys.executable, ROOT / "tests/layer_table.py", "--check"], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr


def test_no_class_of_layers_is_known_outside_of_their_room() -> None:
    classes = set(tfjs_torch.supported_layers()) - {"Sequential", "Model", "Functional", "InputLayer"}
    outside = [f for f in files() if room_of(f) not in ("layers", "exporting", "sample_inputs")]
    texts = {f: {n.value for n in ast.walk(ast.parse(f.read_text())) if isinstance(n, ast.Constant)} for f in outside}
    assert {str(f.relative_to(PACKAGE)): found for f, text in texts.items() if (found := classes & text)} == {}


def test_no_family_of_layers_imports_another() -> None:
    families = {*tfjs_torch.layers.FAMILIES}
    for family in families:
        tree = ast.parse((PACKAGE / "layers" / f"{family}.py").read_text())
        taken = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.level == 1}
        assert taken & families == set(), family


def test_no_file_names_the_machine_that_it_was_made_on() -> None:
    machine = re.compile(rb"/(work|root|farm|tmp/bash_jobs)/|registry\.npmjs|pypi\.org|files\.pythonhosted")
    own = Path(__file__)
    found = [f.relative_to(ROOT) for f in tracked_files() if f != own and machine.search(f.read_bytes())]
    assert found == []


def test_scripts_are_executable() -> None:
    scripts = [f for f in (ROOT / "scripts").iterdir() if f.suffix != ".txt"] + [ROOT / ".ci/run"]
    assert [f.name for f in scripts if not f.stat().st_mode & 0o100] == []
