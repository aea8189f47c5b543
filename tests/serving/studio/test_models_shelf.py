"""The library as the page knows it."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from sfumato.errors import NotFoundError
from sfumato.models.digests import digests_of
from sfumato.serving.studio.models_shelf import OTHER, Shelf
from sfumato.settings import Settings
from tiny_adapters import kohya_lora, write_adapter
from tiny_models import tiny_folder


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    root = tmp_path / "models"
    (root / "checkpoints").mkdir(parents=True)
    shutil.copytree(tiny_folder(), root / "checkpoints" / "tiny")
    notes = {"modelspec.license": "CC0-1.0", "ss_tag_frequency": '{"a": {"ink style": 12}}'}
    write_adapter(root / "loras" / "ink.safetensors", kohya_lora(seed=1), metadata=notes)
    (root / "embeddings").mkdir()
    (root / "embeddings" / "ink.pt").write_bytes(b"\x80\x04}.")
    return Settings(data_dir=tmp_path / "data", model_dirs=(root,), device="cpu")


def names(shelf: Shelf, words: str = "", kind: str = "") -> list[str]:
    return [one.entry.name for one in shelf.search(words, kind)]


def test_nothing_is_known_before_the_first_look(settings: Settings) -> None:
    shelf = Shelf(settings)
    assert shelf.items == ()
    shelf.look()
    assert names(shelf) == ["bundled", "tiny", "ink", "ink"]


def test_it_is_searched_by_words_and_kind(settings: Settings) -> None:
    shelf = Shelf(settings)
    shelf.look()
    assert names(shelf, "cc0 INK") == ["ink"]
    assert names(shelf, "style lora") == ["ink"]
    assert names(shelf, "", "LoRA") == ["ink"]
    assert names(shelf, "tiny", "LoRA") == []
    assert names(shelf, "", OTHER) == []


def test_keys_tell_things_of_one_name_apart_and_no_paths(settings: Settings) -> None:
    shelf = Shelf(settings)
    inks = [one for one in shelf.look() if one.entry.name == "ink"]
    assert len({one.key for one in inks}) == 2
    assert shelf.get(inks[1].key).entry.path.suffix == ".pt"
    for wrong in ("", "ink", str(inks[0].entry.path), "../ink"):
        with pytest.raises(NotFoundError):
            shelf.get(wrong)


def test_a_problem_names_no_folder_of_this_machine(settings: Settings) -> None:
    (settings.model_dirs[0] / "checkpoints" / "torn.safetensors").write_bytes(b"\xff" * 64)
    (settings.model_dirs[0] / "checkpoints" / "tiny" / "unet" / "config.json").unlink()
    shelf = Shelf(settings)
    problems = {one.entry.name: one.problem for one in shelf.look() if one.problem is not None}
    assert problems.keys() == {"torn", "tiny", "ink"}
    assert "torn.safetensors" in (problems["torn"] or "")
    assert "config.json" in (problems["tiny"] or "")
    assert not any(str(settings.model_dirs[0].parent) in (one or "") for one in problems.values())
    assert not any(one.draws for one in shelf.items if one.problem is not None)


def test_hashes_are_there_when_they_are_known(settings: Settings) -> None:
    shelf = Shelf(settings)
    (ink, _) = [one for one in shelf.look() if one.entry.name == "ink"]
    assert ink.entry.digest is None
    assert shelf.with_hashes() == shelf.look()
    digests = digests_of(ink.entry.path, settings)
    shelf.with_hashes()
    assert shelf.get(ink.key).entry.digest == digests.auto_v3


def test_folders_that_are_gone_are_named(settings: Settings, tmp_path: Path) -> None:
    away = tmp_path / "disk"
    shelf = Shelf(replace(settings, model_dirs=(away, *settings.model_dirs)))
    assert shelf.missing == (away,)
    key = next(one.key for one in shelf.look() if one.entry.name == "tiny")
    os.rename(settings.model_dirs[0], tmp_path / "elsewhere")
    assert shelf.missing == (away, *settings.model_dirs)
    with pytest.raises(NotFoundError):
        shelf.get(key)
    shelf.look()
    assert names(shelf) == ["bundled"]
