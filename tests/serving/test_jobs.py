from dataclasses import replace
from io import BytesIO

import pytest
from PIL import Image

from sfumato.engine.events import StepDone
from sfumato.engine.run import draw
from sfumato.errors import RecipeError
from sfumato.recipe.image import Recipe
from sfumato.recipe.resolve import resolve
from sfumato.serving.jobs import FINISHED, Job, previews_of, told_of
from tiny_models import tiny_bundle
from tiny_studio import frog

JOB = Job("a", "me", Recipe(), 0.0)


@pytest.mark.parametrize("state", ["queued", "running", *FINISHED])
def test_a_job_is_finished_when_nothing_more_will_happen(state: str) -> None:
    assert replace(JOB, state=state).finished == (state in ("done", "failed", "cancelled"))


def test_why_one_failed_is_a_line() -> None:
    error = RecipeError("are too many", field="steps", value=9, hint="Draw less.")
    job = replace(JOB, state="failed", error=told_of(error))
    assert job.problem == str(error) == "steps: are too many (got 9). Draw less."
    assert JOB.problem is None


def test_previews_are_jpegs_by_the_index_of_the_picture() -> None:
    bundle = tiny_bundle()
    resolved = resolve(frog(count=2), bundle.defaults)
    steps = [one for one in draw(resolved, bundle, preview_every=1) if isinstance(one, StepDone)]
    shown = [previews_of(one) for one in steps if one.preview is not None]
    assert {*shown[0]} == {0, 1}
    for jpeg in shown[0].values():
        with Image.open(BytesIO(jpeg)) as image:
            assert (image.format, image.size) == ("JPEG", (64, 64))
    assert [previews_of(one) for one in steps if one.preview is None] == [{}] * (len(steps) - len(shown))
