"""Frames drawn together: what each would be alone, in order, for every kind of frame."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from sfumato.engine.conditions import compile_plan
from sfumato.engine.denoiser import Denoiser
from sfumato.engine.events import Done, Event, Picture, Started, StepDone
from sfumato.engine.gathering import gather
from sfumato.engine.morph import draw_frames, joined, resolved_frames
from sfumato.engine.run import draw
from sfumato.engine.texts import Texts
from sfumato.errors import RecipeError
from sfumato.imaging.inputs import read_inputs
from sfumato.models.load import find_model
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.morph import Morph, frames_of
from sfumato.recipe.parts import ImagePart, TextPart
from sfumato.recipe.resolve import resolve
from tiny_models import tiny_bundle, tiny_folder, tiny_settings

ANIMALS = ("a frog", "a rabbit on a beach at night in the snow", "an owl")


def resolved(one: Morph, **fields: Any) -> list[Resolved]:
    base = Recipe(**{"seed": 7, "steps": 3, **fields})
    return [resolve(frame, tiny_bundle().defaults) for frame in frames_of(one, base)]


def events_of(frames: list[Resolved]) -> list[Event]:
    return list(draw_frames(frames, tiny_bundle()))


def pictures(events: list[Event]) -> list[NDArray[np.uint8]]:
    return [event.pixels for event in events if isinstance(event, Picture)]


def alone(frame: Resolved) -> NDArray[np.uint8]:
    (picture,) = pictures(list(draw(frame, tiny_bundle())))
    return picture


@pytest.mark.parametrize("sampler", ["ddim", "euler_a", "dpmpp_2m_sde", "heun"])
@pytest.mark.parametrize("mode", ["branches", "embeddings"])
def test_each_is_what_it_is_alone(mode: Any, sampler: str) -> None:
    one = Morph(prompts=ANIMALS, seeds=(7, 8, 9), frames=9, mode=mode)
    frames = resolved(one, sampler=sampler)
    events = events_of(frames)
    drawn = [event for event in events if isinstance(event, Picture)]
    assert [(event.index, event.resolved) for event in drawn] == list(enumerate(frames))
    batches = {event.indices for event in events if isinstance(event, StepDone)}
    # What asks the network as many questions goes together; a mix by branches asks one more than a stop.
    assert max(map(len, batches)) == (3 if mode == "branches" else 8)
    for frame, event in zip(frames, drawn, strict=True):
        assert np.abs(event.pixels.astype(int) - alone(frame)).max() <= 1
    assert len({event.pixels.tobytes() for event in drawn}) == 9


@pytest.mark.parametrize(
    "text",
    [
        TextPart(prompt="", guidance_rescale=0.7),
        TextPart(prompt="", guidance_start=0.0, guidance_stop=0.5),
        TextPart(prompt="", negative="snow [in:at:0.5] night"),
    ],
)
def test_every_text_and_cached_features(text: TextPart) -> None:
    frames = resolved(Morph(prompts=ANIMALS[:2], frames=5), parts=(text,), steps=4, cache_interval=2)
    for frame, picture in zip(frames, pictures(events_of(frames)), strict=True):
        assert np.abs(picture.astype(int) - alone(frame)).max() <= 1


def test_prompts_whose_steps_differ_are_drawn_apart() -> None:
    frames = resolved(Morph(prompts=("a [frog:cat:0.4]", "a rabbit"), frames=4, mode="embeddings"))
    for frame, picture in zip(frames, pictures(events_of(frames)), strict=True):
        assert np.abs(picture.astype(int) - alone(frame)).max() <= 1


def test_between_seeds_all_go_in_one_batch() -> None:
    one = Morph(seeds=(1, 2, 3), frames=7)
    events = events_of(resolved(one, parts=(TextPart(prompt="a frog"),)))
    assert {event.indices for event in events if isinstance(event, StepDone)} == {tuple(range(7))}


def test_what_begins_with_a_picture_is_drawn_one_by_one(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "image.png")
    base = Recipe(seed=7, steps=4, parts=(ImagePart(source=str(tmp_path / "image.png"), strength=0.5),))
    inputs = read_inputs(base, tiny_settings())
    frames = [
        resolve(frame, tiny_bundle().defaults, sources=inputs.facts)
        for frame in frames_of(Morph(prompts=ANIMALS[:2], frames=3), base)
    ]
    events = list(draw_frames(frames, tiny_bundle(), inputs=inputs))
    steps = [event.indices for event in events if isinstance(event, StepDone)]
    assert steps == [(0,), (0,), (1,), (1,), (2,), (2,)]
    drawn = [event for event in events if isinstance(event, Picture)]
    assert [event.index for event in drawn] == [0, 1, 2]
    (one,) = pictures(list(draw(frames[1], tiny_bundle(), inputs=inputs)))
    assert np.array_equal(drawn[1].pixels, one)


def test_the_events_of_a_morph_are_those_of_one_run() -> None:
    events = events_of(resolved(Morph(prompts=ANIMALS[:2], frames=4)))
    assert isinstance(events[0], Started)
    assert isinstance(events[-1], Done)
    assert sum(isinstance(event, (Started, Done)) for event in events) == 2
    assert events[0].indices == (0, 1, 2, 3)
    steps = [event for event in events if isinstance(event, StepDone)]
    assert {event.total_steps for event in steps} == {12}
    finished = [event.finished_steps for event in steps]
    assert finished == sorted(finished)
    assert finished[-1] == 12
    assert events[-1].seconds["total"] > 0


def test_frames_come_in_order_so_that_stopping_leaves_a_beginning() -> None:
    frames = resolved(Morph(prompts=ANIMALS, frames=9))
    with closing(draw_frames(frames, tiny_bundle())) as events:
        first = next(event for event in events if isinstance(event, Picture))
    assert first.index == 0


def test_weights_that_differ_become_maps_and_sum_to_one() -> None:
    frames = resolved(Morph(prompts=ANIMALS[:2], frames=5))[1:4]
    plan = joined([compile_plan(frame) for frame in frames], tiny_bundle().backend)
    assert plan.maps is not None
    assert tuple(plan.maps.shape[1:]) == (3, 1, 1, 1)
    bundle = tiny_bundle()
    denoiser = Denoiser(bundle.backend, bundle.schedule, plan, Texts({}), 8)
    total = sum(denoiser._weight(branch, 0) for branch in plan.branches)  # pyright: ignore[reportPrivateUsage]
    assert np.allclose(np.asarray(total), 1, atol=1e-6)


def test_one_by_one_each_is_exactly_what_it_is_alone() -> None:
    frames = resolved(Morph(prompts=ANIMALS[:2], frames=4))
    events = list(draw_frames(frames, tiny_bundle(), together=False))
    assert {event.indices for event in events if isinstance(event, StepDone)} == {(k,) for k in range(4)}
    for frame, picture in zip(frames, pictures(events), strict=True):
        assert np.array_equal(picture, alone(frame))


def test_another_model_and_no_frames_are_refused() -> None:
    frame = resolved(Morph(prompts=ANIMALS[:2], frames=2))[0].model_copy(update={"model_digest": "f" * 64})
    with pytest.raises(RecipeError, match="is not the model of this recipe"):
        next(draw_frames([frame], tiny_bundle()))
    with pytest.raises(ValueError, match="no frames"):
        next(draw_frames([], tiny_bundle()))


def test_recipes_of_frames_are_resolved_and_counted() -> None:
    base = Recipe(seed=7, steps=3, model=str(tiny_folder()))
    wanted = frames_of(Morph(prompts=ANIMALS, frames=9), base)
    settings = tiny_settings()
    gathered = gather(base, find_model(base.model, settings), settings, frames=wanted)
    frames = resolved_frames(wanted, gathered, settings)
    assert [one.text.prompt for one in frames if one.text is not None and one.mix is None] == [*ANIMALS]
    with pytest.raises(RecipeError, match=r"frames: these are too many .*8 or fewer"):
        resolved_frames(wanted, gathered, replace(settings, max_count=8))
