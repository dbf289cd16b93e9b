"""The operations of Keras 3 that its files write out between layers, since masks go through them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import torch
from torch import Tensor, nn

from ..errors import MismatchError
from .registry import Layer, register

_OF_TWO: Final[Mapping[str, Callable[[Any, Any], Tensor]]] = {
    "NotEqual": torch.ne,
    "Equal": torch.eq,
    "LogicalAnd": torch.logical_and,
    "LogicalOr": torch.logical_or,
}


@register("NotEqual", becomes="torch.ne")
@register("Equal", becomes="torch.eq")
@register("LogicalAnd", becomes="torch.logical_and")
@register("LogicalOr", becomes="torch.logical_or")
class BinaryOperation(Layer):
    takes_ids = True
    call_options = ("argument_1", "x2")

    def build(self) -> nn.Module:
        return OfTwo(self.node.class_name.rpartition(">")[2])


class OfTwo(nn.Module):
    """An operation on two tensors, or on one and a number."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, *inputs: Tensor, argument_1: Any = None, x2: Any = None) -> Tensor:
        given = [*inputs, *(value for value in (argument_1, x2) if isinstance(value, (int, float)))]
        if len(given) != 2:
            raise MismatchError(self.kind, f"two values expected, found {len(given)}")
        return _OF_TWO[self.kind](*given)

    def extra_repr(self) -> str:
        return self.kind


@register("LogicalNot", becomes="torch.logical_not")
@register("ExpandDims", becomes="torch.unsqueeze")
@register("Any", becomes="torch.any")
@register("All", becomes="torch.all")
@register("OnesLike", becomes="torch.ones_like")
@register("ZerosLike", becomes="torch.zeros_like")
class UnaryOperation(Layer):
    takes_ids = True

    def build(self) -> nn.Module:
        axis = self.config.integer("axis", -1, -8) if "axis" in self.config else -1
        boolean = self.config.get("dtype", None) == "bool"
        return OfOne(self.node.class_name.rpartition(">")[2], axis, self.config.flag("keepdims", False), boolean)


class OfOne(nn.Module):
    """An operation on one tensor."""

    def __init__(self, kind: str, axis: int, keepdim: bool, boolean: bool) -> None:
        super().__init__()
        self.kind, self.axis, self.keepdim, self.boolean = kind, axis, keepdim, boolean

    def forward(self, input: Tensor) -> Tensor:
        if self.kind == "LogicalNot":
            return torch.logical_not(input)
        if self.kind == "ExpandDims":
            return input.unsqueeze(self.axis)
        if self.kind in ("Any", "All"):
            function = torch.any if self.kind == "Any" else torch.all
            return function(input, dim=self.axis, keepdim=self.keepdim)
        like = torch.ones_like if self.kind == "OnesLike" else torch.zeros_like
        return like(input, dtype=torch.bool if self.boolean else None)

    def extra_repr(self) -> str:
        return self.kind
