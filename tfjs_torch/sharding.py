"""How weight bytes are cut into files, and which cuts tf.js 4.22 would silently misread."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from .errors import MismatchError, warn

SHARD_BYTES: Final = 4 << 20  # the official converter's default, once chosen for browser caches
SINGLE_FILE: Final = "./model.weights.bin"  # what tf.js and ml5 name it


class Cut(NamedTuple):
    """One file to write: its path in the manifest and its length in bytes."""

    path: str
    nbytes: int


def misread_by_tfjs(sizes: Sequence[int]) -> bool:
    """Whether tf.js 4.22 reads zeros from files of these lengths (all groups' files, in order).

    When all files but the last have one length U, it takes byte // U for the file's index
    (tfjs-core/src/io/composite_array_buffer.ts); a last file larger than U is then read past its end.

    Example:
        >>> from tfjs_torch.sharding import misread_by_tfjs
        >>> misread_by_tfjs([4, 96]), misread_by_tfjs([96, 4]), misread_by_tfjs([4, 8, 88])
        (True, False, False)
    """
    return len(sizes) > 1 and len(set(sizes[:-1])) == 1 and sizes[-1] > sizes[0]


def cut_groups(
    totals: Sequence[int],
    paths: Sequence[Sequence[str]] = (),
    sizes: Sequence[Sequence[int]] | None = None,
    shard_bytes: int | None = None,
    where: str = "model",
) -> list[list[Cut]]:
    """The files of every group. Fewer groups than `totals` come back (one) when the groups must be merged.

    Args:
        totals: bytes of each group.
        paths: the template's file names of each group, kept where their number still fits.
        sizes: the template's file lengths, kept while the totals are the same.
        shard_bytes: cut into files of this many bytes instead.

    Raises:
        MismatchError: shard_bytes is not a positive whole number.
    """
    if shard_bytes is not None and (type(shard_bytes) is not int or shard_bytes < 1):
        raise MismatchError("shard_bytes", f"a positive whole number of bytes expected, found {shard_bytes!r}")
    groups = [
        _cut(total, list(paths[i]) if i < len(paths) else None, sizes[i] if sizes else None, shard_bytes, i)
        for i, total in enumerate(totals)
    ]
    files = [cut for group in groups for cut in group]
    names = [posixpath.normpath(cut.path) for cut in files]
    if misread_by_tfjs([cut.nbytes for cut in files]) or len(set(names)) < len(names):
        merged = f"equal shards of {shard_bytes} bytes" if shard_bytes else f"one file, {SINGLE_FILE}"
        sizes_now = [cut.nbytes for cut in files][:8]
        warn(
            f"{where}: tf.js 4.22 would misread files of {sizes_now} bytes, or two entries share one file; "
            f"all weights are written as {merged}"
        )
        return [_cut(sum(totals), [SINGLE_FILE], None, shard_bytes, 0)]
    return groups


def split(pieces: Iterable[Any], cuts: Sequence[Cut]) -> Iterator[tuple[str, Iterator[Any]]]:
    """Deal a stream of buffers out to files of the given lengths: (path, its buffers). Read them in order."""
    source = (memoryview(piece).cast("B") for piece in pieces if memoryview(piece).nbytes)
    left: list[memoryview] = []

    def take(nbytes: int) -> Iterator[memoryview]:
        while nbytes:
            view = left.pop() if left else next(source)
            if view.nbytes > nbytes:
                left.append(view[nbytes:])
                view = view[:nbytes]
            nbytes -= view.nbytes
            yield view

    for cut in cuts:
        yield cut.path, take(cut.nbytes)


def _cut(
    total: int, names: list[str] | None, sizes: Sequence[int] | None, shard_bytes: int | None, group: int
) -> list[Cut]:
    if shard_bytes is None and names is not None:
        if sizes is not None and sum(sizes) == total:
            return [Cut(name, size) for name, size in zip(names, sizes, strict=True)]
        if len(names) == 1:
            return [Cut(names[0], total)]
        if names:
            shard_bytes = _equal_shard(total, names, sizes)
    if not total:
        return []
    if shard_bytes is None:
        return [Cut(SINGLE_FILE if group == 0 else f"./group{group + 1}.weights.bin", total)]
    count = -(-total // shard_bytes)
    if names is None or len(names) != count:
        names = _shard_names(names, group, count)
    return [Cut(name, min(shard_bytes, total - i * shard_bytes)) for i, name in enumerate(names)]


def _equal_shard(total: int, names: list[str], sizes: Sequence[int] | None) -> int:
    """The shard length of a template whose bytes changed in number, or whose files were never seen."""
    if sizes:
        return max(1, sizes[0])
    return SHARD_BYTES if -(-total // SHARD_BYTES) == len(names) else max(1, -(-total // len(names)))


def _shard_names(template: list[str] | None, group: int, count: int) -> list[str]:
    folder = posixpath.dirname(template[0]) if template else ""
    prefix = folder + "/" if folder else ""
    return [f"{prefix}group{group + 1}-shard{i + 1}of{count}.bin" for i in range(count)]
