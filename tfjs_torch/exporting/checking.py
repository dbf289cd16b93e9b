"""The last step of an export: the files, loaded and run by this package, beside the module that they came from."""

from __future__ import annotations

import warnings
from typing import Any, Final

import torch
from torch import Tensor, nn

from ..artifacts import Artifacts
from ..errors import TfjsTorchWarning, UnsupportedError
from ..layers import supported_layers
from ..model import load_model
from .tracing import BATCH, Traced, evaluating
from .values import Order

_TOLERANCE: Final = 1e-4  # of the largest number; float32 in another order of sums stays far below
_SAMPLES: Final = BATCH + 1  # another batch than the traced one: nothing may hang on its size


def check(module: nn.Module, traced: Traced, artifacts: Artifacts) -> None:
    """Compare what both make of random inputs.

    Raises:
        UnsupportedError: they differ. Then the module does something that tracing does not show.
    """
    topology = artifacts.model_json["modelTopology"]
    if not _classes(topology) <= {*supported_layers(), "InputLayer", "Sequential", "Model"}:
        return
    parameter = next((p for p in module.parameters() if p.is_floating_point()), torch.empty(0))
    inputs = _inputs(traced)
    with torch.no_grad(), evaluating(module):
        given = [x if x.dtype == torch.int64 else x.to(parameter.dtype) for x in inputs]
        wanted = _listed(module(*(x.to(parameter.device) for x in given)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TfjsTorchWarning)
            model = load_model(artifacts)
            made = model(*(_turned(x, order) for x, order in zip(inputs, traced.input_orders, strict=True)))
    for i, (ours, theirs, value) in enumerate(zip(_listed(made), wanted, traced.outputs, strict=True)):
        turned = _turned(theirs.float().cpu(), value.order) if value.rank > 1 else theirs.float().cpu().reshape(-1, 1)
        difference = _difference(ours, turned)
        if not difference <= _TOLERANCE:
            raise UnsupportedError(
                f"output {i}",
                f"the same numbers from the exported model expected, found a relative difference of {difference:.1e}; "
                "does forward() do more than its layers show, such as using the size of the batch?",
            )


def _inputs(traced: Traced) -> list[Tensor]:
    random = torch.Generator().manual_seed(1)
    found: list[Tensor] = []
    for symbol, order in zip(traced.inputs, traced.input_orders, strict=True):
        shape = [_SAMPLES] + [symbol.shape[list(order).index(axis) - 1] for axis in range(1, len(order))]
        if symbol in traced.ids:
            found.append(torch.randint(0, traced.graph.ids or 2, shape, generator=random))
        else:
            found.append(torch.randn(shape, generator=random))
    return found


def _turned(x: Tensor, order: Order) -> Tensor:
    return x.permute([axis for axis in order if axis is not None])


def _difference(ours: Tensor, theirs: Tensor) -> float:
    if ours.shape != theirs.shape:
        return float("inf")
    both = torch.isnan(ours) & torch.isnan(theirs)
    gap = torch.where(both | (ours == theirs), 0.0, (ours - theirs).abs())
    finite = theirs[torch.isfinite(theirs)]
    largest = float(finite.abs().max()) if finite.numel() else 0.0
    return float(gap.max()) / (largest or 1.0) if gap.numel() else 0.0


def _listed(found: Any) -> list[Tensor]:
    if isinstance(found, dict):
        found = list(found.values())
    return [one for each in found for one in _listed(each)] if isinstance(found, (tuple, list)) else [found]


def _classes(config: Any) -> set[str]:
    """The class of every layer, wrapped ones included; initializers are none."""
    if not isinstance(config, dict):
        return set().union(*map(_classes, config)) if isinstance(config, list) else set()
    inner = config.get("config")
    own = {config["class_name"]} if isinstance(inner, dict) and "name" in inner else set()
    return own.union(*(_classes(value) for key, value in config.items() if not key.endswith("_initializer")))
