"""The page, as files: index.html, style.css and plain ES modules. Nothing runs here; the server sends them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent
