"""From a resolved recipe back to one that asks for exactly the same run: what "draw it again" begins with."""

from sfumato.recipe.adapters import ResolvedAdapters, asked_adapters
from sfumato.recipe.extras import ExtrasPart
from sfumato.recipe.hires import HiresPart, ResolvedHires, ResolvedWindows, WindowsPart
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.low_res import LowResPart
from sfumato.recipe.micro import MicroPart
from sfumato.recipe.of_model import ResolvedVae, SchedulePart, asked_vae
from sfumato.recipe.parts import (
    Control,
    ControlPart,
    ExtendPart,
    ImagePart,
    MaskPart,
    MixPart,
    Part,
    Region,
    RegionsPart,
    TextPart,
    VariationPart,
)
from sfumato.recipe.refining import ResolvedRefine
from sfumato.recipe.resolve_refining import asked_refine
from sfumato.recipe.resolved_parts import (
    ResolvedControl,
    ResolvedControls,
    ResolvedExtend,
    ResolvedImage,
    ResolvedLowRes,
    ResolvedMask,
    ResolvedMix,
    ResolvedRegions,
    ResolvedText,
    ResolvedVariation,
    Source,
)
from sfumato.recipe.sources import stored_source


def recipe_of(resolved: Resolved) -> Recipe:
    """Return the recipe that asks for exactly this run; resolving it with the same model gives `resolved`
    (index 0) again.
    """
    parts: list[Part] = []
    for part in resolved.parts:
        match part:
            case ResolvedText():
                whole = (part.guidance_start, part.guidance_stop) == (0.0, 1.0)
                window = {"guidance_start", "guidance_stop"} if whole else set[str]()
                parts.append(TextPart(**part.model_dump(exclude=window)))
            case ResolvedMix():
                parts.append(MixPart(prompts=part.prompts, ratio=part.ratio, mode=part.mode))
            case ResolvedRegions():
                parts.append(_asked_regions(part))
            case ResolvedControls():
                parts.append(ControlPart(controls=tuple(_asked_control(one) for one in part.controls)))
            case ResolvedImage():
                whole_size = resolved.mask is not None or resolved.extend is not None
                parts.append(
                    ImagePart(
                        source=_stored(part.source),
                        strength=part.strength,
                        fit=None if whole_size else part.fit,
                        keep_colour=part.keep_colour,
                    )
                )
            case ResolvedMask():
                parts.append(_asked_mask(part))
            case ResolvedExtend():
                parts.append(ExtendPart(**part.model_dump(exclude={"reach"}), reach=part.reach))
            case ResolvedLowRes():
                parts.append(LowResPart(source=_stored(part.source), noise_level=part.noise_level))
            case ResolvedWindows():
                parts.append(WindowsPart(size=part.size, overlap=part.overlap))
            case ResolvedHires():
                parts.append(HiresPart(passes=len(part.sizes), **part.model_dump(exclude={"sizes"})))
            case ResolvedVariation():
                parts.append(VariationPart(strength=part.strength, seed=part.seed))
            case ExtrasPart() | MicroPart() | SchedulePart():
                parts.append(part)
            case ResolvedVae():
                parts.append(asked_vae(part))
            case ResolvedAdapters():
                parts.append(asked_adapters(part))
            case ResolvedRefine():
                parts = asked_refine(part, parts)
    return Recipe(
        version=resolved.version,
        model=resolved.model,
        width=resolved.width,
        height=resolved.height,
        steps=resolved.steps,
        sampler=resolved.sampler,
        spacing=resolved.spacing,
        eta=resolved.eta if resolved.eta > 0 else None,
        guidance=resolved.guidance,
        image_guidance=resolved.image_guidance,
        cache_interval=resolved.cache_interval if resolved.cache_interval > 1 else None,
        seed=resolved.seed,
        count=resolved.count,
        parts=tuple(parts),
    )


def _asked_regions(part: ResolvedRegions) -> RegionsPart:
    regions: list[Region] = []
    for region in part.regions:
        box = None if region.box is None else ",".join(repr(n) for n in region.box)
        source = None if region.source is None else _stored(region.source)
        regions.append(Region(prompt=region.prompt, area=box, source=source, ratio=region.ratio))
    return RegionsPart(regions=tuple(regions), feather=part.feather)


def _asked_control(one: ResolvedControl) -> Control:
    return Control(source=_stored(one.source), **one.model_dump(exclude={"digest", "source"}))


def _asked_mask(part: ResolvedMask) -> MaskPart:
    area: str | None = None
    if part.box is not None:
        left, top, right, bottom = part.box
        area = f"{left},{top},{right - left}x{bottom - top}"
    return MaskPart(
        source=None if part.source is None else _stored(part.source),
        alpha=part.source is None and area is None,
        area=area,
        **part.model_dump(exclude={"kind", "source", "box"}),
    )


def _stored(source: Source) -> str:
    return stored_source(source.sha256, source.name)


def single(resolved: Resolved) -> Resolved:
    """Return the run that draws this one picture alone: its own seed, a count of one."""
    parts = tuple(
        part.model_copy(update={"seed": part.seed + resolved.index})
        if isinstance(part, ResolvedVariation)
        else part
        for part in resolved.parts
    )
    alone = {"seed": resolved.picture_seed, "count": 1, "index": 0, "parts": parts}
    return resolved.model_copy(update=alone)
