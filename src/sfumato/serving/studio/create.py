"""The tab Create: a prompt, one button, and what comes of it."""

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from sfumato.errors import RecipeError
from sfumato.models.folders import BUNDLED, is_known
from sfumato.models.load import find_model, list_models
from sfumato.recipe.image import Recipe
from sfumato.recipe.model_defaults import ModelDefaults
from sfumato.recipe.resolve import random_seed
from sfumato.serving.desk import Desk
from sfumato.serving.studio import area, examples, finer, folded, lora_row, preset_row, sampling_fields
from sfumato.serving.studio.area import Area
from sfumato.serving.studio.binding import CLICK, kindly
from sfumato.serving.studio.forms import (
    STYLES,
    Create,
    recipe_of_create,
    seed_of,
    size_of,
)
from sfumato.serving.studio.look import Look
from sfumato.serving.studio.sizes import sizes_of
from sfumato.serving.studio.words import Words

Parts = dict[str, Any]  # the components of a tab, by name
MOST: int = 12  # pictures at once, on the page


def build(desk: Desk, words: Words, look: Look) -> Parts:
    """Make the tab, in the place that is open, and return its parts."""
    own = find_model(BUNDLED, desk.settings).defaults
    parts: Parts = {}
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=320):
            parts["prompt"] = gr.Textbox(
                value=look.prompt,
                label=words("prompt"),
                placeholder=words("prompt_hint"),
                lines=3,
                max_lines=10,
                autofocus=True,
                elem_id="sf-prompt",
            )
            parts |= examples.build(parts["prompt"], words, look)
            shapes = [*sizes_of(own)]
            parts["size"] = gr.Radio(shapes, value=shapes[0], label=words("size"), elem_classes="sf-chips")
            with gr.Row():
                parts["style"] = gr.Dropdown([*STYLES], value=next(iter(STYLES)), label=words("style"))
                parts |= preset_row.choice(desk, words)
            with gr.Row():
                parts["generate"] = gr.Button(
                    words("generate"), variant="primary", size="lg", elem_id="sf-generate", scale=3
                )
                parts["stop"] = gr.Button(
                    words("stop"), variant="stop", size="lg", elem_id="sf-stop", scale=1
                )
            parts["count"] = gr.Slider(1, MOST, value=1, step=1, label=words("count"))
            with folded.fold(words, "create") as advanced:
                parts |= _advanced(desk, words, own)
                parts |= lora_row.build(words)
                parts |= finer.build(desk, words, "create")
                parts |= preset_row.keeping(words)
            parts["drop"] = gr.File(
                label=words("drop"),
                file_types=[".png", ".jpg", ".jpeg", ".webp"],
                height=160,
                elem_id="sf-drop",
            )
            parts["dropped"] = gr.HTML("", padding=False, elem_id="sf-dropped")
            parts["edit_dropped"] = gr.Button(words("edit_dropped"), size="sm", visible=False)
        with gr.Column(scale=6, min_width=320):
            parts["area"] = area.build(desk, words, "create")
            gr.Markdown(words("private"), elem_classes="sf-quiet")
    _connect(desk, words, parts)
    lora_row.connect(desk, words, parts, advanced)
    finer.connect(desk, words, parts, advanced)
    preset_row.connect(
        desk,
        words,
        parts,
        [parts[name] for name in FORM],
        lambda values: _standing(values, desk),
        lambda form: filled(form, desk),
    )
    parts["folded"] = folded.inside(advanced, [parts[name] for name in FORM])
    # Choices that are filled in later: what was chosen is not taken up when the page is loaded again.
    parts["late"] = [parts["size"], parts["lora"], parts["preset"], *finer.late(parts)]
    return parts


def _advanced(desk: Desk, words: Words, own: ModelDefaults) -> Parts:
    parts: Parts = {}
    names = [one.name for one in list_models(desk.settings) if one.problem is None]
    parts["model"] = gr.Dropdown(names, value=BUNDLED, label=words("model"))
    parts["negative"] = gr.Textbox("", label=words("negative"), lines=1, max_lines=6)
    parts |= sampling_fields.build(words, own)
    with gr.Row(equal_height=True):
        parts["seed"] = gr.Textbox("", label=words("seed"), info=words("seed_info"), max_lines=1, scale=3)
        parts["dice"] = gr.Button(words("dice"), scale=1)
    parts["loras"] = gr.Textbox("", label=words("loras"), info=words("loras_info"), max_lines=2)
    return parts


FORM: tuple[str, ...] = (
    "prompt",
    "negative",
    "model",
    "size",
    "count",
    "seed",
    *sampling_fields.FORM,
    "style",
    "loras",
    *finer.FORM,
)


def form_of(values: Mapping[str, Any], desk: Desk) -> Create:
    """Return the form that stands on the page. Raises RecipeError for what is no number."""
    sizes = sizes_of(find_model(values["model"], desk.settings, paths=False).defaults)
    first = next(iter(sizes))
    return Create(
        prompt=values["prompt"] or "",
        negative=values["negative"] or "",
        model=values["model"],
        size=None if values["size"] == first else sizes.get(values["size"], size_of(values["size"])),
        count=int(values["count"]),
        seed=seed_of(values["seed"] or ""),
        style=values["style"],
        loras=values["loras"] or "",
        finer=finer.form_of(values, desk),
        **sampling_fields.read(values),
    )


def _standing(values: Sequence[Any], desk: Desk) -> Create:
    """Return the form on the page; what is no number is taken for nothing."""
    named = dict(zip(FORM, values, strict=True))
    try:
        return form_of(named, desk)
    except RecipeError:
        return form_of({**named, "seed": "", "steps": "", "guidance": "", **finer.emptied()}, desk)


def filled(form: Create, desk: Desk) -> list[Any]:
    """Return what the parts of `FORM` become when `form` stands in them. A model that is not here gives way
    to the bundled one, a sampler or spacing to what the model likes, and a size that is no chip becomes one.
    """
    model = form.model if is_known(form.model, desk.settings) else BUNDLED
    own = find_model(model, desk.settings, paths=False).defaults
    sizes = sizes_of(own)
    wanted = next(iter(sizes.values())) if form.size is None else form.size
    chosen = next((name for name, size in sizes.items() if size == wanted), None)
    if chosen is None:
        chosen = f"{wanted[0]} x {wanted[1]}"
    values: dict[str, Any] = {
        **{name: vars(form)[name] for name in ("prompt", "negative", "count")},
        **sampling_fields.written(vars(form), own),
        "model": model,
        "size": gr.Radio(choices=[*sizes] if chosen in sizes else [*sizes, chosen], value=chosen),
        "seed": "" if form.seed is None else str(form.seed),
        "style": form.style if form.style in STYLES else next(iter(STYLES)),
        "loras": form.loras,
        **finer.filled(form.finer, model, desk),
    }
    return [values[name] for name in FORM]


def _connect(desk: Desk, words: Words, parts: Parts) -> None:
    shown: Area = parts["area"]

    def recipe(*values: Any) -> Recipe:
        form = form_of(dict(zip(FORM, values, strict=True)), desk)
        if not form.prompt.strip():  # a style alone says nothing either
            raise RecipeError(words("prompt_needed"))
        return recipe_of_create(form)

    triggers = [parts["generate"].click, parts["prompt"].submit, *parts["taken"]]
    shown.draws(triggers, recipe, [parts[name] for name in FORM])
    shown.stops(parts["stop"])

    @kindly  # it went away with its folder
    def shapes(model: str, refiner: str) -> list[Any]:
        sizes = [*sizes_of(find_model(model, desk.settings, paths=False).defaults)]
        return [gr.Radio(choices=sizes, value=sizes[0]), *finer.shown_for(model, refiner, desk)]

    # Each model has sizes that it draws well, and things that it can do. What fills the form brings its own.
    outputs = [parts["size"], *finer.bound(parts)]
    of_model = ([parts["model"], parts["finer_refiner"]], outputs)
    parts["model"].input(shapes, *of_model, queue=False, **CLICK)

    def taken_up(model: str, refiner: str) -> list[Any]:
        return [gr.skip()] * len(outputs) if model == BUNDLED else shapes(model, refiner)

    # After the page was loaded again, with the model that was chosen before.
    parts["shapes"] = (taken_up, *of_model)
    parts["dice"].click(_dice, None, parts["seed"], queue=False, api_visibility="private")


def _dice() -> str:
    return str(random_seed())
