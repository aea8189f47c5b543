"""What can be done with a picture that was drawn: the buttons under it, in three groups, and what they show.

Those that draw another picture are connected by `area`, those that lead to other tabs by `links`.
"""

import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from html import escape
from typing import Any, Final

import gradio as gr

from sfumato.errors import RecipeError, SfumatoError
from sfumato.recipe.again import recipe_of, single
from sfumato.recipe.image import Recipe
from sfumato.serving.desk import Desk
from sfumato.serving.gallery import Kept
from sfumato.serving.jobs import Job
from sfumato.serving.studio import film_box
from sfumato.serving.studio.animating import Animating
from sfumato.serving.studio.binding import CLICK, QUIET, News
from sfumato.serving.studio.details import COPY, SCRIPT, copied_of, details_of, recipe_text
from sfumato.serving.studio.showing import problem_of, progress_of
from sfumato.serving.studio.visitors import visitor_of
from sfumato.serving.studio.words import Words

GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "actions_more": ("vary_subtle", "vary_strong", "upscale"),
    "actions_on": ("edit_this", "animate"),
    "actions_keep": ("how", "copy_recipe", "download"),
}
STYLE: Final = """
.sf-actions { gap: .5rem 1.1rem; }
.sf-actions .html-container { padding: 0 !important; }
/* Without a picture there is nothing to be done with it; its place is kept, so that nothing moves. */
:not(:has(.sf-results img)) + .sf-actions { visibility: hidden; }
.sf-actions > .sf-group-of { gap: .3rem; flex: 0 1 auto !important; width: auto; min-width: 0 !important; }
.sf-actions .sf-group-of .row { gap: .4rem; flex-wrap: wrap; }
.sf-actions .sf-group-of button, .sf-actions .sf-group-of a { flex: 0 1 auto; width: auto;
  min-width: 0 !important; padding: .25rem .5rem; }
.sf-moving .image-frame { width: min(100%, 24rem); }
.sf-moving img { width: 100%; height: auto; object-fit: contain; }
.sf-actions h2 { margin: 0; font-size: .8rem; font-weight: 400; color: var(--body-text-color-subdued); }
"""


@dataclass(frozen=True, eq=False)
class Actions:
    """The `buttons`, and where they speak: `about` of the picture that is chosen."""

    buttons: Mapping[str, gr.Button | gr.DownloadButton]
    about: gr.HTML


@dataclass(frozen=True, eq=False)
class Above:
    """What the buttons act on, and where is said how a drawing goes: see `area.Area`."""

    desk: Desk
    words: Words
    progress: gr.HTML
    job: gr.State
    chosen: gr.State


def build(above: Above, name: str) -> Actions:
    """Make the buttons of the tab `name`, in the place that is open, and what they show."""
    words, buttons = above.words, dict[str, gr.Button | gr.DownloadButton]()
    with gr.Row(elem_classes="sf-actions"):
        for group, members in GROUPS.items():
            with gr.Column(elem_classes="sf-group-of"):
                gr.HTML(f"<h2>{escape(words(group))}</h2>", padding=False)
                with gr.Row():
                    for one in members:
                        make = gr.DownloadButton if one == "download" else gr.Button
                        buttons[one] = make(words(one), size="sm", min_width=0)
    about = gr.HTML("", js_on_load=SCRIPT, elem_id=f"sf-{name}-about", padding=False)
    _connect(above, Actions(buttons, about), name)
    return Actions(buttons, about)


def recipe_of_picture(desk: Desk, words: Words, number: int, owner: str) -> Recipe:
    """Return the recipe that draws a picture of `owner` again. Raises RecipeError where none is chosen."""
    return recipe_of(single(desk.gallery.resolved(_chosen(desk, words, number, owner))))


def _chosen(desk: Desk, words: Words, number: int, owner: str) -> Kept:
    if not number:
        raise RecipeError(words("choose_picture"))
    return desk.gallery.get(number, owner)


def _connect(above: Above, made: Actions, name: str) -> None:
    desk, words, chosen, about = above.desk, above.words, above.chosen, made.about
    film = film_box.build(words, f"sf-{name}-animation", "animation", "animation_save")

    def how(request: gr.Request, number: int) -> str:
        try:
            return details_of(desk, words, _chosen(desk, words, number, visitor_of(request)))
        except SfumatoError as error:
            return problem_of(error)

    def copy(request: gr.Request, number: int) -> str:
        try:
            kept = _chosen(desk, words, number, visitor_of(request))
            return copied_of(recipe_text(desk.gallery.resolved(kept)), words)
        except SfumatoError as error:
            return problem_of(error)

    def animate(request: gr.Request, number: int, kind: str) -> News:
        owner = visitor_of(request)
        try:
            kept = _chosen(desk, words, number, owner)
            resolved = desk.gallery.resolved(kept)
            original = desk.gallery.pixels(kept)
            work = Animating(desk.settings, desk.models, original, resolved.index, desk.handed)
            job = desk.queue.submit(recipe_of(resolved), owner, work.draw)
        except SfumatoError as error:
            yield {above.progress: problem_of(error)}
            return
        with closing(desk.queue.follow(job.id, owner)) as following:
            for job in following:
                yield {above.progress: progress_of(job, words), above.job: job.id}
        if work.reel is None:
            return
        try:
            yield {**film.shown(work.reel, kind), about: _differing(work, job, words)}
        except SfumatoError as error:
            yield {above.progress: problem_of(error)}

    def another(request: gr.Request, number: int) -> dict[Any, Any]:
        save, nothing = made.buttons["download"], {about: "", **film.nothing()}
        try:
            kept = _chosen(desk, words, number, visitor_of(request))
            return {save: gr.DownloadButton(value=str(desk.hand_over(kept))), **nothing}
        except SfumatoError:  # none, or one that is gone
            return {save: gr.DownloadButton(value=None), **nothing}

    made.buttons["how"].click(how, chosen, about, queue=False, **CLICK)
    texts = ", ".join(json.dumps(words(one)) for one in ("copied", "copy_refused"))
    # The place is filled by now, and the script of this page copies from it.
    script = f"() => {{ {COPY} copied(document.getElementById('sf-{name}-about'), {texts}); }}"
    made.buttons["copy_recipe"].click(copy, chosen, about, queue=False, **CLICK).then(
        None, None, None, js=script, **CLICK
    )
    outputs = [above.progress, above.job, about, *film.outputs]
    made.buttons["animate"].click(animate, [chosen, film.format], outputs, **QUIET)
    outputs = [made.buttons["download"], about, *film.outputs]
    chosen.change(another, chosen, outputs, queue=False, **CLICK)


def _differing(work: Animating, job: Job, words: Words) -> str:
    """Return what is to be said of a picture that did not come out as it is kept, if anything is."""
    if work.differs == 0:
        return ""
    text = words("animation_other") if work.differs is None else words("animation_differs", work.differs)
    return problem_of(" ".join((text, *job.warnings)))
