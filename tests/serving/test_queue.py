"""The queue: fair, one at a time, and it forgets nothing."""

import errno
import gc
import threading
from collections.abc import Generator
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import Any
from weakref import ref

import pytest
from PIL import Image

from gated_drawing import WAIT, Drawing, frog
from sfumato.engine.events import Event, Events, StepDone
from sfumato.engine.keeping import metadata_of
from sfumato.errors import BusyError, NotFoundError, RecipeError
from sfumato.recipe.image import Recipe
from sfumato.recipe.resolve import resolve
from sfumato.serving.gallery import Gallery
from sfumato.serving.jobs import Job, Worked
from sfumato.serving.queue import MOST_ATTEMPTS, MOST_EACH, MOST_WAITING, JobQueue
from sfumato.serving.reels import Reel
from sfumato.serving.store import Store
from tiny_models import tiny_bundle

ME, OTHER = "me", "other"


class StoppedClock:
    """A clock on which no time passes."""

    def time(self) -> float:
        return 0.0

    def monotonic(self) -> float:
        return 0.0


@pytest.fixture
def store(tmp_path: Path) -> Any:
    store = Store(tmp_path / "studio.db")
    yield store
    store.close()


@pytest.fixture
def gallery(store: Store, tmp_path: Path) -> Gallery:
    return Gallery(tmp_path / "pictures", store)


@pytest.fixture
def drawing() -> Drawing:
    return Drawing()


@pytest.fixture
def queue(drawing: Drawing, gallery: Gallery, store: Store) -> Any:
    queue = JobQueue(drawing, gallery, store)
    yield queue
    drawing.gate.set()
    queue.close()


def end(queue: JobQueue, job: Job) -> Job:
    *_, last = queue.follow(job.id, job.owner)
    return last


def test_a_job_is_drawn_and_kept(queue: JobQueue, drawing: Drawing, gallery: Gallery) -> None:
    drawing.gate.set()
    job = queue.submit(frog(count=2, steps=4), ME)
    assert (job.state, job.position) == ("queued", 0)
    queue.start()
    seen = list(queue.follow(job.id, ME))
    assert [one.version for one in seen] == sorted({one.version for one in seen})
    last = seen[-1]
    assert (last.state, last.problem, last.previews) == ("done", None, {})
    assert (last.steps, last.total_steps) == (4, 4)
    assert [gallery.get(number, ME).seed for number in last.pictures] == [7, 8]


def test_previews_are_small_pictures(queue: JobQueue, drawing: Drawing) -> None:
    drawing.gate.set()
    seen = threading.Event()

    def held(recipe: Recipe, preview_every: int) -> Events:
        for event in drawing(recipe, preview_every):
            yield event
            if isinstance(event, StepDone):
                assert seen.wait(WAIT)

    queue.start()
    shown: list[bytes] = []
    for one in queue.follow(queue.submit(frog(steps=3), ME, held).id, ME):
        if one.previews:
            shown.append(one.previews[0])
            seen.set()
    with Image.open(BytesIO(shown[0])) as image:
        assert (image.format, image.size) == ("JPEG", (64, 64))


def test_owners_take_turns(queue: JobQueue, drawing: Drawing) -> None:
    jobs = [queue.submit(frog(seed=seed), ME) for seed in (1, 2, 3, 4)]
    jobs += [queue.submit(frog(seed=5), OTHER), queue.submit(frog(seed=6), "third")]
    assert [queue.get(one.id, one.owner).position for one in jobs] == [0, 3, 4, 5, 1, 2]
    drawing.gate.set()
    queue.start()
    for job in jobs:
        assert end(queue, job).state == "done"
    assert drawing.begun == [1, 5, 6, 2, 3, 4]


def test_jobs_are_cancelled_while_they_wait_and_while_they_are_drawn(
    queue: JobQueue, drawing: Drawing, gallery: Gallery
) -> None:
    first, second, third = (queue.submit(frog(seed=seed), ME) for seed in (1, 2, 3))
    queue.start()
    assert drawing.stepping.acquire(timeout=WAIT)
    assert queue.cancel(second.id, ME).state == "cancelled"
    assert queue.cancel(first.id, ME).state == "running"
    drawing.gate.set()
    assert end(queue, first).state == "cancelled"
    assert end(queue, third).state == "done"
    assert queue.cancel(third.id, ME).state == "done"
    assert drawing.begun == [1, 3]
    assert [one.seed for one in gallery.search(ME)] == [3]


@pytest.mark.parametrize(
    ("seed", "problem"), [(13, "seed: is unlucky (got 13)"), (14, "Something went wrong")]
)
def test_a_job_that_fails_does_not_stop_the_next(
    queue: JobQueue, drawing: Drawing, seed: int, problem: str
) -> None:
    drawing.gate.set()
    queue.start()
    bad, good = queue.submit(frog(seed=seed), ME), queue.submit(frog(), ME)
    last = end(queue, bad)
    assert last.state == "failed"
    assert last.problem is not None
    assert last.problem.startswith(problem)
    assert end(queue, good).state == "done"


def test_jobs_belong_to_their_owners(queue: JobQueue) -> None:
    job = queue.submit(frog(), ME)
    for ask in (queue.get, queue.cancel, lambda *asked: next(queue.follow(*asked))):
        with pytest.raises(NotFoundError, match="there is no such job"):
            ask(job.id, OTHER)
    assert queue.of(OTHER) == ()
    assert [one.id for one in queue.of(ME)] == [job.id]


def test_two_hundred_clicks_are_refused_kindly(queue: JobQueue) -> None:
    for _ in range(MOST_EACH):
        queue.submit(frog(), ME)
    for _ in range(200 - MOST_EACH):
        with pytest.raises(BusyError, match=f"{MOST_EACH} of yours are waiting already"):
            queue.submit(frog(), ME)
    assert len(queue.of(ME)) == MOST_EACH
    assert queue.submit(frog(), OTHER).state == "queued"


def test_what_was_accepted_is_drawn_after_a_restart(
    queue: JobQueue, drawing: Drawing, gallery: Gallery, store: Store
) -> None:
    jobs = [queue.submit(frog(seed=seed), ME) for seed in (1, 2)]
    queue.start()
    assert drawing.stepping.acquire(timeout=WAIT)
    closing_down = threading.Thread(target=queue.close)
    closing_down.start()
    drawing.gate.set()
    closing_down.join()
    assert gallery.search(ME) == ()
    later = JobQueue(drawing, gallery, store)
    assert [(one.id, one.state, one.attempts) for one in later.of(ME)] == [
        (job.id, "queued", 0) for job in jobs
    ]
    later.start()
    assert [end(later, job).state for job in jobs] == ["done", "done"]
    later.close()
    with pytest.raises(BusyError, match="closing"):
        later.submit(frog(), ME)


def test_a_job_that_takes_the_server_down_is_not_tried_for_ever(
    drawing: Drawing, gallery: Gallery, store: Store, queue: JobQueue
) -> None:
    job = queue.submit(frog(), ME)
    store.write("UPDATE jobs SET state = 'running', attempts = ?", (MOST_ATTEMPTS,))
    (left,) = JobQueue(drawing, gallery, store).of(ME)
    assert (left.id, left.state) == (job.id, "failed")
    assert left.problem is not None
    assert "stopped 3 times" in left.problem


def test_who_comes_late_sees_the_end(queue: JobQueue, drawing: Drawing) -> None:
    drawing.gate.set()
    queue.start()
    job = queue.submit(frog(), ME)
    last = end(queue, job)
    assert [one.state for one in queue.follow(job.id, ME)] == ["done"]
    assert list(queue.follow(job.id, ME, last.version)) == []


def test_who_follows_sees_steps_now_and_then_and_the_rest_at_once(
    queue: JobQueue, drawing: Drawing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sfumato.serving.queue.time", StoppedClock())  # the next step is not told yet
    drawing.gate.set()
    queue.start()
    job = queue.submit(frog(steps=60, count=2), ME)
    seen = [(one.steps, one.state, len(one.pictures)) for one in queue.follow(job.id, ME)]
    assert len(seen) <= 1 + 2 + 1  # the first, pictures, the end
    assert seen[-1] == (60, "done", 2)


def test_who_waits_long_is_shown_the_same_again(queue: JobQueue) -> None:
    job = queue.submit(frog(), ME)
    with closing(queue.follow(job.id, ME, patience=0.0)) as news:
        first, second = next(news), next(news)
    assert (first.version, first.state) == (second.version, "queued")
    queue.cancel(job.id, ME)
    with closing(queue.follow(job.id, ME, job.version, patience=0.0)) as news:
        assert [one.state for one in news] == ["cancelled"]


def test_what_fails_keeps_nothing_in_memory_but_what_it_says(queue: JobQueue) -> None:
    queue.start()

    class Model:
        """Something large."""

    kept: list[ref[Model]] = []

    def failing(recipe: Recipe, preview_every: int) -> Events:
        model = Model()
        kept.append(ref(model))
        try:
            raise ValueError(model)
        except ValueError as error:
            raise RecipeError("are too many", field="steps", value=9, hint="Draw less.") from error
        yield from ()

    def nothing(recipe: Recipe, preview_every: int) -> Events:
        yield from ()

    last = end(queue, queue.submit(frog(), ME, failing))
    assert last.error is not None
    assert (last.error.message, last.error.field, last.error.value) == ("are too many", "steps", 9)
    assert last.problem == "steps: are too many (got 9). Draw less."
    assert end(queue, queue.submit(frog(), ME, nothing)).state == "done"
    gc.collect()
    assert [one() for one in kept] == [None]


@pytest.mark.parametrize("error", [MemoryError("32 GiB"), OSError(errno.ENOMEM, "Cannot allocate memory")])
def test_memory_that_runs_out_is_said_and_the_next_is_drawn(
    queue: JobQueue, drawing: Drawing, error: Exception
) -> None:
    drawing.gate.set()
    queue.start()

    def greedy(recipe: Recipe, preview_every: int) -> Events:
        yield from drawing(recipe, preview_every)
        raise error

    last = end(queue, queue.submit(frog(), ME, greedy))
    assert last.state == "failed"
    assert "the memory ran out" in (last.problem or "")
    assert end(queue, queue.submit(frog(), ME)).state == "done"


def test_what_was_kept_before_the_server_fell_over_is_not_drawn_twice(
    queue: JobQueue, drawing: Drawing, gallery: Gallery, store: Store
) -> None:
    drawing.gate.set()
    whole = queue.submit(frog(count=1), ME)
    half = queue.submit(frog(seed=20, count=2), ME)
    queue.start()
    first, second = end(queue, whole), end(queue, half)
    # As a store is left by a process that was killed: after the last picture, and after the first of two.
    store.write("UPDATE jobs SET state = 'running', attempts = 1")
    gallery.bin(second.pictures[1:], ME)
    assert gallery.empty_bin(ME) == 1
    begun = len(drawing.begun)
    later = JobQueue(drawing, gallery, store)
    again = {one.id: one for one in later.of(ME)}
    assert (again[whole.id].state, again[whole.id].pictures) == ("done", first.pictures)
    assert again[half.id].state == "queued"
    later.start()
    last = end(later, half)
    assert (last.state, len(last.pictures)) == ("done", 2)
    assert last.pictures[0] == second.pictures[0]
    assert sorted(one.seed for one in gallery.search(ME)) == [7, 20, 21]
    assert len(drawing.begun) == begun + 1
    later.close()


def test_a_job_may_be_drawn_in_a_way_of_its_own(
    queue: JobQueue, drawing: Drawing, gallery: Gallery, store: Store
) -> None:
    drawing.gate.set()
    seen: list[Event] = []

    def watched(recipe: Recipe, preview_every: int) -> Events:
        for event in drawing(recipe, preview_every):
            seen.append(event)
            yield event

    own = queue.submit(frog(seed=1), ME, watched)
    plain = queue.submit(frog(seed=2), ME)
    assert [queue.get(one.id, ME).position for one in (own, plain)] == [0, 1]
    assert [row["id"] for row in store.read("SELECT id FROM jobs")] == [plain.id]
    queue.start()
    last = end(queue, own)
    assert (last.state, len(last.pictures)) == ("done", 1)
    assert end(queue, plain).state == "done"
    assert sum(isinstance(one, StepDone) for one in seen) == 2  # of the one job alone
    assert drawing.begun == [1, 2]


def test_a_way_that_falls_over_as_it_is_stopped_ends_its_job_once(
    queue: JobQueue, drawing: Drawing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sfumato.serving.queue.MOST_REMEMBERED", 1)
    begun = threading.Event()

    def fragile(recipe: Recipe, preview_every: int) -> Events:
        try:
            for event in drawing(recipe, preview_every):
                begun.set()
                yield event
        finally:
            raise RuntimeError("it cannot even be closed")

    first, *others = [queue.submit(frog(seed=1), ME, fragile), *(queue.submit(frog(), ME) for _ in range(3))]
    queue.start()
    assert begun.wait(WAIT)
    queue.cancel(first.id, ME)
    drawing.gate.set()
    assert end(queue, first).state == "cancelled"
    assert end(queue, others[-1]).state == "done"
    assert [one.state for one in queue.of(ME)] == ["done"]


def test_a_way_of_its_own_ends_with_the_queue(drawing: Drawing, gallery: Gallery, store: Store) -> None:
    first = JobQueue(drawing, gallery, store)
    job = first.submit(frog(), ME, drawing)
    first.close()
    second = JobQueue(drawing, gallery, store)
    assert second.of(ME) == ()
    assert first.get(job.id, ME).state == "queued"
    second.close()


def test_a_job_of_its_own_way_is_cancelled_while_it_waits(queue: JobQueue, drawing: Drawing) -> None:
    job = queue.submit(frog(), ME, drawing)
    assert queue.cancel(job.id, ME).state == "cancelled"
    drawing.gate.set()
    queue.start()
    assert end(queue, queue.submit(frog(seed=3), ME)).state == "done"
    assert drawing.begun == [3]


def test_jobs_that_belong_together_are_accepted_all_or_none(
    queue: JobQueue, drawing: Drawing, gallery: Gallery, store: Store
) -> None:
    jobs = queue.submit_together([frog(seed=seed) for seed in range(MOST_EACH + 4)], ME)
    assert [job.position for job in jobs] == [*range(MOST_EACH + 4)]
    with pytest.raises(BusyError, match=f"{MOST_EACH + 4} of yours are waiting already"):
        queue.submit_together([frog()], ME)
    with pytest.raises(BusyError, match="are waiting already"):
        queue.submit_together([frog()] * MOST_WAITING, OTHER)
    assert queue.of(OTHER) == ()
    for job in reversed(jobs):
        queue.cancel(job.id, ME)
    queue.submit_together([frog(seed=5), frog(seed=6)], ME)
    other = JobQueue(drawing, gallery, store)
    assert [job.recipe.seed for job in other.of(ME)] == [5, 6]


def test_a_job_that_draws_nothing_tells_how_far_it_is(queue: JobQueue) -> None:
    gate = threading.Event()

    def work(recipe: Recipe, preview_every: int) -> Generator[Worked, None, None]:
        for percent in (0, 50):
            yield Worked(percent)
        assert gate.wait(WAIT)

    assert not queue.drawing
    job = queue.submit(frog(), ME, work, "Loading it")
    assert queue.drawing
    queue.start()
    seen = []
    for now in queue.follow(job.id, ME):
        seen.append((now.state, now.steps, now.total_steps))
        if now.steps == 50:
            gate.set()
    assert ("running", 50, 100) in seen
    assert seen[-1][0] == "done"
    assert queue.get(job.id, ME).title == "Loading it"
    assert not queue.drawing


def test_a_job_has_the_film_that_it_drew(queue: JobQueue, tmp_path: Path) -> None:
    metadata = metadata_of(resolve(frog(), tiny_bundle().defaults), "tests")
    reel = Reel(tmp_path, "a-frog", (1, 8, 8, 3), (100,), metadata)

    def film(recipe: Recipe, preview_every: int) -> Generator[Reel, None, None]:
        yield reel

    queue.start()
    job = end(queue, queue.submit(frog(), ME, film, tab="edit"))
    assert (job.state, job.tab, job.film) == ("done", "edit", reel)


def test_jobs_of_a_tab_are_in_a_series_as_long_as_one_is_left(queue: JobQueue, drawing: Drawing) -> None:
    first = queue.submit(frog(seed=1), ME, tab="create")
    second = queue.submit(frog(seed=2), ME, tab="create")
    apart = [queue.submit(frog(seed=3), ME, tab="edit"), queue.submit(frog(seed=4), OTHER, tab="create")]
    plain = queue.submit(frog(seed=5), ME)
    assert [(one.series, one.place) for one in (first, second)] == [(first.id, 1), (first.id, 2)]
    assert [(one.series, one.place) for one in apart] == [(one.id, 1) for one in apart]
    assert (plain.series, plain.place) == ("", 0)
    assert [one.id for one in queue.series(first.id, ME)] == [first.id, second.id]
    assert queue.series(first.id, OTHER) == queue.series("", ME) == ()
    assert queue.series_under_way(ME, "create") == first.id
    assert queue.series_under_way("third", "create") == ""
    queue.start()
    news = queue.follow_series(first.id, ME)
    assert len(next(news)) == 2
    added = queue.submit(frog(seed=6), ME, tab="create")
    assert (added.series, added.place) == (first.id, 3)
    assert len(next(news)) == 3
    drawing.gate.set()
    *_, last = news
    assert [(one.id, one.state) for one in last] == [(one.id, "done") for one in (first, second, added)]
    assert queue.series_under_way(ME, "create") == ""
    fresh = queue.submit(frog(seed=7), ME, tab="create")
    assert (fresh.series, fresh.place) == (fresh.id, 1)


def test_who_follows_a_series_that_is_over_sees_its_end_once(queue: JobQueue, drawing: Drawing) -> None:
    drawing.gate.set()
    queue.start()
    job = end(queue, queue.submit(frog(), ME, tab="create"))
    assert list(queue.follow_series(job.series, ME)) == [(job,)]
    assert list(queue.follow_series("nothing", ME)) == list(queue.follow_series(job.series, OTHER)) == []


def test_a_series_without_news_is_told_again_after_a_while(queue: JobQueue) -> None:
    job = queue.submit(frog(), ME, tab="create")
    with closing(queue.follow_series(job.series, ME, patience=0.0)) as news:
        assert next(news) == next(news) == (queue.get(job.id, ME),)


def test_a_series_is_cancelled_before_its_next_begins(queue: JobQueue, drawing: Drawing) -> None:
    queue.start()
    jobs = [queue.submit(frog(seed=seed), ME, tab="create") for seed in (1, 2, 3)]
    other = queue.submit(frog(seed=4), ME, tab="edit")
    assert drawing.stepping.acquire(timeout=WAIT)
    queue.cancel_series(jobs[0].series, OTHER)
    queue.cancel_series(jobs[0].series, ME)
    drawing.gate.set()
    *_, last = queue.follow_series(jobs[0].series, ME)
    assert [one.state for one in last] == ["cancelled"] * 3
    assert end(queue, other).state == "done"
    assert drawing.begun == [1, 4]


def test_a_series_goes_on_after_a_restart(
    queue: JobQueue, drawing: Drawing, gallery: Gallery, store: Store
) -> None:
    jobs = [queue.submit(frog(seed=seed), ME, tab="create") for seed in (1, 2)]
    queue.submit(frog(seed=3), ME, tab="edit")
    later = JobQueue(drawing, gallery, store)
    name = later.series_under_way(ME, "create")
    assert [(one.id, one.place) for one in later.series(name, ME)] == [(jobs[0].id, 1), (jobs[1].id, 2)]


def test_who_has_no_room_is_told_before(queue: JobQueue) -> None:
    for _ in range(MOST_EACH):
        queue.check_room(ME)
        queue.submit(frog(), ME)
    with pytest.raises(BusyError, match=f"{MOST_EACH} of yours"):
        queue.check_room(ME)
    queue.check_room(OTHER)
