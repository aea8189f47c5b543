"""Families of models draw what stock diffusers draws of the same weights and noise."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image

from family_models import XL, family_bundle
from family_parity import FROG, TOLD_GUIDANCE, drawn, parity, pipeline, psnr, refiner_start, resolved, stock
from recording import Recorder
from sfumato.engine.controls import digests_of, find_controls
from sfumato.engine.events import Picture, Started
from sfumato.engine.run import draw
from sfumato.errors import RecipeError
from sfumato.imaging.inputs import read_inputs
from sfumato.models.backends.base import NOTHING, Extra
from sfumato.models.load import find_model, load_bundle
from sfumato.recipe.extras import ExtrasPart
from sfumato.recipe.hires import HiresPart, WindowsPart
from sfumato.recipe.image import Recipe
from sfumato.recipe.micro import MicroPart
from sfumato.recipe.parts import (
    Control,
    ControlPart,
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
from tiny_controlnets import write_controlnet
from tiny_models import tiny_settings

# diffusers' schedulers, on numpy 2
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

CAT = TextPart(prompt="a black cat riding a horse")
SHORT: dict[str, Any] = {"steps": 3, "guidance": 4.0, "sampler": "euler", "spacing": "trailing"}
SHORT_STOCK: dict[str, Any] = {"num_inference_steps": 3, "guidance_scale": 4.0}
ONCE = {**SHORT, "guidance": 1.0, "steps": 1}


FOUR = ("ddim", "euler", "dpmpp_2m", "unipc")  # `python -m family_parity` has all of them for each family


@pytest.mark.parametrize(
    ("family", "sampler"),
    [
        *(("sdxl", sampler) for sampler in FOUR),
        *(("x4-upscaler", sampler) for sampler in FOUR),
        ("sd", "heun"),
        ("small-sd", "ddim"),
        ("bk-sdm-small", "unipc"),
        ("tiny-sd", "dpmpp_2m"),
        ("sd2-base", "euler"),
        ("bk-sdm-v2-base", "ddim"),
        ("bk-sdm-v2-small", "unipc"),
        ("bk-sdm-v2-tiny", "euler_a"),
        ("sd-inpaint", "euler"),
        ("sd2-inpaint", "unipc"),
        ("sdxl-inpaint", "dpmpp_2m"),
        ("sdxl-refiner", "euler"),
        ("ssd-1b", "dpmpp_2m"),
        ("vega", "euler_a"),
        ("koala-1b", "heun"),
        ("koala-700m", "ddim"),
        ("lcm-sd", "dpmpp_2m"),
        ("sd-v-zero-snr", "unipc"),
        ("sdxl-v-zero-snr", "euler"),
    ],
)
def test_a_picture_equals_stock_diffusers(family: str, sampler: str) -> None:
    assert parity(family, sampler, 3) >= 45


@pytest.mark.parametrize("sampler", [*FOUR, "euler_a", "heun"])
def test_a_model_of_velocity_equals_diffusers_that_begins_and_ends_where_we_do(sampler: str) -> None:
    assert parity("sd2-v", sampler, 3, same_ends=True) >= 50


@pytest.mark.parametrize("family", TOLD_GUIDANCE)
def test_a_model_that_is_told_the_guidance_equals_stock_diffusers(family: str) -> None:
    recipe = resolved(family, FROG)
    assert (recipe.steps, recipe.sampler, recipe.spacing, recipe.guidance) == (4, "lcm", "lcm", 8.0)
    assert parity(family, "lcm", 4, 8.0) >= 45
    assert psnr(drawn(family, FROG, guidance=2.0), drawn(family, FROG)) < 45


def test_no_second_prediction_is_paid_for() -> None:
    bundle = family_bundle("lcm-sd")
    recorder = Recorder(bundle.backend)
    apples = TextPart(prompt="a frog", negative="apples")
    events = list(draw(resolved("lcm-sd", apples), replace(bundle, backend=recorder)))
    assert recorder.rows == [1] * 4
    started = events[0]
    assert isinstance(started, Started)
    assert any("negative prompt" in one for one in started.warnings)


def test_a_guidance_window_is_refused_where_the_guidance_is_told_once() -> None:
    with pytest.raises(RecipeError, match="is told the guidance once"):
        resolved("lcm-sd", TextPart(prompt="a frog", guidance_stop=0.5))


def test_a_turbo_model_needs_four_steps_and_no_guidance() -> None:
    recipe = resolved("sdxl-turbo", FROG)
    assert (recipe.steps, recipe.sampler, recipe.spacing) == (4, "euler_a", "trailing")
    theirs = stock("sdxl-turbo", "euler_a", num_inference_steps=4, guidance_scale=0.0)
    assert psnr(drawn("sdxl-turbo", FROG), theirs) >= 45


SIZES = {"original_size": (64, 96), "crops_coords_top_left": (16, 8), "target_size": (80, 48)}
NEGATIVE = {
    "negative_original_size": (16, 32),
    "negative_crops_coords_top_left": (2, 4),
    "negative_target_size": (80, 48),
}


@pytest.mark.parametrize(
    ("part", "told"),
    [
        (MicroPart(original=(96, 64), crop=(8, 16), target=(48, 80)), SIZES),
        (MicroPart(negative_original=(32, 16), negative_crop=(4, 2), negative_target=(48, 80)), NEGATIVE),
    ],
    ids=["sizes", "negative sizes"],
)
def test_sizes_are_told_as_diffusers_tells_them(part: MicroPart, told: dict[str, Any]) -> None:
    ours = drawn("vega", FROG, part, **SHORT)
    assert psnr(ours, stock("vega", **told, **SHORT_STOCK)) >= 45
    assert psnr(ours, drawn("vega", FROG, **SHORT)) < 40


def test_negative_prompt_and_clip_skip_equal_stock_diffusers() -> None:
    apples = TextPart(prompt=FROG.prompt, negative="two red apples")
    theirs = stock("vega", negative_prompt="two red apples", **SHORT_STOCK)
    assert psnr(drawn("vega", apples, **SHORT), theirs) >= 45
    skipping = drawn("vega", FROG, ExtrasPart(clip_skip=2), **SHORT)
    assert psnr(skipping, stock("vega", clip_skip=1, **SHORT_STOCK)) >= 45
    assert psnr(skipping, drawn("vega", FROG, **SHORT)) < 40


def test_the_refiner_is_told_scores() -> None:
    part = resolved("sdxl-refiner", FROG, **SHORT).micro
    assert part is not None
    assert part.ids(64, 64) == ((64, 64, 0, 0, 6.0), (64, 64, 0, 0, 2.5))
    loved = drawn("sdxl-refiner", FROG, MicroPart(score=9.0, negative_score=1.0), **SHORT)
    told: dict[str, Any] = {"aesthetic_score": 9.0, "negative_aesthetic_score": 1.0}
    theirs = stock("sdxl-refiner", **refiner_start(3, "euler"), **told, **SHORT_STOCK)
    assert psnr(loved, theirs) >= 45


@pytest.mark.parametrize(
    "part",
    [
        MixPart(prompts=(MixPrompt(prompt=FROG.prompt, ratio=0.5),)),
        MixPart(prompts=(MixPrompt(prompt=FROG.prompt, ratio=0.5),), mode="embeddings"),
        RegionsPart(regions=(Region(prompt=FROG.prompt, area="left"),)),
    ],
    ids=["branches", "embeddings", "regions"],
)
def test_a_prompt_mixed_with_itself_is_the_plain_drawing(part: Part) -> None:
    assert psnr(drawn("vega", FROG, part, **ONCE), drawn("vega", FROG, **ONCE)) >= 60


def test_every_branch_is_told_its_own_pooled_text() -> None:
    half = MixPart(prompts=(MixPrompt(prompt=CAT.prompt, ratio=0.5),))
    mixed, *ones = (drawn("vega", *parts, **ONCE) for parts in ((FROG, half), (FROG,), (CAT,)))
    assert psnr(*ones) < 30
    # After one step x0 is the mean of what each would have; the decoder is not linear, but nearly.
    assert psnr(mixed, (ones[0].astype(float) + ones[1]) / 2) > psnr(mixed, ones[0]) + 3


def test_windows_and_reused_features_are_told_as_much() -> None:
    plain = drawn("vega", FROG, **SHORT)
    wide = drawn("vega", FROG, WindowsPart(size=64), **SHORT, width=128, height=64)
    assert wide.shape == (64, 128, 3)
    assert psnr(drawn("vega", FROG, WindowsPart(size=64), **SHORT), plain) >= 60
    fast = drawn("vega", FROG, **SHORT, cache_interval=2)
    assert 20 < psnr(fast, plain) < 60


def test_a_controlnet_is_told_as_much_and_equals_stock_diffusers(tmp_path: Path) -> None:
    config = {key: value for key, value in XL.items() if key != "up_block_types"}
    net = write_controlnet(tmp_path / "lines", **config, norm_num_groups=4)
    shapes = np.zeros((64, 64, 3), np.uint8)
    shapes[16:48, 8:40] = 255
    Image.fromarray(shapes).save(tmp_path / "shapes.png")
    pipe: Any = diffusers.StableDiffusionXLControlNetPipeline(**pipeline("sdxl").components, controlnet=net)
    pipe.set_progress_bar_config(disable=True)
    pipe.scheduler = diffusers.DDIMScheduler.from_config(pipe.scheduler.config, timestep_spacing="trailing")
    generator = torch.Generator("cpu").manual_seed(7)
    theirs = pipe(FROG.prompt, image=Image.fromarray(shapes), generator=generator, **SHORT_STOCK).images[0]

    bundle, settings = family_bundle("sdxl"), tiny_settings()
    one = Control(model=str(tmp_path / "lines"), source=str(tmp_path / "shapes.png"), annotator="none")
    fields = {**SHORT, "sampler": "ddim"}
    recipe = Recipe(seed=7, parts=(FROG, ControlPart(controls=(one,))), **fields)
    inputs = read_inputs(recipe, settings)
    controls = find_controls(recipe, find_model(str(bundle.folder), settings).files, settings)
    run = resolve(recipe, bundle.defaults, sources=inputs.facts, controls=digests_of(controls))
    events = draw(run, bundle, inputs=inputs, controls=controls)
    ours = next(one.pixels for one in events if isinstance(one, Picture))
    assert psnr(ours, np.asarray(theirs)) >= 45
    assert psnr(ours, drawn("sdxl", FROG, **fields)) < 40


@pytest.mark.parametrize("family", ["lcm-sd", "tiny-sd"])
def test_the_compiled_backend_draws_the_same(family: str, tmp_path: Path) -> None:
    settings = replace(tiny_settings(), backend="openvino", data_dir=tmp_path)
    bundle = load_bundle(str(family_bundle(family).folder), settings)
    fields: dict[str, Any] = {"steps": 3, "guidance": 4.0}
    events = draw(resolved(family, FROG, **fields), bundle)
    ours = next(one.pixels for one in events if isinstance(one, Picture))
    assert psnr(ours, drawn(family, FROG, **fields)) >= 45


def test_what_the_compiled_backend_cannot_draw_is_drawn_with_torch() -> None:
    settings = replace(tiny_settings(), backend="auto")
    bundle = load_bundle(str(family_bundle("vega").folder), settings)
    assert bundle.backend.name == "torch cpu float32"
    assert any("pooled text" in one for one in bundle.notes)


@dataclass(eq=False)
class Listening(Recorder):
    """Keeps what the network is told of sizes."""

    told: list[list[list[float]]] = field(default_factory=list)

    def predict(self, x: Any, t: float, context: Any, extra: Extra = NOTHING) -> Any:
        assert extra.pooled is not None
        assert extra.time_ids is not None
        assert len(extra.pooled) == len(x)
        self.told.append(extra.time_ids.tolist())
        return super().predict(x, t, context, extra)


def test_an_enlarged_drawing_is_told_its_own_size() -> None:
    bundle = family_bundle("vega")
    heard = Listening(bundle.backend)
    parts: tuple[Part, ...] = (
        FROG,
        HiresPart(scale=2.0, strength=0.5, method="lanczos"),
        MicroPart(crop=(8, 0)),
    )
    run = resolved("vega", *parts, **{**SHORT, "steps": 2})
    events = list(draw(run, replace(bundle, backend=heard)))
    assert [event.pixels.shape for event in events if isinstance(event, Picture)] == [(128, 128, 3)]
    small, large = [64.0, 64.0, 0.0, 8.0, 64.0, 64.0], [128.0, 128.0, 0.0, 8.0, 128.0, 128.0]
    rows = [row for call in heard.told for row in call]
    assert rows[:4] == [small] * 4
    assert len(rows) > 4
    assert all(row == large for row in rows[4:])


def test_a_mask_goes_with_it(tmp_path: Path) -> None:
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[16:48, 8:40] = 255
    Image.fromarray(picture).save(tmp_path / "shapes.png")
    parts = FROG, ImagePart(source=str(tmp_path / "shapes.png"), strength=1.0), MaskPart(area="left")
    recipe = Recipe(seed=7, parts=parts, **SHORT)
    inputs = read_inputs(recipe, tiny_settings())
    bundle = family_bundle("vega")
    events = draw(resolve(recipe, bundle.defaults, sources=inputs.facts), bundle, inputs=inputs)
    pixels = next(event.pixels for event in events if isinstance(event, Picture))
    assert np.array_equal(pixels[:, 40:], picture[:, 40:])
    assert not np.array_equal(pixels[:, :24], picture[:, :24])
