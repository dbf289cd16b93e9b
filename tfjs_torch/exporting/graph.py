"""Layers that are being made, and the symbols between them. Nothing here knows of torch's axes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import torch
from torch import Tensor

from ..errors import MismatchError

Shape: TypeAlias = "tuple[int, ...]"
Key: TypeAlias = "int | str"

_NAME: Final = re.compile(r"[A-Za-z0-9][-A-Za-z0-9._/]*")  # what tf.js takes as the name of a tensor
_FORBIDDEN: Final = re.compile(r"[^-A-Za-z0-9._/]+")


@dataclass(eq=False)
class Record:
    """A layer of tf.js: its configuration, its weights, and every call of it with what goes in.

    Attributes:
        weights: {name without the layer's: tensor as tf.js has it}, in tf.js' order.
        fixed: the weights that training never changes (moving_mean).
        settle: told which outputs are used, sets the options that decide on them and says where each one is.
    """

    name: str
    class_name: str
    config: dict[str, Any]
    weights: dict[str, Tensor] = field(default_factory=dict)
    fixed: frozenset[str] = frozenset()
    trainable: bool = True
    calls: list[list[Symbol]] = field(default_factory=list)
    settle: Callable[[Record, set[Key]], dict[Key, int]] | None = None

    def same(self, class_name: str, config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> bool:
        """Whether another call could be one of this layer."""
        return (
            self.class_name == class_name
            and self.config == config
            and self.weights.keys() == weights.keys()
            and all(torch.equal(self.weights[name], weights[name]) for name in weights)
        )


@dataclass(frozen=True)
class Symbol:
    """An output of a call of a layer; `shape` is that of tf.js, without the batch."""

    layer: Record
    call: int
    shape: Shape
    key: Key = 0


class Graph:
    """What all layers share. Names are unique, and those of the user's modules are kept for them."""

    def __init__(self, names: Mapping[str, str], paths: Sequence[str]) -> None:
        self.shared: dict[tuple[str, str], list[Record]] = {}  # (path, part): the layers that it may call again
        self.ids: int | None = None  # how many ids the smallest Embedding knows
        self._names = {**{path: legal(path) for path in paths if path}, **names}
        self._used: set[str] = set()
        self._reserved = set(self._names.values())
        for name in names.values():
            if not _NAME.fullmatch(name):
                raise MismatchError(
                    f"names: {name!r}",
                    "letters, digits and - . _ / expected, a letter or digit first; tf.js takes no others",
                )
        if len(set(names.values())) < len(names):
            raise MismatchError("names", f"every name once expected, found {sorted(names.values())}")

    def name_of(self, path: str, part: str = "") -> str:
        """The name of a layer made for a module or node; `part` for a helper beside the layer itself."""
        given = self._names.get(path)
        wanted = legal(f"{given or path}_{part}") if part else given or legal(path)
        return self._unique(wanted, own=given is not None and not part)

    def _unique(self, wanted: str, own: bool) -> str:
        taken = self._used if own else self._used | self._reserved
        name, count = wanted, 0
        while name in taken:
            count += 1
            name = f"{wanted}_{count}"
            taken = self._used | self._reserved
        self._used.add(name)
        return name

    def add(self, record: Record, inputs: Sequence[Symbol], shape: Shape, key: Key = 0) -> Symbol:
        """One more call of a layer, which may be new."""
        record.calls.append(list(inputs))
        return Symbol(record, len(record.calls) - 1, shape, key)


def legal(name: str) -> str:
    """The nearest name that tf.js takes."""
    return _FORBIDDEN.sub("_", name).lstrip("-._/") or "layer"
