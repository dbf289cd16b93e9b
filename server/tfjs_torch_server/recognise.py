"""Which part of an upload is what: models, weights that go back, rows, options. By content, then by name."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from tfjs_torch import Artifacts, read_artifacts

from .known import Known
from .media import PICTURE, SOUND, Sample
from .multipart import Part
from .options import KNOWN
from .problems import Problem
from .settings import Settings
from .work import Work
from .zips import CONTAINERS, ZIP, File, Room, open_zip

_NAMELESS: Final = ("", "blob")  # what FormData calls a Blob
_SUFFIX: Final = "|".join(map(re.escape, CONTAINERS))
_TABLES: Final = (".csv", ".tsv")
DATA: Final = "data"  # the field of rows to train with
_MAX_NAME: Final = 1024
_MAX_ID: Final = 100  # characters of what may be an id
_SMALL: Final = 1 << 17  # bytes
_BLANKS: Final = 4096  # bytes that are looked at for the first one that is no blank
_known: Final = Known()


_INPUTS: Final = ("input", "inputs")
_MAX_OPTION: Final = 1 << 20  # bytes


@dataclass
class Model:
    """One model of an upload.

    Attributes:
        files: {name: bytes or path}.
        weights: a .safetensors, .npz or .pt whose numbers replace those of the files.
    """

    files: dict[str, File] = field(default_factory=dict)
    weights: tuple[str, Path] | None = None

    def artifacts(self) -> Artifacts | None:
        """The checked model.json with its files; with weights of its own it is a template, whose .bin may be missing.

        Raises:
            TfjsTorchError: see tfjs_torch.read_artifacts.
        """
        if not self.files and self.weights:
            return None
        if not self.weights:
            return _known.read(self.files)
        template = read_artifacts(self.files, weights=False)
        return read_artifacts(self.files) if all(map(self._has, template.manifest.paths)) else template

    def _has(self, path: str) -> bool:
        return path.removeprefix("./") in self.files


@dataclass
class Upload:
    """What came in.

    Attributes:
        models: the main one first; none where only the id of a stored one came.
        options: {name: values} of the form's fields.
        ignored: names of files that belong to no model.
        data: names and contents of files with rows to train with.
        samples: pictures or sounds to ask about.
    """

    models: list[Model]
    options: dict[str, list[str]]
    ignored: list[str] = field(default_factory=list)
    data: list[tuple[str, File]] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)


def is_small(parts: list[Part]) -> bool:
    """Whether recognise() takes less than a millisecond: little to read, nothing to unpack, nothing to write."""
    names = (part.filename or part.name for part in parts)
    return (
        sum(part.size for part in parts) <= _SMALL
        and not any(part.head(4) in ZIP for part in parts)
        and not any(name.lower().endswith(CONTAINERS) for name in names)
    )


def recognise(parts: list[Part], work: Work, settings: Settings, stored: bool = False) -> Upload:
    """Sort the parts of a form; `stored`: the address names a model.

    Raises:
        Problem: 400 no model, or files that cannot be told apart; 413 beyond a limit; 415 other kinds of files.
    """
    options, rest = without_options(parts, settings)
    files: list[tuple[str, File]] = []
    zips: list[list[tuple[str, File]]] = []
    data: list[tuple[str, File]] = []
    samples: list[Sample] = []
    room = Room(settings.max_upload)
    for name, part in rest:
        if part.name == DATA and is_data(name, part.data, settings, named=part.filename is None):
            data.append((name, part.data))
        elif part.name in (PICTURE, SOUND):
            samples.append(Sample(part.name, name, part.data))
        else:
            found, is_zip = unpacked(part, name, work, settings, room)
            zips += [found] if is_zip else []
            files += [] if is_zip else found
    models, ignored = _models_of(files, work, settings, data)
    for members in zips:
        found_models, left = _models_of(members, work, settings, data)
        models, ignored = models + found_models, ignored + left
    ignored += [sample.name for sample in samples]
    if samples and not files and not zips and not stored and "model" not in options:
        raise Problem(
            400, samples[0].field, "the files of a model beside it expected, found none",
            "add them, or model=ID of a stored one",
        )  # fmt: skip
    if not models and "model" not in options and not stored:
        raise _nothing_found(files, ignored)
    return Upload(_with_templates(models), options, ignored, data, samples)


def without_options(parts: list[Part], settings: Settings) -> tuple[dict[str, list[str]], list[tuple[str, Part]]]:
    """The options of a form, and the other parts with the names of their files.

    Raises:
        Problem: 400, 413.
    """
    options: dict[str, list[str]] = {}
    rest: list[tuple[str, Part]] = []
    for number, part in enumerate(parts, 1):
        if is_option(part):
            options.setdefault(part.name, []).append(option_of(part, settings))
        else:
            rest.append((name_of(part, number), part))
    return options, rest


def unpacked(part: Part, name: str, work: Work, settings: Settings, room: Room) -> tuple[list[tuple[str, File]], bool]:
    """The files of a part, and whether it is a zip of several.

    Raises:
        Problem: 400 broken, 413 a bomb.
    """
    members = open_zip(part, name, work, settings, room) if part.head(4) in ZIP else None
    return (members, True) if isinstance(members, list) else ([(members or name, part.data)], False)


def is_option(part: Part) -> bool:
    """Whether a part is text for an option; a field "model" may hold a whole model.json, too."""
    return part.filename is None and part.name in KNOWN and not (part.name == "model" and part.size > _MAX_ID)


def is_data(name: str, data: File, settings: Settings, named: bool = False) -> bool:
    """Whether what came in a field "data" are rows, and not files of a model; `named`: it came as text, without a name.

    Raises:
        Problem: 400 nested too deep, 413 too long.
    """
    if named or name.lower().endswith(_TABLES):
        return True
    text = json_text(name, data, settings)
    if text is None:  # broken, perhaps; then that is what should be said of it
        return name.lower().endswith(".json") and DATA in name.lower()
    return not _is_model(text) and not _is_meta(text)


def refuse_odd(artifacts: Artifacts, settings: Settings) -> None:
    """Refuse what no real model has: a hundred thousand tensors, paths that no folder and no zip can hold.

    Raises:
        Problem: 413, 400.
    """
    count = len(artifacts.manifest.specs)
    if count > settings.max_tensors:
        raise Problem(413, "model", f"at most {settings.max_tensors} tensors expected, found {count}")
    for path in artifacts.manifest.paths:
        if len(path) > _MAX_NAME:
            raise Problem(
                400, f"{path[:60]}...", f"a path of at most {_MAX_NAME} characters expected, found {len(path)}"
            )


def _with_templates(models: list[Model]) -> list[Model]:
    """Weights that come without a model.json go into the one that came, beside other weights or its own .bin."""
    bare = [model for model in models if not model.files]
    whole = [model for model in models if model.files]
    if not bare or not whole:
        return models
    if len(whole) == 1 and whole[0].weights is None:
        whole[0].weights = bare.pop(0).weights
    for model in bare:
        model.files = dict(whole[0].files)
    return whole + bare


def _models_of(
    files: list[tuple[str, File]], work: Work, settings: Settings, tables: list[tuple[str, File]]
) -> tuple[list[Model], list[str]]:
    """The models of a flat list of files, and the names of files that belong to none; rows go to `tables`."""
    jsons: list[tuple[str, str, bytes]] = []  # folder, name, text
    rest: list[tuple[str, File]] = []
    weights: list[tuple[str, File]] = []
    for name, data in files:
        if name.lower().endswith(CONTAINERS):
            weights.append((name, data))
            continue
        text = json_text(name, data, settings)
        if name.lower().endswith(_TABLES) or (text is not None and _is_saved_data(text)):
            tables.append((name, data))
        elif text is not None and _is_model(text):
            folder, _, own = name.rpartition("/")
            jsons.append((folder, own if own.endswith(".json") else "model.json", text))
        else:
            rest.append((_sidecar_name(name, text), data))
    models = [Model({name: text}) for _, name, text in jsons]
    ignored: list[str] = []
    for name, data in rest:
        places = [i for i, (folder, _, _) in enumerate(jsons) if not folder or name.startswith(f"{folder}/")]
        depth = max((len(jsons[i][0]) for i in places), default=0)
        places = [i for i in places if len(jsons[i][0]) == depth]
        if places:
            _give([(models[i], jsons[i]) for i in places], name, data)
        else:
            ignored.append(name)
    for name, data in weights:
        models.append(Model(weights=(name, _on_disk(name, data, work))))
    return models, ignored


def _give(places: list[tuple[Model, tuple[str, str, bytes]]], name: str, data: File) -> None:
    """Models with names of their own share the files of a folder; of equally named ones, each takes its turn."""
    shared = len({json[1] for _, json in places}) == len(places)
    own = name[len(places[0][1][0]) :].lstrip("/")
    lacking = [model for model, _ in places if own not in model.files]
    if not lacking:
        raise Problem(
            400, name, "every file once a model expected, found it several times",
            "put every model into a .zip or a folder of its own",
        )  # fmt: skip
    for model in lacking if shared else lacking[:1]:
        model.files[own] = data


def _on_disk(name: str, data: File, work: Work) -> Path:
    suffix = re.search(rf"({_SUFFIX})$", name.lower())
    path = work.new_file(suffix[0] if suffix else "")
    if isinstance(data, Path):
        data.rename(path)
    else:
        path.write_bytes(data)
    return path


def option_of(part: Part, settings: Settings) -> str:
    """The text of an option; inputs may be as long as a picture in numbers.

    Raises:
        Problem: 413, 400.
    """
    most = settings.max_json if part.name in _INPUTS else _MAX_OPTION
    if part.size > most:
        raise Problem(413, part.name, f"an option of at most {most} bytes expected, found {part.size}")
    try:
        return part.read().decode("utf-8")
    except UnicodeDecodeError:
        raise Problem(400, part.name, "UTF-8 text expected, found other bytes", "encode the option as UTF-8") from None


def name_of(part: Part, number: int) -> str:
    """The file's name with forward slashes; what a nameless part holds is told from its first bytes."""
    name = (part.filename if part.filename is not None else part.name).replace("\\", "/")
    name = re.sub(r"^(\./)+", "", name)
    if len(name) > _MAX_NAME or "\0" in name:
        raise Problem(
            400, f"{name[:60]!r}", f"a file name of at most {_MAX_NAME} characters expected", "rename the file"
        )
    if name.lower() not in _NAMELESS and "." in name:
        return name
    if part.head(64).lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"["):
        return name or f"part{number}"
    head = part.head(9)
    if len(head) == 9 and head[8:] == b"{" and int.from_bytes(head[:8], "little") <= part.size:
        return f"{name or 'weights'}.safetensors"
    return name or f"part{number}.bin"


def json_text(name: str, data: File, settings: Settings) -> bytes | None:
    """The bytes of what looks like JSON, within the limits; None for everything else.

    Raises:
        Problem: 400 nested too deep, 413 too long.
    """
    start = _start(data)
    if start.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] not in (b"{", b"[") or name.lower().endswith((".bin", ".txt")):
        return None
    size = data.stat().st_size if isinstance(data, Path) else len(data)
    if size > settings.max_json:
        if not name.lower().endswith(".json"):
            return None
        raise Problem(413, name, f"a JSON of at most {settings.max_json} bytes expected, found {size}")
    text = data.read_bytes() if isinstance(data, Path) else data
    if _depth(text, settings.max_depth) > settings.max_depth:
        raise Problem(400, name, f"JSON at most {settings.max_depth} levels deep expected, found it deeper")
    return text


def _start(data: File) -> bytes:
    if isinstance(data, Path):
        with data.open("rb") as file:
            return file.read(_BLANKS)
    return data[:_BLANKS]


def _depth(text: bytes, enough: int) -> int:
    """How deep brackets nest, those in strings counted too; at most `enough` of them are not looked at closer."""
    if text.count(b"[") + text.count(b"{") <= enough:
        return 0
    codes = np.frombuffer(text, np.uint8)
    brackets = codes[(codes == 91) | (codes == 93) | (codes == 123) | (codes == 125)]
    return int(np.cumsum(np.where((brackets == 91) | (brackets == 123), 1, -1), dtype=np.int64).max())


def _is_model(text: bytes) -> bool:
    """A model.json, a list of weight groups, or a deeplearn.js checkpoint; told without parsing all of it twice."""
    return b'"weightsManifest"' in text or b'"modelTopology"' in text or _is_old_manifest(text)


def _is_meta(text: bytes) -> bool:
    return b'"inputUnits"' in text or b'"outputUnits"' in text


def _is_saved_data(text: bytes) -> bool:
    """What saveData() of ml5 writes; ml5 0.4 called a part of model_meta.json "data", too."""
    return b'"xs"' in text and (b'"data"' in text or b'"entries"' in text) and not _is_meta(text)


def _is_old_manifest(text: bytes) -> bool:
    if not (b'"weights"' in text and b'"paths"' in text) and not (b'"filename"' in text and b'"shape"' in text):
        return False
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return False
    if isinstance(found, list):
        return bool(found) and all(isinstance(group, dict) and "weights" in group for group in found)
    return isinstance(found, dict) and all(isinstance(v, dict) and "filename" in v for v in found.values())


def _sidecar_name(name: str, text: bytes | None) -> str:
    """The name of a JSON that came without one, or with the number that browsers give a second download."""
    if text is None:
        return name
    if name.rpartition("/")[2].lower().endswith(".json"):
        return re.sub(r" ?\([0-9]+\)(?=\.json$)", "", name)
    if _is_meta(text):
        return "model_meta.json"
    return "metadata.json" if b'"labels"' in text else name


def _nothing_found(files: list[tuple[str, Any]], ignored: list[str]) -> Problem:
    names = [name for name, _ in files] or ignored
    if not names:
        return Problem(
            400, "request", "the files of a model expected, found none",
            "add model.json and its weights (ml5: model.json, model_meta.json and model.weights.bin, all three)",
        )  # fmt: skip
    found = ", ".join(repr(name[:60]) for name in names[:8])
    if any(name.endswith((".json", ".bin")) for name in names):
        return Problem(
            400, "model.json", f"a model.json expected, found {found}",
            "upload all files that were saved (ml5: model.json, model_meta.json and model.weights.bin)",
        )  # fmt: skip
    return Problem(
        415, names[0][:80], f"model.json with its files, a .zip, .safetensors, .npz or .pt expected, found {found}",
        "upload the files that tf.js or ml5 saved",
    )  # fmt: skip
