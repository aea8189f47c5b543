"""What leads from one tab to another: settings that are used again, pictures that are edited."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from sfumato.errors import PictureError, RecipeError, SfumatoError
from sfumato.imaging.metadata import read_metadata, read_parameters
from sfumato.models.folders import is_known
from sfumato.recipe.again import recipe_of, single
from sfumato.recipe.codec import from_json, parse_parameters
from sfumato.recipe.image import Recipe, Resolved
from sfumato.serving.desk import Desk
from sfumato.serving.studio import create
from sfumato.serving.studio.area import QUIET, Area, recipe_of_picture
from sfumato.serving.studio.forms import Create, create_of
from sfumato.serving.studio.models_tab import drawn_with, refreshes
from sfumato.serving.studio.visitors import visitor_of
from sfumato.serving.studio.words import Words

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


def connect(page: gr.Blocks, desk: Desk, words: Words, parts: Mapping[str, Parts], tabs: gr.Tabs) -> None:
    """Connect the tabs that are there."""
    if "grid" in parts:
        page.load(*parts["grid"]["take_up"], **QUIET)
    if "create" not in parts:
        return
    made = parts["create"]
    form = [made[name] for name in create.FORM]
    shown: Area = made["area"]
    page.load(shown.taken_up, None, shown.outputs, **QUIET)
    page.load(*made["presets"], **QUIET)

    def from_file(path: str | None) -> list[Any]:
        if path is None:
            return [gr.skip()] * len(form)
        try:
            return create.filled(create_of(recipe_in(Path(path))), desk)
        except SfumatoError as error:
            # Where a visitor's file was put is nothing that a visitor is told.
            error.value = Path(path).name if str(error.value) == path else error.value
            raise gr.Error(str(error), print_exception=False) from None

    made["drop"].upload(from_file, made["drop"], form, **QUIET)
    if "gallery" in parts:

        def reuse(request: gr.Request, number: int) -> list[Any]:
            try:
                recipe = recipe_of_picture(desk, words, number, visitor_of(request))
                return [*create.filled(create_of(recipe), desk), gr.Tabs(selected="create")]
            except SfumatoError as error:
                raise gr.Error(str(error), print_exception=False) from None

        parts["gallery"]["reuse"].click(reuse, parts["gallery"]["chosen"], [*form, tabs], **QUIET)
    if "models" in parts:

        def use(name: str) -> list[Any]:
            if not is_known(name, desk.settings):
                raise gr.Error(words("cannot_draw"), print_exception=False)
            values = dict(zip(create.FORM, create.filled(Create(model=name), desk), strict=True))
            # One that came after the page was built is none of its choices yet.
            model = gr.Dropdown(choices=drawn_with(desk), value=values["model"])
            return [model, values["size"], gr.Tabs(selected="create")]

        changed = [made["model"], made["size"], tabs]
        parts["models"]["use"].click(use, parts["models"]["chosen"], changed, **QUIET)
        refreshes(page, desk, parts)
    if "edit" in parts:
        canvas = parts["edit"]["canvas"]

        def edit_this(request: gr.Request, number: int) -> tuple[Any, ...]:
            try:
                if not number:
                    raise RecipeError(words("choose_picture"))
                kept = desk.gallery.get(number, visitor_of(request))
                shown_now = {"background": str(desk.hand_over(kept)), "layers": [], "composite": None}
                return shown_now, kept.prompt, gr.Tabs(selected="edit")
            except SfumatoError as error:
                raise gr.Error(str(error), print_exception=False) from None

        changed = [canvas, parts["edit"]["prompt"], tabs]
        for one in (shown, parts["edit"]["area"]):
            one.buttons["edit_this"].click(edit_this, one.chosen, changed, **QUIET)
