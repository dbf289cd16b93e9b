"""What `pip install` brings: the wheel in an environment of its own serves the page, and clutters nothing."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as pip builds it."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", str(folder), str(ROOT)], check=True)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel; what it depends on is borrowed from here, but not this checkout."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder)
    own = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    (own / "borrowed.pth").write_text(sysconfig.get_path("purelib"))  # whose own .pth files are not read
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(own)
    return folder / "bin" / "python"


def test_a_wheel_holds_the_packages_of_this_project_alone(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {
        "tfjs_torch",
        "tfjs_torch_server",
        "tfjs_torch_web",
    }
    page = {path.name for path in (ROOT / "web/tfjs_torch_web").glob("*.*")}
    assert page <= {name.rpartition("/")[2] for name in names if name.startswith("tfjs_torch_web/")}


def test_the_installed_server_serves_the_page(python: Path, tmp_path: Path) -> None:
    code = "import tfjs_torch_server, tfjs_torch_web; print(tfjs_torch_server.__file__, tfjs_torch_web.__file__)"
    found = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    assert str(ROOT) not in found
    command: list[str | Path] = [python, "-m", "tfjs_torch", "serve", "--port", "0", "--store", tmp_path / "store"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as server:
        try:
            assert server.stderr is not None
            url = server.stderr.readline().split()[2]
            page = httpx.Client(transport=httpx.HTTPTransport(retries=8), base_url=url)
            assert "<html" in page.get("/").raise_for_status().text
            assert page.get("/app.js").headers["content-type"].startswith("text/javascript")
            page.close()
        finally:
            server.terminate()


@pytest.mark.parametrize("name", ["server", "web"])
def test_common_names_stay_free(python: Path, tmp_path: Path, name: str) -> None:
    assert subprocess.run([python, "-c", f"import {name}"], capture_output=True, cwd=tmp_path).returncode == 1
