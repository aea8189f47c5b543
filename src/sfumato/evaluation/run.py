"""An evaluation as a generator: draws what it asks for through the engine, has it judged, and reports."""

import hashlib
import math
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sfumato.engine.events import Done, Picture
from sfumato.engine.run import draw
from sfumato.errors import InputError, MissingExtraError, RecipeError
from sfumato.evaluation.judging import answers
from sfumato.evaluation.metrics import Measure, frechet, mean_of, rate, relative_spread
from sfumato.evaluation.prompts import FULL, Asked, Budget, ask
from sfumato.evaluation.rebuilding import psnr, round_trip
from sfumato.evaluation.report import Judgement, Report, Sample, Setup, score
from sfumato.models.bundle import ModelBundle
from sfumato.models.load import find_model, load
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.parts import TextPart
from sfumato.recipe.resolve import resolve
from sfumato.recipe.resolved_parts import ResolvedText
from sfumato.scenes.drawing import find_font
from sfumato.scenes.scene import render
from sfumato.settings import Settings

if TYPE_CHECKING:  # see find_judge
    from sfumato.models.judge import Judge

DEFAULT_SEED: Final = 1
SAMPLES_PER_SECTION: Final = 24
_SIDE: Final = 128  # pixels of real renders: what the judge was trained on

Features: TypeAlias = NDArray[np.float32]

NOTES: Final = (
    "The judge names objects, background, time and style; it does not score where and how many they are.",
    "Both objects of a pair are right when they are the two that the judge finds likeliest.",
    "The Fréchet distance depends on the number of pictures: compare it with its floor, or at equal n.",
)
NO_FONT: Final = (
    "The emoji font was not found, so no real pictures were drawn: the ceilings are those stored in the "
    "judge's file (single objects of its own test); Fréchet distance, diversity and what the "
    "autoencoder leaves of them are missing."
)


@dataclass(frozen=True)
class EvaluationStarted:
    """The first event: `total` pictures will be drawn as `setup` says. `notes` say what will be missing."""

    setup: Setup
    total: int
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Judged:
    """A picture was drawn and judged: number `finished` of `total`, in `seconds` of drawing."""

    sample: Sample
    finished: int
    total: int
    seconds: float


EvaluationEvent: TypeAlias = EvaluationStarted | Judged | Report


@dataclass(frozen=True, eq=False)
class _Marked:
    """What is kept of a picture. `real` are the features of two real renders, `psnr` what the autoencoder
    leaves of the first, in dB (none without a font).
    """

    judgement: Judgement
    features: Features
    real: tuple[Features, ...]
    psnr: float | None
    seconds: float


def evaluate(
    recipe: Recipe,
    settings: Settings,
    *,
    budget: Budget = FULL,
    judge: Path | None = None,
    font: Path | None = None,
) -> Generator[EvaluationEvent, None, None]:
    """Score a model: draw the prompts of `budget`, have them judged, compare with real renders.

    `recipe` says which model, and how it draws (size, steps, sampler, spacing, guidance, cache interval,
    fast); it has no parts and a count of one. Its seed, 1 when None, decides prompts, noise and real renders.
    `judge` is a judge's file (default: the bundled one), `font` the emoji font (default: the usual places;
    without one the report says what is missing).

    Yields EvaluationStarted, a Judged for every picture, and the Report last. Equal arguments give equal
    reports, but for the speed. Raises, before the first event, RecipeError, ModelFileError, InputError and
    MissingExtraError; NumericalError while drawing.
    """
    if recipe.parts or recipe.count != 1:
        raise RecipeError(
            "an evaluation asks its own prompts, one picture each", field="recipe", hint="Leave them out."
        )
    found = find_model(recipe.model, settings)
    resolved = resolve(
        recipe.model_copy(update={"parts": (TextPart(prompt=""),)}),
        found.defaults,
        new_seed=lambda: DEFAULT_SEED,
        settings=settings,
    )
    network, stored, judge_digest = find_judge(judge)
    drawn_with = _find_font(font)
    bundle = load(found, settings)
    notes = (*NOTES, *bundle.notes, *(() if drawn_with is not None else (NO_FONT,)))
    setup = setup_of(resolved, bundle, judge_digest)
    asked = ask(resolved.seed, budget)
    yield EvaluationStarted(setup, len(asked), notes[len(NOTES) :])

    marked: list[_Marked] = []
    samples: list[Sample] = []
    for one in asked:
        pixels, seconds = _draw(one, resolved, bundle)
        mark = _mark(one, pixels, seconds, network, drawn_with, resolved.seed, bundle)
        marked.append(mark)
        sample = Sample(mark.judgement, pixels)
        yield Judged(sample, len(marked), len(asked), seconds)
        if sum(kept.judgement.asked.section == one.section for kept in samples) < SAMPLES_PER_SECTION:
            samples.append(sample)
    distance, floor, diversity = _compared(marked, resolved.seed)
    yield Report(
        setup=setup,
        scores=score([mark.judgement for mark in marked], stored),
        frechet=distance,
        frechet_floor=floor,
        diversity=diversity,
        psnr=_kept([mark for mark in marked if mark.judgement.asked.section != "diversity"]),
        speed=_speed(marked),
        notes=notes,
        judgements=tuple(mark.judgement for mark in marked),
        samples=tuple(samples),
    )


def find_judge(path: Path | None) -> "tuple[Judge, dict[str, float], str]":
    """Return the judge, its own accuracy by question, and a digest of its file."""
    # Imported here: torch takes seconds to import, and nothing else in this package needs it.
    try:
        from sfumato.models.judge import bundled_judge, judge_facts, load_judge
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"the judge needs {error.name}", hint='Run: pip install "sfumato[torch]"'
        ) from error
    path = bundled_judge() if path is None else path
    judge = load_judge(path)
    accuracy = judge_facts(path).get("accuracy")
    known = accuracy if isinstance(accuracy, dict) else {}
    shares = {
        str(name): float(value)
        for name, value in known.items()
        if isinstance(value, int | float) and math.isfinite(value)
    }
    return judge, shares, hashlib.sha256(path.read_bytes()).hexdigest()


def _find_font(path: Path | None) -> Path | None:
    """Return the emoji font; a missing one is an error only when it was asked for by name."""
    if path is not None:
        return find_font(path)
    try:
        return find_font()
    except InputError:
        return None


def setup_of(resolved: Resolved, bundle: ModelBundle, judge_digest: str) -> Setup:
    text = resolved.parts[0]
    assert isinstance(text, ResolvedText)
    return Setup(
        model=resolved.model,
        model_digest=resolved.model_digest,
        backend=bundle.backend.name,
        width=resolved.width,
        height=resolved.height,
        steps=resolved.steps,
        sampler=resolved.sampler,
        spacing=resolved.spacing,
        guidance=resolved.guidance,
        guidance_rescale=text.guidance_rescale,
        guidance_start=text.guidance_start,
        guidance_stop=text.guidance_stop,
        cache_interval=resolved.cache_interval,
        seed=resolved.seed,
        judge_digest=judge_digest,
    )


def _draw(one: Asked, template: Resolved, bundle: ModelBundle) -> tuple[NDArray[np.uint8], float]:
    """Return the picture `(H,W,3)` of one prompt, drawn alone, and the seconds it took."""
    text = template.parts[0].model_copy(update={"prompt": one.prompt})
    resolved = template.model_copy(update={"parts": (text,), "seed": one.seed})
    pixels: NDArray[np.uint8] | None = None
    seconds = 0.0
    with closing(draw(resolved, bundle)) as events:
        for event in events:
            match event:
                case Picture():
                    pixels = event.pixels
                case Done():
                    seconds = event.seconds["total"]
                case _:
                    pass
    assert pixels is not None  # the engine draws what it is asked for, or raises
    return pixels, seconds


def _mark(
    one: Asked,
    pixels: NDArray[np.uint8],
    seconds: float,
    judge: "Judge",
    font: Path | None,
    seed: int,
    bundle: ModelBundle,
) -> _Marked:
    verdict = judge(pixels[None])
    given = answers(one.scene, verdict)
    if font is None:
        return _Marked(Judgement(one, given, (), ()), verdict.features[0], (), None, seconds)
    # Two sets of real pictures: one to compare with, and one to tell how far two real sets are apart.
    first, second = (_render(one, font, seed, take) for take in (1, 2))
    rebuilt = round_trip(bundle, first)
    real = judge(np.stack([first, second, rebuilt]))
    judgement = Judgement(one, given, answers(one.scene, real), answers(one.scene, real, row=2))
    features = tuple(real.features[:2])
    return _Marked(judgement, verdict.features[0], features, psnr(rebuilt, first), seconds)


def _render(one: Asked, font: Path, seed: int, take: int) -> NDArray[np.uint8]:
    # Three numbers that do not end in 0 never meet a training stream, which is seeded with two.
    rng = np.random.default_rng([seed, one.number, 300 + take])
    return np.asarray(render(one.scene, rng, font, _SIDE), np.uint8)


def _compared(marked: Sequence[_Marked], seed: int) -> tuple[Measure | None, Measure | None, Measure | None]:
    """Return the Fréchet distance, its floor, and the diversity; None without real renders."""
    if not all(mark.real for mark in marked):
        return None, None, None
    scored = [mark for mark in marked if mark.judgement.asked.section != "diversity"]
    first, second = (np.stack([mark.real[take] for mark in scored]) for take in (0, 1))
    distance = frechet(np.stack([mark.features for mark in scored]), first)
    floor = frechet(second, first)
    groups: dict[int, list[_Marked]] = {}
    for mark in marked:
        number = mark.judgement.asked.repeats
        if number is not None:
            groups.setdefault(number, [marked[number]]).append(mark)
    drawn = [np.stack([mark.features for mark in group]) for group in groups.values()]
    real = [np.stack([mark.real[0] for mark in group]) for group in groups.values()]
    return distance, floor, relative_spread(drawn, real, seed)


def _kept(marked: Sequence[_Marked]) -> Measure | None:
    """Return the mean PSNR of what the autoencoder leaves of real renders; None without them."""
    levels = [mark.psnr for mark in marked if mark.psnr is not None]
    return mean_of(np.array(levels)) if levels else None


def _speed(marked: Sequence[_Marked]) -> Measure:
    """Return pictures per second; the first one warms up and does not count when there are others."""
    seconds = [mark.seconds for mark in marked]
    return rate(seconds[1:] if len(seconds) > 1 else seconds)
