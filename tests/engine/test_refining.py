"""A second model ends what the first began: as diffusers' two pipelines do, and with everything else."""

from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diffusers import EulerDiscreteScheduler
from numpy.typing import NDArray
from PIL import Image

from family_models import family_bundle
from family_parity import psnr
from joint_models import joint_bundle
from recording import Recorder
from refiner_parity import refined, refiner_parity, stock_refined
from sfumato.engine.events import Picture, Started, StepDone
from sfumato.engine.gathering import gather
from sfumato.engine.refining import ALONE, hand_over, with_refiner
from sfumato.engine.run import draw
from sfumato.engine.seeing import look_at, view_of
from sfumato.errors import NumericalError, RecipeError
from sfumato.imaging.inputs import read_inputs
from sfumato.models.backends.base import NOTHING, Extra
from sfumato.models.bundle import ModelBundle
from sfumato.models.load import find_model, load_bundle
from sfumato.recipe.adapters import Adapter, AdaptersPart
from sfumato.recipe.extras import ExtrasPart
from sfumato.recipe.hires import WindowsPart
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.micro import MicroPart
from sfumato.recipe.parts import (
    ExtendPart,
    ImagePart,
    MaskPart,
    MixPart,
    MixPrompt,
    Part,
    Region,
    RegionsPart,
    TextPart,
    VariationPart,
)
from sfumato.recipe.refining import RefinePart
from sfumato.recipe.resolve import resolve
from sfumato.samplers.edm import Edm
from sfumato.samplers.schedule import Schedule
from tiny_adapters import kohya_lora, write_adapter
from tiny_models import tiny_bundle, tiny_folder, tiny_settings, write_tiny_model

# diffusers' schedulers, on numpy 2
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

FROG = TextPart(prompt="a frog on a beach", negative="two apples")
HALF = RefinePart(model="other", start=0.5)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    """A model like the tiny one with other weights, which predicts noise on another schedule."""
    folder = tmp_path_factory.mktemp("models") / "other"
    write_tiny_model(folder, seed=3, prediction="epsilon", zero_terminal_snr=False)
    return load_bundle(str(folder), tiny_settings())


@pytest.fixture
def photo(tmp_path: Path) -> str:
    rows, columns = np.mgrid[:64, :64] / 63
    pixels = np.stack([200 * (columns < 0.5) + 30, 60 + 120 * rows, 80 + 90 * columns], axis=-1)
    Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "photo.png")
    return str(tmp_path / "photo.png")


def events_of(base: ModelBundle, refiner: ModelBundle | None, *parts: Part, **fields: Any) -> list[Any]:
    """Return all events of a drawing that `refiner` ends."""
    recipe = Recipe(parts=parts, **{"seed": 7, "steps": 4, **fields})
    inputs = read_inputs(recipe, tiny_settings())
    told = None if refiner is None else refiner.defaults
    run = resolve(recipe, base.defaults, sources=inputs.facts, refiner=told)
    return list(draw(run, replace(base, refiner=refiner), inputs=inputs, preview_every=1))


def pixels_of(
    base: ModelBundle, refiner: ModelBundle | None, *parts: Part, **fields: Any
) -> NDArray[np.uint8]:
    events = events_of(base, refiner, *parts, **fields)
    return np.stack([one.pixels for one in events if isinstance(one, Picture)])


# Beside diffusers


@pytest.mark.parametrize("sampler", ["ddim", "euler", "dpmpp_2m", "unipc"])
def test_base_and_refiner_draw_what_two_pipelines_draw(sampler: str) -> None:
    assert refiner_parity("sdxl", "sdxl-refiner", sampler, 0.5, 4) >= 45


def test_another_xl_model_refines_too_and_noise_goes_on() -> None:
    assert refiner_parity("sdxl", "vega", "euler_a", 0.6, 5) >= 45


def test_heun_is_handed_over_between_two_whole_steps() -> None:
    # Of Heun's step of two calls diffusers does the first, and its refiner begins the same step again with
    # what that made. Given what there was before it, the pictures are the same.
    theirs = stock_refined("sdxl", "sdxl-refiner", 0.5, "heun", 6, after=4)
    assert psnr(refined("sdxl", "sdxl-refiner", 0.3, steps=6, sampler="heun"), theirs) >= 45


def test_each_model_is_told_what_it_knows() -> None:
    told = MicroPart(original=(96, 64), score=9.0, negative_score=1.0)
    ours = refined("sdxl", "sdxl-refiner", 0.25, told, steps=4, sampler="euler")
    scores: dict[str, Any] = {"aesthetic_score": 9.0, "negative_aesthetic_score": 1.0}
    size = {"original_size": (64, 96)}
    theirs = stock_refined("sdxl", "sdxl-refiner", 0.25, "euler", 4, both=size, **scores)
    assert psnr(ours, theirs) >= 45
    assert psnr(refined("sdxl", "sdxl-refiner", 0.25, steps=4, sampler="euler"), theirs) < 45


@pytest.mark.parametrize("spacing", ["trailing", "leading", "linspace"])
@pytest.mark.parametrize(("steps", "start"), [(20, 0.8), (7, 0.5), (30, 0.123), (10, 0.9)])
def test_the_step_of_the_hand_over_is_that_of_diffusers(spacing: str, steps: int, start: float) -> None:
    config = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
    theirs: Any = EulerDiscreteScheduler.from_config({**config, "timestep_spacing": spacing})
    theirs.set_timesteps(steps)
    cutoff = round(1000 - start * 1000)
    wanted = sum(t >= cutoff for t in theirs.timesteps.tolist())
    schedule = Schedule.from_diffusers_config(config)
    assert hand_over(asked(steps=steps, spacing=spacing, start=start), schedule, schedule) == wanted


# With the model itself as its refiner, solvers that look at one step at a time draw the plain picture


@pytest.mark.parametrize("sampler", ["ddim", "euler_a", "heun", "dpmpp_sde", "lcm"])
def test_handing_over_changes_nothing_by_itself(sampler: str) -> None:
    tiny = tiny_bundle("epsilon", False)
    plain, ours = (
        pixels_of(tiny, one, FROG, *parts, sampler=sampler) for one, parts in ((None, ()), (tiny, (HALF,)))
    )
    assert np.array_equal(plain, ours)


def test_flows_are_handed_over_as_well() -> None:
    large = joint_bundle("sd3")
    plain, ours = (pixels_of(large, one, FROG, *parts) for one, parts in ((None, ()), (large, (HALF,))))
    assert np.array_equal(plain, ours)


def combinations(photo: str) -> dict[str, tuple[Part, ...]]:
    image = ImagePart(source=photo, strength=0.75)
    return {
        "image": (FROG, image),
        "mask": (FROG, image, MaskPart(area="left")),
        "soft mask": (FROG, image, MaskPart(area="left", soft=True, feather=16)),
        "extension": (FROG, ImagePart(source=photo, strength=1.0), ExtendPart(right=16)),
        "regions": (FROG, RegionsPart(regions=(Region(prompt="a rabbit", area="left"),))),
        "mix": (FROG, MixPart(prompts=(MixPrompt(prompt="a rabbit", ratio=0.5),))),
        "bands": (FROG, MixPart(prompts=(MixPrompt(prompt="a rabbit", ratio=0.5),), mode="bands")),
        "schedule of words": (TextPart(prompt="a [frog:rabbit:0.5] on a beach"),),
        "variation": (FROG, VariationPart(strength=0.3, seed=1)),
        "tiling": (FROG, ExtrasPart(tiling="both", clip_skip=2, pag=1.0)),
        "windows": (FROG, WindowsPart(size=64)),
        "nothing": (),
    }


@pytest.mark.parametrize("what", combinations("any").keys())
def test_everything_else_goes_on(what: str, photo: str) -> None:
    tiny, parts = tiny_bundle(), combinations(photo)[what]
    fields = {"width": 96, "height": 64} if what == "windows" else {}
    plain = pixels_of(tiny, None, *parts, **fields)
    assert np.array_equal(pixels_of(tiny, tiny, *parts, HALF, **fields), plain)


# Two models of other schedules


def test_each_network_is_asked_at_its_own_steps_alone(other: ModelBundle) -> None:
    tiny = tiny_bundle()
    first, second = Recorder(tiny.backend), Recorder(other.backend)
    events = events_of(replace(tiny, backend=first), replace(other, backend=second), FROG, HALF, count=2)
    assert first.timesteps == [999, 749]
    # Its schedule keeps some signal to the end, so that it has this noise later.
    levels = [tiny.schedule.sigma_of(t) for t in (499, 249)]
    assert second.timesteps == pytest.approx([other.schedule.t_of(sigma) for sigma in levels])
    assert second.timesteps[0] == pytest.approx(526.334, abs=0.01)
    assert first.rows == second.rows == [4, 4]
    steps = [one for one in events if isinstance(one, StepDone)]
    assert [one.step.index for one in steps] == [0, 1, 2, 3]
    assert [one.finished_steps for one in steps] == [1, 2, 3, 4]
    assert {(one.step.num_steps, one.total_steps) for one in steps} == {(4, 4)}
    assert all(one.preview is not None and one.preview.shape == (2, 64, 64, 3) for one in steps)


def test_pictures_of_a_batch_are_those_drawn_alone(other: ModelBundle) -> None:
    both = pixels_of(tiny_bundle(), other, FROG, HALF, count=2)
    alone = pixels_of(tiny_bundle(), other, FROG, HALF, seed=8)
    assert psnr(both[1], alone[0]) > 60


def test_a_refiner_makes_another_picture_and_more_of_it_the_earlier_it_comes(other: ModelBundle) -> None:
    tiny = tiny_bundle("epsilon", False)
    plain, whole = (pixels_of(one, None, FROG, sampler="euler") for one in (tiny, other))
    late, early = (
        pixels_of(tiny, other, FROG, RefinePart(model="other", start=start), sampler="euler")
        for start in (0.7, 0.2)
    )
    assert psnr(plain, whole) < psnr(plain, early) < psnr(plain, late) < 50


def test_what_a_mask_keeps_stays(other: ModelBundle, photo: str) -> None:
    parts = FROG, ImagePart(source=photo, strength=1.0), MaskPart(area="left"), HALF
    ours = pixels_of(tiny_bundle(), other, *parts)[0]
    kept = np.asarray(Image.open(photo))[:, 36:]
    assert np.array_equal(ours[:, 36:], kept)


def test_a_refiner_that_inpaints_is_shown_what_stays(photo: str) -> None:
    base, inpaints = tiny_bundle(), family_bundle("sd-inpaint")
    shown = Shown(inpaints.backend)
    parts = FROG, ImagePart(source=photo, strength=1.0), MaskPart(area="left"), HALF
    pixels_of(base, replace(inpaints, backend=shown), *parts, steps=2)
    (channels,) = shown.channels
    assert channels == 9
    plain = Shown(base.backend)
    pixels_of(inpaints, replace(base, backend=plain), *parts, steps=2)
    assert plain.channels == [4]


@dataclass(eq=False)
class Shown(Recorder):
    """Keeps how many channels the network is shown."""

    channels: list[int] = field(default_factory=list)

    def predict(self, x: Any, t: float, context: Any, extra: Extra = NOTHING) -> Any:
        self.channels.append(x.shape[1])
        return super().predict(x, t, context, extra)


def test_reused_features_are_those_of_one_network(other: ModelBundle) -> None:
    first, second = Recorder(tiny_bundle().backend), Recorder(other.backend)
    bundles = replace(tiny_bundle(), backend=first), replace(other, backend=second)
    pixels_of(*bundles, FROG, HALF, cache_interval=3)
    assert first.reused == [False, True]
    assert second.reused == [False, True]


def test_latents_cross_from_one_backend_to_another(other: ModelBundle, tmp_path: Path) -> None:
    settings = replace(tiny_settings(), backend="openvino", data_dir=tmp_path)
    tiny = tiny_bundle("epsilon", False)
    compiled = load_bundle(str(tiny.folder), settings)
    assert psnr(pixels_of(compiled, other, FROG, HALF), pixels_of(tiny, other, FROG, HALF)) > 45


def test_steps_can_be_looked_at_to_the_end(other: ModelBundle) -> None:
    bundle, run = pair(other)
    view = view_of(bundle)
    steps = [one for one in draw(run, bundle) if isinstance(one, StepDone)]
    looks = [look_at(one, bundle, view, is_first=one.step.index == 0) for one in steps]
    assert [one.clean.shape for one in looks] == [(1, 64, 64, 3)] * 4
    for before, after in pairwise(steps):
        assert np.array_equal(np.asarray(before.step.x), np.asarray(after.step.before))
        assert before.step.sigma_next == after.step.sigma


def test_a_drawing_may_be_closed_after_any_step(other: ModelBundle) -> None:
    bundle, run = pair(other)
    for after in range(6):
        with closing(draw(run, bundle)) as events:
            for _ in range(after):
                next(events)


def test_numbers_that_are_not_finite_name_the_step_of_the_whole(other: ModelBundle) -> None:
    broken = replace(other, backend=Recorder(other.backend, poison_after=1))
    with pytest.raises(NumericalError, match="step 4 of 4"):
        events_of(tiny_bundle(), broken, FROG, HALF)


# What is refused


def asked(
    *, steps: int = 4, start: float = 0.5, spacing: str = "trailing", strength: float = 1.0
) -> Resolved:
    tiny = tiny_bundle()
    recipe = Recipe(seed=7, steps=steps, spacing=spacing, parts=(FROG, RefinePart(model="tiny", start=start)))
    run = resolve(recipe, tiny.defaults, refiner=tiny.defaults)
    if strength == 1.0:
        return run
    image = {"kind": "image", "source": {"sha256": "0" * 64, "name": "a.png"}, "fit": "crop"}
    parts = [*run.model_dump()["parts"], {**image, "strength": strength, "keep_colour": False}]
    order = ("text", "image", "refine")
    data = {**run.model_dump(), "parts": sorted(parts, key=lambda part: order.index(part["kind"]))}
    return Resolved.model_validate(data)


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"start": 0.8}, "refine-from: leaves the refiner none of 4 steps (got 0.8)"),
        ({"start": 0.0001}, "refine-from: leaves tiny none of 4 steps (got 0.0001)"),
        ({"strength": 0.5}, "refine-from: leaves tiny none of the 2 steps that are drawn (got 0.5)"),
    ],
)
def test_both_models_must_draw(fields: dict[str, Any], line: str) -> None:
    schedule = tiny_bundle().schedule
    with pytest.raises(RecipeError) as caught:
        hand_over(asked(**fields), schedule, schedule)
    assert str(caught.value).startswith(line)


def test_a_refiner_draws_no_noise_that_it_never_saw() -> None:
    wide = Schedule.create()
    weak = Schedule(wide.alphas_cumprod[:300], "eps")
    assert hand_over(asked(steps=10, start=0.8), wide, weak) == 8
    with pytest.raises(RecipeError, match=r"refiner: would draw noise levels from 1\.6"):
        hand_over(asked(steps=10, start=0.5), wide, weak)
    strong = Schedule(wide.alphas_cumprod[300:], "eps")
    with pytest.raises(RecipeError, match=r"and was trained on those from 14\.6 to 0\.83"):
        hand_over(asked(steps=10, start=0.5), wide, strong)


def test_a_model_of_edm_hands_nothing_over() -> None:
    """Its timesteps are logarithms: no share of them lies below one."""
    ours, plain = Schedule.edm(Edm(0.002, 80.0, 0.5, "edm")), Schedule.create()
    with pytest.raises(RecipeError, match=r"refiner: has no timesteps .* EDM"):
        hand_over(asked(steps=10, spacing="karras"), ours, plain)
    assert 0 < hand_over(asked(steps=10), plain, ours) < 10


def test_a_model_without_the_refiner_of_the_recipe_draws_nothing(other: ModelBundle) -> None:
    bundle, run = pair(other)
    plain = resolve(Recipe(seed=7, parts=(FROG,)), bundle.defaults)
    for wanted, has in ((run, None), (run, tiny_bundle()), (plain, other)):
        with pytest.raises(RecipeError, match="refiner"):
            next(draw(wanted, replace(bundle, refiner=has)))


def pair(other: ModelBundle) -> tuple[ModelBundle, Resolved]:
    tiny = tiny_bundle()
    run = resolve(Recipe(seed=7, steps=4, parts=(FROG, HALF)), tiny.defaults, refiner=other.defaults)
    return replace(tiny, refiner=other), run


# From a recipe to the two models


def test_a_refiner_is_found_and_loaded_beside_the_model(other: ModelBundle, tmp_path: Path) -> None:
    write_adapter(tmp_path / "loras" / "one.safetensors", kohya_lora(seed=1, size=0.2))
    settings = tiny_settings(tmp_path)
    lora = AdaptersPart(adapters=(Adapter(name="one"),))
    recipe = Recipe(seed=7, steps=4, parts=(FROG, lora, RefinePart(model=str(other.folder), start=0.5)))
    gathered = gather(recipe, find_model(str(tiny_folder()), settings), settings)
    run = gathered.resolved(recipe, settings)
    assert run.refine is not None
    assert (run.refine.model, run.refine.digest, run.refine.micro) == ("other", other.digest, None)
    bundle = gathered.load(run, settings)
    assert bundle.refiner is not None
    assert bundle.refiner.adapters is None
    assert bundle.seconds["load"] > bundle.refiner.seconds["load"] > 0
    started = next(draw(run, bundle))
    assert isinstance(started, Started)
    assert ALONE.format("adapters") in started.warnings
    assert with_refiner(run, bundle, gathered.refiner, settings) is bundle
    plain = resolve(Recipe(seed=7), bundle.defaults)
    assert with_refiner(plain, bundle, None, settings).refiner is None


def test_a_recipe_that_leaves_one_model_nothing_is_refused_before_loading(other: ModelBundle) -> None:
    recipe = Recipe(seed=7, steps=4, parts=(FROG, RefinePart(model=str(other.folder), start=0.9)))
    gathered = gather(recipe, find_model(str(tiny_folder()), tiny_settings()), tiny_settings())
    with pytest.raises(RecipeError, match="leaves the refiner none of 4 steps"):
        gathered.resolved(recipe, tiny_settings())
