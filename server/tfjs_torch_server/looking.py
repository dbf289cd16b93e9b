"""The work behind POST /inspect and POST /predict."""

from __future__ import annotations

import json
import math
from typing import Any, Final

import numpy as np

from tfjs_torch import Artifacts, TfjsTorchError, errors, inspect, load_model, outline

from .problems import Problem
from .recognise import Model, Upload
from .work import Work

_MAX_NUMBERS: Final = 4_000_000  # of the inputs of one prediction
_MAX_ACTIVATION: Final = 100_000_000  # numbers that one layer may make of them


def inspected(upload: Upload, work: Work) -> dict[str, Any]:
    """What inspect() says of the main model, with histograms, its layers' shapes, and the files that travel along.

    Raises:
        TfjsTorchError: see tfjs_torch.inspect. Problem: 422 weights without a model.
    """
    with errors.collected_warnings() as told:
        artifacts = _artifacts(upload.models[0])
        summary = inspect(artifacts, stats=True, advance=work.advance)
        drawn = outline(artifacts)
    report = summary.to_dict()
    sidecars = {name: shard for name, shard in artifacts.sidecars.items() if name.endswith(".json")}
    texts = {name: _json_of(shard) for name, shard in sidecars.items()}
    meta = next((text for name, text in texts.items() if name.endswith("_meta.json")), None)
    report["oddities"] += [line for line in told if line not in report["oddities"]]
    report["oddities"] += [f"{name}: belongs to no model.json" for name in upload.ignored]
    sizes = dict(summary.files)
    sizes.update((name, shard.nbytes) for name, shard in artifacts.sidecars.items())
    sizes[artifacts.json_name] = len(artifacts.json_text)
    return {
        **report,
        "where": artifacts.json_name,
        "meta": meta,
        "metadata": texts.get("metadata.json"),
        "outline": drawn.to_dict(),
        "sizes": [{"name": name, "bytes": size} for name, size in sizes.items()],
        "models": len(upload.models),
    }


def predicted(upload: Upload, text: str) -> dict[str, Any]:
    """What the main model answers.

    Args:
        text: JSON: one nested array (batch first) for each input in a list; of a model with one input, the array alone.

    Raises:
        Problem: 422 inputs that do not fit. TfjsTorchError: a model that does not run here.
    """
    with errors.collected_warnings() as told:
        artifacts = _artifacts(upload.models[0])
        arrays = _arrays(text)
        refuse_huge(artifacts, [array.shape for array in arrays])
        model = load_model(artifacts)
        if len(arrays) != len(model.input_names):
            joined = _one_array(text) if len(model.input_names) == 1 else None
            if joined is None:
                raise Problem(422, "inputs", f"{len(model.input_names)} arrays expected, found {len(arrays)}")
            arrays = [joined]
        for array, shape, name in zip(arrays, model.input_shapes, model.input_names, strict=True):
            if shape is not None and not _agrees(array.shape, shape):
                found, wanted = list(array.shape), [None, *shape[1:]]
                raise Problem(422, f"input {name!r}", f"an array of shape {wanted} expected, found {found}")
        try:
            outputs = model.predict(*arrays)
        except TfjsTorchError:
            raise
        except (RuntimeError, IndexError, ValueError, TypeError) as error:  # torch's own, of sizes deep inside
            raise Problem(422, "inputs", f"inputs that go through the model expected, found: {error!s:.200}") from None
    listed = outputs if isinstance(outputs, list | tuple) else [outputs]
    return {
        "outputs": [plain(np.asarray(output).tolist()) for output in listed],
        "output_names": list(model.output_names),
        "warnings": told,
    }


def refuse_huge(artifacts: Artifacts, inputs: list[tuple[int, ...]] | None = None) -> None:
    """Refuse to run a model whose layers would fill the memory.

    Raises:
        Problem: 413.
    """
    batch = max((shape[0] for shape in inputs or () if shape), default=1)
    for layer in outline(artifacts).to_dict()["layers"]:
        shape = layer["output_shape"]
        shapes = shape if shape and isinstance(shape[0], list) else [shape] if shape else []
        for one in shapes:
            numbers = batch * math.prod(size or 1 for size in one[1:])
            if numbers > _MAX_ACTIVATION:
                raise Problem(
                    413, layer["name"], f"a layer of at most {_MAX_ACTIVATION} numbers expected, found {numbers}",
                    "run it in Python: load_model(path)",
                )  # fmt: skip


def plain(value: Any) -> Any:
    """With None for what JSON cannot hold: NaN and infinities."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def _artifacts(model: Model) -> Artifacts:
    artifacts = model.artifacts()
    if artifacts is None or (artifacts.manifest.paths and not artifacts.shards):
        raise Problem(
            422, "model.json", "a model with its own weights expected, found a file of weights",
            "upload model.json and model.weights.bin; POST /convert puts weights into them",
        )  # fmt: skip
    return artifacts


def _json_of(shard: Any) -> Any:
    data = np.empty(shard.nbytes, np.uint8)
    shard.read_into(0, data)
    shard.close()
    try:
        return plain(json.loads(data.tobytes().decode("utf-8-sig")))
    except (ValueError, RecursionError):
        return None


def _arrays(text: str) -> list[Any]:
    given = _given(text)
    return [_array(item) for item in given]


def _one_array(text: str) -> Any:
    return _array(_given(text))


def _given(text: str) -> list[Any]:
    try:
        given = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Problem(422, "inputs", f"JSON expected, found: {error!s:.100}", "for example [[0.1, 0.2, 0.3]]") from None
    if not isinstance(given, list) or not given:
        raise Problem(422, "inputs", f"a list of arrays expected, found {text:.60}", "for example [[0.1, 0.2, 0.3]]")
    return given


def _array(value: Any) -> Any:
    try:
        array = np.asarray(value, dtype=np.float32)
    except (ValueError, TypeError, OverflowError):
        raise Problem(422, "inputs", "nested lists of numbers of equal lengths expected", "check the lengths") from None
    if array.size > _MAX_NUMBERS:
        raise Problem(413, "inputs", f"at most {_MAX_NUMBERS} numbers expected, found {array.size}")
    return array


def _agrees(found: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    return len(found) == len(wanted) and all(
        size in (None, own) for own, size in zip(found[1:], wanted[1:], strict=True)
    )
