"""Rescaling, Resizing, CenterCrop, CategoryEncoding and the random layers (tfjs-layers/src/layers/preprocessing).

A model of tf.js with Resizing, CenterCrop, CategoryEncoding or RandomWidth cannot predict; what they compute in tf.js'
semantics is what `layer.apply(tensor)` gives.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor, nn

from ..errors import MismatchError, UnsupportedError
from .registry import Layer, register
from .resampling import CORNERS, HALF, KERNELS, LEGACY, Sampling, cropped, padded_to_fit, resized, resized_to_fit

_METHODS: Final = ("bilinear", "nearest")  # tf.js'
_ALL_METHODS: Final = ("nearest", "area", *KERNELS)


@register("Rescaling", becomes="x * scale + offset")
class Rescaling(Layer):
    def passes(self) -> bool:
        return self.keras and self.context.keras_version >= 3

    def build(self) -> nn.Module:
        return Rescale(self._numbers("scale", 1.0), self._numbers("offset", 0.0))

    def _numbers(self, key: str, default: float) -> Tensor:
        found = self.config.value(key, default)
        try:
            return torch.tensor(found, dtype=torch.float32)
        except (TypeError, ValueError, RuntimeError):
            raise self.config.wrong(key, "a number or numbers", found) from None


class Rescale(nn.Module):
    """x * scale + offset."""

    scale: Tensor
    offset: Tensor

    def __init__(self, scale: Tensor, offset: Tensor) -> None:
        super().__init__()
        self.register_buffer("scale", scale, persistent=False)
        self.register_buffer("offset", offset, persistent=False)

    def forward(self, input: Tensor) -> Tensor:
        return input * self.scale + self.offset

    def extra_repr(self) -> str:
        return f"scale={self.scale.tolist()}, offset={self.offset.tolist()}"


@register("Resizing", becomes="F.interpolate")
class Resizing(Layer):
    def build(self) -> nn.Module:
        config = self.config
        height, width = config.integer("height", least=1), config.integer("width", least=1)
        crops = config.flag("crop_to_aspect_ratio", False)
        pads = config.keras_only("pad_to_aspect_ratio", False, "an image without margins")
        antialias = bool(config.keras_only("antialias", False, "an image that is not smoothed"))
        fill = config.number("fill_value", 0.0)
        config.text("fill_mode", "constant", ("constant",))
        first = config.channels_first()
        method = config.text("interpolation", "bilinear", _ALL_METHODS)
        if not self.keras and method in _METHODS:  # tf.js throws at the others
            config.quirk("tf.js aligns corners unless crop_to_aspect_ratio is set, and never crops; not so Keras")
            return Resize(height, width, Sampling(method, LEGACY if crops else CORNERS))
        fit = "crop" if crops else "pad" if pads else ""
        return Resize(height, width, Sampling(method, HALF, antialias and method != "nearest"), fit, fill, first)


class Resize(nn.Module):
    """Images in a fixed size.

    Args:
        fit: "crop" or "pad" to keep the sides' ratio, or "".
        first: channels come first.
    """

    def __init__(
        self, height: int, width: int, how: Sampling, fit: str = "", fill: float = 0.0, first: bool = False
    ) -> None:
        super().__init__()
        self.height, self.width, self.how, self.fit, self.fill, self.first = height, width, how, fit, fill, first

    def forward(self, input: Tensor) -> Tensor:
        images = input.movedim(-3, -1) if self.first else input
        if self.fit == "crop":
            made = resized_to_fit(images, self.height, self.width, self.how)
        elif self.fit == "pad":
            made = padded_to_fit(images, self.height, self.width, self.fill, self.how)
        elif images.shape[-3:-1] == (self.height, self.width):
            made = images
        else:
            made = resized(images, self.height, self.width, self.how)
        return made.movedim(-1, -3) if self.first else made

    def extra_repr(self) -> str:
        return f"height={self.height}, width={self.width}, {self.how}, fit={self.fit!r}"


@register("CenterCrop", becomes="a slice")
class CenterCrop(Layer):
    def build(self) -> nn.Module:
        config = self.config
        height, width = config.integer("height", least=1), config.integer("width", least=1)
        first = config.channels_first() and self.keras
        if not self.keras:
            config.quirk("tf.js cuts the left one of two columns, and resizes what is too small without half pixels")
        return Crop(height, width, self.keras, first)


class Crop(nn.Module):
    """The middle of an image; one that is too small is resized."""

    def __init__(self, height: int, width: int, keras: bool, first: bool) -> None:
        super().__init__()
        self.height, self.width, self.keras, self.first = height, width, keras, first

    def forward(self, input: Tensor) -> Tensor:
        images = input.movedim(-3, -1) if self.first else input
        rows, columns = images.shape[-3:-1]
        if rows >= self.height and columns >= self.width:
            if columns == self.width + 1 and not self.keras:  # tf.js moves by at least one column
                images = images[..., 1:, :]
            made = cropped(images, self.height, self.width)
        elif self.keras:
            made = resized_to_fit(images, self.height, self.width, Sampling("bilinear"))
        else:
            made = resized(images, self.height, self.width, Sampling("bilinear", LEGACY))
        return made.movedim(-1, -3) if self.first else made

    def extra_repr(self) -> str:
        return f"height={self.height}, width={self.width}"


@register("CategoryEncoding", becomes="F.one_hot")
class CategoryEncoding(Layer):
    takes_ids = True
    any_length = True  # tf.js writes num_tokens in its place
    call_options = ("count_weights",)

    def build(self) -> nn.Module:
        config = self.config
        tokens = config.integer("num_tokens" if "num_tokens" in config else "max_tokens", least=1)
        mode = config.text("output_mode", "multi_hot", ("multi_hot", "one_hot", "count", "int", "binary"))
        config.unimportant("sparse", "max_tokens")
        checks = not (self.keras and self.context.keras_version >= 3 and mode == "one_hot")
        return Encoding(tokens, "multi_hot" if mode == "binary" else mode, checks)


class Encoding(nn.Module):
    """Whole numbers as vectors, one element for each number that may come.

    Args:
        checks: whether numbers out of range are an error; else they count as nothing.
    """

    def __init__(self, tokens: int, mode: str, checks: bool) -> None:
        super().__init__()
        self.tokens, self.mode, self.checks = tokens, mode, checks

    def forward(self, input: Tensor, count_weights: Tensor | None = None) -> Tensor:
        ids = input.long()
        dtype = input.dtype if input.is_floating_point() else torch.get_default_dtype()
        if self.checks and not torch.compiler.is_compiling() and bool(((ids < 0) | (ids >= self.tokens)).any()):
            raise MismatchError("CategoryEncoding", f"numbers from 0 to below {self.tokens} expected, found others")
        if self.mode == "int":
            return ids.to(dtype)
        if self.mode == "one_hot" and ids.dim() > 1 and ids.shape[-1] == 1:
            ids = ids[..., 0]
        hot = (ids[..., None] == torch.arange(self.tokens, device=ids.device)).to(dtype)
        if self.mode == "one_hot":
            return hot
        if self.mode == "multi_hot":
            return hot.amax(-2)
        return (hot if count_weights is None else hot * count_weights[..., None].to(dtype)).sum(-2)

    def extra_repr(self) -> str:
        return f"tokens={self.tokens}, mode={self.mode!r}"


@register("RandomWidth", "RandomHeight", becomes="another width or height while training")
class RandomSide(Layer):
    def build(self) -> nn.Module:
        factor = self.config.value("factor")
        lower, upper = factor if isinstance(factor, list) and len(factor) == 2 else (factor, factor)
        if not all(isinstance(x, (int, float)) and x > -1 for x in (lower, upper)):
            raise self.config.wrong("factor", "a number above -1, or two", factor)
        if not isinstance(factor, list):
            lower = -upper
        method = self.config.text("interpolation", "bilinear", _ALL_METHODS)
        self.config.unimportant("seed")
        if not self.keras:
            self.config.quirk("tf.js changes the side at inference too, Keras while training only")
        axis = -3 if "Height" in self.node.class_name else -2
        how = Sampling(method, HALF if self.keras or method not in _METHODS else LEGACY)
        return RandomResize(axis, 1 + lower, 1 + upper, how, not self.keras)


class RandomResize(nn.Module):
    """Another width or height for each batch, drawn evenly between two factors.

    Args:
        always: in evaluation mode, too.
    """

    def __init__(self, axis: int, lower: float, upper: float, how: Sampling, always: bool) -> None:
        super().__init__()
        self.axis, self.lower, self.upper, self.how, self.always = axis, lower, upper, how, always

    def forward(self, input: Tensor) -> Tensor:
        if not self.training and not self.always:
            return input
        factor = self.lower
        if self.lower < self.upper:
            factor += (self.upper - self.lower) * float(torch.rand(()))
        exact, (rows, columns) = factor * input.shape[self.axis], input.shape[-3:-1]
        size = max(int(exact + 0.5) if self.always else int(exact), 1)
        return resized(input, rows, size, self.how) if self.axis == -2 else resized(input, size, columns, self.how)

    def extra_repr(self) -> str:
        return f"axis={self.axis}, lower={self.lower:g}, upper={self.upper:g}"


@register("RandomFlip", becomes="flips while training")
class RandomFlip(Layer):
    def build(self) -> nn.Module:
        modes = ("horizontal_and_vertical", "horizontal", "vertical")
        mode = self.config.text("mode", modes[0], modes)
        self.config.unimportant("seed", "value_range")
        return Flip("horizontal" in mode, "vertical" in mode, self.config.channels_first())


class Flip(nn.Module):
    """While training, turns each image round with a chance of one half."""

    def __init__(self, horizontal: bool, vertical: bool, first: bool) -> None:
        super().__init__()
        rows, columns = (-2, -1) if first else (-3, -2)
        self.axes = [axis for axis, used in ((columns, horizontal), (rows, vertical)) if used]

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return input
        for axis in self.axes:
            drawn = torch.rand([*input.shape[:-3], 1, 1, 1], device=input.device) < 0.5
            input = torch.where(drawn, input.flip(axis), input)
        return input


@register("RandomRotation", "RandomZoom", "RandomContrast", "RandomTranslation", "RandomBrightness",
          "RandomSaturation", "RandomHue", "RandomGrayscale", "RandomColorJitter", "RandomSharpness", "RandomShear",
          "RandomPerspective", "RandomErasing", "RandomGaussianBlur", "RandomInvert", "RandomPosterization",
          "RandomColorDegeneration", "RandomElasticTransform", "AugMix", "RandAugment", "CutMix", "MixUp",
          becomes="nn.Identity that refuses to train")  # fmt: skip
class RandomImage(Layer):
    def build(self) -> nn.Module:
        self.config.unimportant(*self.node.config)  # they tell how it changes images while training
        return OnlyPredicts(self.where)


class OnlyPredicts(nn.Identity):
    """Hands its input on, and cannot train."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self.where = where

    def forward(self, input: Any) -> Any:
        if self.training:
            raise UnsupportedError(
                self.where, "eval() expected, since what this layer does while training is not built; "
                "change the images before the model instead",
            )  # fmt: skip
        return input
