"""The `parameters` text that A1111 and most other programs read from a picture.

Layout: the prompt, a line "Negative prompt: ...", and one last line of "Key: value" pairs. The text describes
one picture: its seed is the picture's own. A1111's layout cannot carry every string (lines are stripped, and
a line of the prompt may look like the negative prompt), so a prompt that would not come back as it was is
written once more, quoted, under a key of our own that other programs pass over. Values are quoted whenever
A1111's rules could misread them.
"""

import json
import re
from typing import Any, Final

from sfumato.errors import RecipeError
from sfumato.recipe import adapters_text, hires_text, of_model, refining
from sfumato.recipe.extras import from_pairs, to_pairs
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.labels import (
    ETA_SAMPLERS,
    SAMPLER_LABELS,
    SPACING_LABELS,
    spacing_name,
    split_sampler,
)
from sfumato.recipe.validation import read_mapping

_NEGATIVE: Final = "Negative prompt:"
MIN_PAIRS: Final = 3  # a last line with fewer belongs to the prompt, as in A1111

# Bounded, so that a megabyte without a colon is not tried again from each of its letters.
_KEY = re.compile(r"\s*(\w[\w \-/]{1,60}):\s*")
_QUOTED = re.compile(r'("(?:[^"\\]|\\.)*")\s*(?:,|$)')
_PLAIN_VALUE = re.compile(r"[^,:\n\r\"\x00-\x1f]+")


def to_parameters(resolved: Resolved, *, software: str = "Sfumato") -> str:
    """Return the A1111 text of one picture. `software` goes under "Version"."""
    text, mix = resolved.text, resolved.mix
    prompt = "" if text is None else text.prompt
    negative = "" if text is None else text.negative
    pairs: dict[str, str] = {
        "Steps": str(resolved.steps),
        "Sampler": SAMPLER_LABELS.get(resolved.sampler, resolved.sampler),
        "Schedule type": SPACING_LABELS.get(resolved.spacing, resolved.spacing),
        "CFG scale": _number(resolved.guidance),
        "Seed": str(resolved.picture_seed),
        "Size": f"{resolved.width}x{resolved.height}",
        "Model hash": resolved.model_digest[:10],
        "Model": resolved.model,
    }
    if resolved.image_guidance is not None:
        pairs["Image CFG scale"] = _number(resolved.image_guidance)
    if resolved.eta > 0:
        pairs["Eta"] = _number(resolved.eta)
    if resolved.cache_interval > 1:
        pairs["Cache interval"] = str(resolved.cache_interval)
    if text is None:
        pairs["Unconditional"] = "yes"
    else:
        pairs["Guidance rescale"] = _number(text.guidance_rescale)
        if (text.guidance_start, text.guidance_stop) != (0.0, 1.0):
            pairs["Guidance start"] = _number(text.guidance_start)
            pairs["Guidance stop"] = _number(text.guidance_stop)
    if mix is not None:
        pairs["Mix"] = json.dumps(mix.model_dump(mode="json", exclude={"kind"}), sort_keys=True)
    if resolved.image is not None:
        pairs["Denoising strength"] = _number(resolved.image.strength)
    pairs |= hires_text.to_pairs(resolved.hires, resolved.windows, image=resolved.image is not None)
    variation = resolved.variation
    if variation is not None:
        pairs["Variation seed"] = str(variation.seed + resolved.index)
        pairs["Variation seed strength"] = _number(variation.strength)
    if resolved.extras is not None:
        pairs |= to_pairs(resolved.extras)
    pairs |= of_model.to_pairs(resolved.vae, resolved.schedule)
    pairs |= refining.to_pairs(resolved.refine)
    pairs |= adapters_text.to_pairs(resolved.adapters)
    body = _body(adapters_text.with_marks(prompt, resolved.adapters), negative)
    if _read_prompts(body.split("\n"), pairs)[:2] != (prompt, negative):
        pairs["Exact prompt"], pairs["Exact negative"] = json.dumps(prompt), json.dumps(negative)
    pairs["Version"] = software
    line = ", ".join(f"{key}: {_quoted(value)}" for key, value in pairs.items())
    return f"{body}\n{line}".lstrip("\n")


def parse_parameters(text: str) -> Recipe:
    """Return the recipe of one picture from A1111 text, ours or another program's.

    Keys that mean nothing here are passed over; text without a line of pairs is all prompt. Names of samplers
    and schedules that are not known are kept, so that `resolve` can say so. Raises RecipeError for values
    that are not allowed.
    """
    lines = text.strip().split("\n")
    pairs = _read_pairs(lines[-1])
    if len(pairs) < MIN_PAIRS:
        pairs = {}
    prompt, negative, adapters = _read_prompts(lines[:-1] if pairs else lines, pairs)
    if "Exact prompt" in pairs:
        prompt = _json(pairs, "Exact prompt")
    if "Exact negative" in pairs:
        negative = _json(pairs, "Exact negative")
    sampler = _sampler(pairs)
    data: dict[str, Any] = {
        "steps": _whole(pairs, "Steps"),
        "guidance": _real(pairs, "CFG scale"),
        "image_guidance": _real(pairs, "Image CFG scale"),
        "cache_interval": _whole(pairs, "Cache interval"),
        "seed": _whole(pairs, "Seed"),
        **_size(pairs),
        **sampler,
        **_eta(pairs, sampler.get("sampler")),
    }
    if pairs.get("Model"):
        data["model"] = pairs["Model"]
    parts: list[dict[str, Any]] = []
    if "Unconditional" not in pairs:
        parts.append({"kind": "text", "prompt": prompt, "negative": negative, **_guidance(pairs)})
    if "Mix" in pairs:
        mix = _json(pairs, "Mix")
        if not isinstance(mix, dict):
            raise RecipeError("cannot be read", field="Mix", value=pairs["Mix"])
        parts.append({**mix, "kind": "mix"})
    parts += hires_text.from_pairs(pairs)
    if "Variation seed strength" in pairs:
        strength, seed = _real(pairs, "Variation seed strength"), _whole(pairs, "Variation seed")
        parts.append({"kind": "variation", "strength": strength, "seed": seed})
    extras = from_pairs(pairs)
    parts += [] if extras is None else [extras]
    parts += of_model.from_pairs(pairs)
    parts += refining.from_pairs(pairs)
    parts += [] if adapters is None else [adapters]
    return read_mapping({**data, "parts": parts}, Recipe)


def _body(prompt: str, negative: str) -> str:
    # Readers in C end a string at NUL.
    body = f"{prompt}\n{_NEGATIVE} {negative}" if negative else prompt
    return body.replace("\x00", "")


def _read_prompts(lines: list[str], pairs: dict[str, str]) -> tuple[str, str, dict[str, Any] | None]:
    """Return prompt, negative prompt and the adapters that stood in the first, or in `pairs`."""
    prompt, negative = _read_body(lines)
    prompt, adapters = adapters_text.from_pairs(prompt, pairs)
    return prompt, negative, adapters


def _read_body(lines: list[str]) -> tuple[str, str]:
    prompt: list[str] = []
    negative: list[str] = []
    target = prompt
    for line in (raw.strip() for raw in lines):
        if line.startswith(_NEGATIVE):
            target = negative
            line = line[len(_NEGATIVE) :].strip()
        target.append(line)
    return "\n".join(prompt).strip("\n"), "\n".join(negative).strip("\n")


def _quoted(value: str) -> str:
    plain = _PLAIN_VALUE.fullmatch(value) is not None and value == value.strip()
    return value if plain else json.dumps(value)


def _read_pairs(line: str) -> dict[str, str]:
    """Read "Key: value, Key: value" from left to right, values quoted or up to the next comma; later keys
    win.
    """
    pairs: dict[str, str] = {}
    position = 0
    while position < len(line):
        key = _KEY.match(line, position)
        if key is None:
            comma = line.find(",", position)
            position = len(line) if comma < 0 else comma + 1
            continue
        quoted = _QUOTED.match(line, key.end())
        if quoted is not None:
            value, position = _unquoted(quoted.group(1)), quoted.end()
        else:
            comma = line.find(",", key.end())
            end = len(line) if comma < 0 else comma
            value, position = line[key.end() : end].strip(), end + 1
        pairs[key.group(1).strip()] = value
    return pairs


def _unquoted(text: str) -> str:
    try:
        value: object = json.loads(text, strict=False)
    except ValueError:
        return text  # quotes that were never JSON
    return value if isinstance(value, str) else text


def _number(value: float) -> str:
    return repr(int(value)) if value.is_integer() else repr(value)


def _whole(pairs: dict[str, str], key: str) -> int | None:
    if key not in pairs:
        return None
    try:
        return int(pairs[key])
    except ValueError:
        raise RecipeError("must be a whole number", field=key, value=pairs[key]) from None


def _real(pairs: dict[str, str], key: str) -> float | None:
    if key not in pairs:
        return None
    try:
        return float(pairs[key])
    except ValueError:
        raise RecipeError("must be a number", field=key, value=pairs[key]) from None


def _size(pairs: dict[str, str]) -> dict[str, int]:
    if "Size" not in pairs:
        return {}
    match = re.fullmatch(r"\s*([0-9]{1,9})\s*x\s*([0-9]{1,9})\s*", pairs["Size"])
    if match is None:
        raise RecipeError("must be WIDTHxHEIGHT", field="Size", value=pairs["Size"])
    return {"width": int(match[1]), "height": int(match[2])}


def _sampler(pairs: dict[str, str]) -> dict[str, str | None]:
    spacing = spacing_name(pairs["Schedule type"]) if "Schedule type" in pairs else None
    if not pairs.get("Sampler"):
        return {"spacing": spacing}
    sampler, old_spacing = split_sampler(pairs["Sampler"])
    return {"sampler": sampler, "spacing": spacing if "Schedule type" in pairs else old_spacing}


def _eta(pairs: dict[str, str], sampler: str | None) -> dict[str, float | None]:
    # A1111 gives every sampler an eta; older versions call DDIM's "Eta", newer ones "Eta DDIM".
    if sampler not in ETA_SAMPLERS:
        return {}
    return {"eta": _real(pairs, "Eta DDIM" if "Eta DDIM" in pairs else "Eta")}


def _guidance(pairs: dict[str, str]) -> dict[str, float]:
    fields = ("guidance_rescale", "guidance_start", "guidance_stop")
    read = {field: _real(pairs, field.replace("_", " ").capitalize()) for field in fields}
    return {field: value for field, value in read.items() if value is not None}


def _json(pairs: dict[str, str], key: str) -> Any:
    try:
        return json.loads(pairs[key])
    except (ValueError, RecursionError):
        raise RecipeError("cannot be read", field=key, value=pairs[key]) from None
