"""ControlNets in drawings: against stock diffusers, several at once, at some steps, beside masks."""

from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from diffusers import ControlNetModel, StableDiffusionControlNetPipeline, StableDiffusionPipeline
from numpy.typing import NDArray
from PIL import Image

from sfumato.engine.controls import digests_of, find_controls
from sfumato.engine.events import Picture
from sfumato.engine.run import draw
from sfumato.engine.steering import Controls
from sfumato.errors import RecipeError
from sfumato.imaging.annotators import canny
from sfumato.imaging.inputs import Inputs, read_inputs
from sfumato.models.files import locate
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.parts import Control, ControlPart, ExtendPart, ImagePart, MaskPart, Part, TextPart
from sfumato.recipe.resolve import resolve
from tiny_controlnets import write_controlnet
from tiny_models import tiny_bundle, tiny_folder, tiny_settings

# diffusers' schedulers, on numpy 2
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

FROG = TextPart(prompt="a frog on a beach at night")


def shapes(width: int = 64, height: int = 64) -> NDArray[np.uint8]:
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[8:40, 16:48] = (250, 120, 30)
    pixels[44:60, 4:30] = (40, 90, 250)
    return pixels


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a picture and two ControlNets of different weights."""
    folder = tmp_path_factory.mktemp("home")
    write_controlnet(folder / "one", seed=1)
    write_controlnet(folder / "two", seed=2)
    Image.fromarray(shapes()).save(folder / "shapes.png")
    return folder


def planned(*parts: Part, **fields: Any) -> tuple[Resolved, Inputs, Controls]:
    recipe = Recipe(parts=parts, **{"seed": 7, "steps": 4, "sampler": "ddim", **fields})
    inputs = read_inputs(recipe, tiny_settings())
    controls = find_controls(recipe, locate(tiny_folder()), tiny_settings())
    defaults = tiny_bundle().defaults
    return resolve(recipe, defaults, sources=inputs.facts, controls=digests_of(controls)), inputs, controls


def drawn(*parts: Part, **fields: Any) -> NDArray[np.uint8]:
    resolved, inputs, controls = planned(*parts, **fields)
    events = draw(resolved, tiny_bundle(), inputs=inputs, controls=controls)
    return next(one.pixels for one in events if isinstance(one, Picture))


def control(home: Path, name: str = "one", **fields: Any) -> Control:
    return Control(model=str(home / name), source=str(home / "shapes.png"), **fields)


def psnr(a: NDArray[Any], b: NDArray[Any]) -> float:
    error = float(np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2))
    return 100.0 if error == 0 else 10 * np.log10(255**2 / error)


@pytest.mark.parametrize(
    ("names", "weights", "span"),
    [
        (("one",), (1.0,), (0.0, 1.0)),
        (("one", "two"), (0.6, 0.9), (0.0, 1.0)),
        (("one",), (1.0,), (0.2, 0.7)),
    ],
)
def test_control_equals_stock_diffusers(
    names: tuple[str, ...], weights: tuple[float, ...], span: tuple[float, float], home: Path
) -> None:
    nets: list[Any] = [ControlNetModel.from_pretrained(home / name) for name in names]
    stock: Any = StableDiffusionPipeline.from_pretrained(tiny_folder(), safety_checker=None)
    pipe: Any = StableDiffusionControlNetPipeline(
        **stock.components, controlnet=nets if len(nets) > 1 else nets[0], requires_safety_checker=False
    )
    pipe.set_progress_bar_config(disable=True)
    pipe.scheduler = diffusers.DDIMScheduler.from_config(pipe.scheduler.config)
    pictures = [Image.fromarray(shapes())] * len(nets)
    theirs = pipe(
        FROG.prompt,
        image=pictures if len(nets) > 1 else pictures[0],
        num_inference_steps=10,
        guidance_scale=3.0,
        controlnet_conditioning_scale=list(weights) if len(nets) > 1 else weights[0],
        control_guidance_start=span[0],
        control_guidance_end=span[1],
        generator=torch.Generator("cpu").manual_seed(7),
    ).images[0]
    part = ControlPart(
        controls=tuple(
            control(home, name, weight=weight, annotator="none", start=span[0], stop=span[1])
            for name, weight in zip(names, weights, strict=True)
        )
    )
    assert psnr(drawn(FROG, part, steps=10, guidance=3.0), np.asarray(theirs)) >= 45
    assert psnr(drawn(FROG, steps=10, guidance=3.0), np.asarray(theirs)) < 40


def test_an_annotator_makes_the_map(home: Path, tmp_path: Path) -> None:
    Image.fromarray(canny(shapes())).save(tmp_path / "map.png")
    ready = Control(model=str(home / "one"), source=str(tmp_path / "map.png"), annotator="none")
    made = drawn(FROG, ControlPart(controls=(control(home, annotator="canny"),)))
    assert np.array_equal(made, drawn(FROG, ControlPart(controls=(ready,))))
    assert not np.array_equal(made, drawn(FROG, ControlPart(controls=(control(home, annotator="none"),))))


def test_without_weight_or_steps_it_does_nothing(home: Path) -> None:
    plain = drawn(FROG)
    for fields in ({"weight": 0.0}, {"start": 0.4, "stop": 0.4}):
        part = ControlPart(controls=(control(home, annotator="none", **fields),))
        assert np.array_equal(drawn(FROG, part), plain)


def test_it_goes_with_reused_features(home: Path) -> None:
    part = ControlPart(controls=(control(home, annotator="none"),))
    exact, fast = drawn(FROG, part, steps=8), drawn(FROG, part, steps=8, cache_interval=2)
    assert not np.array_equal(exact, fast)
    assert psnr(exact, fast) > psnr(drawn(FROG, steps=8), fast)


def test_the_image_itself_can_be_followed(home: Path) -> None:
    image = ImagePart(source=str(home / "shapes.png"), strength=0.8)
    itself = ControlPart(controls=(Control(model=str(home / "one"), annotator="none"),))
    named = ControlPart(controls=(control(home, annotator="none"),))
    assert np.array_equal(drawn(FROG, image, itself), drawn(FROG, image, named))


@pytest.mark.parametrize("beside", [MaskPart(area="8,8,24x24", extent="masked"), ExtendPart(right=16)])
def test_beside_a_mask_it_lies_on_the_image(beside: Part, home: Path) -> None:
    image = ImagePart(source=str(home / "shapes.png"))
    part = ControlPart(controls=(Control(model=str(home / "one"), annotator="none"),))
    result, plain = drawn(FROG, part, image, beside), drawn(FROG, image, beside)
    assert result.shape == plain.shape
    assert not np.array_equal(result, plain)


def test_other_weights_than_resolved_are_refused(home: Path) -> None:
    resolved, inputs, _ = planned(FROG, ControlPart(controls=(control(home),)))
    other = find_controls(
        Recipe(parts=(ControlPart(controls=(control(home, "two"),)),)),
        locate(tiny_folder()),
        tiny_settings(),
    )
    for controls in (other, {}):
        with pytest.raises(RecipeError, match="control: is not the ControlNet"):
            next(draw(resolved, tiny_bundle(), inputs=inputs, controls=controls))


def test_one_of_another_family_is_refused(home: Path) -> None:
    write_controlnet(home / "wide", cross_attention_dim=48)
    with pytest.raises(RecipeError, match="does not fit the model: it attends to texts of 48"):
        planned(FROG, ControlPart(controls=(control(home, "wide"),)))


def test_names_of_metadata_open_no_folders(home: Path) -> None:
    recipe = Recipe(parts=(ControlPart(controls=(control(home),)),))
    with pytest.raises(RecipeError, match="unknown ControlNet"):
        find_controls(recipe, locate(tiny_folder()), tiny_settings(), paths=False)
