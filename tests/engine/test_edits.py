"""Drawing from pictures: against stock diffusers' pipelines, bit for bit outside masks, in every sampler."""

import functools
import json
import shutil
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from diffusers import (
    StableDiffusionImg2ImgPipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionPipeline,
)
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file, save_file

from sfumato.engine.controls import digests_of, find_controls
from sfumato.engine.edits import KeepKnown, prepare
from sfumato.engine.events import Picture, StepDone
from sfumato.engine.preview import to_uint8
from sfumato.engine.run import draw
from sfumato.errors import PictureError
from sfumato.imaging.inputs import Inputs, read_inputs
from sfumato.models.bundle import ModelBundle
from sfumato.models.files import locate
from sfumato.models.load import load_bundle
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.parts import (
    Control,
    ControlPart,
    ExtendPart,
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
from sfumato.samplers.solvers import SOLVERS
from tiny_controlnets import write_controlnet
from tiny_models import tiny_bundle, tiny_folder, tiny_settings

# diffusers' schedulers, on numpy 2
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

FROG = TextPart(prompt="a frog on a beach at night")
SCHEDULERS: dict[str, str] = {
    "ddim": "DDIMScheduler",
    "euler": "EulerDiscreteScheduler",
    "dpmpp_2m": "DPMSolverMultistepScheduler",
}


def waves(width: int, height: int, seed: int = 0) -> NDArray[np.uint8]:
    """Return a smooth colourful picture `(H,W,3)`."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return np.array(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def saved(folder: Path, pixels: NDArray[np.uint8], name: str = "image.png") -> str:
    Image.fromarray(pixels).save(folder / name)
    return str(folder / name)


def planned(bundle: ModelBundle, *parts: Part, **fields: Any) -> tuple[Resolved, Inputs]:
    recipe = Recipe(parts=parts, **{"seed": 7, "steps": 4, **fields})
    inputs = read_inputs(recipe, tiny_settings())
    return resolve(recipe, bundle.defaults, sources=inputs.facts, controls=found(recipe)), inputs


def found(recipe: Recipe) -> dict[str, str]:
    return digests_of(find_controls(recipe, locate(tiny_folder()), tiny_settings()))


def drawn(bundle: ModelBundle, *parts: Part, **fields: Any) -> NDArray[np.uint8]:
    resolved, inputs = planned(bundle, *parts, **fields)
    controls = find_controls(Recipe(parts=parts), locate(tiny_folder()), tiny_settings())
    events = draw(resolved, bundle, inputs=inputs, controls=controls)
    return next(one.pixels for one in events if isinstance(one, Picture))


def psnr(a: NDArray[Any], b: NDArray[Any]) -> float:
    error = float(np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2))
    return 100.0 if error == 0 else 10 * np.log10(255**2 / error)


@functools.cache
def components(folder: Path) -> Any:
    return StableDiffusionPipeline.from_pretrained(folder, safety_checker=None).components


def stock(kind: Any, folder: Path, sampler: str, **call: Any) -> NDArray[np.uint8]:
    pipe = kind(**components(folder), requires_safety_checker=False)
    pipe.set_progress_bar_config(disable=True)
    pipe.scheduler = getattr(diffusers, SCHEDULERS[sampler]).from_config(pipe.scheduler.config)
    generator = torch.Generator("cpu").manual_seed(7)
    call = {"prompt": FROG.prompt, "num_inference_steps": 20, "guidance_scale": 3.0, **call}
    return np.asarray(pipe(**call, generator=generator, output_type="pil").images[0])


def latents_of(bundle: ModelBundle, pixels: NDArray[np.uint8]) -> torch.Tensor:
    scaled = np.moveaxis(pixels.astype(np.float32) / 127.5 - 1, -1, 0)[None]
    return bundle.backend.encode_image(scaled)


@pytest.fixture(scope="module")
def inpainting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model whose UNet takes nine channels, with weights for the new ones."""
    folder = tmp_path_factory.mktemp("models") / "inpainting"
    shutil.copytree(tiny_folder(), folder)
    config = json.loads((folder / "unet/config.json").read_text())
    (folder / "unet/config.json").write_text(json.dumps({**config, "in_channels": 9}))
    path = folder / "unet/diffusion_pytorch_model.safetensors"
    weights = load_file(path)
    before = weights["conv_in.weight"]
    more = torch.randn(before.shape[0], 5, 3, 3, generator=torch.Generator().manual_seed(1))
    weights["conv_in.weight"] = torch.cat([before, more * before.std()], dim=1)
    save_file(weights, path)
    return folder


@pytest.mark.parametrize("sampler", SCHEDULERS)
@pytest.mark.parametrize("strength", [0.3, 0.75, 1.0])
def test_image_to_image_equals_stock_diffusers(sampler: str, strength: float, tmp_path: Path) -> None:
    bundle, pixels = tiny_bundle(), waves(64, 64)
    theirs = stock(
        StableDiffusionImg2ImgPipeline,
        tiny_folder(),
        sampler,
        image=latents_of(bundle, pixels),
        strength=strength,
    )
    part = ImagePart(source=saved(tmp_path, pixels), strength=strength)
    ours = drawn(bundle, FROG, part, steps=20, sampler=sampler, guidance=3.0)
    assert psnr(ours, theirs) >= 45


@pytest.mark.parametrize("sampler", SCHEDULERS)
@pytest.mark.parametrize("strength", [0.6, 1.0])
def test_inpainting_equals_stock_diffusers(sampler: str, strength: float, tmp_path: Path) -> None:
    bundle, pixels = tiny_bundle(), waves(64, 64)
    mask = np.zeros((64, 64), np.uint8)
    mask[16:40, 8:48] = 255  # on whole latents: diffusers takes the nearest pixel, we the largest value
    latents = latents_of(bundle, pixels)
    theirs = stock(
        StableDiffusionInpaintPipeline,
        tiny_folder(),
        sampler,
        image=latents,
        mask_image=Image.fromarray(mask),
        masked_image_latents=latents,
        strength=strength,
        height=64,
        width=64,
    )
    image = ImagePart(source=saved(tmp_path, pixels), strength=strength)
    part = MaskPart(area="8,16,40x24")
    resolved, inputs = planned(bundle, FROG, image, part, steps=20, sampler=sampler, guidance=3.0)
    events = list(draw(resolved, bundle, inputs=inputs))
    # Theirs is what the latents decode to, ours goes back into the picture.
    last = [one.step.x for one in events if isinstance(one, StepDone)][-1]
    assert psnr(to_uint8(np.moveaxis(bundle.backend.decode(last)[0], 0, -1)), theirs) >= 45
    ours = next(one.pixels for one in events if isinstance(one, Picture))
    assert np.array_equal(ours[mask == 0], pixels[mask == 0])


@pytest.mark.parametrize("strength", [0.6, 1.0])
def test_nine_channels_equal_stock_diffusers(strength: float, inpainting: Path, tmp_path: Path) -> None:
    bundle = load_bundle(str(inpainting), tiny_settings())
    assert bundle.inpaints
    assert bundle.latent_channels == 4
    pixels = waves(64, 64)
    mask = np.zeros((64, 64), np.uint8)
    mask[8:56, 8:56] = 255
    hidden = np.where(mask[..., None] > 0, np.float32(0), pixels.astype(np.float32) / 127.5 - 1)
    theirs = stock(
        StableDiffusionInpaintPipeline,
        inpainting,
        "ddim",
        image=latents_of(bundle, pixels),
        mask_image=Image.fromarray(mask),
        masked_image_latents=bundle.backend.encode_image(np.moveaxis(hidden, -1, 0)[None]),
        strength=strength,
        height=64,
        width=64,
    )
    image = ImagePart(source=saved(tmp_path, pixels), strength=strength)
    part = MaskPart(area="8,8,48x48")
    ours = drawn(bundle, FROG, image, part, steps=20, sampler="ddim", guidance=3.0)
    assert psnr(ours[24:40, 24:40], theirs[24:40, 24:40]) >= 45
    assert np.array_equal(ours[mask == 0], pixels[mask == 0])
    assert drawn(bundle, FROG).shape == (64, 64, 3)  # and it draws from words alone


@pytest.mark.parametrize("sampler", ["ddim", "euler_a", "dpmpp_2m", "heun"])
def test_pixels_outside_a_mask_come_back_bit_for_bit(sampler: str, tmp_path: Path) -> None:
    bundle, random = tiny_bundle(), np.random.default_rng(3)
    for number in range(8):
        size = int(random.integers(40, 90)), int(random.integers(40, 90))
        pixels = random.integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
        mask = np.zeros(size[::-1], np.uint8)
        for _ in range(int(random.integers(1, 4))):
            top, left = int(random.integers(0, size[1] - 8)), int(random.integers(0, size[0] - 8))
            mask[top : top + int(random.integers(3, 30)), left : left + int(random.integers(3, 30))] = 255
        part = MaskPart(
            source=saved(tmp_path, np.repeat(mask[..., None], 3, axis=2), f"mask{number}.png"),
            extent="masked" if number % 3 == 0 else "whole",
            fill=(None, "original", "blur", "noise")[number % 4],
        )
        image = ImagePart(source=saved(tmp_path, pixels, f"image{number}.png"))
        result = drawn(bundle, FROG, image, part, sampler=sampler, steps=2)
        assert result.shape == pixels.shape
        assert np.array_equal(result[mask == 0], pixels[mask == 0])
        assert not np.array_equal(result[mask > 0], pixels[mask > 0])


def test_an_extension_keeps_the_picture_and_adds_to_it(tmp_path: Path) -> None:
    pixels = waves(64, 48)
    image = ImagePart(source=saved(tmp_path, pixels))
    result = drawn(tiny_bundle(), FROG, image, ExtendPart(left=16, bottom=16))
    assert result.shape == (64, 80, 3)
    assert np.array_equal(result[:48, 16:], pixels)


@pytest.mark.parametrize("extent", ["whole", "masked"])
def test_strength_zero_gives_the_picture_back(extent: Any, tmp_path: Path) -> None:
    pixels = waves(64, 64)
    image = ImagePart(source=saved(tmp_path, pixels), strength=0.0)
    assert np.array_equal(drawn(tiny_bundle(), FROG, image), pixels)
    part = MaskPart(area="center", extent=extent)
    assert np.array_equal(drawn(tiny_bundle(), FROG, image, part), pixels)
    resolved, inputs = planned(tiny_bundle(), FROG, ImagePart(source=image.source, start_step=4))
    assert resolved.first_step == 4
    assert prepare(resolved, tiny_bundle(), inputs) is not None


def test_more_strength_leaves_less_of_the_picture(tmp_path: Path) -> None:
    pixels = waves(64, 64)
    source = saved(tmp_path, pixels)
    near = [
        psnr(drawn(tiny_bundle(), FROG, ImagePart(source=source, strength=s), steps=10), pixels)
        for s in (0.1, 0.4, 0.9)
    ]
    assert near[0] > near[1] > near[2]


def test_a_start_step_is_a_strength(tmp_path: Path) -> None:
    source = saved(tmp_path, waves(64, 64))
    by_step = drawn(tiny_bundle(), FROG, ImagePart(source=source, start_step=3), steps=10)
    by_strength = drawn(tiny_bundle(), FROG, ImagePart(source=source, strength=0.7), steps=10)
    assert np.array_equal(by_step, by_strength)


def test_colours_are_kept_when_asked(tmp_path: Path) -> None:
    pixels = (waves(64, 64) // 3 + np.array([120, 20, 0])).astype(np.uint8)
    source = saved(tmp_path, pixels)
    kept = drawn(tiny_bundle(), FROG, ImagePart(source=source, strength=1.0, keep_colour=True))
    loose = drawn(tiny_bundle(), FROG, ImagePart(source=source, strength=1.0))
    apart = [abs(one.mean((0, 1)) - pixels.mean((0, 1))).max() for one in (kept, loose)]
    assert apart[0] < 8 < apart[1]


def test_a_soft_mask_frees_its_grey_places_later(tmp_path: Path) -> None:
    pixels = waves(64, 64)
    ramp = np.repeat(np.linspace(0, 255, 64).astype(np.uint8)[None, :, None], 64, axis=0).repeat(3, axis=2)
    image = ImagePart(source=saved(tmp_path, pixels), strength=1.0)
    part = MaskPart(source=saved(tmp_path, ramp, "ramp.png"), soft=True, fill="original")
    result = drawn(tiny_bundle(), FROG, image, part, steps=16)
    change = np.abs(result.astype(float) - pixels).mean(axis=(0, 2))
    assert change[:8].mean() < change[24:32].mean() < change[56:].mean()


def test_known_latents_are_kept_at_every_level() -> None:
    known, noise = torch.ones(1, 1, 2, 2), torch.full((2, 1, 2, 2), 0.5)
    free = torch.tensor([[[[1.0, 0.5], [0.0, 0.2]]]])
    keep = KeepKnown(known, noise, free, (8.0, 4.0, 2.0, 1.0))
    x = torch.full((2, 1, 2, 2), 9.0)
    assert keep.before(x, 8.0)[0, 0].tolist() == [[9.0, 5.0], [5.0, 5.0]]
    assert keep.before(x, 2.0)[0, 0].tolist() == [[9.0, 9.0], [2.0, 2.0]]
    assert keep.before(x, 1.0)[0, 0].tolist() == [[9.0, 9.0], [1.5, 1.5]]


def test_a_mask_of_other_proportions_is_refused(tmp_path: Path) -> None:
    image = ImagePart(source=saved(tmp_path, waves(64, 64)))
    part = MaskPart(source=saved(tmp_path, waves(64, 32), "mask.png"))
    with pytest.raises(PictureError, match="proportions"):
        drawn(tiny_bundle(), FROG, image, part)


def test_a_picture_that_was_not_given_is_named(tmp_path: Path) -> None:
    resolved, _ = planned(tiny_bundle(), FROG, ImagePart(source=saved(tmp_path, waves(64, 64))))
    with pytest.raises(PictureError, match=r"image\.png"):
        next(draw(resolved, tiny_bundle()))


@pytest.mark.parametrize("sampler", SOLVERS)
def test_every_part_at_once_in_every_sampler(sampler: str, tmp_path: Path) -> None:
    write_controlnet(tmp_path / "net")
    pixels = waves(64, 64)
    parts: tuple[Part, ...] = (
        FROG,
        MixPart(prompts=(MixPrompt(prompt="a rabbit", ratio=0.5),)),
        RegionsPart(
            regions=(Region(prompt="a tree", area="left"), Region(prompt="a rose", area="top-right"))
        ),
        ControlPart(controls=(Control(model=str(tmp_path / "net"), annotator="canny"),)),
        ImagePart(source=saved(tmp_path, pixels), strength=0.8),
        MaskPart(area="16,16,32x40", feather=4, grow=2),
    )
    whole = drawn(tiny_bundle(), *parts, sampler=sampler, steps=3)
    kept = np.ones((64, 64), np.bool_)
    kept[10:62, 10:54] = False
    assert np.array_equal(whole[kept], pixels[kept])
    if sampler == "ddim":  # each of them matters
        for number in (1, 2, 3):
            fewer = [part for place, part in enumerate(parts) if place != number]
            assert not np.array_equal(whole, drawn(tiny_bundle(), *fewer, sampler=sampler, steps=3))
