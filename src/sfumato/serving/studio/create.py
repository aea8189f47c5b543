"""The tab Create: a prompt, one button, and what comes of it."""

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from sfumato.errors import RecipeError, SfumatoError
from sfumato.models.folders import BUNDLED, is_known
from sfumato.models.load import find_model, list_models
from sfumato.recipe.image import Recipe
from sfumato.recipe.labels import SAMPLER_LABELS, SPACING_LABELS
from sfumato.recipe.model_defaults import ModelDefaults
from sfumato.recipe.resolve import random_seed
from sfumato.serving.desk import Desk
from sfumato.serving.studio import area, lora_row, preset_row
from sfumato.serving.studio.area import Area
from sfumato.serving.studio.forms import (
    STYLES,
    Create,
    number_of,
    recipe_of_create,
    seed_of,
    size_of,
    whole_of,
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
            with gr.Accordion(words("advanced"), open=False) as advanced:
                parts |= _advanced(desk, words, own)
                parts |= lora_row.build(words)
                parts |= preset_row.keeping(words)
            parts["drop"] = gr.File(
                label=words("drop"),
                file_types=[".png", ".jpg", ".jpeg", ".webp"],
                height=160,
                elem_id="sf-drop",
            )
        with gr.Column(scale=6, min_width=320):
            parts["area"] = area.build(desk, words, "create")
            gr.Markdown(words("private"), elem_classes="sf-quiet")
    _connect(desk, parts)
    lora_row.connect(desk, words, parts, advanced)
    preset_row.connect(
        desk,
        words,
        parts,
        [parts[name] for name in FORM],
        lambda values: _standing(values, desk),
        lambda form: filled(form, desk),
    )
    # Choices that are filled in later: what was chosen is not taken up when the page is loaded again.
    parts["late"] = [parts["size"], parts["lora"], parts["preset"]]
    return parts


def _advanced(desk: Desk, words: Words, own: ModelDefaults) -> Parts:
    parts: Parts = {}
    names = [one.name for one in list_models(desk.settings) if one.problem is None]
    parts["model"] = gr.Dropdown(names, value=BUNDLED, label=words("model"))
    parts["negative"] = gr.Textbox("", label=words("negative"), lines=1, max_lines=6)
    with gr.Row():
        # Not gr.Number: as the browser opens this, it makes 0 of one that is empty (Gradio 6.31).
        parts["steps"] = gr.Textbox("", label=words("steps"), placeholder=str(own.steps), max_lines=1)
        parts["guidance"] = gr.Textbox(
            "",
            label=words("guidance"),
            info=words("guidance_info"),
            placeholder=f"{own.guidance:g}",
            max_lines=1,
        )
    with gr.Row():
        parts["guidance_start"] = gr.Slider(0, 1, value=0, step=0.05, label=words("guidance_start"))
        parts["guidance_stop"] = gr.Slider(0, 1, value=1, step=0.05, label=words("guidance_stop"))
    with gr.Row():
        left_open = (words("left_open"), "")
        samplers = [(SAMPLER_LABELS.get(name, name), name) for name in own.samplers]
        spacings = [(SPACING_LABELS.get(name, name), name) for name in own.spacings]
        parts["sampler"] = gr.Dropdown([left_open, *samplers], value="", label=words("sampler"))
        parts["spacing"] = gr.Dropdown([left_open, *spacings], value="", label=words("spacing"))
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
    "steps",
    "guidance",
    "guidance_start",
    "guidance_stop",
    "sampler",
    "spacing",
    "style",
    "loras",
)


def form_of(values: Mapping[str, Any], desk: Desk) -> Create:
    """Return the form that stands on the page. Raises RecipeError for what is no number."""
    sizes = sizes_of(find_model(values["model"], desk.settings, paths=False).defaults)
    first = next(iter(sizes))
    start, stop = values["guidance_start"], values["guidance_stop"]
    return Create(
        prompt=values["prompt"] or "",
        negative=values["negative"] or "",
        model=values["model"],
        size=None if values["size"] == first else sizes.get(values["size"], size_of(values["size"])),
        count=int(values["count"]),
        seed=seed_of(values["seed"] or ""),
        steps=whole_of(values["steps"] or "", "steps"),
        guidance=number_of(values["guidance"] or "", "guidance"),
        guidance_start=None if (start, stop) == (0, 1) else float(start),
        guidance_stop=None if (start, stop) == (0, 1) else float(stop),
        sampler=values["sampler"] or None,
        spacing=values["spacing"] or None,
        style=values["style"],
        loras=values["loras"] or "",
    )


def _standing(values: Sequence[Any], desk: Desk) -> Create:
    """Return the form on the page; what is no number is taken for nothing."""
    named = dict(zip(FORM, values, strict=True))
    try:
        return form_of(named, desk)
    except RecipeError:
        return form_of({**named, "seed": "", "steps": "", "guidance": ""}, desk)


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
    window = (form.guidance_start, form.guidance_stop)
    values: dict[str, Any] = {
        **{name: vars(form)[name] for name in ("prompt", "negative", "count")},
        "steps": "" if form.steps is None else str(form.steps),
        "guidance": "" if form.guidance is None else f"{form.guidance:.12g}",
        "model": model,
        "size": gr.Radio(choices=[*sizes] if chosen in sizes else [*sizes, chosen], value=chosen),
        "seed": "" if form.seed is None else str(form.seed),
        "guidance_start": 0 if window[0] is None else window[0],
        "guidance_stop": 1 if window[1] is None else window[1],
        "sampler": form.sampler if form.sampler in own.samplers else "",
        "spacing": form.spacing if form.spacing in own.spacings else "",
        "style": form.style if form.style in STYLES else next(iter(STYLES)),
        "loras": form.loras,
    }
    return [values[name] for name in FORM]


def _connect(desk: Desk, parts: Parts) -> None:
    shown: Area = parts["area"]

    def recipe(*values: Any) -> Recipe:
        return recipe_of_create(form_of(dict(zip(FORM, values, strict=True)), desk))

    triggers = [parts["generate"].click, parts["prompt"].submit]
    shown.draws(triggers, recipe, [parts[name] for name in FORM])
    shown.stops(parts["stop"])

    def shapes(model: str) -> gr.Radio:
        try:
            sizes = [*sizes_of(find_model(model, desk.settings, paths=False).defaults)]
        except SfumatoError as error:  # it went away with its folder
            raise gr.Error(str(error), print_exception=False) from None
        return gr.Radio(choices=sizes, value=sizes[0])

    # Each model has sizes that it draws well. What fills the form brings its own.
    of_model = (parts["model"], parts["size"])
    parts["model"].input(shapes, *of_model, queue=False, **_QUICK)
    # After the page was loaded again, with the model that was chosen before.
    parts["shapes"] = (lambda model: gr.skip() if model == BUNDLED else shapes(model), *of_model)
    parts["dice"].click(_dice, None, parts["seed"], queue=False, api_visibility="private")


_QUICK: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}


def _dice() -> str:
    return str(random_seed())
