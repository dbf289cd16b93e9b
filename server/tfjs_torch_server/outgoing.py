"""The files of an answer: in memory, on disk, or as they came; made before the first byte is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tfjs_torch import Artifacts

from .work import Work

_IN_MEMORY: Final = 8 << 20  # bytes of an answer that need no file
_PIECE: Final = 1 << 20


@dataclass
class OutFile:
    """A file of an answer: its name, its pieces, and its length where it is known."""

    name: str
    pieces: Callable[[], Iterable[Any]]
    size: int | None = None

    @classmethod
    def of(cls, name: str, data: bytes) -> OutFile:
        """Of bytes in memory."""
        return cls(name, lambda: (data,), len(data))

    @classmethod
    def at(cls, name: str, path: Path) -> OutFile:
        """Of a file on disk, which must live as long as the answer."""
        return cls(name, lambda: _pieces_of(path), path.stat().st_size)


@dataclass
class Spooled(OutFile):
    path: Path = Path()


def passed_through(artifacts: Artifacts) -> list[OutFile]:
    """The files as they came; nothing is copied before it is sent."""
    cuts = [cut for group in artifacts.cuts([stream.nbytes for stream in artifacts.streams()]) for cut in group]
    sizes = {cut.path: cut.nbytes for cut in cuts}
    sizes.update((name, shard.nbytes) for name, shard in artifacts.sidecars.items())
    if list(sizes)[: len(cuts)] == artifacts.manifest.paths:
        sizes[artifacts.json_name] = len(artifacts.json_text)
    return [OutFile(plain_name(name), _once(pieces), sizes.get(name)) for name, pieces in artifacts.files()]


def _once(pieces: Iterable[Any]) -> Callable[[], Iterable[Any]]:
    return lambda: pieces


def as_source(files: list[OutFile]) -> dict[str, Any]:
    """Written files as read_artifacts takes them."""
    return {file.name: file.path if isinstance(file, Spooled) else b"".join(file.pieces()) for file in files}


def spooled(files: Iterable[tuple[str, Iterable[Any]]], work: Work) -> list[OutFile]:
    """Files written out: short ones in memory, the others on disk."""
    found: list[OutFile] = []
    left = _IN_MEMORY
    for name, pieces in files:
        held: list[bytes] = []
        stream = iter(pieces)
        own = name.endswith(".json")
        for piece in stream:
            data = memoryview(piece).tobytes()
            held.append(data)
            left -= len(data)
            if left < 0 and not own:
                found.append(_to_disk(plain_name(name), held, stream, work))
                break
        else:
            found.append(OutFile.of(plain_name(name), b"".join(held)))
    return found


def _to_disk(name: str, held: list[bytes], rest: Iterator[Any], work: Work) -> OutFile:
    path = work.new_file()
    with path.open("wb", buffering=0) as file:
        for data in held:
            file.write(data)
        held.clear()
        for piece in rest:
            work.advance()
            file.write(piece)
    return Spooled(name, lambda: _pieces_of(path), path.stat().st_size, path)


def _pieces_of(path: Path) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as file:
        while piece := file.read(_PIECE):
            yield piece


def plain_name(name: str) -> str:
    return name.removeprefix("./")
