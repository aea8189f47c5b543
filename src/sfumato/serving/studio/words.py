"""What the page says, by names that looks can replace and languages translate."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

from sfumato.errors import RecipeError, closest
from sfumato.serving.studio.edit_texts import EDIT
from sfumato.serving.studio.film_texts import FILMS
from sfumato.serving.studio.finer_texts import FINER
from sfumato.serving.studio.learn_texts import LEARN
from sfumato.serving.studio.look import Look
from sfumato.serving.studio.models_texts import MODELS
from sfumato.serving.studio.picture_texts import PICTURES
from sfumato.serving.studio.saying_texts import SAYING

ENGLISH: Final[Mapping[str, str]] = {
    "skip": "Past the tabs",
    "tab_create": "Create",
    "tab_edit": "Edit",
    "tab_learn": "Learn",
    "tab_grid": "Grid",
    "tab_gallery": "Gallery",
    "tab_models": "Models",
    "prompt": "What do you want to see?",
    "prompt_hint": "for example: a fox in the snow at night",
    "size": "Shape",
    "count": "Pictures",
    "generate": "Generate",
    "stop": "Stop",
    "stop_all": "Stop all",
    "advanced": "Advanced",
    "in_use": "in use: {0}",
    "negative": "Leave out (negative prompt)",
    "model": "Model",
    "style": "Style",
    "sampler": "Sampler",
    "spacing": "Spacing",
    "steps": "Steps",
    "guidance": "Guidance",
    "guidance_info": "How closely the words are followed",
    "guidance_start": "Guidance from",
    "guidance_stop": "Guidance until",
    "seed": "Seed",
    "seed_info": "Empty: another one each time",
    "dice": "🎲 New seed",
    "loras": "Adapters",
    "loras_info": "<lora:name:0.8>, several side by side",
    "left_open": "as the model likes",
    "automatic": "automatic, e.g. {0}",
    "results": "Pictures",
    "vary": "Vary",
    "vary_subtle": "Vary a little",
    "vary_strong": "Vary a lot",
    "upscale": "Larger",
    "edit_this": "Edit this",
    "animate": "Animate",
    "how": "How it was made",
    "recipe": "Recipe",
    "download": "Download",
    "waiting": "Waiting",
    "waiting_of": "Waiting: {0} of {1}",
    "one_waits": "1 more waits",
    "more_wait": "{0} more wait",
    "in_line": "{0} before it",
    "drawing": "Drawing",
    "drawing_of": "Drawing {0} of {1}",
    "step_of": "step {0} of {1}",
    "seconds_left": "about {0} s left",
    "done_in": "Done in {0} s",
    "stopped": "Stopped",
    "some_stopped": "{0} stopped",
    "choose_picture": "Choose a picture first.",
    "search": "Search",
    "search_hint": "words of the prompt, or the model",
    "all_models": "all models",
    "favourites": "Favourites",
    "bin": "Bin",
    "favourite": "☆ Favourite",
    "unfavourite": "★ No favourite",
    "delete": "Into the bin",
    "restore": "Out of the bin",
    "empty_bin": "Empty the bin",
    "reuse": "Use these settings",
    "older": "Next page",
    "drop": "Drop a picture here: its settings fill the form",
    "dropped_bare": "This picture carries no settings.",
    "edit_dropped": "Edit it",
    "held_gone": "Chosen before, and not here any more: {0}.",
    "no_pictures": "Nothing here yet.",
    "details": "Details",
    "task": "What to do",
    "task_change": "Change it",
    "task_repaint": "Repaint what is marked",
    "task_extend": "More around it",
    "task_follow": "Follow its lines",
    "task_place": "Say what goes where",
    "task_mix": "Mix two prompts",
    "canvas": "Picture",
    "strength": "How much of it to draw anew",
    "feather": "Soft edge, pixels",
    "only_masked": "Draw only what is marked, enlarged",
    "keep_colour": "Keep its colours",
    "left": "Left",
    "right": "Right",
    "top": "Top",
    "bottom": "Bottom",
    "annotator": "Lines are found by",
    "weight": "How closely they are followed",
    "annotated": "What is followed",
    "other": "Mixed with",
    "share": "Share of the second prompt",
    "before_after": "Before and after",
    "draw_edit": "Draw",
    "look_again": "Refresh the list",
    "use_model": "Draw with this one",
    "cannot_draw": "Choose a model that can be drawn with first.",
    "column_name": "Name",
    "column_kind": "Kind",
    "column_family": "Family",
    "column_megabytes": "MB",
    "column_licence": "Licence",
    "private": "Nothing leaves this machine.",
    "look_close": "Close",
    "look_kept": "The look was not changed, as it cannot be used. {0}",
    "look_plain": "The look cannot be used: the page wears a plain one until that is mended. {0}",
    "look_changed": "The look was changed. What is on the canvas would be lost by showing it now.",
    "look_show": "Show it",
    "look_font": "The font {0} does not come along, and is not on this machine: another stands in for it.",
    "grid_about": "Settings crossed with each other: one picture for every combination, all with one noise.",
    "grid_across": "From column to column",
    "grid_down": "From row to row",
    "grid_none": "nothing",
    "grid_values": "Values",
    "grid_values_info": "Separated by commas; 1..4 stands for 1,2,3,4",
    "grid_seed_info": "Empty: a new one, the same for all cells",
    "grid_draw": "Draw the grid",
    "grid_progress": "Picture {0} of {1}",
    "grid_done": "{0} of {1} pictures; they are in the gallery as well",
    "grid_sheet": "The sheet as one picture",
    "grid_nothing": "One picture for every combination appears here.",
    **EDIT,
    **FINER,
    **FILMS,
    **LEARN,
    **MODELS,
    **PICTURES,
    **SAYING,
}
LANGUAGES: Final = ("en", "de", "nl", "es", "fr")
#: What is the same in every language: sources, names, and numbers alone.
SAME: Final = frozenset(
    {name for name in ENGLISH if name.endswith("_source") and "{" not in ENGLISH[name]}
    | {"column_megabytes", "learn_way_of", "preset_own", "model_fact_AutoV2", "model_fact_AutoV3"}
    | {"model_fact_sha256"}
) & frozenset(ENGLISH)


@dataclass(frozen=True)
class Words:
    """The words of one page."""

    table: Mapping[str, str]

    def __call__(self, name: str, *values: object) -> str:
        """Return the words called `name`, with `values` in the places {0}, {1} ..."""
        text = self.table[name]
        # Not str.format: what people write into a look must not reach into values.
        for place, value in enumerate(values):
            text = text.replace(f"{{{place}}}", str(value))
        return text


@cache
def translated(language: str) -> Mapping[str, str]:
    """Return the words of one of `LANGUAGES`, from its file; what it has not is said in English."""
    if language == "en":
        return {}
    file = files("sfumato.serving.studio") / "languages" / f"{language}.toml"
    table: dict[str, str] = tomllib.loads(file.read_text(encoding="utf-8"))
    return {name: text for name, text in table.items() if name in ENGLISH}


def words_of(look: Look) -> Words:
    """Return the words of a look. Raises RecipeError for a language or a name that is not known."""
    if look.language not in LANGUAGES:
        names = ", ".join(LANGUAGES)
        hint = f"Choose one of {names}, and replace words in [words]."
        raise RecipeError("is not known here", field="language", value=look.language, hint=hint)
    table = {**ENGLISH, **translated(look.language)}
    for name in look.words:
        if name not in ENGLISH:
            near = closest(name, ENGLISH)
            hint = None if near is None else f"Did you mean {near}?"
            raise RecipeError("names none of the page's words", field="words", value=name, hint=hint)
    return Words({**table, **look.words})
