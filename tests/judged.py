"""Tiny judges, and judged pictures made by hand, for tests of what evaluation makes of them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sfumato.evaluation.judging import Answer
from sfumato.evaluation.metrics import Measure
from sfumato.evaluation.prompts import QUICK, ask
from sfumato.evaluation.report import Judgement, Report, Sample, Setup, score
from sfumato.models.judge import JudgeNet, save_judge
from sfumato.scenes.drawing import FONT_PATHS

#: The font is needed to train, not to run the tests.
needs_font = pytest.mark.skipif(
    not any(path.is_file() for path in FONT_PATHS),
    reason="the emoji font is missing: install Debian's package fonts-noto-color-emoji",
)


def write_judge(folder: Path, **facts: object) -> Path:
    """Write an untrained judge of the narrowest kind, always the same one, and return its file."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = JudgeNet(width=8)
    path = folder / "judge.safetensors"
    save_judge(net, path, facts)
    return path


def judgements(*, real: bool = True) -> tuple[Judgement, ...]:
    """The quick evaluation, one question per picture: every even one right, every real render right."""
    found: list[Judgement] = []
    for asked in ask(1, QUICK):
        question = "both objects" if len(asked.scene.objects) == 2 else "object"
        name = asked.scene.objects[0]
        answer = Answer(question, name, name if asked.number % 2 == 0 else "something else")
        seen = (Answer(question, name, name),) if real else ()
        # The autoencoder spoils every fourth real picture.
        kept = (Answer(question, name, name if asked.number % 4 else "a blur"),) if real else ()
        found.append(Judgement(asked, (answer,), seen, kept))
    return tuple(found)


def report(*, real: bool = True, stored: dict[str, float] | None = None) -> Report:
    """A report of `judgements`: with all figures, or as it is without the emoji font."""
    every = judgements(real=real)
    return Report(
        setup=Setup(
            "tiny", "0" * 64, "torch", 64, 64, 4, "ddim", "trailing", 3.0, 0.0, 0.0, 1.0, 1, 1, "1" * 64
        ),
        scores=score(every, {} if stored is None else stored),
        frechet=Measure(1.25, 1.0, 1.5, 60) if real else None,
        frechet_floor=Measure(0.5, 0.375, 0.625, 60) if real else None,
        diversity=Measure(0.75, 0.5, 1.0, 2) if real else None,
        psnr=Measure(27.5, 27.25, 27.75, 60) if real else None,
        speed=Measure(2.0, 1.5, 3.0, 71),
        notes=("A note.",),
        judgements=every,
        samples=tuple(Sample(one, blue(64, 64)) for one in every),
    )


def blue(height: int, width: int) -> NDArray[np.uint8]:
    """A picture `(height,width,3)` in one blue."""
    return np.full((height, width, 3), (10, 40, 250), np.uint8)
