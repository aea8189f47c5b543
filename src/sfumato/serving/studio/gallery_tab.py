"""The tab Gallery: everything that was made, found again."""

from collections.abc import Sequence
from typing import Any

import gradio as gr

from sfumato.errors import NotFoundError, SfumatoError
from sfumato.serving.desk import Desk
from sfumato.serving.gallery import Kept
from sfumato.serving.studio.binding import CLICK, QUIET, kindly
from sfumato.serving.studio.comparing import SCRIPT, compared_of, waiting_of
from sfumato.serving.studio.details import details_of
from sfumato.serving.studio.look import Look
from sfumato.serving.studio.showing import problem_of
from sfumato.serving.studio.visitors import visitor_of
from sfumato.serving.studio.words import Words

Parts = dict[str, Any]
PAGE: int = 48  # pictures at a time


def build(desk: Desk, words: Words, look: Look) -> Parts:
    """Make the tab, in the place that is open, and return its parts."""
    parts: Parts = {}
    with gr.Row(equal_height=True):
        parts["search"] = gr.Textbox(
            "", label=words("search"), placeholder=words("search_hint"), scale=4, max_lines=1
        )
        parts["model"] = gr.Dropdown([(words("all_models"), "")], value="", label=words("model"), scale=2)
        parts["favourites"] = gr.Checkbox(False, label=words("favourites"), scale=1)
        parts["bin"] = gr.Checkbox(False, label=words("bin"), scale=1)
    parts["compared"] = gr.HTML("", js_on_load=SCRIPT, padding=False, elem_id="sf-compared")
    with gr.Row(equal_height=False):
        with gr.Column(scale=7, min_width=320):
            parts["grid"] = gr.Gallery(
                label=words("results"),
                format="jpeg",
                columns=6,
                object_fit="cover",
                height="auto",
                allow_preview=False,
                interactive=False,
                buttons=[],
                elem_id="sf-gallery",
            )
            with gr.Row():
                parts["newer"] = gr.Button(words("newer"), visible=False)
                parts["older"] = gr.Button(words("older"), visible=False)
        with gr.Column(scale=4, min_width=320):
            parts["picture"] = gr.Image(
                label=words("details"),
                format="png",
                type="filepath",
                interactive=False,
                buttons=["download", "fullscreen"],
                elem_id="sf-picture",
            )
            parts["details"] = gr.HTML("", elem_id="sf-details")
            with gr.Row():
                parts["reuse"] = gr.Button(words("reuse"), variant="primary")
                parts["compare"] = gr.Button(words("compare"))
            with gr.Row():
                parts["favourite"] = gr.Button(words("favourite"))
                parts["delete"] = gr.Button(words("delete"))
                parts["empty_bin"] = gr.Button(words("empty_bin"), variant="stop", visible=False)
    parts["numbers"] = gr.State(())
    parts["pages"] = gr.State(())  # the first pictures of the pages before this one
    parts["chosen"] = gr.State(0)
    parts["first"] = gr.State(0)  # of two that are compared
    _connect(desk, words, parts)
    # Choices that are filled in later: what was chosen is not taken up when the page is loaded again.
    parts["late"] = [parts["model"]]
    return parts


def _connect(desk: Desk, words: Words, parts: Parts) -> None:
    asked = [parts[name] for name in ("search", "model", "favourites", "bin")]
    page = [parts[name] for name in ("grid", "numbers", "newer", "older", "pages")]

    def found(owner: str, values: Sequence[Any], pages: Sequence[int]) -> tuple[Any, ...]:
        """Return what `page` is at the last of `pages`: pictures older than that one."""
        search, model, favourites, binned = values
        pictures = desk.gallery.search(
            owner,
            search or "",
            model=model or None,
            favourites=bool(favourites),
            binned=bool(binned),
            after=(0, pages[-1]) if pages else None,
            limit=PAGE + 1,
        )
        shown = [(one.id, tile) for one in pictures[:PAGE] if (tile := tile_of(one)) is not None]
        return (
            [tile for _, tile in shown],
            tuple(number for number, _ in shown),
            gr.Button(visible=bool(pages)),
            gr.Button(visible=len(pictures) > PAGE),
            tuple(pages),
        )

    def tile_of(kept: Kept) -> tuple[str, str] | None:
        try:
            return str(desk.show(desk.gallery.thumbnail(kept))), kept.prompt[:60]
        except SfumatoError:  # damaged meanwhile; the others are shown
            return None

    @kindly
    def search(request: gr.Request, *values: Any) -> tuple[Any, ...]:
        owner = visitor_of(request)
        shown = found(owner, values, ())
        models = [(words("all_models"), ""), *((name, name) for name in desk.gallery.models(owner))]
        chosen = values[1] if any(values[1] == value for _, value in models) else ""
        return (
            *shown,
            gr.Button(visible=bool(values[3]) and bool(shown[1])),
            gr.Dropdown(choices=models, value=chosen),
        )

    @kindly
    def older(
        request: gr.Request, numbers: tuple[int, ...], pages: tuple[int, ...], *values: Any
    ) -> tuple[Any, ...]:
        return found(visitor_of(request), values, (*pages, min(numbers)) if numbers else pages)

    @kindly
    def newer(request: gr.Request, pages: tuple[int, ...], *values: Any) -> tuple[Any, ...]:
        return found(visitor_of(request), values, pages[:-1])

    @kindly
    def choose(request: gr.Request, event: gr.SelectData, numbers: tuple[int, ...]) -> tuple[Any, ...]:
        try:
            kept = desk.gallery.get(numbers[event.index], visitor_of(request))
        except (NotFoundError, IndexError) as error:
            return None, problem_of(error), 0, words("favourite"), words("delete")
        return (
            gr.Image(value=str(desk.hand_over(kept)), alt_text=kept.prompt or None),
            details_of(desk, words, kept),
            kept.id,
            words("unfavourite" if kept.favourite else "favourite"),
            words("delete" if kept.binned is None else "restore"),
        )

    def compare(number: int, first: int) -> tuple[int, str, str]:
        if first or not number:
            return 0, "" if first else problem_of(words("choose_picture")), words("compare")
        return number, waiting_of(words), words("compare_end")

    def other(request: gr.Request, number: int, first: int) -> Any:
        if not first or not number:
            return gr.skip()
        if first == number:
            return waiting_of(words)
        try:
            one, two = (desk.gallery.get(each, visitor_of(request)) for each in (first, number))
            return compared_of(desk, words, one, two)
        except NotFoundError:
            return problem_of(words("compare_gone"))
        except SfumatoError as error:
            return problem_of(error)

    @kindly
    def mark(request: gr.Request, number: int) -> str:
        kept = desk.gallery.get(number, visitor_of(request)) if number else None
        if kept is None:
            return words("favourite")
        desk.gallery.mark([number], visitor_of(request), favourite=not kept.favourite)
        return words("favourite" if kept.favourite else "unfavourite")

    @kindly
    def bin_or_restore(request: gr.Request, number: int) -> str:
        owner = visitor_of(request)
        kept = desk.gallery.get(number, owner) if number else None
        if kept is None:
            return words("delete")
        if kept.binned is None:
            desk.gallery.bin([number], owner)
            return words("restore")
        desk.gallery.restore([number], owner)
        return words("delete")

    @kindly
    def empty(request: gr.Request) -> None:
        desk.gallery.empty_bin(visitor_of(request))

    quiet: dict[str, Any] = {"queue": False, **CLICK}
    changes = [one.change for one in asked[1:]] + [parts["search"].submit, parts["search"].blur]
    again = (search, asked, [*page, parts["empty_bin"], parts["model"]])
    gr.on(changes, *again, **quiet)
    parts["older"].click(older, [parts["numbers"], parts["pages"], *asked], page, **quiet)
    parts["newer"].click(newer, [parts["pages"], *asked], page, **quiet)
    about = [parts[name] for name in ("picture", "details", "chosen", "favourite", "delete")]
    two = [parts["chosen"], parts["first"]]
    # Through Gradio's queue: without it, nobody is told that a state changed (Gradio 6.31).
    parts["grid"].select(choose, parts["numbers"], about, **QUIET)
    parts["chosen"].change(other, two, parts["compared"], **quiet)
    comparing = [parts["first"], parts["compared"], parts["compare"]]
    parts["compare"].click(compare, two, comparing, **quiet)
    parts["favourite"].click(mark, parts["chosen"], parts["favourite"], **quiet).then(*again, **quiet)
    parts["delete"].click(bin_or_restore, parts["chosen"], parts["delete"], **quiet).then(*again, **quiet)
    parts["empty_bin"].click(empty, None, None, **quiet).then(*again, **quiet)
    parts["find"] = again
