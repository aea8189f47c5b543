"""What is wrong with a look, found before anybody wears it, and what is worth knowing of it."""

from dataclasses import dataclass

from sfumato.errors import SfumatoError, closest
from sfumato.serving.studio.colours import contrast
from sfumato.serving.studio.hub_theme import is_hub_name
from sfumato.serving.studio.look import FILES, Dressed
from sfumato.serving.studio.palette import palette_of
from sfumato.serving.studio.words import words_of


@dataclass(frozen=True)
class Reading:
    """Two colours that meet on the page, in one mode: `what` has to be read, its `ratio` and the `least` that
    WCAG 2.2 AA asks for.
    """

    mode: str
    what: str
    ratio: float
    least: float

    @property
    def passes(self) -> bool:
        return self.ratio >= self.least

    def __str__(self) -> str:
        verdict = "ok" if self.passes else f"too little, {self.least:g} is asked for"
        return f"{self.mode}: {self.what} {self.ratio:.1f} ({verdict})"


def readings_of(dressed: Dressed) -> tuple[Reading, ...]:
    """Return how well everything can be read in a look, in both modes: the worst case of each, as a picture
    behind a panel may be black or white. Raises RecipeError for what is no colour; of a theme of Gradio
    nothing is known.
    """
    if dressed.look.theme is not None:
        return ()
    worst: dict[tuple[str, str], Reading] = {}
    for dark in (False, True):
        mode = "dark" if dark else "light"
        for what, one, ground, least in palette_of(dressed.look, dark=dark).pairs():
            reading = Reading(mode, what, contrast(one, ground), least)
            before = worst.get((mode, what))
            if before is None or reading.ratio < before.ratio:
                worst[mode, what] = reading
    return tuple(worst.values())


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
