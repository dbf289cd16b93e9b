"""MultiHeadAttention and GroupedQueryAttention, as Keras computes them; tf.js has none."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..layout import Chain, Permute, Reshape
from .masks import Masks, causal_mask, far_below
from .registry import Layer, register


class Heads(NamedTuple):
    """How queries, keys and values are cut up and compared.

    Attributes:
        many, kept: heads of the queries, and of keys and values, which several may share.
        size, value_size: features of a head.
        output: the shape of what each step becomes.
        axes: those that are attended over; None: all between batch and features.
        window: how many steps away the first hidden one is; None hides none.
        zeroed: Keras 3: scores that are looked at are 0 where masked, even if all are.
    """

    many: int
    kept: int
    size: int
    value_size: int
    output: tuple[int, ...]
    axes: tuple[int, ...] | None
    window: int | None
    dropout: float
    zeroed: bool


class _Heads(Layer):
    passes_mask = True
    takes_mask = True
    takes_all_masks = True
    arguments = ("query", "value", "key")
    call_options = ("attention_mask", "use_causal_mask", "return_attention_scores", "training")

    def attention(self, many: int, kept: int, size: int, value_size: int, axes: tuple[int, ...] | None) -> nn.Module:
        config = self.config
        config.unimportant(
            "seed", "flash_attention", "query_shape", "value_shape", "key_shape", "output_shape",
        )  # fmt: skip
        window = None if config.get("sliding_window", None) is None else config.integer("sliding_window", least=1)
        bias, gated = config.flag("use_bias", True), config.flag("use_gate", False)
        projections = {"query": self._into("query", many, size, bias), "key": self._into("key", kept, size, bias)}
        if gated:
            projections["gate"] = self._into("gate", many, value_size, bias)
        projections["value"] = self._into("value", kept, value_size, bias)
        projections["attention_output"], output = self._out_of("attention_output", many, value_size, bias)
        zeroed = self.context.keras_version >= 3
        dropout = config.number("dropout", 0.0, 0, 1)
        return MultiHead(projections, Heads(many, kept, size, value_size, output, axes, window, dropout, zeroed))

    def _into(self, name: str, heads: int, size: int, bias: bool) -> nn.Linear:
        """[in, heads, size] <-> nn.Linear's [heads * size, in]."""
        outer, self.scope = self.scope, f"{self.scope}/{name}"
        shape = self.weight_shape("kernel")
        inputs = shape[0] if shape else 0
        layout = Chain(Reshape((inputs, heads, size), (inputs, heads * size)), Permute(1, 0))
        self.weight("kernel", f"{name}.weight", layout, (None, heads, size))
        if bias:
            self.weight("bias", f"{name}.bias", Reshape((heads, size), (heads * size,)), (heads, size))
        self.scope = outer
        return nn.Linear(inputs, heads * size, bias, device="meta")

    def _out_of(self, name: str, heads: int, size: int, bias: bool) -> tuple[nn.Linear, tuple[int, ...]]:
        """[heads, size, *out] <-> nn.Linear's [out, heads * size]."""
        outer, self.scope = self.scope, f"{self.scope}/{name}"
        output = self.weight_shape("kernel")[2:]
        many = math.prod(output)
        layout = Chain(Reshape((heads, size, *output), (heads * size, many)), Permute(1, 0))
        self.weight("kernel", f"{name}.weight", layout, (heads, size, *output))
        if bias:
            self.weight("bias", f"{name}.bias", Reshape(output, (many,)), output)
        self.scope = outer
        return nn.Linear(heads * size, many, bias, device="meta"), output


@register("MultiHeadAttention", becomes="nn.Linear and F.scaled_dot_product_attention")
class MultiHeadAttention(_Heads):
    def build(self) -> nn.Module:
        config = self.config
        many, size = config.integer("num_heads", least=1), config.integer("key_dim", least=1)
        axes = None if config.get("attention_axes", None) is None else config.axes("attention_axes")
        return self.attention(many, many, size, config.integer("value_dim", size, 1), axes)


@register("GroupedQueryAttention", "GroupQueryAttention", becomes="nn.Linear and F.scaled_dot_product_attention")
class GroupedQueryAttention(_Heads):
    def build(self) -> nn.Module:
        config = self.config
        size, many = config.integer("head_dim", least=1), config.integer("num_query_heads", least=1)
        kept = config.integer("num_key_value_heads", least=1)
        if many % kept:
            raise config.wrong("num_key_value_heads", f"a divisor of {many} query heads", kept)
        return self.attention(many, kept, size, size, None)


class MultiHead(nn.Module):
    """Attention of several heads over one or several axes, between linear projections."""

    query: nn.Linear
    key: nn.Linear
    value: nn.Linear
    attention_output: nn.Linear

    def __init__(self, projections: dict[str, nn.Linear], heads: Heads) -> None:
        super().__init__()
        for name, projection in projections.items():
            self.add_module(name, projection)
        self.gated = "gate" in projections
        self.heads = heads

    def forward(
        self,
        query: Tensor,
        value: Tensor,
        key: Tensor | None = None,
        mask: Masks | None = None,
        attention_mask: Tensor | None = None,
        use_causal_mask: bool = False,
        return_attention_scores: bool = False,
        training: bool | None = None,
    ) -> Any:
        heads, rank = self.heads, query.dim()
        axes = heads.axes or tuple(range(1, rank - 1))
        axes = tuple(axis % rank for axis in axes)
        q = _rows(self.query(query), heads.many, axes)
        k = _rows(self.key(value if key is None else key), heads.kept, axes)
        v = _rows(self.value(value), heads.kept, axes)
        if heads.many != heads.kept:
            k, v = (x.repeat_interleave(heads.many // heads.kept, -3) for x in (k, v))
        seen = self._seen(query, value, mask or (), attention_mask, use_causal_mask)
        if seen is not None:
            while seen.dim() < rank + len(axes):
                seen = seen.unsqueeze(-2 * len(axes) - 1)
            seen = seen.flatten(-2 * len(axes), -len(axes) - 1).flatten(-len(axes))
        dropout = heads.dropout if (self.training if training is None else training) else 0.0
        explicit = return_attention_scores or (heads.zeroed and (heads.dropout > 0 or rank != 3))
        made, weights = _attended(q, k, v, seen, dropout, explicit, heads.zeroed)
        steps = [query.shape[axis] for axis in axes]
        mixed = _back(made, axes, steps, rank).flatten(-2)
        if self.gated:
            mixed = mixed * torch.sigmoid(self.get_submodule("gate")(query))
        output = _unflatten(self.attention_output(mixed), -1, heads.output)
        if not return_attention_scores:
            return output
        assert weights is not None
        return output, _unflatten(_unflatten(weights, -2, steps), -1, [value.shape[axis] for axis in axes])

    def _seen(self, query: Tensor, value: Tensor, masks: Masks, given: Tensor | None, causal: bool) -> Tensor | None:
        """True where a query may look; None where nothing is hidden."""
        parts = [] if given is None else [given.bool()]
        parts += [
            mask.bool()[:, None] if i else mask.bool()[..., None] for i, mask in enumerate(masks) if mask is not None
        ]
        rows, columns = query.shape[1], value.shape[1]
        if causal:
            parts.append(causal_mask(rows, columns, query.device)[None])
        if self.heads.window is not None:
            places = torch.arange(rows, device=query.device)[:, None] - torch.arange(columns, device=query.device)
            parts.append((places.abs() < self.heads.window)[None])
        seen = parts[0] if parts else None
        for part in parts[1:]:
            seen = part if seen is None else seen & part
        return seen

    def extra_repr(self) -> str:
        return f"heads={self.heads.many}, size={self.heads.size}, value_size={self.heads.value_size}"


def _unflatten(x: Tensor, axis: int, sizes: Sequence[int]) -> Tensor:
    return x if len(sizes) == 1 else x.unflatten(axis, sizes)


def _rows(x: Tensor, heads: int, axes: tuple[int, ...]) -> Tensor:
    """[..., heads * size] -> [the other axes, heads, the attended axes as one, size]."""
    rank = x.dim()
    others = [axis for axis in range(rank - 1) if axis not in axes]
    return _unflatten(x, -1, (heads, -1)).permute(*others, rank - 1, *axes, rank).flatten(-len(axes) - 1, -2)


def _back(x: Tensor, axes: tuple[int, ...], steps: list[int], rank: int) -> Tensor:
    """_rows the other way: [*axes, heads, size]."""
    others = [axis for axis in range(rank - 1) if axis not in axes]
    order = [*others, rank - 1, *axes, rank]
    return _unflatten(x, -2, steps).permute(*(order.index(axis) for axis in range(rank + 1)))


def _attended(
    q: Tensor, k: Tensor, v: Tensor, seen: Tensor | None, dropout: float, explicit: bool, zeroed: bool
) -> tuple[Tensor, Tensor | None]:
    bias = None if seen is None else torch.where(seen, 0.0, -far_below(q)).to(q.dtype)
    if not explicit:
        return F.scaled_dot_product_attention(q, k, v, bias, dropout), None
    scores = torch.matmul(q / math.sqrt(q.shape[-1]), k.transpose(-2, -1))
    weights = torch.softmax(scores if bias is None else scores + bias, -1)
    if zeroed and seen is not None:
        weights = torch.where(seen, weights, 0.0)
    return torch.matmul(F.dropout(weights, dropout), v), weights
