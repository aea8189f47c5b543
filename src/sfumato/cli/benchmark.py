"""Follow a measurement of speed and print what it found."""

import signal
import threading
from collections.abc import Generator
from contextlib import closing, contextmanager
from types import FrameType

from sfumato.cli.console import Bar, bar, result, result_json, talk, warn
from sfumato.cli.speed_tables import report_text
from sfumato.errors import InterruptedRun, SfumatoError
from sfumato.evaluation.speed import FULL, QUICK, Advanced, Plan, Report, measure, sections_of, to_data
from sfumato.recipe.numbers import number_of
from sfumato.settings import Settings


def run_benchmark(
    settings: Settings,
    *,
    section: str,
    quick: bool,
    repeats: str | None,
    steps: str,
    model: str,
    as_json: bool,
) -> None:
    """Measure what was asked for and print the report, as tables or JSON.

    Raises what `sfumato.evaluation.speed.measure` raises, and InterruptedRun on Ctrl-C or when the process is
    told to end; then nothing of it is left.
    """
    effort = QUICK if quick else FULL
    plan = Plan(
        sections=sections_of(section),
        model=model,
        steps=number_of("steps", steps),
        effort=effort if repeats is None else effort.with_rounds(number_of("repeats", repeats)),
    )
    try:
        with _ending_clean(), bar("looking around") as progress:
            report = follow(plan, settings, progress)
    except KeyboardInterrupt:
        raise InterruptedRun("nothing was reported") from None
    for name in report.disturbed():
        share = report.others[name]
        warn(f"other processes took {100 * (share or 0):.0f} % of the processor during {name}: doubtful")
    for note in report.notes:
        talk(note)
    if as_json:
        result_json(to_data(report))
    else:
        result(report_text(report))


def follow(plan: Plan, settings: Settings, progress: Bar) -> Report:
    """Carry out a plan, moving a progress bar, and return the report."""
    with closing(measure(plan, settings)) as events:
        for event in events:
            match event:
                case Advanced():
                    progress.label(event.label)
                    progress.update(event.done, event.total)
                case Report():
                    return event
    raise SfumatoError("the measurement ended without a report")


@contextmanager
def _ending_clean() -> Generator[None]:
    """Let a polite request to end do what Ctrl-C does: gigabytes lie in a temporary folder."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread hears signals
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
