"""A step's options: a JSON schema that a page turns into controls, and the check of what comes back.

The part of JSON Schema that is understood: type (number, integer, boolean, string, array), enum, minimum, maximum,
items, maxItems, maxLength, default, title, description, examples. A schema with anything else is refused when it
is registered, so that no rule is silently skipped.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Final

from ..errors import MismatchError

Schema = dict[str, Any]

TENSORS: Final[Schema] = {
    "tensors": {
        "type": "string",
        "title": "Tensors",
        "description": "Which tensors, by name: * stands for any text (*kernel: all whose names end in kernel).",
        "default": "*",
        "maxLength": 200,
    }
}
SEED: Final[Schema] = {
    "seed": {
        "type": "integer",
        "title": "Seed",
        "description": "The same number gives the same random choices again.",
        "default": 0,
        "minimum": 0,
        "maximum": 2**53 - 1,
    }
}

_KINDS: Final = {
    "number": "a number", "integer": "a whole number", "boolean": "true or false", "string": "a text",
    "array": "a list",
}  # fmt: skip
_KEYWORDS: Final = {
    "type", "enum", "minimum", "maximum", "items", "maxItems", "maxLength", "default", "title", "description",
    "examples",
}  # fmt: skip
_RESERVED: Final = ("step", "name", "options")


def schema_of(options: Mapping[str, Any], where: str) -> Schema:
    """The whole schema, of one or of its properties alone.

    Raises:
        MismatchError: a keyword that is not understood, or a default that breaks its own rule.
    """
    whole = dict(options) if options.get("type") == "object" else {"properties": dict(options)}
    unknown = sorted(set(whole) - {"type", "properties", "required", "additionalProperties", "title", "description"})
    if unknown or not isinstance(whole.get("properties", {}), Mapping):
        raise MismatchError(where, f"a JSON schema with properties for its options expected, found {unknown}")
    schema = {"type": "object", "properties": {}, "additionalProperties": False, **whole}
    for name, rule in schema["properties"].items():
        _check_rule(rule, f"{where}: option {name!r}", name)
    schema["properties"] = {name: _with_default(name, rule, where) for name, rule in schema["properties"].items()}
    return schema


def checked(schema: Schema, given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The options with all defaults filled in, in the schema's order.

    Raises:
        MismatchError: an unknown option, or a value that breaks its rule.
    """
    properties: Mapping[str, Schema] = schema["properties"]
    unknown = [name for name in given if name not in properties]
    if unknown and not schema["additionalProperties"]:
        known = ", ".join(properties) or "no options at all"
        raise MismatchError(where, f"{known} expected as options, found {unknown[0]!r:.60}; correct or remove it")
    options = {}
    for name, rule in properties.items():
        if name in given:
            options[name] = _value(rule, given[name], where, name)
        elif "default" in rule:
            options[name] = rule["default"]
        elif name in schema.get("required", ()):
            raise MismatchError(where, f"{_said(rule)} for {name} expected, found nothing; give it")
    return {**options, **{name: given[name] for name in unknown}}


def _check_rule(rule: Any, where: str, name: str) -> None:
    if name in _RESERVED:
        raise MismatchError(where, f"another name expected: {', '.join(_RESERVED)} mean something else in a step")
    if not isinstance(rule, Mapping) or rule.get("type") not in _KINDS:
        raise MismatchError(where, f'a JSON schema with "type" one of {", ".join(_KINDS)} expected, found {rule!r:.60}')
    unknown = sorted(set(rule) - _KEYWORDS)
    if unknown:
        raise MismatchError(where, f"only the keywords {', '.join(sorted(_KEYWORDS))} expected, found {unknown}")
    if "items" in rule:
        _check_rule(rule["items"], f"{where}: items", "")


def _with_default(name: str, rule: Schema, where: str) -> Schema:
    if "default" not in rule:
        return rule
    return {**rule, "default": _value(rule, rule["default"], f"{where}: default of {name!r}", name)}


def _value(rule: Mapping[str, Any], value: Any, where: str, name: str) -> Any:
    kind = rule["type"]
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind == "number" and number:
        fits, value = _as_float(value)
    elif kind == "integer" and number:
        fits = isinstance(value, int) or value.is_integer()
        value = int(value) if fits else value
    elif kind == "array" and isinstance(value, (list, tuple)):
        fits = len(value) <= rule.get("maxItems", len(value))
        value = [_value(rule["items"], item, where, name) if "items" in rule else item for item in value]
    else:
        fits = kind in ("string", "boolean") and isinstance(value, str if kind == "string" else bool)
        fits = fits and (kind == "boolean" or len(value) <= rule.get("maxLength", len(value)))
    if not fits or ("enum" in rule and value not in rule["enum"]) or (number and not _in_range(rule, value)):
        raise MismatchError(where, f"{_said(rule)} for {name} expected, found {_shown(value)}")
    return value


def _as_float(value: int | float) -> tuple[bool, float]:
    try:
        found = float(value)
    except OverflowError:
        return False, math.inf
    return math.isfinite(found), found


def _in_range(rule: Mapping[str, Any], value: Any) -> bool:
    return bool(rule.get("minimum", -math.inf) <= value <= rule.get("maximum", math.inf))


def _said(rule: Mapping[str, Any]) -> str:
    if "enum" in rule:
        return " or ".join(json.dumps(value) for value in rule["enum"])
    kind, low, high = _KINDS[rule["type"]], rule.get("minimum"), rule.get("maximum")
    if "maxLength" in rule or "maxItems" in rule:
        return f"{kind} of at most {rule.get('maxLength', rule.get('maxItems'))}"
    if low is not None and high is not None:
        return f"{kind} from {low} to {high}"
    if low is not None or high is not None:
        return f"{kind} of at least {low}" if high is None else f"{kind} of at most {high}"
    return kind


def _shown(value: Any) -> str:
    """As JSON writes it, not too long."""
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 200:
        return "a number of more than 60 digits"  # Python refuses to print thousands of them
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return type(value).__name__
    return text if len(text) <= 60 else f"{text[:57]}..."
