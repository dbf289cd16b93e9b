"""The rows and headers that several comparisons share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from . import names
from .model import MB
from .report import NO_TARGET, Table, Target, beside, memory_text, ratio_text, time_text
from .runner import Runner
from .timing import Samples, medians, noise

RATIOS: Final = (
    "Medians; in brackets ours ÷ theirs, so below 1 ours is faster. "
    "Noise: interquartile range ÷ median, the wider of ours and the target's peer."
)
VERDICT: Final = ("target", "reached")


def command(group: str) -> str:
    return f"scripts/bench --only {group}"


def timed_table(group: str, title: str, explanation: str, contestants: Sequence[str]) -> Table:
    return Table(title, command(group), f"{explanation} {RATIOS}", ["model", *contestants, "noise", *VERDICT])


def memory_table(group: str, title: str, not_counted: str, contestants: Sequence[str]) -> Table:
    explanation = (
        f"Peak resident memory beyond the imported packages and {not_counted} "
        "(VmHWM; pages of mapped files count once they are touched), each in a process of its own."
    )
    return Table(title, command(group), explanation, ["model", *contestants, *VERDICT])


def compared(label: str, samples: Samples, peer: str, target: Target | None, columns: Sequence[str] = ()) -> list[str]:
    """A row: our time, then the others' (blank where one of `columns` did not compete); the target is held
    against `peer`."""
    times = medians(samples)
    ours = times[names.OURS]
    others = columns or [name for name in times if name != names.OURS]
    ratio = ours / times[peer]
    return [
        label,
        time_text(ours),
        *(beside(ours, times[name]) if name in times else "" for name in others),
        f"{max(noise(samples[names.OURS]), noise(samples[peer])):.0%}",
        *(target.verdict(ratio, ratio_text(ratio)) if target else NO_TARGET),
    ]


def peaks(runner: Runner, label: str, found: Sequence[int]) -> list[str]:
    """A row: our peak first; it is held against the target."""
    verdict = NO_TARGET if runner.quick else Target("≤ 64 MB", 64 * MB).verdict(found[0], memory_text(found[0]))
    return [label, *map(memory_text, found), *verdict]
