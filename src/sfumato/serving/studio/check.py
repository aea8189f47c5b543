"""What is wrong with a look, found before anybody wears it."""

from dataclasses import dataclass

from sfumato.errors import SfumatoError
from sfumato.serving.studio.colours import contrast
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
    try:
        words_of(dressed.look)
        problems += [str(one) for one in readings_of(dressed) if not one.passes]
    except SfumatoError as error:
        problems.append(str(error))
    return tuple(problems)
