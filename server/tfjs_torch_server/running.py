"""Starting the server: uvicorn, its log, and the browser."""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
import time
import webbrowser
from typing import Any, Final

import uvicorn

from .settings import VARIABLE, Settings

_LOG: Final[dict[str, Any]] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(message)s"}, "named": {"format": "%(levelname)s: %(message)s"}},
    "handlers": {
        "out": {"class": "logging.StreamHandler", "formatter": "line", "stream": "ext://sys.stdout"},
        "err": {"class": "logging.StreamHandler", "formatter": "named", "stream": "ext://sys.stderr"},
    },
    "loggers": {
        "tfjs_torch.access": {"handlers": ["out"], "level": "INFO", "propagate": False},
        "tfjs_torch.server": {"handlers": ["err"], "level": "INFO", "propagate": False},
        "uvicorn": {"handlers": ["err"], "level": "WARNING", "propagate": False},
    },
}


def run(settings: Settings, host: str, port: int, workers: int = 1, open_page: bool = False) -> None:
    """Serve until stopped.

    Raises:
        OSError: the address cannot be used.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
        port = probe.getsockname()[1]  # 0 takes any free one
    os.environ[VARIABLE] = settings.to_json()
    address = f"http://{_shown(host)}:{port}/"
    print(f"tfjs-torch serves {address} (Ctrl-C stops it); documents at {address}docs", file=sys.stderr, flush=True)
    if open_page:
        threading.Thread(target=_open, args=(address, host, port), daemon=True).start()
    logging.captureWarnings(True)
    uvicorn.run(
        "tfjs_torch_server:app", host=host, port=port, workers=workers, log_config=_LOG, access_log=False,
        server_header=False, timeout_graceful_shutdown=5,
    )  # fmt: skip


def _shown(host: str) -> str:
    """The name to call the server by, on this machine."""
    if host in ("0.0.0.0", "::", ""):
        return "localhost"
    return f"[{host}]" if ":" in host else host


def _open(address: str, host: str, port: int) -> None:
    """The page in the user's browser, once the server answers."""
    place = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
    for _ in range(300):
        try:
            with socket.create_connection((place, port), timeout=1):
                webbrowser.open(address)
                return
        except OSError:
            time.sleep(0.1)
