"""Watching the attention changes nothing, and what it sees is the layers' own softmax."""

from typing import Any

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel
from torch.nn import functional

from sfumato.models.backends.torch_attention import ALL, UP, cross_layers, grid_of, recording
from tiny_models import tiny_bundle

SIZE = (8, 12)


def interrupted(unet: UNet2DConditionModel) -> None:
    called(unet)
    raise ZeroDivisionError


def unet_of_sd() -> UNet2DConditionModel:
    return tiny_bundle().backend.unet  # type: ignore[attr-defined]


def unet_of_sdxl() -> UNet2DConditionModel:
    heads: Any = (2, 4)  # one for each block, as diffusers takes but does not type
    layers: Any = (1, 2)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return UNet2DConditionModel(
            sample_size=8,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            block_out_channels=(16, 32),
            layers_per_block=1,
            norm_num_groups=8,
            cross_attention_dim=32,
            attention_head_dim=heads,
            use_linear_projection=True,
            transformer_layers_per_block=layers,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=16 + 6 * 8,
        ).eval()


def called(unet: UNet2DConditionModel, rows: int = 2, size: tuple[int, int] = SIZE) -> torch.Tensor:
    rng = torch.Generator().manual_seed(1)
    x = torch.randn(rows, 4, *size, generator=rng)
    context = torch.randn(rows, 5, 32, generator=rng)
    added = {"text_embeds": torch.zeros(rows, 16), "time_ids": torch.zeros(rows, 6)}
    with torch.no_grad():
        return unet(x, 500, encoder_hidden_states=context, added_cond_kwargs=added, return_dict=False)[0]


@pytest.mark.parametrize("make", [unet_of_sd, unet_of_sdxl])
def test_the_output_and_the_layers_are_as_they_were(make: Any) -> None:
    unet = make()
    before, processors = called(unet), dict(unet.attn_processors)
    with recording(unet, SIZE, ALL) as heat:
        assert torch.equal(called(unet), before)
    assert heat.total() is not None
    assert all(unet.attn_processors[name] is one for name, one in processors.items())
    assert torch.equal(called(unet), before)


def test_the_layers_are_restored_after_an_error_and_a_compiled_unet_stays_compiled() -> None:
    unet = unet_of_sdxl()
    processors = dict(unet.attn_processors)

    def compiled(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("compiled code sees no processors that are put there later")

    unet._compiled_call_impl = compiled  # type: ignore[assignment]
    with pytest.raises(ZeroDivisionError), recording(unet, SIZE):
        interrupted(unet)
    assert unet._compiled_call_impl is compiled
    assert unet.attn_processors == processors


@pytest.mark.parametrize(("blocks", "count"), [(UP, 4), (ALL, 8), (("mid_block",), 2)])
def test_every_layer_gives_each_place_one(blocks: tuple[str, ...], count: int) -> None:
    unet = unet_of_sdxl()
    assert len(cross_layers(unet, blocks)) == count
    with recording(unet, SIZE, blocks) as heat:
        called(unet)
    total = heat.total()
    assert total is not None
    assert (total.shape, total.dtype) == ((2, 5, *SIZE), np.float32)
    assert total.min() > 0
    np.testing.assert_allclose(total.sum(axis=1), count, rtol=1e-5)


def test_maps_are_the_softmax_whose_product_with_the_values_is_the_output() -> None:
    unet = unet_of_sdxl()
    (layer,) = cross_layers(unet, ("mid_block",))[:1]
    kept: list[Any] = []
    hook = layer.register_forward_hook(
        lambda _, args, kwargs, out: kept.append((args[0], kwargs["encoder_hidden_states"], out)),
        with_kwargs=True,
    )
    with recording(unet, SIZE, ("mid_block",)):
        called(unet)
    hook.remove()
    hidden, context, output = kept[0]
    with torch.no_grad():
        heads = layer.heads
        query, key, value = (
            project(one).unflatten(-1, (heads, -1)).transpose(1, 2)
            for project, one in ((layer.to_q, hidden), (layer.to_k, context), (layer.to_v, context))
        )
        shares = torch.softmax(query @ key.mT * query.shape[-1] ** -0.5, dim=-1)
        again = layer.to_out[0]((shares @ value).transpose(1, 2).flatten(2))
        assert (again - output).abs().max() < 1e-5
        with recording(unet, (4, 6), ("mid_block",)) as heat:
            layer(hidden, encoder_hidden_states=context)
    total = heat.total()
    assert total is not None
    expected = shares.mean(dim=1).transpose(1, 2).unflatten(2, (4, 6))
    np.testing.assert_allclose(total, expected.numpy(), atol=1e-6)


def test_rows_of_several_calls_stand_in_order_and_steps_of_one_call_add_up() -> None:
    unet = unet_of_sdxl()
    with recording(unet, SIZE) as heat:
        called(unet, 2)
        called(unet, 1)
    total = heat.total()
    with recording(unet, SIZE) as alone:
        called(unet, 1)
    last = alone.total()
    assert total is not None
    assert last is not None
    assert total.shape[0] == 3
    assert len(heat.chunks) == 2
    np.testing.assert_array_equal(total[2], last[0])


def test_deeper_maps_are_enlarged() -> None:
    unet = unet_of_sdxl()
    with recording(unet, (9, 7)) as heat:
        called(unet, 1, (9, 7))
    total = heat.total()
    assert total is not None
    layers = cross_layers(unet)
    with recording(unet, (5, 4)) as coarse:
        assert len(layers) == 4
        called_coarse = torch.zeros(1, 20, 32)
        with torch.no_grad():
            layers[0](called_coarse, encoder_hidden_states=torch.zeros(1, 5, 32))
    small = coarse.total()
    assert small is not None
    assert small.shape == (1, 5, 5, 4)
    # Where nothing differs, all tokens share alike; and enlarging keeps what a constant is.
    np.testing.assert_allclose(small, 0.2, rtol=1e-6)
    large = functional.interpolate(torch.tensor(small), size=(9, 7), mode="bilinear")
    np.testing.assert_allclose(large, 0.2, rtol=1e-6)
    assert total.shape == (1, 5, 9, 7)


def test_nothing_called_is_nothing_seen() -> None:
    with recording(unet_of_sdxl(), SIZE) as heat:
        pass
    assert heat.total() is None


@pytest.mark.parametrize(
    ("places", "size", "expected"),
    [(96, (8, 12), (8, 12)), (24, (8, 12), (4, 6)), (25, (9, 9), (5, 5)), (9, (9, 9), (3, 3))],
)
def test_a_level_is_known_by_its_places(
    places: int, size: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert grid_of(places, size) == expected


@pytest.mark.parametrize("places", [0, 7, 97])
def test_a_level_that_cannot_be_is_refused(places: int) -> None:
    with pytest.raises(ValueError, match="no level"):
        grid_of(places, (8, 12))
