"""The page, put together: tabs from a table, in the order of the look."""

import os
from collections.abc import Callable
from html import escape
from importlib import import_module
from typing import Any, Final

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # before Gradio is imported: it asks for versions

import gradio as gr

from sfumato.serving.desk import Desk
from sfumato.serving.studio import (
    actions,
    choosing,
    comparing,
    details,
    dragging,
    examples,
    folded,
    gallery_tab,
    grid_tab,
    held_choices,
    keeping,
    links,
    models_showing,
    news,
    reach,
    slots,
)
from sfumato.serving.studio.area import QUIET
from sfumato.serving.studio.held_choices import HELD, HELD_ON
from sfumato.serving.studio.learn_look import STYLE as LEARN_STYLE
from sfumato.serving.studio.look import Dressed, Look, data_address
from sfumato.serving.studio.opening import opening_of
from sfumato.serving.studio.showing import STYLE
from sfumato.serving.studio.tabs import TABS
from sfumato.serving.studio.words import Words, words_of

Parts = dict[str, Any]
Build = Callable[[Desk, Words, Look], Parts]
PAGES: Final = 200  # of which Gradio remembers the state: half a MiB each; of older ones it forgets it
AT_ONCE: Final = 300  # handlers: each page that waits for a picture, or follows one, has one that waits
CACHE: Final = (600, 86_400)  # seconds: how often Gradio's copies are looked at, and how old they may be


def build(desk: Desk, dressed: Dressed) -> gr.Blocks:
    """Return the page for `desk` in a look. Raises RecipeError for a look that cannot be used."""
    look, words = dressed.look, words_of(dressed.look)
    with gr.Blocks(analytics_enabled=False, title=look.title, fill_width=False, delete_cache=CACHE) as page:
        page.max_threads = AT_ONCE
        page.state_session_capacity = PAGES
        opening = opening_of(page)
        above = dressed.file("above")
        if above is not None:
            gr.HTML(above.read_text(encoding="utf-8"))
        gr.HTML(heading_of(dressed), elem_id=news.HEADING, padding=False)
        if look.welcome:
            gr.Markdown(look.welcome, elem_classes="sf-welcome")
        parts: dict[str, Parts] = {}
        tabs: dict[str, gr.Tab] = {}
        fields: dict[str, Any] = {}
        held: dict[str, Any] = {}
        with gr.Tabs(overflow_behavior="wrap") as tabset:  # all of them in sight, on phones too
            for name in look.tabs:
                before = len(page.blocks)
                with gr.Tab(_label(words, name), id=name) as tab:
                    parts[name] = builder_of(name)(desk, words, look)
                fields |= keeping.typed(page, name, before, parts[name].get("late", ()))
                if name in HELD_ON:
                    held |= {f"{name}.{one}": parts[name][one] for one in HELD}
                tabs[name] = tab
        below = dressed.file("below")
        if below is not None:
            gr.HTML(below.read_text(encoding="utf-8"))
        for name in parts:
            if "find" in parts[name]:  # what they show is looked for when somebody looks
                tabs[name].select(*parts[name]["find"], **QUIET)
                if name == next(iter(parts)):  # which is open from the beginning
                    page.load(*parts[name]["find"], **QUIET)
        links.connect(opening, desk, words, parts, tabset)
        labels = {name: _label(words, name) for name in tabs}
        every = fields | held
        in_folds = {
            name: {key: one.label for key, one in every.items() if one in parts[name]["folded"]}
            for name in parts
            if "folded" in parts[name]
        }
        tell = folded.told(in_folds, words)
        kept = keeping.keep(page, every, [*held], labels, tabset, words("start_afresh"), tell)
        written = gr.Textbox(visible=False)
        for name in parts:
            if "shapes" in parts[name]:  # which go with the model that was taken up
                shaped = kept.then(*parts[name]["shapes"], **QUIET)
                if name in HELD_ON:
                    held_choices.connect(shaped, desk, words, name, parts[name], written)
    return page


def builder_of(name: str) -> Build:
    """Return what builds a tab of `TABS`."""
    build: Build = import_module(f"sfumato.serving.studio.{TABS[name]}").build
    return build


def _label(words: Words, name: str) -> str:
    return words(f"tab_{name}") if f"tab_{name}" in words.table else name.capitalize()


def heading_of(dressed: Dressed) -> str:
    """Return where the page begins: the way past the tabs, and the title."""
    return reach.skip_link(words_of(dressed.look)) + title_of(dressed)


def title_of(dressed: Dressed) -> str:
    """Return the heading of the page, with the logo where the look has one. Raises RecipeError for a file
    that cannot be used.
    """
    logo = dressed.file("logo")
    picture = "" if logo is None else f'<img class="sf-logo" alt="" src="{data_address(logo)}">'
    return f'<h1 class="sf-title">{picture}{escape(dressed.look.title)}</h1>'


def style() -> str:
    """Return the rules that every look has."""
    pictures = actions.STYLE + details.STYLE + comparing.STYLE + choosing.STYLE
    pictures += models_showing.STYLE + examples.STYLE + keeping.STYLE + gallery_tab.STYLE
    pictures += slots.STYLE + folded.STYLE
    return STYLE + pictures + dragging.style() + LEARN_STYLE + grid_tab.STYLE + news.STYLE + reach.STYLE
