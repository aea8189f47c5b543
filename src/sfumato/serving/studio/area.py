"""Where a tab shows what it draws: how far it is, the pictures, and what can be done with each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from sfumato.errors import SfumatoError
from sfumato.recipe.image import Recipe
from sfumato.serving.desk import Desk
from sfumato.serving.gallery import Kept
from sfumato.serving.jobs import Job
from sfumato.serving.studio import actions
from sfumato.serving.studio.actions import Above, recipe_of_picture
from sfumato.serving.studio.binding import CLICK, QUIET, News
from sfumato.serving.studio.forms import enlarged, varied
from sfumato.serving.studio.showing import problem_of, progress_of
from sfumato.serving.studio.visitors import visitor_of
from sfumato.serving.studio.words import Words

LITTLE: float = 0.15  # of another noise, for variations: details change
MUCH: float = 0.45  # and the composition too
LARGER: float = 2.0
PATIENCE: float = 5.0  # seconds, at most, until a page that was closed is followed no longer
MOST_CALLED: int = 80  # characters of a prompt under a picture


@dataclass(frozen=True, eq=False)
class Area:
    """The parts that show a tab's jobs. `job` holds the number of the newest one, `pictures` the numbers in
    the gallery of those that are shown, `chosen` the one that was clicked, 0 for none. `about` says what
    there is to say of that one.
    """

    desk: Desk
    words: Words
    progress: gr.HTML
    results: gr.Gallery
    job: gr.State
    pictures: gr.State
    chosen: gr.State
    buttons: Mapping[str, gr.Button | gr.DownloadButton]
    about: gr.HTML

    @property
    def outputs(self) -> list[Any]:
        """What a drawing changes."""
        return [self.progress, self.results, self.job, self.pictures, self.chosen]

    def draws(
        self,
        triggers: Sequence[Callable[..., Any]],
        recipe_of_values: Callable[..., Recipe],
        inputs: Sequence[Any],
    ) -> None:
        """Draw, on any of `triggers`, what `recipe_of_values` makes of the values of `inputs`."""

        def draw(request: gr.Request, *values: Any) -> News:
            yield from self.drawn(lambda: recipe_of_values(*values), request)

        gr.on(triggers, draw, [*inputs], self.outputs, **QUIET)

    def drawn(self, make: Callable[[], Recipe], request: gr.Request) -> News:
        """Yield what is to be seen while the recipe that `make` returns is drawn; what is wrong with it is
        said where the picture would be.
        """
        owner = visitor_of(request)
        try:
            job = self.desk.queue.submit(make(), owner)
        except SfumatoError as error:
            yield {self.progress: problem_of(error)}
            return
        yield from self._followed(job, owner)

    def stops(self, button: gr.Button) -> None:
        """Stop what is drawn, at the next step, when `button` is clicked."""

        def stop(request: gr.Request, number: str) -> None:
            if number:
                self.desk.queue.cancel(number, visitor_of(request))

        button.click(stop, self.job, None, queue=False, **CLICK)

    def taken_up(self, request: gr.Request) -> News:
        """Yield the same of what is still drawn for this visitor, after the page was left or loaded anew."""
        owner = visitor_of(request)
        left = [job for job in self.desk.queue.of(owner) if not job.finished and not job.other]
        if left:
            yield from self._followed(left[-1], owner)
        else:
            yield {self.job: ""}

    def _followed(self, job: Job, owner: str) -> News:
        try:
            yield from self._told(job, owner)
        except SfumatoError as error:  # the disk is full, or the picture was taken away meanwhile
            yield {self.progress: problem_of(error)}

    def _told(self, job: Job, owner: str) -> News:
        shown = -1
        for now in self.desk.queue.follow(job.id, owner, patience=PATIENCE):
            news: dict[Any, Any] = {self.progress: progress_of(now, self.words), self.job: now.id}
            if len(now.pictures) != shown:
                shown = len(now.pictures)
                kept = [self.desk.gallery.get(number, owner) for number in now.pictures]
                news[self.results] = [(str(self.desk.hand_over(one)), called(one)) for one in kept]
                news[self.pictures] = now.pictures
                news[self.chosen] = now.pictures[0] if shown else 0
            yield news


def build(desk: Desk, words: Words, name: str) -> Area:
    """Make an area, in the place that is open; `name` tells it from those of other tabs."""
    progress = gr.HTML("", elem_id=f"sf-{name}-progress", elem_classes="sf-progress", padding=True)
    results = gr.Gallery(
        label=words("results"),
        format="png",
        columns=2,
        object_fit="contain",
        height="auto",
        buttons=["download", "fullscreen"],
        interactive=False,
        elem_id=f"sf-{name}-results",
        elem_classes="sf-results",
    )
    job, pictures, chosen = gr.State(""), gr.State(()), gr.State(0)
    made = actions.build(Above(desk, words, progress, job, chosen), name)
    area = Area(desk, words, progress, results, job, pictures, chosen, made.buttons, made.about)
    _connect(area)
    return area


def _connect(area: Area) -> None:
    def choose(event: gr.SelectData, numbers: tuple[int, ...]) -> int:
        return numbers[event.index] if event.index < len(numbers) else 0

    # Through Gradio's queue: without it, nobody is told that a state changed (Gradio 6.31).
    area.results.select(choose, area.pictures, area.chosen, **QUIET)
    for name, change in (
        ("vary_subtle", lambda recipe: varied(recipe, LITTLE)),
        ("vary_strong", lambda recipe: varied(recipe, MUCH)),
        ("upscale", lambda recipe: enlarged(recipe, LARGER)),
    ):
        area.buttons[name].click(_again(area, change), area.chosen, area.outputs, **QUIET)


def _again(area: Area, change: Callable[[Recipe], Recipe]) -> Callable[..., News]:
    """Return a handler that draws what `change` makes of the recipe of the chosen picture."""

    def handle(request: gr.Request, number: int) -> News:
        def make() -> Recipe:
            return change(recipe_of_picture(area.desk, area.words, number, visitor_of(request)))

        yield from area.drawn(make, request)

    return handle


def called(kept: Kept) -> str:
    """Return what is written under a picture, and read to those who do not see it."""
    return f"{kept.prompt[:MOST_CALLED]} · {kept.seed}" if kept.prompt else f"{kept.seed}"
