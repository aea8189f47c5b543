"""What is wrong with a look, found before anybody wears it, and what is worth knowing of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from sfumato.errors import SfumatoError, closest
from sfumato.serving.studio.colours import BLACK, WHITE, contrast, parse_colour, readable
from sfumato.serving.studio.hub_theme import is_hub_name
from sfumato.serving.studio.look import FILES, Dressed, Look
from sfumato.serving.studio.palette import palette_of
from sfumato.serving.studio.words import words_of

#: Of fields of a look: what to write there.
Change: TypeAlias = Mapping[str, str | float]
_DARK: Final = "#1c1a22"
_LIGHT: Final = "#faf7f1"
_WELL: Final = 7.0  # contrast that leaves room for quieter words
_THIN: Final = 0.9  # a veil that shows little of a picture is advised after other colours
_SAID: Final = {
    "ground": "ground to a colour such as {}",
    "text": "text to a colour such as {}",
    "veil": "veil to {:g} or more",
}


@dataclass(frozen=True)
class Reading:
    """Two colours that meet on the page, in one mode: `what` has to be read, its `ratio` and the `least` that
    WCAG 2.2 AA asks for. `remedy` is what to write into studio.toml where that is too little, None where
    nothing that was tried helps.
    """

    mode: str
    what: str
    ratio: float
    least: float
    remedy: str | None = None

    @property
    def passes(self) -> bool:
        return self.ratio >= self.least

    def __str__(self) -> str:
        verdict = "ok" if self.passes else f"too little, {self.least:g} is asked for"
        hint = "" if self.passes or self.remedy is None else f". {self.remedy}"
        shown = f"{self.ratio:.1f}"
        if not self.passes and float(shown) >= self.least:
            shown = f"{self.ratio:.3f}"
        return f"{self.mode}: {self.what} {shown} ({verdict}){hint}"


def readings_of(dressed: Dressed) -> tuple[Reading, ...]:
    """Return how well everything can be read in a look, in both modes: the worst case of each, as a picture
    behind a panel may be black or white. Raises RecipeError for what is no colour; of a theme of Gradio
    nothing is known.
    """
    if dressed.look.theme is not None:
        return ()
    found = _measured(dressed.look)
    if all(one.passes for one in found):
        return found
    tried = [(change, _measured(dressed.look.model_copy(update=change))) for change in _changes(dressed.look)]
    return tuple(one if one.passes else replace(one, remedy=_remedy(one.what, tried)) for one in found)


def _measured(look: Look) -> tuple[Reading, ...]:
    worst: dict[tuple[str, str], Reading] = {}
    for dark in (False, True):
        mode = "dark" if dark else "light"
        for what, one, ground, least in palette_of(look, dark=dark).pairs():
            reading = Reading(mode, what, contrast(one, ground), least)
            before = worst.get((mode, what))
            if before is None or reading.ratio < before.ratio:
                worst[mode, what] = reading
    return tuple(worst.values())


def _remedy(what: str, tried: Sequence[tuple[Change, tuple[Reading, ...]]]) -> str | None:
    """Return a line with the first change that was `tried` and with which all can be read, in both modes, or
    at least `what`; None where none helps.
    """
    for wanted in (None, what):
        for change, readings in tried:
            if all(one.passes for one in readings if wanted in (None, one.what)):
                return f"Set {' and '.join(_SAID[name].format(value) for name, value in change.items())}."
    return None


def _changes(look: Look) -> Iterator[Change]:
    """Yield what may help, the least first: colours that are named are changed one at a time."""
    thicker = [{"veil": step / 20} for step in range(1, 20) if step / 20 > look.veil]
    if look.background is None:
        thicker.clear()
    yield from (one for one in thicker if one["veil"] <= _THIN)
    colours: list[Change] = []
    if look.text is not None:
        text = parse_colour(look.text, "text")
        if look.ground is not None:
            colours.append({"ground": _DARK if contrast(text, BLACK) > contrast(text, WHITE) else _LIGHT})
        colours.append({"text": str(readable(text, palette_of(look, dark=False).panel, least=_WELL))})
    yield from colours
    yield from ({**one, **veil} for veil in thicker for one in ({}, *colours))


def problems_of(dressed: Dressed) -> tuple[str, ...]:
    """Return a line for everything that is wrong with a look: files, words, colours, contrast."""
    problems: list[str] = []
    for name in FILES:
        try:
            dressed.file(name)
        except SfumatoError as error:
            problems.append(str(error))
    for check in (_speak, _read, _dress):
        try:
            problems += check(dressed)
        except SfumatoError as error:
            problems.append(str(error))
    return tuple(dict.fromkeys(problems))


def _speak(dressed: Dressed) -> tuple[str, ...]:
    words_of(dressed.look)
    return ()


def _read(dressed: Dressed) -> tuple[str, ...]:
    return tuple(str(one) for one in readings_of(dressed) if not one.passes)


def _dress(dressed: Dressed) -> tuple[str, ...]:
    """Make theme and rules of a look, as far as Gradio is there. Raises SfumatoError where that fails."""
    try:
        from sfumato.serving.studio.theme import style_of, theme_of
    except ModuleNotFoundError:
        return ()
    named = dressed.look.theme
    if named is None or not is_hub_name(named):  # those are fetched when they are worn
        theme_of(dressed)
    style_of(dressed)
    return ()


def notes_of(dressed: Dressed) -> tuple[str, ...]:
    """Return a line for what is no mistake, but may turn out otherwise than expected."""
    notes: list[str] = []
    named = dressed.look.theme
    if named is not None:
        notes.append(f"theme: whether everything can be read in {named} is not measured")
    if named is not None and is_hub_name(named):
        notes.append(f"theme: {named} is fetched when it is worn for the first time, and kept")
    try:
        from sfumato.serving.studio.theme import FONTS, fonts_of_machine
    except ModuleNotFoundError:
        return tuple(notes)
    for font in fonts_of_machine(dressed):
        near = closest(font, FONTS)
        guess = "" if near is None else f" Did you mean {near}?"
        notes.append(
            f"font: {font} does not come along: it is seen where the visitor's machine has it.{guess}"
        )
    return tuple(notes)
