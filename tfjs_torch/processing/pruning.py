"""Pruning by magnitude: the smallest weights become zero, exactly as many as asked for, in bounded memory.

Magnitudes are compared as integers: for floats without a sign the order of the bits is the order of the numbers, with
infinity above all of them and NaN above infinity. The rank is found digit by digit (16 bits at a time, a histogram of
each), until few enough candidates are left to be held at once.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
import torch

from ..errors import MismatchError
from ..quantization import Array
from .lazy import StateDict, chosen, dtype_of, each, shape_of, tensor_of
from .options import TENSORS
from .registry import register
from .spans import flat, spread

_HELD: Final = 1 << 22  # candidates that are held at once: 16 MB, of float64 32 MB
_DIGIT: Final = 16
# numpy's float and integer, and the bits of a magnitude
_SINGLE: Final = np.dtype(np.float32), np.dtype(np.int32), np.int32(0x7FFFFFFF)
_DOUBLE: Final = np.dtype(np.float64), np.dtype(np.int64), np.int64(0x7FFFFFFFFFFFFFFF)


class Cut(NamedTuple):
    """What is pruned: all magnitudes below `limit`, and of those equal to it the first `ties` (None: all)."""

    limit: float
    dtype: torch.dtype  # in which magnitudes are compared
    ties: int | None


@register(
    "prune",
    title="Prune",
    description="Makes the smallest weights zero. Many models work nearly as well with a third of their weights gone.",
    options={
        "amount": {
            "type": "number",
            "title": "Amount",
            "description": "Which part of the weights becomes zero.",
            "default": 0.3,
            "minimum": 0,
            "maximum": 1,
        },
        "scope": {
            "type": "string",
            "title": "Compare",
            "description": "global: all weights of the model with each other; tensor: those of each tensor.",
            "enum": ["global", "tensor"],
            "default": "global",
        },
        **TENSORS,
    },
)
def prune(state_dict: StateDict, options: Mapping[str, Any]) -> StateDict:
    """round(amount * number of weights) weights become 0, those nearest to zero, as torch.nn.utils.prune counts.

    Of equal magnitudes those that come first (in the order of the state_dict, then of the elements) go first. Weights
    that are zero already count. NaN is never pruned, infinities come last.
    """
    amount, tensors = options["amount"], options["tensors"]
    if options["scope"] == "tensor":
        return each(state_dict, lambda name, tensor: _pruned(tensor, _cut_alone(tensor, amount)), tensors=tensors)
    cuts = _Cuts(state_dict, chosen(state_dict, tensors), amount)
    return each(state_dict, lambda name, tensor: _pruned(tensor, cuts.of(name)), tensors=tensors)


class _Cuts:
    """Where each tensor is cut; found when the first one is asked for."""

    def __init__(self, state_dict: StateDict, names: Sequence[str], amount: float) -> None:
        self._state_dict, self._names, self._amount = state_dict, names, amount
        self._found: dict[str, Cut] | None = None
        self._lock = threading.Lock()

    def of(self, name: str) -> Cut | None:
        with self._lock:
            if self._found is None:
                self._found = find_cuts(self._state_dict, self._names, self._amount)
        return self._found.get(name)


def _cut_alone(tensor: torch.Tensor, amount: float) -> Cut | None:
    return find_cuts({"": tensor}, [""], amount).get("")


def find_cuts(state_dict: StateDict, names: Sequence[str], amount: float) -> dict[str, Cut]:
    """{name: where it is cut}, so that round(amount * all elements) of them go; {} when none does."""
    total = sum(math.prod(shape_of(state_dict, name)) for name in names)
    wanted = round(amount * total)
    if not wanted:
        return {}
    keys = _Keys(state_dict, names)
    key, below, counts = _select(keys, wanted - 1, total)
    if key > keys.infinity:  # fewer numbers than wanted, the rest is NaN: all of them go
        return dict.fromkeys(names, Cut(math.inf, keys.dtype, None))
    limit, left = keys.number(key), wanted - below
    cuts = {}
    for name, count in zip(names, counts, strict=True):
        taken = min(left, count)
        cuts[name] = Cut(limit, keys.dtype, None if taken == count else taken)
        left -= taken
    return cuts


def _select(keys: _Keys, rank: int, total: int) -> tuple[int, int, list[int]]:
    """(the key with `rank` keys before it in sorted order, how many are smaller, how many equal in each tensor)."""
    prefix, bits, below, inside = 0, keys.bits, 0, total  # candidates: key >> bits == prefix
    while bits and inside > _HELD:
        digit = min(bits, _DIGIT)
        counts = keys.histogram(prefix, bits, digit).cumsum(0)
        bucket = int(torch.searchsorted(counts, rank - below, right=True))
        before = int(counts[bucket - 1]) if bucket else 0
        inside, below = int(counts[bucket]) - before, below + before
        prefix, bits = prefix << digit | bucket, bits - digit
    if not bits:
        return prefix, below, keys.equal(prefix)
    held = keys.candidates(prefix, bits, inside) if bits < keys.bits else keys.all()
    every = np.concatenate(held)
    key = int(np.partition(every, rank - below)[rank - below])
    below += int(np.count_nonzero(every < key))
    return key, below, [int(np.count_nonzero(found == key)) for found in held]


class _Keys:
    """The magnitudes of some tensors as integers, read again for every question."""

    def __init__(self, state_dict: StateDict, names: Sequence[str]) -> None:
        self._state_dict, self._names = state_dict, names
        wide = any(dtype_of(state_dict, name) is torch.float64 for name in names)
        self.dtype, self._integer = (torch.float64, torch.int64) if wide else (torch.float32, torch.int32)
        self.bits = 63 if wide else 31  # all but the sign
        self.infinity = 0x7FF0000000000000 if wide else 0x7F800000
        self._numpy = _DOUBLE if wide else _SINGLE

    def number(self, key: int) -> float:
        found: float = np.array(key, self._numpy[1]).view(self._numpy[0]).item()
        return found

    def all(self) -> list[Array]:
        """Those of each tensor, where they are few enough to be held at once."""
        own, integer, magnitude = self._numpy
        values = (self._state_dict[name] for name in self._names)
        return [np.ascontiguousarray(_array(value), own).reshape(-1).view(integer) & magnitude for value in values]

    def histogram(self, prefix: int, bits: int, digit: int) -> torch.Tensor:
        """How many candidates have each value of the next digit."""
        counts = torch.zeros(1 << digit, dtype=torch.int64)
        lock = threading.Lock()

        def count(_: int, run: torch.Tensor) -> None:
            digits = (self._candidates_of(run, prefix, bits) >> (bits - digit)) & ((1 << digit) - 1)
            own = torch.bincount(digits, minlength=1 << digit)
            with lock:
                counts.add_(own)

        self._visit(count)
        return counts

    def candidates(self, prefix: int, bits: int, count: int) -> list[Array]:
        """Those of each tensor, in no order; `count` in all, so that one piece of memory holds them."""
        held = torch.empty(count, dtype=self._integer)
        counts = [0] * len(self._names)  # tensors are looked at one after the other: each one's stay together
        filled = 0
        lock = threading.Lock()

        def keep(index: int, run: torch.Tensor) -> None:
            nonlocal filled
            found = self._candidates_of(run, prefix, bits)
            with lock:
                held[filled : filled + found.numel()] = found[: max(count - filled, 0)]
                counts[index] += found.numel()
                filled += found.numel()

        self._visit(keep)
        if filled != count:
            raise MismatchError("", "the same tensors each time expected from a lazy mapping, found others; use a seed")
        return [part.numpy() for part in held.split(counts)]

    def equal(self, key: int) -> list[int]:
        """How many there are in each tensor."""
        counts: list[list[int]] = [[] for _ in self._names]
        self._visit(lambda index, run: counts[index].append(int(torch.count_nonzero(run == key))))
        return [sum(found) for found in counts]

    def _candidates_of(self, run: torch.Tensor, prefix: int, bits: int) -> torch.Tensor:
        return run if bits == self.bits else run[(run >> bits) == prefix]

    def _visit(self, work: Callable[[int, torch.Tensor], None]) -> None:
        for index, name in enumerate(self._names):
            numbers = flat(tensor_of(self._state_dict[name]))
            spread(partial(self._run, work, index, numbers), numbers.numel())

    def _run(self, work: Callable[[int, torch.Tensor], None], index: int, numbers: torch.Tensor, *at: int) -> None:
        bits = numbers[slice(*at)].to(self.dtype).view(self._integer)
        work(index, bits & (1 << self.bits) - 1)  # without the sign


def _array(value: Any) -> Array:
    if not isinstance(value, torch.Tensor):
        return np.asarray(value)
    return (value.float() if value.dtype is torch.bfloat16 else value).numpy(force=True)


def _pruned(tensor: torch.Tensor, cut: Cut | None) -> torch.Tensor:
    if cut is None:
        return tensor
    tensor = tensor.contiguous()
    if tensor.dtype is cut.dtype:
        made = torch.nn.functional.hardshrink(tensor, cut.limit)  # 0 where abs(w) <= limit; NaN is not
    else:
        made = tensor.masked_fill(tensor.to(cut.dtype).abs() <= cut.limit, 0)
    if cut.ties is not None:
        kept = (tensor.to(cut.dtype).abs() == cut.limit).view(-1).nonzero()[cut.ties :]
        made.view(-1)[kept] = tensor.view(-1)[kept]
    return made
