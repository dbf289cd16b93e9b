"""Inputs to try a model with when nobody gives any: random, but always the same, and fit for every layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from torch import nn

from .errors import MismatchError
from .layers.network import LayersModel
from .references import Ref

Array = npt.NDArray[Any]

# Sizes that the model leaves open, by rank: steps of a sequence, sides of an image, sides of a volume.
_OPEN_SIZES: Final = {2: 7, 3: 7, 4: 64, 5: 16}
_MANY: Final = 1 << 15  # numbers in a sample; beyond, one sample will do


def draw_inputs(model: LayersModel, seed: int = 0, samples: int | None = None) -> list[Array]:
    """One float32 array for each input of the model.

    Ids for an Embedding lie within its rows, and 0 is among them. Where layers make masks, the first sample ends
    in steps that are masked.

    Args:
        samples: the batch size where the model leaves it open; None: 2, or 1 for large inputs.

    Raises:
        MismatchError: the file does not say an input's shape.

    Example:
        >>> from tfjs_torch import load_model
        >>> from tfjs_torch.sample_inputs import draw_inputs
        >>> [x.shape for x in draw_inputs(load_model("samples/ml5-classifier"))]
        [(2, 3)]
    """
    shapes = [_rest(model, name, shape) for name, shape in zip(model.input_names, model.input_shapes, strict=True)]
    if samples is None:
        samples = 1 if sum(int(np.prod(shape)) for shape in shapes) > _MANY else 2
    fixed = [shape[0] for shape in model.input_shapes if shape and shape[0]]
    samples = fixed[0] if fixed else samples  # a stateful model has its own
    random = np.random.default_rng(seed)
    masked = _masked_value(model)
    return [
        _drawn(random, (samples, *shape), limit, masked) for shape, limit in zip(shapes, _id_limits(model), strict=True)
    ]


def unique(names: Sequence[str]) -> list[str]:
    """A layer may give several outputs of a model: "lstm", "lstm_1", ..."""
    found: list[str] = []
    for name in names:
        numbered = [name, *(f"{name}_{i}" for i in range(1, len(names) + 1))]
        found.append(next(n for n in numbered if n not in found))
    return found


def _rest(model: LayersModel, name: str, shape: Sequence[int | None] | None) -> tuple[int, ...]:
    if shape is None:
        raise MismatchError(f"input {name!r}", "a shape in the file expected, found none; give inputs")
    return tuple(_OPEN_SIZES.get(len(shape), 7) if size is None else size for size in shape[1:])


def _drawn(random: np.random.Generator, shape: tuple[int, ...], limit: int | None, masked: float | None) -> Array:
    steps = shape[1] if len(shape) > 1 else 0
    end = steps - steps // 3
    if limit is not None:
        ids = random.integers(0, max(limit, 1), shape).astype(np.float32)
        ids[0, end:] = 0
        return ids
    values = random.uniform(-1, 1, shape).astype(np.float32)
    if len(shape) == 3:  # steps about as long as one-hot vectors: longer ones make recurrent layers amplify rounding
        values *= min(1.0, (3 / max(shape[-1], 1)) ** 0.5)
    if masked is not None and len(shape) > 2:
        values[0, end:] = masked
    return values


def _masked_value(model: LayersModel) -> float | None:
    """The features of a step that is to be masked."""
    if not model.makes_masks:
        return None
    values = [getattr(module, "value", None) for module in model.modules() if hasattr(module, "compute_mask")]
    return next((float(value) for value in values if isinstance(value, (int, float))), 0.0)


def _id_limits(model: LayersModel) -> list[int | None]:
    """For each input, how many ids the layers know that take it; None where it takes any numbers."""
    return [min(_limits(model, entry.ref), default=None) for entry in model._wiring.inputs]


def _limits(model: LayersModel, start: Ref) -> Iterator[int]:
    """Ids go unchanged through layers without weights, so what lies behind those counts, too."""
    reached = {(start.layer, start.call)}
    for call in model._wiring.calls:
        places = [i for i, ref in enumerate(call.inputs) if (ref.layer, ref.call) in reached]
        if not places:
            continue
        module = model.get_layer(call.layer)
        if isinstance(module, LayersModel):
            entries = module._wiring.inputs
            yield from (limit for i in places if i < len(entries) for limit in _limits(module, entries[i].ref))
        else:
            yield from _own_limits(module)
        if next(module.parameters(), None) is None:
            reached.add((call.layer, call.number))


def _own_limits(module: nn.Module) -> Iterator[int]:
    """A wrapper may hold the layer that takes the ids."""
    for inner in module.modules():
        for name in ("num_embeddings", "num_tokens"):
            limit = getattr(inner, name, None)
            if isinstance(limit, int):
                yield limit
