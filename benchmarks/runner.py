"""Starts the workers and the commands, and makes the models that they measure with."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from .model import Model
from .timing import Patience, Samples, take_turns

ROOT: Final = Path(__file__).parent.parent


class BenchmarkError(Exception):
    """A worker or a command failed."""


@dataclass(frozen=True)
class Runner:
    """`quick`: sizes and repetitions just large enough to see that everything runs."""

    folder: Path
    quick: bool = False

    @property
    def patience(self) -> Patience:
        return Patience(rounds=2, seconds=0) if self.quick else Patience(rounds=9, seconds=6)

    @property
    def little_patience(self) -> Patience:
        """For what takes long and is compared over orders of magnitude."""
        return Patience(rounds=2 if self.quick else 5, seconds=0 if self.quick else 2)

    @contextlib.contextmanager
    def made(self, model: Model, peers_too: bool = False) -> Iterator[str]:
        """A folder with the model's files, for as long as the block runs."""
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            self.job("make_model", model=asdict(model), folder=folder, peers_too=peers_too)
            yield folder

    @contextlib.contextmanager
    def network(self, network: str | int) -> Iterator[str]:
        """A folder with a layers-model: one of networks.NETWORKS, or so many bytes of weights."""
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            self.job("make_network", network=network, folder=folder)
            yield folder

    def job(self, name: str, **arguments: Any) -> Any:
        """What the worker's function `name` returns, run in a process of its own."""
        text = run([sys.executable, "-m", "benchmarks.worker", json.dumps({"job": name, **arguments})])
        return json.loads(text.splitlines()[-1])

    def time_job(self, name: str, *, patience: Patience | None = None, **arguments: Any) -> Samples:
        samples: Samples = self.job(name, **arguments, patience=asdict(patience or self.patience))
        return samples

    def time_commands(self, commands: Mapping[str, Sequence[str]], patience: Patience, made: Path) -> Samples:
        """Each command in a fresh process; `made` is the file that some of them make."""
        calls = {name: _caller(command) for name, command in commands.items()}
        return take_turns(calls, patience, lambda: made.unlink(missing_ok=True))


def python(*arguments: str) -> list[str]:
    return [sys.executable, *arguments]


def run(command: Sequence[str]) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise BenchmarkError(f"{' '.join(command)}\n  ended with {done.returncode}: {last[0]}")
    return done.stdout


def say(text: str) -> None:
    """Progress; not part of the result."""
    print(f"... {text}", file=sys.stderr, flush=True)


def _caller(command: Sequence[str]) -> Any:
    return lambda: run(command)
