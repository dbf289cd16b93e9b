"""A loaded model is a torch module like any other: copied, pickled, compiled, exported, moved, trained."""

from __future__ import annotations

import copy
import io
import json
import pickle
from pathlib import Path
from typing import Any

import layer_cases
import numpy as np
import pytest
import torch
from test_layers import ALL, apart, outputs_of

from tfjs_torch import MismatchError, UnsupportedError, load_model, save_model

pytestmark = [
    pytest.mark.filterwarnings("ignore::tfjs_torch.TfjsTorchWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # torch's own, while it compiles and exports
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:torch"),
]

SAMPLE = "samples/ml5-classifier"
# Every tenth golden case of tf.js, and all models of several layers.
PICKED = [
    path
    for i, path in enumerate(path for path in ALL if "keras" not in str(path) and "stateful" not in str(path))
    if i % 10 == 0 or path.parent.name == "models"
]


@pytest.fixture(params=PICKED, ids=layer_cases.name_of)
def loaded(request: pytest.FixtureRequest) -> tuple[Any, list[torch.Tensor]]:
    case = layer_cases.load(request.param)
    return load_model(case.files), [torch.from_numpy(x) for x in case.calls[0][0]]


def same(a: Any, b: Any) -> bool:
    pairs = zip(*(made if isinstance(made, (list, tuple)) else [made] for made in (a, b)), strict=True)
    return all(torch.equal(x, y) or apart(x.detach().numpy(), y.detach().numpy()) <= 1e-6 for x, y in pairs)


def test_copies_compute_the_same_and_are_their_own(loaded: tuple[Any, list[torch.Tensor]]) -> None:
    model, inputs = loaded
    for made in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert same(made(*inputs), model(*inputs))
        assert {p.data_ptr() for p in made.parameters() if p.numel()}.isdisjoint(
            p.data_ptr() for p in model.parameters() if p.numel()
        )


def test_exported_programs_compute_the_same(loaded: tuple[Any, list[torch.Tensor]]) -> None:
    model, inputs = loaded
    with torch.no_grad():
        program = torch.export.export(model, tuple(inputs))
        assert same(program.module()(*inputs), model(*inputs))


def test_compiled_models_compute_the_same(loaded: tuple[Any, list[torch.Tensor]]) -> None:
    model, inputs = loaded
    torch.compiler.reset()
    with torch.no_grad():
        assert same(torch.compile(model, backend="eager")(*inputs), model(*inputs))  # type: ignore[no-untyped-call]


def test_functional_call_takes_other_weights(loaded: tuple[Any, list[torch.Tensor]]) -> None:
    model, inputs = loaded
    state = {key: value.detach().clone() for key, value in model.state_dict().items()}
    assert same(torch.func.functional_call(model, state, tuple(inputs)), model(*inputs))


def test_data_parallel_wraps_a_model() -> None:
    model, x = load_model(SAMPLE), torch.rand(3, 3)
    assert same(torch.nn.DataParallel(model)(x), model(x))


def test_halves_and_doubles_compute_nearly_the_same(loaded: tuple[Any, list[torch.Tensor]]) -> None:
    model, inputs = loaded
    arrays = [x.numpy() for x in inputs]
    wanted = model.predict(arrays)
    found = copy.deepcopy(model).double().predict(arrays)
    for a, b in zip(*(x if isinstance(x, list) else [x] for x in (found, wanted)), strict=True):
        assert apart(a, b) <= 1e-4


def test_half_precision_runs() -> None:
    found = load_model(SAMPLE).half()(torch.rand(2, 3, dtype=torch.float16))
    assert (found.dtype, found.shape) == (torch.float16, (2, 4))


def test_a_half_model_is_saved_as_float32(tmp_path: Path) -> None:
    model: Any = load_model(SAMPLE).half()
    save_model(model, tmp_path)
    again: Any = load_model(tmp_path)
    assert torch.equal(again.dense_Dense1.weight, model.dense_Dense1.weight.float())


def test_repr_names_the_layers_of_tfjs() -> None:
    assert "(dense_Dense1): ActivatedLinear(in_features=3, out_features=16, bias=True, activation=relu)" in repr(
        load_model(SAMPLE)
    )


def test_what_the_model_says_of_itself() -> None:
    model = load_model(SAMPLE)
    assert not model.training
    assert model.input_names == ["dense_Dense1_input"]
    assert model.output_names == ["dense_Dense2"]
    assert model.input_shapes == [(None, 3)]
    assert model.layers == ["dense_Dense1", "dense_Dense2"]
    assert model.artifacts.json_name == "model.json"


@pytest.mark.parametrize(
    "form", ["array", "list", "dict", "nested list", "tensor", "integers", "backwards", "big-endian"]
)
def test_predict_takes_arrays_in_many_forms(form: str) -> None:
    model, x = load_model(SAMPLE), np.array([[1.0, 0.0, 1.0]] * 70)
    given: Any = {
        "array": x, "list": [x], "dict": {"dense_Dense1_input": x}, "nested list": x.tolist(),
        "tensor": torch.from_numpy(x), "integers": x.astype(int),
        "backwards": x[::-1], "big-endian": x.astype(">f8"),
    }[form]  # fmt: skip
    found = model.predict(given)
    assert (found.dtype, found.shape) == (np.dtype("float32"), (70, 4))
    assert apart(found, outputs_of(model, [x.astype(np.float32)])[0]) <= 1e-6


def test_predict_leaves_training_on_and_takes_no_part_in_gradients() -> None:
    model = load_model(SAMPLE).train()
    model.predict(np.zeros((1, 3)))
    assert all(module.training for module in model.modules())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (np.zeros((2, 4)), r"input 'dense_Dense1_input': the shape \[any, 3\] expected, found \[2, 4\]"),
        (np.float32(1), "an array with a batch axis expected"),
        ([np.zeros((2, 3))] * 2, "a list of 1 arrays expected|shape"),
        ({"x": np.zeros((2, 3))}, "the names dense_Dense1_input expected, found x"),
        ("abc", "an array of numbers expected"),
    ],
)
def test_predict_says_what_does_not_fit(given: Any, said: str) -> None:
    with pytest.raises(MismatchError, match=said):
        load_model(SAMPLE).predict(given)


def test_no_samples_give_no_rows() -> None:
    assert load_model(SAMPLE).predict(np.zeros((0, 3))).shape == (0, 4)


def test_weights_are_there_once(tmp_path: Path) -> None:
    model = load_model(SAMPLE)
    buffer = io.BytesIO()
    torch.save(model.state_dict(), buffer)
    assert len(buffer.getvalue()) < 528 + 4096


NAMES = ["forward", "train", "weight", "predict", "layers", "add", "type", "a.b.c", "block/conv", "0"]


@pytest.mark.parametrize("name", NAMES)
def test_layers_may_have_any_name(name: str, tmp_path: Path) -> None:
    config = {"name": name, "units": 2, "batch_input_shape": [None, 3]}
    document = {
        "modelTopology": {
            "class_name": "Sequential",
            "config": {"layers": [{"class_name": "Dense", "config": config}]},
        },
        "weightsManifest": [
            {
                "paths": ["w.bin"],
                "weights": [
                    {"name": f"{name}/kernel", "shape": [3, 2], "dtype": "float32"},
                    {"name": f"{name}/bias", "shape": [2], "dtype": "float32"},
                ],
            }
        ],
    }
    files = {"model.json": json.dumps(document).encode(), "w.bin": np.arange(8, dtype="<f4").tobytes()}
    model = load_model(files)
    assert list(model.state_dict()) == [f"{name}.weight", f"{name}.bias"]
    assert model(torch.ones(1, 3)).tolist() == [[12.0, 16.0]]
    save_model(copy.deepcopy(model), tmp_path)
    assert (tmp_path / "w.bin").read_bytes() == files["w.bin"]


def test_a_model_from_a_folder_is_copied_and_pickled() -> None:
    model, x = load_model(SAMPLE), torch.rand(2, 3)
    assert same(copy.deepcopy(model)(x), model(x))
    assert same(pickle.loads(pickle.dumps(model))(x), model(x))


def test_the_input_is_left_alone_and_so_is_what_is_an_output_too() -> None:
    """Activations overwrite what nobody else reads, and nothing else."""
    case = next(path for path in ALL if path.stem == "conv2d_batch_normalization" or path.parent.name == "models")
    loaded = layer_cases.load(case)
    model = load_model(loaded.files)
    inputs = [torch.from_numpy(x) for x in loaded.calls[0][0]]
    before = [x.clone() for x in inputs]
    with torch.no_grad():
        model(*inputs)
    assert all(torch.equal(x, y) for x, y in zip(inputs, before, strict=True))


@pytest.mark.parametrize("wrap", [torch.compile, torch.nn.DataParallel])
def test_what_torch_wraps_around_a_model_is_saved_as_the_model(wrap: Any, tmp_path: Path) -> None:
    model = load_model(SAMPLE)
    save_model(wrap(model), tmp_path)
    assert (tmp_path / "model.weights.bin").read_bytes() == Path(SAMPLE, "model.weights.bin").read_bytes()


def test_a_user_module_is_saved_like_a_loaded_model(tmp_path: Path) -> None:
    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.dense_Dense1 = torch.nn.Linear(3, 16)
            self.dense_Dense2 = torch.nn.Linear(16, 4)

    net = Net()
    save_model(net, tmp_path, like=load_model(SAMPLE))
    assert torch.equal(load_model(tmp_path).state_dict()["dense_Dense2.weight"], net.dense_Dense2.weight)
    assert (tmp_path / "model_meta.json").is_file()


@pytest.mark.parametrize("activation", ["hard_sigmoid", "sigmoid"])
def test_recurrent_models_work_with_transforms_of_torch_func(activation: str) -> None:
    path = next(p for p in ALL if p.stem == ("lstm" if activation == "hard_sigmoid" else "lstm_sigmoid"))
    case = layer_cases.load(path)
    model, x = load_model(case.files), torch.from_numpy(case.calls[0][0][0])
    with torch.no_grad():
        wanted = model(x)
    assert torch.func.grad(lambda x: model(x).sum())(x).shape == x.shape
    compiled = torch.compile(model, backend="aot_eager")
    assert same(compiled(x), wanted)


def test_code_in_a_file_is_named_and_never_run() -> None:
    config = {"name": "mine", "function": ["4wEAAAA=", None, None], "batch_input_shape": [None, 2]}
    layer = {"class_name": "Lambda", "config": config}
    topology = {"class_name": "Sequential", "config": {"name": "net", "layers": [layer]}}
    document = {"modelTopology": topology, "weightsManifest": [{"paths": [], "weights": []}]}
    with pytest.raises(UnsupportedError, match=r"layer 'mine': .* found 'Lambda'; it holds code, which is never run"):
        load_model({"model.json": json.dumps(document).encode()})


def test_a_model_goes_to_another_device() -> None:
    model = load_model(SAMPLE, device="meta")
    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}
    assert model(torch.rand(2, 3, device="meta")).shape == (2, 4)
    assert load_model(SAMPLE).to("meta")(torch.rand(2, 3, device="meta")).device.type == "meta"
