"""verify: our outputs beside those of real tf.js, layer by layer."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from .artifacts import Artifacts, Source
from .errors import MismatchError
from .layers.network import LayersModel
from .layers.prediction import given_inputs
from .model import load_model
from .node import Run, find_tfjs, run_tfjs
from .sample_inputs import draw_inputs

Array = npt.NDArray[Any]
Tell = Callable[[str, str, list[Array], bool], None]

_SPAN: Final = 1 << 20
_COLUMNS: Final = ("layer", "class", "shape", "max abs", "relative")


class Row(NamedTuple):
    """One call of a layer, or one output of the model, here and in tf.js.

    Attributes:
        name: the layer; "outer/inner" in a nested model, "name (call 2)" when it is called again.
        class_name: as model.json has it; "" for an output of the model.
        shape: what the layer makes, batch first (its first output, if it has several).
        max_abs: the largest absolute difference. NaN or infinity in only one of both counts as infinity.
        relative: max_abs over the largest magnitude in tf.js (infinity when that is 0 and they differ).
        ok: whether relative is within the tolerance.
        problem: "", or what keeps both from being compared: other shapes, a layer that only one side has called.
    """

    name: str
    class_name: str
    shape: tuple[int, ...]
    max_abs: float
    relative: float
    ok: bool
    problem: str = ""


@dataclass(frozen=True)
class Report:
    """What verify found.

    Attributes:
        where: the model.
        tolerance: the largest relative difference that is still ok.
        layers: each call of each layer, in the order of computation (a nested model after its own layers).
        outputs: the model's outputs.
        tfjs_version: what it was compared with.
        refused: tf.js' own message where tf.js does not load or run the model, else "". Then nothing has been
            shown, and ok is False; `layers` has those that tf.js came to.
    """

    where: str
    tolerance: float
    layers: list[Row] = field(default_factory=list)
    outputs: list[Row] = field(default_factory=list)
    tfjs_version: str = ""
    refused: str = ""

    @property
    def first_departure(self) -> Row | None:
        """The first layer (or output) that is beyond the tolerance."""
        return next((row for row in (*self.layers, *self.outputs) if not row.ok), None)

    @property
    def ok(self) -> bool:
        return not self.refused and self.first_departure is None

    @property
    def verdict(self) -> str:
        """The last line of the table: what it comes to."""
        tfjs = f"tf.js {self.tfjs_version}"
        row = self.first_departure
        if self.refused:
            return f"tf.js {self.tfjs_version} refuses this model: {' '.join(self.refused.split())}"
        if row is None:
            return f"all {len(self.layers)} layers within {self.tolerance:g} of {tfjs}"
        by = row.problem or f"relative difference {row.relative:.3g}, tolerance {self.tolerance:g}"
        kind = f" ({row.class_name})" if row.class_name else ""
        return f"{row.name}{kind} is the first to depart from {tfjs}: {by}"

    def __str__(self) -> str:
        rows = [_cells(row) for row in (*self.layers, *self.outputs)]
        widths = [max(len(row[i]) for row in (_COLUMNS, *rows)) for i in range(len(_COLUMNS))]
        lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=False)) for row in (_COLUMNS, *rows)]
        marks = ["", *("" if row.ok else row.problem or "departs" for row in (*self.layers, *self.outputs))]
        listed = [f"{line}  {mark}".rstrip() for line, mark in zip(lines, marks, strict=True)] if rows else []
        return "\n".join([*listed, self.verdict])


def verify(source: Source, *, inputs: Any = None, tolerance: float = 1e-5) -> Report:
    """Run a model here and in real tf.js with the same inputs, and compare what every layer makes of them.

    tf.js runs in node, on its cpu backend. It is looked for in the folder that the environment variable
    TFJS_TORCH_NODE_MODULES names, else in node_modules of the current folder and those above, and among npm's global
    packages. The model is data to it, as in a browser: nothing of it is executed.

    Args:
        source: a folder, the path of model.json, a .zip (path or bytes), {file name: bytes}, or Artifacts.
        inputs: an array, a list of them, or {input name: array}, batch first, as float32. None draws them: always
            the same random numbers, ids within the range of an Embedding, some steps masked where layers mask.
        tolerance: the largest relative difference (max abs difference over max abs in tf.js) that is still ok.

    Returns:
        report: a Report; `print(report)` shows a table. Layers are fed with what the layers before made on the
        same side, so differences add up; report.first_departure is where to look.

    Raises:
        UnsupportedError: node or tf.js is not there; the message says what to install.
        MismatchError: inputs that do not fit the model, or none given where the file does not say their shapes.
        And what load_model raises.

    A model that tf.js refuses (but load_model takes) is reported: see Report.refused. Known faults of tf.js' cpu
    backend (BatchNormalization on another axis than the last) show as departures.

    Example:
        >>> from tfjs_torch.verifying import verify
        >>> report = verify("samples/ml5-classifier")
        >>> report.ok, [row.name for row in report.layers]
        (True, ['dense_Dense1', 'dense_Dense2'])
        >>> print(report.verdict)
        all 2 layers within 1e-05 of tf.js 4.22.0
    """
    if not isinstance(tolerance, (int, float)) or not tolerance >= 0:
        raise MismatchError("tolerance", f"a number of at least 0 expected, found {tolerance!r}")
    model = load_model(source)
    return compare_with_tfjs(model, model.artifacts, inputs, tolerance)


def compare_with_tfjs(model: LayersModel, artifacts: Artifacts, inputs: Any, tolerance: float) -> Report:
    """verify, for a model that need not hold the very numbers that its files hold."""
    tfjs = find_tfjs()
    given = draw_inputs(model) if inputs is None else [tensor.cpu().numpy() for tensor in given_inputs(model, inputs)]
    arrays = [np.ascontiguousarray(array, np.float32) for array in given]
    with tempfile.TemporaryDirectory(prefix="tfjs-torch-", ignore_cleanup_errors=True) as folder:
        run = run_tfjs(tfjs, artifacts, arrays, Path(folder))
        comparison = _Comparison(run, _names(run.tree, model), tolerance)
        outputs = _run_watched(model, arrays, comparison.add_call, inputs is None)
        comparison.add_outputs(model.output_names, outputs)
        del run  # its arrays are mapped files of the folder
    return comparison.report(artifacts.where)


class _Comparison:
    """Rows of a report, made while the model runs: what all layers make is never held at once."""

    def __init__(self, run: Run, names: Mapping[tuple[str, ...], str], tolerance: float) -> None:
        self._run = run
        self._calls = {names.get(path, "/".join(path)): list(calls) for path, calls in run.calls.items()}  # to come
        self._tolerance = tolerance
        self._count: dict[str, int] = {}
        self._layers: list[Row] = []
        self._outputs: list[Row] = []

    def add_call(self, name: str, class_name: str, made: Sequence[Array], is_model: bool) -> None:
        """The next call of this layer, beside the same call in tf.js."""
        number = self._count[name] = self._count.get(name, 0) + 1
        title = name if number == 1 else f"{name} (call {number})"
        calls = self._calls.get(name, [])
        while calls:
            row = self._row(title, class_name, made, calls[0].arrays)
            passed_over = calls[0].again and not row.ok and not all(call.again for call in calls)
            del calls[0]
            if not passed_over:
                self._layers.append(row)
                return
        if not (self._run.refused or is_model):  # tf.js may call a model's layers instead of the model
            self._layers.append(_uncompared(title, class_name, made[0].shape, "not called in tf.js"))

    def add_outputs(self, names: Sequence[str], made: Sequence[Array]) -> None:
        """The model's outputs; and what only tf.js has called."""
        if self._run.refused:
            return
        for name, calls in self._calls.items():
            for arrays in (call.arrays for call in calls if not call.again):
                self._layers.append(_uncompared(name, "", arrays[0].shape, "called in tf.js only"))
        for i, (ours, theirs) in enumerate(zip(made, self._run.outputs, strict=True)):
            self._outputs.append(self._row(f"output {i}: {names[i]}", "", [ours], [theirs]))

    def report(self, where: str) -> Report:
        run = self._run
        return Report(where, self._tolerance, self._layers, self._outputs, run.version, run.refused)

    def _row(self, title: str, class_name: str, ours: Sequence[Array], theirs: Sequence[Array]) -> Row:
        shapes = [[x.shape for x in side] for side in (ours, theirs)]
        if shapes[0] != shapes[1]:
            problem = f"shape {_shapes(ours)} here, {_shapes(theirs)} in tf.js"
            return _uncompared(title, class_name, theirs[0].shape, problem)
        gaps = [_gap(x, y) for x, y in zip(ours, theirs, strict=True)]
        max_abs, relative = (max(column) for column in zip(*gaps, strict=True))
        return Row(title, class_name, theirs[0].shape, max_abs, relative, relative <= self._tolerance)


def _uncompared(title: str, class_name: str, shape: tuple[int, ...], problem: str) -> Row:
    return Row(title, class_name, shape, math.inf, math.inf, False, problem)


def _gap(ours: Array, theirs: Array) -> tuple[float, float]:
    """(max abs difference, the same over the largest finite magnitude in tf.js)."""
    apart = top = 0.0
    x, y = ours.reshape(-1), theirs.reshape(-1)
    for start in range(0, x.size, _SPAN):
        p, q = x[start : start + _SPAN].astype(np.float64), y[start : start + _SPAN].astype(np.float64)
        with np.errstate(invalid="ignore"):
            gap = np.abs(p - q)
        gap[(p == q) | (np.isnan(p) & np.isnan(q))] = 0
        gap[np.isnan(gap)] = math.inf
        apart = max(apart, float(gap.max()))
        top = max(top, float(np.abs(q[np.isfinite(q)]).max(initial=0)))
    return apart, apart / top if top else (math.inf if apart else 0.0)


def _run_watched(model: LayersModel, arrays: Sequence[Array], tell: Tell, drawn: bool) -> list[Array]:
    """The model's outputs; `tell` hears what each call of each layer makes.

    Raises:
        MismatchError: inputs that do not fit.
    """
    watches = [watch for layer in _layers(model) for watch in _watched(*layer, tell)]
    try:
        with torch.no_grad():
            return _arrays(model(*(torch.from_numpy(array) for array in arrays)))
    except (RuntimeError, IndexError) as error:
        advice = "; give inputs" if drawn else ""
        found = f"{_shapes(arrays)}, which end in: {error}{advice}"
        raise MismatchError("inputs", f"arrays that fit the model expected, found {found}") from error
    finally:
        for stop in watches:
            stop()


def _names(
    tree: list[Any], model: LayersModel, path: tuple[str, ...] = (), ours: str = ""
) -> dict[tuple[str, ...], str]:
    """{where a layer is in tf.js: its name here}. Nested models without a name in the file are matched in order."""
    said = {node.name for node in model._wiring.nodes if not node.model or node.config.get("name")}
    unsaid = iter([node.name for node in model._wiring.nodes if node.name not in said])
    names: dict[tuple[str, ...], str] = {}
    for theirs, inner in tree:
        name = theirs if theirs in said or inner is None else next(unsaid, theirs)
        names[(*path, theirs)] = ours + name
        module: Any = model.get_layer(name) if inner is not None and name in model.layers else None
        if isinstance(module, LayersModel):
            names.update(_names(inner, module, (*path, theirs), f"{ours}{name}/"))
    return names


def _called(model: LayersModel) -> Iterator[tuple[str, nn.Module]]:
    called = {call.layer for call in model._wiring.calls}
    yield from ((name, model.get_layer(name)) for name in model.layers if name in called)


def _layers(model: LayersModel, prefix: str = "") -> Iterator[tuple[str, str, nn.Module]]:
    """(name, class, module) of all that is called, nested models before their own layers."""
    classes = {node.name: node.class_name for node in model._wiring.nodes}
    for name, module in _called(model):
        yield prefix + name, classes[name], module
        if isinstance(module, LayersModel):
            yield from _layers(module, f"{prefix}{name}/")


def _watched(name: str, class_name: str, module: nn.Module, tell: Tell) -> Iterator[Callable[[], Any]]:
    """Begins to watch a module; gives what ends it."""
    if not isinstance(module, LayersModel):
        yield module.register_forward_hook(lambda _, __, made: tell(name, class_name, _arrays(made), False)).remove
        return
    run: Any = module.run_masked

    def watched_run(*args: Any) -> Any:
        made = run(*args)
        tell(name, class_name, _arrays(made[0]), True)
        return made

    module.__dict__["run_masked"] = watched_run  # so masks reach a nested model; that is no call to a hook
    yield lambda: module.__dict__.pop("run_masked")
    if not module.makes_masks:
        yield module.register_forward_hook(lambda _, __, made: tell(name, class_name, _arrays(made), True)).remove


def _arrays(made: Any) -> list[Array]:
    return [tensor.detach().cpu().numpy() for tensor in (made if isinstance(made, (list, tuple)) else [made])]


def _shapes(arrays: Sequence[Array]) -> str:
    return ", ".join(str(list(array.shape)) for array in arrays)


def _cells(row: Row) -> tuple[str, ...]:
    numbers = ("", "") if row.problem else (f"{row.max_abs:.3g}", f"{row.relative:.3g}")
    return (row.name, row.class_name, "x".join(map(str, row.shape)) or "scalar", *numbers)
