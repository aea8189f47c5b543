"""The autoencoder stage: what it sees, what it minimises, and latents made normal."""

from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL
from PIL import Image

from judged import needs_font
from sfumato.errors import NumericalError
from sfumato.recipe.train import AutoencoderStage, SceneData
from sfumato.training.autoencoder import (
    AutoencoderTask,
    build,
    latent_mean,
    normalise,
    scene_mix,
    to_tensor,
)
from sfumato.training.loop import step_generator

STAGE = AutoencoderStage(
    stage="autoencoder", channels=(8, 8, 16), latent_channels=3, groups=4, crop=16, crops_per_scene=2
)
DATA = SceneData(size=32)


@pytest.fixture
def vae() -> AutoencoderKL:
    torch.manual_seed(0)
    return build(STAGE, 32).eval()


def pictures(number: int = 40) -> torch.Tensor:
    return torch.rand(number, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_it_is_what_the_recipe_says(vae: AutoencoderKL) -> None:
    assert vae.config["block_out_channels"] == (8, 8, 16)
    assert vae.config["scaling_factor"] == 1.0
    latents = latent_mean(vae, pictures(2))
    assert latents.shape == (2, 3, 8, 8)
    assert not latents.requires_grad


@torch.no_grad()
def test_normalised_latents_have_mean_zero_and_variance_one(vae: AutoencoderKL) -> None:
    shown = pictures()
    before = vae.encode(shown).latent_dist
    decoded = vae.decode(before.mean).sample
    mean, deviation = before.mean.mean(dim=(0, 2, 3)), before.mean.std(dim=(0, 2, 3))
    assert float((deviation - 1).abs().max()) > 0.1
    normalise(vae, shown)
    after = vae.encode(shown).latent_dist
    torch.testing.assert_close(after.mean.mean(dim=(0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(after.mean.std(dim=(0, 2, 3)), torch.ones(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(vae.decode(after.mean).sample, decoded, atol=1e-5, rtol=1e-4)
    # The noise of a latent shrinks or grows with it.
    expected = before.std / deviation[None, :, None, None]
    torch.testing.assert_close(after.std, expected, atol=1e-6, rtol=1e-4)
    again = (before.mean - mean[None, :, None, None]) / deviation[None, :, None, None]
    torch.testing.assert_close(after.mean, again, atol=1e-5, rtol=1e-4)


def test_a_dead_channel_is_reported(vae: AutoencoderKL) -> None:
    convolution: Any = vae.quant_conv
    with torch.no_grad():
        convolution.weight[1] = 0
        convolution.bias[1] = 0
    with pytest.raises(NumericalError, match="latent channels carry nothing"):
        normalise(vae, pictures(4))


def test_pictures_become_numbers_from_minus_one_to_one() -> None:
    tensor = to_tensor([Image.new("RGB", (4, 2), (0, 255, 51))] * 3)
    assert tensor.shape == (3, 3, 2, 4)
    assert tensor[0, :, 0, 0].tolist() == pytest.approx([-1, 1, -0.6])


def test_the_mix_is_the_recipe_s() -> None:
    mix = scene_mix(SceneData(pairs=0.1, styled=0.9))
    assert (mix.pairs, mix.styled, mix.counts) == (0.1, 0.9, 0.06)


@needs_font
def test_the_data_of_a_step_is_a_function_of_the_step() -> None:
    task = AutoencoderTask(STAGE, DATA, seed=1)
    first, again, other = task.batch(3, 5), task.batch(3, 5), task.batch(4, 5)
    assert first["pictures"].shape == (5, 3, 16, 16)
    assert torch.equal(first["pictures"], again["pictures"])
    assert not torch.equal(first["pictures"], other["pictures"])
    assert float(first["pictures"].abs().max()) <= 1


@needs_font
def test_the_loss_starts_almost_without_noise_and_falls() -> None:
    torch.manual_seed(0)
    task = AutoencoderTask(STAGE, DATA, seed=1)
    modules = task.modules()
    batch = task.batch(0, 4)
    vae: Any = modules["vae"]
    with torch.no_grad():
        assert float(vae.encode(batch["pictures"]).latent_dist.std.max()) < 0.2
    optimizer = torch.optim.Adam(vae.parameters(), lr=2e-3)
    losses: list[float] = []
    for step in range(12):
        loss, figures = task.loss(modules, batch, step_generator(0, step))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
        assert figures.keys() == {"psnr", "edges"}
    assert losses[-1] < 0.8 * losses[0]
