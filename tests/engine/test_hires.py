"""A picture drawn again, larger: whole drawings with the tiny model, whose own size is 64x64."""

from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from recording import Recorder
from sfumato.engine.controls import digests_of, find_controls
from sfumato.engine.events import Event, Picture, Started, StepDone
from sfumato.engine.hires import AT_ONCE, learned
from sfumato.engine.run import draw
from sfumato.errors import NumericalError
from sfumato.imaging.inputs import read_inputs
from sfumato.imaging.resize import lanczos
from sfumato.models.bundle import ModelBundle
from sfumato.models.files import locate
from sfumato.models.upscalers import load_upscaler, upscale
from sfumato.recipe.hires import HiresPart, WindowsPart
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import Control, ControlPart, ImagePart, Part, Region, RegionsPart, TextPart
from sfumato.recipe.resolve import resolve
from sfumato.samplers.solvers import SOLVERS
from tiny_controlnets import write_controlnet
from tiny_models import tiny_bundle, tiny_folder, tiny_settings

FROG = TextPart(prompt="a frog on a beach")
TWICE = HiresPart(scale=2.0, strength=0.5, method="lanczos", overlap=0.0)  # few windows: quick


def events(*parts: Part, bundle: ModelBundle | None = None, **fields: Any) -> list[Event]:
    recipe = Recipe(parts=parts, **{"seed": 7, "steps": 4, **fields})
    inputs = read_inputs(recipe, tiny_settings())
    controls = find_controls(recipe, locate(tiny_folder()), tiny_settings())
    used = tiny_bundle() if bundle is None else bundle
    digests = digests_of(controls)
    resolved = resolve(recipe, used.defaults, sources=inputs.facts, controls=digests)
    with closing(draw(resolved, used, inputs=inputs, controls=controls)) as found:
        return list(found)


def pictures(found: list[Event]) -> list[NDArray[np.uint8]]:
    return [one.pixels for one in found if isinstance(one, Picture)]


def drawn(*parts: Part, **fields: Any) -> NDArray[np.uint8]:
    return pictures(events(*parts, **fields))[0]


def distance(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    return float(np.abs(a.astype(float) - b).mean())


def resized(pixels: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    return np.asarray(lanczos(Image.fromarray(pixels), width, height))


def test_a_picture_becomes_larger_and_stays_itself() -> None:
    plain, larger = drawn(FROG), drawn(FROG, TWICE)
    assert larger.shape == (128, 128, 3)
    small = resized(larger, 64, 64)
    assert distance(small, plain) < distance(small, drawn(FROG, seed=8))


def test_without_a_step_it_is_only_enlarged() -> None:
    plain = drawn(FROG)
    assert np.array_equal(
        drawn(FROG, HiresPart(scale=2.0, strength=0.0, method="lanczos")), resized(plain, 128, 128)
    )


@pytest.mark.parametrize("method", ["latent", "lanczos", "learned"])
def test_every_method_enlarges_by_any_factor(method: str) -> None:
    part = HiresPart.model_validate({"scale": 1.5, "strength": 0.5, "method": method})
    assert drawn(FROG, part, width=64, height=80).shape == (120, 96, 3)


def test_the_steps_of_all_passes_are_counted_and_numbered() -> None:
    found = events(FROG, HiresPart(scale=4.0, strength=0.5, method="lanczos", steps=6, overlap=0.0), count=2)
    (started,) = (one for one in found if isinstance(one, Started))
    steps = [one for one in found if isinstance(one, StepDone)]
    # 4 steps for both pictures at once, and for each picture two passes of 3 steps
    assert started.total_steps == len(steps) == 4 + 2 * 6
    assert [one.finished_steps for one in steps] == list(range(1, 17))
    assert [one.step.index for one in steps] == [*range(4), *range(4, 10), *range(4, 10)]
    assert {one.step.num_steps for one in steps} == {10}
    assert [one.indices for one in steps] == [(0, 1)] * 4 + [(0,)] * 6 + [(1,)] * 6
    assert [one.step.x.shape[-1] for one in steps[4:10]] == [16] * 3 + [32] * 3


def test_a_picture_of_a_batch_equals_the_picture_alone() -> None:
    together = pictures(events(FROG, TWICE, count=2))
    assert distance(together[1], drawn(FROG, TWICE, seed=8)) < 1
    assert distance(together[1], together[0]) > 5


@pytest.mark.parametrize("sampler", sorted(SOLVERS))
def test_every_sampler_draws_the_second_pass(sampler: str) -> None:
    first = drawn(FROG, TWICE, sampler=sampler)
    assert first.shape == (128, 128, 3)
    assert np.array_equal(first, drawn(FROG, TWICE, sampler=sampler))


def test_no_call_has_more_rows_than_the_first_drawing() -> None:
    recorder = Recorder(tiny_bundle().backend)
    events(FROG, TWICE, bundle=replace(tiny_bundle(), backend=recorder))
    assert set(recorder.rows) == {2}


def test_a_picture_of_ones_own_is_drawn_again(tmp_path: Path) -> None:
    file = tmp_path / "frog.png"
    Image.fromarray(drawn(FROG)).save(file)
    parts = FROG, ImagePart(source=str(file), strength=0.0), TWICE
    found = events(*parts)
    assert len([one for one in found if isinstance(one, StepDone)]) == 2
    larger = pictures(found)[0]
    assert larger.shape == (128, 128, 3)
    assert not np.array_equal(larger, resized(np.asarray(Image.open(file)), 128, 128))
    keeping = ImagePart(source=str(file), strength=0.0, keep_colour=True)
    kept = drawn(FROG, keeping, TWICE)
    assert np.abs(kept.mean(axis=(0, 1)) - np.asarray(Image.open(file)).mean(axis=(0, 1))).max() < 4


def test_regions_and_controls_go_along(tmp_path: Path) -> None:
    write_controlnet(tmp_path / "net")
    Image.fromarray(drawn(FROG)).save(tmp_path / "frog.png")
    control = Control(model=str(tmp_path / "net"), source=str(tmp_path / "frog.png"), annotator="canny")
    parts: tuple[Part, ...] = (
        FROG,
        RegionsPart(regions=(Region(prompt="a rabbit", area="left"),)),
        ControlPart(controls=(control,)),
        TWICE,
    )
    whole = drawn(*parts)
    assert whole.shape == (128, 128, 3)
    assert distance(whole, drawn(FROG, TWICE)) > 1


def test_features_are_reused_in_both_passes() -> None:
    fast = drawn(FROG, HiresPart(scale=2.0, strength=1.0, method="lanczos", overlap=0.0), cache_interval=2)
    assert fast.shape == (128, 128, 3)


def test_what_is_coarse_is_nearer_to_the_first_picture_when_it_is_kept() -> None:
    plain = drawn(FROG)
    kept, free = (
        drawn(FROG, HiresPart(scale=2.0, strength=1.0, method="lanczos", keep=keep, overlap=0.0))
        for keep in (1.0, 0.0)
    )
    assert distance(resized(kept, 64, 64), plain) < distance(resized(free, 64, 64), plain)


def test_windows_alone_draw_any_size_and_change_nothing_within_one() -> None:
    assert np.array_equal(drawn(FROG, WindowsPart()), drawn(FROG))
    assert np.array_equal(drawn(FROG, WindowsPart(size=256), width=96), drawn(FROG, width=96))
    wide = drawn(FROG, WindowsPart(size=64), width=200, height=72)
    assert wide.shape == (72, 200, 3)
    assert not np.array_equal(wide, drawn(FROG, width=200, height=72))


def test_broken_numbers_in_a_second_pass_are_named() -> None:
    recorder = Recorder(tiny_bundle().backend, poison_after=5)
    with pytest.raises(NumericalError, match="latents"):
        events(FROG, TWICE, bundle=replace(tiny_bundle(), backend=recorder))


def test_closing_between_the_passes_is_clean() -> None:
    resolved = resolve(Recipe(seed=7, steps=2, parts=(FROG, TWICE)), tiny_bundle().defaults)
    with closing(draw(resolved, tiny_bundle())) as found:
        for one in found:
            if isinstance(one, StepDone) and one.step.x.shape[-1] == 16:
                break
    assert next(found, None) is None


def test_large_pictures_are_enlarged_by_parts_with_the_same_result() -> None:
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 255, (40, 60, 3), np.uint8)).resize((AT_ONCE + 60, 40))
    upscaler = load_upscaler()
    parts = np.asarray(learned(small, 2 * small.width, 2 * small.height, upscaler)).astype(int)
    (*_, last) = upscale(small, 2 * small.width, 2 * small.height, upscaler)
    assert last.picture is not None
    apart = np.abs(parts - np.asarray(last.picture))
    assert apart.max() <= 2
    assert (apart > 1).mean() < 1e-3


def test_sizes_grow_from_pass_to_pass() -> None:
    found = events(FROG, HiresPart(scale=3.0, strength=0.5, method="latent", passes=3))
    sides = [one.step.x.shape[-1] for one in found if isinstance(one, StepDone)]
    assert all(before <= after for before, after in pairwise(sides))
    assert sides[-1] == 24
