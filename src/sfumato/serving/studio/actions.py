"""What can be done with a picture that was drawn: the buttons under it, in three groups, and what they show.

Those that draw another picture are connected by `area`, those that lead to other tabs by `links`. The gallery
has some of them.
"""

import json
from collections.abc import Mapping
from html import escape
from typing import Any, Final, TypeAlias

import gradio as gr
from gradio.events import Dependency

from sfumato.errors import RecipeError, SfumatoError
from sfumato.recipe.again import recipe_of, single
from sfumato.recipe.image import Recipe
from sfumato.serving.desk import Desk
from sfumato.serving.gallery import Kept
from sfumato.serving.jobs import Job
from sfumato.serving.reels import Reel
from sfumato.serving.studio import film_box
from sfumato.serving.studio.animating import Animating
from sfumato.serving.studio.binding import CLICK
from sfumato.serving.studio.details import COPY, SCRIPT, copied_of, details_of, recipe_text
from sfumato.serving.studio.line import Line, Way
from sfumato.serving.studio.showing import problem_of
from sfumato.serving.studio.visitors import visitor_of
from sfumato.serving.studio.words import Words

Buttons: TypeAlias = Mapping[str, gr.Button | gr.DownloadButton]
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


def build(words: Words, name: str) -> tuple[Buttons, gr.HTML]:
    """Make the buttons of the tab `name`, in the place that is open, and the place where what they say of a
    picture stands.
    """
    buttons = dict[str, gr.Button | gr.DownloadButton]()
    with gr.Row(elem_classes="sf-actions"):
        for group, members in GROUPS.items():
            with gr.Column(elem_classes="sf-group-of"):
                gr.HTML(f"<h2>{escape(words(group))}</h2>", padding=False)
                with gr.Row():
                    for one in members:
                        make = gr.DownloadButton if one == "download" else gr.Button
                        buttons[one] = make(words(one), size="sm", min_width=0)
    return buttons, place_of(name)


def place_of(name: str) -> gr.HTML:
    """Make the place where the tab `name` says what there is to say of a picture: what is copied is there."""
    return gr.HTML("", js_on_load=SCRIPT, elem_id=f"sf-{name}-about", padding=False)


def recipe_of_picture(desk: Desk, words: Words, number: int, owner: str) -> Recipe:
    """Return the recipe that draws a picture of `owner` again. Raises RecipeError where none is chosen."""
    return recipe_of(single(desk.gallery.resolved(_chosen(desk, words, number, owner))))


def _chosen(desk: Desk, words: Words, number: int, owner: str) -> Kept:
    if not number:
        raise RecipeError(words("choose_picture"))
    return desk.gallery.get(number, owner)


def connect(line: Line, buttons: Buttons, about: gr.HTML, chosen: gr.State) -> tuple[gr.State, Dependency]:
    """Have those of the `buttons` that are there do what they say with the picture `chosen`, and make the
    place, in the one that is open, where `line` shows an animation. Return what holds the one that is shown,
    and what follows can be bound to when it is.
    """
    desk, words = line.desk, line.words
    film = film_box.build(words, f"sf-{line.name}-animation", "animation", "animation_save")

    def how(request: gr.Request, number: int) -> str:
        try:
            return details_of(desk, words, _chosen(desk, words, number, visitor_of(request)))
        except SfumatoError as error:
            return problem_of(error, words)

    def copy(request: gr.Request, number: int) -> str:
        try:
            kept = _chosen(desk, words, number, visitor_of(request))
            return copied_of(recipe_text(desk.gallery.resolved(kept)), words)
        except SfumatoError as error:
            return problem_of(error, words)

    def animated(owner: str, number: int) -> Way:
        kept = _chosen(desk, words, number, owner)
        resolved = desk.gallery.resolved(kept)
        work = Animating(
            desk.settings, desk.models, desk.gallery.pixels(kept), resolved.index, desk.films, kept.id
        )
        return Way(recipe_of(resolved), work.draw)

    def told(job: Job) -> dict[Any, Any]:
        return {about: _differing(job, words)}

    def another(request: gr.Request, number: int, reel: Reel | None) -> dict[Any, Any]:
        mine = reel is not None and reel.of == number
        nothing = {about: gr.skip()} if mine else {about: "", **film.nothing()}
        if save is None:
            return nothing
        try:
            kept = _chosen(desk, words, number, visitor_of(request))
            return {save: gr.DownloadButton(value=str(desk.hand_over(kept))), **nothing}
        except SfumatoError:  # none, or one that is gone
            return {save: gr.DownloadButton(value=None), **nothing}

    if "how" in buttons:
        buttons["how"].click(how, chosen, about, queue=False, **CLICK)
    texts = ", ".join(json.dumps(words(one)) for one in ("copied", "copy_refused"))
    # The place is filled by now, and the script of this page copies from it.
    script = f"() => {{ {COPY} copied(document.getElementById('{about.elem_id}'), {texts}); }}"
    buttons["copy_recipe"].click(copy, chosen, about, queue=False, **CLICK).then(
        None, None, None, js=script, **CLICK
    )
    line.asks([buttons["animate"].click], animated, [chosen])
    shown = film_box.connect(film, line, lambda reel: reel.of > 0, told, [about])
    save = buttons.get("download")
    outputs = [about, *film.outputs, *([] if save is None else [save])]
    chosen.change(another, [chosen, film.reel], outputs, queue=False, **CLICK)
    return film.reel, shown


def _differing(job: Job, words: Words) -> str:
    """Return what is to be said of a picture that did not come out as it is kept, if anything is."""
    if job.film is None or job.film.differs == 0:
        return ""
    by = job.film.differs
    text = words("animation_other") if by is None else words("animation_differs", by)
    return problem_of(" ".join((text, *job.warnings)))
