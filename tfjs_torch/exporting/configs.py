"""The options of each class of layers, in the order and with the keys that tf.js 4.22 writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

Config: TypeAlias = "dict[str, Any]"


def _made(class_name: str, **config: Any) -> Config:
    return {"class_name": class_name, "config": config}


def _variance(distribution: str = "normal") -> Config:
    return _made("VarianceScaling", scale=1, mode="fan_avg", distribution=distribution, seed=None)


def _zeros() -> Config:
    return _made("Zeros")


def _regularizers(*weights: str) -> Config:
    return {f"{weight}_regularizer": None for weight in weights}


def _constraints(*weights: str) -> Config:
    return {f"{weight}_constraint": None for weight in weights}


def dense(units: int, bias: bool) -> Config:
    return {
        "units": units, "activation": "linear", "use_bias": bias,
        "kernel_initializer": _variance(), "bias_initializer": _zeros(),
        **_regularizers("kernel", "bias"), "activity_regularizer": None, **_constraints("kernel", "bias"),
    }  # fmt: skip


def embedding(rows: int, columns: int, length: int | None) -> Config:
    return {
        "input_dim": rows, "output_dim": columns,
        "embeddings_initializer": _made("RandomUniform", minval=-0.05, maxval=0.05, seed=None),
        "embeddings_regularizer": None, "activity_regularizer": None, "embeddings_constraint": None,
        "mask_zero": None, "input_length": length,
    }  # fmt: skip


def _window(kernel: Sequence[int], strides: Sequence[int], padding: str) -> Config:
    return {"kernel_size": list(kernel), "strides": list(strides), "padding": padding}


def convolution(
    filters: int,
    kernel: Sequence[int],
    strides: Sequence[int],
    padding: str,
    dilation: Sequence[int] | None,
    bias: bool,
) -> Config:
    """Conv1D, Conv2D, Conv3D; with no dilation Conv2DTranspose and Conv3DTranspose."""
    return {
        "filters": filters, "kernel_initializer": _variance(), "kernel_regularizer": None, "kernel_constraint": None,
        **_window(kernel, strides, padding), **({} if len(kernel) == 1 else {"data_format": "channels_last"}),
        **({} if dilation is None else {"dilation_rate": list(dilation)}),
        "activation": "linear", "use_bias": bias, "bias_initializer": _zeros(), "bias_regularizer": None,
        "activity_regularizer": None, "bias_constraint": None,
    }  # fmt: skip


def depthwise(kernel: Sequence[int], strides: Sequence[int], padding: str, times: int, bias: bool) -> Config:
    return {
        **_window(kernel, strides, padding), "data_format": "channels_last", "dilation_rate": [1, 1],
        "activation": "linear", "use_bias": bias, "bias_initializer": _zeros(), "bias_regularizer": None,
        "activity_regularizer": None, "bias_constraint": None, "depth_multiplier": times,
        "depthwise_initializer": _variance(), "depthwise_regularizer": None, "depthwise_constraint": None,
    }  # fmt: skip


def pooling(size: Sequence[int], strides: Sequence[int], padding: str) -> Config:
    form = {} if len(size) == 1 else {"data_format": "channels_last"}
    return {"pool_size": list(size), "padding": padding, "strides": list(strides), **form}


def batch_normalization(momentum: float, epsilon: float, affine: bool) -> Config:
    return {
        "axis": -1, "momentum": momentum, "epsilon": epsilon, "center": affine, "scale": affine,
        "beta_initializer": _zeros(), "gamma_initializer": _made("Ones"),
        "moving_mean_initializer": _zeros(), "moving_variance_initializer": _made("Ones"),
        **_regularizers("beta", "gamma"), **_constraints("beta", "gamma"),
    }  # fmt: skip


def layer_normalization(axes: Sequence[int], epsilon: float, scale: bool, center: bool) -> Config:
    return {
        "axis": list(axes), "epsilon": epsilon, "center": center, "scale": scale,
        "beta_initializer": _zeros(), "gamma_initializer": _made("Ones"), **_regularizers("beta", "gamma"),
    }  # fmt: skip


def prelu(shared_axes: Sequence[int]) -> Config:
    return {
        "alpha_initializer": _zeros(), "alpha_regularizer": None, "alpha_constraint": None,
        "shared_axes": list(shared_axes) or None,
    }  # fmt: skip


def recurrent(class_name: str, units: int, activation: str, bias: bool) -> Config:
    """LSTM and SimpleRNN."""
    lstm = class_name == "LSTM"
    weights = ("kernel", "recurrent", "bias")
    return {
        "units": units, "activation": activation,
        **({"recurrent_activation": "sigmoid"} if lstm else {}), "use_bias": bias,
        "kernel_initializer": _variance(), "recurrent_initializer": _made("Orthogonal", gain=1, seed=None),
        "bias_initializer": _zeros(), **({"unit_forget_bias": None} if lstm else {}),
        **_regularizers(*weights), "activity_regularizer": None, **_constraints(*weights),
        "dropout": 0, "recurrent_dropout": 0, **({"implementation": None} if lstm else {}),
        "return_sequences": False, "return_state": False, "go_backwards": False, "stateful": False, "unroll": False,
    }  # fmt: skip


def space(**options: Any) -> Config:
    """ZeroPadding2D, Cropping2D, UpSampling2D, GlobalAveragePooling2D, GlobalMaxPooling2D."""
    return {**options, "data_format": "channels_last"}
