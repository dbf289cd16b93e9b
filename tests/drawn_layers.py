"""Layers with random options, in tf.js' own topology JSON: what `drawing.py` makes its models of."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

Config = dict[str, Any]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Step:
    """A layer for one tensor (or several of one shape), with the shape that comes out of it."""

    class_name: str
    config: Config
    shape: Shape = ()


ACTIVATIONS = [
    "linear", "relu", "relu6", "elu", "selu", "sigmoid", "hard_sigmoid", "softplus", "softsign", "tanh", "softmax",
    "log_softmax", "gelu", "mish", "swish",
]  # fmt: skip
GATES = ["hard_sigmoid", "sigmoid", "tanh", "softsign"]  # others let the states grow without end
IDENTITIES: list[tuple[str, Config]] = [
    ("Dropout", {"rate": 0.4}),
    ("GaussianNoise", {"stddev": 0.3}),
    ("GaussianDropout", {"rate": 0.3}),
    ("AlphaDropout", {"rate": 0.3}),
]
MERGES = ["Add", "Multiply", "Average", "Maximum", "Minimum"]


def coin(random: Random, chance: float = 0.5) -> bool:
    return random.random() < chance


def activation(random: Random) -> str:
    """Often none, so that the layer's own work is seen."""
    return "linear" if coin(random) else random.choice(ACTIVATIONS)


# The layer, and its input's shape without the batch.
Single = tuple[Step, Shape]


def sizes(random: Random, rank: int, low: int = 3, high: int = 8) -> Shape:
    return tuple(random.randint(low, high) for _ in range(rank))


def flipped(shape: Shape, config: Config) -> Shape:
    """The shape with its channels where data_format wants them."""
    return (shape[-1], *shape[:-1]) if config.get("data_format") == "channels_first" else shape


def window(random: Random, rank: int, key: str) -> Config:
    """Window, strides, padding and data format of a convolution or pooling."""
    config: Config = {
        key: [random.randint(1, 3) for _ in range(rank)],
        "strides": [random.randint(1, 3) for _ in range(rank)],
        "padding": random.choice(["valid", "same"]),
    }
    if rank > 1:
        config["data_format"] = random.choice(["channels_last", "channels_last", "channels_first"])
    return config


def convolution(class_name: str, rank: int) -> Callable[[Random], Single]:
    def draw(random: Random) -> Single:
        config = window(random, rank, "kernel_size")
        config |= {"activation": activation(random), "use_bias": coin(random, 0.8)}
        if class_name == "DepthwiseConv2D":
            config["depth_multiplier"] = random.randint(1, 3)
        else:
            config["filters"] = random.randint(1, 4)
        if class_name == "SeparableConv2D":
            config["data_format"] = "channels_last"
        if not class_name.endswith("Transpose") and coin(random, 0.3):
            config |= {"strides": [1] * rank, "dilation_rate": [random.randint(1, 2) for _ in range(rank)]}
        shape = (*sizes(random, rank, 5, 8 if rank < 3 else 6), random.randint(1, 3))
        return Step(class_name, config), flipped(shape, config)

    return draw


def pooling(class_name: str, rank: int) -> Callable[[Random], Single]:
    def draw(random: Random) -> Single:
        config = window(random, rank, "pool_size")
        if coin(random, 0.3):
            config["strides"] = None
        return Step(class_name, config), flipped((*sizes(random, rank, 3, 7), random.randint(1, 3)), config)

    return draw


def global_pooling(class_name: str, rank: int) -> Callable[[Random], Single]:
    return lambda random: (Step(class_name, {}), sizes(random, rank + 1, 2, 5))


def dense(random: Random) -> Single:
    units = random.randint(1, 5)
    config = {"units": units, "activation": activation(random), "use_bias": coin(random, 0.8)}
    return Step("Dense", config), sizes(random, random.randint(1, 3), 1, 5)


def embedding(random: Random) -> Single:
    config = {"input_dim": 7, "output_dim": random.randint(1, 4), "mask_zero": coin(random)}
    return Step("Embedding", config), sizes(random, random.randint(1, 2), 1, 5)


def normalization(random: Random) -> Single:
    shape = sizes(random, random.randint(1, 3), 2, 5)
    config: Config = {
        "epsilon": random.choice([1e-3, 1e-5, 0.1]),
        "center": coin(random, 0.7),
        "scale": coin(random, 0.7),
    }
    if coin(random):  # another axis than the last is wrong on the cpu backend
        return Step("BatchNormalization", config | {"axis": random.choice([-1, len(shape)])}), shape
    axes = sorted(random.sample(range(1, len(shape) + 1), random.randint(1, len(shape))))
    return Step("LayerNormalization", config | {"axis": random.choice([-1, axes])}), shape


def activations(random: Random) -> Single:
    shape = sizes(random, random.randint(1, 3), 2, 5)
    shared = sorted(random.sample(range(1, len(shape) + 1), random.randint(0, len(shape))))
    return random.choice(
        [
            Step("Activation", {"activation": random.choice(ACTIVATIONS)}),
            Step("ReLU", {"max_value": random.choice([None, 0.5, 2])}),
            Step("LeakyReLU", {"alpha": random.choice([0, 0.1, 0.3])}),
            Step("PReLU", {"shared_axes": shared or None}),
            Step("ELU", {"alpha": 1}),
            Step("ThresholdedReLU", {"theta": random.choice([-0.5, 0.5, 1])}),
            Step("Softmax", {"axis": random.choice([-1, len(shape)])}),
        ]
    ), shape


def image_reshaping(random: Random) -> Single:
    config: Config = {"data_format": random.choice(["channels_last", "channels_first"])}
    borders = [[random.randint(0, 2), random.randint(0, 2)] for _ in range(2)]
    step = random.choice(
        [
            Step("ZeroPadding2D", config | {"padding": borders}),
            Step("Cropping2D", config | {"cropping": borders}),
            Step(
                "UpSampling2D",
                config
                | {
                    "size": [random.randint(1, 3), random.randint(1, 3)],
                    "interpolation": random.choice(["nearest", "bilinear"]),
                },
            ),
            Step("Flatten", config),
        ]
    )
    return step, flipped((*sizes(random, 2, 5, 7), random.randint(1, 3)), config)


def reshaping(random: Random) -> Single:
    shape = sizes(random, random.randint(2, 3), 2, 5)
    dims = list(range(1, len(shape) + 1))
    random.shuffle(dims)
    size = math.prod(shape)
    target = random.choice([[size], [-1, shape[-1]], [shape[-1], size // shape[-1]]])
    return random.choice(
        [
            (Step("Permute", {"dims": dims}), shape),
            (Step("Reshape", {"target_shape": target}), shape),
            (Step("Flatten", {}), shape),
            (Step("RepeatVector", {"n": random.randint(1, 4)}), shape[:1]),
        ]
    )


def other(random: Random) -> Single:
    shape = sizes(random, 2, 2, 5)
    return random.choice(
        [
            *(Step(name, config) for name, config in IDENTITIES),
            Step("SpatialDropout1D", {"rate": 0.5}),
            Step("Masking", {"mask_value": 0}),
            Step("Rescaling", {"scale": random.uniform(-2, 2), "offset": random.uniform(-1, 1)}),
        ]
    ), shape


def recurrent_config(random: Random, class_name: str) -> Config:
    config: Config = {
        "units": random.randint(1, 4),
        "activation": random.choice(["tanh", "tanh", "relu", "linear", "softsign"]),
        "use_bias": coin(random, 0.8),
    }
    if "SimpleRNN" not in class_name:
        config["recurrent_activation"] = random.choice(GATES)
    return config


def recurrent(random: Random) -> Single:
    shape = sizes(random, 2, 1, 5)
    flags = {"return_sequences": coin(random), "go_backwards": coin(random)}
    name = random.choice(["SimpleRNN", "GRU", "LSTM", "RNN", "StackedRNNCells"])
    if name in ("SimpleRNN", "GRU", "LSTM"):
        return Step(name, recurrent_config(random, name) | flags), shape
    cells = []
    for which in "abc"[: 1 if name == "RNN" else random.randint(1, 3)]:
        kind = random.choice(["SimpleRNNCell", "GRUCell", "LSTMCell"])
        cells.append({"class_name": kind, "config": {"name": f"cell{which}", **recurrent_config(random, kind)}})
    stack = {"class_name": "StackedRNNCells", "config": {"name": "stack", "cells": cells}}
    return Step("RNN", {"cell": cells[0] if name == "RNN" else stack, **flags}), shape


def conv_lstm(random: Random) -> Single:
    config = window(random, 2, "kernel_size") | recurrent_config(random, "LSTM")
    del config["units"]
    config |= {"filters": random.randint(1, 3), "return_sequences": coin(random), "go_backwards": coin(random)}
    image = flipped((*sizes(random, 2, 3, 5), random.randint(1, 2)), config)
    return Step("ConvLSTM2D", config), (random.randint(1, 3), *image)


def bidirectional(random: Random) -> Single:
    name = random.choice(["SimpleRNN", "GRU", "LSTM"])
    inner = recurrent_config(random, name) | {"return_sequences": coin(random), "go_backwards": coin(random)}
    config = {"merge_mode": random.choice(["concat", "sum", "ave", "mul"])}
    return Step("Bidirectional", config | {"layer": wrapped(Step(name, inner))}), sizes(random, 2, 1, 5)


def time_distributed(random: Random) -> Single:
    inner, shape = random.choice(
        [dense, convolution("Conv2D", 2), pooling("MaxPooling2D", 2), normalization, recurrent]
    )(random)
    return Step("TimeDistributed", {"layer": wrapped(inner)}), (random.randint(1, 3), *shape)


def wrapped(step: Step) -> Config:
    return {"class_name": step.class_name, "config": {"name": "inner", **step.config}}


SINGLES: dict[str, Callable[[Random], Single]] = {
    "dense": dense,
    "embedding": embedding,
    "normalization": normalization,
    "activations": activations,
    "image_reshaping": image_reshaping,
    "reshaping": reshaping,
    "other": other,
    "recurrent": recurrent,
    "conv_lstm": conv_lstm,
    "bidirectional": bidirectional,
    "time_distributed": time_distributed,
    **{f"conv{rank}d": convolution(f"Conv{rank}D", rank) for rank in (1, 2, 3)},
    **{f"conv{rank}d_transpose": convolution(f"Conv{rank}DTranspose", rank) for rank in (2, 3)},
    "depthwise": convolution("DepthwiseConv2D", 2),
    "separable": convolution("SeparableConv2D", 2),
    **{f"max_pooling{rank}d": pooling(f"MaxPooling{rank}D", rank) for rank in (1, 2, 3)},
    **{f"average_pooling{rank}d": pooling(f"AveragePooling{rank}D", rank) for rank in (1, 2, 3)},
    **{f"global_max{rank}d": global_pooling(f"GlobalMaxPooling{rank}D", rank) for rank in (1, 2)},
    **{f"global_average{rank}d": global_pooling(f"GlobalAveragePooling{rank}D", rank) for rank in (1, 2)},
}
