"""Activation functions under their tf.js and Keras names (tfjs-layers/src/activations.ts, keras/activations)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import TopologyError, UnsupportedError
from ..topology import snake_case
from .config import Config

Function: TypeAlias = "Callable[[Tensor], Tensor]"


def linear(x: Tensor) -> Tensor:
    return x


def hard_sigmoid(x: Tensor) -> Tensor:
    """clip(0.2 x + 0.5, 0, 1): tf.js and Keras 2. torch's own is x / 6 + 0.5, as in Keras 3."""
    return (0.2 * x + 0.5).clamp(0, 1)


def hard_tanh(x: Tensor) -> Tensor:
    return F.hardtanh(x)


def sparse_plus(x: Tensor) -> Tensor:
    return torch.where(x <= -1, torch.zeros_like(x), torch.where(x < 1, 0.25 * (x + 1) ** 2, x))


def sparse_sigmoid(x: Tensor) -> Tensor:
    return (0.5 * (x + 1)).clamp(0, 1)


def squareplus(x: Tensor) -> Tensor:
    return (x + (x.square() + 4).sqrt()) / 2


def sparsemax(x: Tensor) -> Tensor:
    """The nearest point of the simplex (Martins and Astudillo, 2016), along the last axis."""
    falling = x.sort(-1, descending=True).values
    count = torch.arange(1, x.shape[-1] + 1, device=x.device, dtype=x.dtype)
    above = falling.cumsum(-1) - 1
    size = (count * falling > above).sum(-1, keepdim=True)
    return (x - above.gather(-1, size - 1) / size).clamp(min=0)


def softmax(x: Tensor) -> Tensor:
    return torch.softmax(x, -1)


def log_softmax(x: Tensor) -> Tensor:
    return torch.log_softmax(x, -1)


gelu_new = partial(F.gelu, approximate="tanh")

FUNCTIONS: Final[Mapping[str, Function]] = {
    "linear": linear,
    "relu": torch.relu,
    "relu6": F.relu6,
    "elu": F.elu,
    "selu": torch.selu,
    "sigmoid": torch.sigmoid,
    "hard_sigmoid": hard_sigmoid,
    "softplus": F.softplus,
    "softsign": F.softsign,
    "tanh": torch.tanh,
    "softmax": softmax,
    "log_softmax": log_softmax,
    "gelu": F.gelu,
    "gelu_new": gelu_new,
    "mish": F.mish,
    "swish": F.silu,
}

# What Keras writes and tf.js refuses, though its meaning is plain.
KERAS_FUNCTIONS: Final[Mapping[str, Function]] = {
    "silu": F.silu,
    "exponential": torch.exp,
    "leaky_relu": partial(F.leaky_relu, negative_slope=0.2),
    "hard_silu": F.hardswish,
    "hard_swish": F.hardswish,
    "hard_tanh": hard_tanh,
    "log_sigmoid": F.logsigmoid,
    "tanh_shrink": F.tanhshrink,
    "soft_shrink": F.softshrink,
    "hard_shrink": F.hardshrink,
    "celu": F.celu,
    "sparse_plus": sparse_plus,
    "sparse_sigmoid": sparse_sigmoid,
    "squareplus": squareplus,
    "sparsemax": sparsemax,
    "glu": F.glu,
}


def looked_on() -> bool:
    """Whether a compiler, a tracer or a transform of torch.func follows each operation: then nothing is overwritten."""
    functorch = torch._C._are_functorch_transforms_active()
    return functorch or torch.compiler.is_compiling() or torch._C._get_tracing_state() is not None


def function_of(config: Config, key: str = "activation", default: str = "linear", keras_version: int = 2) -> Function:
    """The function that the option `key` names. Missing: `default`; null: linear.

    Raises:
        UnsupportedError: an activation that is not known here.
    """
    found = config.get(key, default)
    return activation(found, f"{config.where}: {key}", config.keras and keras_version >= 3)


def activation(found: Any, where: str, keras_3: bool = False) -> Function:
    """The function of a name, or of Keras' {"class_name", "config"}; None is linear."""
    if found is None:
        return linear
    if isinstance(found, dict):
        name, options = found.get("class_name"), found.get("config")
        if name == "function" and isinstance(options, str):  # Keras 3
            return activation(options, where, keras_3)
        return _from_layer(name, options if isinstance(options, dict) else {}, where, keras_3)
    if not isinstance(found, str):
        raise TopologyError(where, f"the name of an activation expected, found {found!r:.60}")
    if keras_3 and found == "hard_sigmoid":
        return F.hardsigmoid
    found = found if found[:1].isupper() else snake_case(found)
    known = FUNCTIONS.get(found) or KERAS_FUNCTIONS.get(found)
    if known is None and found[:1].isupper():
        return _from_layer(found, {}, where, keras_3)
    if known is None:
        listed = ", ".join(sorted({*FUNCTIONS, *KERAS_FUNCTIONS}))
        raise UnsupportedError(where, f"one of {listed} expected, found {found!r}")
    return known


def _from_layer(name: Any, options: Mapping[str, Any], where: str, keras_3: bool) -> Function:
    """An activation given as a layer: {"class_name": "LeakyReLU", "config": {"alpha": 0.1}}."""
    if name == "Activation":
        return activation(options.get("activation"), where, keras_3)
    if name == "ReLU":
        top = options.get("max_value")
        return torch.relu if top is None else partial(torch.clamp, min=0.0, max=float(top))
    if name == "LeakyReLU":
        slope = options.get("alpha", options.get("negative_slope", 0.3))
        return partial(F.leaky_relu, negative_slope=float(slope))
    if name == "ELU":
        return partial(F.elu, alpha=float(options.get("alpha", 1.0)))
    if name == "Softmax":
        return softmax
    if name == "ThresholdedReLU":
        return partial(F.threshold, threshold=float(options.get("theta", 1.0)), value=0.0)
    plain = {"Linear": "linear", "Relu": "relu", "Relu6": "relu6", "Elu": "elu", "Selu": "selu", "Sigmoid": "sigmoid"}
    if isinstance(name, str) and name.lower() in FUNCTIONS:
        return activation(plain.get(name, name.lower()), where, keras_3)
    raise UnsupportedError(where, f"an activation that is known here expected, found {name!r}")


def name_of(function: Function) -> str:
    """For repr: the name in tf.js."""
    for name, known in {**FUNCTIONS, **KERAS_FUNCTIONS}.items():
        if known is function:
            return name
    if isinstance(function, partial):
        return f"{function.func.__name__}({', '.join(f'{k}={v:g}' for k, v in function.keywords.items())})"
    return getattr(function, "__name__", type(function).__name__)
