"""The gallery: everything kept, found again, and nobody else's."""

import shutil
import sqlite3
from collections.abc import Sequence
from itertools import product
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
from sfumato.serving.gallery import ORDERS, Gallery
from sfumato.serving.store import MIGRATIONS, Store
from sfumato.serving.timing import Took
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


def test_one_whose_file_is_gone_is_told_from_one_that_never_was(gallery: Gallery) -> None:
    kept = gallery.add(PIXELS, run(), "b", ME)
    kept.path.unlink()
    for look in (
        lambda: gallery.get(kept.id, ME),
        lambda: gallery.metadata(kept),
        lambda: gallery.pixels(kept),
    ):
        with pytest.raises(NotFoundError, match=r"^picture: is no longer there \(got 'a-frog-7.png'\)"):
            look()
    for number, owner in ((kept.id, OTHER), (kept.id + 1, ME)):
        with pytest.raises(NotFoundError, match="there is no such picture"):
            gallery.get(number, owner)


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
    assert prompts(gallery, after=wool.place) == ["a tree", "a red Apple"]
    assert prompts(gallery, limit=1) == ["an apple_tree"]


@pytest.mark.parametrize("words", ["", "a"])
def test_every_order_goes_through_all_pictures_page_by_page(gallery: Gallery, words: str) -> None:
    made = [gallery.add(PIXELS, run(f"a {number}"), "b", ME).id for number in range(7)]
    gallery.mark([made[1], made[4]], ME, favourite=True)
    gallery.bin([made[2]], ME)
    wanted = {
        "newest": [6, 5, 4, 3, 1, 0],
        "oldest": [0, 1, 3, 4, 5, 6],
        "favourites": [4, 1, 6, 5, 3, 0],
    }
    assert set(wanted) == set(ORDERS)
    for order in ORDERS:
        for limit in (1, 2, 4, 6, 100):
            found, after = [], None
            while page := gallery.search(ME, words, order=order, after=after, limit=limit):
                found += [made.index(one.id) for one in page]
                after = page[-1].place
            assert found == wanted[order]
    favourites = gallery.search(ME, words, favourites=True, order="favourites")
    assert [made.index(one.id) for one in favourites] == [4, 1]
    assert gallery.count(ME, words) == 6
    assert gallery.count(ME, words, favourites=True) == 2
    assert gallery.count(ME, words, binned=True) == 1
    assert gallery.count(ME, words, model="another") == 0


def test_lists_are_read_along_an_index(
    gallery: Gallery, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = gallery.add(PIXELS, run(), "b", ME)
    plans: list[str] = []
    read = store.read

    def explained(query: str, values: Sequence[Any] = ()) -> list[Any]:
        plans.extend(row["detail"] for row in read(f"EXPLAIN QUERY PLAN {query}", values))
        return read(query, values)

    monkeypatch.setattr(store, "read", explained)
    for order, after, model, favourites, binned in product(
        ORDERS, (None, kept.place), (None, "tiny"), (False, True), (False, True)
    ):
        only: dict[str, Any] = {"model": model, "favourites": favourites, "binned": binned}
        gallery.search(ME, order=order, after=after, **only)
        gallery.count(ME, **only)
    assert len(plans) >= 96
    assert [one for one in plans if not one.startswith("SEARCH pictures USING")] == []


def test_several_are_asked_for_at_once_each_once_and_nobody_elses(gallery: Gallery) -> None:
    first, second = (gallery.add(PIXELS, run(prompt), "b", ME) for prompt in ("one", "two"))
    yours = gallery.add(PIXELS, run(), "b", OTHER)
    many = [second.id, *range(1000, 2000), yours.id, first.id, second.id]
    assert gallery.get_all(many, ME) == (second, first)
    first.path.unlink()
    assert gallery.get_all(many, ME) == (second,)


def test_what_a_picture_took_is_remembered_where_it_was_measured(gallery: Gallery) -> None:
    kept = gallery.add(PIXELS, run(), "b", ME, took=Took(2.5, 4))
    assert gallery.get(kept.id, ME).took == Took(2.5, 4)
    assert gallery.add(PIXELS, run(), "b", ME).took is None
    kept.path.rename(kept.path.with_name("moved.png"))
    gallery.sweep(ME)
    assert gallery.search(ME)[0].took is None  # the file does not say: the same recipe is the same bytes


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


def test_what_is_taken_out_of_the_bin_while_it_is_emptied_stays(gallery: Gallery) -> None:
    kept = gallery.add(PIXELS, run(), "b", ME)
    gallery.bin([kept.id], ME)
    (found,) = gallery.search(ME, binned=True)
    assert not gallery._remove(found, OTHER)
    gallery.restore([kept.id], ME)
    assert not gallery._remove(found, ME)
    assert kept.path.is_file()
    assert gallery.get(kept.id, ME).binned is None


@pytest.mark.parametrize("which", ["picture", "thumbnail"])
def test_a_picture_that_cannot_be_removed_is_in_the_bin_as_it_was(gallery: Gallery, which: str) -> None:
    older, kept, newer = (gallery.add(PIXELS, run(), "b", ME) for _ in range(3))
    gallery.bin([older.id, kept.id, newer.id], ME)
    stays = kept.path if which == "picture" else gallery.thumbnail(kept)
    data, aside = stays.read_bytes(), stays.with_suffix(".aside")
    stays.rename(aside)
    (stays / "folder").mkdir(parents=True)  # what nobody can remove as a file
    with pytest.raises(OutputError, match="cannot be removed") as caught:
        gallery._remove(kept, ME)
    assert caught.value.value == kept.path.name  # no folder of this machine
    if which == "thumbnail":  # a picture that is no file is not looked for
        with pytest.raises(OutputError, match="cannot be removed"):
            gallery.empty_bin(ME)
        assert not older.path.exists()
        assert not newer.path.exists()
    (stays / "folder").rmdir()
    stays.rmdir()
    aside.rename(stays)
    assert kept.id in {one.id for one in gallery.search(ME, binned=True)}
    assert stays.read_bytes() == data
    assert gallery.thumbnail(kept).is_file()
    assert gallery.empty_bin(ME) == (1 if which == "thumbnail" else 3)
    assert not kept.path.exists()


def test_what_was_removed_from_the_folder_is_forgotten_with_the_bin(gallery: Gallery) -> None:
    gone, lost, theirs = (gallery.add(PIXELS, run(), "b", owner) for owner in (ME, ME, OTHER))
    gallery.bin([gone.id], ME)
    gallery.bin([theirs.id], OTHER)
    for one in (gone, lost, theirs):
        one.path.unlink()
    assert gallery.count(ME, binned=True) == 1
    assert gallery.empty_bin(ME) == 0
    assert gallery.count(ME, binned=True) == 0
    assert (gallery.count(ME), gallery.count(OTHER, binned=True)) == (1, 1)  # nobody looked


@pytest.mark.parametrize("what", ["picture", "day"])
@pytest.mark.parametrize("how", ["the search", "emptying the bin", "opening"])
def test_nothing_is_left_of_what_was_removed_from_the_folder(gallery: Gallery, what: str, how: str) -> None:
    kept, other = (gallery.add(PIXELS, run(prompt), "b", ME) for prompt in ("a frog", "an owl"))
    thumbnails = [gallery.thumbnail(one) for one in (kept, other)]
    gallery.bin([kept.id, other.id] if how == "emptying the bin" else [], ME)
    if what == "day":
        shutil.rmtree(kept.path.parent)
    else:
        kept.path.unlink()
    match how:
        case "the search":
            gallery.search(ME)
        case "opening":
            gallery.sweep(ME)
        case _:
            gallery.empty_bin(ME)
    left = 0 if what == "day" or how == "emptying the bin" else 1
    assert gallery.count(ME) + gallery.count(ME, binned=True) == left
    assert [one.exists() for one in thumbnails] == [False, bool(left)]


def test_a_folder_that_is_out_of_reach_loses_nothing(gallery: Gallery) -> None:
    first, second = (gallery.add(PIXELS, run(prompt), "b", ME) for prompt in ("a frog", "an owl"))
    gallery.mark([first.id], ME, favourite=True)
    gallery.bin([second.id], ME)
    disk = gallery.folder.with_name("unplugged")
    for empty in (False, True):  # the place at which a disk is mounted is an empty folder without it
        gallery.folder.rename(disk)
        if empty:
            gallery.folder.mkdir()
        assert gallery.search(ME) == gallery.search(ME, binned=True) == ()
        assert gallery.empty_bin(ME) == gallery.sweep(ME) == 0
        if empty:
            gallery.folder.rmdir()
        disk.rename(gallery.folder)
        assert [(one.id, one.favourite) for one in gallery.search(ME)] == [(first.id, True)]
        assert [one.id for one in gallery.search(ME, binned=True)] == [second.id]


def test_thumbnails_of_no_picture_are_removed_when_the_gallery_opens(gallery: Gallery) -> None:
    kept = gallery.add(PIXELS, run(), "b", ME)
    thumbnail = gallery.thumbnail(kept)
    orphan = thumbnail.with_name(f"{kept.id + 1}.jpg")
    shutil.copy(thumbnail, orphan)
    assert gallery.sweep(ME) == 0
    assert (thumbnail.exists(), orphan.exists()) == (True, False)


def test_a_number_is_never_given_again(gallery: Gallery, store: Store, tmp_path: Path) -> None:
    numbers = []
    for _ in range(3):
        numbers.append(gallery.add(PIXELS, run(), "b", ME).id)
        gallery.bin(numbers, ME)
        assert gallery.empty_bin(ME) == 1
    assert numbers == [1, 2, 3]
    kept = gallery.add(PIXELS, run(), "b", ME)
    with pytest.raises(OutputError, match="UNIQUE"):  # nothing of it is remembered
        gallery._remember(kept.path, run(), (8, 8), ME, 0.0)
    later = Store(tmp_path / "studio.db")
    assert Gallery(gallery.folder, later).add(PIXELS, run(), "b", OTHER).id == 5
    later.close()
    assert store.read("SELECT highest FROM picture_numbers")[0]["highest"] == 5


def test_numbers_go_on_where_a_database_of_before_ended(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "before.db") as connection:
        for script in MIGRATIONS[:4]:
            connection.executescript(script)
        connection.execute("PRAGMA user_version = 4")
        connection.executemany(
            "INSERT INTO pictures (id, name, owner, created, prompt, model, seed, width, height) "
            "VALUES (?, ?, 'me', 1, '', 'm', 7, 8, 8)",
            [(3, "a.png"), (41, "b.png")],
        )
    connection.close()
    store = Store(tmp_path / "before.db")
    gallery = Gallery(tmp_path / "pictures", store)
    assert gallery.count(ME) == 2
    assert gallery.add(PIXELS, run(), "b", ME).id == 42
    store.close()


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
