"""Text encoders read from their shapes."""

from pathlib import Path

import pytest
import torch
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from sfumato.errors import ModelFileError
from sfumato.models.original.parts import Shape, Source
from sfumato.models.original.text import TextStructure, clip_text, open_clip_text
from sfumato.models.safetensors_header import Header
from sfumato.models.stored import Rows
from tiny_families import open_clip, transformers

PREFIX = "cond_stage_model.model."
Changes = dict[str, Shape | None]


def source(
    layers: int,
    width: int,
    *,
    packed: bool,
    projecting: bool = False,
    changes: dict[str, Shape | None] | None = None,
) -> Source:
    """Return an encoder of published proportions, with some shapes changed."""
    config = CLIPTextConfig(
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=width // 64,
        projection_dim=width,
    )
    with torch.device("meta"):
        state = (CLIPTextModelWithProjection if projecting else CLIPTextModel)(config).state_dict()
        found = open_clip(state, "") if packed else transformers(state, "")
    shapes = {key: tuple(one.shape) for key, one in found.items()}
    shapes = {key: shape for key, shape in {**shapes, **(changes or {})}.items() if shape is not None}
    return Source(Path("x.safetensors"), PREFIX, shapes, Header({}, {}, 0, 0))


def test_the_encoder_of_stable_diffusion_1() -> None:
    found = source(12, 768, packed=False)
    structure, stored = clip_text(found)
    assert structure == TextStructure(768, 12, 3072, 49408, 77, None, packed=False)
    assert structure.config("CLIPTextModel")["num_attention_heads"] == 12
    assert structure.config("CLIPTextModel")["hidden_act"] == "quick_gelu"
    assert len(stored) == 196
    assert all(one.change is None for one in stored.values())


def test_the_last_layer_of_stable_diffusion_2_is_left_out() -> None:
    structure, stored = open_clip_text(source(23, 1024, packed=True), projecting=False)
    assert structure == TextStructure(1024, 23, 4096, 49408, 77, None, packed=True)
    assert structure.config("CLIPTextModel", 512)["projection_dim"] == 512
    assert structure.config("CLIPTextModel")["hidden_act"] == "gelu"
    assert not [name for name in stored if ".23." in name or "projection" in name]
    assert stored["encoder.layers.3.self_attn.v_proj.weight"].change == Rows(2048, 3072)


def test_the_second_encoder_of_xl_projects() -> None:
    structure, stored = open_clip_text(source(32, 1280, packed=True, projecting=True), projecting=True)
    assert structure == TextStructure(1280, 32, 5120, 49408, 77, 1280, packed=True)
    assert stored["text_projection.weight"].change == "transposed"
    assert stored["text_projection.weight"].key == f"{PREFIX}text_projection"


def test_a_projection_may_be_a_linear_layer() -> None:
    changes: Changes = {"text_projection": None, "text_projection.weight": (64, 128)}
    found = source(2, 128, packed=True, projecting=True, changes=changes)
    structure, stored = open_clip_text(found, projecting=True)
    assert structure.projected == 64
    assert stored["text_projection.weight"].change is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"token_embedding.weight": None}, r"it has no cond_stage_model\.model\.token_embedding\.weight"),
        ({"transformer.resblocks.1.attn.in_proj_weight": (256, 128)}, "has 256 rows, not 384"),
        ({"transformer.resblocks.1.attn.in_proj_bias": None}, "it has no .*in_proj_bias"),
        ({"positional_embedding": (77,)}, "positional_embedding is 77"),
        ({"text_projection": (64, 128)}, "text_projection is 64x128"),
        ({"token_embedding.weight": (49408, 100)}, "rows, not 300"),
    ],
)
def test_what_contradicts_itself_is_refused(changes: Changes, words: str) -> None:
    found = source(2, 128, packed=True, projecting=True, changes=changes)
    with pytest.raises(ModelFileError, match=words):
        open_clip_text(found, projecting=True)


def test_a_width_without_whole_heads_is_refused() -> None:
    changes: Changes = {"text_model.embeddings.token_embedding.weight": (49408, 100)}
    with pytest.raises(ModelFileError, match="is 100 wide, which is no multiple of 64"):
        clip_text(source(2, 128, packed=False, changes=changes))
    changes = {"text_model.embeddings.token_embedding.weight": None}
    with pytest.raises(ModelFileError, match=r"no embeddings\.token_embedding\.weight"):
        clip_text(source(2, 128, packed=False, changes=changes))
