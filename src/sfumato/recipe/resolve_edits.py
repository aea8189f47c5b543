"""What a recipe does with pictures, resolved: the part of `sfumato.recipe.resolve` that needs their sizes."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from sfumato.errors import RecipeError, closest
from sfumato.recipe.areas import parse_area
from sfumato.recipe.image import Recipe
from sfumato.recipe.outpainting import reach_of, window_size
from sfumato.recipe.parts import ControlPart, ExtendPart, ImagePart, MaskPart, RegionsPart
from sfumato.recipe.resolved_parts import (
    ResolvedControl,
    ResolvedControls,
    ResolvedExtend,
    ResolvedImage,
    ResolvedMask,
    ResolvedRegion,
    ResolvedRegions,
    Source,
)
from sfumato.recipe.sources import SourceFacts

Sources = Mapping[str, SourceFacts]  # by how the recipe names them

ANNOTATOR_NAMES: Final = ("none", "canny", "lineart", "grey", "colour", "blur", "segments")
_BY_NAME: Final = (
    *(("edge", "canny"), ("canny", "canny"), ("lineart", "lineart"), ("gray", "grey"), ("grey", "grey")),
    *(("color", "colour"), ("colour", "colour"), ("blur", "blur"), ("seg", "segments")),
)
STRENGTH = 0.75  # of an image without a mask: most of what people ask for happens there


def image_facts(recipe: Recipe, sources: Sources) -> SourceFacts | None:
    """Return the facts of the recipe's image, None when it has none. Raises RecipeError as `source` does."""
    return None if recipe.image is None else facts_of(recipe.image.source, "image", sources)


def drawing_size(
    recipe: Recipe, facts: SourceFacts, native: tuple[int, int], bounds: tuple[int, int]
) -> tuple[int, int]:
    """Return the width and height to draw an image at when the recipe leaves one or both of them open.

    An extended picture is drawn at its own size, where `bounds` (smallest and largest side) allow; in passes
    at the model's `native` size, and so are the surroundings of a mask; all else with as many pixels as that
    and the image's proportions.
    """
    if recipe.mask is not None and recipe.mask.extent == "masked":
        wide, high = width, height = native
    elif (reach_of(recipe, native, canvas := canvas_size(recipe.extend, facts))) > 0:
        wide, high = window_size(recipe, native, canvas)
        return _side(wide, bounds), _side(high, bounds)
    else:
        wide, high = canvas_size(recipe.extend, facts)
        scale = 1.0 if recipe.extend is not None else math.sqrt(native[0] * native[1] / (wide * high))
        width, height = _within(round(wide * scale), round(high * scale), bounds)
    if recipe.width is not None and recipe.height is None:
        height = _side(recipe.width * high / wide, bounds)
    elif recipe.height is not None and recipe.width is None:
        width = _side(recipe.height * wide / high, bounds)
    return (
        width if recipe.width is None else recipe.width,
        height if recipe.height is None else recipe.height,
    )


def canvas_size(extend: ExtendPart | ResolvedExtend | None, facts: SourceFacts) -> tuple[int, int]:
    """Return width and height of the image with what is added to its sides."""
    if extend is None:
        return facts.width, facts.height
    return facts.width + extend.left + extend.right, facts.height + extend.top + extend.bottom


def resolve_image(
    recipe: Recipe, part: ImagePart, facts: SourceFacts, steps: int, usual: float = STRENGTH
) -> ResolvedImage:
    """Return the image part; `usual` is the model's strength where nothing is said. Raises RecipeError for a
    step to begin at beyond `steps`.
    """
    whole_size = recipe.mask is not None or recipe.extend is not None
    if part.start_step is not None:
        if part.start_step > steps:
            raise RecipeError(
                f"is beyond the last step, {steps}",
                field="start-step",
                value=part.start_step,
                hint="At step 0 nothing of the image is kept, at the last everything.",
            )
        strength = (steps - part.start_step) / steps
    elif part.strength is not None:
        strength = part.strength
    else:
        strength = 1.0 if whole_size else usual
    if part.fit is not None and whole_size:
        raise RecipeError(
            "has no effect with a mask or an extension: the image keeps its size",
            field="fit",
            value=part.fit,
            hint="Leave it out.",
        )
    fit = "stretch" if whole_size else "crop" if part.fit is None else part.fit
    return ResolvedImage(source=source_of(facts), strength=strength, fit=fit, keep_colour=part.keep_colour)


def resolve_mask(part: MaskPart, image: SourceFacts, strength: float, sources: Sources) -> ResolvedMask:
    """Return the mask part. Raises RecipeError for a rectangle outside the image, and for the alpha of an
    image without one.
    """
    source = None if part.source is None else facts_of(part.source, "mask", sources)
    if part.alpha and not image.has_alpha:
        raise RecipeError(
            "nothing of the image is transparent",
            field="mask",
            value="alpha",
            hint="Give a mask's file, or a rectangle such as 32,32,64x64.",
        )
    area = None if part.area is None else parse_area(part.area)
    return ResolvedMask(
        source=None if source is None else source_of(source),
        box=None if area is None else area.pixels(image.width, image.height, "mask"),
        invert=part.invert,
        grow=part.grow,
        feather=part.feather,
        soft=part.soft,
        extent=part.extent,
        padding=part.padding,
        fill=("noise" if strength == 1.0 else "original") if part.fill is None else part.fill,
    )


def resolve_extend(part: ExtendPart, strength: float, reach: int = 0) -> ResolvedExtend:
    """Return the extension; `reach` is how far its passes go, 0 without any."""
    fill = ("noise" if strength == 1.0 else "blur") if part.fill is None else part.fill
    sides = part.model_dump(include={"left", "right", "top", "bottom"})
    return ResolvedExtend(fill=fill, reach=reach, **sides)


def resolve_regions(part: RegionsPart, width: int, height: int, sources: Sources) -> ResolvedRegions:
    """Return the regions of a drawing of `width` x `height`. Raises RecipeError for one outside it."""
    regions: list[ResolvedRegion] = []
    for region in part.regions:
        box = None if region.area is None else parse_area(region.area).fractions(width, height, "region")
        source = None if region.source is None else source_of(facts_of(region.source, "region", sources))
        regions.append(ResolvedRegion(prompt=region.prompt, box=box, source=source, ratio=region.ratio))
    return ResolvedRegions(regions=tuple(regions), feather=part.feather)


def resolve_controls(
    part: ControlPart, image: SourceFacts | None, sources: Sources, digests: Mapping[str, str]
) -> ResolvedControls:
    """Return the control part; `digests` are those of the ControlNets by name. Raises RecipeError for an
    annotator that is not known.
    """
    controls: list[ResolvedControl] = []
    for one in part.controls:
        facts = image if one.source is None else facts_of(one.source, "control", sources)
        if facts is None or one.model not in digests:
            raise RecipeError("this ControlNet was not found", field="control", value=one.model)
        annotator = usual_annotator(one.model) if one.annotator is None else one.annotator
        if annotator not in ANNOTATOR_NAMES:
            near = closest(annotator, ANNOTATOR_NAMES)
            guess = "" if near is None else f"Did you mean {near}? "
            raise RecipeError(
                "unknown annotator",
                field="control-annotator",
                value=annotator,
                hint=f"{guess}Choose one of {', '.join(ANNOTATOR_NAMES)}.",
            )
        resolved = one.model_dump(include={"weight", "start", "stop"})
        controls.append(
            ResolvedControl(
                model=Path(one.model).name or one.model,  # where it lies is nobody else's business
                digest=digests[one.model],
                source=source_of(facts),
                annotator=annotator,
                **resolved,
            )
        )
    return ResolvedControls(controls=tuple(controls))


def usual_annotator(model: str) -> str:
    """Return what a ControlNet of this name was most likely trained with."""
    name = Path(model).name.casefold()
    return next((annotator for part, annotator in _BY_NAME if part in name), "none")


def facts_of(source: str, field: str, sources: Sources) -> SourceFacts:
    """Return the facts of a picture that a recipe names. Raises RecipeError when it was not read."""
    if source not in sources:
        raise RecipeError(
            "this picture was not read", field=field, value=source, hint="Give its facts in `sources`."
        )
    return sources[source]


def source_of(facts: SourceFacts) -> Source:
    """Return a picture as resolved recipes name it."""
    return Source(sha256=facts.sha256, name=facts.name)


def _within(width: int, height: int, bounds: tuple[int, int]) -> tuple[int, int]:
    """Scale a size into `bounds` as a whole where that is possible, else side by side."""
    lowest, highest = bounds
    scale = min(1.0, highest / max(width, height))
    scale = max(scale, lowest / min(width, height)) if scale == 1.0 else scale
    return _side(width * scale, bounds), _side(height * scale, bounds)


def _side(size: float, bounds: tuple[int, int]) -> int:
    return min(max(round(size), bounds[0]), bounds[1])
