"""Steps that mix several models: average, interpolate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from ..errors import MismatchError
from .lazy import StateDict, each, tensor_of
from .matching import match
from .options import TENSORS
from .registry import register
from .spans import by_chunks, flat, shaped


@register(
    "average",
    title="Average models",
    description="Makes one model of several that were trained apart: each weight becomes the mean of theirs.",
    options={
        "weights": {
            "type": "array",
            "title": "Weights",
            "description": "How much each model counts, this one first: 2, 1 counts the first twice. "
            "Empty: all count the same.",
            "items": {"type": "number", "minimum": 0, "maximum": 1e6},
            "default": [],
            "maxItems": 1000,
        },
        **TENSORS,
    },
    others=(1, None),
)
def average(state_dict: StateDict, options: Mapping[str, Any], others: Sequence[StateDict]) -> StateDict:
    """The weighted mean, computed in float64 and rounded once; the mean of equal models is that model.

    Raises:
        MismatchError: names, shapes or the number of weights do not fit.
    """
    weights = options["weights"] or [1.0] * (1 + len(others))
    if len(weights) != 1 + len(others):
        raise MismatchError("weights", f"{1 + len(others)} for as many models expected, found {len(weights)}")
    if not sum(weights):
        raise MismatchError("weights", "at least one above 0 expected, found zeros alone")
    return _mixed(state_dict, others, [weight / sum(weights) for weight in weights], options["tensors"])


@register(
    "interpolate",
    title="Blend two models",
    description="Goes from this model towards another one.",
    options={
        "amount": {
            "type": "number",
            "title": "Amount",
            "description": "0 is this model, 1 the other one, 0.5 the middle.",
            "default": 0.5,
            "minimum": 0,
            "maximum": 1,
        },
        **TENSORS,
    },
    others=(1, 1),
)
def interpolate(state_dict: StateDict, options: Mapping[str, Any], others: Sequence[StateDict]) -> StateDict:
    """(1 - amount) * w + amount * other, computed in float64 and rounded once; 0 and 1 give one model exactly."""
    amount = options["amount"]
    return _mixed(state_dict, others, [1 - amount, amount], options["tensors"])


def _mixed(state_dict: StateDict, others: Sequence[StateDict], shares: Sequence[float], tensors: str) -> StateDict:
    match(state_dict, others, tensors)
    counted = [(other, share) for other, share in zip(others, shares[1:], strict=True) if share]

    def mixed(name: str, tensor: torch.Tensor) -> torch.Tensor:
        parts = [(tensor, shares[0])] if shares[0] else []
        parts += [(tensor_of(other[name]), share) for other, share in counted]
        return shaped(_sum([(flat(part), share) for part, share in parts]).to(tensor.dtype), tensor)

    return each(state_dict, mixed, tensors=tensors)


def _sum(parts: Sequence[tuple[torch.Tensor, float]]) -> torch.Tensor:
    """The sum of share * numbers; a part that does not count at all is not there (0 * NaN would be NaN)."""
    first, share = parts[0]
    wide = torch.float64 if any(part.dtype is torch.float64 for part, _ in parts) else torch.float32
    made = torch.empty(first.numel(), dtype=wide)

    def work(start: int, stop: int) -> None:
        total = first[start:stop].double() * share
        for part, own in parts[1:]:
            total.add_(part[start:stop].double(), alpha=own)
        made[start:stop] = total

    by_chunks(first.numel(), work)
    return made
