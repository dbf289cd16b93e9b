"""The step "finetune": a saved network of ml5 goes on learning, on rows that came along, within limits."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tfjs_torch import TfjsTorchError, UnsupportedError, errors, ml5, processing, read_artifacts
from tfjs_torch.ml5.data import output_of, rows_of
from tfjs_torch.ml5.meta import js_text

from .looking import refuse_huge
from .problems import Problem
from .settings import Settings
from .work import Work

Tell = Callable[[dict[str, Any]], str | None]

NAME: Final = "finetune"

_SOME: Final = 500  # rows that are answered in one go, at most
_LABELS: Final = 1000
_LISTED: Final = 2000  # epochs of a report
_OPTIONS: Final[dict[str, Any]] = {
    "epochs": {
        "type": "integer", "title": "Epochs", "default": 10, "minimum": 1, "maximum": 100_000,
        "description": "How many times it sees all rows.",
    },
    "learning_rate": {
        "type": "number", "title": "Learning rate", "minimum": 1e-9, "maximum": 1e6,
        "description": "How far it goes at each step. Empty: as ml5 itself.",
    },
    "batch_size": {
        "type": "integer", "title": "Batch size", "default": 32, "minimum": 1, "maximum": 1_000_000,
        "description": "Rows that it learns from at once.",
    },
    "validation_split": {
        "type": "number", "title": "Kept aside", "default": 0.1, "minimum": 0, "maximum": 0.9,
        "description": "Share of the rows that it does not learn, only to see how it does on new ones.",
    },
    "seed": {
        "type": "integer", "title": "Seed", "default": 0, "minimum": 0, "maximum": 2**53 - 1,
        "description": "The same number gives the same result again.",
    },
}  # fmt: skip


@processing.register(
    NAME, title="Finetune", takes="module", options=_OPTIONS,
    description="Goes on training with your data: the file of saveData(), or a CSV. New labels are added.",
)  # fmt: skip
def _train(network: Any, options: Mapping[str, Any], rows: Sequence[Any], on_epoch: Tell, on_batch: Any) -> Any:
    """The function of the step; alone of all it needs rows, so `processing.process` does not run it."""
    return network.train(rows, **options, progress=False, on_epoch=on_epoch, on_batch=on_batch)


@dataclass
class Finetuned:
    """The network's new files, its JSON first, and what a report says of the training."""

    files: dict[str, bytes]
    told: dict[str, Any]


class _Clock:
    """Ends the work when the client has gone, or the operator's time is over."""

    def __init__(self, work: Work, seconds: float) -> None:
        self._work, self._seconds, self._started = work, seconds, time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def look(self) -> None:
        self._work.advance()
        if self.seconds > self._seconds:
            raise Problem(
                413, NAME, f"training of at most {self._seconds:g} seconds expected, found it unfinished by then",
                "take fewer epochs or rows, or train in Python; nothing was kept. The operator sets --train-seconds",
            )  # fmt: skip


def offered(step: processing.Step, settings: Settings) -> dict[str, Any]:
    """What a page needs to offer a step, within the operator's limits."""
    told = step.to_json()
    if step.name == NAME:
        epochs = {**_OPTIONS["epochs"], "maximum": max(1, settings.train_epochs)}
        told["options"] = {**told["options"], "properties": {**told["options"]["properties"], "epochs": epochs}}
    return told


def refuse_beyond(options: Mapping[str, Any], settings: Settings) -> None:
    """Refuse more epochs than the operator allows, before anything is read.

    Raises:
        Problem: 413.
    """
    if options["epochs"] > settings.train_epochs:
        raise Problem(
            413, NAME, f"at most {settings.train_epochs} epochs expected, found {options['epochs']}",
            "take fewer; the operator sets the limit with --train-epochs",
        )  # fmt: skip


def data_of(upload: Any, call: processing.Call, settings: Settings) -> tuple[str, bytes]:
    """Name and content of the one file with rows; checked before anything else is done.

    Raises:
        Problem: 413 beyond a limit, 422 none or several.
    """
    refuse_beyond(call.options, settings)
    if len(upload.data) != 1:
        found = ", ".join(f"{name!r:.60}" for name, _ in upload.data[:8]) or "none"
        odd = [name for model in upload.models for name in model.files if _looks_like_data(name)]
        if odd and not upload.data:
            found = f"{odd[0]!r:.60}, in which there are no rows {{xs, ys}}, or which is no JSON"
        raise Problem(
            422, "data", f"one file with rows to train with expected, found {found}",
            "add what nn.saveData() saved, or a CSV with the columns of model_meta.json, in the field data",
        )  # fmt: skip
    ((name, data),) = upload.data
    size = data.stat().st_size if isinstance(data, Path) else len(data)
    if size > settings.max_json:
        raise Problem(413, name, f"data of at most {settings.max_json} bytes expected, found {size}", "take fewer rows")
    return name, data.read_bytes() if isinstance(data, Path) else data


def _looks_like_data(name: str) -> bool:
    return "data" in name.lower() and name.lower().endswith(".json") and name != "metadata.json"


def finetune(
    files: Mapping[str, bytes | Path], data: tuple[str, bytes], call: processing.Call, work: Work, settings: Settings,
    tell: Tell | None = None,
) -> Finetuned:  # fmt: skip
    """Train a saved network further.

    Args:
        files: the model's, its JSON first.
        data: name and content of the file with the rows.
        tell: gets each epoch's numbers, and "seconds"; "stop" as its answer ends the training there.

    Raises:
        Problem: 413 beyond a limit, 422 what cannot be trained. TfjsTorchError: data that do not fit.
        ClientGone: nobody waits.
    """
    clock = _Clock(work, settings.train_seconds)
    name, text = data
    network = _opened(files)
    try:
        rows = rows_of(text, network.inputs, network.outputs)
        _limit(rows, name, settings)
        _refuse_odd_labels(rows, network, name)
        at_once = min(_SOME, max(32, call.options["batch_size"]))
        _refuse_huge(network, files, min(max(call.options["batch_size"], at_once), len(rows)))
        before, labels = _measured(network, rows, at_once, clock), list(network.labels)

        def on_epoch(epoch: dict[str, Any]) -> str | None:
            clock.look()
            return tell({**epoch, "seconds": round(clock.seconds, 3)}) if tell else None

        history = call.step.function(network, call.options, rows, on_epoch, clock.look)
        for note in history.notes:
            errors.warn(note)
        after = _measured(network, rows, at_once, clock)
    except TfjsTorchError as error:
        raise _of_file(error, name) from None
    except (RuntimeError, ArithmeticError, TypeError) as error:  # torch's own, of sizes deep inside
        raise Problem(422, NAME, f"a network that can be trained expected, found: {error!s:.200}") from None
    stem = next(iter(files)).removesuffix(".json")
    return Finetuned(
        _ordered(network.files(stem), f"{stem}.json"),
        {
            "rows": len(rows), "data": name, "epochs": history.epochs[-_LISTED:], "stopped": history.stopped,
            "seconds": round(clock.seconds, 3),
            **{key: {"before": before.get(key), "after": after[key]} for key in after},
            "labels": list(network.labels), "new_labels": [label for label in network.labels if label not in labels],
        },
    )  # fmt: skip


def _opened(files: Mapping[str, bytes | Path]) -> Any:
    try:
        network = ml5.load(dict(files))
    except UnsupportedError as error:
        if "Teachable Machine" not in error.message:
            raise
        raise Problem(
            422, error.where, "a network of ml5.neuralNetwork expected, found one of Teachable Machine",
            "train it in Python: see the page on Teachable Machine in the docs",
        ) from None  # fmt: skip
    if getattr(network, "meta", None) is None:
        raise Problem(
            422, "model_meta.json", "ml5's description of inputs and outputs expected, found none",
            "upload it beside model.json: ml5 saves three files",
        )  # fmt: skip
    return network


def _limit(rows: Sequence[Any], name: str, settings: Settings) -> None:
    if len(rows) > settings.train_rows:
        raise Problem(
            413, name, f"at most {settings.train_rows} rows expected, found {len(rows)}",
            "take fewer; the operator sets the limit with --train-rows",
        )  # fmt: skip


def _refuse_huge(network: Any, files: Mapping[str, bytes | Path], batch: int) -> None:
    shape = network.module.input_shapes[0] or ()
    refuse_huge(read_artifacts(dict(files)), [(batch, *(size or 1 for size in shape[1:]))])


def _refuse_odd_labels(rows: Sequence[Any], network: Any, name: str) -> None:
    """Labels that are lists or objects, and so many that they must be something else."""
    if not network.labels:
        return
    found = set(network.labels)
    for number, (_, ys) in enumerate(rows, 1):
        value = output_of(ys, network.outputs[0])
        if isinstance(value, list | dict):
            raise Problem(
                422, f"{name}: row {number}", f"a text as {network.outputs[0]} expected, found {type(value).__name__}",
                "save the data again, with a label in each row",
            )  # fmt: skip
        found.add(js_text(value))
    if len(found) > _LABELS:
        raise Problem(
            413, name, f"at most {_LABELS} labels expected, found {len(found)}", "is that column really one of labels?"
        )


def _of_file(error: TfjsTorchError, name: str) -> TfjsTorchError:
    """The same error, with the name that the user knows."""
    where = error.where.partition("data")[2] if error.where.startswith("data") else f": {error.where}"
    return type(error)(f"{name}{where}" if error.where else name, error.message)


def _measured(network: Any, rows: Sequence[Any], at_once: int, clock: _Clock) -> dict[str, float]:
    """What evaluate says, with a look at the clock between some rows and the next."""
    sums: dict[str, float] = {}
    complete = True
    for start in range(0, len(rows), at_once):
        clock.look()
        some = rows[start : start + at_once]
        found = network.evaluate(some)
        complete = complete and "loss" in found
        for name, value in found.items():
            sums[name] = sums.get(name, 0.0) + value * len(some)
    return {name: value / len(rows) for name, value in sums.items() if complete or name != "loss"}


def _ordered(files: Mapping[str, bytes], first: str) -> dict[str, bytes]:
    return {first: files[first], **{name: data for name, data in files.items() if name != first}}
