"""A film drawn for the page: the frames of the command line, in no gallery, and bounded."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sfumato.cli.flags import Flags
from sfumato.cli.morphing import Going, draw_morph_to_file, planned_morph
from sfumato.imaging.metadata import read_metadata
from sfumato.recipe.hires import HiresPart
from sfumato.serving.desk import ALONE, Desk
from sfumato.serving.jobs import Job
from sfumato.serving.reels import Reel
from sfumato.serving.studio import filming
from sfumato.serving.studio.edit_forms import Edit
from sfumato.serving.studio.film_forms import Film, Wish, wish_of
from sfumato.serving.studio.filming import Filming
from tiny_studio import followed, frog, open_tiny_desk

EDIT = Edit(task="mix", prompt="a frog", other="a rabbit", model="tiny", seed=7, steps=3)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with open_tiny_desk(tmp_path) as desk:
        yield desk


def filmed(desk: Desk, wish: Wish) -> Job:
    work = Filming(desk.settings, desk.models, wish, desk.films)
    return followed(desk, desk.queue.submit(wish.frames[0], ALONE, work.draw))


def reel_of(job: Job) -> Reel:
    assert job.film is not None
    return job.film


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".mp4"])
def test_the_same_film_by_page_and_command_line(desk: Desk, tmp_path: Path, suffix: str) -> None:
    wish = wish_of(Film(EDIT, frames="6", hold=1))
    job = filmed(desk, wish)
    assert (job.state, job.problem, job.pictures) == ("done", None, ())
    assert (job.steps, job.total_steps) == (18, 18)
    asked = Flags(model="tiny", seed="7", steps="3")
    going = Going(("a frog", "a rabbit"), frames="6", hold="1")
    plan = planned_morph(going, asked, None, desk.settings)
    other = tmp_path / f"other{suffix}"
    draw_morph_to_file(plan, desk.settings, output=other)
    path = reel_of(job).file({".gif": "GIF", ".webp": "WebP", ".mp4": "MP4"}[suffix])
    assert path.name == f"a-frog-morph{suffix}"
    assert path.read_bytes() == other.read_bytes()
    assert reel_of(job).durations[-1] >= 1000  # the last frame stays
    assert desk.gallery.search(ALONE) == ()


def test_it_carries_what_draws_it_again(desk: Desk) -> None:
    wish = wish_of(Film(EDIT, frames="3"))
    metadata = read_metadata(reel_of(filmed(desk, wish)).file("WebP"))
    assert '"a rabbit"' in metadata.morph_json


def test_it_goes_from_the_first_to_the_last(desk: Desk) -> None:
    frames = list(reel_of(filmed(desk, wish_of(Film(EDIT, frames="5")))).frames())
    ends = []
    for prompt in ("a frog", "a rabbit"):
        job = followed(desk, desk.queue.submit(frog(prompt=prompt, steps=3), ALONE))
        with Image.open(desk.gallery.get(job.pictures[0], ALONE).path) as image:
            ends.append(np.asarray(image.convert("RGB")).astype(int))
    assert np.abs(frames[0] - ends[0]).max() <= 1
    assert np.abs(frames[-1] - ends[1]).max() <= 1
    assert len({one.tobytes() for one in frames}) == 5


def test_a_film_has_so_many_pixels(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filming, "MOST_PIXELS", 64 * 64 * 5)
    job = filmed(desk, wish_of(Film(EDIT, frames="6")))
    assert (job.state, job.film) == ("failed", None)
    assert "pictures: are too many here" in (job.problem or "")
    assert "At this size, 5 or fewer." in (job.problem or "")
    assert filmed(desk, wish_of(Film(EDIT, frames="5"))).state == "done"


def test_pixels_are_those_of_the_finished_frames(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filming, "MOST_PIXELS", 128 * 128 * 3)
    wish = wish_of(Film(EDIT, frames="4"))
    part = HiresPart(scale=2.0, method="lanczos", strength=0.0)

    def larger(count: int) -> Job:
        frames = tuple(one.model_copy(update={"parts": (*one.parts, part)}) for one in wish.frames[:count])
        return filmed(desk, replace(wish, frames=frames, durations=wish.durations[:count]))

    job = larger(4)
    assert (job.state, job.film) == ("failed", None)
    assert "At this size, 3 or fewer." in (job.problem or "")
    assert reel_of(larger(3)).shape == (3, 128, 128, 3)
    monkeypatch.setattr(filming, "MOST_PIXELS", 64 * 64)
    assert "Draw smaller ones." in (larger(3).problem or "")


def test_one_that_is_stopped_leaves_nothing(desk: Desk) -> None:
    wish = wish_of(Film(Edit(**{**vars(EDIT), "steps": 500}), frames="20"))
    work = Filming(desk.settings, desk.models, wish, desk.films)
    job = desk.queue.submit(wish.frames[0], ALONE, work.draw)
    for now in desk.queue.follow(job.id, ALONE):
        if now.steps:
            desk.queue.cancel(job.id, ALONE)
            break
    ended = followed(desk, job)
    assert (ended.state, ended.film) == ("cancelled", None)
    assert [*desk.films.iterdir()] == []


def test_visitors_draw_with_models_of_the_library_alone(desk: Desk, tmp_path: Path) -> None:
    wish = wish_of(Film(Edit(**{**vars(EDIT), "model": str(tmp_path)})))
    job = filmed(desk, wish)
    assert (job.state, job.film) == ("failed", None)
