"""What ml5 stumbles over in model.json and the weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from ..codec import extents
from ..encoder import Stored
from ..errors import TfjsTorchError, UnsupportedError
from ..manifest import Manifest, parse_manifest
from ..shards import MAX_MAPPED, MemoryShard, Shard, Stream
from ..tensors import StoredTensor
from .claims import Claim, Network, build
from .findings import Finding, in_version
from .gathering import Saved, kind_of, needed
from .topologies import (
    has_layers,
    is_compilable,
    is_graph_model,
    layer_nodes,
    mended_topology,
    refused_names,
    snake_cased,
    unknown_activations,
    unknown_layers,
    with_names,
)
from .vocabulary import WITH_KERNEL

_ALL: Final = in_version("0.x", "1.x")
_OLD: Final = in_version("0.x")
_NEW: Final = in_version("1.x")
_MOST_READ: Final = 256 << 20  # bytes of weights that are looked through for NaN

_MENDABLE: Final = {
    "topology-text": (
        _ALL, "The network's description is a text inside of the JSON, which no tf.js reads.", "Let repair unpack it.",
    ),
    "functional-class": (
        _OLD, 'The network is called "Functional", a name that came after ml5 0.x, which knows it as "Model".',
        "Let repair write the older name, which both know.",
    ),
    "keras3": (
        _ALL, "The network was written by Keras 3 (batch_shape, dtype policies), whose form no tf.js reads.",
        "Let repair write it in the older form.",
    ),
    "silu": (
        _ALL, 'The activation "silu" is not known to tf.js.',
        'Let repair write its other name, "swish"; ml5 1.x knows it, 0.x does not.',
    ),
    "unknown-regularizer": (
        _ALL, "A regularizer is one that no tf.js knows by this name; Keras' L1 and L2 are such.",
        "Let repair write it as tf.js knows it, or leave it out: it matters in training only.",
    ),
    "activity-regularizer": (
        _ALL, "There is an activity_regularizer, with which tf.js runs no layer.",
        "Let repair leave it out: it matters in training only.",
    ),
    "unknown-initializer": (
        _ALL, "An initializer (what the weights were before training) is one that no tf.js knows.",
        "Let repair write it as tf.js knows it, or leave it out: the weights are trained.",
    ),
    "initializer-of-1x": (
        _OLD, 'The initializer "LeCunUniform" came with ml5 1.x; 0.x does not know it.',
        "Let repair write it in a form that both know.",
    ),
    "unknown-constraint": (
        _ALL, "A constraint is one that no tf.js knows.",
        "Let repair leave it out: it matters in training only.",
    ),
    "input-dtype": (
        _ALL, "The network takes numbers of a type (dtype) that ml5 cannot give it.",
        "Let repair write float32.",
    ),
    "weights-option": (
        _ALL, "A layer brings weights in its description, where no tf.js can read them.",
        "Let repair leave them out; the weights of the other file stay.",
    ),
}  # fmt: skip


@dataclass
class Checked:
    """What is known of a network.

    Attributes:
        findings: in the order in which they were found.
        topology: as every tf.js reads it; `codes` say what was changed.
        manifest: the checked manifest; weights may be missing.
        network: built of both.
        renamed: the claims whose tensors have other names than tf.js wants.
        rounded: whether there are numbers in a form that not every tf.js reads.
    """

    findings: list[Finding] = field(default_factory=list)
    topology: Any = None
    codes: list[str] = field(default_factory=list)
    network: Network = field(default_factory=Network)
    renamed: list[Claim] = field(default_factory=list)
    rounded: bool = False


def check_network(saved: Saved) -> Checked:
    """Look through model.json and the weights as far as they are there."""
    checked = Checked()
    checked.findings += _look(saved, checked)
    return checked


def _look(saved: Saved, checked: Checked) -> Iterator[Finding]:
    where = saved.json_name or "model.json"
    document = saved.document
    if document is None or kind_of(document) != "network":
        problem = str(saved.problem) if saved.problem else f"{where}: it describes no network"
        advice = "Open it in a text editor, or take another copy."
        yield Finding("network-broken", "error", where, f"ml5 cannot load it: {problem}.", advice, False, _ALL)
        return
    topology = document.get("modelTopology") if isinstance(document, dict) else None
    checked.topology, checked.codes = mended_topology(topology)
    if is_graph_model(topology):
        yield Finding(
            "graph-model", "error", where,
            'A graph-model of TensorFlow. ml5.neuralNetwork loads layers-models only ("Improper config format").',
            "Export it from Keras as a layers-model.", False, _ALL,
        )  # fmt: skip
        return
    if isinstance(checked.topology, dict) and not has_layers(checked.topology):
        yield Finding(
            "untrained", "error", where,
            "The network has no layers: it was saved before it was trained.",
            "Train it, and save it in the callback that says that training has ended.", False, _ALL,
        )  # fmt: skip
        return
    for code in checked.codes:
        fails, message, advice = _MENDABLE[code]
        yield Finding(code, "error", where, message, advice, code != "silu", fails)
    yield from _vocabulary(checked.topology, where)
    yield from _words(document.get("trainingConfig"), checked.topology, where)
    if saved.manifest is None or any(0 in spec.shape for spec in saved.manifest.specs):
        yield _manifest_problem(saved, where)
        return
    yield from _built(saved.manifest, checked, where)
    yield from _forms(saved.manifest, checked, where)
    if checked.network.built:
        yield from _lengths(saved)


def _words(training: Any, topology: Any, where: str) -> Iterator[Finding]:
    """What is said that some ml5 does not follow, or not as Keras does."""
    if not is_compilable(training):
        yield Finding(
            "training-config", "error", where,
            "The JSON says how to go on training (trainingConfig), in words that ml5 1.x cannot follow.",
            "Let repair leave it out: ml5 does not need it.", True, _NEW,
        )  # fmt: skip
    if any(_is_whole(config) for _, config in layer_nodes(topology)):
        yield Finding(
            "input-whole", "warning", where,
            "The network says that it takes whole numbers (int32 or bool): ml5 cuts off what is behind the point.",
            "Give it whole numbers only, or build it with float32.", False,
        )  # fmt: skip


def _is_whole(config: dict[str, Any]) -> bool:
    return bool(config.get("batch_input_shape")) and config.get("dtype") in ("int32", "bool")


def _vocabulary(topology: Any, where: str) -> Iterator[Finding]:
    for what, unknown in (("layer", unknown_layers), ("activation", unknown_activations)):
        nowhere = unknown(topology, "1.x")
        newer = [name for name in unknown(topology, "0.x") if name not in nowhere]
        if nowhere:
            yield Finding(
                f"unknown-{what}", "error", where,
                f"No ml5 knows the {what} {', '.join(nowhere[:4])}.",
                f"Build the network with {what}s that tf.js has.", False, _ALL,
            )  # fmt: skip
        if newer:
            yield Finding(
                f"{what}-of-1x", "error", where,
                f"The {what} {', '.join(newer[:4])} came with ml5 1.x; 0.x does not know it.",
                "Use ml5 1.x, or build the network without it.", False, _OLD,
            )  # fmt: skip


def _manifest_problem(saved: Saved, where: str) -> Finding:
    if isinstance(saved.problem, UnsupportedError):
        return Finding(
            "weights-dtype", "error", where,
            f"Weights have a type that no tf.js reads. {saved.problem}.", 
            "Convert the model again, as float32.", False, _ALL,
        )  # fmt: skip
    empty = "a weight without a number" if saved.manifest else "there is no list of weights"
    said = saved.problem or empty
    return Finding("network-broken", "error", where, f"ml5 cannot load it: {said}.", "Save it again.", False, _ALL)


def _built(manifest: Manifest, checked: Checked, where: str) -> Iterator[Finding]:
    network = checked.network = build(snake_cased(checked.topology), manifest)
    if network.problem is not None:
        if network.wiring is None:
            yield Finding(
                "network-broken",
                "error",
                where,
                f"ml5 cannot load it: {network.problem}.",
                "Save it again.",
                False,
                _ALL,
            )
        elif not network.unsupported and not unknown_layers(checked.topology, "1.x"):
            yield Finding(
                "weights-do-not-fit", "error", where,
                f"Layers and weights do not fit each other, and ml5 fails to load them. {network.problem}.",
                "Put the three files of one save together.", False, _ALL,
            )  # fmt: skip
        return
    yield from _entrance(network, where)
    renamed = [claim for claim in network.claims if claim.name != claim.spec.name]
    yield from _names(checked, where)
    wrong = [claim for claim in renamed if _without_cell(claim.spec.name) != claim.name]
    if renamed:
        claim = (wrong or renamed)[0]
        newer = "" if wrong else " tf.js in ml5 1.x overlooks that, in 0.x it does not."
        yield Finding(
            "weight-names", "error", where,
            f"The weights are called like {claim.spec.name!r}, and the layers look for {claim.name!r}.{newer}",
            "Let repair rename them.", True, _ALL if wrong else _OLD,
        )  # fmt: skip


def _entrance(network: Network, where: str) -> Iterator[Finding]:
    if network.entered is None:
        yield Finding(
            "input-unknown", "error", where,
            "The network has several inputs, or does not say what it takes. ml5 gives it one.",
            "Build it with one input of a known shape.", False, _ALL,
        )  # fmt: skip
    elif _lacks_size(network):
        yield Finding(
            "input-unknown", "error", where,
            f"The network does not say how many numbers it takes: {list(network.entered)}. No tf.js can give it "
            "weights so.",
            "Build it with an input of a known shape.", False, _ALL,
        )  # fmt: skip


def _lacks_size(network: Network) -> bool:
    """Whether the first kernel's size is not known beforehand."""
    classes = {node.name: node.class_name for node in network.wiring.nodes} if network.wiring else {}
    first = classes.get(network.claims[0].layer) if network.claims else None
    return first in WITH_KERNEL and (network.entered or ())[-1:] == (None,)


def _names(checked: Checked, where: str) -> Iterator[Finding]:
    """Layers get names that tf.js takes, and their weights with them."""
    names = refused_names(checked.topology)
    checked.topology = with_names(checked.topology, names) if names else checked.topology
    claims = [claim._replace(name=_within(claim.name, names)) for claim in checked.network.claims]
    checked.renamed = [claim for claim in claims if claim.name != claim.spec.name]
    if names:
        checked.codes.append("layer-names")
        yield Finding(
            "layer-names", "error", where,
            f"tf.js refuses the name of the layer {next(iter(names))!r}: a name is of letters (a to z), digits and "
            "-._/, and begins with a letter or digit.",
            "Let repair rename it.", True, _ALL,
        )  # fmt: skip


def _within(name: str, names: dict[str, str]) -> str:
    """A weight's name with its layer's new one."""
    old = next((old for old in names if name.startswith(f"{old}/")), None)
    return name if old is None else names[old] + name[len(old) :]


def _without_cell(name: str) -> str:
    """As the newer tf.js reads "lstm/lstm_cell/kernel"."""
    tokens = name.split("/")
    return "/".join([*tokens[:-2], tokens[-1]])


def _forms(manifest: Manifest, checked: Checked, where: str) -> Iterator[Finding]:
    half = [spec.name for spec in manifest.specs if spec.quantization and spec.stored == "float16"]
    if half:
        yield Finding(
            "float16", "error", where,
            f"{len(half)} weights are stored as float16, which ml5 0.x does not read (\"unknown quantization dtype\").",
            "Let repair write them as float32.", True, _OLD,
        )  # fmt: skip
    whole = [spec.name for spec in manifest.specs if spec.dtype in ("int32", "bool")]
    if whole:
        yield Finding(
            "weights-whole", "error", where,
            f"{len(whole)} weights are stored as whole numbers ({whole[0]}), with which no tf.js computes.",
            "Let repair write them as float32.", True, _ALL,
        )  # fmt: skip
    if manifest.notes:
        yield Finding(
            "weights-form", "error", where,
            f"tf.js refuses how the weights are listed: {'; '.join(manifest.notes[:2])}.",
            "Let repair write them as float32.", True, _ALL,
        )  # fmt: skip
    checked.rounded = bool(half or whole or manifest.notes)


def _lengths(saved: Saved) -> Iterator[Finding]:
    assert saved.manifest is not None
    if not saved.weights or any(shard is None for shard in saved.weights):
        return
    shards = [shard for shard in saved.weights if shard is not None]
    where = ", ".join(shard.name.removeprefix("./") for shard in shards[:3])
    found, wanted = sum(shard.nbytes for shard in shards), [n for n in needed(saved.manifest) if n is not None]
    groups = group_streams(saved)
    if any(n is not None and stream.nbytes < n for stream, n in zip(groups, needed(saved.manifest), strict=True)):
        yield Finding(
            "weights-short", "error", where,
            f"The network needs {sum(wanted)} bytes of weights, and there are {found}: a part is missing, or it is "
            "the file of another save.",
            "Find the file that was saved together with model.json.", False, _ALL,
        )  # fmt: skip
    elif found > sum(wanted):
        yield Finding(
            "weights-long", "warning", where,
            f"The network needs {sum(wanted)} bytes of weights, and there are {found}. ml5 ignores the rest without a "
            "word; it may be the file of another save.",
            "Let repair cut it off, if it is the right file.", True,
        )  # fmt: skip
    elif found <= _MOST_READ and (broken := _not_numbers(saved)):
        yield Finding(
            "weights-nan", "error", where,
            f"Weights are NaN or infinite ({', '.join(broken[:3])}), so every answer is NaN.",
            "Train again: with cleaned data, normalised, or with a lower learning rate.", False, _ALL,
        )  # fmt: skip


def _not_numbers(saved: Saved) -> list[str]:
    try:
        tensors = read_tensors(saved)
    except TfjsTorchError:
        return []
    return [name for name, array in tensors.items() if array.dtype.kind == "f" and not np.isfinite(array).all()]


def group_streams(saved: Saved) -> list[Stream]:
    """The weight bytes of each group, however many there are."""
    assert saved.manifest is not None
    left: Iterator[Shard | None] = iter(saved.weights)
    shards = [[next(left) for _ in group.paths] for group in saved.manifest.groups]
    return [Stream([s for s in group if s is not None], len(saved.weights) <= MAX_MAPPED) for group in shards]


def joined(saved: Saved) -> bytes:
    """The bytes of all groups, what is too much cut off."""
    assert saved.manifest is not None
    parts = []
    for stream, length in zip(group_streams(saved), needed(saved.manifest), strict=True):
        raw = np.empty(stream.nbytes if length is None else min(length, stream.nbytes), np.uint8)
        with stream:
            stream.read(0, raw) if raw.size else None
        parts.append(raw.tobytes())
    return b"".join(parts)


def read_tensors(saved: Saved) -> dict[str, Any]:
    """All tensors as arrays.

    Raises:
        TfjsTorchError: the bytes are none.
    """
    assert saved.manifest is not None
    specs = saved.manifest.specs
    stream = Stream([MemoryShard("weights", joined(saved))])
    places = extents(specs, stream, saved.where)
    return {
        spec.name: np.asarray(StoredTensor(spec, Stored(stream, place)))
        for spec, place in zip(specs, places, strict=True)
    }


def single_group(manifest: Manifest, names: dict[str, str], plain: bool, path: str) -> list[dict[str, Any]]:
    """The list of weights in one group and one file, tensors renamed; `plain`: all of them as float32."""
    groups = manifest.document.get("weightsManifest") or []
    entries = []
    for entry in (entry for group in groups for entry in group["weights"]):
        entry = {**entry, "name": names.get(entry["name"], entry["name"])}
        if plain:
            entry.pop("quantization", None)
            entry["dtype"] = "float32"
        entries.append(entry)
    group = {**groups[0], "paths": [path], "weights": entries} if groups else {"paths": [path], "weights": entries}
    parse_manifest([group], path)
    return [group]
