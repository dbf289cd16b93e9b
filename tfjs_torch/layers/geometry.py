"""Where windows lie: padding="same" as tf.js and TensorFlow count it (tfjs-core/src/ops/conv_util.ts)."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

Pads = list[tuple[int, int]]


def same_pads(
    sizes: Sequence[int], kernel: Sequence[int], strides: Sequence[int], dilation: Sequence[int], may_be_negative: bool
) -> Pads:
    """(before, after) of each axis so that ceil(size / stride) windows fit; the odd one goes to the end.

    Args:
        may_be_negative: tf.js' 3-D layers do not stop at 0 where windows are narrower than their strides.
    """
    pads = []
    for size, width, stride, step in zip(sizes, kernel, strides, dilation, strict=True):
        total = (-(-size // stride) - 1) * stride + (width - 1) * step + 1 - size
        if not may_be_negative:
            total = max(total, 0)
        pads.append((total // 2, total - total // 2))
    return pads


def padded(x: Tensor, pads: Pads, value: float = 0.0) -> Tensor:
    """The last axes padded (or cropped, where negative); x itself where there is nothing to do."""
    flat = [amount for pair in reversed(pads) for amount in pair]
    return F.pad(x, flat, value=value) if any(flat) else x


def symmetric(pads: Pads) -> bool:
    """Whether torch's own padding argument can say it."""
    return all(before == after and before >= 0 for before, after in pads)


def channels_first(rank: int) -> tuple[int, ...]:
    """The permutation of [N, *space, C] to [N, C, *space]."""
    return (0, rank + 1, *range(1, rank + 1))


def channels_last(rank: int) -> tuple[int, ...]:
    """The permutation of [N, C, *space] to [N, *space, C]."""
    return (0, *range(2, rank + 2), 1)
