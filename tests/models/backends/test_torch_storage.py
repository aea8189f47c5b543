"""Weights in eight bits: how near they are, what they take, and that they multiply exactly."""

import pytest
import torch
from torch import nn

from sfumato.models.backends.torch_storage import GROUP, Packed, packed, packs, whole

SHAPES = [(24, 128), (24, 100), (16, 64, 3, 3), (16, 5, 3, 3)]
STORAGES = ("float8", "int8")


def weight(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 0.05


def nearness(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Return how far the error lies below the weights, in decibels."""
    error = (found.double() - expected.double()).square().sum()
    return float(-10 * torch.log10(error / expected.double().square().sum()))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("storage", "least"), [("float8", 30.0), ("int8", 40.0)])
def test_weights_stay_near(storage: str, least: float, shape: tuple[int, ...]) -> None:
    before = weight(*shape)
    form = packed(before, storage, torch.float32)
    assert form.data.shape == before.shape
    assert form.data.element_size() == 1
    assert nearness(form.whole(), before) > least
    assert form.whole().dtype == torch.float32


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_widening_rounds_once(storage: str, dtype: torch.dtype) -> None:
    """In every dtype the weight is what is stored, times its factor, rounded: nothing is lost between."""
    form = packed(weight(24, 128), storage, dtype)
    assert form.scale is not None
    exact = form.data.double().view(24, form.scale.shape[1], -1) * form.scale.double()
    assert torch.equal(form.whole(), exact.view(24, 128).to(dtype))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_float8_is_exact_in_half_precision(dtype: torch.dtype) -> None:
    form = packed(weight(8, 64), "float8", dtype)
    assert torch.equal(form.whole().float(), packed(weight(8, 64), "float8", torch.float32).whole())


@pytest.mark.parametrize("storage", STORAGES)
def test_small_weights_survive_half_precision(storage: str) -> None:
    """Steps below what float16 holds well must not make the weights coarser."""
    tiny = weight(8, 64) * 1e-3
    form = packed(tiny, storage, torch.float16)
    assert nearness(form.whole(), packed(tiny, storage, torch.float32).whole()) > 45


@pytest.mark.parametrize("storage", STORAGES)
def test_channels_of_zeros_and_the_largest_numbers(storage: str) -> None:
    before = weight(4, 64)
    before[1] = 0
    before[2] = 0
    before[2, 5] = 1e30
    made = packed(before, storage, torch.float32).whole()
    assert torch.equal(made[1], before[1])
    assert made.isfinite().all()
    assert made[2, 5] == pytest.approx(1e30, rel=0.07)


def test_a_large_number_costs_only_its_own_group_in_int8() -> None:
    before = weight(4, 2 * GROUP)
    before[:, 0] = 5.0
    form = packed(before, "int8", torch.float32)
    assert form.scale is not None
    assert form.scale.shape == (4, 2, 1)
    far, near = form.whole()[:, 1:GROUP], form.whole()[:, GROUP:]
    assert nearness(near, before[:, GROUP:]) > nearness(far, before[:, 1:GROUP]) + 15


def test_a_second_time_changes_little() -> None:
    """Adapters are laid over weights that are widened and packed again."""
    for storage, least in (("float8", 200), ("int8", 44)):
        once = packed(weight(8, 128), storage, torch.float32).whole()
        again = packed(once, storage, torch.float32).whole()
        assert torch.equal(again, once) or nearness(again, once) > least


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2])
def test_what_has_eight_bits_stays_as_it_is(dtype: torch.dtype) -> None:
    stored = weight(6, 8).to(dtype)
    form = packed(stored, "float8", torch.bfloat16)
    assert form.data.data_ptr() == stored.data_ptr()
    assert form.scale is None
    assert torch.equal(form.whole(), stored.to(torch.bfloat16))
    assert packed(stored, "int8", torch.bfloat16).data.dtype == torch.int8


def test_large_weights_are_packed_piece_by_piece_as_in_one() -> None:
    """More numbers than are packed at a time, and rows that do not divide evenly."""
    before = weight(70, 64 * 1024)
    for storage in STORAGES:
        alone = packed(before[69:], storage, torch.float32).whole()
        assert torch.equal(packed(before, storage, torch.float32).whole()[69:], alone)


def test_what_is_taken_is_a_quarter() -> None:
    before = weight(64, 640)
    for storage, most in (("float8", 1.004), ("int8", 1.032)):
        form = packed(before, storage, torch.float32)
        assert form.num_bytes <= most * before.numel()


def test_the_first_and_the_last_layers_stay_whole() -> None:
    linear, kernel = nn.Linear(4, 4), nn.Conv2d(4, 4, 3)
    for name in ("down_blocks.0.attentions.0.proj_out", "mid_block.resnets.0.time_emb_proj", "0.fc1"):
        assert packs(name, linear)
    assert packs("down_blocks.0.resnets.0.conv1", kernel)
    for name in ("conv_in", "conv_out", "controlnet_cond_embedding.blocks.0"):
        assert not packs(name, kernel)
    for name in ("time_embedding.linear_1", "add_embedding.linear_2", "proj_out"):
        assert not packs(name, linear)
    assert not packs("embeddings.token_embedding", nn.Embedding(4, 4))
    assert not packs("final_layer_norm", nn.LayerNorm(4))


def test_moving_keeps_every_bit() -> None:
    form = packed(weight(8, 64), "int8", torch.bfloat16)
    moved = form.to(torch.device("cpu"))
    assert isinstance(moved, Packed)
    assert torch.equal(moved.whole(), form.whole())
    assert torch.equal(whole(moved), form.whole())
    plain = weight(2, 2)
    assert whole(plain) is plain
