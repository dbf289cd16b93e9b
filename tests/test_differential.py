"""Random models, computed by real tf.js and by us. `DRAWINGS=5000 scripts/test -k differential` tries more of them."""

from __future__ import annotations

import os
from random import Random

import pytest
from drawing import Drawing, graph, single
from judges import TfjsJudge, TfjsRefused
from test_layers import TOLERANCE, apart, outputs_of

from tfjs_torch import load_model, tfjs_to_torch, torch_to_tfjs

pytestmark = pytest.mark.filterwarnings("ignore::tfjs_torch.TfjsTorchWarning")

DRAWINGS = int(os.environ.get("DRAWINGS", "300"))
AT_ONCE = 20


@pytest.mark.parametrize("start", range(0, DRAWINGS, AT_ONCE))
def test_differential_with_tfjs(start: int, judge: TfjsJudge) -> None:
    taken = 0
    for seed in range(start, min(start + AT_ONCE, DRAWINGS)):
        random = Random(seed)
        drawing = graph(random) if seed % 3 == 0 else single(random)
        taken += compared(drawing, seed, judge)
    assert taken >= AT_ONCE // 2, "tf.js refuses most of what is drawn: nothing was compared"


def compared(drawing: Drawing, seed: int, judge: TfjsJudge) -> bool:
    try:
        drawn = judge.draw(drawing.topology, drawing.inputs, seed)
    except TfjsRefused:
        return False
    model = load_model(drawn.files)
    found = outputs_of(model, drawn.inputs)
    said = f"seed {seed}: {drawing.label}"
    assert [x.shape for x in found] == [x.shape for x in drawn.outputs], said
    assert max(map(apart, found, drawn.outputs)) <= TOLERANCE, said
    state = tfjs_to_torch(drawn.document, drawn.weights, layout="torch")
    assert torch_to_tfjs(state, drawn.document, layout="torch")[1] == drawn.weights, said
    return True
