"""Where everything stands on the tab Learn: what to draw, its panel, files to take along, and experiments."""

from html import escape
from importlib.util import find_spec
from typing import Any

import gradio as gr

from sfumato.models.backends.selection import TORCH_STACK
from sfumato.recipe.labels import SAMPLER_LABELS
from sfumato.recipe.model_defaults import ModelDefaults
from sfumato.serving.studio.film_box import format_of
from sfumato.serving.studio.learn_forms import COMPARED, EXAMPLES, MOST_STEPS
from sfumato.serving.studio.learn_look import SCRIPT
from sfumato.serving.studio.learn_page import about, nothing_yet, schedule_of
from sfumato.serving.studio.look import Look
from sfumato.serving.studio.words import Words

Parts = dict[str, Any]


def lay_out(own: ModelDefaults, words: Words, look: Look) -> Parts:
    """Make all parts of the tab, in the place that is open, and return them by name; `own` is what the
    bundled model likes.
    """
    samplers = [(SAMPLER_LABELS.get(name, name), name) for name in own.samplers]
    parts: Parts = {"shown": gr.State(None), "job": gr.State("")}
    gr.Markdown(words("learn_about"))
    with gr.Row(equal_height=True):
        parts["prompt"] = gr.Textbox(
            value=look.prompt,
            label=words("prompt"),
            placeholder=words("prompt_hint"),
            max_lines=4,
            scale=5,
            elem_id="sf-learn-prompt",
        )
        parts["show"] = gr.Button(
            words("learn_show"),
            variant="primary",
            size="lg",
            scale=2,
            elem_id="sf-learn-show",
            elem_classes="sf-go",
        )
        parts["stop"] = gr.Button(
            words("stop"), variant="stop", size="lg", scale=1, min_width=80, elem_classes="sf-stop"
        )
    with gr.Row(elem_id="sf-learn-examples"):
        gr.HTML(f'<span class="sf-quiet">{escape(words("learn_examples"))}</span>', padding=False)
        parts["examples"] = [gr.Button(one, size="sm", min_width=80) for one in EXAMPLES]
    with gr.Accordion(words("learn_settings"), open=False), gr.Row():
        parts["steps"] = gr.Slider(1, MOST_STEPS, value=own.steps, step=1, label=words("steps"))
        parts["guidance"] = gr.Slider(0, 10, value=own.guidance, step=0.25, label=words("guidance"))
        parts["sampler"] = gr.Dropdown(samplers, value=own.sampler, label=words("sampler"))
        parts["seed"] = gr.Textbox(
            "", label=words("seed"), info=words("seed_info"), max_lines=1, elem_id="sf-learn-seed"
        )
    with gr.Column(elem_classes=["sf-place", "sf-whole"]):
        parts["progress"] = gr.HTML("", elem_id="sf-learn-progress", elem_classes="sf-told", padding=False)
        parts["panel"] = _panel("lesson", nothing_yet(words))
    with gr.Accordion(words("learn_export"), open=False):
        parts |= _export(words)
    gr.HTML(f'<div class="sf-learn"><h2>{escape(words("learn_more"))}</h2></div>', padding=False)
    gr.Markdown(words("learn_gallery"), elem_classes="sf-quiet")
    return parts | _experiments(words, samplers, own.steps)


def _panel(name: str, value: str = "") -> gr.HTML:
    """Return a place for what a drawing shows, in which sliders move without the server."""
    return gr.HTML(value, js_on_load=SCRIPT, elem_id=f"sf-learn-{name}", padding=False)


def _export(words: Words) -> Parts:
    ways = [(words("learn_shown_x0"), "x0"), (words("learn_shown_noisy"), "noisy")]
    parts: Parts = {}
    with gr.Row(equal_height=True):
        with gr.Column():
            parts["format"] = format_of(words, "sf-learn-format")
        parts["way"] = gr.Radio(ways, value="x0", label=words("learn_shown"))
    with gr.Row():
        parts["make"] = gr.Button(words("learn_make"), elem_id="sf-learn-make")
        parts["page"] = gr.Button(words("learn_page"), elem_id="sf-learn-page")
    parts["file"] = gr.File(
        label=words("learn_file"), interactive=False, visible=False, elem_id="sf-learn-file"
    )
    parts["trouble"] = gr.HTML("", padding=False)
    return parts


def _experiments(words: Words, samplers: list[tuple[str, str]], steps: int) -> Parts:
    parts: Parts = {}
    with gr.Accordion(words("learn_heat"), open=False):
        gr.HTML(about(words, "learn_heat"), padding=False)
        if any(find_spec(name) is None for name in TORCH_STACK):
            gr.Markdown(words("learn_heat_needs"))
        parts["heat_go"] = _go(words, "heat")
        parts["heat"] = _panel("heat")
    with gr.Accordion(words("learn_compare"), open=False):
        gr.HTML(about(words, "learn_compare"), padding=False)
        with gr.Row(equal_height=True):
            kinds = [(words(f"learn_compare_{one}"), one) for one in COMPARED]
            parts["what"] = gr.Radio(kinds, value="prompt", label=words("learn_compare_what"))
            parts["other"] = gr.Textbox("", label=words("learn_compare_other"), elem_id="sf-learn-other")
            parts["other_sampler"] = gr.Dropdown(
                samplers, value=samplers[0][1], label=words("sampler"), visible=False
            )
        parts["compare_go"] = _go(words, "compare")
        parts["compare"] = _panel("compare")
    with gr.Accordion(words("learn_begin"), open=False):
        gr.HTML(about(words, "learn_begin"), padding=False)
        with gr.Row(equal_height=True):
            parts["begin_step"] = gr.Slider(
                0,
                steps,
                value=begun_after(steps),
                step=1,
                label=words("learn_begin_step"),
                elem_id="sf-learn-begin-step",
            )
            parts["begin_prompt"] = gr.Textbox(
                "", label=words("learn_begin_prompt"), elem_id="sf-learn-begin-prompt"
            )
        parts["begin_go"] = _go(words, "begin")
        parts["begin"] = _panel("begin")
    with gr.Accordion(words("learn_mix"), open=False):
        gr.HTML(about(words, "learn_mix"), padding=False)
        parts["mix_other"] = gr.Textbox("", label=words("learn_mix_other"), elem_id="sf-learn-mix-other")
        parts["mix_go"] = _go(words, "mix")
        parts["mix"] = _panel("mix")
    with gr.Accordion(words("learn_schedule"), open=False):
        _panel("schedule", schedule_of(words))
    return parts


def begun_after(steps: int) -> int:
    """Return after how many of `steps` image to image begins where nobody says it: two in five."""
    return round(0.4 * steps)


def _go(words: Words, name: str) -> gr.Button:
    return gr.Button(words(f"learn_{name}_go"), elem_id=f"sf-learn-{name}-go", elem_classes="sf-go")
