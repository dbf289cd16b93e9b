"""The order of a model's calls as a flat list of steps, for LayersModel to walk through."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from ..references import Call, Ref
from ..wiring import Wiring

STOPS: Final = 0
PASSES: Final = 1
MAKES: Final = 2


class Behaviour(NamedTuple):
    """What the executor has to know of a layer; see the attributes of Layer."""

    masks: int
    takes_mask: bool = False
    takes_all_masks: bool = False
    arguments: tuple[str, ...] = ()
    call_options: tuple[str, ...] = ()
    stateful: bool = False
    passes_as_keras: bool = False
    any_length: bool = False


class Step(NamedTuple):
    """One call of a layer: which values it takes, and which it makes.

    Attributes:
        layer: the layer's name.
        inputs: positions of its inputs among the values.
        output: position of its first output; several outputs lie behind each other.
        outputs: how many of them are wanted.
        done: positions of values that nobody needs afterwards.
        masks: whether a mask goes through, is made by the module, or stops.
        takes_mask: whether the module wants to know the mask.
        takes_all_masks: whether it wants those of all its inputs, in a list.
        given_masks: positions of the values that the call names as its masks, which then count instead.
        named: further inputs by keyword, as (keyword, position); options: plain values by keyword.
        passes_as_keras: whether a mask goes through in Keras, where tf.js may stop it and then leak it.
        runs: how often tf.js runs it: once for each output that is wanted, which moves a kept state each time.
    """

    layer: str
    inputs: tuple[int, ...]
    output: int
    outputs: int
    done: tuple[int, ...]
    masks: int
    takes_mask: bool
    takes_all_masks: bool
    given_masks: tuple[int, ...]
    named: tuple[tuple[str, int], ...]
    options: tuple[tuple[str, Any], ...]
    runs: int = 1
    passes_as_keras: bool = False

    @property
    def plain(self) -> bool:
        """Whether it only takes its inputs and makes one output."""
        return self.outputs == 1 and not (self.options or self.named)

    def keywords(self, values: Sequence[Any]) -> dict[str, Any]:
        if not self.options and not self.named:
            return {}
        return {**dict(self.options), **{key: values[i] for key, i in self.named}}


def overwriting(steps: Sequence[Step], fresh: set[str]) -> set[str]:
    """The layers that may overwrite their input: always the output of a fresh layer, which nobody else reads."""
    readers = Counter(slot for step in steps for slot in (*step.inputs, *step.given_masks, *dict(step.named).values()))
    made = {step.output: step.layer for step in steps if step.outputs == 1 and step.runs == 1}
    may: dict[str, bool] = {}
    for step in steps:
        (slot, *more) = step.inputs or (-1,)
        sole = not more and readers[slot] == 1 and slot in step.done and made.get(slot) in fresh
        may[step.layer] = may.get(step.layer, True) and sole
    return {layer for layer, yes in may.items() if yes}


def lay_out(wiring: Wiring, behaviour: dict[str, Behaviour], keras: bool) -> tuple[tuple[Step, ...], tuple[int, ...]]:
    """The calls as steps over one list of values, and the places of the model's outputs in it."""
    wanted: dict[tuple[str, int], set[int]] = defaultdict(set)  # the outputs of each call that somebody wants
    for ref in (*wiring.outputs, *(ref for call in wiring.calls for ref in call.inputs)):
        wanted[ref.layer, ref.call].add(ref.output)
    slots: dict[Ref, int] = {entry.ref: i for i, entry in enumerate(wiring.inputs)}
    filled, placed = len(wiring.inputs), []
    for call in wiring.calls:
        outputs = max(wanted[call.layer, call.number]) + 1
        for k in range(outputs):
            slots[Ref(call.layer, call.number, k)] = filled + k
        placed.append((call, filled, outputs))
        filled += outputs
    results = tuple(slots[ref] for ref in wiring.outputs)
    last = {slots[ref]: i for i, call in enumerate(wiring.calls) for ref in call.inputs}
    steps = []
    for i, (call, output, outputs) in enumerate(placed):
        taken = tuple(slots[ref] for ref in call.inputs)
        done = tuple(sorted({slot for slot in taken if last[slot] == i and slot not in results}))
        step = _step(call, taken, output, outputs, done, behaviour[call.layer], keras)
        again = behaviour[call.layer].stateful and not keras
        step = step._replace(passes_as_keras=behaviour[call.layer].passes_as_keras)
        steps.append(step._replace(runs=len(wanted[call.layer, call.number])) if again else step)
    return tuple(steps), results


def _step(
    call: Call, taken: tuple[int, ...], output: int, outputs: int, done: tuple[int, ...], how: Behaviour, keras: bool
) -> Step:
    """What is given by keyword goes to its argument, if the layer has one of that name, else behind the others."""
    by_name = dict(call.placed)
    masks = by_name.pop("mask", ())
    named = {key: by_name.pop(key)[0] for key in how.call_options if key in by_name}
    set_aside = {*masks, *named.values(), *(i for key in how.arguments for i in by_name.get(key, ()))}
    inputs = [i for i in range(len(taken)) if i not in set_aside]
    for key in how.arguments[len(inputs) :]:
        inputs += by_name.get(key, ())
    given_masks = tuple(taken[i] for i in masks) if keras else ()
    options = tuple((key, call.keywords[key]) for key in how.call_options if call.keywords.get(key) is not None)
    if not keras:  # tf.js forgets how a layer was called
        options = tuple((key, value) for key, value in options if key != "training")
    return Step(
        call.layer, tuple(taken[i] for i in inputs), output, outputs, done, how.masks, how.takes_mask,
        how.takes_all_masks, given_masks, tuple((key, taken[i]) for key, i in named.items()), options,
    )  # fmt: skip
