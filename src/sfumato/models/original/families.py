"""What follows from the family of a model and from nothing in its weights: schedules, scales and sizes.

The numbers are those of the `config.json` files that were published with each family.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from sfumato.models.original.says import EPSILON, Says, V
from sfumato.models.original.structure import UPSCALER_CHANNELS, UNetStructure
from sfumato.models.original.text import TextStructure

LATENTS: Final = 4
SIZE_NUMBERS: Final = 256  # what SDXL makes of each of its sizes
SIZES, SCORED_SIZES = 6, 5  # numbers SDXL is told; its refiner is told a score instead of the last two
_CONTEXTS: Final = (1024, 1280, 2048)  # of families whose transformers are entered by matrices


class Stranger(Exception):
    """Networks that belong together in no known way; says why, beginning with "it" or "its"."""


@dataclass(frozen=True)
class Family:
    """A family of models: its `name` for people, its `pipeline` in diffusers, its name in the specification
    of metadata, the side of its latents, the factor that gives them unit variance, and what it predicts
    unless a file says otherwise.

    `scheduler` is diffusers' class and what it says beyond `SCHEDULE`. `large` are those with an autoencoder
    that overflows float16; `index` is what model_index.json says beside the parts.
    """

    name: str
    pipeline: str
    architecture: str
    size: int
    scaling: float
    prediction: str = EPSILON
    scheduler: Mapping[str, Any] | None = None
    large: bool = False
    index: Mapping[str, Any] | None = None


SCHEDULE: Final[Mapping[str, Any]] = {
    "_class_name": "PNDMScheduler",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "clip_sample": False,
    "num_train_timesteps": 1000,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "trained_betas": None,
}
#: How an upscaler puts noise on the small picture, and up to which level.
LOW_RES: Final[Mapping[str, Any]] = {
    "_class_name": "DDPMScheduler",
    "beta_end": 0.02,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.0001,
    "clip_sample": True,
    "num_train_timesteps": 1000,
    "prediction_type": "epsilon",
    "trained_betas": None,
    "variance_type": "fixed_small",
}
MAX_NOISE_LEVEL: Final = 350
_DDIM: Final = {"_class_name": "DDIMScheduler"}
_EULER: Final = {
    "_class_name": "EulerDiscreteScheduler",
    "interpolation_type": "linear",
    "sample_max_value": 1.0,
    "timestep_spacing": "leading",
    "use_karras_sigmas": False,
}
_LCM: Final = {
    "_class_name": "LCMScheduler",
    "original_inference_steps": 50,
    "rescale_betas_zero_snr": False,
    "timestep_spacing": "leading",
}
_NOBODY: Final = [None, None]
_PLAIN: Final = {
    "feature_extractor": _NOBODY,
    "requires_safety_checker": False,
    "safety_checker": _NOBODY,
}
_XL: Final = {"force_zeros_for_empty_prompt": True}
_REFINER: Final = {"force_zeros_for_empty_prompt": False, "requires_aesthetics_score": True}

_ONE: Final = "stable-diffusion-v1"
_TWO: Final = "stable-diffusion-v2-512"
SD1: Final = Family("Stable Diffusion 1", "StableDiffusionPipeline", _ONE, 64, 0.18215, index=_PLAIN)
SD1_LCM: Final = replace(
    SD1,
    name="Stable Diffusion 1, latent consistency",
    pipeline="LatentConsistencyModelPipeline",
    scheduler={**_LCM, "set_alpha_to_one": True, "steps_offset": 0},
)
SD1_INPAINT: Final = replace(
    SD1,
    name="Stable Diffusion 1 inpainting",
    pipeline="StableDiffusionInpaintPipeline",
    architecture="stable-diffusion-v1-inpainting",
    scheduler=_DDIM,
)
SD1_EDIT: Final = replace(
    SD1, name="Stable Diffusion 1 edited by instructions", pipeline="StableDiffusionInstructPix2PixPipeline"
)
SD2: Final = replace(SD1, name="Stable Diffusion 2", architecture=_TWO)
SD2_V: Final = replace(
    SD2,
    name="Stable Diffusion 2, v-prediction",
    architecture="stable-diffusion-v2-768-v",
    size=96,
    prediction=V,
    scheduler=_DDIM,
)
SD2_INPAINT: Final = replace(
    SD2,
    name="Stable Diffusion 2 inpainting",
    pipeline="StableDiffusionInpaintPipeline",
    architecture="stable-diffusion-v2-inpainting",
)
UPSCALER: Final = Family(
    "Stable Diffusion 2 x4 upscaler",
    "StableDiffusionUpscalePipeline",
    "stable-diffusion-v2-upscaler-4x",
    128,
    0.08333,
    V,
    {**_DDIM, "beta_end": 0.02, "beta_start": 0.0001},
)
XL: Final = Family(
    "Stable Diffusion XL",
    "StableDiffusionXLPipeline",
    "stable-diffusion-xl-v1-base",
    128,
    0.13025,
    EPSILON,
    _EULER,
    large=True,
    index=_XL,
)
XL_LCM: Final = replace(XL, name="Stable Diffusion XL, latent consistency", scheduler=_LCM)
XL_INPAINT: Final = replace(
    XL,
    name="Stable Diffusion XL inpainting",
    pipeline="StableDiffusionXLInpaintPipeline",
    architecture="stable-diffusion-xl-v1-inpainting",
)
XL_EDIT: Final = replace(
    XL,
    name="Stable Diffusion XL edited by instructions",
    pipeline="StableDiffusionXLInstructPix2PixPipeline",
)
REFINER: Final = replace(
    XL,
    name="Stable Diffusion XL refiner",
    pipeline="StableDiffusionXLImg2ImgPipeline",
    architecture="stable-diffusion-xl-v1-refiner",
    index=_REFINER,
)

#: Families by what enters the UNet beside the latents it draws: nothing, a picture, a picture and a mask.
_FIRST: Final = {0: SD1, LATENTS: SD1_EDIT, LATENTS + 1: SD1_INPAINT}
_SECOND: Final = {0: SD2, LATENTS + 1: SD2_INPAINT}
_LARGE: Final = {0: XL, LATENTS: XL_EDIT, LATENTS + 1: XL_INPAINT}


def family_of(unet: UNetStructure, texts: tuple[TextStructure, ...], says: Says) -> Family:
    """Return the family of a UNet that looks at these text encoders, in order. Raises Stranger."""
    width = sum(text.width for text in texts)
    if unet.context != width:
        widths = " and ".join(str(text.width) for text in texts)
        raise Stranger(f"its UNet attends to {unet.context} numbers, and its text encoders give {widths}")
    if unet.out_channels != LATENTS:
        raise Stranger(f"its UNet has {unet.out_channels} channels of output, not {LATENTS}")
    if unet.pooled is not None:
        return _large(unet, texts)
    if len(texts) != 1:
        raise Stranger("it has two text encoders, and its UNet is told no sizes")
    if unet.classes is not None:
        if unet.in_channels != UPSCALER_CHANNELS or not texts[0].packed:
            raise Stranger(f"its UNet has {unet.classes} classes, and {unet.in_channels} channels of input")
        return UPSCALER
    if unet.linear != texts[0].packed or (not unet.linear and unet.context in _CONTEXTS):
        kinds = "matrices" if unet.linear else "convolutions", "open_clip" if texts[0].packed else "CLIP"
        raise Stranger(f"its UNet has {kinds[0]} around its attention, and its text encoder is {kinds[1]}'s")
    if unet.linear:
        family = _by_channels(unet, _SECOND)
        # Nobody can see it: of the two kinds with 4 channels, the one that predicts v is taken unless told.
        return SD2_V if family is SD2 and says.prediction in (V, None) else family
    family = _by_channels(unet, _FIRST)
    return SD1_LCM if family is SD1 and unet.guidance is not None else family


def _large(unet: UNetStructure, texts: tuple[TextStructure, ...]) -> Family:
    projected = texts[-1].projected
    if projected is None or not texts[-1].packed:
        raise Stranger("its UNet is told sizes and a pooled text, and no text encoder of it makes one")
    numbers, rest = divmod((unet.pooled or 0) - projected, SIZE_NUMBERS)
    if rest == 0 and numbers == SIZES and len(texts) == 2 and not texts[0].packed:
        family = _by_channels(unet, _LARGE)
        return XL_LCM if family is XL and unet.guidance is not None else family
    if rest == 0 and numbers == SCORED_SIZES and len(texts) == 1:
        return _by_channels(unet, {0: REFINER})
    raise Stranger(
        f"its UNet is told {unet.pooled} numbers beside the text of {len(texts)} text encoders, "
        f"whose pooled text has {projected}"
    )


def _by_channels(unet: UNetStructure, families: Mapping[int, Family]) -> Family:
    family = families.get(unet.in_channels - LATENTS)
    if family is None:
        raise Stranger(f"its UNet has {unet.in_channels} channels of input")
    return family


def scheduler_of(family: Family, says: Says) -> dict[str, Any]:
    """Return the configuration of the scheduler of a model of this family whose file says this."""
    if says.edm is not None:
        return dict(says.edm.scheduler)
    made: dict[str, Any] = {**SCHEDULE, **(family.scheduler or {})}
    made["prediction_type"] = says.prediction or family.prediction
    if says.zero_snr:
        made |= {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    return made


def tokenizers_of(texts: tuple[TextStructure, ...]) -> tuple[dict[str, Any], ...]:
    """Return the configuration of the tokenizer before each text encoder: open_clip's were trained with zeros
    behind the text, which are the token "!".
    """
    return tuple(
        {
            "add_prefix_space": False,
            "bos_token": "<|startoftext|>",
            "do_lower_case": True,
            "eos_token": "<|endoftext|>",
            "errors": "replace",
            "model_max_length": text.positions,
            "pad_token": "!" if text.packed else "<|endoftext|>",
            "tokenizer_class": "CLIPTokenizer",
            "unk_token": "<|endoftext|>",
        }
        for text in texts
    )
