"""Muon next to PyTorch's own, and AdamW for what is no matrix."""

import pytest
import torch
from torch import Tensor, nn

from sfumato.training.muon import Muon, orthogonalise


def gradients(shape: tuple[int, ...], number: int = 4) -> list[Tensor]:
    random = torch.Generator().manual_seed(1)
    return [torch.randn(shape, generator=random) for _ in range(number)]


def follow(optimizer: torch.optim.Optimizer, weight: nn.Parameter, rows: list[Tensor]) -> Tensor:
    for row in rows:
        weight.grad = row.clone()
        optimizer.step()
    return weight.detach().clone()


def begun(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.randn(shape, generator=torch.Generator().manual_seed(0)))


@pytest.mark.parametrize("shape", [(16, 16), (12, 40), (40, 12), (8, 9)])
def test_orthogonalise_brings_singular_values_near_one(shape: tuple[int, int]) -> None:
    matrix = gradients(shape, 1)[0]
    values = torch.linalg.svdvals(orthogonalise(matrix))
    assert float(values.min()) > 0.3  # a tiny one needs more iterations; most are within 0.7 to 1.2
    assert float(values.max()) < 1.25
    assert 0.7 < float(values.median()) < 1.2


def test_orthogonalise_keeps_singular_vectors() -> None:
    left, _, right = torch.linalg.svd(gradients((10, 20), 1)[0], full_matrices=False)
    result = orthogonalise(left @ torch.diag(torch.linspace(1, 2, 10)) @ right)
    inside = left.mT @ result @ right.mT
    torch.testing.assert_close(inside, torch.diag(inside.diagonal()), atol=1e-4, rtol=0)


@pytest.mark.parametrize("shape", [(16, 16), (12, 40), (40, 12)])
def test_a_matrix_moves_as_with_torch(shape: tuple[int, int]) -> None:
    rows = gradients(shape)
    ours, theirs = begun(*shape), begun(*shape)
    start = ours.detach().clone()
    settings = {"lr": 0.05, "weight_decay": 0.1}
    moved = follow(Muon([ours], betas=(0.9, 0.99), **settings), ours, rows)
    expected = follow(torch.optim.Muon([theirs], adjust_lr_fn="match_rms_adamw", **settings), theirs, rows)
    # PyTorch iterates in bfloat16, which knows three digits.
    assert float((moved - expected).norm() / (expected - start).norm()) < 0.03


def test_a_convolution_moves_as_its_matrix() -> None:
    rows = gradients((8, 4, 3, 3))
    kernel, matrix = begun(8, 4, 3, 3), nn.Parameter(begun(8, 4, 3, 3).detach().reshape(8, 36))
    settings = {"lr": 0.05, "betas": (0.9, 0.99), "weight_decay": 0.1}
    moved = follow(Muon([kernel], **settings), kernel, rows)
    expected = follow(Muon([matrix], **settings), matrix, [row.reshape(8, 36) for row in rows])
    assert torch.equal(moved.reshape(8, 36), expected)


@pytest.mark.parametrize("shape", [(16,), (4, 16), (16, 1, 1, 1), (3, 8, 3, 3)])
def test_the_rest_moves_as_with_adamw(shape: tuple[int, ...]) -> None:
    rows = gradients(shape)
    ours, theirs = begun(*shape), begun(*shape)
    settings = {"lr": 0.05, "betas": (0.9, 0.99), "weight_decay": 0.1}
    moved = follow(Muon([ours], **settings), ours, rows)
    expected = follow(torch.optim.AdamW([theirs], **settings), theirs, rows)
    torch.testing.assert_close(moved, expected, atol=2e-6, rtol=1e-5)


def test_an_embedding_table_is_no_matrix() -> None:
    rows = gradients((16, 16))
    settings = {"lr": 0.05, "betas": (0.9, 0.99), "weight_decay": 0.1}
    ours, theirs = begun(16, 16), begun(16, 16)
    moved = follow(Muon([{"params": [ours], "table": True}], **settings), ours, rows)
    expected = follow(torch.optim.AdamW([theirs], **settings), theirs, rows)
    torch.testing.assert_close(moved, expected, atol=2e-6, rtol=1e-5)


def test_weights_without_gradients_stay() -> None:
    weight = begun(8, 8)
    before = weight.detach().clone()
    Muon([weight], lr=1.0, betas=(0.9, 0.99), weight_decay=0.1).step()
    assert torch.equal(weight.detach(), before)
