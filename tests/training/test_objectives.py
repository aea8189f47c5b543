"""Losses next to their formulas, written out."""

import math

import pytest
import torch

from sfumato.training.objectives import denoising_loss, edge_loss, gaussian_kl, scene_labels_loss


def samples() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    output, clean, noise = (torch.randn(5, 2, 3, 3, generator=random) for _ in range(3))
    return output, clean, noise, torch.tensor([0.0, 0.1, 0.5, 0.9, 0.99], dtype=torch.float64)


@pytest.mark.parametrize("floor", [0.0, 0.25])
def test_denoising_loss_of_v(floor: float) -> None:
    output, clean, noise, alpha_bar = samples()
    total = 0.0
    for i, a in enumerate(alpha_bar.tolist()):
        v = math.sqrt(a) * noise[i] - math.sqrt(1 - a) * clean[i]
        ratio = a / (1 - a)
        weight = max(min(ratio, 5.0) / (ratio + 1), floor)
        total += weight * float(((output[i] - v) ** 2).mean())
    loss = denoising_loss(output, clean, noise, alpha_bar, "v", 5.0, floor)
    assert loss.dtype == torch.float32
    assert float(loss) == pytest.approx(total / 5, rel=1e-5)


def test_denoising_loss_of_eps() -> None:
    output, clean, noise, alpha_bar = (value[1:] for value in samples())
    total = 0.0
    for i, a in enumerate(alpha_bar.tolist()):
        ratio = a / (1 - a)
        total += min(ratio, 5.0) / ratio * float(((output[i] - noise[i]) ** 2).mean())
    loss = denoising_loss(output, clean, noise, alpha_bar, "eps", 5.0, 0.0)
    assert float(loss) == pytest.approx(total / 4, rel=1e-5)


def test_a_perfect_network_has_no_loss() -> None:
    _, clean, noise, alpha_bar = samples()
    a = alpha_bar[:, None, None, None]
    v = (a.sqrt() * noise - (1 - a).sqrt() * clean).float()
    assert float(denoising_loss(v, clean, noise, alpha_bar, "v", 5.0, 0.25)) < 1e-12


def test_edges_and_not_levels_count() -> None:
    picture = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert float(edge_loss(picture, picture + 0.5)) == pytest.approx(0, abs=1e-6)
    step = torch.zeros(1, 1, 4, 4)
    step[..., 2:] = 1
    assert float(edge_loss(step, torch.zeros_like(step))) == pytest.approx(4 / 12)


def test_gaussian_kl() -> None:
    assert float(gaussian_kl(torch.zeros(3), torch.zeros(3))) == 0
    mean, logvar = torch.tensor([1.5]), torch.tensor([math.log(0.25)])
    ours = float(gaussian_kl(mean, logvar))
    first, second = torch.distributions.Normal(1.5, 0.5), torch.distributions.Normal(0.0, 1.0)
    assert ours == pytest.approx(float(torch.distributions.kl_divergence(first, second)), rel=1e-6)


def test_scene_labels_leave_out_what_a_picture_cannot_tell() -> None:
    logits = {"objects": torch.zeros(2, 3), "style": torch.tensor([[2.0, 0.0], [0.0, 0.0]])}
    labels = {"objects": torch.tensor([[1.0, 0, 0], [0, 1.0, 1.0]]), "style": torch.tensor([0, -1])}
    style = -math.log(math.exp(2) / (math.exp(2) + 1))
    loss = float(scene_labels_loss(logits, labels))
    assert loss == pytest.approx(3 * math.log(2) + style, rel=1e-6)
    labels["style"] = torch.tensor([-1, -1])
    assert float(scene_labels_loss(logits, labels)) == pytest.approx(3 * math.log(2), rel=1e-6)
