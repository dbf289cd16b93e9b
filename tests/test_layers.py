"""Golden models of real tf.js and real Keras: computed right, saved to the very bytes, the same in both layouts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import layer_cases
import numpy as np
import pytest
import torch
from judges import TfjsJudge
from layer_cases import LayerCase
from layer_table import REGISTERED_BY_TFJS
from numpy.typing import NDArray

from tfjs_torch import load_file, load_model, save_model, supported_layers, tfjs_to_torch, torch_to_tfjs

pytestmark = pytest.mark.filterwarnings("ignore::tfjs_torch.TfjsTorchWarning")  # the quirks, told for each case

TOLERANCE = 1e-5
ALL = layer_cases.paths()
# Less those that tf.js computes only outside of a model, or whose numbers its cpu backend has wrong.
BY_TFJS = [
    path
    for path in ALL
    if not path.parent.name.startswith("keras")
    and not (path.parent.name == "preprocessing" and not path.stem.startswith("rescaling"))
    and not path.stem.startswith("batch_normalization_axis")
]


def case_of(path: Path) -> LayerCase:
    return layer_cases.load(path)


def outputs_of(model: Any, inputs: list[NDArray[Any]]) -> list[NDArray[Any]]:
    with torch.no_grad():
        made = model(*(torch.from_numpy(x.astype("f4") if x.dtype == "f8" else x.copy()) for x in inputs))
    return [tensor.numpy() for tensor in (made if isinstance(made, list) else [made])]


def apart(found: NDArray[Any], wanted: NDArray[Any]) -> float:
    """Largest absolute difference over the largest magnitude wanted; equal infinities and NaNs are no difference."""
    if not wanted.size:
        return 0.0
    same = (found == wanted) | (np.isnan(found) & np.isnan(wanted))
    gap = np.where(same, 0, np.abs(found.astype(np.float64) - wanted))
    return float(gap.max() / max(np.abs(wanted[np.isfinite(wanted)]).max(initial=0), 1e-30))


@pytest.mark.parametrize("path", ALL, ids=layer_cases.name_of)
def test_the_outputs_are_those_of_the_original(path: Path) -> None:
    case = case_of(path)
    model = load_model(case.files, semantics=case.semantics)
    for inputs, wanted in case.calls:
        found = outputs_of(model, inputs)
        assert [x.shape for x in found] == [x.shape for x in wanted]
        assert max(map(apart, found, wanted)) <= (case.tolerance or TOLERANCE)


@pytest.mark.parametrize("path", ALL, ids=layer_cases.name_of)
def test_saved_weights_are_the_same_bytes(path: Path, tmp_path: Path) -> None:
    case = case_of(path)
    save_model(load_model(case.files, semantics=case.semantics), tmp_path)
    assert {name: (tmp_path / name).read_bytes() for name in case.files} == case.files


@pytest.mark.parametrize("path", ALL, ids=layer_cases.name_of)
def test_the_layout_of_torch_is_the_models_own_and_goes_back_to_the_bytes(path: Path) -> None:
    case = case_of(path)
    document, data = json.loads(case.files["model.json"]), case.files["weights.bin"]
    state = tfjs_to_torch(document, data, layout="torch")
    if "archive_compiled" in case.name:  # state of the optimizer, which no module has
        state |= {name: tensor for name, tensor in tfjs_to_torch(document, data).items() if "layers/" not in name}
    own = load_model(case.files, semantics=case.semantics).state_dict()
    assert {key: tensor.shape for key, tensor in own.items()}.items() <= {k: v.shape for k, v in state.items()}.items()
    if "constraint" not in case.name:  # tf.js brings such weights within their limits when it loads a model
        assert all(torch.equal(state[key], tensor) for key, tensor in own.items())
    assert load_file(case.files, layout="torch").keys() == own.keys()
    assert torch_to_tfjs(state, document, layout="torch") == (document, data)


@pytest.mark.parametrize("path", BY_TFJS, ids=layer_cases.name_of)
def test_tfjs_computes_what_we_do_from_changed_and_saved_weights(path: Path, tmp_path: Path, judge: TfjsJudge) -> None:
    case = case_of(path)
    model = load_model(case.files)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.mul_(0.75)
    save_model(model, tmp_path)
    again = load_model(tmp_path)  # constraints apply once more, as in tf.js
    (inputs, _), *_ = case.calls
    wanted = judge.run(tmp_path, inputs).outputs
    assert max(map(apart, outputs_of(again, inputs), wanted)) <= TOLERANCE


def test_every_class_that_tfjs_registers_is_supported_and_has_a_case() -> None:
    cases = {case_of(path).layer for path in ALL} | {"ConvLSTM2DCell"}  # which tf.js takes only inside of a ConvLSTM2D
    registered = set(supported_layers())
    assert {name for name in REGISTERED_BY_TFJS if name not in registered} == set()
    assert {name for name in REGISTERED_BY_TFJS if name not in cases} == set()
