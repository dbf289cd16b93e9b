"""Whole programs, .pt2 and .onnx, written by a process of their own.

torch's exporters trace a model step by step: what that costs can hardly be told beforehand, they hold Python's lock all
the while, and are not made for threads. A process can be stopped, when its time is up or nobody waits any more.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tfjs_torch import read_artifacts

from .problems import Problem
from .settings import VARIABLE
from .work import Work

SECONDS: Final = 60
_PAUSE: Final = 0.1


def export(source: Mapping[str, Any], target: Path, work: Work) -> None:
    """Write a model as a program.

    Args:
        source: {file name: bytes or path}.
        target: ends in .pt2 or .onnx.

    Raises:
        Problem: 422 the model cannot be exported, 413 it takes too long. ClientGone: nobody waits.
    """
    folder = work.folder / "model"
    artifacts = read_artifacts(source).renamed("model.json")
    artifacts.save(folder)
    command = [sys.executable, "-m", "tfjs_torch", "convert", str(folder), str(target)]
    own = {name: value for name, value in os.environ.items() if name != VARIABLE}  # it holds the token
    with (work.folder / "said").open("w+", encoding="utf-8") as said:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said, env=own)
        try:
            _wait(process, target.suffix, work)
        finally:
            process.kill()
            process.wait()
        said.seek(0)
        if process.returncode:
            raise _refused(said.read(), folder, target)


def _wait(process: subprocess.Popen[bytes], kind: str, work: Work) -> None:
    end = time.monotonic() + SECONDS
    while process.poll() is None:
        work.advance()
        if time.monotonic() > end:
            raise Problem(
                413, kind, f"a model that is exported within {SECONDS} seconds expected",
                "export it in Python: tfjs-torch convert my-model model.pt2",
            )  # fmt: skip
        time.sleep(_PAUSE)


def _refused(said: str, folder: Path, target: Path) -> Problem:
    lines = [line for line in said.splitlines() if line.startswith("tfjs-torch: ")] or ["tfjs-torch: it failed"]
    text = lines[-1].removeprefix("tfjs-torch: ").replace(f"{folder}/", "").replace(f"{target.parent}/", "")
    detail, _, advice = text.rpartition("; ")
    return Problem(422, target.suffix, detail or text, advice if detail else "")
