"""NeuralNetwork: one save of ml5.neuralNetwork, with its answers, its training and its files."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import torch

from ..building import Files, widened
from ..errors import MismatchError
from ..fitting import OnEpoch, fit, measured
from ..history import History
from ..layers.network import LayersModel
from .creating import Plan, created, meta_of
from .data import Row, numbers_of, output_of, rows_of
from .encoding import array_of, classified, encode, encode_targets, listed, predicted, samples_of
from .learning import LEARNING, Learning, new_labels, notes_on, order_note, refuse_gaps
from .meta import Meta, js_keys, js_text
from .writing import dumped, saved_files, write

TASKS: Final = (
    "classification", "regression", "imageClassification", "sequenceClassification", "sequenceRegression",
)  # fmt: skip


class NeuralNetwork:
    """A network of ml5 in PyTorch: made by `ml5.load`, `ml5.new` and `ml5.average`.

    Attributes:
        task: "classification", "regression", "imageClassification", or one of ml5's sequence tasks. Files do not say
            it: it is what the columns are for; None without model_meta.json.
        module: the layers as a torch.nn.Module: float32 [batch, ...] as tf.js takes them, already scaled. None until
            a network of `ml5.new` has seen its first data.

    Example:
        >>> from tfjs_torch import ml5
        >>> nn = ml5.load("samples/ml5-classifier")
        >>> nn.task, nn.inputs, nn.outputs, nn.labels
        ('classification', ['r', 'g', 'b'], ['colour'], ['red', 'yellow', 'green', 'blue'])
        >>> nn.classify({"r": 255, "g": 0, "b": 90})[0]["label"]
        'red'
    """

    task: str | None
    module: Any

    def __init__(
        self,
        module: LayersModel | None,
        meta: Meta | None,
        meta_text: bytes | None = None,
        *,
        task: str | None = None,
        plan: Plan | None = None,
    ) -> None:
        """See ml5.load and ml5.new."""
        if task is not None and task not in TASKS:
            raise MismatchError("task", f"one of {', '.join(TASKS)} expected, found {task!r:.60}")
        self.module = module
        self.task = task or (meta.task if meta else None)
        self._meta, self._meta_text, self._plan = meta, meta_text, plan

    def __repr__(self) -> str:
        """What it takes and gives."""

        def told(names: list[str]) -> str:
            return listed(names) if names else "numbers"

        return f"<ml5 {self.task or 'network'}: {told(self.inputs)} -> {told(self.labels or self.outputs)}>"

    @property
    def meta(self) -> dict[str, Any] | None:
        """model_meta.json, in today's layout; None where there is none."""
        return self._meta.to_document() if self._meta else None

    @property
    def inputs(self) -> list[str]:
        """Names of the inputs, in the order of the network; [] without meta."""
        if self._meta is None and self._plan:
            return list(self._plan.inputs)
        return [column.name for column in self._meta.inputs] if self._meta else []

    @property
    def outputs(self) -> list[str]:
        """Names of the outputs; [] without meta."""
        if self._meta is None and self._plan:
            return list(self._plan.outputs)
        return [column.name for column in self._meta.outputs] if self._meta else []

    @property
    def labels(self) -> list[str]:
        """What a classifier tells apart, in the order of the network's units; [] in regression."""
        return list(self._meta.labels) if self._meta else []

    def classify(self, x: Any) -> Any:
        """What classify of ml5 1.x answers.

        Args:
            x: a dict by input, or a list by position; for pictures a flat list or array of pixels, a PIL image or its
                path; for sequences a list of steps. A list of such samples is a batch.

        Returns:
            [{"label": str, "confidence": float}], the most likely first; for a batch a list of those. Labels belong to
            units by their codes, as in ml5 1.x (0.x and classifySync mix up labels that are numbers).

        Raises:
            MismatchError: values that do not fit the inputs, or a network that predicts numbers.

        Example:
            >>> from tfjs_torch import ml5
            >>> nn = ml5.load("samples/ml5-classifier")
            >>> [best["label"] for best, *_ in nn.classify([[255, 0, 0], {"r": 0, "g": 0, "b": 255}])]
            ['red', 'blue']
        """
        outputs, single = self._run(x)
        if self._meta and not self.labels:
            raise MismatchError("classify", f"a network with labels expected, found {self.task}; use predict")
        labels = self.labels or [str(unit) for unit in range(outputs.shape[1])]
        results = [classified(labels, row) for row in outputs.tolist()]
        return results[0] if single else results

    def predict(self, x: Any) -> Any:
        """What predict of ml5 1.x answers.

        Args:
            x: as in classify.

        Returns:
            [{"label": str, "value": float}], one an output, scaled back to its range; for a batch a list of those.

        Raises:
            MismatchError: values that do not fit the inputs, or a network that classifies.

        Example:
            >>> from tfjs_torch import ml5
            >>> [answer["label"] for answer in ml5.load("samples/ml5-regression").predict({"x": 320, "y": 200})]
            ['east', 'south']
        """
        outputs, single = self._run(x)
        if self._meta and all(column.dtype == "string" for column in self._meta.outputs):
            raise MismatchError("predict", f"a network that gives numbers expected, found {self.task}; use classify")
        if self._meta:
            results = [predicted(self._meta, row) for row in outputs.tolist()]
        else:
            results = [[{"label": str(unit), "value": v} for unit, v in enumerate(row)] for row in outputs.tolist()]
        return results[0] if single else results

    def answer(self, x: Any) -> Any:
        """classify or predict, whichever the task is for. Raises what they raise."""
        return self.classify(x) if self.labels else self.predict(x)

    def encode(self, x: Any) -> np.ndarray[Any, Any]:
        """What the network is given for a sample or a batch: float32 [batch, ...]. Raises MismatchError as classify."""
        return self._encoded(x)[0]

    def train(
        self,
        data: Any,
        *,
        epochs: int = 10,
        batch_size: int = 32,
        learning_rate: float | None = None,
        validation_split: float = 0.1,
        seed: int | None = None,
        device: torch.device | str = "auto",
        on_epoch: OnEpoch | None = None,
        on_batch: Callable[[], Any] | None = None,
        progress: bool | None = None,
    ) -> History:
        """Go on from the weights as they are, as ml5 trains: its losses, optimizers and rates.

        While it trains, other threads must not ask the network.

        Args:
            data: what saveData() wrote (a path, bytes, or the parsed JSON), a CSV, a list of dicts or of (xs, ys), or
                a pandas DataFrame. They are scaled by the ranges of the network, which stay. Labels that the network
                does not know widen its last layer; what it has learnt stays, `module` becomes another one. Labels that
                are numbers get into the order that every ml5 takes.
            learning_rate: None is ml5's own: 0.2, for pictures 0.02.
            epochs, batch_size, validation_split, seed, device, on_epoch, on_batch, progress: see fitting.fit.

        Returns:
            history: loss and accuracy of every epoch, and notes on what was odd; in a notebook, the curve.

        Raises:
            MismatchError: data that do not fit, or a training that goes astray; the network is then as before.
            FilesError, FormatError: the data cannot be read.

        Example:
            >>> from tfjs_torch import ml5
            >>> nn = ml5.load("samples/ml5-classifier")
            >>> row = {"r": 250, "g": 250, "b": 250, "colour": "white"}
            >>> others = [{"r": 9, "g": 9, "b": 9, "colour": colour} for colour in nn.labels]
            >>> len(nn.train([row, *others], epochs=3, validation_split=0, seed=1).loss)
            3
        """
        rows = self._rows(data)
        before = self.module, self._meta, self._meta_text, self.task
        try:
            self._prepare(rows, seed)
            assert self._meta is not None
            inputs, targets = self._tensors(rows)
            _refuse_width(self.module, inputs, targets)
            learning = LEARNING[self.task or ""]
            rate = learning_rate if learning_rate is not None else self._rate(learning)
            known = before[1] is not None and self._meta.output_units == before[1].output_units
            at_first = measured(self.module, inputs, targets, loss=learning.loss)["loss"] if known else math.inf
            if math.isnan(at_first):
                raise MismatchError(
                    "network", "weights that answer numbers expected, found NaN before the training; "
                    "ml5 0.x makes such networks of columns that are always the same: make a new one with ml5.new",
                )  # fmt: skip
            history = fit(
                self.module, inputs, targets, loss=learning.loss, optimizer=learning.optimizer, learning_rate=rate,
                epochs=epochs, batch_size=batch_size, validation_split=validation_split, seed=seed, device=device,
                on_epoch=on_epoch, on_batch=on_batch, progress=progress,
            )  # fmt: skip
            at_last = measured(self.module, inputs, targets, loss=learning.loss)["loss"]
        except BaseException:
            self.module, self._meta, self._meta_text, self.task = before
            raise
        notes = notes_on(self.labels, targets, self._meta.normalized, at_first, at_last, rate)
        history.note([*order_note(before[1].labels if before[1] else [], self.labels), *notes], progress)
        return history

    def evaluate(self, data: Any) -> dict[str, float]:
        """Loss, and the share of right answers of a classifier, on data as in `train`.

        Labels that the network does not know are wrong answers; there is no loss then.

        Raises:
            MismatchError: data that do not fit.

        Example:
            >>> from tfjs_torch import ml5
            >>> ml5.load("samples/ml5-classifier").evaluate([{"r": 255, "g": 0, "b": 0, "colour": "red"}])["accuracy"]
            1.0
        """
        rows = self._rows(data)
        unknown = new_labels(rows, self.outputs[0], self.labels) if self.labels else []
        known = [row for row in rows if js_text(output_of(row[1], self.outputs[0])) not in unknown] if unknown else rows
        if not known:
            return {"accuracy": 0.0}
        found = measured(self._ready(), *self._tensors(known), loss=LEARNING[self.task or ""].loss)
        return {"accuracy": found["accuracy"] * len(known) / len(rows)} if unknown else found

    def files(self, name: str = "model") -> Files:
        """{file name: bytes} of NAME.weights.bin, NAME_meta.json and NAME.json.

        While inputs, outputs and labels are those that were loaded, model_meta.json is the file that was loaded.

        Raises:
            MismatchError: there is no model_meta.json, or nothing was trained yet.
        """
        module = self._ready()
        if self._meta is None:
            raise MismatchError(
                "model_meta.json", "the meaning of the numbers expected, found none; ml5 needs this file"
            )
        text = self._meta_text if self._meta_text is not None else dumped(self._meta.to_document())
        return saved_files(module, text, name)

    def save(self, path: str | os.PathLike[str], name: str = "model") -> None:
        """Write the three files that ml5 loads, to a folder or a .zip; complete or not at all.

        Args:
            path: made if missing.
            name: ml5 loads other names than "model" only with an object of three addresses.

        Raises:
            FilesError: the place cannot be written. MismatchError: as files().

        Example:
            >>> import os, tempfile
            >>> from tfjs_torch import ml5
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     ml5.load("samples/ml5-classifier").save(folder)
            ...     made = sorted(os.listdir(folder))
            >>> made
            ['model.json', 'model.weights.bin', 'model_meta.json']
        """
        write(self.files(name), path)

    def _ready(self) -> LayersModel:
        if self.module is None:
            raise MismatchError("network", "a trained network expected, found a new one; call train first")
        if not isinstance(self.module, LayersModel):
            found = type(self.module).__name__
            raise MismatchError("module", f"the layers that were loaded expected, found {found}; ml5.new makes others")
        return self.module

    def _shape(self) -> tuple[int, ...]:
        """Of the network's input, without the batch."""
        shape = self._ready().input_shapes[0]
        units = self._meta.input_units if self._meta else ()
        if shape is None:
            return units
        sizes = shape[1:]
        open_sizes = None in sizes
        return units if open_sizes and len(units) == len(sizes) else tuple(1 if n is None else n for n in sizes)

    def _encoded(self, x: Any) -> tuple[np.ndarray[Any, Any], bool]:
        shape = self._shape()
        if self._meta is None:
            array = array_of(x, "input without model_meta.json")
            single = array.ndim <= len(shape)
            return (array[None] if single else array).astype(np.float32), single
        samples, single = samples_of(self._meta, x)
        return encode(self._meta, samples, shape), single

    def _run(self, x: Any) -> tuple[np.ndarray[Any, Any], bool]:
        module = self._ready()
        inputs, single = self._encoded(x)
        if not len(inputs):
            return np.zeros((0, len(self.labels or self.outputs)), np.float32), False
        outputs = module.predict(inputs, batch_size=max(1, len(inputs)) if inputs.size < 1 << 22 else 32)
        if not isinstance(outputs, np.ndarray) or outputs.ndim != 2:
            raise MismatchError("network", "one row of numbers a sample expected, found another shape of outputs")
        wanted = len(self.labels or self.outputs)
        if outputs.shape[1] < wanted:
            raise MismatchError(
                "model_meta.json", f"{outputs.shape[1]} outputs, which the network gives, expected, found {wanted}; "
                "it belongs to another save",
            )  # fmt: skip
        return outputs, single

    def _rows(self, data: Any) -> list[Row]:
        if self._meta is None and self._plan is None:
            raise MismatchError(
                "model_meta.json", "the names and ranges of inputs and outputs expected, found none; "
                "fit from tfjs_torch.fitting trains nn.module on tensors",
            )  # fmt: skip
        rows = rows_of(data, self.inputs, self.outputs)
        if self._meta is None:
            return rows
        sides = [
            [column.name for column in side if column.dtype != "string"]
            for side in (self._meta.inputs, self._meta.outputs)
        ]
        return [(numbers_of(xs, sides[0]), numbers_of(ys, sides[1])) for xs, ys in rows]

    def _prepare(self, rows: list[Row], seed: int | None) -> None:
        """The network for these rows: made when there is none, widened for labels that it does not know."""
        if self.module is None:
            assert self._plan is not None
            rows[:], self._meta = meta_of(self._plan, rows)
            self.module = created(self._plan, self._meta, seed)
            return
        assert self._meta is not None
        if not self.labels:
            return
        refuse_gaps(self._meta.outputs[0])
        new = new_labels(rows, self.outputs[0], self.labels)
        ordered = self.labels == js_keys(self.labels)
        if new or (not ordered and len(self.outputs) == 1):
            self._widen(new, seed)

    def _widen(self, new: Sequence[str], seed: int | None) -> None:
        assert self._meta is not None
        if len(self.outputs) > 1:
            raise MismatchError("data", f"the labels {', '.join(self.labels)} expected, found {', '.join(new)[:200]}")
        known = self.labels
        labels = js_keys([*known, *new])  # in JavaScript's order, ml5 0.x names them rightly, too
        order = [known.index(label) if label in known else None for label in labels]
        self.module = widened(self._ready(), order, seed=seed)
        self._meta, self._meta_text = self._meta.with_labels(labels), None

    def _tensors(self, rows: Sequence[Row]) -> tuple[torch.Tensor, torch.Tensor]:
        assert self._meta is not None
        inputs = torch.from_numpy(encode(self._meta, [xs for xs, _ in rows], self._shape(), "row"))
        targets = torch.from_numpy(encode_targets(self._meta, [ys for _, ys in rows]))
        return inputs, targets

    def _rate(self, learning: Learning) -> float:
        given = self._plan.learning_rate if self._plan else None
        return learning.rate if given is None else given


def _refuse_width(module: LayersModel, inputs: torch.Tensor, targets: torch.Tensor) -> None:
    found = module.predict(inputs[:1])
    if not isinstance(found, np.ndarray) or found.shape != (1, targets.shape[1]):
        shape = list(found.shape[1:]) if isinstance(found, np.ndarray) else "several outputs"
        raise MismatchError(
            "layers", f"{targets.shape[1]} outputs at the end, as these data have, expected, found {shape}"
        )
