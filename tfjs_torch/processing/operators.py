"""An operator's own function as a step: `my.py:function` or `module:function`.

The function takes (state_dict, options), and a list of other state_dicts if it has `others`; it returns a state_dict
with the same names and shapes. What it may have as attributes: `options` (a JSON schema or its properties), `title`,
`description` (else its docstring), `others`, `check` (see Step), and `lazy = True`: then it gets the mapping as it is,
to be used with `each`, where it otherwise gets a dict of copies, all in memory.
"""

from __future__ import annotations

import copy
import importlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from ..errors import FilesError, MismatchError, TfjsTorchError
from .lazy import Lazy, StateDict, dtype_of, is_lazy, tensor_of
from .options import schema_of
from .registry import Step, add, steps

_FORM: Final = "my.py:function"


def load(where: str) -> Step:
    """Register an operator's own function under its name. This runs the file: never give it one from a stranger.

    Args:
        where: "my.py:function" or "module:function".

    Returns:
        the step; a second call for the same place replaces the first one's.

    Raises:
        FilesError, MismatchError, TfjsTorchError: no such file, module or function, one that fails, one whose name
            is taken, or options that are no JSON schema.

    Example:
        >>> import pathlib, tempfile, torch
        >>> from tfjs_torch import process, processing
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = pathlib.Path(folder, "mine.py")
        ...     _ = file.write_text("def twice(weights, options): return {k: 2 * w for k, w in weights.items()}")
        ...     processing.load(f"{file}:twice").name
        'twice'
        >>> process({"a": torch.ones(2)}, "twice")
        {'a': tensor([2., 2.])}
        >>> processing.registry.forget("twice")
    """
    place, _, name = where.rpartition(":")
    if not place or not name:
        raise MismatchError(where, f"the form {_FORM} expected; write the file, a colon, the function's name")
    module = _file(place, where) if _is_file(place) else _module(place, where)
    function = getattr(module, name, None)
    if not callable(function):
        own = [
            key
            for key, value in vars(module).items()
            if inspect.isfunction(value) and value.__module__ == module.__name__
        ]
        raise MismatchError(where, f"a function {name!r} expected, found {', '.join(own) or 'no function'}; name one")
    return add(_step(function, name, where))


def _is_file(place: str) -> bool:
    return place.endswith(".py") or "/" in place or os.sep in place


def _file(place: str, where: str) -> ModuleType:
    path = Path(place)
    if not path.is_file():
        raise FilesError(where, f"a Python file expected, found none at {place}; check the path")
    spec = importlib.util.spec_from_file_location(f"tfjs_torch_processor_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise FilesError(where, "a Python file (its name ends in .py) expected; rename it")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pickle look there
    _guarded(where, lambda: spec.loader.exec_module(module) if spec.loader else None)
    return module


def _module(place: str, where: str) -> ModuleType:
    module: ModuleType = _guarded(where, lambda: importlib.import_module(place))
    return module


def _guarded(where: str, call: Callable[[], Any]) -> Any:
    """The result of an operator's code; whatever it raises becomes an error of ours that names it."""
    try:
        return call()
    except TfjsTorchError:
        raise
    except Exception as error:
        said = f"{type(error).__name__}: {error}".rstrip(": ")
        raise TfjsTorchError(where, f"Python code that runs expected, found {said:.300}; correct it") from error


def _step(function: Callable[..., Any], name: str, where: str) -> Step:
    known = steps().get(name)
    if known and known.source != where:
        raise MismatchError(where, f"a new name expected, found {name!r}, which is a step already; rename the function")
    others = _others(getattr(function, "others", (0, 0)), where)
    _check_arguments(function, 2 if others == (0, 0) else 3, where)
    given = getattr(function, "options", None)
    if given is not None and not isinstance(given, Mapping):
        raise MismatchError(where, f"a JSON schema as {name}.options expected, found {type(given).__name__}")
    schema = schema_of({"type": "object", "additionalProperties": True} if given is None else given, where)
    description = getattr(function, "description", None) or inspect.getdoc(function) or ""
    title = getattr(function, "title", None) or name.replace("_", " ").capitalize()
    check = getattr(function, "check", None)
    return Step(name, str(title), str(description), schema, others, "state_dict", _own(function, where), check, where)


def _others(found: Any, where: str) -> tuple[int, int | None]:
    if (
        isinstance(found, Sequence)
        and len(found) == 2
        and type(found[0]) is int
        and type(found[1]) in (int, type(None))
    ):
        least, most = found
        if least >= 0 and (most is None or most >= least):
            return least, most
    raise MismatchError(where, f"others = (least, most) models expected, found {found!r:.60}; most may be None")


def _check_arguments(function: Callable[..., Any], count: int, where: str) -> None:
    try:
        inspect.signature(function).bind(*range(count))
    except TypeError:
        wanted = "(state_dict, options)" if count == 2 else "(state_dict, options, others)"
        raise MismatchError(where, f"a function that takes {wanted} expected, found other arguments") from None
    except ValueError:
        pass  # written in C: it does not tell


def _own(function: Callable[..., Any], where: str) -> Callable[..., Any]:
    """The function, given tensors and options of its own, so that whatever it does leaves the caller's alone."""

    def call(state_dict: StateDict, options: Mapping[str, Any], *others: Sequence[StateDict]) -> Any:
        given = state_dict if getattr(function, "lazy", False) else _copies(state_dict)
        models = [[model if is_lazy(model) else _copies(model) for model in found] for found in others]
        result = _guarded(where, lambda: function(given, copy.deepcopy(dict(options)), *models))
        if not isinstance(result, Lazy):
            return result
        return Lazy(
            {name: entry._replace(make=partial(_guarded, where, entry.make)) for name, entry in result.entries.items()}
        )

    return call


def _copies(state_dict: StateDict) -> dict[str, Any]:
    return {
        name: value.copy() if dtype_of(state_dict, name) is None else tensor_of(value).clone()
        for name, value in state_dict.items()
    }
