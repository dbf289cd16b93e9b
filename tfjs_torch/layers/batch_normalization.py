"""BatchNormalization (tfjs-layers/src/layers/normalization.ts)."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

from ..errors import UnsupportedError
from ..layout import Counter
from .functions import looked_on
from .registry import Layer, Weight, register

_EPSILON: Final = 1e-7  # Keras' own, against divisions by 0
_LARGE: Final = 1 << 18  # numbers: for less, five small operations take longer than the memory that they save


@register("BatchNormalization", "BatchNormalizationV1", "BatchNormalizationV2", "SyncBatchNormalization",
          becomes="nn.BatchNorm1d, 2d or 3d")  # fmt: skip
class BatchNormalization(Layer):
    """In training, tf.js keeps the biased variance, and so does Keras but for Keras 2's images and volumes.

    Frozen (trainable=false), tf.js still takes the batch's statistics, Keras its moving ones.
    """

    passes_mask = True
    takes_mask = True
    fresh = True
    call_options = ("training",)

    def build(self) -> nn.Module:
        config = self.config
        self.takes_mask = self.keras  # type: ignore[misc]  # in training, Keras leaves masked steps out
        axes = config.axes("axis", -1)
        if len(axes) != 1:
            raise UnsupportedError(f"{self.where}: axis", f"one axis expected, found {axes}")
        scale, center = config.flag("scale", True), config.flag("center", True)
        features = self._claim(scale, center)
        module = _BATCH_NORMS[self._spatial(axes[0])](
            features, axes[0], config.number("epsilon", 1e-3, 0), 1 - config.number("momentum", 0.99), scale or center
        )
        if module.affine:
            module.weight.requires_grad_(scale)
            module.bias.requires_grad_(center)
        module.masked = self.keras
        module.frozen = self.keras and not config.flag("trainable", True)
        module.unbiased = self.keras and self.context.keras_version < 3 and config.flag("fused", True)
        module.only_predicts = self._renormalizes(module, features)
        return module

    def _claim(self, scale: bool, center: bool) -> int:
        features = self.length_of("gamma" if scale else "beta" if center else "moving_mean")
        for used, name, key, value in ((scale, "gamma", "weight", 1.0), (center, "beta", "bias", 0.0)):
            if used:
                self.weight(name, key, shape=(features,))
            elif scale or center:  # nn.BatchNorm has both or none
                self.constant(key, value, (features,))
        self.weight("moving_mean", "running_mean", shape=(features,))
        self.weight("moving_variance", "running_var", shape=(features,))
        self.weights.append(Weight((), (), ("num_batches_tracked",), Counter(), {}, keys_optional=True))
        return features

    def _spatial(self, axis: int) -> int:
        """1, 2 or 3 for nn.BatchNorm1d to 3d, from the shape if the config has it; images where nothing is known."""
        shape = self.config.get("batch_input_shape", self.config.get("batch_shape", None))
        rank = len(shape) if isinstance(shape, list) else axis + 1 if axis > 0 else 4
        return max(1, min(rank - 2, 3))

    def _renormalizes(self, module: nn.Module, features: int) -> str | None:
        """The option that changes training beyond what is computed here; its statistics are kept as buffers."""
        config = self.config
        renorm = config.keras_only("renorm", False, "plain batch normalization")
        virtual = config.keras_only("virtual_batch_size", None, "plain batch normalization")
        config.unimportant("renorm_clipping", "renorm_momentum", "synchronized", "fused")
        for name in ("renorm_mean", "renorm_stddev", "moving_stddev") if renorm else ():
            if self.has_weight(name):
                self.weight(name, name, shape=(features,))
                module.register_buffer(name, torch.empty(features, device="meta"))
        return "renorm" if renorm else "virtual_batch_size" if virtual else None


class _AlongAxis(nn.modules.batchnorm._BatchNorm):
    """nn.BatchNorm over any axis. Rows of features are what torch's kernels are as fast on as on images.

    Attributes:
        frozen: whether it keeps its statistics in training, too.
        unbiased: whether the moving variance of images and volumes is the unbiased one.
        masked: whether masked steps do not count in training.
        only_predicts: the option that keeps it from training.
        may_overwrite: whether its input is nobody else's (see planning.overwriting).
    """

    frozen = False
    may_overwrite = False
    unbiased = False
    masked = False
    only_predicts: str | None = None

    def __init__(self, features: int, axis: int, eps: float, momentum: float, affine: bool) -> None:
        super().__init__(features, eps, momentum, affine, device="meta")
        self.axis = axis

    def forward(self, input: Tensor, mask: Tensor | None = None, training: bool | None = None) -> Tensor:
        training = self.training if training is None else bool(training)
        if self.may_overwrite and not training and input.numel() >= _LARGE and self._has_no_witness(input):
            return self._overwrite(input)
        moved = input if self.axis in (-1, input.dim() - 1) else input.movedim(self.axis, -1)
        rows = moved.reshape(-1, self.num_features)
        if not training or self.frozen:
            made = torch.batch_norm(
                rows,
                self.weight,
                self.bias,
                self.running_mean,
                self.running_var,
                False,
                0.0,
                self.eps,
                torch.backends.cudnn.enabled,
            )
        else:
            counted = mask if self.masked and mask is not None and mask.shape == moved.shape[:-1] else None
            made = self._train(rows, self.unbiased and input.dim() in (4, 5), counted)
        made = made.reshape(moved.shape)
        return made if moved is input else made.movedim(-1, self.axis)

    def _has_no_witness(self, x: Tensor) -> bool:
        """Neither autograd nor a compiler looks on, nor would the numbers be rounded on the way (autocast)."""
        return not torch.is_grad_enabled() and x.dtype == self._mean.dtype and not looked_on()

    def _overwrite(self, x: Tensor) -> Tensor:
        """In prediction, one multiplication and addition in place: new memory costs more than both."""
        assert self.running_var is not None
        scale = torch.rsqrt(self.running_var + self.eps)
        scale = scale if self.weight is None else scale * self.weight
        shift = -self._mean * scale
        shift = shift if self.bias is None else shift + self.bias
        if self.axis not in (-1, x.dim() - 1):
            shape = [-1 if i == self.axis % x.dim() else 1 for i in range(x.dim())]
            scale, shift = scale.view(shape), shift.view(shape)
        return torch.addcmul(shift, x, scale, out=x)

    def _train(self, rows: Tensor, unbiased: bool, mask: Tensor | None) -> Tensor:
        if self.only_predicts:
            raise UnsupportedError(
                f"BatchNormalization: {self.only_predicts}", "eval() expected, since training with it is not built"
            )
        if mask is not None:
            return self._train_masked(rows, mask.reshape(-1, 1).to(rows.dtype))
        mean, variance = torch.zeros_like(self._mean), torch.zeros_like(self._mean)
        made = torch.batch_norm(
            rows, self.weight, self.bias, mean, variance, True, 1.0, self.eps, torch.backends.cudnn.enabled
        )
        count = rows.shape[0]
        if not unbiased:
            variance = variance * ((count - 1) / count) if count > 1 else torch.zeros_like(variance)
        self._keep(mean, variance)
        return made

    def _train_masked(self, rows: Tensor, weights: Tensor) -> Tensor:
        total = weights.sum() + _EPSILON
        mean = (rows * weights).sum(0) / total
        variance = ((rows - mean).square() * weights).sum(0) / total
        self._keep(mean.detach(), variance.detach())
        made = (rows - mean) * torch.rsqrt(variance + self.eps)
        return torch.addcmul(self.bias, made, self.weight) if self.affine else made

    @property
    def _mean(self) -> Tensor:
        assert self.running_mean is not None
        return self.running_mean

    def _keep(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        with torch.no_grad():
            self._mean.lerp_(mean.to(self._mean.dtype), self.momentum)
            self.running_var.lerp_(variance.to(self.running_var.dtype), self.momentum)
            self.num_batches_tracked.add_(1)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, axis={self.axis}"  # type: ignore[no-untyped-call]


class ChannelsLastBatchNorm1d(_AlongAxis, nn.BatchNorm1d):
    """nn.BatchNorm1d over the axis that Keras means, the last one as a rule."""


class ChannelsLastBatchNorm2d(_AlongAxis, nn.BatchNorm2d):
    """nn.BatchNorm2d over the axis that Keras means, the last one as a rule."""


class ChannelsLastBatchNorm3d(_AlongAxis, nn.BatchNorm3d):
    """nn.BatchNorm3d over the axis that Keras means, the last one as a rule."""


_BATCH_NORMS: Final[dict[int, type[_AlongAxis]]] = {
    1: ChannelsLastBatchNorm1d, 2: ChannelsLastBatchNorm2d, 3: ChannelsLastBatchNorm3d,
}  # fmt: skip
