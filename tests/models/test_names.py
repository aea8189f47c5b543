"""Old names of tensors."""

import pytest

from sfumato.models.names import current_name


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("text_model.encoder.layers.0.mlp.fc1.weight", "encoder.layers.0.mlp.fc1.weight"),
        ("encoder.mid_block.attentions.0.query.bias", "encoder.mid_block.attentions.0.to_q.bias"),
        ("decoder.mid_block.attentions.0.proj_attn.weight", "decoder.mid_block.attentions.0.to_out.0.weight"),
        ("encoder.layers.0.self_attn.q_proj.weight", "encoder.layers.0.self_attn.q_proj.weight"),
    ],
)
def test_names_become_those_of_today(old: str, new: str) -> None:
    assert current_name(old) == new
    assert current_name(new) == new
