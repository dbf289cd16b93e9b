"""The group "models": whole networks beside native torch and tf.js."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from . import names
from .model import MB
from .report import NO_TARGET, Table, Target, beside, memory_text, ratio_text, time_text
from .runner import Runner, say
from .tables import VERDICT, command, compared, timed_table
from .timing import Samples, medians, noise

_OTHERS: Final = (names.TORCH, names.CHANNELS_LAST, names.WASM)
_NATIVE: Final = (names.TORCH, names.CHANNELS_LAST)
_IMAGES: Final = ("Teachable Machine", "U-Net")

_BETTER: Final = Target("≤ 1.1× the better torch", 1.1)
_CASES: Final[tuple[tuple[str, int, Target], ...]] = (
    ("Teachable Machine", 1, _BETTER),
    ("Teachable Machine", 32, _BETTER),
    ("U-Net", 1, _BETTER),
    ("U-Net", 8, _BETTER),
    ("LSTM", 1, Target("≤ 1.2× torch", 1.2)),
    ("LSTM", 32, Target("≤ 1.2× torch", 1.2)),
    ("LSTM hard_sigmoid", 1, Target("≤ 2.0× torch", 2.0)),
    ("LSTM hard_sigmoid", 32, Target("≤ 2.0× torch", 2.0)),
    ("ml5 classifier", 1, Target("≤ 1.5× torch", 1.5)),
)
_QUICK: Final = tuple(case for case in _CASES if case[1] == 1)


def models(runner: Runner) -> Iterator[Table]:
    """Forward passes, a training step, load_model's time and memory."""
    yield _forward(runner)
    yield _training(runner)
    yield _first_prediction(runner)
    yield _memory(runner)


def _forward(runner: Runner) -> Table:
    explanation = (
        "Two threads, without gradients; networks with random weights, whose outputs agree within 1e-4 of the largest. "
        "torch: the same network of stock modules, channels first, in both memory formats (in place of a hard_sigmoid "
        "LSTM, which it has not, nn.LSTM). tf.js: wasm backend in node, where it has one thread only. It takes an idle "
        "machine: where other work takes a processor, torch's two threads wait for each other longer than they work."
    )
    table = timed_table("models", "A prediction", explanation, [names.OURS, *_OTHERS])
    beside_tfjs = {}
    for network, batch, target in _QUICK if runner.quick else _CASES:
        label = f"{network}, batch {batch}"
        say(f"forward {label}")
        native = _NATIVE if network in _IMAGES else _NATIVE[:1]
        samples = runner.time_job(
            "time_forward", network=network, batch=batch, contestants=[names.OURS, *native, names.WASM]
        )
        times = medians(samples)
        beside_tfjs[label] = times[names.OURS] / times[names.WASM]
        peer = min(native, key=times.__getitem__)
        table.rows.append(compared(label, samples, peer, None if runner.quick else target, _OTHERS))
    worst = max(beside_tfjs, key=beside_tfjs.__getitem__)
    verdict = NO_TARGET if runner.quick else _faster(beside_tfjs[worst], worst)
    table.rows.append(["all of them", *[""] * (len(table.header) - 3), *verdict])
    return table


def _faster(ratio: float, worst: str) -> list[str]:
    return Target("< 1.0× tf.js wasm", 1.0).verdict(ratio, f"{ratio_text(ratio)} at most ({worst})")


def _training(runner: Runner) -> Table:
    explanation = "For information: forward, backward and SGD, two threads. tf.js' wasm backend cannot train these."
    table = timed_table("models", "A training step", explanation, [names.OURS, *_NATIVE])
    for network in _IMAGES[1:] if runner.quick else _IMAGES:
        say(f"training {network}")
        batch = 1 if runner.quick else 8
        contestants = [names.OURS, *_NATIVE]
        samples = runner.time_job("time_training", network=network, batch=batch, contestants=contestants)
        times = medians(samples)
        peer = min(_NATIVE, key=times.__getitem__)
        table.rows.append(compared(f"{network}, batch {batch}", samples, peer, None))
    return table


def _first_prediction(runner: Runner) -> Table:
    network = "Teachable Machine"
    explanation = (
        "From model.json to the first output, in a fresh process each time, the packages imported (ours but for torch "
        "alone), files in the page cache. Medians; in brackets ours ÷ theirs."
    )
    header = ["model", names.OURS, names.WASM, "noise", *VERDICT]
    table = Table("Load to first prediction", command("models"), explanation, header)
    say("first prediction")
    jobs = {names.OURS: "first_prediction", names.WASM: "first_prediction_of_tfjs"}
    with runner.network(network) as folder:
        samples: Samples = {name: [] for name in jobs}
        for _ in range(runner.patience.rounds):
            for name, job in jobs.items():
                samples[name].append(runner.job(job, folder=folder))
    times = medians(samples)
    ours = times[names.OURS]
    verdict = NO_TARGET if runner.quick else Target("≤ 500 ms", 0.5).verdict(ours, time_text(ours))
    cells = [time_text(ours), beside(ours, times[names.WASM]), f"{noise(samples[names.OURS]):.0%}"]
    table.rows.append([network, *cells, *verdict])
    return table


def _memory(runner: Runner) -> Table:
    explanation = (
        "Peak resident memory of load_model beyond the imported packages, in a process of its own (VmHWM; "
        "pages of mapped files count once they are touched). Half of the weights is Dense, half Conv2D."
    )
    header = ["model", "peak", "peak ÷ weights", *VERDICT]
    table = Table("Memory of load_model", command("models"), explanation, header)
    nbytes = (4 if runner.quick else 400) * MB
    say("memory of load_model")
    with runner.network("ml5 classifier") as small, runner.network(nbytes) as large:
        weights = (Path(large) / "model.weights.bin").stat().st_size
        peak = runner.job("memory_of_load_model", folder=large, small=small)
    ratio = peak / weights
    verdict = NO_TARGET if runner.quick else Target("≤ 1.15× the weights", 1.15).verdict(ratio, ratio_text(ratio))
    table.rows.append([f"{memory_text(weights)} of weights", memory_text(peak), ratio_text(ratio), *verdict])
    return table
