"""Dense, Activation, Embedding, Masking, Identity."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..layout import Permute
from .functions import Function, function_of, linear, name_of
from .registry import Layer, Shape, register


@register("Dense", becomes="nn.Linear")
class Dense(Layer):
    passes_mask = True

    def build(self) -> nn.Module:
        units = self.config.integer("units")
        inputs, _ = self.weight("kernel", "weight", Permute(1, 0), (None, units))
        bias = self.config.flag("use_bias", True)
        if bias:
            self.weight("bias", "bias", shape=(units,))
        self.config.unimportant("input_dim", "lora_rank", "lora_alpha")
        function = function_of(self.config, keras_version=self.context.keras_version)
        self.fresh = function is linear
        if function is linear:
            return nn.Linear(inputs, units, bias, device="meta")
        return ActivatedLinear(inputs, units, bias, function)


class ActivatedLinear(nn.Linear):
    """nn.Linear with the layer's activation behind it."""

    def __init__(self, inputs: int, units: int, bias: bool, function: Function) -> None:
        super().__init__(inputs, units, bias, device="meta")
        self.activation = function

    def forward(self, input: Tensor) -> Tensor:
        return self.activation(F.linear(input, self.weight, self.bias))

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, activation={name_of(self.activation)}"


@register("Activation", becomes="the function's module (nn.ReLU, nn.Softmax, ...)")
class Activation(Layer):
    passes_mask = True

    def build(self) -> nn.Module:
        function = function_of(self.config, keras_version=self.context.keras_version)
        stock = _STOCK.get(function)
        return FunctionModule(function) if stock is None else stock()


_STOCK: Final[Mapping[Function, type[nn.Module]]] = {
    linear: nn.Identity,
    torch.relu: nn.ReLU,
    F.relu6: nn.ReLU6,
    torch.sigmoid: nn.Sigmoid,
    torch.tanh: nn.Tanh,
}


class FunctionModule(nn.Module):
    """An activation function as a module."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        self.function = function

    def forward(self, input: Tensor) -> Tensor:
        return self.function(input)

    def extra_repr(self) -> str:
        return name_of(self.function)


@register("Identity", becomes="nn.Identity")
class Identity(Layer):
    def passes(self) -> bool:
        return self.keras and self.context.keras_version >= 3

    def build(self) -> nn.Module:
        return nn.Identity()


@register("EinsumDense", becomes="torch.einsum")
class EinsumDense(Layer):
    def build(self) -> nn.Module:
        equation = self.config.get("equation")
        if not isinstance(equation, str) or not re.fullmatch(r"[a-zA-Z. ]+,[a-zA-Z. ]+->[a-zA-Z. ]+", equation):
            raise self.config.wrong("equation", "two inputs and an output, such as ab,bc->ac,", equation)
        self.config.unimportant("output_shape", "lora_rank", "lora_alpha")  # the weights' shapes tell
        kernel = self.weight("kernel", "weight")
        bias = self.weight("bias", "bias") if self.config.value("bias_axes", None) else None
        return Einsum(equation, kernel, bias, function_of(self.config, keras_version=self.context.keras_version))


class Einsum(nn.Module):
    """einsum of the input and `weight`, a bias that fits by broadcasting, the activation."""

    def __init__(self, equation: str, kernel: Shape, bias: Shape | None, function: Function) -> None:
        super().__init__()
        self.equation = equation
        self.activation = function
        self.weight = nn.Parameter(torch.empty(kernel, device="meta"))
        self.bias = None if bias is None else nn.Parameter(torch.empty(bias, device="meta"))

    def forward(self, input: Tensor) -> Tensor:
        y = torch.einsum(self.equation, input, self.weight)
        return self.activation(y if self.bias is None else y + self.bias)

    def extra_repr(self) -> str:
        return f"{self.equation}, activation={name_of(self.activation)}"


@register("ActivityRegularization", becomes="nn.Identity")
class ActivityRegularization(Layer):
    passes_mask = True

    def build(self) -> nn.Module:
        self.config.unimportant("l1", "l2")
        return nn.Identity()


@register("Embedding", becomes="nn.Embedding")
class Embedding(Layer):
    makes_mask = True
    takes_ids = True

    def build(self) -> nn.Module:
        rows, columns = self.config.integer("input_dim"), self.config.integer("output_dim")
        self.weight("embeddings", "weight", shape=(rows, columns))
        self.config.unimportant("input_length", "weights", "lora_rank", "lora_alpha")
        self.starts_mask = self.config.flag("mask_zero", False)
        return IdEmbedding(rows, columns, self.starts_mask)


class IdEmbedding(nn.Embedding):
    """nn.Embedding that takes floats, too, cut off as tf.js does; with mask_zero, id 0 is masked."""

    def __init__(self, rows: int, columns: int, mask_zero: bool) -> None:
        super().__init__(rows, columns, device="meta")
        self.mask_zero = mask_zero

    def forward(self, input: Tensor) -> Tensor:
        ids = input if input.dtype in (torch.int32, torch.int64) else input.to(torch.int64)
        return F.embedding(ids, self.weight)

    def compute_mask(self, inputs: list[Tensor], masks: list[Any]) -> Tensor | None:
        return inputs[0] != 0 if self.mask_zero else None


@register("Masking", becomes="zeros where all features of a step are mask_value")
class Masking(Layer):
    makes_mask = True
    starts_mask = True

    def build(self) -> nn.Module:
        return MaskSteps(self.config.number("mask_value", 0.0))


class MaskSteps(nn.Module):
    """Zeroes the steps whose features are all `value`, and masks them."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        return input * (input != self.value).any(-1, keepdim=True).to(input.dtype)

    def compute_mask(self, inputs: list[Tensor], masks: list[Any]) -> Tensor:
        return (inputs[0] != self.value).any(-1)

    def extra_repr(self) -> str:
        return f"value={self.value:g}"
