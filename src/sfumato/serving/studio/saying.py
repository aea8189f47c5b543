"""What went wrong, in whole sentences that call a field as the page does, in its language as far as known."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from sfumato.errors import SfumatoError, shown
from sfumato.recipe.extras import MAX_CLIP_SKIP
from sfumato.recipe.hires import MAX_PASSES
from sfumato.recipe.values import MAX_CACHE_INTERVAL, MAX_SEED, MAX_SIZE, MAX_STEPS
from sfumato.serving.studio.film_forms import MOST
from sfumato.serving.studio.words import Words

#: The labels of the page, by their names among its words, and which fields they stand at: fields of forms, of
#: recipes with the part that they are in, and of options as the command line has them.
_AT: Final[Mapping[str, tuple[str, ...]]] = {
    "prompt": ("prompt", "prompts", "text.prompt"),
    "negative": ("negative", "text.negative"),
    "model": ("model",),
    "loras": ("loras", "lora", "adapters"),
    "style": ("style",),
    "size": ("size", "width", "height"),
    "count": ("count",),
    "seed": ("seed",),
    "steps": ("steps",),
    "guidance": ("guidance",),
    "guidance_start": ("guidance_start", "text.guidance_start"),
    "guidance_stop": ("guidance_stop", "text.guidance_stop"),
    "sampler": ("sampler",),
    "spacing": ("spacing",),
    "canvas": ("picture", "image", "image.source", "control.controls.source"),
    "name_mask": ("mask", "mask.source"),
    "strength": ("strength", "image.strength"),
    "feather": ("feather", "mask.feather"),
    "keep_colour": ("keep_colour", "image.keep_colour"),
    "left": ("left", "extend.left"),
    "right": ("right", "extend.right"),
    "top": ("top", "extend.top"),
    "bottom": ("bottom", "extend.bottom"),
    "control": ("control", "control.controls.model"),
    "annotator": ("annotator", "control_annotator", "control.controls.annotator"),
    "weight": ("weight", "control.controls.weight"),
    "boxes_name": ("places", "regions.regions.area", "regions.regions.prompt"),
    "other": ("other", "other prompt", "mix.prompts.prompt"),
    "third": ("third",),
    "share": ("share", "mix.prompts.ratio"),
    "third_share": ("third_share",),
    "mix_mode": ("mix_mode", "mode", "mix.mode"),
    "film_shown": ("film",),
    "animate": ("animate",),
    "film_frames": ("frames", "pictures"),
    "film_seeds": ("seeds",),
    "film_fps": ("fps",),
    "film_hold": ("hold",),
    "film_loop": ("loop",),
    "finer_rescale": ("rescale", "text.guidance_rescale"),
    "finer_image_guidance": ("image_guidance",),
    "finer_apg": ("apg", "extras.apg.eta", "extras.apg.norm", "extras.apg.momentum"),
    "finer_threshold": ("threshold", "extras.threshold"),
    "finer_pag": ("pag", "extras.pag"),
    "finer_freeu": ("freeu", "extras.freeu.b1", "extras.freeu.b2", "extras.freeu.s1", "extras.freeu.s2"),
    "finer_refiner": ("refiner", "refine.model"),
    "finer_refine_from": ("refine_from", "refine.start"),
    "finer_vae": ("vae", "vae.name"),
    "finer_clip_skip": ("clip_skip", "extras.clip_skip"),
    "finer_hires": ("hires", "hires.scale"),
    "finer_hires_strength": ("hires_strength", "hires.strength"),
    "finer_hires_method": ("hires_method", "hires.method"),
    "finer_hires_steps": ("hires_steps", "hires.steps"),
    "finer_hires_passes": ("hires_passes", "hires.passes"),
    "finer_hires_keep": ("hires_keep", "hires.keep"),
    "finer_windows": ("windows",),
    "finer_window": ("window", "hires.window", "windows.size"),
    "finer_overlap": ("overlap", "window_overlap", "hires.overlap", "windows.overlap"),
    "finer_fast": ("fast",),
    "finer_cache_interval": ("cache_interval",),
    "finer_eta": ("eta",),
    "finer_tiling": ("tiling", "extras.tiling"),
    "finer_prediction": ("prediction", "schedule.prediction"),
    "finer_zero_snr": ("zero_snr", "schedule.zero_snr"),
    "finer_variation": ("variation", "variation.strength"),
    "finer_variation_seed": ("variation_seed", "variation.seed"),
    "finer_original": ("original", "micro.original"),
    "finer_crop": ("crop", "micro.crop"),
    "finer_target": ("target", "micro.target"),
    "finer_negative_original": ("negative_original", "micro.negative_original"),
    "finer_score": ("score", "micro.score"),
    "finer_negative_score": ("negative_score", "micro.negative_score"),
    "grid_across": ("across",),
    "grid_down": ("down",),
    "learn_compare_other": ("learn_compare_other",),
    "models_name": ("name",),
    "models_dtype": ("dtype",),
    "models_layout": ("layout",),
}
#: The least and the most that whole numbers may be, by the labels of their fields.
_WHOLE: Final[Mapping[str, tuple[int, int]]] = {
    "steps": (1, MAX_STEPS),
    "seed": (0, MAX_SEED),
    "film_frames": (2, MOST),
    "film_seeds": (0, MAX_SEED),
    "finer_clip_skip": (1, MAX_CLIP_SKIP),
    "finer_hires_steps": (1, MAX_STEPS),
    "finer_hires_passes": (1, MAX_PASSES),
    "finer_window": (1, MAX_SIZE),
    "finer_cache_interval": (1, MAX_CACHE_INTERVAL),
    "finer_variation_seed": (0, MAX_SEED),
}
#: Parts of recipes by what the page calls what they do, where no field does.
_PARTS: Final[Mapping[str, str]] = {
    "image": "canvas",
    "mask": "name_mask",
    "extend": "task_extend",
    "control": "task_follow",
    "regions": "task_place",
    "mix": "task_mix",
    "low_res": "canvas",
    "text": "prompt",
    "extras": "finer",
    "hires": "finer_group_size",
    "schedule": "finer_prediction",
    "refine": "finer_refiner",
    "micro": "finer_original",
}
_CALLED: Final = {field: name for name, fields in _AT.items() for field in fields}
#: In fields: which one of several, of which the page shows one label.
_WHICH: Final = re.compile(r"\[\d+\]")
_BOX: Final = re.compile(r"box (\d)")
_ALL: Final = "recipe"  # the field of what does not agree with each other
#: What is known in all languages, by field (None: any) and message: {0} is the field, {1} what was given, {2}
#: what the pattern found, and {2} and {3} the least and the most of a whole number.
_KNOWN: Final[tuple[tuple[str | None, re.Pattern[str], str], ...]] = (
    ("mask", re.compile("is empty"), "say_mask"),
    ("picture", re.compile("is missing"), "extend_empty"),
    ("picture", re.compile("is no longer there"), "say_vanished"),
    ("other prompt", re.compile("is missing"), "say_other"),
    ("prompt", re.compile("is empty"), "prompt_needed_edit"),
    ("learn_compare_other", re.compile("is empty"), "say_beside"),
    ("sides", re.compile("adds nothing"), "say_sides"),
    (None, re.compile("is no number|must be a number"), "say_number"),
    (None, re.compile(r"must be at least (-?[0-9.]+)"), "say_at_least"),
    (None, re.compile(r"must be at most (-?[0-9.]+)"), "say_at_most"),
)
_NOT_WHOLE: Final = re.compile("is no whole number|must be a whole number")
_TYPED: Final = re.compile(r"[+-]?[0-9]{1,40}([.,][0-9]{1,20})?")  # what needs no quotes around it
#: What goes on after the name of what it speaks of.
_VERB: Final = re.compile(r"(is|are|has|have|must|may|can|cannot|needs?|adds?|lies|says) ")


def sentence_of(error: SfumatoError, words: Words) -> SfumatoError:
    """Return an error that says the same in a whole sentence; one that is about nothing on the page, or
    speaks for itself, is returned as it is.
    """
    field = error.field
    if field is None:
        return error
    label = label_of(field, words)
    given = "" if error.value is None else _given(error.value)
    if (ends := _ends_of(field, error.message)) is not None:
        return SfumatoError(words("say_whole", f"“{label}”", given, *ends))
    for about, pattern, name in _KNOWN:
        found = pattern.fullmatch(error.message)
        if found is not None and about in (None, field) and (about is not None or label is not None):
            bound = found[1].removesuffix(".0") if pattern.groups else ""
            return SfumatoError(words(name, f"“{label}”", given, bound))
    if label is None and field == _ALL and not _VERB.match(error.message):
        message = error.message[:1].upper() + error.message[1:]
        return SfumatoError(message, value=error.value, hint=error.hint)
    if label is None:
        return error
    between = " " if _VERB.match(error.message) else ": "
    return SfumatoError(f"“{label}”{between}{error.message}", value=error.value, hint=error.hint)


def _given(value: object) -> str:
    text = str(value).strip()
    return text.removesuffix(".0") if _TYPED.fullmatch(text) else shown(value)


def _ends_of(field: str, message: str) -> tuple[int, int] | None:
    """Return the least and the most of a field for whole numbers that `message` says is none, or beyond them;
    None for another field or message.
    """
    ends = _WHOLE.get(_CALLED.get(_plain(field), ""))
    if ends is None or _NOT_WHOLE.fullmatch(message) is not None:
        return ends
    return ends if message in (f"must be at least {ends[0]}", f"must be at most {ends[1]}") else None


def lost_line(lost: Iterable[tuple[str, str]], words: Words) -> str:
    """Return the line that says what of a recipe is left out: fields of it or kinds of parts, as the page
    calls them, and their names.
    """
    told: dict[str, None] = {}
    for field, name in lost:
        label = words(_PARTS[field]) if field in _PARTS else label_of(field, words) or field
        told[f"{label} “{name}”" if name else label] = None  # each once
    return words("settings_lost", ", ".join(told))


def label_of(field: str, words: Words) -> str | None:
    """Return what the page calls a field of a recipe or form; None for one that is not on it."""
    if (box := _BOX.fullmatch(field)) is not None:
        return words("boxes_box", box[1])
    name = _CALLED.get(_plain(field))
    return None if name is None else words(name)


def _plain(field: str) -> str:
    return _WHICH.sub("", field).replace("-", "_")
