"""Steps that change weights: a registry, the steps of tfjs_torch, and room for others' own.

    from tfjs_torch import process, processing
    process(state_dict, [{"step": "prune", "amount": 0.3}])      # new tensors, the given ones stay
    processing.steps()                                           # all steps with their options

A step is a pure function `(state_dict, options) -> state_dict`, which `register` puts under a name. `Lazy` is a
state_dict whose tensors are computed when they are asked for: large models pass through tensor by tensor.
"""

from __future__ import annotations

from importlib import import_module
from typing import Final

from .lazy import Lazy, each, lazy_tensors, state_dict_of
from .operators import load
from .parsing import Call, parse
from .registry import Step, register, steps
from .running import process

FAMILIES: Final = ("pruning", "storage", "elementwise", "chance", "mixing")  # as a page lists them

for _family in FAMILIES:
    import_module(f".{_family}", __name__)

__all__ = [
    "Call",
    "Lazy",
    "Step",
    "each",
    "lazy_tensors",
    "load",
    "parse",
    "process",
    "register",
    "state_dict_of",
    "steps",
]
