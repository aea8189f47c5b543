"""Text encoders with and without a projection, beside transformers' own classes."""

import numpy as np
import torch
from transformers import CLIPTextModel, CLIPTextModelWithProjection

from family_models import family_bundle, family_folder
from sfumato.models.backends.torch import TorchBackend

IDS = np.random.default_rng(0).integers(0, 500, (3, 16))


def backend(family: str = "vega") -> TorchBackend:
    found = family_bundle(family).backend
    assert isinstance(found, TorchBackend)
    return found


def test_each_encoder_is_read_before_its_last_layer() -> None:
    for number, (kind, name) in enumerate(
        ((CLIPTextModel, "text_encoder"), (CLIPTextModelWithProjection, "text_encoder_2"))
    ):
        theirs = kind.from_pretrained(family_folder("vega") / name)
        with torch.no_grad():
            out = theirs(torch.tensor(IDS), output_hidden_states=True)
        for skipped in (0, 1, 2):
            hidden, pooled = backend().encode_pooled(IDS, number, skipped)
            assert torch.allclose(hidden, out.hidden_states[-2 - skipped], atol=1e-5)
            assert (pooled is None) is (number == 0)
            if pooled is not None:
                assert torch.allclose(pooled, out.text_embeds, atol=1e-5)


def test_the_refiner_s_only_encoder_is_the_first_and_projects() -> None:
    refiner = backend("sdxl-refiner")
    assert isinstance(refiner.text_encoder, CLIPTextModelWithProjection)
    assert refiner.text_encoder_2 is None
    hidden, pooled = refiner.encode_pooled(IDS)
    assert hidden.shape == (3, 16, 48)
    assert pooled is not None
    assert pooled.shape == (3, 40)
