import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from sfumato.errors import RecipeError
from sfumato.models.digests import digests_of
from sfumato.models.library import Entry, find_any, list_library
from sfumato.settings import Settings
from sparse_models import LORA, SD1_TEXT, original_shapes, structure, write_sparse
from tiny_models import tiny_folder


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings with a folder of models as ComfyUI has it."""
    root = tmp_path / "ComfyUI" / "models"
    shapes = {**original_shapes(structure("ssd-1b")), **SD1_TEXT}
    write_sparse(root / "checkpoints" / "sd15.safetensors", shapes)
    notes = {"ss_tag_frequency": json.dumps({"a": {"sks frog": 9}}), "modelspec.license": "CC0-1.0"}
    write_sparse(root / "loras" / "ink.safetensors", LORA, notes)
    write_sparse(root / "loras" / "not-a-lora.safetensors", {"emb_params": (1, 768)})
    (root / "embeddings").mkdir()
    (root / "embeddings" / "easy.pt").write_bytes(b"\x80\x04}.")
    (root / "vae").mkdir()
    (root / "vae" / "page.safetensors").write_bytes(b"<html>")
    return Settings(data_dir=tmp_path / "data", model_dirs=(root,))


def listed(settings: Settings) -> dict[str, Entry]:
    return {entry.name: entry for entry in list_library(settings)}


def test_kind_and_family_come_from_the_header_whatever_file_and_folder_are_called(settings: Settings) -> None:
    there = listed(settings)
    assert next(iter(there)) == "bundled"
    assert {name: (one.kind, one.facts.family if one.facts else None) for name, one in there.items()} == {
        "bundled": ("diffusers folder", "sfumato"),
        "sd15": ("checkpoint", "ssd-1b"),
        "ink": ("LoRA", "sd1"),
        "not-a-lora": ("embedding", "sd1"),
        "easy": ("embedding", None),
        "page": ("VAE", None),
    }


def test_what_cannot_be_used_is_listed_with_the_reason(settings: Settings) -> None:
    there = listed(settings)
    assert (there["easy"].problem or "").startswith("is a pickle")
    assert "is a web page, not the model" in (there["page"].problem or "")
    assert there["page"].num_bytes == 6


def test_notes_and_sizes_are_there(settings: Settings) -> None:
    there = listed(settings)
    ink = there["ink"].facts
    assert ink is not None
    assert (ink.notes.words, ink.notes.licence) == ((("sks frog", 9),), "CC0-1.0")
    assert there["sd15"].num_bytes > 2_600_000_000


def test_a_hash_is_shown_once_it_is_known(settings: Settings) -> None:
    ink = listed(settings)["ink"]
    assert ink.digest is None
    digests = digests_of(ink.path, settings)
    assert listed(settings)["ink"].digest == digests.auto_v3
    page = listed(settings)["not-a-lora"].path
    assert digests_of(page, settings).auto_v2 == listed(settings)["not-a-lora"].digest


def test_anything_is_found_by_name_or_path(settings: Settings, tmp_path: Path) -> None:
    root = settings.model_dirs[0]
    assert find_any("ink", settings) == root / "loras" / "ink.safetensors"
    assert find_any(str(root / "vae" / "page.safetensors"), settings) == root / "vae" / "page.safetensors"
    shutil.copytree(tiny_folder(), tmp_path / "tiny")
    assert find_any(str(tmp_path / "tiny"), settings) == tmp_path / "tiny"
    save_file({"a": np.zeros(1)}, tmp_path / "a.safetensors")
    for name in ("inc", "x" * 300, "a\0b", "easy"):
        with pytest.raises(RecipeError):
            find_any(name, settings)
