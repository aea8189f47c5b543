"""Presets on the tab Create: a choice beside the style, and a place to keep and delete them."""

from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import gradio as gr

from sfumato.errors import SfumatoError
from sfumato.serving.desk import Desk
from sfumato.serving.studio.binding import CLICK
from sfumato.serving.studio.forms import Create
from sfumato.serving.studio.preset_forms import OWN, applied, choices_of, own_name, text_of
from sfumato.serving.studio.showing import problem_of
from sfumato.serving.studio.visitors import visitor_of
from sfumato.serving.studio.words import Words

Parts = dict[str, Any]


def choice(desk: Desk, words: Words) -> Parts:
    """Make what chooses one, in the place that is open."""
    choices = choices_of(desk.presets, "", words)  # nobody's own: who looks is told when the page loads
    return {"preset": gr.Dropdown(choices, value="", label=words("preset"), elem_id="sf-preset")}


def keeping(words: Words) -> Parts:
    """Make what keeps and deletes them, in the place that is open."""
    parts: Parts = {}
    parts["preset_name"] = gr.Textbox(
        "",
        label=words("preset_name"),
        placeholder=words("preset_name_hint"),
        max_lines=1,
        elem_id="sf-preset-name",
    )
    with gr.Row():
        parts["preset_keep"] = gr.Button(words("preset_save"), size="sm", elem_id="sf-preset-keep")
        parts["preset_delete"] = gr.Button(words("preset_delete"), size="sm", elem_id="sf-preset-delete")
    parts["preset_said"] = gr.HTML("", padding=False, elem_id="sf-preset-said")
    return parts


def connect(
    desk: Desk,
    words: Words,
    parts: Parts,
    form: Sequence[Any],
    read: Callable[[Sequence[Any]], Create],
    show: Callable[[Create], list[Any]],
) -> None:
    """Connect them with the parts `form`: `read` makes a form of their values, and `show` values of one."""

    def choices(owner: str, chosen: str = "") -> gr.Dropdown:
        return gr.Dropdown(choices=choices_of(desk.presets, owner, words), value=chosen)

    def choose(request: gr.Request, chosen: str, *values: Any) -> list[Any]:
        if not chosen:
            return [gr.skip()] * (len(form) + 1)
        try:
            return [*show(applied(chosen, read(values), desk.presets, visitor_of(request))), ""]
        except SfumatoError as error:
            return [*[gr.skip()] * len(form), problem_of(error)]

    def keep(request: gr.Request, name: str, *values: Any) -> tuple[Any, ...]:
        owner = visitor_of(request)
        try:
            kept = desk.presets.keep(name or "", text_of(read(values)), owner)
        except SfumatoError as error:
            return gr.skip(), gr.skip(), problem_of(error)
        return choices(owner, OWN + kept), "", _said(words("preset_kept", kept))

    def delete(request: gr.Request, chosen: str) -> tuple[Any, ...]:
        owner, name = visitor_of(request), own_name(chosen or "")
        if name is None:
            return gr.skip(), problem_of(words("preset_choose"))
        try:
            desk.presets.delete(name, owner)
        except SfumatoError as error:
            return choices(owner), problem_of(error)
        return choices(owner), _said(words("preset_deleted", name))

    def load(request: gr.Request) -> gr.Dropdown:
        # Not its value: somebody may have chosen before the answer came.
        return gr.Dropdown(choices=choices_of(desk.presets, visitor_of(request), words))

    preset, said = parts["preset"], parts["preset_said"]
    preset.input(choose, [preset, *form], [*form, said], queue=False, **CLICK)
    outputs = [preset, parts["preset_name"], said]
    triggers = [parts["preset_keep"].click, parts["preset_name"].submit]
    gr.on(triggers, keep, [parts["preset_name"], *form], outputs, queue=False, **CLICK)
    parts["preset_delete"].click(delete, preset, [preset, said], queue=False, **CLICK)
    # What is to be called as the page is opened, by those who have presets of their own.
    parts["presets"] = (load, None, preset)
    parts["kept_presets"] = lambda owner: choices_of(desk.presets, owner, words) != preset.choices


def _said(text: str) -> str:
    return f'<div class="sf-line" role="status">{escape(text)}</div>'
