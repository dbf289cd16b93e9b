"""The weights that a layer has before there is a file: names, shapes, initializers, as tf.js makes them in `build`.

Source: tfjs-layers/src/layers of tf.js 4.22. tests/test_building.py compares every rule with the golden models.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from ..errors import MismatchError, TopologyError, UnsupportedError

Shape = tuple[int, ...]
Options = Mapping[str, Any]

_GLOROT: Final = {
    "class_name": "VarianceScaling",
    "config": {"scale": 1, "mode": "fan_avg", "distribution": "normal", "seed": None},
}
_DEFAULTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "recurrent_kernel": {"class_name": "Orthogonal", "config": {"gain": 1, "seed": None}},
    "embeddings": {"class_name": "RandomUniform", "config": {"minval": -0.05, "maxval": 0.05, "seed": None}},
    **{weight: {"class_name": "Ones", "config": {}} for weight in ("gamma", "moving_variance")},
    **{weight: {"class_name": "Zeros", "config": {}} for weight in ("bias", "beta", "moving_mean", "alpha")},
}
_STEMS: Final = {"recurrent_kernel": "recurrent", "depthwise_kernel": "depthwise", "pointwise_kernel": "pointwise"}
UNTRAINED: Final = ("moving_mean", "moving_variance")  # written behind all others


def initializer_key(weight: str) -> str:
    """The option that holds a weight's initializer."""
    return f"{_STEMS.get(weight, weight)}_initializer"


def default_initializer(weight: str) -> Mapping[str, Any]:
    """What tf.js draws a weight from when the layer does not say."""
    return _DEFAULTS.get(weight, _GLOROT)


def weight_shapes(class_name: str, config: Options, shape: Sequence[int]) -> dict[str, Shape]:
    """{weight: shape}, in the order of tf.js.

    Args:
        class_name: such as "Dense".
        config: the layer's options in snake case; what is missing has tf.js' default.
        shape: of its input, without the batch.

    Raises:
        UnsupportedError: a class whose weights are not known here. TopologyError: an option that it needs is missing.

    Example:
        >>> weight_shapes("Dense", {"units": 4}, (3,))
        {'kernel': (3, 4), 'bias': (4,)}
    """
    rule = _RULES.get(class_name)
    if rule is None:
        return {}
    if config.get("data_format") in ("channels_first", "channelsFirst"):
        raise UnsupportedError(class_name, "channels_last expected for a new layer, found channels_first")
    if not shape:
        raise MismatchError(class_name, "an input with at least one axis besides the batch expected, found none")
    return rule(_Options(class_name, config), tuple(shape))


class _Options(NamedTuple):
    class_name: str
    config: Options

    def size(self, name: str, default: int | None = None) -> int:
        value = self.config.get(name, default)
        if type(value) is not int or value < 1:
            raise TopologyError(f"{self.class_name}: {name}", f"a whole number above 0 expected, found {value!r:.40}")
        return value

    def window(self, rank: int) -> Shape:
        value = self.config.get("kernel_size")
        sizes = value if isinstance(value, list) else [value] * rank
        if len(sizes) != rank or any(type(size) is not int or size < 1 for size in sizes):
            raise TopologyError(
                f"{self.class_name}: kernel_size", f"{rank} whole numbers expected, found {value!r:.40}"
            )
        return tuple(sizes)

    def with_bias(self, weights: Mapping[str, Shape], size: int) -> dict[str, Shape]:
        return {**weights, **({"bias": (size,)} if self.config.get("use_bias", True) else {})}


def _dense(options: _Options, shape: Shape) -> dict[str, Shape]:
    units = options.size("units")
    return options.with_bias({"kernel": (shape[-1], units)}, units)


def _convolution(rank: int) -> Callable[[_Options, Shape], dict[str, Shape]]:
    def shapes(options: _Options, shape: Shape) -> dict[str, Shape]:
        filters = options.size("filters")
        return options.with_bias({"kernel": (*options.window(rank), shape[-1], filters)}, filters)

    return shapes


def _transposed(rank: int) -> Callable[[_Options, Shape], dict[str, Shape]]:
    def shapes(options: _Options, shape: Shape) -> dict[str, Shape]:
        filters = options.size("filters")
        return options.with_bias({"kernel": (*options.window(rank), filters, shape[-1])}, filters)

    return shapes


def _depthwise(options: _Options, shape: Shape) -> dict[str, Shape]:
    times = options.size("depth_multiplier", 1)
    kernel = (*options.window(2), shape[-1], times)
    return options.with_bias({"depthwise_kernel": kernel}, shape[-1] * times)


def _separable(options: _Options, shape: Shape) -> dict[str, Shape]:
    times, filters = options.size("depth_multiplier", 1), options.size("filters")
    weights: dict[str, Shape] = {
        "depthwise_kernel": (*options.window(2), shape[-1], times),
        "pointwise_kernel": (1, 1, shape[-1] * times, filters),
    }
    return options.with_bias(weights, filters)


def _recurrent(gates: int) -> Callable[[_Options, Shape], dict[str, Shape]]:
    def shapes(options: _Options, shape: Shape) -> dict[str, Shape]:
        units = options.size("units")
        weights = {"kernel": (shape[-1], gates * units), "recurrent_kernel": (units, gates * units)}
        return options.with_bias(weights, gates * units)

    return shapes


def _batch_normalization(options: _Options, shape: Shape) -> dict[str, Shape]:
    axis = options.config.get("axis", -1)
    if type(axis) is not int or not -len(shape) <= axis <= len(shape) or axis == 0:
        raise TopologyError("axis", f"one of the input's axes expected, found {axis!r:.40}")
    size = (shape[axis - 1 if axis > 0 else axis],)
    given = {"gamma": options.config.get("scale", True), "beta": options.config.get("center", True)}
    return {**{name: size for name, there in given.items() if there}, **dict.fromkeys(UNTRAINED, size)}


def _layer_normalization(options: _Options, shape: Shape) -> dict[str, Shape]:
    size = tuple(shape[axis] for axis in _axes(options.config.get("axis", -1), "axis", len(shape)))
    given = {"gamma": options.config.get("scale", True), "beta": options.config.get("center", True)}
    return {name: size for name, there in given.items() if there}


def _prelu(options: _Options, shape: Shape) -> dict[str, Shape]:
    shared = _axes(options.config.get("shared_axes") or [], "shared_axes", len(shape))
    return {"alpha": tuple(1 if axis in shared else size for axis, size in enumerate(shape))}


def _axes(given: Any, name: str, rank: int) -> list[int]:
    """Axes as they count without the batch; in the file they count with it."""
    axes = given if isinstance(given, list) else [given]
    if not all(type(axis) is int and -rank <= axis <= rank and axis for axis in axes):
        raise TopologyError(name, f"some of the input's axes expected, found {given!r:.40}")
    return [axis - 1 if axis > 0 else axis + rank for axis in axes]


def _embedding(options: _Options, _: Shape) -> dict[str, Shape]:
    return {"embeddings": (options.size("input_dim"), options.size("output_dim"))}


_RULES: Final[Mapping[str, Callable[[_Options, Shape], dict[str, Shape]]]] = {
    "Dense": _dense,
    "Conv1D": _convolution(1),
    "Conv2D": _convolution(2),
    "Conv3D": _convolution(3),
    "Conv2DTranspose": _transposed(2),
    "Conv3DTranspose": _transposed(3),
    "DepthwiseConv2D": _depthwise,
    "SeparableConv2D": _separable,
    "SimpleRNN": _recurrent(1),
    "GRU": _recurrent(3),
    "LSTM": _recurrent(4),
    "BatchNormalization": _batch_normalization,
    "LayerNormalization": _layer_normalization,
    "PReLU": _prelu,
    "Embedding": _embedding,
}

_WITHOUT_OWN: Final = ("Activation", "Softmax", "Dropout", "GaussianNoise", "GaussianDropout", "AlphaDropout")


class Head(NamedTuple):
    """The layer whose units are the model's outputs.

    Attributes:
        config: its options, to be changed in place; kernel, bias: names of its tensors (bias may not be there).
    """

    config: dict[str, Any]
    kernel: str
    bias: str


def head_of(topology: Any, where: str = "modelTopology") -> Head:
    """The Dense layer at the end of a Sequential (of Sequentials), or behind a Model's only output.

    Raises:
        UnsupportedError: the model ends in something else. TopologyError: no layers.

    Example:
        >>> layer = {"class_name": "Dense", "config": {"name": "last", "units": 2}}
        >>> head_of({"class_name": "Sequential", "config": {"layers": [layer]}}).kernel
        'last/kernel'
    """
    node = topology.get("model_config", topology) if isinstance(topology, dict) else topology
    while True:
        layers = _layers_backwards(node, where)
        node = next((layer for layer in layers if layer.get("class_name") not in _WITHOUT_OWN), None)
        config = node.get("config") if isinstance(node, dict) else None
        if not isinstance(node, dict) or not config:
            raise TopologyError(where, "a layer with units at the end expected, found none")
        if node.get("class_name") == "Dense" and isinstance(config, dict):
            name = config.get("name") or node.get("name")
            return Head(config, f"{name}/kernel", f"{name}/bias")
        if node.get("class_name") not in ("Sequential", "Model", "Functional"):
            raise UnsupportedError(
                where, f"a Dense layer at the end, whose units are the labels, expected, found {node.get('class_name')}"
            )


def _layers_backwards(model: Any, where: str) -> list[dict[str, Any]]:
    config = model.get("config") if isinstance(model, dict) else None
    layers = config if isinstance(config, list) else config.get("layers") if isinstance(config, dict) else None
    if not isinstance(layers, list) or not all(isinstance(layer, dict) for layer in layers):
        raise TopologyError(where, "a model with layers expected, found none")
    if not isinstance(config, dict) or not config.get("output_layers"):
        return layers[::-1]
    by_name = {layer.get("name"): layer for layer in layers}
    chain: list[dict[str, Any]] = []
    name = _first_reference(config["output_layers"])[0]
    while name in by_name and len(chain) < len(layers):  # back along the only input of each
        chain.append(by_name[name])
        inbound = by_name[name].get("inbound_nodes")
        name = _first_reference(inbound)[0] if isinstance(inbound, list) and inbound else None
    return chain


def _first_reference(value: Any) -> list[Any]:
    while isinstance(value, list) and value and isinstance(value[0], list):
        value = value[0]
    return value if isinstance(value, list) and value else [None]
