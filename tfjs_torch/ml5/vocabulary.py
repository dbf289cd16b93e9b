"""Names that the two TensorFlow.js know which ml5 brings: 1.7.4 in ml5 0.12.2, and 4.22.0 in ml5 1.4.0. No torch.

Classes: what tf.serialization.registerClass is called with in each bundle. All else: measured in both. The names
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
# Layers that stand in for an activation of that name, which no tf.js knows in this spelling.
_LAYERS_AS_ACTIVATIONS: Final = "ELU LeakyReLU PReLU ReLU Softmax ThresholdedReLU"

_INITIALIZERS: Final = """
Constant GlorotNormal GlorotUniform HeNormal HeUniform Identity LeCunNormal LeCunUniform Ones Orthogonal RandomNormal
RandomUniform TruncatedNormal VarianceScaling Zeros
"""
_INITIALIZERS_AS_TEXT: Final = """
glorot_normal glorot_uniform he_normal he_uniform identity le_cun_normal le_cun_uniform ones orthogonal random_normal
random_uniform truncated_normal variance_scaling zeros
"""
_METRICS: Final = """
acc accuracy binary_accuracy categorical_accuracy categorical_crossentropy ce cosine crossentropy mae mape mse precision
sparse_categorical_crossentropy
"""
_LOSSES: Final = """
binary_crossentropy categorical_crossentropy categorical_hinge cosine_proximity hinge kullback_leibler_divergence
logcosh mean_absolute_error mean_absolute_percentage_error mean_squared_error mean_squared_logarithmic_error poisson
sparse_categorical_crossentropy squared_hinge
"""

LAYERS: Final = {
    "0.x": frozenset(_LAYERS_OF_BOTH.split()),
    "1.x": frozenset((_LAYERS_OF_BOTH + _LAYERS_OF_1X).split()),
}
ACTIVATIONS: Final = {
    "0.x": frozenset(_ACTIVATIONS_OF_BOTH.split()),
    "1.x": frozenset(f"{_ACTIVATIONS_OF_BOTH} {_ACTIVATIONS_OF_1X}".split()),
}
LAYERS_AS_ACTIVATIONS: Final = frozenset(_LAYERS_AS_ACTIVATIONS.split())
INITIALIZERS: Final = frozenset(_INITIALIZERS.split())
INITIALIZERS_AS_TEXT: Final = frozenset(_INITIALIZERS_AS_TEXT.split())
REGULARIZERS: Final = frozenset({"L1L2"})
CONSTRAINTS: Final = frozenset(["MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm"])
METRICS: Final = frozenset(_METRICS.split())
LOSSES: Final = frozenset(_LOSSES.split())
# tf.js' optimizers, and the options without which 4.22 cannot make one.
OPTIMIZERS: Final = {
    "SGD": (), "Adagrad": (), "Adadelta": (), "RMSProp": ("learning_rate",), "Momentum": ("momentum",),
    "Adam": ("beta_1", "beta_2"), "Adamax": ("beta_1", "beta_2"),
}  # fmt: skip
FEEDS: Final = frozenset({"float32", "int32", "bool"})  # types of an input that tf.js gives float32 to

# What lies between the layer whose units are the labels and the answers, and takes every unit alike.
_ALIKE: Final = """
Activation Softmax Dropout AlphaDropout GaussianDropout GaussianNoise LeakyReLU ReLU ELU ThresholdedReLU
GlobalAveragePooling1D GlobalAveragePooling2D GlobalMaxPooling1D GlobalMaxPooling2D
"""
# The same with one number a unit in each of its weights.
_A_NUMBER: Final = "BatchNormalization PReLU"
# Layers whose kernels have the units as their last axis.
_LAST: Final = "Dense Conv1D Conv2D SeparableConv2D"
# Layers that take an activity_regularizer, and layers that cannot be made before the last size of their input is known.
_WITH_ACTIVITY: Final = "Conv1D Conv2D Conv2DTranspose Conv3D Dense DepthwiseConv2D Embedding SeparableConv2D"
_WITH_KERNEL: Final = f"{_LAST} Bidirectional Conv2DTranspose Conv3D DepthwiseConv2D GRU LSTM SimpleRNN"

UNITS_ALIKE: Final = frozenset(_ALIKE.split())
A_NUMBER_A_UNIT: Final = frozenset(_A_NUMBER.split())
UNITS_LAST: Final = frozenset(_LAST.split())
WITH_ACTIVITY: Final = frozenset(_WITH_ACTIVITY.split())
WITH_KERNEL: Final = frozenset(_WITH_KERNEL.split())
