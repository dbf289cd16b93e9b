"""The comparisons. Each group yields its tables, row by row measured."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, TypeAlias

from . import names
from .model import GB, MB, TFJS, Model, size_text
from .report import NO_TARGET, Table, Target, beside, memory_text, ratio_text, time_text
from .runner import Runner, python, say
from .timing import Patience, Samples, medians, noise

Group: TypeAlias = Callable[[Runner], Iterator[Table]]

_FEW, _MANY, _LARGE = Model(100 * MB, 100), Model(100 * MB, 10_000), Model(GB, 100)
_QUANTIZED: Final = ("uint8", "uint16", "float16")
_RATIOS: Final = "Medians; in brackets ours ÷ theirs: below 1 we are faster. Noise: the row's widest interquartile range ÷ median."
_SAMPLE: Final = "samples/ml5-classifier"


def load(runner: Runner) -> Iterator[Table]:
    """load_file on float32, with and without looking at every value."""
    contestants = [names.OURS, names.FORUM, names.SAFETENSORS, names.TORCH_MMAP, names.MAPPED_VIEWS]
    table = Table(
        "Loading float32",
        "scripts/bench --only load",
        f"Opened: every tensor is there. Touched: and `sum()` has seen every value. {_RATIOS}",
        ["model", *contestants, "noise", "target", "reached"],
    )
    faster, much_faster = Target("≤ 1.0× safetensors", 1.0), Target("≤ 0.6× safetensors", 0.6)
    targets = {(_LARGE, False): faster, (_LARGE, True): faster, (_MANY, False): much_faster}
    for wanted in (_FEW, _MANY, _LARGE):
        model = runner.scaled(wanted)
        say(f"load {model}")
        with runner.made(model, peers_too=True) as folder:
            for touched in (False, True):
                samples = runner.time_job("time_loading", folder=folder, contestants=contestants, touched=touched)
                label = f"{model} {'touched' if touched else 'opened'}"
                table.rows.append(_compared(label, samples, targets.get((wanted, touched)), names.SAFETENSORS))
    yield table


def dequantize(runner: Runner) -> Iterator[Table]:
    """load_file on quantised weights: time, then memory."""
    contestants = [names.OURS, names.FORUM, names.COPY]
    table = Table(
        "Dequantising",
        "scripts/bench --only dequantize",
        f"Sizes are of the float32 tensors that come out; {names.COPY} makes as many. {_RATIOS}",
        ["model", *contestants, "noise", "target", "reached"],
    )
    twice = Target("≤ 0.5× forum answer", 0.5)
    for wanted in (_FEW, _MANY, _LARGE):
        for storage in _QUANTIZED:
            model = runner.scaled(Model(wanted.nbytes, wanted.tensors, storage))
            say(f"dequantize {model} {storage}")
            with runner.made(model) as folder:
                samples = runner.time_job("time_loading", folder=folder, contestants=contestants, touched=False)
            table.rows.append(_compared(f"{model} {storage}", samples, twice, names.FORUM))
    yield table
    yield _memory_of_dequantizing(runner)


def _memory_of_dequantizing(runner: Runner) -> Table:
    contestants = [names.OURS, names.FORUM]
    table = _memory_table(
        "Memory while dequantising",
        "scripts/bench --only dequantize",
        "Peak resident memory beyond the imported packages and the tensors that come out",
        contestants,
    )
    for storage in _QUANTIZED:
        model = runner.scaled(Model(_LARGE.nbytes, _LARGE.tensors, storage))
        measure = functools.partial(_peak, runner, "memory_of_loading", model)
        table.rows.append(_row_of_memory(f"{model} {storage}", contestants, measure))
    return table


def save(runner: Runner) -> Iterator[Table]:
    """save_file with a template: time, memory, and the time when it quantises."""
    contestants = [names.OURS, names.SAFETENSORS, names.OFFICIAL, names.PLAIN_WRITE]
    table = Table(
        "Saving float32",
        "scripts/bench --only save",
        f"Ours writes like a template. New files each time, into the page cache. {_RATIOS}",
        ["model", *contestants, "noise", "target", "reached"],
    )
    for wanted in (_FEW, _MANY, _LARGE):
        model = runner.scaled(wanted)
        say(f"save {model}")
        samples = _time_saving(runner, model, contestants)
        table.rows.append(_compared(str(model), samples, Target("≤ 1.1× safetensors", 1.1), names.SAFETENSORS))
    yield table
    yield _memory_of_saving(runner, contestants)
    yield _quantized_saving(runner)


def _memory_of_saving(runner: Runner, contestants: Sequence[str]) -> Table:
    table = _memory_table(
        "Memory while saving",
        "scripts/bench --only save",
        "Peak resident memory beyond the imported packages and the tensors that are saved",
        contestants,
    )
    for wanted in (_MANY, _LARGE):
        model = runner.scaled(wanted)
        measure = functools.partial(_peak, runner, "memory_of_saving", model)
        table.rows.append(_row_of_memory(str(model), contestants, measure))
    return table


def _quantized_saving(runner: Runner) -> Table:
    contestants = [names.OURS, names.OFFICIAL]
    table = Table(
        "Saving quantised",
        "scripts/bench --only save",
        f"For information. {_RATIOS}",
        ["model", *contestants, "noise", "target", "reached"],
    )
    model = runner.scaled(_FEW)
    for storage in _QUANTIZED:
        say(f"save {model} as {storage}")
        samples = _time_saving(runner, model, contestants, storage)
        table.rows.append(_compared(f"{model} to {storage}", samples, None, names.OFFICIAL))
    return table


def limits(runner: Runner) -> Iterator[Table]:
    """What the machine can do at best."""
    nbytes = runner.size(GB)
    table = Table(
        "The machine's limits",
        "scripts/bench --only limits",
        f"{size_text(nbytes)} each time, one thread but for the sum; medians.",
        ["what", "time", "GB/s"],
    )
    say(f"limits {size_text(nbytes)}")
    with runner.made(Model(MB, 1)) as folder:
        samples = runner.time_job("time_limits", nbytes=nbytes, folder=folder)
    for what, seconds in medians(samples).items():
        table.rows.append([what, time_text(seconds), f"{nbytes / seconds / GB:,.1f}"])
    yield table


def start(runner: Runner) -> Iterator[Table]:
    """The command line from cold: a new process each time."""
    table = Table(
        "Cold start",
        "scripts/bench --only start",
        f"Fresh processes, files in the page cache; the sample is `{_SAMPLE}`. Medians; noise as above.",
        ["command", "time", "noise", "target", "reached"],
    )
    say("start")
    made = runner.folder / "x.safetensors"
    targets = {"tfjs-torch inspect": Target("≤ 250 ms", 0.25), "tfjs-torch convert to .safetensors": Target("≤ 400 ms", 0.4)}
    inspect, convert = targets
    commands = {
        "python -c pass": python("-c", "pass"),
        'python -c "import numpy"': python("-c", "import numpy"),
        'python -c "import torch"': python("-c", "import torch"),
        inspect: python("-m", "tfjs_torch", "inspect", _SAMPLE),
        convert: python("-m", "tfjs_torch", "convert", _SAMPLE, str(made)),
    }
    samples = runner.time_commands(commands, runner.patience, made)
    for name, seconds in medians(samples).items():
        judged = targets[name].cells(seconds, time_text(seconds)) if name in targets else NO_TARGET
        table.rows.append([name, time_text(seconds), f"{noise({name: samples[name]}):.0%}", *judged])
    yield table


def growth(runner: Runner) -> Iterator[Table]:
    """Time a byte from 1 MB to 4 GB, and the conversion of a model much larger than the memory it may take."""
    table = Table(
        "Growth",
        "scripts/bench --only growth",
        f"Milliseconds a GB, so even rows mean linear cost; 100 float32 tensors, load_file with every value seen, beside {names.MAPPED_VIEWS} "
        f"and {names.PLAIN_WRITE}. Reached: the larger growth of load_file and save_file against 100 MB.",
        ["size", "load_file", names.MAPPED_VIEWS, "save_file", names.PLAIN_WRITE, "target", "reached"],
    )
    sizes = [runner.size(nbytes) for nbytes in (MB, 10 * MB, 100 * MB, GB, 4 * GB)]
    costs = {nbytes: _costs(runner, Model(nbytes, 100)) for nbytes in dict.fromkeys(sizes)}
    reference = costs[sizes[2]]
    for nbytes, cost in costs.items():
        grown = max(cost[0] / reference[0], cost[2] / reference[2])
        judged = Target("≤ 1.5× of 100 MB", 1.5).cells(grown, ratio_text(grown)) if nbytes > sizes[2] else NO_TARGET
        table.rows.append([size_text(nbytes), *(f"{seconds * 1000:,.0f}" for seconds in cost), *judged])
    yield table
    yield _conversion(runner, Model(sizes[-1], 100))


def _costs(runner: Runner, model: Model) -> list[float]:
    """Seconds a GB: load_file, mapped views, save_file, plain write."""
    say(f"growth {model}")
    loading, saving = [names.OURS, names.MAPPED_VIEWS], [names.OURS, names.PLAIN_WRITE]
    with runner.made(model) as folder:
        loaded = medians(runner.time_job("time_loading", folder=folder, contestants=loading, touched=True))
        saved = medians(runner.time_job("time_saving", folder=folder, contestants=saving, quantize=None))
    times = [*(loaded[name] for name in loading), *(saved[name] for name in saving)]
    return [seconds * GB / model.nbytes for seconds in times]


def _conversion(runner: Runner, model: Model) -> Table:
    table = Table(
        "Converting a large model",
        "scripts/bench --only growth",
        "`tfjs-torch convert MODEL x.safetensors`: all resident memory at the peak, Python included; beside `cp` of the weights.",
        ["model", "time", "cp (ours ÷ theirs)", "peak", "target", "reached"],
    )
    say(f"convert {model}")
    made = runner.folder / "x.safetensors"
    with runner.made(model) as folder:
        source = Path(folder) / TFJS
        convert = ["convert", str(source), str(made)]
        commands = {
            "convert": python("-m", "tfjs_torch", *convert),
            "cp": ["cp", str(source / "model.weights.bin"), str(made)],
        }
        rounds = Patience(rounds=2 if runner.quick else 5, seconds=0)
        times = medians(runner.time_commands(commands, rounds, made))
        peak = runner.job("memory_of_command", arguments=convert)
        made.unlink(missing_ok=True)
    judged = Target("< 300 MB", 300 * MB).cells(peak, memory_text(peak))
    table.rows.append(
        [str(model), time_text(times["convert"]), beside(times["convert"], times["cp"]), memory_text(peak), *judged]
    )
    return table


GROUPS: Final[dict[str, Group]] = {
    group.__name__: group for group in (load, dequantize, save, limits, start, growth)
}  # fmt: skip


def _compared(label: str, samples: Samples, target: Target | None, peer: str) -> list[str]:
    """A row: our time, then the others'; the target is held against `peer`."""
    times = medians(samples)
    ours = times[names.OURS]
    cells = [time_text(ours), *(beside(ours, seconds) for name, seconds in times.items() if name != names.OURS)]
    ratio = ours / times[peer]
    judged = target.cells(ratio, ratio_text(ratio)) if target else NO_TARGET
    return [label, *cells, f"{noise(samples):.0%}", *judged]


def _memory_table(title: str, command: str, counted: str, contestants: Sequence[str]) -> Table:
    explanation = f"{counted} (VmHWM; mapped pages count once they are touched), each in a process of its own."
    return Table(title, command, explanation, ["model", *contestants, "target", "reached"])


def _row_of_memory(label: str, contestants: Sequence[str], measure: Callable[[Sequence[str]], list[int]]) -> list[str]:
    say(f"memory {label}")
    peaks = measure(contestants)
    judged = Target("≤ 64 MB", 64 * MB).cells(peaks[0], memory_text(peaks[0]))
    return [label, *(memory_text(peak) for peak in peaks), *judged]


def _peak(runner: Runner, job: str, model: Model, contestants: Sequence[str]) -> list[int]:
    with runner.made(Model(MB, 4, model.storage)) as small, runner.made(model) as folder:
        return [runner.job(job, folder=folder, small=small, contestant=name) for name in contestants]


def _time_saving(runner: Runner, model: Model, contestants: Sequence[str], quantize: str | None = None) -> Samples:
    with runner.made(model) as folder:
        return runner.time_job("time_saving", folder=folder, contestants=contestants, quantize=quantize)
