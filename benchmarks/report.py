"""Measurements as Markdown tables that are readable on a terminal, too, and their place in BENCHMARKS.md."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Final

from .model import MB

BEGIN: Final = "<!-- benchmarks -->"
END: Final = "<!-- /benchmarks -->"


@dataclass(frozen=True)
class Target:
    """What the project set out to reach: a value, at most `bound`, in words such as "≤ 1.1× safetensors"."""

    words: str
    bound: float

    def verdict(self, reached: float, shown: str) -> list[str]:
        return [self.words, f"{'met' if reached <= self.bound else '**missed**'}: {shown}"]


NO_TARGET: Final = ["", ""]


@dataclass
class Table:
    """`command` prints it again; `explanation` says what was counted."""

    title: str
    command: str
    explanation: str
    header: Sequence[str]
    rows: list[list[str]] = field(default_factory=list)

    def __str__(self) -> str:
        cells = [list(self.header), *self.rows]
        widths = [max(len(row[column]) for row in cells) for column in range(len(self.header))]
        lines = [_line(row, widths) for row in cells]
        lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
        return "\n".join([f"**{self.title}** (`{self.command}`). {self.explanation}", "", *lines])

    @property
    def missed(self) -> list[str]:
        return [f"{self.title}, {row[0]}: {row[-2]}, {row[-1]}" for row in self.rows if "missed" in row[-1]]


def time_text(seconds: float) -> str:
    milliseconds = seconds * 1000
    return f"{milliseconds:,.0f} ms" if milliseconds >= 99.5 else f"{milliseconds:.3g} ms"


def ratio_text(ratio: float) -> str:
    return f"{ratio:.2f}×" if ratio >= 0.0995 else f"{ratio:.2g}×"


def memory_text(nbytes: float) -> str:
    return f"{nbytes / MB:,.0f} MB"


def beside(ours: float, peer: float) -> str:
    """A peer's time, and ours divided by it."""
    return f"{time_text(peer)} ({ratio_text(ours / peer)})"


def machine() -> str:
    """What the numbers were measured on."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "numpy", "safetensors", "tensorflowjs"))
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return (
        f"{_processor()}, {os.cpu_count()} cores, {gigabytes:.0f} GB; {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, {packages}."
    )


def put_into(readme: Path, text: str) -> bool:
    """Replace what stands between the two marks; False when they are not there."""
    before = readme.read_text(encoding="utf-8")
    marked = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    if not marked.search(before):
        return False
    readme.write_text(marked.sub(lambda _: f"{BEGIN}\n{text}\n{END}", before, count=1), encoding="utf-8")
    return True


def _line(row: Iterable[str], widths: Sequence[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*: (.+)$", info.read_text(), re.MULTILINE) if info.exists() else None
    return found[1] if found else platform.machine()
