"""Where a film is shown, and how it is taken along: as WebP, GIF or MP4, whichever was chosen last."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.util import find_spec
from typing import Any, Final

import gradio as gr
from gradio.events import Dependency

from sfumato.errors import SfumatoError
from sfumato.serving.jobs import Job
from sfumato.serving.reels import FORMATS, Reel
from sfumato.serving.studio.binding import CLICK, QUIET
from sfumato.serving.studio.line import Line
from sfumato.serving.studio.showing import problem_of
from sfumato.serving.studio.visitors import visitor_of
from sfumato.serving.studio.words import Words

SHOWN: Final = "WebP"  # moves in every browser, in all colours
_STORE: Final = "sfumato-film"
_KEEP: Final = """(chosen) => {
  try { localStorage.setItem("%(store)s", chosen); } catch { /* The browser keeps nothing. */ }
}"""
_TAKE: Final = """() => {
  const skip = {__type__: "update"};
  try {
    const chosen = localStorage.getItem("%(store)s");
    return %(formats)s.includes(chosen) ? {...skip, value: chosen} : skip;
  } catch { return skip; }
}"""


@dataclass(frozen=True, eq=False)
class FilmBox:
    """The parts that show a film. `reel` holds the one that is shown, or None; `label` says what is seen, and
    `taking` stands on the button, before the format.
    """

    label: str
    taking: str
    reel: gr.State
    box: gr.Column
    moving: gr.Image
    format: gr.Radio
    save: gr.DownloadButton
    trouble: gr.HTML

    @property
    def outputs(self) -> list[Any]:
        """What `shown` and `nothing` change."""
        return [self.reel, self.box, self.moving, self.save, self.trouble]

    def shown(self, reel: Reel, kind: str) -> Mapping[Any, Any]:
        """Return what shows a film, and offers it as `kind`. Raises as `Reel.file` does."""
        return {
            self.reel: reel,
            self.box: gr.Column(visible=True),
            self.moving: gr.Image(value=str(reel.file(SHOWN)), alt_text=self.label),
            **self._offered(reel, kind),
        }

    def nothing(self) -> Mapping[Any, Any]:
        """Return what takes the film away."""
        return {
            self.reel: None,
            self.box: gr.Column(visible=False),
            self.moving: gr.Image(value=None),
            self.save: gr.DownloadButton(value=None),
            self.trouble: "",
        }

    def _offered(self, reel: Reel, kind: str) -> Mapping[Any, Any]:
        try:
            button = gr.DownloadButton(f"{self.taking} ({kind})", value=str(reel.file(kind)))
            return {self.save: button, self.trouble: ""}
        except SfumatoError as error:
            return {self.save: gr.DownloadButton(value=None), self.trouble: problem_of(error)}

    def change(self, reel: Reel | None, kind: str) -> Mapping[Any, Any]:
        """Return what offers the film as another format."""
        return {self.trouble: ""} if reel is None else self._offered(reel, kind)


def build(words: Words, name: str, label: str, save: str) -> FilmBox:
    """Make the parts, in the place that is open; `label` and `save` are words by their names."""
    reel = gr.State(None)
    with gr.Column(visible=False, elem_id=f"{name}-box") as box:
        moving = gr.Image(
            label=words(label),
            format="webp",
            type="filepath",
            interactive=False,
            buttons=["fullscreen"],
            elem_id=name,
            elem_classes="sf-moving",
        )
        kind = format_of(words, f"{name}-format")
        button = gr.DownloadButton(words(save), size="sm", elem_id=f"{name}-save")
        trouble = gr.HTML("", padding=False)
    made = FilmBox(words(label), words(save), reel, box, moving, kind, button, trouble)
    kind.change(made.change, [reel, kind], [button, trouble], **QUIET)
    return made


def connect(
    place: FilmBox,
    line: Line,
    wanted: Callable[[Reel], bool],
    told: Callable[[Job], Mapping[Any, Any]] = lambda job: {},
    others: Sequence[Any] = (),
) -> Dependency:
    """Show the newest of the films of `line` that are `wanted` here, and with it what is `told` of its job,
    which changes `others`. Return what follows can be bound to when one is shown.
    """

    def show(request: gr.Request, films: tuple[str, ...], shown: Reel | None, kind: str) -> Any:
        for job in reversed(line.desk.queue.of(visitor_of(request))):
            if job.id in films and job.film is not None and wanted(job.film):
                if shown is not None and shown.folder == job.film.folder:
                    break
                try:
                    return {**place.shown(job.film, kind), **told(job)}
                except SfumatoError as error:
                    return {line.notice: problem_of(error, line.words)}
        return gr.skip()

    outputs = [line.notice, *place.outputs, *others]
    return line.films.change(show, [line.films, place.reel, place.format], outputs, **QUIET)


def format_of(words: Words, name: str) -> gr.Radio:
    """Make the choice of a format, in the place that is open. The browser remembers it, for every film of
    this studio; where MP4 cannot be written, a line says what to install.
    """
    video = find_spec("av") is not None
    formats = [one for one in FORMATS if video or one != "MP4"]
    chosen = gr.Radio(formats, value=formats[0], label=words("learn_format"), elem_id=name)
    if not video:
        gr.HTML(f'<p class="sf-quiet">{escape(words("film_no_video"))}</p>', padding=False)
    shape = {"store": _STORE, "formats": json.dumps(formats)}
    chosen.input(None, chosen, None, js=_KEEP % shape, **CLICK)
    gr.on(None, None, None, chosen, js=_TAKE % shape, **CLICK)
    return chosen
