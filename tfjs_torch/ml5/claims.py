"""A saved network beside its weights: which tensor is which weight of which layer, and what tf.js wants to call it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..errors import TfjsTorchError, UnsupportedError, collected_warnings
from ..layers import Context, StoredWeights
from ..layers.models import ModelLayer
from ..manifest import Manifest, WeightSpec
from ..trial import Trial
from ..wiring import Node, Wiring, wiring_of
from .vocabulary import A_NUMBER_A_UNIT, UNITS_ALIKE, UNITS_LAST

Shape = tuple["int | None", ...]


class Claim(NamedTuple):
    """A weight of a layer: its tensor, and the name that both tf.js match with the layer."""

    layer: str
    weight: str
    spec: WeightSpec
    name: str


class Recorded(StoredWeights):
    """Remembers who claimed what."""

    def __init__(self, specs: Sequence[WeightSpec], wiring: Wiring) -> None:
        super().__init__(specs, wiring)
        self.claims: list[Claim] = []

    def claim(self, layer: str, scope: str, weight: str, outer: Sequence[str] = ()) -> WeightSpec | None:
        spec = super().claim(layer, scope, weight, outer)
        if spec is not None:
            # In a wrapper's scope, which is a pattern, only the numbers at the end are known to be wrong.
            name = re.sub(r":\d+$", "", spec.name) if "[" in scope else f"{scope}/{weight}"
            self.claims.append(Claim(layer, weight, spec, name))
        return spec


@dataclass
class Network:
    """What came of building it.

    Attributes:
        wiring: layers and calls; None where the topology breaks the format.
        claims: the weights that were found.
        entered, answered: shapes of its input and output without the batch; None where not known.
        problem: why it cannot be built, or does not run.
    """

    wiring: Wiring | None = None
    claims: list[Claim] = field(default_factory=list)
    entered: Shape | None = None
    answered: Shape | None = None
    problem: TfjsTorchError | None = None

    @property
    def built(self) -> bool:
        return self.problem is None

    @property
    def ends_in_softmax(self) -> bool:
        """Whether it tells classes apart, as ml5's classifiers do."""
        ends = {ref.layer for ref in self.wiring.outputs} if self.wiring else set()
        last = [node for node in self.wiring.nodes if node.name in ends] if self.wiring else []
        return any("softmax" in (node.class_name.lower(), node.config.get("activation")) for node in last)

    @property
    def unsupported(self) -> bool:
        """Whether the problem is one of this package, not of the file."""
        return isinstance(self.problem, UnsupportedError)


def build(topology: Any, manifest: Manifest) -> Network:
    """Build the network without its weights, and try it without samples. Raises nothing that is the file's fault."""
    network = Network()
    try:
        with collected_warnings():
            network.wiring = wiring_of(topology)
            specs = [spec for spec in manifest.specs if spec.group != "optimizer"]
            stored = Recorded(specs, network.wiring)
            network.claims = stored.claims
            root = Node(network.wiring.name, network.wiring.class_name, {}, "modelTopology", network.wiring)
            model = ModelLayer(root, Context(stored, False, 2)).finish()
            stored.refuse_rest()
            trial = Trial(model)  # type: ignore[arg-type]
    except TfjsTorchError as error:
        network.problem = error
        return network
    network.entered = _one(trial.entered)
    network.answered = _one(trial.shapes.get((), ()))
    if not trial.runs:
        network.problem = TfjsTorchError(
            "modelTopology", f"layers that fit each other expected, found: {trial.problem}"
        )
    return network


def _one(shapes: Sequence[Shape | None]) -> Shape | None:
    """The shape without the batch, where there is exactly one."""
    return shapes[0][1:] if len(shapes) == 1 and shapes[0] is not None else None


def label_layers(network: Network) -> list[tuple[str, str]]:
    """(layer, class) from the answers back to the layer whose units they are; [] where the way is not a plain one."""
    wiring = network.wiring
    if wiring is None or len(wiring.outputs) != 1:
        return []
    classes = {node.name: node.class_name for node in wiring.nodes}
    callers = {call.layer: call for call in wiring.calls}
    if len(callers) < len(wiring.calls):
        return []  # a layer that is called twice
    found: list[tuple[str, str]] = []
    at = wiring.outputs[0].layer
    while at in callers:
        found.append((at, classes[at]))
        if classes[at] in UNITS_LAST:
            readers = [call for call in wiring.calls for ref in call.inputs if ref.layer in dict(found)]
            return found if len(readers) == len(found) - 1 else []
        if classes[at] not in UNITS_ALIKE | A_NUMBER_A_UNIT or len(callers[at].inputs) != 1:
            return []
        at = callers[at].inputs[0].layer
    return []
