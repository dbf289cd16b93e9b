"""Makes the golden cases of layers that real Keras computes: layers/keras2 and layers/keras3.

Each of the two folders has its own environment; the script sees from the installed Keras which one to fill:

    python3.11 -m venv keras2 && keras2/bin/pip install tensorflow-cpu==2.15.1 keras==2.15.0 numpy==1.26.4
    python3.11 -m venv keras3 && keras3/bin/pip install tensorflow-cpu==2.21.0 keras==3.15.1 numpy==2.4.6
    keras2/bin/pip install --no-deps tensorflowjs==4.22.0
    keras3/bin/pip install --no-deps tensorflowjs==4.22.0
    keras2/bin/python tests/cases/make_layers_with_keras.py [--force] [--into FOLDER] [--only NAME ...]
    keras3/bin/python tests/cases/make_layers_with_keras.py [--force] [--into FOLDER] [--only NAME ...]

The document and the weights are what the official converter writes from the model's .h5 file, or from its .keras
file where a case says so. Changed by hand: the weight files are joined under the name weights.bin, the numbers
`shared_object_id` (addresses in memory) count from 0, and what a case's "about" says. The outputs are Keras' own.
"""

from __future__ import annotations

import argparse
import base64
import importlib
import importlib.util
import io
import json
import os
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", TF_ENABLE_ONEDNN_OPTS="0", CUDA_VISIBLE_DEVICES="-1")
os.environ.update(KERAS_BACKEND="tensorflow")

h5py: Any = importlib.import_module("h5py")
keras: Any = importlib.import_module("keras")
tf: Any = importlib.import_module("tensorflow")

HERE = Path(__file__).resolve().parent
KERAS = keras.__version__[0]
L: Any = keras.layers
Model: Any = keras.Model
Document = dict[str, Any]


def converter() -> Any:
    """The official converter of .h5 files, without its package's own __init__, which needs much more than that."""
    for name in ("tensorflowjs", "tensorflowjs.converters"):
        found = importlib.util.find_spec(name)
        if found is None:
            raise SystemExit("tensorflowjs is missing; see the top of this file")
        bare = ModuleType(name)
        bare.__path__ = list(found.submodule_search_locations or ())
        sys.modules[name] = bare
    return importlib.import_module("tensorflowjs.converters.keras_h5_conversion")


CONVERTER = converter()
MADE_BY = (
    f"make_layers_with_keras.py, keras {keras.__version__} / tensorflow {tf.__version__} / tensorflowjs "
    f"{sys.modules['tensorflowjs.version'].version}"
)


@dataclass
class Case:
    name: str
    layer: str  # the class that it is about
    about: str
    build: Callable[[], Any]  # the model; its inputs say by their names how they are filled, see values()
    batch: int = 2
    calls: int = 1
    archive: bool = False  # written through a .keras file
    edit: Callable[[Document], None] | None = None  # what is changed by hand
    compiled: bool = False  # where TensorFlow can only compute it on a CPU when it compiles
    tolerance: float | None = None  # where the last bits are not Keras' business either: half precision


CASES: dict[str, Case] = {}


def add(case: Case, versions: str) -> None:
    if KERAS in versions:
        assert case.name not in CASES, case.name
        CASES[case.name] = case


def case(layer: str, about: str, versions: str = "23", **more: Any) -> Callable[[Callable[[], Any]], None]:
    """Adds the decorated function, which builds the model, under its own name."""
    return lambda build: add(Case(build.__name__, layer, about, build, **more), versions)


# --- Inputs: the name says what they hold ---


def x(*shape: int | None, name: str = "x", **more: Any) -> Any:
    return keras.Input(shape, name=name, **more)


def steps(*shape: int | None, name: str = "steps", **more: Any) -> Any:
    """A sequence with some steps all zero, for Masking."""
    return keras.Input(shape, name=name, **more)


def ids(*shape: int | None, name: str = "ids", dtype: str = "int32") -> Any:
    """Whole numbers from 0 to 6, some of them 0, for Embedding."""
    return keras.Input(shape, name=name, dtype=dtype)


def flags(*shape: int | None, name: str = "flags") -> Any:
    """Which to keep: at least one a row, but for flags2."""
    return keras.Input(shape, name=name, dtype="bool")


def zero_some_steps(array: NDArray[Any], second: bool) -> None:
    """The first row ends, the second one starts with a masked step; a second input's rows differ in where."""
    if array.ndim < 2:
        return
    array[0, -1 if second else -2 :] = 0
    array[1, 0] = 0
    array[1, 3 if second else 2 :: 4] = 0


def values(name: str, shape: tuple[int, ...], dtype: str, rng: np.random.Generator) -> NDArray[Any]:
    second = name.endswith("2")
    if name.startswith("ids"):
        numbers = rng.integers(1, 7, shape)
        zero_some_steps(numbers, second)
        if numbers.ndim == 3:
            numbers[-1, 0, 2:] = numbers[-1, 1, 0] = 0
        return numbers.astype(dtype)
    if name.startswith("flags"):
        bits = rng.integers(0, 3, shape) > 0
        bits[..., 0] = True
        if second:
            bits[0, 0] = False
        return bits
    made = rng.normal(0, 1, shape)
    if name.startswith("steps"):
        zero_some_steps(made, second)
    return made.astype(dtype)


def fill(model: Any, rng: np.random.Generator) -> None:
    """Gives every weight numbers that matter; what Normalization has adapted stays."""
    for weight in model.weights:
        leaf = (weight.path if KERAS == "3" else weight.name.split(":")[0]).rsplit("/")[-1]
        if leaf in ("mean", "variance", "count"):
            continue
        if leaf in ("gamma", "scale"):
            numbers = rng.uniform(0.5, 1.5, weight.shape)
        elif leaf == "moving_variance":
            numbers = rng.uniform(0.3, 2, weight.shape)
        else:
            numbers = rng.normal(0, 0.5, weight.shape)
        weight.assign(numbers.astype(np.float32))


# --- One layer on plain inputs: versions, name, class, shape or shapes, config, about ---

One = tuple[str, str, str, Any, dict[str, Any], str]


COMPILED = {"conv1d_first", "conv2d_first", "conv2d_transpose_dilated"}


def add_one(versions: str, name: str, layer: str, shapes: Any, config: dict[str, Any], about: str) -> None:
    """Config values that are functions are called when the model is built: layers in layers."""

    def build() -> Any:
        made = {key: value() if callable(value) else value for key, value in config.items()}
        several = isinstance(shapes, list)
        inputs = [x(*shape, name="xyzw"[i]) for i, shape in enumerate(shapes if several else [shapes])]
        layer_object = getattr(L, layer)(**made, name="layer")
        outputs = layer_object(inputs if several else inputs[0])
        return Model(inputs if several else inputs[0], outputs, name="model")

    add(Case(name, layer, about, build, compiled=name in COMPILED), versions)


def add_all(table: list[One]) -> None:
    for row in table:
        add_one(*row)


add_all(
    [
        # Layers that tf.js does not have.
        ("2", "subtract", "Subtract", [(3, 4), (3, 4)], {}, "first minus second"),
        ("3", "subtract_broadcast", "Subtract", [(3, 4), (4,)], {}, "second input of lower rank"),
        ("2", "zero_padding1d", "ZeroPadding1D", (5, 3), {"padding": (1, 2)}, "unequal sides"),
        ("2", "zero_padding1d_int", "ZeroPadding1D", (4, 2), {"padding": 2}, "one number for both sides"),
        ("3", "zero_padding3d", "ZeroPadding3D", (2, 3, 4, 2), {"padding": ((1, 0), (0, 2), (1, 1))}, "unequal sides"),
        (
            "2",
            "zero_padding3d_first",
            "ZeroPadding3D",
            (2, 2, 3, 4),
            {"padding": (1, 0, 2), "data_format": "channels_first"},
            "channels_first",
        ),
        ("3", "cropping1d", "Cropping1D", (6, 3), {"cropping": (1, 2)}, "unequal sides"),
        ("2", "cropping3d", "Cropping3D", (3, 4, 5, 2), {"cropping": ((1, 0), (0, 1), (1, 2))}, "unequal sides"),
        ("2", "upsampling1d", "UpSampling1D", (3, 2), {"size": 3}, "repeats each step"),
        ("3", "upsampling3d", "UpSampling3D", (2, 3, 2, 2), {"size": (2, 1, 3)}, "repeats voxels"),
        (
            "2",
            "separable_conv1d_valid",
            "SeparableConv1D",
            (7, 3),
            {"filters": 4, "kernel_size": 3, "depth_multiplier": 2, "activation": "tanh"},
            "valid, depth_multiplier 2",
        ),
        (
            "3",
            "separable_conv1d_same",
            "SeparableConv1D",
            (8, 2),
            {"filters": 3, "kernel_size": 3, "strides": 2, "padding": "same"},
            "same with strides 2 on an even length",
        ),
        (
            "2",
            "separable_conv1d_dilated",
            "SeparableConv1D",
            (9, 2),
            {"filters": 3, "kernel_size": 3, "dilation_rate": 2, "padding": "same", "use_bias": False},
            "dilated, no bias",
        ),
        (
            "2",
            "separable_conv1d_causal",
            "SeparableConv1D",
            (7, 2),
            {"filters": 3, "kernel_size": 3, "padding": "causal"},
            "causal padding",
        ),
        (
            "3",
            "depthwise_conv1d_valid",
            "DepthwiseConv1D",
            (7, 3),
            {"kernel_size": 3, "depth_multiplier": 2, "activation": "relu"},
            "valid, depth_multiplier 2",
        ),
        (
            "2",
            "depthwise_conv1d_same",
            "DepthwiseConv1D",
            (8, 3),
            {"kernel_size": 4, "strides": 2, "padding": "same"},
            "same with strides 2",
        ),
        ("2", "spatial_dropout2d", "SpatialDropout2D", (3, 4, 2), {"rate": 0.5}, "identity when it predicts"),
        ("3", "spatial_dropout3d", "SpatialDropout3D", (2, 3, 2, 2), {"rate": 0.5}, "identity when it predicts"),
        ("3", "global_average_pooling3d", "GlobalAveragePooling3D", (2, 3, 4, 2), {}, "mean over space"),
        ("2", "global_max_pooling3d", "GlobalMaxPooling3D", (2, 3, 4, 2), {}, "maximum over space"),
        (
            "2",
            "global_average_pooling1d_keepdims",
            "GlobalAveragePooling1D",
            (4, 3),
            {"keepdims": True},
            "keeps the axis with length 1",
        ),
        (
            "3",
            "global_average_pooling2d_keepdims",
            "GlobalAveragePooling2D",
            (3, 4, 2),
            {"keepdims": True},
            "keeps the axes with length 1",
        ),
        (
            "2",
            "global_max_pooling2d_keepdims",
            "GlobalMaxPooling2D",
            (3, 4, 2),
            {"keepdims": True},
            "keeps the axes with length 1",
        ),
        (
            "3",
            "global_max_pooling3d_keepdims",
            "GlobalMaxPooling3D",
            (2, 3, 4, 2),
            {"keepdims": True},
            "keeps the axes with length 1",
        ),
        (
            "2",
            "global_average_pooling1d_first",
            "GlobalAveragePooling1D",
            (3, 4),
            {"data_format": "channels_first"},
            "channels_first averages the last axis",
        ),
        (
            "3",
            "global_max_pooling2d_first",
            "GlobalMaxPooling2D",
            (2, 3, 4),
            {"data_format": "channels_first"},
            "channels_first",
        ),
        ("23", "group_normalization", "GroupNormalization", (3, 4, 6), {"groups": 3}, "three groups of two channels"),
        (
            "3",
            "group_normalization_axis1",
            "GroupNormalization",
            (4, 3, 2),
            {"groups": 2, "axis": 1, "epsilon": 1e-5},
            "channels on axis 1",
        ),
        (
            "2",
            "group_normalization_instance",
            "GroupNormalization",
            (3, 4, 2),
            {"groups": -1, "scale": False},
            "groups -1: one group a channel; no scale",
        ),
        (
            "3",
            "group_normalization_instance",
            "GroupNormalization",
            (3, 4, 2),
            {"groups": -1, "center": False},
            "groups -1: one group a channel; no center",
        ),
        ("2", "group_normalization_rank2", "GroupNormalization", (6,), {"groups": 2}, "no axes but the channels"),
        ("2", "unit_normalization", "UnitNormalization", (3, 4), {}, "length 1 along the last axis"),
        ("2", "unit_normalization_axes", "UnitNormalization", (3, 4), {"axis": [1, 2]}, "length 1 over two axes"),
        (
            "23",
            "normalization_given",
            "Normalization",
            (3,),
            {"mean": [0.5, -1.0, 2.0], "variance": [0.25, 4.0, 1.5]},
            "mean and variance in the config, no weights",
        ),
        (
            "2",
            "normalization_scalar",
            "Normalization",
            (2, 3),
            {"axis": None, "mean": 0.5, "variance": 2.0},
            "axis null, one number for all",
        ),
        (
            "3",
            "normalization_invert",
            "Normalization",
            (3,),
            {"mean": [0.5, -1.0, 2.0], "variance": [0.25, 4.0, 1.5], "invert": True},
            "invert undoes the normalization",
        ),
        ("2", "activity_regularization", "ActivityRegularization", (4,), {"l1": 0.1, "l2": 0.2}, "identity"),
        ("23", "identity", "Identity", (4,), {}, "a layer that shares its name with an initializer"),
        (
            "2",
            "einsum_dense",
            "EinsumDense",
            (3, 4),
            {"equation": "abc,cde->abde", "output_shape": (3, 2, 5), "bias_axes": "de", "activation": "relu"},
            "splits the last axis into heads",
        ),
        (
            "3",
            "einsum_dense_ellipsis",
            "EinsumDense",
            (3, 4),
            {"equation": "...x,xy->...y", "output_shape": 5, "bias_axes": "y"},
            "ellipsis in the equation",
        ),
        ("2", "layer_normalization_two_axes", "LayerNormalization", (3, 4), {"axis": [1, 2]}, "over two axes"),
        (
            "3",
            "layer_normalization_axis1",
            "LayerNormalization",
            (3, 4, 2),
            {"axis": 1, "epsilon": 0.1},
            "over an axis in the middle, large epsilon",
        ),
        (
            "2",
            "layer_normalization_no_scale",
            "LayerNormalization",
            (2, 3, 2, 4),
            {"scale": False},
            "rank 5, beta alone",
        ),
        (
            "3",
            "layer_normalization_rank5",
            "LayerNormalization",
            (2, 3, 2, 4),
            {"center": False},
            "rank 5, gamma alone",
        ),
        ("3", "rms_normalization", "RMSNormalization", (3, 4), {}, "a class of Keras 3 alone"),
        (
            "2",
            "locally_connected1d",
            "LocallyConnected1D",
            (7, 3),
            {"filters": 2, "kernel_size": 3, "strides": 2, "activation": "tanh"},
            "implementation 1, strides 2",
        ),
        (
            "2",
            "locally_connected2d",
            "LocallyConnected2D",
            (5, 6, 2),
            {"filters": 3, "kernel_size": (2, 3), "strides": (2, 1)},
            "implementation 1, strides",
        ),
        # Recurrent layers.
        ("23", "gru_reset_after", "GRU", (5, 3), {"units": 4}, "reset_after true, the default: bias of two rows"),
        (
            "23",
            "gru_reset_after_sequences",
            "GRU",
            (5, 3),
            {"units": 4, "return_sequences": True, "return_state": True},
            "all steps and the state",
        ),
        ("2", "gru_reset_after_no_bias", "GRU", (5, 3), {"units": 4, "use_bias": False}, "reset_after true, no bias"),
        (
            "3",
            "gru_reset_after_backwards",
            "GRU",
            (5, 3),
            {"units": 4, "go_backwards": True, "return_sequences": True, "activation": "relu"},
            "go_backwards: steps stay in the order computed; relu",
        ),
        ("2", "gru_reset_before", "GRU", (5, 3), {"units": 4, "reset_after": False}, "reset_after false"),
        (
            "23",
            "gru_bidirectional",
            "Bidirectional",
            (4, 3),
            {"layer": lambda: L.GRU(2, return_sequences=True, name="gru"), "merge_mode": "sum"},
            "GRU with reset_after true, summed",
        ),
        (
            "23",
            "lstm_hard_sigmoid",
            "LSTM",
            (5, 3),
            {"units": 4, "recurrent_activation": "hard_sigmoid"},
            "hard_sigmoid differs between Keras 2 and 3",
        ),
        (
            "23",
            "lstm_backwards",
            "LSTM",
            (5, 3),
            {"units": 3, "go_backwards": True, "return_state": True, "unit_forget_bias": False},
            "last output and both states",
        ),
        (
            "2",
            "lstm_time_major",
            "LSTM",
            (2, 3),
            {"units": 4, "time_major": True, "return_sequences": True},
            "time first",
        ),
        (
            "2",
            "simple_rnn_relu",
            "SimpleRNN",
            (5, 3),
            {"units": 4, "activation": "relu", "return_sequences": True, "dropout": 0.3, "recurrent_dropout": 0.2},
            "dropout does nothing when it predicts",
        ),
        (
            "23",
            "rnn_cell",
            "RNN",
            (5, 3),
            {"cell": lambda: L.GRUCell(4, name="cell"), "return_sequences": True},
            "one cell",
        ),
        (
            "23",
            "rnn_stacked_cells",
            "RNN",
            (5, 3),
            {
                "cell": lambda: [L.LSTMCell(4, name="one"), L.SimpleRNNCell(2, name="two"), L.GRUCell(3, name="three")],
                "return_state": True,
            },
            "list of cells, with states",
        ),
        (
            "23",
            "bidirectional_backward_layer",
            "Bidirectional",
            (5, 3),
            {
                "layer": lambda: L.LSTM(4, return_sequences=True, name="ahead"),
                "backward_layer": lambda: L.GRU(
                    2, return_sequences=True, go_backwards=True, activation="relu", name="back"
                ),
            },
            "another class backwards",
        ),
        (
            "23",
            "bidirectional_lstm",
            "Bidirectional",
            (5, 3),
            {"layer": lambda: L.LSTM(4, name="lstm"), "merge_mode": "mul"},
            "last steps multiplied",
        ),
        (
            "2",
            "bidirectional_states",
            "Bidirectional",
            (5, 3),
            {"layer": lambda: L.LSTM(2, return_state=True, name="lstm"), "merge_mode": "ave"},
            "with return_state",
        ),
        (
            "3",
            "bidirectional_two_outputs",
            "Bidirectional",
            (5, 3),
            {"layer": lambda: L.LSTM(2, return_sequences=True, name="lstm"), "merge_mode": None},
            "merge_mode null: two outputs",
        ),
        (
            "23",
            "conv_lstm2d",
            "ConvLSTM2D",
            (3, 4, 5, 2),
            {"filters": 2, "kernel_size": (2, 3), "padding": "same"},
            "recurrent_activation of the default",
        ),
        (
            "2",
            "conv_lstm2d_strides",
            "ConvLSTM2D",
            (3, 5, 6, 2),
            {"filters": 2, "kernel_size": 3, "strides": (2, 1), "return_sequences": True, "return_state": True},
            "strides, all steps and states",
        ),
        (
            "3",
            "conv_lstm1d",
            "ConvLSTM1D",
            (3, 6, 2),
            {"filters": 2, "kernel_size": 3, "return_sequences": True},
            "along one axis",
        ),
        (
            "2",
            "time_distributed_conv2d",
            "TimeDistributed",
            (3, 4, 5, 2),
            {"layer": lambda: L.Conv2D(3, (2, 3), name="conv")},
            "convolution at each step",
        ),
        # Where Keras and tf.js differ.
        (
            "2",
            "relu_all",
            "ReLU",
            (40,),
            {"max_value": 1.0, "negative_slope": 0.25, "threshold": 0.5},
            "negative_slope and threshold",
        ),
        ("2", "relu_slope", "ReLU", (20,), {"negative_slope": 0.2}, "negative_slope alone"),
        ("3", "relu_threshold", "ReLU", (20,), {"threshold": 0.4}, "threshold alone"),
        ("3", "leaky_relu", "LeakyReLU", (20,), {"negative_slope": 0.15}, "Keras 3 says negative_slope"),
        ("2", "leaky_relu", "LeakyReLU", (20,), {"alpha": 0.15}, "Keras 2 says alpha"),
        ("2", "elu_alpha", "ELU", (20,), {"alpha": 0.7}, "alpha not 1"),
        ("3", "prelu_shared", "PReLU", (3, 4, 2), {"shared_axes": [1, 2]}, "one number a channel"),
        ("2", "thresholded_relu", "ThresholdedReLU", (20,), {"theta": 0.6}, "a class of Keras 2 alone"),
        ("2", "softmax_axis1", "Softmax", (3, 4), {"axis": 1}, "not the last axis"),
        ("2", "softmax_default", "Softmax", (3, 4), {}, "the axis of the default is the last"),
        ("3", "softmax_two_axes", "Softmax", (3, 4), {"axis": [1, 2]}, "over two axes"),
        (
            "2",
            "depthwise_conv2d_dilated",
            "DepthwiseConv2D",
            (7, 8, 2),
            {"kernel_size": (2, 3), "dilation_rate": 2, "depth_multiplier": 2},
            "dilated",
        ),
        (
            "3",
            "depthwise_conv2d_same",
            "DepthwiseConv2D",
            (6, 7, 3),
            {"kernel_size": 3, "strides": 2, "padding": "same", "use_bias": False},
            "same with strides 2",
        ),
        (
            "2",
            "separable_conv2d",
            "SeparableConv2D",
            (6, 7, 2),
            {"filters": 3, "kernel_size": 3, "dilation_rate": 2, "depth_multiplier": 2},
            "dilated, depth_multiplier 2",
        ),
        (
            "3",
            "separable_conv2d",
            "SeparableConv2D",
            (6, 7, 2),
            {"filters": 3, "kernel_size": 3, "strides": 2, "padding": "same", "depth_multiplier": 2},
            "same with strides 2, depth_multiplier 2",
        ),
        (
            "2",
            "conv2d_transpose_valid",
            "Conv2DTranspose",
            (3, 4, 2),
            {"filters": 3, "kernel_size": (2, 3), "strides": (3, 2)},
            "valid, one kernel side shorter than its stride",
        ),
        (
            "3",
            "conv2d_transpose_same",
            "Conv2DTranspose",
            (3, 4, 2),
            {"filters": 3, "kernel_size": (3, 4), "strides": (2, 3), "padding": "same"},
            "same",
        ),
        (
            "2",
            "conv2d_transpose_same_short",
            "Conv2DTranspose",
            (3, 4, 2),
            {"filters": 2, "kernel_size": (1, 2), "strides": 3, "padding": "same"},
            "same, kernel shorter than the stride",
        ),
        (
            "2",
            "conv2d_transpose_output_padding",
            "Conv2DTranspose",
            (3, 4, 2),
            {"filters": 2, "kernel_size": 3, "strides": 2, "output_padding": 1},
            "valid with output_padding 1",
        ),
        (
            "3",
            "conv2d_transpose_output_padding_same",
            "Conv2DTranspose",
            (3, 4, 2),
            {"filters": 2, "kernel_size": (3, 4), "strides": (2, 3), "output_padding": (0, 1), "padding": "same"},
            "same with output_padding 0 and 1",
        ),
        (
            "23",
            "conv2d_transpose_dilated",
            "Conv2DTranspose",
            (4, 5, 2),
            {"filters": 2, "kernel_size": (2, 3), "dilation_rate": 2},
            "dilated",
        ),
        (
            "2",
            "conv2d_transpose_dilated_same",
            "Conv2DTranspose",
            (4, 5, 2),
            {"filters": 2, "kernel_size": (2, 3), "dilation_rate": 2, "padding": "same"},
            "dilated, same",
        ),
        (
            "3",
            "conv1d_transpose_valid",
            "Conv1DTranspose",
            (4, 2),
            {"filters": 3, "kernel_size": 3, "strides": 2},
            "valid",
        ),
        (
            "2",
            "conv1d_transpose_same",
            "Conv1DTranspose",
            (5, 2),
            {"filters": 3, "kernel_size": 4, "strides": 3, "padding": "same", "activation": "relu"},
            "same",
        ),
        (
            "2",
            "conv1d_transpose_output_padding",
            "Conv1DTranspose",
            (4, 2),
            {"filters": 3, "kernel_size": 3, "strides": 2, "output_padding": 1},
            "output_padding 1",
        ),
        (
            "3",
            "conv3d_transpose",
            "Conv3DTranspose",
            (2, 3, 2, 2),
            {"filters": 2, "kernel_size": (2, 3, 1), "strides": (2, 1, 2), "padding": "same"},
            "same, one kernel side shorter than its stride",
        ),
        (
            "2",
            "conv2d_groups",
            "Conv2D",
            (5, 6, 4),
            {"filters": 6, "kernel_size": 3, "groups": 2, "padding": "same"},
            "two groups",
        ),
        ("3", "conv1d_groups", "Conv1D", (7, 6), {"filters": 6, "kernel_size": 3, "groups": 3}, "three groups"),
        (
            "2",
            "conv1d_causal",
            "Conv1D",
            (8, 2),
            {"filters": 3, "kernel_size": 3, "padding": "causal", "dilation_rate": 2},
            "causal, dilated",
        ),
        (
            "2",
            "conv1d_causal_strides",
            "Conv1D",
            (8, 2),
            {"filters": 3, "kernel_size": 3, "padding": "causal", "strides": 2},
            "causal, strides 2",
        ),
        (
            "3",
            "conv2d_same_strides",
            "Conv2D",
            (6, 7, 2),
            {"filters": 3, "kernel_size": (1, 2), "strides": (2, 3), "padding": "same", "activation": "elu"},
            "same, strides longer than the kernel",
        ),
        (
            "2",
            "conv3d_same_strides",
            "Conv3D",
            (4, 5, 6, 2),
            {"filters": 2, "kernel_size": (1, 2, 3), "strides": (2, 3, 2), "padding": "same"},
            "same; tf.js shifts the window where the kernel is shorter than the stride",
        ),
        (
            "3",
            "max_pooling3d_same",
            "MaxPooling3D",
            (4, 6, 5, 2),
            {"pool_size": (1, 2, 2), "strides": (2, 3, 2), "padding": "same"},
            "same, strides longer than the window",
        ),
        (
            "2",
            "average_pooling3d_same",
            "AveragePooling3D",
            (4, 6, 5, 2),
            {"pool_size": (3, 2, 2), "strides": (2, 3, 1), "padding": "same"},
            "same: padding does not count",
        ),
        (
            "2",
            "average_pooling2d_same",
            "AveragePooling2D",
            (5, 6, 2),
            {"pool_size": (2, 3), "strides": (1, 2), "padding": "same"},
            "same: padding does not count",
        ),
        (
            "2",
            "max_pooling1d_first",
            "MaxPooling1D",
            (3, 6),
            {"pool_size": 2, "data_format": "channels_first"},
            "channels_first",
        ),
        (
            "3",
            "average_pooling1d_same",
            "AveragePooling1D",
            (7, 2),
            {"pool_size": 3, "strides": 2, "padding": "same"},
            "same: padding does not count",
        ),
        (
            "23",
            "conv2d_first",
            "Conv2D",
            (2, 5, 6),
            {"filters": 3, "kernel_size": 3, "data_format": "channels_first"},
            "channels_first",
        ),
        (
            "3",
            "conv1d_first",
            "Conv1D",
            (2, 6),
            {"filters": 3, "kernel_size": 3, "data_format": "channels_first"},
            "channels_first",
        ),
        (
            "2",
            "zero_padding2d_first",
            "ZeroPadding2D",
            (2, 3, 4),
            {"padding": ((1, 0), (2, 1)), "data_format": "channels_first"},
            "channels_first",
        ),
        ("2", "flatten_rank2", "Flatten", (4,), {}, "nothing to flatten"),
        ("3", "flatten_first", "Flatten", (2, 3, 4), {"data_format": "channels_first"}, "channels_first"),
        (
            "23",
            "upsampling2d_bilinear",
            "UpSampling2D",
            (3, 4, 2),
            {"size": (2, 3), "interpolation": "bilinear"},
            "half-pixel centers",
        ),
        (
            "2",
            "upsampling2d_bicubic",
            "UpSampling2D",
            (3, 4, 2),
            {"size": (2, 3), "interpolation": "bicubic"},
            "bicubic",
        ),
        (
            "3",
            "upsampling2d_nearest_first",
            "UpSampling2D",
            (2, 3, 4),
            {"size": 2, "data_format": "channels_first"},
            "nearest, channels_first",
        ),
        ("2", "resizing_up", "Resizing", (3, 4, 2), {"height": 7, "width": 5}, "bilinear, larger"),
        ("3", "resizing_down", "Resizing", (9, 8, 2), {"height": 4, "width": 3}, "bilinear, smaller, no smoothing"),
        (
            "2",
            "resizing_nearest",
            "Resizing",
            (5, 4, 2),
            {"height": 3, "width": 7, "interpolation": "nearest"},
            "nearest",
        ),
        (
            "23",
            "resizing_crop",
            "Resizing",
            (5, 8, 2),
            {"height": 4, "width": 4, "crop_to_aspect_ratio": True},
            "crops the sides first",
        ),
        (
            "2",
            "resizing_bicubic",
            "Resizing",
            (5, 4, 2),
            {"height": 3, "width": 7, "interpolation": "bicubic"},
            "bicubic",
        ),
        (
            "3",
            "resizing_pad",
            "Resizing",
            (4, 8, 1),
            {"height": 6, "width": 6, "pad_to_aspect_ratio": True, "fill_value": 0.5},
            "pads to keep the sides' ratio",
        ),
        ("2", "center_crop", "CenterCrop", (6, 5, 2), {"height": 3, "width": 4}, "odd differences round down"),
        ("3", "center_crop_small", "CenterCrop", (4, 6, 2), {"height": 5, "width": 3}, "a side too short: resizes"),
        ("2", "rescaling", "Rescaling", (3,), {"scale": [0.5, 2.0, -1.0], "offset": [0.1, 0.2, 0.3]}, "lists"),
        ("3", "concatenate_minus2", "Concatenate", [(2, 3), (4, 3)], {"axis": -2}, "negative axis, not the last"),
        ("2", "concatenate_minus3", "Concatenate", [(2, 3, 4), (1, 3, 4)], {"axis": -3}, "negative axis of rank 4"),
        ("2", "add_broadcast", "Add", [(3, 4), (4,), (1, 4)], {}, "three inputs, one of lower rank"),
        ("2", "multiply_broadcast", "Multiply", [(2, 3, 4), (2, 1, 1), (4,)], {}, "lengths of 1, lower rank"),
        ("2", "average_three", "Average", [(3,), (3,), (3,)], {}, "three inputs"),
        ("3", "maximum_broadcast", "Maximum", [(2, 3), (3,)], {}, "one of lower rank"),
        ("3", "minimum_three", "Minimum", [(3,), (3,), (3,)], {}, "three inputs"),
        ("2", "dot_normalize", "Dot", [(4,), (4,)], {"axes": 1, "normalize": True}, "cosine"),
        ("3", "dot_axes", "Dot", [(3, 4), (5, 3)], {"axes": (1, 2)}, "two axes"),
        ("2", "dot_negative", "Dot", [(3, 4), (5, 4)], {"axes": -1, "normalize": True}, "axes -1, normalized"),
        ("2", "dot_rank4", "Dot", [(2, 3, 4), (2, 4, 5)], {"axes": (3, 2)}, "rank 4: more than one batch axis or not"),
        ("2", "batch_normalization_axis1", "BatchNormalization", (3, 4, 2), {"axis": 1}, "axis 1, rank 4"),
        ("3", "batch_normalization_rank5", "BatchNormalization", (2, 3, 2, 4), {"epsilon": 1e-5}, "rank 5"),
        (
            "2",
            "batch_normalization_plain",
            "BatchNormalization",
            (5, 3),
            {"center": False, "scale": False},
            "only the moving statistics",
        ),
        (
            "3",
            "batch_normalization_axis2",
            "BatchNormalization",
            (2, 3, 4),
            {"axis": 2, "scale": False},
            "axis 2, rank 4",
        ),
        ("2", "permute", "Permute", (2, 3, 4), {"dims": (3, 1, 2)}, "axes count from 1"),
        ("3", "reshape_unknown", "Reshape", (3, 4), {"target_shape": (-1, 2)}, "one length left open"),
    ]
)

# --- Activations: (versions, name as Keras writes it) ---

ACTIVATIONS = [
    ("23", "hard_sigmoid"),
    ("3", "exponential"),
    ("2", "swish"),
    ("3", "silu"),
    ("3", "gelu"),
    ("3", "hard_silu"),
    ("3", "leaky_relu"),
    ("3", "relu6"),
    ("3", "mish"),
    ("3", "log_softmax"),
    ("2", "softmax"),
    ("2", "elu"),
    ("3", "selu"),
    ("3", "celu"),
    ("3", "glu"),
    ("3", "hard_tanh"),
    ("3", "hard_shrink"),
    ("3", "soft_shrink"),
    ("3", "tanh_shrink"),
    ("3", "log_sigmoid"),
    ("3", "squareplus"),
    ("3", "sparse_plus"),
    ("3", "sparse_sigmoid"),
    ("3", "sparsemax"),
]


def add_activation(versions: str, activation: str) -> None:
    def build() -> Any:
        inputs = x(16)
        return Model(
            inputs, L.Activation(activation, name="layer")(L.Rescaling(2.5, name="wide")(inputs)), name="model"
        )

    add(Case(f"activation_{activation}", "Activation", activation, build), versions)


for row in ACTIVATIONS:
    add_activation(*row)


@case("Dense", "activation of a Dense layer, the object form of Keras", "3")
def dense_activation_object() -> Any:
    inputs = x(4)
    return Model(inputs, L.Dense(3, activation=L.LeakyReLU(0.2, name="leak"), name="layer")(inputs), name="model")


# --- Attention ---


@case("Attention", "query, value and key")
def attention() -> Any:
    query, value, key = x(3, 4, name="q"), x(5, 2, name="v"), x(5, 4, name="k")
    return Model([query, value, key], L.Attention(name="layer")([query, value, key]), name="model")


@case("Attention", "use_scale, and the value as the key", "2")
def attention_scale() -> Any:
    query, value = x(3, 4, name="q"), x(5, 4, name="v")
    return Model([query, value], L.Attention(use_scale=True, name="layer")([query, value]), name="model")


@case("Attention", "score_mode concat, with its own weight")
def attention_concat() -> Any:
    query, value = x(3, 4, name="q"), x(5, 4, name="v")
    layer = L.Attention(score_mode="concat", use_scale=True, name="layer")
    return Model([query, value], layer([query, value]), name="model")


@case("Attention", "use_causal_mask and return_attention_scores of the call")
def attention_causal() -> Any:
    query, value = x(4, 3, name="q"), x(4, 3, name="v")
    outputs = L.Attention(name="layer")([query, value], use_causal_mask=True, return_attention_scores=True)
    return Model([query, value], list(outputs), name="model")


@case("Attention", "masks of two Embeddings: the value's weighs, the query's blanks the output")
def attention_masked() -> Any:
    one, two = ids(5), ids(4, name="ids2")
    query = L.Embedding(7, 3, mask_zero=True, name="one")(one)
    value = L.Embedding(7, 3, mask_zero=True, name="two")(two)
    return Model([one, two], L.Attention(name="layer")([query, value]), name="model")


@case("AdditiveAttention", "with its scale", "3")
def additive_attention() -> Any:
    query, value, key = x(3, 4, name="q"), x(5, 4, name="v"), x(5, 4, name="k")
    return Model([query, value, key], L.AdditiveAttention(name="layer")([query, value, key]), name="model")


@case("AdditiveAttention", "without scale, masks of two Embeddings")
def additive_attention_masked() -> Any:
    one, two = ids(5), ids(4, name="ids2")
    query = L.Embedding(7, 3, mask_zero=True, name="one")(one)
    value = L.Embedding(7, 3, mask_zero=True, name="two")(two)
    return Model([one, two], L.AdditiveAttention(use_scale=False, name="layer")([query, value]), name="model")


@case("MultiHeadAttention", "of a sequence with itself", "2")
def multi_head_self() -> Any:
    inputs = x(5, 4)
    return Model(inputs, L.MultiHeadAttention(2, 3, dropout=0.1, name="layer")(inputs, inputs), name="model")


@case("MultiHeadAttention", "query, value and key, value_dim, output_shape, no bias")
def multi_head_cross() -> Any:
    query, value, key = x(3, 4, name="q"), x(5, 2, name="v"), x(5, 3, name="k")
    layer = L.MultiHeadAttention(2, 3, value_dim=5, output_shape=6, use_bias=False, name="layer")
    return Model([query, value, key], layer(query, value, key), name="model")


@case("MultiHeadAttention", "attention over two axes", "3")
def multi_head_axes() -> Any:
    inputs = x(2, 3, 4)
    layer = L.MultiHeadAttention(2, 2, attention_axes=(1, 2), name="layer")
    return Model(inputs, layer(inputs, inputs), name="model")


@case("MultiHeadAttention", "attention over the first of two axes", "2")
def multi_head_first_axis() -> Any:
    query, value = x(3, 2, 4, name="q"), x(5, 2, 4, name="v")
    layer = L.MultiHeadAttention(2, 3, attention_axes=1, name="layer")
    return Model([query, value], layer(query, value), name="model")


@case("MultiHeadAttention", "attention_mask and return_attention_scores of the call")
def multi_head_mask() -> Any:
    query, value, mask = x(3, 4, name="q"), x(5, 4, name="v"), flags(3, 5)
    layer = L.MultiHeadAttention(2, 3, name="layer")
    outputs = layer(query, value, attention_mask=mask, return_attention_scores=True)
    return Model([query, value, mask], list(outputs), name="model")


@case("MultiHeadAttention", "use_causal_mask of the call")
def multi_head_causal() -> Any:
    inputs = x(4, 3)
    layer = L.MultiHeadAttention(2, 3, name="layer")
    return Model(inputs, layer(inputs, inputs, use_causal_mask=True), name="model")


@case("MultiHeadAttention", "masks of two Embeddings")
def multi_head_masked() -> Any:
    one, two = ids(5), ids(4, name="ids2")
    query = L.Embedding(7, 4, mask_zero=True, name="one")(one)
    value = L.Embedding(7, 4, mask_zero=True, name="two")(two)
    return Model([one, two], L.MultiHeadAttention(2, 3, name="layer")(query, value), name="model")


@case("MultiHeadAttention", "masks of two Embeddings, with return_attention_scores of the call")
def multi_head_masked_scores() -> Any:
    one, two = ids(5), ids(4, name="ids2")
    query = L.Embedding(7, 4, mask_zero=True, name="one")(one)
    value = L.Embedding(7, 4, mask_zero=True, name="two")(two)
    outputs = L.MultiHeadAttention(2, 3, name="layer")(query, value, return_attention_scores=True)
    return Model([one, two], list(outputs), name="model")


@case("MultiHeadAttention", "a block of an encoder: attention, addition, normalization, two dense layers")
def encoder_block() -> Any:
    inputs = x(5, 6)
    seen = L.MultiHeadAttention(2, 3, name="attention")(inputs, inputs)
    middle = L.LayerNormalization(epsilon=1e-6, name="norm1")(L.Add(name="add1")([inputs, seen]))
    wide = L.Dense(8, activation="gelu", name="wide")(middle)
    ended = L.Add(name="add2")([middle, L.Dense(6, name="narrow")(wide)])
    return Model(inputs, L.LayerNormalization(epsilon=1e-6, name="norm2")(ended), name="model")


@case("GroupedQueryAttention", "two query heads share a key and a value head", "3")
def group_query_attention() -> Any:
    query, value = x(3, 4, name="q"), x(5, 4, name="v")
    layer = L.GroupQueryAttention(head_dim=3, num_query_heads=4, num_key_value_heads=2, name="layer")
    return Model([query, value], layer(query, value), name="model")


# --- Preprocessing ---


@case("Normalization", "adapted: mean, variance and count are weights", "23")
def normalization_adapted() -> Any:
    layer = L.Normalization(name="layer")
    layer.adapt(np.random.default_rng(1).normal(3, 2, (20, 4)).astype(np.float32))
    inputs = x(4)
    return Model(inputs, layer(inputs), name="model")


@case("Normalization", "adapted along axis 1 of rank 4", "2")
def normalization_axis1() -> Any:
    layer = L.Normalization(axis=1, name="layer")
    layer.adapt(np.random.default_rng(2).normal(3, 2, (20, 3, 4, 2)).astype(np.float32))
    inputs = x(3, 4, 2)
    return Model(inputs, layer(inputs), name="model")


def category_encoding(name: str, about: str, width: tuple[int, ...], mode: str, versions: str = "23") -> None:
    def build() -> Any:
        inputs = ids(*width)
        return Model(inputs, L.CategoryEncoding(num_tokens=7, output_mode=mode, name="layer")(inputs), name="model")

    add(Case(name, "CategoryEncoding", about, build, batch=3), versions)


category_encoding("category_one_hot", "one_hot of one number a row", (1,), "one_hot", "2")
category_encoding("category_one_hot_many", "one_hot of several numbers a row", (4,), "one_hot", "3")
category_encoding("category_multi_hot", "multi_hot", (5,), "multi_hot")
category_encoding("category_count", "count", (6,), "count")


@case("CategoryEncoding", "count with count_weights of the call")
def category_count_weights() -> Any:
    inputs, weights = ids(6), x(6, name="w")
    layer = L.CategoryEncoding(num_tokens=7, output_mode="count", name="layer")
    return Model([inputs, weights], layer(inputs, count_weights=weights), name="model")


@case("RandomRotation", "layers that change images while training do nothing when they predict")
def random_layers() -> Any:
    layers = [
        L.RandomFlip("horizontal", name="flip"),
        L.RandomRotation(0.2, name="rotation"),
        L.RandomZoom(0.3, name="zoom"),
        L.RandomTranslation(0.1, 0.2, name="translation"),
        L.RandomContrast(0.4, name="contrast"),
        L.Conv2D(2, 3, name="conv"),
    ]
    return keras.Sequential([x(5, 6, 3), *layers], name="model")


@case("GaussianNoise", "layers that add noise while training do nothing when they predict", "3")
def noise_layers() -> Any:
    layers = [
        L.GaussianNoise(0.5, name="noise"),
        L.GaussianDropout(0.3, name="gaussian"),
        L.AlphaDropout(0.3, name="alpha"),
        L.SpatialDropout1D(0.3, name="spatial"),
        L.Dropout(0.3, name="drop"),
        L.Dense(2, name="dense"),
    ]
    return keras.Sequential([x(5, 3), *layers], name="model")


# --- Masks ---


def masked(name: str, layer: str, about: str, versions: str, *layers: Callable[[], Any]) -> None:
    """A masked sequence through layers, one after the other."""

    def build() -> Any:
        return keras.Sequential([steps(6, 3), L.Masking(name="masking"), *(make() for make in layers)], name="model")

    add(Case(name, layer, about, build, batch=3), versions)


def lstm(units: int = 3, name: str = "lstm", **more: Any) -> Any:
    return L.LSTM(units, name=name, **more)


masked("masked_lstm", "LSTM", "masked steps keep the state", "3", lstm)
masked(
    "masked_lstm_sequences",
    "LSTM",
    "masked steps repeat the output before them, or zero",
    "23",
    lambda: lstm(return_sequences=True),
)
masked(
    "masked_lstm_backwards",
    "LSTM",
    "backwards, masked",
    "2",
    lambda: lstm(return_sequences=True, go_backwards=True),
)
masked(
    "masked_gru_zero_output",
    "GRU",
    "zero_output_for_mask: masked steps put out zero, the state stays",
    "23",
    lambda: L.GRU(3, return_sequences=True, zero_output_for_mask=True, name="gru"),
)
masked(
    "masked_gru_unrolled",
    "GRU",
    "unroll true, masked",
    "3",
    lambda: L.GRU(3, return_sequences=True, unroll=True, name="gru"),
)
masked(
    "masked_simple_rnn",
    "SimpleRNN",
    "two in a row, the first gives its mask on",
    "2",
    lambda: L.SimpleRNN(4, return_sequences=True, name="one"),
    lambda: L.SimpleRNN(2, name="two"),
)
masked(
    "masked_rnn_cells",
    "RNN",
    "list of cells",
    "3",
    lambda: L.RNN([L.LSTMCell(3, name="one"), L.GRUCell(2, name="two")], return_sequences=True, name="rnn"),
)
masked(
    "masked_bidirectional",
    "Bidirectional",
    "all steps",
    "23",
    lambda: L.Bidirectional(lstm(2, return_sequences=True), name="both"),
)
masked(
    "masked_bidirectional_last",
    "Bidirectional",
    "last steps",
    "2",
    lambda: L.Bidirectional(L.GRU(2, name="gru"), merge_mode="ave", name="both"),
)
masked(
    "masked_bidirectional_lstm",
    "Bidirectional",
    "gives its mask on to an LSTM",
    "23",
    lambda: L.Bidirectional(lstm(2, return_sequences=True), name="both"),
    lambda: lstm(2, "after"),
)
masked(
    "masked_time_distributed",
    "TimeDistributed",
    "gives the mask on",
    "3",
    lambda: L.TimeDistributed(L.Dense(4, name="dense"), name="each"),
    lambda: lstm(2),
)
masked(
    "masked_average_pooling",
    "GlobalAveragePooling1D",
    "masked steps do not count",
    "23",
    lambda: L.GlobalAveragePooling1D(name="mean"),
)
masked(
    "masked_average_pooling_keepdims",
    "GlobalAveragePooling1D",
    "masked steps do not count, keepdims",
    "2",
    lambda: L.GlobalAveragePooling1D(keepdims=True, name="mean"),
)
masked(
    "masked_max_pooling",
    "GlobalMaxPooling1D",
    "the mask does nothing",
    "3",
    lambda: L.Dense(2, name="dense"),
    lambda: L.GlobalMaxPooling1D(name="max"),
)
masked(
    "masked_through",
    "LSTM",
    "layers that give the mask on",
    "23",
    lambda: L.Dense(4, activation="relu", name="dense"),
    lambda: L.Dropout(0.5, name="drop"),
    lambda: L.LayerNormalization(name="layer_norm"),
    lambda: L.BatchNormalization(name="batch_norm"),
    lambda: L.Activation("tanh", name="tanh"),
    lambda: L.LeakyReLU(0.1, name="leak"),
    lambda: L.ELU(name="elu"),
    lambda: lstm(2),
)

# Whether each of these gives the mask on to the LSTM behind it: versions, class, config.
PASSES: list[tuple[str, str, dict[str, Any]]] = [
    ("3", "Conv1D", {"filters": 4, "kernel_size": 2, "padding": "same"}),
    ("23", "Reshape", {"target_shape": (6, 3)}),
    ("2", "Permute", {"dims": (1, 2)}),
    ("23", "Rescaling", {"scale": 2.0}),
    ("23", "UnitNormalization", {}),
    ("2", "PReLU", {}),
    ("2", "ReLU", {}),
    ("3", "SpatialDropout1D", {"rate": 0.2}),
    ("2", "MaxPooling1D", {"pool_size": 1}),
    ("2", "ActivityRegularization", {"l1": 0.1}),
    ("3", "EinsumDense", {"equation": "abc,cd->abd", "output_shape": (None, 3)}),
    ("23", "Identity", {}),
    ("2", "Cropping1D", {"cropping": 0}),
    ("23", "Normalization", {"mean": 0.5, "variance": 2.0, "axis": None}),
]


def passes(versions: str, layer: str, config: dict[str, Any]) -> None:
    about = "whether the mask reaches the LSTM behind the layer"
    masked(f"passes_{layer.lower()}", layer, about, versions, lambda: getattr(L, layer)(**config, name="layer"), lstm)


for passing in PASSES:
    passes(*passing)


@case("RepeatVector", "an encoder with a mask, a decoder without: the last step carries none on", batch=3)
def masked_autoencoder() -> Any:
    layers = [
        L.Embedding(7, 3, mask_zero=True, name="words"),
        lstm(4, "encoder"),
        L.RepeatVector(3, name="repeat"),
        lstm(4, "decoder", return_sequences=True),
        L.TimeDistributed(L.Dense(2, activation="softmax", name="dense"), name="each"),
    ]
    return keras.Sequential([ids(6), *layers], name="model")


def two_masked() -> tuple[list[Any], list[Any]]:
    """Two inputs and two Embeddings, whose masks differ."""
    inputs = [ids(6), ids(6, name="ids2")]
    embedded = [
        L.Embedding(7, 3, mask_zero=True, name=name)(made) for name, made in zip(("one", "two"), inputs, strict=True)
    ]
    return inputs, embedded


def merged_masks(layer: str, versions: str, **config: Any) -> None:
    def build() -> Any:
        inputs, embedded = two_masked()
        return Model(inputs, lstm()(getattr(L, layer)(**config, name="layer")(embedded)), name="model")

    add(Case(f"masks_{layer.lower()}", layer, "two masks that differ, then an LSTM", build, batch=3), versions)


merged_masks("Add", "23")
merged_masks("Subtract", "2")
merged_masks("Multiply", "23")
merged_masks("Maximum", "3")
merged_masks("Concatenate", "23", axis=-1)


@case(
    "Masking",
    "in a graph; Keras 3 writes the operations that make the mask, NotEqual and Any, among the layers",
    batch=3,
)
def masks_of_masking() -> Any:
    inputs = steps(6, 3)
    hidden = L.Masking(0.0, name="masking")(inputs)
    both = L.Add(name="add")([hidden, L.Dense(3, name="dense")(hidden)])
    return Model(inputs, L.Bidirectional(lstm(2), name="both")(both), name="model")


@case("Average", "one input with a mask and one without, then an LSTM", batch=3)
def masks_average_one() -> Any:
    inputs = [ids(6), x(6, 3)]
    embedded = L.Embedding(7, 3, mask_zero=True, name="one")(inputs[0])
    return Model(inputs, lstm()(L.Average(name="layer")([embedded, inputs[1]])), name="model")


@case("Concatenate", "one input with a mask and one without, then an LSTM", batch=3)
def masks_concatenate_one() -> Any:
    inputs = [x(6, 3), ids(6)]
    embedded = L.Embedding(7, 2, mask_zero=True, name="one")(inputs[1])
    return Model(inputs, lstm()(L.Concatenate(name="layer")([inputs[0], embedded])), name="model")


@case("Concatenate", "two masks joined along time, then an LSTM", "3", batch=3)
def masks_concatenate_time() -> Any:
    inputs, embedded = two_masked()
    return Model(inputs, lstm()(L.Concatenate(axis=1, name="layer")(embedded)), name="model")


@case("Concatenate", "a mask and none joined along time, then an LSTM", batch=3)
def masks_concatenate_time_one() -> Any:
    inputs = [ids(6), x(2, 1)]
    embedded = L.Embedding(7, 1, mask_zero=True, name="one")(inputs[0])
    return Model(inputs, lstm()(L.Concatenate(axis=1, name="layer")([embedded, inputs[1]])), name="model")


@case("Dot", "two masks, then an LSTM", "23", batch=3)
def masks_dot() -> Any:
    inputs, embedded = two_masked()
    return Model(inputs, lstm()(L.Dot(axes=2, name="layer")(embedded)), name="model")


@case("Softmax", "mask of the call")
def softmax_mask() -> Any:
    inputs, mask = x(3, 5), flags(3, 5)
    return Model([inputs, mask], L.Softmax(name="layer")(inputs, mask=mask), name="model")


@case("Softmax", "mask of the call that leaves nothing of one row: even in Keras 2, zero in Keras 3")
def softmax_mask_all() -> Any:
    inputs, mask = x(3, 5), flags(3, 5, name="flags2")
    return Model([inputs, mask], L.Softmax(name="layer")(inputs, mask=mask), name="model")


@case("LSTM", "mask of the call", batch=3)
def lstm_mask() -> Any:
    inputs, mask = x(5, 3), flags(5)
    return Model([inputs, mask], lstm(return_sequences=True)(inputs, mask=mask), name="model")


@case("GlobalAveragePooling1D", "mask of an Embedding two layers before", "2", batch=3)
def embedding_mean() -> Any:
    layers = [
        L.Embedding(7, 4, mask_zero=True, name="words"),
        L.Dropout(0.2, name="drop"),
        L.GlobalAveragePooling1D(name="mean"),
        L.Dense(2, activation="sigmoid", name="dense"),
    ]
    return keras.Sequential([ids(6), *layers], name="model")


@case("LSTM", "initial states with a masked first step: its output is zero, not the state", batch=3)
def masked_initial_state() -> Any:
    inputs, first, second = steps(5, 2), x(3, name="h"), x(3, name="c")
    hidden = L.Masking(name="masking")(inputs)
    outputs = lstm(return_sequences=True, return_state=True)(hidden, initial_state=[first, second])
    return Model([inputs, first, second], list(outputs), name="model")


@case("Sequential", "a mask goes into a nested model and out of it", batch=3)
def masked_nested() -> Any:
    inner = keras.Sequential([ids(6, name="inner_ids"), L.Embedding(7, 3, mask_zero=True, name="words")], name="inner")
    after = keras.Sequential([x(6, 3, name="after_x"), L.Dense(3, name="dense"), lstm()], name="after")
    inputs = ids(6)
    return Model(inputs, after(inner(inputs)), name="model")


@case("TimeDistributed", "an Embedding with a mask at each step, an LSTM at each step, then one over all", batch=3)
def masked_hierarchy() -> Any:
    inputs = ids(3, 4)
    words = L.TimeDistributed(L.Embedding(7, 3, mask_zero=True, name="words"), name="each_word")(inputs)
    lines = L.TimeDistributed(lstm(2, "line"), name="each_line")(words)
    return Model(inputs, lstm(2, "text")(lines), name="model")


@case("ConvLSTM2D", "mask of the call", batch=3)
def masked_conv_lstm() -> Any:
    inputs, mask = x(4, 3, 4, 1), flags(4)
    return Model(
        [inputs, mask], L.ConvLSTM2D(2, 2, return_sequences=True, name="layer")(inputs, mask=mask), name="model"
    )


# --- Serialization ---


@case("Functional", "two inputs and two outputs, a layer with two calls")
def two_inputs_two_outputs() -> Any:
    one, two = x(4, name="one"), x(4, name="two")
    shared = L.Dense(3, activation="tanh", name="shared")
    left, right = shared(one), shared(two)
    both = L.Concatenate(name="both")([left, right])
    return Model([one, two], [L.Dense(2, name="out")(both), L.Subtract(name="minus")([right, left])], name="model")


@case("Functional", "an input is an output too, and outputs come from the second call of a layer")
def second_call_is_output() -> Any:
    inputs = x(3)
    shared = L.Dense(3, activation="tanh", name="shared")
    once = shared(inputs)
    return Model(inputs, [shared(once), once, inputs], name="model")


@case("Functional", "inputs and outputs named in objects")
def named_inputs() -> Any:
    left, right = x(3, name="left"), x(2, name="right")
    both = L.Concatenate(name="both")([right, left])
    outputs = {"small": L.Dense(1, name="one")(both), "large": L.Dense(4, name="four")(both)}
    return Model({"right": right, "left": left}, outputs, name="model")


@case("Functional", "a nested model that is called twice, with a nested model in it")
def nested_twice() -> Any:
    deep = keras.Sequential([x(4, name="deep_x"), L.Dense(4, activation="relu", name="deep_dense")], name="deep")
    inner_x = x(4, name="inner_x")
    inner_out = L.Add(name="inner_add")([inner_x, deep(inner_x)])
    inner = Model(inner_x, inner_out, name="inner")
    one, two = x(4, name="one"), x(4, name="two")
    joined = L.Concatenate(name="joined")([inner(one), inner(two)])
    return Model([one, two], L.Dense(2, name="out")(joined), name="model")


@case("Functional", "a nested model with two inputs and two outputs")
def nested_many() -> Any:
    one, two = x(3, name="one"), x(2, name="two")
    inner_one, inner_two = x(3, name="inner_one"), x(2, name="inner_two")
    both = L.Concatenate(name="both")([inner_one, inner_two])
    inner = Model([inner_one, inner_two], [L.Dense(2, name="left")(both), L.Dense(4, name="right")(both)], name="inner")
    left, right = inner([one, two])
    return Model([one, two], [L.Dense(1, name="last")(right), left], name="model")


@case("Sequential", "a model in a Sequential, the same layer objects in both halves", "2")
def sequential_nested() -> Any:
    block = keras.Sequential(
        [x(5, 6, 2, name="block_x"), L.Conv2D(3, 3, name="conv"), L.BatchNormalization(name="norm")], name="block"
    )
    layers = [block, L.ReLU(6.0, name="relu"), L.GlobalMaxPooling2D(name="max"), L.Dense(2, name="dense")]
    return keras.Sequential([x(5, 6, 2), *layers], name="model")


@case("Sequential", "an InputLayer that says the batch", batch=3)
def sequential_fixed_batch() -> Any:
    first = keras.Input(batch_shape=(3, 4), name="x")
    return keras.Sequential([first, L.Dense(2, name="dense")], name="model")


@case("Sequential", "built by the first layer's input_shape in Keras 2", "2")
def sequential_input_shape() -> Any:
    layers = [L.Conv1D(3, 2, input_shape=(5, 2), name="conv"), L.Flatten(name="flat"), L.Dense(2, name="dense")]
    return keras.Sequential(layers, name="model")


@case("Sequential", "built after it was made: build_input_shape, no InputLayer of its own", "23")
def sequential_built_later() -> Any:
    model = keras.Sequential([L.Dense(3, activation="relu", name="one"), L.Dense(2, name="two")], name="model")
    model.build((None, 4))
    return model


@case("Functional", "lengths left open", "3", batch=2)
def open_lengths() -> Any:
    inputs = x(None, None, 2)
    hidden = L.Conv2D(3, 3, padding="same", name="conv")(inputs)
    return Model(inputs, L.GlobalAveragePooling2D(name="mean")(hidden), name="model")


@case("Add", "a list of tensors, one of them twice", "3")
def add_same_twice() -> Any:
    inputs = x(3)
    hidden = L.Dense(3, name="dense")(inputs)
    return Model(inputs, L.Add(name="layer")([hidden, inputs, hidden]), name="model")


@case("BatchNormalization", "called with training=False; Dropout with training=True would be noise")
def training_false() -> Any:
    inputs = x(3, 4)
    hidden = L.BatchNormalization(name="norm")(inputs, training=False)
    return Model(inputs, L.Dropout(0.5, name="drop")(hidden, training=False), name="model")


@case("LSTM", "an encoder's states as initial_state of a decoder")
def encoder_decoder() -> Any:
    source, target = x(5, 3, name="source"), x(4, 2, name="target")
    _, hidden, cell = lstm(4, "encoder", return_state=True)(source)
    decoded, _, _ = lstm(4, "decoder", return_sequences=True, return_state=True)(target, initial_state=[hidden, cell])
    return Model([source, target], L.Dense(3, activation="softmax", name="out")(decoded), name="model")


def state_to_kwargs(document: Document) -> None:
    layers = document["modelTopology"]["model_config"]["config"]["layers"]
    (decoder,) = (layer for layer in layers if layer["name"] == "decoder")
    ((first, *states),) = decoder["inbound_nodes"]
    decoder["inbound_nodes"] = [[[*first[:3], {"initial_state": [state[:3] for state in states]}]]]


@case("LSTM", "initial_state put among the call's keyword arguments by hand", "2", edit=state_to_kwargs)
def initial_state_in_kwargs() -> Any:
    source, target = x(5, 3, name="source"), x(4, 2, name="target")
    _, hidden, cell = lstm(4, "encoder", return_state=True)(source)
    return Model([source, target], lstm(4, "decoder")(target, initial_state=[hidden, cell]), name="model")


@case("GRU", "initial_state in the list of inputs", "2")
def initial_state_in_list() -> Any:
    inputs, state = x(4, 3), x(2, name="h")
    outputs = L.GRU(2, return_sequences=True, name="gru")([inputs, state])
    return Model([inputs, state], outputs, name="model")


@case("Bidirectional", "initial_state of the call")
def bidirectional_initial_state() -> Any:
    inputs, ahead, back = x(4, 3), x(2, name="ahead"), x(2, name="back")
    layer = L.Bidirectional(L.GRU(2, return_sequences=True, name="gru"), name="both")
    return Model([inputs, ahead, back], layer(inputs, initial_state=[ahead, back]), name="model")


@case("RNN", "initial_state of a list of cells, nested lists")
def stacked_cells_initial_state() -> Any:
    inputs, hidden, cell, other = x(4, 3), x(3, name="h"), x(3, name="c"), x(2, name="g")
    layer = L.RNN([L.LSTMCell(3, name="one"), L.GRUCell(2, name="two")], return_sequences=True, name="rnn")
    outputs = layer(inputs, initial_state=[[hidden, cell], other])
    return Model([inputs, hidden, cell, other], outputs, name="model")


@case("LSTM", "stateful: the second call goes on where the first ended", calls=2, batch=2)
def stateful_lstm() -> Any:
    first = keras.Input(batch_shape=(2, 3, 2), name="x")
    return keras.Sequential([first, lstm(3, stateful=True)], name="model")


@case("GRU", "stateful, all steps, three calls", "2", calls=3, batch=2)
def stateful_gru() -> Any:
    first = keras.Input(batch_shape=(2, 2, 3), name="x")
    return Model(first, L.GRU(2, stateful=True, return_sequences=True, name="gru")(first), name="model")


def half_model(policy: str) -> Any:
    inputs = x(6)
    hidden = L.Dense(5, activation="tanh", dtype=policy, name="half")(inputs)
    return Model(inputs, L.Dense(3, dtype="float32", name="single")(hidden), name="model")


@case("Dense", "a layer of policy mixed_float16: its output is half precision", tolerance=2e-2)
def mixed_float16() -> Any:
    return half_model("mixed_float16")


@case("Dense", "a layer of policy mixed_bfloat16: its output is half precision", "3", tolerance=1e-1)
def mixed_bfloat16() -> Any:
    return half_model("mixed_bfloat16")


@case("Dense", "a float64 layer; the converter writes its weights as float32")
def dense_float64() -> Any:
    inputs = keras.Input((4,), name="x", dtype="float64")
    return Model(inputs, L.Dense(3, activation="softplus", dtype="float64", name="dense")(inputs), name="model")


@case("Dense", "layer names with a slash (Keras 3 allows none), dots, capitals and dashes")
def odd_names() -> Any:
    inputs = x(3)
    hidden = L.Dense(4, name="Block.1/a.Dense" if KERAS == "2" else "Block.1-a.Dense")(inputs)
    return Model(inputs, L.Dense(2, name="Block.2-b_1")(hidden), name="model")


@case("Sequential", "two nested models whose layers have one name; of Keras 2's the converter makes nothing", "3")
def nested_same_names() -> Any:
    inputs = x(3)
    halves = [
        keras.Sequential([x(3, name=f"{name}_x"), L.Dense(2, name="dense")], name=name)(inputs)
        for name in ("zulu", "alpha")
    ]
    return Model(inputs, L.Subtract(name="minus")(halves), name="model")


@case("Normalization", "two adapted layers; of Keras 2's, whose weights' names clash, the converter makes nothing", "3")
def normalization_two() -> Any:
    inputs = x(3)
    halves = []
    for seed, name in enumerate(("zulu", "alpha")):
        layer = L.Normalization(name=name)
        layer.adapt(np.random.default_rng(seed).normal(seed, 2, (20, 3)).astype(np.float32))
        halves.append(layer(inputs))
    return Model(inputs, L.Concatenate(name="both")(halves), name="model")


@case("Dense", "a compiled and trained model: training_config in modelTopology")
def compiled() -> Any:
    model = keras.Sequential([x(3), L.Dense(4, activation="relu", name="one"), L.Dense(1, name="two")], name="model")
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="mse", metrics=["mae"])
    model.fit(np.ones((4, 3), np.float32), np.ones((4, 1), np.float32), verbose=0)
    return model


def suffixed(document: Document) -> None:
    for spec in document["weightsManifest"][0]["weights"]:
        spec["name"] += ":0"


@case("Conv2D", "weight names that end in :0, put there by hand", edit=suffixed)
def names_colon_zero() -> Any:
    layers = [L.Conv2D(3, 2, name="conv"), L.BatchNormalization(name="norm"), lstm_of_rows()]
    return keras.Sequential([x(4, 5, 2), *layers], name="model")


def lstm_of_rows() -> Any:
    return L.TimeDistributed(lstm(2), name="rows")


def shuffled(document: Document) -> None:
    document["modelTopology"]["model_config"]["config"]["layers"].reverse()


@case("Functional", "the list of layers turned around by hand: its order means nothing", "3", edit=shuffled)
def layers_reversed() -> Any:
    inputs = x(4)
    hidden = L.Dense(3, activation="relu", name="one")(inputs)
    return Model(
        inputs, L.Add(name="add")([L.Dense(2, name="two")(hidden), L.Dense(2, name="three")(hidden)]), name="model"
    )


def bare_topology(document: Document) -> None:
    document["modelTopology"] = document["modelTopology"]["model_config"]


@case("Sequential", "model_config put at the top of modelTopology by hand", edit=bare_topology)
def bare_model_config() -> Any:
    return keras.Sequential([x(4), L.Dense(3, name="one"), L.Dense(2, name="two")], name="model")


# --- .keras files: weights named by the layers' classes and numbers ---


@case("Dense", "numbered weights: layers/dense/vars/0, named by classes, not by the layers' names", archive=True)
def archive_dense() -> Any:
    layers = [L.Dense(4, name="last"), L.Dense(3, name="first"), L.Dense(4, use_bias=False, name="middle")]
    return keras.Sequential([x(4), *layers], name="model")


@case("Dense", "numbered weights of twelve layers of one class: dense_10 sorts before dense_2", archive=True)
def archive_twelve() -> Any:
    return keras.Sequential([x(2), *(L.Dense(2, activation="tanh", name=f"d{i}") for i in range(12))], name="model")


@case("Conv2D", "numbered weights of a small image model, with a dropout", archive=True)
def archive_image() -> Any:
    layers = [
        L.Conv2D(3, 3, name="conv"),
        L.BatchNormalization(name="norm"),
        L.DepthwiseConv2D(2, name="depth"),
        L.SeparableConv2D(2, 2, name="separable"),
        L.Flatten(name="flat"),
        L.Dropout(0.5, name="drop"),
        L.Dense(3, activation="softmax", name="dense"),
    ]
    return keras.Sequential([x(6, 7, 2), *layers], name="model")


@case("LSTM", "numbered weights of recurrent layers and wrappers", archive=True, batch=3)
def archive_recurrent() -> Any:
    layers = [
        L.Embedding(7, 3, mask_zero=True, name="words"),
        L.Bidirectional(lstm(2, return_sequences=True), name="both"),
        L.GRU(3, return_sequences=True, name="gru"),
        L.RNN([L.LSTMCell(2, name="one"), L.LSTMCell(2, name="two")], return_sequences=True, name="rnn"),
        L.TimeDistributed(L.Dense(2, name="dense"), name="each"),
        L.SimpleRNN(2, name="simple"),
    ]
    return keras.Sequential([ids(5), *layers], name="model")


@case("Functional", "numbered weights of nested models and attention", archive=True)
def archive_nested() -> Any:
    first = keras.Sequential([x(4, 3, name="x1"), L.Dense(4, name="a"), L.LayerNormalization(name="b")], name="first")
    second_x = x(4, 3, name="x2")
    second = Model(second_x, L.Dense(4, name="c")(L.Dense(2, name="d")(second_x)), name="second")
    inputs = x(4, 3)
    seen = L.MultiHeadAttention(2, 3, name="attention")(first(inputs), second(inputs))
    return Model(inputs, L.Dense(2, name="out")(L.PReLU(name="prelu")(seen)), name="model")


@case("Normalization", "numbered weights: mean, variance and count", archive=True)
def archive_normalization() -> Any:
    layer = L.Normalization(name="norm")
    layer.adapt(np.random.default_rng(3).normal(3, 2, (20, 4)).astype(np.float32))
    return keras.Sequential([x(4), layer, L.Dense(2, name="dense")], name="model")


@case("Dense", "numbered weights of a compiled and trained model: the optimizer's are there too", archive=True)
def archive_compiled() -> Any:
    model = keras.Sequential([x(3), L.Dense(4, activation="relu", name="one"), L.Dense(1, name="two")], name="model")
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="mse")
    model.fit(np.ones((4, 3), np.float32), np.ones((4, 1), np.float32), verbose=0)
    return model


@case("Dense", "numbered weights of a layer called twice", archive=True)
def archive_shared() -> Any:
    shared = L.Dense(3, name="shared")
    inputs = x(3)
    both = L.Concatenate(name="both")([shared(shared(inputs)), L.Dense(2, name="own")(inputs)])
    return Model(inputs, L.Dense(2, name="out")(both), name="model")


def masked_functional() -> Any:
    inputs = ids(6)
    words = L.Embedding(7, 3, mask_zero=True, name="words")(inputs)
    return Model(inputs, lstm()(L.Dense(4, name="dense")(words)), name="model")


NUMBERED = "numbered weights, and Keras 3's NotEqual in the graph"
add(Case("archive_masked", "LSTM", NUMBERED, masked_functional, 3, archive=True), "3")
MASKED = "a mask of an Embedding in a graph; Keras 3 writes the operation that makes it, NotEqual, among the layers"
add(Case("masks_in_graph", "LSTM", MASKED, masked_functional, 3), "23")


# --- Writing ---


def encoded(name: str, array: NDArray[Any]) -> Document:
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    data = base64.b64encode(little.tobytes()).decode()
    return {"name": name, "shape": list(array.shape), "dtype": str(array.dtype), "data": data}


def count_shared_objects(value: Any, seen: dict[int, int]) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "shared_object_id":
                value[key] = seen.setdefault(inner, len(seen))
            else:
                count_shared_objects(inner, seen)
    elif isinstance(value, list):
        for inner in value:
            count_shared_objects(inner, seen)


def converted(model: Any, archive: bool) -> tuple[Document, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        if archive:
            file = f"{folder}/model.keras"
            model.save(file)
            with zipfile.ZipFile(file) as opened:
                weights = h5py.File(io.BytesIO(opened.read("model.weights.h5")))
                meta, config = (json.loads(opened.read(name)) for name in ("metadata.json", "config.json"))
            topology, groups = CONVERTER.h5_v3_merged_saved_model_to_tfjs_format(weights, meta, config)
            os.mkdir(f"{folder}/out")
            CONVERTER.write_artifacts(topology, groups, f"{folder}/out")
        else:
            CONVERTER.save_keras_model(model, f"{folder}/out")
        document = json.loads(Path(folder, "out", "model.json").read_text())
        (group,) = document["weightsManifest"]
        joined = b"".join(Path(folder, "out", path).read_bytes() for path in group["paths"])
    group["paths"] = ["weights.bin"]
    count_shared_objects(document, {})
    return document, joined


def fed(structure: Any, feeds: dict[str, NDArray[Any]]) -> Any:
    if isinstance(structure, dict):
        return {key: fed(value, feeds) for key, value in structure.items()}
    if isinstance(structure, list | tuple):
        return [fed(value, feeds) for value in structure]
    return tf.constant(feeds[layer_name(structure)])


def layer_name(tensor: Any) -> str:
    history = tensor._keras_history
    return str((history.operation if KERAS == "3" else history.layer).name)


def output_names(model: Any) -> list[str]:
    """The names of the output layers, a repeated one with _1, _2."""
    made: list[str] = []
    for tensor in model.outputs:
        name = layer_name(tensor)
        taken = sum(old == name or old.rsplit("_", 1)[0] == name for old in made)
        made.append(f"{name}_{taken}" if taken else name)
    return made


def run(model: Any, made: Case, rng: np.random.Generator) -> Document:
    feeds = {}
    for tensor in model.inputs:
        shape = [5 if length is None else int(length) for length in tensor.shape]
        if tensor.shape[0] is None:
            shape[0] = made.batch
        dtype = tensor.dtype if isinstance(tensor.dtype, str) else tensor.dtype.name
        name = layer_name(tensor)
        feeds[name] = values(name, tuple(shape), dtype, rng)
    structure = getattr(model, "_nested_inputs" if KERAS == "2" else "_inputs_struct", model.inputs[0])
    call = tf.function(model, jit_compile=True) if made.compiled else model
    outputs = tf.nest.flatten(call(fed(structure, feeds), training=False))
    names = output_names(model)
    assert len(outputs) == len(names)
    arrays = [output.numpy() for output in outputs]
    assert all(np.isfinite(array).all() for array in arrays), "an output is not finite"
    return {
        "inputs": [encoded(name, array) for name, array in feeds.items()],
        "outputs": [encoded(name, array) for name, array in zip(names, arrays, strict=True)],
    }


def written(made: Case) -> str:
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(zlib.crc32(made.name.encode()))
    model = made.build()
    fill(model, rng)
    document, weights = converted(model, made.archive)
    if made.edit:
        made.edit(document)
    calls = [run(model, made, rng) for _ in range(made.calls)]
    lines: Document = {"made_by": MADE_BY, "layer": made.layer, "about": made.about, "semantics": "keras"}
    if made.tolerance:
        lines["tolerance"] = made.tolerance
    lines |= {"model": document, "weights": base64.b64encode(weights).decode()}
    lines |= {"calls": calls} if made.calls > 1 else calls[0]
    texts = (f"{json.dumps(key)}: {json.dumps(value, separators=(',', ':'))}" for key, value in lines.items())
    return "{\n" + ",\n".join(texts) + "\n}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--force", action="store_true", help="overwrite cases that are there")
    parser.add_argument("--into", type=Path, default=HERE / "layers" / f"keras{KERAS}", help="folder for the cases")
    parser.add_argument("--only", nargs="*", help="names of cases")
    arguments = parser.parse_args()
    names = arguments.only or list(CASES)
    arguments.into.mkdir(parents=True, exist_ok=True)
    there = [name for name in names if (arguments.into / f"{name}.json").exists()]
    if there and not arguments.force:
        raise SystemExit(f"already there: {', '.join(there)}; --force overwrites them")
    failed = []
    for name in names:
        try:
            text = written(CASES[name])
        except Exception as error:
            failed.append(name)
            print(f"{name}: {type(error).__name__}: {str(error)[:600]}", file=sys.stderr)
            continue
        (arguments.into / f"{name}.json").write_text(text)
    print(f"{len(names) - len(failed)} cases in {arguments.into}")
    if failed:
        raise SystemExit(f"not made: {', '.join(failed)}")


if __name__ == "__main__":
    main()
