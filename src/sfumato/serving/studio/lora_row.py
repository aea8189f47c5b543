"""Adapters on the tab Create: those of the library, with a weight, to be laid over the model. Nothing of it
is shown where there are none.
"""

from html import escape
from typing import Any, Final

import gradio as gr

from sfumato.errors import SfumatoError
from sfumato.models.facts import LORA
from sfumato.models.library import Entry, list_library
from sfumato.serving.desk import Desk
from sfumato.serving.studio.binding import CLICK
from sfumato.serving.studio.forms import adapter_mark, laid_over, left_out
from sfumato.serving.studio.showing import problem_of
from sfumato.serving.studio.words import Words

Parts = dict[str, Any]
LEAST: Final = -1.0
MOST: Final = 2.0
USUAL: Final = 0.8
MOST_SAID: Final = 400  # characters of what a file says of itself: nobody checked it


def adapters_of(desk: Desk) -> list[Entry]:
    """Return the adapters of the library that can be named in a prompt, by name."""
    found = (one for one in list_library(desk.settings) if one.kind == LORA and one.facts is not None)
    return sorted((one for one in found if adapter_mark(one.name, 1.0)), key=lambda one: one.name.casefold())


def build(words: Words) -> Parts:
    """Make the parts, in the place that is open; `connect` fills them when somebody looks."""
    parts: Parts = {}
    with gr.Column(visible=False) as parts["lora_row"]:
        with gr.Row():
            parts["lora"] = gr.Dropdown(
                [(words("lora_none"), "")], value="", label=words("lora_pick"), scale=3, elem_id="sf-lora"
            )
            parts["lora_weight"] = gr.Slider(
                LEAST, MOST, value=USUAL, step=0.05, label=words("lora_weight"), scale=3
            )
        parts["lora_about"] = gr.HTML("", padding=True, elem_id="sf-lora-about")
        with gr.Row():
            parts["lora_add"] = gr.Button(words("lora_add"), size="sm", elem_id="sf-lora-add")
            parts["lora_remove"] = gr.Button(words("lora_remove"), size="sm")
    return parts


def connect(desk: Desk, words: Words, parts: Parts, advanced: gr.Accordion) -> None:
    """Connect them with the field `loras`; they are looked for whenever `advanced` is opened."""

    def look(chosen: str) -> tuple[Any, ...]:
        names = [(_label(one), one.name) for one in adapters_of(desk)]
        still = chosen if any(chosen == name for _, name in names) else ""
        return gr.Column(visible=bool(names)), gr.Dropdown([(words("lora_none"), ""), *names], value=still)

    def tell(name: str) -> str:
        try:
            found = next((one for one in adapters_of(desk) if one.name == name), None)
        except SfumatoError as error:
            return problem_of(error)
        return "" if found is None else about(found, words)

    def lay(written: str, name: str, weight: float) -> str:
        return laid_over(written or "", name, weight) if name else written

    def weigh(written: str, name: str, weight: float) -> str:
        there = name and left_out(written or "", name) != (written or "").strip()
        return lay(written, name, weight) if there else written

    def remove(written: str, name: str) -> str:
        return left_out(written or "", name) if name else written

    quick: dict[str, Any] = {"queue": False, **CLICK}
    loras, lora, weight = parts["loras"], parts["lora"], parts["lora_weight"]
    advanced.expand(look, lora, [parts["lora_row"], lora], **quick)
    lora.change(tell, lora, parts["lora_about"], **quick)
    parts["lora_add"].click(lay, [loras, lora, weight], loras, **quick)
    weight.release(weigh, [loras, lora, weight], loras, **quick)
    parts["lora_remove"].click(remove, [loras, lora], loras, **quick)


def about(entry: Entry, words: Words) -> str:
    """Return what an adapter says of itself, as HTML in which nothing of it can act."""
    facts = entry.facts
    if facts is None:
        return problem_of(entry.problem or "")
    trigger = ", ".join(word for word, _ in facts.notes.words)[:MOST_SAID]
    lines = [words("lora_words", trigger) if trigger else words("lora_no_words")]
    if facts.family:
        lines.insert(0, words("lora_for", facts.family))
    if facts.notes.licence:
        lines.append(facts.notes.licence[:MOST_SAID])
    return "".join(f'<div class="sf-quiet">{escape(line)}</div>' for line in lines)


def _label(entry: Entry) -> str:
    family = None if entry.facts is None else entry.facts.family
    return f"{entry.name} ({family})" if family else entry.name
