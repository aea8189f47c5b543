import re

import pytest
from PIL import ImageFont

from judged import needs_font
from sfumato.scenes import vocabulary as words
from sfumato.scenes.drawing import find_font, glyph

MUST_HAVE = ("astronaut", "horse", "frog", "rabbit", "black cat", "tree", "rose", "house", "red apple")


def test_the_world_is_as_large_as_promised() -> None:
    assert len(words.OBJECTS) == 156
    assert set(MUST_HAVE) <= set(words.OBJECT_NAMES)
    assert "apple" in next(thing.synonyms for thing in words.OBJECTS if thing.name == "red apple")
    assert {thing.kind for thing in words.OBJECTS} == {
        "animal",
        "plant",
        "food",
        "vehicle",
        "building",
        "thing",
        "person",
    }
    assert {"beach", "meadow", "snow", "desert", "sea", "space", "city"} <= set(words.PLACES)
    assert set(words.TIMES) == {"day", "sunset", "night"}
    assert len(words.STYLE_NAMES) == 6
    assert len(words.RELATIONS) == 5


def test_every_name_means_one_thing() -> None:
    said = [name for thing in words.OBJECTS for name in (thing.name, *thing.synonyms)]
    assert len(said) == len(set(said))
    glyphs = [thing.glyph for thing in words.OBJECTS]
    assert len(glyphs) == len(set(glyphs))
    assert len(words.BACKGROUNDS) == len(set(words.BACKGROUNDS))


def test_names_are_lower_case_words() -> None:
    for thing in words.OBJECTS:
        for name in (thing.name, *thing.synonyms):
            assert re.fullmatch(r"[a-z]+( [a-z]+)*", name), name
        assert not re.search(r"[a-z |/]", thing.glyph), thing


def test_every_phrase_belongs_to_one_place_style_or_relation() -> None:
    for table in (words.PLACES, words.RELATIONS, words.TIMES):
        phrases = [phrase for row in table.values() for phrase in row]
        assert len(phrases) == len(set(phrases))
    for style, phrases in words.STYLES.items():
        assert all(phrase.count("{}") == 1 for phrase in phrases), style


def test_names_in_other_tables_exist() -> None:
    assert set(words.MOUNTS) <= set(words.OBJECT_NAMES)
    assert len(words.MOUNTS) == len(set(words.MOUNTS))
    assert set(words.TIMED_PLACES) < set(words.PLACES)
    assert set(words.COLOURLESS_STYLES) < set(words.STYLE_NAMES)
    assert set(words.SIZE_WORDS) == set(words.SIZES) - {"normal"}


@pytest.mark.parametrize(
    ("noun", "expected"),
    [
        ("frog", "a frog"),
        ("owl", "an owl"),
        ("unicorn", "a unicorn"),
        ("ufo", "a ufo"),
        ("umbrella", "an umbrella"),
        ("grapes", "grapes"),
        ("ice cream", "an ice cream"),
    ],
)
def test_articles(noun: str, expected: str) -> None:
    assert words.with_article(noun) == expected


@pytest.mark.parametrize(
    ("noun", "expected"),
    [
        ("frog", "frogs"),
        ("mouse", "mice"),
        ("fox", "foxes"),
        ("church", "churches"),
        ("bunny", "bunnies"),
        ("bus", "buses"),
        ("toolbox", "toolboxes"),
        ("doughnut", "doughnuts"),
    ],
)
def test_plurals(noun: str, expected: str) -> None:
    assert words.plural(noun) == expected


def test_every_object_has_a_plural_of_its_own() -> None:
    plurals = [words.plural(thing.name) for thing in words.OBJECTS]
    assert len(plurals) == len(set(plurals))
    same = {name for name in words.OBJECT_NAMES if words.plural(name) == name}
    assert same == {"sheep", "fish", "tropical fish"}
    assert all(re.fullmatch(r"[a-z]+( [a-z]+)*", plural) for plural in plurals)


@needs_font
def test_every_glyph_is_one_picture_of_the_font() -> None:
    """A missing glyph is an empty box, and a sequence that the font cannot join is two glyphs wide."""
    font = find_font()
    strike = ImageFont.truetype(str(font), 109)
    unknown = glyph_box(strike, "\U0001fffd")
    for thing in words.OBJECTS:
        picture = glyph(thing.name, font)
        assert min(picture.size) > 30, thing
        assert strike.getlength(thing.glyph) <= 140, thing
        assert glyph_box(strike, thing.glyph) != unknown, thing


@needs_font
def test_no_two_objects_look_the_same() -> None:
    pictures = {glyph(thing.name, find_font()).tobytes() for thing in words.OBJECTS}
    assert len(pictures) == len(words.OBJECTS)


def glyph_box(font: ImageFont.FreeTypeFont, text: str) -> bytes:
    """The shape of `text`: all fonts show unknown characters as one and the same."""
    return bytes(font.getmask(text, mode="L"))
