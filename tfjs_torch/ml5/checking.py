"""check(): what ml5 0.x and 1.x will do with saved files, by each way of loading, and how to mend it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

from ..errors import FilesError, ManifestError
from .claims import Network, label_layers
from .columns import Ends, MendedMeta, mended_meta, meta_findings
from .findings import SEVERITIES, Finding, in_version
from .gathering import Saved, kind_of, located, open_source
from .inspecting import Checked, check_network
from .routes import route_findings
from .sketches import sketch_findings, sketches_of
from .topologies import is_graph_model

_ALL: Final = in_version("0.x", "1.x")
# What leaves repair nothing to write that would be worth having: a file is missing, broken or of another save.
HOPELESS: Final = (
    "network-missing", "weights-missing", "meta-missing", "training-data", "knn", "feature-extractor",
    "teachable-machine", "plain-model", "network-broken", "graph-model", "untrained", "weights-dtype",
    "weights-do-not-fit", "weights-short", "meta-broken", "meta-of-another-save", "range-missing", "legend-codes",
)  # fmt: skip


def check(source: Any) -> list[Finding]:
    """What ml5 will do with these files. An empty list: both versions load them by every route and answer right.

    Args:
        source: a folder, the path of the JSON, a .zip (path or bytes), a list of paths, or {file name: bytes or Path}.
            Names count: they are what a browser would see. Where a sketch lies there, its nn.load is looked at, too.
            Of a place without a model of its own it is the folder from which the sketch loads, or the only one below.

    Returns:
        The errors first, then warnings and notes.

    Raises:
        FilesError: there is no such place, or it holds several models. Broken files become findings.

    The rules: src/NeuralNetwork of ml5 0.12.2 and 1.4.0, measured in a browser (tests/ml5_situations.py).

    Example:
        >>> from pathlib import Path
        >>> from tfjs_torch.ml5.checking import check
        >>> files = {f.name: f for f in Path("samples/ml5-classifier").glob("model*")}
        >>> check(files)
        []
        >>> del files["model_meta.json"]
        >>> [(finding.code, finding.severity) for finding in check(files)]
        [('meta-missing', 'error')]
    """
    return diagnose(source).findings


@dataclass
class Diagnosis:
    """What check found, and repair goes on from.

    Attributes:
        saved: the files.
        findings: sorted.
        network: what is known of the network.
        meta: the meta as every ml5 reads it; None where it is missing.
    """

    saved: Saved
    findings: list[Finding] = field(default_factory=list)
    network: Checked = field(default_factory=Checked)
    meta: MendedMeta | None = None


def diagnose(source: Any) -> Diagnosis:
    """check, and what repair needs besides.

    Raises:
        FilesError: see check.
    """
    try:
        files, given = open_source(source)
        sketches = sketches_of(files)
        saved, folder = located(files, given, (folder for sketch in sketches for folder in sketch.folders()))
        diagnosis = Diagnosis(saved)
        found = list(_findings(diagnosis))
        if folder:
            found = [replace(finding, where=f"{folder}/{finding.where}") for finding in found]
        told = [finding for sketch in sketches for finding in sketch_findings(sketch, saved, files, folder)]
        found += [finding for at, finding in enumerate(told) if finding not in told[:at]]  # two pages, one script
    except RecursionError:
        raise ManifestError("model.json", "JSON of a sane depth expected, found it nested too deep") from None
    except OSError as error:
        raise FilesError(str(error.filename or "source"), f"readable files expected, found: {error}") from None
    if any(finding.code in HOPELESS for finding in found):
        first = "Mend the other faults first."
        found = [replace(f, repairable=False, advice=first) if f.repairable else f for f in found]
    diagnosis.findings = sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))
    return diagnosis


def _findings(diagnosis: Diagnosis) -> Iterator[Finding]:
    saved = diagnosis.saved
    if saved.json_name is None:
        yield _without_network(saved)
        return
    other = _another_kind(saved)
    if other is not None:
        yield other
        return
    network = diagnosis.network = check_network(saved)
    yield from network.findings
    missing = _without_weights(saved)
    if missing:
        yield missing
    if saved.meta_name is None:
        yield _without_meta(saved)
        return
    untrained = any(finding.code == "untrained" for finding in network.findings)
    if not untrained:
        movable = network.network.built and bool(label_layers(network.network))
        diagnosis.meta = mended_meta(saved.meta, saved.raw(saved.meta_name), saved.meta_name, movable)
        yield from meta_findings(diagnosis.meta, saved.meta_name, _shape_of(network.network))
    if saved.manifest is not None and not missing:
        yield from route_findings(saved)


def _shape_of(network: Network) -> Ends:
    return Ends(network.entered, network.answered, network.ends_in_softmax)


def _without_network(saved: Saved) -> Finding:
    kinds = {kind_of(document): name for name, document in saved.parsed.items()}
    if "knn" in kinds:
        return _note(
            "knn", kinds["knn"], "A KNNClassifier of ml5 0.x.", "ml5.KNNClassifier().load(...) loads it; 1.x has none."
        )
    if "data" in kinds and saved.lone_weights is None and saved.meta_name is None:
        return Finding(
            "training-data", "error", kinds["data"], "These are training data, and no network lies beside them.",
            "Load them with loadData() and train, or give them to ml5.new(...).train in Python.", False, _ALL,
        )  # fmt: skip
    there = [name for name in (saved.meta_name, saved.lone_weights) if name]
    only = f"only {' and '.join(there)} there" if there else f"no file of ml5's in {', '.join(saved.names[:6]) or 'it'}"
    return Finding(
        "network-missing", "error", "model.json",
        f"The description of the network is missing: there is {only}. A browser that allows one download only drops "
        "the other two of the three.",
        _SAVE_AGAIN, False, _ALL,
    )  # fmt: skip


_SAVE_AGAIN: Final = (
    "Save again, allow the page to download several files, and keep all three: model.json, model_meta.json and "
    "model.weights.bin."
)


def _another_kind(saved: Saved) -> Finding | None:
    """A network that other parts of ml5 load."""
    document, where = saved.document, saved.json_name or ""
    kind = kind_of(document)
    if kind == "knn":
        return _note(
            "knn", where, "A KNNClassifier of ml5 0.x.", "ml5.KNNClassifier().load(...) loads it; 1.x has none."
        )
    if not isinstance(document, dict) or saved.meta_name is not None:
        return None
    if "ml5Specs" in document:
        return _note(
            "feature-extractor", where, "A featureExtractor of ml5 0.x: MobileNet with a new end.",
            "ml5.featureExtractor's load, or ml5.imageClassifier with the URL of the JSON, loads it.",
        )  # fmt: skip
    extra = document.get("userDefinedMetadata")
    if isinstance(extra, dict) and ("labelIndex" in extra or "task" in extra):
        return _note(
            "feature-extractor", where, "The end of a featureExtractor of ml5 1.4, without the MobileNet before it.",
            "ml5.featureExtractor's load in ml5 1.4 loads it.",
        )  # fmt: skip
    beside = saved.parsed.get("metadata.json")
    if kind_of(beside) == "teachable":
        sound = isinstance(beside, dict) and bool({"wordLabels", "words"} & beside.keys())
        part = "ml5.soundClassifier" if sound else "ml5.imageClassifier (1.x wants a full URL)"
        return _note(
            "teachable-machine", where, "A model of Teachable Machine, not of ml5.neuralNetwork.",
            f"{part} loads it, a pose model only Teachable Machine's own library.",
        )  # fmt: skip
    return None if kind != "network" or _is_ml5s(saved) else _plain_model(saved, where)


def _is_ml5s(saved: Saved) -> bool:
    """Whether ml5's save() may have written it: two keys, and a path such as "./NAME.weights.bin"."""
    own = all(path.startswith("./") and path.endswith(".weights.bin") for path in saved.paths)
    return own and set(saved.document) == {"modelTopology", "weightsManifest"}


def _plain_model(saved: Saved, where: str) -> Finding:
    if is_graph_model(saved.document.get("modelTopology")):
        return Finding(
            "graph-model", "error", where,
            'A graph-model of TensorFlow. ml5.neuralNetwork loads layers-models only ("Improper config format").',
            "Use tf.loadGraphModel in the sketch, or export it from Keras as a layers-model.", False, _ALL,
        )  # fmt: skip
    return Finding(
        "plain-model", "error", where,
        "A model of tf.js without ml5's model_meta.json: ml5.neuralNetwork cannot load it. ml5.imageClassifier takes "
        "it if its input is a picture of 224 by 224.",
        "Use tf.loadLayersModel in the sketch, or write a model_meta.json with names, ranges and labels.", False, _ALL,
    )  # fmt: skip


def _note(code: str, where: str, message: str, advice: str) -> Finding:
    return Finding(code, "note", where, f"{message} ml5.neuralNetwork cannot load it.", advice, False)


def _without_weights(saved: Saved) -> Finding | None:
    missing = [path for path, shard in zip(saved.paths, saved.weights, strict=False) if shard is None]
    if not missing:
        return None
    return Finding(
        "weights-missing", "error", missing[0].removeprefix("./"),
        f"The weights are missing: {', '.join(missing[:4])} {'is' if len(missing) == 1 else 'are'} not there.",
        _SAVE_AGAIN, False, _ALL,
    )  # fmt: skip


def _without_meta(saved: Saved) -> Finding:
    return Finding(
        "meta-missing", "error", f"{(saved.json_name or 'model.json').removesuffix('.json')}_meta.json",
        "The names, ranges and labels are missing: without this file ml5 fails to load the network, or says that "
        "it has and fails when it is asked.",
        f"{_SAVE_AGAIN} nn.neuralNetwork.save() leaves this file out, nn.save() does not.", False, _ALL,
    )  # fmt: skip
