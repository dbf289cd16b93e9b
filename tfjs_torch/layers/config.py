"""A layer's config, read key by key: every option is read, or told to be unknown; none is forgotten."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ..errors import TopologyError, UnsupportedError
from ..topology import snake_case

_REQUIRED: Final = object()

# What says nothing about the numbers that a loaded model computes, or is read for all layers alike.
_FOR_ALL: Final = frozenset({
    "name", "trainable", "dtype", "batch_input_shape", "batch_shape", "input_shape", "input_dtype", "autocast",
    "activity_regularizer", "sparse", "ragged", "registered_name", "module", "build_config", "optional",
    "quantization_config", "batch_size",
})  # fmt: skip
_ENDINGS: Final = ("_initializer", "_regularizer", "_constraint")


class Config:
    """The options of one layer.

    Args:
        where: the layer, for messages.
        options: its config as the JSON has it.
        keras: whether options that tf.js ignores count.
    """

    def __init__(self, where: str, options: Mapping[str, Any], keras: bool) -> None:
        self.where = where
        self.keras = keras
        self.quirks: list[str] = []
        self._options = {snake_case(key): _plain(value) for key, value in options.items()}
        self._read: set[str] = set()

    def __contains__(self, key: str) -> bool:
        return key in self._options

    def get(self, key: str, default: Any = _REQUIRED) -> Any:
        """The value as the JSON has it; `default` (the format's own) where it is missing."""
        self._read.add(key)
        if key in self._options:
            return self._options[key]
        if default is _REQUIRED:
            raise TopologyError(self.where, f"the option {key!r} expected, found none; export the model again")
        return default

    def value(self, key: str, default: Any = _REQUIRED) -> Any:
        """Like get, where null means the default, too."""
        found = self.get(key, default)
        if found is None:
            if default is _REQUIRED:
                raise self.wrong(key, "a value", found)
            return default
        return found

    def flag(self, key: str, default: bool) -> bool:
        return bool(self.value(key, default))

    def integer(self, key: str, default: Any = _REQUIRED, least: int = 0) -> int:
        found = self.value(key, default)
        if isinstance(found, float) and found.is_integer():
            found = int(found)
        if not isinstance(found, int) or isinstance(found, bool) or found < least:
            raise self.wrong(key, f"an integer of at least {least}", found)
        return found

    def number(self, key: str, default: Any = _REQUIRED, least: float = -math.inf, most: float = math.inf) -> float:
        found = self.value(key, default)
        if not isinstance(found, (int, float)) or isinstance(found, bool) or not math.isfinite(found):
            raise self.wrong(key, "a number", found)
        if not least <= found <= most:
            raise self.wrong(key, f"a number from {least:g} to {most:g}", found)
        return float(found)

    def text(self, key: str, default: Any, choices: Sequence[str]) -> str:
        found = self.value(key, default)
        if not isinstance(found, str):
            raise self.wrong(key, f"one of {', '.join(choices)}", found)
        found = found if found in choices else snake_case(found)
        if found not in choices:
            raise UnsupportedError(f"{self.where}: {key}", f"one of {', '.join(choices)} expected, found {found!r}")
        return found

    def sizes(self, key: str, rank: int, default: Any = _REQUIRED, least: int = 1) -> tuple[int, ...]:
        """`rank` integers; one alone stands for all."""
        found = self.value(key, default)
        listed = list(found) if isinstance(found, (list, tuple)) else [found] * rank
        if len(listed) == 1:
            listed *= rank
        whole = [int(x) if isinstance(x, float) and x.is_integer() else x for x in listed]
        if len(whole) != rank or not all(isinstance(x, int) and not isinstance(x, bool) and x >= least for x in whole):
            raise self.wrong(key, f"{rank} integers of at least {least}", found)
        return tuple(whole)

    def integers(self, key: str, default: Any = _REQUIRED) -> list[int]:
        """An integer or a list of them."""
        found = self.value(key, default)
        listed = list(found) if isinstance(found, (list, tuple)) else [found]
        if not all(isinstance(x, int) and not isinstance(x, bool) for x in listed):
            raise self.wrong(key, "integers", found)
        return listed

    def axes(self, key: str, default: Any = _REQUIRED) -> tuple[int, ...]:
        """An axis or several different ones; negative ones count from the end."""
        found = self.integers(key, default)
        if not found or len({*found}) < len(found):
            raise self.wrong(key, "one or several different axes", found)
        return tuple(found)

    def channels_first(self) -> bool:
        return self.text("data_format", "channels_last", ("channels_last", "channels_first")) == "channels_first"

    def keras_only(self, key: str, default: Any, effect: str) -> Any:
        """An option that tf.js ignores: its value in Keras' semantics; else the default, and `effect` is told.

        Args:
            effect: what tf.js computes instead, as half a sentence ("a plain relu").
        """
        found = self.value(key, default)
        if self.keras or _same(found, default):
            return found
        self.quirk(f"tf.js ignores {key}={found!r} and computes {effect}")
        return default

    def quirk(self, text: str, in_both: bool = False) -> None:
        """Note a difference between tf.js and Keras that this layer shows.

        Args:
            in_both: whether semantics="keras" computes here what tf.js does, too.
        """
        self.quirks.append(text if in_both else f'{text}; semantics="keras" computes what Keras does')

    def unimportant(self, *keys: str) -> None:
        """Options without an effect on the numbers of this layer."""
        self._read |= {*keys}

    def refuse_rest(self) -> None:
        """What nobody has read: told, since tf.js ignores it; refused in Keras' semantics.

        Raises:
            UnsupportedError: an option that this package does not know.
        """
        for key, value in self._options.items():
            if key in self._read or key in _FOR_ALL or key.endswith(_ENDINGS) or value in (None, False, [], {}):
                continue
            if self.keras:
                raise UnsupportedError(f"{self.where}: {key}", f"no such option expected, found {value!r:.60}")
            self.quirk(f"tf.js ignores {key}={value!r:.60}, and so does this package", in_both=True)

    def wrong(self, key: str, expected: str, found: Any) -> TopologyError:
        return TopologyError(f"{self.where}: {key}", f"{expected} expected, found {found!r:.80}")


def _plain(value: Any) -> Any:
    """Keras writes numpy scalars and arrays as {"type": "ndarray", "value": x}."""
    if isinstance(value, dict) and value.get("type") == "ndarray" and "value" in value:
        return value["value"]
    return value


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, (list, tuple)) or isinstance(b, (list, tuple)):
        spread_a = list(a) if isinstance(a, (list, tuple)) else [a]
        spread_b = list(b) if isinstance(b, (list, tuple)) else [b]
        return bool(spread_a and spread_b) and all(x == spread_a[0] for x in (*spread_a, *spread_b))
    return bool(a == b)
