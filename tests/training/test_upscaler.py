"""The upscaler stage: what it sees, what it minimises, what it measures, and what a run of it leaves."""

import json
import math
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from PIL import Image

from judged import needs_font
from sfumato.errors import RecipeError
from sfumato.models.upscaler_net import UpscalerNet, load_upscaler_net
from sfumato.models.upscalers import UpscalerShape, upscaler_facts
from sfumato.recipe.train import AutoencoderStage, SceneData, UpscalerStage
from sfumato.scenes import drawing, scene
from sfumato.scenes import vocabulary as words
from sfumato.training import autoencoder
from sfumato.training.loop import step_generator
from sfumato.training.runs import digest
from sfumato.training.upscaler import (
    BEST_PSNR,
    Pair,
    UpscalerTask,
    crop_of,
    degraded,
    enlarged_by,
    large_scene,
    psnr,
    round_trip,
    score,
    shrunk,
    styled,
)
from tiny_upscaler import waves
from training.tiny_runs import recipe, train_all, write_runs

DATA = SceneData(size=32)
TASK = {
    "stage": "upscaler",
    "autoencoder": "autoencoder",
    "width": 8,
    "blocks": 1,
    "crop": 12,
    "scenes": 6,
    "held_out": 3,
}


@pytest.fixture(scope="module")
def vae() -> AutoencoderKL:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        stage = AutoencoderStage(
            stage="autoencoder", channels=(4, 8, 8), latent_channels=2, groups=2, crop=16
        )
        return autoencoder.build(stage, 32).eval()


def stage(**changes: Any) -> UpscalerStage:
    return UpscalerStage.model_validate({**TASK, **changes})


def apart(first: Image.Image, second: Image.Image) -> int:
    return int(np.abs(np.asarray(first).astype(int) - np.asarray(second)).max())


@needs_font
def test_the_data_of_a_step_is_a_function_of_the_step(vae: AutoencoderKL) -> None:
    task = UpscalerTask(stage(), DATA, 3, vae)
    first, again, other = (task.batch(step, 3) for step in (2, 2, 3))
    assert first["small"].shape == (3, 3, 12, 12)
    assert first["large"].shape == (3, 3, 48, 48)
    for name in ("small", "large"):
        assert torch.equal(first[name], again[name])
        assert not torch.equal(first[name], other[name])


@needs_font
def test_crops_come_from_as_many_scenes_as_asked(vae: AutoencoderKL) -> None:
    task = UpscalerTask(stage(scenes=3, crop=32), DATA, 3, vae)  # whole scenes
    seen = torch.cat([task.batch(step, 8)["large"] for step in range(4)])
    assert len(torch.unique(seen.flatten(1), dim=0)) == 3
    again = UpscalerTask(stage(scenes=3, crop=32), DATA, 3, vae)
    assert torch.equal(again.batch(3, 8)["large"], seen[24:])  # whatever was drawn before


@needs_font
def test_a_clean_input_is_the_wanted_picture_made_smaller(vae: AutoencoderKL) -> None:
    task = UpscalerTask(stage(decoded=0.0, degraded=0.0, crop=32), DATA, 3, vae)
    batch = task.batch(0, 8)
    means = torch.nn.functional.avg_pool2d(batch["large"], 4)
    assert float((means - batch["small"]).abs().mean()) < 0.02


@needs_font
def test_inputs_are_spoilt_as_often_as_asked(vae: AutoencoderKL) -> None:
    def error(**shares: float) -> float:
        task = UpscalerTask(stage(crop=32, **shares), DATA, 3, vae)
        batch = task.batch(0, 8)
        means = torch.nn.functional.avg_pool2d(batch["large"], 4)
        return float((means - batch["small"]).abs().mean())

    clean = error(decoded=0.0, degraded=0.0)
    assert clean < error(decoded=0.0, degraded=1.0) < error(decoded=1.0, degraded=0.0)


@needs_font
def test_it_begins_as_an_enlargement_and_learns(vae: AutoencoderKL) -> None:
    torch.manual_seed(0)
    task = UpscalerTask(stage(), DATA, 3, vae)
    modules, batch = task.modules(), task.batch(0, 4)
    optimizer = torch.optim.Adam(modules["upscaler"].parameters(), lr=1e-2)
    losses: list[float] = []
    for step in range(40):
        loss, figures = task.loss(modules, batch, step_generator(0, step))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
        assert figures.keys() == {"psnr"}
    assert losses[-1] < 0.9 * losses[0]
    assert all(weight.grad is None for weight in vae.parameters())


@needs_font
def test_what_does_not_fit_is_refused(vae: AutoencoderKL) -> None:
    with pytest.raises(RecipeError, match=r"data.size: .* \(got 34\). The autoencoder needs a multiple of 4"):
        UpscalerTask(stage(), SceneData(size=34), 3, vae)


@needs_font
def test_a_large_scene_is_the_small_one_with_more_in_it() -> None:
    font = drawing.find_font()
    mix = scene.SceneMix(styled=0.0)
    for index in range(6):
        large = large_scene(1, index, mix, font, 64)
        assert large.size == (256, 256)
        rng = scene.stream_rng(1, index)
        drawn = scene.render(scene.sample(rng, mix), rng, font, 64)
        # Places are rounded to pixels, of another size in each.
        assert np.abs(np.asarray(large.reduce(4), float) - np.asarray(drawn)).mean() < 12


def test_pixel_art_is_enlarged_as_squares() -> None:
    art = styled(waves(256, 256), "pixel art", np.random.default_rng(0))
    small = art.resize((64, 64), Image.Resampling.NEAREST)
    assert apart(art, small.resize((256, 256), Image.Resampling.NEAREST)) == 0
    assert (
        apart(small, drawing.in_style(waves(256, 256).reduce(4), "pixel art", np.random.default_rng(0))) == 0
    )


def test_brush_strokes_are_as_wide_as_they_look_on_the_small_picture() -> None:
    even = Image.new("RGB", (256, 256), (120, 120, 120))
    painted = styled(even, "oil painting", np.random.default_rng(0))
    small = drawing.in_style(even.reduce(4), "oil painting", np.random.default_rng(0))
    assert psnr(shrunk(painted, Image.Resampling.BOX), small) > 30
    assert psnr(styled(waves(256, 256), "plain", np.random.default_rng(0)), waves(256, 256)) == BEST_PSNR


def test_degraded_pictures_are_near_the_clean_ones() -> None:
    small = waves(48, 48)
    found = [degraded(small, np.random.default_rng(seed)) for seed in range(12)]
    figures = [psnr(one, small) for one in found]
    assert {one.size for one in found} == {(48, 48)}
    assert min(figures) > 18
    assert len({round(figure, 1) for figure in figures}) > 6


def test_a_round_trip_is_what_the_model_would_draw(vae: AutoencoderKL) -> None:
    small = waves(32, 32)
    pixels = autoencoder.to_tensor([small])
    with torch.no_grad():
        expected = vae.decode(vae.encode(pixels).latent_dist.mean).sample[0]
    drawn = autoencoder.to_tensor([round_trip(small, vae)])[0]
    assert float((drawn - expected.clamp(-1, 1)).abs().max()) < 0.5 / 127.5 + 1e-5


def test_crops_are_taken_where_something_is_missing() -> None:
    large = Image.new("RGB", (256, 256), (90, 90, 90))
    large.paste(waves(64, 64), (128, 128))
    small = shrunk(large, Image.Resampling.BOX)
    pair, rng = Pair.of(large, small), np.random.default_rng(0)
    assert pair.missing.shape == (64, 64)
    crops = [crop_of(pair, 16, rng) for _ in range(40)]
    assert {(crop.small.size, crop.large.size) for crop in crops} == {((16, 16), (64, 64))}
    for crop in crops:
        assert apart(crop.small, shrunk(crop.large, Image.Resampling.BOX)) <= 1
    interesting = sum(np.asarray(crop.small).std() > 1 for crop in crops)
    assert interesting > 25  # of single random crops, about 17 would be


def test_psnr_is_what_its_name_says() -> None:
    one, other = Image.new("RGB", (4, 4), (10, 10, 10)), Image.new("RGB", (4, 4), (13, 10, 6))
    assert psnr(one, other) == pytest.approx(10 * math.log10(255**2 * 3 / 25))
    assert psnr(one, one) == BEST_PSNR


@needs_font
def test_the_score_sets_the_network_beside_lanczos(vae: AutoencoderKL) -> None:
    net = UpscalerNet(UpscalerShape(8, 1)).eval()
    rows = score(net, vae, DATA, 3, 5)
    assert rows.keys() >= {"area", "lanczos", "decoded"}
    assert sum(row["scenes"] for kind, row in rows.items() if kind in words.STYLE_NAMES) == 5
    for row in rows.values():
        assert row.keys() == {"learned", "lanczos", "scenes"}
        assert abs(row["learned"] - row["lanczos"]) < 2  # a fresh network is a bicubic enlargement
    assert json.loads(json.dumps(rows)) == rows


def test_a_picture_is_scored_as_it_would_be_saved() -> None:
    net = UpscalerNet(UpscalerShape(8, 1)).eval()
    small = waves(16, 12)
    larger = enlarged_by(net, small)
    saved = BytesIO()
    larger.save(saved, "PNG")
    assert larger.size == (64, 48)
    assert apart(larger, Image.open(saved)) == 0


@needs_font
def test_a_run_leaves_an_upscaler_that_says_how_good_it_is(tmp_path: Path) -> None:
    runs = write_runs(tmp_path)
    wanted = recipe("upscaler", TASK)
    steps = train_all(wanted, runs)
    assert [step.step for step in steps] == [1, 2, 3, 4, 4]
    made = runs / "upscaler" / "upscaler"
    facts = upscaler_facts(made)
    assert (facts["recipe"], facts["seed"]) == (digest(wanted), 2)
    assert steps[-1].figures["area learned"] == facts["psnr"]["area"]["learned"]
    vae = AutoencoderKL.from_pretrained(runs / "autoencoder" / "vae").eval()
    assert score(load_upscaler_net(made), vae, wanted.data, 2, 3) == facts["psnr"]
    before = {path: path.read_bytes() for path in made.iterdir()}
    assert train_all(wanted, runs) == []  # once more changes nothing
    assert {path: path.read_bytes() for path in made.iterdir()} == before
    weights = runs / "autoencoder" / "vae" / "diffusion_pytorch_model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(RecipeError, match="name: holds a run of another recipe"):
        train_all(wanted, runs)
