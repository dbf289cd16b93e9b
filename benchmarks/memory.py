"""Resident memory of this process, as Linux counts it (VmHWM): mapped pages count once they are touched."""

from __future__ import annotations

import re
from pathlib import Path


def peak() -> int:
    """The most bytes resident at once since the start, or since forget_peak()."""
    found = re.search(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    if not found:
        raise RuntimeError("/proc/self/status has no VmHWM")
    return int(found[1]) << 10


def forget_peak() -> None:
    """Start anew from what is resident now: importing torch peaks higher than it stays."""
    Path("/proc/self/clear_refs").write_text("5")
