"""A list of steps as JSON has it -> Calls, every name and every option checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..errors import MismatchError, UnsupportedError
from .options import checked
from .registry import Step, steps

MOST_STEPS: Final = 64  # lazy tensors are computed through one another: a chain must not outgrow Python's stack
_EXAMPLE: Final = '[{"step": "prune", "amount": 0.3}]'


@dataclass(frozen=True)
class Call:
    """A step with all its options."""

    step: Step
    options: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """As `parse` takes it.

        Example:
            >>> from tfjs_torch import processing
            >>> processing.parse("smooth")[0].to_json()
            {'step': 'smooth', 'rate': 0.01, 'times': 1, 'tensors': '*'}
        """
        return {"step": self.step.name, **self.options}


def parse(value: Any) -> list[Call]:
    """Check a list of steps, and fill in the defaults.

    Args:
        value: JSON text or what it holds: [{"step": "prune", "amount": 0.3}], {"name": "prune", "options": {...}},
            "prune", or a list of such; Calls are taken as they are.

    Raises:
        UnsupportedError: an unknown step; it names the known ones.
        MismatchError: anything else; .where is "step 2 (prune)".

    Example:
        >>> from tfjs_torch import processing
        >>> processing.parse('[{"step": "prune", "amount": 0.3}, "noise"]')[0].options["amount"]
        0.3
        >>> processing.parse({"step": "prune", "amount": 30})
        Traceback (most recent call last):
            ...
        tfjs_torch.errors.MismatchError: step 1 (prune): a number from 0 to 1 for amount expected, found 30.0
    """
    if isinstance(value, (bytes, bytearray)):
        value = value.decode("utf-8-sig", "replace")
    if isinstance(value, str) and value.lstrip().startswith(("[", "{", '"')):
        value = _loads(value)
    items = value if isinstance(value, (list, tuple)) else [value]
    if len(items) > MOST_STEPS:
        raise MismatchError("steps", f"at most {MOST_STEPS} expected, found {len(items)}; process in several goes")
    return [item if isinstance(item, Call) else _call(item, number) for number, item in enumerate(items, 1)]


def _loads(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError:
        found = "JSON nested too deep"
    except json.JSONDecodeError as error:
        found = f"{error.msg.lower()} at line {error.lineno} column {error.colno}"
    except ValueError as error:  # NaN, integers of thousands of digits
        found = str(error).partition(";")[0]
    raise MismatchError("steps", f"JSON such as {_EXAMPLE} expected, found {found}; correct it")


def _refuse(token: str) -> Any:
    raise ValueError(f"the token {token}, which is no JSON")


def _call(item: Any, number: int) -> Call:
    where = f"step {number}"
    if isinstance(item, str):
        item = {"step": item}
    if not isinstance(item, Mapping):
        raise MismatchError(where, f"a step such as {_EXAMPLE[1:-1]} expected, found {_kind(item)}")
    given = dict(item)
    names = [given.pop(key) for key in ("step", "name") if key in given]
    if len(names) != 1 or not isinstance(names[0], str):
        raise MismatchError(where, f'one name under "step" expected, found {names!r:.60}')
    known = steps()
    if names[0] not in known:
        raise UnsupportedError(
            f"{where} ({names[0]:.40})", f"one of {', '.join(known)} expected, found {names[0]!r:.60}; choose one"
        )
    return _checked(known[names[0]], given, f"{where} ({names[0]})")


def _checked(step: Step, given: dict[str, Any], where: str) -> Call:
    inner = given.pop("options", {})
    if not isinstance(inner, Mapping):
        raise MismatchError(where, f'an object under "options" expected, found {_kind(inner)}')
    twice = sorted(set(inner) & set(given))
    if twice:
        raise MismatchError(where, f"every option once expected, found {twice[0]!r} twice; remove one")
    options = checked(step.options, {**inner, **given}, where)
    fault = step.check(options) if step.check else ""
    if fault:
        raise MismatchError(where, fault)
    return Call(step, options)


def _kind(value: Any) -> str:
    return "null" if value is None else f"{type(value).__name__} {value!r:.40}"
