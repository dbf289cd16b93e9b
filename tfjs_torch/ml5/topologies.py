"""modelTopology in forms that ml5's tf.js cannot read, and the same in the form that all of them can. No torch.

Facts: measured with ml5 0.12.2 (tf.js 1.7.4) and 1.4.0 (4.22.0).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from .. import strict_json
from ..errors import ManifestError, TopologyError
from ..topology import snake_case
from ..wiring import wiring_of
from .vocabulary import (
    ACTIVATIONS,
    CONSTRAINTS,
    FEEDS,
    INITIALIZERS,
    INITIALIZERS_AS_TEXT,
    LAYERS,
    LAYERS_AS_ACTIVATIONS,
    LOSSES,
    METRICS,
    OPTIMIZERS,
    REGULARIZERS,
    WITH_ACTIVITY,
)

_INNER: Final = ("layer", "cell", "forward_layer", "backward_layer")
_ACTIVATIONS: Final = ("activation", "recurrent_activation")
_REFERRING: Final = ("name", "inbound_nodes", "input_layers", "output_layers")
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
    known = ACTIVATIONS[version]
    return _each_once(name for name in named if name not in LAYERS_AS_ACTIVATIONS and snake_case(name) not in known)


def refused_names(topology: Any) -> dict[str, str]:
    """Names of layers that tf.js takes for no names of tensors, and what they may be called instead.

    Example:
        >>> dense = {"class_name": "Dense", "config": {"name": "my layer"}}
        >>> refused_names({"class_name": "Sequential", "config": [dense]})
        {'my layer': 'my_layer'}
    """
    taken = {_layer_name(layer) for layer in _listed(topology)}
    found: dict[str, str] = {}
    for name in sorted(taken):
        if name and not re.fullmatch(r"[A-Za-z0-9][-A-Za-z0-9._/]*", name):
            new = re.sub(r"^[^A-Za-z0-9]", "layer_", re.sub(r"[^-A-Za-z0-9._/]", "_", name))
            while new in taken:
                new += "_"
            taken.add(new)
            found[name] = new
    return found


def _listed(model: Any) -> Iterator[dict[str, Any]]:
    """The layers of a model and of models in it; none inside of wrappers, whose names are put after a valid one."""
    model = model.get("model_config", model) if isinstance(model, dict) else {}
    config = model.get("config") if isinstance(model, dict) else None
    for layer in _list(config.get("layers") if isinstance(config, dict) else config):
        if isinstance(layer, dict):
            yield layer
            yield from _listed(layer)


def with_names(value: Any, names: Mapping[str, str], referring: bool = False) -> Any:
    """The topology with other names of layers, wherever it refers to them."""
    if isinstance(value, list):
        return [with_names(item, names, referring) for item in value]
    if isinstance(value, dict):
        return {key: with_names(item, names, referring or key in _REFERRING) for key, item in value.items()}
    return names.get(value, value) if referring and isinstance(value, str) else value


def is_compilable(training: Any) -> bool:
    """Whether the tf.js of ml5 1.x can compile what trainingConfig says; that of 0.x ignores it."""
    if not isinstance(training, dict):
        return training is None
    if any(training.get(key) is not None for key in ("weighted_metrics", "loss_weights", "sample_weight_mode")):
        return False
    optimizer = training.get("optimizer_config")
    options = optimizer.get("config") if isinstance(optimizer, dict) else None
    needed = OPTIMIZERS.get(_name(optimizer))
    if needed is None or not isinstance(options, dict):
        return False
    given = {key.replace("_", "").lower() for key, value in options.items() if value is not None}
    losses, metrics = list(_leaves(training.get("loss"))), list(_leaves(training.get("metrics")))
    return (
        all(key.replace("_", "") in given for key in needed)
        and bool(losses)
        and all(isinstance(loss, str) and snake_case(loss) in LOSSES for loss in losses)
        and all(isinstance(metric, str) and snake_case(metric) in METRICS for metric in metrics)
    )


def _leaves(value: Any) -> Iterator[Any]:
    """The words of `loss` or `metrics`: one, a list, or one for each output."""
    if isinstance(value, dict) and "class_name" not in value:
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    elif value is not None:
        yield value


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


def _options_mended(ending: str, mend: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Mends each option of that ending that is given."""

    def is_meant(key: str) -> bool:
        return snake_case(key).endswith(ending) and snake_case(key) != "activity_regularizer"

    def change(found: dict[str, Any]) -> dict[str, Any]:
        return {k: mend(v) if v is not None and is_meant(k) else v for k, v in found.items()}

    return lambda topology: _mapped(topology, change)


def _without_activity(topology: Any) -> Any:
    """No activity_regularizer where a layer reads it: tf.js does not run such a layer."""

    def change(found: dict[str, Any]) -> dict[str, Any]:
        config = found.get("config")
        if found.get("class_name") not in [*WITH_ACTIVITY] or not isinstance(config, dict):
            return found
        left = {key: None if snake_case(key) == "activity_regularizer" else value for key, value in config.items()}
        return {**found, "config": left}

    return _mapped(topology, change)


def _regularizer(value: Any) -> Any:
    """Keras' L1 and L2 are L1L2; one that tf.js does not know goes: it has done its work in training."""
    name, config = _name(value), _config(value)
    if (name in REGULARIZERS and config is not None) or value == "l1l2":
        return value
    kinds = {"l1": ("l1",), "l2": ("l2",), "l1_l2": ("l1", "l2")}.get(name.lower())
    if kinds is None:
        return None
    amounts = {kind: (config or {}).get(kind, 0.01) if kind in kinds else 0 for kind in ("l1", "l2")}
    return {"class_name": "L1L2", "config": amounts}


def _initializer(value: Any) -> Any:
    """Keras' Lecun ones under their other name; one that tf.js does not know goes: the weights are there."""
    name, config = _name(value), _config(value)
    if isinstance(value, str) and snake_case(value) in INITIALIZERS_AS_TEXT:
        return value
    if name in INITIALIZERS and config is not None and _is_sound(name, config):
        return value
    kind = {"lecun_normal": "truncated_normal", "lecun_uniform": "uniform"}.get(snake_case(name).lower())
    return _lecun(kind) if kind else None


def _lecun(distribution: str) -> dict[str, Any]:
    config = {"scale": 1, "mode": "fan_in", "distribution": distribution, "seed": None}
    return {"class_name": "VarianceScaling", "config": config}


def _is_sound(name: str, config: dict[str, Any]) -> bool:
    """Whether tf.js takes these options of an initializer."""
    if name == "Constant":
        return "value" in config
    distribution, mode = config.get("distribution"), config.get("mode")
    return name != "VarianceScaling" or (
        (distribution is None or snake_case(str(distribution)) in ("normal", "uniform", "truncated_normal"))
        and (mode is None or snake_case(str(mode)) in ("fan_in", "fan_out", "fan_avg"))
    )


def _initializer_of_both(value: Any) -> Any:
    """tf.js 1.7.4 has no class of this name, though it writes it."""
    return _lecun("uniform") if _name(value) == "LeCunUniform" else value


def _constraint(value: Any) -> Any:
    known = _name(value) in CONSTRAINTS or (isinstance(value, str) and snake_case(value) in _CONSTRAINTS_AS_TEXT)
    return value if known and _config(value) is not None else None


_CONSTRAINTS_AS_TEXT: Final = frozenset(snake_case(name[:1].lower() + name[1:]) for name in CONSTRAINTS)


def _with_feeds(topology: Any) -> Any:
    """Inputs of a type that ml5's numbers can be given to."""

    def change(found: dict[str, Any]) -> dict[str, Any]:
        enters = any(snake_case(key) in ("batch_input_shape", "input_shape") for key in found)
        refused = isinstance(found.get("dtype"), str) and found["dtype"] not in FEEDS
        return {**found, "dtype": "float32"} if enters and refused else found

    return _mapped(topology, change)


def _without_weights(topology: Any) -> Any:
    def change(found: dict[str, Any]) -> dict[str, Any]:
        return {k: v for k, v in found.items() if not (k == "weights" and isinstance(v, list) and v)}

    return _mapped(topology, change)


_MENDS: Final[dict[str, Callable[[Any], Any]]] = {
    "topology-text": _out_of_text,
    "functional-class": _as_models,
    "keras3": _without_keras3,
    "silu": _with_new_names,
    "activity-regularizer": _without_activity,
    "unknown-regularizer": _options_mended("_regularizer", _regularizer),
    "unknown-initializer": _options_mended("_initializer", _initializer),
    "initializer-of-1x": _options_mended("_initializer", _initializer_of_both),
    "unknown-constraint": _options_mended("_constraint", _constraint),
    "input-dtype": _with_feeds,
    "weights-option": _without_weights,
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


def _config(value: Any) -> dict[str, Any] | None:
    """The options of a regularizer and the like; {} of a bare name; None where tf.js refuses it for want of them."""
    config = value.get("config") if isinstance(value, dict) else {} if isinstance(value, str) else None
    return config if isinstance(config, dict) else None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _each_once(names: Iterator[str]) -> list[str]:
    return list(dict.fromkeys(names))
