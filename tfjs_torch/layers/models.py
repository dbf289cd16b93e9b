"""Sequential, Model, Functional: models, nested ones too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from torch import nn

from ..wiring import Wiring
from .network import LayersModel
from .planning import MAKES, PASSES, STOPS, Behaviour
from .registry import Layer, register


@register("Sequential", "Model", "Functional", becomes="a module that calls its layers' modules")
class ModelLayer(Layer):
    """A model as a layer: its layers' weights keep their own names in the manifest; LayersModel sees to its masks."""

    def build(self) -> LayersModel:
        if self.node.model is None:
            raise AssertionError("a Node of a model has its wiring")
        self.config.unimportant(*self.node.config)  # the wiring has read them
        return self.network(self.node.model)

    def network(self, wiring: Wiring) -> LayersModel:
        network = LayersModel(wiring, self.keras)
        self.context = self.context._replace(outer=(*self.context.outer, wiring.name))
        behaviour: dict[str, Behaviour] = {}
        masked, id_layers, fresh = False, set(), set()
        for name in wiring.renumbered:
            said = "tf.js counts its calls in the order in which their inputs are ready, Keras in that of the file"
            self.config.quirk(f"layer {name!r}: {said}")
        paths = module_paths([node.name for node in wiring.nodes])
        for node in wiring.nodes:
            if node.class_name == "InputLayer":
                continue
            layer, module = self.child(node, paths[node.name])
            if node.config.get("trainable") is False:
                module.requires_grad_(False)
            network.add_layer(node.name, paths[node.name], module)
            masks = MAKES if layer.makes_mask else PASSES if layer.passes() else STOPS
            behaviour[node.name] = Behaviour(
                masks, layer.takes_mask, layer.takes_all_masks, layer.arguments, layer.call_options,
                stateful=node.config.get("stateful") is True, passes_as_keras=layer.passes_as_keras(),
                any_length=layer.any_length,
            )  # fmt: skip
            masked = masked or layer.starts_mask or (isinstance(module, LayersModel) and module.makes_masks)
            if layer.takes_ids or (isinstance(module, LayersModel) and all(module.takes_ids)):
                id_layers.add(node.name)
            if layer.fresh:
                fresh.add(node.name)
        network.set_plan(behaviour, masked, id_layers, fresh)
        for name in network.run_again:
            said = "tf.js runs it once for each output that is asked for, which moves its states each time"
            self.config.quirk(f"layer {name!r}: {said}")
        return network


# Attributes of a LayersModel that are no methods: a module of that name would take their place.
_TAKEN: Final = ("artifacts", "layer_weights", "makes_masks", "training")


def module_paths(names: Sequence[str]) -> dict[str, str]:
    """Where each layer's module stands: under its own name, whose dots lead to modules inside of modules.

    Where that would lead into another layer, or nowhere, the dots become underscores.
    """
    paths: dict[str, str] = {}
    for name in names:
        parts = name.split(".")
        inside = any(".".join(parts[:i]) in names for i in range(1, len(parts)))
        path = name if all(parts) and not inside else name.replace(".", "_")
        while path in _TAKEN or (path != name and path in names) or path in paths.values():
            path += "_"
        paths[name] = path
    return paths


@register("InputLayer", becomes="an input of the model")
class InputLayer(Layer):
    passes_mask = True

    def build(self) -> nn.Module:
        return nn.Identity()
