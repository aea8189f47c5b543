"""`sfumato studio theme`: a look is begun, mended and checked."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.conftest import Ran
from sfumato.cli.studio_looks import chosen, worn
from sfumato.errors import InputError
from sfumato.serving.studio.look import FILE, names, read_look
from sfumato.settings import Settings

Command = Callable[..., Ran]
Bad = Callable[..., str]


def test_a_new_look_has_no_problems_and_says_what_can_be_written(sfumato: Command, here: Path) -> None:
    ran = sfumato("studio", "theme", "new", "mine")
    assert (ran.code, ran.out) == (0, f"mine/{FILE}\n")
    text = (here / "mine" / FILE).read_text()
    for word in ("background", "accent", "font", "footer", "tabs", "css", "[words]"):
        assert word in text
    assert read_look(here / "mine").look.words == {"generate": "Paint!"}
    ran = sfumato("studio", "theme", "check", "mine")
    assert (ran.code, ran.out) == (0, "no problems\n")
    assert "light: text on panels" in ran.err
    assert "dark: " in ran.err


def test_a_look_is_never_written_over(sfumato: Command, bad: Bad, here: Path) -> None:
    sfumato("studio", "theme", "new", "mine")
    (here / "mine" / FILE).write_text('title = "Mine"')
    assert bad("studio", "theme", "new", "mine").startswith("error: theme: there is a look already")
    assert (here / "mine" / FILE).read_text() == 'title = "Mine"'


def test_without_a_folder_it_is_the_persons_own(sfumato: Command, tmp_path: Path) -> None:
    assert sfumato("studio", "theme", "new").code == 0
    assert (tmp_path / "home" / "studio" / FILE).is_file()
    settings = Settings(tmp_path / "home")
    assert chosen(None, None, settings).look.title == "My studio"
    assert chosen("night", None, settings).look.title != "My studio"


def test_what_cannot_be_read_or_found_is_all_said(sfumato: Command, here: Path) -> None:
    (here / FILE).write_text('ground = "#fff"\ntext = "#999"\nbackground = "none.png"\n')
    ran = sfumato("studio", "theme", "check", ".")
    assert ran.code == 2
    assert "none.png" in ran.err
    assert "too little, 4.5 is asked for" in ran.err
    lines = ran.err.splitlines()
    assert len([one for one in lines if one.startswith("problem: ")]) > 2
    assert any(one.startswith("light: ") and one.endswith("(ok)") for one in lines)
    assert lines[-1].startswith("error: theme: this look has ")
    assert ran.out == ""


def test_looks_and_themes_are_listed(sfumato: Command) -> None:
    ran = sfumato("studio", "theme", "list")
    assert ran.code == 0
    assert tuple(ran.out.split()) == names()
    for name in ("soft", "monochrome", "ocean"):
        assert name in ran.err


@pytest.mark.parametrize("name", names())
def test_our_own_are_worn_by_name(name: str, tmp_path: Path) -> None:
    assert chosen(name, tmp_path / "ignored", Settings(tmp_path)).folder.name == name


def test_without_any_it_is_the_first(tmp_path: Path) -> None:
    assert chosen(None, None, Settings(tmp_path)).folder.name == names()[0]


def test_fonts_and_themes_from_elsewhere_are_told(sfumato: Command, here: Path) -> None:
    (here / FILE).write_text('font = "Montserat"\nheading_font = "serif"\n')
    ran = sfumato("studio", "theme", "check", ".")
    assert (ran.code, ran.out) == (0, "no problems\n")
    assert "font: Montserat does not come along" in ran.err
    assert "Did you mean Montserrat?" in ran.err
    assert "serif does not" not in ran.err
    (here / FILE).write_text('theme = "some/body"\n')
    assert "theme: some/body is fetched when it is worn" in sfumato("studio", "theme", "check", ".").err
    (here / FILE).write_text('theme = "sofd"\n')
    ran = sfumato("studio", "theme", "check", ".")
    assert ran.code == 2
    assert "Did you mean soft?" in ran.err


def test_a_look_that_cannot_be_read_is_opened_in_the_first(here: Path, tmp_path: Path) -> None:
    (here / FILE).write_text('title = "Mine"\naccent = #2f6f5e\n')
    dressed = worn(None, here, "de", Settings(tmp_path))
    assert dressed.broken is not None
    assert dressed.broken.startswith(f"{FILE}: is not TOML")
    assert "line 2" in dressed.broken
    assert (dressed.look.title, dressed.look.language) == ("Sfumato", "de")
    assert dressed.source is not None


def test_languages_and_themes_of_a_hub_are_asked_for_by_name(tmp_path: Path) -> None:
    settings = Settings(tmp_path, offline=True)
    assert worn("night", None, "fr", settings).look.language == "fr"
    dressed = worn(None, Path("JohnSmith9982/small_and_pretty"), "nl", settings)
    assert dressed.look.size == "small"
    assert dressed.look.language == "nl"
    assert len(dressed.notes) == 1
    assert worn(None, Path("harbour"), None, settings).look == worn("harbour", None, None, settings).look
    assert worn(None, Path("soft"), None, settings).look.theme == "soft"
    with pytest.raises(InputError, match=r"there is no studio\.toml in it"):
        worn(None, tmp_path / "none", None, settings)
    with pytest.raises(InputError, match="language"):
        worn(None, None, "dee", settings)


def test_what_a_new_look_says_of_white_words_is_so(sfumato: Command, here: Path) -> None:
    sfumato("studio", "theme", "new", "mine")
    path = here / "mine" / FILE
    (here / "mine" / "background.webp").write_bytes(b"picture")
    path.write_text(re.sub("(?m)^# (?=background|text)", "", path.read_text()))
    look = read_look(here / "mine").look
    assert (look.text, look.ground, look.background) == ("#ffffff", None, "background.webp")
    assert sfumato("studio", "theme", "check", "mine").code == 0
    path.write_text(re.sub("(?m)^# (?=ground)", "", path.read_text()))
    assert sfumato("studio", "theme", "check", "mine").code == 0
