"""From what stands on the page to a recipe: one function for each tab, and nothing else makes recipes.

Forms are plain values, so that the page, the tests and other programs fill them alike; what is empty is left
to the model, exactly as on the command line.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sfumato.errors import RecipeError
from sfumato.recipe.hires import HiresPart
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import VariationPart
from sfumato.recipe.resolve import recipe_from_mapping
from sfumato.serving.studio.finer_forms import KINDS, PLAIN, Finer, finer_of, lost_in, with_finer
from sfumato.serving.studio.sizes import scaled

_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,20}([.,][0-9]{1,20})?")
_SIZE: Final = re.compile(r"([0-9]{1,5}) x ([0-9]{1,5})$")


@dataclass(frozen=True)
class Create:
    """The form of the tab Create. None and "" stand for what the model likes."""

    prompt: str = ""
    negative: str = ""
    model: str = "bundled"
    size: tuple[int, int] | None = None
    count: int = 1
    seed: int | None = None
    steps: int | None = None
    guidance: float | None = None
    guidance_start: float | None = None
    guidance_stop: float | None = None
    sampler: str | None = None
    spacing: str | None = None
    style: str = "as it is"
    loras: str = ""
    finer: Finer = PLAIN


#: What styles make of a prompt, by their names: those that the bundled model has learned.
STYLES: Mapping[str, str] = {
    "as it is": "{}",
    "pencil sketch": "pencil sketch of {}",
    "watercolour": "watercolour of {}",
    "oil painting": "oil painting of {}",
    "pixel art": "pixel art of {}",
    "black and white": "black and white photo of {}",
    "at night": "{} at night",
    "at sunset": "{} at sunset",
}


def recipe_of_create(form: Create) -> Recipe:
    """Return the recipe that the form asks for. Raises RecipeError."""
    prompt = STYLES.get(form.style, "{}").replace("{}", form.prompt.strip())
    text: dict[str, Any] = {
        "kind": "text",
        "prompt": " ".join(part for part in (prompt, form.loras.strip()) if part),
        "negative": form.negative.strip(),
        "guidance_start": form.guidance_start,
        "guidance_stop": form.guidance_stop,
    }
    fields: dict[str, Any] = {
        "model": form.model,
        "width": None if form.size is None else form.size[0],
        "height": None if form.size is None else form.size[1],
        "count": form.count,
        "seed": form.seed,
        "steps": form.steps,
        "guidance": form.guidance,
        "sampler": form.sampler or None,
        "spacing": form.spacing or None,
        "parts": [text],
    }
    return recipe_from_mapping(with_finer(fields, form.finer))


def create_of(recipe: Recipe) -> Create:
    """Return the form that asks for `recipe`, as far as the tab Create can: what else it has is left out."""
    text = recipe.text
    size = None if recipe.width is None or recipe.height is None else (recipe.width, recipe.height)
    adapters = () if recipe.adapters is None else recipe.adapters.adapters
    marks = filter(None, (adapter_mark(one.name, one.weight, one.text_weight) for one in adapters))
    return Create(
        prompt="" if text is None else text.prompt,
        negative="" if text is None else text.negative,
        model=recipe.model,
        size=size,
        count=recipe.count,
        seed=recipe.seed,
        steps=recipe.steps,
        guidance=recipe.guidance,
        guidance_start=None if text is None else text.guidance_start,
        guidance_stop=None if text is None else text.guidance_stop,
        sampler=recipe.sampler,
        spacing=recipe.spacing,
        loras=" ".join(marks),
        finer=finer_of(recipe),
    )


def lost_of(recipe: Recipe) -> tuple[str, ...]:
    """Return the kinds of parts of a recipe that the tab Create has no fields for, or not for all of them."""
    known = KINDS | {"text", "adapters"}
    return (*(part.kind for part in recipe.parts if part.kind not in known), *lost_in(recipe))


def adapter_mark(name: str, weight: float, text_weight: float | None = None) -> str | None:
    """Return how an adapter is written into the field for them; None for a name that cannot be."""
    if not name or set(":<>\n") & set(name):
        return None
    first = weight if text_weight is None else text_weight
    return f"<lora:{name}:{first:g}>" if first == weight else f"<lora:{name}:{first:g}:{weight:g}>"


def laid_over(loras: str, name: str, weight: float) -> str:
    """Return what stands in the field for adapters when one more is in it, or has another weight."""
    written = adapter_mark(name, weight)
    return " ".join(one for one in (left_out(loras, name), written) if one)


def left_out(loras: str, name: str) -> str:
    """Return what stands in the field for adapters without this one."""
    pattern = rf"<(?:lora|lyco):\s*{re.escape(name)}\s*(?::[^<>\n]*)?>"
    return " ".join(re.sub(pattern, " ", loras, flags=re.IGNORECASE).split())


def varied(recipe: Recipe, strength: float) -> Recipe:
    """Return a recipe for a picture near that of `recipe`, with this share of another noise."""
    others = [part for part in recipe.parts if part.kind != "variation"]
    return recipe.model_copy(update={"parts": (*others, VariationPart(strength=strength))})


def reseeded(recipe: Recipe, count: int) -> Recipe:
    """Return a recipe for `count` pictures that differ from that of `recipe` in their seeds alone."""
    return recipe.model_copy(update={"seed": None, "count": count})


def enlarged(recipe: Recipe, scale: float) -> Recipe:
    """Return a recipe that draws the picture of `recipe` again, `scale` times as large as it came out. Raises
    RecipeError where that is too large.
    """
    before = 1.0 if recipe.hires is None else recipe.hires.scale
    others = [part for part in recipe.parts if part.kind != "hires"]
    return recipe.model_copy(update={"parts": (*others, HiresPart(scale=scaled(before, scale)))})


def seed_of(text: str) -> int | None:
    """Return the seed that was typed, None where the field is empty. Raises RecipeError."""
    return whole_of(text, "seed", "Give digits, or leave it empty for a random one.")


def whole_of(text: str, field: str, hint: str = "Give digits, or leave it empty.") -> int | None:
    """Return the whole number that was typed, None where `field` is empty. Raises RecipeError."""
    written = text.strip()
    if not written:
        return None
    if not (written.isascii() and written.isdecimal() and len(written) < 30):
        raise RecipeError("is no whole number", field=field, value=text, hint=hint)
    return int(written)


def number_of(text: str, field: str) -> float | None:
    """Return the number that was typed, None where `field` is empty. Raises RecipeError."""
    written = text.strip()
    if not written:
        return None
    if _NUMBER.fullmatch(written) is None:
        hint = "Give one like 7.5, or leave it empty."
        raise RecipeError("is no number", field=field, value=text, hint=hint)
    return float(written.replace(",", "."))  # many write 7,5


def size_of(text: str) -> tuple[int, int]:
    """Return the width and height that end a chip: "Wide 160 x 104". Raises RecipeError."""
    found = _SIZE.search(text)
    if found is None:
        raise RecipeError("is no size", field="size", value=text, hint="Write it as 512 x 512.")
    return int(found[1]), int(found[2])
