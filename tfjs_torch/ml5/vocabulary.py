"""Names that the two TensorFlow.js know which ml5 brings: 1.7.4 in ml5 0.12.2, and 4.22.0 in ml5 1.4.0. No torch.

Classes: what tf.serialization.registerClass is called with in each bundle. Activations: measured in both. The names
stand in one text each because they are tf.js' words here, not classes that this package builds.
"""

from __future__ import annotations

from typing import Final

_LAYERS_OF_BOTH: Final = """
Activation Add AlphaDropout Average AveragePooling1D AveragePooling2D AveragePooling3D BatchNormalization Bidirectional
Concatenate Conv1D Conv2D Conv2DTranspose Conv3D Cropping2D Dense DepthwiseConv2D Dot Dropout ELU Embedding Flatten GRU
GRUCell GaussianDropout GaussianNoise GlobalAveragePooling1D GlobalAveragePooling2D GlobalMaxPooling1D
GlobalMaxPooling2D InputLayer LSTM LSTMCell LayerNormalization LeakyReLU Masking MaxPooling1D MaxPooling2D MaxPooling3D
Maximum Minimum Model Multiply PReLU Permute RNN ReLU RepeatVector Reshape SeparableConv2D Sequential SimpleRNN
SimpleRNNCell Softmax SpatialDropout1D StackedRNNCells ThresholdedReLU TimeDistributed UpSampling2D ZeroPadding2D
"""
_LAYERS_OF_1X: Final = """
CategoryEncoding CenterCrop Conv3DTranspose ConvLSTM2D ConvLSTM2DCell Functional RandomWidth Rescaling Resizing
"""
_ACTIVATIONS_OF_BOTH: Final = """
elu hard_sigmoid linear log_softmax relu relu6 selu sigmoid softmax softplus softsign tanh
"""
_ACTIVATIONS_OF_1X: Final = "swish mish gelu gelu_new"

LAYERS: Final = {
    "0.x": frozenset(_LAYERS_OF_BOTH.split()),
    "1.x": frozenset((_LAYERS_OF_BOTH + _LAYERS_OF_1X).split()),
}
ACTIVATIONS: Final = {
    "0.x": frozenset(_ACTIVATIONS_OF_BOTH.split()),
    "1.x": frozenset(f"{_ACTIVATIONS_OF_BOTH} {_ACTIVATIONS_OF_1X}".split()),
}

# What lies between the layer whose units are the labels and the answers, and takes every unit alike.
_ALIKE: Final = """
Activation Softmax Dropout AlphaDropout GaussianDropout GaussianNoise LeakyReLU ReLU ELU ThresholdedReLU
GlobalAveragePooling1D GlobalAveragePooling2D GlobalMaxPooling1D GlobalMaxPooling2D
"""
# The same with one number a unit in each of its weights.
_A_NUMBER: Final = "BatchNormalization PReLU"
# Layers whose kernels have the units as their last axis.
_LAST: Final = "Dense Conv1D Conv2D SeparableConv2D"

UNITS_ALIKE: Final = frozenset(_ALIKE.split())
A_NUMBER_A_UNIT: Final = frozenset(_A_NUMBER.split())
UNITS_LAST: Final = frozenset(_LAST.split())
