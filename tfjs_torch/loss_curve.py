"""Lines over epochs as an SVG picture: what a training's loss looked like."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

_WIDTH, _HEIGHT, _LEFT, _TOP, _RIGHT, _BOTTOM = 640, 360, 64, 40, 16, 44
_COLOURS: Final = ("#0b62d6", "#c2410c")
_DASHES: Final = ("none", "6 4")  # told apart without colours, too
_STYLE: Final = "text{font:13px system-ui,sans-serif;fill:#333}.grid{stroke:#ddd}path{fill:none;stroke-width:2}"


def curve(lines: Mapping[str, Sequence[float]]) -> str:
    """An SVG of 640 by 360 with one line an entry; empty ones are left out.

    Example:
        >>> text = curve({"loss": [1.0, 0.5, 0.25]})
        >>> text.count("<path"), "loss" in text
        (1, True)
    """
    shown = {name: values for name, values in lines.items() if values}
    top = _ceiling(max((value for values in shown.values() for value in values), default=1.0))
    epochs = max((len(values) for values in shown.values()), default=1)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">',
        f"<title>{', '.join(shown) or 'nothing'} over {epochs} epochs</title><style>{_STYLE}</style>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>',
    ]
    for step in range(5):
        y = _y(top * step / 4, top)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{top * step / 4:.3g}</text>')
    for epoch in sorted({1, epochs, (1 + epochs) // 2}):
        parts.append(
            f'<text x="{_x(epoch, epochs):.1f}" y="{_HEIGHT - _BOTTOM + 20}" text-anchor="middle">{epoch}</text>'
        )
    parts.append(f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 6}" text-anchor="end">epoch</text>')
    for at, (name, values) in enumerate(shown.items()):
        parts.append(_line(name, values, epochs, top, at))
    return "\n".join([*parts, "</svg>\n"])


def _line(name: str, values: Sequence[float], epochs: int, top: float, at: int) -> str:
    points = [(_x(epoch, epochs), _y(value, top)) for epoch, value in enumerate(values, 1)]
    if len(points) == 1:
        points.append((points[0][0] + 4, points[0][1]))
    path = "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in points)
    look = f'stroke="{_COLOURS[at % 2]}" stroke-dasharray="{_DASHES[at % 2]}"'
    x = _LEFT + 200 * at
    return (
        f'<path d="{path}" {look}/><line x1="{x}" x2="{x + 28}" y1="20" y2="20" stroke-width="2" {look}/>'
        f'<text x="{x + 34}" y="24">{name} {values[-1]:.4g}</text>'
    )


def _x(epoch: float, epochs: int) -> float:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (epoch - 1) / max(1, epochs - 1)


def _y(value: float, top: float) -> float:
    return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * min(value, top) / top


def _ceiling(value: float) -> float:
    """The next 1, 2, 2.5 or 5 times a power of ten."""
    if not 0 < value < math.inf:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return float(next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= value * 0.999999))
