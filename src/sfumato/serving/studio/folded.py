"""What is in use on a fold that is shut is said on it: settings that a picture, a preset or a page that was
loaded again filled in are not seen otherwise.

The browser knows which fields differ from what they began with (see `keeping`). It writes their labels into a
property of the page's style, which the fold shows behind its own: no part of the page has to change for that.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

import gradio as gr

from sfumato.serving.studio.tabs import TABS
from sfumato.serving.studio.words import Words

MOST: Final = 4  # labels that are named; that there are more is said with three dots
_TELL: Final = """(kept) => {
  for (const [tab, labels] of Object.entries(%(labels)s)) {
    const used = [...new Set(Object.keys(labels).filter((one) => one in kept).map((one) => labels[one]))];
    const more = used.length > %(most)d ? ", …" : "";
    const said = used.length ? %(words)s.replace("{0}", () => used.slice(0, %(most)d).join(", ") + more) : "";
    document.documentElement.style.setProperty(`--sf-${tab}-in-use`, JSON.stringify(said));
  }
}"""
_SHUT: Final = "> .label-wrap:not(.open) > span:first-of-type::after"
STYLE: Final = "".join(
    f"#{one} > .label-wrap {{ text-align: left; }}\n"
    f"#{one} {_SHUT} {{ content: var(--{one.removesuffix('-advanced')}-in-use, ''); "
    "color: var(--body-text-color-subdued); }\n"
    for one in (f"sf-{tab}-advanced" for tab in TABS)
)


def fold(words: Words, tab: str) -> gr.Accordion:
    """Make the fold of a tab, which says what is in use while it is shut, in the place that is open."""
    return gr.Accordion(words("advanced"), open=False, elem_id=f"sf-{tab}-advanced")


def inside(fold: gr.Accordion, fields: Iterable[Any]) -> list[Any]:
    """Return those of `fields` that lie in `fold`."""
    return [one for one in fields if fold in _around(one)]


def told(labels: Mapping[str, Mapping[str, str]], words: Words) -> str:
    """Return the script that says what is in use, given what is kept: `labels` of fields, by their names, for
    each tab.
    """
    shape = {"labels": _script(labels), "words": _script(f" · {words('in_use')}"), "most": MOST}
    return _TELL % shape


def _around(one: Any) -> list[Any]:
    around: list[Any] = []
    while one.parent is not None:
        one = one.parent
        around.append(one)
    return around


def _script(value: Any) -> str:
    return json.dumps(value).replace("<", "\\u003c")
