"""The tab Grid: settings crossed, and a table of pictures that fills while they are drawn."""

import base64
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Final
from weakref import WeakKeyDictionary

import gradio as gr

from sfumato.engine.crossing import Cell, layout_of
from sfumato.errors import NotFoundError, SfumatoError
from sfumato.imaging.io import open_picture, save_picture
from sfumato.imaging.sheet import Layout, Place, draw_sheet
from sfumato.models.folders import BUNDLED
from sfumato.models.load import find_model, list_models
from sfumato.recipe.labels import SAMPLER_LABELS, SPACING_LABELS
from sfumato.serving.desk import Desk
from sfumato.serving.gallery import MOST_PIXELS, Kept
from sfumato.serving.jobs import Job
from sfumato.serving.studio import folded
from sfumato.serving.studio.binding import QUIET, News
from sfumato.serving.studio.forms import STYLES, Create, number_of, seed_of, whole_of
from sfumato.serving.studio.grid_forms import CROSSED, Direction, Grid, cells_of_grid
from sfumato.serving.studio.look import Look
from sfumato.serving.studio.showing import problem_of, progress_of
from sfumato.serving.studio.visitors import visitor_of
from sfumato.serving.studio.words import Words

Parts = dict[str, Any]
FORM: tuple[str, ...] = (
    "prompt",
    "style",
    "model",
    "steps",
    "guidance",
    "sampler",
    "spacing",
    "seed",
    "across",
    "across_values",
    "down",
    "down_values",
)
SHEET: str = "grid.png"
#: The newest grid of each visitor, for pages that are loaded again, also in another look.
_NEWEST: Final[WeakKeyDictionary[Desk, dict[str, "Begun"]]] = WeakKeyDictionary()
MOST_BEGUN: int = 100  # visitors whose newest grid is remembered
MOST_SAID: int = 120  # characters of a label

STYLE: str = """
.sf-grid { overflow-x: auto; }
/* Columns are as wide, and cells as high, before their pictures are there. */
.sf-grid table { border-collapse: separate; border-spacing: 6px; border: 0 !important; table-layout: fixed;
                 width: min(100%, var(--sf-columns) * 326px + var(--sf-head));
                 min-width: calc(var(--sf-columns) * 102px + var(--sf-head)); }
.sf-grid col.sf-head { width: var(--sf-head); }
.sf-grid caption { text-align: left; padding: 4px 6px; overflow-wrap: anywhere; }
.sf-grid :is(th, td) { border: 0 !important; padding: 4px !important; }
.sf-grid th { color: var(--body-text-color); text-align: left; max-width: 14rem; overflow-wrap: break-word;
              background: none !important; }
.sf-grid th span { display: block; font-weight: 400; color: var(--body-text-color-subdued); }
.sf-grid thead th { vertical-align: bottom; }
.sf-grid tbody td { vertical-align: top; border-radius: var(--block-radius);
                    background: var(--background-fill-secondary); }
.sf-grid td > div { aspect-ratio: var(--sf-shape); overflow: auto; }
.sf-grid thead td { background: none !important; }
.sf-grid img { display: block; width: 100%; height: 100%; margin: 0; object-fit: contain;
               border-radius: var(--block-radius); }
.sf-grid-nothing { min-height: 15rem; padding: 1rem; border: 1px dashed var(--border-color-primary);
                   border-radius: 8px; color: var(--body-text-color-subdued); }
"""


@dataclass(frozen=True, eq=False)
class Begun:
    """A grid whose cells are in the queue, a job for each."""

    layout: Layout
    cells: tuple[Cell, ...]
    jobs: tuple[Job, ...]


def build(desk: Desk, words: Words, look: Look) -> Parts:
    """Make the tab, in the place that is open, and return its parts."""
    parts: Parts = {"jobs": gr.State(())}
    gr.Markdown(words("grid_about"))
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=320):
            parts["prompt"] = gr.Textbox(
                value=look.prompt,
                label=words("prompt"),
                placeholder=words("prompt_hint"),
                max_lines=6,
                elem_id="sf-grid-prompt",
            )
            names = [(words(name), name) for name in CROSSED]
            for side, first, values in (("across", "steps", "4,8,20"), ("down", "", "")):
                with gr.Row():
                    choices = names if side == "across" else [(words("grid_none"), ""), *names]
                    parts[side] = gr.Dropdown(
                        choices, value=first, label=words(f"grid_{side}"), elem_id=f"sf-grid-{side}"
                    )
                    parts[f"{side}_values"] = gr.Textbox(
                        values,
                        label=words("grid_values"),
                        info=words("grid_values_info"),
                        max_lines=4,
                        scale=2,
                        elem_id=f"sf-grid-{side}-values",
                    )
            with gr.Row():
                parts["draw"] = gr.Button(
                    words("grid_draw"), variant="primary", size="lg", scale=3, elem_id="sf-grid-draw"
                )
                parts["stop"] = gr.Button(
                    words("stop"), variant="stop", size="lg", scale=1, elem_id="sf-grid-stop"
                )
            with folded.fold(words, "grid") as advanced:
                parts |= _shared(desk, words)
        with gr.Column(scale=6, min_width=320), gr.Column(elem_classes="sf-place"):
            parts["progress"] = gr.HTML("", elem_id="sf-grid-progress", elem_classes="sf-told", padding=False)
            parts["table"] = gr.HTML(nothing_yet(words), elem_id="sf-grid-table", padding=False)
            parts["sheet"] = gr.File(
                label=words("grid_sheet"), interactive=False, visible=False, elem_id="sf-grid-sheet"
            )
    _connect(desk, words, parts)
    parts["folded"] = folded.inside(advanced, [parts[name] for name in FORM])
    return parts


def _shared(desk: Desk, words: Words) -> Parts:
    """Make what all cells share unless it is crossed."""
    own = find_model(BUNDLED, desk.settings).defaults
    names = [one.name for one in list_models(desk.settings) if one.problem is None]
    left_open = (words("left_open"), "")
    parts: Parts = {}
    with gr.Row():
        parts["model"] = gr.Dropdown(names, value=BUNDLED, label=words("model"))
        parts["style"] = gr.Dropdown([*STYLES], value=next(iter(STYLES)), label=words("style"))
    with gr.Row():
        # Not gr.Number: as the browser opens this, it makes 0 of one that is empty (Gradio 6.31).
        parts["steps"] = gr.Textbox(
            "", label=words("steps"), placeholder=words("automatic", own.steps), max_lines=1
        )
        parts["guidance"] = gr.Textbox(
            "", label=words("guidance"), placeholder=words("automatic", f"{own.guidance:g}"), max_lines=1
        )
    with gr.Row():
        samplers = [(SAMPLER_LABELS.get(name, name), name) for name in own.samplers]
        spacings = [(SPACING_LABELS.get(name, name), name) for name in own.spacings]
        parts["sampler"] = gr.Dropdown(
            [left_open, *samplers], value="", label=words("sampler"), min_width=200
        )
        parts["spacing"] = gr.Dropdown(
            [left_open, *spacings], value="", label=words("spacing"), min_width=200
        )
    parts["seed"] = gr.Textbox("", label=words("seed"), info=words("grid_seed_info"), max_lines=1)
    return parts


def form_of(values: Mapping[str, Any]) -> Grid:
    """Return the form that stands on the page. Raises RecipeError for what is no number."""
    shared = Create(
        prompt=values["prompt"] or "",
        style=values["style"],
        model=values["model"],
        steps=whole_of(values["steps"] or "", "steps"),
        guidance=number_of(values["guidance"] or "", "guidance"),
        sampler=values["sampler"] or None,
        spacing=values["spacing"] or None,
        seed=seed_of(values["seed"] or ""),
    )
    across, down = (
        Direction(values[side] or "", values[f"{side}_values"] or "") for side in ("across", "down")
    )
    return Grid(shared, across, down)


def nothing_yet(words: Words) -> str:
    """Return what stands where the table will stand."""
    return f'<div class="sf-grid-nothing">{escape(words("grid_nothing"))}</div>'


def table_of(layout: Layout, shown: Mapping[Place, str], shape: str = "1") -> str:
    """Return the table, with the HTML that is `shown` in each cell; what is missing stays empty. All cells
    have the `shape` of a picture, width / height.
    """
    across, down = layout.across, layout.down
    head = "".join(f'<th scope="col">{_said(across.name, value)}</th>' for value in across.values)
    corner = "" if down is None else "<td></td>"
    rows: list[str] = []
    for row, value in enumerate(("",) if down is None else down.values):
        label = "" if down is None else f'<th scope="row">{_said(down.name, value)}</th>'
        cells = (shown.get((0, row, column), "") for column in range(len(across.values)))
        rows.append(f"<tr>{label}{''.join(f'<td><div>{one}</div></td>' for one in cells)}</tr>")
    caption = f"<caption>{escape(layout.title[:MOST_SAID])}<br>{escape(layout.facts)}</caption>"
    columns = '<col class="sf-head">' * (down is not None) + f'<col span="{len(across.values)}">'
    measures = f"--sf-columns: {len(across.values)}; --sf-head: {0 if down is None else 7}rem; "
    # A place of its own to scroll in has to be reached by the keyboard as well.
    return (
        '<div class="sf-grid" tabindex="0" role="region" aria-label="grid">'
        f'<table style="{measures}--sf-shape: {shape}">{caption}<colgroup>{columns}</colgroup>'
        f"<thead><tr>{corner}{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def shape_of(cells: Sequence[Cell]) -> str:
    """Return the shape that has room for the pictures of all cells, as CSS says it."""
    return f"{max(one.resolved.width for one in cells)} / {max(one.resolved.height for one in cells)}"


def _said(name: str, value: str) -> str:
    return f"<span>{escape(name)} </span>{escape(value[:MOST_SAID])}"


def _connect(desk: Desk, words: Words, parts: Parts) -> None:
    newest = _NEWEST.setdefault(desk, {})

    def draw(request: gr.Request, *values: Any) -> News:
        owner = visitor_of(request)
        try:
            axes, cells = cells_of_grid(form_of(dict(zip(FORM, values, strict=True))), desk.settings)
            jobs = desk.queue.submit_together([cell.recipe for cell in cells], owner)
        except SfumatoError as error:
            yield {parts["progress"]: problem_of(error, words)}
            return
        newest.pop(owner, None)
        newest[owner] = Begun(layout_of(axes, cells), cells, jobs)
        if len(newest) > MOST_BEGUN:
            del newest[next(iter(newest))]
        yield from follow(newest[owner], owner)

    def follow(begun: Begun, owner: str) -> News:
        yield {
            parts["jobs"]: tuple(job.id for job in begun.jobs),
            parts["table"]: table_of(begun.layout, {}, shape_of(begun.cells)),
            parts["sheet"]: gr.File(value=None, visible=False),
        }
        try:
            yield from _followed(desk, words, parts, begun, owner)
        except SfumatoError as error:  # a picture that somebody removed meanwhile, a disk that is full
            yield {parts["progress"]: problem_of(error, words)}

    def take_up(request: gr.Request) -> News:
        owner = visitor_of(request)
        if owner in newest:
            yield from follow(newest[owner], owner)
        else:
            yield {parts["jobs"]: ()}

    def stop(request: gr.Request, numbers: tuple[str, ...]) -> None:
        # The last ones first: none of them shall begin while the others are stopped.
        for number in reversed(numbers):
            with suppress(NotFoundError):  # finished so long ago that it is forgotten
                desk.queue.cancel(number, visitor_of(request))

    outputs = [parts[name] for name in ("progress", "table", "sheet", "jobs")]
    triggers: Sequence[Callable[..., Any]] = [
        parts["draw"].click,
        *(parts[name].submit for name in ("prompt", "across_values", "down_values")),
    ]
    gr.on(triggers, draw, [parts[name] for name in FORM], outputs, **QUIET)
    parts["take_up"] = (take_up, None, outputs)
    parts["begun"] = lambda owner: owner in newest
    parts["stop"].click(
        stop, parts["jobs"], None, queue=False, show_progress="hidden", api_visibility="private"
    )


def _followed(desk: Desk, words: Words, parts: Parts, begun: Begun, owner: str) -> News:
    """Yield what is to be seen until the last cell is finished."""
    layout, cells = begun.layout, begun.cells
    shown: dict[Place, str] = {}
    there: dict[Place, Kept] = {}
    for number, (cell, job) in enumerate(zip(cells, begun.jobs, strict=True), start=1):
        line = f'<div class="sf-line">{escape(words("grid_progress", number, len(cells)))}</div>'
        now = job
        for now in desk.queue.follow(job.id, owner):
            if not now.finished:
                yield {parts["progress"]: line + progress_of(now, words)}
        if now.pictures:
            there[cell.place] = desk.gallery.get(now.pictures[0], owner)
            shown[cell.place] = _picture(desk, there[cell.place])
        elif now.state == "failed":
            shown[cell.place] = problem_of(now.error or "", words)
        yield {parts["table"]: table_of(layout, shown, shape_of(cells))}
    done = words("grid_done", len(there), len(cells)) if there else words("grid_done_none")
    line = escape(done)
    news: dict[Any, Any] = {parts["progress"]: f'<div class="sf-line" role="status">{line}</div>'}
    if there:
        news[parts["sheet"]] = gr.File(value=str(_sheet(desk, layout, there)), visible=True)
    yield news


def _picture(desk: Desk, kept: Kept) -> str:
    data = base64.b64encode(desk.gallery.thumbnail(kept).read_bytes()).decode("ascii")
    return f'<img alt="{escape(kept.prompt[:MOST_SAID], quote=True)}" src="data:image/jpeg;base64,{data}">'


def _sheet(desk: Desk, layout: Layout, there: Mapping[Place, Kept]) -> Path:
    """Return a file with all pictures on one sheet."""
    size = max(one.width for one in there.values()), max(one.height for one in there.values())
    pictures = ((place, open_picture(one.path, MOST_PIXELS)) for place, one in there.items())
    with desk.new_folder() as folder:
        save_picture(draw_sheet(layout, size, pictures), folder / SHEET)
    return folder / SHEET
