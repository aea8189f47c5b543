"""Frames that are dragged: the place around a picture, and boxes on it.

Both are HTML components of Gradio whose value is a mapping; their scripts, in `scripts/`, show it and change
it, with mouse, finger and keyboard. Nothing is asked of the server meanwhile. Values come back from browsers,
so what is made of them is checked like everything else that visitors send.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Final

import gradio as gr

from sfumato.recipe.values import MAX_SIZE
from sfumato.serving.studio.edit_forms import MOST_REGIONS
from sfumato.serving.studio.words import Words

SIDES: Final = ("left", "right", "top", "bottom")
#: What pages run when a frame was dragged, and when the numbers beside it were typed.
SIDES_OF_FRAME: Final = "(frame) => [frame.left, frame.right, frame.top, frame.bottom]"
FRAME_OF_SIDES: Final = (
    "(left, right, top, bottom, frame) => "
    "({...frame, left: left || 0, right: right || 0, top: top || 0, bottom: bottom || 0})"
)
#: And when there is another picture behind frames: what `seen` returns goes over what each has. Where nothing
#: changes, nothing is set: somebody may be dragging.
SEEN_BY_FRAMES: Final = """(seen, left, right, top, bottom, frame, boxes) => {
  const sides = {left: left || 0, right: right || 0, top: top || 0, bottom: bottom || 0};
  const over = (value, news) => Object.keys(news).every((name) => value[name] === news[name])
    ? {__type__: "update"} : {...value, ...news};
  return [over(frame, {...seen, ...sides}), over(boxes, {...seen})];
}"""

_CORNERS: Final = ("left top", "right top", "left bottom", "right bottom")
_TOLD: Final = '<output class="sf-stage-told" aria-live="polite"></output><p class="sf-stage-help"></p>'


def extension(words: Words, sides: Mapping[str, int], most_pixels: int) -> gr.HTML:
    """Make a frame around a picture, in the place that is open. Its value has `picture` (an address, "" for
    none), `width` and `height`, how many pixels are added at each of `SIDES`, in steps of `step`, and at most
    `most_side` pixels a side and `most_pixels` altogether, as recipes allow.
    """
    edges = "".join(
        f'<div class="sf-handle" role="slider" tabindex="0" aria-valuemin="0" aria-valuenow="{sides[side]}" '
        f'aria-orientation="{"horizontal" if side in ("left", "right") else "vertical"}" '
        f'data-sides="{side}"></div>'
        for side in SIDES
    )
    corners = "".join(
        f'<div class="sf-handle" aria-hidden="true" data-sides="{one}"></div>' for one in _CORNERS
    )
    texts = {
        name: words(f"extend_{name}") for name in ("name", *SIDES, "size", "from", "pixels", "empty", "help")
    }
    limits = {"most_side": MAX_SIZE, "most_pixels": most_pixels}
    return gr.HTML(
        {**seen("", 128, 128, 8), **sides, **limits},
        html_template='<div class="sf-stage" role="group"><div class="sf-paper"></div><img alt="" hidden>'
        f'<div class="sf-stage-empty"></div>{corners}{edges}</div>{_TOLD}',
        js_on_load=_script("extend.js"),
        apply_default_css=False,
        container=True,
        padding=True,
        elem_id="sf-extend",
        texts=texts,
    )


def boxes(words: Words) -> gr.HTML:
    """Make a frame on which boxes are drawn, in the place that is open. Its value has `boxes`, at most
    MOST_REGIONS mappings of `prompt`, `left`, `top`, `width` and `height` (shares of the frame's sides, None
    where nothing is typed), and of the frame `picture`, `width` and `height`.
    """
    numbers = range(1, MOST_REGIONS + 1)
    corners = "".join(f'<div class="sf-corner" data-corner="{one}"></div>' for one in _CORNERS)
    marks = "".join(
        f'<div class="sf-box sf-box-{one}" role="group" tabindex="0" hidden>'
        f'<span class="sf-box-number" aria-hidden="true">{one}</span>{corners}</div>'
        for one in numbers
    )
    shares = "".join(
        f'<label><span></span><input type="number" min="0" max="1" step="0.01" data-field="{one}"></label>'
        for one in ("left", "top", "width", "height")
    )
    rows = "".join(
        f'<fieldset class="sf-box-row sf-box-{one}" hidden>'
        f'<span class="sf-box-number" aria-hidden="true">{one}</span>'
        '<input type="text" data-field="prompt"><button type="button"></button>'
        f'<div class="sf-box-shares">{shares}</div></fieldset>'
        for one in numbers
    )
    names = ("name", "box", "role", "place", "prompt", "prompt_hint", "left", "top", "width", "height", "add")
    more = ("remove", "removed", "most", "empty", "help")
    return gr.HTML(
        {**seen("", 128, 128, 8), "boxes": []},
        html_template='<div class="sf-frame" role="group"><img alt="" hidden>'
        f'<div class="sf-stage-empty"></div>{marks}</div>{_TOLD}{rows}'
        '<button type="button" class="sf-box-add"></button>',
        js_on_load=_script("boxes.js"),
        apply_default_css=False,
        container=True,
        padding=True,
        elem_id="sf-boxes",
        texts={name: words(f"boxes_{name}") for name in (*names, *more)},
    )


def seen(picture: str, width: int, height: int, step: int) -> dict[str, Any]:
    """Return what frames show of a picture of `width` x `height`, at the address `picture`, "" for an empty
    one, for a model that draws multiples of `step` pixels.
    """
    return {"picture": picture, "width": width, "height": height, "step": step}


def boxes_of(value: Any) -> Sequence[Mapping[str, Any]]:
    """Return the boxes in a value of the frame: whatever a browser sent there, as far as it is mappings."""
    rows = value.get("boxes") if isinstance(value, dict) else None
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def style() -> str:
    """Return the rules of both frames."""
    return _script("dragging.css")


@cache
def _script(name: str) -> str:
    return (files("sfumato.serving.studio") / "scripts" / name).read_text(encoding="utf-8")
