"""outline(): layers, what they read, the shapes that real tf.js makes, and a sentence where they are not known."""

from __future__ import annotations

import contextlib
import json
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import layer_cases
import numpy as np
import pytest
import torch
from drawing import graph
from helpers import SHARED_MODELS
from judges import TfjsJudge, TfjsRefused
from test_hostile_models import PICKED, tampered
from test_layers import ALL, BY_TFJS
from torch import nn

from tfjs_torch import Outline, TfjsTorchError, inspect, load_model, outline, read_artifacts
from tfjs_torch.layers import Layer, register
from tfjs_torch.trial import Shape

SAMPLE = Path(__file__).resolve().parents[1] / "samples/ml5-classifier"
OF_TFJS = [path for path in ALL if not path.parent.name.startswith("keras")]
UNSAID = ["core/dense_input_dim", "preprocessing/category_encoding_one_hot"]  # the file does not say the input's shape
WATCHED = [path for i, path in enumerate(BY_TFJS) if path.parent.name == "models" or i % 9 == 0]
WATCHED = [path for path in WATCHED if layer_cases.name_of(path) not in UNSAID]


def fits(found: Shape | None, made: Sequence[int]) -> bool:
    """Whether a shape is one of those that an outline tells."""
    return (
        found is not None and len(found) == len(made) and all(x in (None, y) for x, y in zip(found, made, strict=True))
    )


def layer(class_name: str, name: str, reads: list[Any] | None = None, **options: Any) -> Any:
    """A layer of a functional model, called once with the first outputs of others, or with [name, call, output]s."""
    refs = [[*(ref if isinstance(ref, list) else [ref, 0, 0]), {}] for ref in reads or []]
    config = {"name": name, **options}
    return {"class_name": class_name, "name": name, "config": config, "inbound_nodes": [refs] if refs else []}


def functional(layers: list[Any], outputs: list[Any], **weights: list[int]) -> dict[str, bytes]:
    inputs = [[each["config"]["name"], 0, 0] for each in layers if each["class_name"] == "InputLayer"]
    config = {"name": "m", "layers": layers, "input_layers": inputs, "output_layers": outputs}
    return files({"class_name": "Model", "config": config}, **weights)


def sequential(*layers: Any, shape: list[int | None], **weights: list[int]) -> dict[str, bytes]:
    layers[0]["config"]["batch_input_shape"] = shape
    return files({"class_name": "Sequential", "config": {"name": "s", "layers": list(layers)}}, **weights)


def files(topology: Any, **weights: list[int]) -> dict[str, bytes]:
    """`d__kernel=[3, 2]` is the shape of d/kernel."""
    specs = [{"name": k.replace("__", "/"), "shape": v, "dtype": "float32"} for k, v in weights.items()]
    size = sum(int(np.prod(shape)) for shape in weights.values())
    document = {"modelTopology": topology, "weightsManifest": [{"paths": ["w.bin"], "weights": specs}]}
    return {"model.json": json.dumps(document).encode(), "w.bin": b"\0" * 4 * size}


def test_the_json_is_that_of_the_contract() -> None:
    assert outline(SAMPLE).to_dict() == {
        "layers": [
            {"name": "dense_Dense1", "class_name": "Dense", "depth": 0, "output_shape": [None, 16],
             "inputs": ["dense_Dense1_input"]},
            {"name": "dense_Dense2", "class_name": "Dense", "depth": 0, "output_shape": [None, 4],
             "inputs": ["dense_Dense1"]},
        ],
        "inputs": [{"name": "dense_Dense1_input", "shape": [None, 3]}],
        "outputs": [{"name": "dense_Dense2", "shape": [None, 4]}],
        "runs": True,
        "why_not": "",
    }  # fmt: skip


@pytest.mark.parametrize("path", OF_TFJS, ids=layer_cases.name_of)
def test_the_outputs_have_the_shapes_that_tfjs_recorded(path: Path) -> None:
    case = layer_cases.load(path)
    found = outline(case.files)
    assert found.runs
    if case.name not in UNSAID:
        assert found.why_not == ""
        assert all(map(fits, [port.shape for port in found.outputs], [x.shape for x in case.calls[0][1]]))
        assert [port.shape[0] for port in found.outputs if port.shape] == [
            found.inputs[0].shape[0] if found.inputs[0].shape else None
        ] * len(found.outputs)


@pytest.mark.parametrize("path", WATCHED, ids=layer_cases.name_of)
def test_every_layer_has_the_shape_that_tfjs_gives_it(path: Path, judge: TfjsJudge) -> None:
    case = layer_cases.load(path)
    made = judge.run(case.files, case.calls[0][0], per_layer=True).layers
    compare(outline(case.files), made)


def compare(found: Outline, made: list[tuple[str, Any]]) -> None:
    first = {name: array.shape for name, array in reversed(made)}
    own = {each.name: each for each in found.layers}
    wrong = {
        name: (own[name].output_shape, shape)
        for name, shape in first.items()
        if name in own and not fits(own[name].output_shape, shape)
    }
    assert wrong == {}
    assert len(own.keys() & first.keys()) >= sum(each.class_name != "InputLayer" for each in own.values()) // 2


@pytest.mark.parametrize("seed", range(40))
def test_random_models_have_the_shapes_that_tfjs_makes(seed: int, judge: TfjsJudge) -> None:
    drawing = graph(Random(f"outline {seed}"))
    try:
        drawn = judge.draw(drawing.topology, drawing.inputs, seed)
    except TfjsRefused:
        pytest.skip("tf.js refuses this one")
    found = outline(drawn.files)
    compare(found, judge.run(drawn.files, drawn.inputs, per_layer=True).layers)
    assert all(port.shape is not None and None not in port.shape[1:] for port in found.outputs)


@pytest.mark.parametrize("path", ALL, ids=layer_cases.name_of)
@pytest.mark.filterwarnings("ignore::tfjs_torch.TfjsTorchWarning")
def test_what_it_says_is_what_the_loaded_model_does(path: Path) -> None:
    case = layer_cases.load(path)
    found, model = outline(case.files), load_model(case.files)
    inputs = [torch.from_numpy(x.astype("f4")) for x in case.calls[0][0]]
    made: Any = None
    with torch.no_grad(), contextlib.suppress(TfjsTorchError, RuntimeError):
        made = model(*inputs)
    assert found.runs == (made is not None)
    for port, tensor in zip(found.outputs, made if isinstance(made, list) else [made], strict=False):
        assert port.shape is None or tensor is None or fits(port.shape, tensor.shape)


def test_branches_and_several_outputs_say_what_they_read() -> None:
    found = outline(
        functional(
            [
                layer("InputLayer", "a", batch_input_shape=[None, 8, 6, 3]),
                layer("InputLayer", "b", batch_input_shape=[None, 8, 6, 1]),
                layer("Concatenate", "both", ["a", "b"], axis=-1),
                layer("Flatten", "flat", ["both"]),
                layer("UpSampling2D", "large", ["both"], size=[2, 3]),
                layer("Add", "twice", ["b", "b"]),
            ],
            [["flat", 0, 0], ["large", 0, 0], ["twice", 0, 0]],
        )
    )
    assert {each.name: each.inputs for each in found.layers} == {
        "a": (), "b": (), "both": ("a", "b"), "flat": ("both",), "large": ("both",), "twice": ("b",),
    }  # fmt: skip
    assert [(port.name, port.shape) for port in found.inputs] == [("a", (None, 8, 6, 3)), ("b", (None, 8, 6, 1))]
    assert [(port.name, port.shape) for port in found.outputs] == [
        ("flat", (None, 192)), ("large", (None, 16, 18, 4)), ("twice", (None, 8, 6, 1)),
    ]  # fmt: skip


def test_nested_models_are_followed_by_their_own_layers() -> None:
    inner = {"class_name": "Sequential", "config": {"name": "inner", "layers": [
        layer("Dense", "d", units=5, use_bias=False, batch_input_shape=[None, 3]), layer("RepeatVector", "r", n=4),
    ]}}  # fmt: skip
    found = outline(
        functional(
            [
                layer("InputLayer", "i", batch_input_shape=[None, 3]),
                {**inner, "name": "inner", "inbound_nodes": [[["i", 0, 0, {}]]]},
                layer("Flatten", "f", [["inner", 1, 0]]),
            ],
            [["f", 0, 0]],
            d__kernel=[3, 5],
        )
    )
    assert [(each.name, each.depth, each.output_shape, each.inputs) for each in found.layers] == [
        ("i", 0, (None, 3), ()),
        ("inner", 0, (None, 4, 5), ("i",)),
        ("d", 1, (None, 5), ("d_input",)),
        ("r", 1, (None, 4, 5), ("d",)),
        ("f", 0, (None, 20), ("inner",)),
    ]


def test_a_layer_that_is_called_twice_reads_both() -> None:
    case = layer_cases.load(next(path for path in ALL if path.stem == "shared_layer"))
    (shared,) = [each for each in outline(case.files).layers if len(each.inputs) > 1 and each.class_name == "Dense"]
    assert shared.output_shape is not None


def test_a_recurrent_layer_has_a_shape_for_its_states_too() -> None:
    given = layer("LSTM", "l", units=2, return_sequences=True, return_state=True)
    weights = {"l__kernel": [3, 8], "l__recurrent_kernel": [2, 8], "l__bias": [8]}
    found = outline(sequential(given, shape=[None, None, 3], **weights))
    assert found.layers[0].output_shapes == ((None, None, 2), (None, 2), (None, 2))


@pytest.mark.parametrize(
    ("shape", "made"),
    [
        ([None, None, None, 3], (None, None, None, 12)),
        ([None, 6, None, 3], (None, 3, None, 12)),
        ([4, 6, 8, 3], (4, 3, 4, 12)),
    ],
)
def test_sizes_that_are_open_stay_open_and_fixed_ones_fixed(shape: Any, made: Shape) -> None:
    pool = layer("MaxPooling2D", "p", pool_size=[2, 2], strides=[2, 2])
    conv = layer("Conv2D", "c", filters=12, kernel_size=[3, 3], padding="same", use_bias=False)
    found = outline(sequential(pool, conv, shape=shape, c__kernel=[3, 3, 3, 12]))
    assert (found.outputs[0].shape, found.why_not) == (made, "")


def test_an_image_that_is_halved_and_doubled_again_may_have_any_size() -> None:
    names, layers = ["i"], [layer("InputLayer", "i", batch_input_shape=[None, None, None, 1])]
    for k in range(6):
        layers.append(layer("MaxPooling2D", f"p{k}", [names[-1]], pool_size=[2, 2], strides=[2, 2]))
        names.append(f"p{k}")
    for k in reversed(range(6)):
        layers += [layer("UpSampling2D", f"u{k}", [names[-1]]), layer("Add", f"a{k}", [f"u{k}", ["i", *names[1:]][k]])]
        names.append(f"a{k}")
    found = outline(functional(layers, [["a0", 0, 0]]))
    assert (found.outputs[0].shape, found.why_not) == ((None, None, None, 1), "")


@pytest.mark.parametrize(
    ("target", "made"), [([-1], (None, 24)), ([4, -1], (None, 4, 6)), ([2, -1, 3], (None, 2, 4, 3))]
)
def test_an_open_size_of_a_reshape_is_told(target: list[int], made: Shape) -> None:
    assert outline(sequential(layer("Reshape", "r", target_shape=target), shape=[None, 4, 6])).outputs[0].shape == made


def test_a_width_that_is_drawn_is_open() -> None:
    drawn = layer("RandomWidth", "r", factor=0.5)
    assert outline(sequential(drawn, shape=[None, 8, 10, 3])).outputs[0].shape == (None, 8, None, 3)


def test_layers_that_do_not_fit_each_other_are_told_with_the_shapes_before() -> None:
    first, second = layer("Flatten", "f"), layer("Reshape", "r", target_shape=[5])
    found = outline(sequential(first, second, shape=[None, 2, 3]))
    assert [each.output_shape for each in found.layers] == [(None, 6), None]
    assert not found.runs
    assert found.why_not.startswith("layer 'r': ")
    assert found.outputs[0].shape is None


def test_an_unknown_layer_is_told_and_the_wires_are_there() -> None:
    unknown = layer("Mystery", "m", batch_input_shape=[None, 2])
    found = outline(sequential(unknown, layer("Flatten", "f"), shape=[None, 2]))
    assert [(each.name, each.output_shape, each.inputs) for each in found.layers] == [
        ("m", None, ("m_input",)), ("f", None, ("m",)),
    ]  # fmt: skip
    assert (found.runs, found.inputs[0].shape, found.outputs[0].name) == (False, (None, 2), "f")
    assert "found 'Mystery'" in found.why_not


def test_weights_only_and_graph_models_are_told() -> None:
    bare = json.dumps([{"paths": ["w.bin"], "weights": [{"name": "a", "shape": [1], "dtype": "float32"}]}]).encode()
    graph_model = json.dumps({"modelTopology": {"node": []}, "weightsManifest": []}).encode()
    for given, said in (
        ({"weights_manifest.json": bare, "w.bin": b"\0" * 4}, "found weights only"),
        ({"model.json": graph_model}, "found a graph-model"),
        (files({"class_name": "Sequential"}), "layers"),
    ):
        found = outline(given)
        assert found.to_dict() == {**found.to_dict(), "layers": [], "inputs": [], "outputs": [], "runs": False}
        assert said in found.why_not


def test_weight_files_of_a_wrong_length_are_told() -> None:
    given = sequential(layer("Dense", "d", units=2, use_bias=False), shape=[None, 3], d__kernel=[3, 2])
    found = outline({**given, "w.bin": b"\0" * 20})
    assert (found.runs, found.outputs[0].shape) == (False, (None, 2))
    assert "24" in found.why_not


def test_no_weight_file_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Any:
        raise AssertionError("a weight byte was read")

    monkeypatch.setattr("tfjs_torch.shards.Stream.__enter__", refuse)
    assert outline(SAMPLE).runs
    without = read_artifacts({"model.json": (SAMPLE / "model.json").read_bytes()}, weights=False)
    assert outline(without).outputs[0].shape == (None, 4)


def test_it_tells_of_no_quirks() -> None:
    norm = layer("LayerNormalization", "n", center=False, scale=False, axis=1)
    steps = layer("TimeDistributed", "t", layer=layer("Activation", "a", activation="softmax"))
    masked = [layer("Masking", "m"), layer("Permute", "p", dims=[2, 1]), steps, norm]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        outline(sequential(*masked, shape=[None, 4, 4]))
        for path in ALL[::15]:
            outline(layer_cases.load(path).files)


class Odd(nn.Module):
    def forward(self, x: Any) -> Any:
        return x / x.max()  # fails where there are no numbers


def test_a_layer_of_ones_own_that_needs_numbers_is_no_reason_not_to_run() -> None:
    @register("Odd", becomes="x / max")
    class OddLayer(Layer):
        def build(self) -> nn.Module:
            return Odd()

    found = outline(sequential(layer("Flatten", "f"), layer("Odd", "o"), shape=[None, 2, 3]))
    assert (found.runs, [each.output_shape for each in found.layers]) == (True, [(None, 6), None])
    assert found.why_not.startswith("shapes are known only before this: layer 'o'")


HUGE = 10**9
HOSTILE = {
    "repeat": [layer("Flatten", "f"), layer("RepeatVector", "h", n=HUGE)],
    "padding": [layer("ZeroPadding2D", "h", padding=[[HUGE, HUGE], [HUGE, HUGE]])],
    "padding beyond": [layer("ZeroPadding2D", "h", padding=[[10**19, 1], [1, 1]])],
    "upsampling": [layer("UpSampling2D", "h", size=[HUGE, HUGE])],
    "upsampling, long": [layer("UpSampling2D", "h", size=[HUGE, 1])],
    "upsampling, bilinear": [layer("UpSampling2D", "h", size=[HUGE, 1], interpolation="bilinear")],
    "upsampling, bilinear, many": [
        layer("UpSampling2D", f"h{i}", size=[1, 2], interpolation="bilinear") for i in range(60)
    ],
    "reshape": [layer("Reshape", "h", target_shape=[HUGE, HUGE, HUGE])],
    "cropping": [layer("Cropping2D", "h", cropping=[[HUGE, 0], [0, 0]])],
    "resizing": [layer("Resizing", "h", height=HUGE, width=HUGE)],
    "resizing, nearest": [layer("Resizing", "h", height=HUGE, width=HUGE, interpolation="nearest")],
    "resizing, smoothly": [
        layer("Resizing", "h", height=HUGE, width=9, interpolation="bilinear", crop_to_aspect_ratio=True)
    ],
    "resizing, a little": [
        layer("Resizing", "h", height=10**5, width=10**5, interpolation="bilinear", crop_to_aspect_ratio=True)
    ],
    "category": [layer("CategoryEncoding", "h", num_tokens=HUGE)],
    "pooling": [layer("MaxPooling2D", "h", pool_size=[HUGE, HUGE], strides=[1, 1], padding="same")],
    "pooling, average": [layer("AveragePooling2D", "h", pool_size=[HUGE, 1], strides=[1, 1], padding="same")],
    "pooling, average, counted": [
        layer("AveragePooling2D", "h", pool_size=[10**6, 3], strides=[1, 1], padding="same"),
        layer("Flatten", "f"),
    ],
    "sorted": [
        layer("Flatten", "f"),
        layer("RepeatVector", "h", n=HUGE),
        layer("Permute", "p", dims=[2, 1]),
        layer("Activation", "a", activation="sparsemax"),
    ],
    "doubled": [layer("UpSampling2D", f"h{i}") for i in range(200)],
    "many": [layer("Flatten", f"h{i}") for i in range(3000)],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_huge_sizes_cost_nothing(name: str) -> None:
    quickly(sequential(*json.loads(json.dumps(HOSTILE[name])), shape=[None, 8, 8, 3]))


def quickly(given: dict[str, bytes]) -> Outline:
    """No more than a few seconds even where everything else runs, too, and no more memory than it has to be."""
    start = time.perf_counter()
    found = outline(given)
    assert time.perf_counter() - start < 15
    assert found.runs or found.why_not
    json.dumps(found.to_dict(), allow_nan=False)
    return found


@pytest.mark.parametrize("class_name", ["LSTM", "GRU", "SimpleRNN"])
@pytest.mark.parametrize("activation", ["tanh", "relu", "softmax"])
def test_a_billion_steps_are_as_quick_as_one(class_name: str, activation: str) -> None:
    rows = {"LSTM": 8, "GRU": 6, "SimpleRNN": 2}[class_name]
    options: dict[str, Any] = {"units": 2, "activation": activation, "return_sequences": True, "stateful": True}
    weights = {"r__kernel": [3, rows], "r__recurrent_kernel": [2, rows], "r__bias": [rows]}
    found = quickly(sequential(layer(class_name, "r", **options), shape=[None, HUGE, 3], **weights))
    assert (found.outputs[0].shape, found.why_not) == ((None, HUGE, 2), "")


def test_a_model_that_calls_itself_over_and_over_ends() -> None:
    def doubling(depth: int) -> Any:
        name, inner = f"m{depth}", doubling(depth - 1) if depth else layer("Flatten", "leaf")
        first = layer("InputLayer", f"i{depth}", batch_input_shape=[None, 3])
        at = 1 if depth else 0
        inner = {**inner, "name": inner["config"]["name"], "inbound_nodes": [
            [[f"i{depth}", 0, 0, {}]], [[inner["config"]["name"], at, 0, {}]]]}  # fmt: skip
        config = {"name": name, "layers": [first, inner], "input_layers": [[f"i{depth}", 0, 0]],
                  "output_layers": [[inner["name"], at + 1, 0]]}  # fmt: skip
        return {"class_name": "Model", "config": config}

    found = quickly(files(doubling(40)))
    assert (found.runs, "at most 10,000 calls" in found.why_not) == (True, True)
    assert quickly(files(doubling(5))).outputs[0].shape == (None, 3)


def test_models_nested_too_deep_are_told() -> None:
    model: Any = layer("Flatten", "f", batch_input_shape=[None, 3])
    for depth in range(310):  # Python's JSON goes no further
        model = {"class_name": "Sequential", "config": {"name": f"s{depth}", "layers": [model]}}
        if depth % 50 == 0:
            quickly(files(model))


@pytest.mark.parametrize("path", PICKED, ids=layer_cases.name_of)
def test_whatever_was_tampered_with_there_is_an_outline(path: Path) -> None:
    case = layer_cases.load(path)
    document = json.loads(case.files["model.json"])
    for seed in range(30):
        given = {**case.files, "model.json": json.dumps(tampered(document, Random(f"{case.name} {seed}"))).encode()}
        try:
            artifacts = read_artifacts(given)
        except TfjsTorchError:
            continue
        quickly(artifacts)  # type: ignore[arg-type]


@pytest.mark.skipif(not SHARED_MODELS.is_dir(), reason="real models lie beside the repository where it is developed")
@pytest.mark.filterwarnings("ignore::tfjs_torch.TfjsTorchWarning")
def test_real_models_have_the_shapes_that_tfjs_recorded() -> None:
    recorded = sorted(SHARED_MODELS.glob("*/reference/shapes.json"))
    compared = 0
    for shapes in recorded:
        found = outline(shapes.parents[1])
        if not (found.layers and found.runs):
            continue
        wanted = [row["shape"] for row in json.loads(shapes.read_text())["outputs"]]
        open_sizes = [port.shape for port in found.outputs if port.shape and port.shape[0] is None]
        if "fsrcnn" in str(shapes) or "brainchop" in str(shapes):  # recorded with smaller images than the file says
            continue
        assert all(map(fits, open_sizes, wanted)), shapes
        listed = inspect(shapes.parents[1]).layers
        assert [(x.class_name, x.depth) for x in found.layers] == [(x.class_name, x.depth) for x in listed]
        compared += 1
    assert compared > 20
