"""The README's table of supported layers, made from the registry: `python tests/layer_table.py` renews it."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from tfjs_torch import supported_layers

README = Path(__file__).resolve().parents[1] / "README.md"
MARKS = re.compile(r"(?<=<!-- layers -->\n).*(?=<!-- /layers -->)", re.DOTALL)

# What tf.js 4.22 registers (tf.serialization.SerializationMap), less what is no layer: initializers, optimizers, ...
REGISTERED_BY_TFJS = [
    "Activation", "Add", "AlphaDropout", "Average", "AveragePooling1D", "AveragePooling2D", "AveragePooling3D",
    "BatchNormalization", "Bidirectional", "CategoryEncoding", "CenterCrop", "Concatenate", "Conv1D", "Conv2D",
    "Conv2DTranspose", "Conv3D", "Conv3DTranspose", "ConvLSTM2D", "ConvLSTM2DCell", "Cropping2D", "Dense",
    "DepthwiseConv2D", "Dot", "Dropout", "ELU", "Embedding", "Flatten", "Functional", "GRU", "GRUCell",
    "GaussianDropout", "GaussianNoise", "GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalMaxPooling1D",
    "GlobalMaxPooling2D", "InputLayer", "LSTM", "LSTMCell", "LayerNormalization", "LeakyReLU", "Masking",
    "MaxPooling1D", "MaxPooling2D", "MaxPooling3D", "Maximum", "Minimum", "Model", "Multiply", "PReLU", "Permute",
    "RNN", "RandomWidth", "ReLU", "RepeatVector", "Rescaling", "Reshape", "Resizing", "SeparableConv2D", "Sequential",
    "SimpleRNN", "SimpleRNNCell", "Softmax", "SpatialDropout1D", "StackedRNNCells", "ThresholdedReLU",
    "TimeDistributed", "UpSampling2D", "ZeroPadding2D",
]  # fmt: skip


def table() -> str:
    """One row for each thing that layers become; those that tf.js itself refuses are in italics."""
    rows: dict[str, list[str]] = {}
    for name, becomes in supported_layers().items():
        rows.setdefault(becomes, []).append(name if name in REGISTERED_BY_TFJS else f"*{name}*")
    lines = [
        f"| {', '.join(names)} | {becomes} |"
        for becomes, names in sorted(rows.items(), key=lambda row: row[1][0].strip("*"))
    ]
    return "\n".join(["| class | in torch |", "|---|---|", *lines, ""])


if __name__ == "__main__":
    text = README.read_text()
    if not MARKS.search(text):
        sys.exit("README.md: <!-- layers --> expected, found none")
    renewed = MARKS.sub(lambda _: table(), text)
    if "--check" in sys.argv and renewed != text:
        sys.exit("README.md: another table of layers expected; python tests/layer_table.py renews it")
    README.write_text(renewed)
