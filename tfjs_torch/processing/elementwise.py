"""Steps that look at one number at a time: scale, clip, smooth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import torch

from .lazy import StateDict, each
from .options import TENSORS
from .registry import register

_LARGEST: Final = 1e6
_NARROW: Final = (torch.float16, torch.bfloat16)


@register(
    "scale",
    title="Scale",
    description="Multiplies all weights by one number.",
    options={
        "factor": {
            "type": "number",
            "title": "Factor",
            "description": "1 changes nothing, 0 makes all weights zero, negative numbers turn the signs.",
            "default": 0.5,
            "minimum": -_LARGEST,
            "maximum": _LARGEST,
        },
        **TENSORS,
    },
)
def scale(state_dict: StateDict, options: Mapping[str, Any]) -> StateDict:
    """w * factor, in the tensor's own dtype. NaN stays NaN; 0 * infinity is NaN."""
    factor = options["factor"]
    return each(state_dict, lambda _, tensor: _times(tensor, factor), tensors=options["tensors"])


@register(
    "smooth",
    title="Smooth",
    description="Weight decay: draws all weights towards zero, which makes the model less sure of itself.",
    options={
        "rate": {
            "type": "number",
            "title": "Rate",
            "description": "Which part of every weight goes away each time.",
            "default": 0.01,
            "minimum": 0,
            "maximum": 1,
        },
        "times": {
            "type": "integer",
            "title": "Times",
            "description": "How often.",
            "default": 1,
            "minimum": 1,
            "maximum": 100_000,
        },
        **TENSORS,
    },
)
def smooth(state_dict: StateDict, options: Mapping[str, Any]) -> StateDict:
    """w * (1 - rate) ** times: what that many steps of SGD with weight decay do where there is no gradient."""
    factor = (1 - options["rate"]) ** options["times"]
    return each(state_dict, lambda _, tensor: _times(tensor, factor), tensors=options["tensors"])


def _limits(options: Mapping[str, Any]) -> str:
    low, high = options["min"], options["max"]
    return f"max of at least min expected, found max {high} below min {low}; swap them" if low > high else ""


@register(
    "clip",
    title="Clip",
    description="Keeps all weights within two limits; those beyond become the limit.",
    options={
        "min": {
            "type": "number",
            "title": "Smallest",
            "description": "Smaller weights become this.",
            "default": -1,
            "minimum": -_LARGEST,
            "maximum": _LARGEST,
        },
        "max": {
            "type": "number",
            "title": "Largest",
            "description": "Larger weights become this.",
            "default": 1,
            "minimum": -_LARGEST,
            "maximum": _LARGEST,
        },
        **TENSORS,
    },
    check=_limits,
)
def clip(state_dict: StateDict, options: Mapping[str, Any]) -> StateDict:
    """min(max(w, smallest), largest). Infinities become the limits, NaN stays NaN."""
    low, high = options["min"], options["max"]
    return each(state_dict, lambda _, tensor: _clamped(tensor, low, high), tensors=options["tensors"])


def _times(tensor: torch.Tensor, factor: float) -> torch.Tensor:
    wide = tensor.float() if tensor.dtype in _NARROW else tensor
    return (wide * factor).to(tensor.dtype)


def _clamped(tensor: torch.Tensor, low: float, high: float) -> torch.Tensor:
    wide = tensor.float() if tensor.dtype in _NARROW else tensor  # torch refuses limits that the dtype lacks
    return wide.clamp(low, high).to(tensor.dtype)
