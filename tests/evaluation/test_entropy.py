"""The entropy rate of a network that is exact for what it sees, and knots of rates with a known integral."""

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from judged import needs_font
from recording import Recorder
from sfumato.engine.events import StepDone
from sfumato.engine.run import draw
from sfumato.errors import InputError, ModelFileError
from sfumato.evaluation.entropy import (
    EntropyRate,
    LevelMeasured,
    entropic_sigmas,
    measure_rate,
    store_sigmas,
)
from sfumato.models.backends.base import NOTHING, Extra
from sfumato.models.load import find_model, load_bundle
from sfumato.recipe.image import Recipe
from sfumato.recipe.resolve import resolve
from sfumato.samplers.schedule import Schedule, grid
from sfumato.scenes.drawing import find_font
from tiny_models import tiny_bundle, tiny_folder, tiny_settings

LOW, HIGH = 0.03, 80.0
DIMENSIONS = 256


@dataclass(eq=False)
class Normal(Recorder):
    """A backend whose pictures are white noise to it; a v of zero then is the exact prediction."""

    encoded: int = 0

    def encode_image(self, pixels: NDArray[np.float32]) -> Any:
        self.encoded += 1
        latents = np.random.default_rng(self.encoded).standard_normal((1, 4, 8, 8))
        return self.asarray(latents.astype(np.float32))

    def predict(self, x: Any, t: float, context: Any, extra: Extra = NOTHING) -> Any:
        assert x.shape[0] == context.shape[0] <= 8
        return x * 0


def normal_rate(num_levels: int = 48) -> EntropyRate:
    """Return the exact rate of a standard normal latent: D / (1 + sigma^2)."""
    levels = np.exp(np.linspace(np.log(LOW), np.log(HIGH), num_levels))
    return EntropyRate(levels, DIMENSIONS / (1 + levels**2), 0 * levels, 16, DIMENSIONS)


@needs_font
def test_the_rate_of_an_exact_network_is_the_exact_rate() -> None:
    bundle = tiny_bundle()
    bundle = replace(bundle, backend=Normal(bundle.backend))
    events = measure_rate(bundle, find_font(), num_scenes=20, num_levels=7)
    seen: list[LevelMeasured] = []
    while True:
        try:
            seen.append(next(events))
        except StopIteration as end:
            rate = end.value
            break
    assert seen == [LevelMeasured(number, 7) for number in range(1, 8)]
    assert (rate.num_scenes, rate.dimensions) == (20, DIMENSIONS)
    assert rate.levels[0] == pytest.approx(bundle.schedule.sigma_min)
    assert rate.levels[-1] == pytest.approx(bundle.schedule.sigma_max)
    exact = DIMENSIONS / (1 + rate.levels**2)
    np.testing.assert_allclose(rate.rates, exact, rtol=0.12)
    assert (np.abs(rate.rates - exact) < 5 * rate.errors).all()


@needs_font
def test_a_real_network_is_measured_the_same_way_each_time() -> None:
    bundle = tiny_bundle()
    rates: list[Any] = []
    for _ in range(2):
        events = measure_rate(bundle, find_font(), num_scenes=2, num_levels=2)
        assert next(events) == LevelMeasured(1, 2)
        assert next(events) == LevelMeasured(2, 2)
        with pytest.raises(StopIteration) as end:
            next(events)
        rates.append(end.value.value.rates)
    assert np.array_equal(rates[0], rates[1])
    with pytest.raises(InputError, match="two scenes"):
        next(measure_rate(bundle, find_font(), num_scenes=1))


def test_plain_knots_have_equal_shares_of_the_entropy() -> None:
    knots = np.array(entropic_sigmas(normal_rate(), 33, rescaled=False))
    assert (knots[0], knots[-1]) == pytest.approx((LOW, HIGH))
    entropy = np.log(knots**2 / (1 + knots**2)) / 2  # the integral of 1 / (1 + sigma^2) d(ln sigma)
    np.testing.assert_allclose(np.diff(entropy), np.diff(entropy).mean(), rtol=0.02)


def test_rescaled_knots_have_equal_shares_of_the_weighted_entropy() -> None:
    knots = np.array(entropic_sigmas(normal_rate(), 33))
    weighted = np.arctan(knots)  # the integral of sigma / (1 + sigma^2) d(ln sigma)
    np.testing.assert_allclose(np.diff(weighted), np.diff(weighted).mean(), rtol=0.02)
    with pytest.raises(ValueError, match="positive"):
        entropic_sigmas(EntropyRate(np.array([1.0, 2.0]), np.array([1.0, 0.0]), np.zeros(2), 2, 4))


def test_a_model_keeps_its_knots_and_draws_with_them(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_folder(), tmp_path / "tiny"))
    schedule = tiny_bundle().schedule
    ends = np.log([schedule.sigma_min, schedule.sigma_max])
    levels = np.exp(np.linspace(*ends, 48))
    knots = entropic_sigmas(EntropyRate(levels, 1 / (1 + levels**2), levels, 2, 256))
    before = json.loads((folder / "sfumato.json").read_text(encoding="utf-8"))
    store_sigmas(folder, knots)
    stored = json.loads((folder / "sfumato.json").read_text(encoding="utf-8"))
    assert stored == {**before, "entropic_sigmas": list(knots)}
    assert len((folder / "sfumato.json").read_text(encoding="utf-8").splitlines()) < 12

    bundle = load_bundle(str(folder), tiny_settings())
    assert bundle.digest == tiny_bundle().digest
    assert bundle.schedule.entropic is not None
    assert bundle.schedule.entropic[1:-1] == knots[1:-1]
    resolved = resolve(Recipe(seed=7, steps=2, spacing="Entropic"), bundle.defaults)
    assert resolved.spacing == "entropic"
    steps = [event.step for event in draw(resolved, bundle) if isinstance(event, StepDone)]
    assert [step.sigma for step in steps] == list(grid(bundle.schedule, 2, "entropic"))[:2]


@pytest.mark.parametrize(
    "knots", ["many", 3, [], [1.0], [0.5, 0.4], [0.0291672, "x"], {"a": 1}, [[1, 2], [3, 4]], [1, 4096]]
)
def test_knots_that_make_no_grid_are_a_damaged_model(knots: object, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_folder(), tmp_path / "tiny"))
    stored = json.loads((folder / "sfumato.json").read_text(encoding="utf-8"))
    (folder / "sfumato.json").write_text(json.dumps({**stored, "entropic_sigmas": knots}), encoding="utf-8")
    with pytest.raises(ModelFileError, match="holds entropic_sigmas that cannot be used"):
        load_bundle(str(folder), tiny_settings())


def test_a_model_may_not_prefer_what_it_has_not(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_folder(), tmp_path / "tiny"))
    (folder / "sfumato.json").write_text(json.dumps({"spacing": "entropic"}), encoding="utf-8")
    with pytest.raises(ModelFileError, match="names the spacing 'entropic' and holds no entropic_sigmas"):
        load_bundle(str(folder), tiny_settings())


def test_the_bundled_model_was_measured() -> None:
    files = find_model("bundled", tiny_settings()).files
    knots = tuple(files.defaults["entropic_sigmas"])
    schedule = replace(Schedule.from_diffusers_config(files.scheduler), entropic=knots)
    levels = grid(schedule, 8, "entropic")
    assert 1 < levels[3] < 4  # half of the steps go to where a picture takes shape
