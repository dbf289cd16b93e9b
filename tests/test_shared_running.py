"""Real layers-models of other people, beside the repository: they compute what tf.js does, and go back to the byte."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import SHARED_MODELS, parse, snapshot
from numpy.typing import NDArray
from test_layers import TOLERANCE, apart
from test_shared_models import INDEX, MISREAD, MODELS, OVERSIZED, RENAMED, label

from tfjs_torch import UnsupportedError, load_file, load_model, save_model

pytestmark = pytest.mark.filterwarnings("ignore::tfjs_torch.TfjsTorchWarning")


def has_layers(path: Path) -> bool:
    document = parse(path)
    topology = document.get("modelTopology") if isinstance(document, dict) else None
    return isinstance(topology, dict) and "node" not in topology


LAYERS_MODELS = [path for path in MODELS if has_layers(path)]
REFUSED_BY_TFJS = ["odd-keras3-tabguard", "odd-manual-colon0", "odd-normalization"]


def rows(path: Path, which: str) -> list[NDArray[Any]]:
    """The reference's inputs or outputs."""
    folder = path.parent / "reference"
    listed = json.loads((folder / "shapes.json").read_text())[which]
    dtypes = {"float32": "<f4", "int32": "<i4"}
    return [np.fromfile(folder / row["file"], dtypes[row["dtype"]]).reshape(row["shape"]) for row in listed]


@pytest.mark.parametrize(
    "model", [path for path in LAYERS_MODELS if (path.parent / "reference/shapes.json").is_file()], ids=label
)
def test_the_outputs_are_those_of_tfjs(model: Path) -> None:
    with torch.no_grad():
        made = load_model(model)(*map(torch.from_numpy, rows(model, "inputs")))
    found = [tensor.numpy() for tensor in (made if isinstance(made, list) else [made])]
    assert max(map(apart, found, rows(model, "outputs"))) <= TOLERANCE


@pytest.mark.parametrize("name", REFUSED_BY_TFJS)
def test_what_tfjs_refuses_and_is_plain_runs(name: str) -> None:
    model = load_model(SHARED_MODELS / name / next(row["model_file"] for row in INDEX if row["name"] == name))
    (shape,) = model.input_shapes
    assert shape is not None
    found = model.predict(np.zeros((2, *shape[1:])))
    assert len(found) == 2
    assert np.isfinite(found).all()


@pytest.mark.parametrize("model", LAYERS_MODELS, ids=label)
def test_a_loaded_model_is_saved_as_the_files_it_came_from(model: Path, tmp_path: Path) -> None:
    save_model(load_model(model), tmp_path / model.name)
    before, after = snapshot(model.parent), snapshot(tmp_path)
    if model != MISREAD and model not in RENAMED:  # written under other names, or as one file
        assert {name: before[name] for name in after} == after
    for name, tensor in load_file(model).items():
        assert torch.equal(tensor, load_file(tmp_path / model.name)[name])


@pytest.mark.parametrize("model", LAYERS_MODELS, ids=label)
def test_the_layout_of_torch_is_that_of_the_model(model: Path) -> None:
    state, own = load_file(model, layout="torch"), load_model(model).state_dict()
    assert list(state) == list(own)
    assert all(torch.equal(tensor, own[key]) for key, tensor in state.items())


@pytest.mark.parametrize("name", ["graph-tfjs-dense", "graph-human-age"])
def test_a_graph_model_is_told_from_layers(name: str) -> None:
    path = SHARED_MODELS / name / next(row["model_file"] for row in INDEX if row["name"] == name)
    with pytest.raises(UnsupportedError, match="a layers-model expected, found a graph-model"):
        load_model(path)


assert OVERSIZED not in MODELS
