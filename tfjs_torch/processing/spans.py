"""Numbers in cache-sized runs on all processors, and random numbers that depend on a seed and a name alone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final, TypeAlias

import torch

from ..parallel import in_parallel

# Elements handled at once: torch starts threads of its own above 32,768, where ours are at work already.
CHUNK: Final = 1 << 15
SPAN: Final = 1 << 18  # what one thread takes at a time; one stream of random numbers each

Chance: TypeAlias = torch.Generator


def flat(tensor: torch.Tensor) -> torch.Tensor:
    """The numbers in a row on the CPU, as float32 (float64 where they are); maybe a view."""
    wide = tensor.dtype if tensor.dtype is torch.float64 else torch.float32
    return tensor.to("cpu", wide).contiguous().reshape(-1)


def shaped(numbers: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """The way back from `flat`."""
    return numbers.reshape(like.shape).to(like.device, like.dtype)


def spread(work: Callable[[int, int], None], size: int) -> None:
    """work(start, stop) on spans that cover [0, size), on all processors."""
    if size > SPAN:
        in_parallel([(work, size)], SPAN)
    elif size:
        work(0, size)  # most tensors of small models: not even a look at the processors


def by_chunks(size: int, work: Callable[[int, int], None]) -> None:
    """work(start, stop) on small runs that cover [0, size), on all processors."""

    def spanwise(start: int, stop: int) -> None:
        for at in range(start, stop, CHUNK):
            work(at, min(at + CHUNK, stop))

    spread(spanwise, size)


def by_chance(size: int, salt: str, seed: int, name: str, work: Callable[[int, int, Chance], None]) -> None:
    """work(start, stop, chance) on small runs; what `chance` gives depends on salt, seed, name and place alone."""

    def spanwise(start: int, stop: int) -> None:
        key = f"{salt}/{seed}/{start // SPAN}/{name}".encode("utf-8", "surrogatepass")
        chance = torch.Generator()
        chance.manual_seed(int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "little") >> 1)
        for at in range(start, stop, CHUNK):
            work(at, min(at + CHUNK, stop), chance)

    spread(spanwise, size)
