"""The tiny-decoder stage: what it sees, what it minimises, what it measures."""

from copy import deepcopy
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL

from sfumato.errors import RecipeError
from sfumato.recipe.train import AutoencoderStage, TinyDecoderStage
from sfumato.training import autoencoder
from sfumato.training.loop import step_generator
from sfumato.training.tiny_decoder import LARGEST, TinyDecoderTask, build, decoded, fidelity


@pytest.fixture(scope="module")
def vae() -> AutoencoderKL:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        stage = AutoencoderStage(
            stage="autoencoder", channels=(4, 8, 8), latent_channels=2, groups=2, crop=16
        )
        return autoencoder.build(stage, 32).eval()


def stage(**changes: Any) -> TinyDecoderStage:
    given = {"stage": "tiny-decoder", "autoencoder": "autoencoder", "latents": ("latents",), "held_out": 4}
    return TinyDecoderStage.model_validate({**given, "width": 8, "blocks": (1, 1, 0), **changes})


def cache(count: int = 12) -> torch.Tensor:
    latents = torch.randn(count, 2, 4, 6, generator=torch.Generator().manual_seed(1)).half()
    latents[-4:] += 100  # the held-out ones, easily told apart
    return latents


def test_the_data_of_a_step_is_a_function_of_the_step(vae: AutoencoderKL) -> None:
    task = TinyDecoderTask(stage(), 3, cache(), vae)
    first, again, other = (task.batch(step, 5)["latents"] for step in (2, 2, 3))
    assert first.shape == (5, 2, 4, 6)
    assert first.dtype == torch.float32
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_held_out_latents_are_never_seen(vae: AutoencoderKL) -> None:
    task = TinyDecoderTask(stage(), 3, cache(), vae)
    seen = torch.cat([task.batch(step, 16)["latents"] for step in range(20)])
    assert float(seen.abs().max()) < 50


def test_some_latents_are_blurred_and_some_are_not(vae: AutoencoderKL) -> None:
    known = cache()[:-4].float()

    def untouched(share: float) -> float:
        task = TinyDecoderTask(stage(blurred=share), 3, cache(), vae)
        seen = task.batch(0, 64)["latents"]
        assert float(seen.std()) < LARGEST * float(known.std())
        return sum(any(torch.equal(one, other) for other in known) for one in seen) / 64

    assert untouched(0.0) == 1.0
    assert untouched(1.0) == 0.0
    assert 0.3 < untouched(0.5) < 0.7


def test_it_begins_grey_and_learns(vae: AutoencoderKL) -> None:
    torch.manual_seed(0)
    task = TinyDecoderTask(stage(), 3, cache(), vae)
    modules = task.modules()
    batch = task.batch(0, 4)
    with torch.no_grad():
        assert float(modules["decoder"](batch["latents"]).abs().max()) < 0.5
    optimizer = torch.optim.Adam(modules["decoder"].parameters(), lr=3e-3)
    losses: list[float] = []
    for step in range(15):
        loss, figures = task.loss(modules, batch, step_generator(0, step))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
        assert figures.keys() == {"psnr", "edges"}
    assert losses[-1] < 0.8 * losses[0]
    assert all(weight.grad is None for weight in vae.parameters())


def test_the_target_is_what_the_model_would_draw(vae: AutoencoderKL) -> None:
    latents = cache()[:2].float()
    assert torch.equal(decoded(vae, latents), vae.decode(latents).sample.detach())
    scaled = deepcopy(vae)
    scaled.register_to_config(scaling_factor=0.5, shift_factor=0.25)
    expected = vae.decode(latents / 0.5 + 0.25).sample.detach()
    torch.testing.assert_close(decoded(scaled, latents), expected)


def test_fidelity_is_a_psnr(vae: AutoencoderKL) -> None:
    net = build(stage(), 2)
    latents = cache()[:3]
    with torch.no_grad():
        error = (
            (net(latents.float()).clamp(-1, 1) - decoded(vae, latents.float()).clamp(-1, 1)).square().mean()
        )
    assert fidelity(net, vae, latents) == pytest.approx(float(10 * torch.log10(4 / error)), abs=1e-3)


def test_what_does_not_fit_is_refused(vae: AutoencoderKL) -> None:
    with pytest.raises(RecipeError, match=r"task.held_out: leaves no latents .* \(got 12\)"):
        TinyDecoderTask(stage(held_out=12), 3, cache(), vae)
    with pytest.raises(RecipeError, match=r"task.blocks: does not fit .* The autoencoder has 3 levels"):
        TinyDecoderTask(stage(blocks=(1, 1)), 3, cache(), vae)
