"""Which files ml5's three ways of loading get hold of, and what goes wrong on the way. No torch.

Each rule follows load and loadMeta of ml5 0.12.2 and 1.4.0 (src/NeuralNetwork/NeuralNetwork.js,
NeuralNetworkData.js) and of the tf.js that they bring (io/browser_files.ts, io/http.ts, composite_array_buffer.ts).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from ..saving import inside
from ..sharding import misread_by_tfjs
from .findings import VERSIONS, Finding, failing, words_of
from .gathering import Saved, is_numbered, stem_of

META: Final = "model_meta.json"
WEIGHTS: Final = "model.weights.bin"

_SAID: Final = {
    "browser-duplicate": (
        "The browser has added a number to the name because a file of that name was there already. ml5 looks for the "
        "name without it.",
        'Take the number " (1)" out of the names, or let repair do it.',
    ),
    "text-ending": (
        "The names end in .txt: a mail program or the system has added it. ml5 looks for the names without it.",
        "Take .txt off all three, or let repair do it.",
    ),
    "custom-name": (
        'The model was saved under a name of its own. ml5 asks for "model_meta.json" beside it whatever the name, and '
        '0.x takes the weights for "model.weights.bin".',
        "Save as model, rename all three files and the path in the JSON, or let repair do it.",
    ),
    "renamed-weights": (
        "The weights do not have the name that the JSON gives.",
        "Give them their old name again, or let repair write the new one into the JSON.",
    ),
    "renamed-meta": (
        'ml5 looks for the columns and ranges in "model_meta.json", and in the file picker for a name with '
        '"_meta.json".',
        "Call the file model_meta.json.",
    ),
    "renamed-network": (
        "ml5's file picker takes the first file with .json in its name, but without _meta. This one it does not take.",
        "Call the file model.json.",
    ),
    "weights-path": (
        'ml5 0.x calls the weights "model.weights.bin" when it is given {model, metadata, weights}, and the JSON has '
        "another name for them.",
        "Let repair rename them.",
    ),
    "several-weight-files": (
        "The weights are in several files. ml5 hands on one only.",
        "Let repair join them.",
    ),
    "misread-weights": (
        "The last file of weights is larger than the others. The tf.js in ml5 1.x reads wrong numbers from it and does "
        "not say so: every answer is wrong.",
        "Let repair join the files.",
    ),
    "other-json": (
        "A JSON that does not belong to the network lies beside it. If all files are chosen in the file picker, ml5 "
        "takes the first by name, which is not the network.",
        "Choose the three files only, or put the other one elsewhere.",
    ),
    "other-bin": (
        "Another .bin lies beside the weights. If all files are chosen in the file picker, ml5 takes the first by "
        "name.",
        "Choose the three files only, or put the other one elsewhere.",
    ),
}
_MAY = ("other-json", "other-bin")  # nobody has to choose the files that lie beside


def route_findings(saved: Saved) -> Iterator[Finding]:
    """What names, paths and the number of files lead to. Network, weights and meta must be there."""
    grouped: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for version in VERSIONS:
        for code, route in {*_string(saved, version), *_object(saved, version), *_files(saved, version)}:
            grouped[code].append((version, route))
    for code in _SAID:
        if code in grouped:
            message, advice = _SAID[code]
            message += _newer(saved) if code == "other-json" else ""
            fails = failing(grouped[code])
            severity = "warning" if code in _MAY else "error"
            where = _where(saved, code)
            yield Finding(code, severity, where, f"{message} Goes wrong {words_of(fails)}.", advice, True, fails)


def _newer(saved: Saved) -> str:
    """What to say of a second save beside the first."""
    stem = stem_of(saved.json_name or "")
    later = [name for name in saved.names if is_numbered(name) and ".json" in name and stem_of(name) == stem]
    if not later or is_numbered(saved.json_name or ""):
        return ""
    return f" {later[-1]} looks like a later save, which the browser has numbered; here {saved.json_name} is taken."


def _string(saved: Saved, version: str) -> Iterator[tuple[str, str]]:
    """ml5.neuralNetwork().load("model.json"): everything else is asked for by its name."""
    found = [shard and inside(shard.name) for shard in saved.weights]
    if found != [inside(path) for path in saved.paths]:
        yield _weights_code(saved), "string"
    if META not in saved.names:
        yield _meta_code(saved), "string"
    if version == "1.x" and misread_by_tfjs([shard.nbytes for shard in saved.weights if shard]):
        yield "misread-weights", "string"


def _object(saved: Saved, version: str) -> Iterator[tuple[str, str]]:
    """{model, metadata, weights}: any names, but one file of weights, which 0.x calls model.weights.bin."""
    if len(saved.paths) > 1:
        yield "several-weight-files", "object"
    elif version == "0.x" and saved.paths and _basename(saved.paths[0]) != WEIGHTS:
        own = f"{stem_of(saved.json_name or '')}.weights.bin"
        yield "custom-name" if _basename(saved.paths[0]) == own else "weights-path", "object"


def _files(saved: Saved, version: str) -> Iterator[tuple[str, str]]:
    """A FileList of everything that lies there: the first that fits is taken."""
    names = [*saved.names, *(_basename(path) for path in saved.paths if "/" in inside(path))]
    for ordered in (names, sorted(names)):
        networks = [name for name in ordered if ".json" in name and "_meta" not in name]
        metas = [name for name in ordered if "_meta.json" in name]
        binaries = [name for name in ordered if ".bin" in name and (version == "1.x" or ".json" not in name)]
        if saved.json_name not in networks:
            yield "renamed-network", "files"
        elif networks[0] != saved.json_name:
            yield "other-json", "files"
        if not metas or (metas[0] != saved.meta_name and saved.meta_name not in metas):
            yield _meta_code(saved), "files"
        elif metas[0] != saved.meta_name:
            yield "other-json", "files"
        if len(saved.paths) > 1:
            yield "several-weight-files", "files"
        elif saved.paths and saved.weights[0] is not None:
            taken = _basename(saved.weights[0].name)
            if taken != _basename(saved.paths[0]):
                yield _weights_code(saved), "files"
            elif taken not in binaries:
                yield "custom-name", "files"
            elif binaries[0] != taken:
                yield "other-bin", "files"


def _weights_code(saved: Saved) -> str:
    names = [shard.name for shard in saved.weights if shard is not None]
    if any(name.endswith(".txt") for name in names):
        return "text-ending"
    return "browser-duplicate" if any(map(is_numbered, names)) else "renamed-weights"


def _meta_code(saved: Saved) -> str:
    name = saved.meta_name or ""
    if is_numbered(name) or name.endswith(".txt"):
        return "browser-duplicate" if is_numbered(name) else "text-ending"
    own = name == f"{stem_of(saved.json_name or '')}_meta.json" and name != META
    return "custom-name" if own else "renamed-meta"


def _where(saved: Saved, code: str) -> str:
    if code in ("renamed-weights", "several-weight-files", "misread-weights", "weights-path"):
        return ", ".join(path.removeprefix("./") for path in saved.paths[:3])
    if code == "browser-duplicate":
        names = [saved.json_name, saved.meta_name, *(shard.name for shard in saved.weights if shard)]
        return ", ".join(name for name in names if name and is_numbered(name))
    if code == "renamed-meta":
        return saved.meta_name or META
    if code == "other-json":
        others = [name for name in saved.names if ".json" in name and name not in (saved.json_name, saved.meta_name)]
        return ", ".join(others[:3])
    if code == "other-bin":
        own = {shard.name for shard in saved.weights if shard}
        return ", ".join(
            [name for name in saved.names if ".bin" in name and f"./{name}" not in own and name not in own][:3]
        )
    return saved.json_name or "model.json"


def _basename(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]
