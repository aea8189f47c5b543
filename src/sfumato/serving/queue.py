"""The one queue of a server: one job is drawn at a time, whoever asks, and nobody is forgotten.

Owners take turns, so that a hundred jobs of one do not keep another waiting for more than one. What was
accepted is in the store before the caller hears of it: a server that was stopped, or fell over, goes on with
it. Threads wait here for news of a job; nobody is called back.
"""

import logging
import math
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from typing import Any, Final, TypeAlias

from sfumato.engine.events import Done, Event, Picture, Started, StepDone
from sfumato.errors import BusyError, NotFoundError, OutputError, SfumatoError
from sfumato.models.memory import give_back, ran_out, running_out
from sfumato.recipe.codec import from_json, to_json
from sfumato.recipe.image import Recipe
from sfumato.serving.following import APART, are_news, is_news
from sfumato.serving.gallery import Gallery
from sfumato.serving.jobs import Job, Worked, previews_of, told_of
from sfumato.serving.reels import Reel
from sfumato.serving.store import Store
from sfumato.serving.timing import Laps, Took

MOST_WAITING: Final = 200  # jobs of all owners
MOST_EACH: Final = 20
MOST_REMEMBERED: Final = 200  # finished jobs, so that who looks away for a while still sees the end
MOST_ATTEMPTS: Final = 3  # a job that takes the server down with it is not tried for ever
PREVIEWS: Final = 10  # of a picture, at most: each costs a rough decoding
News: TypeAlias = Event | Worked | Reel
#: Draws a recipe, with a preview every so many steps; or does something else, and says how far it is.
Draw: TypeAlias = Callable[[Recipe, int], Generator[News, None, None]]
First: TypeAlias = Callable[[Callable[[], bool]], None]
_LOG: Final = logging.getLogger("sfumato.serving")
_UNEXPECTED: Final = SfumatoError("Something went wrong that should not; the server's log has the details.")


class JobQueue:
    """Draws jobs one after another, in a thread of its own.

    `draw(recipe, preview_every)` draws one, as `sfumato.engine.run.run` does; finished pictures go into
    `gallery`. Before all, that thread does what is `first`, which is told when to leave off. Errors that are
    not the user's go into the log of "sfumato.serving".
    """

    def __init__(self, draw: Draw, gallery: Gallery, store: Store, first: First | None = None) -> None:
        self._draw, self._gallery, self._store, self._first = draw, gallery, store, first
        self._news = threading.Condition()
        self._jobs: dict[str, Job] = {}
        self._ways: dict[str, Draw] = {}  # of jobs that are drawn in a way of their own
        self._waiting: dict[str, deque[str]] = {}  # by owner; owners in the order of their turns
        self._stopped: set[str] = set()  # jobs that are to be cancelled
        self._ended: deque[str] = deque()
        self._usual = 0.0  # seconds that jobs took lately
        self._number = 0
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="sfumato-drawing", daemon=True)
        self._take_up()

    def start(self) -> None:
        """Begin to draw."""
        self._thread.start()

    def close(self) -> None:
        """Stop drawing; what is not finished is taken up when a queue opens on this store again."""
        with self._news:
            self._closing = True
            self._news.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def drawing(self) -> bool:
        """Whether a job is drawn now, or waits to be."""
        with self._news:
            return any(not one.finished for one in self._jobs.values())

    def submit(
        self, recipe: Recipe, owner: str, draw: Draw | None = None, title: str = "", tab: str = ""
    ) -> Job:
        """Accept a job. Raises BusyError when too many are waiting, OutputError when it cannot be kept.

        With `draw` it is drawn in a way of its own, when its turn comes and in the thread that draws: for
        who wants to see more of the drawing than its pictures. Such a job ends with this queue: another
        that opens on the store knows nothing of it. `title` says what it does where it draws nothing. With a
        `tab` it is put into a series.
        """
        with self._news:
            self._check_room(owner, 1)
            number, now = secrets.token_urlsafe(12), time.time()
            job = Job(number, owner, recipe, now, title=title, other=draw is not None, tab=tab)
            if draw is None:
                self._keep([job])
            else:
                self._ways[job.id] = draw
            self._enqueue(job)
            return self._jobs[job.id]

    def submit_together(self, recipes: Sequence[Recipe], owner: str) -> tuple[Job, ...]:
        """Accept jobs that belong together, in this order: all of them or none. For what `owner` may have
        waiting they count as one. Raises as `submit` does.
        """
        with self._news:
            self._check_room(owner, len(recipes))
            jobs = [Job(secrets.token_urlsafe(12), owner, one, time.time()) for one in recipes]
            self._keep(jobs)
            for job in jobs:
                self._enqueue(job)
            return tuple(self._jobs[job.id] for job in jobs)

    def check_room(self, owner: str) -> None:
        """Raise BusyError where `submit` would: before work is put into a recipe that is refused."""
        with self._news:
            self._check_room(owner, 1)

    def get(self, number: str, owner: str) -> Job:
        """Return how a job of `owner` goes. Raises NotFoundError, for other people's jobs as well."""
        with self._news:
            job = self._jobs.get(number)
            if job is None or job.owner != owner:
                raise NotFoundError("there is no such job", field="job", value=number)
            return job

    def of(self, owner: str) -> tuple[Job, ...]:
        """Return the jobs of `owner` that are remembered, the oldest first."""
        with self._news:
            return tuple(one for one in self._jobs.values() if one.owner == owner)

    def series(self, name: str, owner: str) -> tuple[Job, ...]:
        """Return the jobs of a series of `owner` that are remembered, the oldest first."""
        return tuple(one for one in self.of(owner) if name and one.series == name)

    def series_under_way(self, owner: str, tab: str) -> str:
        """Return the name of the series of `owner` and `tab` of which something is left to do, or ""."""
        return next((one.series for one in self.of(owner) if one.tab == tab and not one.finished), "")

    def follow_series(
        self, name: str, owner: str, patience: float = math.inf
    ) -> Generator[tuple[Job, ...], None, None]:
        """Yield the jobs of a series, as `follow` does those of one, until all are finished; nothing of one
        that is not known. What is asked for later is in another.
        """
        last: tuple[Job, ...] = ()
        said = time.monotonic()
        while not last or any(not one.finished for one in last):
            with self._news:
                jobs = self.series(name, owner)
                while last and not are_news(jobs, last, time.monotonic() - said, patience):
                    self._news.wait(APART)
                    jobs = self.series(name, owner)
            if not jobs:
                return
            last, said = jobs, time.monotonic()
            yield jobs

    def follow(
        self, number: str, owner: str, version: int = -1, patience: float = math.inf
    ) -> Generator[Job, None, None]:
        """Yield what happens to a job, from after `version` until it is finished: the newest news each time,
        not all; a few in a second, but pictures and the end at once. After `patience` seconds without news,
        the same again: who closes a generator waits for as long. Raises NotFoundError.
        """
        last: Job | None = None
        said = time.monotonic()
        while last is None or not last.finished:
            with self._news:
                job = self.get(number, owner)
                while not is_news(job, last, version, time.monotonic() - said, patience):
                    if job.finished:
                        return
                    self._news.wait(APART)
                    job = self.get(number, owner)
            last, said, version = job, time.monotonic(), job.version
            yield job

    def cancel(self, number: str, owner: str) -> Job:
        """Cancel a job, at the next step if it is being drawn; one that is finished stays as it is. Raises
        NotFoundError.
        """
        with self._news:
            job = self.get(number, owner)
            if job.state == "queued":
                self._waiting[owner].remove(number)
                self._end(job, "cancelled")
            elif job.state == "running":
                self._stopped.add(number)
            return self._jobs[number]

    def cancel_series(self, name: str, owner: str) -> None:
        """Cancel all jobs of a series: none that waits begins meanwhile."""
        with self._news:
            for job in reversed(self.series(name, owner)):
                self.cancel(job.id, owner)

    def _check_room(self, owner: str, number: int) -> None:
        mine = len(self._waiting.get(owner, ()))
        everyone = sum(len(one) for one in self._waiting.values())
        if self._closing or mine >= MOST_EACH or everyone + number > MOST_WAITING:
            what = f"{mine} of yours" if mine >= MOST_EACH else f"{everyone}"
            reason = "the server is closing" if self._closing else f"{what} are waiting already"
            raise BusyError(reason, field="job", hint="Try again in a while, or cancel one.")

    def _keep(self, jobs: Sequence[Job]) -> None:
        """Write jobs down, all of them or none. Raises OutputError."""
        with self._store.writing() as connection:
            for number, job in enumerate(jobs, start=self._number + 1):
                connection.execute(
                    "INSERT INTO jobs (id, owner, number, created, recipe, state, tab) "
                    "VALUES (?, ?, ?, ?, ?, 'queued', ?)",
                    (job.id, job.owner, number, job.created, to_json(job.recipe), job.tab),
                )
        self._number += len(jobs)

    def _take_up(self) -> None:
        """Go on with what an earlier queue left."""
        rows = self._store.read("SELECT * FROM jobs WHERE state IN ('queued', 'running') ORDER BY number")
        (last,) = self._store.read("SELECT max(number) AS number FROM jobs")
        self._number = last["number"] or 0
        with self._news:
            for row in rows:
                try:
                    recipe = from_json(row["recipe"], Recipe)
                except SfumatoError as error:  # written by another version
                    self._settle(row["id"], "failed", str(error))
                    continue
                kept = self._store.read("SELECT id FROM pictures WHERE job = ? ORDER BY id", (row["id"],))
                pictures = tuple(one["id"] for one in kept)
                attempts = row["attempts"]
                more = {"attempts": attempts, "pictures": pictures, "tab": row["tab"]}
                job = Job(row["id"], row["owner"], recipe, row["created"], **more)
                if len(pictures) >= recipe.count:  # it fell over between the last picture and saying so
                    self._jobs[job.id] = job
                    self._end(job, "done")
                elif attempts >= MOST_ATTEMPTS:
                    self._jobs[job.id] = job
                    error = SfumatoError(f"the server stopped {attempts} times while it was drawn")
                    self._end(job, "failed", error)
                else:
                    self._enqueue(job)

    def _enqueue(self, job: Job) -> None:
        self._jobs[job.id] = self._placed(job)
        self._waiting.setdefault(job.owner, deque()).append(job.id)
        self._reorder()

    def _placed(self, job: Job) -> Job:
        """Return a job with its place: behind others of its series, or the first of a new one."""
        if not job.tab:
            return job
        name = self.series_under_way(job.owner, job.tab) or job.id
        last = max((one.place for one in self.series(name, job.owner)), default=0)
        return replace(job, series=name, place=last + 1)

    def _work(self) -> None:
        if self._first is not None:
            self._first(lambda: self._closing or self.drawing)
        while (job := self._next()) is not None:
            began = time.monotonic()
            try:
                self._make(job)
            except SfumatoError as error:
                self._finish(job.id, "failed", error)
            except Exception as error:  # whatever it is, the next job has a right to its turn
                if ran_out(error):
                    problem = running_out("drawing", error)
                    give_back()
                else:
                    problem = _UNEXPECTED
                    _LOG.exception("A job failed")
                self._finish(job.id, "failed", problem)
            took = time.monotonic() - began
            if job.title:  # what it took says nothing of drawings
                continue
            self._usual = took if self._usual == 0 else 0.7 * self._usual + 0.3 * took

    def _next(self) -> Job | None:
        """Wait for the next job, and return it as one that is drawn; None when the queue closes."""
        with self._news:
            while not self._closing:
                owner = next((name for name, jobs in self._waiting.items() if jobs), None)
                if owner is None:
                    self._waiting.clear()
                    self._news.wait()
                    continue
                jobs = self._waiting.pop(owner)
                job = self._jobs[jobs.popleft()]
                if jobs:
                    self._waiting[owner] = jobs  # behind all others
                try:
                    query = "UPDATE jobs SET state = 'running', attempts = attempts + 1 WHERE id = ?"
                    self._store.write(query, (job.id,))
                except OutputError as error:
                    self._end(job, "failed", error)
                    continue
                self._reorder()
                return self._change(job.id, state="running", position=0, seconds_left=None)
            return None

    def _make(self, job: Job) -> None:
        began = time.monotonic()
        every = max(1, -(-(job.recipe.steps or 20) // PREVIEWS))
        backend = ""
        draw, laps = self._ways.get(job.id, self._draw), Laps()
        with closing(draw(job.recipe, every)) as events:
            for event in events:
                took = laps.took(event)
                with self._news:
                    closing_down, stopped = self._closing, job.id in self._stopped
                if closing_down:
                    # It is drawn again from its beginning, and what stopped it was not its fault.
                    with suppress(OutputError):
                        query = "UPDATE jobs SET state = 'queued', attempts = attempts - 1 WHERE id = ?"
                        self._store.write(query, (job.id,))
                    return
                if stopped:
                    self._finish(job.id, "cancelled")
                    return
                if isinstance(event, Started):
                    backend = event.backend
                self._tell(job, event, backend, time.monotonic() - began, took)
        self._finish(job.id, "done")

    def _tell(self, job: Job, event: News, backend: str, seconds: float, took: Took) -> None:
        now = self._jobs[job.id]
        match event:
            case Started():
                self._change(job.id, total_steps=event.total_steps, warnings=event.warnings)
            case StepDone():
                left = seconds / event.finished_steps * (event.total_steps - event.finished_steps)
                news: dict[str, Any] = {"steps": event.finished_steps, "total_steps": event.total_steps}
                if event.preview is not None:
                    news["previews"] = {**now.previews, **previews_of(event)}
                self._change(job.id, quietly=True, seconds=seconds, seconds_left=left, **news)
            case Picture() if event.index < len(now.pictures):
                pass  # kept already, before the server fell over
            case Picture():
                kept = self._gallery.add(event.pixels, event.resolved, backend, job.owner, job.id, took)
                rest = {index: one for index, one in now.previews.items() if index != event.index}
                self._change(job.id, pictures=(*now.pictures, kept.id), previews=rest)
            case Done():
                self._change(job.id, warnings=(*now.warnings, *event.warnings), seconds=seconds)
            case Worked():
                left = seconds / event.percent * (100 - event.percent) if event.percent else None
                told = {"steps": event.percent, "total_steps": 100, "seconds_left": left}
                self._change(job.id, quietly=True, seconds=seconds, **told)
            case Reel():
                self._change(job.id, film=event)
            case _:  # it goes on in another way, and says so
                self._change(job.id, warnings=(*now.warnings, *event.warnings))

    def _finish(self, number: str, state: Any, error: SfumatoError | None = None) -> None:
        with self._news:
            self._stopped.discard(number)
            if not self._jobs[number].finished:  # it was stopped, and fell over as it closed
                self._end(self._jobs[number], state, error)

    def _end(self, job: Job, state: Any, error: SfumatoError | None = None) -> None:
        self._ways.pop(job.id, None)
        self._settle(job.id, state, error and str(error))
        self._change(job.id, state=state, error=error and told_of(error), position=0, seconds_left=None)
        self._reorder()
        self._ended.append(job.id)
        while len(self._ended) > MOST_REMEMBERED:
            del self._jobs[self._ended.popleft()]

    def _settle(self, number: str, state: str, problem: str | None) -> None:
        # Where this fails the job is drawn again after a restart, which is better than stopping everything.
        with suppress(OutputError):
            self._store.write("UPDATE jobs SET state = ?, problem = ? WHERE id = ?", (state, problem, number))

    def _change(self, number: str, *, quietly: bool = False, **news: Any) -> Job:
        """Have `news` of a job; `quietly`, who follows it sees them at the next look."""
        with self._news:
            before = self._jobs[number]
            job = self._jobs[number] = replace(before, **news, version=before.version + 1)
            if not quietly:
                self._news.notify_all()
            return job

    def _reorder(self) -> None:
        """Tell every waiting job its place: owners take turns, each with its oldest."""
        drawn = sum(one.state == "running" for one in self._jobs.values())
        lines = [[*jobs] for jobs in self._waiting.values()]
        order = [
            line[turn]
            for turn in range(max(map(len, lines), default=0))
            for line in lines
            if turn < len(line)
        ]
        for place, number in enumerate(order, start=drawn):
            left = (place + 1) * self._usual if self._usual else None
            if self._jobs[number].position != place or self._jobs[number].version == 0:
                self._change(number, position=place, seconds_left=left)
