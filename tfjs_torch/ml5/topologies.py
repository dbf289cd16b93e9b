"""modelTopology in forms that ml5's tf.js cannot read, and the same in the form that all of them can. No torch.

Facts: measured with ml5 0.12.2 (tf.js 1.7.4) and 1.4.0 (4.22.0).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from .. import strict_json
from ..errors import ManifestError, TopologyError
from ..topology import snake_case
from ..wiring import wiring_of
from .vocabulary import ACTIVATIONS, LAYERS

_INNER: Final = ("layer", "cell", "forward_layer", "backward_layer")
_ACTIVATIONS: Final = ("activation", "recurrent_activation")
_NEW_NAMES: Final = {"silu": "swish"}


def mended_topology(topology: Any) -> tuple[Any, list[str]]:
    """The topology as all tf.js read it, and what was changed: codes of findings. Nothing given is changed.

    Example:
        >>> dense = {"class_name": "Dense", "config": {"batch_shape": [None, 2], "units": 1, "name": "d"}}
        >>> mended, codes = mended_topology({"class_name": "Sequential", "config": [dense]})
        >>> codes, mended["config"][0]["config"]["batch_input_shape"]
        (['keras3'], [None, 2])
    """
    codes = []
    for code, mend in _MENDS.items():
        mended = mend(topology)
        if mended != topology:
            codes.append(code)
            topology = mended
    return topology, codes


def layer_nodes(topology: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """(class, config) of all layers, those inside of others too. Whatever is no layer is left out."""
    if isinstance(topology, dict) and isinstance(topology.get("model_config"), dict):
        topology = topology["model_config"]
    if not isinstance(topology, dict) or not isinstance(topology.get("class_name"), str):
        return
    config = topology.get("config")
    yield topology["class_name"], config if isinstance(config, dict) else {}
    layers = config.get("layers") if isinstance(config, dict) else config
    inner = list(layers) if isinstance(layers, list) else []
    if isinstance(config, dict):
        inner += [config[key] for key in _INNER if key in config]
        inner += config["cells"] if isinstance(config.get("cells"), list) else []
    for layer in inner:
        yield from layer_nodes(layer)


def unknown_layers(topology: Any, version: str) -> list[str]:
    """Classes that this ml5's tf.js does not know."""
    return _each_once(name for name, _ in layer_nodes(topology) if name not in LAYERS[version])


def unknown_activations(topology: Any, version: str) -> list[str]:
    """Activations that this ml5's tf.js does not know."""
    named = (name for _, config in layer_nodes(topology) for key in _ACTIVATIONS if (name := _name(config.get(key))))
    return _each_once(name for name in named if snake_case(name) not in ACTIVATIONS[version])


def is_graph_model(topology: Any) -> bool:
    return isinstance(topology, dict) and isinstance(topology.get("node"), list) and "class_name" not in topology


def has_layers(topology: Any) -> bool:
    """Whether there is a layer at all: ml5 saves a network that was never trained without any."""
    return sum(1 for _ in layer_nodes(topology)) != 1


def _out_of_text(topology: Any) -> Any:
    if not isinstance(topology, str):
        return topology
    try:
        return strict_json.loads(topology, "modelTopology")
    except ManifestError:
        return topology


def snake_cased(value: Any) -> Any:
    """Keys as Keras spells them; tf.js reads both spellings."""
    return _mapped(value, lambda found: {snake_case(key): item for key, item in found.items()})


def _as_models(value: Any) -> Any:
    return _mapped(value, lambda found: {**found, "class_name": "Model"} if _is(found, "Functional") else found)


def _without_keras3(topology: Any) -> Any:
    mended = _mapped(topology, _as_keras2)
    model = mended.get("model_config", mended) if isinstance(mended, dict) else None
    if isinstance(model, dict) and _has_keras3_references(model.get("config")):
        wired = _with_lists(model)
        return {**mended, "model_config": wired} if "model_config" in mended else wired
    return mended


def _as_keras2(found: dict[str, Any]) -> dict[str, Any]:
    if "batch_shape" in found and isinstance(found["batch_shape"], list):
        key = "batch_shape" if "batch_input_shape" not in found else ""
        found = {
            ("batch_input_shape" if name == key else name): v
            for name, v in found.items()
            if name != "batch_shape" or key
        }
    policy = found.get("dtype")
    if isinstance(policy, dict):
        options = policy.get("config")
        name = options.get("name") if isinstance(options, dict) else None
        plain = isinstance(name, str) and name in ("float32", "int32", "bool")
        found = {**found, "dtype": name if plain else "float32"}
    return found


def _has_keras3_references(config: Any) -> bool:
    layers = config.get("layers") if isinstance(config, dict) else None
    ends = [config.get(key) for key in ("input_layers", "output_layers")] if isinstance(config, dict) else []
    if any(isinstance(end, list) and end and isinstance(end[0], str) for end in ends):  # a single one, without a list
        return True
    return isinstance(layers, list) and any(
        isinstance(node, dict) and isinstance(layer, dict)
        for layer in layers
        for node in _list(layer.get("inbound_nodes") if isinstance(layer, dict) else None)
    )


def _with_lists(model: dict[str, Any]) -> dict[str, Any]:
    """inbound_nodes, input_layers and output_layers as lists, where no call has more than tensors."""
    try:
        wiring = wiring_of(model)
    except TopologyError:
        return model
    calls: dict[str, list[Any]] = {}
    for call in sorted(wiring.calls, key=lambda call: call.number):
        if call.keywords or call.placed:
            return model
        calls.setdefault(call.layer, []).append([[*ref, {}] for ref in call.inputs])
    config = model["config"]
    layers = [{**layer, "inbound_nodes": calls.get(_layer_name(layer), [])} for layer in config["layers"]]
    ends = {"input_layers": [list(i.ref) for i in wiring.inputs], "output_layers": [list(o) for o in wiring.outputs]}
    return {**model, "config": {**config, "layers": layers, **ends}}


def _layer_name(layer: dict[str, Any]) -> str:
    config = layer.get("config")
    return str(layer.get("name") or (config.get("name") if isinstance(config, dict) else ""))


def _with_new_names(value: Any) -> Any:
    def renamed(found: dict[str, Any]) -> dict[str, Any]:
        return {
            key: _NEW_NAMES.get(v, v) if key in _ACTIVATIONS and isinstance(v, str) else v for key, v in found.items()
        }

    return _mapped(value, renamed)


_MENDS: Final[dict[str, Callable[[Any], Any]]] = {
    "topology-text": _out_of_text,
    "functional-class": _as_models,
    "keras3": _without_keras3,
    "silu": _with_new_names,
}


def _mapped(value: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    """Every object in it changed."""
    if isinstance(value, list):
        return [_mapped(item, change) for item in value]
    if isinstance(value, dict):
        return {key: _mapped(item, change) for key, item in change(value).items()}
    return value


def _is(found: dict[str, Any], class_name: str) -> bool:
    return found.get("class_name") == class_name and "config" in found


def _name(activation: Any) -> str:
    found = activation.get("class_name") if isinstance(activation, dict) else activation
    return found if isinstance(found, str) else ""


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _each_once(names: Iterator[str]) -> list[str]:
    return list(dict.fromkeys(names))
