"""Random models in tf.js' own topology JSON, for tests that compare what tf.js and we make of the same model.

`single(random)` is one layer with random options, `graph(random)` three to eight layers with branches, merges, shared
layers and nested models. Give them to `TfjsJudge.draw`, which adds weights; tf.js refuses a few of them.

    python tests/drawing.py 500     counts how many tf.js takes, and why it refuses the others
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from drawn_layers import (
    ACTIVATIONS,
    IDENTITIES,
    MERGES,
    SINGLES,
    Config,
    Shape,
    Step,
    activation,
    coin,
    recurrent_config,
    sizes,
    wrapped,
)
from judges import Drawn, TfjsJudge, TfjsRefused


@dataclass(frozen=True)
class Drawing:
    """A topology and its inputs; `label` names what was drawn, for a test's message."""

    label: str
    topology: Config
    inputs: list[Drawn]


FAMILIES = [*SINGLES, "merge", "concatenate", "dot"]
DOTS: list[tuple[list[Shape], int | list[int]]] = [
    ([(4,), (4,)], 1),
    ([(4,), (4,)], -1),
    ([(3, 4), (2, 4)], 2),
    ([(3, 4), (3, 2)], 1),
    ([(3, 4), (4, 2)], [2, 1]),
    ([(4, 3), (2, 4)], [1, 2]),
    ([(3, 4), (4, 2)], [-1, 1]),
]


def single(random: Random, family: str | None = None) -> Drawing:
    """One layer with random options; `family` is one of FAMILIES."""
    family = family or random.choice(FAMILIES)
    if family not in SINGLES:
        return joined(random, family)
    step, shape = SINGLES[family](random)
    config = {"name": "tested", "batch_input_shape": [None, *shape], **step.config}
    topology = {
        "class_name": "Sequential",
        "config": {"name": "net", "layers": [{"class_name": step.class_name, "config": config}]},
    }
    return Drawing(f"{step.class_name} {step.config} on {shape}", topology, [fed(random, shape, family == "embedding")])


def fed(random: Random, shape: Shape, ids: bool, batch: int | None = None) -> Drawn:
    full = (batch or random.randint(1, 3), *shape)
    return Drawn(full, 0, 7, integer=True) if ids else Drawn(full, -2.0, 2.0)


def joined(random: Random, family: str) -> Drawing:
    """A layer of several inputs."""
    count = random.randint(2, 4)
    if family == "merge":
        shape = sizes(random, random.randint(1, 3), 2, 4)
        shapes = [tuple(1 if coin(random, 0.2) else length for length in shape) for _ in range(count)]
        step = Step(random.choice(MERGES), {})
    elif family == "concatenate":
        shape = sizes(random, random.randint(1, 3), 1, 4)
        axis = random.randint(1, len(shape))
        shapes = [(*shape[: axis - 1], random.randint(1, 4), *shape[axis:]) for _ in range(count)]
        step = Step("Concatenate", {"axis": -1 if axis == len(shape) and coin(random) else axis})
    else:
        shapes, axes = random.choice(DOTS)
        step = Step("Dot", {"axes": axes, "normalize": coin(random)})
    graph = Graph(random)
    inputs = [graph.input(shape) for shape in shapes]
    tested = graph.call(step, inputs)
    return Drawing(f"{step.class_name} {step.config} on {shapes}", *graph.model([tested]))


@dataclass(frozen=True)
class Tensor:
    reference: list[Any]
    shape: Shape


@dataclass
class Graph:
    """A functional model on the way; every tensor's shape is known, so that each next layer fits."""

    random: Random
    batch: int = 2
    inputs: list[Tensor] = field(default_factory=list)
    drawn: list[Drawn] = field(default_factory=list)
    layers: list[Config] = field(default_factory=list)
    shared: list[tuple[Config, Shape, Shape]] = field(default_factory=list)

    def input(self, shape: Shape, ids: bool = False) -> Tensor:
        name = f"input{'abcdefgh'[len(self.inputs)]}"
        config = {"name": name, "batch_input_shape": [None, *shape], "dtype": "float32", "sparse": False}
        self.layers.append({"class_name": "InputLayer", "name": name, "config": config, "inbound_nodes": []})
        self.inputs.append(Tensor([name, 0, 0], shape))
        self.drawn.append(fed(self.random, shape, ids, self.batch))
        return self.inputs[-1]

    def call(self, step: Step, tensors: Sequence[Tensor]) -> Tensor:
        """A new layer on these tensors."""
        name = f"layer{len(self.layers)}"
        node = {
            "class_name": step.class_name,
            "name": name,
            "config": {"name": name, **step.config},
            "inbound_nodes": [[[*tensor.reference, {}] for tensor in tensors]],
        }
        self.layers.append(node)
        self.shared.append((node, tensors[0].shape, step.shape))
        # A nested model has a node of its own already.
        return Tensor([name, int(step.class_name == "Sequential"), 0], step.shape)

    def again(self, tensor: Tensor) -> Tensor | None:
        """One of the layers that take this shape, called once more."""
        takers = [entry for entry in self.shared if entry[1] == tensor.shape]
        fitting = [entry for entry in takers if len(entry[0]["inbound_nodes"][0]) == 1]
        if not fitting:
            return None
        node, _, shape = self.random.choice(fitting)
        node["inbound_nodes"].append([[*tensor.reference, {}]])
        index = len(node["inbound_nodes"]) - (0 if node["class_name"] == "Sequential" else 1)
        return Tensor([node["name"], index, 0], shape)

    def model(self, outputs: Sequence[Tensor]) -> tuple[Config, list[Drawn]]:
        config = {
            "name": "net",
            "layers": self.layers,
            "input_layers": [tensor.reference for tensor in self.inputs],
            "output_layers": [tensor.reference for tensor in outputs],
        }
        return {"class_name": "Model", "config": config}, self.drawn


def graph(random: Random) -> Drawing:
    """Three to eight layers; all tensors that no layer takes are outputs."""
    drawn = Graph(random, batch=random.randint(1, 3))
    loose = [first(drawn) for _ in range(random.randint(1, 2))]
    taken: list[Tensor] = []
    for _ in range(random.randint(3, 8)):
        loose = grown(drawn, loose, taken)
    labels = " ".join(node["class_name"] for node in drawn.layers)
    return Drawing(labels, *drawn.model(loose))


def first(drawn: Graph) -> Tensor:
    """An input, sometimes with an Embedding or a Masking right behind it."""
    random = drawn.random
    rank = random.choice([1, 2, 2, 3])
    if rank == 2 and coin(random, 0.25):
        units = random.randint(2, 4)
        config = {"input_dim": 7, "output_dim": units, "mask_zero": coin(random, 0.3)}
        length = random.randint(2, 5)
        return drawn.call(Step("Embedding", config, (length, units)), [drawn.input((length,), ids=True)])
    given = drawn.input(sizes(random, rank, 3, 5))
    if rank == 2 and coin(random, 0.1):
        return drawn.call(Step("Masking", {"mask_value": 0}, given.shape), [given])
    return given


def grown(drawn: Graph, loose: list[Tensor], taken: list[Tensor]) -> list[Tensor]:
    """The loose ends after one more layer, which sometimes starts at a tensor that another layer has taken."""
    random = drawn.random
    branching = bool(taken) and coin(random, 0.25)
    source = random.choice(taken if branching else loose)
    partners = [tensor for tensor in loose + taken if tensor != source and tensor.shape == source.shape]
    used = [source]
    if partners and coin(random, 0.6):
        used.append(random.choice(partners))
        result = drawn.call(merge(random, source.shape), used)
    else:
        result = (drawn.again(source) if coin(random, 0.15) else None) or drawn.call(next_step(random, source), used)
    taken.extend(tensor for tensor in used if tensor in loose)
    return [tensor for tensor in loose if tensor not in used] + [result]


def merge(random: Random, shape: Shape) -> Step:
    if coin(random, 0.6):
        return Step(random.choice(MERGES), {}, shape)
    axis = random.randint(1, len(shape))
    return Step("Concatenate", {"axis": axis}, (*shape[: axis - 1], 2 * shape[axis - 1], *shape[axis:]))


def next_step(random: Random, source: Tensor) -> Step:
    if coin(random, 0.1):
        return nested(random, source.shape)
    return layer_on(random, source.shape)


def nested(random: Random, shape: Shape) -> Step:
    """One to three layers in a Sequential. Its layers need names of their own, for the weights bear them."""
    unique = f"{random.getrandbits(24):x}"
    layers: list[Config] = []
    out = shape
    for which in "abc"[: random.randint(1, 3)]:
        step = layer_on(random, out)
        layers.append({"class_name": step.class_name, "config": {"name": f"inner-{unique}{which}", **step.config}})
        out = step.shape
    layers[0]["config"]["batch_input_shape"] = [None, *shape]
    return Step("Sequential", {"layers": layers}, out)


def layer_on(random: Random, shape: Shape) -> Step:
    options = [on_any, on_any, {1: on_features, 2: on_steps, 3: on_image}.get(len(shape), on_any)]
    return random.choice(options)(random, shape)


def on_any(random: Random, shape: Shape) -> Step:
    units = random.randint(2, 4)
    identity, config = random.choice(IDENTITIES)
    return random.choice(
        [
            Step("Dense", {"units": units, "activation": activation(random)}, (*shape[:-1], units)),
            Step("Dense", {"units": shape[-1], "activation": activation(random)}, shape),
            Step("Activation", {"activation": random.choice(ACTIVATIONS)}, shape),
            Step("LeakyReLU", {"alpha": 0.2}, shape),
            Step("PReLU", {"shared_axes": [1] if coin(random) else None}, shape),
            Step("BatchNormalization", {"epsilon": 0.01, "scale": coin(random)}, shape),
            Step("LayerNormalization", {"epsilon": 0.01}, shape),
            Step(identity, config, shape),
            Step("Rescaling", {"scale": 0.5, "offset": 0.1}, shape),
        ]
    )


def on_features(random: Random, shape: Shape) -> Step:
    times = random.randint(2, 4)
    return random.choice(
        [
            Step("RepeatVector", {"n": times}, (times, *shape)),
            Step("Reshape", {"target_shape": [shape[0], 1]}, (shape[0], 1)),
        ]
    )


def on_steps(random: Random, shape: Shape) -> Step:
    length, features = shape
    units = random.randint(2, 4)
    sequences = coin(random)
    name = random.choice(["SimpleRNN", "GRU", "LSTM"])
    inner = recurrent_config(random, name) | {"units": units, "return_sequences": sequences}
    lead = (length,) if sequences else ()
    strides = random.randint(1, 2)
    conv = {"filters": units, "kernel_size": [2], "strides": [strides], "padding": "same"}
    flat = length * features
    return random.choice(
        [
            Step(name, inner | {"go_backwards": coin(random)}, (*lead, units)),
            Step(name, inner | {"return_sequences": True}, (length, units)),
            Step("Bidirectional", {"layer": wrapped(Step(name, inner))}, (*lead, 2 * units)),
            Step("TimeDistributed", {"layer": wrapped(Step("Dense", {"units": units}))}, (length, units)),
            Step("Conv1D", conv, (-(-length // strides), units)),
            Step("MaxPooling1D", {"pool_size": [2], "padding": "same"}, (-(-length // 2), features)),
            Step("GlobalAveragePooling1D", {}, (features,)),
            Step("Permute", {"dims": [2, 1]}, (features, length)),
            Step("Flatten", {}, (flat,)),
            Step("Reshape", {"target_shape": [flat]}, (flat,)),
        ]
    )


def on_image(random: Random, shape: Shape) -> Step:
    height, width, channels = shape
    filters = random.randint(2, 4)
    strides = random.randint(1, 2)
    half = (-(-height // strides), -(-width // strides))
    same: Config = {"kernel_size": [2, 3], "padding": "same", "strides": [strides, strides]}
    pool: Config = {"pool_size": [3, 2], "padding": "same", "strides": [strides, strides]}
    return random.choice(
        [
            Step("Conv2D", same | {"filters": filters, "activation": activation(random)}, (*half, filters)),
            Step("Conv2D", same | {"filters": channels, "strides": [1, 1]}, shape),
            Step("DepthwiseConv2D", same, (*half, channels)),
            Step("SeparableConv2D", same | {"filters": filters}, (*half, filters)),
            Step("Conv2DTranspose", same | {"filters": filters}, (height * strides, width * strides, filters)),
            Step("AveragePooling2D", pool, (*half, channels)),
            Step("MaxPooling2D", pool, (*half, channels)),
            Step("UpSampling2D", {"size": [2, 1], "interpolation": "bilinear"}, (2 * height, width, channels)),
            Step("ZeroPadding2D", {"padding": [[1, 0], [0, 2]]}, (height + 1, width + 2, channels)),
            Step("GlobalMaxPooling2D", {}, (channels,)),
            Step("Flatten", {}, (height * width * channels,)),
            Step("Reshape", {"target_shape": [height * width, channels]}, (height * width, channels)),
        ]
    )  # fmt: skip


def main(count: int) -> None:
    """Counts what tf.js takes."""
    refusals: Counter[str] = Counter()
    with TfjsJudge() as judge:
        for seed in range(count):
            for make in (single, graph):
                try:
                    judge.draw(make(Random(seed)).topology, make(Random(seed)).inputs, seed)
                except TfjsRefused as refused:
                    refusals[f"{make.__name__}: {str(refused)[:110]}"] += 1
    print(f"tf.js takes {1 - sum(refusals.values()) / (2 * count):.1%} of {2 * count} drawn models")
    for message, times in refusals.most_common():
        print(f"{times:5} {message}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 300)
