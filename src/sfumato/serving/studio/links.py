"""What leads from one tab to another: settings that are used again, pictures that are edited."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from sfumato.errors import PictureError, RecipeError, SfumatoError
from sfumato.imaging.io import open_picture
from sfumato.imaging.metadata import has_settings, read_metadata, read_parameters
from sfumato.models.folders import is_known
from sfumato.recipe.again import recipe_of, single
from sfumato.recipe.codec import from_json, parse_parameters
from sfumato.recipe.image import Recipe, Resolved
from sfumato.serving.desk import Desk
from sfumato.serving.studio import create, finer, gallery_more
from sfumato.serving.studio.area import QUIET, Area, larger_label, recipe_of_picture
from sfumato.serving.studio.binding import kindly
from sfumato.serving.studio.edit import LOOKED_AT
from sfumato.serving.studio.finer_library import here
from sfumato.serving.studio.forms import Create, create_of, lost_of
from sfumato.serving.studio.models_tab import drawn_with, refreshes
from sfumato.serving.studio.opening import Opening
from sfumato.serving.studio.saying import lost_line
from sfumato.serving.studio.toasts import refusal, tell
from sfumato.serving.studio.visitors import visitor_of
from sfumato.serving.studio.words import Words
from sfumato.serving.uploads import read_upload

Parts = dict[str, Any]


def recipe_in(picture: Path) -> Recipe:
    """Return the recipe in a picture of ours, or what A1111's parameters in another say. Raises PictureError
    for a picture with neither, and RecipeError.
    """
    try:
        return recipe_of(single(from_json(read_metadata(picture).resolved_json, Resolved)))
    except PictureError:
        parameters = read_parameters(picture)
        if not parameters:
            raise
        return parse_parameters(parameters)


@contextmanager
def _unplaced(path: str) -> Iterator[None]:
    """Have the page say what is wrong with a file, but not where it was put: no visitor is told that."""
    try:
        yield
    except SfumatoError as error:
        error.value = Path(path).name if str(error.value) == path else error.value
        raise refusal(error) from None


def connect(opening: Opening, desk: Desk, words: Words, parts: Mapping[str, Parts], tabs: gr.Tabs) -> None:
    """Connect the tabs that are there; a button that leads to one that is not is not seen."""
    for one in [parts[tab]["area"] for tab in ("create", "edit") if tab in parts]:
        one.taken_up(opening)
        _says_size(desk, words, one)
    if "gallery" in parts:
        parts["gallery"]["line"].taken_up(opening)
    if "grid" in parts:
        opening.when("grid", parts["grid"]["begun"])(*parts["grid"]["take_up"], **QUIET)
    if "edit" in parts:
        _to_edit(desk, words, parts, tabs)
    else:
        if "create" in parts:
            parts["create"]["area"].buttons["edit_this"].visible = False
        if "gallery" in parts:
            parts["gallery"]["edit_this"].visible = False
    if "models" in parts:
        refreshes(opening, desk, parts)
    finer.refreshes(opening, desk, words, parts)
    if "create" in parts:
        opening.when("presets", parts["create"]["kept_presets"])(*parts["create"]["presets"], **QUIET)
        _to_create(desk, words, parts, tabs)
    else:
        for tab, names in (("gallery", ("reuse", *gallery_more.BUTTONS)), ("models", ("use",))):
            for one in names if tab in parts else ():
                parts[tab][one].visible = False


def _says_size(desk: Desk, words: Words, area: Area) -> None:
    """Have the button that draws a picture larger say how large."""

    def larger(request: gr.Request, number: int) -> str:
        return larger_label(desk, words, number, visitor_of(request))

    area.chosen.change(larger, area.chosen, area.buttons["upscale"], **QUIET)


def _to_create(desk: Desk, words: Words, parts: Mapping[str, Parts], tabs: gr.Tabs) -> None:
    made = parts["create"]
    form = [made[name] for name in create.FORM]

    def filled(recipe: Recipe) -> list[Any]:
        lost = [(kind, "") for kind in lost_of(recipe)]
        recipe, gone = here(recipe, desk.settings)
        if lost or gone:
            tell(lost_line([*lost, *gone], words))
        return create.filled(create_of(recipe), desk)

    def from_file(path: str | None) -> list[Any]:
        bare = False
        values: list[Any] = [gr.skip()] * len(form)
        if path is not None:
            with _unplaced(path):
                bare = not has_settings(Path(path))
                if bare:
                    read_upload(Path(path), desk.settings)  # says what cannot be edited either
                else:
                    values = filled(recipe_in(Path(path)))
        line = f'<p class="sf-line" role="status">{escape(words("dropped_bare"))}</p>' if bare else ""
        return [*values, line, gr.Button(visible=bare and "edit" in parts)]

    said = [made["dropped"], made["edit_dropped"]]
    made["drop"].upload(from_file, made["drop"], [*form, *said], **QUIET)
    made["drop"].clear(lambda: ["", gr.Button(visible=False)], None, said, **QUIET)
    if "gallery" in parts:

        @kindly
        def reuse(request: gr.Request, number: int) -> list[Any]:
            recipe = recipe_of_picture(desk, words, number, visitor_of(request))
            return [*filled(recipe), gr.Tabs(selected="create")]

        parts["gallery"]["reuse"].click(reuse, parts["gallery"]["chosen"], [*form, tabs], **QUIET)
        gallery_more.connect(parts["gallery"], made, tabs)
    if "models" in parts:

        def use(name: str, refiner: str) -> list[Any]:
            if not is_known(name, desk.settings):
                raise refusal(words("cannot_draw"))
            values = dict(zip(create.FORM, create.filled(Create(model=name), desk), strict=True))
            # One that came after the page was built is none of its choices yet.
            model = gr.Dropdown(choices=drawn_with(desk), value=values["model"])
            shown_with = finer.shown_for(name, refiner, desk)
            return [model, values["size"], gr.Tabs(selected="create"), *shown_with]

        changed = [made["model"], made["size"], tabs, *finer.bound(made)]
        chosen = [parts["models"]["chosen"], made["finer_refiner"]]
        parts["models"]["use"].click(kindly(use), chosen, changed, **QUIET)


def _to_edit(desk: Desk, words: Words, parts: Mapping[str, Parts], tabs: gr.Tabs) -> None:
    @kindly
    def edit_this(request: gr.Request, number: int) -> tuple[Any, ...]:
        if not number:
            raise RecipeError(words("choose_picture"))
        kept = desk.gallery.get(number, visitor_of(request))
        shown_now = {"background": str(desk.hand_over(kept)), "layers": [], "composite": None}
        return shown_now, kept.prompt, gr.Tabs(selected="edit")

    def look_at(picture: Path, values: Sequence[Any]) -> tuple[Any, Any]:
        taken = {"background": np.asarray(open_picture(picture, desk.settings.max_pixels))}
        made = edit["look"](
            *(taken if name == "canvas" else one for name, one in zip(LOOKED_AT, values, strict=True))
        )
        return made

    @kindly
    def look(request: gr.Request, number: int, *values: Any) -> tuple[Any, Any]:
        return look_at(desk.gallery.get(number, visitor_of(request)).path, values)

    @kindly
    def edit_dropped(path: str | None) -> tuple[Any, ...]:
        if path is None:  # taken away meanwhile
            raise RecipeError(words("choose_picture"))
        with _unplaced(path):
            pixels = read_upload(Path(path), desk.settings)  # nothing else that is in the file
        return {"background": pixels, "layers": [], "composite": None}, gr.Tabs(selected="edit")

    def look_dropped(path: str, *values: Any) -> tuple[Any, Any]:
        with _unplaced(path):
            return look_at(Path(path), values)

    edit = parts["edit"]
    changed = [edit["canvas"], edit["prompt"], tabs]
    # A canvas that is given a picture does not always say that it changed, where uploads take their time.
    seen = [edit["seen"], edit["annotated"]]
    buttons = [
        (parts[tab]["area"].buttons["edit_this"], parts[tab]["area"].chosen)
        for tab in ("create", "edit")
        if tab in parts
    ]
    if "gallery" in parts:
        buttons.append((parts["gallery"]["edit_this"], parts["gallery"]["chosen"]))
    for button, chosen in buttons:
        looked_at = [chosen, *(gr.State() if name == "canvas" else edit[name] for name in LOOKED_AT)]
        button.click(edit_this, chosen, changed, **QUIET).success(look, looked_at, seen, **QUIET)
    if "create" in parts:
        drop = parts["create"]["drop"]
        looked_at = [drop, *(gr.State() if name == "canvas" else edit[name] for name in LOOKED_AT)]
        taking = parts["create"]["edit_dropped"].click(edit_dropped, drop, [edit["canvas"], tabs], **QUIET)
        taking.success(look_dropped, looked_at, seen, **QUIET)
