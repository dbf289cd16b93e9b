"""The page's files, and tf.js for it: an installed copy at /vendor, else the CDN's, of which the hash is known."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any, Final, NamedTuple

import tfjs_torch_web
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

TFJS_VERSION: Final = "4.22.0"
CDN: Final = f"https://cdn.jsdelivr.net/npm/@tensorflow/tfjs@{TFJS_VERSION}/dist/tf.es2017.min.js"
CDN_INTEGRITY: Final = "sha384-ODzrY1mCTIRZRerZfDIqCoTQafA1St1OwLVc9SsTefnkCF1MeIaVSZ88wuK/NKfH"
VENDOR: Final = "/vendor/tf.es2017.min.js"
SECURITY: Final = {
    "Content-Security-Policy": "; ".join(
        [
            "default-src 'none'", f"script-src 'self' {CDN}", "style-src 'self'", "img-src 'self' blob: data:",
            "connect-src 'self' blob: data:", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
        ]
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}  # fmt: skip

_KINDS: Final = {".js": "text/javascript", ".css": "text/css", ".html": "text/html", ".svg": "image/svg+xml",
                 ".json": "application/json", ".bin": "application/octet-stream"}  # fmt: skip


class Script(NamedTuple):
    """Where the page gets tf.js from."""

    src: str
    integrity: str


def page_addresses() -> list[str]:
    """Where the page's files are: "/" and one address a file."""
    top = tfjs_torch_web.FOLDER
    files = (path.relative_to(top).as_posix() for path in sorted(top.rglob("*")) if path.suffix in _KINDS)
    return ["/", *(f"/{name}" for name in files)]


def page_app() -> ASGIApp:
    """Serves the page's files, packed where the browser takes that; a browser asks each time whether they changed."""
    return GZipMiddleware(_Page(directory=tfjs_torch_web.FOLDER, html=True), minimum_size=500)


class _Page(StaticFiles):
    def file_response(self, full_path: Any, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(full_path, *args, **kwargs)
        response.headers.update({**SECURITY, "Cache-Control": "no-cache"})
        kind = _KINDS.get(Path(full_path).suffix)
        if kind and response.status_code == 200:
            response.headers["Content-Type"] = f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
        return response


def installed_tfjs(modules: Path | None) -> Path | None:
    """tf.js for browsers, of an npm installation."""
    if modules is None:
        return None
    path = modules / "@tensorflow" / "tfjs" / "dist" / "tf.es2017.min.js"
    return path if path.is_file() else None


def script(vendored: Path | None) -> Script:
    """What the page is to load."""
    if vendored is None:
        return Script(CDN, CDN_INTEGRITY)
    return Script(VENDOR, integrity_of(vendored.read_bytes()))


def integrity_of(data: bytes) -> str:
    """As the `integrity` attribute of a script wants it."""
    return f"sha384-{base64.b64encode(hashlib.sha384(data).digest()).decode()}"
