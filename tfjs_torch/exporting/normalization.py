"""BatchNorm, LayerNorm, InstanceNorm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import torch.nn.functional as F
from torch import Tensor, nn

from ..layout import AS_IS, Permute
from . import configs
from .convolution import scaled_channels
from .linear import holding
from .registry import function, module
from .site import Site, in_rows, is_trainable, weights_of
from .values import Value, channels_last

BatchNorm: TypeAlias = "nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d"

_MOMENTUM: Final = 0.99  # Keras' own, where torch averages over all batches, which Keras does not have


@module(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
def batch_norm(site: Site, module: Any, x: Value) -> Value:
    if module.running_mean is None:
        site.refuse("running statistics expected (track_running_stats=True); tf.js has none of the batch at inference")
    rows = x.rows() if x.rank == 2 else None
    if rows is None:
        x = site.arrange(x, channels_last(x.rank))
    weights = weights_of(
        module, gamma=("weight", AS_IS), beta=("bias", AS_IS),
        moving_mean=("running_mean", AS_IS), moving_variance=("running_var", AS_IS),
    )  # fmt: skip
    momentum = _MOMENTUM if module.momentum is None else round(1 - module.momentum, 12)
    config = configs.batch_normalization(momentum, module.eps, module.weight is not None)
    shape = x.symbol.shape
    flat = site.reshape(x.symbol, (shape[0] * shape[1], *shape[2:])) if x.rank == 5 else x.symbol  # tf.js: rank 2 to 4
    symbol = site.emit(
        "BatchNormalization", config, [flat], flat.shape, weights=in_rows(weights, rows),
        fixed=("moving_mean", "moving_variance"), trainable=is_trainable(module),
    )  # fmt: skip
    return x.become(site.reshape(symbol, shape))


@function(F.batch_norm)
def batch_norm_function(
    site: Site, input: Value, running_mean: Any, running_var: Any, weight: Any = None, bias: Any = None,
    training: bool = False, momentum: float = 0.1, eps: float = 1e-5,
) -> Value:  # fmt: skip
    if training or running_mean is None:
        site.refuse("training=False and running statistics expected; tf.js has none of the batch at inference")
    if (weight is None) != (bias is None):
        site.refuse("weight and bias expected, or neither")
    made = nn.BatchNorm1d(running_mean.numel(), eps, momentum, weight is not None, device="meta")
    held = {"weight": weight, "bias": bias, "running_mean": running_mean, "running_var": running_var}
    return batch_norm(site, holding(site, made, **held), input)


@module(nn.LayerNorm)
def layer_norm(site: Site, module: nn.LayerNorm, x: Value) -> Value:
    count = len(module.normalized_shape)
    axes = list(range(x.rank - count, x.rank))
    rows = x.rows() if x.rank == 2 else None
    if rows is None:
        x = site.full(x)
        if x.order[0] in axes:
            site.refuse("an input with batch expected")
        if count == 1 and x.order[-1] != axes[0]:
            x = site.arrange(x, x.last_order(axes[0]))
    if len(x.order) > 4:
        site.refuse(f"at most 3 axes beside the batch expected, found {len(x.order) - 1}; tf.js takes no more")
    places = [i for i, axis in enumerate(x.order) if axis in axes]
    turned = Permute(*([x.order[place] - axes[0] for place in places].index(i) for i in range(count)))  # type: ignore[operator]
    weights = in_rows(weights_of(module, gamma=("weight", turned), beta=("bias", turned)), rows)
    config = configs.layer_normalization(places, module.eps, "gamma" in weights, "beta" in weights)
    symbol = site.emit(
        "LayerNormalization", config, [x.symbol], x.symbol.shape, weights=weights, trainable=is_trainable(module)
    )
    return x.become(symbol)


@function(F.layer_norm)
def layer_norm_function(
    site: Site, input: Value, normalized_shape: Sequence[int], weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Value:
    made = nn.LayerNorm(list(normalized_shape), eps, weight is not None, bias is not None, device="meta")
    return layer_norm(site, holding(site, made, weight=weight, bias=bias), input)


@module(nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)
def instance_norm(site: Site, module: nn.InstanceNorm2d, x: Value) -> Value:
    """Each channel over its own space, then scale and shift as a depthwise convolution of one pixel."""
    if module.running_mean is not None:
        return batch_norm(site, module, x)
    if x.rank != int(type(module).__name__[-2]) + 2:
        site.refuse(f"an input with batch and channels expected, found shape {list(x.shape)}")
    x = site.arrange(x, channels_last(x.rank))
    shape = x.symbol.shape
    wide = (1, *shape)[-3:] if len(shape) < 4 else (shape[0] * shape[1], *shape[2:])
    image = site.reshape(x.symbol, wide)
    config = configs.layer_normalization([1, 2], module.eps, False, False)
    symbol = site.emit("LayerNormalization", config, [image], image.shape)
    if module.weight is not None:
        weight: Tensor = module.weight
        symbol = scaled_channels(site, symbol, weight, module.bias, is_trainable(module))
    return x.become(site.reshape(symbol, shape))
