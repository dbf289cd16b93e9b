"""Teachable: a model of Teachable Machine with its labels."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..building import units_of
from ..errors import MismatchError
from ..fitting import OnEpoch
from ..history import History
from ..layers.network import LayersModel
from ..model import save_model
from ..shards import MemoryShard
from . import training
from .examples import examples_of
from .metadata import Metadata, written
from .samples import batch_of

Answer = list[dict[str, Any]]


class Teachable:
    """A model of Teachable Machine, from teachable.load.

    Attributes:
        kind: "image", "pose" or "audio".
        labels: names of the classes, in the order of the outputs.
        module: the network, a torch.nn.Module that takes what tf.js takes.
        metadata: metadata.json as a dict.
        image_size, grayscale: of image models: side of the square, and whether it has one channel. 0 and False else.
    """

    def __init__(self, module: LayersModel, metadata: Metadata) -> None:
        self.module, self._metadata = module, metadata
        self.kind, self.image_size, self.grayscale = metadata.kind, metadata.image_size, metadata.grayscale
        self.labels = list(metadata.labels)

    @property
    def metadata(self) -> Mapping[str, Any]:
        """metadata.json, with the labels as they are now."""
        if tuple(self.labels) == self._metadata.labels:
            return dict(self._metadata.document)
        return {**self._metadata.document, self._metadata.key: list(self.labels)}

    def classify(self, x: Any, preprocess: str | None = "teachable") -> Any:
        """What the model takes x for: [{"label", "confidence"}], best first. A list of samples gives a list of those.

        Args:
            x: image: a PIL image, a path, uint8 pixels [h, w], [h, w, 1, 3 or 4]; or float32 numbers of the model's
                own shape, [image_size, image_size, channels], which are taken as they are, as is a batch of them.
                pose: posenet's heatmaps and offsets, as one vector, or as a pair of arrays [h, w, 17] and [h, w, 34].
                audio: a .wav of 3000 to 768 000 Hz (its first second), samples [n] of 44 100 Hz, or a spectrogram
                    [frames, bins] in decibels.
            preprocess: "teachable": as Teachable Machine's library does, the browser's canvas within one grey level;
                "ml5": as ml5.imageClassifier does; "keras": as the snippet for Keras does (see pictures.prepared).
                None: x is ready; for audio it leaves the normalisation out.

        Raises:
            MismatchError: x is nothing that this kind takes. FilesError: no picture or sound there.
            UnsupportedError: Pillow is not installed, or the samples of a .wav are compressed.

        Example:
            >>> import numpy as np
            >>> from tfjs_torch import teachable
            >>> model = teachable.load("tests/cases/teachable/image")
            >>> [sorted(answer) for answer in model.classify(np.zeros((40, 60, 3), np.uint8))][0]
            ['confidence', 'label']
        """
        batch, single = batch_of(x, self._metadata, self.module.input_shapes[0] or (), preprocess)
        answers = [self._answer(row) for row in self.module.predict(batch).tolist()]
        return answers[0] if single else answers

    def _answer(self, confidences: list[float]) -> Answer:
        rows = [{"label": name, "confidence": c} for name, c in zip(self.labels, confidences, strict=True)]
        return sorted(rows, key=lambda row: -row["confidence"])

    def train(
        self,
        data: Any,
        *,
        epochs: int = 50,
        batch_size: int = 16,
        learning_rate: float | None = None,
        validation_split: float = 0.15,
        seed: int | None = None,
        device: str = "auto",
        on_epoch: OnEpoch | None = None,
        progress: bool | None = None,
        preprocess: str | None = "teachable",
    ) -> History:
        """Go on training the head; what lies below it stays as it is. Labels that are new become new classes.

        Args:
            data: [(x, label), ...], {label: [x, ...]}, or a folder with a folder of pictures (sounds) for each label.
            epochs, batch_size, learning_rate, validation_split: the defaults are Teachable Machine's (images and
                audio 0.001, poses 0.0001). The optimizer is Adam, for poses RMSprop.
            seed: the same seed, data and machine give the same weights.
            device, on_epoch, progress: see fitting.fit.
            preprocess: as in classify. Browsers mirror webcam pictures; what is trained here is taken as it is.

        Returns:
            history: loss and accuracy of every epoch, and notes on what was odd.

        Raises:
            MismatchError: no examples, or options out of range. The model is then what it was.

        Source of the defaults: libraries/image/src/teachable-mobilenet.ts, and the page of Teachable Machine.
        """
        rows, names = examples_of(data, self.kind)
        labels = [*self.labels, *(name for name in dict.fromkeys(names) if name not in self.labels)]
        xs = [batch_of(x, self._metadata, self.module.input_shapes[0] or (), preprocess) for x in rows]
        if any(not single for _, single in xs):
            raise MismatchError("data", "one sample for each label expected, found several in one")
        rate = learning_rate if learning_rate is not None else training.RATES[self.kind]
        module = training.widened_to(self.module, len(labels), seed)
        history = training.train(
            module,
            self.kind,
            [batch for batch, _ in xs],
            [labels.index(name) for name in names],
            len(labels),
            labels=labels,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=rate,
            validation_split=validation_split,
            seed=seed,
            device=device,
            on_epoch=on_epoch,
            progress=progress,
        )
        self.module, self.labels = module, labels
        return history

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write model.json, weights.bin and metadata.json to a folder or a .zip, as the export has them.

        What has not changed is written byte for byte as it was; weights that were stored in fewer bits stay so.

        Raises:
            FilesError: the place cannot be written. MismatchError: labels that do not fit the model.

        Example:
            >>> import tempfile
            >>> from tfjs_torch import teachable
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     teachable.load("tests/cases/teachable/image").save(folder)
            ...     print(sorted(os.listdir(folder)))
            ['metadata.json', 'model.json', 'weights.bin']
        """
        artifacts = self.module.artifacts
        if len(self.labels) < 1 or not all(isinstance(label, str) for label in self.labels):
            raise MismatchError("labels", f"a list of texts expected, found {self.labels!r:.80}")
        if tuple(self.labels) != self._metadata.labels:
            if len(self.labels) != units_of(self.module):
                wanted = units_of(self.module)
                raise MismatchError("labels", f"{wanted} labels expected, found {len(self.labels)}")
            shard = MemoryShard("metadata.json", written(self._metadata, self.labels))
            artifacts = replace(artifacts, sidecars={**artifacts.sidecars, "metadata.json": shard})
        save_model(self.module, path, like=artifacts)
