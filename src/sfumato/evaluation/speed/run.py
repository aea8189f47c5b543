"""A whole measurement as a generator: section by section, with all that it leaves behind cleaned up."""

import os
import tempfile
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from sfumato.evaluation.speed.cold import measure_cold
from sfumato.evaluation.speed.contestants import (
    DIFFUSERS,
    DIFFUSERS_BFLOAT16,
    NO_TORCH,
    ONNXRUNTIME,
    Contestant,
    chosen,
    has_onnxruntime,
    has_torch,
)
from sfumato.evaluation.speed.events import Advanced
from sfumato.evaluation.speed.large import check_memory, measure_large
from sfumato.evaluation.speed.machine import Watch, look_around, thread_limits
from sfumato.evaluation.speed.peak import measure_peaks
from sfumato.evaluation.speed.plan import PROMPT, SEED, Plan
from sfumato.evaluation.speed.report import ColdReport, LargeReport, Report, Subject, WarmReport
from sfumato.evaluation.speed.warm import measure_warm
from sfumato.evaluation.speed.weights import check_space
from sfumato.models.defaults import downsampling
from sfumato.models.load import FoundModel, find_model
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.parts import TextPart
from sfumato.recipe.resolve import resolve
from sfumato.settings import Settings

SpeedEvent: TypeAlias = Advanced | Report


@dataclass
class _Findings:
    """What has been measured so far."""

    others: dict[str, float | None] = field(default_factory=dict[str, float | None])
    notes: list[str] = field(default_factory=list[str])


def measure(plan: Plan, settings: Settings) -> Generator[SpeedEvent, None, None]:
    """Measure the sections of a plan, on the processor, and compare them with diffusers where torch is there.

    `settings` choose among Sfumato's backends and precisions. Yields Advanced before every piece of work and
    the Report last. Before the first event it raises RecipeError, ModelFileError and InputError for what
    cannot be measured, OutputError for a disk without room; later SfumatoError when a process fails. However
    it ends, its processes and its files are gone.
    """
    started = time.monotonic()
    ours = chosen(settings)
    found = find_model(plan.model, settings)
    resolved = resolve(_recipe(plan), found.defaults, settings=settings)
    subject = _subject(resolved, plan)
    compare = has_torch()
    if "large" in plan.sections:
        check_space(Path(tempfile.gettempdir()), plan.architecture)
        check_memory(plan.architecture, _limited(ours, plan, 1), _baselines(compare))
    findings = _Findings()
    findings.notes += [] if compare else [NO_TORCH]
    limits = thread_limits(dict(os.environ))
    findings.notes += [] if limits is None or not compare else [limits]
    machine = look_around()
    cold = warm = large = None
    if "cold" in plan.sections:
        with _section("cold", findings) as scratch:
            cold = yield from _cold(plan, subject, found, settings, compare, scratch)
    if "warm" in plan.sections:
        with _section("warm", findings) as scratch:
            warm = yield from _warm(plan, subject, found, resolved, ours, compare, scratch, findings)
    if "large" in plan.sections:
        with _section("large", findings) as scratch:
            large = yield from _large(plan, ours, compare, scratch, findings)
    yield Report(
        machine=machine,
        quick=not plan.effort.whole_pictures,
        cold=cold,
        warm=warm,
        large=large,
        others=findings.others,
        notes=tuple(findings.notes),
        seconds=time.monotonic() - started,
    )


def child_environment() -> dict[str, str]:
    """Return the environment of every process that is measured: this one's, on the processor, offline."""
    return {
        **os.environ,
        "SFUMATO_DEVICE": "cpu",
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
    }


def _cold(
    plan: Plan,
    subject: Subject,
    found: FoundModel,
    settings: Settings,
    compare: bool,
    scratch: Path,
) -> Generator[Advanced, None, ColdReport]:
    return measure_cold(
        subject,
        found.files.folder,
        settings,
        plan.effort.cold,
        compare=compare,
        environ=child_environment(),
        scratch=scratch,
    )


def _warm(
    plan: Plan,
    subject: Subject,
    found: FoundModel,
    resolved: Resolved,
    ours: tuple[Contestant, ...],
    compare: bool,
    scratch: Path,
    findings: _Findings,
) -> Generator[Advanced, None, WarmReport]:
    contestants = _limited(ours, plan, 0)
    contestants += (DIFFUSERS,) if compare else ()
    if plan.effort.contestants is None:
        if has_onnxruntime():
            contestants += (ONNXRUNTIME,)
        else:
            findings.notes.append("onnxruntime is left out: it, onnx and torch are not all installed.")
    factor = downsampling(found.files)
    return measure_warm(
        subject,
        found.files.folder,
        (resolved.height // factor, resolved.width // factor),
        contestants,
        plan.effort,
        environ=child_environment(),
        scratch=scratch,
        notes=findings.notes,
    )


def _large(
    plan: Plan, ours: tuple[Contestant, ...], compare: bool, scratch: Path, findings: _Findings
) -> Generator[Advanced, None, LargeReport]:
    environ = child_environment()
    peaks = yield from measure_peaks(plan.effort, torch=compare, environ=environ, scratch=scratch)
    return (
        yield from measure_large(
            plan.architecture,
            _limited(ours, plan, 1),
            _baselines(compare),
            peaks,
            plan.effort,
            plan.steps,
            environ=environ,
            scratch=scratch,
            notes=findings.notes,
        )
    )


@contextmanager
def _section(name: str, findings: _Findings) -> Iterator[Path]:
    """Give a section a folder that is removed with everything in it, and watch who else is busy."""
    with tempfile.TemporaryDirectory(prefix="sfumato-bench-", ignore_cleanup_errors=True) as folder:
        watch = Watch()
        yield Path(folder)
        findings.others[name] = watch.others()


def _recipe(plan: Plan) -> Recipe:
    return Recipe(
        model=plan.model,
        parts=(TextPart(prompt=PROMPT),),
        steps=plan.steps,
        sampler="ddim",
        spacing="trailing",
        seed=SEED,
    )


def _subject(resolved: Resolved, plan: Plan) -> Subject:
    return Subject(
        model=plan.model,
        prompt=PROMPT,
        width=resolved.width,
        height=resolved.height,
        steps=resolved.steps,
        guidance=resolved.guidance,
        guidance_rescale=0.0 if resolved.text is None else resolved.text.guidance_rescale,
        seed=resolved.seed,
    )


def _baselines(compare: bool) -> tuple[Contestant, ...]:
    return (DIFFUSERS, DIFFUSERS_BFLOAT16) if compare else ()


def _limited(ours: tuple[Contestant, ...], plan: Plan, section: int) -> tuple[Contestant, ...]:
    return ours if plan.effort.contestants is None else ours[: plan.effort.contestants[section]]
