"""The options of a request, checked: from the address, from fields of the form, from a JSON body."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from starlette.datastructures import QueryParams

from tfjs_torch import processing

from .problems import Problem
from .settings import parse_size

TARGETS: Final = ("tfjs", "safetensors", "pt", "npz", "pt2", "onnx")
KNOWN: Final = (
    "to", "layout", "quantize", "shard_bytes", "process", "histograms", "inputs", "input", "preprocess", "model",
    "with",
)  # fmt: skip
PROGRAMS: Final = ("pt2", "onnx")
LAYOUTS: Final = ("tfjs", "torch")
STORAGES: Final = ("uint8", "uint16", "float16", "float32")
MAX_BINS: Final = 256

_SHORT: Final = 4096  # characters of steps that are remembered


@dataclass(frozen=True)
class Options:
    """What to make of a model. `steps` are the library's checked calls."""

    to: str = "tfjs"
    layout: str = "tfjs"
    quantize: tuple[str, ...] = ()
    shard_bytes: int | None = None
    steps: tuple[processing.Call, ...] = ()
    bins: int = 0
    others: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def keeps_weights(self) -> bool:
        """Whether the numbers and their storage stay as they are."""
        return not self.steps and not self.quantize and self.shard_bytes is None

    @property
    def trains(self) -> bool:
        """Whether one of the steps does."""
        return any(call.step.takes == "module" for call in self.steps)


def options_of(query: QueryParams, fields: Mapping[str, list[str]]) -> Options:
    """Options of the address; of the form where the address says nothing.

    Raises:
        Problem: 422, naming the option. TfjsTorchError: a step that is unknown or has wrong options.
    """

    def given(name: str) -> list[str]:
        return query.getlist(name) or fields.get(name, [])

    def one(name: str, default: str = "") -> str:
        values = given(name)
        if len(values) > 1:
            raise Problem(422, name, f"one value expected, found {len(values)}", "give it once")
        return values[0].strip() if values else default

    to, layout = one("to", "tfjs") or "tfjs", one("layout", "tfjs") or "tfjs"
    one_of("to", to, TARGETS)
    one_of("layout", layout, LAYOUTS)
    quantize = tuple(rule.strip() for value in given("quantize") for rule in value.split(",") if rule.strip())
    for rule in quantize:
        one_of("quantize", rule.partition(":")[0], STORAGES)
    bins = one("histograms", "0") or "0"
    if not re.fullmatch(r"[0-9]{1,3}", bins) or int(bins) > MAX_BINS:
        raise Problem(422, "histograms", f"a number of bins from 0 to {MAX_BINS} expected, found {bins!r:.40}")
    return Options(
        to,
        layout,
        quantize,
        _shard_bytes(one("shard_bytes")),
        steps_of(one("process")),
        int(bins),
        tuple(given("with")),
        tuple(name for name in query if name not in KNOWN),
    )


def options_of_json(body: Any, query: QueryParams) -> Options:
    """Options of a JSON body: process, with, quantize, shard_bytes, histograms; those of the address win.

    Raises:
        Problem: 422. TfjsTorchError: see options_of.
    """
    known = ("process", "with", "quantize", "shard_bytes", "histograms")
    if not isinstance(body, dict) or not body.keys() <= set(known):
        raise Problem(422, "body", f"a JSON object with some of {', '.join(known)} expected, found {body!r:.80}")
    texts = {"process": [json.dumps(body["process"])]} if body.get("process") is not None else {}
    for name in ("with", "quantize", "shard_bytes", "histograms"):
        value = body.get(name)
        values = value if isinstance(value, list) else [] if value is None else [value]
        if not all(isinstance(item, str | int) for item in values):
            raise Problem(422, name, f"text expected, found {value!r:.80}")
        texts[name] = [str(item) for item in values]
    return options_of(query, texts)


def steps_of(text: str) -> tuple[processing.Call, ...]:
    """The steps of `process`.

    Raises:
        TfjsTorchError: no JSON, an unknown step, wrong options.
    """
    if not text:
        return ()
    return _known_steps(text) if len(text) <= _SHORT else tuple(processing.parse(text))


@lru_cache(maxsize=64)
def _known_steps(text: str) -> tuple[processing.Call, ...]:
    """Sketches ask for the same steps again and again; a Call never changes."""
    return tuple(processing.parse(text))


def one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    """Raises Problem 422 for another value."""
    if value not in known:
        raise Problem(
            422, name, f"one of {', '.join(known)} expected, found {value!r:.60}", f"give {name} one of these"
        )


def _shard_bytes(text: str) -> int | None:
    if not text:
        return None
    try:
        return parse_size(text)
    except ValueError as error:
        raise Problem(422, "shard_bytes", str(error), "for example 4MiB") from None
