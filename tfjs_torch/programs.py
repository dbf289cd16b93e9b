"""A model as a program that runs without this package: .pt2 (torch.export) and .onnx (torch.onnx)."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from .conversion import PROGRAMS, is_program
from .errors import FilesError, MismatchError, UnsupportedError
from .layers.network import LayersModel
from .sample_inputs import draw_inputs, unique
from .saving import replacing


def save_program(model: LayersModel, path: str | os.PathLike[str]) -> None:
    """Write a model with its weights as a program, in evaluation mode, for any number of samples.

    The sizes of a batch stay open (unless the file fixes them, as stateful models do), and so do other open sizes
    where torch can leave them open.

    Args:
        model: from load_model.
        path: .pt2: `torch.export.load(path).module()(*inputs)` runs it, this package need not be there.
            .onnx: for any ONNX runtime; inputs and outputs have the names that tf.js gives them.

    Raises:
        UnsupportedError: torch cannot export this model; or for .onnx: the packages of the extra `onnx` are missing.
        MismatchError: no model of load_model. FilesError: another ending, or the place cannot be written.

    Example:
        >>> import os, tempfile, torch
        >>> from tfjs_torch import load_model
        >>> from tfjs_torch.programs import save_program
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_program(load_model("samples/ml5-classifier"), f"{folder}/model.pt2")
        ...     program = torch.export.load(f"{folder}/model.pt2").module()
        >>> program(torch.tensor([[1.0, 0.0, 0.0]])).shape
        torch.Size([1, 4])
    """
    target = Path(path)
    if not is_program(target):
        raise FilesError(str(target), f"a file ending in {' or '.join(PROGRAMS)} expected")
    if not isinstance(model, LayersModel):
        raise MismatchError("model", f"a model from load_model expected, found {type(model).__name__}")
    onnx = target.suffix.lower() == ".onnx"
    missing = [name for name in ("onnx", "onnxscript") if onnx and find_spec(name) is None]
    if missing:
        found = f"found {' and '.join(missing)} missing"
        raise UnsupportedError(str(target), f"torch's exporter to ONNX expected, {found}; pip install tfjs_torch[onnx]")
    with _quiet(), _evaluating(model), torch.no_grad():
        exported = _exported(model, str(target))
        data = _onnx(model, exported, str(target)) if onnx else _pt2(exported)
    with replacing(target) as file:
        file.write(data)


def _exported(model: LayersModel, where: str) -> Any:
    inputs = tuple(torch.from_numpy(array) for array in draw_inputs(model, samples=2))
    batch = torch.export.Dim("batch")
    sizes = []
    for shape in model.input_shapes:
        open_ = {i: torch.export.Dim.AUTO for i, size in enumerate(shape or ()) if size is None and i}
        sizes.append({0: batch, **open_} if shape and shape[0] is None else open_)
    try:
        return torch.export.export(model, inputs, dynamic_shapes=(tuple(sizes),))
    except Exception as error:  # torch raises whatever it trips over
        raise _unsupported(where, "torch.export", error) from error


def _pt2(exported: Any) -> bytes:
    buffer = io.BytesIO()
    torch.export.save(exported, buffer)
    return buffer.getvalue()


def _onnx(model: LayersModel, exported: Any, where: str) -> bytes:
    try:
        program = torch.onnx.export(
            exported, dynamo=True, verbose=False, input_names=model.input_names, output_names=unique(model.output_names)
        )
        assert program is not None
        data: bytes = program.model_proto.SerializeToString()
        return data
    except Exception as error:  # torch raises whatever it trips over
        raise _unsupported(where, "torch.onnx", error) from error


def _unsupported(where: str, exporter: str, error: Exception) -> UnsupportedError:
    said = str(error).strip().partition("\n")[0]
    return UnsupportedError(where, f"a model that {exporter} can export expected, found {type(error).__name__}: {said}")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporters tell about themselves on stdout, in logs and in warnings; none of it is about the model."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


@contextlib.contextmanager
def _evaluating(model: LayersModel) -> Iterator[None]:
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
