"""A piece of work for the server, and what is to be seen of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from sfumato.engine.events import StepDone
from sfumato.errors import SfumatoError
from sfumato.imaging.io import encode_picture
from sfumato.recipe.image import Recipe
from sfumato.serving.reels import Reel

State: TypeAlias = Literal["queued", "running", "done", "failed", "cancelled"]
FINISHED: tuple[State, ...] = ("done", "failed", "cancelled")


@dataclass(frozen=True)
class Worked:
    """News of a job that does something else than drawing: `percent` of it are done, 0 to 100."""

    percent: int


@dataclass(frozen=True, eq=False)
class Job:
    """Pictures that `owner` wants: the `recipe`, and how it goes. A new value for everything that happens;
    `version` counts them.

    `position` is how many jobs are drawn before it, 0 for one that is drawn or finished. `steps` of
    `total_steps` are done, `seconds_left` is a guess, None without a ground for one. `previews` are JPEGs of
    pictures that are not finished, by their index in the recipe; `pictures` the numbers in the gallery of
    those that are. `error` says why it failed, `warnings` what could not be done as asked.
    `title` says what a job does that draws nothing; its steps are percents. One that is drawn in a way of
    its own (`other`) is for whoever asked for it: its pictures are in no gallery. One that draws a film has
    it as `film` when it is done.

    `tab` names the part of the page that asked for it, where that follows its jobs. Those of one owner and
    one tab are in one `series` as long as another is asked for before all are finished; `place` counts them,
    from 1. Without a tab a job is in none.
    """

    id: str
    owner: str
    recipe: Recipe
    created: float
    state: State = "queued"
    version: int = 0
    position: int = 0
    steps: int = 0
    total_steps: int = 0
    seconds_left: float | None = None
    previews: Mapping[int, bytes] = field(default_factory=dict[int, bytes])
    pictures: tuple[int, ...] = ()
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    error: SfumatoError | None = None
    attempts: int = 0
    title: str = ""
    other: bool = False
    film: Reel | None = None
    tab: str = ""
    series: str = ""
    place: int = 0

    @property
    def problem(self) -> str | None:
        """Why it failed, in one line, with the names that recipes give to fields."""
        return None if self.error is None else str(self.error)

    @property
    def finished(self) -> bool:
        return self.state in FINISHED


def told_of(error: SfumatoError) -> SfumatoError:
    """Return what an error says, without what was going on: that would keep models in memory."""
    return SfumatoError(error.message, field=error.field, value=error.value, hint=error.hint)


def previews_of(step: StepDone) -> dict[int, bytes]:
    """Return the previews that come with a step, as JPEGs, by the index of the picture."""
    if step.preview is None:
        return {}
    made = zip(step.indices, step.preview, strict=True)
    return {index: encode_picture(pixels, ".jpg") for index, pixels in made}
