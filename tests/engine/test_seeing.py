"""Steps seen as pictures: what passes through is unchanged, and watchers are shut whatever happens."""

import shutil
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sfumato.engine.events import Done, Event, Picture, Started, StepDone
from sfumato.engine.preview import previewer_of, to_uint8
from sfumato.engine.run import draw
from sfumato.engine.seeing import Look, Watched, unit_variance, view_of, watched
from sfumato.models.load import load_bundle
from sfumato.recipe.image import Recipe, Resolved, TextPart
from sfumato.recipe.resolve import resolve
from sfumato.samplers.noise import picture_noise
from tiny_models import tiny_bundle, tiny_folder, tiny_settings, write_tiny_decoder

SHAPE = (4, 8, 8)


@dataclass(eq=False)
class Notes:
    """A watcher that keeps what it is shown."""

    looks: list[Look] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)

    def start(self, started: Started) -> None:
        self.seen.append("start")

    def look(self, look: Look) -> None:
        self.looks.append(look)

    def picture(self, picture: Picture) -> None:
        self.seen.append(f"picture {picture.index}")

    def finish(self) -> tuple[Path, ...]:
        self.seen.append("finish")
        return (Path("notes"),)

    def close(self) -> None:
        self.seen.append("close")


def frog(**fields: Any) -> Resolved:
    recipe = Recipe(seed=7, parts=(TextPart(prompt="a frog"),), **{"steps": 3, **fields})
    return resolve(recipe, tiny_bundle().defaults)


def all_of(resolved: Resolved, notes: Notes) -> list[Event | Watched]:
    bundle = tiny_bundle()
    with closing(watched(draw(resolved, bundle), bundle, [notes])) as events:
        return list(events)


def test_events_pass_through_and_files_are_told_at_the_end() -> None:
    notes = Notes()
    events = all_of(frog(count=2), notes)
    plain = list(draw(frog(count=2), tiny_bundle()))
    assert [type(event) for event in events] == [*(type(event) for event in plain), Watched]
    ours, theirs = (
        [event.pixels for event in some if isinstance(event, Picture)] for some in (events, plain)
    )
    assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))
    assert notes.seen == ["start", "picture 0", "picture 1", "finish", "close"]
    assert [look.step.index for look in notes.looks] == [0, 1, 2]
    assert notes.looks[0].indices == (0, 1)
    assert events[-1].path == Path("notes")  # type: ignore[union-attr]


def test_an_interrupted_run_is_not_finished_but_closed() -> None:
    notes = Notes()
    bundle = tiny_bundle()
    with closing(watched(draw(frog(), bundle), bundle, [notes])) as events:
        assert isinstance(next(events), Started)
        assert isinstance(next(events), StepDone)
    assert notes.seen == ["start", "close"]


def test_without_watchers_nothing_is_looked_at() -> None:
    bundle = tiny_bundle()
    events = list(watched(draw(frog(), bundle), bundle, []))
    assert isinstance(events[-1], Done)


@pytest.mark.parametrize("sampler", ["ddim", "heun", "dpmpp_2s_a", "dpmpp_sde"])
def test_the_noise_before_the_first_step_is_seen_as_it_was(sampler: str) -> None:
    notes = Notes()
    all_of(frog(sampler=sampler, spacing="trailing"), notes)
    first, *rest = notes.looks
    assert first.before is not None
    assert all(look.before is None for look in rest)
    noise = picture_noise(7).randn(SHAPE)[None]
    shown = view_of(tiny_bundle())(noise)
    assert np.abs(first.before - shown).max() < 1e-5 * np.abs(shown).max()


def test_a_single_step_is_seen_from_its_beginning_as_well() -> None:
    notes = Notes()
    all_of(frog(steps=1), notes)
    (only,) = notes.looks
    noise = view_of(tiny_bundle())(picture_noise(7).randn(SHAPE)[None])
    assert only.before is not None
    assert np.abs(only.before - noise).max() < 1e-5 * np.abs(noise).max()
    assert np.array_equal(only.noisy, only.clean)


def test_what_is_seen_is_the_preview_before_it_is_clipped() -> None:
    notes = Notes()
    bundle = tiny_bundle()
    events = draw(frog(), bundle, preview_every=1)
    with closing(watched(events, bundle, [notes])) as seen:
        previews = [event.preview for event in seen if isinstance(event, StepDone)]
    for look, preview in zip(notes.looks, previews, strict=True):
        assert np.array_equal(to_uint8(look.clean), preview)
        assert look.noisy.shape == look.clean.shape == (1, 64, 64, 3)


def test_steps_can_be_decoded_in_full() -> None:
    notes = Notes()
    bundle = tiny_bundle()
    with closing(watched(draw(frog(), bundle), bundle, [notes], exact=True)) as events:
        (picture,) = [event.pixels for event in events if isinstance(event, Picture)]
    assert np.array_equal(to_uint8(notes.looks[-1].noisy[0]), picture)


def test_a_tiny_decoder_shows_the_latents(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_folder(), tmp_path / "tiny"))
    write_tiny_decoder(folder / "taesd")
    bundle = load_bundle(str(folder), tiny_settings())
    latents = np.random.default_rng(1).standard_normal((2, *SHAPE)).astype(np.float32)
    expected = previewer_of(bundle.backend, 4, 8)(latents)
    assert np.array_equal(to_uint8(view_of(bundle)(latents)), expected)


def test_scaled_noise_has_a_variance_of_one() -> None:
    rng = np.random.default_rng(0)
    for sigma in (0.0, 0.5, 4096.0):
        x = (rng.standard_normal(10_000) + sigma * rng.standard_normal(10_000)).astype(np.float32)
        assert unit_variance(x, sigma).var() == pytest.approx(1, abs=0.05)
