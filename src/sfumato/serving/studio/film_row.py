"""The task "Mix two prompts" as a film: what is asked beside the two prompts, and the button beside Draw."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import gradio as gr

from sfumato.recipe.morph import FPS, HOLD
from sfumato.serving.studio import film_box
from sfumato.serving.studio.area import Area
from sfumato.serving.studio.edit_forms import Edit
from sfumato.serving.studio.film_forms import Film, wish_of
from sfumato.serving.studio.filming import Filming
from sfumato.serving.studio.line import Way
from sfumato.serving.studio.words import Words

Parts = dict[str, Any]
FIELDS: Final = ("film_seeds", "film_frames", "film_fps", "film_hold", "film_loop")
FASTEST: Final = 30
LONGEST_HELD: Final = 5.0  # seconds


def button(words: Words) -> Parts:
    """Make the button, in the place that is open, and return it by name."""
    go = gr.Button(words("film"), size="lg", elem_id="sf-edit-film", scale=2, visible=False)
    return {"film_go": go}


def fields(words: Words) -> Parts:
    """Make the fields, in the place that is open, and return them and their group by name."""
    parts: Parts = {}
    with (
        gr.Column(visible=False) as parts["of_film"],
        gr.Accordion(words("film_settings"), open=False, elem_id="sf-edit-film-settings"),
    ):
        gr.Markdown(words("film_about"), elem_classes="sf-quiet")
        with gr.Row():
            parts["film_frames"] = gr.Textbox(
                "", label=words("film_frames"), info=words("film_frames_info"), max_lines=1, min_width=140
            )
            parts["film_seeds"] = gr.Textbox(
                "", label=words("film_seeds"), info=words("film_seeds_info"), max_lines=1, min_width=140
            )
        with gr.Row():
            parts["film_fps"] = gr.Slider(
                1, FASTEST, value=FPS, step=1, label=words("film_fps"), min_width=140
            )
            parts["film_hold"] = gr.Slider(
                0, LONGEST_HELD, value=HOLD, step=0.1, label=words("film_hold"), min_width=140
            )
        parts["film_loop"] = gr.Checkbox(False, label=words("film_loop"))
    return parts


def box(words: Words) -> Parts:
    """Make the place where the film is shown, in the place that is open, and return it by name."""
    return {"film_box": film_box.build(words, "sf-edit-film-shown", "film_shown", "film_save")}


def connect(
    shown: Area, parts: Parts, form: Sequence[Any], edit_of_values: Callable[[Sequence[Any]], Edit]
) -> None:
    """Have the button ask for a film of the `form` of the tab, which `edit_of_values` reads, and the fields.
    How far it is stands where the tab says so of its pictures.
    """
    desk = shown.desk

    def film(*values: Any) -> Way:
        more: dict[str, Any] = dict(zip(FIELDS, values[len(form) :], strict=True))
        wish = wish_of(film_of(edit_of_values(values[: len(form)]), more))
        return Way(wish.frames[0], Filming(desk.settings, desk.models, wish, desk.films).draw)

    shown.draws([parts["film_go"].click], film, [*form, *(parts[name] for name in FIELDS)])
    film_box.connect(parts["film_box"], shown, lambda reel: reel.of == 0)


def film_of(edit: Edit, more: Mapping[str, Any]) -> Film:
    """Return what stands on the page."""
    return Film(
        edit,
        seeds=more["film_seeds"] or "",
        frames=more["film_frames"] or "",
        fps=float(more["film_fps"]),
        hold=float(more["film_hold"]),
        loop=bool(more["film_loop"]),
    )
