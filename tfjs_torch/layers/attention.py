"""Attention and AdditiveAttention, as Keras computes them; tf.js has none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import MismatchError
from .masks import Masks, causal_mask, far_below
from .registry import Layer, register


class _Dense(Layer):
    """What Attention and AdditiveAttention share: inputs [query, value] or [query, value, key], one list."""

    makes_mask = True
    takes_mask = True
    takes_all_masks = True
    call_options = ("use_causal_mask", "return_attention_scores", "training")

    def dropout(self) -> float:
        self.config.unimportant("seed")
        return self.config.number("dropout", 0.0, 0, 1)


@register("Attention", becomes="softmax(q k) v")
class Attention(_Dense):
    def build(self) -> nn.Module:
        config = self.config
        concat = config.text("score_mode", "dot", ("dot", "concat")) == "concat"
        scaled, causal = config.flag("use_scale", False), config.flag("causal", False)
        if scaled:
            self.weight("scale", "scale", shape=())
        if concat:
            self.weight("concat_score_weight", "concat_score_weight", shape=())
        return DotAttention(scaled, concat, causal, self.dropout())


class _Attending(nn.Module):
    """Softmax over scores, masked as Keras does."""

    def __init__(self, causal: bool, dropout: float) -> None:
        super().__init__()
        self.causal, self.dropout = causal, dropout

    def scores(self, query: Tensor, key: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(
        self,
        *inputs: Tensor,
        mask: Masks | None = None,
        use_causal_mask: bool = False,
        return_attention_scores: bool = False,
        training: bool | None = None,
    ) -> Any:
        if len(inputs) not in (2, 3):
            raise MismatchError(type(self).__name__, f"query, value and perhaps key expected, found {len(inputs)}")
        query, value, key = inputs[0], inputs[1], inputs[-1]
        scores = self.scores(query, key)
        query_mask, value_mask = (None, None) if mask is None else mask[:2]
        seen: Tensor | None = None
        if value_mask is not None:
            seen = value_mask.bool()[:, None]
        if self.causal or use_causal_mask:
            past = causal_mask(scores.shape[-2], scores.shape[-1], scores.device)
            seen = past if seen is None else seen & past
        if seen is not None:
            scores = scores - far_below(scores) * (~seen).to(scores.dtype)
        weights = torch.softmax(scores, -1)
        dropped = F.dropout(weights, self.dropout, self.training if training is None else training)
        made = torch.matmul(dropped, value)
        if query_mask is not None:
            made = made * query_mask[..., None].to(made.dtype)
        return (made, weights) if return_attention_scores else made

    def compute_mask(self, inputs: Sequence[Tensor], masks: Masks) -> list[Tensor | None]:
        return [masks[0], None]


class DotAttention(_Attending):
    """Scores are products of queries and keys, or sums of tanh(query + key)."""

    def __init__(self, scaled: bool, concat: bool, causal: bool, dropout: float) -> None:
        super().__init__(causal, dropout)
        self.scale = nn.Parameter(torch.empty((), device="meta")) if scaled else None
        self.concat_score_weight = nn.Parameter(torch.empty((), device="meta")) if concat else None

    def scores(self, query: Tensor, key: Tensor) -> Tensor:
        if self.concat_score_weight is None:
            scores = torch.matmul(query, key.transpose(-2, -1))
            return scores if self.scale is None else scores * self.scale
        both = query[..., :, None, :] + key[..., None, :, :]
        return self.concat_score_weight * torch.tanh(both if self.scale is None else self.scale * both).sum(-1)


@register("AdditiveAttention", becomes="softmax(sum of tanh(q + k)) v")
class AdditiveAttention(_Dense):
    def build(self) -> nn.Module:
        self.config.unimportant("score_mode")
        scaled = self.config.flag("use_scale", True)
        size = self.weight("scale", "scale", shape=(None,))[0] if scaled else None
        return SumAttention(size, self.config.flag("causal", False), self.dropout())


class SumAttention(_Attending):
    """Scores are sums of tanh(query + key), each feature with its weight."""

    def __init__(self, size: int | None, causal: bool, dropout: float) -> None:
        super().__init__(causal, dropout)
        self.scale = None if size is None else nn.Parameter(torch.empty(size, device="meta"))

    def scores(self, query: Tensor, key: Tensor) -> Tensor:
        seen = torch.tanh(query[..., :, None, :] + key[..., None, :, :])
        return seen.sum(-1) if self.scale is None else torch.matmul(seen, self.scale)
