"""The page, put together: tabs from a table, in the order of the look."""

import os
from collections.abc import Callable, Mapping
from html import escape
from typing import Final

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # before Gradio is imported: it asks for versions

import gradio as gr

from sfumato.serving.desk import Desk
from sfumato.serving.studio import create, edit, gallery_tab, grid_tab, learn, links, models_tab
from sfumato.serving.studio.area import QUIET
from sfumato.serving.studio.learn_page import STYLE as LEARN_STYLE
from sfumato.serving.studio.look import Dressed, data_address
from sfumato.serving.studio.showing import STYLE
from sfumato.serving.studio.words import Words, words_of

Parts = create.Parts
Build = Callable[[Desk, Words, "create.Look"], Parts]

#: The tabs there are: what builds each. A new one is a file and a row here.
TABS: Final[Mapping[str, Build]] = {
    "create": create.build,
    "edit": edit.build,
    "learn": learn.build,
    "grid": grid_tab.build,
    "gallery": gallery_tab.build,
    "models": models_tab.build,
}
CACHE: Final = (600, 86_400)  # seconds: how often Gradio's copies are looked at, and how old they may be
KEYS: Final = """
<script>
document.addEventListener("keydown", (event) => {
  // The one that is nearest to where somebody types, on the tab that is open.
  const press = (selector) => {
    for (let place = event.target; place; place = place.parentElement) {
      const one = [...place.querySelectorAll(selector)].find((button) => button.offsetParent !== null);
      if (one) { one.click(); return; }
    }
  };
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    press("#sf-generate, #sf-edit-draw, #sf-grid-draw, .sf-go");
  }
  if (event.key === "Escape") { press("#sf-stop, #sf-grid-stop, .sf-stop"); }
});
</script>
"""


def build(desk: Desk, dressed: Dressed) -> gr.Blocks:
    """Return the page for `desk` in a look. Raises RecipeError for a look that cannot be used."""
    look, words = dressed.look, words_of(dressed.look)
    with gr.Blocks(analytics_enabled=False, title=look.title, fill_width=False, delete_cache=CACHE) as page:
        above = dressed.file("above")
        if above is not None:
            gr.HTML(above.read_text(encoding="utf-8"))
        gr.HTML(title_of(dressed), padding=False)
        if look.welcome:
            gr.Markdown(look.welcome, elem_classes="sf-welcome")
        parts: dict[str, Parts] = {}
        tabs: dict[str, gr.Tab] = {}
        with gr.Tabs() as tabset:
            for name in look.tabs:
                if name in TABS:
                    with gr.Tab(words(f"tab_{name}"), id=name) as tab:
                        parts[name] = TABS[name](desk, words, look)
                    tabs[name] = tab
        below = dressed.file("below")
        if below is not None:
            gr.HTML(below.read_text(encoding="utf-8"))
        for name in ("gallery", "models"):
            if name in parts:  # what they show is looked for when somebody looks
                tabs[name].select(*parts[name]["find"], **QUIET)
        links.connect(page, desk, words, parts, tabset)
    return page


def title_of(dressed: Dressed) -> str:
    """Return the heading of the page, with the logo where the look has one. Raises RecipeError for a file
    that cannot be used.
    """
    logo = dressed.file("logo")
    picture = "" if logo is None else f'<img class="sf-logo" alt="" src="{data_address(logo)}">'
    return f'<h1 class="sf-title">{picture}{escape(dressed.look.title)}</h1>'


def style() -> str:
    """Return the rules that every look has."""
    return STYLE + LEARN_STYLE + grid_tab.STYLE
