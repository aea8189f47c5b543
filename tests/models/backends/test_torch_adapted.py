from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from sfumato.models.adapters.changes import TOKENS, Changes, NetworkChanges
from sfumato.models.adapters.kinds import Difference, Row
from sfumato.models.backends.torch import load_torch
from sfumato.models.backends.torch_adapted import adapted_copy, bytes_of_its_own
from sfumato.models.backends.torch_offload import KEPT_LAYERS
from sfumato.models.files import locate
from tiny_models import tiny_bundle, tiny_folder

KEY = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.weight"


def difference(key: str, shape: tuple[int, ...], number: float = 1.0) -> NetworkChanges:
    return NetworkChanges(
        {key: ((Row(key, key, "difference", Difference(np.full(shape, number, np.float32))), 1.0),)}
    )


def bits(network: nn.Module) -> dict[str, tuple[int, bytes]]:
    return {
        key: (tensor.data_ptr(), tensor.contiguous().view(torch.uint8).numpy().tobytes())
        for key, tensor in network.state_dict().items()
    }


def test_a_copy_shares_what_stays_and_the_first_keeps_every_bit():
    unet = tiny_bundle().backend.unet
    before = bits(unet)
    made = adapted_copy(unet, difference(KEY, (16, 16)))
    assert bits(unet) == before
    after = bits(made)
    assert [key for key in before if before[key] != after[key]] == [KEY]
    apart = made.state_dict()[KEY] - unet.state_dict()[KEY]
    torch.testing.assert_close(apart, torch.ones(16, 16))
    assert not any(weight.requires_grad for weight in made.parameters())
    assert made.training is False


@pytest.mark.parametrize(("storage", "size"), [("whole", 16 * 16 * 4), ("int8", 16 * 16 + 16 * 2 * 1)])
def test_only_what_differs_counts(storage: str, size: int) -> None:
    backend = load_torch(locate(tiny_folder()), "cpu", "float32", "off", "none", storage)
    assert backend.beside == 0
    made = backend.adapted(Changes("a", {"unet": difference(KEY, (16, 16))}))
    assert backend.beside == bytes_of_its_own(made.unet, backend.unet) == size
    backend.adapted(Changes("b", {}))
    assert backend.beside == 0
    backend.adapted(Changes("a", {"unet": difference(KEY, (16, 16))}))
    backend.forget()
    assert (backend.beside, backend.latest.made) == (0, None)


def test_what_is_read_for_every_use_takes_nothing() -> None:
    backend = load_torch(locate(tiny_folder()), "cpu", "float32", "off", "sequential", "whole")
    backend.adapted(Changes("a", {"unet": difference(KEY, (16, 16))}))
    assert backend.latest.made is not None
    assert backend.beside == 0


def test_weights_are_rounded_to_their_own_kind():
    layer = nn.Sequential(nn.Linear(4, 4)).to(torch.float16).requires_grad_(False)
    made = adapted_copy(layer, difference("0.weight", (4, 4), 1 / 3))
    wanted = (layer[0].weight.float() + 1 / 3).half()
    assert torch.equal(made[0].weight, wanted)


@pytest.mark.parametrize("storage", ["float8", "int8"])
def test_eight_bits_are_changed_and_packed_again(storage: str) -> None:
    """What an adapter changes takes no more memory, and the first network keeps every bit."""
    unet: Any = load_torch(locate(tiny_folder()), "cpu", "float32", "off", "none", storage).unet
    layer = unet.get_submodule(KEY.removesuffix(".weight"))
    form = layer.kept.source.load()
    before = form.data.clone(), form.scale.clone()
    made = adapted_copy(unet, difference(KEY, (16, 16)))
    changed = made.get_submodule(KEY.removesuffix(".weight")).kept.source.load()
    assert torch.equal(form.data.view(torch.uint8), before[0].view(torch.uint8))
    assert torch.equal(form.scale, before[1])
    assert layer.kept.source.load() is form
    assert (changed.data.dtype, changed.num_bytes) == (form.data.dtype, form.num_bytes)
    apart = changed.whole() - form.whole()
    assert (apart - 1).abs().max() < (0.07 if storage == "float8" else 0.01)
    others = [one for one in unet.modules() if isinstance(one, KEPT_LAYERS) and one is not layer]
    copies = [one for one in made.modules() if isinstance(one, KEPT_LAYERS)]
    assert all(any(one.kept is other.kept for other in copies) for one in others)


def test_words_are_added_to_the_table():
    encoder = tiny_bundle().backend.text_encoder
    known = encoder.get_input_embeddings().weight.shape[0]
    rows = np.random.default_rng(0).normal(size=(2, 32)).astype(np.float32)
    made = adapted_copy(encoder, NetworkChanges(words=rows))
    ids = torch.tensor([[known, known + 1, 5]])
    assert torch.equal(made.get_input_embeddings()(ids)[0, :2], torch.from_numpy(rows))
    assert encoder.get_input_embeddings().weight.shape[0] == known
    assert torch.isfinite(made(torch.tensor([[known] * 16])).last_hidden_state).all()


def test_the_end_of_a_text_is_still_found():
    """Old configurations have the end found as the largest token, and new words are larger."""
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        vocab_size=20,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=8,
        eos_token_id=2,
        bos_token_id=0,
        projection_dim=16,
    )
    torch.manual_seed(0)
    encoder = CLIPTextModelWithProjection(config).eval().requires_grad_(False)
    same = encoder.get_input_embeddings().weight[5].numpy()[None]
    made = adapted_copy(encoder, NetworkChanges(words=same))
    plain, spoken = torch.tensor([[0, 5, 7, 19, 19]]), torch.tensor([[0, 20, 7, 19, 19]])
    torch.testing.assert_close(made(spoken).text_embeds, encoder(plain).text_embeds)


def test_the_backend_keeps_what_it_made_last():
    backend = tiny_bundle().backend
    one = Changes("one", {"unet": difference(KEY, (16, 16))})
    made = backend.adapted(one)
    assert backend.adapted(one) is made
    assert made.vae is backend.vae
    assert made.text_encoder is backend.text_encoder
    assert made.unet is not backend.unet
    other = backend.adapted(Changes("other", {"text_encoder": difference("final_layer_norm.bias", (32,))}))
    assert other.unet is backend.unet
    assert backend.adapted(one) is not made


def test_tokens_have_the_name_of_today():
    assert TOKENS in tiny_bundle().backend.text_encoder.state_dict()
