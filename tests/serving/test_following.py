"""What is news, and when."""

from dataclasses import replace
from typing import Any

import pytest

from sfumato.recipe.image import Recipe
from sfumato.serving.following import APART, are_news, is_news
from sfumato.serving.jobs import Job

JOB = Job("a", "me", Recipe(), 0.0, state="running", version=3)
OTHER = Job("b", "me", Recipe(), 0.0, version=1)
SOON, LATER, PATIENCE = APART / 2, APART, 5.0
STEP = {"version": 4, "steps": 1}


@pytest.mark.parametrize(
    ("news", "seconds", "told"),
    [
        ({}, LATER, False),
        ({}, PATIENCE, True),
        (STEP, SOON, False),
        (STEP, LATER, True),
        ({**STEP, "pictures": (1,)}, SOON, True),
        ({**STEP, "state": "done"}, SOON, True),
    ],
)
def test_steps_are_told_now_and_then_and_what_matters_at_once(
    news: dict[str, Any], seconds: float, told: bool
) -> None:
    now = replace(JOB, **news)
    assert is_news(now, JOB, JOB.version, seconds, PATIENCE) == told
    assert are_news((now, OTHER), (JOB, OTHER), seconds, PATIENCE) == told


def test_one_that_comes_is_told_at_once() -> None:
    assert are_news((JOB, OTHER), (JOB,), 0.0, PATIENCE)
    assert is_news(JOB, None, -1, 0.0, PATIENCE)


def test_what_was_seen_to_its_end_is_no_news() -> None:
    done = replace(JOB, state="done")
    assert not is_news(done, None, done.version, PATIENCE, PATIENCE)
