"""Extensions in passes: the picture untouched, every pass within the model's size, seen as a whole."""

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from sfumato.engine.animator import Animator
from sfumato.engine.events import Event, Picture, Started, StepDone
from sfumato.engine.run import draw
from sfumato.engine.seeing import Watched, watched
from sfumato.engine.trace_folder import TraceFolder
from sfumato.imaging.inputs import Inputs, read_inputs
from sfumato.recipe.again import recipe_of, single
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.parts import ExtendPart, ImagePart, TextPart, VariationPart
from sfumato.recipe.resolve import resolve
from tiny_models import tiny_bundle, tiny_settings

FROG = TextPart(prompt="a frog on a beach at night")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((60, 70)).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def pixels_of(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def planned(photo: Path, extend: ExtendPart, *more: Any, **fields: Any) -> tuple[Resolved, Inputs]:
    strength = fields.pop("strength", None)
    parts = (FROG, ImagePart(source=str(photo), strength=strength), extend, *more)
    recipe = Recipe(parts=parts, **{"seed": 7, "steps": 2, **fields})
    inputs = read_inputs(recipe, tiny_settings())
    return resolve(recipe, tiny_bundle().defaults, sources=inputs.facts), inputs


def events_of(photo: Path, extend: ExtendPart, *more: Any, **fields: Any) -> list[Event]:
    resolved, inputs = planned(photo, extend, *more, **fields)
    return list(draw(resolved, tiny_bundle(), inputs=inputs, preview_every=fields.pop("every", 0)))


def pictures(events: list[Event]) -> list[NDArray[np.uint8]]:
    return [event.pixels for event in events if isinstance(event, Picture)]


@pytest.mark.parametrize("sampler", ["ddim", "euler_a", "dpmpp_2m_sde", "heun"])
def test_the_picture_is_kept_and_everything_else_is_drawn(sampler: str, photo: Path) -> None:
    events = events_of(photo, ExtendPart(left=70, bottom=40), sampler=sampler, count=2)
    steps = [event for event in events if isinstance(event, StepDone)]
    assert all(event.step.x.shape[2:] == (8, 8) for event in steps)  # never more than the model's own size
    started = next(event for event in events if isinstance(event, Started))
    assert len(steps) == started.total_steps == steps[-1].finished_steps
    assert [event.step.index for event in steps] == list(range(len(steps)))
    assert {event.step.num_steps for event in steps} == {len(steps)}
    first, second = pictures(events)
    for picture in (first, second):
        assert picture.shape == (110, 130, 3)
        assert np.array_equal(picture[:70, 70:], pixels_of(photo))
    new = np.abs(first.astype(float) - second).mean(axis=-1)
    new[:70, 70:] = 255
    assert (new > 0).mean() > 0.95  # each picture has its own


def test_a_picture_of_a_batch_is_the_one_drawn_alone(photo: Path) -> None:
    extend = ExtendPart(left=70)
    resolved, inputs = planned(photo, extend, VariationPart(strength=0.5, seed=3), count=2)
    together = pictures(list(draw(resolved, tiny_bundle(), inputs=inputs)))[1]
    alone = single(resolved.model_copy(update={"index": 1}))
    (one,) = pictures(list(draw(alone, tiny_bundle(), inputs=inputs)))
    apart = np.abs(one.astype(int) - together)
    assert apart.max() <= 3  # sums of a batch are rounded in another order
    assert apart.mean() < 0.1
    again = resolve(recipe_of(alone), tiny_bundle().defaults, sources=again_facts(inputs))
    assert again == alone


def again_facts(inputs: Inputs) -> dict[str, Any]:
    return {f"sha256:{facts.sha256}/{facts.name}": facts for facts in inputs.facts.values()}


def test_passes_have_noise_of_their_own(photo: Path) -> None:
    (whole,) = pictures(events_of(photo, ExtendPart(left=64, reach=32), strength=1.0))
    # What was added by the second pass is not what the first added, moved.
    assert np.abs(whole[:, :32].astype(float) - whole[:, 32:64]).mean() > 2


@pytest.mark.parametrize(("strength", "fill"), [(0.0, "blur"), (0.5, "blur"), (1.0, "noise")])
def test_every_strength(strength: float, fill: Any, photo: Path) -> None:
    (picture,) = pictures(events_of(photo, ExtendPart(right=80, fill=fill), strength=strength))
    assert np.array_equal(picture[:, :60], pixels_of(photo))
    assert picture.shape == (70, 140, 3)


def test_previews_show_the_whole_picture(photo: Path) -> None:
    resolved, inputs = planned(photo, ExtendPart(left=70), steps=1)
    drawing = draw(resolved, tiny_bundle(), inputs=inputs, preview_every=1)
    previews = [event.preview for event in drawing if isinstance(event, StepDone)]
    assert len(previews) > 2
    for preview in previews:
        assert preview is not None
        assert preview.shape == (1, 70, 130, 3)
        assert np.array_equal(preview[0, :, 70:], pixels_of(photo))


def test_a_trace_and_an_animation_show_the_whole_picture(photo: Path, tmp_path: Path) -> None:
    resolved, inputs = planned(photo, ExtendPart(left=70), steps=1)
    watchers = [TraceFolder(tmp_path / "trace"), Animator(tmp_path / "out.webp")]
    bundle = tiny_bundle()
    with closing(watched(draw(resolved, bundle, inputs=inputs), bundle, watchers)) as events:
        paths = [event.path for event in events if isinstance(event, Watched)]
    assert paths == [tmp_path / "trace" / "index.html", tmp_path / "out.webp"]
    number = len(list((tmp_path / "trace").glob("step-*-x0.png")))
    assert number > 2
    for path in (tmp_path / "trace").glob("step-*.png"):
        assert np.array_equal(pixels_of(path)[:, 70:], pixels_of(photo))
    with Image.open(tmp_path / "out.webp") as image:
        assert (image.size, getattr(image, "n_frames", 1)) == ((130, 70), number + 1)
