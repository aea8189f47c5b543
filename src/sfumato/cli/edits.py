"""Options about pictures, masks and regions, laid over a recipe's parts."""

import re
from pathlib import Path
from typing import Any

from sfumato.cli.adapters import with_adapters
from sfumato.cli.extras import with_extras
from sfumato.cli.flags import Flags
from sfumato.cli.larger import with_larger
from sfumato.cli.micro import with_micro
from sfumato.cli.of_model import with_of_model
from sfumato.cli.refining import with_refining
from sfumato.errors import RecipeError
from sfumato.recipe.areas import parse_area
from sfumato.recipe.numbers import optional_real, optional_whole, real, whole
from sfumato.recipe.values import MAX_CONTROLS, MAX_REGIONS

Parts = dict[str, dict[str, Any]]  # by kind

_NUMBERS = re.compile(r"[-\d\s.,%xX×]*")  # noqa: RUF001 - as pasted
_SIDE = re.compile(r"\s*(left|right|top|bottom)\s*=\s*(\d{1,6})\s*")
_OF_MASK = {
    "mask-invert": "invert",
    "mask-grow": "grow",
    "mask-feather": "feather",
    "mask-fill": "fill",
    "mask-soft": "soft",
    "masked-only": "extent",
    "mask-padding": "padding",
}


def with_edits(parts: Parts, flags: Flags) -> Parts:
    """Return `parts` with what `flags` say of images, masks, extensions and regions. Raises RecipeError."""
    parts = _with_image(dict(parts), flags)
    parts = _with_mask(parts, flags)
    if flags.outpaint is not None:
        _needs_image(parts, "outpaint", flags.outpaint)
        if flags.mask is not None:
            raise RecipeError(
                "is not possible together with --mask",
                field="outpaint",
                value=flags.outpaint,
                hint="Draw one after the other.",
            )
        parts.pop("mask", None)  # of the drawing before, which this one goes on from
        parts["extend"] = {"kind": "extend", **_sides(flags.outpaint)}
    if flags.outpaint_step is not None:
        reach = whole("outpaint-step", flags.outpaint_step)
        if "extend" not in parts:
            hint = "Give --outpaint WHERE as well."
            raise RecipeError("nothing is extended", field="outpaint-step", value=reach, hint=hint)
        parts["extend"] = {**parts["extend"], "reach": reach}
    if (flags.mask is not None or flags.outpaint is not None) and flags.fit is None:
        parts["image"] = {**parts["image"], "fit": None}  # of the drawing before, which had another size
    parts = _with_variation(parts, flags)
    parts = with_larger(_with_controls(_with_regions(parts, flags), flags), flags)
    parts = with_refining(parts, flags)
    return with_adapters(with_of_model(with_micro(with_extras(parts, flags), flags), flags), flags)


def _with_image(parts: Parts, flags: Flags) -> Parts:
    changes: dict[str, Any] = {
        "strength": optional_real("strength", flags.strength),
        "start_step": optional_whole("start-step", flags.start_step),
        "fit": flags.fit,
        "keep_colour": True if flags.keep_colour else None,
    }
    asked = {field: value for field, value in changes.items() if value is not None}
    if flags.image is not None:
        # Another picture has other places, and another size; a mask's strength is not a picture's.
        if "mask" in parts or "extend" in parts:
            parts["image"] = {**parts.get("image", {}), "strength": None}
        parts = {kind: part for kind, part in parts.items() if kind not in ("mask", "extend")}
        parts["image"] = {**parts.get("image", {"kind": "image"}), "source": flags.image}
    if "strength" in asked and "start_step" in asked:
        raise RecipeError(
            "says the same as --strength",
            field="start-step",
            value=asked["start_step"],
            hint="Give one of the two.",
        )
    if asked:
        field = next(iter(asked))
        _needs_image(parts, field.replace("_", "-"), asked[field])
        before = dict(parts["image"])
        if "strength" in asked or "start_step" in asked:
            before |= {"strength": None, "start_step": None}
        parts["image"] = {**before, **asked}
    return parts


def _with_mask(parts: Parts, flags: Flags) -> Parts:
    changes: dict[str, Any] = {
        "mask-invert": True if flags.mask_invert else None,
        "mask-grow": optional_whole("mask-grow", flags.mask_grow),
        "mask-feather": optional_whole("mask-feather", flags.mask_feather),
        "mask-fill": flags.mask_fill,
        "mask-soft": True if flags.mask_soft else None,
        "masked-only": "masked" if flags.masked_only else None,
        "mask-padding": optional_whole("mask-padding", flags.mask_padding),
    }
    asked = {flag: value for flag, value in changes.items() if value is not None}
    if flags.mask is not None:
        _needs_image(parts, "mask", flags.mask)
        parts.pop("extend", None)
        place = {"source": None, "alpha": False, "area": None, **_mask(flags.mask)}
        parts["mask"] = {**parts.get("mask", {"kind": "mask"}), **place}
    if asked:
        if "mask" not in parts:
            flag = next(iter(asked))
            value = None if asked[flag] is True or flag == "masked-only" else asked[flag]
            raise RecipeError("there is no mask", field=flag, value=value, hint="Give --mask WHERE as well.")
        parts["mask"] = {**parts["mask"], **{_OF_MASK[flag]: value for flag, value in asked.items()}}
    return parts


def _with_regions(parts: Parts, flags: Flags) -> Parts:
    if len(flags.region) > MAX_REGIONS:
        raise RecipeError(f"must be at most {MAX_REGIONS}", field="region", value=len(flags.region))
    if flags.region:
        feather = parts.get("regions", {}).get("feather", 0.1)
        regions = [_region(entry) for entry in flags.region]
        parts["regions"] = {"kind": "regions", "regions": regions, "feather": feather}
    if flags.region_feather is not None:
        if "regions" not in parts:
            raise RecipeError(
                "there are no regions", field="region-feather", hint='Add --region "a frog@left".'
            )
        parts["regions"]["feather"] = optional_real("region-feather", flags.region_feather)
    return parts


def _with_variation(parts: Parts, flags: Flags) -> Parts:
    if flags.variation is not None:
        strength = real("variation", flags.variation)
        parts["variation"] = {**parts.get("variation", {"kind": "variation"}), "strength": strength}
    if flags.variation_seed is not None:
        seed = whole("variation-seed", flags.variation_seed)
        if "variation" not in parts:
            raise RecipeError(
                "there is no variation", field="variation-seed", value=seed, hint="Give --variation 0.2 too."
            )
        parts["variation"] = {**parts["variation"], "seed": seed}
    return parts


def _with_controls(parts: Parts, flags: Flags) -> Parts:
    controls: list[dict[str, Any]] = [dict(one) for one in parts.get("control", {}).get("controls", ())]
    if flags.control:
        controls = [{} if one == "image" else {"source": one} for one in flags.control]
        if "image" in flags.control:
            _needs_image(parts, "control", "image")
    for field, given in (
        ("model", flags.control_model),
        ("annotator", flags.control_annotator),
        ("weight", [real("control-weight", one) for one in flags.control_weight]),
        ("start", [real("control-start", one) for one in flags.control_start]),
        ("stop", [real("control-stop", one) for one in flags.control_stop]),
    ):
        if not given:
            continue
        if not controls:
            raise RecipeError(
                "there is nothing to follow", field=f"control-{field}", hint="Give --control FILE as well."
            )
        if len(given) not in (1, len(controls)):
            raise RecipeError(
                f"is given {len(given)} times for {len(controls)} controls",
                field=f"control-{field}",
                hint="Give it once for all of them, or once for each.",
            )
        for place, one in enumerate(controls):
            one[field] = given[0] if len(given) == 1 else given[place]
    if len(controls) > MAX_CONTROLS:
        raise RecipeError(f"must be at most {MAX_CONTROLS}", field="control", value=len(controls))
    if controls:
        parts["control"] = {"kind": "control", "controls": controls}
    return parts


def _mask(text: str) -> dict[str, Any]:
    if text.strip().casefold() == "alpha":
        return {"alpha": True}
    return _place("mask", text)


def _region(entry: str) -> dict[str, Any]:
    prompt, sign, where = entry.rpartition("@")
    if not sign or not where.strip():
        raise RecipeError(
            "does not say where", field="region", value=entry, hint='Write it as "a frog@left".'
        )
    return {"prompt": prompt.strip(), **_place("region", where.strip())}


def _place(flag: str, text: str) -> dict[str, Any]:
    """Return a rectangle, or else a file: a name such as "left" is a rectangle unless such a file exists."""
    try:
        if Path(text).is_file():
            return {"source": text}
    except (OSError, ValueError):  # far too long for a name
        pass
    try:
        parse_area(text, flag)
    except RecipeError:
        # Numbers, and a name without a suffix, were meant as a rectangle.
        if _NUMBERS.fullmatch(text) or not Path(text).suffix:
            raise
        return {"source": text}
    return {"area": text.strip()}


def _sides(text: str) -> dict[str, int]:
    if re.fullmatch(r"\s*\d{1,6}\s*", text):
        return _above_zero(dict.fromkeys(("left", "right", "top", "bottom"), int(text)), text)
    sides: dict[str, int] = {}
    for entry in text.split(","):
        match = _SIDE.fullmatch(entry.casefold())
        if match is None or match[1] in sides:
            raise RecipeError(
                "must name sides and pixels",
                field="outpaint",
                value=text,
                hint='For example right=64, or "left=32,top=16".',
            )
        sides[match[1]] = whole("outpaint", match[2])
    return _above_zero(sides, text)


def _above_zero(sides: dict[str, int], text: str) -> dict[str, int]:
    if not any(sides.values()):
        raise RecipeError("adds nothing", field="outpaint", value=text, hint="For example right=64.")
    return sides


def _needs_image(parts: Parts, flag: str, value: object) -> None:
    if "image" not in parts:
        shown = None if value is True else value
        raise RecipeError(
            "there is no picture to begin with", field=flag, value=shown, hint="Add --image FILE."
        )
