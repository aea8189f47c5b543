"""The tab Models: what there is to draw with, and what each file says of itself."""

from html import escape
from typing import Any

import gradio as gr

from sfumato.errors import SfumatoError
from sfumato.models.facts import Facts, read_facts
from sfumato.models.library import Entry, find_any, list_library
from sfumato.serving.desk import Desk
from sfumato.serving.studio.area import QUIET
from sfumato.serving.studio.look import Look
from sfumato.serving.studio.showing import problem_of
from sfumato.serving.studio.words import Words

Parts = dict[str, Any]
COLUMNS: tuple[str, ...] = ("name", "kind", "family", "megabytes", "licence", "trigger_words")
MOST_WORDS: int = 12
MOST_TEXT: int = 400  # characters of what a file says of itself: nobody checked it


def build(desk: Desk, words: Words, look: Look) -> Parts:
    """Make the tab, in the place that is open, and return its parts."""
    parts: Parts = {}
    folders = ", ".join(str(one) for one in (*desk.settings.model_dirs, desk.settings.data_dir / "models"))
    gr.Markdown(words("models_where"), elem_classes="sf-quiet")
    gr.HTML(f'<p class="sf-quiet">{escape(folders)}</p>', padding=False)
    with gr.Row():
        parts["look_again"] = gr.Button(words("look_again"), scale=1)
        parts["use"] = gr.Button(words("use_model"), variant="primary", scale=1)
    with gr.Row(equal_height=False):
        with gr.Column(scale=7, min_width=320):
            parts["table"] = gr.Dataframe(
                headers=[words(f"column_{one}") for one in COLUMNS],
                datatype="str",
                interactive=False,
                wrap=True,
                label=words("tab_models"),
                elem_id="sf-models",
            )
        with gr.Column(scale=4, min_width=320):
            parts["details"] = gr.HTML("", elem_id="sf-model")
    parts["chosen"] = gr.State("")
    _connect(desk, parts)
    return parts


def rows_of(desk: Desk) -> list[list[str]]:
    """Return a row of `COLUMNS` for everything there is; one that cannot be used says why."""
    return [_row(one) for one in list_library(desk.settings)]


def details_of(desk: Desk, name: str) -> str:
    """Return what the file called `name` says of itself, as HTML in which nothing of it can act."""
    try:
        path = find_any(name, desk.settings)
        facts = read_facts(path)
    except SfumatoError as error:
        return problem_of(error)
    lines = {
        "File": path.name,
        "Kind": facts.kind,
        "Family": facts.family or "unknown",
        "Size": f"{facts.num_bytes / 1e6:,.0f} MB",
        "Title": facts.notes.title,
        "Author": facts.notes.author,
        "Licence": facts.notes.licence,
        "Made": facts.notes.date,
        "Made for": facts.notes.base,
        "Trigger words": _words(facts),
    }
    shown = "".join(
        f"<dt>{escape(title)}</dt><dd>{escape(str(value)[:MOST_TEXT])}</dd>"
        for title, value in lines.items()
        if value
    )
    return f'<h3>{escape(name)}</h3><dl class="sf-facts">{shown}</dl>'


def _row(entry: Entry) -> list[str]:
    facts = entry.facts
    family = entry.problem if facts is None else facts.family
    return [
        entry.name,
        entry.kind,
        (family or "")[:MOST_TEXT],
        f"{entry.num_bytes / 1e6:,.0f}",
        "" if facts is None else (facts.notes.licence or "")[:MOST_TEXT],
        "" if facts is None else _words(facts),
    ]


def _words(facts: Facts) -> str:
    return ", ".join(word for word, _ in facts.notes.words[:MOST_WORDS])[:MOST_TEXT]


def _connect(desk: Desk, parts: Parts) -> None:
    def choose(event: gr.SelectData) -> tuple[str, str]:
        row: list[str] = event.row_value
        name = str(row[0]) if row else ""
        return details_of(desk, name), name

    parts["find"] = (lambda: rows_of(desk), None, parts["table"])
    parts["look_again"].click(*parts["find"], **QUIET)
    parts["table"].select(choose, None, [parts["details"], parts["chosen"]], **QUIET)
