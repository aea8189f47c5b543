"""Exported folders: complete or absent, and the same picture in stock diffusers and here."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from safetensors.torch import load_file
from transformers import CLIPTextModel

from sfumato.engine.events import Picture
from sfumato.engine.run import draw
from sfumato.models.load import load_bundle
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import TextPart
from sfumato.recipe.resolve import resolve
from sfumato.recipe.train import AutoencoderStage, DiffusionStage, SceneData, TextStage
from sfumato.training.autoencoder import build
from sfumato.training.diffusion import SCHEDULER, build_unet
from sfumato.training.export import export_pipeline, replacing, save_network
from sfumato.training.text import CaptionEncoder, build_encoder, build_tokenizer, write_tokenizer
from tiny_models import tiny_settings
from training.tiny_runs import DIFFUSION, TEXT

# diffusers' schedulers, on numpy 2
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    parent = tmp_path_factory.mktemp("export")
    stage = TextStage.model_validate(TEXT)
    vocab, merges = build_tokenizer(stage, SceneData(), 0)
    write_tokenizer(parent / "tokenizer", vocab, merges, stage.max_length)
    autoencoder = AutoencoderStage(
        stage="autoencoder", channels=(4, 4, 8, 8), latent_channels=2, groups=2, crop=16
    )
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        unet = build_unet(DiffusionStage.model_validate(DIFFUSION), 2, 4, 16)
        encoder = build_encoder(stage, CaptionEncoder(parent / "tokenizer"))
        vae = build(autoencoder, 32)
        vae.decoder.conv_out.weight *= 4  # so that pictures are not all grey
    export_pipeline(
        parent / "model",
        unet=unet,
        vae=vae,
        text_encoder=encoder,
        tokenizer=parent / "tokenizer",
        scheduler=SCHEDULER,
        defaults={"width": 32, "height": 32, "steps": 4, "sampler": "ddim", "spacing": "trailing"},
    )
    assert next(unet.parameters()).dtype == torch.float32
    return parent / "model"


def test_stock_diffusers_draws_what_we_draw(folder: Path) -> None:
    pipe: Any = StableDiffusionPipeline.from_pretrained(folder)
    pipe.set_progress_bar_config(disable=True)
    theirs = pipe(
        "a frog on a beach",
        num_inference_steps=4,
        guidance_scale=3.0,
        generator=torch.Generator("cpu").manual_seed(7),
        output_type="np",
    ).images[0]
    bundle = load_bundle(str(folder), tiny_settings())
    recipe = Recipe(parts=(TextPart(prompt="a frog on a beach"),), seed=7, guidance=3.0)
    resolved = resolve(recipe, bundle.defaults)
    assert (resolved.width, resolved.steps, resolved.sampler) == (32, 4, "ddim")
    with closing(draw(resolved, bundle)) as events:
        ours = next(event.pixels for event in events if isinstance(event, Picture)) / 255
    assert theirs.std() > 0.02
    assert -10 * np.log10(((ours - theirs) ** 2).mean()) >= 45


def test_the_files_are_those_of_a_pipeline(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md", "model_index.json", "scheduler", "sfumato.json", "text_encoder", "tokenizer", "unet",
        "vae",
    ]  # fmt: skip
    weights = sorted(folder.rglob("*.safetensors"))
    assert len(weights) == 3
    assert all(value.dtype == torch.float16 for path in weights for value in load_file(path).values())
    assert json.loads((folder / "sfumato.json").read_text())["steps"] == 4


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    target = tmp_path / "model"
    for text in ("old", "new"):
        with replacing(target) as draft:
            (draft / "deep").mkdir()
            (draft / "deep" / "file").write_text(text)
            (draft / f"{text}-only").write_text("")
    assert (target / "deep" / "file").read_text() == "new"
    assert sorted(path.name for path in target.iterdir()) == ["deep", "new-only"]
    assert list(tmp_path.iterdir()) == [target]


def test_a_failure_leaves_the_old_folder(tmp_path: Path) -> None:
    target = tmp_path / "model"
    with replacing(target) as draft:
        (draft / "file").write_text("old")

    def fail() -> None:
        with replacing(target) as half:
            (half / "file").write_text("new")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert (target / "file").read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_what_a_kill_left_behind_is_in_nobody_s_way(tmp_path: Path) -> None:
    target = tmp_path / "model"
    for name in (".model.draft", ".model.old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "half").write_text("")
    with replacing(target) as draft:
        (draft / "file").write_text("new")
    assert [path.name for path in target.iterdir()] == ["file"]
    assert list(tmp_path.iterdir()) == [target]


def test_where_a_network_came_from_is_not_told(folder: Path, tmp_path: Path) -> None:
    for kind, name in ((UNet2DConditionModel, "unet"), (CLIPTextModel, "text_encoder")):
        network = kind.from_pretrained(folder / name, use_safetensors=True, local_files_only=True)
        save_network(network, tmp_path / name)
        text = (tmp_path / name / "config.json").read_text()
        assert "_name_or_path" not in text
        assert str(folder) not in text
        again = kind.from_pretrained(tmp_path / name, use_safetensors=True, local_files_only=True)
        assert all(torch.equal(again.state_dict()[key], value) for key, value in network.state_dict().items())
