"""Which rule exports which module, function or method of torch, and why others have none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

Rule = Callable[..., Any]
AnyRule = TypeVar("AnyRule", bound=Rule)

MODULES: Final[dict[type, Rule]] = {}
FUNCTIONS: Final[dict[Any, Rule]] = {}  # functions, and methods by their name


def module(*classes: type) -> Callable[[AnyRule], AnyRule]:
    """These classes are exported by `rule(site, module, *inputs)`. A class registered before is replaced."""

    def keep(rule: AnyRule) -> AnyRule:
        MODULES.update(dict.fromkeys(classes, rule))
        return rule

    return keep


def function(*targets: Any) -> Callable[[AnyRule], AnyRule]:
    """These functions and methods are exported by `rule(site, *arguments)`, arguments named as torch names them."""

    def keep(rule: AnyRule) -> AnyRule:
        FUNCTIONS.update(dict.fromkeys(targets, rule))
        return rule

    return keep
