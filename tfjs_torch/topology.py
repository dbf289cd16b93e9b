"""modelTopology JSON -> LayerSpecs. Knows no weights.

tf.js writes {class_name, config} itself, the Python converter wraps it in {"model_config": ...};
Sequential's config is a dict with "layers", or a bare list in files of tfjs-layers 1.2 and older.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from .errors import TopologyError

MODELS = ("Sequential", "Model", "Functional")


class LayerSpec(NamedTuple):
    """One layer: its name, its class, how deep it is nested, and its raw config."""

    name: str
    class_name: str
    depth: int
    config: dict[str, Any]


def layers_of(topology: Any, where: str = "modelTopology") -> list[LayerSpec]:
    """The layers of a layers-model in the order of the file, nested models followed by their own layers.

    Raises:
        TopologyError: the JSON is no layers-model.

    Example:
        >>> from tfjs_torch.topology import layers_of
        >>> dense = {"class_name": "Dense", "config": {"name": "d1", "units": 2}}
        >>> [layer.name for layer in layers_of({"class_name": "Sequential", "config": [dense]})]
        ['d1']
    """
    try:
        return list(_layers(model_node(topology), 0, where))
    except RecursionError:
        raise TopologyError(where, "models nested to a sane depth expected, found thousands") from None


def model_node(topology: Any) -> Any:
    """The {class_name, config} of the model itself, out of what Python's converter wraps around it."""
    if isinstance(topology, dict) and isinstance(topology.get("model_config"), dict):
        topology = topology["model_config"]
    return _with_snake_keys(topology) if isinstance(topology, dict) and "className" in topology else topology


def snake_case(key: str) -> str:
    """camelCase as snake_case: tf.js reads options in either spelling."""
    return re.sub(r"(?<=[a-z0-9])[A-Z]", lambda match: f"_{match[0].lower()}", key)


def _with_snake_keys(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_snake_keys(item) for item in value]
    if isinstance(value, dict):
        return {snake_case(key): _with_snake_keys(item) for key, item in value.items()}
    return value


def ops_of(topology: Any, where: str = "modelTopology") -> dict[str, int]:
    """How often each op occurs in a graph-model, the most frequent first.

    Raises:
        TopologyError: the JSON is no GraphDef.
    """
    nodes = topology.get("node") if isinstance(topology, dict) else None
    if not isinstance(nodes, list) or not all(isinstance(n, dict) and isinstance(n.get("op"), str) for n in nodes):
        raise TopologyError(where, 'a graph with a list of nodes, each with an "op", expected; export the model again')
    return dict(Counter(node["op"] for node in nodes).most_common())


def _layers(model: Any, depth: int, where: str) -> Iterator[LayerSpec]:
    config = model.get("config") if isinstance(model, dict) else None
    layers = config.get("layers") if isinstance(config, dict) else config
    if not isinstance(layers, list):
        raise TopologyError(where, 'a model with {"class_name", "config": {"layers": [...]}} expected; export it again')
    for index, layer in enumerate(layers):
        here = f"{where}.layers[{index}]"
        if not isinstance(layer, dict) or not isinstance(layer.get("class_name"), str):
            raise TopologyError(here, 'a layer with a "class_name" expected')
        own = layer["config"] if isinstance(layer.get("config"), dict) else {}
        name = own.get("name", layer.get("name", ""))
        yield LayerSpec(str(name), layer["class_name"], depth, own)
        if layer["class_name"] in MODELS:
            yield from _layers(layer, depth + 1, here)
