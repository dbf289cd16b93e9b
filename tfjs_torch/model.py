"""load_model, save_model: a layers-model as a torch module that runs, trains and goes back."""

from __future__ import annotations

import os
from typing import Any, Final

import torch
from torch import nn

from .artifacts import Artifacts, Source, read_artifacts
from .assembly import as_parameter, assemble
from .codec import decode
from .errors import MismatchError, warn
from .layers.network import LayersModel
from .layers.registry import Weight
from .layers.training import constrained
from .parallel import without_garbage_collection
from .shards import release
from .tensors import Quantize, groups_of
from .weights import load_file, save_file, under_stored_names

_BLOCK: Final = 1 << 24


def load_model(source: Source, *, device: torch.device | str | None = None, semantics: str = "tfjs") -> LayersModel:
    """A layers-model as a torch.nn.Module in evaluation mode.

    Args:
        source: a folder, the path of model.json, a .zip (path or bytes), {file name: bytes}, or Artifacts.
        device: where the weights go; None is the CPU.
        semantics: "tfjs" computes what tf.js 4.22's layers compute, with a warning where Keras differs;
            "keras" computes what Keras does (of the version that the file names).

    Returns:
        model: `model(*inputs)` takes float32 tensors exactly as tf.js does (batch first, channels last) and gives
        one tensor, or a list of them. state_dict keys are `<layer>.weight`, `<layer>.bias`, ..., with the shapes of
        torch's own modules. Layers with trainable=false come with requires_grad False.

    Raises:
        TopologyError: the layers break the format.
        MismatchError: layers and weights do not fit each other, or there are weights only.
        UnsupportedError: a graph-model, a class of layers or an option that is not known here.
        And what read_artifacts and load_file raise.

    The formulas: tfjs-layers/src of tf.js 4.22.

    Example:
        >>> import torch
        >>> from tfjs_torch import load_model
        >>> model = load_model("samples/ml5-classifier")
        >>> model(torch.tensor([[1.0, 0.0, 0.0]])).shape
        torch.Size([1, 4])
        >>> list(model.state_dict())
        ['dense_Dense1.weight', 'dense_Dense1.bias', 'dense_Dense2.weight', 'dense_Dense2.bias']
    """
    artifacts = read_artifacts(source)
    model, weights, quirks = assemble(artifacts.manifest, semantics, artifacts.where)
    for quirk in quirks:
        warn(f"{artifacts.where}: {quirk}")
    state = _parameters(artifacts, weights, within_constraints=semantics == "tfjs")
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    frozen |= {key for weight in weights if weight.config.get("trainable") is False for key in weight.keys}
    model.load_state_dict(state, strict=True, assign=True)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name not in frozen)
    model.artifacts = artifacts
    model.check_inputs()
    return model.to(device).eval() if device is not None else model.eval()


def save_model(
    module: nn.Module,
    path: str | os.PathLike[str],
    *,
    like: Any = None,
    quantize: Quantize = None,
    shard_bytes: int | None = None,
) -> None:
    """Write a module's weights back into the files of the model that it came from: the browser loads them again.

    Args:
        module: from load_model; or any module whose state_dict has the keys and shapes that load_model(like) has.
        path: a folder (made if missing), a .zip, or the path of the JSON in its folder.
        like: the model whose model.json, names, order and sidecars are taken (as in load_model, or a loaded one);
            None: the one that it came from.
        quantize, shard_bytes: see save_file.

    Raises:
        MismatchError: the weights do not fit that model. FilesError: the place cannot be written.

    Example:
        >>> import tempfile, torch
        >>> from tfjs_torch import load_model, save_model
        >>> model = load_model("samples/ml5-classifier")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_model(model, folder)
        ...     again = load_model(folder)
        >>> torch.equal(again.dense_Dense1.weight, model.dense_Dense1.weight)
        True
    """
    if not isinstance(module, nn.Module):
        raise MismatchError("module", f"a torch.nn.Module expected, found {type(module).__name__}")
    module = getattr(module, "_orig_mod", module)  # what torch.compile wraps
    if isinstance(module, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
        module = module.module
    like = like.artifacts if isinstance(like, LayersModel) else like
    template: Any = like if like is not None else getattr(module, "artifacts", None)
    if template is None:
        raise MismatchError(
            type(module).__name__,
            "a model from load_model expected, or like= the model to write; export_model makes a new one",
        )
    state = module.state_dict()
    if not isinstance(module, LayersModel) or template is not module.artifacts:
        save_file(state, path, like=template, layout="torch", quantize=quantize, shard_bytes=shard_bytes)
        return
    weights = module.layer_weights
    tensors = under_stored_names(template.manifest, weights, _as_loaded(state, weights, template), template)
    save_file(tensors, path, like=template, quantize=quantize, shard_bytes=shard_bytes)


def _parameters(artifacts: Artifacts, weights: tuple[Weight, ...], within_constraints: bool) -> dict[str, torch.Tensor]:
    """The state_dict, tensor by tensor in memory of its own: never two copies of the whole model."""
    state = {key: tensor for weight in weights if not weight.names for key, tensor in weight.to_torch({}).items()}
    by_name = {name: weight for weight in weights for name in weight.names}
    with without_garbage_collection():
        for spec, array in decode(groups_of(artifacts), artifacts.where):
            weight = by_name.get(spec.name)
            if weight is None:
                continue
            tensor = torch.from_numpy(array)
            if within_constraints:
                tensor = _constrained(weight, tensor, artifacts.where)
            for key, turned in weight.to_torch({spec.name: tensor}).items():
                state[key] = as_parameter(_copied(turned, array))
            release(array, 0, array.nbytes)
    return {key: state[key] for weight in weights for key in weight.keys}


def _copied(turned: torch.Tensor, array: Any) -> torch.Tensor:
    """A contiguous copy, block by block where it is a view of a mapped file, whose pages are given back on the way."""
    if turned.data_ptr() != array.ctypes.data or turned.nbytes <= _BLOCK:
        return turned.clone(memory_format=torch.contiguous_format)
    made = torch.empty(turned.shape, dtype=turned.dtype)
    axis = max(range(turned.dim()), key=turned.stride)
    pitch = turned.stride(axis) * turned.element_size()
    step = max(1, _BLOCK // pitch)
    for start in range(0, turned.shape[axis], step):
        size = min(step, turned.shape[axis] - start)
        made.narrow(axis, start, size).copy_(turned.narrow(axis, start, size))
        release(array, start * pitch, (start + size) * pitch)
    return made


def _constrained(weight: Weight, tensor: torch.Tensor, where: str) -> torch.Tensor:
    """Within its constraint, as tf.js does whenever it loads a weight: a file may hold what it forbids itself."""
    if weight.config.get("constraint") is None:
        return tensor
    made = constrained(tensor, weight)
    if made is not tensor:
        warn(f"{where}: {weight.names[0]} violates its constraint; it is brought within, as tf.js does when it loads")
    return made


def _as_loaded(state: dict[str, Any], weights: tuple[Weight, ...], artifacts: Artifacts) -> dict[str, Any]:
    """A weight that only its constraint has changed since it was loaded is the file's again."""
    limited = [weight for weight in weights if weight.config.get("constraint") is not None]
    if not limited:
        return state
    stored, state = load_file(artifacts), dict(state)
    for weight in limited:
        (now,) = weight.to_tfjs(state).values()
        if torch.equal(constrained(stored[weight.names[0]], weight), now):
            state.update(weight.to_torch(stored))
    return state
