"""Models that were tampered with: load_model says what is wrong, or builds what is a model still; no more happens."""

from __future__ import annotations

import contextlib
import copy
import json
from pathlib import Path
from random import Random
from typing import Any

import layer_cases
import pytest
from test_layers import ALL

from tfjs_torch import TfjsTorchError, load_model, tfjs_to_torch

pytestmark = pytest.mark.filterwarnings("ignore::tfjs_torch.TfjsTorchWarning")

PICKED = ALL[::12]
WRONG: list[Any] = [
    None,
    -1,
    0,
    3,
    10**9,
    0.5,
    "x",
    "",
    [],
    {},
    [None],
    [[]],
    {"class_name": "Dense"},
    True,
    [-1, 10**9],
]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place below a JSON value, as the keys that lead there."""
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [*([path] if path else []), *(place for key in keys for place in places(value[key], (*path, key)))]


def tampered(document: Any, random: Random) -> Any:
    changed = copy.deepcopy(document)
    *above, last = random.choice(places(changed["modelTopology"]))
    parent = changed["modelTopology"]
    for key in above:
        parent = parent[key]
    if random.random() < 0.3:
        del parent[last]
    else:
        parent[last] = random.choice(WRONG)
    return changed


@pytest.mark.parametrize("path", PICKED, ids=layer_cases.name_of)
def test_whatever_was_tampered_with_only_our_errors_come_out(path: Path) -> None:
    case = layer_cases.load(path)
    document = json.loads(case.files["model.json"])
    for seed in range(30):
        changed = tampered(document, Random(f"{case.name} {seed}"))
        with contextlib.suppress(TfjsTorchError):
            load_model({**case.files, "model.json": json.dumps(changed).encode()}, semantics=case.semantics)
            tfjs_to_torch(changed, case.files["weights.bin"], layout="torch")


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        (["nobody", 0, 0, {}], "found 'nobody'"),
        (["in", 0, 10**9, {}], "a call and an output that layer 'in' may have expected"),
        (["in", 0, -1, {}], "a call and an output that layer 'in' may have expected"),
        (["in", 5, 0, {}], "call 5 of layer 'in' expected"),
        (["b", 0, 0, {}], "without a cycle"),
    ],
)
def test_references_that_lead_nowhere_are_told(reference: list[Any], said: str) -> None:
    def dense(name: str, inbound: list[Any]) -> Any:
        config = {"name": name, "units": 2}
        return {"class_name": "Dense", "name": name, "config": config, "inbound_nodes": [[inbound]]}

    first = {"class_name": "InputLayer", "name": "in", "config": {"name": "in", "batch_input_shape": [None, 2]}}
    layers = [{**first, "inbound_nodes": []}, dense("a", reference), dense("b", ["a", 0, 0, {}])]
    config = {"name": "m", "layers": layers, "input_layers": [["in", 0, 0]], "output_layers": [["b", 0, 0]]}
    document = {"modelTopology": {"class_name": "Model", "config": config}, "weightsManifest": []}
    with pytest.raises(TfjsTorchError, match=said):
        load_model({"model.json": json.dumps(document).encode()})
