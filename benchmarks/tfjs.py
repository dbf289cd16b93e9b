"""tf.js in node, as a contestant: js/forward.mjs with the files of forward.write."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeAlias

_SCRIPT: Final = Path(__file__).parent / "js" / "forward.mjs"

Calls: TypeAlias = "Callable[[int], object]"  # so many calls in a row


@contextmanager
def waiting(folder: Path) -> Iterator[Calls]:
    """tf.js with the model of this folder, waiting for its turns; output.bin is there once it is ready."""
    command = ["node", str(_SCRIPT), str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        wanted, answers = process.stdin, process.stdout
        assert wanted is not None
        assert answers is not None

        def answer() -> None:
            if not answers.readline():
                raise RuntimeError("tf.js in node ended early; its message stands above")

        def call(calls: int) -> None:
            print(json.dumps({"calls": calls}), file=wanted, flush=True)
            answer()

        answer()
        try:
            yield call
        finally:
            wanted.close()


def first_prediction(folder: Path) -> float:
    """Seconds from model.json to the first output; tf.js is imported, its backend not started yet."""
    command = ["node", str(_SCRIPT), str(folder), "loads"]
    made = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return float(json.loads(made.stdout)["seconds"])
