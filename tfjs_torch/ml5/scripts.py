"""JavaScript, as far as it can be read without being run: calls of methods, and arguments that stand there. No torch.

What cannot be told from the text alone (a sum, a function's result, a name that is assigned twice) is `Unknown`.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

_TOKEN: Final = re.compile(
    r"""(?P<blank>\s+|//[^\n]*|/\*.*?(?:\*/|\Z))
    |(?P<text>"(?:[^"\\\n]|\\.)*"?|'(?:[^'\\\n]|\\.)*'?|`(?:[^`\\]|\\.)*`?)
    |(?P<name>[^\W\d][\w$]*|\$[\w$]*)
    |(?P<number>\d[\w.]*)
    |(?P<mark>=>|[=!<>]==?|\+\+|--|(?:\|\||&&|\?\?|[-+*/%&|^])=|\.\.\.|\?\.|.)""",
    re.DOTALL | re.VERBOSE,
)
_PATTERN: Final = re.compile(r"/(?:\\.|\[(?:\\.|[^\]\\\n]){0,200}\]|[^/\\\[\n]){1,200}/[a-z]*")  # /such/ a literal
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_SETS: Final = re.compile(r"\+\+|--|[^=!<>]*=")
_INSIDE: Final = re.compile(r"\\.|`|\$\{|[{}]", re.DOTALL)  # what matters within a template
_DEEP: Final = 16  # objects in objects
_ENDS: Final = (",", ")", ";", "}", "]")
_DOTS: Final = (".", "?.")
_NO_NAMES: Final = ("return", "typeof", "case", "of", "in", "await")


class Unknown:
    """What the text alone does not tell."""


UNKNOWN: Final = Unknown()


@dataclass(frozen=True)
class Result:
    """What a call gives, by the name of what is called: `JSON.parse`, `loadJSON`."""

    of: str


@dataclass(frozen=True)
class Property:
    """`input.files`: a dotted name."""

    path: str


Value = str | dict[str, Any] | list[Any] | Result | Property | Unknown


@dataclass(frozen=True)
class Token:
    kind: str
    text: str
    at: int


@dataclass(frozen=True)
class Call:
    """One call, `owner.method(given, ...)`.

    Attributes:
        owner: the name before the last dot, "" where there is none.
        method: the name that is called.
        given: the first argument; None where there is none.
        assigned: the name that the result is assigned to, or None.
        line: counted from 1.
    """

    owner: str
    method: str
    given: Value | None
    assigned: str | None
    line: int


class Script:
    """One text of JavaScript.

    Example:
        >>> script = Script('const place = "model/";  // nn.load("old")\\nnn.load(place, ready);')
        >>> [(call.owner, call.method, call.given, call.line) for call in script.calls("load")]
        [('nn', 'load', 'model/', 2)]
    """

    def __init__(self, text: str) -> None:
        self.tokens = list(_tokens(text))
        self._lines = [at for at, character in enumerate(text) if character == "\n"]
        self._closes = self._pairs()
        self._known: dict[str, Value] = {}

    def calls(self, *methods: str) -> Iterator[Call]:
        """All calls of methods of these names, in the order of the text."""
        for at, token in enumerate(self.tokens):
            if token.text not in methods or self._mark(at + 1) != "(" or self._text(at - 1) == "function":
                continue
            dotted = self._mark(at - 1) in _DOTS
            owner = self._text(at - 2) or "" if dotted and self._kind(at - 2) == "name" else ""
            given = None if self._mark(at + 2) == ")" else self._value(at + 2)
            yield Call(owner, token.text, given, self._target(at), self._line(token.at))

    @cached_property
    def names(self) -> frozenset[str]:
        """All names in it."""
        return frozenset(token.text for token in self.tokens if token.kind == "name")

    @cached_property
    def _assigned(self) -> Mapping[str, int]:
        """{name: where the one value that it ever gets begins}."""
        places: dict[str, list[int]] = {}
        for at, token in enumerate(self.tokens):
            if token.kind == "name" and _SETS.fullmatch(self._mark(at + 1) or "") and self._mark(at - 1) not in _DOTS:
                places.setdefault(token.text, []).append(at + 2 if self._mark(at + 1) == "=" else -1)
        elsewhere = self._set_elsewhere()
        return {
            name: found[0]
            for name, found in places.items()
            if len(found) == 1 and found[0] >= 0 and name not in elsewhere
        }

    def _set_elsewhere(self) -> set[str]:
        """Names that get values otherwise: parameters, parts of what is taken apart, and those whose parts are set."""
        found: set[str] = set()
        starts: dict[int, int] = {}  # brackets that hold such names -> how many
        for at, token in enumerate(self.tokens):
            after = self._text(at + 1)
            if token.kind == "name" and (after in ("=>", "of", "in") or self._sets_part(at)):
                found.add(token.text)
            elif self._holds_names(at):
                starts[at] = self._closing(at)
        end = -1
        for at, token in enumerate(self.tokens):
            end = max(end, starts.get(at, -1))
            if at < end and token.kind == "name":
                found.add(token.text)
        return found

    def _sets_part(self, at: int) -> bool:
        """`name.part = ...` or `name[part] = ...`."""
        if self._mark(at + 1) == "[":
            return self._mark(self._closing(at + 1) + 1) == "="
        return self._mark(at + 1) == "." and self._mark(at + 3) == "="

    def _holds_names(self, at: int) -> bool:
        """Whether a bracket opens parameters, or what is taken apart."""
        if self._mark(at) in ("{", "["):
            return self._text(at - 1) in ("const", "let", "var") or self._mark(self._closing(at) + 1) == "="
        if self._mark(at) != "(":
            return False
        follows = self._text(self._closing(at) + 1)
        return follows == "=>" or (follows == "{" and self._text(at - 1) not in ("if", "for", "while", "switch"))

    def _pairs(self) -> dict[int, int]:
        """{opening bracket: the one that closes it}."""
        pairs: dict[int, int] = {}
        waiting: list[int] = []
        for at in range(len(self.tokens)):
            mark = self._mark(at)
            if mark in ("(", "[", "{"):
                waiting.append(at)
            elif mark in (")", "]", "}") and waiting:
                pairs[waiting.pop()] = at
        return pairs

    def _target(self, at: int) -> str | None:
        """The name that the result of the call at a token is assigned to."""
        while self._mark(at - 1) in _DOTS:
            at -= 2
        if self._text(at - 1) == "await":
            at -= 1
        return self._text(at - 2) if self._mark(at - 1) == "=" else None

    def _value(self, at: int, deep: int = 0) -> Value:
        value, end = self._parsed(at, deep)
        if self._mark(end) in _ENDS or end >= len(self.tokens):
            return value
        new_line = self._line(self.tokens[end].at) > self._line(self.tokens[end - 1].at)  # in place of a semicolon
        return value if new_line and self._kind(end) == "name" else UNKNOWN

    def _line(self, place: int) -> int:
        return bisect_left(self._lines, place) + 1

    def _parsed(self, at: int, deep: int) -> tuple[Value, int]:
        """What begins at a token, and the token after it."""
        if at >= len(self.tokens) or deep > _DEEP:
            return UNKNOWN, at
        token = self.tokens[at]
        if token.kind == "text":
            return _unquoted(token.text), at + 1
        if token.kind == "name" and token.text not in _NO_NAMES:
            return self._named(at, deep)
        if token.text == "{":
            return self._object(at, deep)
        if token.text == "[":
            return [], self._closing(at) + 1  # that it is a list is all that matters here
        return UNKNOWN, at + 1

    def _named(self, at: int, deep: int) -> tuple[Value, int]:
        names, end = [self.tokens[at].text], at + 1
        while self._mark(end) in _DOTS and self._kind(end + 1) == "name":
            names.append(self.tokens[end + 1].text)
            end += 2
        if self._mark(end) == "(":
            return Result(".".join(names)), self._closing(end) + 1
        return (Property(".".join(names)) if len(names) > 1 else self._looked_up(names[0], deep)), end

    def _looked_up(self, name: str, deep: int) -> Value:
        if name not in self._known:
            self._known[name] = UNKNOWN  # what a name within its own value would be
            if name in self._assigned:
                self._known[name] = self._value(self._assigned[name], deep + 1)
        return self._known[name]

    def _object(self, at: int, deep: int) -> tuple[Value, int]:
        made: dict[str, Any] = {}
        at += 1
        while at < len(self.tokens) and self._mark(at) != "}":
            token = self.tokens[at]
            key = _unquoted(token.text) if token.kind == "text" else token.text
            if token.kind not in ("name", "text") or not isinstance(key, str):
                return UNKNOWN, at
            if self._mark(at + 1) == ":":
                made[key], at = self._value(at + 2, deep + 1), self._end_of_value(at + 2)
            elif token.kind == "name" and self._mark(at + 1) in (",", "}"):
                made[key], at = self._named(at, deep + 1)
            else:
                return UNKNOWN, at
            at += self._mark(at) == ","
        return made, at + 1

    def _end_of_value(self, at: int) -> int:
        """The comma or the bracket behind a value."""
        while at < len(self.tokens) and self._mark(at) not in _ENDS:
            at = self._closing(at) + 1 if self._mark(at) in ("(", "[", "{") else at + 1
        return at

    def _closing(self, at: int) -> int:
        """The bracket that closes the one at a token."""
        return self._closes.get(at, len(self.tokens))

    def _kind(self, at: int) -> str | None:
        return self.tokens[at].kind if 0 <= at < len(self.tokens) else None

    def _text(self, at: int) -> str | None:
        return self.tokens[at].text if 0 <= at < len(self.tokens) else None

    def _mark(self, at: int) -> str | None:
        return self._text(at) if self._kind(at) == "mark" else None


def _tokens(text: str) -> Iterator[Token]:
    at, divides = 0, False  # whether a / would be a division
    while at < len(text):
        pattern = (
            _PATTERN.match(text, at) if text[at] == "/" and not divides and text[at + 1 : at + 2] not in "/*" else None
        )
        found = pattern or _TOKEN.match(text, at)
        assert found is not None
        kind = "pattern" if pattern else str(found.lastgroup)
        end = _template_end(text, at) if text[at] == "`" else found.end()
        if kind != "blank":
            yield Token(kind, text[at:end], at)
            divides = found[0] in (")", "]", "}") or (kind in ("number", "text", "name") and found[0] != "return")
        at = end


def _template_end(text: str, at: int) -> int:
    """Behind a template, in whose ${} may be others."""
    open_marks = ["`"]
    for found in _INSIDE.finditer(text, at + 1):
        mark, inside = found[0], open_marks[-1] == "`"
        if mark == "`" and inside:
            open_marks.pop()
            if not open_marks:
                return found.end()
        elif mark == "`" or (mark == "${" and inside) or (mark == "{" and not inside):
            open_marks.append(mark)
        elif mark == "}" and not inside:
            open_marks.pop()
    return len(text)


def _unquoted(text: str) -> str | Unknown:
    if len(text) < 2 or text[-1] != text[0] or (text[0] == "`" and "${" in text):
        return UNKNOWN
    return _ESCAPE.sub(r"\1", text[1:-1])
