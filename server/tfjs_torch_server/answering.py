"""The work behind POST /predict with a sketch's own values, pictures or sounds: what the browser would answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from starlette.datastructures import QueryParams

from tfjs_torch import Artifacts, TfjsTorchError, errors, ml5, teachable
from tfjs_torch.ml5.opening import is_export
from tfjs_torch.ml5.pictures import as_text
from tfjs_torch.teachable.pictures import CONVENTIONS

from .looking import arrays_of, artifacts_of, predicted, refuse_huge
from .media import PICTURE, SOUND, checked_files
from .options import one_of
from .problems import Problem
from .recognise import Upload
from .settings import Settings
from .work import Work

Job = Callable[[Work], dict[str, Any]]
Asking = tuple[Any, str | None, Callable[[Path], Any]]  # the module, ml5's name of the task, and what answers to a file

_TASK: Final = "classification"
_INPUTS: Final = ("input", "inputs")
_TAKES: Final = {"image": PICTURE, "audio": SOUND, "pose": "input"}  # kinds of Teachable Machine


def job_of(query: QueryParams, upload: Upload, body: Mapping[str, Any] | None, settings: Settings) -> Job:
    """What is to be done for a question: pictures or sounds of the form, else `input` or `inputs`.

    Raises:
        Problem: 422 no question, or several.
    """
    given = {name: query.getlist(name) or upload.options.get(name, []) for name in (*_INPUTS, "preprocess")}
    preprocess = given["preprocess"]
    for value in preprocess:
        one_of("preprocess", value, CONVENTIONS)
    if len(preprocess) > 1 or (preprocess and not upload.samples):
        raise Problem(
            422, "preprocess", f"one such field, and a picture, expected, found {len(preprocess)} and "
            f"{'a file' if upload.samples else 'none'}", "it says how pictures are prepared; leave it out otherwise",
        )  # fmt: skip
    if not upload.samples:
        name, value = _one_input(given, body)
        function = _answered if name == "input" or _is_of_ml5(value) else predicted
        return lambda work: function(upload, value, work)
    if given["input"] or given["inputs"]:
        raise Problem(422, upload.samples[0].field, "one question expected, found others beside it", "ask once")
    return lambda work: _shown(upload, (*preprocess, None)[0], work, settings)


def _is_of_ml5(inputs: Any) -> bool:
    """Whether inputs are those of a sketch: an object, or a list of some; not nested lists of numbers."""
    return isinstance(inputs, dict) or (isinstance(inputs, list) and bool(inputs) and isinstance(inputs[0], dict))


def _one_input(given: Mapping[str, list[str]], body: Mapping[str, Any] | None) -> tuple[str, Any]:
    """("input" or "inputs", the parsed JSON of it), from the address, the form or a JSON body."""
    found: list[tuple[str, Any]] = []
    for name in _INPUTS:
        found += [(name, _parsed(text, name)) for text in given[name]]
        found += [(name, body[name])] if body is not None and name in body and not given[name] else []
    if len(found) != 1:
        raise Problem(
            422, "inputs", f"one field with JSON, or a picture or sound in a field of that name, expected, "
            f"found {len(found)}",
            'add inputs=[[...]], the numbers of the network, input={"name": value}, as nn.classify takes it, or a file '
            "in the field picture or sound",
        )  # fmt: skip
    return found[0]


def _parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        example = "[[0.1, 0.2]]" if where == "inputs" else '{"r": 255, "g": 0, "b": 90}'
        raise Problem(422, where, f"JSON expected, found: {error!s:.100}", f"for example {example}") from None


def _answered(upload: Upload, given: Any, work: Work) -> dict[str, Any]:
    """What ml5 1.x would answer: {"task", "results", "warnings"}; for a list of inputs a list of results.

    Args:
        given: one input (an object by name, or a list by position) or a list of inputs.

    Raises:
        Problem: 413 too much of it, 422 what does not fit. TfjsTorchError: a model that does not run here.
    """
    with errors.collected_warnings() as told:
        model = upload.models[0]
        artifacts = artifacts_of(model)
        if is_export(artifacts):
            results = _of_teachable(teachable.load(dict(model.files)), artifacts, given, work)
            return {"task": _TASK, "results": results, "warnings": told}
        network = ml5.load(dict(model.files))
        results = _of_ml5(network, artifacts, given, work)
    return {"task": getattr(network, "task", None), "results": results, "warnings": told}


def _of_ml5(network: Any, artifacts: Artifacts, given: Any, work: Work) -> Any:
    if getattr(network, "meta", None) is None:
        raise Problem(
            422, "model_meta.json", "the names and ranges of the inputs expected, found none",
            "upload it beside model.json, or give the network's own numbers in inputs",
        )  # fmt: skip
    given = as_text(given)  # whatever it says, it names no file of this machine
    with _running(network.module, work):
        refuse_huge(artifacts, [network.encode(given).shape])
        return network.answer(given)


def _of_teachable(model: Any, artifacts: Artifacts, given: Any, work: Work) -> Any:
    """Numbers as teachable.load takes them; an array of a batch's rank is one."""
    if not isinstance(given, list):
        wanted = _TAKES[model.kind]
        raise Problem(
            422, "input", f"numbers in nested lists expected, found {type(given).__name__}",
            "give them in lists" if wanted == "input" else f"send a file in the field {wanted}, or numbers in lists",
        )  # fmt: skip
    (array,) = arrays_of([given])
    several = len(array) if array.ndim == len(model.module.input_shapes[0]) else 1
    with _running(model.module, work):
        refuse_huge(artifacts, [_shape(model.module, several)])
        return model.classify(array)


def _shown(upload: Upload, preprocess: str | None, work: Work, settings: Settings) -> dict[str, Any]:
    """The same for pictures or sounds, one after the other; for several a list of results.

    Raises:
        Problem: 413 too much of it, 415 other kinds of files, 422 what does not fit. TfjsTorchError: as _answered.
    """
    field = upload.samples[0].field
    files = checked_files(upload.samples, work, settings)
    with errors.collected_warnings() as told:
        model = upload.models[0]
        artifacts = artifacts_of(model)
        module, task, ask = (
            _asking_teachable(teachable.load(dict(model.files)), field, preprocess)
            if is_export(artifacts)
            else _asking_ml5(ml5.load(dict(model.files)), field, preprocess)
        )
        refuse_huge(artifacts, [_shape(module, len(files))])
        with _running(module, work):
            results = [_result(ask, name, path, work) for name, path in files]
    return {"task": task, "results": results[0] if len(results) == 1 else results, "warnings": told}


def _asking_teachable(model: Any, field: str, preprocess: str | None) -> Asking:
    wanted = _TAKES[model.kind]
    if field != wanted:
        what = "PoseNet's heatmaps and offsets as numbers" if wanted == "input" else f"a {wanted}"
        raise Problem(
            422, field, f"{what} for a model of kind {model.kind} expected, found a {field}", f"use the field {wanted}"
        )
    if preprocess and field != PICTURE:
        raise Problem(
            422, "preprocess", "a picture expected, found a sound, which is prepared in one way", "leave it out"
        )
    return model.module, _TASK, lambda path: model.classify(path, preprocess or "teachable")


def _asking_ml5(network: Any, field: str, preprocess: str | None) -> Asking:
    own = network.task == "featureExtractor"  # says itself what it takes
    if field == SOUND or (not own and len(network.module.input_shapes[0] or ()) != 4):
        raise Problem(
            422, field, f"a model that takes a {field} expected, found another one",
            "upload metadata.json of Teachable Machine too, or ask with input, as in the sketch",
        )  # fmt: skip
    if preprocess is not None:
        raise Problem(
            422, "preprocess", "a model of Teachable Machine expected, found one of ml5, which prepares in one way",
            "leave preprocess out",
        )  # fmt: skip
    if not own and network.meta is None:
        raise Problem(
            422, "metadata.json", "the labels of Teachable Machine, or ml5's model_meta.json, expected, found neither",
            "upload it beside model.json, or give the network's own numbers in inputs",
        )  # fmt: skip
    return network.module, network.task, network.answer


def _shape(module: Any, several: int) -> tuple[int, ...]:
    return (several, *(size or 1 for size in module.input_shapes[0][1:]))


def _result(ask: Callable[[Path], Any], name: str, path: Path, work: Work) -> Any:
    work.advance()
    try:
        return ask(path)
    except TfjsTorchError as error:
        said, _, advice = error.message.replace(str(path), name).rpartition("; ")
        raise Problem(422, name, said or advice, advice if said else "save it again, or send another one") from None


@contextmanager
def _running(module: Any, work: Work) -> Iterator[None]:
    """Each layer is an occasion to stop; torch's own errors are told."""
    for layer in module.modules():
        layer.register_forward_pre_hook(lambda *_: work.advance())
    try:
        yield
    except TfjsTorchError:
        raise
    except (RuntimeError, IndexError, ValueError, TypeError, OverflowError) as error:
        raise Problem(422, "input", f"inputs that go through the model expected, found: {error!s:.200}") from None
