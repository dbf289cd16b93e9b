"""predict: numpy in, numpy out, batch by batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import MismatchError


def predict(model: Any, x: Any, batch_size: int) -> Any:
    """LayersModel.predict, which see."""
    if not isinstance(batch_size, (int, np.integer)) or isinstance(batch_size, bool) or batch_size < 1:
        raise MismatchError("batch_size", f"a positive integer expected, found {batch_size!r}")
    arrays = given_inputs(model, x)
    for index, (array, shape) in enumerate(zip(arrays, model.input_shapes, strict=True)):
        if shape is not None and array.dim() != len(shape) and not model.takes_any_length(index):
            raise model.unfit_input(index, array)
    samples = {len(array) for array in arrays}
    device, dtype = _home(model)
    training = [module for module in model.modules() if module.training]
    try:
        for module in training:
            module.training = False
        with torch.no_grad():
            starts = range(0, max(samples.pop(), 1), batch_size)
            made = [_called(model, [a[i : i + batch_size] for a in arrays], device, dtype) for i in starts]
    finally:
        for module in training:
            module.training = True
    outputs = [np.concatenate(parts) if len(parts) > 1 else parts[0] for parts in zip(*made, strict=True)]
    return outputs if len(model.output_names) > 1 else outputs[0]


def given_inputs(model: Any, x: Any) -> list[Tensor]:
    """A tensor for each input, of an array, a list, or {name: array}; as many samples in each.

    Raises:
        MismatchError: other inputs than the model has, or no numbers.
    """
    arrays = [_tensor(array, name) for name, array in zip(model.input_names, _listed(model, x), strict=True)]
    if len({len(array) for array in arrays}) != 1:
        raise MismatchError("inputs", f"as many samples in each expected, found {[len(array) for array in arrays]}")
    return arrays


def _called(model: Any, parts: Sequence[Tensor], device: Any, dtype: torch.dtype) -> list[Any]:
    ready = [part.to(device, None if ids else dtype) for part, ids in zip(parts, model.takes_ids, strict=True)]
    try:
        made = model(*ready)
    except IndexError as error:
        raise MismatchError("inputs", f"ids within the tables of the Embedding layers expected ({error})") from None
    except RuntimeError as error:  # torch speaks of two matrices; say which input has not the declared shape
        for index, (part, shape) in enumerate(zip(ready, model.input_shapes, strict=True)):
            sizes = zip(part.shape[1:], (shape or part.shape)[1:], strict=True)
            if any(wanted not in (None, found) for found, wanted in sizes):
                raise model.unfit_input(index, part) from error
        raise
    return [out.float().cpu().numpy() for out in (made if isinstance(made, list) else [made])]


def _listed(model: Any, x: Any) -> list[Any]:
    names = model.input_names
    if isinstance(x, Mapping):
        missing, unknown = [n for n in names if n not in x], [n for n in x if n not in names]
        if missing or unknown:
            raise MismatchError("inputs", f"the names {', '.join(names)} expected, found {', '.join(map(str, x))}")
        return [x[name] for name in names]
    if len(names) == 1 and not (isinstance(x, (list, tuple)) and len(x) == 1 and hasattr(x[0], "shape")):
        return [x]
    if not isinstance(x, (list, tuple)) or len(x) != len(names):
        found = f"{len(x)}" if isinstance(x, (list, tuple)) else type(x).__name__
        raise MismatchError("inputs", f"a list of {len(names)} arrays expected ({', '.join(names)}), found {found}")
    return list(x)


def _tensor(given: Any, name: str) -> Tensor:
    try:
        tensor = given.detach() if isinstance(given, Tensor) else torch.from_numpy(_plain(np.asarray(given)))
    except (TypeError, ValueError) as error:
        raise MismatchError(f"input {name!r}", f"an array of numbers expected: {error}") from None
    if not tensor.dim():
        raise MismatchError(f"input {name!r}", "an array with a batch axis expected, found a single number")
    if tensor.is_complex():
        raise MismatchError(f"input {name!r}", "an array of real numbers expected, found complex ones")
    if tensor.dtype is torch.float64 or tensor.dtype is torch.bool:
        return tensor.float()
    return tensor


def _plain(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """As torch can take it: in this machine's byte order, no axis backwards."""
    return np.ascontiguousarray(array, array.dtype.newbyteorder("=")).reshape(array.shape)


def _home(model: nn.Module) -> tuple[torch.device, torch.dtype]:
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.is_floating_point():
            return tensor.device, tensor.dtype
    return torch.device("cpu"), torch.float32
