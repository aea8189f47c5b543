"""The plane of guidance, drawn: see `sfumato.engine.compass`."""

import math
from collections.abc import Sequence
from html import escape
from typing import Final

from sfumato.engine.compass import Bearing
from sfumato.imaging.plots import COLOURS
from sfumato.serving.studio.words import Words

_WIDTH: Final = 380
_HEIGHT: Final = 290
_TOP: Final = 84  # below the legend
_EDGE: Final = 18  # room for letters
_HEAD: Final = 9.0
_BEYOND: Final = 9.0  # the tip of an arrow: where its letter stands
_APART: Final = 16.0  # tips that are nearer have no letters

Point = tuple[float, float]


def arrows_of(bearings: Sequence[Bearing | None], guidance: float, words: Words) -> str:
    """Return a figure with the arrows of every step, all on one scale; the last one's are to be seen."""
    title = escape(words("learn_arrows"))
    known = [one for one in bearings if one is not None]
    if not known:
        return f"<figure><h3>{title}</h3><p>{escape(words('learn_no_arrows'))}</p></figure>"
    ends = [_ends(one, guidance) for one in known]
    xs = [0.0, *(x for three in ends for x, _ in three)]
    ys = [0.0, *(y for three in ends for _, y in three)]
    room = (_WIDTH - 2 * _EDGE, _HEIGHT - _TOP - _EDGE)
    scale = min(room[0] / max(max(xs) - min(xs), 1e-9), room[1] / max(max(ys) - min(ys), 1e-9))
    # In the middle of what is free.
    left = _EDGE - min(xs) * scale + (room[0] - (max(xs) - min(xs)) * scale) / 2
    bottom = _HEIGHT - _EDGE + min(ys) * scale
    shown = ""
    for place, bearing in enumerate(bearings):
        hidden = " hidden" if place else ""
        inside = "" if bearing is None else _drawn(bearing, guidance, scale, (left, bottom), words)
        shown += f'<div data-step="{place}"{hidden}>{inside}</div>'
    return f"<figure><h3>{title}</h3>{shown}</figure>"


def _ends(one: Bearing, guidance: float) -> tuple[Point, Point, Point]:
    """Return where the three arrows end, with the unconditional one along x."""
    angle = math.radians(one.degrees)
    u = (one.unconditional, 0.0)
    c = (one.conditional * math.cos(angle), one.conditional * math.sin(angle))
    g = (u[0] + guidance * (c[0] - u[0]), u[1] + guidance * (c[1] - u[1]))
    return u, c, g


def _drawn(one: Bearing, guidance: float, scale: float, origin: Point, words: Words) -> str:
    ends = [(origin[0] + x * scale, origin[1] - y * scale) for x, y in _ends(one, guidance)]
    lengths = (one.unconditional, one.conditional, one.guided)
    names = [words(f"learn_arrow_{letter}") for letter in "ucg"]
    angle = words("learn_angle", f"{one.degrees:.1f}")
    told = [words("learn_length", name, f"{length:.1f}") for name, length in zip(names, lengths, strict=True)]
    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape("; ".join((*told, angle)))}" '
        'font-family="system-ui, sans-serif" font-size="13" fill="currentColor">'
    ]
    for number, (colour, text) in enumerate(zip(COLOURS, told, strict=False)):
        x, y = (8, 16 + 18 * number)
        parts.append(f'<rect x="{x}" y="{y - 7}" width="12" height="5" fill="{colour}"/>')
        parts.append(f'<text x="{x + 18}" y="{y}">{escape(text)}</text>')
    parts.append(f'<text x="26" y="70">{escape(angle)}</text>')
    (ux, uy), _, (gx, gy) = ends
    parts.append(
        f'<line x1="{ux:.1f}" y1="{uy:.1f}" x2="{gx:.1f}" y2="{gy:.1f}" stroke="currentColor" '
        'stroke-dasharray="4 4" stroke-opacity="0.7"/>'
    )
    # The longest one first, so that no other is hidden.
    order = sorted(range(3), key=lambda number: -lengths[number])
    parts += [_arrow(origin, ends[number], COLOURS[number]) for number in order]
    named: list[Point] = []
    for end, letter in zip(ends, "uc", strict=False):
        if all(math.dist(end, other) >= _APART for other in (*named, origin, (gx, gy))):
            named.append(end)
            parts.append(_named(origin, end, letter))
    return "".join([*parts, "</svg>"])


def _named(start: Point, end: Point, letter: str) -> str:
    """Return a letter just beyond the tip of an arrow."""
    length = math.dist(start, end)
    x, y = (end[axis] + (end[axis] - start[axis]) / length * _BEYOND for axis in (0, 1))
    return f'<text x="{x:.1f}" y="{y + 4:.1f}" text-anchor="middle">{letter}</text>'


def _arrow(start: Point, end: Point, colour: str) -> str:
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = math.hypot(dx, dy)
    if length < 1:
        return f'<circle cx="{start[0]:.1f}" cy="{start[1]:.1f}" r="3" fill="{colour}"/>'
    ax, ay = dx / length, dy / length
    head = min(_HEAD, length)
    bx, by = end[0] - ax * head, end[1] - ay * head
    side = head * 0.45
    corners = (end, (bx - ay * side, by + ax * side), (bx + ay * side, by - ax * side))
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
    return (
        f'<line x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{bx:.1f}" y2="{by:.1f}" stroke="{colour}" '
        f'stroke-width="2.5"/><polygon points="{points}" fill="{colour}"/>'
    )
