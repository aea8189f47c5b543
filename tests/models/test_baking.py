"""Adapters that are baked into a model: the weights, the pictures, and what the files say."""

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from numpy.typing import NDArray
from safetensors.torch import load_file

from sfumato.engine.adapters import find_adapters, laid_over
from sfumato.engine.events import Picture
from sfumato.engine.run import draw
from sfumato.errors import ModelFileError, RecipeError
from sfumato.models.baking import bake, notes_with
from sfumato.models.converting import to_folder, to_single
from sfumato.models.facts import read_facts
from sfumato.models.files import ModelFiles, locate
from sfumato.models.load import load_bundle
from sfumato.models.network_tensors import tensors_of
from sfumato.models.notes import LORAS
from sfumato.recipe.adapters import Adapter, AdaptersPart
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import TextPart
from sfumato.recipe.resolve import resolve
from sfumato.settings import Settings
from tiny_adapters import CONVOLUTIONS, Tensors, kohya, kohya_lora, low_rank, modules, write_adapter
from tiny_families import FAMILIES, write_family, write_original
from tiny_models import tiny_folder, tiny_settings


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return one file of each kind."""
    place = tmp_path_factory.mktemp("adapters")
    kinds: dict[str, Tensors] = {"lora": kohya_lora(alpha=1.0, seed=1), "locon": _conv(), "loha": _loha()}
    kinds |= {"lokr": _lokr(), "dora": _dora()}
    return {name: write_adapter(place / f"{name}.safetensors", some) for name, some in kinds.items()}


def _conv() -> Tensors:
    made: Tensors = {}
    for name, (down, up) in low_rank(modules("unet", CONVOLUTIONS), seed=2).items():
        made |= {f"{kohya('unet', name)}.lora_down.weight": down, f"{kohya('unet', name)}.lora_up.weight": up}
    return made


def _loha() -> Tensors:
    made: Tensors = {}
    for number, suffix in ((1, "w1"), (2, "w2")):
        for name, (down, up) in low_rank(modules("unet", ("to_q",)), seed=number).items():
            made |= {
                f"{kohya('unet', name)}.hada_{suffix}_a": up,
                f"{kohya('unet', name)}.hada_{suffix}_b": down,
            }
    return made


def _lokr() -> Tensors:
    random = np.random.default_rng(4)
    made: Tensors = {}
    for name, shape in modules("unet", ("to_v",)).items():
        raw = kohya("unet", name)
        made[f"{raw}.lokr_w1"] = random.normal(0, 0.3, (2, 2)).astype(np.float32)
        made[f"{raw}.lokr_w2"] = random.normal(0, 0.3, (shape[0] // 2, shape[1] // 2)).astype(np.float32)
    return made


def _dora() -> Tensors:
    made: Tensors = {}
    for name, (down, up) in low_rank(modules("unet", ("to_k",)), seed=5).items():
        raw = kohya("unet", name)
        made |= {f"{raw}.lora_down.weight": down, f"{raw}.lora_up.weight": up}
        made[f"{raw}.dora_scale"] = np.full((up.shape[0], 1), 0.7, np.float32)
    return made


def asked(adapters: dict[str, Path], **weights: float) -> list[Adapter]:
    return [Adapter(name=str(adapters[name]), weight=weight) for name, weight in weights.items()]


def picture(folder: Path, settings: Settings, *parts: AdaptersPart) -> NDArray[np.uint8]:
    """Return what a model draws, with adapters laid over it."""
    bundle = load_bundle(str(folder), settings)
    fields: dict[str, Any] = {"seed": 3, "steps": 3, "sampler": "euler", "guidance": 4.0}
    recipe = Recipe(parts=(TextPart(prompt="a frog"), *parts), **fields)
    found = find_adapters([recipe], locate(tiny_folder()), settings)
    run = resolve(recipe, bundle.defaults, adapters=found.table)
    events = draw(run, laid_over(run, bundle, found))
    return next(one.pixels for one in events if isinstance(one, Picture))


ALL = {"lora": 0.8, "locon": -0.5, "loha": 1.0, "lokr": 0.7, "dora": 0.6}


def test_pictures_are_those_with_the_adapters_laid_over(adapters: dict[str, Path], tmp_path: Path) -> None:
    some = asked(adapters, **ALL)
    files, settings = locate(tiny_folder()), tiny_settings()
    made = to_folder(files, tmp_path / "baked", baked=bake(some, files, settings))
    over = picture(tiny_folder(), settings, AdaptersPart(adapters=tuple(some)))
    assert np.array_equal(picture(made.path, settings), over)
    assert not np.array_equal(over, picture(tiny_folder(), settings))


def test_in_half_precision_weights_are_those_laid_over(adapters: dict[str, Path], tmp_path: Path) -> None:
    some = asked(adapters, **ALL)
    files, settings = locate(tiny_folder()), replace(tiny_settings(), dtype="float16")
    half = to_folder(files, tmp_path / "half", "float16").path
    made = to_folder(locate(half), tmp_path / "baked", baked=bake(some, locate(half), settings)).path
    recipe = Recipe(seed=1, parts=(TextPart(prompt="a"), AdaptersPart(adapters=tuple(some))))
    bundle = load_bundle(str(half), settings)
    found = find_adapters([recipe], locate(half), settings)
    over: Any = laid_over(resolve(recipe, bundle.defaults, adapters=found.table), bundle, found).backend
    baked: Any = load_bundle(str(made), settings).backend
    for name in ("unet", "text_encoder", "vae"):
        here, there = (getattr(one, name).state_dict() for one in (baked, over))
        assert all(torch.equal(here[key], there[key]) for key in there)


@pytest.mark.filterwarnings("ignore")
def test_weights_are_those_that_diffusers_fuses(adapters: dict[str, Path]) -> None:
    files = locate(tiny_folder())
    baked = bake([*asked(adapters, lora=0.8)], files, tiny_settings())
    pipe: Any = StableDiffusionPipeline.from_pretrained(tiny_folder(), safety_checker=None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipe.load_lora_weights(str(adapters["lora"]))
        pipe.fuse_lora(lora_scale=0.8)
        pipe.unload_lora_weights()
    changed = 0
    for network, theirs in ((files.unet, pipe.unet), (files.text_encoder, pipe.text_encoder)):
        fused = {key.removeprefix("text_model."): one.numpy() for key, one in theirs.state_dict().items()}
        for name, one in tensors_of(network, baked.changes.of(network.name)).items():
            np.testing.assert_allclose(one.bits("F32"), fused[name], atol=1e-5, err_msg=name)
        changed += len(baked.changes.of(network.name).rows)
    assert changed > 40


@pytest.mark.parametrize("name", ["sd15", "sdxl", "sd2-768-v"])
def test_a_single_file_has_what_the_folder_has(name: str, tmp_path: Path) -> None:
    """Names of the original layout, packed projections of open_clip and turned matrices, too."""
    folder = write_family(tmp_path / "model", FAMILIES[name])
    files = locate(folder)
    tensors: Tensors = {}
    random = np.random.default_rng(0)
    prefixes = {"text_encoder": "lora_te1_text_model_", "text_encoder_2": "lora_te2_text_model_"}
    for network, ends in (("unet", ".attn2.to_k"), ("text_encoder", "k_proj"), ("text_encoder_2", "fc1")):
        part = next((one for one in files.networks if one.name == network), None)
        for key, one in () if part is None else tensors_of(part).items():
            if key.endswith(f"{ends}.weight"):
                raw = prefixes.get(network, "lora_unet_") + key.removesuffix(".weight").replace(".", "_")
                tensors[f"{raw}.lora_down.weight"] = random.normal(0, 0.3, (1, one.shape[1])).astype("f4")
                tensors[f"{raw}.lora_up.weight"] = random.normal(0, 0.3, (one.shape[0], 1)).astype("f4")
    lora = Adapter(name=str(write_adapter(tmp_path / "a.safetensors", tensors)), weight=0.5)
    settings = tiny_settings()
    single = to_single(files, tmp_path / "one.safetensors", baked=bake([lora], files, settings)).path
    other = to_folder(files, tmp_path / "b", baked=bake([lora], files, settings)).path
    assert everything(locate(single)) == everything(locate(other)) != everything(files)
    # And laid over the file from which it came, for those who have nothing else.
    plain = locate(to_single(files, tmp_path / "plain.safetensors").path)
    third = to_single(plain, tmp_path / "c.safetensors", baked=bake([lora], plain, settings)).path
    assert everything(locate(third)) == everything(locate(single))


def everything(files: ModelFiles) -> dict[str, bytes]:
    return {
        f"{network.class_name} {name}": one.bits(one.dtype).tobytes()
        for network in files.networks
        for name, one in tensors_of(network).items()
    }


def test_files_say_what_is_in_them(adapters: dict[str, Path], tmp_path: Path) -> None:
    tiny = FAMILIES["tiny-sd"]
    single = write_original(write_family(tmp_path / "model", tiny), tmp_path / "model.safetensors", tiny)
    files = locate(single)
    shapes = {key.removesuffix(".weight"): one.shape for key, one in tensors_of(files.unet).items()}
    keys = {name: shape for name, shape in shapes.items() if name.endswith("attn2.to_q")}
    tensors: Tensors = {}
    for name, (down, up) in low_rank(keys).items():
        tensors |= {
            f"{kohya('unet', name)}.lora_down.weight": down,
            f"{kohya('unet', name)}.lora_up.weight": up,
        }
    path = write_adapter(tmp_path / "ink.safetensors", tensors)
    settings = tiny_settings()
    first = bake([Adapter(name=str(path), weight=0.5)], files, settings)
    once = to_single(files, tmp_path / "a.safetensors", baked=first).path
    second = bake([Adapter(name=str(path), weight=-0.25, text_weight=0.0)], locate(once), settings)
    twice = to_folder(locate(once), tmp_path / "b", baked=second).path
    digest = first.adapters[0].digest
    for place, weights in ((once, [(0.5, 0.5)]), (twice, [(0.5, 0.5), (0.0, -0.25)])):
        expected = tuple((f"ink:{text}:{unet}", digest) for text, unet in weights)
        assert read_facts(place).notes.loras == expected
    said = json.loads(notes_with(locate(twice))[LORAS])
    assert [one["weight"] for one in said] == [0.5, -0.25]


def test_nothing_is_changed_when_nothing_is_asked_for() -> None:
    files = locate(tiny_folder())
    assert bake([], files, tiny_settings()).changes.networks == {}
    assert notes_with(files) == {}


@pytest.mark.parametrize("note", ["no JSON", "[" * 100_000, '{"a": 1}', "[1, 2]"])
def test_what_others_wrote_there_is_left_out(note: str, adapters: dict[str, Path], tmp_path: Path) -> None:
    from safetensors.torch import save_file

    folder = write_family(tmp_path / "model", FAMILIES["tiny-sd"])
    path = folder / "unet" / "diffusion_pytorch_model.safetensors"
    save_file(load_file(path), path, {LORAS: note})
    assert read_facts(folder).notes.loras == ()
    one = bake(asked(adapters, lora=1.0), locate(tiny_folder()), tiny_settings())
    assert len(json.loads(notes_with(locate(folder), one)[LORAS])) == 1


def test_words_and_strangers_are_refused(tmp_path: Path) -> None:
    files, settings = locate(tiny_folder()), tiny_settings()
    word = write_adapter(tmp_path / "word.safetensors", {"emb_params": np.ones((2, 32), np.float32)})
    with pytest.raises(ModelFileError, match="is an embedding, a word of its own"):
        bake([Adapter(name=str(word))], files, settings)
    home = replace(settings, data_dir=tmp_path / "home")
    write_adapter(
        tmp_path / "home" / "embeddings" / "known.safetensors", {"emb_params": np.ones((1, 32), "f4")}
    )
    with pytest.raises(ModelFileError, match="is an embedding, a word of its own"):
        bake([Adapter(name="known")], files, home)
    other = {
        "lora_unet_x.lora_up.weight": np.ones((4, 2), "f4"),
        "lora_unet_x.lora_down.weight": np.ones((2, 4), "f4"),
    }
    with pytest.raises(ModelFileError, match="fits nothing of the model"):
        bake([Adapter(name=str(write_adapter(tmp_path / "x.safetensors", other)))], files, settings)
    with pytest.raises(RecipeError, match="unknown adapter"):
        bake([Adapter(name="nobody")], files, settings)
