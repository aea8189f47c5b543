"""Altered networks against diffusers' own ways to alter them, and as they are afterwards."""

from typing import Any

import pytest
import torch
from diffusers.models.attention_processor import PAGIdentitySelfAttnProcessor2_0

from sfumato.models.backends.base import NOTHING, Extra, FreeU
from sfumato.models.backends.torch import TorchBackend, load_torch
from sfumato.models.backends.torch_altered import altered, weighed
from sfumato.models.files import locate
from tiny_models import tiny_folder

FACTORS = FreeU(b1=1.3, b2=1.5, s1=0.8, s2=0.3)


@pytest.fixture
def backend() -> TorchBackend:
    return load_torch(locate(tiny_folder()), "cpu", "float32")


def call(seed: int = 0) -> tuple[torch.Tensor, float, torch.Tensor]:
    normal = torch.Generator().manual_seed(seed)
    return torch.randn(2, 4, 8, 8, generator=normal), 500.0, torch.randn(2, 16, 32, generator=normal)


def test_freeu_is_that_of_diffusers(backend: TorchBackend) -> None:
    plain = backend.predict(*call())
    ours = backend.predict(*call(), Extra(freeu=FACTORS))
    backend.unet.enable_freeu(s1=0.8, s2=0.3, b1=1.3, b2=1.5)
    theirs = backend.predict(*call())
    backend.unet.disable_freeu()
    assert torch.equal(ours, theirs)
    assert not torch.allclose(ours, plain, atol=1e-2)
    assert torch.equal(backend.predict(*call()), plain)


def test_freeu_reaches_layers_that_are_run_one_by_one(backend: TorchBackend) -> None:
    expected = backend.predict(*call(), Extra(freeu=FACTORS))
    whole, features = backend.predict_reusing(*call(), None, Extra(freeu=FACTORS))
    kept = features.clone()
    again, _ = backend.predict_reusing(*call(), features, Extra(freeu=FACTORS))
    assert torch.allclose(whole, expected, atol=1e-6)
    assert torch.allclose(again, expected, atol=1e-6)
    assert torch.equal(features, kept)


def test_factors_of_one_change_next_to_nothing(backend: TorchBackend) -> None:
    ones = FreeU(b1=1.0, b2=1.0, s1=1.0, s2=1.0)
    assert torch.allclose(backend.predict(*call(), Extra(freeu=ones)), backend.predict(*call()), atol=1e-5)


def test_the_perturbed_middle_is_that_of_diffusers(backend: TorchBackend) -> None:
    ours = backend.predict(*call(), Extra(perturbed=True))
    parts: Any = backend.unet
    layer = parts.mid_block.attentions[0].transformer_blocks[0].attn1
    layer.set_processor(PAGIdentitySelfAttnProcessor2_0())
    x, t, context = call()
    # diffusers perturbs the second half of a batch.
    theirs = backend.predict(torch.cat([x, x]), t, torch.cat([context, context]))[2:]
    assert torch.allclose(ours, theirs, atol=1e-5)


def test_networks_are_afterwards_as_they_were(backend: TorchBackend) -> None:
    plain, before = backend.predict(*call()), dict(backend.unet.attn_processors)

    def fail() -> None:
        with altered(backend.unet, Extra(perturbed=True, freeu=FACTORS)):
            assert backend.unet.attn_processors != before
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert backend.unet.attn_processors == before
    assert torch.equal(backend.predict(*call()), plain)


def test_nothing_is_changed_unasked(backend: TorchBackend) -> None:
    before = dict(backend.unet.attn_processors)
    with altered(backend.unet, NOTHING):
        assert backend.unet.attn_processors == before
    block: Any = backend.unet.up_blocks[0]
    h, skip = torch.ones(1, 2, 2, 2), torch.ones(1, 2, 2, 2)
    assert weighed(block, h, skip) == (h, skip)


def test_the_last_layers_of_the_text_encoder_are_left_out(backend: TorchBackend) -> None:
    ids = torch.randint(0, 500, (1, 16), generator=torch.Generator().manual_seed(0)).numpy()
    assert torch.equal(backend.encode_text(ids, 0), backend.encode_text(ids))
    earlier = backend.encode_text(ids, 1)
    assert not torch.allclose(earlier, backend.encode_text(ids), atol=1e-2)
    # Normalised as the last ones are.
    parts: Any = backend.text_encoder
    parts = parts.text_model if hasattr(parts, "text_model") else parts
    states = parts.embeddings(input_ids=torch.tensor(ids))
    assert torch.allclose(backend.encode_text(ids, 2), parts.final_layer_norm(states), atol=1e-5)
