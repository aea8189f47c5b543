"""The tab Gallery: everything that was made, found again."""

from collections.abc import Sequence
from datetime import datetime
from html import escape
from typing import Any

import gradio as gr

from sfumato.errors import NotFoundError, SfumatoError
from sfumato.recipe.codec import to_toml
from sfumato.serving.desk import Desk
from sfumato.serving.gallery import Kept
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
                parts["favourite"] = gr.Button(words("favourite"))
            with gr.Row():
                parts["delete"] = gr.Button(words("delete"))
                parts["empty_bin"] = gr.Button(words("empty_bin"), variant="stop", visible=False)
    parts["numbers"] = gr.State(())
    parts["chosen"] = gr.State(0)
    _connect(desk, words, parts)
    return parts


def details_of(desk: Desk, kept: Kept) -> str:
    """Return what is known of a picture, as HTML in which nothing of it can act."""
    when = datetime.fromtimestamp(kept.created).strftime("%Y-%m-%d %H:%M")
    try:
        recipe = to_toml(desk.gallery.resolved(kept))
    except SfumatoError as error:
        recipe = str(error)
    facts = f"{kept.model} · {kept.width}x{kept.height} · {kept.seed} · {when}"
    return (
        f'<p class="sf-prompt">{escape(kept.prompt)}</p><p class="sf-quiet">{escape(facts)}</p>'
        f"<details><summary>Recipe</summary><pre>{escape(recipe)}</pre></details>"
    )


def _connect(desk: Desk, words: Words, parts: Parts) -> None:
    asked = [parts[name] for name in ("search", "model", "favourites", "bin")]
    shown = [parts[name] for name in ("grid", "numbers", "older", "empty_bin", "model")]

    def found(owner: str, values: Sequence[Any], before: int | None = None) -> tuple[Kept, ...]:
        search, model, favourites, binned = values
        return desk.gallery.search(
            owner,
            search or "",
            model=model or None,
            favourites=bool(favourites),
            binned=bool(binned),
            before=before,
            limit=PAGE,
        )

    def tiles(pictures: Sequence[Kept]) -> list[tuple[str, str]]:
        made: list[tuple[str, str]] = []
        for one in pictures:
            try:
                made.append((str(desk.show(desk.gallery.thumbnail(one))), one.prompt[:60]))
            except SfumatoError:  # damaged meanwhile; the others are shown
                continue
        return made

    def search(request: gr.Request, *values: Any) -> tuple[Any, ...]:
        owner = visitor_of(request)
        pictures = found(owner, values)
        models = [(words("all_models"), ""), *((name, name) for name in desk.gallery.models(owner))]
        chosen = values[1] if any(values[1] == value for _, value in models) else ""
        return (
            tiles(pictures),
            tuple(one.id for one in pictures),
            gr.Button(visible=len(pictures) == PAGE),
            gr.Button(visible=bool(values[3]) and bool(pictures)),
            gr.Dropdown(choices=models, value=chosen),
        )

    def older(request: gr.Request, numbers: tuple[int, ...], *values: Any) -> tuple[Any, ...]:
        owner = visitor_of(request)
        more = found(owner, values, min(numbers, default=None))
        whole = [desk.gallery.get(number, owner) for number in numbers] + [*more]
        return tiles(whole), tuple(one.id for one in whole), gr.Button(visible=len(more) == PAGE)

    def choose(request: gr.Request, event: gr.SelectData, numbers: tuple[int, ...]) -> tuple[Any, ...]:
        try:
            kept = desk.gallery.get(numbers[event.index], visitor_of(request))
        except (NotFoundError, IndexError) as error:
            return None, problem_of(error), 0, words("favourite"), words("delete")
        return (
            gr.Image(value=str(desk.hand_over(kept)), alt_text=kept.prompt or None),
            details_of(desk, kept),
            kept.id,
            words("unfavourite" if kept.favourite else "favourite"),
            words("delete" if kept.binned is None else "restore"),
        )

    def mark(request: gr.Request, number: int) -> str:
        kept = desk.gallery.get(number, visitor_of(request)) if number else None
        if kept is None:
            return words("favourite")
        desk.gallery.mark([number], visitor_of(request), favourite=not kept.favourite)
        return words("favourite" if kept.favourite else "unfavourite")

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

    def empty(request: gr.Request) -> None:
        desk.gallery.empty_bin(visitor_of(request))

    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "queue": False}
    changes = [one.change for one in asked[1:]] + [parts["search"].submit, parts["search"].blur]
    gr.on(changes, search, asked, shown, **quiet)
    parts["older"].click(older, [parts["numbers"], *asked], shown[:3], **quiet)
    about = [parts[name] for name in ("picture", "details", "chosen", "favourite", "delete")]
    parts["grid"].select(choose, parts["numbers"], about, **quiet)
    again = (search, asked, shown)
    parts["favourite"].click(mark, parts["chosen"], parts["favourite"], **quiet).then(*again, **quiet)
    parts["delete"].click(bin_or_restore, parts["chosen"], parts["delete"], **quiet).then(*again, **quiet)
    parts["empty_bin"].click(empty, None, None, **quiet).then(*again, **quiet)
    parts["find"] = again
