"""ControlNets in single files and T2I-Adapters in drawings: against stock diffusers, and against folders."""

import functools
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from diffusers import ControlNetModel, UNet2DConditionModel
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file

from family_models import XL as SDXL
from family_models import family_bundle, family_folder
from family_parity import FROG, SCHEDULERS, drawn, pipeline, psnr
from recording import Recorder
from sfumato.engine.controls import digests_of, find_controls
from sfumato.engine.events import Picture
from sfumato.engine.run import draw
from sfumato.errors import RecipeError
from sfumato.imaging.inputs import read_inputs
from sfumato.models.backends.base import FeatureNetwork
from sfumato.models.bundle import ModelBundle
from sfumato.models.controlnets import ControlFiles
from sfumato.models.load import find_model, load_bundle
from sfumato.recipe.extras import ExtrasPart
from sfumato.recipe.hires import HiresPart, WindowsPart
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import Control, ControlPart, Part
from sfumato.recipe.resolve import resolve
from tiny_controlnets import original_controlnet, write_controlnet
from tiny_families import FAMILIES, write_family
from tiny_models import temporary_folder, tiny_settings
from tiny_t2i import LIGHT, SD, XL, original_t2i, write_t2i

# diffusers' schedulers, on numpy 2, and its pipeline of adapters
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The decode_latents method:FutureWarning"),
]

FIELDS: dict[str, Any] = {"steps": 4, "guidance": 4.0, "spacing": "trailing", "sampler": "ddim"}


def shapes(width: int = 64, height: int = 64) -> Image.Image:
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[8:40, 16:48] = (250, 120, 30)
    pixels[44:60, 4:30] = (40, 90, 250)
    return Image.fromarray(pixels)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    shapes().save(folder / "shapes.png")
    return folder


def steered(bundle: ModelBundle, home: Path, model: Path, *parts: Part, **fields: Any) -> NDArray[np.uint8]:
    """Return what `bundle` draws with `model` and the picture of shapes; `fields` of it come first."""
    asked = {key: fields.pop(key) for key in ("weight", "start", "stop") if key in fields}
    one = Control(model=str(model), source=str(home / "shapes.png"), annotator="none", **asked)
    recipe = Recipe(seed=7, parts=(FROG, ControlPart(controls=(one,)), *parts), **{**FIELDS, **fields})
    settings = tiny_settings()
    inputs = read_inputs(recipe, settings)
    controls = find_controls(recipe, find_model(str(bundle.folder), settings).files, settings)
    run = resolve(recipe, bundle.defaults, sources=inputs.facts, controls=digests_of(controls))
    events = draw(run, bundle, inputs=inputs, controls=controls)
    return next(event.pixels for event in events if isinstance(event, Picture))


def stock(pipe: Any, sampler: str, **call: Any) -> NDArray[np.uint8]:
    pipe.set_progress_bar_config(disable=True)
    scheduler = getattr(diffusers, SCHEDULERS[sampler])
    pipe.scheduler = scheduler.from_config(pipe.scheduler.config, timestep_spacing="trailing")
    generator = torch.Generator("cpu").manual_seed(7)
    call = {"num_inference_steps": 4, "guidance_scale": 4.0, "height": 64, "width": 64, **call}
    return np.asarray(pipe(FROG.prompt, generator=generator, **call).images[0])


def with_adapter(family: str, adapter: Any) -> Any:
    parts = {key: one for key, one in pipeline(family).components.items() if key != "image_encoder"}
    if family == "sdxl":
        return diffusers.StableDiffusionXLAdapterPipeline(**parts, adapter=adapter)
    return diffusers.StableDiffusionAdapterPipeline(**parts, adapter=adapter, requires_safety_checker=False)


@pytest.mark.parametrize(
    ("family", "config", "channels", "sampler"),
    [
        *(("sd", SD, 3, sampler) for sampler in ("ddim", "euler", "dpmpp_2m", "euler_a")),
        *(("sd", LIGHT, 3, sampler) for sampler in ("ddim", "dpmpp_2m")),
        *(("sd", SD, 1, sampler) for sampler in ("ddim", "dpmpp_2m")),
        *(("sdxl", XL, 3, sampler) for sampler in ("ddim", "dpmpp_2m")),
        ("sdxl", XL, 1, "euler"),
    ],
)
def test_an_adapter_equals_stock_diffusers(
    family: str, config: dict[str, Any], channels: int, sampler: str, home: Path, tmp_path: Path
) -> None:
    net = write_t2i(tmp_path, config, in_channels=channels)
    shown = shapes() if channels == 3 else shapes().convert("L")
    theirs = stock(with_adapter(family, net), sampler, image=shown, adapter_conditioning_scale=0.8)
    ours = steered(family_bundle(family), home, tmp_path, weight=0.8, sampler=sampler)
    assert psnr(ours, theirs) >= 45
    assert psnr(drawn(family, FROG, **{**FIELDS, "sampler": sampler}), theirs) < 35


@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m"])
def test_a_controlnet_for_sdxl_equals_stock_diffusers(sampler: str, home: Path, tmp_path: Path) -> None:
    config = {key: value for key, value in SDXL.items() if key != "up_block_types"}
    net = write_controlnet(tmp_path, **config, norm_num_groups=4)
    pipe = diffusers.StableDiffusionXLControlNetPipeline(**pipeline("sdxl").components, controlnet=net)
    theirs = stock(pipe, sampler, image=shapes(), controlnet_conditioning_scale=0.7)
    ours = steered(family_bundle("sdxl"), home, tmp_path, weight=0.7, sampler=sampler)
    assert psnr(ours, theirs) >= 45
    assert psnr(drawn("sdxl", FROG, **{**FIELDS, "sampler": sampler}), theirs) < 40


def test_an_adapter_acts_at_the_first_steps_as_in_diffusers(home: Path, tmp_path: Path) -> None:
    pipe = with_adapter("sdxl", write_t2i(tmp_path, XL))
    call = {"adapter_conditioning_scale": 3.0, "adapter_conditioning_factor": 0.25}
    theirs = stock(pipe, "ddim", image=shapes(), **call)
    first = psnr(steered(family_bundle("sdxl"), home, tmp_path, weight=3.0, stop=0.25), theirs)
    # With random weights the first step decides nearly everything.
    assert first > psnr(steered(family_bundle("sdxl"), home, tmp_path, weight=3.0), theirs) + 5
    assert first >= 45


@pytest.mark.parametrize(("family", "config"), [("sd", SD), ("sd", LIGHT), ("sdxl", XL)])
@pytest.mark.parametrize("layout", ["diffusers", "authors"])
def test_an_adapter_in_one_file_draws_as_its_folder(
    family: str, config: dict[str, Any], layout: str, home: Path, tmp_path: Path
) -> None:
    state = write_t2i(tmp_path / "lines", config).state_dict()
    path = tmp_path / "t2iadapter_lines.safetensors"
    if layout == "authors":
        state = original_t2i(state, config.get("num_res_blocks", 2))
    save_file({key: one.clone() for key, one in state.items()}, path)
    folder = steered(family_bundle(family), home, tmp_path / "lines", steps=2)
    assert abs(steered(family_bundle(family), home, path, steps=2).astype(int) - folder).max() <= 1
    assert psnr(folder, drawn(family, FROG, **{**FIELDS, "steps": 2})) < 40


class Counting(Recorder):
    """Counts how often features are computed."""

    computed = 0

    def t2i_adapter(self, files: ControlFiles) -> FeatureNetwork:
        counter, inner = self, super().t2i_adapter(files)

        class Network:
            def features(self, hint: Any) -> tuple[Any, ...]:
                counter.computed += 1
                return inner.features(hint)

        return Network()


def test_features_are_computed_once_for_a_drawing(home: Path, tmp_path: Path) -> None:
    write_t2i(tmp_path, SD)
    bundle = family_bundle("sd")
    counting = Counting(bundle.backend)
    heard = replace(bundle, backend=counting)
    once = steered(heard, home, tmp_path, steps=6)
    assert counting.computed == 1
    assert np.array_equal(once, steered(bundle, home, tmp_path, steps=6))
    steered(heard, home, tmp_path, steps=6, weight=0.0)
    assert counting.computed == 1


@pytest.mark.parametrize(
    ("beside", "fields"),
    [
        (ExtrasPart(tiling="both"), {}),
        (WindowsPart(size=64), {"width": 96, "height": 64}),
        (HiresPart(scale=2.0, strength=0.5, method="lanczos"), {}),
        (None, {"cache_interval": 2}),
        (None, {"width": 72, "height": 88}),
    ],
)
def test_an_adapter_goes_with_everything_else(
    beside: Part | None, fields: dict[str, Any], home: Path, tmp_path: Path
) -> None:
    write_t2i(tmp_path, SD)
    parts = () if beside is None else (beside,)
    plain = drawn("sd", FROG, *parts, **{**FIELDS, **fields})
    ours = steered(family_bundle("sd"), home, tmp_path, *parts, **fields)
    assert ours.shape == plain.shape
    assert psnr(ours, plain) < 40


def test_an_adapter_beside_a_controlnet_equals_both_in_turn(home: Path, tmp_path: Path) -> None:
    write_t2i(tmp_path / "colours", SD)
    config: Any = UNet2DConditionModel.load_config(family_folder("sd") / "unet")
    keys = ("down_block_types", "block_out_channels", "attention_head_dim", "cross_attention_dim")
    write_controlnet(
        tmp_path / "lines",
        **{key: config[key] for key in keys},
        layers_per_block=2,
        norm_num_groups=4,
    )
    both = tuple(
        Control(model=str(tmp_path / name), source=str(home / "shapes.png"), annotator="none")
        for name in ("colours", "lines")
    )
    bundle, settings = family_bundle("sd"), tiny_settings()
    pictures: list[NDArray[np.uint8]] = []
    for controls in (both[:1], both[1:], both, both[::-1]):
        recipe = Recipe(seed=7, parts=(FROG, ControlPart(controls=controls)), **FIELDS)
        inputs = read_inputs(recipe, settings)
        found = find_controls(recipe, find_model(str(bundle.folder), settings).files, settings)
        run = resolve(recipe, bundle.defaults, sources=inputs.facts, controls=digests_of(found))
        events = draw(run, bundle, inputs=inputs, controls=found)
        pictures.append(next(event.pixels for event in events if isinstance(event, Picture)))
    colours, lines, joined, turned = pictures
    assert np.array_equal(joined, turned)
    assert min(psnr(joined, colours), psnr(joined, lines), psnr(colours, lines)) < 45


@functools.cache
def original_family(name: str) -> Path:
    """Return the folder of a model whose widths are multiples of those of published heads and norms."""
    return write_family(temporary_folder() / "with controls" / name, FAMILIES[name], dtype=torch.float32)


def controlnet_for(bundle: ModelBundle) -> Any:
    """Return a ControlNet for the UNet of `bundle`, without zero convolutions that are zero."""
    with torch.device("meta"):
        config: Any = UNet2DConditionModel.load_config(bundle.folder / "unet")
        unet: Any = UNet2DConditionModel.from_config(config)
        net: Any = ControlNetModel.from_unet(unet, load_weights_from_unet=False)
    generator = torch.Generator().manual_seed(1)
    net.to_empty(device="cpu")
    for name, weight in net.named_parameters():
        numbers = torch.randn(weight.shape, generator=generator)
        norm = "norm" in name and name.endswith("weight")
        weight.data = numbers * weight[0].numel() ** -0.5 if weight.ndim > 1 else 0.1 * numbers + norm
    return net


@pytest.mark.parametrize("name", ["sd15", "sd2-base", "sdxl"])
def test_a_controlnet_in_one_file_draws_as_its_folder(name: str, home: Path, tmp_path: Path) -> None:
    bundle = load_bundle(str(original_family(name)), tiny_settings())
    net = controlnet_for(bundle)
    net.save_pretrained(tmp_path / "lines")
    state = net.state_dict()
    save_file(state, tmp_path / "loose.safetensors")
    original = original_controlnet(state)
    whole = {f"control_model.{key}": one for key, one in original.items()}
    save_file(whole, tmp_path / "first.safetensors")
    fields = {"steps": 1, "width": 64, "height": 64}
    folder = steered(bundle, home, tmp_path / "lines", **fields)
    for file in ("loose", "first"):
        ours = steered(bundle, home, tmp_path / f"{file}.safetensors", **fields)
        # The same numbers, which may lie otherwise in memory, and be added up in another order.
        assert abs(ours.astype(int) - folder).max() <= 1
        assert psnr(ours, folder) >= 70
    assert not np.array_equal(steered(bundle, home, tmp_path / "lines", weight=0.0, **fields), folder)
    half = {key: one.half() for key, one in original.items()}
    save_file(half, tmp_path / "pruned.safetensors")
    assert psnr(steered(bundle, home, tmp_path / "pruned.safetensors", **fields), folder) >= 45


def test_the_compiled_backend_draws_with_an_adapter(home: Path, tmp_path: Path) -> None:
    write_t2i(tmp_path / "lines", SD, in_channels=1)
    settings = replace(tiny_settings(), backend="openvino", data_dir=tmp_path)
    bundle = load_bundle(str(family_folder("sd")), settings)
    fields = {"steps": 3, "cache_interval": 2, "stop": 0.7}
    ours = steered(bundle, home, tmp_path / "lines", **fields)
    theirs = steered(family_bundle("sd"), home, tmp_path / "lines", **fields)
    assert psnr(ours, theirs) >= 45


def test_files_are_found_by_name_and_by_the_name_in_metadata(home: Path, tmp_path: Path) -> None:
    place = tmp_path / "webui" / "extensions" / "sd-webui-controlnet" / "models"
    place.mkdir(parents=True)
    state = write_t2i(tmp_path / "lines", SD).state_dict()
    save_file(original_t2i(state, 2), place / "t2iadapter_lines.safetensors")
    (place / "old.pth").write_bytes(b"pickle")
    settings = tiny_settings(tmp_path / "webui")
    files = find_model(str(family_folder("sd")), settings).files

    def found(name: str) -> ControlFiles:
        recipe = Recipe(parts=(ControlPart(controls=(Control(model=name, source="x.png"),)),))
        return find_controls(recipe, files, settings, paths=False)[name]

    for name in ("t2iadapter_lines", "t2iadapter_lines.safetensors"):
        assert found(name).kind == "T2I-Adapter"
        assert found(name).folder == place / "t2iadapter_lines.safetensors"
    with pytest.raises(RecipeError, match=r"^control: this file is a pickle"):
        found("old")
    copy = shutil.copy(place / "t2iadapter_lines.safetensors", place / "another.safetensors")
    assert found("another").digest() == found("t2iadapter_lines").digest()
    assert Path(copy).is_file()
