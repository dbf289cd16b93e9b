"""Step: one kind of processing, by name, with the schema of its options."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeVar

from ..errors import MismatchError
from .options import Schema, schema_of

Takes = Literal["state_dict", "module"]
Function = Callable[..., Any]
Registered = TypeVar("Registered", bound=Function)


@dataclass(frozen=True)
class Step:
    """One kind of processing.

    Attributes:
        name: as it is called in a list of steps.
        title, description: for people.
        options: JSON schema of the options (an object with properties).
        others: how many other models it takes, (least, most); most is None where there is no limit.
        takes: what its function gets, a state_dict or a module of torch.
        function: (state_dict or module, options) -> the same kind; with others, (..., options, others).
        check: options -> what is wrong between them ("" for nothing), where the schema cannot tell.
        source: the "my.py:fn" of an operator's own function, "" for ours.
    """

    name: str
    title: str
    description: str
    options: Schema
    others: tuple[int, int | None]
    takes: Takes
    function: Function = field(repr=False)
    check: Callable[[Mapping[str, Any]], str] | None = field(default=None, repr=False)
    source: str = ""

    def to_json(self) -> dict[str, Any]:
        """What a page needs to offer the step."""
        return {
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "options": self.options,
            "others": list(self.others),
            "takes": self.takes,
        }


_STEPS: Final[dict[str, Step]] = {}


def add(step: Step) -> Step:
    _STEPS[step.name] = step
    return step


def steps() -> dict[str, Step]:
    """Every step by its name.

    Raises nothing.

    Example:
        >>> from tfjs_torch import processing
        >>> list(processing.steps()["prune"].options["properties"])
        ['amount', 'scope', 'tensors']
    """
    return dict(_STEPS)


def register(
    name: str,
    *,
    title: str,
    description: str,
    options: Mapping[str, Any],
    others: tuple[int, int | None] = (0, 0),
    takes: Takes = "state_dict",
    check: Callable[[Mapping[str, Any]], str] | None = None,
) -> Callable[[Registered], Registered]:
    """Function decorator: this function is the step `name`. A name registered before is replaced.

    Args:
        name, title, description, others, takes, check: see Step.
        options: a JSON schema, or its properties alone. What is understood: see options.py.

    The function must be pure: what it gets stays as it is. It gets a dict or a Lazy mapping; `each` handles both.

    Raises:
        MismatchError: a schema that is not understood, or an impossible number of others.

    Example:
        >>> import torch
        >>> from tfjs_torch import process, processing
        >>> @processing.register("negate", title="Negate", description="Turns every sign.", options={})
        ... def negate(state_dict, options):
        ...     return processing.each(state_dict, lambda name, tensor: -tensor)
        >>> process({"a": torch.ones(2)}, "negate")
        {'a': tensor([-1., -1.])}
        >>> processing.registry.forget("negate")
    """
    least, most = others
    where = f"step {name!r}"
    if not name or least < 0 or (most is not None and most < least):
        raise MismatchError(where, f"a name, and (least, most) other models expected, found {name!r} and {others}")
    if takes not in ("state_dict", "module"):
        raise MismatchError(where, f'takes="state_dict" or "module" expected, found {takes!r}')
    schema = schema_of(options, where)

    def keep(function: Registered) -> Registered:
        add(Step(name, title, description, schema, others, takes, function, check))
        return function

    return keep


def forget(name: str) -> None:
    """Take a step out of the registry."""
    _STEPS.pop(name, None)
