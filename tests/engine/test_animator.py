"""The drawing as an animation: noise first, the picture last and longest."""

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from sfumato.engine import animator
from sfumato.engine.animator import Animator, _resized, frames_of
from sfumato.engine.events import Picture, Started, StepDone
from sfumato.engine.preview import to_uint8
from sfumato.engine.run import draw
from sfumato.engine.seeing import view_of, watched
from sfumato.imaging.inputs import read_inputs
from sfumato.imaging.metadata import read_metadata
from sfumato.recipe.codec import from_json
from sfumato.recipe.hires import HiresPart
from sfumato.recipe.image import Recipe, Resolved, TextPart
from sfumato.recipe.parts import ExtendPart, ImagePart, MaskPart, Part
from sfumato.recipe.resolve import resolve
from sfumato.samplers.noise import picture_noise
from tiny_models import tiny_bundle, tiny_settings


def animate(
    path: Path, *parts: Part, stop_after: int | None = None, shown: Any = "x0", **fields: Any
) -> list[Any]:
    bundle = tiny_bundle()
    recipe = Recipe(seed=7, parts=(TextPart(prompt="a frog"), *parts), **{"steps": 4, **fields})
    seen: list[Any] = []
    watchers = [Animator(path, shown)]
    events = draw(resolve(recipe, bundle.defaults), bundle, preview_every=1)
    with closing(watched(events, bundle, watchers)) as followed:
        for event in followed:
            seen.append(event)
            if stop_after is not None and sum(isinstance(one, StepDone) for one in seen) == stop_after:
                break
    return seen


def read(path: Path) -> tuple[list[NDArray[np.uint8]], list[int]]:
    frames: list[NDArray[np.uint8]] = []
    durations: list[int] = []
    with Image.open(path) as image:
        for number in range(image.n_frames):  # type: ignore[attr-defined]
            image.seek(number)
            frames.append(np.asarray(image.convert("RGB")))
            durations.append(image.info["duration"])
    return frames, durations


def apart(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Return how far two pictures are apart, without their finest detail, in which WebP saves."""
    coarse = [one.reshape(16, len(one) // 16, 16, -1, 3).astype(float).mean(axis=(1, 3)) for one in (a, b)]
    return float(np.abs(coarse[0] - coarse[1]).mean())


def test_noise_steps_and_the_picture(tmp_path: Path) -> None:
    path = tmp_path / "frog.webp"
    events = animate(path)
    previews = [event.preview[0] for event in events if isinstance(event, StepDone)]
    (picture,) = [event.pixels for event in events if isinstance(event, Picture)]
    frames, durations = read(path)
    assert len(frames) == 5  # noise, three steps, the picture in place of the last
    noise = to_uint8(view_of(tiny_bundle())(picture_noise(7).randn((1, 4, 8, 8))))[0]
    assert apart(frames[0], noise) < 4
    for frame, preview in zip(frames[1:-1], previews, strict=False):
        assert apart(frame, preview) < 4
    assert apart(frames[-1], picture) < 4
    assert durations[-1] == max(durations) > 2000
    assert events[-1].path == path
    drawn = next(event.resolved for event in events if isinstance(event, Picture))
    assert from_json(read_metadata(path).resolved_json, Resolved) == drawn


def test_the_latent_itself_can_be_shown(tmp_path: Path) -> None:
    events = animate(tmp_path / "frog.webp", shown="noisy")
    frames, _ = read(tmp_path / "frog.webp")
    assert len(frames) == 5
    # It keeps to the noise while the prediction has left it.
    preview = next(event.preview[0] for event in events if isinstance(event, StepDone))
    assert apart(frames[1], frames[0]) < apart(preview, frames[0])


def test_several_pictures_have_a_file_each(tmp_path: Path) -> None:
    animate(tmp_path / "frog.gif", count=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["frog-7.gif", "frog-8.gif"]
    first, second = (read(tmp_path / f"frog-{seed}.gif")[0][-1] for seed in (7, 8))
    assert apart(first, second) > 1


def test_many_steps_are_thinned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(animator, "MAX_FRAMES", 3)
    animate(tmp_path / "frog.gif", steps=9)
    assert len(read(tmp_path / "frog.gif")[0]) == 5  # noise, steps 1, 4 and 7, the picture


LARGER = HiresPart(scale=3.0, passes=2, strength=0.5, method="lanczos", overlap=0.0)


@pytest.mark.parametrize("steps", [1, 2, 5, 9])
@pytest.mark.parametrize("parts", [(), (LARGER,)])
@pytest.mark.parametrize("most", [3, 150])
def test_how_many_frames_there_will_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int, parts: tuple[Part, ...], most: int
) -> None:
    monkeypatch.setattr(animator, "MAX_FRAMES", most)
    events = animate(tmp_path / "frog.gif", *parts, steps=steps, count=2)
    (started,) = [one for one in events if isinstance(one, Started)]
    assert [len(read(tmp_path / f"frog-{seed}.gif")[0]) for seed in (7, 8)] == [frames_of(started)] * 2


@pytest.mark.parametrize(
    "more", [(), (MaskPart(area="center"),), (ExtendPart(left=16),), (ExtendPart(left=70, bottom=40),)]
)
@pytest.mark.parametrize("strength", [0.0, 0.2, 0.5, 1.0])
def test_how_many_frames_there_will_be_where_a_picture_is_given(
    tmp_path: Path, more: tuple[Part, ...], strength: float
) -> None:
    Image.fromarray(np.full((64, 64, 3), 90, np.uint8)).save(tmp_path / "photo.png")
    image = ImagePart(source=str(tmp_path / "photo.png"), strength=strength)
    recipe = Recipe(seed=7, steps=6, parts=(TextPart(prompt="a frog"), image, *more))
    inputs, bundle = read_inputs(recipe, tiny_settings()), tiny_bundle()
    events = draw(resolve(recipe, bundle.defaults, sources=inputs.facts), bundle, inputs=inputs)
    with closing(watched(events, bundle, [Animator(tmp_path / "frog.gif")])) as followed:
        (started,) = [one for one in followed if isinstance(one, Started)]
    assert len(read(tmp_path / "frog.gif")[0]) == frames_of(started)


def test_one_step_is_an_animation_from_the_noise_to_the_picture(tmp_path: Path) -> None:
    animate(tmp_path / "frog.gif", steps=1)
    assert len(read(tmp_path / "frog.gif")[0]) == 2


def test_an_interrupted_run_leaves_nothing(tmp_path: Path) -> None:
    animate(tmp_path / "frog.gif", stop_after=2)
    assert list(tmp_path.iterdir()) == []


def test_steps_take_the_size_of_the_picture() -> None:
    frame = np.full((4, 8, 3), 90, np.uint8)
    assert _resized(frame, (4, 8, 3)) is frame
    assert _resized(frame, (6, 10, 3)).shape == (6, 10, 3)


def test_a_second_larger_drawing_goes_on_in_the_size_of_the_picture(tmp_path: Path) -> None:
    path, twice = tmp_path / "frog.webp", HiresPart(scale=2.0, strength=0.5, method="lanczos", overlap=0.0)
    events = animate(path, twice)
    steps = [event for event in events if isinstance(event, StepDone)]
    assert [event.step.x.shape[-1] for event in steps] == [8] * 4 + [16] * 2
    frames, _ = read(path)
    assert len(frames) == 7  # noise, five steps, the picture in place of the last
    assert {frame.shape for frame in frames} == {(128, 128, 3)}
    previews = [event.preview[0] for event in steps if event.preview is not None]
    for frame, preview in zip(frames[1:-1], previews, strict=False):
        assert apart(frame, _resized(preview, frame.shape)) < 4
    (picture,) = [event.pixels for event in events if isinstance(event, Picture)]
    assert apart(frames[-1], picture) < 4
    drawn = next(event.resolved for event in events if isinstance(event, Picture))
    assert drawn.hires is not None
    assert from_json(read_metadata(path).resolved_json, Resolved) == drawn


def test_each_of_several_larger_pictures_has_the_steps_of_its_own(tmp_path: Path) -> None:
    animate(
        tmp_path / "frog.webp", HiresPart(scale=2.0, strength=0.5, method="lanczos", overlap=0.0), count=2
    )
    both = [read(tmp_path / f"frog-{seed}.webp")[0] for seed in (7, 8)]
    assert [len(frames) for frames in both] == [7, 7]
    assert {frame.shape for frames in both for frame in frames} == {(128, 128, 3)}
    assert all(apart(one, other) > 1 for one, other in zip(*both, strict=True))
