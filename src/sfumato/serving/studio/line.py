"""Where a tab tells how what was asked for on it goes, and what stops it: one line for all of it."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from sfumato.errors import BusyError, SfumatoError
from sfumato.recipe.image import Recipe
from sfumato.serving.desk import Desk
from sfumato.serving.jobs import Job
from sfumato.serving.queue import Draw
from sfumato.serving.studio.binding import CLICK, QUIET, News
from sfumato.serving.studio.opening import Opening
from sfumato.serving.studio.showing import problem_of, series_of
from sfumato.serving.studio.visitors import visitor_of
from sfumato.serving.studio.words import Words

PATIENCE: float = 5.0  # seconds, at most, until a page that was closed is followed no longer
#: How what follows is bound: once at a time, and once more for what was asked for meanwhile.
FOLLOWS: dict[str, Any] = {**QUIET, "trigger_mode": "always_last"}


@dataclass(frozen=True, eq=False)
class Way:
    """A recipe that is drawn in a way of its own: what `JobQueue.submit` takes."""

    recipe: Recipe
    draw: Draw


@dataclass(frozen=True, eq=False, kw_only=True)
class Line:
    """The parts that tell of a tab's jobs. Those that are asked for while others are drawn are in one series
    with them, and one line tells how all of it goes: the server knows it, so that pages that are loaded anew,
    and several of one visitor, say the same.

    `series` holds the name of the newest one, and `films` the numbers of those of its jobs that became films.
    `notice` says why something was not asked for, `full` that no more can wait. `followed` has the pages that
    follow, each with its series. The button `stop_all` is seen while the line says that more wait.
    """

    desk: Desk
    words: Words
    name: str
    notice: gr.HTML
    full: gr.HTML
    line: gr.HTML
    stop_all: gr.Button
    series: gr.State
    films: gr.State
    followed: dict[tuple[str, str], object] = field(default_factory=dict[tuple[str, str], object])

    @property
    def outputs(self) -> list[Any]:
        """What a job changes."""
        return [self.line, self.full, self.series, self.films]

    def draws(
        self,
        triggers: Sequence[Callable[..., Any]],
        wanted: Callable[..., Recipe | Way],
        inputs: Sequence[Any],
    ) -> None:
        """Ask, on each of `triggers`, for what `wanted` makes of the values of `inputs`. Triggers are events
        of parts, or what comes `then`.
        """
        self.asks(triggers, lambda owner, *values: wanted(*values), inputs)

    def asks(
        self,
        triggers: Sequence[Callable[..., Any]],
        wanted: Callable[..., Recipe | Way],
        inputs: Sequence[Any],
    ) -> None:
        """As `draws`, but `wanted` is told who asks, before the values."""

        def ask(request: gr.Request, *values: Any) -> dict[Any, Any]:
            return self.asked(lambda: wanted(visitor_of(request), *values), request)

        # Each click is answered at once, however many there are. Not through Gradio's queue: what waits there
        # would be forgotten with the page.
        bound = ask, [*inputs], [self.notice, self.full, self.series]
        for trigger in triggers:
            asking = trigger(*bound, queue=False, trigger_mode="multiple", **CLICK)
            asking.then(self.follow, self.series, self.outputs, **FOLLOWS)

    def asked(self, make: Callable[[], Recipe | Way], request: gr.Request) -> dict[Any, Any]:
        """Put what `make` returns into the queue, and return what is to be said: nothing where that went
        well, as the line tells it.
        """
        owner = visitor_of(request)
        try:
            self.desk.queue.check_room(owner)
            made = make()
            recipe, draw = (made.recipe, made.draw) if isinstance(made, Way) else (made, None)
            job = self.desk.queue.submit(recipe, owner, draw, tab=self.name)
        except BusyError as error:
            return {self.full: problem_of(error)}
        except SfumatoError as error:
            return {self.notice: problem_of(error, self.words)}
        return {self.notice: "", self.full: "", self.series: job.series}

    def stops(self, button: gr.Button) -> None:
        """Stop what is drawn, at the next step, when `button` is clicked; what waits is drawn all the same,
        unless all is stopped.
        """

        def stop(request: gr.Request, series: str) -> None:
            jobs = self.desk.queue.series(series, visitor_of(request))
            left = [one for one in jobs if not one.finished]
            if left:
                now = min(left, key=lambda one: one.state != "running")
                self.desk.queue.cancel(now.id, now.owner)

        def stop_all(request: gr.Request, series: str) -> None:
            self.desk.queue.cancel_series(series, visitor_of(request))

        button.click(stop, self.series, None, queue=False, **CLICK)
        self.stop_all.click(stop_all, self.series, None, queue=False, **CLICK)

    def taken_up(self, opening: Opening) -> None:
        """Have the page follow, as it is opened, what is still drawn for its visitor."""
        news = opening.when(self.name, lambda owner: bool(self._newest(owner)))
        news(self.follow, self.series, self.outputs, **FOLLOWS)

    def follow(self, request: gr.Request, series: str) -> News:
        """Yield what is to be seen of a series until all of it is finished; without one, of the one that is
        under way, or that ended with a film, which is kept nowhere else.

        A page that follows it already is left to that: what comes into a series meanwhile is told there, and
        what comes later is in another. Then, and where there is nothing to follow, it is said that nothing
        changed: a handler that yields nothing empties all of its outputs (Gradio 6.31).
        """
        news: dict[Any, Any] | None = None
        with closing(self._followed(request, series)) as following:
            for news in following:
                yield news
        if news is None:
            yield {self.line: gr.skip()}

    def _followed(self, request: gr.Request, series: str) -> News:
        owner, page = visitor_of(request), request.session_hash or ""
        found = series or self._newest(owner)
        mine, key = object(), (page, found)
        if not found or self.followed.setdefault(key, mine) is not mine:
            return
        try:
            if not series:
                yield {self.series: found}
            yield from self._told(found, owner)
        finally:
            del self.followed[key]

    def _newest(self, owner: str) -> str:
        under_way = self.desk.queue.series_under_way(owner, self.name)
        mine = [one for one in self.desk.queue.of(owner) if one.tab == self.name]
        return under_way or (mine[-1].series if mine and mine[-1].film is not None else "")

    def _told(self, series: str, owner: str) -> News:
        left: int | None = None
        films: tuple[str, ...] = ()
        see = self._seeing(owner)
        with closing(self.desk.queue.follow_series(series, owner, PATIENCE)) as following:
            for jobs in following:
                news, trouble = see(jobs)
                before, left = left, sum(not one.finished for one in jobs)
                if left if before is None else left < before:
                    news[self.full] = ""  # there is room again
                made = tuple(one.id for one in jobs if one.film is not None)
                if made != films:
                    films = news[self.films] = made
                news[self.line] = trouble + series_of(jobs, self.words)
                yield news

    def _seeing(self, owner: str) -> Callable[[Sequence[Job]], tuple[dict[Any, Any], str]]:
        """Return what tells, of the jobs of a series as they go, what else is news, and what went wrong."""
        return lambda jobs: ({}, "")


def parts_of(desk: Desk, words: Words, name: str) -> Mapping[str, Any]:
    """Make the parts of a line, in the place that is open, and return them as `Line` takes them; `name` tells
    it from those of other tabs.
    """
    with gr.Column(elem_id=f"sf-{name}-progress", elem_classes="sf-progress"):
        line, notice, full = (gr.HTML("", padding=False) for _ in range(3))
        stop_all = gr.Button(words("stop_all"), variant="stop", size="sm", elem_classes="sf-stop-all")
    return {
        "desk": desk,
        "words": words,
        "name": name,
        "notice": notice,
        "full": full,
        "line": line,
        "stop_all": stop_all,
        "series": gr.State(""),
        "films": gr.State(()),
    }
