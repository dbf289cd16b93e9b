"""The work behind POST /inspect and POST /predict."""

from __future__ import annotations

import json
import math
from typing import Any, Final

import numpy as np

from tfjs_torch import Artifacts, TfjsTorchError, errors, inspect, load_model, outline

from .problems import Problem
from .recognise import Model, Upload, refuse_odd
from .settings import Settings
from .work import Work

_MAX_NUMBERS: Final = 4_000_000  # of the inputs of one prediction
_MAX_ACTIVATIONS: Final = 200_000_000  # numbers that all layers may make of them
_MAX_OUTPUT: Final = 1_000_000  # numbers of the answer
_MAX_SIDECAR: Final = 1 << 20  # bytes of a model_meta.json or metadata.json that is shown
_MAX_STEPS: Final = 20_000  # of a sequence, which recurrent layers take one after the other


def inspected(upload: Upload, work: Work, settings: Settings) -> dict[str, Any]:
    """What inspect() says of the main model, with histograms, its layers' shapes, and the files that travel along.

    Raises:
        TfjsTorchError: see tfjs_torch.inspect. Problem: 422 weights without a model.
    """
    with errors.collected_warnings() as told:
        artifacts = artifacts_of(upload.models[0])
        refuse_odd(artifacts, settings)
        summary = inspect(artifacts, stats=True, advance=work.advance)
        drawn = outline(artifacts)
    report = summary.to_dict()
    sidecars = {name: shard for name, shard in artifacts.sidecars.items() if name.endswith(".json")}
    texts = {name: json_in(shard) for name, shard in sidecars.items()}
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


def predicted(upload: Upload, given: Any, work: Work) -> dict[str, Any]:
    """What the main model answers.

    Args:
        given: one nested array (batch first) for each input in a list; of a model with one input, the array alone.

    Raises:
        Problem: 422 inputs that do not fit. TfjsTorchError: a model that does not run here.
    """
    with errors.collected_warnings() as told:
        artifacts = artifacts_of(upload.models[0])
        arrays = _arrays(given, outline(artifacts).to_dict()["inputs"])
        outputs, names = computed(artifacts, arrays, work)
    return {"outputs": [np.asarray(output).tolist() for output in outputs], "output_names": names, "warnings": told}


def computed(artifacts: Artifacts, arrays: list[Any], work: Work) -> tuple[list[Any], list[str]]:
    """A model's outputs, and their names.

    Raises:
        Problem: 413 too much of it, 422 inputs that do not fit. TfjsTorchError: a model that does not run here.
    """
    refuse_huge(artifacts, [array.shape for array in arrays])
    model = load_model(artifacts)
    if len(arrays) != len(model.input_names):
        raise Problem(422, "inputs", f"{len(model.input_names)} arrays expected, found {len(arrays)}")
    for array, shape, name in zip(arrays, model.input_shapes, model.input_names, strict=True):
        if shape is not None and not _agrees(array.shape, shape):
            found, wanted = list(array.shape), [None, *shape[1:]]
            raise Problem(422, f"input {name!r}", f"an array of shape {wanted} expected, found {found}")
    for module in model.modules():  # each layer is an occasion to stop
        module.register_forward_pre_hook(lambda *_: work.advance())
    try:
        outputs = model.predict(*arrays)
    except TfjsTorchError:
        raise
    except (RuntimeError, IndexError, ValueError, TypeError) as error:  # torch's own, of sizes deep inside
        raise Problem(422, "inputs", f"inputs that go through the model expected, found: {error!s:.200}") from None
    return list(outputs) if isinstance(outputs, list | tuple) else [outputs], list(model.output_names)


def refuse_huge(artifacts: Artifacts, inputs: list[tuple[int, ...]]) -> None:
    """Refuse to run a model whose layers would fill the memory.

    Raises:
        Problem: 413.
    """
    batch = max((shape[0] for shape in inputs if shape), default=1)
    longest = max((max(shape[1:], default=1) for shape in inputs), default=1)  # what a size left open may be
    drawn = outline(artifacts)
    if drawn.why_not:
        raise Problem(422, "model.json", f"a model that runs here expected; {drawn.why_not}", "run it in the browser")
    told = drawn.to_dict()
    total = 0
    for layer in told["layers"]:
        shape = layer["output_shape"]
        numbers = _numbers(shape, batch, longest)
        total += numbers
        steps = (shape[1] or longest) if shape and len(shape) == 3 else 0
        if total > _MAX_ACTIVATIONS or steps > _MAX_STEPS:
            raise _too_much(layer["name"], f"layers that make at most {_MAX_ACTIVATIONS} numbers in {_MAX_STEPS} steps")
    if sum(_numbers(output["shape"], batch, longest) for output in told["outputs"]) > _MAX_OUTPUT:
        raise _too_much("outputs", f"at most {_MAX_OUTPUT} numbers")


def _numbers(shape: list[int | None] | None, batch: int, longest: int) -> int:
    return batch * math.prod(size or longest for size in shape[1:]) if shape else 0


def _too_much(where: str, expected: str) -> Problem:
    return Problem(413, where, f"{expected} expected, found more", "run it in Python: load_model(path)")


def json_of(value: Any) -> bytes:
    """As JSON; None for what it cannot hold."""
    return json.dumps(plain(value), ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode("ascii")


def plain(value: Any) -> Any:
    """With None for what JSON cannot hold: NaN and infinities."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def artifacts_of(model: Model) -> Artifacts:
    """The model's checked files.

    Raises:
        Problem: 422 weights without a model.
    """
    artifacts = model.artifacts()
    if artifacts is None or (artifacts.manifest.paths and not artifacts.shards):
        raise Problem(
            422, "model.json", "a model with its own weights expected, found a file of weights",
            "upload model.json and model.weights.bin; POST /convert puts weights into them",
        )  # fmt: skip
    return artifacts


def json_in(shard: Any) -> Any:
    """A file's JSON; None where it is too long, or none."""
    if shard.nbytes > _MAX_SIDECAR:
        return None
    data = np.empty(shard.nbytes, np.uint8)
    shard.read_into(0, data)
    shard.close()
    try:
        return plain(json.loads(data.tobytes().decode("utf-8-sig")))
    except (ValueError, RecursionError):
        return None


def _arrays(given: Any, inputs: list[dict[str, Any]]) -> list[Any]:
    """An array an input; of a model with one input, it may stand alone."""
    if not isinstance(given, list) or not given:
        raise Problem(422, "inputs", f"a list of arrays expected, found {given!r:.60}", "for example [[0.1, 0.2, 0.3]]")
    if len(inputs) == 1 and inputs[0]["shape"] is not None and _rank(given) == len(inputs[0]["shape"]):
        return arrays_of([given])
    return arrays_of(given)


def arrays_of(given: list[Any]) -> list[Any]:
    """Nested lists of numbers as float32.

    Raises:
        Problem: 413 too many, 422 other than finite numbers, or uneven.
    """
    return [_array(item) for item in given]


def _rank(value: Any) -> int:
    rank = 0
    while isinstance(value, list):
        rank, value = rank + 1, value[0] if value else None
    return rank


def _array(value: Any) -> Any:
    try:
        raw = np.asarray(value)
        array = raw.astype(np.float32)
        if raw.dtype.kind not in "iuf" or not np.isfinite(array).all():
            raise ValueError
    except (ValueError, TypeError, OverflowError):
        raise Problem(422, "inputs", "nested lists of numbers of equal lengths expected", "check the lengths") from None
    if array.size > _MAX_NUMBERS:
        raise Problem(413, "inputs", f"at most {_MAX_NUMBERS} numbers expected, found {array.size}")
    return array


def _agrees(found: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    return len(found) == len(wanted) and all(
        size in (None, own) for own, size in zip(found[1:], wanted[1:], strict=True)
    )
