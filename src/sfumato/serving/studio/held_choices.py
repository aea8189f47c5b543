"""Choices that are filled in late, taken up when the page is loaded again: a shape that is no chip from the
beginning, a refiner and an autoencoder. What is not here any more is said.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

import gradio as gr
from gradio.events import Dependency

from sfumato.errors import RecipeError
from sfumato.models.load import find_model
from sfumato.serving.desk import Desk
from sfumato.serving.studio import finer, keeping
from sfumato.serving.studio.binding import QUIET, kindly
from sfumato.serving.studio.finer_forms import Finer
from sfumato.serving.studio.finer_library import present
from sfumato.serving.studio.forms import size_of
from sfumato.serving.studio.sizes import sizes_of
from sfumato.serving.studio.toasts import tell
from sfumato.serving.studio.words import Words

HELD_ON: Final = ("create", "edit")  # the tabs that have them
HELD: Final = ("size", "finer_refiner", "finer_vae", "finer_refine_from")
MOST: Final = 300  # characters of a name that a browser kept


def connect(
    shaped: Dependency, desk: Desk, words: Words, tab: str, parts: dict[str, Any], written: gr.Textbox
) -> None:
    """Take up what was kept of the choices `HELD` of a tab, after it was `shaped` for its model. `written` is
    never seen: what the browser kept comes in its place.
    """
    fields = [parts["size"], parts["finer_vae"], *finer.bound(parts)]

    @kindly
    def take_up(text: str, model: str) -> list[Any]:
        kept = read(text)
        return taken_up(kept, model, desk, words) if kept else [gr.skip()] * len(fields)

    shaped.then(take_up, [written, parts["model"]], fields, js=keeping.held(tab, HELD), **QUIET)


def taken_up(kept: Mapping[str, str], model: str, desk: Desk, words: Words) -> list[Any]:
    """Return what a shape, an autoencoder and `finer.BOUND` become with what was `kept` and is here."""
    refiner, vae = kept.get("finer_refiner", ""), kept.get("finer_vae", "")
    there = present(Finer(refiner=refiner, vae=vae), desk.settings)
    gone = [*({refiner} - {there.refiner}), *({vae} - {there.vae})]
    if gone:
        tell(words("held_gone", ", ".join(gone)))
    shown = dict(zip(finer.BOUND, finer.shown_for(model, there.refiner, desk), strict=True))
    shown["refiner"] |= {"choices": finer.refiners(desk, words), "value": there.refiner}
    shown["refine_from"] |= {"value": kept.get("finer_refine_from", "") if there.refiner else ""}
    vaes = gr.Dropdown(choices=finer.vaes(desk, words), value=there.vae)
    return [shape_of(kept.get("size"), model, desk), vaes, *shown.values()]


def shape_of(chip: str | None, model: str, desk: Desk) -> Any:
    """Return the chips of a model, with the one that was kept chosen; nothing for what is no size."""
    sizes = [*sizes_of(find_model(model, desk.settings, paths=False).defaults)]
    try:
        width, height = size_of(chip or "")
    except RecipeError:
        return gr.skip()
    chip = next((one for one in sizes if size_of(one) == (width, height)), f"{width} x {height}")
    return gr.Radio(choices=sizes if chip in sizes else [*sizes, chip], value=chip)


def read(text: str) -> dict[str, str]:
    """Return what a browser kept, which may be anything: the texts in it, by name."""
    try:
        found: object = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: value for name, value in found.items() if isinstance(value, str) and len(value) <= MOST}
