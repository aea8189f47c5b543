import numpy as np
import pytest

from sfumato.errors import ModelFileError
from sfumato.models.adapters.reading import open_adapter
from sfumato.models.adapters.target import target_with
from sfumato.models.adapters.textual import keys_of, read_words
from tiny_adapters import write_adapter

TOKENS = "embeddings.token_embedding.weight"
SMALL = target_with({"unet": {"conv_in.weight": (4, 4, 3, 3)}, "text_encoder": {TOKENS: (100, 8)}})
LARGE = target_with({"text_encoder": {TOKENS: (100, 8)}, "text_encoder_2": {TOKENS: (100, 12)}})
REFINER = target_with({"text_encoder_2": {TOKENS: (100, 12)}})


def word(tmp_path, **shapes):
    tensors = {key: np.full(shape, 0.5, np.float32) for key, shape in shapes.items()}
    return open_adapter(write_adapter(tmp_path / "word.safetensors", tensors), "embedding")


@pytest.mark.parametrize(
    ("target", "shapes", "keys"),
    [
        (SMALL, {"emb_params": (3, 8)}, {"text_encoder": "emb_params"}),
        (SMALL, {"<cat-toy>": (8,)}, {"text_encoder": "<cat-toy>"}),
        (SMALL, {"emb_params": (1, 8), "notes": (1,)}, {"text_encoder": "emb_params"}),
        (
            LARGE,
            {"clip_l": (2, 8), "clip_g": (2, 12)},
            {"text_encoder": "clip_l", "text_encoder_2": "clip_g"},
        ),
        (REFINER, {"clip_l": (2, 8), "clip_g": (2, 12)}, {"text_encoder_2": "clip_g"}),
        (REFINER, {"emb_params": (2, 12)}, {"text_encoder_2": "emb_params"}),
    ],
)
def test_layouts(target, shapes, keys, tmp_path):
    file = word(tmp_path, **shapes)
    assert keys_of(file, target, "m") == keys
    words = read_words(file, target, "m")
    for network, key in keys.items():
        width = target.shapes[network][TOKENS][1]
        assert words[network].shape == (shapes[key][0] if len(shapes[key]) == 2 else 1, width)


@pytest.mark.parametrize(
    ("target", "shapes", "said"),
    [
        (SMALL, {"emb_params": (3, 9)}, "its words have 9 numbers, and text_encoder takes 8"),
        (SMALL, {"emb_params": (76, 8)}, "with shape 76x8, where 1 to 75 rows belong"),
        (SMALL, {"emb_params": (0, 8)}, "with shape 0x8"),
        (SMALL, {"emb_params": (1, 1, 8)}, "with shape 1x1x8"),
        (SMALL, {"a": (1, 8), "b": (1, 8)}, "is no embedding: it holds 2 tensors"),
        (LARGE, {"emb_params": (1, 8)}, "it has nothing for text_encoder_2"),
        (LARGE, {"clip_l": (2, 8), "clip_g": (3, 12)}, "different numbers of rows"),
    ],
)
def test_what_is_no_embedding_of_this_model_is_refused(target, shapes, said, tmp_path):
    with pytest.raises(ModelFileError) as error:
        keys_of(word(tmp_path, **shapes), target, "m")
    assert said in str(error.value)
    assert error.value.field == "embedding"


def test_numbers_that_are_not_finite_are_refused(tmp_path):
    path = write_adapter(tmp_path / "w.safetensors", {"emb_params": np.full((1, 8), np.nan, np.float32)})
    with pytest.raises(ModelFileError, match="not finite"):
        read_words(open_adapter(path, "embedding"), SMALL, "m")
