"""Models with a transformer in the place of the UNet draw what stock diffusers draws of the same weights."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from family_parity import psnr
from joint_models import KINDS, LATENTS, joint_bundle, joint_pipeline
from joint_parity import CAT, FROG, THEIRS, drawn, encoded, events_of, noisy_picture, parity, picture, stock
from sfumato.engine.attention import attention_recorder
from sfumato.engine.events import Done, Started, StepDone
from sfumato.engine.preview import to_uint8
from sfumato.engine.run import draw
from sfumato.errors import InputError, RecipeError
from sfumato.recipe.extras import Apg, ExtrasPart
from sfumato.recipe.hires import HiresPart, WindowsPart
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import (
    ExtendPart,
    ImagePart,
    MaskPart,
    MixPart,
    MixPrompt,
    Part,
    Region,
    RegionsPart,
    TextPart,
    VariationPart,
)
from sfumato.recipe.resolve import resolve

# diffusers' schedulers, on numpy 2
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.mark.parametrize("name", KINDS)
def test_a_picture_equals_stock_diffusers(name: str) -> None:
    ours = drawn(name, FROG)
    assert psnr(ours, stock(name)) >= 60
    assert psnr(ours, drawn(name, CAT)) < 25


def test_without_guidance_and_in_another_shape() -> None:
    ours = drawn("sd3", TextPart(prompt=FROG.prompt), guidance=1.0, width=96, height=80, steps=1)
    theirs = stock("sd3", guidance_scale=1.0, width=96, height=80, num_inference_steps=1)
    assert ours.shape == (80, 96, 3)
    assert psnr(ours, theirs) >= 60


def test_a_prompt_of_many_words_and_words_between_encoders() -> None:
    long = "a frog next to a rabbit on a beach at night, a black cat riding a horse in the snow"
    ours = drawn("sd3", TextPart(prompt=long))
    # CLIP reads 14 tokens a chunk here, diffusers only the first of them.
    clip = joint_pipeline("sd3").tokenizer(long).input_ids
    assert len(clip) > 16
    assert psnr(ours, stock("sd3", prompt=long)) < 45
    short = "a frog next to"
    assert psnr(drawn("sd3", TextPart(prompt=short)), stock("sd3", prompt=short, negative_prompt="")) >= 60


@pytest.fixture
def shown(tmp_path: Path) -> Path:
    return noisy_picture(tmp_path / "shown.png")


@pytest.mark.parametrize("strength", [0.5, 1.0])
@pytest.mark.parametrize("name", ["sd3", "sd35-medium"])
def test_a_picture_from_a_picture_equals_stock_diffusers(name: str, strength: float, shown: Path) -> None:
    assert parity(name, 4, shown, strength) >= 45


def test_a_mask_keeps_what_it_does_not_mark_as_stock_diffusers_does(shown: Path) -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[:, 32:] = 255
    image = ImagePart(source=str(shown), strength=0.75)
    events = list(events_of("sd3", FROG, image, MaskPart(area="32,0,32x64"), steps=4))
    ours, before = picture(events), np.asarray(Image.open(shown))
    np.testing.assert_array_equal(ours[:, :32], before[:, :32])
    pipe, latents = joint_pipeline("sd3", "StableDiffusion3InpaintPipeline"), encoded("sd3", shown)
    call = {"image": latents, "masked_image_latents": latents, "mask_image": Image.fromarray(mask)}
    made = pipe(
        **{**THEIRS, **call, "strength": 0.75, "num_inference_steps": 4, "output_type": "latent"},
        generator=torch.Generator("cpu").manual_seed(7),
    ).images
    # As latents: diffusers 0.42 decodes this pipeline's without the shift of the autoencoder.
    last = [one.step.x for one in events if isinstance(one, StepDone)][-1]
    backend = joint_bundle("sd3").backend
    assert psnr(*(to_uint8(backend.decode(one)) for one in (last, made))) >= 45
    assert psnr(ours[:, 40:], before[:, 40:]) < 30


@pytest.mark.parametrize(
    "part",
    [
        MixPart(prompts=(MixPrompt(prompt=FROG.prompt, ratio=0.5),)),
        MixPart(prompts=(MixPrompt(prompt=FROG.prompt, ratio=0.5),), mode="embeddings"),
        MixPart(prompts=(MixPrompt(prompt=FROG.prompt, ratio=0.5),), mode="bands"),
        RegionsPart(regions=(Region(prompt=FROG.prompt, area="left"),)),
    ],
    ids=["branches", "embeddings", "bands", "regions"],
)
def test_a_prompt_mixed_with_itself_is_the_plain_drawing(part: Part) -> None:
    assert psnr(drawn("sd3", FROG, part), drawn("sd3", FROG)) >= 60


@pytest.mark.parametrize(
    ("parts", "shape"),
    [
        ((HiresPart(scale=1.5),), (96, 96)),
        ((WindowsPart(),), (96, 128)),
        ((ExtrasPart(tiling="both"),), (64, 64)),
        ((ExtrasPart(clip_skip=2, threshold=0.9, apg=Apg()),), (64, 64)),
        ((VariationPart(strength=0.3, seed=3),), (64, 64)),
    ],
    ids=["hires", "windows", "tiling", "extras", "variation"],
)
def test_other_parts_go_with_it(parts: tuple[Part, ...], shape: tuple[int, int]) -> None:
    size = {"height": shape[0], "width": shape[1]} if isinstance(parts[0], WindowsPart) else {}
    made = drawn("sd3", FROG, *parts, **size)
    assert made.shape == (*shape, 3)
    assert made.std() > 10


def test_a_picture_is_extended_in_passes(shown: Path) -> None:
    made = drawn("sd3", FROG, ImagePart(source=str(shown)), ExtendPart(right=32))
    assert made.shape == (64, 96, 3)
    np.testing.assert_array_equal(made[:, :64], np.asarray(Image.open(shown)))
    assert made[:, 72:].std() > 10


def test_guidance_may_stop_and_be_rescaled() -> None:
    words = FROG.model_copy(update={"guidance_stop": 0.4, "guidance_rescale": 0.7})
    assert 12 < psnr(drawn("sd3", words), drawn("sd3", FROG)) < 60


@pytest.mark.parametrize("sampler", ["dpmpp_sde", "unipc"])
def test_other_samplers_draw_what_euler_draws_in_the_end(sampler: str) -> None:
    made = drawn("sd3", FROG, sampler=sampler, steps=6)
    assert psnr(made, drawn("sd3", FROG, sampler="euler", steps=12)) > psnr(made, drawn("sd3", CAT, steps=6))


def test_what_is_made_for_unets_is_refused_before_anything_is_drawn() -> None:
    defaults = joint_bundle("sd3").defaults
    refused: dict[str, dict[str, Any]] = {
        "cache_interval": {"cache_interval": 3},
        "pag": {"parts": (ExtrasPart(pag=2.0),)},
    }
    for field, asked in refused.items():
        with pytest.raises(RecipeError, match="is a transformer") as error:
            resolve(Recipe(seed=7, **asked), defaults)
        assert error.value.field == field
    assert resolve(Recipe(seed=7, fast=True), defaults).cache_interval == 1
    with pytest.raises(InputError, match="transformer"):
        attention_recorder(resolve(Recipe(seed=7, parts=(FROG,)), defaults), joint_bundle("sd3"))


def test_a_long_prompt_is_said_to_be_cut() -> None:
    bundle = joint_bundle("sd3")
    words = TextPart(prompt="frog " * 300)
    resolved = resolve(Recipe(seed=7, parts=(words,), steps=1, guidance=1.0), bundle.defaults)
    events = list(draw(resolved, bundle))
    started = events[0]
    assert isinstance(started, Started)
    assert any("third text encoder" in one for one in started.warnings)
    assert isinstance(events[-1], Done)
    assert bundle.latent_channels == LATENTS
