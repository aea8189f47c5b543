"""The ControlNet stage: hints of the right scenes, a start that changes nothing, learning, and its result."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from diffusers import ControlNetModel, UNet2DConditionModel
from safetensors.torch import load_file

from judged import needs_font
from sfumato.errors import InputError, ModelFileError, RecipeError
from sfumato.imaging.annotators import edges
from sfumato.models.control_fit import misfit
from sfumato.models.controlnets import locate_controlnet
from sfumato.models.files import locate
from sfumato.recipe.train import ControlNetStage, TrainRecipe
from sfumato.scenes import scene
from sfumato.training import latents
from sfumato.training.autoencoder import scene_font, scene_mix
from sfumato.training.controlnet import ControlNetTask, Outlines, awaken, build, load_controlnet
from sfumato.training.loop import step_generator
from training.tiny_runs import DIFFUSION, OPTIMISATION, SIZE, recipe, train_all, write_runs

CONTROLNET = {
    "stage": "controlnet",
    "model": "diffusion",
    "latents": "latents",
    "latents_seed": 0,
    "hint_channels": [2, 4, 4, 8],
}
pytestmark = needs_font


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = write_runs(tmp_path_factory.mktemp("controlnet"))
    train_all(recipe("diffusion", DIFFUSION), runs)
    return runs


@pytest.fixture
def runs(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "runs"))


def stage_of(wanted: TrainRecipe) -> ControlNetStage:
    assert isinstance(wanted.task, ControlNetStage)
    return wanted.task


def task_of(runs: Path, **changes: Any) -> ControlNetTask:
    wanted = recipe("edges", {**CONTROLNET, **changes})
    cache = latents.load([runs / "latents"])
    return ControlNetTask(stage_of(wanted), wanted.data, 2, runs / "diffusion" / "model", cache)


def unet_of(runs: Path) -> UNet2DConditionModel:
    unet = UNet2DConditionModel.from_pretrained(runs / "diffusion" / "model" / "unet")
    return cast(UNet2DConditionModel, unet)


def test_outlines_are_those_of_the_scenes_of_the_latents(made: Path) -> None:
    wanted = recipe("edges", CONTROLNET)
    cache = latents.load([made / "latents"])
    outlines = Outlines(stage_of(wanted), wanted.data, cache)
    font = scene_font(wanted.data)
    for index in (7, 0, 7):
        picture, _, shown = scene.example(0, index, scene_mix(wanted.data), font, SIZE)
        assert shown == cache.scenes[index]
        np.testing.assert_array_equal(outlines[index], edges(np.asarray(picture)))
    assert outlines[7].any()


@pytest.mark.parametrize("changes", [{"latents_seed": 1}, {"latents_first": 1}])
def test_scenes_of_another_cache_are_refused(made: Path, changes: dict[str, int]) -> None:
    with pytest.raises(RecipeError, match=r"task\.latents_seed: does not give the scenes of these latents"):
        task_of(made, **changes)


def test_hints_have_to_come_out_as_small_as_latents(made: Path) -> None:
    with pytest.raises(RecipeError, match=r"task\.hint_channels: .* 8 times as large .* give 4 widths"):
        task_of(made, hint_channels=[2, 4])


def test_a_missing_font_is_said(made: Path) -> None:
    wanted = recipe("edges", CONTROLNET, data={"size": SIZE, "font": "absent.ttf"})
    with pytest.raises(InputError, match="font"):
        Outlines(stage_of(wanted), wanted.data, latents.load([made / "latents"]))


@pytest.mark.parametrize("whole", [True, False])
def test_it_begins_with_the_weights_of_the_unet_and_gives_nothing(made: Path, whole: bool) -> None:
    unet = unet_of(made)
    stage = stage_of(recipe("edges", {**CONTROLNET, "middle_attention": whole}))
    net = build(stage, unet)
    theirs = unet.state_dict()
    own = net.state_dict()
    shared = [name for name in own if name in theirs]
    assert all(torch.equal(own[name], theirs[name]) for name in shared)
    assert {name.partition(".")[0] for name in shared} == {
        "conv_in", "time_embedding", "down_blocks", "mid_block",
    }  # fmt: skip
    assert any("mid_block.attentions" in name for name in own) is whole
    assert net.config["conditioning_embedding_out_channels"] == (2, 4, 4, 8)
    awaken(net, torch.rand(4, 3, SIZE, SIZE).round())
    x, context = torch.randn(2, 2, 4, 4), torch.randn(2, 3, 16)
    with torch.no_grad():
        found = net(x, torch.tensor(500), context, torch.rand(2, 3, SIZE, SIZE))
    assert not any(one.any() for one in (*found.down_block_res_samples, found.mid_block_res_sample))


def test_what_sees_hints_is_awake(made: Path) -> None:
    net: Any = build(stage_of(recipe("edges", CONTROLNET)), unet_of(made))
    hints = (torch.rand(16, 1, SIZE, SIZE) < 0.06).float().repeat(1, 3, 1, 1)
    with torch.no_grad():
        assert not net.controlnet_cond_embedding(hints).any()
        awaken(net, hints)
        seen = net.controlnet_cond_embedding(hints)
        first = net.conv_in(torch.randn(64, 2, 4, 4))
    assert float(seen.mean().abs()) < 0.05
    assert float(seen.std() / first.std()) == pytest.approx(1, abs=0.2)


def test_batches_are_pure_and_captions_are_dropped(made: Path) -> None:
    task = task_of(made, caption_dropout=0.5)
    first, again, other = task.batch(3, 8), task.batch(3, 8), task.batch(4, 8)
    assert first["hints"].shape == (8, 3, SIZE, SIZE)
    assert set(first["hints"].unique().tolist()) == {0.0, 1.0}
    for key, value in first.items():
        assert torch.equal(value, again[key])
        assert not torch.equal(value, other[key])
    empty = task_of(made, caption_dropout=1.0).batch(3, 8)["ids"]
    assert len(empty.unique(dim=0)) == 1
    assert not torch.equal(first["ids"], empty)


def test_hints_are_varied_as_people_draw(made: Path) -> None:
    def hints(**shares: float) -> torch.Tensor:
        none = {"thick": 0.0, "partial": 0.0, "shifted": 0.0}
        return task_of(made, **{**none, **shares}).batch(0, 8)["hints"]

    plain, thick, partial = hints(), hints(thick=1.0), hints(partial=1.0)
    assert (thick >= plain).all()
    assert thick.sum() > 1.5 * plain.sum()
    assert (partial <= plain).all()
    assert 0 < partial.sum() < 0.9 * plain.sum()


def test_a_scene_is_moved_together_with_its_outlines(made: Path) -> None:
    cache = latents.load([made / "latents"])
    numbered = torch.arange(16.0).reshape(1, 1, 4, 4).expand(12, 2, 4, 4).half()
    wanted = recipe("edges", {**CONTROLNET, "shifted": 1.0, "thick": 0.0, "partial": 0.0})
    model = made / "diffusion" / "model"
    task = ControlNetTask(stage_of(wanted), wanted.data, 2, model, replace(cache, latents=numbered))
    still = task_of(made, shifted=0.0, thick=0.0, partial=0.0).batch(0, 64)["hints"]
    batch = task.batch(0, 64)
    moved = [int(one) for one in batch["latents"][:, 0, 1, 1].unique()]
    assert moved == [5, 6, 9, 10]  # the inner places, each of them at its own place or another
    for one, hint, before in zip(batch["latents"], batch["hints"], still, strict=True):
        assert torch.equal(one[0, [0, 0, 3, 3], [0, 3, 0, 3]], torch.tensor([0.0, 3.0, 12.0, 15.0]))
        for row in range(4):
            for column in range(4):
                from_row, from_column = divmod(int(one[0, row, column]), 4)
                here, there = (
                    picture[:, 8 * y : 8 * y + 8, 8 * x : 8 * x + 8]
                    for picture, y, x in ((hint, row, column), (before, from_row, from_column))
                )
                assert torch.equal(here, there)


def test_the_loss_teaches_the_controlnet_alone(made: Path) -> None:
    task = task_of(made)
    modules = task.modules()
    net: Any = modules["controlnet"]
    optimizer = torch.optim.AdamW(net.parameters(), lr=5e-3)
    losses: list[float] = []
    for _ in range(12):  # the same eight pictures and noise again and again: they can be learnt by heart
        loss, _ = task.loss(modules, task.batch(0, 8), step_generator(0, 0))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.97 * losses[0]
    frozen: Any = task._unet
    assert not any(p.requires_grad for p in frozen.parameters())
    assert torch.equal(frozen.conv_out.weight, unet_of(made).conv_out.weight)


def test_its_result_fits_the_model_and_is_half_precision(runs: Path) -> None:
    steps = train_all(recipe("edges", CONTROLNET), runs)
    assert [step.step for step in steps] == [1, 2, 3, 4]
    files = locate_controlnet(runs / "edges" / "controlnet")
    assert misfit(files, locate(runs / "diffusion" / "model")) is None
    weights = load_file(files.network.weights)
    averages = load_file(runs / "edges" / "step-000000004" / "state.safetensors")
    for name, value in weights.items():
        assert torch.equal(value, averages[f"ema.controlnet.{name}"].half())
    net = ControlNetModel.from_pretrained(files.folder)
    assert f"{SIZE}x{SIZE} pixels" in (files.folder / "README.md").read_text(encoding="utf-8")
    assert net.config["conditioning_embedding_out_channels"] == [2, 4, 4, 8]
    assert weights["controlnet_mid_block.weight"].any()


def test_a_stopped_run_equals_an_uninterrupted_one(runs: Path, tmp_path: Path) -> None:
    from training.test_stages import everything, stop_after

    wanted = recipe("edges", CONTROLNET, optimisation={**OPTIMISATION, "optimizer": "muon"})
    train_all(wanted, runs)
    whole = everything(runs / "edges")
    shutil.move(runs / "edges", tmp_path / "whole")
    stop_after(wanted, runs, 3)
    train_all(wanted, runs)
    assert everything(runs / "edges") == whole


def test_a_run_is_refused_when_what_it_builds_on_has_changed(runs: Path) -> None:
    wanted = recipe("edges", CONTROLNET)
    train_all(wanted, runs)
    weights = runs / "diffusion" / "model" / "unet" / "diffusion_pytorch_model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(RecipeError, match="name: holds a run of another recipe"):
        train_all(wanted, runs)
    shutil.rmtree(runs / "diffusion")
    with pytest.raises(InputError, match="Run the recipe that makes diffusion first"):
        train_all(wanted, runs)


def test_it_can_go_on_from_another_controlnet(runs: Path) -> None:
    train_all(recipe("edges", CONTROLNET), runs)
    known = load_file(runs / "edges" / "controlnet" / "diffusion_pytorch_model.safetensors")
    wanted = recipe("edges-more", {**CONTROLNET, "start": "edges"})
    cache, model = latents.load([runs / "latents"]), runs / "diffusion" / "model"
    begun = ControlNetTask(
        stage_of(wanted), wanted.data, 2, model, cache, runs / "edges" / "controlnet"
    ).modules()["controlnet"]
    assert all(torch.equal(value, known[name].float()) for name, value in begun.state_dict().items())
    train_all(wanted, runs)
    (runs / "edges" / "controlnet" / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(RecipeError, match="name: holds a run of another recipe"):
        train_all(wanted, runs)
    with pytest.raises(ModelFileError, match="cannot be read"):
        load_controlnet(runs / "edges" / "controlnet")
