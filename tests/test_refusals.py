"""165 malformed and doubtful files: what tf.js did with each, and what this package does.

Where both read, they read the same. Every other difference stands in a table here, with its reason; a case that
is in no table must be refused by both or read alike by both.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers import Told, judged_all, quiet, told_all, warned, write_files
from judges import CASES, recorded

from tfjs_torch import TfjsTorchError, load_file

REFUSALS: dict[str, Any] = {
    case["case"]: case for case in json.loads((CASES / "refusals.json").read_text(encoding="utf-8"))["cases"]
}

# tf.js refuses, and a user is helped by reading: each comes with a TfjsTorchWarning.
READ_ALL_THE_SAME = {
    "quantization null",  # row 20
    "quantization {}",
    "paths missing file",  # a renamed file of exactly the right length is taken
}
# tf.js reads zeros where the bytes are something else: the files' lengths confuse it (row 33).
READ_RIGHT = {"second file larger than the first", "empty first file"}
REFUSED_THOUGH_TFJS_READS = {
    # bytes left over, missing, or shifted from one group into the next: rows 3, 4, 12
    "one element too many",
    "one byte too many",
    "trailing bytes in group 1 of 2",
    "group 1 short, group 2 long by as much",
    "string body truncated",
    "string body missing",
    "string second element missing",
    "string with bytes left over",
    "quantization uint8 one element too many",
    "group with bytes but no weights",
    # numbers that are none, or beyond float64; JavaScript makes something of them
    "quantization min a string",
    "quantization scale null",
    "quantization scale true",
    "quantization scale a list",
    "quantization min beyond float64",
    "quantization min an integer of 401 digits",
    # names that come twice, get lost, or are no strings: row 30
    "duplicate names",
    "duplicate names in two groups",
    'name "__proto__"',
    "name 7",
    "name null",
    "name true",
    'name ["a"]',
    "name missing",
    # paths that leave the folder: row 36
    "paths above the folder",
    "paths absolute",
    "group with weights an object",
}


def ours(case: str, folder: Path) -> dict[str, Told] | None:
    """What load_file reads; None for a refusal. Any error that is not of our tree fails the test."""
    folder.mkdir()
    write_files(folder, {name: bytes.fromhex(data) for name, data in REFUSALS[case]["files"].items()})
    (folder / "model.json").write_text(REFUSALS[case]["json"], encoding="utf-8")
    try:
        with warned():
            return told_all(load_file(folder))
    except TfjsTorchError:
        return None


def theirs(case: str) -> dict[str, Told] | None:
    found = REFUSALS[case]["tfjs"]
    return judged_all(recorded(found["tensors"])) if "tensors" in found else None


ALIKE = sorted(REFUSALS.keys() - READ_ALL_THE_SAME - READ_RIGHT - REFUSED_THOUGH_TFJS_READS)


@pytest.mark.parametrize("case", ALIKE)
def test_a_doubtful_file_is_read_or_refused_as_by_tfjs(case: str, tmp_path: Path) -> None:
    expected, found = theirs(case), ours(case, tmp_path / "model")
    assert (found and quiet(found)) == (expected and quiet(expected))


@pytest.mark.parametrize("case", sorted(READ_ALL_THE_SAME))
def test_what_only_tfjs_refuses_is_read(case: str, tmp_path: Path) -> None:
    assert theirs(case) is None
    assert ours(case, tmp_path / "model") is not None


@pytest.mark.parametrize("case", sorted(READ_RIGHT))
def test_what_tfjs_reads_as_zeros_is_read_as_it_is(case: str, tmp_path: Path) -> None:
    found, zeros = ours(case, tmp_path / "model"), theirs(case)
    official = judged_all(recorded(REFUSALS[case]["official"]["tensors"]))
    assert found == official != zeros


@pytest.mark.parametrize("case", sorted(REFUSED_THOUGH_TFJS_READS))
def test_what_tfjs_reads_but_nobody_meant_is_refused(case: str, tmp_path: Path) -> None:
    assert theirs(case) is not None
    assert ours(case, tmp_path / "model") is None
