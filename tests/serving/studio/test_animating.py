"""A picture drawn again to be watched: the same picture, a moving file, and nothing new in the gallery."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sfumato.errors import RecipeError
from sfumato.imaging.metadata import read_metadata
from sfumato.recipe.again import recipe_of
from sfumato.recipe.codec import from_json
from sfumato.recipe.hires import HiresPart
from sfumato.recipe.image import Recipe, Resolved
from sfumato.serving.desk import ALONE, Desk
from sfumato.serving.gallery import Kept
from sfumato.serving.jobs import Job
from sfumato.serving.reels import FORMATS, Reel
from sfumato.serving.studio import animating
from sfumato.serving.studio.animating import Animating
from sfumato.serving.studio.forms import enlarged, varied
from tiny_studio import drawn, followed, frog, open_tiny_desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with open_tiny_desk(tmp_path) as desk:
        yield desk


def animated(desk: Desk, kept: Kept, recipe: Recipe | None = None) -> tuple[Animating, Job]:
    """Have a picture animated, and return what did it, and how it went."""
    resolved = desk.gallery.resolved(kept)
    pixels = desk.gallery.pixels(kept)
    work = Animating(desk.settings, desk.models, pixels, resolved.index, desk.films, kept.id)
    again = recipe_of(resolved) if recipe is None else recipe
    return work, followed(desk, desk.queue.submit(again, ALONE, work.draw))


def reel_of(job: Job) -> Reel:
    assert job.film is not None
    return job.film


@pytest.mark.parametrize("kind", FORMATS)
def test_the_same_picture_comes_about_and_moves(desk: Desk, kind: str) -> None:
    kept = drawn(desk, frog(steps=4))
    before = kept.path.read_bytes()
    work, job = animated(desk, kept)
    assert (job.state, job.problem, job.pictures) == ("done", None, ())
    assert (reel_of(job).of, reel_of(job).differs) == (kept.id, 0)
    assert [one.id for one in desk.gallery.search(ALONE)] == [kept.id]
    assert kept.path.read_bytes() == before
    reel = reel_of(job)
    frames = list(reel.frames())
    assert len(frames) == len(reel.durations) == 5  # the noise, three steps, and the picture
    assert np.array_equal(frames[-1], work.original)
    assert reel.durations[-1] > 2000 > sum(reel.durations[1:-1])  # it stays
    assert reel.file(kind).name == f"a-frog-7.{kind.lower()}"
    if kind != "MP4":
        with Image.open(reel.file(kind)) as moving:
            assert moving.size == (64, 64)
            moving.seek(4)
            apart = np.abs(np.asarray(moving.convert("RGB"), np.float64) - work.original)
        assert apart.mean() < 20  # as far as the format keeps colours of what is nearly noise


def test_the_animation_says_what_drew_it(desk: Desk) -> None:
    kept = drawn(desk)
    metadata = read_metadata(reel_of(animated(desk, kept)[1]).file("WebP"))
    assert from_json(metadata.resolved_json, Resolved) == desk.gallery.resolved(kept)


@pytest.mark.parametrize("recipe", [varied(frog(count=2), 0.3), enlarged(frog(count=2), 2.0)])
def test_variations_and_larger_ones_come_about_as_well(desk: Desk, recipe: Recipe) -> None:
    _, job = animated(desk, drawn(desk, recipe))
    assert (job.state, reel_of(job).differs) == ("done", 0)


def test_one_of_several_comes_about_as_it_did_among_them(desk: Desk) -> None:
    drawn(desk, frog(count=3, steps=3))
    names = set[str]()
    for kept in desk.gallery.search(ALONE):
        _, job = animated(desk, kept)
        assert (job.state, reel_of(job).differs) == ("done", 0)
        assert reel_of(job).shape == (4, 64, 64, 3)
        names.add(reel_of(job).name)
    assert names == {"a-frog-7", "a-frog-8", "a-frog-9"}


def test_another_picture_is_told_apart(desk: Desk) -> None:
    kept = drawn(desk)
    differs = reel_of(animated(desk, kept, frog(seed=8))[1]).differs
    assert differs is not None
    assert differs > 0
    assert reel_of(animated(desk, kept, frog(width=96, height=96))[1]).differs is None


@pytest.mark.parametrize(
    ("fields", "frame", "most"),
    [({}, 64, 4), ({"count": 3}, 64, 4), ({"hires": 2.0}, 128, 6), ({"hires": 2.0, "count": 2}, 128, 6)],
)
def test_an_animation_has_so_many_pixels(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], frame: int, most: int
) -> None:
    more = {name: value for name, value in fields.items() if name != "hires"}
    recipe = frog(steps=4, **more)
    if "hires" in fields:
        hires = HiresPart(scale=fields["hires"], method="lanczos", strength=0.5, steps=4)
        recipe = recipe.model_copy(update={"parts": (*recipe.parts, hires)})
    kept = drawn(desk, recipe)
    monkeypatch.setattr(animating, "MOST_PIXELS", frame * frame * (most + 1))
    assert len(reel_of(animated(desk, kept)[1]).durations) == most + 1
    monkeypatch.setattr(animating, "MOST_PIXELS", frame * frame * (most + 1) - 1)
    _, job = animated(desk, kept)
    problem = f"steps: are too many to be animated here (got {most}). At this size, {most - 1} or fewer."
    assert (job.state, job.film, job.steps, job.problem) == ("failed", None, 0, problem)
    monkeypatch.setattr(animating, "MOST_PIXELS", frame * frame)
    assert "Choose a smaller picture." in (animated(desk, kept)[1].problem or "")
    assert len([*desk.films.glob("*")]) == 1


def test_what_visitors_may_not_open_is_not_animated(desk: Desk, tmp_path: Path) -> None:
    work = Animating(desk.settings, desk.models, np.zeros((64, 64, 3), np.uint8), 0, desk.films, 1)
    with pytest.raises(RecipeError):
        list(work.draw(frog(model=str(tmp_path)), 1))
    assert [*desk.films.glob("*/*")] == []


def test_one_that_is_stopped_leaves_nothing(desk: Desk, tmp_path: Path) -> None:
    kept = drawn(desk)
    work = Animating(desk.settings, desk.models, np.zeros((64, 64, 3), np.uint8), 0, desk.films, kept.id)
    job = desk.queue.submit(frog(steps=1000), ALONE, work.draw)
    for now in desk.queue.follow(job.id, ALONE):
        if now.steps:
            desk.queue.cancel(job.id, ALONE)
            break
    ended = followed(desk, job)
    assert (ended.state, ended.film) == ("cancelled", None)
    assert [*desk.films.glob("*/*")] == []
    assert [one.id for one in desk.gallery.search(ALONE)] == [kept.id]
