"""Upscaling models in the one engine: against diffusers' pipeline, in every sampler, and what is refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionUpscalePipeline
from numpy.typing import NDArray
from PIL import Image

from sfumato.engine.events import Picture
from sfumato.engine.low_res import prepare_low_res
from sfumato.engine.run import draw
from sfumato.errors import PictureError, RecipeError
from sfumato.imaging.inputs import NO_INPUTS, Inputs, read_inputs
from sfumato.models.bundle import ModelBundle
from sfumato.recipe.again import recipe_of, single
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.low_res import LowResPart
from sfumato.recipe.parts import MixPart, MixPrompt, Part, Region, RegionsPart, TextPart, VariationPart
from sfumato.recipe.resolve import resolve
from sfumato.samplers.noise import picture_noise
from sfumato.samplers.solvers import SOLVERS
from tiny_low_res import tiny_upscaler, tiny_upscaler_bundle
from tiny_models import tiny_bundle, tiny_settings
from tiny_upscaler import waves

# diffusers' schedulers, on numpy 2
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

FROG = TextPart(prompt="a frog on a beach at night", negative="snow")


@pytest.fixture
def picture(tmp_path: Path) -> str:
    waves(16, 8).save(tmp_path / "small.png")
    return str(tmp_path / "small.png")


def planned(bundle: ModelBundle, *parts: Part, **fields: Any) -> tuple[Resolved, Inputs]:
    recipe = Recipe(parts=parts, **{"seed": 7, "steps": 4, **fields})
    inputs = read_inputs(recipe, tiny_settings())
    return resolve(recipe, bundle.defaults, sources=inputs.facts), inputs


def drawn(
    resolved: Resolved, inputs: Inputs, bundle: ModelBundle | None = None, **more: Any
) -> list[NDArray[np.uint8]]:
    events = draw(resolved, tiny_upscaler_bundle() if bundle is None else bundle, inputs=inputs, **more)
    return [event.pixels for event in events if isinstance(event, Picture)]


def psnr(a: NDArray[Any], b: NDArray[Any]) -> float:
    error = float(np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2))
    return 100.0 if error == 0 else 10 * np.log10(255**2 / error)


@pytest.mark.parametrize(("level", "guidance"), [(20, 9.0), (300, 3.0), (0, 1.0)])
def test_the_picture_is_that_of_diffusers(level: int, guidance: float, picture: str) -> None:
    part = LowResPart(source=picture, noise_level=level)
    resolved, inputs = planned(
        tiny_upscaler_bundle(), FROG, part, sampler="ddim", spacing="leading", guidance=guidance, steps=12
    )
    (ours,) = drawn(resolved, inputs)
    pipe: Any = StableDiffusionUpscalePipeline.from_pretrained(tiny_upscaler())
    pipe.set_progress_bar_config(disable=True)
    theirs = pipe(
        prompt=FROG.prompt,
        negative_prompt=FROG.negative,
        image=Image.open(picture),
        noise_level=level,
        guidance_scale=guidance,
        num_inference_steps=12,
        generator=torch.Generator("cpu").manual_seed(7),
    ).images[0]
    assert ours.shape == (32, 64, 3)
    assert np.std(ours) > 20
    assert psnr(ours, np.asarray(theirs)) >= 45


def test_the_picture_and_its_noise_level_decide(picture: str, tmp_path: Path) -> None:
    resolved, inputs = planned(tiny_upscaler_bundle(), FROG, LowResPart(source=picture))
    (first,) = drawn(resolved, inputs)
    assert np.array_equal(first, *drawn(resolved, inputs))
    noisier, _ = planned(tiny_upscaler_bundle(), FROG, LowResPart(source=picture, noise_level=200))
    assert psnr(first, *drawn(noisier, inputs)) < 40
    Image.fromarray(255 - np.array(Image.open(picture))).save(tmp_path / "other.png")
    assert (
        psnr(
            first,
            *drawn(*planned(tiny_upscaler_bundle(), FROG, LowResPart(source=str(tmp_path / "other.png")))),
        )
        < 40
    )


@pytest.mark.parametrize("sampler", SOLVERS)
def test_every_sampler_draws_it_beside_all_parts_that_go_with_it(sampler: str, picture: str) -> None:
    resolved, inputs = planned(
        tiny_upscaler_bundle(),
        FROG,
        MixPart(prompts=(MixPrompt(prompt="a rabbit", ratio=0.3),)),
        RegionsPart(regions=(Region(prompt="a tree", area="left"),)),
        LowResPart(source=picture),
        VariationPart(strength=0.2, seed=3),
        sampler=sampler,
        steps=3,
        cache_interval=2,
    )
    (pixels,) = drawn(resolved, inputs)
    assert pixels.shape == (32, 64, 3)
    assert np.std(pixels) > 5


def test_a_picture_does_not_depend_on_those_beside_it(picture: str) -> None:
    resolved, inputs = planned(tiny_upscaler_bundle(), FROG, LowResPart(source=picture), count=3)
    whole = drawn(resolved, inputs)
    alone = single(resolved.model_copy(update={"index": 1}))
    assert psnr(whole[1], *drawn(alone, inputs)) > 60  # batches of another size round otherwise
    assert psnr(whole[0], whole[1]) < 40


def test_a_picture_of_an_odd_size_and_another_size_asked_for(tmp_path: Path) -> None:
    waves(15, 9).save(tmp_path / "odd.png")
    part = LowResPart(source=str(tmp_path / "odd.png"))
    (pixels,) = drawn(*planned(tiny_upscaler_bundle(), FROG, part))
    assert pixels.shape == (36, 60, 3)
    (pixels,) = drawn(*planned(tiny_upscaler_bundle(), FROG, part, width=80, height=40))
    assert pixels.shape == (40, 80, 3)


def test_the_same_run_can_be_asked_for_again(picture: str) -> None:
    resolved, inputs = planned(tiny_upscaler_bundle(), FROG, LowResPart(source=picture, noise_level=31))
    again = recipe_of(resolved)
    assert again.low_res is not None
    stored = replace(inputs, facts={again.low_res.source: next(iter(inputs.facts.values()))})
    assert resolve(again, tiny_upscaler_bundle().defaults, sources=stored.facts) == resolved


def test_noise_is_put_on_it_as_the_schedule_says(picture: str) -> None:
    resolved, inputs = planned(tiny_upscaler_bundle(), FROG, LowResPart(source=picture, noise_level=100))
    low_res = prepare_low_res(resolved, tiny_upscaler_bundle(), inputs)
    assert low_res is not None
    assert low_res.kept**2 + low_res.added**2 == pytest.approx(1)
    shown = low_res.channels([picture_noise(1), picture_noise(2)])
    noise = np.stack([picture_noise(seed).randn((3, 8, 16)) for seed in (1, 2)])
    assert shown.shape == (2, 3, 8, 16)
    np.testing.assert_allclose(shown, low_res.kept * low_res.shown + low_res.added * noise, atol=1e-6)
    assert low_res.shown.min() >= -1
    assert low_res.shown.max() <= 1


def test_what_does_not_go_together_is_one_line(picture: str) -> None:
    part = LowResPart(source=picture)
    with pytest.raises(RecipeError, match="model: is no upscaler: it takes no small picture"):
        planned(tiny_bundle(), FROG, part)
    with pytest.raises(RecipeError, match="model: is an upscaler, and needs a small picture to make larger"):
        planned(tiny_upscaler_bundle(), FROG)
    resolved, inputs = planned(tiny_upscaler_bundle(), FROG, part)
    with pytest.raises(PictureError, match="a picture that this begins with is missing"):
        drawn(resolved, NO_INPUTS)
    without = resolved.model_copy(update={"parts": resolved.parts[:1]})
    with pytest.raises(RecipeError, match="model: is an upscaler, and needs a low_res part"):
        drawn(without, inputs)
    other = resolved.model_copy(update={"model_digest": tiny_bundle().digest})
    with pytest.raises(RecipeError, match="model: is no upscaler"):
        drawn(other, inputs, tiny_bundle())
