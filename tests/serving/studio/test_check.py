import re
from pathlib import Path

import pytest

from sfumato.serving.studio.check import problems_of, readings_of
from sfumato.serving.studio.look import FILE, built_in, names, read_look


def worn(folder: Path, text: str) -> tuple[str, ...]:
    (folder / FILE).write_text(text, encoding="utf-8")
    return problems_of(read_look(folder))


@pytest.mark.parametrize("name", names())
def test_our_own_looks_have_no_problems(name: str) -> None:
    assert problems_of(built_in(name)) == ()
    assert {one.mode for one in readings_of(built_in(name))} == {"light", "dark"}


def test_text_that_cannot_be_read_is_named_with_its_number(tmp_path: Path) -> None:
    said = worn(tmp_path, 'ground = "#ffffff"\ntext = "#999999"')
    assert any(
        one.startswith("light: text on panels 2.8 (too little, 4.5 is asked for). Set") for one in said
    )


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    said = worn(tmp_path, 'background = "none.png"\ncss = "../a.css"\nlanguage = "xx"')
    assert len(said) == 3
    assert said[0].startswith("background: there is no such file")
    assert said[2].startswith("language: is not known here")


def test_of_a_theme_of_gradio_nothing_is_measured(tmp_path: Path) -> None:
    assert worn(tmp_path, 'theme = "soft"') == ()


def test_an_unknown_word_hides_no_colour(tmp_path: Path) -> None:
    said = worn(tmp_path, 'text = "#eeeeee"\nground = "#ffffff"\n[words]\ngenerat = "x"')
    assert any("too little" in one for one in said)
    assert any("words" in one for one in said)


@pytest.mark.parametrize(
    "text",
    [
        'ground = "#ffffff"\ntext = "#999999"',
        'ground = "#888888"\ntext = "#ffffff"',
        'ground = "#1a1a1a"\ntext = "#333333"',
        'background = "sea.png"\ntext = "#808080"',
        'background = "sea.png"\ntext = "#ffffff"\nveil = 0.2',
        'background = "sea.png"\nveil = 0.2',
    ],
)
def test_whoever_does_as_is_said_has_no_problems_left(text: str, tmp_path: Path) -> None:
    (tmp_path / "sea.png").write_bytes(b"picture")
    said = worn(tmp_path, text)
    assert said
    (advice,) = {one.partition("for). ")[2] for one in said}
    for field, value in re.findall(r"(ground|text|veil) to (?:a colour such as )?(#\w+|[\d.]+\d)", advice):
        written = value if field == "veil" else f'"{value}"'
        text = "\n".join([one for one in text.splitlines() if not one.startswith(field)])
        text += f"\n{field} = {written}"
    assert worn(tmp_path, text) == (), advice


def test_white_words_before_a_picture_are_no_problem(tmp_path: Path) -> None:
    (tmp_path / "sea.png").write_bytes(b"picture")
    assert worn(tmp_path, 'background = "sea.png"\ntext = "#ffffff"') == ()
    light, dark = (
        [one for one in readings_of(read_look(tmp_path)) if one.mode == mode] for mode in ("light", "dark")
    )
    assert [(one.what, one.ratio) for one in light] == [(one.what, one.ratio) for one in dark]
