"""load_model, save_model: a layers-model as a torch module that runs, trains and goes back."""

from __future__ import annotations

import os
from typing import Any

import torch
from torch import nn

from .artifacts import Source, read_artifacts
from .assembly import assemble, to_torch
from .errors import MismatchError, warn
from .layers.network import LayersModel
from .layers.registry import Weight
from .layers.training import constrained
from .tensors import Quantize
from .weights import load_file, save_file


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
        TopologyError: the JSON is no layers-model. MismatchError: layers and weights do not fit.
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
    tensors = load_file(artifacts)
    if semantics == "tfjs":
        tensors = _within_constraints(weights, tensors, artifacts.where)
    state = {key: _computing(tensor) for key, tensor in to_torch(weights, tensors).items()}
    frozen = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
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
        like: the model whose model.json, names, order and sidecars are taken; None: the one that it came from.
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
    template: Any = like if like is not None else getattr(module, "artifacts", None)
    if template is None:
        raise MismatchError(
            type(module).__name__,
            "a model from load_model expected, or like= the model to write; export_model makes a new one",
        )
    state = _as_stored(module, template)
    save_file(state, path, like=template, layout="torch", quantize=quantize, shard_bytes=shard_bytes)


def _within_constraints(weights: tuple[Weight, ...], tensors: dict[str, Any], where: str) -> dict[str, Any]:
    """As tf.js does whenever it loads a weight: a file may hold what its own constraints forbid."""
    changed = {}
    for weight in weights:
        if weight.config.get("constraint") is not None:
            (name,) = weight.names
            made = constrained(tensors[name], weight)
            if made is not tensors[name]:
                changed[name] = made
                warn(f"{where}: {name} violates its constraint; it is brought within, as tf.js does when it loads")
    return {**tensors, **changed}


def _as_stored(module: nn.Module, template: Any) -> dict[str, Any]:
    """The state_dict; a weight that only its constraint has changed since it was loaded is the file's again."""
    state = dict(module.state_dict())
    limited = [weight for weight in getattr(module, "weights", ()) if weight.config.get("constraint") is not None]
    artifacts: Any = getattr(module, "artifacts", None)
    if not limited or artifacts is None or template is not artifacts:
        return state
    stored = load_file(artifacts)
    for weight in limited:
        (now,) = weight.to_tfjs(state).values()
        if torch.equal(constrained(stored[weight.names[0]], weight), now):
            state.update(weight.to_torch(stored))
    return state


def _computing(tensor: torch.Tensor) -> torch.Tensor:
    """float32, which tf.js computes in, whatever the file stores; counters stay."""
    return tensor if tensor.dtype in (torch.float32, torch.int64) else tensor.float()
