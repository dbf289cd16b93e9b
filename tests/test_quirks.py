"""Where tf.js and Keras differ, the user is told; golden models of tf.js are computed in both semantics to find out."""

from __future__ import annotations

import warnings
from pathlib import Path

import layer_cases
import pytest
from test_layers import TOLERANCE, apart, outputs_of

from tfjs_torch import TfjsTorchError, TfjsTorchWarning, load_model

BY_TFJS = [path for path in layer_cases.paths() if not path.parent.name.startswith("keras")]
# Differences that hang on masks and states of a single call, and are not told.
UNTOLD = {
    "models/functional_kwargs", "models/mask_add_second", "recurrent/gru_stateful_masked",
    "recurrent/rnn_stacked_state", "recurrent/rnn_stacked_initial_state", "wrappers/bidirectional_lstm_masked",
}  # fmt: skip


@pytest.mark.parametrize("path", BY_TFJS, ids=layer_cases.name_of)
def test_other_numbers_than_those_of_keras_are_told(path: Path) -> None:
    case = layer_cases.load(path)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", TfjsTorchWarning)
        model = load_model(case.files)
        made = [tensor for inputs, _ in case.calls for tensor in outputs_of(model, inputs)]
    if told or case.name in UNTOLD:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("error", TfjsTorchWarning)
        try:
            model = load_model(case.files, semantics="keras")
        except TfjsTorchError:
            return  # Keras has no such option
        wanted = [tensor for inputs, _ in case.calls for tensor in outputs_of(model, inputs)]
    assert [x.shape for x in made] == [x.shape for x in wanted]
    assert max(map(apart, made, wanted)) <= TOLERANCE


def test_a_leaking_mask_is_told_once_and_names_the_layer() -> None:
    case = layer_cases.load(layer_cases.LAYERS / "models/mask_encoder_decoder.json")
    model = load_model(case.files)
    with pytest.warns(TfjsTorchWarning, match="layer '.*': tf.js keeps the mask of an earlier layer"):
        outputs_of(model, case.calls[0][0])
    with warnings.catch_warnings():
        warnings.simplefilter("error", TfjsTorchWarning)
        outputs_of(model, case.calls[0][0])
