"""State_dicts whose tensors are computed when they are asked for: large models pass through tensor by tensor."""

from __future__ import annotations

import fnmatch
import functools
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple, TypeAlias, TypeGuard

import numpy as np
import torch

from ..encoder import Tensor
from ..errors import MismatchError
from ..quantization import Array
from ..torch_tensors import TorchTensor, as_tensors

StateDict: TypeAlias = "Mapping[str, Any]"
PerTensor: TypeAlias = "Callable[[str, torch.Tensor], torch.Tensor]"


class Entry(NamedTuple):
    """A tensor that is not computed yet; `dtype` is None for strings, which are numpy object arrays."""

    shape: tuple[int, ...]
    dtype: torch.dtype | None
    make: Callable[[], Any]


class Lazy(Mapping[str, Any]):
    """{name: torch tensor}, each computed whenever it is asked for, and not kept.

    Shapes and dtypes are known without computing anything. String tensors are numpy object arrays of bytes.

    Example:
        >>> import torch
        >>> from tfjs_torch import processing
        >>> lazy = processing.Lazy.over({"a": torch.ones(2)})
        >>> half = processing.each(lazy, lambda name, tensor: tensor / 2)
        >>> half.shape("a"), half.dtype("a"), half["a"]
        ((2,), torch.float32, tensor([0.5000, 0.5000]))
    """

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self.entries = entries

    @classmethod
    def over(cls, state_dict: StateDict) -> Lazy:
        """A face for tensors that are there already."""
        if isinstance(state_dict, Lazy):
            return state_dict
        return cls(
            {
                name: Entry(tuple(value.shape), dtype_of(state_dict, name), partial(state_dict.__getitem__, name))
                for name, value in state_dict.items()
            }
        )

    def shape(self, name: str) -> tuple[int, ...]:
        return self.entries[name].shape

    def dtype(self, name: str) -> torch.dtype | None:
        """None for strings."""
        return self.entries[name].dtype

    def __getitem__(self, name: str) -> Any:
        return self.entries[name].make()

    def __contains__(self, name: object) -> bool:
        return name in self.entries  # without computing

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __repr__(self) -> str:
        return f"<Lazy: {len(self)} tensors>"


def shape_of(state_dict: StateDict, name: str) -> tuple[int, ...]:
    return state_dict.shape(name) if is_lazy(state_dict) else tuple(state_dict[name].shape)


def is_lazy(state_dict: StateDict) -> TypeGuard[Lazy]:
    """isinstance, in a tenth of the time for what most state_dicts are: it is asked for every tensor."""
    return not isinstance(state_dict, dict) and isinstance(state_dict, Lazy)


def dtype_of(state_dict: StateDict, name: str) -> torch.dtype | None:
    if is_lazy(state_dict):
        return state_dict.dtype(name)
    dtype = state_dict[name].dtype
    return dtype if isinstance(dtype, torch.dtype) else _torch_dtype(dtype)


def tensor_of(value: Any) -> torch.Tensor:
    """A torch tensor without a gradient, over the same memory, of a torch tensor or a numpy array."""
    if isinstance(value, torch.Tensor):
        return value.detach() if value.requires_grad else value
    array = np.asarray(value)
    if not array.flags.writeable or not array.dtype.isnative or min(array.strides, default=0) < 0:
        array = array.astype(array.dtype.newbyteorder("="))  # torch has no such tensors
    return torch.from_numpy(array)


def chosen(state_dict: StateDict, tensors: str = "*") -> list[str]:
    """The names of the float tensors that a glob matches; the others are never changed by a step.

    Raises:
        MismatchError: it matches none.
    """
    floats = [name for name in state_dict if is_float(dtype_of(state_dict, name))]
    if tensors == "*":
        return floats
    try:
        matches = re.compile(fnmatch.translate(tensors)).match
    except re.error:
        raise MismatchError("tensors", f"a glob of tensor names expected, found {tensors!r}") from None
    found = [name for name in floats if matches(name)]
    if not found:
        raise MismatchError(
            "tensors",
            f"a glob that matches a float tensor expected, found {tensors!r}; there are {_listed(floats)}",
        )
    return found


def is_float(dtype: torch.dtype | None) -> bool:
    return dtype is not None and dtype.is_floating_point and dtype.itemsize > 1


def each(
    state_dict: StateDict, function: PerTensor, *, tensors: str = "*", dtype: torch.dtype | None = None
) -> StateDict:
    """A function applied to every float tensor: now, or when a tensor of a Lazy mapping is asked for.

    Args:
        state_dict: {name: tensor}; it stays as it is.
        function: (name, tensor) -> a new tensor of the same shape. It must not change the one it gets.
        tensors: a glob; only the float tensors that it matches are changed. All others are handed on as they are.
        dtype: the new dtype, where the function changes it.

    Returns:
        a Lazy mapping for a Lazy one, else a dict.

    Raises:
        MismatchError: the glob matches no float tensor.

    Example:
        >>> import torch
        >>> from tfjs_torch import processing
        >>> model = {"dense/kernel": torch.ones(2), "dense/bias": torch.ones(1), "steps": torch.tensor(3)}
        >>> processing.each(model, lambda name, tensor: tensor * 2, tensors="*kernel")
        {'dense/kernel': tensor([2., 2.]), 'dense/bias': tensor([1.]), 'steps': tensor(3)}
    """
    names = set(chosen(state_dict, tensors))
    if not isinstance(state_dict, Lazy):
        return {
            name: function(name, tensor_of(value)) if name in names else value for name, value in state_dict.items()
        }
    return Lazy(
        {
            name: entry._replace(dtype=dtype or entry.dtype, make=partial(_computed, function, name, entry, dtype))
            if name in names
            else entry
            for name, entry in state_dict.entries.items()
        }
    )


def _computed(function: PerTensor, name: str, entry: Entry, dtype: torch.dtype | None) -> torch.Tensor:
    made = function(name, tensor_of(entry.make()))
    if tuple(made.shape) != entry.shape or made.dtype is not (dtype or entry.dtype):
        raise MismatchError(
            name,
            f"shape {list(entry.shape)} and {dtype or entry.dtype} expected from the function that `each` was given, "
            f"found {list(made.shape)} and {made.dtype}; keep the shape, and give `each` the new dtype",
        )
    return made


def _listed(names: list[str]) -> str:
    return ", ".join(names[:5]) + (" ..." if len(names) > 5 else "") if names else "none at all"


class _LazyTensor:
    """One tensor of a Lazy mapping as the encoder sees it: computed each time its values are wanted."""

    def __init__(self, name: str, entry: Entry) -> None:
        self.shape = entry.shape
        self.dtype = np.dtype(object) if entry.dtype is None else _numpy_dtype(entry.dtype)
        self._name, self._make = name, entry.make

    def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
        value = self._make()
        array: Array = np.asarray(TorchTensor(self._name, value) if isinstance(value, torch.Tensor) else value)
        return array if dtype is None else array.astype(dtype)


def lazy_tensors(state_dict: StateDict) -> dict[str, Tensor]:
    """The tensors of a mapping as the encoder wants them: shapes and dtypes now, values when they are written.

    Raises:
        MismatchError, UnsupportedError: see torch_tensors.as_tensors.

    Example:
        >>> import numpy, torch
        >>> from tfjs_torch import processing
        >>> lazy = processing.process(processing.Lazy.over({"a": torch.ones(2)}), "scale")
        >>> tensor = processing.lazy_tensors(lazy)["a"]
        >>> tensor.shape, tensor.dtype, numpy.asarray(tensor)
        ((2,), dtype('float32'), array([0.5, 0.5], dtype=float32))
    """
    if not isinstance(state_dict, Lazy):
        return as_tensors(state_dict)
    return {name: _LazyTensor(name, entry) for name, entry in state_dict.entries.items()}


def state_dict_of(tensors: Mapping[str, Tensor]) -> Lazy:
    """The way back: tensors as the encoder sees them (tensors.stored_tensors, say) as a lazy state_dict.

    Raises nothing; a dtype that torch lacks is a TypeError of torch.

    Example:
        >>> import numpy
        >>> from tfjs_torch import processing
        >>> processing.state_dict_of({"a": numpy.ones(2, "float32")})["a"]
        tensor([1., 1.])
    """
    return Lazy(
        {
            name: Entry(
                tuple(int(size) for size in tensor.shape), _torch_dtype(tensor.dtype), partial(_value_of, tensor)
            )
            for name, tensor in tensors.items()
        }
    )


def _value_of(tensor: Tensor) -> Any:
    array: Array = np.asarray(tensor)
    return tensor_of(array) if array.dtype.kind in "biufc" else array


@functools.lru_cache
def _torch_dtype(dtype: Any) -> torch.dtype | None:
    found = np.dtype(dtype)
    return torch.from_numpy(np.empty(0, found.newbyteorder("="))).dtype if found.kind in "biufc" else None


@functools.lru_cache
def _numpy_dtype(dtype: torch.dtype) -> np.dtype[Any]:
    return TorchTensor("", torch.empty(0, dtype=dtype)).dtype
