"""A layer that tf.js does not know, taught to load_model: python samples/custom_layer.py MODEL

In JavaScript somebody wrote a class that tf.js calls "Antirectifier" (it is in the tf.js examples): it centres its
input, normalises it, and gives the positive and the negative part side by side. Here is the same in torch.
"""

from __future__ import annotations

import sys

import torch
from torch import Tensor, nn

from tfjs_torch import load_model
from tfjs_torch.layers import Layer, register


@register("Antirectifier", becomes="relu(x) and relu(-x), side by side")
class Antirectifier(Layer):
    def build(self) -> nn.Module:  # options: self.config.number("rate", 0.5); weights: self.weight("kernel", "weight")
        return Module()


class Module(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.normalize(x - x.mean(1, keepdim=True), dim=1)
        return torch.cat([x.relu(), (-x).relu()], -1)


if __name__ == "__main__":
    print(load_model(sys.argv[1]))
