"""Which tensor of the manifest belongs to which weight of which layer, by name alone.

tf.js' own rule (engine/container.ts): `<layer>/<weight>`, or that with one more token before the last, as Keras
writes it for cells (`lstm/lstm_cell/kernel`). Read besides, because their meaning is plain: names that end in `:0`,
names below further scopes (`model/dense/kernel`), and Keras 3's numbered ones (`dense/0`, `dense/vars/0`).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

from ..errors import MismatchError
from ..manifest import WeightSpec


class StoredWeights:
    """The tensors of a manifest, claimed one by one."""

    def __init__(self, specs: Iterable[WeightSpec]) -> None:
        self._by_name: dict[str, WeightSpec] = {}
        self._by_leaf: dict[str, list[str]] = defaultdict(list)
        self._left: dict[str, None] = {}  # a set that remembers its order
        for spec in specs:
            name = re.sub(r":\d+$", "", spec.name)
            self._by_name[name] = spec
            self._by_leaf[name.rpartition("/")[2]].append(name)
            self._left[name] = None

    def claim(self, layer: str, scope: str, weight: str) -> WeightSpec | None:
        """The tensor of a weight, which nobody else gets then; None where there is none.

        Args:
            layer: the layer that the model calls.
            scope: where its weights are named, such as "lstm", or "bi/forward_[^/]+" as a pattern.
            weight: "kernel", "bias", ...
        """
        name = self._find(layer, scope, weight)
        if name is None:
            return None
        del self._left[name]
        return self._by_name[name]

    def has(self, layer: str, scope: str, weight: str) -> bool:
        """Whether claim would find it."""
        return self._find(layer, scope, weight) is not None

    def claim_bare(self, weight: str) -> WeightSpec | None:
        """A tensor without any scope: old exporters wrote Normalization's so."""
        if weight not in self._left:
            return None
        del self._left[weight]
        return self._by_name[weight]

    def _find(self, layer: str, scope: str, weight: str) -> str | None:
        plain = f"{scope}/{weight}"
        return plain if plain in self._left else self._elsewhere(scope, weight) or self._numbered(layer)

    def _elsewhere(self, scope: str, weight: str) -> str | None:
        """Below further scopes, or with a cell's name in between; the nearest to the plain form."""
        free = [name for name in self._by_leaf.get(weight, ()) if name in self._left]
        plain = scope if _is_pattern(scope) else re.escape(scope)
        for form in (rf"{plain}/", rf"{plain}/[^/]+/", rf"(?:.*/)?{plain}/", rf"(?:.*/)?{plain}/[^/]+/"):
            pattern = re.compile(form + re.escape(weight))
            found = [name for name in free if pattern.fullmatch(name)]
            if len(found) == 1 or (found and _is_pattern(scope)):
                return found[0]
        return None

    def _numbered(self, layer: str) -> str | None:
        """The layer's next tensor where all are numbered; layers claim in the order in which Keras numbers."""
        pattern = re.compile(rf"(?:.*/)?{re.escape(layer)}/(?:vars/)?(\d+)")
        found = [(int(match[1]), name) for name in self._left if (match := pattern.fullmatch(name))]
        return min(found)[1] if found else None

    def missing(self, where: str, scope: str, weight: str) -> MismatchError:
        near = [name for name in self._by_name if scope in name] or list(self._by_name)
        listed = ", ".join(near[:6]) or "no tensors at all"
        return MismatchError(where, f"a tensor {scope}/{weight} in the weightsManifest expected, found {listed}")

    def refuse_rest(self) -> None:
        """Raises:
        MismatchError: tensors that no layer has claimed.
        """
        left = [self._by_name[name].name for name in self._left]
        if left:
            more = f" and {len(left) - 6} more" if len(left) > 6 else ""
            raise MismatchError(
                "weightsManifest",
                f"only tensors of the model's layers expected, found {', '.join(left[:6])}{more} that no layer has",
            )


def _is_pattern(scope: str) -> bool:
    return "[" in scope
