"""Line plots as SVG that stands in a page: text and axes take the page's own colour, light or dark."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

WIDTH: Final = 380  # as wide as a column of a page and a phone, so that letters keep about their size
HEIGHT: Final = 200
LEFT: Final = 58  # where the first step stands
RIGHT: Final = 14
_TOP: Final = 20
_BOTTOM: Final = 34
_TEXT: Final = 13
_LEAST: Final = 1e-12  # below it a logarithm is not shown
#: After Okabe and Ito 2008, told apart by most eyes; each has a contrast of 3 and more, which WCAG 2.2 asks
#: of lines (1.4.11), against our light paper and against our dark one.
COLOURS: Final = ("#2585c7", "#d55e00", "#008f68", "#c0629a", "#a8780a", "#7b68d6", "#8c6d62", "#7f7f7f")


@dataclass(frozen=True)
class Line:
    """One curve: `values` over the steps, None where there is nothing to show."""

    name: str
    values: Sequence[float | None]


@dataclass(frozen=True)
class Level:
    """A dashed line at `value`, and what it means."""

    name: str
    value: float


def line_plot(
    title: str,
    lines: Sequence[Line],
    *,
    unit: str = "",
    level: Level | None = None,
    logarithmic: bool = False,
    from_zero: bool = False,
    first: int = 1,
    along: str = "step",
    marked: bool = True,
) -> str:
    """Return the SVG of `lines` over their places `first`, `first` + 1, ..., which are what `along` says, and
    with a marker at the last place where it is `marked`.

    The marker is the line of class "marker"; place `k` of `n` (from 0) stands at
    `LEFT + k / (n - 1) * (WIDTH - LEFT - RIGHT)`. Up to eight lines have names; of more only the colours
    tell them apart. `logarithmic` leaves out what is not above zero. Raises ValueError when there is nothing
    to show.
    """
    count = max(len(line.values) for line in lines)
    shown = [
        value for line in lines for value in line.values if value is not None and _visible(value, logarithmic)
    ]
    if not shown:
        raise ValueError("there is nothing to plot")
    extra = [] if level is None else [level.value]
    low, high = min([*shown, *extra]), max([*shown, *extra])
    if from_zero:
        low = min(low, 0.0)
    scale = _Scale.of(low, high, logarithmic)
    parts = [
        f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}" '
        f'xmlns="http://www.w3.org/2000/svg" font-family="system-ui, sans-serif" font-size="{_TEXT}" '
        'fill="currentColor">'
    ]
    floor = HEIGHT - _BOTTOM
    for tick in scale.ticks:
        y = scale.y(tick)
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="currentColor" '
            'stroke-opacity="0.15"/>'
        )
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_number(tick)}</text>')
    parts += [
        f'<text x="{_x(place, count):.1f}" y="{floor + 14}" text-anchor="middle">{first + place}</text>'
        for place in _places(count)
    ]
    parts.append(f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 6}" text-anchor="end">{escape(along)}</text>')
    if unit:
        parts.append(f'<text x="2" y="{HEIGHT - 6}">{escape(unit)}</text>')
    if level is not None:
        y = scale.y(level.value)
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="currentColor" '
            'stroke-dasharray="5 4" stroke-opacity="0.7"/>'
        )
        parts.append(
            f'<text x="{WIDTH - RIGHT - 5}" y="{y - 4 if y > _TOP + _TEXT else y + _TEXT:.1f}" '
            f'text-anchor="end">{escape(level.name)}</text>'
        )
    for number, line in enumerate(lines):
        colour = COLOURS[number % len(COLOURS)]
        parts += _curve(line.values, count, scale, colour)
    if 1 < len(lines) <= len(COLOURS):
        parts += _legend(lines)
    if marked:
        x = _x(count - 1, count)
        parts.append(
            f'<line class="marker" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{floor}" stroke="currentColor" '
            'stroke-width="1.5"/>'
        )
    return "\n".join([*parts, "</svg>"])


@dataclass(frozen=True)
class _Scale:
    low: float
    high: float
    logarithmic: bool
    ticks: tuple[float, ...]

    @classmethod
    def of(cls, low: float, high: float, logarithmic: bool) -> "_Scale":
        if logarithmic:
            first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
            last = max(last, first + 1)
            every = -(-(last - first) // 5)
            ticks = tuple(10.0**power for power in range(first, last + 1, every))
            return cls(10.0**first, 10.0**last, True, ticks)
        if high - low < 1e-9 * max(abs(high), abs(low), 1e-9):
            room = max(abs(high) * 0.05, 1e-6)
            low, high = low - room, high + room
        step = _nice((high - low) / 4)
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        ticks = tuple(step * number for number in range(first, last + 1))
        return cls(ticks[0], ticks[-1], False, ticks)

    def y(self, value: float) -> float:
        if self.logarithmic:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return HEIGHT - _BOTTOM - share * (HEIGHT - _BOTTOM - _TOP)


def _nice(step: float) -> float:
    """Return the smallest of 1, 2, 2.5 and 5 times a power of ten that is not below `step`."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= step * (1 - 1e-9))


def _visible(value: float, logarithmic: bool) -> bool:
    return math.isfinite(value) and (not logarithmic or value > _LEAST)


def _x(place: int, count: int) -> float:
    return LEFT + (0.0 if count == 1 else place / (count - 1)) * (WIDTH - LEFT - RIGHT)


def _places(count: int) -> list[int]:
    """Return about six places to label, the first and the last among them."""
    every = max(1, round((count - 1) / 5))
    places = list(range(0, count, every))
    if count - 1 not in places:
        # Close to the end, two numbers would stand on top of each other.
        places = [place for place in places if count - 1 - place > every / 2] + [count - 1]
    return places


def _curve(values: Sequence[float | None], count: int, scale: _Scale, colour: str) -> list[str]:
    """Return the pieces of a curve: it ends where there is nothing to show, and goes on after that."""
    pieces: list[list[str]] = [[]]
    for place, value in enumerate(values):
        if value is None or not _visible(value, scale.logarithmic):
            pieces.append([])
            continue
        pieces[-1].append(f"{_x(place, count):.1f},{scale.y(value):.1f}")
    drawn: list[str] = []
    for piece in pieces:
        if len(piece) == 1:
            x, y = piece[0].split(",")
            drawn.append(f'<circle cx="{x}" cy="{y}" r="2.5" fill="{colour}"/>')
        elif piece:
            drawn.append(
                f'<polyline points="{" ".join(piece)}" fill="none" stroke="{colour}" stroke-width="1.8"/>'
            )
    return drawn


def _legend(lines: Sequence[Line]) -> list[str]:
    parts: list[str] = []
    x = float(LEFT + 8)
    for number, line in enumerate(lines):
        parts.append(f'<rect x="{x:.1f}" y="5" width="10" height="4" fill="{COLOURS[number]}"/>')
        parts.append(f'<text x="{x + 14:.1f}" y="12">{escape(line.name)}</text>')
        x += 24 + 0.58 * _TEXT * len(line.name)
    return parts


def _number(value: float) -> str:
    if value != 0 and not 1e-3 <= abs(value) < 1e4:
        return f"{value:.0e}".replace("e+0", "e").replace("e-0", "e-")
    return f"{value:.4g}"
