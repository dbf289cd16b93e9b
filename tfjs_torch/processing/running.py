"""process(): steps applied one after the other, each result checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from ..errors import MismatchError, TfjsTorchError, UnsupportedError
from ..tensors import said_of_keys
from ..torch_tensors import as_tensors
from .lazy import Entry, Lazy, StateDict, shape_of
from .parsing import Call, parse


def process(
    state_dict: StateDict,
    steps: Any,
    *,
    others: Iterable[StateDict] = (),
    advance: Callable[[], Any] | None = None,
) -> StateDict:
    """Change a model's weights by named steps, such as "prune" or "noise".

    Args:
        state_dict: {name: tensor} as load_file gives it, or a processing.Lazy mapping. It stays as it is.
        steps: "prune", {"step": "prune", "amount": 0.3}, a list of such, the same as JSON text, or what
            processing.parse made of it. processing.steps() tells all steps and their options.
        others: the state_dicts of other models, for the steps that take some (average, interpolate, crossover).
        advance: called before each step; what it raises ends the work.

    Returns:
        a dict of new tensors without gradients, same names and shapes; tensors that no step changes are the very
        same objects. For a Lazy mapping a Lazy one, which computes a tensor when it is asked for it.

    Raises:
        MismatchError, UnsupportedError: a step, an option or a state_dict does not fit; .where is the step, such as
            "step 2 (prune)", and the tensor.

    Integers, bools, complex numbers and strings are never changed. NaN and infinities stay what arithmetic makes of
    them; each step's description says more where that is not obvious.

    Example:
        >>> import torch
        >>> from tfjs_torch import process
        >>> process({"dense/bias": torch.tensor([1.0, -4.0, 3.0])}, [{"step": "prune", "amount": 0.3}, "scale"])
        {'dense/bias': tensor([ 0.0000, -2.0000,  1.5000])}
    """
    calls = parse(steps)
    models = [_given(other, f"model {number}") for number, other in enumerate(others, 2)]
    result = _given(state_dict, "state_dict")
    _check_others(calls, len(models))
    for number, call in enumerate(calls, 1):
        if advance is not None:
            advance()
        result = _applied(call, result, models, f"step {number} ({call.step.name})")
    return result if isinstance(result, Lazy) else dict(result)


def _given(state_dict: StateDict, where: str) -> StateDict:
    if isinstance(state_dict, Lazy):
        return state_dict
    try:
        as_tensors(state_dict)
    except TfjsTorchError as error:
        raise _told(error, "" if error.where == where == "state_dict" else where) from None
    return state_dict


def _check_others(calls: Sequence[Call], count: int) -> None:
    for number, call in enumerate(calls, 1):
        step, where = call.step, f"step {number} ({call.step.name})"
        least, most = step.others
        if step.takes == "module":
            raise UnsupportedError(
                where, "a step of weights expected, found one that needs the whole model; use load_model"
            )
        if most != 0 and (count < least or (most is not None and count > most)):
            wanted = str(least) if most == least else f"at least {least}" if most is None else f"{least} to {most}"
            noun = "more model" if wanted.endswith(" 1") or wanted == "1" else "more models"
            todo = "add its files" if count < least else "leave some out"
            raise MismatchError(where, f"{wanted} {noun} expected, found {count or 'none'}; {todo}")
    if count and all(call.step.others == (0, 0) for call in calls):
        raise MismatchError("others", f"none expected, since no step takes other models, found {count}; leave them out")


def _applied(call: Call, given: StateDict, models: Sequence[StateDict], where: str) -> StateDict:
    arguments = (given, call.options) if call.step.others == (0, 0) else (given, call.options, models)
    try:
        result = call.step.function(*arguments)
        if call.step.source:
            check_result(given, result, call.step.source)
    except TfjsTorchError as error:
        raise _told(error, where) from error.__cause__
    if isinstance(given, Lazy):
        return Lazy({name: _placed(entry, given, name, where) for name, entry in Lazy.over(result).entries.items()})
    return dict(result)


def _placed(entry: Entry, given: Lazy, name: str, where: str) -> Entry:
    """An entry whose errors name the step; those that the step left alone stay."""
    return entry if entry is given.entries.get(name) else entry._replace(make=partial(_made, entry, where))


def _made(entry: Entry, where: str) -> Any:
    try:
        return entry.make()
    except TfjsTorchError as error:
        raise _told(error, where) from error.__cause__


def _told(error: TfjsTorchError, where: str) -> TfjsTorchError:
    """The same error with the step before its place; the innermost step has the say."""
    if error.where.startswith("step ") or not where:
        return error
    return type(error)(f"{where}: {error.where}" if error.where else where, error.message)


def check_result(given: StateDict, result: Any, source: str) -> None:
    """What an operator's own function returned must fit what it got.

    Raises:
        MismatchError: names the function.
    """
    if not isinstance(result, Mapping):
        raise MismatchError("", f"{{name: tensor}} from {source} expected, found {type(result).__name__}; return one")
    missing = [name for name in given if name not in result]
    unexpected = [str(name) for name in result if name not in given]
    if missing or unexpected:
        raise MismatchError(
            "", f"the same names back from {source} expected. {said_of_keys(missing, unexpected)} Return all of them"
        )
    for name in result:
        if not isinstance(result, Lazy) and not isinstance(result[name], (torch.Tensor, np.ndarray)):
            raise MismatchError(name, f"a tensor from {source} expected, found {type(result[name]).__name__}")
        found, wanted = shape_of(result, name), shape_of(given, name)
        if found != wanted:
            raise MismatchError(name, f"the shape {list(wanted)} from {source} expected, found {list(found)}")
