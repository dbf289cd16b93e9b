"""torch tensors as the encoder sees them: numpy shape and dtype at once, the values when they are written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from .errors import MismatchError, UnsupportedError
from .quantization import Array

_TORCH_TO_NUMPY = {
    torch.float32: "float32", torch.float64: "float64", torch.float16: "float16", torch.bfloat16: "float32",
    torch.int8: "int8", torch.int16: "int16", torch.int32: "int32", torch.int64: "int64",
    torch.uint8: "uint8", torch.uint16: "uint16", torch.uint32: "uint32", torch.uint64: "uint64",
    torch.bool: "bool", torch.complex64: "complex64", torch.complex128: "complex128",
}  # fmt: skip
_DTYPES = {own: np.dtype(name) for own, name in _TORCH_TO_NUMPY.items()}


def as_tensors(state_dict: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a state_dict as the encoder wants them, names checked.

    Raises:
        MismatchError: a name that is no string, or a value that is no dense tensor.
    """
    if not isinstance(state_dict, Mapping):
        raise MismatchError("state_dict", f"{{name: tensor}} expected, found {type(state_dict).__name__}")
    tensors: dict[str, Any] = {}
    for name, value in state_dict.items():
        if not isinstance(name, str):
            raise MismatchError("state_dict", f"names that are strings expected, found {name!r}")
        if isinstance(value, torch.Tensor):
            tensors[name] = TorchTensor(name, value)
        elif isinstance(value, (np.ndarray, np.generic)):
            tensors[name] = np.asarray(value)
        else:
            raise MismatchError(name, f"a torch tensor or numpy array expected, found {type(value).__name__}")
    return tensors


class TorchTensor:
    """A torch tensor as the encoder sees it: numpy shape and dtype now, the values when they are written."""

    def __init__(self, name: str, tensor: torch.Tensor) -> None:
        if tensor.layout is not torch.strided or tensor.is_meta or tensor.is_quantized:
            raise MismatchError(
                name, f"a dense tensor with values expected, found layout {tensor.layout} on {tensor.device}"
            )
        if tensor.dtype not in _DTYPES:
            raise UnsupportedError(name, f"a dtype that numpy has expected, found {tensor.dtype}; cast it first")
        self.shape = tuple(tensor.shape)
        self.dtype = _DTYPES[tensor.dtype]
        self._tensor = tensor

    def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
        tensor = self._tensor.float() if self._tensor.dtype is torch.bfloat16 else self._tensor
        array: Array = tensor.numpy(force=True)  # detached, on the CPU, conjugates resolved
        return array if dtype is None else array.astype(dtype)
