"""What is typed on the page outlives its being loaded again: kept by the browser, in this tab of it alone.

Gradio's own values are what is kept, not those of the elements of the page: tabs and folds that nobody opened
have none. The script of the page presses a button that nobody sees, which keeps them: after people did
something, when the page goes, and when the look changes, which loads the page again (see `news`). Not each
field by itself as it changes: Gradio goes through all of the page for each part that tells of an event.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import gradio as gr
from gradio.events import Dependency

BUTTON: Final = "sf-keep"
AFRESH: Final = "sf-afresh"
_STORE: Final = "sfumato-kept"
_TAKING: Final = "sf-take-up"
_WRITING: Final = "sf-keep-now"
_AFTER: Final = (0, 300, 1000, 3000, 10_000)  # milliseconds after what people did
STYLE: Final = """
.sf-afresh { flex: 0 0 auto; width: auto; align-self: flex-end; }
"""
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
  const state = window.sfumato_kept;
  if (!state) { return; }
  const names = %(names)s, ids = %(ids)s;
  state.begun ??= Object.fromEntries(
    window.gradio_config.components.map((one) => [one.id, JSON.stringify(one.props.value ?? "")]));
  state.kept = {};
  names.forEach((name, place) => {
    const same = JSON.stringify(values[place] ?? "") === (state.begun[ids[place]] ?? '""');
    if (!same) { state.kept[name] = values[place]; }
  });
  state.tell(state.kept);
  %(then)s
}"""
_WRITE: Final = "state.write();"
_RELOAD: Final = "state.write(); location.reload();"
_AFRESH: Final = """() => {
  const state = window.sfumato_kept;
  if (state) { state.kept = {}; state.write(); window.sfumato_kept = null; }
  location.reload();
}"""
# Only a page that has something to take up does: Gradio goes through all of it for each of so many fields.
_LOOK: Final = """() => {
  const names = %(names)s, tabs = %(tabs)s;
  const state = {kept: {}, timers: [], held: {}, read: {}, tell: %(tell)s};
  try {
    state.read = JSON.parse(sessionStorage.getItem("%(store)s")) ?? {};
  } catch { /* Not written by this page. */ }
  state.write = () => {
    const open = [...document.querySelectorAll("[role=tab]")].find((one) => one.ariaSelected === "true");
    const found = tabs.find((one) => open && open.textContent.trim() === one[1]);
    const written = {kept: state.kept, tab: found ? found[0] : null, of: names};
    // What is too much for the browser is not kept.
    try { sessionStorage.setItem("%(store)s", JSON.stringify(written)); } catch { /* It is full. */ }
  };
  const write = () => document.getElementById("%(write)s")?.click();
  // At once, and again for what is filled in by the studio: when a page goes while something is drawn, Gradio
  // has let go of it already, and does nothing any more.
  const soon = window.requestIdleCallback ?? setTimeout;
  const later = (event) => {
    if (["%(write)s", "%(button)s"].includes(event.target.id)) { return; }
    state.timers.forEach(clearTimeout);
    state.timers = %(after)s.map((wait) => setTimeout(() => soon(write), wait));
  };
  // Not before all of it stands in the fields: until then they hold what the page began with.
  state.begin = () => {
    window.sfumato_kept = state;
    state.tell(state.kept);
    const kinds = ["input", "change", "click", "keyup", "pointerup", "focusout", "drop"];
    kinds.forEach((kind) => document.addEventListener(kind, later, true));
    window.addEventListener("pagehide", write);
    document.addEventListener("visibilitychange", () => { if (document.hidden) { write(); } });
  };
  window.sfumato_taking = state;
  const {kept, tab} = state.read;
  if (Object.keys(kept ?? {}).length === 0 && (tab ?? tabs[0]?.[0]) === tabs[0]?.[0]) {
    state.begin();
    return;
  }
  const press = () => {
    const button = document.getElementById("%(take)s");
    if (button) { button.click(); } else { requestAnimationFrame(press); }
  };
  press();
}"""
_TAKE: Final = """() => {
  const names = %(names)s, ids = %(ids)s, late = %(late)s, tabs = %(tabs)s, skip = {__type__: "update"};
  const state = window.sfumato_taking;
  const {kept = {}, tab = null, of = []} = state.read;
  const own = (all, name) => all.filter((one) => one.split(".")[0] === name.split(".")[0]).join();
  const built = Object.fromEntries(window.gradio_config.components.map((one) => [one.id, one.props]));
  // A tab may have other fields by now, and a field other choices.
  const fits = (name, place) => {
    if (!(name in kept) || own(of, name) !== own(names, name)) { return false; }
    if (late.includes(name)) { return true; } // the studio looks whether it is there
    const choices = built[ids[place]]?.choices?.map((one) => one[1]);
    return !choices || [kept[name]].flat().every((one) => one === null || choices.includes(one));
  };
  const taken = Object.fromEntries(names.filter(fits).map((name) => [name, kept[name]]));
  state.kept = taken;
  for (const name of late) {
    if (name in taken) { state.held[name] = taken[name]; }
  }
  const set = (name) => name in taken && !(name in state.held);
  const update = (name) => set(name) ? {__type__: "update", value: taken[name]} : skip;
  const there = tabs.some((one) => one[0] === tab);
  return [
    ...names.map(update),
    there ? {__type__: "update", selected: tab} : skip,
  ];
}"""
_HELD: Final = """(_, ...others) => {
  const held = window.sfumato_taking?.held ?? {}, tab = %(tab)s;
  const found = %(names)s.filter((name) => tab + name in held).map((name) => [name, held[tab + name]]);
  return [JSON.stringify(Object.fromEntries(found)), ...others];
}"""
_BEGIN: Final = "() => { window.sfumato_taking.begin(); }"


def keep(
    page: gr.Blocks,
    fields: Mapping[str, Any],
    late: Sequence[str],
    tabs: Mapping[str, str],
    tabset: gr.Tabs,
    afresh: str,
    tell: str,
) -> Dependency:
    """Have the page keep the values of `fields`, by name, and which of `tabs` is open (names and what stands
    on them), and take them up when it is loaded again and something was kept, which is returned as an event;
    but those of the fields that are `late` are only held, see `held`. Make the button `afresh`, which forgets
    them, in the place that is open; `tell` is a script that is given what is kept. Called inside the page.
    """
    shape = {
        "late": _script([*late]),
        "names": _script([*fields]),
        "ids": _script([one._id for one in fields.values()]),
        "tabs": _script([*tabs.items()]),
        "store": _STORE,
        "take": _TAKING,
        "button": BUTTON,
        "write": _WRITING,
        "after": _script(_AFTER),
        "tell": tell,
    }
    inputs = [*fields.values()]
    forget = gr.Button(afresh, size="sm", elem_id=AFRESH, elem_classes="sf-afresh")
    forget.click(None, None, None, js=_AFRESH, api_visibility="private")
    button = gr.Button("keep", elem_id=BUTTON, visible="hidden")
    button.click(None, inputs, None, js=_KEEP % {**shape, "then": _RELOAD}, api_visibility="private")
    write = gr.Button("write", elem_id=_WRITING, visible="hidden")
    write.click(None, inputs, None, js=_KEEP % {**shape, "then": _WRITE}, api_visibility="private")
    page.load(None, None, None, js=_LOOK % shape, api_visibility="private")
    taking = gr.Button("take up", elem_id=_TAKING, visible="hidden")
    taken = taking.click(None, None, [*inputs, tabset], js=_TAKE % shape, api_visibility="private")
    taken.then(None, None, None, js=_BEGIN, api_visibility="private")
    return taken


def typed(page: gr.Blocks, tab: str, before: int, without: Sequence[Any] = ()) -> dict[str, Any]:
    """Return the fields of a tab that people type into or choose, by names that are the same in every look:
    those of `page` made after the first `before` parts of it, but none of `without`: Gradio refuses a choice
    that is not among those which a part was built with.
    """
    parts = [*page.blocks.values()][before:]
    made = [one for one in parts if isinstance(one, _TYPED) and one not in without]
    return {f"{tab}.{number}.{type(one).__name__}": one for number, one in enumerate(made)}


def held(tab: str, names: Sequence[str]) -> str:
    """Return the script that gives what was kept of the late fields `names` of a tab: a handler's first
    input becomes their values as JSON, by name.
    """
    return _HELD % {"tab": _script(f"{tab}."), "names": _script([*names])}


def _script(value: Any) -> str:
    """Return a value as JavaScript that may stand in a page."""
    return json.dumps(value).replace("<", "\\u003c")
