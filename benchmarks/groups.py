"""The comparisons. Each group yields its tables once they are measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, TypeAlias

from . import names
from .model import GB, MB, TFJS, Model, size_text
from .networks_groups import models
from .report import NO_TARGET, Table, Target, beside, memory_text, ratio_text, time_text
from .runner import Runner, python, say
from .serving import server
from .tables import VERDICT, command, compared, memory_table, peaks, timed_table
from .timing import medians, noise

Group: TypeAlias = Callable[[Runner], Iterator[Table]]

_FEW, _MANY, _LARGE = Model(100 * MB, 100), Model(100 * MB, 10_000), Model(GB, 100)
_MODELS: Final = (_FEW, _MANY, _LARGE)
_QUICK_MODELS: Final = (Model(2 * MB, 50),)
_QUANTIZED: Final = ("uint8", "uint16", "float16")
_SAMPLE: Final = "samples/ml5-classifier"


def load(runner: Runner) -> Iterator[Table]:
    """load_file on float32, with and without looking at every page."""
    contestants = [names.OURS, names.FORUM, names.SAFETENSORS, names.TORCH_MMAP, names.MAPPED_VIEWS]
    table = timed_table(
        "load",
        "Loading float32",
        "Opened: every tensor is there. Touched: and one value in every page has been read.",
        contestants,
    )
    no_slower, faster = Target("≤ 1.0× safetensors", 1.0), Target("≤ 0.6× safetensors", 0.6)
    targets = {(_LARGE, False): no_slower, (_LARGE, True): no_slower, (_MANY, False): faster}
    for model in _models(runner):
        say(f"load {model}")
        with runner.made(model, peers_too=True) as folder:
            for touched in (False, True):
                samples = runner.time_job("time_loading", folder=folder, contestants=contestants, touched=touched)
                label = f"{model} {'touched' if touched else 'opened'}"
                table.rows.append(compared(label, samples, names.SAFETENSORS, targets.get((model, touched))))
    yield table


def dequantize(runner: Runner) -> Iterator[Table]:
    """load_file on quantised weights: time, then memory."""
    contestants = [names.OURS, names.FORUM, names.COPY]
    explanation = f"Sizes are of the float32 tensors that come out; {names.COPY} makes as many bytes."
    table = timed_table("dequantize", "Dequantising", explanation, contestants)
    for model in _quantized(runner, _models(runner)):
        say(f"dequantize {model} {model.storage}")
        with runner.made(model) as folder:
            samples = runner.time_job("time_loading", folder=folder, contestants=contestants, touched=False)
        target = None if runner.quick else Target("≤ 0.5× forum answer", 0.5)
        table.rows.append(compared(f"{model} {model.storage}", samples, names.FORUM, target))
    yield table
    yield _memory_of_dequantizing(runner)


def _memory_of_dequantizing(runner: Runner) -> Table:
    contestants = [names.OURS, names.FORUM]
    table = memory_table("dequantize", "Memory while dequantising", "the tensors that come out", contestants)
    for model in _quantized(runner, _models(runner)[-1:]):
        say(f"memory of dequantize {model} {model.storage}")
        with runner.made(model) as folder:
            found = [
                runner.job("memory_of_loading", folder=folder, contestant=name, storage=model.storage)
                for name in contestants
            ]
        table.rows.append(peaks(runner, f"{model} {model.storage}", found))
    return table


def save(runner: Runner) -> Iterator[Table]:
    """save_file with a template: time, memory, and the time when it quantises."""
    contestants = [names.OURS, names.SAFETENSORS, names.OFFICIAL, names.PLAIN_WRITE]
    explanation = "Ours writes like a template. New files each time, into the page cache."
    table = timed_table("save", "Saving float32", explanation, contestants)
    target = None if runner.quick else Target("≤ 1.1× safetensors", 1.1)
    for model in _models(runner):
        say(f"save {model}")
        with runner.made(model) as folder:
            samples = runner.time_job("time_saving", folder=folder, contestants=contestants, quantize=None)
        table.rows.append(compared(str(model), samples, names.SAFETENSORS, target))
    yield table
    yield _memory_of_saving(runner, contestants)
    yield _quantized_saving(runner)


def _memory_of_saving(runner: Runner, contestants: Sequence[str]) -> Table:
    table = memory_table("save", "Memory while saving", "the tensors that are saved", contestants)
    for model in _models(runner)[-2:]:
        say(f"memory of save {model}")
        with runner.made(model) as folder:
            found = [runner.job("memory_of_saving", folder=folder, contestant=name) for name in contestants]
        table.rows.append(peaks(runner, str(model), found))
    return table


def _quantized_saving(runner: Runner) -> Table:
    contestants = [names.OURS, names.OFFICIAL]
    table = timed_table("save", "Saving quantised", "For information: float32 tensors, quantised anew.", contestants)
    model = _models(runner)[0]
    with runner.made(model) as folder:
        for storage in _QUANTIZED:
            say(f"save {model} as {storage}")
            samples = runner.time_job("time_saving", folder=folder, contestants=contestants, quantize=storage)
            table.rows.append(compared(f"{model} {storage}", samples, names.OFFICIAL, None))
    return table


def limits(runner: Runner) -> Iterator[Table]:
    """What the machine can do at best."""
    nbytes = _models(runner)[-1].nbytes
    explanation = f"{size_text(nbytes)} each time, one thread (the sum takes all); medians."
    table = Table("The machine's limits", command("limits"), explanation, ["what", "time", "GB/s"])
    say(f"limits {size_text(nbytes)}")
    samples = runner.time_job("time_limits", nbytes=nbytes, folder=str(runner.folder))
    for what, seconds in medians(samples).items():
        table.rows.append([what, time_text(seconds), f"{nbytes / seconds / GB:,.1f}"])
    yield table


def start(runner: Runner) -> Iterator[Table]:
    """The command line from cold: a new process each time."""
    explanation = f"A fresh process each time, files in the page cache; SAMPLE is `{_SAMPLE}`. Medians."
    table = Table("Cold start", command("start"), explanation, ["command", "time", "noise", *VERDICT])
    say("start")
    made = runner.folder / "x.safetensors"
    inspect, convert = "tfjs-torch inspect SAMPLE", "tfjs-torch convert SAMPLE x.safetensors"
    targets = {} if runner.quick else {inspect: Target("≤ 250 ms", 0.25), convert: Target("≤ 400 ms", 0.4)}
    commands = {
        "python -c pass": python("-c", "pass"),
        'python -c "import numpy"': python("-c", "import numpy"),
        'python -c "import torch"': python("-c", "import torch"),
        inspect: python("-m", "tfjs_torch", "inspect", _SAMPLE),
        convert: python("-m", "tfjs_torch", "convert", _SAMPLE, str(made)),
    }
    samples = runner.time_commands(commands, runner.patience, made)
    for name, seconds in medians(samples).items():
        verdict = targets[name].verdict(seconds, time_text(seconds)) if name in targets else NO_TARGET
        table.rows.append([f"`{name}`", time_text(seconds), f"{noise(samples[name]):.0%}", *verdict])
    yield table


def growth(runner: Runner) -> Iterator[Table]:
    """Time a byte from 1 MB to 4 GB, and the conversion of a model larger than the memory it may take."""
    explanation = (
        "Milliseconds a GB: even columns mean linear cost. 100 float32 tensors, load_file and a look at every page. "
        f"Beside them the machine's own growth ({names.MAPPED_VIEWS}, {names.PLAIN_WRITE}: page cache, write-back). "
        "Reached: ours since 100 MB ÷ the machine's since 100 MB, the larger of loading and saving."
    )
    header = ["size", "load_file", names.MAPPED_VIEWS, "save_file", names.PLAIN_WRITE, *VERDICT]
    table = Table("Growth", command("growth"), explanation, header)
    sizes = (MB, 2 * MB) if runner.quick else (MB, 10 * MB, 100 * MB, GB, 4 * GB)
    costs = {nbytes: _costs(runner, Model(nbytes, 100)) for nbytes in sizes}
    for nbytes, cost in costs.items():
        verdict = _even(costs[100 * MB], cost) if nbytes > 100 * MB else NO_TARGET
        table.rows.append([size_text(nbytes), *(f"{seconds * 1000:,.0f}" for seconds in cost), *verdict])
    yield table
    yield _conversion(runner, Model(sizes[-1], 100))


def _even(reference: Sequence[float], cost: Sequence[float]) -> list[str]:
    """How ours has grown since `reference`, beside the machine's limit: a disk that throttles is not ours."""
    (loading, views, saving, write), (loading0, views0, saving0, write0) = cost, reference
    grown = max(loading / loading0 / (views / views0), saving / saving0 / (write / write0))
    return Target("≤ 1.5× the machine's", 1.5).verdict(grown, ratio_text(grown))


def _costs(runner: Runner, model: Model) -> list[float]:
    """Seconds a GB: load_file, mapped views, save_file, plain write."""
    say(f"growth {model}")
    loading, saving = [names.OURS, names.MAPPED_VIEWS], [names.OURS, names.PLAIN_WRITE]
    with runner.made(model) as folder:
        loaded = runner.time_job(
            "time_loading", patience=runner.little_patience, folder=folder, contestants=loading, touched=True
        )
        saved = runner.time_job(
            "time_saving", patience=runner.little_patience, folder=folder, contestants=saving, quantize=None
        )
    times = [*medians(loaded).values(), *medians(saved).values()]
    return [seconds * GB / model.nbytes for seconds in times]


def _conversion(runner: Runner, model: Model) -> Table:
    explanation = (
        "`tfjs-torch convert MODEL x.safetensors` beside `cp` of the weights. "
        "Peak: all resident memory (VmHWM), Python included."
    )
    header = ["model", "time", "cp (ours ÷ theirs)", "peak", *VERDICT]
    table = Table("Converting a large model", command("growth"), explanation, header)
    say(f"convert {model}")
    made = runner.folder / "x.safetensors"
    with runner.made(model) as folder:
        source = Path(folder) / TFJS
        convert = ["convert", str(source), str(made)]
        commands = {
            "convert": python("-m", "tfjs_torch", *convert),
            "cp": ["cp", str(source / "model.weights.bin"), str(made)],
        }
        times = medians(runner.time_commands(commands, runner.little_patience, made))
        peak = runner.job("memory_of_command", arguments=convert)
        made.unlink()
    verdict = NO_TARGET if runner.quick else Target("≤ 300 MB", 300 * MB).verdict(peak, memory_text(peak))
    cells = [time_text(times["convert"]), beside(times["convert"], times["cp"]), memory_text(peak)]
    table.rows.append([str(model), *cells, *verdict])
    return table


GROUPS: Final[dict[str, Group]] = {
    group.__name__: group for group in (load, dequantize, save, models, server, limits, start, growth)
}


def _models(runner: Runner) -> Sequence[Model]:
    return _QUICK_MODELS if runner.quick else _MODELS


def _quantized(runner: Runner, models: Sequence[Model]) -> list[Model]:
    storages = _QUANTIZED[:1] if runner.quick else _QUANTIZED
    return [Model(model.nbytes, model.tensors, storage) for model in models for storage in storages]
