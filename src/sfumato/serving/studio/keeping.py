"""What is typed on the page outlives its being loaded again: kept by the browser, in this tab of it alone.

Gradio's own values are what is kept, not those of the page's elements: tabs and folds that nobody opened have
none. It is done by a button that nobody sees, which the page's script presses (see `news`).
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import gradio as gr
from gradio.events import Dependency

BUTTON: Final = "sf-keep"
_STORE: Final = "sfumato-kept"
_TYPED: Final = (
    gr.Textbox,
    gr.Dropdown,
    gr.Slider,
    gr.Checkbox,
    gr.CheckboxGroup,
    gr.Radio,
    gr.Number,
)

# Only what differs from what the page began with is kept: what comes from elsewhere may have changed.
_KEEP: Final = """(...values) => {
  const names = %(names)s, ids = %(ids)s, kept = {};
  const begun = Object.fromEntries(window.gradio_config.components.map((one) => [one.id, one.props.value]));
  names.forEach((name, place) => {
    const same = JSON.stringify(values[place] ?? "") === JSON.stringify(begun[ids[place]] ?? "");
    if (!same) { kept[name] = values[place]; }
  });
  const tabs = [...document.querySelectorAll("[role=tab]")];
  const open = tabs.find((one) => one.getAttribute("aria-selected") === "true");
  const place = %(tabs)s.findIndex((label) => open && open.textContent.trim() === label[1]);
  const tab = place < 0 ? null : %(tabs)s[place][0];
  sessionStorage.setItem("%(store)s", JSON.stringify({kept, tab}));
  location.reload();
}"""
_TAKE: Final = """() => {
  const names = %(names)s, skip = {__type__: "update"};
  const read = sessionStorage.getItem("%(store)s");
  if (read === null) { return [...names.map(() => skip), skip]; }
  sessionStorage.removeItem("%(store)s");
  const {kept, tab} = JSON.parse(read);
  const there = %(tabs)s.some((one) => one[0] === tab);
  return [
    ...names.map((name) => name in kept ? {__type__: "update", value: kept[name]} : skip),
    there ? {__type__: "update", selected: tab} : skip,
  ];
}"""


def keep(page: gr.Blocks, fields: Mapping[str, Any], tabs: Mapping[str, str], tabset: gr.Tabs) -> Dependency:
    """Have the page keep the values of `fields`, by name, and which of `tabs` is open (names and what stands
    on them), and take them up when it is loaded again, which is returned as an event. Called inside the page.
    """
    shape = {
        "names": _script([*fields]),
        "ids": _script([one._id for one in fields.values()]),
        "tabs": _script([*tabs.items()]),
        "store": _STORE,
    }
    inputs = [*fields.values()]
    button = gr.Button("keep", elem_id=BUTTON, visible="hidden")
    button.click(None, inputs, None, js=_KEEP % shape, api_visibility="private")
    return page.load(None, None, [*inputs, tabset], js=_TAKE % shape, api_visibility="private")


def typed(page: gr.Blocks, tab: str, before: int, without: Sequence[Any] = ()) -> dict[str, Any]:
    """Return the fields of a tab that people type into or choose, by names that are the same in every look:
    those of `page` made after the first `before` parts of it, but none of `without`: Gradio refuses a choice
    that is not among those which a part was built with.
    """
    parts = [*page.blocks.values()][before:]
    made = [one for one in parts if isinstance(one, _TYPED) and one not in without]
    return {f"{tab}.{number}.{type(one).__name__}": one for number, one in enumerate(made)}


def _script(value: Any) -> str:
    """Return a value as JavaScript that may stand in a page."""
    return json.dumps(value).replace("<", "\\u003c")
