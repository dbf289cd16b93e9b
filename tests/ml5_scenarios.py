"""What the golden networks of `cases/make_ml5.py` learn: small seeded data for each task of ml5."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Row = tuple[Any, Any]
BOTH = ("1.4.0", "0.12.2")


@dataclass(frozen=True)
class Scenario:
    """One network: `options` for `ml5.neuralNetwork`, `rows` to learn (none: neuroevolution), `inputs` to ask about."""

    options: dict[str, Any]
    rows: list[Row]
    inputs: list[Any]
    train: dict[str, Any] = field(default_factory=lambda: {"epochs": 20, "batchSize": 12})
    normalize: bool = True
    name: str = "model"
    versions: tuple[str, ...] = BOTH

    @property
    def how(self) -> str:
        """The method that answers."""
        return "predict" if self.options["task"] == "regression" else "classify"

    def request(self, version: str) -> dict[str, Any]:
        """What the page is told."""
        if self.rows:
            return {"options": self.options, "rows": self.rows, "train": self.train, "normalize": self.normalize}
        switch = "noTraining" if version.startswith("0.") else "neuroEvolution"
        return {"options": {**self.options, switch: True}, "rows": [], "train": None, "normalize": False, "mutate": 0.5}


def drawn(seed: int, count: int, row: Callable[[random.Random, int], Row]) -> list[Row]:
    chance = random.Random(seed)
    return [row(chance, number) for number in range(count)]


def colour(chance: random.Random, number: int) -> Row:
    label, centre = [("red-ish", (220, 40, 40)), ("green", (40, 200, 60)), ("blau", (30, 60, 220))][number % 3]
    near = [min(255, max(0, part + chance.randint(-35, 35))) for part in centre]
    return dict(zip("rgb", near, strict=True)), {"colour": label}


def high_or_low(chance: random.Random, _: int) -> Row:
    a, b, c = (round(chance.uniform(low, high), 3) for low, high in ((0, 2), (0, 5), (-1, 1)))
    return {"a": a, "b": b, "c": c}, {"label": "high" if a + b / 2 + c > 2 else "low"}


def digit(chance: random.Random, number: int) -> Row:
    label, a, b = [("10", 1, 1), ("2", 10, 1), ("1", 1, 10), ("0", 10, 10)][number % 4]
    return {"a": round(a + chance.uniform(-2, 2), 3), "b": round(b + chance.uniform(-2, 2), 3)}, {"digit": label}


def sums(chance: random.Random, _: int) -> Row:
    x, y = round(chance.uniform(-50, 100), 3), round(chance.uniform(3, 12), 3)
    return {"x": x, "y": y}, {"sum": round(x + 3 * y, 3), "diff": round(x - y, 3)}


def price(chance: random.Random, number: int) -> Row:
    kind, factor = [("tea", 1), ("coffee", 2), ("cocoa", 3)][number % 3]
    size = round(chance.uniform(1, 5), 2)
    return {"size": size, "kind": kind, "cups": number % 4}, {"price": round(size * factor + number % 4, 2)}


def line(chance: random.Random, _: int) -> Row:
    x = round(chance.random(), 4)
    return [x], [round(0.2 + x / 2, 4)]


def constant(chance: random.Random, _: int) -> Row:
    x = round(chance.uniform(0, 10), 2)
    return {"x": x, "gain": 7}, {"y": round(20 - x, 2), "offset": 3}


def picture(width: int, height: int, channels: int) -> Callable[[random.Random, int], Row]:
    """The left or the upper half is bright; the rest is nearly dark."""

    def row(chance: random.Random, number: int) -> Row:
        left, dark, pixels = number % 2 == 0, chance.randint(0, 40), []
        for y in range(height):
            for x in range(width):
                bright = x < width // 2 if left else y < height // 2
                pixels += [255 if bright else dark] * (channels - 1) + [255 if channels > 1 or bright else dark]
        return {"image": pixels}, {"side": "left" if left else "top"}

    return row


def walk(steps: int) -> Callable[[random.Random, int], Row]:
    """Steps of two numbers: the first grows, the second grows or falls."""

    def row(chance: random.Random, number: int) -> Row:
        start, slope = chance.randint(20, 80), 8 if number % 2 == 0 else -8
        steps_made = [[10 * i + chance.randint(-3, 3), start + slope * i] for i in range(steps)]
        return {"seq": [value for step in steps_made for value in step]}, {"way": "up" if slope > 0 else "down"}

    return row


def inputs_of(rows: list[Row], count: int) -> list[Any]:
    """Whole rows of the data as plain lists of numbers, as images and sequences are asked."""
    return [next(iter(xs.values())) for xs, _ in rows[:count]]


COLOURS = drawn(1, 36, colour)
ABOUT_COLOURS: list[Any] = [
    {"r": 240, "g": 20, "b": 30},
    {"b": 250, "g": 10, "r": 40},
    [20, 230, 60],
    {"r": 127.5, "g": 99.25, "b": 300},
]
SMALL, DEFAULT = drawn(8, 16, picture(8, 6, 4)), drawn(9, 16, picture(17, 16, 1))
SHORT, LONG = drawn(10, 24, walk(6)), drawn(11, 24, walk(12))
LAYERS_OF_NUMBERS = [
    {"type": "dense", "units": 10, "activation": "tanh"},
    {"type": "batchNormalization"},
    {"type": "dropout", "rate": 0.25},
    {"type": "dense", "units": 6, "activation": "elu", "useBias": False},
    {"type": "dense", "activation": "softmax"},
]
LAYERS_OF_PICTURES = [
    {"type": "conv2d", "filters": 4, "kernelSize": 3, "activation": "relu", "kernelInitializer": "varianceScaling"},
    {"type": "maxPooling2d", "poolSize": [2, 2], "strides": [2, 2]},
    {"type": "flatten"},
    {"type": "dense", "activation": "softmax"},
]
LAYERS_OF_WALKS = [
    {"type": "conv1d", "filters": 4, "kernelSize": 3, "activation": "relu"},
    {"type": "maxPooling1d", "poolSize": 2},
    {"type": "flatten"},
    {"type": "dense", "units": 6, "activation": "relu"},
    {"type": "dense", "activation": "softmax"},
]

CLASSES, NUMBERS, IMAGES = "classification", "regression", "imageClassification"

SCENARIOS = {
    "classification": Scenario(
        {"task": CLASSES, "inputs": ["r", "g", "b"], "outputs": ["colour"]}, COLOURS, ABOUT_COLOURS
    ),
    "classification-custom-layers": Scenario(
        {"task": CLASSES, "learningRate": 0.1, "layers": LAYERS_OF_NUMBERS},
        drawn(2, 60, high_or_low),
        [{"a": 0.2, "b": 1, "c": -0.5}, {"a": 1.9, "b": 4.5, "c": 0.9}, {"a": 1, "b": 2, "c": 0}],
        {"epochs": 60, "batchSize": 12},
    ),
    "classification-numeric-labels": Scenario(
        {"task": CLASSES, "inputs": ["a", "b"], "outputs": ["digit"], "hiddenUnits": 8},
        drawn(3, 48, digit),
        [{"a": 1, "b": 1}, {"a": 10, "b": 1}, {"a": 1, "b": 10}, {"a": 10, "b": 10}],
        {"epochs": 60, "batchSize": 12},
    ),
    "regression": Scenario(
        {"task": NUMBERS, "inputs": ["x", "y"], "outputs": ["sum", "diff"], "learningRate": 0.02},
        drawn(4, 60, sums),
        [{"x": 10, "y": 5}, {"x": -50, "y": 12}, {"x": 120, "y": 0}, [99.5, 3.25]],
        {"epochs": 40, "batchSize": 16},
    ),
    "regression-mixed-onehot-input": Scenario(
        {"task": NUMBERS, "learningRate": 0.05},
        drawn(5, 48, price),
        [{"size": 2.5, "kind": "coffee", "cups": 1}, {"size": 5, "kind": "cocoa", "cups": 3}, [1, "tea", 0]],
        {"epochs": 40, "batchSize": 16},
    ),
    "regression-unnormalized": Scenario(
        {"task": NUMBERS, "inputs": 1, "outputs": 1, "learningRate": 0.05, "hiddenUnits": 4},
        drawn(6, 40, line),
        [[0], [0.5], [1], [2]],
        {"epochs": 30, "batchSize": 16},
        normalize=False,
    ),
    # 0.x divides by zero there and learns nothing but NaN.
    "regression-constant-column": Scenario(
        {"task": NUMBERS, "learningRate": 0.05},
        drawn(7, 40, constant),
        [{"x": 2, "gain": 7}, {"x": 9.5, "gain": 7}, {"x": 5, "gain": 100}],
        {"epochs": 30, "batchSize": 16},
        versions=("1.4.0",),
    ),
    "imageClassification": Scenario(
        {"task": IMAGES, "inputs": [8, 6, 4], "layers": LAYERS_OF_PICTURES, "learningRate": 0.05},
        SMALL,
        inputs_of(SMALL, 2),
    ),
    "imageClassification-default": Scenario(
        {"task": IMAGES, "inputs": [17, 16, 1]}, DEFAULT, inputs_of(DEFAULT, 2), {"epochs": 8, "batchSize": 8}
    ),
    "sequence-lstm": Scenario(
        {
            "task": IMAGES,
            "inputs": [6, 2],
            "learningRate": 0.2,
            "layers": [{"type": "lstm", "units": 5}, {"type": "dense", "activation": "softmax"}],
        },
        SHORT,
        inputs_of(SHORT, 2),
        {"epochs": 90, "batchSize": 12},
    ),
    "sequence-conv1d": Scenario(
        {"task": IMAGES, "inputs": [12, 2], "learningRate": 0.1, "layers": LAYERS_OF_WALKS},
        LONG,
        [*inputs_of(LONG, 2), {"seq": inputs_of(LONG, 3)[2]}],
        {"epochs": 40, "batchSize": 12},
    ),
    "neuroevolution-classification": Scenario(
        {"task": CLASSES, "inputs": 5, "outputs": ["up", "down"]},
        [],
        [[0, 0, 0, 0, 0], [1, 2, 3, 4, 5], [0.1, -0.2, 0.3, 0.4, -0.5]],
    ),
    "neuroevolution-regression": Scenario(
        {"task": NUMBERS, "inputs": 3, "outputs": 2}, [], [[0, 0, 0], [1, -1, 0.5], [10, 20, 30]]
    ),
    "custom-name": Scenario(
        {"task": CLASSES, "inputs": ["r", "g", "b"], "outputs": ["colour"], "hiddenUnits": 4},
        COLOURS,
        ABOUT_COLOURS[:2],
        name="gesture",
    ),
}
