"""Where looks come from: how a change is seen, and how a mistake is told."""

from dataclasses import replace
from pathlib import Path

import pytest

from sfumato.errors import RecipeError
from sfumato.serving.studio.look import FILE, Source, built_in
from sfumato.serving.studio.theme import theme_of
from sfumato.serving.studio.wearing import in_language, problem_of, read, shape_of, stamp_of, unusable
from sfumato.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(tmp_path / "home", offline=True)


def write(folder: Path, text: str) -> Source:
    (folder / FILE).write_text(text, encoding="utf-8")
    return Source(folder)


def test_changes_of_any_file_of_a_look_are_seen(tmp_path: Path, settings: Settings) -> None:
    dressed = read(write(tmp_path, 'css = "more.css"'), settings)
    stamps = [stamp_of(dressed)]
    (tmp_path / "more.css").write_text("a")
    stamps.append(stamp_of(dressed))
    (tmp_path / "more.css").write_text("ab")
    stamps.append(stamp_of(dressed))
    write(tmp_path, 'css = "more.css"\ntitle = "x"')
    stamps.append(stamp_of(dressed))
    (tmp_path / FILE).unlink()
    stamps.append(stamp_of(dressed))
    assert len(set(stamps)) == len(stamps)
    (tmp_path / "studio.db").write_text("what the studio writes itself is no look")
    assert stamp_of(dressed) == stamps[-1]


def test_files_of_the_look_beneath_do_not_change(tmp_path: Path, settings: Settings) -> None:
    assert len(stamp_of(read(write(tmp_path, 'look = "harbour"'), settings))) == 1
    assert stamp_of(built_in("harbour")) == ()


PAINT = """
title = "Other"
logo = "sea.png"
background = "sea.png"
css = "more.css"
veil = 0.5
accent = "#112233"
font = "Quicksand"
heading_font = "Montserrat"
rounding = 3
size = "large"
"""


def test_what_is_only_painted_leaves_the_shape_as_it_is(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "sea.png").write_bytes(b"1")
    (tmp_path / "more.css").write_text("h1 {}")
    plain = shape_of(read(write(tmp_path, 'mode = "dark"'), settings))
    for line in PAINT.splitlines():
        assert shape_of(read(write(tmp_path, f'mode = "dark"\n{line}'), settings)) == plain
    every = f'mode = "dark"\ntext = "#ffffff"\nground = "#000011"{PAINT}'
    assert shape_of(read(write(tmp_path, every), settings)) == plain
    (tmp_path / "more.css").write_text("h2 {}")
    assert shape_of(read(write(tmp_path, every), settings)) == plain


@pytest.mark.parametrize(
    "line",
    [
        'welcome = "x"',
        "footer = true",
        'tabs = ["create"]',
        'above = "above.html"',
        'below = "above.html"',
        'prompt = "x"',
        'examples = ["x"]',
        'language = "de"',
        'theme = "soft"',
        'mode = "dark"',
        'text = "#ffffff"',  # light words have the dark mode everywhere
        '[words]\ngenerate = "x"',
    ],
)
def test_words_parts_and_modes_are_of_another_shape(tmp_path: Path, settings: Settings, line: str) -> None:
    (tmp_path / "above.html").write_text("<p>a</p>")
    plain = shape_of(read(write(tmp_path, ""), settings))
    other = shape_of(read(write(tmp_path, line), settings))
    assert other != plain
    (tmp_path / "above.html").write_text("<p>ab</p>")
    changed = shape_of(read(write(tmp_path, line), settings))
    assert (changed != other) == ("above.html" in line)


def test_themes_that_were_fetched_are_of_another_shape() -> None:
    paper = built_in("paper")
    one, other = (replace(paper, theme={"body_background_fill": colour}) for colour in ("red", "blue"))
    assert len({shape_of(paper), shape_of(one), shape_of(other), shape_of(replace(one))}) == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a = 1\nb = x", f"{FILE}: is not TOML: Invalid value (at line 2"),
        ("\ntitel = 'a'", f"{FILE}, line 2: titel: no such field"),
        ("title = 'a'\nveil = 7", f"{FILE}, line 2: veil: must be at most 1"),
        ("[words]\nstop = 7", f"{FILE}, line 2: words.stop"),
        ("tabs = [\n'create',\n'draw']", f"{FILE}, line 1: tabs[1]"),
    ],
)
def test_what_is_wrong_is_told_with_its_line_and_without_its_folder(
    tmp_path: Path, settings: Settings, text: str, said: str
) -> None:
    source = write(tmp_path, text)
    with pytest.raises(RecipeError) as caught:
        read(source, settings)
    told = problem_of(caught.value, source)
    assert told.startswith(said)
    assert str(tmp_path) not in told
    assert unusable(caught.value, source) == replace(built_in("paper"), broken=told)


def test_what_building_finds_out_is_told_with_its_line(tmp_path: Path, settings: Settings) -> None:
    source = write(tmp_path, "title = 'a'\n\n ground='greenish'")
    with pytest.raises(RecipeError) as caught:
        theme_of(read(source, settings))
    assert problem_of(caught.value, source).startswith(f"{FILE}, line 3: ground: is no colour")
    error = RecipeError("names none of the page's words", field="words", value="generat")
    source = write(tmp_path, "[words]\nstop = 'a'\ngenerat = 'b'")
    assert problem_of(error, source).startswith(f"{FILE}, line 3: words:")


def test_a_language_that_is_asked_for_is_that_of_every_look(tmp_path: Path, settings: Settings) -> None:
    source = replace(write(tmp_path, "language = 'nl'"), language="fr")
    assert read(source, settings).look.language == "fr"
    assert read(replace(source, language=None), settings).look.language == "nl"
    assert in_language(built_in("night"), None) == built_in("night")


def test_a_theme_that_cannot_be_had_leaves_a_note(tmp_path: Path, settings: Settings) -> None:
    dressed = read(write(tmp_path, "theme = 'some/body'\ntitle = 'Mine'"), settings)
    assert dressed.look.theme is None
    assert dressed.look.title == "Mine"
    assert len(dressed.notes) == 1
