"""Where guidance leads: against predictions that are known, and against what the network says itself."""

from typing import Any

import numpy as np
import pytest

from sfumato.engine.compass import Compass
from sfumato.engine.events import Picture, StepDone
from sfumato.engine.plan import Guided
from sfumato.engine.run import draw
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.parts import TextPart
from sfumato.recipe.resolve import resolve
from tiny_models import tiny_bundle


def guided(unconditional: Any, conditional: Any, guidance: float, step: int = 0) -> Guided:
    u, c = (np.asarray(one, np.float64).reshape(1, 2, 1, 1) for one in (unconditional, conditional))
    return Guided(np.zeros_like(u), 2.0, u + guidance * (c - u), c, "x0", step)


def frog(**fields: Any) -> Resolved:
    recipe = Recipe(parts=(TextPart(prompt="a frog"),), **{"seed": 7, "steps": 3, **fields})
    return resolve(recipe, tiny_bundle().defaults)


def test_lengths_and_angle() -> None:
    compass = Compass(2.0)
    x0 = np.ones((1, 2, 1, 1))
    assert compass.before(x0, 2.0) is x0
    assert compass.after(x0, guided((3, 0), (0, 4), 2.0)) is x0
    compass.after(x0, guided((9, 9), (9, 9), 2.0))  # the same step asks again, as Heun does
    one = compass.at(0)
    assert one is not None
    assert (one.sigma, one.unconditional, one.conditional) == pytest.approx((2.0, 3.0, 4.0))
    assert one.guided == pytest.approx(np.hypot(3, 8))
    assert one.degrees == pytest.approx(90)
    assert compass.at(1) is None


@pytest.mark.parametrize("guidance", [0.0, 1.0, 1.01])
def test_without_guidance_there_is_nothing_to_tell(guidance: float) -> None:
    compass = Compass(guidance)
    compass.after(np.ones((1, 2, 1, 1)), guided((3, 0), (0, 4), guidance))
    assert compass.at(0) is None


def test_predictions_of_nothing_have_no_angle() -> None:
    compass = Compass(2.0)
    compass.after(np.ones((1, 2, 1, 1)), guided((0, 0), (0, 4), 2.0))
    one = compass.at(0)
    assert one is not None
    assert one.degrees == 0


@pytest.mark.parametrize("sampler", ["ddim", "heun"])
def test_it_reads_what_the_network_says_and_changes_nothing(sampler: str) -> None:
    bundle, resolved = tiny_bundle(), frog(guidance=3.0, sampler=sampler)
    compass = Compass(3.0)
    with_it, without = (
        [one.pixels for one in draw(resolved, bundle, looking=looking) if isinstance(one, Picture)]
        for looking in ((compass,), ())
    )
    np.testing.assert_array_equal(with_it[0], without[0])
    bearings = [compass.at(step) for step in range(3)]
    assert None not in bearings

    def first_length(guidance: float) -> float:
        events = draw(frog(guidance=guidance, sampler=sampler), bundle)
        step = next(one for one in events if isinstance(one, StepDone)).step
        events.close()
        return float(np.linalg.norm(bundle.backend.to_numpy(step.x0)))

    lengths = [first_length(guidance) for guidance in (0.0, 1.0, 3.0)]
    first = bearings[0]
    assert first is not None
    assert (first.unconditional, first.conditional, first.guided) == pytest.approx(tuple(lengths), rel=1e-3)
