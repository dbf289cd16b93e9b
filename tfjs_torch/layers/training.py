"""What a file says about training: initializers, regularizers and constraints, as Keras defines them.

Sources: tfjs-layers/src/initializers.ts, regularizers.ts, constraints.ts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import TfjsTorchError, TopologyError, UnsupportedError
from .registry import Weight

_EPSILON = 1e-7


def initialize(model: nn.Module, weights: Sequence[Weight]) -> None:
    """Draw the weights anew; those without an initializer stay (constants of the conversion)."""
    state = model.state_dict(keep_vars=True)
    with torch.no_grad():
        for weight in weights:
            spec = weight.config.get("initializer")
            drawn = [initial(spec, name, shape) for name, shape in zip(weight.names, weight.shapes, strict=True)]
            if "ones" in weight.config:
                drawn[0][weight.config["ones"]] = 1
            for key, tensor in zip(weight.keys, weight.layout.to_torch(*drawn), strict=True):
                state[key].copy_(tensor)


def initial(spec: Any, name: str, shape: tuple[int, ...]) -> Tensor:
    """A tensor as the initializer draws it; None is the default of Keras for that kind of weight."""
    if spec is None:
        leaf = name.rpartition("/")[2].partition(":")[0]
        ones = leaf in ("gamma", "moving_variance", "variance")
        kind = "Ones" if ones else "GlorotUniform" if "kernel" in leaf or "embeddings" in leaf else "Zeros"
        spec = {"class_name": kind, "config": {}}
    if isinstance(spec, str):
        spec = {"class_name": "".join(part.capitalize() for part in spec.split("_")) if spec.islower() else spec}
    if not isinstance(spec, dict) or not isinstance(spec.get("class_name"), str):
        raise TopologyError(f"{name}: initializer", f"{{class_name, config}} expected, found {spec!r:.60}")
    options = spec.get("config") or {}
    return _draw(spec["class_name"], options, name, shape)


def _draw(kind: str, options: Mapping[str, Any], name: str, shape: tuple[int, ...]) -> Tensor:
    made = torch.empty(shape)
    if kind == "Zeros":
        return made.zero_()
    if kind == "Ones":
        return made.fill_(1.0)
    if kind == "Constant":
        return made.fill_(float(options.get("value", 0)))
    if kind == "RandomUniform":
        return made.uniform_(float(options.get("minval", -0.05)), float(options.get("maxval", 0.05)))
    if kind in ("RandomNormal", "TruncatedNormal"):
        mean, std = float(options.get("mean", 0.0)), float(options.get("stddev", 0.05))
        if kind == "RandomNormal":
            return made.normal_(mean, std)
        return nn.init.trunc_normal_(made, mean, std, mean - 2 * std, mean + 2 * std)
    if kind == "Identity":
        return torch.eye(*shape) * float(options.get("gain", 1.0))
    if kind == "Orthogonal":
        flat = nn.init.orthogonal_(made.reshape(-1, shape[-1]), float(options.get("gain", 1.0)))
        return flat.reshape(shape)
    scaled = _SCALED.get(kind, options if kind == "VarianceScaling" else None)
    if scaled is None:
        raise UnsupportedError(f"{name}: initializer", f"an initializer that is known here expected, found {kind!r}")
    return _variance_scaled(made, scaled)


_SCALED: Mapping[str, Mapping[str, Any]] = {
    f"{stem}{ending}": {"scale": scale, "mode": mode, "distribution": ending.lower()}
    for stem, scale, mode in (
        ("Glorot", 1, "fan_avg"),
        ("He", 2, "fan_in"),
        ("LeCun", 1, "fan_in"),
        ("Lecun", 1, "fan_in"),
    )
    for ending in ("Normal", "Uniform")
}


def _variance_scaled(made: Tensor, options: Mapping[str, Any]) -> Tensor:
    fan_in, fan_out = _fans(tuple(made.shape))
    mode = str(options.get("mode", "fan_in")).replace("_", "").lower()
    fan = {"fanin": fan_in, "fanout": fan_out}.get(mode, (fan_in + fan_out) / 2)
    scale = float(options.get("scale", 1.0)) / max(1.0, fan)
    if "uniform" in str(options.get("distribution", "normal")):
        limit = math.sqrt(3 * scale)
        return made.uniform_(-limit, limit)
    std = math.sqrt(scale)
    return nn.init.trunc_normal_(made, 0.0, std, -2 * std, 2 * std)


def _fans(shape: tuple[int, ...]) -> tuple[float, float]:
    """Of a kernel as tf.js has it: [..., in, out]."""
    if len(shape) < 2:
        size = float(math.prod(shape))
        return size, size
    field = math.prod(shape[:-2])
    return float(shape[-2] * field), float(shape[-1] * field)


def penalty(model: nn.Module, weights: Sequence[Weight]) -> Tensor:
    """Sum of l1 * sum |w| + l2 * sum w^2 over all weights with a regularizer."""
    parameters = dict(model.named_parameters())
    total = torch.zeros((), device=next(iter(parameters.values())).device if parameters else None)
    for weight in weights:
        l1, l2 = _strengths(weight.config.get("regularizer"), weight.names)
        if not l1 and not l2:
            continue
        (tensor,) = weight.layout.to_tfjs(*(parameters[key] for key in weight.keys))
        total = total + l1 * tensor.abs().sum() + l2 * tensor.square().sum()
    return total


def _strengths(spec: Any, names: Sequence[str]) -> tuple[float, float]:
    if spec is None:
        return 0.0, 0.0
    kind = spec.get("class_name") if isinstance(spec, dict) else spec
    options = (spec.get("config") if isinstance(spec, dict) else None) or {}
    if kind in ("L1L2", "L1", "L2", "l1", "l2", "l1_l2"):
        fallback = 0.0 if isinstance(spec, dict) else 0.01
        l1 = options.get("l1", fallback if kind != "L2" and kind != "l2" else 0.0)
        l2 = options.get("l2", fallback if kind != "L1" and kind != "l1" else 0.0)
        return float(l1 or 0.0), float(l2 or 0.0)
    raise UnsupportedError(f"{', '.join(names)}: regularizer", f"L1, L2 or L1L2 expected, found {kind!r}")


def constrain(model: nn.Module, weights: Sequence[Weight]) -> None:
    """Bring every weight with a constraint back within it."""
    state = model.state_dict(keep_vars=True)
    with torch.no_grad():
        for weight in weights:
            spec = weight.config.get("constraint")
            if spec is None:
                continue
            (tensor,) = weight.layout.to_tfjs(*(state[key] for key in weight.keys))
            for key, made in zip(
                weight.keys, weight.layout.to_torch(_constrained(tensor, spec, weight.names[0])), strict=True
            ):
                state[key].copy_(made)


def constrained(tensor: Tensor, weight: Weight) -> Tensor:
    """A weight, as tf.js has it, within its constraint; the very tensor where it is within already.

    tf.js does so whenever it loads a weight. A tensor that differs by rounding only is left alone here.
    """
    spec = weight.config.get("constraint")
    if spec is None:
        return tensor
    try:
        made = _constrained(tensor, spec, weight.names[0])
    except (TypeError, ValueError, IndexError, AttributeError, RuntimeError) as error:
        if isinstance(error, TfjsTorchError):
            raise
        where = f"{weight.names[0]}: constraint"
        raise TopologyError(where, f"options of that constraint expected, found {spec!r:.80}") from None
    return tensor if torch.allclose(made, tensor, rtol=1e-6, atol=0, equal_nan=True) else made


def _constrained(tensor: Tensor, spec: Any, name: str) -> Tensor:
    kind = spec.get("class_name") if isinstance(spec, dict) else spec
    options = (spec.get("config") if isinstance(spec, dict) else None) or {}
    if kind in ("NonNeg", "non_neg"):
        return tensor.clamp(min=0)
    if kind not in ("MaxNorm", "UnitNorm", "MinMaxNorm", "max_norm", "unit_norm", "min_max_norm"):
        raise UnsupportedError(f"{name}: constraint", f"a constraint that is known here expected, found {kind!r}")
    norm = tensor.square().sum(options.get("axis", 0), keepdim=True).sqrt()
    if kind in ("UnitNorm", "unit_norm"):
        return tensor / (norm + _EPSILON)
    if kind in ("MaxNorm", "max_norm"):
        return tensor * (norm.clamp(0, float(options.get("max_value", 2))) / (norm + _EPSILON))
    rate = float(options.get("rate", 1))
    within = norm.clamp(float(options.get("min_value", 0)), float(options.get("max_value", 1)))
    return tensor * ((rate * within + (1 - rate) * norm) / (norm + _EPSILON))
