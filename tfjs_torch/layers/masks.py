"""Masks of scores, for attention."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

Masks = Sequence["Tensor | None"]


def far_below(scores: Tensor) -> float:
    """What a masked score loses: 1e9, as in Keras, or what its dtype can hold."""
    return 3e4 if scores.dtype is torch.float16 else 1e9


def causal_mask(rows: int, columns: int, device: torch.device) -> Tensor:
    """True where a step may look: at itself and before."""
    return torch.ones(rows, columns, dtype=torch.bool, device=device).tril()
