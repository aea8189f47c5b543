"""A resolved recipe in words: what `sfumato show` prints."""

from sfumato.cli.adapters import adapters_in_words
from sfumato.cli.extras import extras_in_words
from sfumato.cli.micro import micro_in_words
from sfumato.cli.of_model import of_model_in_words
from sfumato.cli.refining import refine_in_words
from sfumato.errors import shown
from sfumato.recipe.image import Resolved
from sfumato.recipe.resolved_parts import Source

_SIDES = ("left", "right", "top", "bottom")


def described(resolved: Resolved) -> dict[str, str]:
    """Return names and values for people, in the order of the command line's options."""
    text, mix = resolved.text, resolved.mix
    lines: dict[str, str] = {}
    if text is None:
        lines["prompt"] = "none: unconditional"
    else:
        lines["prompt"] = text.prompt
        if text.negative:
            lines["negative"] = text.negative
    if mix is not None:
        shares = [f"{item.ratio:.3g}  {item.prompt}" for item in mix.prompts]
        lines["mix"] = "\n".join([f"{mix.ratio:.3g}  the prompt above", *shares, f"by {mix.mode}"])
    lines |= _edits(resolved)
    lines |= {
        "seed": str(resolved.picture_seed),
        "size": f"{resolved.width}x{resolved.height}",
        "steps": str(resolved.steps),
        "sampler": resolved.sampler,
        "spacing": resolved.spacing,
    }
    if resolved.eta > 0:
        lines["eta"] = f"{resolved.eta:g}"
    if text is not None:
        lines["guidance"] = f"{resolved.guidance:g}"
        if text.guidance_rescale:
            lines["guidance rescale"] = f"{text.guidance_rescale:g}"
        if (text.guidance_start, text.guidance_stop) != (0.0, 1.0):
            lines["guided steps"] = f"{text.guidance_start:.0%} to {text.guidance_stop:.0%}"
    if resolved.image_guidance is not None:
        lines["image guidance"] = f"{resolved.image_guidance:g}"
    if resolved.cache_interval > 1:
        lines["cache interval"] = str(resolved.cache_interval)
    lines["model"] = f"{resolved.model} ({resolved.model_digest[:12]})"
    if resolved.count > 1:
        lines["drawn as"] = f"number {resolved.index + 1} of {resolved.count}, from seed {resolved.seed}"
    return lines


def _edits(resolved: Resolved) -> dict[str, str]:
    """Return what a drawing begins with and what goes where, in words."""
    lines: dict[str, str] = {}
    if resolved.regions is not None:
        lines["regions"] = "\n".join(
            f"{_place(one.box, one.source)}  {one.prompt}" for one in resolved.regions.regions
        )
    for one in () if resolved.control is None else resolved.control.controls:
        what = one.source.name if one.annotator == "none" else f"{one.annotator} of {one.source.name}"
        span = "" if (one.start, one.stop) == (0.0, 1.0) else f", {one.start:.0%} to {one.stop:.0%}"
        line = f"{one.model}: {what}, weight {one.weight:g}{span}"
        lines["control"] = f"{lines['control']}\n{line}" if "control" in lines else line
    image, mask, extend = resolved.image, resolved.mask, resolved.extend
    if image is not None:
        lines["image"] = f"{image.source.name} ({image.source.sha256[:12]})"
        drawn = resolved.steps - resolved.first_step
        lines["strength"] = f"{image.strength:g}: {drawn} of {resolved.steps} steps"
    if mask is not None:
        named = "what is transparent" if mask.source is None and mask.box is None else None
        if mask.box is not None:
            left, top, right, bottom = mask.box
            named = f"{left},{top},{right - left}x{bottom - top}"
        lines["mask"] = (mask.source.name if mask.source is not None else named) or ""
        changed = [word for word, on in (("inverted", mask.invert), ("soft", mask.soft)) if on]
        pixels = (("grown", mask.grow), ("feather", mask.feather))
        changed += [f"{word} {number}" for word, number in pixels if number]
        changed += [f"filled with {mask.fill}", *(["enlarged"] if mask.extent == "masked" else [])]
        lines["mask"] += f"; {', '.join(changed)}"
    variation = resolved.variation
    if variation is not None:
        lines["variation"] = f"{variation.strength:g} towards seed {variation.seed + resolved.index}"
    if resolved.extras is not None:
        lines |= extras_in_words(resolved.extras)
    if resolved.micro is not None:
        lines |= micro_in_words(resolved.micro)
    if resolved.adapters is not None:
        lines |= adapters_in_words(resolved.adapters)
    lines |= of_model_in_words(resolved)
    if resolved.refine is not None:
        lines |= refine_in_words(resolved.refine)
    if resolved.windows is not None:
        lines["windows"] = f"{resolved.windows.size} pixels, overlap {resolved.windows.overlap:.0%}"
    hires = resolved.hires
    if hires is not None:
        sizes = ", ".join(f"{width}x{height}" for width, height in hires.sizes)
        drawn = f"strength {hires.strength:g}: {hires.num_steps} of {hires.steps} steps each"
        lines["hires"] = f"{sizes}; {hires.method}, {drawn}, keep {hires.keep:g}"
        lines["hires"] += f"; windows of {hires.window} pixels, overlap {hires.overlap:.0%}"
    if extend is not None:
        sides = {side: pixels for side, pixels in extend.model_dump().items() if side in _SIDES}
        lines["outpaint"] = ", ".join(f"{side} {pixels}" for side, pixels in sides.items() if pixels)
        if extend.reach:
            lines["outpaint"] += f"; at most {extend.reach} at a time"
    return lines


def _place(box: tuple[float, float, float, float] | None, source: Source | None) -> str:
    if source is not None:
        return source.name
    return "" if box is None else ",".join(f"{number:.3g}" for number in box)


def shares(resolved: Resolved) -> str:
    """Return the shares of a mix on one line: "0.5 'a frog', 0.5 'a rabbit'"; empty without a mix."""
    text, mix = resolved.text, resolved.mix
    if text is None or mix is None:
        return ""
    parts = [(mix.ratio, text.prompt), *((item.ratio, item.prompt) for item in mix.prompts)]
    return ", ".join(f"{share:.3g} {shown(prompt)}" for share, prompt in parts)
