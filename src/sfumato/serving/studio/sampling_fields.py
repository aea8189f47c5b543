"""How a drawing is steered on every tab that draws: steps, guidance with its window, sampler and spacing."""

from collections.abc import Mapping
from typing import Any, Final

import gradio as gr

from sfumato.recipe.labels import SAMPLER_LABELS, SPACING_LABELS
from sfumato.recipe.model_defaults import ModelDefaults
from sfumato.serving.studio.forms import number_of, whole_of
from sfumato.serving.studio.words import Words

Parts = dict[str, Any]
FORM: Final = ("steps", "guidance", "guidance_start", "guidance_stop", "sampler", "spacing")


def build(words: Words, own: ModelDefaults) -> Parts:
    """Make the fields, in the place that is open; `own` is what the bundled model says of itself."""
    parts: Parts = {}
    with gr.Row():
        # Not gr.Number: as the browser opens this, it makes 0 of one that is empty (Gradio 6.31).
        parts["steps"] = gr.Textbox(
            "", label=words("steps"), placeholder=words("automatic", own.steps), max_lines=1
        )
        parts["guidance"] = gr.Textbox(
            "",
            label=words("guidance"),
            info=words("guidance_info"),
            placeholder=words("automatic", f"{own.guidance:g}"),
            max_lines=1,
        )
    with gr.Row():
        parts["guidance_start"] = gr.Slider(0, 1, value=0, step=0.05, label=words("guidance_start"))
        parts["guidance_stop"] = gr.Slider(0, 1, value=1, step=0.05, label=words("guidance_stop"))
    with gr.Row():
        left_open = (words("left_open"), "")
        samplers = [(SAMPLER_LABELS.get(name, name), name) for name in own.samplers]
        spacings = [(SPACING_LABELS.get(name, name), name) for name in own.spacings]
        parts["sampler"] = gr.Dropdown(
            [left_open, *samplers], value="", label=words("sampler"), min_width=200
        )
        parts["spacing"] = gr.Dropdown(
            [left_open, *spacings], value="", label=words("spacing"), min_width=200
        )
    return parts


def read(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the fields ask for, by the names of `FORM`; None is left to the model. Raises RecipeError
    for what is no number.
    """
    start, stop = values["guidance_start"], values["guidance_stop"]
    whole = (start, stop) == (0, 1)
    return {
        "steps": whole_of(values["steps"] or "", "steps"),
        "guidance": number_of(values["guidance"] or "", "guidance"),
        "guidance_start": None if whole else float(start),
        "guidance_stop": None if whole else float(stop),
        "sampler": values["sampler"] or None,
        "spacing": values["spacing"] or None,
    }


def written(asked: Mapping[str, Any], own: ModelDefaults) -> dict[str, Any]:
    """Return what stands in the fields when this is asked for with a model; a sampler or spacing that it does
    not know is left to it.
    """
    start, stop = asked["guidance_start"], asked["guidance_stop"]
    return {
        "steps": "" if asked["steps"] is None else str(asked["steps"]),
        "guidance": "" if asked["guidance"] is None else f"{asked['guidance']:.12g}",
        "guidance_start": 0 if start is None else start,
        "guidance_stop": 1 if stop is None else stop,
        "sampler": asked["sampler"] if asked["sampler"] in own.samplers else "",
        "spacing": asked["spacing"] if asked["spacing"] in own.spacings else "",
    }
