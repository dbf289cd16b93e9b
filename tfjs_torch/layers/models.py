"""Sequential, Model, Functional: models, nested ones too."""

from __future__ import annotations

from ..wiring import Wiring
from .network import MAKES, PASSES, STOPS, LayersModel
from .registry import Layer, register


@register("Sequential", "Model", "Functional", becomes="a module that calls its layers' modules")
class ModelLayer(Layer):
    """A model as a layer: its layers' weights keep their own names in the manifest."""

    makes_mask = True  # in Keras; in tf.js see LayersModel

    def build(self) -> LayersModel:
        if self.node.model is None:
            raise AssertionError("a Node of a model has its wiring")
        self.config.unimportant(*self.node.config)  # the wiring has read them
        return self.network(self.node.model)

    def network(self, wiring: Wiring) -> LayersModel:
        network = LayersModel(wiring, self.keras)
        behaviour: dict[str, tuple[int, bool]] = {}
        masked, id_layers = False, set()
        for node in wiring.nodes:
            if node.class_name == "InputLayer":
                continue
            layer, module = self.child(node, node.name)
            if node.config.get("trainable") is False:
                module.requires_grad_(False)
            network.add(node.name, module)
            masks = MAKES if layer.makes_mask else PASSES if layer.passes() else STOPS
            behaviour[node.name] = (masks, layer.takes_mask)
            masked = masked or layer.starts_mask or (isinstance(module, LayersModel) and module.masked)
            if layer.takes_ids or (isinstance(module, LayersModel) and all(module.takes_ids)):
                id_layers.add(node.name)
        network.plan(behaviour, masked, id_layers)
        return network
