"""Training data in all the forms that people have."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfjs_torch import FilesError, FormatError, MismatchError, TfjsTorchError
from tfjs_torch.ml5.data import Cell, inputs_of, numbers_of, rows_of

ROW = ({"r": 1, "g": 2}, {"c": "red"})
FLAT = {"r": 1, "g": 2, "c": "red"}


class Frame:
    """What of a pandas DataFrame is used."""

    columns = ("r", "g", "c")

    def to_dict(self, orient: str) -> list[dict[str, Any]]:
        assert orient == "records"
        return [FLAT]


@pytest.mark.parametrize(
    "data",
    [
        {"data": [{"xs": ROW[0], "ys": ROW[1]}]}, {"entries": [{"xs": ROW[0], "ys": ROW[1]}]}, [ROW], [FLAT],
        [{"xs": ROW[0], "ys": ROW[1]}], json.dumps({"data": [{"xs": ROW[0], "ys": ROW[1]}]}).encode(), Frame(),
        json.dumps([FLAT]).encode(), iter([ROW]),
    ],
    ids=["saveData", "entries", "pairs", "flat", "rows", "JSON", "pandas", "JSON list", "iterator"],
)  # fmt: skip
def test_every_form_is_the_same_rows(data: Any) -> None:
    assert rows_of(data, ["r", "g"], ["c"]) == [ROW]


@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_a_csv_has_names_in_its_first_line(mark: str, start: str, tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text(start + mark.join(["c", "r", "more"]) + "\r\n" + mark.join(['"a, b"', " 1.5 ", "x"]) + "\r\n")
    ((xs, ys),) = rows_of(path, ["r"], ["c"])
    assert (numbers_of(xs, ["r"]), ys) == ({"r": 1.5}, {"c": "a, b"})


def test_labels_of_a_csv_stay_text() -> None:
    ((xs, ys),) = rows_of(b"x,y\n1,05\n", ["x"], ["y"])
    assert (numbers_of(xs, ["x"]), numbers_of(ys, [])) == ({"x": 1.0}, {"y": "05"})
    assert isinstance(ys["y"], Cell)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "a list of rows"), ({"data": 3}, "a list of rows"), (5, "found int"), ([], "at least one row"),
        ([1], "row 1: .*found int"), ([{"r": 1}], "row 1: the columns r, g, c expected, found r"),
        ({"data": []}, "at least one row"), ([FLAT, {"g": 1}], "row 2"),
    ],
)  # fmt: skip
def test_other_shapes_are_refused_by_row(data: Any, message: str) -> None:
    with pytest.raises(MismatchError, match=message):
        rows_of(data, ["r", "g"], ["c"])


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\n",
        b"<html>",
        b"\xff\xfe",
        b"a,b\n1\n",
        b"a,a,b\n1,2,3\n",
        b"a,b\n1,2,3\n",
        b'a,b\n"1,2\n',
        b"{",
        b'{"data":[NaN]}',
        b"a\0b\n1",
    ],
)
def test_files_that_are_neither_json_nor_csv_are_refused(text: bytes) -> None:
    with pytest.raises(FormatError, match="expected"):
        rows_of(text, ["a"], ["b"])


@pytest.mark.parametrize("path", ["", ".", "no/such.json", "\0", "x" * 5000])
def test_files_that_are_not_there_are_refused(path: str) -> None:
    with pytest.raises(FilesError):
        rows_of(path, ["a"], ["b"])


@given(st.binary(max_size=60) | st.text(alphabet='ab,;"\n{}[]:1', max_size=40).map(str.encode))
def test_only_errors_of_this_package_come_out_of_any_bytes(data: bytes) -> None:
    with contextlib.suppress(TfjsTorchError):
        assert rows_of(data, ["a"], ["b"])


def test_inputs_without_answers() -> None:
    assert inputs_of(b'[{"r": 1}, {"r": 2}]', ["r"]) == [{"r": 1}, {"r": 2}]
    assert inputs_of(json.dumps({"data": [{"xs": {"r": 1}, "ys": {}}]}).encode(), ["r"]) == [{"r": 1}]
    assert inputs_of(b'{"r": 1}', ["r"]) == [{"r": 1}]
    with pytest.raises(MismatchError):
        inputs_of(b"[]", ["r"])
