"""The tab Edit: a canvas, what to do with it, and only the fields that matter for that."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import gradio as gr
import numpy as np
from numpy.typing import NDArray

from sfumato.errors import PictureError, RecipeError, SfumatoError
from sfumato.models.folders import BUNDLED
from sfumato.models.load import find_model, list_models
from sfumato.recipe.image import Recipe
from sfumato.serving.desk import Desk
from sfumato.serving.studio import area, dragging, edit_parts, film_row, finer, folded, sampling_fields
from sfumato.serving.studio.area import Area
from sfumato.serving.studio.binding import CLICK, QUIET, kindly
from sfumato.serving.studio.canvas import Canvas
from sfumato.serving.studio.edit_forms import (
    MOST_REGIONS,
    NEEDS_IMAGE,
    NEEDS_PROMPT,
    TASKS,
    Edit,
    Place,
    empty_mask,
    recipe_of_edit,
)
from sfumato.serving.studio.edit_parts import GROUPS, SHOWN
from sfumato.serving.studio.edit_seeing import annotated_of, compared_of, seen_of
from sfumato.serving.studio.forms import seed_of, size_of
from sfumato.serving.studio.look import Look
from sfumato.serving.studio.sizes import sizes_of
from sfumato.serving.studio.toasts import refusal
from sfumato.serving.studio.visitors import visitor_of
from sfumato.serving.studio.words import Words
from sfumato.serving.uploads import keep_upload

Parts = dict[str, Any]
FORM: Final = (
    "task",
    "canvas",
    "prompt",
    "negative",
    "model",
    "size",
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
    "control",
    "annotator",
    "weight",
    "places",
    "begin",
    "other",
    "share",
    "third",
    "third_share",
    "mix_mode",
    *sampling_fields.FORM,
    *finer.FORM,
)
#: As high as leaves what else a change of a picture needs in sight with it, from windows of 900 pixels on.
HEIGHT: Final = "clamp(17rem, calc(100vh - 39rem), 40rem)"
#: Of the brush: what is painted over is still seen. A stroke is a full mask all the same, and so are several.
OPACITY: Final = 0.5
LOOKED_AT: Final = ("task", "canvas", "model", "size", "begin", "control", "annotator")


def build(desk: Desk, words: Words, look: Look) -> Parts:
    """Make the tab, in the place that is open, and return its parts."""
    parts: Parts = {}
    with gr.Row(equal_height=False):
        with gr.Column(scale=6, min_width=320):
            tasks = [(words(f"task_{one}"), one) for one in TASKS]
            parts["task"] = gr.Radio(tasks, value=TASKS[0], label=words("task"), elem_id="sf-task")
            parts["canvas"] = Canvas(
                label=words("canvas"),
                type="numpy",
                height=HEIGHT,
                image_mode="RGBA",
                sources=("upload", "clipboard"),
                brush=gr.Brush(colors=[("#ff3366", OPACITY)], color_mode="fixed", default_size=24),
                layers=False,
                transforms=("crop",),
                format="png",
                elem_id="sf-canvas",
            )
            parts["prompt"] = gr.Textbox(
                "", label=words("prompt"), lines=2, max_lines=6, elem_id="sf-edit-prompt"
            )
            parts |= edit_parts.build(desk, words)
            parts["seen"] = gr.JSON(visible=False)
            with gr.Row():
                parts["draw"] = gr.Button(
                    words("draw_edit"), variant="primary", size="lg", elem_id="sf-edit-draw", scale=3
                )
                parts |= film_row.button(words)
                parts["stop"] = gr.Button(
                    words("stop"), variant="stop", size="lg", elem_classes="sf-stop", scale=1
                )
            parts |= film_row.fields(words)
            with folded.fold(words, "edit") as advanced:
                names = [one.name for one in list_models(desk.settings) if one.problem is None]
                parts["model"] = gr.Dropdown(names, value=BUNDLED, label=words("model"))
                parts["negative"] = gr.Textbox("", label=words("negative"), max_lines=4)
                parts["count"] = gr.Slider(1, 8, value=1, step=1, label=words("count"))
                parts |= sampling_fields.build(words, find_model(BUNDLED, desk.settings).defaults)
                parts["seed"] = gr.Textbox("", label=words("seed"), info=words("seed_info"), max_lines=1)
                parts |= finer.build(desk, words, "edit")
        with gr.Column(scale=5, min_width=320):
            parts["area"] = area.build(desk, words, "edit")
            parts["area"].buttons["edit_this"].value = words("go_on")  # it leads to this very tab
            parts |= film_row.box(words)
            parts["slider"] = gr.ImageSlider(
                label=words("before_after"),
                type="numpy",
                format="png",
                buttons=["download", "fullscreen"],
                interactive=False,
                visible=False,
                elem_id="sf-edit-slider",
            )
    _connect(desk, words, parts)
    finer.connect(desk, words, parts, advanced)
    # Choices that are filled in later: what was chosen is not taken up when the page is loaded again.
    parts["late"] = [parts["size"], *finer.late(parts)]
    parts["folded"] = folded.inside(advanced, [parts[name] for name in FORM])
    return parts


def form_of(values: Mapping[str, Any], desk: Desk) -> Edit:
    """Return the form that stands on the page, with its pictures kept. Raises PictureError for a picture that
    is too large, RecipeError for what is no number and for an empty mask, OutputError.
    """
    image, mask = pictures_of(values["canvas"])
    needed = values["task"] in NEEDS_IMAGE or (values["task"] == "place" and values["begin"])
    if values["task"] == "repaint" and image is not None and mask is None:
        raise empty_mask()  # before the picture is written down
    return Edit(
        task=values["task"],
        prompt=values["prompt"] or "",
        negative=values["negative"] or "",
        model=values["model"],
        size=size_chosen(values["size"], values["model"], desk),
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
        control=values["control"],
        annotator=values["annotator"] or None,
        weight=float(values["weight"]),
        places=places_of(values["places"]) if values["task"] == "place" else (),
        begin=bool(values["begin"]),
        other=values["other"] or "",
        share=float(values["share"]),
        third=values["third"] or "",
        third_share=float(values["third_share"]),
        mix_mode=values["mix_mode"] or None,
        count=int(values["count"]),
        seed=seed_of(values["seed"] or ""),
        finer=finer.form_of(values, desk),
        **sampling_fields.read(values),
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
        painted |= layer[..., 3] > 255 * OPACITY / 2
    mask = np.repeat(np.where(painted, 255, 0).astype(np.uint8)[..., None], 3, axis=2)
    return np.ascontiguousarray(picture[..., :3]), mask if painted.any() else None


def places_of(value: Any) -> tuple[Place, ...]:
    """Return the places that are drawn on the frame. Raises PictureError for one without four numbers."""
    places: list[Place] = []
    for number, box in enumerate(dragging.boxes_of(value)[:MOST_REGIONS], start=1):
        try:
            left, top, width, height = (float(box[name]) for name in ("left", "top", "width", "height"))
        except (KeyError, TypeError, ValueError):
            hint = "Give left, top, width and height between 0 and 1."
            raise PictureError("needs four numbers", field=f"box {number}", hint=hint) from None
        places.append(Place(str(box.get("prompt") or ""), left, top, width, height))
    return tuple(places)


def size_chosen(chip: str | None, model: str, desk: Desk) -> tuple[int, int] | None:
    """Return the size on a chip, None for the model's own. Raises RecipeError for what is none."""
    if not chip or chip == next(iter(sizes_of(find_model(model, desk.settings, paths=False).defaults))):
        return None
    return size_of(chip)


def _connect(desk: Desk, words: Words, parts: Parts) -> None:
    shown: Area = parts["area"]
    groups = [parts[name] for name in GROUPS]

    def read(values: Sequence[Any]) -> Edit:
        named = dict(zip(FORM, values, strict=True))
        # Before a picture is written down. Where boxes have words of their own, nothing else need be said.
        wordless = named["task"] in NEEDS_PROMPT and not str(named["prompt"] or "").strip()
        # A model that only enlarges does well without.
        if wordless and not find_model(named["model"], desk.settings, paths=False).defaults.upscales:
            raise RecipeError(words("prompt_needed_edit"))
        return form_of(named, desk)

    def recipe(*values: Any) -> Recipe:
        return recipe_of_edit(read(values))

    def usual(task: str) -> float:
        # What is repainted is drawn wholly anew unless somebody says otherwise.
        return 1.0 if task == "repaint" else 0.75

    def look(*values: Any) -> tuple[Any, Any]:
        """Return what frames show now, and what a ControlNet would be shown."""
        now = dict(zip(LOOKED_AT, values, strict=True))
        task, model = now["task"], now["model"]
        if task not in ("extend", "follow", "place"):
            return gr.skip(), gr.skip()
        try:
            pixels, _ = pictures_of(now["canvas"])
            size = size_chosen(now["size"], model, desk)
            if task == "follow":
                ways = now["annotator"], now["control"]
                return gr.skip(), None if pixels is None else annotated_of(pixels, *ways, size, model, desk)
            behind = pixels if task == "extend" or now["begin"] else None
            return seen_of(behind, size, model, desk), gr.skip()
        except SfumatoError as error:
            raise refusal(error) from None

    def compare(request: gr.Request, number: int) -> Any:
        both = compared_of(desk, number, visitor_of(request)) if number else None
        return gr.ImageSlider(visible=False) if both is None else gr.ImageSlider(value=both, visible=True)

    @kindly
    def shapes(model: str, refiner: str) -> list[Any]:
        sizes = [*sizes_of(find_model(model, desk.settings, paths=False).defaults)]
        return [gr.Radio(choices=sizes, value=sizes[0]), *finer.shown_for(model, refiner, desk)]

    parts["look"] = look
    shown.draws([parts["draw"].click], recipe, [parts[name] for name in FORM])
    shown.stops(parts["stop"])
    form = [parts[name] for name in FORM]
    film_row.connect(shown, parts, form, read)
    parts["task"].change(_visible, [parts["task"], parts["begin"]], groups, **QUIET)
    parts["task"].input(usual, parts["task"], parts["strength"], **QUIET)
    parts["begin"].input(_visible, [parts["task"], parts["begin"]], groups, **QUIET)
    outputs = [parts["size"], *finer.bound(parts)]
    of_model = ([parts["model"], parts["finer_refiner"]], outputs)
    parts["model"].input(shapes, *of_model, queue=False, **CLICK)

    def taken_up(model: str, refiner: str) -> list[Any]:
        return [gr.skip()] * len(outputs) if model == BUNDLED else shapes(model, refiner)

    # After the page was loaded again, with the model that was chosen before.
    parts["shapes"] = (taken_up, *of_model)
    frames = [parts["frame"], parts["places"]]
    gr.on(
        [*(parts[name].change for name in LOOKED_AT), parts["canvas"].upload, parts["canvas"].clear],
        look,
        [parts[name] for name in LOOKED_AT],
        [parts["seen"], parts["annotated"]],
        trigger_mode="always_last",
        **QUIET,
    )
    sides = [parts[side] for side in dragging.SIDES]
    behind = [parts["seen"], *sides, *frames]
    parts["seen"].change(None, behind, frames, js=dragging.SEEN_BY_FRAMES, **QUIET)
    parts["frame"].input(None, parts["frame"], sides, js=dragging.SIDES_OF_FRAME, **QUIET)
    typed = [one.input for one in sides]
    gr.on(typed, None, [*sides, parts["frame"]], parts["frame"], js=dragging.FRAME_OF_SIDES, **QUIET)
    shown.chosen.change(compare, shown.chosen, parts["slider"], **QUIET)


def _visible(task: str, begin: bool) -> list[Any]:
    """Return which groups are shown: places that lie on a picture ask for what goes with one."""
    names = SHOWN[task]
    if task == "place" and begin:
        names = (names | {"of_image"}) - {"of_size"}
    return [gr.update(visible=name in names) for name in GROUPS]
