"""Editing by instructions: against diffusers' two pipelines, what a step costs, and what goes with it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from family_parity import psnr
from recording import Recorder
from sfumato.engine.conditions import compile_plan
from sfumato.engine.controls import digests_of, find_controls
from sfumato.engine.edits import encode
from sfumato.engine.events import Picture, StepDone
from sfumato.engine.hires import prepare_passes
from sfumato.engine.instructing import rows_of
from sfumato.engine.plan import UNCONDITIONAL
from sfumato.engine.run import draw
from sfumato.errors import RecipeError
from sfumato.imaging.inputs import NO_INPUTS, read_inputs
from sfumato.models.load import find_model, load_bundle
from sfumato.recipe.again import recipe_of, single
from sfumato.recipe.extras import Apg, ExtrasPart
from sfumato.recipe.hires import HiresPart, WindowsPart
from sfumato.recipe.image import Recipe
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
from tiny_instructed import (
    COSXL,
    FIRST,
    LARGE,
    NIGHT,
    drawn,
    instructed_bundle,
    instructed_folder,
    picture,
    planned,
    stock,
)
from tiny_models import tiny_bundle, tiny_settings

# diffusers' schedulers, on numpy 2
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SHORT: dict[str, Any] = {"steps": 3, "sampler": "dpmpp_2m", "spacing": "trailing"}


def rows(name: str, *parts: Part, **fields: Any) -> list[int]:
    """Return how many rows each call of the network has."""
    recorder = Recorder(instructed_bundle(name).backend)
    resolved, inputs = planned(name, *parts, ImagePart(source=picture()), **fields)
    list(draw(resolved, replace(instructed_bundle(name), backend=recorder), inputs=inputs))
    return recorder.rows


@pytest.mark.parametrize("guidance", [(7.5, 1.5), (3.0, 4.0)])
@pytest.mark.parametrize("sampler", ["euler", "euler_a", "ddim", "dpmpp_2m", "unipc"])
def test_a_picture_equals_stock_diffusers(sampler: str, guidance: tuple[float, float]) -> None:
    text, image = guidance
    fields = {"steps": 4, "sampler": sampler, "spacing": "trailing"}
    ours = drawn(FIRST, NIGHT, guidance=text, image_guidance=image, **fields)
    given = {"num_inference_steps": 4, "guidance_scale": text, "image_guidance_scale": image}
    assert psnr(ours, stock(FIRST, sampler, **given)) >= 45
    assert psnr(ours, stock(FIRST, sampler, seed=1, **given)) < 40


@pytest.mark.parametrize("sampler", ["euler", "ddim", "dpmpp_2m", "unipc"])
def test_a_picture_of_the_large_model_equals_stock_diffusers(sampler: str) -> None:
    fields = {"steps": 3, "sampler": sampler, "spacing": "trailing"}
    ours = drawn(LARGE, NIGHT, guidance=4.0, image_guidance=1.8, **fields)
    given = {"num_inference_steps": 3, "guidance_scale": 4.0, "image_guidance_scale": 1.8}
    assert psnr(ours, stock(LARGE, sampler, **given)) >= 45
    assert psnr(ours, stock(LARGE, sampler, seed=1, **given)) < 40


@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m"])
def test_a_model_that_was_trained_as_cosxl_edit_equals_stock_diffusers(sampler: str) -> None:
    fields = {"steps": 4, "sampler": sampler, "spacing": "exponential"}
    ours = drawn(COSXL, NIGHT, guidance=4.0, image_guidance=1.8, **fields)
    given = {"num_inference_steps": 4, "guidance_scale": 4.0, "image_guidance_scale": 1.8}
    assert psnr(ours, stock(COSXL, sampler, **given)) >= 45
    assert psnr(ours, stock(COSXL, sampler, seed=1, **given)) < 40


def test_a_negative_prompt_and_rescaled_guidance_equal_stock_diffusers() -> None:
    text = TextPart(prompt=NIGHT.prompt, negative="two red apples", guidance_rescale=0.6)
    given = {"num_inference_steps": 3, "guidance_scale": 5.0, "negative_prompt": "two red apples"}
    ours = drawn(LARGE, text, guidance=5.0, **SHORT)
    assert psnr(ours, stock(LARGE, "dpmpp_2m", guidance_rescale=0.6, **given)) >= 45
    plain = text.model_copy(update={"guidance_rescale": 0.0})
    assert psnr(ours, drawn(LARGE, plain, guidance=5.0, **SHORT)) < 40
    ours = drawn(FIRST, plain, guidance=5.0, **SHORT)
    assert psnr(ours, stock(FIRST, "dpmpp_2m", **given)) >= 45
    assert psnr(ours, drawn(FIRST, NIGHT, guidance=5.0, **SHORT)) < 40


@pytest.mark.parametrize(
    ("text", "guidance", "image_guidance", "expected"),
    [
        (NIGHT, 7.5, 1.5, 3),
        (NIGHT, 7.5, 1.0, 2),  # nothing is not asked for
        (NIGHT, 1.5, 1.5, 2),  # the picture alone is not
        (NIGHT, 1.0, 1.5, 3),  # Eq. 3 has all three here
        (NIGHT, 1.0, 1.0, 1),
        (TextPart(prompt=""), 7.5, 1.5, 2),  # an empty instruction is the picture alone
        (None, 7.5, 1.5, 2),
        (None, 7.5, 1.0, 1),
    ],
)
def test_only_what_has_a_weight_is_asked_for(
    text: TextPart | None, guidance: float, image_guidance: float, expected: int
) -> None:
    parts = () if text is None else (text,)
    fields = {"guidance": guidance, "image_guidance": image_guidance}
    assert rows(FIRST, *parts, **SHORT, **fields) == [expected] * 3


def test_weights_are_those_of_the_paper() -> None:
    resolved, _ = planned(FIRST, NIGHT, ImagePart(source=picture()), guidance=7.5, image_guidance=1.5)
    both, image, nothing = compile_plan(resolved).branches
    assert (both.weight, image.weight, nothing.weight) == (7.5, 1.5 - 7.5, 1 - 1.5)
    assert (both.reference, image.reference, nothing.reference) == (1, 0, 0)
    assert (image.conditioning, nothing.conditioning) == (UNCONDITIONAL, replace(UNCONDITIONAL, blind=True))
    assert not both.conditioning.blind


@pytest.mark.parametrize("prompt", ["frog", "frog AND snow :0.3 AND sea :-0.5", "[frog:snow:0.5]", "a :-2"])
def test_weights_and_references_sum_to_one_at_every_step_and_place(prompt: str) -> None:
    parts = (
        TextPart(prompt=prompt, negative="snow", guidance_start=0.25, guidance_stop=0.75),
        MixPart(prompts=(MixPrompt(prompt="rabbit", ratio=0.3),)),
        RegionsPart(regions=(Region(prompt="tree", area="left", ratio=0.5),)),
    )
    resolved, _ = planned(
        FIRST, *parts, ImagePart(source=picture()), steps=8, guidance=5.0, image_guidance=2.0
    )
    branches = compile_plan(resolved).branches
    for step in range(8):
        active = [one for one in branches if step in one.steps]
        assert sum(one.weight for one in active) == pytest.approx(1)
        assert sum(one.reference for one in active) == pytest.approx(1)
        assert sum(weight for one in active for weight, _ in one.maps) == pytest.approx(0)
        blind = sum(one.weight for one in active if one.conditioning.blind)
        assert blind == pytest.approx(-1 if 2 <= step < 6 else 0)


def test_a_window_is_of_all_guidance() -> None:
    text = TextPart(prompt=NIGHT.prompt, guidance_stop=0.5)
    assert rows(FIRST, text, **{**SHORT, "steps": 4}) == [3, 3, 1, 1]


def test_rows_without_the_picture_have_zeros() -> None:
    latents, channels = np.ones((2, 4, 3, 3)), np.full((2, 5, 3, 3), 7.0)
    blind = replace(UNCONDITIONAL, blind=True)
    made = rows_of(latents, channels, [UNCONDITIONAL, blind])
    assert made.shape == (4, 9, 3, 3)
    assert (made[:, :4] == 1).all()
    assert (made[:2, 4:] == 7).all()
    assert (made[2:, 4:] == 0).all()


@pytest.mark.parametrize(
    "part",
    [
        MixPart(prompts=(MixPrompt(prompt=NIGHT.prompt, ratio=0.5),)),
        MixPart(prompts=(MixPrompt(prompt=NIGHT.prompt, ratio=0.5),), mode="embeddings"),
        MixPart(prompts=(MixPrompt(prompt=NIGHT.prompt, ratio=0.5),), mode="bands"),
        RegionsPart(regions=(Region(prompt=NIGHT.prompt, area="left"),)),
        WindowsPart(size=64),
    ],
    ids=["branches", "embeddings", "bands", "regions", "one window"],
)
def test_a_prompt_beside_itself_is_the_plain_drawing(part: Part) -> None:
    assert psnr(drawn(FIRST, NIGHT, part, **SHORT), drawn(FIRST, NIGHT, **SHORT)) >= 60


def test_mixed_and_placed_instructions_share_what_they_are_guided_from() -> None:
    mix = MixPart(prompts=(MixPrompt(prompt="two red apples", ratio=0.5),))
    region = RegionsPart(regions=(Region(prompt="a tree", area="left"),))
    assert rows(FIRST, NIGHT, mix, **SHORT) == [4] * 3
    assert rows(FIRST, NIGHT, region, **SHORT) == [4] * 3
    assert psnr(drawn(FIRST, NIGHT, mix, **SHORT), drawn(FIRST, NIGHT, **SHORT)) < 40


def test_the_picture_decides_the_size_and_a_fit() -> None:
    wide = ImagePart(source=picture(0, 120, 60))
    resolved, _ = planned(FIRST, NIGHT, wide)
    assert (resolved.width, resolved.height) == (128, 64)
    assert resolved.image is not None
    assert (resolved.image.strength, resolved.image_guidance, resolved.guidance) == (1.0, 1.5, 7.5)
    assert drawn(FIRST, NIGHT, image=wide, **SHORT).shape == (64, 128, 3)
    fitted = wide.model_copy(update={"fit": "fill"})
    assert drawn(FIRST, NIGHT, image=fitted, width=64, height=64, **SHORT).shape == (64, 64, 3)


def test_less_strength_begins_with_the_picture() -> None:
    source, original = picture(), np.asarray(Image.open(picture()))
    begun = [ImagePart(source=source, strength=strength) for strength in (0.0, 0.25, 1.0)]
    fields = {**SHORT, "steps": 4}
    nothing, little, all_new = (drawn(FIRST, NIGHT, image=one, **fields) for one in begun)
    np.testing.assert_array_equal(nothing, original)
    assert psnr(little, original) > psnr(all_new, original)
    resolved, inputs = planned(FIRST, NIGHT, begun[1], **fields)
    events = list(draw(resolved, instructed_bundle(FIRST), inputs=inputs))
    assert sum(isinstance(event, StepDone) for event in events) == 1


def test_all_strength_begins_with_noise_alone() -> None:
    begun: list[Any] = []
    for seed in (0, 1):
        resolved, inputs = planned(FIRST, NIGHT, ImagePart(source=picture(seed)), **SHORT)
        events = draw(resolved, instructed_bundle(FIRST), inputs=inputs)
        begun.append(next(event.step.before for event in events if isinstance(event, StepDone)))
    np.testing.assert_array_equal(*begun)


def test_a_mask_keeps_the_rest_bit_for_bit() -> None:
    original = np.asarray(Image.open(picture()))
    ours = drawn(FIRST, NIGHT, MaskPart(area="left"), **SHORT)
    np.testing.assert_array_equal(ours[:, 40:], original[:, 40:])
    assert psnr(ours[:, :24], original[:, :24]) < 40


def test_windows_reused_features_and_extras_go_with_it() -> None:
    wide = ImagePart(source=picture(0, 128, 64))
    ours = drawn(FIRST, NIGHT, WindowsPart(size=64), image=wide, width=128, height=64, **SHORT)
    assert ours.shape == (64, 128, 3)
    fast = drawn(FIRST, NIGHT, cache_interval=2, **SHORT)
    assert 20 < psnr(fast, drawn(FIRST, NIGHT, **SHORT)) < 60
    extras = ExtrasPart(tiling="both", pag=1.0, apg=Apg())
    assert drawn(FIRST, NIGHT, extras, guidance=1.0, **SHORT).std() > 5


def test_a_larger_drawing_is_shown_the_picture_at_its_own_size() -> None:
    bundle, again = instructed_bundle(FIRST), HiresPart(scale=1.5, strength=0.5, method="lanczos")
    source = ImagePart(source=picture(0, 96, 96))
    resolved, inputs = planned(FIRST, NIGHT, again, source, **{**SHORT, "steps": 2})
    (one,) = prepare_passes(resolved, bundle, inputs, (), ())
    pixels = np.asarray(Image.open(picture(0, 96, 96)))
    latents = encode(bundle, pixels, tiled=True)
    assert bundle.shown is not None
    assert one.plan.channels is not None
    np.testing.assert_allclose(one.plan.channels, bundle.shown.of(latents, bundle.backend.asarray))
    assert one.plan.max_branches == 3
    larger = [event.pixels for event in draw(resolved, bundle, inputs=inputs) if isinstance(event, Picture)]
    assert larger[0].shape == (96, 96, 3)
    other = resolved.model_copy(update={"image_guidance": 4.0})
    others = [event.pixels for event in draw(other, bundle, inputs=inputs) if isinstance(event, Picture)]
    assert psnr(*larger, *others) < 50


def test_a_controlnet_steers_it(tmp_path: Path) -> None:
    net = write_controlnet(
        tmp_path / "lines",
        block_out_channels=(16, 32, 64, 64),
        down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
        attention_head_dim=8,
        cross_attention_dim=32,
        layers_per_block=2,
        norm_num_groups=4,
    )
    assert net.config["in_channels"] == 4
    bundle, settings = instructed_bundle(FIRST), tiny_settings()
    one = Control(model=str(tmp_path / "lines"), source=picture(1), annotator="none")
    recipe = Recipe(seed=7, parts=(NIGHT, ControlPart(controls=(one,)), ImagePart(source=picture())), **SHORT)
    inputs = read_inputs(recipe, settings)
    controls = find_controls(recipe, find_model(str(bundle.folder), settings).files, settings)
    run = resolve(recipe, bundle.defaults, sources=inputs.facts, controls=digests_of(controls))
    events = draw(run, bundle, inputs=inputs, controls=controls)
    steered = next(event.pixels for event in events if isinstance(event, Picture))
    assert psnr(steered, drawn(FIRST, NIGHT, **SHORT)) < 40


def test_a_picture_does_not_depend_on_those_beside_it_and_can_be_asked_for_again() -> None:
    bundle = instructed_bundle(FIRST)
    resolved, inputs = planned(FIRST, NIGHT, ImagePart(source=picture()), count=2, **SHORT)
    whole = [event.pixels for event in draw(resolved, bundle, inputs=inputs) if isinstance(event, Picture)]
    alone = single(resolved.model_copy(update={"index": 1}))
    (one,) = (event.pixels for event in draw(alone, bundle, inputs=inputs) if isinstance(event, Picture))
    assert psnr(whole[1], one) > 60  # batches of another size round otherwise
    assert psnr(*whole) < 40
    again = recipe_of(resolved)
    assert again.image is not None
    assert again.image_guidance == 1.5
    stored = {again.image.source: next(iter(inputs.facts.values()))}
    assert resolve(again, bundle.defaults, sources=stored) == resolved


def test_the_compiled_backend_draws_the_same(tmp_path: Path) -> None:
    settings = replace(tiny_settings(), backend="openvino", data_dir=tmp_path)
    bundle = load_bundle(str(instructed_folder(FIRST)), settings)
    assert bundle.backend.name.startswith("openvino")
    resolved, inputs = planned(FIRST, NIGHT, ImagePart(source=picture()), **SHORT)
    (ours,) = (event.pixels for event in draw(resolved, bundle, inputs=inputs) if isinstance(event, Picture))
    assert psnr(ours, drawn(FIRST, NIGHT, **SHORT)) >= 45


def test_model_and_recipe_go_together() -> None:
    resolved, inputs = planned(FIRST, NIGHT, ImagePart(source=picture()), **SHORT)
    with pytest.raises(RecipeError, match="model: is not edited by instructions"):
        list(
            draw(
                resolved.model_copy(update={"model_digest": tiny_bundle().digest}),
                tiny_bundle(),
                inputs=inputs,
            )
        )
    plain = resolved.model_copy(update={"image_guidance": None})
    with pytest.raises(RecipeError, match="model: is edited by instructions"):
        list(draw(plain, instructed_bundle(FIRST), inputs=inputs))
    without = resolved.model_copy(update={"parts": resolved.parts[:1]})
    with pytest.raises(RecipeError, match="model: needs one picture to edit"):
        list(draw(without, instructed_bundle(FIRST), inputs=NO_INPUTS))
