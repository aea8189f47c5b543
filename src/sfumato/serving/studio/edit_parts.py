"""The fields of the tab Edit that belong to one thing to do each: groups, of which one or two are shown."""

from collections.abc import Mapping
from html import escape
from typing import Any, Final

import gradio as gr

from sfumato.imaging.annotators import ANNOTATORS
from sfumato.models.controlnets import known_controlnets
from sfumato.models.folders import BUNDLED
from sfumato.models.load import find_model
from sfumato.serving.desk import Desk
from sfumato.serving.studio import dragging
from sfumato.serving.studio.sizes import sizes_of
from sfumato.serving.studio.words import Words

Parts = dict[str, Any]
#: Which groups of fields each task shows.
SHOWN: Final[Mapping[str, frozenset[str]]] = {
    "change": frozenset({"of_image"}),
    "repaint": frozenset({"of_image", "of_mask"}),
    "extend": frozenset({"of_sides"}),
    "follow": frozenset({"of_lines", "of_size"}),
    "place": frozenset({"of_places", "of_size"}),
    "mix": frozenset({"of_mix", "of_film", "film_go", "of_size"}),
}
GROUPS: Final = (
    "of_image",
    "of_mask",
    "of_sides",
    "of_lines",
    "of_places",
    "of_mix",
    "of_film",
    "film_go",
    "of_size",
)
_SIDE: Final = 32  # pixels more at the left and at the right, to begin with
_MODES: Final = ("branches", "embeddings", "bands")


def build(desk: Desk, words: Words) -> Parts:
    """Make the groups, in the place that is open, and return them and their fields by name."""
    parts: Parts = {}
    with gr.Column(visible=False) as parts["of_sides"]:
        sides = {side: _SIDE if side in ("left", "right") else 0 for side in dragging.SIDES}
        parts["frame"] = dragging.extension(words, sides, desk.settings.max_pixels)
        with gr.Row():
            for side, pixels in sides.items():
                # Without a minimum: Gradio would refuse every task, and the field may not be shown by then.
                parts[side] = gr.Number(pixels, label=words(side), precision=0, min_width=70)
    with gr.Column(visible=False) as parts["of_places"]:
        parts["places"] = dragging.boxes(words)
        parts["begin"] = gr.Checkbox(False, label=words("begin"), elem_id="sf-begin")
    with gr.Group(visible=True) as parts["of_image"]:
        parts["strength"] = gr.Slider(
            0, 1, value=0.75, step=0.05, label=words("strength"), info=words("strength_info")
        )
        parts["keep_colour"] = gr.Checkbox(False, label=words("keep_colour"))
    with gr.Group(visible=False) as parts["of_mask"]:
        gr.HTML(f'<p class="sf-quiet">{escape(words("mask_hint"))}</p>', padding=True)
        parts["feather"] = gr.Slider(
            0, 64, value=4, step=1, label=words("feather"), info=words("feather_info")
        )
        parts["only_masked"] = gr.Checkbox(False, label=words("only_masked"))
    with gr.Group(visible=False) as parts["of_lines"]:
        _lines(desk, words, parts)
    with gr.Group(visible=False) as parts["of_mix"]:
        _mix(words, parts)
    with gr.Group(visible=False) as parts["of_size"]:
        sizes = [*sizes_of(find_model(BUNDLED, desk.settings).defaults)]
        parts["size"] = gr.Radio(
            sizes, value=sizes[0], label=words("edit_size"), elem_id="sf-edit-size", elem_classes="sf-chips"
        )
    return parts


def _lines(desk: Desk, words: Words, parts: Parts) -> None:
    names = [*known_controlnets(desk.settings)]
    with gr.Row():
        parts["control"] = gr.Dropdown(names, value=names[0], label=words("control"), min_width=140)
        own = (words("left_open"), "")
        finished = (words("map_is_finished"), "none")
        parts["annotator"] = gr.Dropdown(
            [own, *((one, one) for one in ANNOTATORS), finished],
            value="",
            label=words("annotator"),
            min_width=140,
        )
    parts["weight"] = gr.Slider(0, 2, value=1, step=0.05, label=words("weight"), info=words("weight_info"))
    parts["annotated"] = gr.Image(
        label=words("annotated"),
        alt_text=words("annotated"),
        type="numpy",
        format="png",
        height=240,
        buttons=["download", "fullscreen"],
        interactive=False,
        elem_id="sf-annotated",
    )


def _mix(words: Words, parts: Parts) -> None:
    parts["other"] = gr.Textbox("", label=words("other"), max_lines=3)
    parts["share"] = gr.Slider(
        0.05, 0.95, value=0.5, step=0.05, label=words("share"), info=words("share_info")
    )
    parts["third"] = gr.Textbox("", label=words("third"), max_lines=3)
    parts["third_share"] = gr.Slider(0.05, 0.95, value=0.25, step=0.05, label=words("third_share"))
    modes = [(words("left_open"), ""), *((words(f"mix_{one}"), one) for one in _MODES)]
    parts["mix_mode"] = gr.Dropdown(modes, value="", label=words("mix_mode"))
