"""Drawings with extras against diffusers' pipelines, in both backends, and what changes nothing."""

import math
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionPAGPipeline, StableDiffusionPipeline
from numpy.typing import NDArray

from sfumato.engine.attention import attention_recorder
from sfumato.engine.conditions import compile_plan
from sfumato.engine.events import Picture
from sfumato.engine.run import draw
from sfumato.errors import RecipeError
from sfumato.models.bundle import ModelBundle
from sfumato.models.load import load_bundle
from sfumato.recipe.extras import Apg, ExtrasPart, FreeU
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.parts import MixPart, MixPrompt, Part, Region, RegionsPart, TextPart
from sfumato.recipe.resolve import resolve
from tiny_models import tiny_bundle, tiny_folder, tiny_settings

# diffusers' schedulers, on numpy 2
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

FROG = TextPart(prompt="a frog on a beach at night")
FREEU = FreeU(b1=1.2, b2=1.4, s1=0.9, s2=0.2)
EVERYTHING = ExtrasPart(clip_skip=2, tiling="both", apg=Apg(), threshold=0.95, pag=2.0, freeu=FREEU)
EACH = {field: ExtrasPart(**{field: value}) for field, value in dict(EVERYTHING).items() if field != "kind"}


@pytest.fixture(scope="module")
def compiled() -> ModelBundle:
    settings = replace(tiny_settings(), backend="openvino", dtype="float32")
    return load_bundle(str(tiny_folder()), settings)


def resolved(*parts: Part, **fields: Any) -> Resolved:
    given = {"seed": 7, "steps": 8, "guidance": 3.0, **fields}
    return resolve(Recipe(parts=parts, **given), tiny_bundle().defaults)


def drawn(bundle: ModelBundle, *parts: Part, **fields: Any) -> NDArray[np.uint8]:
    events = draw(resolved(*parts, **fields), bundle)
    return next(event.pixels for event in events if isinstance(event, Picture))


def psnr(a: NDArray[Any], b: NDArray[Any]) -> float:
    error = float(np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2))
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def stock(kind: Any, freeu: FreeU | None = None, **call: Any) -> NDArray[np.uint8]:
    loaded: Any = StableDiffusionPipeline.from_pretrained(tiny_folder(), safety_checker=None)
    more: dict[str, Any] = {} if kind is StableDiffusionPipeline else {"pag_applied_layers": ["mid"]}
    pipe: Any = kind(**loaded.components, requires_safety_checker=False, **more)
    pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)
    pipe.set_progress_bar_config(disable=True)
    if not hasattr(pipe.text_encoder, "text_model"):  # transformers 5 has it no more
        object.__setattr__(pipe.text_encoder, "text_model", pipe.text_encoder)
    if freeu is not None:
        pipe.enable_freeu(**vars(freeu))
    given = {"prompt": FROG.prompt, "num_inference_steps": 8, "guidance_scale": 3.0, **call}
    return np.asarray(pipe(**given, generator=torch.Generator("cpu").manual_seed(7)).images[0])


def compare(compiled: ModelBundle, theirs: NDArray[np.uint8], part: ExtrasPart, **fields: Any) -> None:
    plain = drawn(tiny_bundle(), FROG, **fields)
    for bundle in (tiny_bundle(), compiled):
        assert psnr(drawn(bundle, FROG, part, **fields), theirs) >= 45
    assert psnr(plain, theirs) < 40


@pytest.mark.parametrize("guidance", [3.0, 1.0])
def test_perturbed_attention_equals_that_of_diffusers(compiled: ModelBundle, guidance: float) -> None:
    theirs = stock(StableDiffusionPAGPipeline, pag_scale=2.0, guidance_scale=guidance)
    compare(compiled, theirs, ExtrasPart(pag=2.0), guidance=guidance)


def test_so_it_does_with_guidance_that_is_rescaled(compiled: ModelBundle) -> None:
    theirs = stock(StableDiffusionPAGPipeline, pag_scale=2.0, guidance_rescale=0.7)
    part = FROG.model_copy(update={"guidance_rescale": 0.7})
    for bundle in (tiny_bundle(), compiled):
        assert psnr(drawn(bundle, part, ExtrasPart(pag=2.0)), theirs) >= 45


def test_freeu_equals_that_of_diffusers(compiled: ModelBundle) -> None:
    compare(compiled, stock(StableDiffusionPipeline, freeu=FREEU), ExtrasPart(freeu=FREEU))


def test_clip_skip_counts_from_one_where_diffusers_counts_from_none(compiled: ModelBundle) -> None:
    # diffusers reads the negative prompt at the last layer whatever is skipped, so there is none here.
    theirs = stock(StableDiffusionPipeline, clip_skip=1, guidance_scale=1.0)
    compare(compiled, theirs, ExtrasPart(clip_skip=2), guidance=1.0)


@pytest.mark.parametrize("name", EACH)
def test_each_changes_the_picture_the_same_in_both_backends(compiled: ModelBundle, name: str) -> None:
    fields = {"guidance": 8.0, "count": 2, "sampler": "heun", "steps": 4}
    ours, theirs = (drawn(bundle, FROG, EACH[name], **fields) for bundle in (tiny_bundle(), compiled))
    assert psnr(ours, theirs) >= 45
    assert psnr(ours, drawn(tiny_bundle(), FROG, **fields)) < 40


def test_all_of_them_go_with_mixes_regions_and_reused_features(compiled: ModelBundle) -> None:
    parts = (
        FROG,
        MixPart(prompts=(MixPrompt(prompt="a rabbit", ratio=0.4),)),
        RegionsPart(regions=(Region(prompt="snow", area="left"),)),
        EVERYTHING,
    )
    fields = {"cache_interval": 2, "sampler": "euler_a"}
    ours, theirs = (drawn(bundle, *parts, **fields) for bundle in (tiny_bundle(), compiled))
    assert psnr(ours, theirs) >= 45


@pytest.mark.parametrize("sampler", ["ddim", "heun", "dpmpp_2m"])
def test_a_picture_of_a_batch_is_the_picture_alone(sampler: str) -> None:
    recipe = resolved(FROG, EVERYTHING, sampler=sampler, steps=4, count=3)
    together = [one.pixels for one in draw(recipe, tiny_bundle()) if isinstance(one, Picture)]
    alone = [one.pixels for one in draw(recipe, tiny_bundle(), indices=[2]) if isinstance(one, Picture)]
    assert psnr(together[2], alone[0]) >= 50
    again = [one.pixels for one in draw(recipe, tiny_bundle()) if isinstance(one, Picture)]
    assert all(np.array_equal(a, b) for a, b in zip(together, again, strict=True))


def test_batches_do_not_remember_each_other() -> None:
    recipe = resolved(FROG, ExtrasPart(apg=Apg(norm=0.0, momentum=0.5)), steps=4, guidance=8.0, count=9)
    pictures = [one.pixels for one in draw(recipe, tiny_bundle()) if isinstance(one, Picture)]
    last = [one.pixels for one in draw(recipe, tiny_bundle(), indices=[8]) if isinstance(one, Picture)]
    assert psnr(pictures[8], last[0]) >= 50
    assert all(psnr(a, b) < 40 for a, b in pairwise(pictures))


def test_neutral_values_are_the_plain_drawing_bit_for_bit() -> None:
    ones = FreeU(b1=1.0, b2=1.0, s1=1.0, s2=1.0)
    neutral = ExtrasPart(clip_skip=1, apg=Apg(eta=1.0, norm=0.0, momentum=0.0), pag=0.0, freeu=ones)
    assert np.array_equal(drawn(tiny_bundle(), FROG, neutral), drawn(tiny_bundle(), FROG))
    assert compile_plan(resolved(FROG, neutral)).combine == ()


def test_without_guidance_apg_and_threshold_change_nothing() -> None:
    part = ExtrasPart(apg=Apg(), threshold=0.9)
    assert np.array_equal(
        drawn(tiny_bundle(), FROG, part, guidance=1.0), drawn(tiny_bundle(), FROG, guidance=1.0)
    )


def test_attention_is_not_mapped_on_tiles() -> None:
    with pytest.raises(RecipeError, match="not possible together with tiling"):
        attention_recorder(resolved(FROG, ExtrasPart(tiling="x")), tiny_bundle())


def test_attention_maps_leave_out_what_is_perturbed() -> None:
    recipe = resolved(FROG, ExtrasPart(pag=2.0), steps=2)
    recorder = attention_recorder(recipe, tiny_bundle())
    list(draw(recipe, tiny_bundle(), attending=recorder))
    assert len(recorder.word_maps(0)) == 7
    assert sum(float(one.heat.sum()) for one in recorder.word_maps(0)) == pytest.approx(1)


def test_a_plain_drawing_imports_none_of_it(tmp_path: Path) -> None:
    code = (
        "import sys; from sfumato.cli import main; import contextlib\n"
        f"sys.argv = ['sfumato', 'generate', 'a frog', '--steps', '1', '-o', {str(tmp_path / 'a.png')!r}]\n"
        "with contextlib.suppress(SystemExit): main()\n"
        "names = ('apg', 'extras', 'perturbing', 'thresholding', 'wrapping')\n"
        "print([one for one in names if f'sfumato.engine.{one}' in sys.modules], 'torch' in sys.modules)"
    )
    environment = {"SFUMATO_HOME": str(tmp_path), "PATH": ""}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stdout.splitlines()[-1] == "[] False", done.stderr
