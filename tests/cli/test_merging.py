from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from sfumato.cli.merging import MAX_RECIPE_BYTES, recipe_in
from sfumato.errors import RecipeError
from sfumato.models.merging import NOTE

TEXT = 'weight = 0.25\n[a]\nname = "a.safetensors"\n[b]\nname = "b.safetensors"\n'


def test_a_recipe_is_read_from_toml_and_from_a_merged_model(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text(TEXT)
    recipe = recipe_in(tmp_path / "r.toml")
    assert recipe.weight == 0.25
    path = tmp_path / "m.SAFETENSORS"
    save_file({"x": np.zeros(1, np.float32)}, path, {NOTE: recipe.model_dump_json()})
    assert recipe_in(path) == recipe


@pytest.mark.parametrize("text", [b"\xff\xfe", b"weight = 1", b"[[", b"x" * (MAX_RECIPE_BYTES + 1)])
def test_what_is_no_recipe_is_refused(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "r.toml").write_bytes(text)
    with pytest.raises(RecipeError):
        recipe_in(tmp_path / "r.toml")


def test_damaged_metadata_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_file({"x": np.zeros(1, np.float32)}, path, {NOTE: "{"})
    with pytest.raises(RecipeError):
        recipe_in(path)
