"""What a page takes up as it is opened, and only where there is something: jobs under way, models that came.

Gradio (6.31) goes through all parts of a page for each output of each handler that runs as it opens. So one
handler looks, and the page presses hidden buttons for what it found.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import gradio as gr

from sfumato.errors import SfumatoError
from sfumato.serving.studio.binding import CLICK
from sfumato.serving.studio.visitors import visitor_of

_FIRST: Final = "sf-opening-"  # of the ids of the buttons
_PRESS: Final = """(found) => {
  const press = (id) => {
    const button = document.getElementById(id);
    if (button) { button.click(); } else { requestAnimationFrame(() => press(id)); }
  };
  JSON.parse(found || "[]").forEach((name) => press("%s" + name));
}"""


@dataclass(frozen=True, eq=False)
class Opening:
    """What is looked for as a page is opened: whether there is news, for whom, by name."""

    looked_for: dict[str, Callable[[str], bool]] = field(default_factory=dict[str, Callable[[str], bool]])

    def when(self, name: str, news: Callable[[str], bool]) -> Callable[..., Any]:
        """Return an event that comes as the page is opened by somebody for whom there is `news`. Called in a
        place of the page that is open.
        """
        self.looked_for[name] = news
        return gr.Button(name, elem_id=_FIRST + name, visible="hidden").click

    def found(self, request: gr.Request) -> str:
        """Return the names of what there is, as JSON."""
        owner = visitor_of(request)
        return json.dumps([name for name, news in self.looked_for.items() if _is_there(news, owner)])


def opening_of(page: gr.Blocks) -> Opening:
    """Return what `page` looks for as it is opened: nothing yet. Called where the page begins, as what stands
    there is found soonest.
    """
    opening, found = Opening(), gr.Textbox(visible=False)
    looked = page.load(opening.found, None, found, queue=False, **CLICK)
    looked.then(None, found, None, js=_PRESS % _FIRST, api_visibility="private")
    return opening


def _is_there(news: Callable[[str], bool], owner: str) -> bool:
    try:
        return news(owner)
    except (SfumatoError, OSError):  # whoever takes it up says what is wrong
        return True
