"""The words of a recipe, resolved: its prompt, what is mixed with it, and how much there is of each."""

from sfumato.errors import RecipeError
from sfumato.recipe.image import Recipe
from sfumato.recipe.micro import check_guidance
from sfumato.recipe.model_defaults import ModelDefaults
from sfumato.recipe.parts import MixPart, MixPrompt, TextPart
from sfumato.recipe.resolved_parts import ResolvedMix, ResolvedText

MIN_SHARE = 1e-6  # less of a prompt than this cannot be seen, and underflows sooner or later


def resolve_text(recipe: Recipe, defaults: ModelDefaults) -> tuple[ResolvedText | ResolvedMix, ...]:
    text, mix = recipe.text, recipe.mix
    if text is None and mix is None and recipe.regions is not None:
        text = TextPart(prompt="")  # what is in no region shows whatever the model likes
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
    return main_part, ResolvedMix(prompts=prompts, ratio=shares[0], mode=mix.mode or defaults.mix_mode)


def _text(text: TextPart, fast: bool, defaults: ModelDefaults) -> ResolvedText:
    rescale = defaults.guidance_rescale if text.guidance_rescale is None else text.guidance_rescale
    start, stop = text.guidance_start, text.guidance_stop
    if fast and start is None and stop is None and not defaults.told.guidance:
        # One end of a window says little without the other, so a fast recipe fills both or none.
        start, stop = defaults.fast_guidance_start, defaults.fast_guidance_stop
    if defaults.told.guidance:
        check_guidance(0.0 if start is None else start, 1.0 if stop is None else stop, defaults.name)
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
