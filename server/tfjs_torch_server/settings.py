"""What an operator can set: by `tfjs-torch serve`, or, for uvicorn alone, in TFJS_TORCH_SERVER as JSON."""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from tempfile import gettempdir
from typing import Any, Final

VARIABLE: Final = "TFJS_TORCH_SERVER"

_UNITS: Final = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30,
                 "k": 2**10, "m": 2**20, "g": 2**30}  # fmt: skip
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


@dataclass(frozen=True)
class Settings:
    """All that can be set; sizes in bytes, times in seconds.

    Attributes:
        store: the folder of stored models and of uploads on their way; None is one in the system's temp folder.
        max_upload: bytes of a request, and of what a zip in it unpacks to.
        quota: bytes of all stored models; expire: how long one stays after it was last loaded.
        token: what writing needs as `Authorization: Bearer`; None lets everybody write.
        allow_origins: web pages that may call (CORS); ("*",) is all of them, without credentials.
        allow_hosts: names under which the server may be called besides the loopback ones; ("*",) is any.
        processors: "my.py:fn" or "module:function", steps of the operator's own.
        train_rows, train_epochs, train_seconds: what one finetuning may take.
        max_pixels: of a picture; max_sound: bytes of a .wav. All of a request may have four times as many.
        vendor: False does not offer an installed copy of tf.js at /vendor.
    """

    store: str | None = None
    max_upload: int = 1 << 30
    max_parts: int = 2000
    max_tensors: int = 100_000
    max_json: int = 32 << 20
    max_depth: int = 500
    quota: int = 10 << 30
    expire: int = 7 * 86400
    token: str | None = None
    allow_origins: tuple[str, ...] = ("*",)
    allow_hosts: tuple[str, ...] = ()
    processors: tuple[str, ...] = ()
    train_rows: int = 20_000
    train_epochs: int = 1000
    train_seconds: int = 120
    max_pixels: int = 1 << 24
    max_sound: int = 16 << 20
    vendor: bool = True

    def __post_init__(self) -> None:
        """Refuse a token that no header can carry: it would keep nobody out, or everybody."""
        if self.token is not None and not re.fullmatch(r"[!-~]+", self.token):
            raise ValueError(
                "--token: letters, digits and signs of ASCII without blanks expected, found others, or none"
            )

    @property
    def folder(self) -> Path:
        """Where models and uploads lie."""
        user = getattr(os, "getuid", lambda: "")()
        return Path(self.store) if self.store else Path(gettempdir()) / f"tfjs_torch-{user}"

    def to_json(self) -> str:
        """For the environment of worker processes."""
        return json.dumps(asdict(self))


def from_environment() -> Settings:
    """The settings in the environment, else the defaults.

    Raises:
        ValueError: no JSON object of known settings.
    """
    text = os.environ.get(VARIABLE)
    if not text:
        return Settings()
    given: Any = json.loads(text)
    known = {field.name for field in fields(Settings)}
    if not isinstance(given, dict) or not given.keys() <= known:
        raise ValueError(
            f"{VARIABLE}: a JSON object with some of {', '.join(sorted(known))} expected, found {text:.80}"
        )
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    return Settings(**values)


def parse_size(text: str) -> int:
    """Bytes of "1GiB", "500MB", "4096".

    Raises:
        ValueError: anything else.

    Example:
        >>> parse_size("1GiB"), parse_size("4096")
        (1073741824, 4096)
    """
    match = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,6})?)\s*([a-z]{0,3})", text.strip().lower())
    if not match or match[2] not in _UNITS or int(float(match[1]) * _UNITS[match[2]]) < 1:
        raise ValueError(f"a size such as 4096, 500MB or 1GiB expected, found {text!r:.40}")
    return int(float(match[1]) * _UNITS[match[2]])


def parse_duration(text: str) -> int:
    """Seconds of "90s", "30m", "12h", "7d", "2w".

    Raises:
        ValueError: anything else.

    Example:
        >>> parse_duration("7d")
        604800
    """
    match = re.fullmatch(r"([0-9]{1,9})\s*([smhdw])", text.strip().lower())
    if not match or not int(match[1]):
        raise ValueError(f"a time such as 30m, 12h or 7d expected, found {text!r:.40}")
    return int(match[1]) * _SECONDS[match[2]]
