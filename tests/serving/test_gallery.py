"""The gallery: everything kept, found again, and nobody else's."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sfumato.errors import NotFoundError, OutputError
from sfumato.imaging.metadata import read_metadata
from sfumato.models.load import find_model
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.parts import TextPart
from sfumato.recipe.resolve import resolve
from sfumato.recipe.values import MAX_SEED
from sfumato.serving.gallery import Gallery
from sfumato.serving.store import Store
from tiny_models import tiny_folder, tiny_settings

PIXELS = np.full((48, 64, 3), 90, np.uint8)
ME, OTHER = "me", "other"


def run(prompt: str = "a frog", **fields: Any) -> Resolved:
    recipe = Recipe(parts=(TextPart(prompt=prompt),), **{"seed": 7, **fields})
    return resolve(recipe, find_model(str(tiny_folder()), tiny_settings()).defaults)


class Clock:
    def __init__(self) -> None:
        self.time = 1_000_000.0

    def __call__(self) -> float:
        self.time += 1
        return self.time


@pytest.fixture
def store(tmp_path: Path) -> Any:
    store = Store(tmp_path / "studio.db")
    yield store
    store.close()


@pytest.fixture
def gallery(store: Store, tmp_path: Path) -> Gallery:
    return Gallery(tmp_path / "pictures", store, Clock())


def prompts(*args: Any, **options: Any) -> list[str]:
    gallery, *rest = args
    return [one.prompt for one in gallery.search(ME, *rest, **options)]


def test_a_picture_is_kept_with_its_recipe(gallery: Gallery) -> None:
    resolved = run("a frog on a beach", seed=MAX_SEED)
    kept = gallery.add(PIXELS, resolved, "torch cpu float32", ME)
    assert kept.path == gallery.folder / "1970-01-12" / f"a-frog-on-a-beach-{MAX_SEED}.png"
    assert (kept.width, kept.height, kept.seed, kept.favourite, kept.binned) == (
        64,
        48,
        MAX_SEED,
        False,
        None,
    )
    assert gallery.resolved(kept) == resolved
    assert read_metadata(kept.path).backend == "torch cpu float32"
    assert gallery.get(kept.id, ME) == kept
    again = gallery.add(PIXELS, resolved, "torch cpu float32", ME)
    assert again.path != kept.path


def test_pictures_survive_and_belong_to_one(gallery: Gallery, store: Store) -> None:
    kept = gallery.add(PIXELS, run(), "b", ME)
    later = Gallery(gallery.folder, store)
    assert later.search(ME) == (kept,)
    assert later.search(OTHER) == ()
    with pytest.raises(NotFoundError, match="picture: there is no such picture"):
        later.get(kept.id, OTHER)
    later.bin([kept.id], OTHER)
    later.mark([kept.id], OTHER, favourite=True)
    assert later.get(kept.id, ME) == kept


def test_the_search_takes_words_models_and_favourites(gallery: Gallery) -> None:
    for prompt in ("a red Apple", "a tree", "100% wool", "an apple_tree"):
        gallery.add(PIXELS, run(prompt), "b", ME)
    assert prompts(gallery) == ["an apple_tree", "100% wool", "a tree", "a red Apple"]
    assert prompts(gallery, "apple") == ["an apple_tree", "a red Apple"]
    assert prompts(gallery, "tree apple") == ["an apple_tree"]
    assert prompts(gallery, "%") == ["100% wool"]
    assert prompts(gallery, "e_t") == ["an apple_tree"]
    assert prompts(gallery, "' OR 1=1 --") == []
    (model,) = gallery.models(ME)
    assert len(prompts(gallery, model=model)) == 4
    assert prompts(gallery, model="another") == []
    wool = gallery.search(ME, "wool")[0]
    gallery.mark([wool.id], ME, favourite=True)
    assert prompts(gallery, favourites=True) == ["100% wool"]
    assert prompts(gallery, before=wool.id) == ["a tree", "a red Apple"]
    assert prompts(gallery, limit=1) == ["an apple_tree"]


def test_the_bin_gives_back_until_it_is_emptied(gallery: Gallery) -> None:
    first, second = (gallery.add(PIXELS, run(prompt), "b", ME) for prompt in ("one", "two"))
    gallery.bin([first.id, second.id], ME)
    assert (prompts(gallery), gallery.count(ME)) == ([], 0)
    assert prompts(gallery, binned=True) == ["two", "one"]
    gallery.restore([first.id], ME)
    thumbnail = gallery.thumbnail(second)
    assert gallery.empty_bin(OTHER) == 0
    assert gallery.empty_bin(ME) == 1
    assert not second.path.exists()
    assert not thumbnail.exists()
    assert prompts(gallery) == ["one"]


def test_thumbnails_are_small_and_made_once(gallery: Gallery) -> None:
    kept = gallery.add(np.zeros((700, 350, 3), np.uint8), run(), "b", ME)
    path = gallery.thumbnail(kept)
    with Image.open(path) as image:
        assert (image.format, image.size) == ("JPEG", (160, 320))
    made = path.stat().st_mtime_ns
    assert gallery.thumbnail(kept).stat().st_mtime_ns == made


def test_pictures_the_store_forgot_are_found_and_lost_ones_are_gone(gallery: Gallery, tmp_path: Path) -> None:
    kept = gallery.add(PIXELS, run("a house"), "b", ME)
    lost = gallery.add(PIXELS, run("a ship"), "b", ME)
    lost.path.unlink()
    assert prompts(gallery) == ["a house"]
    with pytest.raises(NotFoundError):
        gallery.get(lost.id, ME)
    (kept.path.parent / "notes.png").write_bytes(b"no picture")
    Image.new("RGB", (8, 8)).save(kept.path.parent / "bare.png")
    (kept.path.parent / "link.png").symlink_to(shutil.copy(kept.path, tmp_path / "elsewhere.png"))
    fresh = Store(tmp_path / "fresh.db")
    found = Gallery(gallery.folder, fresh)
    assert (found.sweep(ME), found.sweep(ME)) == (1, 0)
    (one,) = found.search(ME)
    assert (one.prompt, one.path, one.width) == ("a house", kept.path, 64)
    fresh.close()


def test_what_cannot_be_kept_leaves_nothing(gallery: Gallery) -> None:
    blocked = gallery.folder / "1970-01-12"
    blocked.write_bytes(b"")
    with pytest.raises(OutputError):
        gallery.add(PIXELS, run(), "b", ME)
    assert gallery.search(ME) == ()
