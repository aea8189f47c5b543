"""The options that describe a picture, the same for every command that draws."""

import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final

import typer

from sfumato.cli import (
    adapter_flags,
    edit_flags,
    extra_flags,
    larger_flags,
    micro_flags,
    of_model_flags,
    refining_flags,
)
from sfumato.settings import Settings

WHAT = "What to draw"
HOW = "How to draw it"
RESULT = "The result"

# Numbers arrive as text: recipes check them, and say better than the parser of options what is wrong.
Negative = Annotated[
    str | None,
    typer.Option(metavar="TEXT", help="What the picture should not show.", rich_help_panel=WHAT),
]
Mix = Annotated[
    list[str] | None,
    typer.Option(
        metavar='"TEXT:RATIO"',
        help="Another prompt and its share of the picture; may be given several times.",
        rich_help_panel=WHAT,
    ),
]
MixMode = Annotated[
    str | None,
    typer.Option(
        metavar="MODE",
        help="Mix predictions (branches), predictions that count most in a band of the picture each (bands), "
        "or encoded texts (embeddings). Default: what suits the model.",
        rich_help_panel=WHAT,
    ),
]
Unconditional = Annotated[
    bool,
    typer.Option(
        "--unconditional", help="No prompt at all: whatever the model dreams of.", rich_help_panel=WHAT
    ),
]
Seed = Annotated[
    str | None,
    typer.Option(
        metavar="N",
        help="Where the noise begins; the same seed draws the same picture.",
        rich_help_panel=HOW,
    ),
]
Count = Annotated[
    str | None,
    typer.Option(
        metavar="N", help="How many pictures: seeds N, N+1, ... of the first one.", rich_help_panel=HOW
    ),
]
Size = Annotated[
    str | None,
    typer.Option(
        metavar="WxH", help="Width x height in pixels, or one number for a square.", rich_help_panel=HOW
    ),
]
Steps = Annotated[
    str | None, typer.Option(metavar="N", help="Denoising steps, 1 to 1000.", rich_help_panel=HOW)
]
Sampler = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="The step rule; see: sfumato samplers.", rich_help_panel=HOW),
]
Spacing = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Where the noise levels lie; see: sfumato samplers.", rich_help_panel=HOW
    ),
]
Eta = Annotated[
    str | None,
    typer.Option(
        metavar="X",
        help="0 to 1: noise that ddim puts back at every step; other samplers have none.",
        rich_help_panel=HOW,
    ),
]
Guidance = Annotated[
    str | None,
    typer.Option(metavar="X", help="How strictly to follow the prompt, 0 to 100.", rich_help_panel=HOW),
]
GuidanceRescale = Annotated[
    str | None,
    typer.Option(
        metavar="X",
        help="0 to 1: keep the contrast that strong guidance overdoes.",
        rich_help_panel=HOW,
    ),
]
GuidanceStart = Annotated[
    str | None,
    typer.Option(metavar="X", help="Guide from this fraction of the steps, 0 to 1.", rich_help_panel=HOW),
]
GuidanceStop = Annotated[
    str | None,
    typer.Option(metavar="X", help="Guide up to this fraction of the steps, 0 to 1.", rich_help_panel=HOW),
]
CacheInterval = Annotated[
    str | None,
    typer.Option(
        metavar="N",
        help="Run the whole network at every Nth step only, and little of it between: 1 (off) to 16.",
        rich_help_panel=HOW,
    ),
]
Fast = Annotated[
    bool,
    typer.Option(
        "--fast",
        help="Draw about twice as fast and nearly as well: the model's own --cache-interval and guidance "
        "window, where they are not given.",
        rich_help_panel=HOW,
    ),
]
Model = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="A model's name or folder; see: sfumato models.", rich_help_panel=HOW),
]
Backend = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="What runs the networks: auto (the fastest that can draw the model), torch or openvino.",
        rich_help_panel=HOW,
    ),
]
Precision = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="What they compute in: auto, f32, bf16, f16, int8 (weights alone; openvino), or int8-full (see "
        "sfumato compile).",
        rich_help_panel=HOW,
    ),
]
Offload = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="What of the model leaves memory while it draws, with torch: none, component (networks that are "
        "not at work), sequential (all layers but the one at work), or auto.",
        rich_help_panel=HOW,
    ),
]
Storage = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="How weights are kept in memory, with torch: whole, float8, int8, or auto (whole).",
        rich_help_panel=HOW,
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="PATH",
        help="A file (.png, .jpg, .webp; replaced if it exists) or an existing folder. Without it, a new "
        "name in this folder.",
        rich_help_panel=RESULT,
    ),
]
Format = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="NAME",
        help="png, jpg or webp, where --output names no file.",
        rich_help_panel=RESULT,
    ),
]
Preview = Annotated[
    str | None,
    typer.Option(
        metavar="N",
        help="Every N steps, write a rough picture to NAME.preview.png beside the result; it goes when the "
        "run ends.",
        rich_help_panel=RESULT,
    ),
]
Judge = Annotated[Path | None, typer.Option(metavar="FILE", help="Another judge than the bundled one.")]
Font = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="The font Noto Color Emoji, when it is in an unusual place."),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.", rich_help_panel=RESULT)]


@dataclass(frozen=True)
class Flags:
    """What was asked for on the command line, as it was written; None and () mean "not asked"."""

    prompt: str | None = None
    negative: str | None = None
    mix: tuple[str, ...] = ()
    mix_mode: str | None = None
    unconditional: bool = False
    region: tuple[str, ...] = ()
    region_feather: str | None = None
    control: tuple[str, ...] = ()
    control_model: tuple[str, ...] = ()
    control_annotator: tuple[str, ...] = ()
    control_weight: tuple[str, ...] = ()
    control_start: tuple[str, ...] = ()
    control_stop: tuple[str, ...] = ()
    image: str | None = None
    strength: str | None = None
    start_step: str | None = None
    fit: str | None = None
    image_guidance: str | None = None
    keep_colour: bool = False
    mask: str | None = None
    mask_invert: bool = False
    mask_grow: str | None = None
    mask_feather: str | None = None
    mask_fill: str | None = None
    mask_soft: bool = False
    masked_only: bool = False
    mask_padding: str | None = None
    outpaint: str | None = None
    outpaint_step: str | None = None
    hires: str | None = None
    hires_strength: str | None = None
    hires_method: str | None = None
    hires_steps: str | None = None
    hires_passes: str | None = None
    hires_keep: str | None = None
    windows: str | None = None
    window_overlap: str | None = None
    variation: str | None = None
    variation_seed: str | None = None
    clip_skip: str | None = None
    tiling: str | None = None
    apg: str | None = None
    threshold: str | None = None
    pag: str | None = None
    freeu: str | None = None
    original_size: str | None = None
    crop: str | None = None
    target_size: str | None = None
    negative_original_size: str | None = None
    score: str | None = None
    negative_score: str | None = None
    lora: tuple[str, ...] = ()
    vae: str | None = None
    prediction: str | None = None
    zero_snr: bool | None = None
    refiner: str | None = None
    refine_from: str | None = None
    seed: str | None = None
    count: str | None = None
    size: str | None = None
    steps: str | None = None
    sampler: str | None = None
    spacing: str | None = None
    eta: str | None = None
    guidance: str | None = None
    guidance_rescale: str | None = None
    guidance_start: str | None = None
    guidance_stop: str | None = None
    cache_interval: str | None = None
    fast: bool = False
    model: str | None = None


OPTIONS: Final[Mapping[str, object]] = MappingProxyType(
    {
        "negative": Negative,
        "mix": Mix,
        "mix_mode": MixMode,
        "unconditional": Unconditional,
        "region": edit_flags.Region,
        "region_feather": edit_flags.RegionFeather,
        "control": edit_flags.Control,
        "control_model": edit_flags.ControlModel,
        "control_annotator": edit_flags.ControlAnnotator,
        "control_weight": edit_flags.ControlWeight,
        "control_start": edit_flags.ControlStart,
        "control_stop": edit_flags.ControlStop,
        "image": edit_flags.Image,
        "strength": edit_flags.Strength,
        "start_step": edit_flags.StartStep,
        "fit": edit_flags.Fit,
        "image_guidance": edit_flags.ImageGuidance,
        "keep_colour": edit_flags.KeepColour,
        "mask": edit_flags.Mask,
        "mask_invert": edit_flags.MaskInvert,
        "mask_grow": edit_flags.MaskGrow,
        "mask_feather": edit_flags.MaskFeather,
        "mask_fill": edit_flags.MaskFill,
        "mask_soft": edit_flags.MaskSoft,
        "masked_only": edit_flags.MaskedOnly,
        "mask_padding": edit_flags.MaskPadding,
        "outpaint": edit_flags.Outpaint,
        "outpaint_step": edit_flags.OutpaintStep,
        "hires": larger_flags.Hires,
        "hires_strength": larger_flags.HiresStrength,
        "hires_method": larger_flags.HiresMethod,
        "hires_steps": larger_flags.HiresSteps,
        "hires_passes": larger_flags.HiresPasses,
        "hires_keep": larger_flags.HiresKeep,
        "windows": larger_flags.Windows,
        "window_overlap": larger_flags.WindowOverlap,
        "variation": edit_flags.Variation,
        "variation_seed": edit_flags.VariationSeed,
        "clip_skip": extra_flags.ClipSkip,
        "tiling": extra_flags.Tiling,
        "apg": extra_flags.ApgFlag,
        "threshold": extra_flags.Threshold,
        "pag": extra_flags.Pag,
        "freeu": extra_flags.FreeUFlag,
        "original_size": micro_flags.OriginalSize,
        "crop": micro_flags.Crop,
        "target_size": micro_flags.TargetSize,
        "negative_original_size": micro_flags.NegativeOriginalSize,
        "score": micro_flags.Score,
        "negative_score": micro_flags.NegativeScore,
        "lora": adapter_flags.Lora,
        "vae": of_model_flags.Vae,
        "prediction": of_model_flags.Prediction,
        "zero_snr": of_model_flags.ZeroSnr,
        "refiner": refining_flags.Refiner,
        "refine_from": refining_flags.RefineFrom,
        "seed": Seed,
        "count": Count,
        "size": Size,
        "steps": Steps,
        "sampler": Sampler,
        "spacing": Spacing,
        "eta": Eta,
        "guidance": Guidance,
        "guidance_rescale": GuidanceRescale,
        "guidance_start": GuidanceStart,
        "guidance_stop": GuidanceStop,
        "cache_interval": CacheInterval,
        "fast": Fast,
        "model": Model,
    }
)
"""The option of each field of `Flags` but the prompt, which each command asks for in its own way."""


def describes_a_picture(command: Callable[..., None]) -> Callable[..., None]:
    """Return `command` with every option of `OPTIONS` in the place of its parameter `asked`, which it gets as
    `Flags` without a prompt. typer reads options off a signature, and this one is the same for all commands.
    """
    own = inspect.signature(command)
    parameters: list[inspect.Parameter] = []
    for parameter in own.parameters.values():
        if parameter.name != "asked":
            parameters.append(parameter)
            continue
        for field, option in OPTIONS.items():
            default = False if field in _SWITCHES else None
            parameters.append(inspect.Parameter(field, parameter.kind, default=default, annotation=option))

    def wrapped(**given: Any) -> None:
        asked: dict[str, Any] = {field: given.pop(field) for field in OPTIONS}
        for field in _LISTS:
            asked[field] = tuple(asked[field] or ())
        command(**given, asked=Flags(**asked))

    wrapped.__name__, wrapped.__doc__ = command.__name__, command.__doc__
    wrapped.__signature__ = own.replace(parameters=parameters)  # pyright: ignore[reportFunctionMemberAccess]
    return wrapped


_LISTS: Final = tuple(one.name for one in fields(Flags) if one.default == ())
_SWITCHES: Final = tuple(one.name for one in fields(Flags) if one.default is False)


def settings_with(
    backend: str | None, precision: str | None, offload: str | None = None, storage: str | None = None
) -> Settings:
    """Return the environment's settings with what these options ask for. Raises InputError."""
    settings = Settings.from_environment(os.environ)
    return settings.asked(backend=backend, precision=precision, offload=offload, storage=storage)
