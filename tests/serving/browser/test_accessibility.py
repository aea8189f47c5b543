"""axe-core on every tab: nothing is found that is ours. `studio_axe` looks at all looks with all rules.

On the way every tab is used, and asks this studio alone.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from served_studio import Served
from sfumato.serving.studio.colours import AA
from sfumato.serving.studio.look import built_in, names
from studio_axe import CONTRAST, MEASURE, Finding, fill, findings, tasks_of_edit
from studio_pages import OpenPage, go_to

MANY = ("Create", "Learn")  # tabs with most of the parts there are, of Gradio's and of our own


#: Gives what an empty field says the colour that hints have, so that it is measured as words are.
HINTED = """(selector) => {
  const one = document.querySelector(selector), hint = getComputedStyle(one, "::placeholder");
  one.textContent = one.placeholder;
  one.style.setProperty("color", hint.color, "important");
  return [hint.fontStyle, hint.opacity];
}"""


def ours(found: list[Finding]) -> list[str]:
    return [str(one) for one in found if not one.excused]


def test_every_tab_can_be_used_by_everybody(open_page: OpenPage, studio: Served) -> None:
    page = open_page(studio, query="?__theme=light")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("websocket", lambda socket: asked.append(socket.url))
    fill(page)
    assert ours(findings(page)) == []
    assert ours(tasks_of_edit(page)) == []
    others = [one for one in asked if not one.startswith((studio.url, "data:", "blob:"))]
    assert others == []
    assert len(asked) > 50  # it was counted


@pytest.mark.parametrize("name", names())
def test_every_look_can_be_read(
    name: str, other_studio: Callable[..., AbstractContextManager[Served]], open_page: OpenPage
) -> None:
    prompt = "#sf-prompt textarea"
    with other_studio(built_in(name)) as served:
        page = open_page(served, query="?__theme=light")
        assert ours(findings(page, CONTRAST, MANY)) == [], "light"
        go_to(page, "Create")
        assert page.evaluate(HINTED, prompt) == ["italic", "1"]
        assert page.evaluate(MEASURE, [prompt])[0][0] >= AA, "light"
        page.evaluate("document.body.classList.add('dark')")  # as Gradio does it
        page.evaluate(HINTED, prompt)
        assert page.evaluate(MEASURE, [prompt])[0][0] >= AA, "dark"
        assert ours(findings(page, CONTRAST, MANY)) == [], "dark"
        page.close()
