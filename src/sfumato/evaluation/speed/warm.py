"""Warm: models that are loaded already, in worker processes that take turns."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from sfumato.evaluation.speed.contestants import DIFFUSERS, Contestant
from sfumato.evaluation.speed.events import Advanced
from sfumato.evaluation.speed.figures import Spread, paired, spread
from sfumato.evaluation.speed.plan import Effort
from sfumato.evaluation.speed.report import Subject, WarmReport, WarmRow
from sfumato.evaluation.speed.turn_taking import Crew, job_of, rotated
from sfumato.evaluation.speed.turns import Turn

STEP = "step"
PICTURES = "pictures"
FAST = "fast"  # pictures with what --fast turns on
TASKS = (STEP, PICTURES, FAST)
_NOT_THEIRS = {"onnxruntime": (PICTURES, FAST), "diffusers": (FAST,)}

Key = tuple[Contestant, int, str]  # who, the batch, the task


def measure_warm(
    subject: Subject,
    folder: Path,
    latents: tuple[int, int],
    contestants: Sequence[Contestant],
    effort: Effort,
    *,
    environ: Mapping[str, str],
    scratch: Path,
    notes: list[str],
) -> Generator[Advanced, None, WarmReport]:
    """Measure every contestant at every batch of `effort`, round by round, one after the other.

    `latents` is height and width of the latents of a picture of the model in `folder`. `notes` gets a
    sentence for each contestant that cannot run. Raises SfumatoError when one fails.
    """
    height, width = latents
    turns = len(effort.batches) * len(TASKS) * len(contestants)
    done, total = 0, len(contestants) + turns * (effort.warm + 1)
    with ExitStack() as stack:
        crew = Crew(stack, environ)
        for one in contestants:
            yield Advanced(f"warm: loading {one.name}", done, total)
            job = job_of(
                one,
                str(folder),
                str(scratch),
                whole=True,
                prompt=subject.prompt,
                steps=subject.steps,
                seed=subject.seed,
                width=subject.width,
                height=subject.height,
                guidance=subject.guidance,
                guidance_rescale=subject.guidance_rescale,
            )
            crew.add(one, job)
            done += 1
        rates: dict[Key, list[float]] = {}
        # The first round does not count: it pays for graphs of each size, and for memory.
        for number in range(effort.warm + 1):
            for batch in effort.batches:
                for task in TASKS:
                    for one in rotated(crew.members, number) if crew.members else ():
                        done += 1
                        if task in _NOT_THEIRS.get(one.program, ()):
                            continue
                        yield Advanced(f"warm: {one.name}", done, total)
                        seconds = 0.0 if number == 0 else effort.turn_seconds
                        taken = crew.take(one, Turn(task, batch, height, width, seconds))
                        if number > 0:
                            drawn = 1 if task == STEP else batch
                            rates.setdefault((one, batch, task), []).append(drawn / taken.each)
        notes.extend(crew.notes)
        rows = [_row(rates, one, batch) for batch in effort.batches for one in crew.members]
        return WarmReport(subject, crew.load_seconds, tuple(rows))


def _row(rates: Mapping[Key, Sequence[float]], contestant: Contestant, batch: int) -> WarmRow:
    pictures, fast = (rates.get((contestant, batch, task)) for task in (PICTURES, FAST))
    return WarmRow(
        contestant=contestant.name,
        batch=batch,
        steps_per_second=spread(rates[contestant, batch, STEP]),
        pictures_per_second=None if pictures is None else spread(pictures),
        step_ratio=_ratio(rates, contestant, batch, STEP),
        picture_ratio=_ratio(rates, contestant, batch, PICTURES),
        fast_per_second=None if fast is None else spread(fast),
        fast_gain=None if fast is None or pictures is None else paired(fast, pictures),
    )


def _ratio(
    rates: Mapping[Key, Sequence[float]], contestant: Contestant, batch: int, task: str
) -> Spread | None:
    ours, theirs = rates.get((contestant, batch, task)), rates.get((DIFFUSERS, batch, task))
    if ours is None or theirs is None or contestant == DIFFUSERS:
        return None
    return paired(ours, theirs)
