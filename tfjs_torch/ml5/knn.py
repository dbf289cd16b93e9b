"""The JSON of ml5.KNNClassifier (0.x): examples of length 1, and the classes of the nearest ones."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .. import strict_json
from ..errors import ManifestError, MismatchError
from ..saving import write_files


class KNN(nn.Module):
    """A KNNClassifier as a module; its examples are buffers.

    Attributes:
        task: "knn".
        labels: of the classes, in the order of their numbers; a class without a label is called by its number.
        examples: float32 [n, d], each of length 1, class by class.
        classes: int64 [n], the class of each example.

    Sources: src/KNNClassifier/index.js of ml5 0.12.2; @tensorflow-models/knn-classifier.

    Example:
        >>> one = {"shape": [1, 2], "dtype": "float32", "label": "left"}
        >>> two = {"shape": [1, 2], "dtype": "float32", "label": "right"}
        >>> document = {"dataset": {"0": one, "1": two}, "tensors": [{"0": 1, "1": 0}, {"0": 0, "1": 1}]}
        >>> open_knn(document, "myKNN.json").classify([5, 1], k=1)["label"]
        'left'
    """

    task = "knn"
    examples: Tensor
    classes: Tensor

    def __init__(self, examples: Tensor, classes: Tensor, keys: Sequence[str], document: Mapping[str, Any]) -> None:
        super().__init__()
        self.register_buffer("examples", examples)
        self.register_buffer("classes", classes)
        self._keys = list(keys)
        self._names = [entry.get("label") for entry in (document["dataset"][key] for key in keys)]
        self._document = document
        self._changed = False

    @property
    def labels(self) -> list[str]:
        return [key if name is None else str(name) for key, name in zip(self._keys, self._names, strict=True)]

    def forward(self, x: Tensor, k: int = 3) -> Tensor:
        """The share of each class among the k nearest examples: [n, d] -> [n, classes]; k is at most all of them.

        Raises:
            MismatchError: another shape, k below 1, or a vector of zeros, which is near to nothing.
        """
        if x.dim() != 2 or x.shape[1] != self.examples.shape[1]:
            raise MismatchError("x", f"the shape [n, {self.examples.shape[1]}] expected, found {list(x.shape)}")
        if type(k) is not int or k < 1:
            raise MismatchError("k", f"a whole number above 0 expected, found {k!r:.40}")
        near = _of_length_1(x.to(self.examples)) @ self.examples.T
        nearest = near.argsort(dim=1, descending=True, stable=True)[:, :k]
        return nn.functional.one_hot(self.classes[nearest], len(self._keys)).float().mean(dim=1)

    def classify(self, x: Any, k: int = 3) -> Any:
        """What `knn.classify` in the sketch gives; a batch [n, d] gives a list of those.

        Args:
            x: a vector, or an array of the shape of the examples.
            k: how many neighbours count.

        Returns:
            {"classIndex", "label", "confidences": {number: share}, "confidencesByLabel": {label: share}}; the last
            only where the classes have labels. Of several likeliest classes the first. (In the sketch, ml5 itself
            forgets classIndex and label when it loads a file: https://github.com/ml5js/ml5-library/issues/1463.)

        Raises:
            MismatchError: see forward.
        """
        batch, single = self._batch(x)
        answers = [self._answer(row) for row in self(batch, k).tolist()]
        return answers[0] if single else answers

    def answer(self, x: Any) -> Any:
        """classify as the other models of ml5 answer: [{"label", "confidence"}], best first; a batch gives a list."""
        batch, single = self._batch(x)
        rows = [sorted(zip(self.labels, row, strict=True), key=lambda pair: -pair[1]) for row in self(batch).tolist()]
        answers = [[{"label": label, "confidence": share} for label, share in row] for row in rows]
        return answers[0] if single else answers

    def add(self, x: Any, label: str) -> None:
        """Add an example, as `knn.addExample`; a label that is new makes a class.

        Raises:
            MismatchError: another length, zeros, or no text as label.
        """
        if not isinstance(label, str) or not label:
            raise MismatchError("label", f"a text expected, found {label!r:.40}")
        batch, _ = self._batch(x)
        vectors = _of_length_1(batch)
        if label not in self.labels:
            self._keys.append(str(max(map(int, self._keys), default=-1) + 1))
            self._names.append(label)
        classes = torch.full((len(vectors),), self.labels.index(label), device=self.classes.device)
        joined = torch.cat([self.classes, classes])
        order = joined.argsort(stable=True)
        self.examples, self.classes = torch.cat([self.examples, vectors])[order], joined[order]
        self._changed = True

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the JSON that ml5 loads, to a path that ends in .json, or as myKNN.json in a folder.

        Raises:
            FilesError: the place cannot be written.
        """
        target = Path(path)
        if target.suffix.lower() != ".json":
            target = target / "myKNN.json"
        write_files(target.parent, [(target.name, [strict_json.dumps(self.to_document(), target.name)])])

    def to_document(self) -> dict[str, Any]:
        """The JSON: as it was found while no example was added."""
        if not self._changed:
            return copy.deepcopy(dict(self._document))
        dataset: dict[str, Any] = {}
        tensors: list[dict[str, Any]] = []
        for at, (key, name) in enumerate(zip(self._keys, self._names, strict=True)):
            rows = self.examples[self.classes == at].cpu().numpy()
            found = self._document["dataset"].get(key, {"kept": True, "dtype": "float32", "rankType": "2"})
            shape = {"shape": list(rows.shape), "size": rows.size}
            dataset[key] = {**found, **shape, **({} if name is None else {"label": name})}
            tensors.append({str(i): value for i, value in enumerate(rows.ravel().tolist())})
        return {**self._document, "dataset": dataset, "tensors": tensors}

    def _batch(self, x: Any) -> tuple[Tensor, bool]:
        width = self.examples.shape[1]
        try:
            given = x.detach() if isinstance(x, Tensor) else torch.from_numpy(np.array(x, np.float32))
        except (TypeError, ValueError, OverflowError) as error:
            raise MismatchError("x", f"numbers expected, found {type(x).__name__}: {error}") from None
        given = given.to(self.examples)
        if given.dim() == 2 and given.shape[1] == width and len(given):
            return given, False
        if given.numel() != width:
            raise MismatchError("x", f"{width} numbers expected, as the examples have, found {list(given.shape)}")
        return given.reshape(1, width), True

    def _answer(self, shares: list[float]) -> dict[str, Any]:
        best = shares.index(max(shares))
        answer = {
            "classIndex": int(self._keys[best]),
            "label": self.labels[best],
            "confidences": dict(zip(self._keys, shares, strict=True)),
        }
        if any(name is not None for name in self._names):
            answer["confidencesByLabel"] = dict(zip(self.labels, shares, strict=True))
        return answer


def open_knn(document: Any, where: str) -> KNN:
    """A module of a parsed JSON of KNNClassifier.save.

    Raises:
        ManifestError: it breaks the layout {"dataset": {number: {"shape", "label"}}, "tensors": [{position: value}]}.
    """
    dataset, tensors = (
        (document.get(key) for key in ("dataset", "tensors")) if isinstance(document, Mapping) else (0, 0)
    )
    if not isinstance(dataset, Mapping) or not isinstance(tensors, list) or len(tensors) != len(dataset) or not dataset:
        raise ManifestError(where, "a dataset with as many classes as there are tensors expected, found another JSON")
    if not all(key.isdecimal() and key.isascii() and len(key) < 10 for key in dataset):
        raise ManifestError(where, f"numbers of classes as keys expected, found {', '.join(dataset)[:80]}")
    keys = sorted(dataset, key=int)  # as JavaScript lists them, whatever the file does
    rows = [_rows(dataset[key], found, f"{where}: class {key}") for key, found in zip(keys, tensors, strict=True)]
    if len({found.shape[1] for found in rows}) != 1:
        raise ManifestError(where, f"examples of one length expected, found {[found.shape[1] for found in rows]}")
    classes = [torch.full((len(found),), at) for at, found in enumerate(rows)]
    return KNN(torch.cat(rows), torch.cat(classes), keys, document)


def _rows(entry: Any, found: Any, where: str) -> Tensor:
    """The examples of a class."""
    shape = entry.get("shape") if isinstance(entry, Mapping) else None
    if not isinstance(shape, list) or len(shape) != 2 or any(type(n) is not int or n < 1 for n in shape):
        raise ManifestError(where, f"a shape [examples, numbers] expected, found {shape!r:.60}")
    count = shape[0] * shape[1]
    values = (
        [found.get(str(at)) for at in range(count)] if isinstance(found, Mapping) and len(found) == count else found
    )
    if not isinstance(values, list) or len(values) != count or any(type(v) not in (int, float) for v in values):
        raise ManifestError(where, f"{count} numbers for the shape {shape} expected, found others")
    try:
        return torch.tensor(values, dtype=torch.float64).float().reshape(shape)
    except (OverflowError, RuntimeError) as error:
        raise ManifestError(where, f"numbers that fit into float32 expected: {error}") from None


def _of_length_1(vectors: Tensor) -> Tensor:
    lengths = vectors.square().sum(dim=1, keepdim=True).sqrt()
    if not bool(((lengths > 0) & lengths.isfinite()).all()):
        raise MismatchError(
            "x", "finite numbers, not all of them zero, expected: a vector of length 0 is near to nothing"
        )
    return vectors / lengths
