"""`python -m benchmarks`: measure, print the tables, name the targets that were missed."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from pathlib import Path

from .groups import GROUPS
from .report import BEGIN, END, Table, machine, put_into
from .runner import ROOT, BenchmarkError, Runner


def main() -> int:
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # as Ctrl-C does: gigabytes of models are not left behind
    with tempfile.TemporaryDirectory(prefix="tfjs_torch-benchmarks-") as folder:
        tables, failures = _measured(options.only or list(GROUPS), Runner(Path(folder), options.quick))
    missed = [line for table in tables for line in table.missed]
    if options.quick:
        print("A smoke run: its sizes are too small for the numbers and targets to mean anything.")
    elif missed:
        print("Missed:", *missed, sep="\n- ")
    if options.write and not failures:
        _write(tables)
    return 1 if failures else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser("scripts/bench", description="Ratios against peers, measured in one run.")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that everything runs")
    parser.add_argument("--only", metavar="NAME", action="append", choices=GROUPS, help=f"one of {', '.join(GROUPS)}")
    parser.add_argument("--write", action="store_true", help="put the tables of a full run into BENCHMARKS.md")
    options = parser.parse_args()
    if options.write and (options.quick or options.only):
        parser.error("--write wants a full run: without --quick and --only")
    return options


def _measured(groups: list[str], runner: Runner) -> tuple[list[Table], int]:
    """The tables, printed as they come, and how many groups failed."""
    print(machine(), end="\n\n")
    tables, failures = [], 0
    for name in groups:
        try:
            for table in GROUPS[name](runner):
                tables.append(table)
                print(table, end="\n\n", flush=True)
        except BenchmarkError as error:
            failures += 1
            print(f"{name} failed: {error}", file=sys.stderr)
    return tables, failures


def _write(tables: list[Table]) -> None:
    text = "\n\n".join([f"Measured on {machine()}", *map(str, tables)])
    if not put_into(ROOT / "BENCHMARKS.md", text):
        print(f"BENCHMARKS.md has no {BEGIN} ... {END}; nothing was written", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
