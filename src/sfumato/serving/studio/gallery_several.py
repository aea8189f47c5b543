"""Several pictures of the tab Gallery at once: chosen over its pages, favoured, thrown away, packed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from sfumato.errors import RecipeError
from sfumato.serving.desk import Desk
from sfumato.serving.gallery import Kept
from sfumato.serving.studio import choosing
from sfumato.serving.studio.binding import CLICK, QUIET, kindly
from sfumato.serving.studio.choosing import clicked, marks_of, with_all
from sfumato.serving.studio.models_showing import size_of
from sfumato.serving.studio.visitors import visitor_of
from sfumato.serving.studio.words import Words
from sfumato.serving.zipping import zip_for

Parts = dict[str, Any]


def build(words: Words, parts: Parts) -> None:
    """Make the row of buttons, in the place that is open, and put it into the parts of the tab."""
    with gr.Column(visible=False, elem_id="sf-several-bar") as parts["bar"]:
        parts["marks"] = gr.HTML("", js_on_load=choosing.SCRIPT, padding=False, elem_id="sf-marks")
        with gr.Row():
            parts["all_page"] = gr.Button(words("several_page"), size="sm", min_width=80)
            parts["all_none"] = gr.Button(words("several_none"), size="sm", min_width=80)
            parts["all_favourite"] = gr.Button(words("favourite"), size="sm", min_width=80)
            parts["all_bin"] = gr.Button(words("delete"), size="sm", min_width=80)
            parts["zip"] = gr.Button(words("zip"), size="sm", min_width=80)
        parts["zip_save"] = gr.DownloadButton(
            words("download"), variant="primary", size="sm", visible=False, elem_id="sf-zip"
        )


def connect(desk: Desk, words: Words, parts: Parts) -> None:
    """Have them do what they say with the pictures that are marked."""
    marked, numbers, save = parts["marked"], parts["numbers"], parts["zip_save"]
    shown, clicks = [marked, parts["marks"], save], parts["clicks"]
    about = [parts[name] for name in ("picture", "details", "chosen")]

    def told(now: tuple[int, ...], page: Sequence[int], sent: int | None = None) -> tuple[Any, ...]:
        return now, marks_of(page, now, words, sent), gr.DownloadButton(value=None, visible=False)

    def begin(several: bool, page: tuple[int, ...]) -> tuple[Any, ...]:
        now, marks, closed = told((), page)
        return now, marks if several else "", closed, gr.Column(visible=bool(several)), 0

    def click(event: gr.EventData, page: tuple[int, ...], now: tuple[int, ...], last: int) -> Any:
        chosen, sent = clicked(event, page, now)
        if sent < last:  # overtaken by a click that came after it
            return gr.skip()
        return *told(chosen, page, sent), sent

    def whole_page(page: tuple[int, ...], now: tuple[int, ...]) -> tuple[Any, ...]:
        return told(with_all(page, now), page)

    def none(page: tuple[int, ...]) -> tuple[Any, ...]:
        return told((), page)

    def there(owner: str, now: tuple[int, ...]) -> tuple[Kept, ...]:
        """Return those of the marked pictures that are still there. Raises RecipeError where none is."""
        pictures = desk.gallery.get_all(now, owner)
        if not pictures:
            raise RecipeError(words("several_first"))
        return pictures

    @kindly
    def favour(request: gr.Request, now: tuple[int, ...], chosen: int) -> Any:
        pictures = there(visitor_of(request), now)
        favourite = not all(one.favourite for one in pictures)
        desk.gallery.mark([one.id for one in pictures], visitor_of(request), favourite=favourite)
        if chosen not in {one.id for one in pictures}:
            return gr.skip()
        return words("unfavourite" if favourite else "favourite")

    @kindly
    def throw(
        request: gr.Request, now: tuple[int, ...], page: tuple[int, ...], binned: bool, chosen: int
    ) -> tuple[Any, ...]:
        owner = visitor_of(request)
        change = desk.gallery.restore if binned else desk.gallery.bin
        gone = [one.id for one in there(owner, now)]
        change(gone, owner)
        # Details show none that went: its buttons would say what was true before.
        return *told((), page), *((None, "", 0) if chosen in gone else (gr.skip(),) * 3)

    @kindly
    def pack(request: gr.Request, now: tuple[int, ...]) -> gr.DownloadButton:
        owner = visitor_of(request)
        path, packed = zip_for(owner, there(owner, now), Path(save.GRADIO_CACHE))
        label = words("zip_save", packed, size_of(path.stat().st_size))
        return gr.DownloadButton(label, value=str(path), visible=True)

    quiet: dict[str, Any] = {"queue": False, **CLICK}
    parts["several"].change(begin, [parts["several"], numbers], [*shown, parts["bar"], clicks], **quiet)
    # None may be dropped while another is answered: what is deleted is what the page shows.
    all_of_them: dict[str, Any] = {"trigger_mode": "multiple", **quiet}
    parts["marks"].select(click, [numbers, marked, clicks], [*shown, clicks], **all_of_them)
    parts["all_page"].click(whole_page, [numbers, marked], shown, **quiet)
    parts["all_none"].click(none, numbers, shown, **quiet)
    favoured = parts["all_favourite"].click(favour, [marked, parts["chosen"]], parts["favourite"], **quiet)
    favoured.then(*parts["here"], **quiet)
    throwing = [marked, numbers, parts["bin"], parts["chosen"]]
    # Through Gradio's queue: without it, nobody is told that a state changed (Gradio 6.31).
    thrown = parts["all_bin"].click(throw, throwing, [*shown, *about], **QUIET)
    thrown.success(*parts["here"], **quiet)
    # One after the other, whoever asks: each may be half a gigabyte.
    parts["zip"].click(pack, marked, save, **{**CLICK, "concurrency_limit": 1})
