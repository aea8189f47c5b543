"""What --trace, --animate and --attention ask for: checked before a model is loaded, followed as it draws."""

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sfumato.engine.animator import Animator, Shown
from sfumato.engine.attention import AttentionRecorder, attention_recorder
from sfumato.engine.attention_folder import AttentionFolder, attention_folder
from sfumato.engine.events import Event, Events
from sfumato.engine.plan import Projection
from sfumato.engine.seeing import Watched, Watcher, watched
from sfumato.engine.trace import Gauge
from sfumato.engine.trace_folder import TraceFolder, own_trace_folder
from sfumato.errors import OutputError, RecipeError
from sfumato.imaging.animation import check_animation
from sfumato.models.bundle import ModelBundle
from sfumato.recipe.image import Resolved

SHOWN: Final[dict[str, Shown]] = {"x0": "x0", "noisy": "noisy"}


@dataclass(frozen=True)
class Seeing:
    """What is to be seen of a run: a trace in a folder, an animation in a file, attention maps in a folder;
    any of them or none.

    A `gauge` that is not among the projections of the plan reads nothing, and the trace says so. `exact`:
    steps are decoded in full.
    """

    trace: Path | None = None
    animate: Path | None = None
    shown: Shown = "x0"
    gauge: Gauge | None = None
    attention: Path | None = None
    exact: bool = False

    @property
    def looking(self) -> tuple[Projection, ...]:
        """What has to be among the projections of the plan that is drawn."""
        return () if self.gauge is None else (self.gauge,)

    def recorder(self, resolved: Resolved, bundle: ModelBundle) -> AttentionRecorder | None:
        """Return what has to watch the attention of the drawing, if anything does. Raises InputError for a
        backend that shows none, RecipeError for a recipe without words.
        """
        return None if self.attention is None else attention_recorder(resolved, bundle)

    def watched(
        self, events: Events, bundle: ModelBundle, recorder: AttentionRecorder | None = None
    ) -> Generator[Event | Watched, None, None]:
        """Pass on `events`, and a Watched for every file that was written, after the last of them. `recorder`
        is the one that watches the drawing. Raises OutputError.
        """
        watchers: list[Watcher] = []
        if self.trace is not None:
            watchers.append(TraceFolder(self.trace, self.gauge))
        if self.animate is not None:
            watchers.append(Animator(self.animate, self.shown))
        if self.attention is not None and recorder is not None:
            watchers.append(AttentionFolder(self.attention, recorder))
        return watched(events, bundle, watchers, exact=self.exact)


def plan_seeing(
    trace: Path | None,
    animate: Path | None,
    shows: str | None = None,
    attention: Path | None = None,
    *,
    exact: bool = False,
) -> Seeing:
    """Return what --trace, --animate, --animate-shows, --attention and --exact-steps ask for.

    Raises OutputError for places that cannot be written to, MissingExtraError for an MP4 without its library,
    RecipeError for what cannot be shown.
    """
    if shows is not None and shows not in SHOWN:
        hint = f"Choose one of {', '.join(SHOWN)}."
        raise RecipeError("cannot be shown", field="animate-shows", value=shows, hint=hint)
    if shows is not None and animate is None:
        raise RecipeError(
            "there is no animation", field="animate-shows", value=shows, hint="Add --animate FILE."
        )
    if exact and trace is None and animate is None:
        hint = "Add --animate FILE or --trace FOLDER."
        raise RecipeError("there are no steps to be seen", field="exact-steps", hint=hint)
    if trace is not None:
        own_trace_folder(trace).check()
    if animate is not None:
        check_animation(animate)
    if attention is not None:
        attention_folder(attention).check()
        if trace is not None and trace.resolve() == attention.resolve():
            hint = "Name another folder."
            raise OutputError("the trace goes there", field="attention", value=str(attention), hint=hint)
    return Seeing(trace, animate, SHOWN[shows or "x0"], None if trace is None else Gauge(), attention, exact)
