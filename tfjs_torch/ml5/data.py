"""Training data in the forms that people have: ml5's saveData(), CSV, lists of dicts, pandas."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from .. import strict_json
from ..errors import FilesError, FormatError, MismatchError
from .pictures import Text, as_text

Row = tuple[Any, Any]

_NAMES: Final = ("data", "entries")  # ml5's findEntries takes either
_DECIMAL: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_LIMIT: Final = 1 << 30  # bytes of a file


class Cell(Text):
    """Text of a CSV: a number where its column is one."""

    __slots__ = ()


def rows_of(data: Any, inputs: Sequence[str], outputs: Sequence[str]) -> list[Row]:
    """[(xs, ys)]: each a dict by column, or what the caller gave by position.

    Args:
        data: a path of a JSON or CSV; its bytes; {"data": [{"xs": {...}, "ys": {...}}]} as saveData() writes it; a list
            of {"xs", "ys"}, of (xs, ys), or of flat dicts with all columns; a pandas DataFrame.
        inputs, outputs: names of the columns, for flat rows.

    Raises:
        FilesError: a file cannot be read. FormatError: it is neither JSON nor CSV. MismatchError: other columns.

    Example:
        >>> rows_of([{"r": 1, "colour": "red"}], ["r"], ["colour"])
        [({'r': 1}, {'colour': 'red'})]
    """
    found = _parsed(data)
    if hasattr(found, "to_dict") and hasattr(found, "columns"):
        found = found.to_dict("records")
    if isinstance(found, Mapping):
        found = next((found[name] for name in _NAMES if isinstance(found.get(name), list)), found)
    if isinstance(found, (str, Mapping)) or not isinstance(found, Iterable):
        raise MismatchError(
            "data", f'{{"data": [{{"xs", "ys"}}, ...]}} or a list of rows expected, found {_kind(found)}'
        )
    rows = [_row(row, f"row {at + 1}", inputs, outputs) for at, row in enumerate(found)]
    if not rows:
        raise MismatchError("data", "at least one row expected, found none")
    return rows


def inputs_of(data: Any, numbers: Sequence[str]) -> list[Any]:
    r"""Inputs without answers, from a JSON (a list, or what saveData() wrote) or a CSV with a line of names.

    Args:
        data: as in rows_of.
        numbers: names of the columns that hold numbers; the cells of others stay texts.

    Raises:
        FilesError, FormatError: as rows_of. MismatchError: no inputs.

    Example:
        >>> inputs_of(b"r,g\n1,2\n", ["r", "g"])
        [{'r': 1.0, 'g': 2.0}]
    """
    found = _parsed(data)
    if isinstance(found, Mapping):
        found = next((found[name] for name in _NAMES if isinstance(found.get(name), list)), [found])
    if not isinstance(found, list) or not found:
        raise MismatchError("inputs", f"a list of inputs expected, found {_kind(found)}")
    rows = [row["xs"] if isinstance(row, Mapping) and "xs" in row else row for row in found]
    return [numbers_of(row, numbers) for row in rows]


def numbers_of(side: Any, columns: Iterable[str]) -> Any:
    """A row's side with the cells of these columns as numbers.

    Example:
        >>> numbers_of({"r": Cell("1.5"), "name": Cell("7")}, ["r"])
        {'r': 1.5, 'name': '7'}
    """
    if not isinstance(side, Mapping):
        return side
    wanted = set(columns)
    return {name: _number(value) if name in wanted else value for name, value in side.items()}


def output_of(ys: Any, name: str) -> Any:
    """The value of the first output in a row's ys: by name, by position, or bare; None where there is none.

    Example:
        >>> output_of({"colour": "red"}, "colour"), output_of(["red"], "colour"), output_of("red", "colour")
        ('red', 'red', 'red')
    """
    if isinstance(ys, Mapping):
        return ys.get(name)
    return (ys[0] if ys else None) if isinstance(ys, (list, tuple)) else ys


def is_number(value: Any) -> bool:
    """Whether a cell can be read as a number."""
    return not isinstance(_number(value), str)


def _number(value: Any) -> Any:
    if not isinstance(value, Cell):
        return value
    return float(value) if _DECIMAL.fullmatch(value) else value


def _parsed(data: Any) -> Any:
    if isinstance(data, (str, os.PathLike)):
        path = Path(data)
        try:
            if path.stat().st_size > _LIMIT:
                raise FilesError(str(path), f"at most {_LIMIT} bytes expected, found {path.stat().st_size}")
            return _parsed_text(path.read_bytes(), str(path))
        except (OSError, ValueError) as error:
            if isinstance(error, FormatError):
                raise
            raise FilesError(str(path), f"a readable JSON or CSV expected, found: {error}") from None
    if isinstance(data, (bytes, bytearray, memoryview)):
        return _parsed_text(bytes(data), "data")
    return data


def _parsed_text(text: bytes, where: str) -> Any:
    if text.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"["):
        return _as_text(strict_json.loads(text, where), where)
    try:
        lines = text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FormatError(
            where, f"JSON or CSV in UTF-8 expected, found byte {error.object[error.start]:#04x}"
        ) from None
    head = lines.partition("\n")[0]
    if not head.strip() or "\0" in lines or head.lstrip().startswith("<"):
        raise FormatError(where, "JSON as saveData() writes it, or CSV with a line of names, expected, found neither")
    mark = max(",;\t", key=head.count)
    try:
        table = csv.DictReader(io.StringIO(lines), delimiter=mark, strict=True)
        names = [name.strip() for name in table.fieldnames or ()]
        if len(set(names)) < len(names):
            raise FormatError(where, f"each name of a column once expected, found {', '.join(names)[:200]}")
        return [_cells(row, where) for row in table]
    except csv.Error as error:
        raise FormatError(where, f"CSV expected, found: {error}") from None


def _as_text(parsed: Any, where: str) -> Any:
    """Training data of strangers name no files of this machine."""
    try:
        return as_text(parsed)
    except RecursionError:
        raise FormatError(where, "JSON of a sane depth expected, found it nested too deep") from None


def _cells(row: Mapping[Any, Any], where: str) -> dict[str, Cell | None]:
    if None in row or None in row.values():
        raise FormatError(where, "as many cells in each line as names in the first expected, found another number")
    return {name.strip(): Cell(value.strip()) if value.strip() else None for name, value in row.items()}


def _row(row: Any, where: str, inputs: Sequence[str], outputs: Sequence[str]) -> Row:
    if isinstance(row, (tuple, list)) and len(row) == 2:
        return row[0], row[1]
    if not isinstance(row, Mapping):
        raise MismatchError(where, f'{{"xs": ..., "ys": ...}} expected, found {_kind(row)}')
    if "xs" in row and "ys" in row:
        return row["xs"], row["ys"]
    missing = [name for name in (*inputs, *outputs) if name not in row]
    if missing:
        listed = ", ".join(map(str, list(row)[:12])) or "nothing"
        raise MismatchError(where, f"the columns {', '.join((*inputs, *outputs))} expected, found {listed}")
    return {name: row[name] for name in inputs}, {name: row[name] for name in outputs}


def _kind(value: Any) -> str:
    return (
        f"an object with {', '.join(map(str, list(value)[:8]))}" if isinstance(value, Mapping) else type(value).__name__
    )
