"""Whole drawings: against stock diffusers, in batches, closed early, with broken numbers."""

import gc
import math
import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from recording import Recorder
from sfumato.engine.events import Done, Event, Picture, Started, StepDone
from sfumato.engine.preview import to_uint8
from sfumato.engine.run import TILED, draw, run
from sfumato.errors import NumericalError, RecipeError
from sfumato.models.backends.base import Work
from sfumato.models.bundle import ModelBundle
from sfumato.models.load import load_bundle
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.parts import MixPart, MixPrompt, Part, TextPart
from sfumato.recipe.resolve import resolve
from tiny_models import tiny_bundle, tiny_folder, tiny_settings

# diffusers' schedulers, on numpy 2
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

FROG = TextPart(prompt="a frog on a beach at night")
SCHEDULERS: dict[str, tuple[str, dict[str, Any]]] = {
    "ddim": ("DDIMScheduler", {}),
    "euler": ("EulerDiscreteScheduler", {}),
    "dpmpp_2m": ("DPMSolverMultistepScheduler", {}),
    "unipc": ("UniPCMultistepScheduler", {}),
}


@dataclass(eq=False)
class Preparing(Recorder):
    """Keeps what it was to get ready for."""

    works: list[Work] = field(default_factory=list)

    def prepare(self, work: Work) -> None:
        self.works.append(work)


def resolved(bundle: ModelBundle, *parts: Part, seed: int = 7, **fields: Any) -> Resolved:
    return resolve(Recipe(seed=seed, parts=parts, **fields), bundle.defaults)


def pictures(events: list[Event]) -> list[NDArray[np.uint8]]:
    return [event.pixels for event in events if isinstance(event, Picture)]


def drawn(bundle: ModelBundle, *parts: Part, **fields: Any) -> NDArray[np.uint8]:
    return pictures(list(draw(resolved(bundle, *parts, **fields), bundle)))[0]


def psnr(a: NDArray[Any], b: NDArray[Any]) -> float:
    error = float(np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2))
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


@pytest.fixture(scope="module")
def pipeline() -> Callable[[str, bool], Any]:
    made: dict[tuple[str, bool], Any] = {}

    def get(prediction: str, zero_snr: bool) -> Any:
        key = prediction, zero_snr
        if key not in made:
            made[key] = StableDiffusionPipeline.from_pretrained(tiny_folder(*key), safety_checker=None)
            made[key].set_progress_bar_config(disable=True)
        return made[key]

    return get


def stock(pipe: Any, sampler: str, **call: Any) -> NDArray[np.uint8]:
    name, settings = SCHEDULERS[sampler]
    pipe.scheduler = getattr(diffusers, name).from_config(pipe.scheduler.config, **settings)
    generator = torch.Generator("cpu").manual_seed(7)
    picture = pipe(**call, generator=generator, output_type="pil").images[0]
    return np.asarray(picture)


@pytest.mark.parametrize("sampler", SCHEDULERS)
def test_a_picture_equals_stock_diffusers(sampler: str, pipeline: Any) -> None:
    theirs = stock(
        pipeline("v_prediction", True),
        sampler,
        prompt=FROG.prompt,
        num_inference_steps=20,
        guidance_scale=3.0,
    )
    ours = drawn(tiny_bundle(), FROG, steps=20, sampler=sampler, spacing="trailing", guidance=3.0)
    assert psnr(ours, theirs) >= 45


@pytest.mark.parametrize("sampler", SCHEDULERS)
def test_so_it_does_for_a_model_that_predicts_noise(sampler: str, pipeline: Any) -> None:
    theirs = stock(
        pipeline("epsilon", False), sampler, prompt=FROG.prompt, num_inference_steps=20, guidance_scale=3.0
    )
    bundle = tiny_bundle("epsilon", False)
    ours = drawn(bundle, FROG, steps=20, sampler=sampler, spacing="trailing", guidance=3.0)
    assert psnr(ours, theirs) >= 45


def test_negative_prompt_and_guidance_rescale_equal_stock_diffusers(pipeline: Any) -> None:
    theirs = stock(
        pipeline("v_prediction", True),
        "ddim",
        prompt=FROG.prompt,
        negative_prompt="snow",
        guidance_scale=6.0,
        guidance_rescale=0.7,
        num_inference_steps=20,
    )
    part = FROG.model_copy(update={"negative": "snow", "guidance_rescale": 0.7})
    ours = drawn(tiny_bundle(), part, steps=20, sampler="ddim", guidance=6.0)
    assert psnr(ours, theirs) >= 45
    without = part.model_copy(update={"guidance_rescale": 0.0})
    assert psnr(drawn(tiny_bundle(), without, steps=20, sampler="ddim", guidance=6.0), theirs) < 40


def test_unconditional_equals_stock_diffusers_with_an_empty_prompt(pipeline: Any) -> None:
    theirs = stock(
        pipeline("v_prediction", True), "ddim", prompt="", guidance_scale=1.0, num_inference_steps=20
    )
    recorder = Recorder(tiny_bundle().backend)
    bundle = replace(tiny_bundle(), backend=recorder)
    assert psnr(drawn(bundle, steps=20, sampler="ddim", guidance=3.0), theirs) >= 45
    assert recorder.rows == [1] * 20


@pytest.mark.parametrize("sampler", ["ddim", "euler_a", "dpmpp_2m_sde", "dpmpp_sde"])
def test_a_picture_of_a_batch_equals_the_picture_alone(sampler: str) -> None:
    bundle = tiny_bundle()
    recipe = resolved(bundle, FROG, sampler=sampler, steps=6, count=3)
    together = pictures(list(draw(recipe, bundle)))
    alone = pictures(list(draw(recipe, bundle, indices=[2])))
    assert len(together) == 3
    assert len(alone) == 1
    assert psnr(together[2], alone[0]) >= 50
    assert psnr(together[0], together[1]) < 30
    moved = pictures(list(draw(resolved(bundle, FROG, seed=9, sampler=sampler, steps=6), bundle)))
    assert psnr(moved[0], alone[0]) >= 50


def test_a_picture_above_the_limit_is_decoded_in_tiles() -> None:
    bundle = tiny_bundle()
    recipe = resolved(bundle, FROG, width=192, height=192, steps=2, count=2)
    whole = list(draw(recipe, bundle))
    tiled = list(draw(recipe, replace(bundle, max_latents=256)))
    for one, other in zip(pictures(tiled), pictures(whole), strict=True):
        assert 28 < psnr(one, other) < math.inf
    (started,) = [event for event in tiled if isinstance(event, Started)]
    assert [note for note in started.warnings if note.startswith("Decoded in tiles")] == [TILED]


@pytest.mark.parametrize("max_latents", [None, 24 * 24])
def test_a_picture_within_the_limit_is_decoded_as_ever(max_latents: int | None) -> None:
    bundle = replace(tiny_bundle(), max_latents=max_latents)
    recipe = resolved(bundle, FROG, width=192, height=192, steps=2)
    events = list(draw(recipe, bundle))
    x = [event.step.x for event in events if isinstance(event, StepDone)][-1]
    pixels = bundle.backend.decode(x)[0]
    assert np.array_equal(pictures(events)[0], to_uint8(np.moveaxis(pixels, 0, -1)))
    assert all(event.warnings == () for event in events if isinstance(event, Started))


def test_the_limit_comes_from_the_settings() -> None:
    recipe = Recipe(model=str(tiny_folder()), width=192, height=192, steps=1, seed=7, parts=(FROG,))
    for max_memory, tiled in ((None, False), (10**6, True), (10**9, False)):
        events = run(recipe, replace(tiny_settings(), max_memory=max_memory))
        with closing(events):
            started = next(events)
        assert isinstance(started, Started)
        assert (TILED in started.warnings) is tiled


def test_the_backend_gets_ready_for_what_it_will_decode() -> None:
    preparing = Preparing(tiny_bundle().backend)
    for max_latents in (None, 24 * 24, 256):
        bundle = replace(tiny_bundle(), backend=preparing, max_latents=max_latents)
        list(draw(resolved(bundle, FROG, width=192, height=192, steps=1), bundle))
    assert [work.tile for work in preparing.works] == [None, None, (16, 16)]
    assert {(work.height, work.width) for work in preparing.works} == {(24, 24)}


def test_numbers_that_are_not_finite_are_found_in_tiles_too() -> None:
    recorder = Recorder(tiny_bundle().backend, poison_decoder=True)
    bundle = replace(tiny_bundle(), backend=recorder, max_latents=256)
    with pytest.raises(NumericalError, match="decoded picture is not finite"):
        list(draw(resolved(bundle, FROG, width=192, height=192, steps=1), bundle))


def test_eta_puts_noise_back() -> None:
    bundle = tiny_bundle()
    plain = drawn(bundle, FROG, steps=4, sampler="ddim")
    assert psnr(drawn(bundle, FROG, steps=4, sampler="ddim", eta=0.0), plain) == math.inf
    noisy = drawn(bundle, FROG, steps=4, sampler="ddim", eta=1.0)
    assert psnr(noisy, plain) < 40
    ancestral = drawn(bundle, FROG, steps=4, sampler="euler_a")
    assert psnr(noisy, ancestral) >= 45  # eta 1 is the ancestral step


def test_memory_bounds_the_rows_and_splits_the_batches() -> None:
    recorder = Recorder(tiny_bundle().backend, limit=3)
    bundle = replace(tiny_bundle(), backend=recorder)
    recipe = resolved(bundle, FROG, steps=2, count=3, guidance=3.0)
    events = list(draw(recipe, bundle))
    assert max(recorder.rows) <= 3
    assert [event.indices for event in events if isinstance(event, StepDone)] == [
        *[(0,), (0,)],
        *[(1,), (1,)],
        *[(2,), (2,)],
    ]
    whole = pictures(list(draw(recipe, tiny_bundle())))
    assert all(psnr(a, b) >= 50 for a, b in zip(pictures(events), whole, strict=True))


def test_events_come_in_order_and_say_what_happened() -> None:
    bundle = tiny_bundle()
    recipe = resolved(bundle, FROG, steps=4, count=2)
    events = list(draw(recipe, bundle, preview_every=2))
    assert [type(event) for event in events] == [Started, *[StepDone] * 4, Picture, Picture, Done]
    started, done = events[0], events[-1]
    assert isinstance(started, Started)
    assert isinstance(done, Done)
    assert started.indices == (0, 1)
    assert started.total_steps == 4
    assert started.backend == "torch cpu float32"
    assert not started.warnings
    steps = [event for event in events if isinstance(event, StepDone)]
    assert [event.finished_steps for event in steps] == [1, 2, 3, 4]
    assert [event.preview is None for event in steps] == [True, False, True, False]
    assert steps[-1].preview is not None
    assert steps[-1].preview.shape == (2, 64, 64, 3)
    assert [event.step.index for event in steps] == [0, 1, 2, 3]
    assert steps[0].step.t == 999
    assert steps[-1].step.sigma_next == 0
    assert steps[0].step.x.shape == steps[0].step.x0.shape == (2, 4, 8, 8)
    finished = [event for event in events if isinstance(event, Picture)]
    assert [event.resolved.index for event in finished] == [0, 1]
    assert finished[0].pixels.shape == (64, 64, 3)
    assert finished[0].pixels.dtype == np.uint8
    assert set(done.seconds) == {"import", "load", "encode", "steps", "preview", "decode", "total"}
    assert done.seconds["steps"] > 0
    assert done.seconds["total"] == pytest.approx(sum(done.seconds.values()) / 2)


def test_what_could_not_be_loaded_as_asked_is_told() -> None:
    bundle = replace(tiny_bundle(), notes=("Drawn with torch.",))
    started = next(draw(resolved(bundle, FROG, steps=1), bundle))
    assert isinstance(started, Started)
    assert started.warnings == ("Drawn with torch.",)


def test_caching_is_exact_at_one_and_near_at_two() -> None:
    bundle = tiny_bundle()
    exact = drawn(bundle, FROG, steps=8)
    assert psnr(drawn(bundle, FROG, steps=8, cache_interval=1), exact) == math.inf
    near, far = (drawn(bundle, FROG, steps=8, cache_interval=interval) for interval in (2, 8))
    assert 20 < psnr(near, exact) < math.inf
    assert psnr(near, exact) > psnr(far, exact)


@pytest.mark.parametrize("sampler", ["ddim", "heun", "dpmpp_2m_sde", "dpmpp_sde"])
def test_a_cached_picture_of_a_batch_equals_the_picture_alone(sampler: str) -> None:
    bundle = tiny_bundle()
    part = TextPart(prompt="[a frog:snow:0.6] AND a beach", guidance_start=0.2, guidance_stop=0.7)
    mix = MixPart(prompts=(MixPrompt(prompt="a rabbit", ratio=0.3),))
    recipe = resolved(bundle, part, mix, sampler=sampler, steps=8, count=3, cache_interval=3)
    together = pictures(list(draw(recipe, bundle)))
    few = replace(bundle, backend=Recorder(bundle.backend, limit=3))
    in_chunks = pictures(list(draw(recipe, few)))
    alone = pictures(list(draw(recipe, bundle, indices=[2])))
    assert psnr(together[2], alone[0]) >= 50
    assert all(psnr(a, b) >= 50 for a, b in zip(in_chunks, together, strict=True))
    assert psnr(together[0], together[1]) < 40


def test_every_batch_of_a_cached_run_begins_with_a_full_step() -> None:
    recorder = Recorder(tiny_bundle().backend, limit=4)
    recipe = resolved(tiny_bundle(), FROG, steps=5, count=3, guidance=3.0, cache_interval=2)
    list(draw(recipe, replace(tiny_bundle(), backend=recorder)))
    assert recorder.rows == [4] * 5 + [2] * 5
    assert recorder.reused == [False, True, False, True, False] * 2


def test_run_finds_resolves_loads_and_draws() -> None:
    recipe = Recipe(model=str(tiny_folder()), seed=7, steps=2, parts=(FROG,))
    events = list(run(recipe, tiny_settings()))
    assert psnr(pictures(events)[0], drawn(tiny_bundle(), FROG, steps=2)) >= 50
    done = events[-1]
    assert isinstance(done, Done)
    assert done.seconds["load"] > 0


def test_run_reports_a_bad_recipe_before_it_loads_anything() -> None:
    recipe = Recipe(model=str(tiny_folder()), sampler="eulr", parts=(FROG,))
    with pytest.raises(RecipeError, match="euler"):
        next(run(recipe, tiny_settings()))


def test_a_recipe_of_another_model_is_refused() -> None:
    other = resolved(tiny_bundle("epsilon", False), FROG)
    with pytest.raises(RecipeError, match="model"):
        next(draw(other, tiny_bundle()))


@pytest.mark.parametrize("stop_after", range(8))
def test_closing_at_any_event_is_clean(stop_after: int) -> None:
    bundle = tiny_bundle()
    before = [weight.clone() for weight in bundle.backend.unet.parameters()]  # type: ignore[attr-defined]
    recipe = resolved(bundle, FROG, steps=4, count=2)
    with closing(draw(recipe, bundle, preview_every=1)) as events:
        for _ in range(stop_after):
            next(events)
            assert torch.is_grad_enabled()
            assert not torch.is_inference_mode_enabled()
    assert torch.is_grad_enabled()
    after = bundle.backend.unet.parameters()  # type: ignore[attr-defined]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_nothing_is_stored_on_the_model() -> None:
    bundle = tiny_bundle()

    def state() -> list[tuple[str, frozenset[str], int]]:
        networks = vars(bundle.backend).values()
        modules = [
            one for network in networks if isinstance(network, torch.nn.Module) for one in network.modules()
        ]
        # transformers leaves hooks of its own on a text encoder whose hidden states were asked for once.
        hooks = [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in modules]
        kinds = [(type(module).__name__, frozenset(vars(module))) for module in modules]
        return [(*kind, count) for kind, count in zip(kinds, hooks, strict=True)]

    drawn(bundle, FROG, steps=1)
    gc.collect()
    before, fields = state(), dict(vars(bundle))
    picture = drawn(bundle, TextPart(prompt="a (rose:1.5) [in space:0.5]"), steps=3, sampler="unipc")
    assert state() == before
    assert vars(bundle) == fields
    assert psnr(
        picture, drawn(bundle, TextPart(prompt="a (rose:1.5) [in space:0.5]"), steps=3, sampler="unipc")
    ) == (math.inf)


def test_a_nan_in_the_weights_stops_the_run(tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_folder(), tmp_path / "broken")
    path = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights = load_file(path)
    weights["conv_in.weight"][0, 0, 0, 0] = float("nan")
    save_file(weights, path)
    bundle = load_bundle(str(folder), tiny_settings())
    with pytest.raises(NumericalError, match=r"step 1 of 4 \(sigma 4096\)"):
        list(draw(resolved(bundle, FROG, steps=4), bundle))


@pytest.mark.parametrize("sampler", ["ddim", "dpmpp_2m", "unipc"])
def test_numbers_that_break_on_the_way_stop_the_run(sampler: str) -> None:
    recorder = Recorder(tiny_bundle().backend, poison_after=2)
    bundle = replace(tiny_bundle(), backend=recorder)
    events: list[Event] = []
    with pytest.raises(NumericalError) as caught:
        events.extend(draw(resolved(bundle, FROG, steps=4, sampler=sampler), bundle))
    line = str(caught.value)
    assert "step 3 of 4" in line
    assert "sigma" in line
    assert "Lower the guidance" in line
    assert "float32" not in line  # which it is drawn in already
    assert "\n" not in line


def test_a_nan_from_the_decoder_stops_the_run() -> None:
    bundle = replace(tiny_bundle(), backend=Recorder(tiny_bundle().backend, poison_decoder=True))
    with pytest.raises(NumericalError, match="picture is not finite"):
        list(draw(resolved(bundle, FROG, steps=1), bundle))


def test_a_long_prompt_draws_and_says_what_it_left_out() -> None:
    bundle = tiny_bundle()
    long = TextPart(prompt="a frog and a rabbit " * 50_000)
    events = list(draw(resolved(bundle, long, steps=1), bundle))
    started = events[0]
    assert isinstance(started, Started)
    assert "longer than" in started.warnings[0]
    assert len(pictures(events)) == 1


@pytest.mark.parametrize("prompt", ["", "\x00", "\ud800 frog", "(((", "]]", "🐸" * 400, "[a|b", " AND "])
def test_odd_prompts_draw(prompt: str) -> None:
    assert drawn(tiny_bundle(), TextPart(prompt=prompt), steps=1).std() > 0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a frog", "a rabbit"),
        ("a (frog:1.5) in snow", "a frog in snow"),
        ("[frog:rabbit:0.5]", "frog"),
        ("[frog:rabbit:0.5]", "rabbit"),
        ("[frog|rabbit]", "frog"),
        ("frog AND snow", "frog snow"),
        ("frog BREAK snow", "frog snow"),
    ],
)
def test_the_prompt_language_changes_pictures(one: str, other: str) -> None:
    bundle = tiny_bundle()
    assert psnr(drawn(bundle, TextPart(prompt=one)), drawn(bundle, TextPart(prompt=other))) < 40


@pytest.mark.parametrize("mode", ["branches", "embeddings", "bands"])
def test_a_mix_lies_between_its_prompts(mode: Any) -> None:
    bundle = tiny_bundle()
    frog, rabbit = TextPart(prompt="a frog"), TextPart(prompt="a rabbit in the snow")
    mix = MixPart(prompts=(MixPrompt(prompt=rabbit.prompt, ratio=0.5),), mode=mode)
    mixed, plain, other = (drawn(bundle, *parts, steps=1) for parts in ((frog, mix), (frog,), (rabbit,)))
    # Branches of one step are averaged in the latent, so half and half is nearer to both than they are apart.
    nearest = min(psnr(mixed, plain), psnr(mixed, other))
    assert nearest < 40 if mode == "embeddings" else nearest > psnr(plain, other)
    tiny = MixPart(prompts=(MixPrompt(prompt=rabbit.prompt, ratio=1e-5),), mode=mode)
    assert psnr(drawn(bundle, frog, tiny, steps=1), plain) >= 50
