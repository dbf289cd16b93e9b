"""JSON as a browser reads it: strict, UTF-8 with or without a byte order mark.

Python's json module accepts NaN and Infinity and writes them; `JSON.parse` refuses them, so a
model.json that holds one cannot be loaded by TensorFlow.js at all.
"""

from __future__ import annotations

import json
from typing import Any

from .errors import ManifestError


def loads(text: str | bytes | bytearray | memoryview, where: str) -> Any:
    """Parse JSON text strictly; every failure is a ManifestError that names `where`."""
    try:
        if not isinstance(text, str):
            text = bytes(text).decode("utf-8-sig")
        return json.loads(text.removeprefix("\ufeff"), parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        found = f"{error.msg.lower()} at line {error.lineno} column {error.colno}"
        if not error.doc.strip():
            found = "an empty file"
        elif error.doc.lstrip().startswith("<"):
            found = "a web page (the answer of a server that did not have the file)"
        raise ManifestError(where, f"JSON expected, found {found}; save the model again") from None
    except RecursionError:
        raise ManifestError(where, "JSON of a sane depth expected, found it nested too deep") from None
    except UnicodeDecodeError as error:
        raise ManifestError(
            where, f"UTF-8 JSON text expected, found byte {error.object[error.start]:#04x} at {error.start}"
        ) from None
    except ValueError as error:  # NaN and Infinity (below), integers of thousands of digits
        raise ManifestError(where, f"strict JSON expected, found {error}") from None


def dumps(value: Any, where: str) -> bytes:
    """Write compact JSON as UTF-8, the way `JSON.stringify` does; never NaN or Infinity."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode("utf-8")
    except UnicodeEncodeError:  # a lone surrogate: only an escape can carry it
        return json.dumps(value, allow_nan=False, separators=(",", ":")).encode("ascii")
    except (ValueError, TypeError, RecursionError) as error:
        raise ManifestError(where, f"a value that JSON can hold expected, found one it cannot: {error}") from None


def _refuse_constant(token: str) -> Any:
    raise ValueError(f"the token {token}, which browsers refuse (TensorFlow.js cannot load such a file)")
