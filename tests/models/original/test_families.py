"""What follows from a family, and which networks belong together."""

from dataclasses import replace

import pytest

from sfumato.models.original.families import (
    REFINER,
    SD1,
    SD1_EDIT,
    SD1_INPAINT,
    SD1_LCM,
    SD2,
    SD2_INPAINT,
    SD2_V,
    UPSCALER,
    XL,
    XL_INPAINT,
    XL_LCM,
    Family,
    Stranger,
    family_of,
    scheduler_of,
    tokenizers_of,
)
from sfumato.models.original.says import EPSILON, Says, V
from sfumato.models.original.structure import Level, UNetStructure
from sfumato.models.original.text import TextStructure
from sfumato.samplers.schedule import Schedule

UNET = UNetStructure((Level(320, (1,), (1, 1)),), 1, 768, 4, 4, False, (False,))
SECOND = replace(UNET, context=1024, linear=True)
LARGE = replace(SECOND, context=2048, pooled=2816)
L = TextStructure(768, 12, 3072, 49408, 77, None, packed=False)
H = TextStructure(1024, 23, 4096, 49408, 77, None, packed=True)
G = TextStructure(1280, 32, 5120, 49408, 77, 1280, packed=True)
NOTHING = Says()

Texts = tuple[TextStructure, ...]


@pytest.mark.parametrize(
    ("unet", "texts", "says", "family"),
    [
        (UNET, (L,), NOTHING, SD1),
        (UNET, (L,), Says(V), SD1),
        (replace(UNET, guidance=256), (L,), NOTHING, SD1_LCM),
        (replace(UNET, in_channels=9), (L,), NOTHING, SD1_INPAINT),
        (replace(UNET, in_channels=8), (L,), NOTHING, SD1_EDIT),
        (SECOND, (H,), NOTHING, SD2_V),
        (SECOND, (H,), Says(EPSILON), SD2),
        (replace(SECOND, in_channels=9), (H,), NOTHING, SD2_INPAINT),
        (replace(SECOND, in_channels=7, classes=1000), (H,), NOTHING, UPSCALER),
        (LARGE, (L, G), NOTHING, XL),
        (replace(LARGE, guidance=256), (L, G), NOTHING, XL_LCM),
        (replace(LARGE, in_channels=9), (L, G), NOTHING, XL_INPAINT),
        (replace(LARGE, context=1280, pooled=2560), (G,), NOTHING, REFINER),
    ],
)
def test_families_are_told_apart(unet: UNetStructure, texts: Texts, says: Says, family: Family) -> None:
    assert family_of(unet, texts, says) is family


@pytest.mark.parametrize(
    ("unet", "texts", "words"),
    [
        (UNET, (H,), "attends to 768 numbers, and its text encoders give 1024"),
        (replace(UNET, context=1024), (H,), "convolutions around its attention"),
        (replace(UNET, context=1024, linear=True), (replace(L, width=1024),), "text encoder is CLIP's"),
        (replace(UNET, in_channels=5), (L,), "5 channels of input"),
        (replace(UNET, out_channels=8), (L,), "8 channels of output"),
        (replace(SECOND, in_channels=8), (H,), "8 channels of input"),
        (replace(SECOND, classes=1000), (H,), "1000 classes, and 4 channels of input"),
        (replace(SECOND, context=2048), (L, G), "two text encoders, and its UNet is told no sizes"),
        (replace(LARGE, pooled=2048), (L, G), "told 2048 numbers beside the text of 2 text encoders"),
        (replace(LARGE, context=1024, pooled=2048), (H,), "no text encoder of it makes one"),
        (replace(LARGE, pooled=2560), (L, G), "told 2560 numbers"),
    ],
)
def test_what_does_not_go_together_is_said(unet: UNetStructure, texts: Texts, words: str) -> None:
    with pytest.raises(Stranger, match=words):
        family_of(unet, texts, NOTHING)


def test_schedules_are_those_that_were_published() -> None:
    first = Schedule.from_diffusers_config(scheduler_of(SD1, NOTHING))
    assert first.prediction == "eps"
    assert first.steps_offset == 1
    assert first.alphas_cumprod[-1] == pytest.approx(0.0046600, abs=1e-6)
    assert Schedule.from_diffusers_config(scheduler_of(SD2_V, NOTHING)).prediction == "v"
    upscaler = Schedule.from_diffusers_config(scheduler_of(UPSCALER, NOTHING))
    assert upscaler.alphas_cumprod[-1] == pytest.approx(7.3e-4, rel=0.02)
    zero = Schedule.from_diffusers_config(scheduler_of(XL, Says(V, zero_snr=True)))
    assert zero.prediction == "v"
    assert zero.alphas_cumprod[-1] < 1e-7
    assert scheduler_of(XL, NOTHING)["timestep_spacing"] == "leading"
    assert scheduler_of(SD1_LCM, NOTHING)["_class_name"] == "LCMScheduler"


def test_what_is_behind_a_text_depends_on_its_encoder() -> None:
    one, two = tokenizers_of((L, G))
    assert (one["pad_token"], two["pad_token"]) == ("<|endoftext|>", "!")
    assert one["model_max_length"] == 77
