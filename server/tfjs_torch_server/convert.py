"""The work behind POST /convert: models in, files and a report out. Runs in a thread, a piece at a time."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from tfjs_torch import Artifacts, conversion, errors, process, processing, read_artifacts
from tfjs_torch.changes import Change, change_of, changes_of

from .exporting import export
from .finetuning import Finetuned, Tell, data_of, finetune
from .options import KNOWN, PROGRAMS, Options
from .outgoing import OutFile, as_source, passed_through, plain_name, spooled
from .problems import Problem
from .recognise import Model, Upload, refuse_odd
from .settings import Settings
from .work import Work

Tensors = Mapping[str, Any]

_AT_ONCE: Final = 64 << 20  # bytes of models whose tensors are all held, which is faster
_QUICK, _FEW = 1 << 16, 4  # bytes of files, and steps, that take about a millisecond


@dataclass
class Result:
    """What became of an upload."""

    files: list[OutFile]
    report: dict[str, Any]


def convert(upload: Upload, options: Options, work: Work, settings: Settings, tell: Tell | None = None) -> Result:
    """Convert and process an upload.

    Args:
        tell: gets the numbers of every epoch of a training; "stop" as its answer makes it the last one.

    Raises:
        Problem, TfjsTorchError: what is wrong with it. ClientGone: nobody waits.
    """
    started = time.perf_counter()
    asked = [step.to_json() for step in options.steps]
    with errors.collected_warnings() as told:
        told += [f"{name}: no option; there are {', '.join(KNOWN)}" for name in options.unknown]
        told += [f"{name}: belongs to no model.json; left out" for name in upload.ignored]
        before, learnt = None, None
        at = _training_at(options)
        if at is not None:
            before, learnt = _trained(upload, options, at, work, settings, told, tell)
            upload, options = _after(upload, options, at, learnt)
        elif upload.data:
            told += [f"{name}: data to train with, and no step takes any; left out" for name, _ in upload.data]
        job = _Job(upload, options, work, settings, told, before)
        files = job.files()
        changes = job.changes()
    report = {
        "to": options.to,
        "steps": asked,
        "tensors": [change.to_dict() for change in changes],
        "changed_tensors": sum(change.changed != 0 for change in changes),
        "parameters": sum(change.size for change in changes),
        "changed_parameters": sum(change.size if change.changed is None else change.changed for change in changes),
        "warnings": list(dict.fromkeys(told)),
        "files": [{"name": file.name, "bytes": file.size} for file in files],
        "seconds": round(time.perf_counter() - started, 6),
    }
    if learnt:
        report["finetune"] = learnt.told
    return Result(files, report)


def is_quick(upload: Upload, options: Options) -> bool:
    """Whether convert() takes about a millisecond: a small model, and steps that are ours."""
    sizes = [len(data) for model in upload.models for data in model.files.values() if isinstance(data, bytes)]
    return (
        options.to == "tfjs"
        and sum(sizes) <= _QUICK
        and len(options.steps) <= _FEW
        and not any(call.step.source for call in options.steps)
        and not options.trains
        and not any(model.weights for model in upload.models)
    )


def _training_at(options: Options) -> int | None:
    """The place of the step that trains."""
    found = [at for at, call in enumerate(options.steps) if call.step.takes == "module"]
    if len(found) > 1:
        raise Problem(422, "process", f"one step that trains expected, found {len(found)}", "take more epochs")
    return found[0] if found else None


def _trained(
    upload: Upload, options: Options, at: int, work: Work, settings: Settings, told: list[str], tell: Tell | None
) -> tuple[Tensors, Finetuned]:
    """The tensors as they came, and what became of the model by the steps before the training and the training."""
    call = options.steps[at]
    data = data_of(upload, call, settings)
    plain = Options(steps=options.steps[:at], layout=options.layout)
    job = _Job(_mixed(upload, plain), plain, work, settings, told)
    if job.artifacts is None:
        raise Problem(422, "model.json", "the layers of a model expected, found weights only", "upload model.json too")
    files = as_source(job.files())
    first = plain_name(job.artifacts.json_name)
    return job.before, finetune({first: files.pop(first), **files}, data, call, work, settings, tell)


def _after(upload: Upload, options: Options, at: int, learnt: Finetuned) -> tuple[Upload, Options]:
    """What is still to be done with the trained model."""
    rest = replace(options, steps=options.steps[at + 1 :])
    return _mixed(replace(upload, models=[Model(dict(learnt.files)), *upload.models[1:]], ignored=[]), rest), rest


def _mixed(upload: Upload, options: Options) -> Upload:
    """Without other models where no step takes any."""
    mixes = any(call.step.others[1] != 0 for call in options.steps)
    return upload if mixes else replace(upload, models=upload.models[:1])


class _Job:
    """`before`: the tensors to compare with, if they are not those that came in."""

    def __init__(
        self, upload: Upload, options: Options, work: Work, settings: Settings, told: list[str],
        before: Tensors | None = None,
    ) -> None:  # fmt: skip
        main, *others = upload.models
        self.options, self.work, self.settings, self.told = options, work, settings, told
        self.artifacts = main.artifacts()
        self.weights = main.weights
        if self.artifacts is not None:
            refuse_odd(self.artifacts, settings)
            told += [f"{name}: belongs to no model.json; left out" for name in _unused(main, self.artifacts)]
        self._room = _AT_ONCE
        self.before, given = self._tensors(main, self.artifacts)
        if before is not None:
            self.before = before
        loaded = [self._tensors(other, other.artifacts())[1] for other in others]
        if others and not any(step.step.others[1] != 0 for step in options.steps):
            told.append(f"{len(others) + 1} models came in and no step takes more than one; the first was taken")
            loaded = []
        self.after: dict[str, Any] = dict(given)
        if options.steps:
            self._process(given, loaded)
        elif self.before is not given and not isinstance(given, _Held):
            self.after = self._observed(given)

    def _process(self, given: Tensors, loaded: list[Tensors]) -> None:
        """Small models at once; of large ones each tensor when it is written, and compared on that occasion."""
        states: list[Any] = [t if isinstance(t, _Held) else processing.state_dict_of(t) for t in (given, *loaded)]
        new = process(states[0], self.options.steps, others=states[1:], advance=self.work.advance)
        if isinstance(given, _Held):
            changed = {name: tensor for name, tensor in new.items() if tensor is not given[name]}
            self.after.update((name, np.asarray(tensor)) for name, tensor in processing.lazy_tensors(changed).items())
        else:
            self.after = self._observed(processing.lazy_tensors(new))

    def _observed(self, tensors: Tensors) -> dict[str, Any]:
        return {
            name: _Observed(name, self.before.get(name), tensor, self.options.bins, self.work)
            for name, tensor in tensors.items()
        }

    def files(self) -> list[OutFile]:
        """The files of the answer; all that can go wrong has gone wrong when they are returned."""
        to, artifacts = self.options.to, self.artifacts
        if to != "tfjs" and (self.options.quantize or self.options.shard_bytes):
            raise Problem(
                422, "quantize" if self.options.quantize else "shard_bytes",
                f"to=tfjs expected with it, found to={to}", "leave it out",
            )  # fmt: skip
        if to in PROGRAMS:
            return [self._program(to)]
        if to != "tfjs":
            return [self._container(to)]
        if artifacts is not None and self.weights is None and self.options.keeps_weights:
            return passed_through(artifacts)
        files = spooled(self._model_files(), self.work)
        self._see_what_is_stored(files)
        return files

    def _see_what_is_stored(self, files: list[OutFile]) -> None:
        """What is written counts: quantised files hold other numbers, weights that went back had other dtypes."""
        quantised = self.artifacts and any(s.quantization for s in self.artifacts.manifest.specs)
        if not self.options.quantize and not quantised and self.weights is None:
            return
        self.after = dict(self._stored(read_artifacts(as_source(files))))

    def changes(self) -> list[Change]:
        """One a tensor, in the model's order; those that nobody has computed yet are computed now."""
        if isinstance(self.before, _Held) and not any(isinstance(t, _Observed) for t in self.after.values()):
            return changes_of(self.before, self.after, self.options.bins)
        found = []
        for name, tensor in self.after.items():
            self.work.advance()
            if isinstance(tensor, _Observed):
                found.append(tensor.observed())
            else:
                found.append(change_of(name, self.before.get(name, tensor), tensor, self.options.bins))
        return found

    def _tensors(self, model: Model, artifacts: Artifacts | None) -> tuple[Tensors, Tensors]:
        """The tensors as they were, and as they are given: the same, unless weights go back."""
        stored: Tensors = {}
        if artifacts is not None and (artifacts.shards or not model.weights):
            stored = self._stored(artifacts)
        if model.weights is None:
            return stored, stored
        name, path = model.weights
        with _Named(path, name):
            given: Tensors = conversion.open_container(path)
        length = conversion.stored_length(given)
        self._limit(len(given), length)
        if artifacts is not None and self._is_of_torch(artifacts, given):
            given = conversion.from_layout_of_torch(artifacts, given)
        if self._has_room(length):
            given = _Held({name: np.asarray(tensor) for name, tensor in given.items()})
        return stored or given, given

    def _stored(self, artifacts: Artifacts) -> Tensors:
        length = conversion.model_length(artifacts)
        self._limit(len(artifacts.manifest.specs), length)
        return _Held(conversion.read_model(artifacts)) if self._has_room(length) else conversion.open_model(artifacts)

    def _has_room(self, length: int) -> bool:
        """Whether so many bytes more can be held at once."""
        fits = length <= self._room
        self._room -= length if fits else 0
        return fits

    def _is_of_torch(self, artifacts: Artifacts, given: Tensors) -> bool:
        """Whether names are those of torch's modules: said, or seen."""
        if self.options.layout == "torch":
            return True
        names = {spec.name for spec in artifacts.manifest.specs}
        seen = not names & given.keys() and any(name.endswith((".weight", ".bias")) for name in given)
        if seen:
            self.told.append("the names are those of torch's modules: read with layout=torch")
        return seen

    def _limit(self, count: int, length: int) -> None:
        if count > self.settings.max_tensors:
            raise Problem(413, "model", f"at most {self.settings.max_tensors} tensors expected, found {count}")
        if length > 4 * self.settings.max_upload:
            raise Problem(413, "model", "fewer numbers expected; the operator sets the limit with --max-upload")

    def _model_files(self) -> Iterable[tuple[str, Iterable[Any]]]:
        if self.artifacts is None:
            self.told.append(
                "weights only, no layers: browsers need a model.json to put them into; upload it beside them"
            )
        elif self.options.shard_bytes and any("_meta" in name for name in self.artifacts.sidecars):
            self.told.append("several weight files: ml5's file picker takes exactly one; leave shard_bytes out for ml5")
        self._limit_files()
        return conversion.model_files(
            self.after, self.artifacts, quantize=list(self.options.quantize) or None,
            shard_bytes=self.options.shard_bytes, advance=self.work.advance,
        )  # fmt: skip

    def _limit_files(self) -> None:
        if self.options.shard_bytes is None:
            return
        files = conversion.stored_length(self.after) // self.options.shard_bytes
        if files > self.settings.max_parts:
            raise Problem(
                422, "shard_bytes", f"at most {self.settings.max_parts} files expected, found {files} of that size",
                "take a larger size: 4MiB is usual",
            )  # fmt: skip

    def _container(self, kind: str) -> OutFile:
        path = self.work.new_file(f".{kind}")
        tensors: Tensors = self.after
        if self.options.layout == "torch" and (self.artifacts is not None or self.weights is None):
            tensors = conversion.in_layout_of_torch(self._needed_artifacts(), tensors)
            tensors = {name: np.asarray(tensor) for name, tensor in tensors.items()}
        conversion.convert(tensors, path, advance=self.work.advance)
        return OutFile.at(f"{self._stem()}.{kind}", path)

    def _program(self, kind: str) -> OutFile:
        self._needed_artifacts()
        source = as_source(spooled(self._model_files(), self.work))
        path = self.work.new_file(f".{kind}")
        export(source, path, self.work)
        return OutFile.at(f"{self._stem()}.{kind}", path)

    def _needed_artifacts(self) -> Artifacts:
        if self.artifacts is None:
            raise Problem(
                422, "model.json", "the layers of a model expected, found weights only", "upload model.json beside them"
            )
        return self.artifacts

    def _stem(self) -> str:
        if self.artifacts is not None:
            return self.artifacts.json_name.removesuffix(".json")
        return self.weights[0].rpartition("/")[2].rpartition(".")[0] if self.weights else "model"


def _unused(model: Model, artifacts: Artifacts) -> list[str]:
    """Names of uploaded files that the model has no use for; its JSON is the first one."""
    shards = [shard for group in artifacts.shards for shard in group] + list(artifacts.sidecars.values())
    used = {inside.name.removeprefix("./") for inside in shards} | {*artifacts.manifest.paths}
    return [name for name in list(model.files)[1:] if name not in used and f"./{name}" not in used]


class _Held(dict[str, Any]):
    """Tensors that are arrays in memory; the others are read when they are needed."""


class _Observed:
    """A tensor that a step computes when it is written, and that is compared with what it was on that occasion."""

    def __init__(self, name: str, before: Any, after: Any, bins: int, work: Work) -> None:
        self.shape, self.dtype = after.shape, after.dtype
        self._name, self._before, self._after, self._bins, self._work = name, before, after, bins, work
        self._change: Change | None = None

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        self._work.advance()
        array: Any = np.asarray(self._after)
        if self._change is None:
            before: Any = array if self._before is None else self._before
            self._change = change_of(self._name, before, array, self._bins)
        return array if dtype is None else array.astype(dtype)

    def observed(self) -> Change:
        """What became of it."""
        if self._change is None:
            self.__array__()
        assert self._change is not None
        return self._change


class _Named:
    """Errors speak of the file by the name that the user knows."""

    def __init__(self, path: Path, name: str) -> None:
        self._path, self._name = str(path), name

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if isinstance(error, errors.TfjsTorchError) and self._path in error.where:
            error.where = error.where.replace(self._path, self._name)
            error.args = (error.where, error.message)
