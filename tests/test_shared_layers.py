"""A layer that is called several times: tf.js counts its calls in the order in which their inputs are ready."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from judges import TfjsJudge
from test_layers import TOLERANCE, apart, outputs_of

from tfjs_torch import TfjsTorchWarning, load_model


def layer(class_name: str, name: str, inbound: list[Any], **options: Any) -> Any:
    config = {"name": name, **options}
    return {"class_name": class_name, "name": name, "config": config, "inbound_nodes": inbound}


def waiting(calls: list[str]) -> dict[str, bytes]:
    """A Dense that is called with "act" and "r", of which "act" stands behind it in the file."""
    layers = [
        layer("InputLayer", "i", [], batch_input_shape=[None, 3]),
        layer("InputLayer", "j", [], batch_input_shape=[None, 3]),
        layer("ReLU", "r", [[["i", 0, 0, {}]]]),
        layer("Dense", "s", [[[name, 0, 0, {}]] for name in calls], units=2, use_bias=False),
        layer("Activation", "act", [[["j", 0, 0, {}]]], activation="elu"),
    ]
    config = {
        "name": "m",
        "layers": layers,
        "input_layers": [["i", 0, 0], ["j", 0, 0]],
        "output_layers": [["s", 0, 0], ["s", 1, 0]],
    }
    weights = [{"name": "s/kernel", "shape": [3, 2], "dtype": "float32"}]
    document = {
        "modelTopology": {"class_name": "Model", "config": config},
        "weightsManifest": [{"paths": ["w.bin"], "weights": weights}],
    }
    return {"model.json": json.dumps(document).encode(), "w.bin": np.arange(6, dtype="<f4").tobytes()}


def test_calls_that_wait_are_counted_later_as_in_tfjs(judge: TfjsJudge) -> None:
    files = waiting(["act", "r"])
    inputs = [np.full((1, 3), 2, "f4"), np.full((1, 3), -1, "f4")]
    with pytest.warns(TfjsTorchWarning, match=r"layer 's': tf.js counts its calls in the order"):
        model = load_model(files)
    assert max(map(apart, outputs_of(model, inputs), judge.run(files, inputs).outputs)) <= TOLERANCE


def test_keras_counts_calls_as_the_file_does() -> None:
    inputs = [np.full((1, 3), 2, "f4"), np.full((1, 3), -1, "f4")]
    first, second = outputs_of(load_model(waiting(["act", "r"]), semantics="keras"), inputs)
    assert (first < 0).all()
    assert (second > 0).all()


def test_calls_in_the_order_of_the_file_need_no_warning(judge: TfjsJudge) -> None:
    files = waiting(["r", "act"])
    inputs = [np.full((1, 3), 2, "f4"), np.full((1, 3), -1, "f4")]
    assert max(map(apart, outputs_of(load_model(files), inputs), judge.run(files, inputs).outputs)) <= TOLERANCE
