"""The training loop: tf.js' numbers, the same ones for the same seed, and nothing lost when it goes wrong."""

from __future__ import annotations

import copy
import math
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tfjs_torch import MismatchError
from tfjs_torch.fitting import categorical_crossentropy, fit, mean_squared_error, measured
from tfjs_torch.history import History
from tfjs_torch.loss_curve import curve
from tfjs_torch.optimizers import optimizer_of

X = torch.linspace(-1, 1, 64).reshape(32, 2)
Y = nn.functional.one_hot((X.sum(1) > 0).long(), 2).float()


def net(dropout: float = 0.0) -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(2, 8), nn.Dropout(dropout), nn.ReLU(), nn.Linear(8, 2), nn.Softmax(-1))


def run(module: nn.Module, **options: Any) -> History:
    return fit(module, X, Y, **{"learning_rate": 0.05, "seed": 1, "epochs": 5, "device": "cpu", **options})


def test_it_learns() -> None:
    history = run(net(), epochs=60, batch_size=8)
    assert history.loss[-1] < history.loss[0] / 2
    assert history.accuracy[-1] > 0.9
    assert len(history.val_loss) == len(history.val_accuracy) == 60


def test_one_seed_gives_the_same_numbers_dropout_included() -> None:
    one, two = net(0.3), net(0.3)
    assert run(one).epochs == run(two).epochs
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))


def test_torchs_own_random_numbers_are_left_as_they_were() -> None:
    torch.manual_seed(9)
    wanted = torch.rand(1)
    torch.manual_seed(9)
    run(net(0.3))  # net() seeds, too
    torch.manual_seed(9)
    run(copy.deepcopy(nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5), nn.Softmax(-1))), seed=4)
    torch.manual_seed(9)
    assert torch.equal(torch.rand(1), wanted)


def test_trainings_side_by_side_keep_their_seeds() -> None:
    alone = run(net(0.5)).epochs
    modules = [net(0.5) for _ in range(6)]
    before = torch.get_rng_state()
    with ThreadPoolExecutor(3) as threads:
        assert [history.epochs for history in threads.map(run, modules)] == [alone] * 6
    assert torch.equal(torch.get_rng_state(), before)


def test_under_no_grad_and_in_double_precision_it_learns_too() -> None:
    with torch.no_grad():
        assert run(net().double()).loss[-1] > 0
    module = net()
    with torch.inference_mode():
        assert run(module).loss[-1] > 0


def test_losses_are_those_of_tfjs() -> None:
    given = torch.tensor([[0.2, 0.3, 0.5], [0.0, 1.0, 0.0], [0.9, 0.4, 0.1]])
    targets = torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    # tf.metrics.categoricalCrossentropy(targets, given).mean() and tf.metrics.meanSquaredError of tf.js 4.22 said so
    assert float(categorical_crossentropy(given, targets)) == pytest.approx(6.021335124969482, abs=1e-6)
    assert float(mean_squared_error(given, targets)) == pytest.approx(0.3955555558204651, abs=1e-7)


def test_rmsprop_is_that_of_tfjs() -> None:
    # three steps of tf.train.rmsprop(0.01) of tf.js 4.22 down x * x / 2
    told = [
        [0.9683772325515747, -0.0003062119649257511, 0.00878673791885376, 0],
        [0.9457880258560181, 0.00895231869071722, -0.022616952657699585, 0],
        [0.9270530939102173, -0.022458650171756744, 0.007027311250567436, 0],
    ]
    x = nn.Parameter(torch.tensor([1, 1e-5, -3e-4, 0]))
    steps = optimizer_of("rmsprop", [x], 0.01)
    for wanted in told:
        steps.zero_grad()
        (x.square().sum() / 2).backward()
        steps.step()
        torch.testing.assert_close(x.detach(), torch.tensor(wanted), rtol=1e-6, atol=1e-9)


def test_validation_rows_are_not_learnt() -> None:
    seen = []
    module = net()
    module.register_forward_hook(lambda m, args, _: seen.append((m.training, len(args[0]))))
    run(module, epochs=1, validation_split=0.25, batch_size=64)
    assert seen == [(True, 24), (False, 8)]


@pytest.mark.parametrize(
    "options",
    [
        {"epochs": 0}, {"epochs": 1.5}, {"batch_size": 0}, {"learning_rate": 0}, {"learning_rate": float("nan")},
        {"validation_split": 1}, {"validation_split": -0.1}, {"seed": -1}, {"seed": "x"}, {"loss": "hinge"},
        {"optimizer": "adm"}, {"device": "nowhere"}, {"device": "meta"},
    ],
    ids=str,
)  # fmt: skip
def test_options_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(MismatchError, match=next(iter(options))):
        run(net(), **options)


def test_numbers_of_numpy_are_numbers() -> None:
    given = {"epochs": np.int64(2), "batch_size": np.int32(8), "seed": np.int64(1), "learning_rate": np.float32(0.05)}
    assert run(net(), **given).epochs[-1]["epoch"] == 2


def test_no_rows_are_refused() -> None:
    with pytest.raises(MismatchError, match="row"):
        fit(net(), X[:0], Y[:0])


def test_a_single_row_is_learnt_and_none_is_held_back() -> None:
    assert run_one().val_loss == []


def run_one() -> History:
    return fit(net(), X[:1], Y[:1], validation_split=0.9, seed=1)


def test_frozen_weights_stay_and_all_frozen_is_refused() -> None:
    module = net()
    module[0].requires_grad_(False)
    before = module.state_dict()["0.weight"].clone()
    run(module)
    assert torch.equal(module.state_dict()["0.weight"], before)
    with pytest.raises(MismatchError, match="frozen"):
        run(module.requires_grad_(False))


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_what_a_callback_raises_ends_it_and_the_weights_are_as_before(error: type[BaseException]) -> None:
    def stop(epoch: dict[str, Any]) -> None:
        if epoch["epoch"] == 3:
            raise error

    module = net()
    before = copy.deepcopy(module.state_dict())
    with pytest.raises(error):
        run(module, on_epoch=stop)
    assert all(torch.equal(before[key], value) for key, value in module.state_dict().items())
    assert not module.training


def until(last: int) -> Any:
    return lambda epoch: "stop" if epoch["epoch"] == last else None


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "rmsprop"])
def test_a_callback_that_says_stop_gives_what_fewer_epochs_give_to_the_bit(optimizer: str) -> None:
    stopped, fewer = net(0.3), net(0.3)
    one = run(stopped, epochs=50, on_epoch=until(3), optimizer=optimizer)
    two = run(fewer, epochs=3, optimizer=optimizer)
    assert (one.stopped, two.stopped) == (True, False)
    assert (one.loss, one.val_loss) == (two.loss, two.val_loss)
    assert one.epochs[-1]["epochs"] == 50
    assert all(torch.equal(a, b) for a, b in zip(stopped.parameters(), fewer.parameters(), strict=True))
    assert not stopped.training


def test_a_stop_after_the_last_epoch_cuts_nothing_off() -> None:
    assert not run(net(), epochs=3, on_epoch=until(3)).stopped
    assert not History().stopped


@pytest.mark.parametrize("answer", [None, True, 1, "go on", np.array(["stop", "x"])], ids=repr)
def test_other_answers_of_a_callback_mean_nothing(answer: Any) -> None:
    assert len(run(net(), on_epoch=lambda _: answer).epochs) == 5


def test_a_loss_that_is_no_number_is_an_error_and_undoes_itself() -> None:
    module = nn.Linear(1, 1)
    before = copy.deepcopy(module.state_dict())
    rows = torch.full((8, 1), 1e19)
    with pytest.raises(MismatchError, match="learning_rate"):
        fit(module, rows, -rows, loss="meanSquaredError", optimizer="sgd", learning_rate=1e30, seed=1)
    assert torch.equal(module.weight, before["weight"])


def test_measuring_changes_nothing() -> None:
    module = net(0.5)
    assert measured(module, X, Y, loss="categoricalCrossentropy") == measured(
        module, X, Y, loss="categoricalCrossentropy"
    )


def test_the_curve_is_a_picture_of_both_losses(tmp_path: Path) -> None:
    history = run(net())
    history.save_svg(tmp_path / "loss.svg")
    root = ElementTree.parse(tmp_path / "loss.svg").getroot()
    assert len(root.findall("{*}path")) == 2
    assert {"validation loss" in (text.text or "") for text in root.findall("{*}text")} == {True, False}


@pytest.mark.parametrize("lines", [{}, {"loss": []}, {"loss": [0.0]}, {"loss": [1e-30, 1e30]}, {"loss": [math.inf]}])
def test_odd_curves_are_pictures_too(lines: dict[str, list[float]]) -> None:
    ElementTree.fromstring(curve(lines))


def test_a_bar_is_shown_when_it_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    run(net(), progress=True)
    assert "loss" in capsys.readouterr().err
    run(net(), progress=False)
    assert capsys.readouterr().err == ""


def test_small_networks_learn_on_one_thread_and_torch_has_its_own_again_afterwards() -> None:
    before, seen = torch.get_num_threads(), []

    def meanwhile(epoch: dict[str, Any]) -> None:
        with ThreadPoolExecutor(1) as another:
            another.submit(run, net(), epochs=1).result()
        seen.append(torch.get_num_threads())

    run(net(), epochs=2, on_epoch=meanwhile)
    assert seen == [1, 1]
    assert torch.get_num_threads() == before


def test_large_networks_learn_on_all_threads() -> None:
    before, seen = torch.get_num_threads(), []
    x = torch.rand(32, 2000)
    told: dict[str, Any] = {"on_epoch": lambda _: seen.append(torch.get_num_threads()), "epochs": 1, "device": "cpu"}
    fit(nn.Linear(2000, 1), x, x[:, :1], loss="meanSquaredError", **told)
    assert seen == [before]
