"""Finding: one thing about saved files that ml5 stumbles over, in plain words. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

ROUTES: Final = ("string", "object", "files")
VERSIONS: Final = ("0.x", "1.x")
EVERYWHERE: Final = dict.fromkeys(VERSIONS, ROUTES)
SEVERITIES: Final = ("error", "warning", "note")

_ROUTE_WORDS: Final = {
    "string": "by the URL of the JSON",
    "object": "by {model, metadata, weights}",
    "files": "by the file picker",
}


@dataclass(frozen=True)
class Finding:
    """What ml5 does with saved files where that is not simply right.

    Attributes:
        code: a stable name, such as "meta-missing".
        severity: "error": some version fails or answers wrongly by some route; "warning": it may go wrong, or goes
            wrong only in some uses; "note": good to know.
        where: the file's name.
        message: what ml5 does with it.
        advice: what to do.
        repairable: whether ml5.repair mends it.
        fails: {"0.x": routes, "1.x": routes} of those that fail or answer wrongly. 0.x is ml5 0.12.2, 1.x is 1.4.0; a
            route is "string" (the URL of the JSON), "object" ({model, metadata, weights}) or "files" (a FileList).

    Example:
        >>> finding = Finding("meta-missing", "error", "model_meta.json", "It is not there.", "Save again.", False)
        >>> finding.fails, finding.routes
        ({}, 'by no route')
    """

    code: str
    severity: str
    where: str
    message: str
    advice: str
    repairable: bool
    fails: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.where}: {self.message} {self.advice}".strip()

    @property
    def routes(self) -> str:
        """Which versions fail by which routes, in words."""
        return words_of(self.fails)

    def to_dict(self) -> dict[str, Any]:
        """The same as plain JSON values.

        Example:
            >>> Finding("x", "note", "model.json", "a", "b", False, {"0.x": ("files",)}).to_dict()["fails"]
            {'0.x': ['files']}
        """
        return {
            "code": self.code,
            "severity": self.severity,
            "where": self.where,
            "message": self.message,
            "advice": self.advice,
            "repairable": self.repairable,
            "fails": {version: list(routes) for version, routes in self.fails.items()},
        }


def in_version(*versions: str) -> dict[str, tuple[str, ...]]:
    """What fails where these versions fail by every route.

    Example:
        >>> in_version("0.x")
        {'0.x': ('string', 'object', 'files')}
    """
    return dict.fromkeys(versions, ROUTES)


def failing(pairs: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """{version: routes} of (version, route) pairs, in the order of ROUTES.

    Example:
        >>> failing([("1.x", "files"), ("1.x", "string")])
        {'1.x': ('string', 'files')}
    """
    found = set(pairs)
    listed = {version: tuple(route for route in ROUTES if (version, route) in found) for version in VERSIONS}
    return {version: routes for version, routes in listed.items() if routes}


def words_of(fails: Mapping[str, tuple[str, ...]]) -> str:
    """In words.

    Example:
        >>> words_of(in_version("0.x", "1.x")), words_of({"0.x": ("files",)})
        ('in ml5 0.x and 1.x by every route', 'in ml5 0.x by the file picker')
    """
    if not fails:
        return "by no route"
    if len({tuple(routes) for routes in fails.values()}) == 1:
        return f"in ml5 {' and '.join(fails)} {_route_words(next(iter(fails.values())))}"
    return ", ".join(f"in ml5 {version} {_route_words(routes)}" for version, routes in fails.items())


def _route_words(routes: tuple[str, ...]) -> str:
    return "by every route" if tuple(routes) == ROUTES else " and ".join(_ROUTE_WORDS[route] for route in routes)
