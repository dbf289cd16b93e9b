"""Why modules of torch have no rule: what a user who meets them should know."""

from __future__ import annotations

from typing import Any, Final

from torch import nn

_ATTENTION: Final = "tf.js registers no attention layer"
_GRU: Final = "tf.js' GRU resets the state before the recurrent product, torch's behind it; no weights make them equal"
_UNFAMILIAR: Final = "tf.js has no activation of this formula"

REASONS: Final[dict[type, str]] = {
    nn.GRU: _GRU,
    nn.GRUCell: _GRU,
    nn.LSTMCell: "tf.js unrolls no cells; use nn.LSTM",
    nn.RNNCell: "tf.js unrolls no cells; use nn.RNN",
    nn.MultiheadAttention: _ATTENTION,
    nn.Transformer: _ATTENTION,
    nn.TransformerEncoder: _ATTENTION,
    nn.TransformerEncoderLayer: _ATTENTION,
    nn.TransformerDecoder: _ATTENTION,
    nn.TransformerDecoderLayer: _ATTENTION,
    nn.GroupNorm: "tf.js registers no layer that normalises groups of channels",
    nn.RMSNorm: "tf.js registers no layer that divides by the root of the mean square",
    nn.LocalResponseNorm: "tf.js registers no layer that normalises over neighbouring channels",
    nn.CrossMapLRN2d: "tf.js registers no layer that normalises over neighbouring channels",
    nn.Hardswish: _UNFAMILIAR,
    nn.Hardsigmoid: "tf.js' hard_sigmoid is 0.2 x + 0.5, torch's x / 6 + 0.5",
    nn.LogSigmoid: _UNFAMILIAR,
    nn.Tanhshrink: _UNFAMILIAR,
    nn.Softshrink: _UNFAMILIAR,
    nn.Hardshrink: _UNFAMILIAR,
    nn.GLU: _UNFAMILIAR,
    nn.Softmin: _UNFAMILIAR,
    nn.PixelShuffle: "tf.js has no layer that moves channels into space",
    nn.PixelUnshuffle: "tf.js has no layer that moves space into channels",
    nn.ChannelShuffle: "tf.js has no layer that shuffles channels",
    nn.ReflectionPad2d: "tf.js pads with zeros only",
    nn.ReplicationPad2d: "tf.js pads with zeros only",
    nn.CircularPad2d: "tf.js pads with zeros only",
    nn.ReflectionPad1d: "tf.js pads with zeros only",
    nn.ReplicationPad1d: "tf.js pads with zeros only",
    nn.UpsamplingBilinear2d: "tf.js' bilinear UpSampling2D lays its grid in another way",
    nn.Bilinear: "tf.js has no layer for it",
    nn.EmbeddingBag: "tf.js' Embedding does not sum; use nn.Embedding and a mean",
    nn.MaxUnpool2d: "tf.js has no layer that knows where a maximum was",
    nn.LPPool2d: "tf.js pools with means and maxima only",
    nn.FractionalMaxPool2d: "it is random in torch, and tf.js has no such layer",
}
RANDOM: Final = (
    "rand", "randn", "randint", "rand_like", "randn_like", "randint_like", "randperm", "normal", "bernoulli",
    "multinomial", "normal_", "uniform_", "bernoulli_", "poisson",
)  # fmt: skip


def reason(target: Any) -> str:
    """In a sentence, for a module or a function that has no rule."""
    known = REASONS.get(type(target)) if isinstance(target, nn.Module) else None
    if known:
        return known
    if isinstance(target, nn.Module):
        return f"a module that layers of tf.js can express expected, found {type(target).__name__}"
    name = target if isinstance(target, str) else getattr(target, "__name__", str(target))
    return f"an operation that layers of tf.js can express expected, found {name}"
