"""Contestants take turns; the samples of each come back."""

from __future__ import annotations

import gc
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

Samples: TypeAlias = "dict[str, list[float]]"


@dataclass(frozen=True)
class Patience:
    """At least `rounds` rounds, more until `seconds` have passed, never more than `at_most`."""

    rounds: int
    seconds: float
    at_most: int = 51


def take_turns(
    contestants: Mapping[str, Callable[[], object]],
    patience: Patience,
    after_each: Callable[[], object] = lambda: None,
) -> Samples:
    """Seconds of every call. `after_each` cleans up, off the clock, as does dropping what a call returned."""
    order, shuffle = list(contestants), random.Random(0).shuffle
    samples: Samples = {name: [] for name in order}
    for name in order:  # once off the clock: lazy imports, the page cache, the allocator's first growth
        contestants[name]()
        after_each()
    start = time.perf_counter()
    for done in range(patience.at_most):
        if done >= patience.rounds and time.perf_counter() - start > patience.seconds:
            break
        shuffle(order)
        for name in order:
            samples[name].append(_seconds(contestants[name]))
            after_each()
    return samples


def medians(samples: Samples) -> dict[str, float]:
    return {name: statistics.median(values) for name, values in samples.items()}


def noise(samples: Sequence[float]) -> float:
    """How far they spread: interquartile range over median."""
    low, median, high = statistics.quantiles(samples, n=4)
    return (high - low) / median


def _seconds(call: Callable[[], object]) -> float:
    gc.collect()
    start = time.perf_counter()
    result = call()
    seconds = time.perf_counter() - start
    del result  # alive until here: freeing a gigabyte is not part of making it
    return seconds
