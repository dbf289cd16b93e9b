"""Steps that round the weights to what another way of storing them can hold: quantize, cast."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import torch

from ..encoder import encode_tensor
from ..errors import MismatchError
from ..manifest import Quantization, WeightSpec
from ..quantization import dequantize
from ..quantization import quantize as codes_of
from ..torch_tensors import TorchTensor
from .lazy import StateDict, each
from .options import TENSORS
from .registry import register
from .spans import spread

_STORAGE: Final = ("uint8", "uint16", "float16")
_DTYPES: Final = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}


@register(
    "quantize",
    title="Quantize",
    description="Rounds the weights as storing them in fewer bytes does, to see what that costs. "
    "The files stay as large as they are.",
    options={
        "dtype": {
            "type": "string",
            "title": "Stored as",
            "description": "uint8: 256 steps between a tensor's smallest and largest weight; uint16: 65,536 steps; "
            "float16: three digits.",
            "enum": list(_STORAGE),
            "default": "uint8",
        },
        **TENSORS,
    },
)
def quantize(state_dict: StateDict, options: Mapping[str, Any]) -> StateDict:
    """The float32 values that tf.js reads after save_file(..., quantize=dtype).

    A tensor with NaN or infinities cannot be uint8 or uint16; a warning says so, and it stays as it is.

    Raises:
        MismatchError: a finite number that float16 cannot hold.
    """
    dtype = options["dtype"]
    return each(
        state_dict,
        lambda name, tensor: _as_stored(name, tensor, dtype),
        tensors=options["tensors"],
        dtype=torch.float32,
    )


@register(
    "cast",
    title="Cast",
    description="Rounds the weights to another kind of number. tf.js files hold float32, so the rounding stays, "
    "and the files stay as large as they are.",
    options={
        "dtype": {
            "type": "string",
            "title": "Kind of number",
            "description": "float16: three digits, up to 65,504; bfloat16: two digits, any size; float32: seven.",
            "enum": list(_DTYPES),
            "default": "float16",
        },
        **TENSORS,
    },
)
def cast(state_dict: StateDict, options: Mapping[str, Any]) -> StateDict:
    """Rounded to nearest, ties to even; NaN and infinities stay.

    Raises:
        MismatchError: a finite number that would become infinite.
    """
    dtype = _DTYPES[options["dtype"]]
    return each(state_dict, lambda name, tensor: _cast(name, tensor, dtype), tensors=options["tensors"], dtype=dtype)


def _as_stored(name: str, tensor: torch.Tensor, storage: str) -> torch.Tensor:
    given: Any = TorchTensor(name, tensor)
    shape, size = tuple(tensor.shape), tensor.numel()
    spec = WeightSpec(name, shape, "float32", None, None, size, "float32", 4 * size)
    encoded = encode_tensor(spec, given, quantize_to=storage)  # nothing is encoded yet; it chooses, warns and refuses
    values = np.ascontiguousarray(np.asarray(given), np.float32).reshape(-1)
    if encoded.quantization is None:
        return tensor.float()
    rule = Quantization(storage, encoded.quantization.get("scale", 1.0), encoded.quantization.get("min", 0.0))
    made = np.empty_like(values)

    def work(start: int, stop: int) -> None:
        dequantize(codes_of(values[start:stop], rule), rule, made[start:stop])

    spread(work, size)
    return torch.from_numpy(made).reshape(shape).to(tensor.device)


def _cast(name: str, tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    made = tensor.to(dtype)
    if dtype.itemsize <= tensor.dtype.itemsize and dtype is not tensor.dtype and tensor.numel():
        low, high = made.aminmax()
        if not (low.isfinite() and high.isfinite()):
            lost = tensor[made.isinf() & tensor.isfinite()]
            if lost.numel():
                raise MismatchError(
                    name,
                    f"values that {str(dtype).removeprefix('torch.')} holds expected, found {lost[0].item():g}; "
                    "clip first, or cast to another kind of number",
                )
    return made
