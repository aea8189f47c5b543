"""Forms that people keep: under clean names, bounded, each visitor their own, and after a restart."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sfumato.errors import NotFoundError, RecipeError
from sfumato.serving.presets import MOST_EACH, MOST_FORM, MOST_NAME, Presets
from sfumato.serving.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "studio.db")
    yield store
    store.close()


def test_what_is_kept_is_there_after_a_restart_and_belongs_to_one(tmp_path: Path) -> None:
    store = Store(tmp_path / "studio.db")
    assert Presets(store).keep("foxes", "{}", "me") == "foxes"
    store.close()
    store = Store(tmp_path / "studio.db")
    presets = Presets(store)
    assert presets.names("me") == ("foxes",)
    assert presets.get("foxes", "me") == "{}"
    assert presets.names("other") == ()
    for act in (presets.get, presets.delete):
        with pytest.raises(NotFoundError, match="preset: there is no such preset"):
            act("foxes", "other")
    presets.delete("foxes", "me")
    assert presets.names("me") == ()
    store.close()


def test_the_same_name_is_kept_once_and_names_stand_in_order(store: Store) -> None:
    presets = Presets(store)
    for name, form in (("b", "1"), ("A", "2"), ("b", "3")):
        presets.keep(name, form, "me")
    assert presets.names("me") == ("A", "b")
    assert presets.get("b", "me") == "3"


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("  my \n foxes\t", "my foxes"),
        ("a\u202eb", "a b"),  # turns the direction of writing
        ("\ud800x", "x"),  # half a character, which no file takes
        ("<img src=x>'; DROP TABLE presets; --", "<img src=x>'; DROP TABLE presets; --"),
        ("狐" * MOST_NAME, "狐" * MOST_NAME),
    ],
)
def test_names_become_one_clean_line(store: Store, name: str, clean: str) -> None:
    presets = Presets(store)
    assert presets.keep(name, "{}", "me") == clean
    assert presets.names("me") == (clean,)


@pytest.mark.parametrize("name", ["", " \n", "\x00", "x" * (MOST_NAME + 1), "x" * 10_000_000])
def test_what_is_no_name_is_refused(store: Store, name: str) -> None:
    with pytest.raises(RecipeError, match="is no name for a preset") as caught:
        Presets(store).keep(name, "{}", "me")
    assert len(str(caught.value)) < 300
    assert Presets(store).names("me") == ()


def test_what_is_kept_is_bounded(store: Store) -> None:
    presets = Presets(store)
    with pytest.raises(RecipeError, match="is too long"):
        presets.keep("large", "x" * (MOST_FORM + 1), "me")
    for number in range(MOST_EACH):
        presets.keep(f"n{number}", "{}", "me")
    with pytest.raises(RecipeError, match=f"there are {MOST_EACH} already"):
        presets.keep("one more", "{}", "me")
    presets.keep("n5", "changed", "me")  # one of those that are there
    presets.keep("one more", "{}", "other")
    assert len(presets.names("me")) == MOST_EACH
