"""The page's files, and tf.js for it: an installed copy at /vendor, else the CDN's, of which the hash is known."""

from __future__ import annotations

import base64
import hashlib
import mimetypes
from pathlib import Path
from typing import Final, NamedTuple

import tfjs_torch_web
from starlette.responses import FileResponse, Response

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


def page_files() -> dict[str, Path]:
    """{address: file} of the whole page."""
    top = tfjs_torch_web.FOLDER
    files = {f"/{path.relative_to(top).as_posix()}": path for path in sorted(top.rglob("*")) if path.suffix in _KINDS}
    return {"/": files.pop("/index.html"), **files} if "/index.html" in files else files


def page_file(path: Path) -> Response:
    """A file of the page, checked for changes each time it is used."""
    kind = _KINDS.get(path.suffix) or mimetypes.guess_type(path.name)[0]
    return FileResponse(path, headers={**SECURITY, "Cache-Control": "no-cache"}, media_type=kind)


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
