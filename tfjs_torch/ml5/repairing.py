"""repair(): the three files written anew such that ml5 0.12 and 1.x load them by every route and answer the same."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from .. import strict_json
from ..artifacts import target_of
from ..errors import FilesError, MismatchError
from ..manifest import parse_manifest
from ..saving import inside, write_files
from ..tensors import encode_all
from .checking import HOPELESS, Diagnosis, diagnose
from .claims import label_layers
from .findings import Finding
from .gathering import check_name
from .inspecting import joined, read_tensors, single_group
from .meta import js_keys
from .vocabulary import A_NUMBER_A_UNIT, UNITS_LAST

_DONE: Final = {
    "browser-duplicate": "The numbers that the browser had added are out of the file names.",
    "text-ending": "The files are called without .txt.",
    "custom-name": "The three files have ml5's default names now: model.json, model_meta.json and model.weights.bin.",
    "renamed-weights": "The weights are called as model.json says.",
    "renamed-meta": "The meta file is called model_meta.json.",
    "renamed-network": "The network is called model.json.",
    "weights-path": "The weights are called model.weights.bin, in model.json too.",
    "several-weight-files": "The weights are joined in one file.",
    "misread-weights": "ml5 1.x reads the weights right now.",
    "other-json": "Other JSON files are left out.",
    "other-bin": "Other .bin files are left out.",
    "topology-text": "The network's description is unpacked.",
    "functional-class": 'The network is a "Model", as ml5 0.x knows it, too.',
    "keras3": "The network is in the form of before Keras 3.",
    "silu": 'The activation "silu" is called "swish"; ml5 1.x knows it, 0.x does not.',
    "unknown-regularizer": "The regularizer is L1L2, as tf.js has it, or left out; only training needs it.",
    "activity-regularizer": "The activity_regularizer is left out; only training needs it.",
    "unknown-initializer": "The initializer is one that tf.js has, or left out; the weights are trained.",
    "initializer-of-1x": "The initializer is one that ml5 0.x knows, too.",
    "unknown-constraint": "The constraint that tf.js does not know is left out; only training needs it.",
    "input-dtype": "The network takes float32.",
    "weights-option": "Weights in the description of a layer are left out.",
    "training-config": "trainingConfig is left out; ml5 does not need it.",
    "layer-names": "Layers, and their weights, have names that tf.js takes.",
    "weight-names": "The weights are called like their layers.",
    "float16": "The weights are float32; they were float16.",
    "weights-whole": "The weights are float32; some were whole numbers.",
    "weights-form": "The weights are listed as float32.",
    "weights-long": "The bytes of the weights that nothing needs are cut off.",
    "meta-0.4": "The meta file is in today's layout; it was that of ml5 0.4.",
    "meta-nan": "The meta file holds null instead of NaN.",
    "legend-missing": "The codes of the labels are there again.",
    "legend-order": "The labels stand in the order of the network's outputs.",
    "number-labels": "The network's outputs are in the order in which JavaScript sorts the labels, as are the labels.",
    "units": "inputUnits and outputUnits say what the network has.",
}


def repair(source: Any, out: str | os.PathLike[str]) -> list[str]:
    """Mend what check calls repairable, and write the three files to `out`.

    A good save comes out byte for byte. Whatever cannot be mended but does no harm to the rest stays as it is, and a
    sentence says so.

    Args:
        source: see check.
        out: a folder or a .zip. Written complete or not at all.

    Returns:
        What was done, in sentences; [] for a good save.

    Raises:
        MismatchError: a file is missing, or holds what cannot be mended (a range that nobody knows, the meta of another
            save ...); says what. FilesError: a place that cannot be read or written.

    What ml5 needs: see check. Answers stay: units that change places do so in the weights and in the labels.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from tfjs_torch.ml5.repairing import repair
        >>> files = {f.name.replace(".", " (1).", 1): f for f in Path("samples/ml5-classifier").glob("model*")}
        >>> sorted(files)
        ['model (1).json', 'model (1).weights.bin', 'model_meta (1).json']
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     done = repair(files, folder)
        ...     sorted(path.name for path in Path(folder).iterdir())
        ['model.json', 'model.weights.bin', 'model_meta.json']
        >>> done
        ['The numbers that the browser had added are out of the file names.']
    """
    folder, json_name = target_of(out)
    if json_name is not None:
        raise FilesError(str(out), "a folder or a .zip to write the three files to expected, found the name of a .json")
    files, done = repaired_files(source)
    write_files(folder, ((name, [data]) for name, data in files.items()))
    return done


def repaired_files(source: Any, name: str = "model") -> tuple[dict[str, bytes], list[str]]:
    """repair in memory.

    Args:
        source: see check.
        name: what the files are called: NAME.json, NAME_meta.json and NAME.weights.bin. By another name than "model"
            ml5 0.x loads them through the file picker only.

    Returns:
        ({file name: bytes}, the JSON last; what was done).

    Raises:
        MismatchError: see repair.

    Example:
        >>> from tfjs_torch.ml5.repairing import repaired_files
        >>> files, done = repaired_files("samples/ml5-regression")
        >>> list(files), done
        (['model.weights.bin', 'model_meta.json', 'model.json'], ['Other JSON files are left out.'])
    """
    check_name(name)
    diagnosis = diagnose(source)
    _refuse(diagnosis)
    repairable = [finding.code for finding in diagnosis.findings if finding.repairable or finding.code == "silu"]
    network, weights = _network_files(diagnosis, repairable, f"./{name}.weights.bin")
    made = {f"{name}.weights.bin": weights, f"{name}_meta.json": _meta_file(diagnosis), f"{name}.json": network}
    done = [_DONE[code] for code in dict.fromkeys(repairable)]
    done += _renamed(diagnosis, name) if not done else []
    left = [f for f in diagnosis.findings if f.severity == "error" and not f.repairable and f.code != "silu"]
    return made, done + [_left(finding) for finding in left]


def _renamed(diagnosis: Diagnosis, name: str) -> list[str]:
    saved = diagnosis.saved
    found = [saved.json_name, saved.meta_name, *map(inside, saved.paths)]
    wanted = [f"{name}.json", f"{name}_meta.json", f"{name}.weights.bin"]
    return [f"The files are called {', '.join(wanted)}."] if found != wanted else []


def _refuse(diagnosis: Diagnosis) -> None:
    for finding in diagnosis.findings:
        if finding.code in HOPELESS:
            raise MismatchError(
                finding.where, f"files that can be mended expected, found: {finding.message} {finding.advice}"
            )


def _left(finding: Finding) -> str:
    return f"Left as it is: {finding.message} {finding.advice}"


def _network_files(diagnosis: Diagnosis, codes: Sequence[str], path: str) -> tuple[bytes, bytes]:
    """model.json and the weights."""
    saved, checked, meta = diagnosis.saved, diagnosis.network, diagnosis.meta
    assert saved.manifest is not None
    assert saved.json_name is not None
    order = meta.order if meta else ()
    names = {claim.spec.name: claim.name for claim in checked.renamed}
    in_place = [inside(found) for found in saved.paths] == [inside(path)]
    described = bool(checked.codes) or "training-config" in codes
    if not (order or names or described or checked.rounded) and in_place:
        return saved.raw(saved.json_name), joined(saved)
    groups = single_group(saved.manifest, names, bool(order or checked.rounded), path)
    document = {**saved.document, "modelTopology": checked.topology, "weightsManifest": groups}
    if "training-config" in codes:
        del document["trainingConfig"]
    text = strict_json.dumps(document, saved.json_name)
    if not (order or checked.rounded):
        return text, joined(saved)
    tensors = read_tensors(saved)
    if order:
        _move_units(tensors, diagnosis, order)
    manifest = parse_manifest(document, saved.json_name)
    encoding = encode_all(manifest, {names.get(key, key): _as_float(value) for key, value in tensors.items()})
    return text, b"".join(bytes(piece) for piece in encoding.pieces())


def _as_float(array: Any) -> Any:
    """float32, which is what tf.js computes in."""
    return array.astype(np.float32) if array.dtype.kind in "biuf" else array


def _move_units(tensors: dict[str, Any], diagnosis: Diagnosis, order: Sequence[int]) -> None:
    """Let unit i be what order[i] was: in the last kernel and bias, and in what lies behind them."""
    classes = dict(label_layers(diagnosis.network.network))
    for claim in diagnosis.network.network.claims:
        class_name = classes.get(claim.layer)
        moved = class_name in A_NUMBER_A_UNIT or (
            class_name in UNITS_LAST and claim.weight in ("kernel", "pointwise_kernel", "bias")
        )
        array = tensors[claim.spec.name]
        if moved and array.shape[-1] >= len(order):  # a PReLU may share one number among all units
            whole = [*order, *range(len(order), array.shape[-1])]
            tensors[claim.spec.name] = np.ascontiguousarray(array[..., whole])


def _meta_file(diagnosis: Diagnosis) -> bytes:
    saved, meta = diagnosis.saved, diagnosis.meta
    assert saved.meta_name is not None
    assert meta is not None
    document = meta.document
    entered, answered = diagnosis.network.network.entered, diagnosis.network.network.answered
    changed = bool(set(meta.codes) - {"number-labels"}) or bool(meta.order)
    if any(finding.code == "units" for finding in diagnosis.findings):
        changed = True
        known = list(entered or ())
        sizes = {"inputUnits": [] if None in known else known, "outputUnits": answered[0] if answered else None}
        document = {**document, **{key: size for key, size in sizes.items() if size}}
    return strict_json.dumps(_in_js_order(document), saved.meta_name) if changed else saved.raw(saved.meta_name)


def _in_js_order(document: Mapping[str, Any]) -> dict[str, Any]:
    """Columns as JavaScript would write them."""
    sides = {side: {key: document[side][key] for key in js_keys(document[side])} for side in ("inputs", "outputs")}
    return {**document, **sides}
