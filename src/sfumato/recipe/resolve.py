"""Recipe and model defaults to Resolved. The only place that reads a None of a recipe."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from sfumato.errors import RecipeError, closest
from sfumato.recipe.extras import settled
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.instructing import resolve_image_guidance
from sfumato.recipe.labels import (
    ETA_SAMPLERS,
    SAMPLER_LABELS,
    SPACING_LABELS,
    find_name,
    spacing_name,
    split_sampler,
)
from sfumato.recipe.model_defaults import ModelDefaults
from sfumato.recipe.of_model import check_found
from sfumato.recipe.outpainting import check_reach, reach_of
from sfumato.recipe.resolve_adapters import AdapterTable, resolve_adapters, without_marks
from sfumato.recipe.resolve_edits import (
    STRENGTH,
    Sources,
    canvas_size,
    drawing_size,
    image_facts,
    resolve_controls,
    resolve_extend,
    resolve_image,
    resolve_mask,
    resolve_regions,
)
from sfumato.recipe.resolve_hires import resolve_hires, resolve_windows
from sfumato.recipe.resolve_joint import check_joint
from sfumato.recipe.resolve_low_res import check_family, low_res_size, resolve_low_res
from sfumato.recipe.resolve_refining import resolve_told
from sfumato.recipe.resolve_text import resolve_text
from sfumato.recipe.resolved_parts import ResolvedPart, ResolvedVariation
from sfumato.recipe.sources import SourceFacts
from sfumato.recipe.validation import read_mapping
from sfumato.recipe.values import MAX_SEED, MAX_SIZE
from sfumato.settings import Settings

NO_SOURCES: Final[Sources] = MappingProxyType({})
NO_CONTROLS: Final[Mapping[str, str]] = MappingProxyType({})
NO_ADAPTERS: Final = AdapterTable()


def recipe_from_mapping(data: Mapping[str, object]) -> Recipe:
    """Return a recipe from plain data (TOML, JSON, flags). Raises RecipeError naming the field, the value and
    a hint.
    """
    return read_mapping(data, Recipe)


def random_seed() -> int:
    """Return a fresh seed below 2**32: the noise generator keeps 32 bits, so longer ones would only repeat
    shorter ones.
    """
    return secrets.randbelow(2**32)


def resolve(
    recipe: Recipe,
    defaults: ModelDefaults,
    *,
    new_seed: Callable[[], int] = random_seed,
    settings: Settings | None = None,
    sources: Sources = NO_SOURCES,
    controls: Mapping[str, str] = NO_CONTROLS,
    adapters: AdapterTable = NO_ADAPTERS,
    refiner: ModelDefaults | None = None,
) -> Resolved:
    """Fill in what `recipe` leaves open, and check it against the model and, when given, the limits in
    `settings`. `sources` are the facts of the pictures that the recipe names, by the names it gives them,
    `controls` the digests of the ControlNets, `adapters` what was found of
    adapters; those that prompts name are taken out of them. `refiner` is what was found of a refiner.

    `new_seed` is called only when the recipe has no seed. Sizes are rounded to the nearest multiple the model
    draws; shares of a mix are made to sum to one. The model is named as it calls itself, not by the path it
    was found at, which is nobody else's business. Raises RecipeError.
    """
    recipe = without_marks(recipe)
    if settings is not None:
        _check_limits(recipe, settings)
    check_family(recipe, defaults.name, defaults.upscales)
    if defaults.joint:
        check_joint(recipe, defaults.name)
    image_guidance = resolve_image_guidance(recipe, defaults.name, instructed=defaults.instructed)
    image = image_facts(recipe, sources)
    width, height = _sizes(recipe, defaults, image, sources)
    if settings is not None:
        _check_pixels("size", width, height, settings)
        if image is not None:
            _check_pixels("outpaint", *canvas_size(recipe.extend, image), settings)
    sampler, spacing = _sampler(recipe, defaults)
    steps = _steps(recipe, defaults)
    parts: list[ResolvedPart] = [*resolve_text(recipe, defaults)]
    if recipe.regions is not None:
        parts.append(resolve_regions(recipe.regions, width, height, sources))
    if recipe.control is not None:
        parts.append(resolve_controls(recipe.control, image, sources, controls))
    if recipe.image is not None and image is not None:
        usual = STRENGTH if image_guidance is None else 1.0
        parts.append(begun := resolve_image(recipe, recipe.image, image, steps, usual))
        if recipe.mask is not None:
            parts.append(resolve_mask(recipe.mask, image, begun.strength, sources))
        if recipe.extend is not None:
            canvas = canvas_size(recipe.extend, image)
            reach = reach_of(recipe, (defaults.width, defaults.height), canvas)
            check_reach(reach, (width, height), canvas)
            parts.append(resolve_extend(recipe.extend, begun.strength, reach))
    if recipe.low_res is not None:
        parts.append(resolve_low_res(recipe.low_res, defaults.max_noise_level, sources))
    if recipe.windows is not None or recipe.hires is not None:
        parts += _larger(recipe, defaults, (width, height), steps, settings)
    if recipe.variation is not None:
        # Not the recipe's own seed: between a noise and itself there is nothing.
        own = new_seed() if recipe.variation.seed is None else recipe.variation.seed
        own = _checked_seed("variation-seed", own, recipe.count)
        parts.append(ResolvedVariation(strength=recipe.variation.strength, seed=own))
    if recipe.extras is not None:
        known = defaults.name, defaults.text_layers
        extras = settled(recipe.extras, *known, attends=defaults.middle_attends)
        parts += [] if extras is None else [extras]
    micro, refine = resolve_told(recipe, parts, defaults.name, defaults.told, refiner)
    parts += [] if micro is None else [micro]
    check_found(recipe.vae, defaults.vae)
    parts += [one for one in (defaults.vae, defaults.schedule) if one is not None]
    laid_over = resolve_adapters(recipe, adapters)
    parts += [one for one in (laid_over, refine) if one is not None]
    return Resolved(
        model=defaults.name,
        model_digest=defaults.digest,
        width=width,
        height=height,
        steps=steps,
        sampler=sampler,
        spacing=spacing,
        eta=_eta(recipe, sampler),
        guidance=defaults.guidance if recipe.guidance is None else recipe.guidance,
        image_guidance=image_guidance,
        embedded=defaults.told.guidance,
        cache_interval=_cache_interval(recipe, defaults),
        seed=_seed(recipe, new_seed),
        count=recipe.count,
        parts=tuple(parts),
    )


def _check_limits(recipe: Recipe, settings: Settings) -> None:
    if recipe.count > settings.max_count:
        raise RecipeError(
            f"must be at most {settings.max_count}",
            field="count",
            value=recipe.count,
            hint=f"Give 1 to {settings.max_count}.",
        )
    if recipe.steps is not None and recipe.steps > settings.max_steps:
        raise RecipeError(
            f"must be at most {settings.max_steps}",
            field="steps",
            value=recipe.steps,
            hint=f"Give 1 to {settings.max_steps}.",
        )
    prompts: list[tuple[str, str]] = []
    if recipe.text is not None:
        prompts += [("prompt", recipe.text.prompt), ("negative", recipe.text.negative)]
    if recipe.mix is not None:
        prompts += [("mix", item.prompt) for item in recipe.mix.prompts]
    if recipe.regions is not None:
        prompts += [("region", region.prompt) for region in recipe.regions.regions]
    for field, prompt in prompts:
        if len(prompt) > settings.max_prompt_chars:
            raise RecipeError(
                f"is too long; characters at most {settings.max_prompt_chars}",
                field=field,
                value=prompt,
                hint="The model reads a few hundred words at most.",
            )


def _steps(recipe: Recipe, defaults: ModelDefaults) -> int:
    if recipe.steps is None:
        return min(defaults.steps, defaults.max_steps)
    if recipe.steps > defaults.max_steps:
        raise RecipeError(
            f"must be at most {defaults.max_steps}",
            field="steps",
            value=recipe.steps,
            hint=f"The model {defaults.name} was trained on {defaults.max_steps} of them; give 1 to that.",
        )
    return recipe.steps


def _sampler(recipe: Recipe, defaults: ModelDefaults) -> tuple[str, str]:
    """Return the names of the sampler and the spacing. A sampler may bring its spacing, as in A1111's
    "DPM++ 2M Karras"; "Automatic" leaves it to the model.
    """
    sampler, brought = (defaults.sampler, None) if recipe.sampler is None else split_sampler(recipe.sampler)
    written = brought if recipe.spacing is None else spacing_name(recipe.spacing)
    return (
        _choice("sampler", sampler, defaults.samplers, SAMPLER_LABELS),
        _choice(
            "spacing", defaults.spacing if written is None else written, defaults.spacings, SPACING_LABELS
        ),
    )


def _eta(recipe: Recipe, sampler: str) -> float:
    if recipe.eta is None:
        return 0.0
    if sampler not in ETA_SAMPLERS:
        raise RecipeError(
            f"the sampler {sampler} has none",
            field="eta",
            value=recipe.eta,
            hint=f"Leave it out, or choose the sampler {' or '.join(ETA_SAMPLERS)}.",
        )
    return recipe.eta


def _cache_interval(recipe: Recipe, defaults: ModelDefaults) -> int:
    if recipe.cache_interval is not None:
        return recipe.cache_interval
    return defaults.fast_cache_interval if recipe.fast else 1


def _sizes(
    recipe: Recipe, defaults: ModelDefaults, image: SourceFacts | None, sources: Sources
) -> tuple[int, int]:
    width = defaults.width if recipe.width is None else recipe.width
    height = defaults.height if recipe.height is None else recipe.height
    # In windows, a model draws any size.
    wide = defaults if recipe.windows is None else replace(defaults, max_size=MAX_SIZE)
    if image is not None:
        native, bounds = (defaults.width, defaults.height), (defaults.min_size, wide.max_size)
        width, height = drawing_size(recipe, image, native, bounds)
    if recipe.low_res is not None:
        upscales, largest = defaults.upscales, wide.max_size
        width, height = low_res_size(recipe, recipe.low_res, upscales, largest, sources)
    return _size("width", width, wide), _size("height", height, wide)


def _larger(
    recipe: Recipe, defaults: ModelDefaults, drawn: tuple[int, int], steps: int, settings: Settings | None
) -> list[ResolvedPart]:
    """Return the parts for sizes beyond the model's own."""
    native = {
        "native": max(min(defaults.width, defaults.height) // defaults.multiple, 1) * defaults.multiple,
        "multiple": defaults.multiple,
        "smallest": defaults.min_size,
    }
    windows = None if recipe.windows is None else resolve_windows(recipe.windows, **native)
    parts: list[ResolvedPart] = [] if windows is None else [windows]
    if recipe.hires is not None:
        parts.append(hires := resolve_hires(recipe.hires, windows, drawn, steps, **native))
        if settings is not None:
            _check_pixels("hires", *hires.sizes[-1], settings)
    return parts


def _check_pixels(field: str, width: int, height: int, settings: Settings) -> None:
    if width * height > settings.max_pixels:
        raise RecipeError(
            f"more than {settings.max_pixels} pixels",
            field=field,
            value=f"{width}x{height}",
            hint="Give a smaller width or height.",
        )


def _size(field: str, size: int, defaults: ModelDefaults) -> int:
    if not defaults.min_size <= size <= defaults.max_size:
        raise RecipeError(
            f"the {field} must be between {defaults.min_size} and {defaults.max_size}",
            field="size",
            value=size,
            hint=f"The model {defaults.name} is at its best at {defaults.width}x{defaults.height}.",
        )
    multiple = defaults.multiple
    # Halves round up. Near the ends the nearest multiple may lie outside.
    lowest, highest = -(-defaults.min_size // multiple), defaults.max_size // multiple
    return min(max((2 * size + multiple) // (2 * multiple), lowest), highest) * multiple


def _choice(field: str, written: str, names: tuple[str, ...], labels: Mapping[str, str]) -> str:
    name = find_name(written, names, labels)
    if name is not None:
        return name
    near = closest(written, (*names, *(labels[name] for name in names if name in labels)))
    guess = "" if near is None else f"Did you mean {find_name(near, names, labels)}? "
    raise RecipeError(
        f"unknown {field}", field=field, value=written, hint=f"{guess}Choose one of {', '.join(names)}."
    )


def _seed(recipe: Recipe, new_seed: Callable[[], int]) -> int:
    return _checked_seed("seed", new_seed() if recipe.seed is None else recipe.seed, recipe.count)


def _checked_seed(field: str, seed: int, count: int) -> int:
    if not 0 <= seed <= MAX_SEED - (count - 1):
        raise RecipeError(
            f"the seeds of {count} pictures must lie between 0 and {MAX_SEED}",
            field=field,
            value=seed,
            hint="Give a smaller seed, or leave it out for a random one.",
        )
    return seed
