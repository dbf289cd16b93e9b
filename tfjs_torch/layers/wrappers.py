"""TimeDistributed, Bidirectional."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..errors import MismatchError, UnsupportedError, warn
from ..wiring import Node
from .functions import looked_on
from .network import LayersModel, Leak
from .recurrent_layers import SequenceLayer, below, frozen
from .recurrent_modules import layered, merged
from .registry import Layer, find, register

MERGES = ("concat", "sum", "ave", "mul")


@register("TimeDistributed", becomes="its layer's module, called on all steps at once")
class TimeDistributed(Layer):
    makes_mask = True  # the module knows
    takes_mask = True

    def build(self) -> nn.Module:
        node = self.nested("layer")
        assert node is not None
        scope = f"{self.scope}/{node.name}"  # as Keras 3 names it; tf.js and Keras 2 leave the inner name out
        scope = scope if self.context.stored.has_scope(scope) else self.scope
        inner, module = self.child(node, "layer", None if node.model else scope)
        in_keras_2 = self.keras and self.context.keras_version < 3
        self.starts_mask = in_keras_2 and inner.starts_mask
        self.takes_ids = inner.takes_ids  # type: ignore[misc]
        return EveryStep(frozen(node, module), inner, self.keras, in_keras_2)


class EveryStep(nn.Module):
    """Calls `layer` on [batch * time, ...]; step after step where it keeps states."""

    def __init__(self, module: nn.Module, layer: Layer, keras: bool, asks_layer: bool) -> None:
        super().__init__()
        self.layer = module
        self.keras = keras
        self.told = False
        self.asks_layer = asks_layer  # Keras 2 makes the mask that goes on from the layer's own
        self.takes_mask = layer.takes_mask
        self.passes_mask = layer.passes()
        self.in_turn = any(_keeps_states(part) for part in module.modules())

    def forward(self, x: Tensor, *, mask: Any = None) -> Tensor:
        batch, steps = x.shape[:2]
        if mask is not None and self.takes_mask and not (self.keras or self.told or looked_on()):
            self.told = True
            said = "tf.js masks the steps inside of each step with the outer mask"
            warn(f'TimeDistributed: {said}; semantics="keras" does not')
        if self.in_turn:
            masks = [mask if mask is None or not self.keras else mask[:, t] for t in range(steps)]
            return torch.stack([self._called(x[:, t], masks[t]) for t in range(steps)], 1)
        made = self._called(x.flatten(0, 1), self._for_all(mask, steps))
        return made.reshape(batch, steps, *made.shape[1:])

    def compute_mask(self, inputs: list[Tensor], masks: list[Any]) -> Any:
        (x,), mask = inputs[:1], masks[0]
        if not self.asks_layer:
            return mask
        inner, made = self._for_all(mask, x.shape[1]), None
        if isinstance(self.layer, LayersModel):
            made = self.layer.run_masked([x.flatten(0, 1)], [inner])[1][0]
        elif hasattr(self.layer, "compute_mask"):
            made = self.layer.compute_mask([x.flatten(0, 1)], [inner])  # type: ignore[operator]
        elif self.passes_mask:
            made = inner
        made = made[0] if isinstance(made, list) else made
        if made is not None:
            return made.reshape(*x.shape[:2], *made.shape[1:])
        return mask if mask is None or mask.dim() == 2 else mask.flatten(2).any(2)

    def _for_all(self, mask: Any, steps: int) -> Any:
        """tf.js gives the whole mask to the layer at every step; Keras gives the step's part."""
        if mask is None:
            return None
        return mask.flatten(0, 1) if self.keras else mask.repeat_interleave(steps, 0)

    def _called(self, x: Tensor, mask: Any) -> Tensor:
        layer = self.layer
        if isinstance(layer, LayersModel) and mask is not None:
            given: Any = [mask]
            if not self.keras:
                given = Leak()
                given.mask = mask
            made = layer.run_masked([x], given)[0]
        elif self.takes_mask and mask is not None:
            made = layer(x, mask=mask)
        else:
            made = layer(x)
        return made[0] if isinstance(made, (list, tuple)) else made  # type: ignore[no-any-return]


def _keeps_states(module: Any) -> bool:
    return bool(getattr(getattr(module, "settings", None), "stateful", False))


@register("Bidirectional", becomes="one nn.LSTM, nn.GRU or nn.RNN with bidirectional=True where exact")
class Bidirectional(Layer):
    makes_mask = True  # the module knows
    takes_mask = True

    def build(self) -> nn.Module:
        node = self.nested("layer")
        assert node is not None
        self.config.unimportant("weights")
        merge = self._merge()
        back = self._backward(node)
        module = self._one_module(node, back or node, merge, back is not None)
        return frozen(node, module or self._two_modules(node, back or _turned(node), merge))

    def _merge(self) -> str | None:
        found = self.config.get("merge_mode", "concat")
        if found is None or found in MERGES:
            return found  # type: ignore[no-any-return]
        expected = f"null or one of {', '.join(MERGES)}"
        raise UnsupportedError(f"{self.where}: merge_mode", f"{expected} expected, found {found!r:.60}")

    def _backward(self, node: Node) -> Node | None:
        """A backward_layer of its own, if it counts."""
        given = self.nested("backward_layer", required=False)
        if given is None or self.keras:
            return given
        if self._fits(node, given):
            if not _same_but_turned(node, given):
                self.config.quirk("tf.js ignores backward_layer and makes that layer from the forward one")
            return None
        self.config.quirk("tf.js cannot load this backward_layer; computed as Keras does")
        return given

    def _fits(self, node: Node, given: Node) -> bool:
        """Whether the backward weights are those of the forward layer's copy."""
        ahead, behind = self._inner(node, "forward"), self._inner(given, "backward")
        try:
            return ahead.weight_shape("recurrent_kernel") == behind.weight_shape("recurrent_kernel")
        except MismatchError:
            return True

    def _inner(self, node: Node, direction: str) -> Layer:
        return find(node)(node, self.context, self._scope_of(node, direction), self.owner)

    def _scope_of(self, node: Node, direction: str) -> str:
        """Keras 3 leaves a backward_layer's name as it is."""
        usual, bare = below(self.scope, f"{direction}_[^/]*"), f"{self.scope}/{node.name}"
        has_scope = self.context.stored.has_scope
        return bare if direction == "backward" and not has_scope(usual) and has_scope(bare) else usual

    def _one_module(self, node: Node, back: Node, merge: str | None, own: bool) -> nn.Module | None:
        """Where both directions have one cell of the same kind and width."""
        forward, backward = self._inner(node, "forward"), self._inner(back, "backward")
        if not isinstance(forward, SequenceLayer) or not isinstance(backward, SequenceLayer):
            return None
        ahead, behind = forward.cells(), backward.cells()
        if len(ahead) != 1 or len(behind) != 1:
            return None
        first, second = ahead[0].cell(), behind[0].cell()
        if not first.alike(second):
            return None
        settings = forward.settings(merge)._replace(where=self.where)
        settings = settings._replace(zero_output_for_mask=self.keras and settings.return_sequences)
        backward.settings(merge)
        inputs = ahead[0].claim(first, "_l0")
        behind[0].claim(second, "_l0_reverse")
        forward.adopt(ahead[0])
        backward.adopt(behind[0])
        self._adopt(forward)
        self._adopt(backward, quirks=own)
        return layered((first, second), inputs, settings)

    def _adopt(self, inner: Layer, quirks: bool = True) -> None:
        inner.config.refuse_rest()
        self.weights += inner.weights
        for quirk in inner.config.quirks if quirks else ():
            self.config.quirk(f"{inner.where}: {quirk}")

    def _two_modules(self, node: Node, back: Node, merge: str | None) -> nn.Module:
        forward, backward = (
            self.child(each, f"{direction}_layer", self._scope_of(each, direction))
            for each, direction in ((node, "forward"), (back, "backward"))
        )
        options = node.config
        axis = 0 if self.keras and options.get("time_major") else 1
        return TwoDirections(
            forward[1], backward[1], merge, bool(options.get("return_sequences")), bool(options.get("return_state")),
            axis, self.keras,
        )  # fmt: skip


def _same_but_turned(node: Node, given: Node) -> bool:
    """Keras 3 writes every backward layer down."""
    kept = {key: value for key, value in node.config.items() if key not in ("name", "go_backwards", "build_config")}
    return node.class_name == given.class_name and all(given.config.get(key) == kept[key] for key in kept)


def _turned(node: Node) -> Node:
    return node._replace(config={**node.config, "go_backwards": not node.config.get("go_backwards")})


class TwoDirections(nn.Module):
    """Two recurrent modules, one of which works backwards."""

    def __init__(
        self, forward: nn.Module, backward: nn.Module, merge: str | None, sequences: bool, state: bool, axis: int,
        keras: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        self.forward_layer = forward
        self.backward_layer = backward
        self.merge = merge
        self.return_sequences = sequences
        self.return_state = state
        self.time_axis = axis
        self.keras = keras

    def forward(self, x: Tensor, *states: Tensor, mask: Any = None) -> Any:
        half = len(states) // 2
        forward, *last_1 = _listed(self.forward_layer(x, *states[:half], mask=mask))
        backward, *last_2 = _listed(self.backward_layer(x, *states[half:], mask=mask))
        if self.return_sequences:
            backward = backward.flip(self.time_axis)
        outputs = merged(forward, backward, self.merge)
        if self.return_state:
            return [*outputs, *last_1, *last_2]
        return outputs[0] if len(outputs) == 1 else outputs

    def compute_mask(self, inputs: list[Tensor], masks: list[Any]) -> Any:
        mask = masks[0] if self.return_sequences else None
        if not self.keras:  # tf.js gives it to the states, too
            return mask
        return [mask, mask, None] if self.merge is None else [mask, None]


def _listed(made: Any) -> list[Tensor]:
    return list(made) if isinstance(made, (list, tuple)) else [made]
