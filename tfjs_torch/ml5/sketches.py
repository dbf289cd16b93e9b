"""The sketch that lies beside saved files: what it gives to nn.load, and where ml5 will not take that. No torch.

Only what stands in the text is looked at; nothing is run. Sources: load and loadMeta of ml5 0.12.2 and 1.4.0, see
routes.py; tests/test_ml5_sketches.py has seen every kind of finding here come true in a browser.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

from ..errors import FilesError, TfjsTorchError
from ..sources import FolderFiles, SourceFiles, ZipFiles
from .findings import ROUTES, VERSIONS, Finding
from .gathering import Saved
from .scripts import Call, Result, Script, Value

_LARGEST: Final = 1 << 18  # bytes of a script that somebody has written
_MOST: Final = 16  # scripts
_MOST_LOADS: Final = 32
_LIBRARY: Final = re.compile(r"(^|/)(p5|ml5|tf)[^/]*\.js$|\.min\.js$")
_COMMENT: Final = re.compile(r"<!--(?:[^-]|-(?!->))*(?:-->|\Z)")
_ROOTS: Final = ("public", "static")  # folders that some tools serve as the page's own
_TAG: Final = re.compile(r"<script\b([^<>]*)>|</script", re.IGNORECASE)
_SRC: Final = re.compile(r"""\bsrc\s*=\s*["']?([^"'\s>]+)""", re.IGNORECASE)
_ML5: Final = re.compile(r"\bml5(?:@|/)\^?(0|1|latest)(?:\.\d+)*(?=/|$)")
_FOREIGN: Final = re.compile(r"[a-z][a-z0-9+.-]*:|//", re.IGNORECASE)  # what leads to another place
_OF_DISK: Final = re.compile(r"file:|[a-z]:[\\/]|[^:]*\\", re.IGNORECASE)
_PARTS: Final = ("model", "metadata", "weights")
_PARSED: Final = ("JSON.parse", "loadJSON", "this.loadJSON")
_LISTED: Final = ("Array.from", "Object.values")
_MAYBE: Final = ("load-relative", "load-parsed")  # some pages end in a slash, and a JSON may hold addresses
_FILE_LIST: Final = "Give it what the file picker has, as it is: nn.load(input.files)."

Fails = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Load:
    """One nn.load(given), or the option modelUrl."""

    where: str
    network: str | None
    given: Value | None
    option: bool = False

    @property
    def said(self) -> str:
        """As it stands there, in short."""
        shown = (
            f'"{self.given:.80}"' if isinstance(self.given, str) else "{...}" if isinstance(self.given, dict) else "..."
        )
        return f"modelUrl: {shown}" if self.option else f"{self.network}.load({shown})"

    @property
    def addresses(self) -> list[str]:
        """All addresses that stand there."""
        given: list[Value] = [self.given] if isinstance(self.given, str) else []
        given += [self.given[part] for part in _PARTS if part in self.given] if isinstance(self.given, dict) else []
        return [address for address in given if isinstance(address, str)]


@dataclass
class Sketch:
    """What the scripts of a page say of ml5.neuralNetwork.

    Attributes:
        loads: what is loaded.
        versions: those of ml5 that the page may use: one that it names, else all.
        trained: {network: where its train is called}.
        names: all names in the scripts.
        waits: whether it waits for tf.ready().
        whole: whether folders are to be seen, so that a file that is not there is missing.
    """

    loads: list[Load] = field(default_factory=list)
    versions: tuple[str, ...] = VERSIONS
    trained: dict[str, str] = field(default_factory=dict)
    names: frozenset[str] = frozenset()
    waits: bool = False
    whole: bool = False

    def folders(self) -> list[str]:
        """The folders below the page that it loads from."""
        found = [posixpath.dirname(path) for load in self.loads for path in map(path_of, load.addresses) if path]
        own = list(dict.fromkeys(folder for folder in found if folder))
        return [*own, *(f"{root}/{folder}" for root in _ROOTS for folder in own)]


def sketches_of(files: SourceFiles) -> list[Sketch]:
    """The sketches in a place, one a page; without a page, all scripts are one. None that makes no network."""
    names = sorted(name for name in files.names() if "/" not in name)
    pages = [name for name in names if name.lower().endswith((".html", ".htm"))][:_MOST]
    alone = [name for name in names if name.endswith((".js", ".mjs"))]
    read: dict[str, Script | None] = {}
    if pages:
        found = [_of_page(files, page, read) for page in pages]
    else:
        found = [_sketch(list(_read(files, alone[:_MOST], read)), VERSIONS, files)]
    return [sketch for sketch in found if sketch is not None]


def _of_page(files: SourceFiles, page: str, read: dict[str, Script | None]) -> Sketch | None:
    scripts: list[tuple[str, Script, int]] = []
    named: list[str] = []
    versions: tuple[str, ...] = VERSIONS
    for attributes, text, line in _elements(_text(files, page) or ""):
        source = _SRC.search(attributes)
        if source is None:
            scripts.append((page, Script(text), line))
        elif version := _ML5.search(source[1]):
            versions = ("0.x",) if version[1] == "0" else ("1.x",)
        elif path := path_of(source[1]):
            named.append(path if _there(files, path) else posixpath.basename(path))  # dropped without folders
        if len(scripts) + len(named) >= _MOST:
            break
    return _sketch([*scripts, *_read(files, named, read)], versions, files)


def _read(files: SourceFiles, names: list[str], read: dict[str, Script | None]) -> Iterator[tuple[str, Script, int]]:
    """(file, script, its first line); `read` keeps those that several pages name."""
    for name in dict.fromkeys(names):
        if name not in read:
            text = None if _LIBRARY.search(name) or len(read) >= _MOST else _text(files, name)
            read[name] = None if text is None else Script(text)
        script = read[name]
        if script is not None:
            yield name, script, 1


def _sketch(scripts: list[tuple[str, Script, int]], versions: tuple[str, ...], files: SourceFiles) -> Sketch | None:
    networks = {call.assigned for _, script, _ in scripts for call in script.calls("neuralNetwork")}
    if not networks:
        return None
    sketch = Sketch(versions=versions)
    for where, script, first in scripts:
        sketch.names |= script.names
        sketch.waits |= any(call.owner == "tf" for call in script.calls("ready"))
        for call in script.calls("neuralNetwork", "load", "train"):
            place = f"{where}, line {first + call.line - 1}"
            if call.method == "neuralNetwork":
                sketch.loads += _constructed(call, place)
            elif call.owner in networks and call.method == "load":
                sketch.loads.append(Load(place, call.owner, call.given))
            elif call.owner in networks:
                sketch.trained.setdefault(call.owner, place)
    del sketch.loads[_MOST_LOADS:]
    names = list(files.names())
    sketch.whole = isinstance(files, (FolderFiles, ZipFiles)) or any("/" in name for name in names)
    return sketch


def sketch_findings(sketch: Sketch, saved: Saved, files: SourceFiles, folder: str) -> Iterator[Finding]:
    """Where the sketch does not load what lies there.

    Args:
        sketch: one that sketches_of has found in `files`.
        saved: the network, in `folder` below them, or "".
    """
    form = _form(saved, folder)
    for load in sketch.loads:
        for code, fails, said in _told(load):
            left = {version: routes for version, routes in fails.items() if version in sketch.versions}
            if left:
                severity = "warning" if code in _MAYBE else "error"
                advice = _FILE_LIST if code == "load-array" else form
                yield Finding(code, severity, load.where, said, advice, False, left)
        if sketch.whole:
            yield from _missing(load, sketch, files, form)
    yield from _later(sketch)


def _later(sketch: Sketch) -> Iterator[Finding]:
    """What goes wrong after loading."""
    both = [load.network for load in sketch.loads if load.network in sketch.trained]
    if both and "compile" not in sketch.names:
        yield Finding(
            "train-after-load", "note", sketch.trained[both[0] or ""],
            "A network that was loaded cannot be trained further: ml5 does not compile it, and tells the error to the "
            "callback of train only. It keeps the old labels and ranges, too.",
            "Train it with ml5.load(...).train in Python, or call nn.compile() before nn.train().", False,
        )  # fmt: skip
    backed = sketch.waits or "setBackend" in sketch.names
    if sketch.loads and not sketch.trained and "1.x" in sketch.versions and not backed:
        yield Finding(
            "no-backend", "warning", sketch.loads[0].where,
            "A sketch that only loads may find ml5 1.x without its backend at the first question (\"The highest "
            "priority backend 'webgpu' has not yet been initialized\"): ml5 does not wait for the graphics card.",
            'Write ml5.setBackend("webgl") as the first line of setup().', False, {"1.x": ROUTES},
        )  # fmt: skip


def path_of(address: str) -> str | None:
    """The path below the page that an address means; None where it leads elsewhere.

    Example:
        >>> path_of("./model/model.json?v=2"), path_of("https://example.org/model.json"), path_of("../model.json")
        ('model/model.json', None, None)
    """
    if _FOREIGN.match(address) or address.startswith("/"):
        return None
    path = posixpath.normpath(unquote(re.split(r"[?#]", address)[0]))
    return None if path.startswith("..") or "\0" in path or "\\" in path else path


def _elements(page: str) -> Iterator[tuple[str, str, int]]:
    """(attributes, text, line) of the script elements of a page."""
    opened: re.Match[str] | None = None
    line, counted = 1, 0
    page = _COMMENT.sub(lambda comment: re.sub(r"[^\n]", " ", comment[0]), page)  # lines stay
    for tag in _TAG.finditer(page):
        if opened is None and tag[1] is not None:
            opened = tag
        elif opened is not None and tag[1] is None:
            line, counted = line + page.count("\n", counted, opened.end()), opened.end()
            yield opened[1], page[opened.end() : tag.start()], line
            opened = None


def _text(files: SourceFiles, name: str) -> str | None:
    try:
        if not files.has(name) or files.shard(name).nbytes > _LARGEST:
            return None
        return files.text(name).decode(errors="replace")
    except (TfjsTorchError, OSError):
        return None


def _constructed(call: Call, place: str) -> Iterator[Load]:
    if isinstance(call.given, dict) and "modelUrl" in call.given:
        yield Load(place, call.assigned, call.given["modelUrl"], option=True)


def _told(load: Load) -> Iterator[tuple[str, Fails, str]]:
    """(code, what fails, what ml5 does) of one load."""
    given = load.given
    if isinstance(given, str):
        yield from _address(given, load.said)
    elif isinstance(given, dict):
        yield from _object(given, load.said)
    elif isinstance(given, list) or (isinstance(given, Result) and given.of in _LISTED):
        yield (
            "load-array", _both("files"),
            f"{load.said} gets an array. Of files ml5 takes only what a file picker gives, a FileList as it is.",
        )  # fmt: skip
    elif isinstance(given, Result) and given.of in _PARSED:
        yield (
            "load-parsed",
            _both("object"),
            f"{load.said} gets what is in a JSON. If that is the network: ml5 wants its address.",
        )


def _address(address: str, said: str) -> Iterator[tuple[str, Fails, str]]:
    if re.match(r"(blob|data):", address, re.IGNORECASE):
        return
    path = re.split(r"[?#]", address)[0]
    kind = posixpath.splitext(path)[1]
    if kind in ("", ".bin"):
        yield "load-folder", _both("string"), f"{said}: ml5 wants the address of the JSON, not that of its folder."
    elif kind != ".json":  # something else that is loaded, a sound perhaps
        return
    elif path != address:
        yield (
            "load-query", {"1.x": ("string",)},
            f"{said}: with something after .json, ml5 1.x does not find model_meta.json.",
        )  # fmt: skip
    elif not _FOREIGN.match(address) and not address.startswith("/"):
        yield (
            "load-relative", {"1.x": ("string",)},
            f"{said}: ml5 1.x looks for model_meta.json below the address of the page, as in "
            f"/index.html/{posixpath.dirname(path)}{'/' if '/' in path else ''}model_meta.json. It works only where "
            "that address ends in a slash.",
        )  # fmt: skip


def _object(given: Mapping[str, Value], said: str) -> Iterator[tuple[str, Fails, str]]:
    missing = [part for part in _PARTS if part not in given]
    if missing:
        others = [key for key in given if key not in _PARTS]
        instead = f" (but {', '.join(others[:4])})" if others else ""
        yield (
            "load-incomplete", _both("object"),
            f"{said} gets no {' and no '.join(missing)}{instead}. Of an object ml5 wants model, metadata and weights.",
        )  # fmt: skip
    parsed = [part for part, v in given.items() if part in _PARTS and isinstance(v, Result) and v.of in _PARSED]
    if parsed:
        yield (
            "load-parsed", _both("object"),
            f"{said} gets what is in the JSON as {' and '.join(parsed)}. ml5 wants its address.",
        )  # fmt: skip


def _both(route: str) -> Fails:
    return dict.fromkeys(VERSIONS, (route,))


def _missing(load: Load, sketch: Sketch, files: SourceFiles, form: str) -> Iterator[Finding]:
    """Addresses at which nothing lies."""
    for address in load.addresses:
        path = path_of(address)
        if _OF_DISK.match(address):
            said = "a page cannot read the disk of a computer"
        elif path is None or not path.endswith((".json", ".bin")) or _there(files, path):
            continue
        else:
            alike = [name for name in files.names() if name.lower() == path.lower()]
            said = f"it is {alike[0]}, and web servers tell small letters from capitals" if alike else "it is not there"
        route = "string" if isinstance(load.given, str) else "object"
        yield Finding(
            "load-not-there", "error", load.where, f'{load.said} asks for "{address:.80}", but {said}.',
            form, False, dict.fromkeys(sketch.versions, (route,)),
        )  # fmt: skip


def _there(files: SourceFiles, path: str) -> bool:
    try:
        return any(files.has(place) for place in (path, *(f"{root}/{path}" for root in _ROOTS)))
    except FilesError:
        return False


def _form(saved: Saved, folder: str) -> str:
    base = f"{folder}/" if folder else ""
    weights = saved.weights[0].name if saved.weights and saved.weights[0] is not None else "model.weights.bin"
    names = (saved.json_name or "model.json", saved.meta_name or "model_meta.json", posixpath.basename(weights))
    parts = ", ".join(f'{part}: "{base}{name}"' for part, name in zip(_PARTS, names, strict=True))
    return f"Write nn.load({{ {parts} }}), the form that every ml5 takes."
