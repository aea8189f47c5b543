"""A resolved recipe in words: what `sfumato show` prints."""

from sfumato.errors import shown
from sfumato.recipe.image import Resolved


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
    if resolved.cache_interval > 1:
        lines["cache interval"] = str(resolved.cache_interval)
    lines["model"] = f"{resolved.model} ({resolved.model_digest[:12]})"
    if resolved.count > 1:
        lines["drawn as"] = f"number {resolved.index + 1} of {resolved.count}, from seed {resolved.seed}"
    return lines


def shares(resolved: Resolved) -> str:
    """Return the shares of a mix on one line: "0.5 'a frog', 0.5 'a rabbit'"; empty without a mix."""
    text, mix = resolved.text, resolved.mix
    if text is None or mix is None:
        return ""
    parts = [(mix.ratio, text.prompt), *((item.ratio, item.prompt) for item in mix.prompts)]
    return ", ".join(f"{share:.3g} {shown(prompt)}" for share, prompt in parts)
