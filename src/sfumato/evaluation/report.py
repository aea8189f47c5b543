"""The scored report: frozen values, as JSON and as the rows of a table."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sfumato.evaluation.judging import BACKGROUND, BOTH, OBJECT, STYLE, TIME, Answer
from sfumato.evaluation.metrics import Measure, wilson
from sfumato.evaluation.prompts import SECTIONS, Asked

REPORT_VERSION: Final = 1

#: What is scored: label, the sections it counts, the question.
SCORED: Final[tuple[tuple[str, tuple[str, ...], str], ...]] = (
    ("single objects", ("plain", "styled"), OBJECT),
    ("single objects without a style", ("plain",), OBJECT),
    ("single objects in a style", ("styled",), OBJECT),
    ("single objects", ("plain", "styled"), BACKGROUND),
    ("single objects", ("plain", "styled"), TIME),
    ("single objects in a style", ("styled",), STYLE),
    ("pairs", ("pairs",), BOTH),
    ("held out: object with background", ("held_out_backgrounds",), OBJECT),
    ("held out: object with background", ("held_out_backgrounds",), BACKGROUND),
    ("held out: object with style", ("held_out_styles",), OBJECT),
    ("held out: object with style", ("held_out_styles",), STYLE),
    ("held out: pairs", ("held_out_pairs",), BOTH),
)
#: Names under which the judge's file keeps its accuracy on single objects.
_STORED_NAMES: Final = {OBJECT: "objects", BACKGROUND: "background", TIME: "time", STYLE: "style"}


@dataclass(frozen=True)
class Judgement:
    """One picture's answers, those on a real render of the same scene, and those on that render `rebuilt` by
    the model's autoencoder (both empty without the font).
    """

    asked: Asked
    answers: tuple[Answer, ...]
    real: tuple[Answer, ...]
    rebuilt: tuple[Answer, ...]

    @property
    def right(self) -> bool:
        """Whether everything that was asked is right."""
        return all(answer.right for answer in self.answers)


@dataclass(frozen=True, eq=False)
class Sample:
    """A judged picture with its `pixels (H,W,3)` uint8."""

    judgement: Judgement
    pixels: NDArray[np.uint8]


@dataclass(frozen=True)
class Setup:
    """What was evaluated, and how it drew; `cache_interval` and the guidance window as in a recipe."""

    model: str
    model_digest: str
    backend: str
    width: int
    height: int
    steps: int
    sampler: str
    spacing: str
    guidance: float
    guidance_rescale: float
    guidance_start: float
    guidance_stop: float
    cache_interval: int
    seed: int
    judge_digest: str


@dataclass(frozen=True)
class Score:
    """The share of pictures of which a question was answered as the prompt said.

    `ceiling` is the judge's own share on real renders of the same scenes, `rebuilt` that on the same renders
    after the model's autoencoder, `stored_ceiling` the accuracy in the judge's file where real renders could
    not be drawn; None where it has none.
    """

    label: str
    question: str
    share: Measure
    ceiling: Measure | None
    rebuilt: Measure | None
    stored_ceiling: float | None


@dataclass(frozen=True, eq=False)
class Report:
    """Everything an evaluation found.

    `frechet` is the squared Fréchet distance in the judge's features between generated pictures and real
    renders of the same scenes, `frechet_floor` that between two sets of real renders; `diversity` the
    spread of one prompt's pictures relative to real ones; `psnr`, in dB, what the autoencoder leaves of real
    renders, the mean over pictures. They are None when the emoji font is missing.
    `speed` is pictures per second, one at a time. `samples` are the first pictures of every section,
    unchosen.
    """

    setup: Setup
    scores: tuple[Score, ...]
    frechet: Measure | None
    frechet_floor: Measure | None
    diversity: Measure | None
    psnr: Measure | None
    speed: Measure
    notes: tuple[str, ...]
    judgements: tuple[Judgement, ...]
    samples: tuple[Sample, ...]


@dataclass(frozen=True)
class TableRow:
    """One line of the table, as text; `interval` is the 95 % one, `ceiling` what real pictures get, `rebuilt`
    what they get after the model's autoencoder.
    """

    label: str
    question: str
    value: str
    interval: str
    n: int
    ceiling: str
    rebuilt: str


def score(judgements: Sequence[Judgement], stored: dict[str, float]) -> tuple[Score, ...]:
    """Return the scores of `SCORED`, leaving out what was asked of no picture.

    `stored` is the judge's own accuracy by question, as in its file: used where no real renders were judged.
    """
    scores: list[Score] = []
    for label, sections, question in SCORED:
        chosen = [one for one in judgements if one.asked.section in sections]
        share = _share([answer for one in chosen for answer in one.answers], question)
        if share is None:
            continue
        ceiling = _share([answer for one in chosen for answer in one.real], question)
        rebuilt = _share([answer for one in chosen for answer in one.rebuilt], question)
        known = stored.get(_STORED_NAMES.get(question, "")) if ceiling is None else None
        scores.append(Score(label, question, share, ceiling, rebuilt, known))
    return tuple(scores)


def table_rows(report: Report) -> tuple[TableRow, ...]:
    """Return the report as lines of text, scores first."""
    rows = [
        TableRow(
            one.label,
            one.question,
            f"{100 * one.share.value:.1f} %",
            f"{100 * one.share.low:.1f} to {100 * one.share.high:.1f} %",
            one.share.n,
            _ceiling(one),
            "" if one.rebuilt is None else f"{100 * one.rebuilt.value:.1f} %",
        )
        for one in report.scores
    ]
    for label, question, measure, best in (
        ("Fréchet distance, judge's features", "lower is better", report.frechet, report.frechet_floor),
        ("diversity between seeds", "real pictures: 1", report.diversity, None),
        ("autoencoder on real pictures", "PSNR in dB", report.psnr, None),
        ("speed", "pictures per second", report.speed, None),
    ):
        if measure is not None:
            interval = f"{measure.low:.3g} to {measure.high:.3g}"
            ceiling = "" if best is None else f"{best.value:.3g}"
            rows.append(TableRow(label, question, f"{measure.value:.3g}", interval, measure.n, ceiling, ""))
    return tuple(rows)


def to_json(report: Report) -> str:
    """Return the report as JSON text: every figure with `n` and interval, every picture with its answers.

    Equal for equal setups but for `speed`. Pixels are left out.
    """
    figures = {
        "frechet": report.frechet,
        "frechet_floor": report.frechet_floor,
        "diversity": report.diversity,
        "psnr": report.psnr,
        "speed": report.speed,
    }
    data = {
        "version": REPORT_VERSION,
        "setup": asdict(report.setup),
        "scores": [asdict(one) for one in report.scores],
        **{name: None if measure is None else asdict(measure) for name, measure in figures.items()},
        "notes": list(report.notes),
        "sections": {section.name: section.asks for section in SECTIONS},
        "pictures": [_picture(one) for one in report.judgements],
    }
    return json.dumps(_rounded(data), indent=2, ensure_ascii=False)


def _share(found: Sequence[Answer], question: str) -> Measure | None:
    right = [answer.right for answer in found if answer.question == question]
    return wilson(sum(right), len(right)) if right else None


def _ceiling(one: Score) -> str:
    if one.ceiling is not None:
        return f"{100 * one.ceiling.value:.1f} %"
    return "" if one.stored_ceiling is None else f"{100 * one.stored_ceiling:.1f} % (stored)"


def _picture(one: Judgement) -> dict[str, object]:
    return {
        "section": one.asked.section,
        "prompt": one.asked.prompt,
        "seed": one.asked.seed,
        "right": one.right,
        "answers": [{**asdict(answer), "right": answer.right} for answer in one.answers],
    }


def _rounded(value: object) -> object:
    """Six digits after the point: what threads and libraries agree on."""
    match value:
        case float():
            return round(value, 6)
        case dict():
            return {key: _rounded(item) for key, item in value.items()}
        case list() | tuple():
            return [_rounded(item) for item in value]
        case _:
            return value
