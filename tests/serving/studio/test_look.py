"""Looks: our own, a person's over one of ours, and what is wrong said with the file and the line."""

from pathlib import Path

import pytest

from sfumato.errors import RecipeError
from sfumato.serving.studio.look import FILE, built_in, names, read_look
from sfumato.serving.studio.tabs import TABS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sea.png").write_bytes(b"\x89PNG")
    return tmp_path


def write(folder: Path, text: str) -> Path:
    (folder / FILE).write_text(text, encoding="utf-8")
    return folder


def complaint(folder: Path) -> str:
    with pytest.raises(RecipeError) as caught:
        read_look(folder)
    return str(caught.value)


def test_there_are_four_looks_at_least() -> None:
    assert names()[0] == "paper"
    assert len(names()) >= 4
    for name in names():
        look = built_in(name)
        assert look.look.tabs == tuple(TABS)
        for field in ("background", "logo", "css"):
            look.file(field)
    assert any(built_in(name).look.background for name in names())


def test_without_a_file_the_first_look_is_worn(tmp_path: Path) -> None:
    assert read_look(tmp_path) == built_in("paper")


def test_the_look_of_the_seeds_takes_twelve_lines(folder: Path) -> None:
    text = """
title = "Frog Painter"
welcome = "Type **a frog**, and press the button."
background = "sea.png"
text = "#ffffff"
ground = "#10203a"
accent = "#ffb057"
font = "Quicksand"
heading_font = "Montserrat"
footer = false
[words]
generate = "Paint!"
"""
    assert len(text.strip().splitlines()) <= 12
    dressed = read_look(write(folder, text))
    assert dressed.look.title == "Frog Painter"
    assert dressed.look.words == {"generate": "Paint!"}
    assert dressed.file("background") == folder / "sea.png"


def test_a_look_begins_with_another(folder: Path) -> None:
    dressed = read_look(write(folder, 'look = "harbour"\naccent = "#00ff00"\n[words]\nstop = "Halt"'))
    beneath = built_in("harbour")
    assert dressed.look.text == beneath.look.text
    assert dressed.look.accent == "#00ff00"
    assert dressed.file("background") == beneath.file("background")
    assert read_look(write(folder, 'look = "harbour"\nbackground = "sea.png"')).file("background") == (
        folder / "sea.png"
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("title = 'a'\ntitle = x\n", "studio.toml: is not TOML: Invalid value (at line 2"),
        ("titel = 'a'", "titel: no such field"),
        ("veil = 2", "veil: must be at most 1"),
        ("tabs = ['draw']", "tabs[0]"),
        ("look = 'peper'", "Did you mean paper?"),
        ("version = 2", "made by a newer version"),
        ("\udcff".encode("utf-8", "surrogateescape").decode("latin-1"), "is not TOML"),
    ],
)
def test_what_is_wrong_is_one_line_with_its_file(folder: Path, text: str, words: str) -> None:
    said = complaint(write(folder, text))
    assert words in said
    assert str(folder / FILE) in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("field", "name", "words"),
    [
        ("background", "../sea.png", "lies outside"),
        ("background", "/etc/passwd", "lies outside"),
        ("background", "none.png", "there is no such file"),
        ("logo", "notes.svg", "is no picture that a page shows"),
        ("css", "none.css", "there is no such file"),
    ],
)
def test_files_lie_beside_the_look(folder: Path, field: str, name: str, words: str) -> None:
    (folder / "notes.svg").write_text("<svg/>")
    dressed = read_look(write(folder, f'{field} = "{name}"'))
    with pytest.raises(RecipeError, match=f"{field}: {words}"):
        dressed.file(field)


def test_a_link_out_of_the_folder_is_not_followed(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "secret.png"
    elsewhere.write_bytes(b"x")
    (folder / "link.png").symlink_to(elsewhere)
    with pytest.raises(RecipeError, match="lies outside"):
        read_look(write(folder, 'background = "link.png"')).file("background")


def test_huge_files_are_refused(folder: Path) -> None:
    with (folder / "sea.png").open("r+b") as file:
        file.truncate(30_000_000)
    with pytest.raises(RecipeError, match="background: is too large"):
        read_look(write(folder, 'background = "sea.png"')).file("background")
    with (folder / FILE).open("r+b") as file:
        file.truncate(2_000_000)
    assert "is too large" in complaint(folder)
