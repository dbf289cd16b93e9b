"""Linear, Embedding, Dropout, Identity."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..layout import AS_IS, Permute
from . import configs
from .registry import function, module
from .site import Site, is_trainable, weights_of
from .values import Value


@module(nn.Linear)
def linear(site: Site, module: nn.Linear, x: Value) -> Value:
    axis = x.rank - 1
    rows = x.rows() if x.rank == 2 else None
    if rows is None and (x.parts or x.order[-1] != axis):
        x = site.arrange(x, x.last_order(axis))
    weights = weights_of(module, kernel=("weight", Permute(1, 0)), bias=("bias", AS_IS))
    if rows is not None:
        weights["kernel"] = weights["kernel"][rows.to(weights["kernel"].device)]
    config = configs.dense(module.out_features, module.bias is not None)
    shape = (*x.symbol.shape[:-1], module.out_features)
    symbol = site.emit("Dense", config, [x.symbol], shape, weights=weights, trainable=is_trainable(module))
    return x.become(symbol, shape=site.shape, parts=())


@function(F.linear)
def linear_function(site: Site, input: Value, weight: Tensor, bias: Tensor | None = None) -> Value:
    made = nn.Linear(weight.shape[1], weight.shape[0], bias is not None, device="meta")
    return linear(site, holding(site, made, weight=weight, bias=bias), input)


def holding(site: Site, module: Any, **tensors: Any) -> Any:
    """A module made for a function's arguments, with the tensors that the function was given."""
    for name, tensor in tensors.items():
        if isinstance(tensor, Value):
            site.refuse(f"a weight that is a parameter expected, found a {name} that is computed from the input")
        if tensor is not None and name in module._buffers:
            module._buffers[name] = tensor
        elif tensor is not None:
            setattr(module, name, nn.Parameter(tensor, getattr(tensor, "requires_grad", False)))
    return module


@module(nn.Embedding)
def embedding(site: Site, module: nn.Embedding, ids: Value) -> Value:
    if module.max_norm is not None:
        site.refuse("max_norm=None expected, since torch changes the weights while it looks them up; tf.js does not")
    if ids.rank < 2:
        site.refuse("ids with an axis beside the batch expected; the Embedding of tf.js takes [batch, length]")
    ids = site.full(ids)
    rows, columns = module.weight.shape
    site.graph.ids = min(site.graph.ids or rows, rows)
    length = ids.symbol.shape[0] if len(ids.symbol.shape) == 1 else None
    weights = weights_of(module, embeddings=("weight", AS_IS))
    shape = (*ids.symbol.shape, columns)
    config = configs.embedding(rows, columns, length)
    symbol = site.emit("Embedding", config, [ids.symbol], shape, weights=weights, trainable=is_trainable(module))
    return ids.become(symbol, shape=site.shape, order=(*ids.order, ids.rank))


@function(F.embedding)
def embedding_function(
    site: Site, input: Value, weight: Tensor, padding_idx: Any = None, max_norm: Any = None,
    norm_type: float = 2.0, scale_grad_by_freq: bool = False, sparse: bool = False,
) -> Value:  # fmt: skip
    made = nn.Embedding(weight.shape[0], weight.shape[1], max_norm=max_norm, device="meta")
    return embedding(site, holding(site, made, weight=weight), input)


@module(nn.Dropout)
def dropout(site: Site, module: nn.Dropout, x: Value) -> Value:
    return _noise(site, x, "Dropout", {"rate": module.p, "noise_shape": None, "seed": None})


@module(nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
def dropout_of_channels(site: Site, module: nn.Dropout2d, x: Value) -> Value:
    """tf.js has it for sequences; a noise of one number a channel is the same for images."""
    if x.rank < 3 or x.order[-1] != 1 or len(x.order) != x.rank:
        return x  # nothing happens at inference, and the noise could not be the same
    if x.rank == 3:
        return _noise(site, x, "SpatialDropout1D", {"rate": module.p, "seed": None})
    shape = [None, *(1 for _ in range(x.rank - 2)), x.shape[1]]
    return _noise(site, x, "Dropout", {"rate": module.p, "noise_shape": shape, "seed": None})


@module(nn.AlphaDropout, nn.FeatureAlphaDropout)
def alpha_dropout(site: Site, module: nn.AlphaDropout, x: Value) -> Value:
    return _noise(site, x, "AlphaDropout", {"rate": module.p})


def _noise(site: Site, x: Value, class_name: str, config: dict[str, Any]) -> Value:
    symbol = site.emit(class_name, config, [x.symbol], x.symbol.shape)
    return x.become(symbol, nonnegative=x.nonnegative)


@function(F.dropout, torch.dropout)
def dropout_function(site: Site, input: Value, p: float = 0.5, training: bool = True, inplace: bool = False) -> Value:
    if training:
        site.refuse("training=self.training expected; this dropout is random in evaluation mode, too")
    return dropout(site, nn.Dropout(p), input)


@module(nn.Identity)
def identity(site: Site, module: nn.Identity, x: Value) -> Value:
    return x


@function("contiguous", "detach", "clone", torch.clone, torch.detach, "requires_grad_")
def same(site: Site, input: Value, **options: Any) -> Value:
    return input


@function("float", "to", "type", "type_as", "double", "half")
def cast(site: Site, input: Value, *args: Any, **options: Any) -> Value:
    """tf.js computes in float32 whatever torch is told; integers would be cut off."""
    if not site.floating:
        site.refuse("floating point expected; tf.js' layers compute in float32, and a cast to integers is no layer")
    return input


@function("long", "int")
def integers(site: Site, input: Value) -> Value:
    if input.symbol.layer.class_name != "InputLayer":
        site.refuse("integers straight from the input expected; tf.js' layers do not round")
    return input
