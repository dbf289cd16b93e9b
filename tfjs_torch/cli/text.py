"""Tables, sizes, bars: what the command line prints."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from ..errors import MismatchError

_BLOCKS, _ASCII_BLOCKS = " ▁▂▃▄▅▆▇█", " .:-=+*#@"
_UNITS = {"": 1, "b": 1, "kb": 1000, "mb": 1000**2, "gb": 1000**3, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30}
_WORTH_A_BAR = 64 << 20  # bytes; below, no machine takes a second


def table(head: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Columns padded to their widest cell; those in `right` are right-aligned."""
    cells = [list(head), *map(list, rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.rjust(w) if i in right else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    )


def size(nbytes: int) -> str:
    """1536 -> "1.5 KiB"."""
    value, unit = float(nbytes), "B"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            break
        value /= 1024
    return f"{nbytes} B" if unit == "B" else f"{value:.1f} {unit}"


def parse_size(text: str) -> int:
    """ "4MiB" -> 4194304; plain numbers are bytes.

    Raises:
        MismatchError: not a size.
    """
    found = re.fullmatch(r"(\d+)\s*([A-Za-z]*)", text.strip())
    unit = _UNITS.get(found[2].lower()) if found else None
    if not found or unit is None or not int(found[1]):
        raise MismatchError("--shard-size", f"a size such as 4194304 or 4MiB expected, found {text!r}")
    return int(found[1]) * unit


def shape(dims: Sequence[int]) -> str:
    return ("×" if _unicode() else "x").join(map(str, dims)) if dims else "scalar"


def number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def bars(counts: Sequence[int]) -> str:
    """A histogram in one line of block characters; the highest fills its line, a single value shows."""
    top, blocks = max(counts, default=0), _BLOCKS if _unicode() else _ASCII_BLOCKS
    return "".join(blocks[-(-8 * count // top)] for count in counts) if top else ""


def note(message: str) -> None:
    """One line on stderr that is no error."""
    print(f"note: {' '.join(message.split())}", file=sys.stderr)


def plural(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _unicode() -> bool:
    return (sys.stdout.encoding or "").lower().startswith("utf")


@contextlib.contextmanager
def progress(total: int, what: str) -> Iterator[Callable[[int], Any] | None]:
    """A progress bar on a terminal when it takes over a second; None elsewhere."""
    if total < _WORTH_A_BAR or not (sys.stderr.isatty() and sys.stdout.isatty()):
        yield None
        return
    from tqdm import tqdm

    with tqdm(total=total, desc=what, unit="B", unit_scale=True, unit_divisor=1024, delay=1, leave=False) as bar:
        yield bar.update
