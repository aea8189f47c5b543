"""The tab Models: what there is, what each file says of itself; loading, unloading and converting."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import suppress
from html import escape
from typing import Any, Final, Literal, TypeAlias
from zlib import crc32

import gradio as gr

from sfumato.errors import NotFoundError, SfumatoError
from sfumato.models.controlnets import known_controlnets
from sfumato.models.facts import VAE
from sfumato.models.folders import BUNDLED
from sfumato.models.load import list_models
from sfumato.models.memory import resident_memory
from sfumato.models.network_tensors import DTYPES
from sfumato.models.report import memory_of
from sfumato.serving.desk import ALONE, Desk
from sfumato.serving.queue import Draw
from sfumato.serving.studio import models_convert
from sfumato.serving.studio.binding import CLICK, QUIET
from sfumato.serving.studio.look import Look
from sfumato.serving.studio.models_convert import Converting, Form, can_convert, plan_of
from sfumato.serving.studio.models_load import Warming, recipe_to_load
from sfumato.serving.studio.models_shelf import KINDS, OTHER, Item, Shelf
from sfumato.serving.studio.models_showing import (
    SCRIPT,
    details_of,
    estimate_line,
    loaded_of,
    memory_line,
    size_of,
    table_of,
)
from sfumato.serving.studio.opening import Opening
from sfumato.serving.studio.showing import problem_of, progress_of
from sfumato.serving.studio.visitors import visitor_of
from sfumato.serving.studio.words import Words

Parts = dict[str, Any]
News: TypeAlias = Generator[dict[Any, Any], None, None]
LOOK: float = 3.0  # seconds between looks at the hashes, while some are taken
_FORM = ("layout", "dtype", "vae", "name")
_ABOUT: Final = ("details", "estimate", "chosen", "key", "layout", "notice", "progress")
_OF_MODEL: Final = ("use", "load", "give_back")  # the buttons for models to draw with
# On a phone what is known of a model is far below the list.
_TO_MODEL: Final = """() => {
  if (window.innerWidth < 700) document.getElementById("sf-model")?.scrollIntoView({block: "start"});
}"""


def build(desk: Desk, words: Words, look: Look) -> Parts:
    """Make the tab, in the place that is open, and return its parts."""
    parts: Parts = {"shelf": Shelf(desk.settings)}
    parts["where"] = gr.HTML("", elem_id="sf-models-where", padding=False)
    with gr.Row(equal_height=False):
        with gr.Column(scale=7, min_width=320):
            with gr.Row(equal_height=True):
                parts["search"] = gr.Textbox(
                    "",
                    label=words("models_search"),
                    placeholder=words("models_search_hint"),
                    max_lines=1,
                    scale=3,
                    elem_id="sf-models-search",
                )
                kinds = [(words("models_all_kinds"), ""), *KINDS, (words("models_other_kinds"), OTHER)]
                parts["kind"] = gr.Dropdown(kinds, value="", label=words("column_kind"), scale=2)
                parts["look_again"] = gr.Button(words("look_again"), scale=1, elem_id="sf-models-look")
            parts["table"] = gr.HTML(
                "", js_on_load=SCRIPT, elem_id="sf-models", padding=False, apply_default_css=False
            )
        with gr.Column(scale=5, min_width=320):
            quiet = f'<p class="sf-quiet">{escape(words("models_choose"))}</p>'
            parts["details"] = gr.HTML(quiet, elem_id="sf-model", padding=False)
            parts["estimate"] = gr.HTML("", padding=False)
            with gr.Row():
                parts["use"] = _button(words("use_model"), "sf-models-use", variant="primary")
                parts["load"] = _button(words("models_load"), "sf-models-load")
                parts["give_back"] = _button(words("models_give_back"), "sf-models-give-back")
                parts["stop"] = gr.Button(words("stop"), variant="stop", size="md", elem_classes="sf-stop")
            parts["notice"] = gr.HTML("", elem_id="sf-models-notice", padding=False)
            parts["progress"] = gr.HTML("", elem_id="sf-models-progress", padding=False)
            parts["loaded"] = gr.HTML("", elem_id="sf-models-loaded", padding=False)
            with gr.Accordion(words("models_convert"), open=False, elem_id="sf-convert") as convert:
                parts |= _convert_parts(words)
            parts["convert"] = convert
    parts["chosen"] = gr.State("")  # the name of a model to draw with
    parts["key"] = gr.State("")
    parts["job"] = gr.State("")
    parts["timer"] = gr.Timer(LOOK, active=False)
    _connect_library(desk, words, parts)
    _connect_work(desk, words, parts)
    # Choices that are filled in later: what was chosen is not taken up when the page is loaded again.
    parts["late"] = [parts["vae"]]
    return parts


def may_manage(request: gr.Request | None, desk: Desk) -> bool:
    """Tell whether who asks may convert models and give them back: whoever opened the studio, where nobody
    else can come in, and others only where the settings say so. Loading is what drawing does as well.
    """
    return desk.settings.visitors_manage or visitor_of(request) == ALONE


def _convert_parts(words: Words) -> Parts:
    parts: Parts = {}
    gr.Markdown(words("models_convert_about"), elem_classes="sf-quiet")
    layouts = [(words(f"models_layout_{one}"), one) for one in models_convert.LAYOUTS]
    same = (words("models_dtype_same"), "")
    parts["layout"] = gr.Radio(layouts, value="file", label=words("models_layout"), elem_classes="sf-chips")
    parts["dtype"] = gr.Dropdown([same, *DTYPES], value="", label=words("models_dtype"))
    own = (words("models_vae_own"), "")
    parts["vae"] = gr.Dropdown([own], value="", label=words("models_vae"))
    parts["name"] = gr.Textbox(
        "", label=words("models_name"), info=words("models_name_info"), max_lines=1, elem_id="sf-convert-name"
    )
    parts["room"] = gr.HTML("", elem_id="sf-convert-room", padding=False)
    parts["do_convert"] = _button(words("models_do_convert"), "sf-convert-go")
    return parts


def _button(label: str, name: str, variant: Literal["primary", "secondary"] = "secondary") -> gr.Button:
    """Make a button for the model that is chosen: none is, as the page opens. It is no large one, which would
    be taken for one that draws.
    """
    return gr.Button(label, variant=variant, size="md", min_width=160, interactive=False, elem_id=name)


def _connect_library(desk: Desk, words: Words, parts: Parts) -> None:
    shelf: Shelf = parts["shelf"]
    shown = [parts[name] for name in ("where", "table", "vae", "loaded", "timer")]
    owned = [parts["convert"], parts["give_back"]]

    def table(search: str, kind: str, key: str) -> str:
        found = shelf.search(search or "", kind or "")
        return table_of(found, len(shelf.items), words, key)

    def find(request: gr.Request, search: str, kind: str, key: str) -> tuple[Any, ...]:
        shelf.look()
        desk.hasher.start()  # for what came meanwhile
        mine = may_manage(request, desk)
        vaes = [(one.entry.name, one.key) for one in shelf.items if one.entry.kind == VAE and not one.problem]
        return (
            where_of(desk, shelf, words, told=visitor_of(request) == ALONE),
            table(search, kind, key),
            gr.Dropdown(choices=[(words("models_vae_own"), ""), *vaes], value=""),
            loaded_of(desk.models.models, words),
            gr.Timer(active=True),
            gr.Accordion(visible=mine),
            gr.Button(visible=mine),
        )

    def tick(request: gr.Request, search: str, kind: str, key: str, told: int) -> tuple[Any, ...]:
        running = desk.hasher.running
        shelf.with_hashes()
        shown = table(search, kind, key)
        digest = crc32(shown.encode())
        return (
            where_of(desk, shelf, words, told=visitor_of(request) == ALONE),
            gr.skip() if digest == told else shown,
            gr.Timer(active=running),
            digest,
        )

    def choose(request: gr.Request, event: gr.EventData, number: str) -> tuple[Any, ...]:
        told: Any = event
        line = _line_left(desk, number, request)
        try:
            item = shelf.get(str(told.key))
        except (NotFoundError, AttributeError):
            gone = problem_of(words("models_left"))
            return gone, "", "", "", gr.skip(), "", line, *_usable(None)
        details = _details(item, desk, words, told=visitor_of(request) == ALONE)
        layout = models_convert.other_layout(item) if item.draws else gr.skip()
        name = item.entry.name if item.draws else ""
        return *details, name, item.key, layout, "", line, *_usable(item)

    asked = [parts["search"], parts["kind"], parts["key"]]
    parts["find"] = (find, asked, [*shown, *owned])
    parts["search_again"] = (table, asked, parts["table"])
    parts["look_again"].click(*parts["find"], **QUIET)
    again: dict[str, Any] = {**QUIET, "trigger_mode": "always_last"}
    gr.on([parts["search"].change, parts["kind"].input], table, asked, parts["table"], **again)
    told = gr.State(0)  # of the table that this page shows
    ticked = [parts["where"], parts["table"], parts["timer"], told]
    parts["timer"].tick(tick, [*asked, told], ticked, **QUIET)
    about = [parts[name] for name in (*_ABOUT, *_OF_MODEL, "do_convert")]
    choosing = parts["table"].select(choose, parts["job"], about, **QUIET)
    choosing.then(None, js=_TO_MODEL, **CLICK)


def _connect_work(desk: Desk, words: Words, parts: Parts) -> None:
    shelf: Shelf = parts["shelf"]
    outputs = [parts["progress"], parts["loaded"], parts["job"], parts["notice"]]

    def refused(request: gr.Request, number: str, problem: object) -> dict[Any, Any]:
        """Return what says why something is not done; of the job before it, which has ended, nothing."""
        return {
            parts["notice"]: problem_of(problem, words),
            parts["progress"]: _line_left(desk, number, request),
        }

    def followed(
        request: gr.Request, number: str, name: str, draw: Draw, title: str, told: Callable[[], str]
    ) -> News:
        """Yield what is to be seen of a job, and `told` in the end."""
        owner = visitor_of(request)
        try:
            job = desk.queue.submit(recipe_to_load(name), owner, draw, title=title)
        except SfumatoError as error:
            yield refused(request, number, error)
            return
        yield {parts["notice"]: ""}
        for now in desk.queue.follow(job.id, owner):
            shown = told() if now.state == "done" else progress_of(now, words)
            loaded = loaded_of(desk.models.models, words)
            yield {parts["progress"]: shown, parts["job"]: now.id, parts["loaded"]: loaded}

    def load(request: gr.Request, name: str, number: str) -> News:
        if not name:
            yield refused(request, number, words("cannot_draw"))
            return
        warming = Warming(desk.settings, desk.models)

        def told() -> str:
            memory = memory_line(warming.before, warming.after, words)
            return _line(f"{words('models_loaded', f'{warming.seconds:.1f}')} {memory}")

        yield from followed(request, number, name, warming.draw, words("models_loading", name), told)

    def give_back(request: gr.Request, name: str, number: str) -> dict[Any, Any]:
        if not may_manage(request, desk):
            return refused(request, number, words("models_owner_only"))
        if not name:
            return refused(request, number, words("models_chosen_first"))
        before = resident_memory()
        loaded = desk.models.drop(name)
        news = {parts["loaded"]: loaded_of(desk.models.models, words)}
        if not loaded:
            return news | refused(request, number, words("models_not_given", name))
        memory = memory_line(before, resident_memory(), words)
        told = _line(f"{words('models_given_back', name)} {memory}")
        return news | {parts["progress"]: told, parts["notice"]: ""}

    def stop(request: gr.Request, number: str) -> None:
        with suppress(NotFoundError):  # finished long ago, and forgotten
            if number:
                desk.queue.cancel(number, visitor_of(request))

    def form_of(key: str, layout: str, dtype: str, vae: str, name: str) -> Form:
        return Form(key, "folder" if layout == "folder" else "file", dtype or "", vae or "", name or "")

    def room(request: gr.Request, key: str, *values: str) -> str:
        if not key or not may_manage(request, desk):
            return ""
        try:
            plan = plan_of(form_of(key, *values), shelf, desk.settings)
            free = size_of(models_convert.free_on_disk(plan.output.parent))
            line = words("models_estimate", size_of(plan.num_bytes), plan.output.name, free)
            models_convert.check_room(plan)
        except SfumatoError as error:
            return problem_of(_said(error), words)
        return f'<p class="sf-quiet">{escape(line)}</p>'

    def convert(request: gr.Request, number: str, key: str, *values: str) -> News:
        try:
            if not may_manage(request, desk):
                raise NotFoundError(words("models_owner_only"))
            if not key:
                raise NotFoundError(words("models_chosen_first"))
            plan = plan_of(form_of(key, *values), shelf, desk.settings)
            models_convert.check_room(plan)
        except SfumatoError as error:
            yield refused(request, number, _said(error))
            return
        converting = Converting(plan)
        name = shelf.get(key).entry.name

        def told() -> str:
            done = converting.done
            assert done is not None  # a job that is done has it
            size = size_of(done.num_bytes)
            return _line(words("models_converted", done.path.name, f"{done.tensors:,}", size))

        title = words("models_converting", name)
        yield from followed(request, number, name, converting.draw, title, told)

    parts["load"].click(load, [parts["chosen"], parts["job"]], outputs, **QUIET)
    parts["give_back"].click(give_back, [parts["chosen"], parts["job"]], outputs, **QUIET)
    parts["stop"].click(stop, parts["job"], None, **{**QUIET, "queue": False})
    form = [parts["key"], *(parts[name] for name in _FORM)]
    changes = [parts["key"].change, parts["name"].blur]
    changes += [parts[name].input for name in ("layout", "dtype", "vae")]
    gr.on(changes, room, form, parts["room"], **QUIET)
    converted = parts["do_convert"].click(convert, [parts["job"], *form], outputs, **QUIET)
    # Somebody may have searched for something else meanwhile.
    converted.then(*parts["find"], **QUIET).then(*parts["search_again"], **QUIET)
    parts["converted"] = converted


def drawn_with(desk: Desk) -> list[str]:
    """Return the names of the models that can be drawn with, the bundled one first."""
    return [one.name for one in list_models(desk.settings) if one.problem is None]


def refreshes(opening: Opening, desk: Desk, parts: Mapping[str, Parts]) -> None:
    """Have the tabs on which a model is chosen know what came and went: when the page is opened, when
    somebody looks again, and after a conversion.
    """
    chosen = [parts[name]["model"] for name in ("create", "edit", "grid") if name in parts]

    def now(*values: str) -> list[gr.Dropdown]:
        names = drawn_with(desk)
        return [
            gr.Dropdown(choices=names) if one in names else gr.Dropdown(choices=names, value=BUNDLED)
            for one in values
        ]

    def controls() -> gr.Dropdown:
        return gr.Dropdown(choices=[*known_controlnets(desk.settings)])

    mine = parts["models"]
    if "edit" in parts:
        control = parts["edit"]["control"]
        opened = opening.when(
            "controls", lambda owner: _other([control], [*known_controlnets(desk.settings)])
        )
        gr.on([opened, mine["look_again"].click], controls, None, control, **QUIET)
    opened = opening.when("models", lambda owner: _other(chosen, drawn_with(desk)))
    gr.on([opened, mine["look_again"].click], now, chosen, chosen, **QUIET)
    mine["converted"].then(now, chosen, chosen, **QUIET)


def _other(built: Sequence[gr.Dropdown], names: Sequence[str]) -> bool:
    """Tell whether there are other names than these parts were built with."""
    return any([value for _, value in one.choices or ()] != [*names] for one in built)


def where_of(desk: Desk, shelf: Shelf, words: Words, *, told: bool) -> str:
    """Return where models are looked for, which of these places are gone, and how far their hashes are;
    folders are `told` to whoever opened the studio alone.
    """
    settings = desk.settings
    folders = ", ".join(str(one) for one in (*settings.model_dirs, settings.data_dir / "models"))
    shown = f'<p class="sf-quiet">{escape(words("models_folders", folders))}</p>' if told else ""
    gone = ", ".join(str(one) for one in shelf.missing)
    if gone:
        shown += problem_of(words("models_gone", gone) if told else words("models_gone_somewhere"))
    now = desk.hasher.now
    if desk.hasher.running and now.total:
        line = words("models_hashing", now.done, now.total)
        shown += f'<p class="sf-quiet" role="status">{escape(line)}</p>'
    return shown


def _details(item: Item, desk: Desk, words: Words, *, told: bool) -> tuple[str, str]:
    """Return what is known of `item`, and what loading it takes."""
    try:
        details = details_of(item, words, desk.settings, paths=told)
        facts = item.entry.facts
        memory = memory_of(facts, desk.settings) if facts is not None and item.draws else None
    except (SfumatoError, OSError):  # it goes away while it is looked at
        return problem_of(words("models_left")), ""
    return details, estimate_line(memory, words)


def _usable(item: Item | None) -> tuple[gr.Button, ...]:
    """Return the buttons of `_OF_MODEL`, and the one that converts, as they are when `item` is chosen."""
    draws = gr.Button(interactive=item is not None and item.draws)
    return *(draws for _ in _OF_MODEL), gr.Button(interactive=item is not None and can_convert(item))


def _line_left(desk: Desk, number: str, request: gr.Request) -> Any:
    """Return what the line of job `number` becomes when something else is done: that of one that goes on
    stays.
    """
    with suppress(NotFoundError):  # none yet, or finished long ago, and forgotten
        if not desk.queue.get(number, visitor_of(request)).finished:
            return gr.skip()
    return ""


def _said(error: SfumatoError) -> SfumatoError:
    """Return an error as anybody may read it: without the folders of this machine."""
    value = str(error.value)
    error.value = value.replace("\\", "/").rpartition("/")[2] if error.value is not None else None
    return error


def _line(text: str) -> str:
    return f'<div class="sf-line" role="status">{escape(text.strip())}</div>'
