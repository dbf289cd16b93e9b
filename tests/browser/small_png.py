"""PNGs with a palette: a screenshot of a page has few colours, so this takes a quarter of the bytes."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

# The browser decodes: gives size, the 256 most frequent colours, and for each pixel the number of the nearest one.
INDEXED = """async (png) => {
  const image = await createImageBitmap(await (await fetch(`data:image/png;base64,${png}`)).blob());
  const { width, height } = image;
  const pen = new OffscreenCanvas(width, height).getContext("2d");
  pen.drawImage(image, 0, 0);
  const pixels = new Uint32Array(pen.getImageData(0, 0, width, height).data.buffer);
  const counts = new Map();
  for (const pixel of pixels) counts.set(pixel, (counts.get(pixel) ?? 0) + 1);
  const palette = [...counts].sort(([a, m], [b, n]) => n - m || a - b).slice(0, 256).map(([pixel]) => pixel);
  const parts = (pixel) => [pixel & 255, (pixel >> 8) & 255, (pixel >> 16) & 255];
  const far = (a, b) => parts(a).reduce((sum, value, i) => sum + (value - parts(b)[i]) ** 2, 0);
  const nearest = (pixel) =>
    palette.reduce((best, other, i) => (far(pixel, other) < far(pixel, palette[best]) ? i : best), 0);
  const index = new Map([...counts.keys()].map((pixel) => [pixel, nearest(pixel)]));
  const text = Array.from({ length: height }, (_, y) =>
    String.fromCharCode(...pixels.subarray(y * width, (y + 1) * width).map((pixel) => index.get(pixel)))).join("");
  return { width, height, palette: palette.flatMap(parts), indices: btoa(text) };
}"""


def small_png(page: Page, png: bytes) -> bytes:
    """The same picture in 256 colours. `page`: any open page that may fetch data: addresses."""
    found = page.evaluate(INDEXED, base64.b64encode(png).decode())
    width, height = found["width"], found["height"]
    indices = base64.b64decode(found["indices"])
    rows = b"".join(b"\0" + indices[y * width : (y + 1) * width] for y in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    pieces = [(b"IHDR", head), (b"PLTE", bytes(found["palette"])), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, data) for kind, data in pieces)


def chunk(kind: bytes, data: bytes) -> bytes:
    """Length, kind, data and checksum (PNG specification, 5.3)."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
