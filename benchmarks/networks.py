"""Layers-models to measure with: their topology as tf.js writes it, and the weights' names and shapes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

Json = dict[str, Any]
Shape = tuple[int, ...]

# MobileNetV2 at alpha 0.35, which Teachable Machine cuts off behind its last convolution: (stride, filters, blocks).
STEM: Final = 16
STAGES: Final = ((1, 8, 1), (2, 8, 2), (2, 16, 3), (2, 24, 4), (1, 32, 3), (2, 56, 3), (1, 112, 1))
EXPANSION: Final = 6
FEATURES: Final = 1280

UNET: Final = (16, 32, 64)  # filters on the way down, and up again
BOTTOM: Final = 128

STEPS, CHARACTERS, UNITS = 60, 64, 128  # the text generator


@dataclass
class Network:
    """`shape` is that of the input without the batch; `weights` is {name: shape} in the manifest's order."""

    shape: Shape
    topology: Json = field(default_factory=dict)
    weights: dict[str, Shape] = field(default_factory=dict)


class Block(NamedTuple):
    """One of MobileNetV2's inverted residuals; `prefix` begins its layers' names, `adds` joins the input to the end."""

    prefix: str
    inputs: int
    filters: int
    stride: int
    expands: bool
    adds: bool


def blocks() -> list[Block]:
    made: list[Block] = []
    inputs = STEM
    for stride, filters, count in STAGES:
        for i in range(count):
            prefix = f"block_{len(made)}" if made else "expanded_conv"
            made.append(Block(prefix, inputs, filters, 1 if i else stride, bool(made), i > 0))
            inputs = filters
    return made


class _Graph:
    """Layers one after another; `inbound` writes a functional model, else a Sequential."""

    def __init__(self, network: Network, inbound: bool) -> None:
        self.network = network
        self.inbound = inbound
        self.layers: list[Json] = []

    def add(self, kind: str, name: str, *inputs: str, weights: dict[str, Shape] | None = None, **config: Any) -> str:
        config = {"name": name, "trainable": True, **config}
        if not self.layers:
            config = {"batch_input_shape": [None, *self.network.shape], "dtype": "float32", **config}
        layer: Json = {"class_name": kind, "config": config}
        if self.inbound:
            layer |= {"name": name, "inbound_nodes": [[[x, 0, 0, {}] for x in inputs]] if inputs else []}
        self.layers.append(layer)
        self.network.weights |= {f"{name}/{leaf}": shape for leaf, shape in (weights or {}).items()}
        return name

    def input(self, name: str) -> str:
        return self.add("InputLayer", name, sparse=False)

    def conv(self, name: str, x: str, channels: int, filters: int, size: int, **config: Any) -> str:
        options = {"strides": [1, 1], "padding": "same", "activation": "linear", "use_bias": False, **config}
        weights: dict[str, Shape] = {"kernel": (size, size, channels, filters)}
        if options["use_bias"]:
            weights["bias"] = (filters,)
        return self.add("Conv2D", name, x, weights=weights, filters=filters, kernel_size=[size, size], **options)

    def norm(self, name: str, x: str, channels: int) -> str:
        leaves = ("gamma", "beta", "moving_mean", "moving_variance")
        weights: dict[str, Shape] = dict.fromkeys(leaves, (channels,))
        config = {"axis": -1, "momentum": 0.999, "epsilon": 0.001, "center": True, "scale": True}
        return self.add("BatchNormalization", name, x, weights=weights, **config)

    def dense(self, name: str, inputs: int, units: int, activation: str, use_bias: bool = True, **config: Any) -> None:
        weights: dict[str, Shape] = {"kernel": (inputs, units)}
        if use_bias:
            weights["bias"] = (units,)
        options = {"units": units, "activation": activation, "use_bias": use_bias}
        self.add("Dense", name, weights=weights, **options, **config)

    def model(self, name: str, end: str) -> Json:
        ends = {"input_layers": [[self.layers[0]["name"], 0, 0]], "output_layers": [[end, 0, 0]]}
        return {"class_name": "Model", "config": {"name": name, "layers": self.layers, **ends}}

    def sequential(self, name: str) -> Json:
        return {"class_name": "Sequential", "config": {"name": name, "layers": self.layers}}


def teachable_machine() -> Network:
    """The image model: [[MobileNetV2 cut off, global mean], [Dense, Dense]]."""
    network = Network((224, 224, 3))
    graph = _Graph(network, inbound=True)
    x = graph.add("ZeroPadding2D", "Conv1_pad", graph.input("input_1"), padding=[[0, 1], [0, 1]])
    x = graph.conv("Conv1", x, 3, STEM, 3, strides=[2, 2], padding="valid")
    x = _relu6(graph, "Conv1_relu", graph.norm("bn_Conv1", x, STEM))
    for block in blocks():
        x = _block(graph, block, x)
    x = graph.conv("Conv_1", x, STAGES[-1][1], FEATURES, 1, padding="valid")
    x = _relu6(graph, "out_relu", graph.norm("Conv_1_bn", x, FEATURES))
    features = _Graph(network, inbound=False)
    features.layers.append(graph.model("model1", x))
    features.add("GlobalAveragePooling2D", "global_average_pooling2d_GlobalAveragePooling2D1")
    head = _Graph(network, inbound=False)
    head.dense("dense_Dense1", FEATURES, 100, "relu", batch_input_shape=[None, FEATURES])
    head.dense("dense_Dense2", 100, 3, "softmax", use_bias=False)
    whole = _Graph(network, inbound=False)
    whole.layers += [features.sequential("sequential_1"), head.sequential("sequential_3")]
    network.topology = whole.sequential("sequential_4")
    return network


def _relu6(graph: _Graph, name: str, x: str) -> str:
    return graph.add("ReLU", name, x, max_value=6)


def _block(graph: _Graph, block: Block, start: str) -> str:
    prefix, x, channels = block.prefix, start, block.inputs
    if block.expands:
        channels *= EXPANSION
        x = graph.conv(f"{prefix}_expand", x, block.inputs, channels, 1)
        x = _relu6(graph, f"{prefix}_expand_relu", graph.norm(f"{prefix}_expand_BN", x, channels))
    if block.stride == 2:
        x = graph.add("ZeroPadding2D", f"{prefix}_pad", x, padding=[[0, 1], [0, 1]])
    options = {"strides": [block.stride] * 2, "padding": "valid" if block.stride == 2 else "same", "use_bias": False}
    kernel: dict[str, Shape] = {"depthwise_kernel": (3, 3, channels, 1)}
    x = graph.add("DepthwiseConv2D", f"{prefix}_depthwise", x, weights=kernel, kernel_size=[3, 3], **options)
    x = _relu6(graph, f"{prefix}_depthwise_relu", graph.norm(f"{prefix}_depthwise_BN", x, channels))
    x = graph.conv(f"{prefix}_project", x, channels, block.filters, 1)
    x = graph.norm(f"{prefix}_project_BN", x, block.filters)
    return graph.add("Add", f"{prefix}_add", start, x) if block.adds else x


def u_net() -> Network:
    """Two convolutions a level, transposed convolutions on the way up, and a mask in the end."""
    network = Network((128, 128, 3))
    graph = _Graph(network, inbound=True)
    x, channels = graph.input("input_1"), 3
    skipped: list[str] = []
    for i, filters in enumerate(UNET):
        x = _twice(graph, f"down{i}", x, channels, filters)
        skipped.append(x)
        x = graph.add("MaxPooling2D", f"down{i}_pool", x, pool_size=[2, 2], strides=[2, 2], padding="valid")
        channels = filters
    x, channels = _twice(graph, "bottom", x, channels, BOTTOM), BOTTOM
    for i, filters in reversed(list(enumerate(UNET))):
        weights: dict[str, Shape] = {"kernel": (2, 2, filters, channels), "bias": (filters,)}
        options = {
            "kernel_size": [2, 2],
            "strides": [2, 2],
            "padding": "same",
            "activation": "linear",
            "use_bias": True,
        }
        x = graph.add("Conv2DTranspose", f"up{i}_grow", x, weights=weights, filters=filters, **options)
        x = graph.add("Concatenate", f"up{i}_join", skipped[i], x, axis=3)
        x, channels = _twice(graph, f"up{i}", x, 2 * filters, filters), filters
    network.topology = graph.model("u_net", graph.conv("mask", x, channels, 1, 1, activation="sigmoid", use_bias=True))
    return network


def _twice(graph: _Graph, prefix: str, x: str, channels: int, filters: int) -> str:
    x = graph.conv(f"{prefix}_a", x, channels, filters, 3, activation="relu", use_bias=True)
    return graph.conv(f"{prefix}_b", x, filters, filters, 3, activation="relu", use_bias=True)


def text_generator(gate: str) -> Network:
    """Two LSTMs over one-hot characters, and the next character's probabilities."""
    network = Network((STEPS, CHARACTERS))
    graph = _Graph(network, inbound=False)
    for i, (inputs, sequences) in enumerate(((CHARACTERS, True), (UNITS, False)), 1):
        weights: dict[str, Shape] = {"kernel": (inputs, 4 * UNITS), "recurrent_kernel": (UNITS, 4 * UNITS)}
        options = {"units": UNITS, "activation": "tanh", "recurrent_activation": gate, "return_sequences": sequences}
        graph.add("LSTM", f"lstm_{i}", weights=weights | {"bias": (4 * UNITS,)}, **options)
    graph.dense("dense", UNITS, CHARACTERS, "softmax")
    network.topology = graph.sequential("text_generator")
    return network


def classifier() -> Network:
    """What ml5 trains on the 42 numbers of a hand."""
    network = Network((42,))
    graph = _Graph(network, inbound=False)
    graph.dense("dense_1", 42, 16, "relu")
    graph.dense("dense_2", 16, 3, "softmax")
    network.topology = graph.sequential("classifier")
    return network


def heavy(nbytes: int) -> Network:
    """Two Dense layers and two convolutions, a quarter of the weights each."""
    quarter = nbytes // 4 // 4
    width, channels = round(quarter**0.5), round((quarter / 9) ** 0.5)
    network = Network((8, 8, channels))
    graph = _Graph(network, inbound=True)
    x = graph.input("input_1")
    for name in ("conv_1", "conv_2"):
        x = graph.conv(name, x, channels, channels, 3, use_bias=True)
    x = graph.conv("narrow", x, channels, width, 1)
    for name in ("dense_1", "dense_2"):
        options = {"units": width, "activation": "relu", "use_bias": True}
        x = graph.add("Dense", name, x, weights={"kernel": (width, width), "bias": (width,)}, **options)
    network.topology = graph.model("heavy", x)
    return network


NETWORKS: Final[dict[str, Callable[[], Network]]] = {
    "Teachable Machine": teachable_machine,
    "U-Net": u_net,
    "LSTM": lambda: text_generator("sigmoid"),
    "LSTM hard_sigmoid": lambda: text_generator("hard_sigmoid"),
    "ml5 classifier": classifier,
}
