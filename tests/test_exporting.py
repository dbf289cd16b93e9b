"""export_model: real tf.js computes with the exported files what torch computes, or an error says why not."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.fx
import torch.nn.functional as F
from helpers import SAMPLES
from judges import TfjsJudge
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from tfjs_torch import Artifacts, MismatchError, UnsupportedError, load_file, read_artifacts
from tfjs_torch.cli import main
from tfjs_torch.exporting import export_model

Shape = tuple[int, ...]
Case = tuple[Callable[[], nn.Module], Any]

IMAGE = (3, 8, 8)
BATCH = 7


class Does(nn.Module):
    """A forward() as a function of the module and its inputs, over submodules given by name."""

    def __init__(self, forward: Callable[..., Any], **parts: Any) -> None:
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)
        self.does = forward

    def forward(self, x: Tensor) -> Any:
        return self.does(self, x)


class Does2(Does):
    def forward(self, x: Tensor, y: Tensor) -> Any:  # type: ignore[override]
        return self.does(self, x, y)


def fresh(kind: type[Does], forward: Callable[..., Any], parts: dict[str, Callable[[], Any]]) -> nn.Module:
    return kind(forward, **{name: part() for name, part in parts.items()})


def does(forward: Callable[..., Any], shape: Any, **parts: Callable[[], Any]) -> Case:
    kind = Does2 if isinstance(shape, list) else Does
    return lambda: fresh(kind, forward, parts), shape


def chain(shape: Any, *parts: Callable[[], nn.Module]) -> Case:
    return lambda: nn.Sequential(*(part() for part in parts)), shape


def conv(*args: Any, **options: Any) -> Callable[[], nn.Module]:
    return lambda: nn.Conv2d(*args, **options)


def made(kind: Callable[..., nn.Module], *args: Any, **options: Any) -> Callable[[], nn.Module]:
    return lambda: kind(*args, **options)


MODULES: dict[str, Case] = {
    "linear": chain((5,), made(nn.Linear, 5, 4)),
    "linear without bias": chain((5,), made(nn.Linear, 5, 4, bias=False)),
    "linear on sequences": chain((7, 5), made(nn.Linear, 5, 4)),
    "conv": chain(IMAGE, conv(3, 4, 3)),
    "conv, padding as much as same": chain(IMAGE, conv(3, 4, 3, padding=1)),
    "conv, same padding": chain(IMAGE, conv(3, 4, 5, padding="same")),
    "conv, stride 2 and padding on even sizes": chain(IMAGE, conv(3, 4, 3, stride=2, padding=1)),
    "conv, uneven padding": chain(IMAGE, conv(3, 4, (3, 5), stride=(1, 2), padding=(2, 1), bias=False)),
    "conv, dilated": chain(IMAGE, conv(3, 4, 3, dilation=2, padding=2)),
    "conv, dilated with stride": chain((3, 9, 8), conv(3, 4, 3, dilation=2, stride=2, padding=2)),
    "depthwise": chain(IMAGE, conv(3, 3, 3, groups=3, stride=2, padding=1)),
    "depthwise, two a channel": chain(IMAGE, conv(3, 6, 3, groups=3, padding=1, bias=False)),
    "conv1d": chain((3, 9), made(nn.Conv1d, 3, 4, 3, stride=2, padding=1)),
    "conv1d, dilated": chain((3, 9), made(nn.Conv1d, 3, 4, 3, dilation=2)),
    "depthwise conv1d": chain((3, 9), made(nn.Conv1d, 3, 6, 3, stride=2, groups=3, padding=1)),
    "conv3d": chain((2, 4, 5, 6), made(nn.Conv3d, 2, 3, 3, padding=1)),
    "conv3d, stride 2 and padding": chain((2, 4, 5, 6), made(nn.Conv3d, 2, 3, 3, stride=2, padding=(1, 0, 1))),
    "transposed": chain(IMAGE, made(nn.ConvTranspose2d, 3, 4, 4, stride=2, padding=1)),
    "transposed, output_padding": chain(IMAGE, made(nn.ConvTranspose2d, 3, 4, 3, 2, 1, output_padding=1)),
    "transposed, stride over kernel": chain(IMAGE, made(nn.ConvTranspose2d, 3, 4, 2, stride=3)),
    "transposed, uneven": chain((3, 4, 6), made(nn.ConvTranspose2d, 3, 4, (3, 2), (1, 2), (1, 0), bias=False)),
    "transposed 1d": chain((3, 6), made(nn.ConvTranspose1d, 3, 4, 4, stride=2, padding=1)),
    "transposed 3d": chain((2, 3, 4, 3), made(nn.ConvTranspose3d, 2, 3, 3, stride=2, padding=1, output_padding=1)),
    "batch norm": chain((5,), made(nn.BatchNorm1d, 5)),
    "batch norm of images": chain(IMAGE, made(nn.BatchNorm2d, 3, eps=1e-4)),
    "batch norm of sequences": chain((3, 7), made(nn.BatchNorm1d, 3, affine=False)),
    "batch norm of volumes": chain((2, 3, 4, 3), made(nn.BatchNorm3d, 2)),
    "layer norm": chain((7, 5), made(nn.LayerNorm, 5)),
    "layer norm over images": chain(IMAGE, made(nn.LayerNorm, IMAGE)),
    "layer norm over space": chain(IMAGE, made(nn.LayerNorm, (8, 8), elementwise_affine=False)),
    "instance norm": chain(IMAGE, made(nn.InstanceNorm2d, 3, affine=True)),
    "instance norm, plain": chain(IMAGE, made(nn.InstanceNorm2d, 3)),
    "instance norm of sequences": chain((3, 7), made(nn.InstanceNorm1d, 3, affine=True)),
    "instance norm of volumes": chain((2, 3, 4, 3), made(nn.InstanceNorm3d, 2)),
    "instance norm, tracked": chain(IMAGE, made(nn.InstanceNorm2d, 3, track_running_stats=True)),
    "max pool": chain(IMAGE, made(nn.MaxPool2d, 2)),
    "max pool, padded": chain(IMAGE, made(nn.MaxPool2d, 3, 2, 1)),
    "max pool, padded behind relu": chain(IMAGE, nn.ReLU, made(nn.MaxPool2d, 3, 2, 1)),
    "max pool, padded, even window behind relu": chain(IMAGE, nn.ReLU, made(nn.MaxPool2d, 2, 2, 1)),
    "max pool, ceil_mode": chain((3, 7, 8), made(nn.MaxPool2d, 3, 2, ceil_mode=True)),
    "max pool, ceil_mode and padding": chain(IMAGE, made(nn.MaxPool2d, 5, 3, 1, ceil_mode=True)),
    "max pool 1d": chain((3, 9), made(nn.MaxPool1d, 3, 2, 1)),
    "max pool 3d": chain((2, 4, 5, 6), made(nn.MaxPool3d, 2)),
    "max pool 3d, padded behind relu": chain((2, 4, 5, 6), nn.ReLU, made(nn.MaxPool3d, 3, 2, 1)),
    "average pool": chain(IMAGE, made(nn.AvgPool2d, 2)),
    "average pool, padded": chain(IMAGE, made(nn.AvgPool2d, 3, 2, 1)),
    "average pool, padding not counted": chain(IMAGE, made(nn.AvgPool2d, 3, 2, 1, count_include_pad=False)),
    "average pool, ceil_mode": chain((3, 7, 8), made(nn.AvgPool2d, 2, ceil_mode=True)),
    "average pool 1d": chain((3, 9), made(nn.AvgPool1d, 3, 2, 1)),
    "global average": chain(IMAGE, made(nn.AdaptiveAvgPool2d, 1)),
    "global average, flattened": chain(IMAGE, made(nn.AdaptiveAvgPool2d, (1, 1)), nn.Flatten, made(nn.Linear, 3, 2)),
    "global average of sequences": chain((3, 7), made(nn.AdaptiveAvgPool1d, 1)),
    "global average of volumes": chain((2, 3, 4, 3), made(nn.AdaptiveAvgPool3d, 1)),
    "global maximum": chain(IMAGE, made(nn.AdaptiveMaxPool2d, 1), nn.Flatten),
    "adaptive average that divides": chain(IMAGE, made(nn.AdaptiveAvgPool2d, (4, 2))),
    "upsample": chain(IMAGE, made(nn.Upsample, scale_factor=(2, 3))),
    "upsample of sequences": chain((3, 5), made(nn.Upsample, scale_factor=2)),
    "upsample of volumes": chain((2, 2, 3, 2), made(nn.Upsample, scale_factor=2)),
    "zero pad": chain(IMAGE, made(nn.ZeroPad2d, (1, 0, 2, 3))),
    "zero pad that cuts": chain(IMAGE, made(nn.ZeroPad2d, (1, -2, -1, 0))),
    "flatten": chain((2, 3, 4), nn.Flatten),
    "flatten, batch norm, dropout, linear": chain(
        (2, 3, 4), nn.Flatten, made(nn.BatchNorm1d, 24), nn.ReLU, nn.Dropout, made(nn.PReLU, 24),
        made(nn.LayerNorm, 24),
        made(nn.Linear, 24, 5), made(nn.Softmax, dim=1),
    ),
    "dropouts": chain(IMAGE, nn.Dropout, nn.Dropout2d, nn.AlphaDropout, nn.Identity, conv(3, 2, 1)),
    "embedding": chain((6,), made(nn.Embedding, 11, 4, padding_idx=0)),
    "embedding classifier": chain((6,), made(nn.Embedding, 11, 4), nn.Flatten, made(nn.Linear, 24, 3)),
    "prelu": chain(IMAGE, nn.PReLU),
    "prelu of channels": chain(IMAGE, made(nn.PReLU, 3)),
    "softmax of channels": chain(IMAGE, made(nn.Softmax, dim=1)),
    "softmax of rows": chain(IMAGE, made(nn.LogSoftmax, dim=2)),
    "softmax2d": chain(IMAGE, nn.Softmax2d),
    "unflatten": chain((12,), made(nn.Linear, 12, 24), made(nn.Unflatten, 1, (2, 3, 4)), conv(2, 3, 2)),
}  # fmt: skip

ACTIVATIONS: list[Callable[[], nn.Module]] = [
    nn.ReLU, nn.ReLU6, nn.ELU, nn.CELU, nn.SELU, nn.Sigmoid, nn.Tanh, nn.Softplus, nn.Softsign, nn.GELU, nn.Mish,
    nn.SiLU,     nn.LeakyReLU, nn.RReLU, made(nn.Hardtanh, 0.0, 0.5), made(nn.Threshold, 0.3, 0.0),
]  # fmt: skip


def _lstm(**options: Any) -> Callable[[], nn.Module]:
    return made(nn.LSTM, 5, 4, **{"batch_first": True, **options})


def _crnn(m: Any, x: Tensor) -> Tensor:
    y = F.max_pool2d(torch.relu(m.conv(x)), 2)
    y = y.permute(3, 0, 1, 2).flatten(2)  # time, batch, features
    out, _ = m.lstm(y)
    return F.log_softmax(m.head(out), dim=2).permute(1, 0, 2)


RECURRENT: dict[str, Case] = {
    "lstm output": does(lambda m, x: m.lstm(x)[0], (6, 5), lstm=_lstm()),
    "lstm last step": does(lambda m, x: m.head(m.lstm(x)[0][:, -1]), (6, 5), lstm=_lstm(), head=made(nn.Linear, 4, 2)),
    "lstm h_n": does(lambda m, x: m.lstm(x)[1][0][-1], (6, 5), lstm=_lstm(bias=False)),
    "lstm h_n and c_n stacked": does(lambda m, x: m.lstm(x)[1], (6, 5), lstm=_lstm(num_layers=2)),
    "lstm with everything used": does(
        lambda m, x: [(r := m.lstm(x))[0], r[0][:, -1, :], r[1][0].squeeze(0), r[1][1][0]], (6, 5), lstm=_lstm()
    ),
    "lstm of 2 layers": does(lambda m, x: m.lstm(x)[0], (6, 5), lstm=_lstm(num_layers=2, dropout=0.2)),
    "lstm both ways": does(lambda m, x: m.lstm(x)[0], (6, 5), lstm=_lstm(bidirectional=True)),
    "lstm both ways, last step": does(lambda m, x: m.lstm(x)[0][:, -1], (6, 5), lstm=_lstm(bidirectional=True)),
    "lstm both ways, both last states": does(
        lambda m, x: torch.cat([(h := m.lstm(x)[1][0])[-2], h[-1]], 1), (6, 5), lstm=_lstm(bidirectional=True)
    ),
    "lstm both ways, all": does(
        lambda m, x: [(r := m.lstm(x))[0].mean(1), r[1][0][-1], r[1][0], r[1][1]], (6, 5),
        lstm=_lstm(bidirectional=True, num_layers=2),
    ),
    "lstm, time first": does(
        lambda m, x: m.lstm(x.permute(1, 0, 2))[0][-1], (6, 5), lstm=_lstm(batch_first=False)
    ),
    "lstm from zeros": does(
        lambda m, x: m.lstm(x, (torch.zeros(1, x.size(0), 4), torch.zeros(1, x.size(0), 4)))[0], (6, 5), lstm=_lstm()
    ),
    "rnn": does(lambda m, x: m.rnn(x)[0], (6, 5), rnn=made(nn.RNN, 5, 4, batch_first=True)),
    "rnn, relu, both ways": does(
        lambda m, x: m.rnn(x)[1], (6, 5),
        rnn=made(nn.RNN, 5, 4, nonlinearity="relu", bidirectional=True, batch_first=True)
    ),
    "embedding, lstm, linear": does(
        lambda m, x: m.head(m.lstm(m.embed(x))[0][:, -1, :]), (6,),
        embed=made(nn.Embedding, 11, 5), lstm=_lstm(num_layers=2), head=made(nn.Linear, 4, 3),
    ),
    "crnn": does(
        _crnn, (1, 6, 10), conv=conv(1, 3, 3, padding=1), lstm=made(nn.LSTM, 9, 4, bidirectional=True),
        head=made(nn.Linear, 8, 5),
    ),
}  # fmt: skip


def _residual(m: Any, x: Tensor) -> Tensor:
    y = m.relu(m.bn1(m.conv1(x)))
    return m.relu(m.bn2(m.conv2(y)) + m.down(x))  # type: ignore[no-any-return]


def _inverted(m: Any, x: Tensor) -> Tensor:
    y = F.relu6(m.narrow(F.relu6(m.wide(x))))
    return m.last(y).mean([2, 3])  # type: ignore[no-any-return]


def _unet(m: Any, x: Tensor) -> Tensor:
    a = torch.relu(m.down1(x))
    b = torch.relu(m.down2(F.max_pool2d(a, 2)))
    up = F.interpolate(b, scale_factor=2, mode="nearest")
    return torch.sigmoid(m.head(torch.cat([up, a], dim=1)))


def _vgg(m: Any, x: Tensor) -> Tensor:
    y = m.features(x)
    y = y.view(y.size(0), -1)
    return m.fc2(F.dropout(F.relu(m.fc1(y)), 0.5, training=m.training))  # type: ignore[no-any-return]


def _squeezed(m: Any, x: Tensor) -> Tensor:
    scale = torch.sigmoid(m.up(torch.relu(m.down(F.adaptive_avg_pool2d(x, 1)))))
    return x * scale


def _shuffled(m: Any, x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    a, b = x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w).chunk(2, dim=1)
    return torch.cat([a, m.conv(b)], 1)


def _next(m: Any, x: Tensor) -> Any:
    y = m.dw(x).permute(0, 2, 3, 1)
    y = m.two(F.gelu(m.one(m.norm(y))))
    return x + (m.gamma * y).permute(0, 3, 1, 2)


def _in_place(m: Any, x: Tensor) -> Any:
    y = m.conv(x)
    z = m.relu(y)  # changes y, too
    return z * 2 + y


NETWORKS: dict[str, Case] = {
    "residual block": does(
        _residual, IMAGE, conv1=conv(3, 4, 3, stride=2, padding=1, bias=False), bn1=made(nn.BatchNorm2d, 4),
        conv2=conv(4, 4, 3, padding=1, bias=False), bn2=made(nn.BatchNorm2d, 4),
        down=lambda: nn.Sequential(nn.Conv2d(3, 4, 1, 2, bias=False), nn.BatchNorm2d(4)),
        relu=made(nn.ReLU, inplace=True),
    ),
    "inverted residual": does(
        _inverted, IMAGE, wide=conv(3, 6, 1), narrow=conv(6, 6, 3, 2, 1, groups=6), last=conv(6, 4, 1),
    ),
    "unet": does(_unet, IMAGE, down1=conv(3, 4, 3, padding=1), down2=conv(4, 6, 3, padding=1), head=conv(10, 1, 1)),
    "vgg": does(
        _vgg, IMAGE, features=lambda: nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        fc1=made(nn.Linear, 64, 8), fc2=made(nn.Linear, 8, 3),
    ),
    "squeeze and excite": does(_squeezed, IMAGE, down=conv(3, 2, 1), up=conv(2, 3, 1)),
    "channel shuffle": does(_shuffled, (4, 5, 6), conv=conv(2, 3, 3, padding=1)),
    "convnext block": does(
        _next, (4, 6, 6), dw=conv(4, 4, 7, padding=3, groups=4), norm=made(nn.LayerNorm, 4), one=made(nn.Linear, 4, 8),
        two=made(nn.Linear, 8, 4), gamma=lambda: torch.full((4,), 0.3),
    ),
    "in place": does(_in_place, IMAGE, conv=conv(3, 3, 1), relu=made(nn.ReLU, inplace=True)),
    "shared": does(lambda m, x: m.fc(torch.tanh(m.fc(x))), (5,), fc=made(nn.Linear, 5, 5)),
    "siamese": does(
        lambda m, x, y: torch.abs(m.conv(x) - m.conv(y)).flatten(1), [IMAGE, IMAGE], conv=conv(3, 2, 3, padding=1)
    ),
    "two inputs of two kinds": does(
        lambda m, x, y: torch.cat([m.conv(x).flatten(1), y], 1), [IMAGE, (5,)], conv=conv(3, 2, 3)
    ),
    "flattened parts joined for a linear": does(
        lambda m, x: m.fc(torch.cat([m.a(x).flatten(1), m.b(x).flatten(1)], 1)), (3, 4, 4),
        a=conv(3, 2, 3), b=conv(3, 1, 2), fc=made(nn.Linear, 17, 4),
    ),
    "arithmetic": does(
        lambda m, x: (1 - x * 2) / 3 + torch.maximum(x, -x) - x ** 2 + torch.minimum(x, x * 0.5), (6,)
    ),
    "normalised input": does(
        lambda m, x: m.conv((x - m.mean) / m.std), IMAGE, conv=conv(3, 2, 3),
        mean=lambda: torch.tensor([0.4, 0.5, 0.6]).view(1, 3, 1, 1),
        std=lambda: torch.tensor([0.2, 0.3, 0.4]).view(3, 1, 1),
    ),
    "constants by position": does(lambda m, x: x + m.at, (4, 3), at=lambda: torch.randn(1, 4, 3)),
    "sums and maxima": does(
        lambda m, x: [x.mean(1), x.sum((2, 3)), x.amax(dim=2, keepdim=True), x.mean((1, 2, 3), keepdim=True)], (3, 4, 5)
    ),
    "views": does(
        lambda m, x: x.transpose(1, 2).flatten(2).unsqueeze(1).squeeze(1).view(-1, 4, 3, 5).permute(0, 2, 1, 3),
        (3, 4, 5),
    ),
    "slices": does(
        lambda m, x: [
            x[:, 1:, ::2, 1:-1], x[:, 0], x[..., None, -1], x.split([1, 2], 1)[1], torch.stack([x, x], 1)[:, 1],
        ],
        (3, 4, 5),
    ),
    "focus": does(lambda m, x: torch.cat([x[..., ::2, ::2], x[..., 1::2, ::2]], 1), (3, 4, 6)),
    "squeezed regression": does(lambda m, x: m.fc(x).squeeze(-1), (5,), fc=made(nn.Linear, 5, 1)),
    "outputs in a dict": does(lambda m, x: {"out": m.fc(x), "aux": torch.relu(x)}, (5,), fc=made(nn.Linear, 5, 1)),
    "functions": does(
        lambda m, x: F.linear(F.conv2d(F.pad(x, (1, 2, 0, 1)), m.w, None, 2).flatten(1), m.v), (3, 6, 6),
        w=lambda: torch.randn(2, 3, 3, 3), v=lambda: torch.randn(4, 24),
    ),
    "weights in a product": does(lambda m, x: torch.tanh(x @ m.w), (3, 5), w=lambda: torch.randn(5, 4)),
    "normalised weights": chain((3, 9), lambda: weight_norm(nn.Conv1d(3, 4, 3))),
    "one module in two places": chain((5,), *[(lambda fc: lambda: fc)(nn.Linear(5, 5))] * 2),
    "sum of scores": does(lambda m, x: m.a(x).squeeze(1) + m.b(x).squeeze(1) * 2, (5,), a=made(nn.Linear, 5, 1),
                          b=made(nn.Linear, 5, 1)),
    "deep names": chain(IMAGE, lambda: nn.Sequential(nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU()), nn.Conv2d(2, 2, 2))),
    "nothing but an activation": chain((5,), nn.ReLU),
    "the input itself": chain((5,), nn.Identity),
}  # fmt: skip

CASES = {**MODULES, **{f"activation {kind().__class__.__name__}": chain((3, 4), kind) for kind in ACTIVATIONS},
         **RECURRENT, **NETWORKS}  # fmt: skip


def randomised(module: nn.Module) -> nn.Module:
    """Statistics and weights that no mistake can hide behind."""
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if tensor.is_floating_point():
            low, high = (0.5, 1.5) if name.endswith("running_var") else (-0.5, 0.5)
            tensor.data.uniform_(low, high)
    return module


def inputs_of(module: nn.Module, shapes: list[Shape]) -> list[Tensor]:
    ids = any(isinstance(part, nn.Embedding) for part in module.modules())
    return [torch.randint(0, 11, (BATCH, *shape)) if ids else torch.randn(BATCH, *shape) for shape in shapes]


@pytest.mark.parametrize("name", CASES)
def test_tfjs_computes_what_torch_computes(name: str, judge: TfjsJudge, tmp_path: Path) -> None:
    torch.manual_seed(0)
    build, shape = CASES[name]
    module = randomised(build()).eval()
    shapes = shape if isinstance(shape, list) else [shape]
    inputs = inputs_of(module, shapes)
    with torch.no_grad():
        wanted = flat(module(*(x.clone() for x in inputs)))
    export_model(module, shape).save(tmp_path)
    opened = judge.model(tmp_path)
    given = [turned(x, told[1:]) for x, told in zip(inputs, opened.inputs, strict=True)]
    found = judge.model(tmp_path, predict=[x.float().numpy() for x in given]).outputs
    assert len(found) == len(wanted)
    for ours, theirs in zip(found, wanted, strict=True):
        assert difference(ours, turned(theirs, ours.shape[1:]).numpy()) < 1e-5


def flat(found: Any) -> list[Tensor]:
    if isinstance(found, dict):
        found = list(found.values())
    return [one for each in found for one in flat(each)] if isinstance(found, (tuple, list)) else [found]


def turned(tensor: Tensor, shape: tuple[int | None, ...]) -> Tensor:
    """As it is if that is the shape, or channels last; [batch] as [batch, 1]."""
    if tensor.dim() == 1:
        return tensor[:, None]
    if tensor.shape[0] != BATCH:
        tensor = tensor.transpose(0, 1)
    if tensor.dim() > 3 or tuple(tensor.shape[1:]) != tuple(shape):
        last = tensor.movedim(1, -1)
        return last if tuple(last.shape[1:]) == tuple(shape) else tensor
    return tensor


def difference(ours: Any, theirs: Any) -> float:
    assert ours.shape == theirs.shape
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


class Branching(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


class Grown(nn.Module):
    """Does more than its layers show."""

    def forward(self, x: Tensor) -> Tensor:
        return x * x.shape[0]


def _written_elsewhere(m: Any, x: Tensor) -> Any:
    y = m.conv(x)
    flat = y.flatten(1)
    y.relu_()
    return flat


def one(build: Callable[[], nn.Module], shape: Any) -> Case:
    return build, shape


REFUSED: dict[str, tuple[Case, str, str]] = {
    "gru": (chain((6, 5), made(nn.GRU, 5, 4, batch_first=True)), "0 (GRU)", "resets the state before"),
    "attention": (
        does(lambda m, x: m.at(x, x, x)[0], (6, 4), at=made(nn.MultiheadAttention, 4, 2)),
        "at (MultiheadAttention)", "attention",
    ),
    "group norm": (chain((4, 5, 5), made(nn.GroupNorm, 2, 4)), "0 (GroupNorm)", "groups"),
    "groups": (chain((4, 5, 5), conv(4, 4, 3, groups=2)), "0 (Conv2d)", "groups=2 of 4"),
    "dilated depthwise": (chain(IMAGE, conv(3, 3, 3, groups=3, dilation=2)), "0 (Conv2d)", "dilation"),
    "reflecting": (chain(IMAGE, conv(3, 3, 3, padding=1, padding_mode="reflect")), "0 (Conv2d)", "zeros"),
    "reflection pad": (chain(IMAGE, nn.Identity, made(nn.ReflectionPad2d, 1)), "1 (ReflectionPad2d)", "zeros"),
    "bilinear": (chain(IMAGE, made(nn.Upsample, scale_factor=2, mode="bilinear")), "0 (Upsample)", "nearest"),
    "upsample by half": (chain(IMAGE, made(nn.Upsample, scale_factor=1.5)), "0 (Upsample)", "whole"),
    "max pool": (chain(IMAGE, made(nn.MaxPool2d, 2, 2, 1)), "0 (MaxPool2d)", "infinity"),
    "dilated max pool": (chain(IMAGE, made(nn.MaxPool2d, 2, dilation=2)), "0 (MaxPool2d)", "dilation"),
    "average pool": (chain(IMAGE, made(nn.AvgPool2d, 3, 2, 1, ceil_mode=True)), "0 (AvgPool2d)", "padding"),
    "adaptive": (chain(IMAGE, made(nn.AdaptiveAvgPool2d, 3)), "0 (AdaptiveAvgPool2d)", "divide"),
    "transposed": (
        chain(IMAGE, made(nn.ConvTranspose2d, 3, 3, 3, 2, output_padding=1)), "0 (ConvTranspose2d)", "output_padding",
    ),
    "transposed groups": (chain(IMAGE, made(nn.ConvTranspose2d, 3, 3, 3, groups=3)), "0 (ConvTranspose2d)", "groups"),
    "hardswish": (chain((5,), nn.Hardswish), "0 (Hardswish)", "activation"),
    "hardsigmoid": (chain((5,), nn.Hardsigmoid), "0 (Hardsigmoid)", "0.2 x"),
    "gelu": (chain((5,), made(nn.GELU, approximate="tanh")), "0 (GELU)", "gelu_new"),
    "elu": (chain((5,), made(nn.ELU, 0.5)), "0 (ELU)", "alpha"),
    "hardtanh": (chain((5,), nn.Hardtanh), "0 (Hardtanh)", "0"),
    "batch statistics": (
        chain(IMAGE, made(nn.BatchNorm2d, 3, track_running_stats=False)), "0 (BatchNorm2d)", "running",
    ),
    "pixel shuffle": (chain((4, 3, 3), made(nn.PixelShuffle, 2)), "0 (PixelShuffle)", "channels"),
    "max norm": (chain((3,), made(nn.Embedding, 11, 4, max_norm=1.0)), "0 (Embedding)", "max_norm"),
    "projection": (does(lambda m, x: m.lstm(x)[0], (6, 5), lstm=_lstm(proj_size=2)), "lstm (LSTM)", "proj_size"),
    "initial states": (
        does(lambda m, x: m.rnn(x, m.h)[0], (2, 5), rnn=made(nn.RNN, 5, 4), h=lambda: torch.ones(1, 2, 4)),
        "rnn (RNN)", "zeros",
    ),
    "time first": (does(lambda m, x: m.rnn(x)[0], (6, 5), rnn=made(nn.RNN, 5, 4)), "rnn (RNN)", "batch"),
    "dropout for ever": (does(lambda m, x: F.dropout(x), (5,)), "Does: dropout", "training"),
    "random": (does(lambda m, x: x + torch.randn(5), (5,)), "Does", "random"),
    "exp": (does(lambda m, x: torch.exp(x), (5,)), "Does: exp", "exp"),
    "inside": (
        does(lambda m, x: m.part(x), (5,), part=lambda: Does(lambda m, x: torch.sin(x))), "part: sin", "sin",
    ),
    "quotient": (does(lambda m, x: x / (x + 1), (5,)), "Does: truediv", "division"),
    "indexed": (does(lambda m, x: x[:, torch.tensor([0, 2])], (5,)), "Does: getitem", "slices"),
    "assigned": (does(lambda m, x: (x.__setitem__(0, 1), x)[1], (5,)), "Does: __setitem__", "__setitem__"),
    "batch axis": (does(lambda m, x: x.mean(0, keepdim=True) + x, (5,)), "Does: mean", "batch"),
    "batch merged": (does(lambda m, x: x.view(-1, 4), (3, 4)), "Does: view", "samples"),
    "a view changed": (does(_written_elsewhere, IMAGE, conv=conv(3, 3, 1)), "output 0", "in place"),
    "a constant": (does(lambda m, x: [x + 1, m.c], (5,), c=lambda: torch.ones(2)), "output 1", "constant"),
    "branching": (one(Branching, (5,)), "Branching", "control flow"),
    "batch size": (one(Grown, (5,)), "output 0", "batch"),
    "nothing left": (chain((3, 4), made(nn.ConvTranspose1d, 3, 2, 1, padding=2)), "0 (ConvTranspose1d)", "elements"),
    "unused input": (does(lambda m, x, y: x + 1, [(5,), (4,)]), "y", "input"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_layer_expresses_is_refused_by_name(name: str) -> None:
    (build, shape), where, why = REFUSED[name]
    with pytest.raises(UnsupportedError) as caught:
        export_model(build(), shape)
    assert caught.value.where == where
    assert why in caught.value.message


@pytest.mark.parametrize(
    ("shape", "names", "message"),
    [
        ((4,), {}, "fits the module"),
        ((), {}, "sizes without the batch"),
        ((0,), {}, "positive"),
        ("5", {}, "sizes"),
        ([(5,), (5,)], {}, "1 input"),
        ((5,), {"nothing": "a"}, "paths of submodules"),
        ((5,), {0: "two words"}, "letters"),
        ((5,), {0: "same", 1: "same"}, "once"),
    ],
)
def test_wrong_arguments_are_told(shape: Any, names: dict[str | int, str], message: str) -> None:
    with pytest.raises(MismatchError, match=message):
        export_model(nn.Sequential(nn.Linear(5, 4), nn.ReLU()), shape, names=names)


def layers_of(artifacts: Artifacts) -> dict[str, dict[str, Any]]:
    layers = artifacts.model_json["modelTopology"]["config"]["layers"]
    return {layer["config"]["name"]: layer for layer in layers}


def test_weights_are_the_modules_bit_for_bit() -> None:
    module: Any = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Flatten(), nn.Linear(12, 4), nn.BatchNorm1d(4))
    odd = torch.tensor([-0.0, math.inf, 1e-45, 3.0])
    module[2].bias.data.copy_(odd)
    state = load_file(export_model(module, (2, 4, 4)))
    assert state["2/bias"].numpy().tobytes() == odd.numpy().tobytes()
    assert torch.equal(state["0/kernel"], module[0].weight.permute(2, 3, 1, 0))
    rows = module[2].weight.detach().reshape(4, 3, 2, 2).permute(0, 2, 3, 1).reshape(4, 12).T
    assert torch.equal(state["2/kernel"], rows)
    assert torch.equal(state["3/moving_variance"], module[3].running_var)


def test_files_are_read_back_the_same(tmp_path: Path) -> None:
    artifacts = export_model(nn.Sequential(nn.Linear(5, 4), nn.ReLU()), (5,))
    artifacts.save(tmp_path / "model.zip")
    assert (tmp_path / "model.zip").read_bytes() == artifacts.to_zip()
    again = read_artifacts(tmp_path / "model.zip")
    assert again.model_json == artifacts.model_json
    assert again.manifest.paths == ["./model.weights.bin"]
    assert list(again.model_json) == ["format", "generatedBy", "convertedBy", "modelTopology", "weightsManifest"]


@pytest.mark.parametrize("name", ["residual block", "unet", "lstm both ways, all", "siamese", "vgg"])
def test_weights_come_in_tfjs_order(name: str, judge: TfjsJudge, tmp_path: Path) -> None:
    build, shape = CASES[name]
    artifacts = export_model(build(), shape)
    artifacts.save(tmp_path)
    assert [spec.name for spec in artifacts.manifest.specs] == list(judge.model(tmp_path).weights)


def test_a_chain_becomes_a_sequential_named_after_its_modules() -> None:
    artifacts = export_model(nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU()), IMAGE, names={1: "last.relu"})
    assert artifacts.model_json["modelTopology"]["class_name"] == "Sequential"
    assert list(layers_of(artifacts)) == ["0_pad", "0", "last.relu"]
    assert layers_of(artifacts)["0_pad"]["config"]["batch_input_shape"] == [None, 8, 8, 3]


def test_names_that_tfjs_refuses_are_changed() -> None:
    module = Does(lambda m, x: m._a(m.ß(x)), _a=nn.Linear(5, 5), ß=nn.Linear(5, 5))
    assert set(layers_of(export_model(module, (5,)))) == {"a", "layer"}


def test_a_module_that_is_called_twice_is_one_layer() -> None:
    layers = layers_of(export_model(CASES["siamese"][0](), [IMAGE, IMAGE]))
    assert len(layers["conv"]["inbound_nodes"]) == 2


def test_a_shared_module_whose_inputs_lie_in_different_orders_becomes_two_layers() -> None:
    module = Does(lambda m, x: m.fc(x.flatten(1)) + m.fc(x.permute(0, 2, 3, 1).flatten(1)), fc=nn.Linear(12, 2))
    assert {"fc", "fc_1"} < set(layers_of(export_model(module, (3, 2, 2))))


def test_frozen_modules_are_not_trainable(judge: TfjsJudge, tmp_path: Path) -> None:
    module: Any = nn.Sequential(nn.Linear(5, 4), nn.Linear(4, 3))
    module[0].requires_grad_(False)
    artifacts = export_model(module, (5,))
    assert [layer["config"]["trainable"] for layer in layers_of(artifacts).values()] == [False, True]
    artifacts.save(tmp_path)
    assert list(judge.model(tmp_path).weights) == ["1/kernel", "1/bias", "0/kernel", "0/bias"]
    assert [spec.name for spec in artifacts.manifest.specs] == ["1/kernel", "1/bias", "0/kernel", "0/bias"]


def test_the_module_and_the_random_numbers_stay_as_they_were() -> None:
    module = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Dropout())
    module[1].eval()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    state = torch.random.get_rng_state()
    export_model(module, (5,))
    assert [part.training for part in module.modules()] == [True, True, False, True]
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    assert torch.equal(torch.random.get_rng_state(), state)


def test_double_and_half_become_float32() -> None:
    for dtype in (torch.float64, torch.bfloat16):
        module: Any = nn.Sequential(nn.Linear(5, 4)).to(dtype)
        assert torch.equal(load_file(export_model(module, (5,)))["0/bias"], module[0].bias.detach().float())


def test_stochastic_depth_and_the_like_are_nothing_outside_of_training() -> None:
    module = Does(lambda m, x: m.fc(_drop_path(x, training=m.training)), fc=nn.Linear(5, 4))
    assert list(layers_of(export_model(module, (5,)))) == ["fc"]


@torch.fx.wrap
def _drop_path(x: Tensor, training: bool = False) -> Tensor:
    return x * torch.rand(len(x), 1) if training else x


def test_constants_of_forward_do_not_stay_in_the_module() -> None:
    module = Does(lambda m, x: x + torch.tensor([1.0, 2.0]))
    export_model(module, (2,))
    assert not [name for name in vars(module) if "constant" in name]


def test_a_module_alone_and_one_with_more_arguments() -> None:
    assert list(layers_of(export_model(nn.Linear(5, 4), (5,)))) == ["linear"]

    class Masked(nn.Module):
        def forward(self, x: Tensor, mask: Tensor | None = None, scale: float = 2.0) -> Tensor:
            return x * scale if mask is None else x * mask

    assert list(layers_of(export_model(Masked(), (5,)))) == ["mul"]


NET = """
import torch
from torch import nn

def make():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 64, 3))

def broken():
    raise KeyError("x")

number = 3
"""


@pytest.fixture
def net(tmp_path: Path) -> str:
    (tmp_path / "net.py").write_text(NET)
    return str(tmp_path / "net.py")


def test_the_command_exports_a_factory_of_the_users_file(
    net: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "out.zip")
    assert main(["export", f"{net}:make", out, "--input-shape", "1,8,8", "--quantize", "uint8"]) == 0
    told = capsys.readouterr().out
    assert "4 tensors, 811 numbers" in told
    assert "Sequential of 4 layers; takes [batch, 8, 8, 1]" in told
    assert load_file(out)["3/kernel"].shape == (256, 3)


def test_the_command_loads_weights_and_does_not_overwrite(net: str, tmp_path: Path) -> None:
    weights = {"0.weight": torch.zeros(4, 1, 3, 3), "0.bias": torch.ones(4), "3.weight": torch.zeros(3, 256)}
    torch.save({**weights, "3.bias": torch.arange(3.0)}, tmp_path / "w.pt")
    command = ["export", f"{net}:make", str(tmp_path / "out"), "--input-shape", "1,8,8", "--weights"]
    assert main([*command, str(tmp_path / "w.pt")]) == 0
    assert load_file(tmp_path / "out")["3/bias"].tolist() == [0, 1, 2]
    assert main([*command, str(tmp_path / "w.pt")]) == 2
    torch.save(weights, tmp_path / "less.pt")
    assert main([*command, str(tmp_path / "less.pt"), "--force"]) == 2


@pytest.mark.parametrize(
    ("factory", "shape", "message"),
    [
        (":make", "1,8,9", "torch says"),
        (":make", "1x8", "sizes such as"),
        (":broken", "1,8,8", "KeyError"),
        (":number", "1,8,8", "a function or class 'number'"),
        (":nothing", "1,8,8", "a function or class 'nothing'"),
        ("", "1,8,8", "a file and a name"),
        ("x:make", "1,8,8", "a Python file"),
    ],
)
def test_the_command_tells_what_is_wrong_in_one_line(
    factory: str, shape: str, message: str, net: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", net + factory, str(tmp_path / "out"), "--input-shape", shape]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_the_sample_trains_exports_and_runs_in_tfjs(tmp_path: Path) -> None:
    command = [sys.executable, str(SAMPLES / "train_in_torch.py"), str(tmp_path), "--steps", "3"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "all 16 layers within 1e-05" in done.stdout
    assert {file.name for file in tmp_path.iterdir()} == {"model.json", "model.weights.bin"}
