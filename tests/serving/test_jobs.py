from dataclasses import replace

import pytest

from sfumato.recipe.image import Recipe
from sfumato.serving.jobs import FINISHED, Job

JOB = Job("a", "me", Recipe(), 0.0)


@pytest.mark.parametrize("state", ["queued", "running", *FINISHED])
def test_a_job_is_finished_when_nothing_more_will_happen(state: str) -> None:
    assert replace(JOB, state=state).finished == (state in ("done", "failed", "cancelled"))
