"""The tab Learn: a drawing from the inside, and experiments with it."""

import tempfile
from collections import deque
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import replace
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, TypeAlias
from weakref import WeakKeyDictionary

import gradio as gr

from sfumato.engine.keeping import slug
from sfumato.errors import RecipeError, SfumatoError
from sfumato.models.folders import BUNDLED
from sfumato.models.load import find_model
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.labels import SAMPLER_LABELS
from sfumato.serving.desk import Desk
from sfumato.serving.jobs import Job
from sfumato.serving.studio.area import QUIET, News
from sfumato.serving.studio.forms import seed_of
from sfumato.serving.studio.learn_drawing import Drawn, Lesson, Mixing
from sfumato.serving.studio.learn_forms import (
    COMPARED,
    MOST_STEPS,
    SHARES,
    Learn,
    begun_at,
    compared,
    mixed,
    recipe_of_learn,
)
from sfumato.serving.studio.learn_kept import KeptLesson, Shown, newest
from sfumato.serving.studio.learn_look import SCRIPT
from sfumato.serving.studio.learn_page import (
    about,
    begun_of,
    compared_of,
    heat_of,
    lesson_of,
    mixed_of,
    nothing_yet,
    schedule_of,
)
from sfumato.serving.studio.look import Look
from sfumato.serving.studio.showing import problem_of, progress_of
from sfumato.serving.studio.traces import FINAL, Traces, animate
from sfumato.serving.studio.visitors import visitor_of
from sfumato.serving.studio.words import Words

Parts = dict[str, Any]
Work: TypeAlias = Lesson | Mixing
PAGE: str = "index.html"  # of a trace
FORM: tuple[str, ...] = ("prompt", "steps", "guidance", "sampler", "seed")
TRIED: tuple[str, ...] = ("heat", "compare", "begin", "mix")  # with the picture of Show me
LESSONS: int = 256  # whose jobs are remembered: more than can wait


def build(desk: Desk, words: Words, look: Look) -> Parts:
    """Make the tab, in the place that is open, and return its parts."""
    own = find_model(BUNDLED, desk.settings).defaults
    samplers = [(SAMPLER_LABELS.get(name, name), name) for name in own.samplers]
    parts: Parts = {"shown": gr.State(None), "job": gr.State("")}
    gr.Markdown(words("learn_about"))
    with gr.Row(equal_height=True):
        parts["prompt"] = gr.Textbox(
            value=look.prompt,
            label=words("prompt"),
            placeholder=words("prompt_hint"),
            max_lines=4,
            scale=5,
            elem_id="sf-learn-prompt",
        )
        parts["show"] = gr.Button(
            words("learn_show"),
            variant="primary",
            size="lg",
            scale=2,
            elem_id="sf-learn-show",
            elem_classes="sf-go",
        )
        parts["stop"] = gr.Button(
            words("stop"), variant="stop", size="lg", scale=1, min_width=80, elem_classes="sf-stop"
        )
    with gr.Accordion(words("learn_settings"), open=False), gr.Row():
        parts["steps"] = gr.Slider(1, MOST_STEPS, value=own.steps, step=1, label=words("steps"))
        parts["guidance"] = gr.Slider(0, 10, value=own.guidance, step=0.25, label=words("guidance"))
        parts["sampler"] = gr.Dropdown(samplers, value=own.sampler, label=words("sampler"))
        parts["seed"] = gr.Textbox(
            "", label=words("seed"), info=words("seed_info"), max_lines=1, elem_id="sf-learn-seed"
        )
    parts["panel"] = _panel("lesson", nothing_yet(words))
    with gr.Accordion(words("learn_export"), open=False):
        parts |= _export(words)
    gr.HTML(f'<div class="sf-learn"><h2>{escape(words("learn_more"))}</h2></div>', padding=False)
    gr.Markdown(words("learn_gallery"), elem_classes="sf-quiet")
    parts |= _experiments(words, samplers)
    _connect(desk, words, parts)
    return parts


def form_of(values: Mapping[str, Any]) -> Learn:
    """Return the form that stands on the page. Raises RecipeError for what is no number."""
    return Learn(
        prompt=values["prompt"] or "",
        steps=None if values["steps"] is None else int(values["steps"]),
        guidance=None if values["guidance"] is None else float(values["guidance"]),
        sampler=values["sampler"] or None,
        seed=seed_of(values["seed"] or ""),
    )


def _panel(name: str, value: str = "") -> gr.HTML:
    """Return a place for what a drawing shows, in which sliders move without the server."""
    return gr.HTML(value, js_on_load=SCRIPT, elem_id=f"sf-learn-{name}", padding=False)


def _export(words: Words) -> Parts:
    formats = ["GIF", "WebP", *(["MP4"] if find_spec("av") is not None else [])]
    ways = [(words("learn_shown_x0"), "x0"), (words("learn_shown_noisy"), "noisy")]
    parts: Parts = {}
    with gr.Row(equal_height=True):
        parts["format"] = gr.Radio(formats, value=formats[0], label=words("learn_format"))
        parts["way"] = gr.Radio(ways, value="x0", label=words("learn_shown"))
    with gr.Row():
        parts["make"] = gr.Button(words("learn_make"), elem_id="sf-learn-make")
        parts["page"] = gr.Button(words("learn_page"), elem_id="sf-learn-page")
    parts["file"] = gr.File(label=words("learn_file"), interactive=False, elem_id="sf-learn-file")
    parts["trouble"] = gr.HTML("", padding=False)
    return parts


def _experiments(words: Words, samplers: list[tuple[str, str]]) -> Parts:
    parts: Parts = {}
    with gr.Accordion(words("learn_heat"), open=False):
        gr.HTML(about(words, "learn_heat"))
        gr.Markdown(words("learn_heat_needs"), elem_classes="sf-quiet")
        parts["heat_go"] = gr.Button(words("learn_heat_go"), elem_id="sf-learn-heat-go", elem_classes="sf-go")
        parts["heat"] = _panel("heat")
    with gr.Accordion(words("learn_compare"), open=False):
        gr.Markdown(words("learn_compare_why"))
        with gr.Row(equal_height=True):
            kinds = [(words(f"learn_compare_{one}"), one) for one in COMPARED]
            parts["what"] = gr.Radio(kinds, value="prompt", label=words("learn_compare_what"))
            parts["other"] = gr.Textbox("", label=words("learn_compare_other"), elem_id="sf-learn-other")
            parts["other_sampler"] = gr.Dropdown(
                samplers, value=samplers[0][1], label=words("sampler"), visible=False
            )
        parts["compare_go"] = gr.Button(
            words("learn_compare_go"), elem_id="sf-learn-compare-go", elem_classes="sf-go"
        )
        parts["compare"] = _panel("compare")
    with gr.Accordion(words("learn_begin"), open=False):
        gr.HTML(about(words, "learn_begin"))
        with gr.Row(equal_height=True):
            parts["begin_step"] = gr.Slider(
                0, 20, value=8, step=1, label=words("learn_begin_step"), elem_id="sf-learn-begin-step"
            )
            parts["begin_prompt"] = gr.Textbox(
                "", label=words("learn_begin_prompt"), elem_id="sf-learn-begin-prompt"
            )
        parts["begin_go"] = gr.Button(
            words("learn_begin_go"), elem_id="sf-learn-begin-go", elem_classes="sf-go"
        )
        parts["begin"] = _panel("begin")
    with gr.Accordion(words("learn_mix"), open=False):
        gr.HTML(about(words, "learn_mix"))
        parts["mix_other"] = gr.Textbox("", label=words("learn_mix_other"), elem_id="sf-learn-mix-other")
        parts["mix_go"] = gr.Button(words("learn_mix_go"), elem_id="sf-learn-mix-go", elem_classes="sf-go")
        parts["mix"] = _panel("mix")
    with gr.Accordion(words("learn_schedule"), open=False):
        _panel("schedule", schedule_of(words))
    return parts


#: The jobs of lessons, which another look takes up as well.
_LESSONS: Final[WeakKeyDictionary[Desk, deque[str]]] = WeakKeyDictionary()


def _connect(desk: Desk, words: Words, parts: Parts) -> None:
    traces = Traces(desk.settings.data_dir / "studio" / "traces")
    lessons = _LESSONS.setdefault(desk, deque(maxlen=LESSONS))

    def lesson(*recipes: Recipe, **more: Any) -> Lesson:
        return Lesson(desk.settings, desk.models, recipes, **more)

    def show(request: gr.Request, *values: Any) -> News:
        def make() -> Lesson:
            recipe = recipe_of_learn(form_of(dict(zip(FORM, values, strict=True))))
            owner = visitor_of(request)
            return KeptLesson(
                desk.settings, desk.models, (recipe,), trace=traces.new(), keeps=True, owner=owner
            )

        def tell(work: Work) -> Parts:
            (drawn,), (recipe,) = work.drawn, work.recipes
            assert isinstance(work, Lesson)
            assert work.trace is not None
            return lesson_told(Shown(recipe, drawn, work.trace))

        yield from _drawn(desk, words, parts, "panel", make, tell, request, lessons)

    def lesson_told(now: Shown) -> Parts:
        steps = now.drawn.resolved.steps
        return {
            "panel": lesson_of(now.drawn, words),
            # A visitor's session holds it for long; the steps are on disk.
            "shown": replace(now, drawn=replace(now.drawn, frames=())),
            "begin_step": gr.Slider(maximum=steps, value=round(0.4 * steps)),
            "file": None,
            **dict.fromkeys(TRIED, ""),  # with another picture
        }

    def take_up(request: gr.Request, shown: Shown | None, number: str) -> News:
        """Yield what this visitor's newest lesson shows, or will show, where the page shows none yet."""
        yield {parts["job"]: gr.skip()}  # a handler that tells nothing empties all that it could have told
        if shown is not None or number:
            return
        owner = visitor_of(request)
        drawing = [one for one in desk.queue.of(owner) if one.id in lessons and not one.finished]
        if drawing:
            job = yield from _following(desk, words, parts, "panel", drawing[-1])
            if job.state != "done":
                return
        found = newest(traces.folder, owner)
        if found is not None:
            yield {parts["job"]: "", **{parts[name]: value for name, value in lesson_told(found).items()}}

    def heat(request: gr.Request, shown: Shown | None) -> News:
        def make() -> Lesson:
            return lesson(_known(shown, words).recipe, attending=True)

        def tell(work: Work) -> Parts:
            return {"heat": heat_of(work.drawn[0], words)}

        yield from _drawn(desk, words, parts, "heat", make, tell, request)

    def compare(request: gr.Request, shown: Shown | None, what: Any, other: str, sampler: str) -> News:
        def make() -> Lesson:
            recipe = _known(shown, words).recipe
            return lesson(recipe, compared(recipe, what, sampler if what == "sampler" else other))

        def tell(work: Work) -> Parts:
            first, second = work.drawn
            labels = (_label(first, what), _label(second, what))
            return {"compare": compared_of((first, second), labels, words)}

        yield from _drawn(desk, words, parts, "compare", make, tell, request)

    def begin(request: gr.Request, shown: Shown | None, step: float, prompt: str) -> News:
        def make() -> Lesson:
            known = _known(shown, words)
            picture = known.trace / FINAL
            return lesson(begun_at(known.recipe, picture, min(int(step), known.drawn.resolved.steps), prompt))

        def tell(work: Work) -> Parts:
            return {"begin": begun_of(_known(shown, words).drawn.pixels, work.drawn[0], words)}

        yield from _drawn(desk, words, parts, "begin", make, tell, request)

    def mix(request: gr.Request, shown: Shown | None, other: str) -> News:
        def make() -> Mixing:
            return Mixing(desk.settings, desk.models, mixed(_known(shown, words).recipe, other))

        def tell(work: Work) -> Parts:
            first, last = (_prompt(work.drawn[place].resolved) for place in (0, -1))
            return {"mix": mixed_of([one.pixels for one in work.drawn], SHARES, (first, last), words)}

        yield from _drawn(desk, words, parts, "mix", make, tell, request)

    def stop(request: gr.Request, number: str) -> None:
        if number:
            desk.queue.cancel(number, visitor_of(request))

    def choose(what: str) -> list[Any]:
        return [gr.Textbox(visible=what != "sampler"), gr.Dropdown(visible=what == "sampler")]

    def export(shown: Shown | None, suffix: str, way: Any) -> tuple[str | None, str]:
        try:
            known = _known(shown, words)
            folder = Path(tempfile.mkdtemp(dir=desk.handed))
            path = folder / f"{slug(known.drawn.resolved)}.{suffix.lower()}"
            animate(known.trace, known.drawn.resolved, known.drawn.backend, way, path)
            return str(path), ""
        except SfumatoError as error:
            return None, problem_of(error)

    def page(shown: Shown | None) -> tuple[str | None, str]:
        try:
            known = _known(shown, words)
            if not (known.trace / PAGE).is_file():
                raise RecipeError(words("learn_first"))
            return str(desk.show(known.trace / PAGE)), ""
        except SfumatoError as error:
            return None, problem_of(error)

    shown, job = parts["shown"], parts["job"]
    form = [parts[name] for name in FORM]
    outputs = [shown, job, *(parts[name] for name in ("panel", "begin_step", "file", *TRIED))]
    parts["find"] = (take_up, [shown, job], outputs)
    gr.on([parts["show"].click, parts["prompt"].submit], show, form, outputs, **QUIET)
    parts["stop"].click(stop, job, None, queue=False, api_visibility="private")
    parts["heat_go"].click(heat, shown, [parts["heat"], job], **QUIET)
    others = [shown, parts["what"], parts["other"], parts["other_sampler"]]
    gr.on(
        [parts["compare_go"].click, parts["other"].submit], compare, others, [parts["compare"], job], **QUIET
    )
    parts["what"].change(choose, parts["what"], [parts["other"], parts["other_sampler"]], **QUIET)
    begun = [shown, parts["begin_step"], parts["begin_prompt"]]
    gr.on(
        [parts["begin_go"].click, parts["begin_prompt"].submit], begin, begun, [parts["begin"], job], **QUIET
    )
    gr.on(
        [parts["mix_go"].click, parts["mix_other"].submit],
        mix,
        [shown, parts["mix_other"]],
        [parts["mix"], job],
        **QUIET,
    )
    told = [parts["file"], parts["trouble"]]
    parts["make"].click(export, [shown, parts["format"], parts["way"]], told, **QUIET)
    parts["page"].click(page, shown, told, **QUIET)


def _drawn(
    desk: Desk,
    words: Words,
    parts: Parts,
    place: str,
    make: Callable[[], Work],
    tell: Callable[[Work], Parts],
    request: gr.Request,
    noted: deque[str] | None = None,
) -> News:
    """Yield what is to be seen in the part `place` while the work that `make` returns is drawn, and what
    `tell` tells of it at the end, by the names of parts; what is wrong is said there too. The job is put into
    `noted`, where that is given.
    """
    owner = visitor_of(request)
    try:
        work = make()
        job = desk.queue.submit(work.recipes[0], owner, work.draw)
    except SfumatoError as error:
        yield {parts[place]: problem_of(error)}
        return
    if noted is not None:
        noted.append(job.id)
    job = yield from _following(desk, words, parts, place, job)
    if job.state == "done":
        yield {parts["job"]: "", **{parts[name]: value for name, value in tell(work).items()}}


def _following(
    desk: Desk, words: Words, parts: Parts, place: str, job: Job
) -> Generator[dict[Any, Any], None, Job]:
    """Yield how `job` goes until it is finished, and return how it ended."""
    with closing(desk.queue.follow(job.id, job.owner)) as following:
        for job in following:
            if job.state != "done":
                yield {parts[place]: progress_of(job, words), parts["job"]: job.id}
    return job


def _known(shown: Shown | None, words: Words) -> Shown:
    """Return what Show me drew. Raises RecipeError where it was not pressed yet."""
    if shown is None:
        raise RecipeError(words("learn_first"))
    return shown


def _label(drawn: Drawn, what: str) -> str:
    """Return what tells one of two drawings from the other."""
    resolved = drawn.resolved
    if what == "sampler":
        return SAMPLER_LABELS.get(resolved.sampler, resolved.sampler)
    if what == "steps":
        return str(resolved.steps)
    return _prompt(resolved)


def _prompt(resolved: Resolved) -> str:
    return "" if resolved.text is None else resolved.text.prompt
