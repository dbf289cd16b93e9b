"""Which tensor of the manifest belongs to which weight of which layer, by name alone.

tf.js' own rule (engine/container.ts): `<layer>/<weight>`, or that with one more token before the last, as Keras
writes it for cells (`lstm/lstm_cell/kernel`). Read besides, because their meaning is plain: names that end in `:0`,
names below further scopes (`model/dense/kernel`), numbered ones (`dense/0`, `dense/vars/0`), and those of a .keras
archive, which name classes instead of layers (`layers/dense_1/vars/0` is the second Dense).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from ..errors import MismatchError
from ..manifest import WeightSpec
from ..wiring import Wiring


class StoredWeights:
    """The tensors of a manifest, claimed one by one."""

    def __init__(self, specs: Iterable[WeightSpec], wiring: Wiring | None = None) -> None:
        self._by_name: dict[str, WeightSpec] = {}
        self._by_leaf: dict[str, list[str]] = defaultdict(list)
        self._left: dict[str, None] = {}  # a set that remembers its order
        for spec in specs:
            name = re.sub(r":\d+$", "", spec.name)
            self._by_name[name] = spec
            self._by_leaf[name.rpartition("/")[2]].append(name)
            self._left[name] = None
        archived = wiring is not None and any(re.search(r"(^|/)layers/.+/vars/\d+$", name) for name in self._left)
        self._archive = dict(_archive_paths(wiring, "", ())) if wiring and archived else {}

    def claim(self, layer: str, scope: str, weight: str, outer: Sequence[str] = ()) -> WeightSpec | None:
        """The tensor of a weight, which nobody else gets then; None where there is none.

        Args:
            layer: the layer that the model calls.
            scope: where its weights are named, such as "lstm", or "bi/forward_[^/]+" as a pattern.
            weight: "kernel", "bias", ...
            outer: the models around it; Keras 3 names weights `<model>/<layer>/<weight>`.
        """
        name = self._find(layer, scope, weight, outer)
        if name is None:
            return None
        del self._left[name]
        return self._by_name[name]

    def find(self, layer: str, scope: str, weight: str, outer: Sequence[str] = ()) -> WeightSpec | None:
        """What claim would find."""
        name = self._find(layer, scope, weight, outer)
        return None if name is None else self._by_name[name]

    def has_scope(self, scope: str) -> bool:
        """Whether any tensor that nobody has claimed is named there; the scope may be a pattern."""
        pattern = re.compile(rf"(?:.*/)?{scope if _is_pattern(scope) else re.escape(scope)}/.+")
        return any(pattern.fullmatch(name) for name in self._left)

    def claim_bare(self, weight: str) -> WeightSpec | None:
        """A tensor without any scope: old exporters wrote Normalization's so."""
        if weight not in self._left:
            return None
        del self._left[weight]
        return self._by_name[weight]

    def _find(self, layer: str, scope: str, weight: str, outer: Sequence[str]) -> str | None:
        plain = f"{scope}/{weight}"
        if plain in self._left:
            return plain
        for start in range(len(outer)):
            inside = "/".join((*outer[start:], plain))
            if inside in self._left:
                return inside
        archived = self._archive.get((*outer, layer))
        if archived is not None:
            return self._archived(archived, scope)
        return self._elsewhere(scope, weight) or self._numbered(layer)

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

    def _archived(self, path: str, scope: str) -> str | None:
        """The layer's next tensor in an archive; of the part that the scope speaks of, such as a "forward_" layer."""
        parts = [part.replace("attention_", "") for part in scope.split("/")[1:]]
        stem = next((stem for stem in _PARTS if any(part.startswith(stem) for part in parts)), "")
        for name in self._left:
            rest = name.removeprefix(f"{path}/")
            if rest != name and rest.rpartition("/")[2].isdigit() and stem in rest:
                return name
        return None

    def missing(self, where: str, scope: str, weight: str) -> MismatchError:
        near = [name for name in self._by_name if scope in name] or list(self._by_name)
        listed = ", ".join(near[:6]) or "no tensors at all"
        return MismatchError(where, f"a tensor {scope}/{weight} in the weightsManifest expected, found {listed}")

    def refuse_rest(self) -> None:
        """Raises:
        MismatchError: tensors that no layer has claimed.
        """
        left = [self._by_name[name].name for name in self._left if not (self._archive and _NO_LAYERS.match(name))]
        if left:
            more = f" and {len(left) - 6} more" if len(left) > 6 else ""
            raise MismatchError(
                "weightsManifest",
                f"only tensors of the model's layers expected, found {', '.join(left[:6])}{more} that no layer has",
            )


# Parts of a layer whose weights an archive keeps apart, and what it keeps besides layers.
_PARTS: Final = ("forward", "backward", "query", "key", "value", "output")
_NO_LAYERS: Final = re.compile(r"(optimizer|metrics|compile_metrics|loss_tracker)/|(.*/)?seed_generator")


def _archive_paths(wiring: Wiring, above: str, outer: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """((*models, layer), path in a .keras archive): classes in snake case, counted in the order of the file."""
    used: dict[str, int] = {}
    for node in wiring.nodes:
        snake = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", node.class_name)
        snake = re.sub(r"([a-z])([A-Z])", r"\1_\2", snake).lower()
        number = used[snake] = used.get(snake, -1) + 1
        path = f"{above}layers/{snake}_{number}" if number else f"{above}layers/{snake}"
        yield (*outer, wiring.name, node.name), path
        if node.model:
            yield from _archive_paths(node.model, f"{path}/", (*outer, wiring.name))


def _is_pattern(scope: str) -> bool:
    return "[" in scope
