"""The tab Edit: a canvas, what to do with it, and only the fields that matter for that."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import gradio as gr
import numpy as np
from numpy.typing import NDArray

from sfumato.errors import PictureError, SfumatoError
from sfumato.imaging.annotators import ANNOTATORS
from sfumato.models.folders import BUNDLED
from sfumato.models.load import list_models
from sfumato.recipe.image import Recipe
from sfumato.serving.desk import Desk
from sfumato.serving.studio import area
from sfumato.serving.studio.area import QUIET, Area
from sfumato.serving.studio.edit_forms import MOST_REGIONS, NEEDS_IMAGE, TASKS, Edit, Place, recipe_of_edit
from sfumato.serving.studio.forms import seed_of
from sfumato.serving.studio.look import Look
from sfumato.serving.studio.visitors import visitor_of
from sfumato.serving.studio.words import Words
from sfumato.serving.uploads import keep_upload, read_upload

Parts = dict[str, Any]
#: Which groups of fields each task shows.
SHOWN: Final[Mapping[str, frozenset[str]]] = {
    "change": frozenset({"of_image"}),
    "repaint": frozenset({"of_image", "of_mask"}),
    "extend": frozenset({"of_sides"}),
    "follow": frozenset({"of_lines"}),
    "place": frozenset({"of_places"}),
    "mix": frozenset({"of_mix"}),
}
GROUPS: Final = ("of_image", "of_mask", "of_sides", "of_lines", "of_places", "of_mix")
FORM: Final = (
    "task",
    "canvas",
    "prompt",
    "negative",
    "model",
    "count",
    "seed",
    "strength",
    "keep_colour",
    "feather",
    "only_masked",
    "left",
    "right",
    "top",
    "bottom",
    "annotator",
    "weight",
    "places",
    "other",
    "share",
)
_EXAMPLE: Final = (("a rocket", 0.5, 0.0, 0.5, 1.0), ("", 0.0, 0.0, 0.5, 1.0))


def build(desk: Desk, words: Words, look: Look) -> Parts:
    """Make the tab, in the place that is open, and return its parts."""
    parts: Parts = {}
    with gr.Row(equal_height=False):
        with gr.Column(scale=6, min_width=320):
            tasks = [(words(f"task_{one}"), one) for one in TASKS]
            parts["task"] = gr.Radio(tasks, value=TASKS[0], label=words("task"), elem_id="sf-task")
            parts["canvas"] = gr.ImageEditor(
                label=words("canvas"),
                type="numpy",
                image_mode="RGBA",
                sources=("upload", "clipboard"),
                brush=gr.Brush(colors=["#ff3366"], color_mode="fixed", default_size=24),
                layers=False,
                transforms=("crop",),
                format="png",
                elem_id="sf-canvas",
            )
            parts["prompt"] = gr.Textbox(
                "", label=words("prompt"), lines=2, max_lines=6, elem_id="sf-edit-prompt"
            )
            parts |= _groups(words)
            with gr.Row():
                parts["draw"] = gr.Button(
                    words("draw_edit"), variant="primary", size="lg", elem_id="sf-edit-draw", scale=3
                )
                parts["stop"] = gr.Button(
                    words("stop"), variant="stop", size="lg", elem_classes="sf-stop", scale=1
                )
            with gr.Accordion(words("advanced"), open=False):
                names = [one.name for one in list_models(desk.settings) if one.problem is None]
                parts["model"] = gr.Dropdown(names, value=BUNDLED, label=words("model"))
                parts["negative"] = gr.Textbox("", label=words("negative"), max_lines=4)
                parts["count"] = gr.Slider(1, 8, value=1, step=1, label=words("count"))
                parts["seed"] = gr.Textbox("", label=words("seed"), info=words("seed_info"), max_lines=1)
        with gr.Column(scale=5, min_width=320):
            parts["area"] = area.build(desk, words, "edit")
            parts["slider"] = gr.ImageSlider(
                label=words("before_after"), type="numpy", format="png", interactive=False, visible=False
            )
    _connect(desk, parts)
    return parts


def form_of(values: Mapping[str, Any], desk: Desk) -> Edit:
    """Return the form that stands on the page, with its pictures kept. Raises PictureError for a picture that
    is too large, RecipeError for what is no number, OutputError.
    """
    image, mask = pictures_of(values["canvas"])
    needed = values["task"] in NEEDS_IMAGE
    return Edit(
        task=values["task"],
        prompt=values["prompt"] or "",
        negative=values["negative"] or "",
        model=values["model"],
        image=None if image is None or not needed else keep_upload(image, desk.settings, "picture.png"),
        mask=None
        if mask is None or values["task"] != "repaint"
        else keep_upload(mask, desk.settings, "mask.png"),
        strength=float(values["strength"]),
        keep_colour=bool(values["keep_colour"]),
        feather=int(values["feather"] or 0),
        only_masked=bool(values["only_masked"]),
        left=int(values["left"] or 0),
        right=int(values["right"] or 0),
        top=int(values["top"] or 0),
        bottom=int(values["bottom"] or 0),
        annotator=values["annotator"] or None,
        weight=float(values["weight"]),
        places=places_of(values["places"]),
        other=values["other"] or "",
        share=float(values["share"]),
        count=int(values["count"]),
        seed=seed_of(values["seed"] or ""),
    )


def pictures_of(canvas: Any) -> tuple[NDArray[np.uint8] | None, NDArray[np.uint8] | None]:
    """Return the picture `(H,W,3)` on a canvas and what is painted over it, white on black `(H,W,3)`; None
    for what is not there. Raises PictureError where the two differ in size.
    """
    if canvas is None or canvas.get("background") is None:
        return None, None
    picture: NDArray[np.uint8] = canvas["background"]
    layers: Sequence[NDArray[np.uint8]] = canvas.get("layers") or ()
    painted = np.zeros(picture.shape[:2], np.bool_)
    for layer in layers:
        if layer.shape[:2] != picture.shape[:2]:
            sizes = f"{layer.shape[1]}x{layer.shape[0]}"
            raise PictureError(
                "has another size than the picture", field="mask", value=sizes, hint="Paint it again."
            )
        painted |= layer[..., 3] > 127
    mask = np.repeat(np.where(painted, 255, 0).astype(np.uint8)[..., None], 3, axis=2)
    return np.ascontiguousarray(picture[..., :3]), mask if painted.any() else None


def places_of(rows: Any) -> tuple[Place, ...]:
    """Return the places of a table: a prompt and four numbers a row; rows without a prompt say nothing.

    Raises PictureError for what is no number.
    """
    places: list[Place] = []
    for prompt, *numbers in rows or ():
        if not str(prompt or "").strip():
            continue
        try:
            left, top, width, height = (float(one) for one in numbers)
        except (TypeError, ValueError):
            hint = "Give left, top, width and height between 0 and 1."
            raise PictureError("needs four numbers", field="place", value=prompt, hint=hint) from None
        places.append(Place(str(prompt), left, top, width, height))
    return tuple(places[:MOST_REGIONS])


def _groups(words: Words) -> Parts:
    parts: Parts = {}
    with gr.Group(visible=True) as parts["of_image"]:
        parts["strength"] = gr.Slider(0, 1, value=0.75, step=0.05, label=words("strength"))
        parts["keep_colour"] = gr.Checkbox(False, label=words("keep_colour"))
    with gr.Group(visible=False) as parts["of_mask"]:
        parts["feather"] = gr.Slider(0, 64, value=4, step=1, label=words("feather"))
        parts["only_masked"] = gr.Checkbox(False, label=words("only_masked"))
    with gr.Row(visible=False) as parts["of_sides"]:
        for side in ("left", "right", "top", "bottom"):
            parts[side] = gr.Number(32, label=words(side), precision=0, minimum=0, min_width=80)
    with gr.Group(visible=False) as parts["of_lines"]:
        parts["annotator"] = gr.Dropdown(
            [(words("left_open"), ""), *((one, one) for one in ANNOTATORS), ("none", "none")],
            value="",
            label=words("annotator"),
        )
        parts["weight"] = gr.Slider(0, 2, value=1, step=0.05, label=words("weight"))
        parts["annotated"] = gr.Image(label=words("annotated"), type="numpy", format="png", interactive=False)
    with gr.Group(visible=False) as parts["of_places"]:
        parts["places"] = gr.Dataframe(
            [list(row) for row in _EXAMPLE],
            headers=[words("prompt"), "x", "y", "w", "h"],
            type="array",
            label=words("places"),
            column_count=5,
            interactive=True,
        )
    with gr.Group(visible=False) as parts["of_mix"]:
        parts["other"] = gr.Textbox("", label=words("other"), max_lines=3)
        parts["share"] = gr.Slider(0.05, 0.95, value=0.5, step=0.05, label=words("share"))
    return parts


def _connect(desk: Desk, parts: Parts) -> None:
    shown: Area = parts["area"]
    groups = [parts[name] for name in GROUPS]

    def recipe(*values: Any) -> Recipe:
        return recipe_of_edit(form_of(dict(zip(FORM, values, strict=True)), desk))

    def choose(task: str) -> list[Any]:
        # What is repainted is drawn wholly anew unless somebody says otherwise.
        strength = gr.Slider(value=1.0 if task == "repaint" else 0.75)
        return [*(gr.update(visible=name in SHOWN[task]) for name in GROUPS), strength]

    def annotate(canvas: Any, annotator: str) -> NDArray[np.uint8] | None:
        image, _ = pictures_of(canvas)
        if image is None:
            return None
        if image.shape[0] * image.shape[1] > desk.settings.max_pixels:
            raise gr.Error("too large", print_exception=False)
        return image if annotator == "none" else ANNOTATORS[annotator or "canny"](image)

    def compare(request: gr.Request, task: str, canvas: Any, numbers: tuple[int, ...]) -> Any:
        image, _ = pictures_of(canvas)
        if image is None or not numbers or task not in ("change", "repaint"):
            return gr.ImageSlider(visible=False)
        try:
            kept = desk.gallery.get(numbers[0], visitor_of(request))
        except SfumatoError:
            return gr.ImageSlider(visible=False)
        return gr.ImageSlider(value=(image, read_upload(kept.path, desk.settings)), visible=True)

    parts["task"].change(choose, parts["task"], [*groups, parts["strength"]], **QUIET)
    shown.draws([parts["draw"].click], recipe, [parts[name] for name in FORM])
    shown.stops(parts["stop"])
    followed = [parts["canvas"], parts["annotator"]]
    gr.on(
        [parts["annotator"].change, parts["canvas"].apply, parts["canvas"].upload],
        annotate,
        followed,
        parts["annotated"],
        **QUIET,
    )
    compared = [parts["task"], parts["canvas"], shown.pictures]
    shown.pictures.change(compare, compared, parts["slider"], **QUIET)
