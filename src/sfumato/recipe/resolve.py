"""Recipe and model defaults to Resolved. The only place that reads a None of a recipe."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sfumato.errors import RecipeError, closest
from sfumato.recipe.image import (
    MAX_SEED,
    MAX_STEPS,
    MixPart,
    MixPrompt,
    Recipe,
    Resolved,
    ResolvedMix,
    ResolvedText,
    TextPart,
)
from sfumato.recipe.labels import (
    ETA_SAMPLERS,
    SAMPLER_LABELS,
    SPACING_LABELS,
    find_name,
    spacing_name,
    split_sampler,
)
from sfumato.recipe.validation import read_mapping
from sfumato.settings import Settings

MIN_SHARE = 1e-6  # less of a prompt than this cannot be seen, and underflows sooner or later


@dataclass(frozen=True)
class ModelDefaults:
    """What a model says about itself: its identity, the sizes it draws, and what it likes.

    Sizes are pixels: multiples of `multiple` in [`min_size`, `max_size`]. `samplers` and `spacings` are the
    names that can be asked for, `max_steps` the timesteps the model was trained on. `fast_...` is what a fast
    recipe means with this model.
    """

    name: str
    digest: str
    width: int
    height: int
    multiple: int
    min_size: int
    max_size: int
    steps: int
    sampler: str
    spacing: str
    guidance: float
    guidance_rescale: float
    samplers: tuple[str, ...]
    spacings: tuple[str, ...]
    max_steps: int = MAX_STEPS
    fast_cache_interval: int = 3
    fast_guidance_start: float = 0.0
    fast_guidance_stop: float = 1.0


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
) -> Resolved:
    """Fill in what `recipe` leaves open, and check it against the model and, when given, the limits in
    `settings`.

    `new_seed` is called only when the recipe has no seed. Sizes are rounded to the nearest multiple the model
    draws; shares of a mix are made to sum to one. The model is named as it calls itself, not by the path it
    was found at, which is nobody else's business. Raises RecipeError.
    """
    if settings is not None:
        _check_limits(recipe, settings)
    width = _size("width", defaults.width if recipe.width is None else recipe.width, defaults)
    height = _size("height", defaults.height if recipe.height is None else recipe.height, defaults)
    if settings is not None and width * height > settings.max_pixels:
        raise RecipeError(
            f"more than {settings.max_pixels} pixels",
            field="size",
            value=f"{width}x{height}",
            hint="Give a smaller width or height.",
        )
    sampler, spacing = _sampler(recipe, defaults)
    return Resolved(
        model=defaults.name,
        model_digest=defaults.digest,
        width=width,
        height=height,
        steps=_steps(recipe, defaults),
        sampler=sampler,
        spacing=spacing,
        eta=_eta(recipe, sampler),
        guidance=defaults.guidance if recipe.guidance is None else recipe.guidance,
        cache_interval=_cache_interval(recipe, defaults),
        seed=_seed(recipe, new_seed),
        count=recipe.count,
        parts=_parts(recipe, defaults),
    )


def recipe_of(resolved: Resolved) -> Recipe:
    """Return the recipe that asks for exactly this run; resolving it with the same model gives `resolved`
    (index 0) again.
    """
    parts: list[TextPart | MixPart] = []
    for part in resolved.parts:
        match part:
            case ResolvedText():
                whole = (part.guidance_start, part.guidance_stop) == (0.0, 1.0)
                window = {"guidance_start", "guidance_stop"} if whole else set[str]()
                parts.append(TextPart(**part.model_dump(exclude=window)))
            case ResolvedMix():
                parts.append(MixPart(prompts=part.prompts, ratio=part.ratio, mode=part.mode))
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
        cache_interval=resolved.cache_interval if resolved.cache_interval > 1 else None,
        seed=resolved.seed,
        count=resolved.count,
        parts=tuple(parts),
    )


def single(resolved: Resolved) -> Resolved:
    """Return the run that draws this one picture alone: its own seed, a count of one."""
    return resolved.model_copy(update={"seed": resolved.picture_seed, "count": 1, "index": 0})


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
    seed = new_seed() if recipe.seed is None else recipe.seed
    if not 0 <= seed <= MAX_SEED - (recipe.count - 1):
        raise RecipeError(
            f"the seeds of {recipe.count} pictures must lie between 0 and {MAX_SEED}",
            field="seed",
            value=seed,
            hint="Give a smaller seed, or leave it out for a random one.",
        )
    return seed


def _parts(recipe: Recipe, defaults: ModelDefaults) -> tuple[ResolvedText | ResolvedMix, ...]:
    text, mix = recipe.text, recipe.mix
    if mix is None:
        return () if text is None else (_text(text, recipe.fast, defaults),)
    shares = _shares(text, mix)
    if text is None:
        main, rest, shares = mix.prompts[0], mix.prompts[1:], shares[1:]
        text = TextPart(prompt=main.prompt)
    else:
        rest = mix.prompts
    if not rest:
        return (_text(text, recipe.fast, defaults),)
    prompts = tuple(
        MixPrompt(prompt=item.prompt, ratio=share) for item, share in zip(rest, shares[1:], strict=True)
    )
    main_part = _text(text, recipe.fast, defaults)
    return main_part, ResolvedMix(prompts=prompts, ratio=shares[0], mode=mix.mode)


def _text(text: TextPart, fast: bool, defaults: ModelDefaults) -> ResolvedText:
    rescale = defaults.guidance_rescale if text.guidance_rescale is None else text.guidance_rescale
    start, stop = text.guidance_start, text.guidance_stop
    if fast and start is None and stop is None:
        # One end of a window says little without the other, so a fast recipe fills both or none.
        start, stop = defaults.fast_guidance_start, defaults.fast_guidance_stop
    return ResolvedText(
        prompt=text.prompt,
        negative=text.negative,
        guidance_rescale=rescale,
        guidance_start=0.0 if start is None else start,
        guidance_stop=1.0 if stop is None else stop,
    )


def _shares(text: TextPart | None, mix: MixPart) -> list[float]:
    """Return the shares of the main prompt (0 when there is none) and of the mixed ones; they sum to one."""
    mixed = [item.ratio for item in mix.prompts]
    if text is None:
        main = 0.0
    elif mix.ratio is not None:
        main = mix.ratio
    else:
        left = 1.0 - sum(mixed)
        main = left if left > MIN_SHARE else 1.0
    total = main + sum(mixed)
    # Shares that already sum to one stay as they are, to the last bit: resolving twice changes nothing.
    shares = [main, *mixed] if abs(total - 1.0) < 1e-9 else [share / total for share in (main, *mixed)]
    for share, item in zip(shares[1:], mix.prompts, strict=True):
        if share < MIN_SHARE:
            raise _too_small(item.ratio)
    if text is not None and shares[0] < MIN_SHARE:
        raise _too_small(main)
    return shares


def _too_small(ratio: float) -> RecipeError:
    return RecipeError(
        "a ratio is too small beside the others",
        field="mix",
        value=ratio,
        hint=f"Leave out what has less than {MIN_SHARE:g} of the picture.",
    )
