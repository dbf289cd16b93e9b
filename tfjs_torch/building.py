"""New layers-models: from a list of layers, or from a model with other units at its end.

Both go the way of every model, through a model.json and its bytes, so that what is trained here is what is saved.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor

from . import strict_json
from .artifacts import read_artifacts
from .assembly import to_tfjs
from .errors import MismatchError, UnsupportedError, collected_warnings
from .layers.network import LayersModel
from .layers.shapes import UNTRAINED, default_initializer, head_of, initializer_key, weight_shapes
from .layers.training import initial
from .model import load_model
from .outlining import outline
from .randomness import drawn_with

Files = dict[str, bytes]

JSON: Final = "model.json"
WEIGHTS: Final = "model.weights.bin"
_MOST_NUMBERS: Final = 1 << 30


def document_files(topology: Any, tensors: Mapping[str, Tensor], name: str = "model") -> Files:
    """The two files that ml5 saves: one group, one weight file, float32.

    Args:
        topology: the modelTopology.
        tensors: {manifest name: tensor as tf.js has it}, in the order of the file.
        name: "model" gives model.json and model.weights.bin.

    Example:
        >>> import torch
        >>> files = document_files({"class_name": "Sequential", "config": {}}, {"a/kernel": torch.zeros(2, 1)})
        >>> {name: len(data) for name, data in files.items() if name.endswith(".bin")}
        {'model.weights.bin': 8}
    """
    specs = [{"name": key, "shape": list(tensor.shape), "dtype": "float32"} for key, tensor in tensors.items()]
    manifest = [{"paths": [f"./{name}.weights.bin"], "weights": specs}]
    document = {"modelTopology": topology, "weightsManifest": manifest}
    return {
        f"{name}.json": strict_json.dumps(document, f"{name}.json"),
        f"{name}.weights.bin": b"".join(bytes_of(tensor) for tensor in tensors.values()),
    }


def bytes_of(tensor: Tensor) -> bytes:
    """float32, little-endian, as weight files have them."""
    return tensor.detach().to("cpu", torch.float32).contiguous().numpy().astype("<f4", copy=False).tobytes()


def tensors_of(model: LayersModel) -> dict[str, Tensor]:
    """{manifest name: tensor as tf.js has it} of a loaded model as it is now, in the order of its file."""
    assert model.artifacts is not None
    made = to_tfjs(model.layer_weights, model.state_dict())
    return {spec.name: made[spec.name] for spec in model.artifacts.manifest.specs if spec.name in made}


def sequential(layers: Sequence[Mapping[str, Any]], shape: Sequence[int], *, seed: int | None = None) -> LayersModel:
    """A new Sequential with drawn weights, as tf.js would make it.

    Args:
        layers: {"class_name", "config"} each, options in snake case; names are given where they are missing.
        shape: of the input, without the batch.
        seed: the same seed draws the same weights.

    Raises:
        UnsupportedError: a class or an option that is not known here. TopologyError, MismatchError: layers that do
        not fit each other.

    Example:
        >>> model = sequential([{"class_name": "Dense", "config": {"units": 2, "activation": "softmax"}}], (3,), seed=1)
        >>> list(model.state_dict()), model.dense_Dense1.weight.shape
        (['dense_Dense1.weight', 'dense_Dense1.bias'], torch.Size([2, 3]))
    """
    made: list[dict[str, Any]] = []
    weights: dict[str, Tensor] = {}
    untrained: dict[str, Tensor] = {}
    used: dict[str, int] = {}
    with drawn_with(seed):
        shape = tuple(shape)
        first = {"batch_input_shape": [None, *shape], "dtype": "float32"}
        for at, layer in enumerate(layers):
            class_name, config = layer["class_name"], copy.deepcopy(dict(layer["config"]))
            config.setdefault("name", _name(class_name, used))
            made.append({"class_name": class_name, "config": {**(first if at == 0 else {}), **config}})
            drawn = _drawn(class_name, made[-1]["config"], shape)
            weights |= {name: tensor for name, tensor in drawn.items() if not name.endswith(UNTRAINED)}
            untrained |= {name: tensor for name, tensor in drawn.items() if name.endswith(UNTRAINED)}
            shape = _shape_after(made, {**weights, **untrained})
    return rebuilt(_topology(made), {**weights, **untrained})


def units_of(module: LayersModel) -> int:
    """How many numbers the Dense layer at the end gives.

    Raises:
        UnsupportedError: the model ends in another layer.
    """
    return int(head_of(module.artifacts.model_json["modelTopology"]).config["units"])


def widened(model: LayersModel, order: Sequence[int | None], *, seed: int | None = None) -> LayersModel:
    """The same model with other units at its end: those that it has in another order, and new ones.

    Args:
        model: ends in a Dense layer.
        order: for each unit of the new model the unit of the old one, None for a new one, which is drawn as its layer
            draws; what the others answer among themselves stays.
        seed: of what is drawn.

    Raises:
        UnsupportedError: the model ends in something else. MismatchError: a unit that is not there.

    Example:
        >>> from tfjs_torch import load_model
        >>> model = widened(load_model("samples/ml5-regression"), [0, None, 1])
        >>> model(torch.zeros(1, 2)).shape[-1]
        3
    """
    assert model.artifacts is not None
    topology = copy.deepcopy(model.artifacts.model_json["modelTopology"])
    head, tensors = head_of(topology), tensors_of(model)
    kernel, bias = tensors.get(head.kernel), tensors.get(head.bias)
    if kernel is None:
        raise UnsupportedError(head.kernel, f"a tensor of this name expected, found {', '.join(tensors)[:200]}")
    units = kernel.shape[1]
    if any(unit is not None and not 0 <= unit < units for unit in order):
        raise MismatchError("order", f"units from 0 to {units - 1} expected, found {list(order)!r:.80}")
    with drawn_with(seed):
        fresh = initial(head.config.get("kernel_initializer"), head.kernel, (kernel.shape[0], len(order)))
        columns = [fresh[:, at] if unit is None else kernel[:, unit] for at, unit in enumerate(order)]
        tensors[head.kernel] = torch.stack(columns, 1)
        if bias is not None:
            started = initial(head.config.get("bias_initializer"), head.bias, (len(order),))
            tensors[head.bias] = torch.stack([started[a] if u is None else bias[u] for a, u in enumerate(order)])
    head.config["units"] = len(order)
    sidecars = {name: model.artifacts.sidecar(name) for name in model.artifacts.sidecars}
    return _with_trainable(rebuilt(topology, tensors, sidecars), model)


def rebuilt(topology: Any, tensors: Mapping[str, Tensor], sidecars: Mapping[str, bytes] | None = None) -> LayersModel:
    """The module of a topology and its tensors; what load_model tells of it was told before."""
    with collected_warnings():
        return load_model(read_artifacts({**document_files(topology, tensors), **(sidecars or {})}))


def _with_trainable(model: LayersModel, like: LayersModel) -> LayersModel:
    frozen = {name for name, parameter in like.named_parameters() if not parameter.requires_grad}
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name not in frozen)
    return model


def _topology(layers: list[dict[str, Any]]) -> dict[str, Any]:
    config = {"name": "sequential_1", "layers": layers}
    return {
        "class_name": "Sequential",
        "config": config,
        "keras_version": "tfjs-layers 4.22.0",
        "backend": "tensor_flow.js",
    }


def _drawn(class_name: str, config: dict[str, Any], shape: Sequence[int]) -> dict[str, Tensor]:
    """The layer's weights; the initializers that were left to tf.js are written into its options."""
    shapes = weight_shapes(class_name, config, shape)
    if sum(torch.Size(size).numel() for size in shapes.values()) > _MOST_NUMBERS:
        raise UnsupportedError(config["name"], f"at most {_MOST_NUMBERS} weights in a layer expected, found more")
    drawn: dict[str, Tensor] = {}
    for weight, size in shapes.items():
        spec = config.setdefault(initializer_key(weight), copy.deepcopy(dict(default_initializer(weight))))
        tensor = initial(spec, f"{config['name']}/{weight}", size)
        forgets = weight == "bias" and "recurrent_kernel" in shapes and size[0] == 4 * config["units"]
        if forgets and config.setdefault("unit_forget_bias", True):
            tensor[config["units"] : 2 * config["units"]] = 1
        drawn[f"{config['name']}/{weight}"] = tensor
    return drawn


def _shape_after(layers: list[dict[str, Any]], weights: Mapping[str, Tensor]) -> tuple[int, ...]:
    seen = outline(read_artifacts(document_files(_topology(layers), weights)))
    shape = seen.outputs[0].shape if seen.outputs else None
    if not seen.runs or shape is None or any(size is None for size in shape[1:]):
        raise MismatchError(f"layer {len(layers)}", seen.why_not or "a layer whose output has a known shape expected")
    return tuple(size for size in shape[1:] if size is not None)


def _name(class_name: str, used: dict[str, int]) -> str:
    """As tf.js names layers: dense_Dense1, max_pooling2d_MaxPooling2D1."""
    used[class_name] = used.get(class_name, 0) + 1
    snake = re.sub(r"([a-z])([A-Z])", r"\1_\2", re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", class_name)).lower()
    return f"{snake}_{class_name}{used[class_name]}"
