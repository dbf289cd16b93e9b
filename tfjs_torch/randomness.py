"""Random numbers of one's own out of torch's one generator.

Dropout and initializers draw from a generator that all threads share. Whoever needs the same numbers for the same seed
puts a state of its own in place while it draws, and nobody else draws meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Final

import torch

_LOCK: Final = threading.RLock()


class Randomness:
    """A stream of torch's random numbers.

    Example:
        >>> one, other = Randomness(3), Randomness(3)
        >>> with one.drawing():
        ...     first = torch.rand(2)
        >>> with other.drawing():
        ...     same = torch.rand(2)
        >>> torch.equal(first, same)
        True
    """

    def __init__(self, seed: int, device: torch.device | str = "cpu") -> None:
        """`device`: a CUDA device draws by itself, too."""
        self._device = torch.device(device)
        self._state = torch.Generator().manual_seed(seed).get_state()
        self._cuda = self._device.type == "cuda"
        self._cuda_state = torch.Generator(self._device).manual_seed(seed).get_state() if self._cuda else self._state

    @contextmanager
    def drawing(self) -> Iterator[None]:
        """Inside, torch draws from this stream; afterwards its generators are as they were."""
        with _LOCK:
            before = cuda_before = torch.get_rng_state()
            torch.set_rng_state(self._state)
            if self._cuda:
                cuda_before = torch.cuda.get_rng_state(self._device)
                torch.cuda.set_rng_state(self._cuda_state, self._device)
            try:
                yield
            finally:
                self._state = torch.get_rng_state()
                torch.set_rng_state(before)
                if self._cuda:
                    self._cuda_state = torch.cuda.get_rng_state(self._device)
                    torch.cuda.set_rng_state(cuda_before, self._device)


def drawn_with(seed: int | None) -> Any:
    """A context in which torch draws from a stream of this seed; None: from its own generator, as it is.

    Example:
        >>> with drawn_with(1):
        ...     first = torch.rand(1)
        >>> with drawn_with(1):
        ...     torch.equal(first, torch.rand(1))
        True
    """
    return nullcontext() if seed is None else Randomness(seed).drawing()
