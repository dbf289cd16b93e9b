"""Steps that draw random numbers: noise, and ml5's neuro-evolution (mutate, crossover).

Which numbers are drawn depends on the seed, the step and the tensor's name, not on the order or the number of tensors.
They are torch's, so another release of torch may draw others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from .lazy import StateDict, each, tensor_of
from .matching import match
from .options import SEED, TENSORS
from .registry import register
from .spans import Chance, by_chance, flat, shaped


@register(
    "noise",
    title="Add noise",
    description="Adds a random number to every weight: most are near zero, few are larger (a normal distribution).",
    options={
        "std": {
            "type": "number",
            "title": "Strength",
            "description": "Standard deviation of the noise.",
            "default": 0.01,
            "minimum": 0,
            "maximum": 1e6,
        },
        "relative": {
            "type": "boolean",
            "title": "Relative",
            "description": "Count the strength in standard deviations of each tensor's own weights.",
            "default": False,
        },
        **SEED,
        **TENSORS,
    },
)
def noise(state_dict: StateDict, options: Mapping[str, Any]) -> StateDict:
    """w + std * N(0, 1). With `relative`, std is multiplied by the deviation of the tensor's finite numbers."""

    def noisy(name: str, tensor: torch.Tensor) -> torch.Tensor:
        numbers = flat(tensor)
        std = options["std"] * (_deviation(numbers) if options["relative"] else 1.0)
        made = torch.empty_like(numbers)

        def work(start: int, stop: int, chance: Chance) -> None:
            run = made[start:stop]
            run.normal_(generator=chance)
            run.mul_(std).add_(numbers[start:stop])

        by_chance(numbers.numel(), "noise", options["seed"], name, work)
        return shaped(made, tensor)

    return each(state_dict, noisy, tensors=options["tensors"])


@register(
    "mutate",
    title="Mutate",
    description="As nn.mutate(rate) of ml5.js: some weights, picked by chance, get a random number added "
    "and are kept between -1 and 1.",
    options={
        "rate": {
            "type": "number",
            "title": "Rate",
            "description": "How likely each weight is picked.",
            "default": 0.1,
            "minimum": 0,
            "maximum": 1,
        },
        **SEED,
        **TENSORS,
    },
)
def mutate(state_dict: StateDict, options: Mapping[str, Any]) -> StateDict:
    """Where a random number of [0, 1) is below rate: w = min(max(w + N(0, 1), -1), 1). NaN stays NaN.

    Source: NeuralNetwork.mutate in ml5's src/NeuralNetwork/NeuralNetwork.js, which does so for all tensors.
    """
    rate = options["rate"]

    def mutated(name: str, tensor: torch.Tensor) -> torch.Tensor:
        made = _copy(tensor)

        def work(start: int, stop: int, chance: Chance) -> None:
            run = made[start:stop]
            picked = (torch.rand(run.numel(), generator=chance) < rate).nonzero().squeeze(1)
            drawn = torch.empty(picked.numel(), dtype=run.dtype).normal_(generator=chance)
            run[picked] = drawn.add_(run[picked]).clamp_(-1, 1)

        by_chance(made.numel(), "mutate", options["seed"], name, work)
        return shaped(made, tensor)

    return each(state_dict, mutated, tensors=options["tensors"])


@register(
    "crossover",
    title="Cross over",
    description="As nn.crossover(other) of ml5.js: a child of two models. Every weight comes from one of them, "
    "by the toss of a coin.",
    options={**SEED, **TENSORS},
    others=(1, 1),
)
def crossover(state_dict: StateDict, options: Mapping[str, Any], others: Sequence[StateDict]) -> StateDict:
    """Where a random number of [0, 1) is below 0.5: the other model's w.

    Source: NeuralNetwork.crossover in ml5's src/NeuralNetwork/NeuralNetwork.js, which does so for all tensors.
    """
    match(state_dict, others, options["tensors"])
    (other,) = others

    def crossed(name: str, tensor: torch.Tensor) -> torch.Tensor:
        made, second = _copy(tensor), flat(tensor_of(other[name]))

        def work(start: int, stop: int, chance: Chance) -> None:
            taken = torch.rand(stop - start, generator=chance) < 0.5
            torch.where(taken, second[start:stop].to(made.dtype), made[start:stop], out=made[start:stop])

        by_chance(made.numel(), "crossover", options["seed"], name, work)
        return shaped(made, tensor)

    return each(state_dict, crossed, tensors=options["tensors"])


def _copy(tensor: torch.Tensor) -> torch.Tensor:
    """`flat`, in memory of its own."""
    numbers = flat(tensor)
    return numbers.clone() if numbers.untyped_storage().data_ptr() == tensor.untyped_storage().data_ptr() else numbers


def _deviation(numbers: torch.Tensor) -> float:
    found = numbers.std(correction=0).item() if numbers.numel() else 0.0
    if found != found:  # NaN: there are numbers to leave out, or none to look at
        finite = numbers[numbers.isfinite()]
        return finite.std(correction=0).item() if finite.numel() else 0.0
    return found
