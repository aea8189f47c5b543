"""The tab Gallery: everything that was made, found again."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import gradio as gr

from sfumato.errors import NotFoundError, SfumatoError
from sfumato.serving.desk import Desk
from sfumato.serving.gallery import ORDERS, Kept, Order, Place
from sfumato.serving.reels import Reel
from sfumato.serving.studio import actions, gallery_more, gallery_several
from sfumato.serving.studio.area import larger_label
from sfumato.serving.studio.binding import CLICK, QUIET, kindly
from sfumato.serving.studio.choosing import found_line, marks_of
from sfumato.serving.studio.comparing import SCRIPT, compared_of, waiting_of
from sfumato.serving.studio.details import details_of
from sfumato.serving.studio.line import Line, parts_of
from sfumato.serving.studio.look import Look
from sfumato.serving.studio.showing import problem_of
from sfumato.serving.studio.visitors import visitor_of
from sfumato.serving.studio.words import Words

Parts = dict[str, Any]
PAGE: int = 48  # pictures at a time
NAME: Final = "gallery"  # of the tab, in the queue
#: What is done with the picture that is chosen as on the tab Create.
SHARED: Final = ("animate", "copy_recipe")
#: What is looked for, and what a page of it is shown with.
FORM: Final = ("search", "model", "order", "favourites", "bin")
_SHOWN: Final = (
    *("grid", "found", "numbers", "end", "pages", "newer", "older"),
    *("empty_bin", "marks", "all_bin"),
)
# On a phone the picture is far below those that it was chosen from.
_TO_PICTURE: Final = """() => {
  if (window.innerWidth < 700) document.getElementById("sf-picture")?.scrollIntoView({block: "start"});
}"""
STYLE: Final = """
/* Without a picture there is nothing to be done with it. */
#sf-picture:not(:has(img)) ~ .sf-of-picture { display: none !important; }
/* What a place is called is read where there is something: it would lie over the first picture. */
:is(#sf-gallery, #sf-picture):has(img) > [data-testid=block-label] { clip-path: inset(50%); }
/* A box to tick stands in line with the fields beside it, and not with their names. */
.sf-tick { display: flex; flex-direction: column; justify-content: flex-end; }
.sf-tick .checkbox-container { padding-block: 11px; }
/* Nor is anything stopped that does not go on. */
#sf-gallery-progress:not(:has(.prose > *)), #sf-gallery-progress:not(:has(.sf-bar)) + .sf-stop {
  display: none !important; }
"""
#: What is done with the picture that is chosen, two in a row.
_BUTTONS: Final = (
    gallery_more.BUTTONS,
    ("edit_this", "animate"),
    ("compare", "copy_recipe"),
    ("favourite", "delete"),
)
_SEEN: Final = ("pages", "marked", "several")


@dataclass(frozen=True)
class Asked:
    """What somebody looks for, as the page has it."""

    search: str = ""
    model: str = ""
    order: Order = ORDERS[0]
    favourites: bool = False
    binned: bool = False

    @property
    def limits(self) -> dict[str, Any]:
        """What `Gallery.search` and `Gallery.count` take."""
        return {"model": self.model or None, "favourites": self.favourites, "binned": self.binned}


def asked_of(search: Any, model: Any, order: Any, favourites: Any, binned: Any) -> Asked:
    """Return what the parts of the form say; what none of them can say is taken for nothing."""
    kept = order if order in ORDERS else ORDERS[0]
    return Asked(str(search or ""), str(model or ""), kept, bool(favourites), bool(binned))


def build(desk: Desk, words: Words, look: Look) -> Parts:
    """Make the tab, in the place that is open, and return its parts."""
    parts: Parts = {}
    with gr.Row(equal_height=True):
        parts["search"] = gr.Textbox(
            "", label=words("search"), placeholder=words("search_hint"), scale=4, max_lines=1
        )
        parts["model"] = gr.Dropdown([(words("all_models"), "")], value="", label=words("model"), scale=2)
        orders = [(words(f"order_{one}"), one) for one in ORDERS]
        parts["order"] = gr.Dropdown(orders, value=ORDERS[0], label=words("order"), scale=2)
        for one in ("favourites", "bin"):
            parts[one] = gr.Checkbox(False, label=words(one), scale=1, min_width=165, elem_classes="sf-tick")
    parts["compared"] = gr.HTML("", js_on_load=SCRIPT, padding=False, elem_id="sf-compared")
    with gr.Row(equal_height=False):
        with gr.Column(scale=7, min_width=320):
            with gr.Row(equal_height=True):
                parts["found"] = gr.HTML("", elem_id="sf-found", padding=False)
                parts["several"] = gr.Checkbox(
                    False, label=words("several"), container=False, elem_id="sf-several"
                )
            gallery_several.build(words, parts)
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
            parts["empty_bin"] = gr.Button(words("empty_bin"), variant="stop", visible=False)
            with gr.Column(visible=False, elem_id="sf-empty-sure") as parts["sure"]:
                parts["sure_line"] = gr.HTML("", padding=False)
                with gr.Row():
                    parts["empty_yes"] = gr.Button(words("empty_yes"), variant="stop")
                    parts["empty_no"] = gr.Button(words("empty_no"))
        with gr.Column(scale=4, min_width=320):
            parts["picture"] = gr.Image(
                label=words("details"),
                format="png",
                type="filepath",
                interactive=False,
                buttons=["download", "fullscreen"],
                elem_id="sf-picture",
            )
            with gr.Column(elem_classes="sf-of-picture"):
                parts["reuse"] = gr.Button(words("reuse"), variant="primary")
                for two in _BUTTONS:
                    with gr.Row():
                        for one in two:
                            parts[one] = gr.Button(words(one), min_width=120)
            parts["line"] = Line(**parts_of(desk, words, NAME))
            parts["stop"] = gr.Button(words("stop"), variant="stop", size="sm", elem_classes="sf-stop")
            about, parts["chosen"] = actions.place_of(NAME), gr.State(0)
            buttons = {one: parts[one] for one in SHARED}
            parts["reel"], parts["animated"] = actions.connect(parts["line"], buttons, about, parts["chosen"])
            parts["details"] = gr.HTML("", elem_id="sf-details")
    parts["numbers"] = gr.State(())
    parts["end"] = gr.State(None)  # the place of the last picture of this page
    parts["pages"] = gr.State(())  # the places behind which this page and those before it begin
    parts["first"] = gr.State(0)  # of two that are compared
    parts["marked"] = gr.State(())
    parts["clicks"] = gr.State(0)  # the number of the last click that marked
    parts["sought"] = gr.State("")  # the words that were looked for last
    _connect(desk, words, parts)
    gallery_several.connect(desk, words, parts)
    parts["line"].stops(parts["stop"])
    # Choices that are filled in later: what was chosen is not taken up when the page is loaded again.
    parts["late"] = [parts["model"]]
    return parts


def _connect(desk: Desk, words: Words, parts: Parts) -> None:
    asked = [parts[name] for name in FORM]
    page = [parts[name] for name in _SHOWN]
    seen = [parts[name] for name in _SEEN]

    def found(
        owner: str, pages: Sequence[Place], marked: Sequence[int], several: bool, *values: Any
    ) -> tuple[Any, ...]:
        """Return what `page` is at the last of `pages`: what comes behind that place."""
        form, pages = asked_of(*values), tuple(pages)
        while True:
            after = pages[-1] if pages else None
            pictures = desk.gallery.search(
                owner, form.search, order=form.order, after=after, limit=PAGE + 1, **form.limits
            )
            if pictures or not pages:
                break
            pages = pages[:-1]  # all of this page are gone meanwhile
        here = pictures[:PAGE]
        shown = [(one.id, tile) for one in here if (tile := tile_of(one)) is not None]
        numbers = tuple(number for number, _ in shown)
        total = desk.gallery.count(owner, form.search, **form.limits)
        limited = bool(form.search.strip() or form.model or form.favourites or form.binned)
        return (
            [tile for _, tile in shown],
            found_line(total, len(pages) + 1, PAGE, words, asked=limited),
            numbers,
            here[-1].place if here else None,
            pages,
            gr.Button(visible=bool(pages)),
            gr.Button(visible=len(pictures) > PAGE),
            gr.Button(visible=form.binned and bool(total)),
            marks_of(numbers, marked, words) if several else "",
            words("restore" if form.binned else "delete"),
        )

    def tile_of(kept: Kept) -> tuple[str, str] | None:
        try:
            return str(desk.show(desk.gallery.thumbnail(kept))), kept.prompt[:60]
        except SfumatoError:  # damaged meanwhile; the others are shown
            return None

    @kindly
    def search(request: gr.Request, marked: Any, several: Any, *values: Any) -> tuple[Any, ...]:
        owner = visitor_of(request)
        models = [(words("all_models"), ""), *((name, name) for name in desk.gallery.models(owner))]
        chosen = values[1] if any(values[1] == value for _, value in models) else ""
        shown = found(owner, (), marked, several, *values)
        return (*shown, gr.Dropdown(choices=models, value=chosen), str(values[0] or ""))

    def left(request: gr.Request, sought: str, *more: Any) -> Any:
        """Look again when the words are left, but only for others: nobody is led away from a page."""
        return gr.skip() if sought == str(more[2] or "") else search(request, *more)

    @kindly
    def older(
        request: gr.Request, end: Place | None, pages: tuple[Place, ...], *more: Any
    ) -> tuple[Any, ...]:
        return found(visitor_of(request), pages if end is None else (*pages, end), *more)

    @kindly
    def newer(request: gr.Request, pages: tuple[Place, ...], *more: Any) -> tuple[Any, ...]:
        return found(visitor_of(request), pages[:-1], *more)

    @kindly
    def stay(request: gr.Request, *more: Any) -> tuple[Any, ...]:
        return found(visitor_of(request), *more)

    def chosen(number: int, owner: str) -> tuple[Any, ...]:
        """Return what `about` is when a picture is chosen. Raises NotFoundError for one that is gone."""
        kept = desk.gallery.get(number, owner)
        return (
            gr.Image(value=str(desk.hand_over(kept)), alt_text=kept.prompt or None),
            details_of(desk, words, kept),
            kept.id,
            words("unfavourite" if kept.favourite else "favourite"),
            words("delete" if kept.binned is None else "restore"),
            larger_label(desk, words, number, owner),
        )

    @kindly
    def choose(request: gr.Request, event: gr.SelectData, numbers: tuple[int, ...]) -> tuple[Any, ...]:
        try:
            return chosen(numbers[event.index], visitor_of(request))
        except (NotFoundError, IndexError) as error:
            return (
                None,
                problem_of(error, words),
                0,
                *(words(one) for one in ("favourite", "delete", "upscale")),
            )

    @kindly
    def beside(request: gr.Request, number: int, reel: Reel | None) -> Any:
        """Choose the picture of an animation that is shown as the page is loaded again."""
        if number or reel is None:
            return gr.skip()
        try:
            return chosen(reel.of, visitor_of(request))
        except NotFoundError:  # the animation can be seen all the same
            return gr.skip()

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
    def sure(request: gr.Request) -> tuple[str, Any]:
        number = desk.gallery.count(visitor_of(request), binned=True)
        return problem_of(words("empty_sure", f"{number:,}")), gr.Column(visible=True)

    def empty(request: gr.Request) -> tuple[Any, Any]:
        try:
            desk.gallery.empty_bin(visitor_of(request))
        except SfumatoError as error:  # the others are gone
            return problem_of(error, words), gr.skip()
        return "", gr.Column(visible=False)

    def none_shown() -> tuple[Any, ...]:
        """Return what stands in Details when no picture is chosen: one that went is not acted on."""
        return None, "", 0

    quiet: dict[str, Any] = {"queue": False, **CLICK}
    changes = [one.change for one in asked[1:]] + [parts["search"].submit]
    again = (search, [*seen[1:], *asked], [*page, parts["model"], parts["sought"]])
    here = (stay, [*seen, *asked], page)  # what changed is seen, and nobody is led away
    gr.on(changes, *again, **quiet)
    parts["search"].blur(left, [parts["sought"], *again[1]], again[2], **quiet)
    parts["older"].click(older, [parts["end"], *seen, *asked], page, **quiet)
    parts["newer"].click(newer, [*seen, *asked], page, **quiet)
    about = [parts[name] for name in ("picture", "details", "chosen", "favourite", "delete", "upscale")]
    two = [parts["chosen"], parts["first"]]
    # Through Gradio's queue: without it, nobody is told that a state changed (Gradio 6.31).
    # Gradio drops a second click while the first is answered, unless several are let through.
    choosing_one = parts["grid"].select(choose, parts["numbers"], about, trigger_mode="multiple", **QUIET)
    choosing_one.then(None, js=_TO_PICTURE, **CLICK)
    parts["chosen"].change(other, two, parts["compared"], **quiet)
    parts["animated"].then(beside, [parts["chosen"], parts["reel"]], about, **QUIET)
    comparing = [parts["first"], parts["compared"], parts["compare"]]
    parts["compare"].click(compare, two, comparing, **quiet)
    parts["favourite"].click(mark, parts["chosen"], parts["favourite"], **quiet).then(*here, **quiet)
    deleted = parts["delete"].click(bin_or_restore, parts["chosen"], parts["delete"], **quiet)
    parts["empty_bin"].click(sure, None, [parts["sure_line"], parts["sure"]], **quiet)
    emptied = parts["empty_yes"].click(empty, None, [parts["sure_line"], parts["sure"]], **quiet)
    for gone, then in ((deleted, here), (emptied, again)):
        # Through Gradio's queue: see above.
        gone.success(none_shown, None, about[:3], **QUIET).then(*then, **quiet)
    closing = [parts["empty_no"].click, parts["bin"].input]
    gr.on(closing, lambda: gr.Column(visible=False), None, parts["sure"], **quiet)
    parts["find"], parts["here"] = again, here
