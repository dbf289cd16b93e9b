"""Where weight bytes lie: in memory or in files, and the joined stream of a group.

Files are mapped (private, copy-on-write) where a tensor can be a view of them, and read in bounded
pieces where numbers have to be computed from them, so that neither way holds a second copy.
"""

from __future__ import annotations

import bisect
import mmap
import sys
import threading
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from .errors import FilesError

Bytes = npt.NDArray[np.uint8]

PIECE: Final = 4 << 20  # bytes handled at once while streaming
# Before Python 3.13 every mapping keeps a file descriptor open: a model of 1,000 files must not use them up.
MAX_MAPPED: Final = 10**6 if sys.version_info >= (3, 13) else 128


class Shard(Protocol):
    """One weight file: its name as the user knows it, its length, its bytes."""

    name: str
    nbytes: int

    def read_into(self, start: int, out: Bytes) -> None: ...

    def in_memory(self) -> Bytes | None:
        """All bytes without reading or copying anything, or None. Not to be handed out."""

    def map(self) -> Bytes | None:
        """All bytes as private, writable memory that may be handed out, or None."""

    def close(self) -> None: ...


class MemoryShard:
    """Bytes that somebody else owns; tensors made from them are copies."""

    def __init__(self, name: str, data: Any) -> None:
        self.name = name
        try:
            self._data: Bytes = np.frombuffer(data, np.uint8)
        except (TypeError, ValueError, BufferError):
            raise FilesError(name, f"bytes in one piece expected, found {type(data).__name__}") from None
        self.nbytes = self._data.size

    def read_into(self, start: int, out: Bytes) -> None:
        out[...] = self._data[start : start + out.size]

    def in_memory(self) -> Bytes | None:
        return self._data

    def map(self) -> Bytes | None:
        return None

    def close(self) -> None:
        pass


class FileShard:
    """A file on disk; opened only when its bytes are wanted."""

    def __init__(self, name: str, path: Path) -> None:
        self.name, self.path = name, path
        try:
            self.nbytes = path.stat().st_size
        except (OSError, ValueError) as error:
            raise FilesError(str(path), f"a readable file expected, found: {error}") from None
        self._file: Any = None
        self._lock = threading.Lock()

    def __reduce__(self) -> Any:
        """Copied and pickled as what it was made of."""
        return FileShard, (self.name, self.path)

    def read_into(self, start: int, out: Bytes) -> None:
        with self._lock:
            if self._file is None:
                self._file = self._open()
            self._file.seek(start)
            view = memoryview(out.data)
            while view:
                count = self._file.readinto(view)
                if not count:
                    raise FilesError(
                        str(self.path), f"{self.nbytes} bytes expected, found the file cut short meanwhile"
                    )
                view = view[count:]

    def in_memory(self) -> Bytes | None:
        return None

    def map(self) -> Bytes | None:
        if not self.nbytes:
            return np.empty(0, np.uint8)
        with self._open() as file:
            options: dict[str, Any] = {"trackfd": False} if sys.version_info >= (3, 13) else {}
            if hasattr(mmap, "MAP_NORESERVE"):  # a model larger than the memory can be mapped, too
                options["flags"] = mmap.MAP_PRIVATE | mmap.MAP_NORESERVE
                options["prot"] = mmap.PROT_READ | mmap.PROT_WRITE
            else:
                options["access"] = mmap.ACCESS_COPY
            try:
                return np.frombuffer(mmap.mmap(file.fileno(), self.nbytes, **options), np.uint8)
            except (OSError, ValueError):  # a file system without mmap: the bytes are read instead
                return None

    def close(self) -> None:
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _open(self) -> Any:
        try:
            return open(self.path, "rb", buffering=0)
        except OSError as error:
            raise FilesError(str(self.path), f"a readable file expected, found {error.strerror}") from None


class Stream:
    """The files of one group as one run of bytes. Use it as a context manager: it closes its files."""

    def __init__(self, shards: Sequence[Shard], mappable: bool = True) -> None:
        self.shards = list(shards)
        self._mappable = mappable
        self.starts = list(accumulate((shard.nbytes for shard in shards), initial=0))
        self.nbytes = self.starts[-1]
        self._maps: dict[int, Bytes | None] = {}
        self._last_read = 0

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._maps.clear()
        for shard in self.shards:
            shard.close()

    def locate(self, start: int, stop: int) -> tuple[int, int] | None:
        """(shard index, offset in it) of a run that lies in one shard, else None."""
        index = bisect.bisect_right(self.starts, start, 0, len(self.shards)) - 1
        return (index, start - self.starts[index]) if stop <= self.starts[index + 1] else None

    def map(self, index: int) -> Bytes | None:
        """The private mapping of a shard, made once a stream; None where bytes must be copied."""
        if index not in self._maps:
            self._maps[index] = self.shards[index].map() if self._mappable else None
        return self._maps[index]

    def read(self, start: int, out: Bytes) -> None:
        """Copy bytes from `start` on until `out` is full."""
        index = bisect.bisect_right(self.starts, start, 0, len(self.shards)) - 1
        done = 0
        while done < out.size:
            offset = start + done - self.starts[index]
            count = min(out.size - done, self.shards[index].nbytes - offset)
            if count > 0:
                self._leave_for(index)
                self.shards[index].read_into(offset, out[done : done + count])
                done += count
            index += 1

    def _leave_for(self, index: int) -> None:
        """Close the file that was read before another one: a model of a thousand files never has all of them open."""
        if self._last_read != index:
            self.shards[self._last_read].close()
            self._last_read = index

    def window(self, start: int, stop: int, scratch: Bytes) -> Bytes:
        """Bytes [start, stop) to look at: the memory they lie in, or `scratch` filled with them."""
        found = self.locate(start, stop)
        memory = self.shards[found[0]].in_memory() if found else None
        if found and memory is not None:
            return memory[found[1] : found[1] + stop - start]
        view = scratch[: stop - start]
        self.read(start, view)
        return view

    def pieces(self, start: int, stop: int, size: int = PIECE) -> Iterator[Bytes]:
        """Bytes [start, stop) in pieces of at most `size`; each is valid until the next is asked for."""
        scratch = np.empty(min(size, stop - start), np.uint8)
        for at in range(start, stop, size):
            yield self.window(at, min(at + size, stop), scratch)


def release(array: npt.NDArray[Any], start: int, stop: int) -> None:
    """Give these bytes of a mapped array back to the system, which reads them again should somebody look.

    Only for arrays that nobody has written to: private changes would be lost. What is not mapped stays as it is.
    """
    root: Any = array
    while isinstance(root.base, np.ndarray):
        root = root.base
    mapping = root.base.obj if isinstance(root.base, memoryview) else root.base
    if not isinstance(mapping, mmap.mmap) or not hasattr(mmap, "MADV_DONTNEED"):
        return
    offset = array.ctypes.data - root.ctypes.data
    first = -(-(offset + start) // mmap.PAGESIZE) * mmap.PAGESIZE
    last = (offset + stop) // mmap.PAGESIZE * mmap.PAGESIZE
    if last > first:
        mapping.madvise(mmap.MADV_DONTNEED, first, last - first)
