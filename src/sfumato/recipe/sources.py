"""Pictures that a recipe begins with: named by a path when asked for, by what is in them when resolved."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sfumato.errors import RecipeError
from sfumato.recipe.image import Recipe
from sfumato.recipe.low_res import LowResPart
from sfumato.recipe.parts import ControlPart, ImagePart, MaskPart, Part, RegionsPart

_STORED: Final = re.compile(r"sha256:([0-9a-f]{64})(?:/(.{1,200}))?", re.DOTALL)


@dataclass(frozen=True)
class SourceFacts:
    """What resolving needs to know of a picture: the `sha256` (hex) of its file, the file's `name` without
    folders, `width` and `height` in pixels once it is upright, and whether any of it is transparent.
    """

    sha256: str
    name: str
    width: int
    height: int
    has_alpha: bool


def stored_source(sha256: str, name: str) -> str:
    """Return how a recipe names a picture whose file has this digest: ``sha256:<64 hex digits>/name``."""
    return f"sha256:{sha256}/{name}"


def parse_stored(source: str, field: str = "source") -> tuple[str, str] | None:
    """Return digest and name of a source of that kind (the name may be empty); None for a path. Raises
    RecipeError, about `field`, for a digest that is none.
    """
    match = _STORED.fullmatch(source)
    if match is not None:
        return match[1], match[2] or ""
    if source.startswith("sha256:"):
        raise RecipeError(
            "names no picture",
            field=field,
            value=source,
            hint="Write sha256: and 64 hexadecimal digits, or the path of a file.",
        )
    return None


def sources_of(recipe: Recipe) -> dict[str, str]:
    """Return the sources of `recipe` and the field that names each: ``{"cat.png": "image"}``."""
    sources: dict[str, str] = {}
    if recipe.image is not None:
        sources[recipe.image.source] = "image"
    if recipe.mask is not None and recipe.mask.source is not None:
        sources.setdefault(recipe.mask.source, "mask")
    if recipe.low_res is not None:
        sources.setdefault(recipe.low_res.source, "low-res")
    if recipe.control is not None:
        for control in recipe.control.controls:
            if control.source is not None:
                sources.setdefault(control.source, "control")
    if recipe.regions is not None:
        for region in recipe.regions.regions:
            if region.source is not None:
                sources.setdefault(region.source, "region")
    return sources


def beside(recipe: Recipe, folder: Path) -> Recipe:
    """Return `recipe` with the relative paths of its pictures taken from `folder`, where its file lies."""

    def placed(source: str | None) -> str | None:
        if source is None or parse_stored(source) is not None:
            return source
        return str(folder / source)

    parts: list[Part] = []
    for part in recipe.parts:
        match part:
            case ImagePart() | MaskPart() | LowResPart():
                parts.append(part.model_copy(update={"source": placed(part.source)}))
            case RegionsPart():
                regions = [one.model_copy(update={"source": placed(one.source)}) for one in part.regions]
                parts.append(part.model_copy(update={"regions": tuple(regions)}))
            case ControlPart():
                controls = [one.model_copy(update={"source": placed(one.source)}) for one in part.controls]
                parts.append(part.model_copy(update={"controls": tuple(controls)}))
            case _:
                parts.append(part)
    return recipe.model_copy(update={"parts": tuple(parts)})
