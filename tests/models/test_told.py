"""What a UNet is told, read off configurations, and folders with two text encoders."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from family_models import family_folder
from sfumato.errors import ModelFileError
from sfumato.models.files import locate
from sfumato.models.told import told
from sfumato.recipe.micro import Told


def changed(home: Path, family: str, name: str, **changes: Any) -> Path:
    """A copy of a family's folder with a file changed; None takes a key out."""
    folder = Path(shutil.copytree(family_folder(family), home / "changed"))
    data: dict[str, Any] = {**json.loads((folder / name).read_text()), **changes}
    (folder / name).write_text(json.dumps(data))
    return folder


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        ("small-sd", Told()),
        ("vega", Told(sizes=True)),
        ("sdxl-refiner", Told(sizes=True, score=True)),
        ("lcm-sd", Told(guidance=True)),
        ("lcm-ssd-1b", Told(sizes=True, guidance=True)),
    ],
)
def test_it_follows_from_the_configuration(family: str, expected: Told) -> None:
    assert told(locate(family_folder(family))) == expected


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("unet/config.json", {"addition_embed_type": "image"}, "asks for more than a text"),
        ("unet/config.json", {"addition_time_embed_dim": None}, "no usable addition_time_embed_dim"),
        (
            "unet/config.json",
            {"projection_class_embeddings_input_dim": 90},
            "it takes 90 numbers, not 40",
        ),
        ("unet/config.json", {"time_cond_proj_dim": 2.5}, "no usable time_cond_proj_dim"),
        ("text_encoder_2/config.json", {"projection_dim": 56}, "disagrees with text_encoder_2/config.json"),
    ],
)
def test_parts_that_disagree_are_one_line(
    tmp_path: Path, name: str, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(ModelFileError, match=said) as caught:
        told(locate(changed(tmp_path, "vega", name, **changes)))
    assert "\n" not in str(caught.value)


def test_a_second_text_encoder_must_project(tmp_path: Path) -> None:
    kinds = {"text_encoder_2": ["transformers", "CLIPTextModel"]}
    with pytest.raises(ModelFileError, match="CLIPTextModelWithProjection as its text_encoder_2"):
        locate(changed(tmp_path, "vega", "model_index.json", **kinds))


def test_the_digest_covers_the_second_encoder(tmp_path: Path) -> None:
    before = locate(family_folder("vega")).digest()
    folder = changed(tmp_path, "vega", "text_encoder_2/config.json", note="changed")
    assert locate(folder).digest() != before
    refiner = locate(family_folder("sdxl-refiner"))
    assert (refiner.text_encoder.name, refiner.text_encoder_2) == ("text_encoder_2", None)


def test_padding_follows_the_map_of_special_tokens(tmp_path: Path) -> None:
    """As transformers does; Stable Diffusion 2 was published with two different ones."""
    before = locate(family_folder("small-sd"))
    assert before.token_maps == ()
    folder = changed(tmp_path, "small-sd", "tokenizer/special_tokens_map.json", pad_token={"content": "!"})
    files = locate(folder)
    assert files.tokenizer["pad_token"] == {"content": "!"}
    assert files.token_maps == (folder / "tokenizer" / "special_tokens_map.json",)
    assert files.digest() != before.digest()
