"""Activation functions: as modules, functions and methods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..layout import Reshape
from . import configs
from .linear import holding
from .registry import function, module
from .site import Site, in_rows, is_trainable
from .values import Value, channels_last

_SIMPLE: Final[dict[str, tuple[Any, ...]]] = {  # tf.js' name: the modules, functions and methods of torch
    "relu": (nn.ReLU, F.relu, torch.relu, torch.relu_, F.relu_, "relu", "relu_"),
    "selu": (nn.SELU, F.selu, torch.selu, torch.selu_, F.selu_),
    "sigmoid": (nn.Sigmoid, F.sigmoid, torch.sigmoid, torch.special.expit, "sigmoid", "sigmoid_"),
    "tanh": (nn.Tanh, F.tanh, torch.tanh, "tanh", "tanh_"),
    "softsign": (nn.Softsign, F.softsign),
    "mish": (nn.Mish, F.mish),
    "swish": (nn.SiLU, F.silu),
}
_NONNEGATIVE: Final = ("relu", "sigmoid", "softplus", "softmax")


def activate(site: Site, x: Value, name: str) -> Value:
    symbol = site.emit("Activation", {"activation": name}, [x.symbol], x.symbol.shape)
    return x.become(symbol, nonnegative=name in _NONNEGATIVE)


def _register(name: str, targets: tuple[Any, ...]) -> None:
    def of_module(site: Site, module: nn.Module, x: Value) -> Value:
        return activate(site, x, name)

    def of_function(site: Site, input: Value, inplace: bool = False) -> Value:
        return activate(site, input, name)

    for target in targets:
        if isinstance(target, type):
            module(target)(of_module)
        else:
            function(target)(of_function)


for _name, _targets in _SIMPLE.items():
    _register(_name, _targets)


def _layer(site: Site, x: Value, class_name: str, nonnegative: bool, **config: Any) -> Value:
    return x.become(site.emit(class_name, config, [x.symbol], x.symbol.shape), nonnegative=nonnegative)


@module(nn.ReLU6)
def relu6(site: Site, module: nn.ReLU6, x: Value) -> Value:
    return clip(site, x, 0.0, 6.0)


@module(nn.Hardtanh)
def hardtanh(site: Site, module: nn.Hardtanh, x: Value) -> Value:
    return clip(site, x, module.min_val, module.max_val)


@function(F.relu6)
def relu6_function(site: Site, input: Value, inplace: bool = False) -> Value:
    return clip(site, input, 0.0, 6.0)


@function(F.hardtanh, F.hardtanh_)
def hardtanh_function(
    site: Site, input: Value, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Value:
    return clip(site, input, min_val, max_val)


@function(torch.clamp, torch.clip, "clamp", "clip", "clamp_", "clip_")
def clip(site: Site, input: Value, min: Any = None, max: Any = None) -> Value:
    if isinstance(min, (Tensor, Value)) or isinstance(max, (Tensor, Value)) or min != 0:
        site.refuse(f"a lower bound of 0 expected, found {min!r:.40}; tf.js clips from 0 up (ReLU with max_value)")
    return _layer(site, input, "ReLU", True, max_value=max)


@module(nn.LeakyReLU)
def leaky_relu(site: Site, module: nn.LeakyReLU, x: Value) -> Value:
    return _layer(site, x, "LeakyReLU", x.nonnegative, alpha=module.negative_slope)


@module(nn.RReLU)
def rrelu(site: Site, module: nn.RReLU, x: Value) -> Value:
    """Not random in evaluation mode: the mean of both slopes."""
    return _layer(site, x, "LeakyReLU", x.nonnegative, alpha=(module.lower + module.upper) / 2)


@function(F.leaky_relu, F.leaky_relu_)
def leaky_relu_function(site: Site, input: Value, negative_slope: float = 0.01, inplace: bool = False) -> Value:
    return leaky_relu(site, nn.LeakyReLU(negative_slope), input)


@module(nn.ELU, nn.CELU)
def elu(site: Site, module: nn.ELU, x: Value) -> Value:
    if module.alpha != 1:
        site.refuse(f"alpha=1 expected, found {module.alpha}; tf.js refuses any other")
    return activate(site, x, "elu")


@function(F.elu, F.elu_, F.celu)
def elu_function(site: Site, input: Value, alpha: float = 1.0, inplace: bool = False) -> Value:
    return elu(site, nn.ELU(alpha), input)


@module(nn.Softplus)
def softplus(site: Site, module: nn.Softplus, x: Value) -> Value:
    if module.beta != 1 or module.threshold < 16:  # above 16, log(1 + exp(x)) is x in float32
        site.refuse(f"beta=1 and threshold=20 expected, found {module.beta} and {module.threshold}")
    return activate(site, x, "softplus")


@function(F.softplus)
def softplus_function(site: Site, input: Value, beta: float = 1.0, threshold: float = 20.0) -> Value:
    return softplus(site, nn.Softplus(beta, threshold), input)


@module(nn.GELU)
def gelu(site: Site, module: nn.GELU, x: Value) -> Value:
    if module.approximate != "none":
        site.refuse("approximate='none' expected; tf.js cannot load the activation gelu_new that it saves")
    return activate(site, x, "gelu")


@function(F.gelu)
def gelu_function(site: Site, input: Value, approximate: str = "none") -> Value:
    return gelu(site, nn.GELU(approximate), input)


@module(nn.Threshold)
def threshold(site: Site, module: nn.Threshold, x: Value) -> Value:
    if module.value != 0:
        site.refuse(f"value=0 expected, found {module.value}; that is what ThresholdedReLU of tf.js gives below theta")
    return _layer(site, x, "ThresholdedReLU", module.threshold >= 0, theta=module.threshold)


@module(nn.Softmax, nn.LogSoftmax)
def softmax(site: Site, module: nn.Softmax | nn.LogSoftmax, x: Value) -> Value:
    return _softmax(site, x, "softmax" if isinstance(module, nn.Softmax) else "log_softmax", module.dim)


@module(nn.Softmax2d)
def softmax2d(site: Site, module: nn.Softmax2d, x: Value) -> Value:
    return _softmax(site, x, "softmax", 1)


def _softmax(site: Site, x: Value, name: str, dim: int | None) -> Value:
    if dim is None:
        dim = 0 if x.rank in (0, 1, 3) else 1  # what torch does, with a warning
    axis = x.axis(dim)
    if axis == x.order[0]:
        site.refuse("a softmax over features expected, found one over the batch")
    if x.order[-1] != axis:
        x = site.arrange(x, x.last_order(axis))
    return activate(site, x, name)


def _softmax_function(name: str) -> Callable[..., Value]:
    def rule(site: Site, input: Value, dim: Any = None, _stacklevel: int = 3, dtype: Any = None) -> Value:
        return _softmax(site, input, name, dim)

    return rule


function(F.softmax, torch.softmax, "softmax")(_softmax_function("softmax"))
function(F.log_softmax, torch.log_softmax, "log_softmax")(_softmax_function("log_softmax"))


@module(nn.PReLU)
def prelu(site: Site, module: nn.PReLU, x: Value) -> Value:
    many = module.num_parameters > 1
    rows = x.rows()
    if x.rank > 2 or (many and not x.parts):
        x = site.arrange(x, channels_last(x.rank) if many else x.full_order())
    axes = len(x.symbol.shape)
    shared = range(1, axes if many else axes + 1)
    shape = (*(1 for _ in range(axes - 1)), module.num_parameters)
    (alpha,) = Reshape(shape, (module.num_parameters,)).to_tfjs(
        in_rows({"alpha": module.weight.detach()}, rows if many else None)["alpha"]
    )
    symbol = site.emit(
        "PReLU", configs.prelu(shared), [x.symbol], x.symbol.shape,
        weights={"alpha": alpha}, trainable=is_trainable(module),
    )  # fmt: skip
    return x.become(symbol)


@function(F.prelu, torch.prelu)
def prelu_function(site: Site, input: Value, weight: Tensor) -> Value:
    made = nn.PReLU(weight.numel(), device="meta")
    return prelu(site, holding(site, made, weight=weight), input)
