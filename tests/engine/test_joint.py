"""Models with a transformer in the place of the UNet draw what stock diffusers draws of the same weights."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from family_parity import psnr
from joint_models import KINDS, LATENTS, joint_bundle, joint_pipeline
from sfumato.engine.attention import attention_recorder
from sfumato.engine.events import Done, Picture, Started
from sfumato.engine.run import draw
from sfumato.errors import InputError, RecipeError
from sfumato.imaging.inputs import read_inputs
from sfumato.recipe.extras import ExtrasPart
from sfumato.recipe.hires import HiresPart, WindowsPart
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import (
    ImagePart,
    MaskPart,
    MixPart,
    MixPrompt,
    Part,
    Region,
    RegionsPart,
    TextPart,
)
from sfumato.recipe.resolve import resolve
from tiny_models import tiny_settings

# diffusers' schedulers, on numpy 2
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

FROG = TextPart(prompt="a frog on a beach at night", negative="two red apples")
CAT = TextPart(prompt="a black cat riding a horse", negative="a frog")
SHORT: dict[str, Any] = {"steps": 3, "guidance": 4.0}
THEIRS: dict[str, Any] = {
    "prompt": FROG.prompt,
    "negative_prompt": FROG.negative,
    "num_inference_steps": 3,
    "guidance_scale": 4.0,
    "height": 64,
    "width": 64,
}


def drawn(name: str, *parts: Part, **fields: Any) -> np.ndarray:
    """Return the picture that we draw with seed 7."""
    bundle, settings = joint_bundle(name), tiny_settings()
    recipe = Recipe(seed=7, parts=parts, **{**SHORT, **fields})
    inputs = read_inputs(recipe, settings)
    resolved = resolve(recipe, bundle.defaults, sources=inputs.facts)
    return next(one.pixels for one in draw(resolved, bundle, inputs=inputs) if isinstance(one, Picture))


def stock(name: str, kind: str = "StableDiffusion3Pipeline", **call: Any) -> np.ndarray:
    """Return the picture that diffusers draws with seed 7."""
    pipe = joint_pipeline(name, kind)
    generator = torch.Generator("cpu").manual_seed(7)
    return np.asarray(pipe(**{**THEIRS, **call}, generator=generator).images[0])


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
    pixels = np.random.default_rng(3).integers(0, 255, (8, 8, 3), np.uint8)
    path = tmp_path / "shown.png"
    Image.fromarray(pixels).resize((64, 64), Image.Resampling.BILINEAR).save(path)
    return path


def encoded(name: str, path: Path) -> torch.Tensor:
    """Return the latents of a picture as diffusers scales them: the mean of what it draws them from."""
    vae = joint_pipeline(name).vae
    pixels = torch.tensor(np.asarray(Image.open(path)), dtype=torch.float32).movedim(-1, 0)[None]
    with torch.no_grad():
        mean = vae.encode(pixels / 127.5 - 1).latent_dist.mean
    return (mean - vae.config.shift_factor) * vae.config.scaling_factor


@pytest.mark.parametrize("strength", [0.5, 1.0])
@pytest.mark.parametrize("name", ["sd3", "sd35-medium"])
def test_a_picture_from_a_picture_equals_stock_diffusers(name: str, strength: float, shown: Path) -> None:
    ours = drawn(name, FROG, ImagePart(source=str(shown), strength=strength))
    theirs = stock(name, "StableDiffusion3Img2ImgPipeline", image=encoded(name, shown), strength=strength)
    assert psnr(ours, theirs) >= 45
    assert psnr(ours, drawn(name, FROG)) < 45 or strength == 1.0


def test_a_mask_keeps_what_it_does_not_mark(shown: Path, tmp_path: Path) -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[:, 32:] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    part = MaskPart(source=str(tmp_path / "mask.png"), padding=0)
    ours = drawn("sd3", FROG, ImagePart(source=str(shown), strength=0.75), part)
    before = np.asarray(Image.open(shown))
    np.testing.assert_array_equal(ours[:, :20], before[:, :20])
    assert psnr(ours[:, 40:], before[:, 40:]) < 30
    theirs = stock(
        "sd3",
        "StableDiffusion3InpaintPipeline",
        image=Image.open(shown),
        mask_image=Image.fromarray(mask),
        strength=0.75,
    )
    assert theirs.shape == ours.shape


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
        ((ExtrasPart(clip_skip=2, threshold=0.9),), (64, 64)),
    ],
    ids=["hires", "windows", "tiling", "clip skip"],
)
def test_other_parts_go_with_it(parts: tuple[Part, ...], shape: tuple[int, int]) -> None:
    size = {"height": shape[0], "width": shape[1]} if isinstance(parts[0], WindowsPart) else {}
    made = drawn("sd3", FROG, *parts, **size)
    assert made.shape == (*shape, 3)
    assert made.std() > 10


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
