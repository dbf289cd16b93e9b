"""export_model: a module of torch -> a new layers-model that a browser runs."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from ..artifacts import Artifacts
from ..errors import MismatchError
from ..layers.network import LayersModel
from .checking import check
from .graph import Shape
from .tracing import trace
from .writing import name_of, write


def export_model(
    module: nn.Module,
    input_shape: Sequence[int] | Sequence[Sequence[int]],
    *,
    names: Mapping[str, str] | Mapping[int, str] | Mapping[str | int, str] | None = None,
) -> Artifacts:
    """Any module of stock layers as a new model of tf.js that computes the same numbers, channels last.

    torch.fx follows forward(): nn.Sequential, residual sums, concatenations, views, and the modules and functions of
    torch that layers of tf.js express exactly. A chain of layers becomes a Sequential, anything else a Model.
    The module is used in evaluation mode and stays as it is.

    Args:
        module: the module; its parameters become float32.
        input_shape: the shape of the input as torch has it, without the batch: (channels, height, width) for
            images, (length,) for the ids of an nn.Embedding. A list of shapes for several inputs.
        names: {path of a submodule or name of an input: name of the layer}; an index stands for the submodule of an
            nn.Sequential. Others are called by their path; what tf.js does not take in names becomes "_".

    Returns:
        The model's files: `.save(folder or .zip)`, `.to_zip()`, `load_model(...)`. Images and volumes, in and out, are
        channels last, [batch, height, width, channels]; so are inputs of rank 3 that a Conv1d or another layer
        with channels before length takes first, and what comes out of such layers. Everything else is as torch has
        it; an output [batch] is [batch, 1]. Layers whose parameters are all frozen come with trainable=false.

    Raises:
        UnsupportedError: something that no layer of tf.js computes exactly; `.where` names the module, and the
            message says why. Also a forward() that torch.fx cannot follow, because it hangs on the data.
        MismatchError: input_shape does not fit the module, or names are not names.

    At the end the files are loaded and compared with the module on random numbers; a difference is an error.

    Example:
        >>> from torch import nn
        >>> from tfjs_torch.exporting import export_model
        >>> model = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 5 * 5, 3))
        >>> artifacts = export_model(model, (1, 5, 5), names={3: "scores"})
        >>> [spec.name for spec in artifacts.manifest.specs]
        ['0/kernel', '0/bias', 'scores/kernel', 'scores/bias']
        >>> len(artifacts.to_zip()) > 4 * 680
        True
    """
    if not isinstance(module, nn.Module):
        raise MismatchError("module", f"a torch.nn.Module expected, found {type(module).__name__}")
    if any(isinstance(part, LayersModel) for part in module.modules()):
        said = "layers of torch expected, found a model from load_model; save_model writes it back"
        raise MismatchError(type(module).__name__, said)
    if any(parameter.dtype in (torch.float16, torch.bfloat16) for parameter in module.parameters()):
        module = copy.deepcopy(module).float()  # what tf.js will compute in, and no number changes
    if names is not None and not isinstance(names, Mapping):
        raise MismatchError("names", f"{{path of a submodule: name}} expected, found {type(names).__name__}")
    shapes = _shapes(input_shape)
    try:
        traced = trace(module, shapes, {str(path): name for path, name in (names or {}).items()})
    except MismatchError as error:
        if error.where == "names":
            raise
        said = "what the module takes expected, without the batch and with the channels first, as torch has it"
        raise MismatchError("input_shape", f"{said}; found {input_shape}: {error}") from error
    artifacts = write(name_of(type(module).__name__), traced.inputs, [value.symbol for value in traced.outputs])
    check(module, traced, artifacts)
    return artifacts


def _shapes(given: Any) -> list[Shape]:
    if not isinstance(given, Sequence) or isinstance(given, str) or not given:
        raise MismatchError("input_shape", f"sizes without the batch such as (3, 32, 32) expected, found {given!r:.60}")
    listed = [given] if all(isinstance(size, int) for size in given) else given
    shapes: list[Shape] = []
    for shape in listed:
        if not isinstance(shape, Sequence) or not all(type(size) is int and size > 0 for size in shape) or not shape:
            raise MismatchError("input_shape", f"positive sizes without the batch expected, found {shape!r:.60}")
        shapes.append(tuple(shape))
    return shapes
