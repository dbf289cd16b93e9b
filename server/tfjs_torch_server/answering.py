"""The work behind POST /predict with a sketch's own values: what nn.classify or nn.predict would answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from starlette.datastructures import QueryParams

from tfjs_torch import TfjsTorchError, errors, ml5
from tfjs_torch.ml5.encoding import classified
from tfjs_torch.ml5.pictures import as_text

from .looking import arrays_of, artifacts_of, computed, json_in, refuse_huge
from .problems import Problem
from .recognise import Upload
from .work import Work


def is_of_ml5(inputs: Any) -> bool:
    """Whether inputs are those of a sketch: an object, or a list of some; not nested lists of numbers."""
    return isinstance(inputs, dict) or (isinstance(inputs, list) and bool(inputs) and isinstance(inputs[0], dict))


def one_input(query: QueryParams, fields: Mapping[str, list[str]], body: Mapping[str, Any] | None) -> tuple[str, Any]:
    """("input" or "inputs", the parsed JSON of it), from the address, the form or a JSON body.

    Raises:
        Problem: 422 none, or several.
    """
    found: list[tuple[str, Any]] = []
    for name in ("input", "inputs"):
        texts = query.getlist(name) or fields.get(name, [])
        found += [(name, parsed(text, name)) for text in texts]
        found += [(name, body[name])] if body is not None and name in body and not texts else []
    if len(found) != 1:
        raise Problem(
            422, "inputs", f"one field with JSON expected, found {len(found)}",
            'add inputs=[[...]], the numbers of the network, or input={"name": value}, as nn.classify takes it',
        )  # fmt: skip
    return found[0]


def parsed(text: str, where: str) -> Any:
    """JSON of a field.

    Raises:
        Problem: 422.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        example = "[[0.1, 0.2]]" if where == "inputs" else '{"r": 255, "g": 0, "b": 90}'
        raise Problem(422, where, f"JSON expected, found: {error!s:.100}", f"for example {example}") from None


def answered(upload: Upload, given: Any, work: Work) -> dict[str, Any]:
    """What ml5 1.x would answer: {"task", "results", "warnings"}; for a list of inputs a list of results.

    Args:
        given: one input (an object by name, or a list by position) or a list of inputs.

    Raises:
        Problem: 413 too much of it, 422 what does not fit. TfjsTorchError: a model that does not run here.
    """
    with errors.collected_warnings() as told:
        model = upload.models[0]
        artifacts = artifacts_of(model)
        metadata = artifacts.sidecars.get("metadata.json")
        task: str | None = "classification"
        if metadata is not None and not any(name.endswith("_meta.json") for name in artifacts.sidecars):
            results = _of_teachable(artifacts, json_in(metadata), given, work)
        else:
            network = ml5.load(dict(model.files))
            task, results = getattr(network, "task", None), _of_ml5(network, artifacts, given, work)
    return {"task": task, "results": results, "warnings": told}


def _of_ml5(network: Any, artifacts: Any, given: Any, work: Work) -> Any:
    if getattr(network, "meta", None) is None:
        raise Problem(
            422, "model_meta.json", "the names and ranges of the inputs expected, found none",
            "upload it beside model.json, or give the network's own numbers in inputs",
        )  # fmt: skip
    given = as_text(given)  # whatever it says, it names no file of this machine
    try:
        refuse_huge(artifacts, [network.encode(given).shape])
        for module in network.module.modules():  # each layer is an occasion to stop
            module.register_forward_pre_hook(lambda *_: work.advance())
        return network.answer(given)
    except TfjsTorchError:
        raise
    except (RuntimeError, IndexError, ValueError, TypeError, OverflowError) as error:
        raise Problem(422, "input", f"inputs that go through the model expected, found: {error!s:.200}") from None


def _of_teachable(artifacts: Any, metadata: Any, given: Any, work: Work) -> Any:
    """Of a network of flat numbers; pictures and sounds are prepared by Teachable Machine's own library."""
    told = metadata if isinstance(metadata, dict) else {}
    labels = next((told[name] for name in ("labels", "wordLabels") if isinstance(told.get(name), list)), None)
    (array,) = arrays_of([given])
    single = array.ndim == 1
    outputs = np.asarray(computed(artifacts, [array[None] if single else array], work)[0][0])
    if outputs.ndim != 2 or labels is None or len(labels) != outputs.shape[1]:
        raise Problem(
            422, "metadata.json", f"a label for each of {outputs.shape[-1]} outputs expected, found others or none",
            "give the network's own numbers in inputs",
        )  # fmt: skip
    names = [str(label) for label in labels]
    results = [classified(names, row) for row in outputs.tolist()]
    return results[0] if single else results
