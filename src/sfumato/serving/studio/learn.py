"""The tab Learn: a drawing from the inside, and experiments with it."""

from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeAlias
from weakref import WeakKeyDictionary

import gradio as gr

from sfumato.engine.keeping import slug
from sfumato.errors import RecipeError, SfumatoError
from sfumato.models.folders import BUNDLED
from sfumato.models.load import find_model
from sfumato.serving.desk import Desk
from sfumato.serving.jobs import Job
from sfumato.serving.studio.binding import CLICK, QUIET, News
from sfumato.serving.studio.forms import seed_of
from sfumato.serving.studio.learn_forms import EXAMPLES, Learn, recipe_of_learn
from sfumato.serving.studio.learn_kept import KeptLesson, Shown, newest
from sfumato.serving.studio.learn_layout import begun_after, lay_out
from sfumato.serving.studio.learn_page import lesson_of
from sfumato.serving.studio.learn_tried import (
    FIELDS,
    KINDS,
    Asked,
    Kind,
    Trial,
    page_of,
    trial_of,
    tried_with,
)
from sfumato.serving.studio.look import Look
from sfumato.serving.studio.showing import problem_of, progress_of
from sfumato.serving.studio.traces import Traces, animate
from sfumato.serving.studio.visitors import visitor_of
from sfumato.serving.studio.words import Words

Parts = dict[str, Any]
Work: TypeAlias = KeptLesson | Trial
PAGE: Final = "index.html"  # of a trace
FORM: Final[tuple[str, ...]] = ("prompt", "steps", "guidance", "sampler", "seed")
ASKED: Final = tuple(name for fields in FIELDS.values() for name in fields)  # of experiments
MOST_NOTED: Final = 512  # jobs that are remembered: more than can wait
#: Jobs of this tab that a page, or one in another look, may take up: what each tries out, with which trace.
#: None stands for a lesson.
Noted: TypeAlias = dict[str, tuple[Asked, Path] | None]
_NOTED: Final[WeakKeyDictionary[Desk, Noted]] = WeakKeyDictionary()


def build(desk: Desk, words: Words, look: Look) -> Parts:
    """Make the tab, in the place that is open, and return its parts."""
    parts = lay_out(find_model(BUNDLED, desk.settings).defaults, words, look)
    _connect(desk, words, parts)
    parts["late"] = [parts["format"]]  # which the browser remembers for all tabs
    return parts


def note(noted: Noted, job: Job, what: tuple[Asked, Path] | None) -> None:
    """Write down what a job tries out, and forget the oldest; for several threads at once."""
    noted[job.id] = what
    for old in [*noted][:-MOST_NOTED]:
        noted.pop(old, None)  # another thread may have forgotten it


def form_of(values: Mapping[str, Any]) -> Learn:
    """Return the form that stands on the page. Raises RecipeError for what is no number."""
    return Learn(
        prompt=values["prompt"] or "",
        steps=None if values["steps"] is None else int(values["steps"]),
        guidance=None if values["guidance"] is None else float(values["guidance"]),
        sampler=values["sampler"] or None,
        seed=seed_of(values["seed"] or ""),
    )


def _connect(desk: Desk, words: Words, parts: Parts) -> None:
    traces = Traces(desk.settings.data_dir / "studio" / "traces")
    noted = _NOTED.setdefault(desk, {})
    begun_with = {name: parts[name].value for name in ASKED}

    def drawn(place: str, make: Callable[[], Work], tell: Callable[[Any, Job], Parts], owner: str) -> News:
        """Yield what is to be seen in the part `place` while the work that `make` returns is drawn, and what
        `tell` tells of it and its job at the end, by the names of parts; what is wrong is said there too.
        """
        try:
            work = make()
            job = desk.queue.submit(work.recipes[0], owner, work.draw)
        except SfumatoError as error:
            yield {parts[place]: problem_of(error, words)}
            return
        note(noted, job, (work.asked, work.shown.trace) if isinstance(work, Trial) else None)
        job = yield from following(place, job)
        if job.state == "done":
            yield told({**tell(work, job), "job": ""})

    def following(place: str, job: Job) -> Generator[dict[Any, Any], None, Job]:
        """Yield how `job` goes until it is finished, and return how it ended."""
        with closing(desk.queue.follow(job.id, job.owner)) as news:
            for job in news:
                if job.state != "done":
                    yield {parts[place]: progress_of(job, words), parts["job"]: job.id}
        return job

    def told(news: Parts) -> dict[Any, Any]:
        return {parts[name]: value for name, value in news.items()}

    def show(request: gr.Request, *values: Any) -> News:
        owner = visitor_of(request)

        def make() -> KeptLesson:
            recipe = recipe_of_learn(form_of(dict(zip(FORM, values, strict=True))))
            return KeptLesson(desk.settings, desk.models, (recipe,), keeps=True, owner=owner, traces=traces)

        def tell(work: KeptLesson, job: Job) -> Parts:
            return {**lesson_told(work.shown), "progress": progress_of(job, words)}

        # The lesson before stays until this one is there: nothing moves meanwhile.
        yield from drawn("progress", make, tell, owner)

    def lesson_told(now: Shown) -> Parts:
        steps = now.drawn.resolved.steps
        return {
            "panel": lesson_of(now.drawn, words),
            # A visitor's session holds it for long; the steps are on disk.
            "shown": replace(now, drawn=replace(now.drawn, frames=())),
            "begin_step": gr.Slider(maximum=steps, value=begun_after(steps)),
            "file": gr.File(None, visible=False),
            **dict.fromkeys(KINDS, ""),  # with another picture
        }

    def take_up(request: gr.Request, shown: Shown | None, number: str, *values: Any) -> News:
        """Yield what this visitor's newest lesson shows, or will show, and what was tried out with it, where
        the page shows none yet; `values` stand in the fields of experiments.
        """
        yield {parts["job"]: gr.skip()}  # a handler that tells nothing empties all that it could have told
        if shown is not None or number:
            return
        owner = visitor_of(request)
        known = noted.copy()  # other threads forget the oldest
        left = [one for one in desk.queue.of(owner) if one.id in known and not one.finished]
        lessons = [one for one in left if known[one.id] is None]
        if lessons:
            job = yield from following("progress", lessons[-1])
            if job.state == "done":
                yield {parts["progress"]: progress_of(job, words)}
        found = newest(traces.folder, owner)
        if found is None:
            return
        fields = dict(zip(ASKED, values, strict=True))
        untouched = {name for name, value in fields.items() if (value or "") == (begun_with[name] or "")}
        # The prompt's field stays: somebody may be typing there by now.
        yield told({**lesson_told(found), **tried_told(found, owner, untouched), "job": ""})
        yield from experiments_told(found, left, untouched)

    def tried_told(found: Shown, owner: str, untouched: set[str]) -> Parts:
        """Return what was tried out with a lesson, and what was asked, in fields that nobody changed."""
        news: Parts = {}
        for tried in tried_with(found.trace, owner):
            try:
                news[tried.asked.kind] = page_of(tried, found, words)
            except ValueError:  # of a file that was written by something else
                continue
            news |= fields_told(tried.asked, found, untouched)
        return news

    def fields_told(asked: Asked, found: Shown, untouched: set[str]) -> Parts:
        if not untouched >= {*FIELDS[asked.kind]} - {"begin_step"}:
            return {}
        values: Parts = dict(asked.fields)
        match asked.kind:
            case "compare":
                by_sampler = values["what"] == "sampler"
                known = [one for _, one in parts["other_sampler"].choices]
                sampler = values["other_sampler"] if values["other_sampler"] in known else known[0]
                values["other_sampler"] = sampler
                if by_sampler:
                    values["other"] = gr.update(value=values["other"], visible=False)
                    values["other_sampler"] = gr.update(value=sampler, visible=True)
            case "begin":
                steps = found.drawn.resolved.steps
                values["begin_step"] = gr.Slider(maximum=steps, value=min(values["begin_step"], steps))
            case _:
                pass
        return values

    def experiments_told(found: Shown, left: list[Job], untouched: set[str]) -> News:
        """Yield how those of the jobs `left` go that try something out with `found`, one after the other."""
        running: list[tuple[Asked, Job]] = []
        for job in left:
            match noted.get(job.id):
                case (asked, trace) if trace == found.trace:
                    running.append((asked, job))
                case _:
                    pass
        for asked, job in running:  # all at once, as they wait together
            yield told({asked.kind: progress_of(job, words), **fields_told(asked, found, untouched)})
        for asked, job in running:
            ended = yield from following(asked.kind, job)
            if ended.state == "done":
                pages = tried_told(found, job.owner, set())
                yield told({asked.kind: pages.get(asked.kind, ""), "job": ""})

    def trying(kind: Kind) -> Callable[..., News]:
        """Return a handler that tries something out with the picture of Show me."""

        def handle(request: gr.Request, shown: Shown | None, *values: Any) -> News:
            owner = visitor_of(request)

            def make() -> Trial:
                known = _known(shown, words)
                return trial_of(Asked.of(kind, values), known, desk.settings, desk.models, owner)

            def tell(work: Trial, job: Job) -> Parts:
                return {kind: page_of(work.tried, work.shown, words)}

            yield from drawn(kind, make, tell, owner)

        return handle

    def stop(request: gr.Request, number: str) -> None:
        if number:
            desk.queue.cancel(number, visitor_of(request))

    def choose(what: str) -> list[Any]:
        return [gr.Textbox(visible=what != "sampler"), gr.Dropdown(visible=what == "sampler")]

    def export(shown: Shown | None, suffix: str, way: Any) -> tuple[Any, str]:
        try:
            known = _known(shown, words)
            with desk.new_folder() as folder:
                path = folder / f"{slug(known.drawn.resolved)}.{suffix.lower()}"
                animate(known.trace, known.drawn.resolved, known.drawn.backend, way, path)
            return gr.File(str(path), visible=True), ""
        except SfumatoError as error:
            return gr.File(None, visible=False), problem_of(error, words)

    def page(shown: Shown | None) -> tuple[Any, str]:
        try:
            known = _known(shown, words)
            if not (known.trace / PAGE).is_file():
                raise RecipeError(words("learn_first"))
            return gr.File(str(desk.show(known.trace / PAGE)), visible=True), ""
        except SfumatoError as error:
            return gr.File(None, visible=False), problem_of(error, words)

    shown, job = parts["shown"], parts["job"]
    form, asked = ([parts[name] for name in names] for names in (FORM, ASKED))
    outputs = [shown, job, *(parts[name] for name in ("progress", "panel", "begin_step", "file", *KINDS))]
    others = [one for one in asked if one is not parts["begin_step"]]
    parts["find"] = (take_up, [shown, job, *asked], [*outputs, *others])
    gr.on([parts["show"].click, parts["prompt"].submit], show, form, outputs, **QUIET)
    for button, example in zip(parts["examples"], EXAMPLES, strict=True):
        filled = button.click(lambda one=example: one, None, parts["prompt"], **CLICK)
        filled.then(show, form, outputs, **QUIET)
    parts["stop"].click(stop, job, None, queue=False, api_visibility="private")
    for kind in KINDS:
        fields = [parts[name] for name in FIELDS[kind]]
        triggers = [parts[f"{kind}_go"].click]
        triggers += [one.submit for one in fields if isinstance(one, gr.Textbox)]
        gr.on(triggers, trying(kind), [shown, *fields], [parts[kind], job], **QUIET)
    parts["what"].change(choose, parts["what"], [parts["other"], parts["other_sampler"]], **QUIET)
    handed = [parts["file"], parts["trouble"]]
    parts["make"].click(export, [shown, parts["format"], parts["way"]], handed, **QUIET)
    parts["page"].click(page, shown, handed, **QUIET)


def _known(shown: Shown | None, words: Words) -> Shown:
    """Return what Show me drew. Raises RecipeError where it was not pressed yet."""
    if shown is None:
        raise RecipeError(words("learn_first"))
    return shown
