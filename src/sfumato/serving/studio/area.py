"""Where a tab shows what it draws: how far it is, the pictures, and what can be done with each."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

import gradio as gr

from sfumato.errors import BusyError, SfumatoError
from sfumato.recipe.image import Recipe
from sfumato.serving.desk import Desk
from sfumato.serving.gallery import Kept
from sfumato.serving.jobs import Job
from sfumato.serving.studio import actions
from sfumato.serving.studio.actions import Above, recipe_of_picture
from sfumato.serving.studio.binding import CLICK, QUIET, News
from sfumato.serving.studio.forms import enlarged, varied
from sfumato.serving.studio.showing import problem_of, series_of
from sfumato.serving.studio.visitors import visitor_of
from sfumato.serving.studio.words import Words

LITTLE: float = 0.15  # of another noise, for variations: details change
MUCH: float = 0.45  # and the composition too
LARGER: float = 2.0
MOST_SHOWN: int = 48  # pictures of one series; all are in the gallery
PATIENCE: float = 5.0  # seconds, at most, until a page that was closed is followed no longer
MOST_CALLED: int = 80  # characters of a prompt under a picture
#: How what follows is bound: once at a time, and once more for what was asked for meanwhile.
FOLLOWS: dict[str, Any] = {**QUIET, "trigger_mode": "always_last"}


@dataclass(frozen=True, eq=False)
class Area:
    """The parts that show a tab's drawings. Those that are asked for while others are drawn are in one series
    with them, and one line tells how all of it goes: the server knows it, so that pages that are loaded anew,
    and several of one visitor, say the same.

    `series` holds the name of the newest one, `pictures` the numbers in the gallery of those that are shown,
    `picked` the one that was clicked and is shown large, 0 for none, `chosen` the one that is meant: the one
    that was clicked, or the newest. `about` says what there is to say of that one. `notice` says why
    something was not asked for, `full` that no more can wait. `progress` tells how something else goes that
    is drawn in a way of its own, and `job` holds its number. `followed` has the pages that follow, each with
    its series. The button `stop_all` is seen while the line says that more wait.
    """

    desk: Desk
    words: Words
    name: str
    notice: gr.HTML
    full: gr.HTML
    line: gr.HTML
    stop_all: gr.Button
    progress: gr.HTML
    results: gr.Gallery
    series: gr.State
    job: gr.State
    pictures: gr.State
    picked: gr.State
    chosen: gr.State
    buttons: Mapping[str, gr.Button | gr.DownloadButton]
    about: gr.HTML
    followed: dict[tuple[str, str], object] = field(default_factory=dict[tuple[str, str], object])

    @property
    def outputs(self) -> list[Any]:
        """What a drawing changes."""
        return [
            self.line,
            self.results,
            self.full,
            self.progress,
            self.series,
            self.pictures,
        ]

    def draws(
        self,
        triggers: Sequence[Callable[..., Any]],
        recipe_of_values: Callable[..., Recipe],
        inputs: Sequence[Any],
    ) -> None:
        """Ask, on each of `triggers`, for what `recipe_of_values` makes of the values of `inputs`."""

        def draw(request: gr.Request, *values: Any) -> dict[Any, Any]:
            return self.asked(lambda: recipe_of_values(*values), request)

        # Each click is answered at once, however many there are. Not through Gradio's queue: what waits there
        # would be forgotten with the page.
        outputs = [self.notice, self.full, self.series]
        asking = gr.on(triggers, draw, [*inputs], outputs, queue=False, trigger_mode="multiple", **CLICK)
        asking.then(self.follow, self.series, self.outputs, **FOLLOWS)

    def asked(self, make: Callable[[], Recipe], request: gr.Request) -> dict[Any, Any]:
        """Put the recipe that `make` returns into the queue, and return what is to be said: nothing where
        that went well, as the line tells it.
        """
        owner = visitor_of(request)
        try:
            self.desk.queue.check_room(owner)
            job = self.desk.queue.submit(make(), owner, tab=self.name)
        except BusyError as error:
            return {self.full: problem_of(error)}
        except SfumatoError as error:
            return {self.notice: problem_of(error, self.words)}
        return {self.notice: "", self.full: "", self.series: job.series}

    def stops(self, button: gr.Button) -> None:
        """Stop what is drawn, at the next step, when `button` is clicked; what waits is drawn all the same,
        unless all is stopped.
        """

        def stop(request: gr.Request, series: str, number: str) -> None:
            left = self._left(visitor_of(request), series, number)
            if left:
                now = min(left, key=lambda one: one.state != "running")
                self.desk.queue.cancel(now.id, now.owner)

        def stop_all(request: gr.Request, series: str, number: str) -> None:
            owner = visitor_of(request)
            self.desk.queue.cancel_series(series, owner)
            for job in self._left(owner, "", number):
                self.desk.queue.cancel(job.id, owner)

        of_page = [self.series, self.job]
        button.click(stop, of_page, None, queue=False, **CLICK)
        self.stop_all.click(stop_all, of_page, None, queue=False, **CLICK)

    def _left(self, owner: str, series: str, number: str) -> list[Job]:
        """Return what is left to do of what a page shows: of its series, and of what it draws otherwise."""
        mine = [one for one in self.desk.queue.of(owner) if not one.finished]
        return [one for one in mine if (series and one.series == series) or one.id == number]

    def taken_up(self, page: gr.Blocks) -> None:
        """Have `page` follow, as it is loaded, what is still drawn for its visitor."""
        page.load(self.follow, self.series, self.outputs, **FOLLOWS)

    def follow(self, request: gr.Request, series: str) -> News:
        """Yield what is to be seen of a series until all of it is finished; without one, of the one that is
        under way.

        A page that follows it already is left to that: what comes into a series meanwhile is told there, and
        what comes later is in another.
        """
        owner, page = visitor_of(request), request.session_hash or ""
        found = series or self.desk.queue.series_under_way(owner, self.name)
        mine, key = object(), (page, found)
        if not found or self.followed.setdefault(key, mine) is not mine:
            return
        try:
            if not series:
                yield {self.series: found}
            yield from self._told(found, owner)
        finally:
            del self.followed[key]

    def _told(self, series: str, owner: str) -> News:
        tiles: dict[int, tuple[str, str]] = {}
        numbers: tuple[int, ...] | None = None
        left: int | None = None
        trouble = ""
        with closing(self.desk.queue.follow_series(series, owner, PATIENCE)) as following:
            for jobs in following:
                news: dict[Any, Any] = {}
                before, left = left, sum(not one.finished for one in jobs)
                if before is None and left == len(jobs):
                    news[self.progress] = ""  # a fresh one: what was drawn otherwise before is over
                if left if before is None else left < before:
                    news[self.full] = ""  # there is room again
                if numbers != newest_first(jobs):
                    numbers = newest_first(jobs)
                    trouble = self._handed(numbers, owner, tiles)
                    shown = tuple(one for one in numbers if one in tiles)
                    news[self.results] = [tiles[one] for one in shown]
                    if shown:  # until then the buttons are about what was shown before
                        news[self.pictures] = shown
                news[self.line] = trouble + series_of(jobs, self.words)
                yield news

    def _handed(self, numbers: Sequence[int], owner: str, tiles: dict[int, tuple[str, str]]) -> str:
        """Put into `tiles` what is new of the pictures `numbers` and still there; return what went wrong."""
        try:
            # Copies that were shown long ago go, and this may take long.
            new = [one for one in numbers if one not in tiles or not Path(tiles[one][0]).is_file()]
            for kept in self.desk.gallery.get_all(new, owner):
                tiles[kept.id] = (str(self.desk.hand_over(kept)), called(kept))
        except SfumatoError as error:  # the disk is full
            return problem_of(error)
        return ""


def build(desk: Desk, words: Words, name: str) -> Area:
    """Make an area, in the place that is open; `name` tells it from those of other tabs."""
    with gr.Column(elem_classes="sf-slot"):
        with gr.Column(elem_id=f"sf-{name}-progress", elem_classes="sf-progress"):
            line, progress, notice, full = (gr.HTML("", padding=False) for _ in range(4))
            stop_all = gr.Button(words("stop_all"), variant="stop", size="sm", elem_classes="sf-stop-all")
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
    series, job, pictures, picked, chosen = (gr.State(one) for one in ("", "", (), 0, 0))
    made = actions.build(Above(desk, words, progress, job, chosen), name)
    area = Area(
        desk=desk,
        words=words,
        name=name,
        notice=notice,
        full=full,
        line=line,
        stop_all=stop_all,
        progress=progress,
        results=results,
        series=series,
        job=job,
        pictures=pictures,
        picked=picked,
        chosen=chosen,
        buttons=made.buttons,
        about=made.about,
    )
    _connect(area)
    return area


def _connect(area: Area) -> None:
    def pick(event: gr.SelectData, numbers: tuple[int, ...], request: gr.Request) -> tuple[int, int]:
        number = _clicked(area, event, numbers, visitor_of(request))
        return number, number

    def settle(numbers: tuple[int, ...], picked: int) -> dict[Any, Any]:
        if picked in numbers:  # newer ones came before it, and it stays the one that is shown large
            return {area.chosen: picked, area.results: gr.Gallery(selected_index=numbers.index(picked))}
        return {area.chosen: numbers[0] if numbers else 0, area.picked: 0}

    # Through Gradio's queue: without it, nobody is told that a state changed (Gradio 6.31).
    # Of two quick clicks the second counts: Gradio would drop it while the first is answered.
    picks = [area.picked, area.chosen]
    area.results.select(pick, area.pictures, picks, trigger_mode="multiple", **QUIET)
    area.results.preview_close(lambda: 0, None, area.picked, **QUIET)
    of_pictures = [area.pictures, area.picked], [area.chosen, area.picked, area.results]
    area.pictures.change(settle, *of_pictures, trigger_mode="always_last", **QUIET)
    for name, change in (
        ("vary_subtle", lambda recipe: varied(recipe, LITTLE)),
        ("vary_strong", lambda recipe: varied(recipe, MUCH)),
        ("upscale", lambda recipe: enlarged(recipe, LARGER)),
    ):
        _again(area, name, change)


def _again(area: Area, button: str, change: Callable[[Recipe], Recipe]) -> None:
    """Have a button ask for what `change` makes of the recipe of the chosen picture."""

    def handle(request: gr.Request, number: int) -> dict[Any, Any]:
        owner = visitor_of(request)
        return area.asked(lambda: change(recipe_of_picture(area.desk, area.words, number, owner)), request)

    outputs = [area.notice, area.full, area.series]
    bound: dict[str, Any] = {"queue": False, "trigger_mode": "multiple", **CLICK}
    asking = area.buttons[button].click(handle, area.chosen, outputs, **bound)
    asking.then(area.follow, area.series, area.outputs, **FOLLOWS)


def _clicked(area: Area, event: gr.SelectData, numbers: Sequence[int], owner: str) -> int:
    """Return the number of the picture that was clicked, 0 for none. It is told by its name: another may have
    come before it since.
    """
    match event.value:
        case {"image": {"path": str(path)}}:
            for kept in area.desk.gallery.get_all(numbers, owner):
                if kept.path.name == PurePath(path).name:
                    return kept.id
        case _:
            pass
    return numbers[event.index] if event.index < len(numbers) else 0


def newest_first(jobs: Sequence[Job]) -> tuple[int, ...]:
    """Return the numbers of the pictures of a series that are shown: those of the newest job first."""
    return tuple(number for one in reversed(jobs) for number in one.pictures)[:MOST_SHOWN]


def called(kept: Kept) -> str:
    """Return what is written under a picture, and read to those who do not see it."""
    return f"{kept.prompt[:MOST_CALLED]} · {kept.seed}" if kept.prompt else f"{kept.seed}"
