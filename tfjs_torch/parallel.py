"""Work on numbers spread over the processors, and memory for many small arrays."""

from __future__ import annotations

import gc
import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import numpy.typing as npt

_ARENA: Final = 32 << 20
_ARENA_MEMBER: Final = 4 << 20  # from here on the operating system hands out huge pages by itself
_ALIGN: Final = 64

Work = Callable[[int, int], None]


def in_parallel(jobs: Sequence[tuple[Work, int]], span: int) -> None:
    """Call work(start, stop) on spans that cover [0, size) of every (work, size) job, on all processors."""
    tasks = [(work, at, min(at + span, size)) for work, size in jobs for at in range(0, size, span)]
    workers = min(_processors(), len(tasks)) if len(tasks) > 1 else 1
    if workers < 2 or sum(size for _, size in jobs) < span:  # starting threads would cost more than it saves
        for work, start, stop in tasks:
            work(start, stop)
        return
    from concurrent.futures import ThreadPoolExecutor  # 10 ms that a small model need not wait for

    with ThreadPoolExecutor(workers) as pool:
        for _ in pool.map(lambda task: task[0](task[1], task[2]), tasks):
            pass


class Arena:
    """New arrays, the small ones cut out of larger pieces of memory.

    A megabyte from malloc costs more to touch for the first time than to fill: its pages come one by
    one. Out of an arena they come as huge pages (measured: 100 arrays of 1 MB in half the time).
    """

    def __init__(self, expected: int) -> None:
        self._left = expected  # bytes that will still be asked for
        self._piece = np.empty(0, np.uint8)
        self._at = 0

    def take(self, shape: tuple[int, ...], dtype: np.dtype[Any], itemsize: int) -> npt.NDArray[Any]:
        """An uninitialised array."""
        array: npt.NDArray[Any]
        nbytes = math.prod(shape) * itemsize
        self._left -= nbytes
        if not nbytes or nbytes >= _ARENA_MEMBER or nbytes + self._left < _ARENA_MEMBER:
            return np.empty(shape, dtype)
        if self._at + nbytes > self._piece.size:
            self._piece = np.empty(min(_ARENA, nbytes + self._left + _ALIGN), np.uint8)
            self._at = -self._piece.ctypes.data % _ALIGN
        array = np.ndarray(shape, dtype, self._piece, self._at)
        self._at += nbytes + -nbytes % _ALIGN
        return array


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Make many objects without pausing to look for dead ones among all that torch has made.

    Loading 10,000 tensors makes 60,000 objects, all of which live; the collector would walk through
    the whole process for nothing (measured: 57 ms of 97).
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
