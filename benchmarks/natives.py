"""The networks as a torch user writes them: stock modules, channels first, submodules called as the layers are."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Final

import torch
from torch import Tensor, nn

from .networks import (
    BOTTOM,
    CHARACTERS,
    EXPANSION,
    FEATURES,
    STAGES,
    STEM,
    UNET,
    UNITS,
    Block,
    blocks,
)  # fmt: skip


class Residual(nn.Sequential):
    def forward(self, input: Tensor) -> Tensor:
        return input + super().forward(input)  # type: ignore[no-any-return,no-untyped-call]


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down, self.grow, self.up = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        self.pool = nn.MaxPool2d(2)
        channels = 3
        for i, filters in enumerate(UNET):
            self.down.append(_twice(f"down{i}", channels, filters))
            channels = filters
        self.bottom, channels = _twice("bottom", channels, BOTTOM), BOTTOM
        for i, filters in reversed(list(enumerate(UNET))):
            self.grow.append(_named({f"up{i}_grow": nn.ConvTranspose2d(channels, filters, 2, 2)}))
            self.up.append(_twice(f"up{i}", 2 * filters, filters))
            channels = filters
        self.end = _named({"mask": nn.Conv2d(channels, 1, 1), "sigmoid": nn.Sigmoid()})

    def forward(self, x: Tensor) -> Tensor:
        skipped = []
        for down in self.down:
            x = down(x)
            skipped.append(x)
            x = self.pool(x)
        x = self.bottom(x)
        for grow, up in zip(self.grow, self.up, strict=True):
            x = up(torch.cat([skipped.pop(), grow(x)], 1))
        return self.end(x)  # type: ignore[no-any-return]


class TextGenerator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm_1 = nn.LSTM(CHARACTERS, UNITS, batch_first=True)
        self.lstm_2 = nn.LSTM(UNITS, UNITS, batch_first=True)
        self.dense = nn.Linear(UNITS, CHARACTERS)

    def forward(self, x: Tensor) -> Tensor:
        x, _ = self.lstm_1(x)
        x, _ = self.lstm_2(x)
        return torch.softmax(self.dense(x[:, -1]), -1)


def teachable_machine() -> nn.Module:
    stem = {
        "Conv1_pad": nn.ZeroPad2d((0, 1, 0, 1)), "Conv1": nn.Conv2d(3, STEM, 3, 2, bias=False),
        "bn_Conv1": _norm(STEM), "Conv1_relu": _relu6(),
    }  # fmt: skip
    end = {
        "Conv_1": nn.Conv2d(STAGES[-1][1], FEATURES, 1, bias=False), "Conv_1_bn": _norm(FEATURES), "out_relu": _relu6(),
        "mean": nn.AdaptiveAvgPool2d(1), "flat": nn.Flatten(),
        "dense_Dense1": nn.Linear(FEATURES, 100), "relu": nn.ReLU(inplace=True),
        "dense_Dense2": nn.Linear(100, 3, bias=False), "softmax": nn.Softmax(-1),
    }  # fmt: skip
    return nn.Sequential(_named(stem), *map(_block, blocks()), _named(end))


def classifier() -> nn.Module:
    layers = {"dense_1": nn.Linear(42, 16), "relu": nn.ReLU(inplace=True), "dense_2": nn.Linear(16, 3)}
    return _named({**layers, "softmax": nn.Softmax(-1)})


def _block(block: Block) -> nn.Sequential:
    prefix, channels = block.prefix, block.inputs
    layers: dict[str, nn.Module] = {}
    if block.expands:
        channels *= EXPANSION
        layers[f"{prefix}_expand"] = nn.Conv2d(block.inputs, channels, 1, bias=False)
        layers |= {f"{prefix}_expand_BN": _norm(channels), f"{prefix}_expand_relu": _relu6()}
    if block.stride == 2:
        layers[f"{prefix}_pad"] = nn.ZeroPad2d((0, 1, 0, 1))
    padding = 0 if block.stride == 2 else 1
    layers[f"{prefix}_depthwise"] = nn.Conv2d(channels, channels, 3, block.stride, padding, groups=channels, bias=False)
    layers |= {f"{prefix}_depthwise_BN": _norm(channels), f"{prefix}_depthwise_relu": _relu6()}
    layers[f"{prefix}_project"] = nn.Conv2d(channels, block.filters, 1, bias=False)
    layers[f"{prefix}_project_BN"] = _norm(block.filters)
    return (Residual if block.adds else nn.Sequential)(OrderedDict(layers))


def _twice(prefix: str, channels: int, filters: int) -> nn.Sequential:
    first, second = nn.Conv2d(channels, filters, 3, padding=1), nn.Conv2d(filters, filters, 3, padding=1)
    relu = nn.ReLU(inplace=True)
    return _named({f"{prefix}_a": first, "relu_a": relu, f"{prefix}_b": second, "relu_b": relu})


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=0.001, momentum=0.001)


def _relu6() -> nn.ReLU6:
    return nn.ReLU6(inplace=True)  # as torchvision's MobileNetV2 has it


def _named(layers: Mapping[str, nn.Module]) -> nn.Sequential:
    return nn.Sequential(OrderedDict(layers))


NATIVES: Final[dict[str, Callable[[], nn.Module]]] = {
    "Teachable Machine": teachable_machine,
    "U-Net": UNet,
    "LSTM": TextGenerator,
    "LSTM hard_sigmoid": TextGenerator,  # other numbers, the same amount of work
    "ml5 classifier": classifier,
}


def filled(name: str, state_dict: Mapping[str, Tensor]) -> nn.Module:
    """A native network in evaluation mode, with the weights of ours: `<...>.<layer>.<key>` on both sides."""
    module = NATIVES[name]()
    by_layer = {tuple(key.split(".")[-2:]): tensor.clone() for key, tensor in state_dict.items()}
    module.load_state_dict({key: by_layer[tuple(key.split(".")[-2:])] for key in module.state_dict()})
    return module.eval()
