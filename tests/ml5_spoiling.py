"""What the situations of `ml5_situations.py` are made of, and small ways to spoil the files of a good ml5 network."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from helpers import SAMPLES

Files = dict[str, bytes]
Document = dict[str, Any]
Spoil = Callable[[Files], Files]

VERSIONS = {"0.x": "0.12.2", "1.x": "1.4.0"}
ROUTES = ("string", "object", "files")
MODEL, META, WEIGHTS = "model.json", "model_meta.json", "model.weights.bin"

# What ml5 1.4.0 saved, byte for byte: three numbers in, four labels out, Dense 16 and Dense 4.
GOOD: Files = {name: (SAMPLES / "ml5-classifier" / name).read_bytes() for name in (MODEL, META, WEIGHTS)}
TASK = "classification"
INPUTS = [{"r": 255, "g": 0, "b": 0}, {"r": 30, "g": 60, "b": 220}, {"r": 127.5, "g": 127.5, "b": 127.5}]


@dataclass(frozen=True)
class Situation:
    """One way to spoil good files; `spoil` takes the three files of `GOOD` and gives new ones.

    `keeps_answers`: right is what the good files answer; else what 1.x answers by the route "object".
    `tolerance`: how far right answers may be off, for files that hold rounded numbers.
    """

    about: str
    spoil: Spoil
    verdicts: Mapping[str, Mapping[str, str]]
    keeps_answers: bool = True
    tolerance: float = 1e-5

    @property
    def harmless(self) -> bool:
        """Whether all versions take the files by all routes."""
        return all(verdict == "ok" for routes in self.verdicts.values() for verdict in routes.values())


SITUATIONS: dict[str, Situation] = {}


def situation(about: str, old: str, new: str, **more: Any) -> Callable[[Spoil], Spoil]:
    """Registers a spoil function; `old` and `new`: the verdicts of 0.x and 1.x by string, object and files."""

    def register(spoil: Spoil) -> Spoil:
        verdicts = {
            version: dict(zip(ROUTES, words.split(), strict=True))
            for version, words in (("0.x", old), ("1.x", new))
        }  # fmt: skip
        SITUATIONS[spoil.__name__.replace("_", "-")] = Situation(about, spoil, verdicts, **more)
        return spoil

    return register


def parsed(files: Files, name: str) -> Any:
    return json.loads(files[name])


def written(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def with_model(files: Files, change: Callable[[Document], object]) -> Files:
    document = parsed(files, MODEL)
    change(document)
    return files | {MODEL: written(document)}


def with_meta(files: Files, change: Callable[[Document], object]) -> Files:
    document = parsed(files, META)
    change(document)
    return files | {META: written(document)}


def layers(document: Document) -> list[Document]:
    found: list[Document] = document["modelTopology"]["config"]["layers"]
    return found


def entries(document: Document) -> list[Document]:
    found: list[Document] = document["weightsManifest"][0]["weights"]
    return found


def renamed(files: Files, names: Mapping[str, str], path: str | None = None) -> Files:
    """Other file names; `path`: what the manifest says from then on."""
    if path is not None:
        files = with_model(files, lambda document: document["weightsManifest"][0].update(paths=[path]))
    return {names.get(name, name): content for name, content in files.items()}


def weights_renamed(files: Files, change: Callable[[str], str]) -> Files:
    """Other names of the weights in the manifest; the topology keeps its own."""
    return with_model(files, lambda d: [entry.update(name=change(entry["name"])) for entry in entries(d)])


def cut(files: Files, at: int) -> Files:
    """One group of two files."""
    data = files[WEIGHTS]
    shards = {"group1-shard1of2.bin": data[:at], "group1-shard2of2.bin": data[at:]}
    return {
        MODEL: with_model(files, lambda d: d["weightsManifest"][0].update(paths=list(shards)))[MODEL],
        META: files[META],
        **shards,
    }


def grouped(files: Files, first: slice, second: slice) -> Files:
    """Two groups with a file each; `first` and `second`: which weights."""
    document, data = parsed(files, MODEL), files[WEIGHTS]
    whole, pieces, start = entries(document), [], 0
    for entry in whole:
        end = start + 4 * int(np.prod(entry["shape"]))
        pieces.append(data[start:end])
        start = end
    groups = {"group1.bin": first, "group2.bin": second}
    document["weightsManifest"] = [{"paths": [name], "weights": whole[which]} for name, which in groups.items()]
    parts = {name: b"".join(pieces[which]) for name, which in groups.items()}
    return {MODEL: written(document), META: files[META], **parts}


def quantized(files: Files, dtype: str) -> Files:
    """One scale for all weights, as the converter's --quantize options write it."""
    values = np.frombuffer(files[WEIGHTS], "<f4")
    if dtype == "float16":
        quantization: Document = {"dtype": dtype}
        data = values.astype("<f2").tobytes()
    else:
        low, steps = float(values.min()), {"uint8": 255, "uint16": 65535}[dtype]
        scale = (float(values.max()) - low) / steps
        quantization = {"dtype": dtype, "min": low, "scale": scale}
        data = np.round((values - low) / scale).astype(np.dtype(dtype).newbyteorder("<")).tobytes()
    spoilt = with_model(files, lambda d: [entry.update(quantization=quantization) for entry in entries(d)])
    return spoilt | {WEIGHTS: data}
