"""`sfumato studio`: what is said before anything is opened."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cli.conftest import Ran

Command = Callable[..., Ran]
Bad = Callable[..., str]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["theme", "chek"], "Did you mean check?"),
        (["theme", "remove", "x"], "sfumato studio theme new my-look"),
        (["look"], "sfumato studio theme new my-look"),
        (["theme", "new", "a", "b"], "sfumato studio theme new my-look"),
    ],
)
def test_actions_that_are_none_are_named(bad: Bad, words: list[str], hint: str) -> None:
    said = bad("studio", *words)
    assert said.startswith("error: studio: there is no such action")
    assert hint in said


def test_without_an_action_themes_are_named(sfumato: Command) -> None:
    ran = sfumato("studio", "theme")
    assert ran.code == 0
    assert ran.out.splitlines()[0] == "paper"


def test_others_are_let_in_with_a_password_only(bad: Bad, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SFUMATO_PASSWORD", raising=False)
    said = bad("studio", "--listen", "0.0.0.0", "--port", "0")
    assert said.startswith("error: listen: needs a password")
    assert "SFUMATO_PASSWORD" in said
    monkeypatch.setenv("SFUMATO_PASSWORD", "")
    assert bad("studio", "--listen", "127.0.0.2", "--port", "0").startswith("error: listen: needs a password")


@pytest.mark.parametrize(
    ("outside", "problem"),
    [
        ("pictures.example.org", "has to begin with https:// or http:// (got 'pictures.example.org')"),
        ("https://pictures.example.org/studio", "has a path"),
        ("https://pictures.example.org", "needs a password"),
        ("https://127.0.0.1:8443", "needs a password"),
    ],
)
def test_the_address_of_a_proxy_is_one_and_asks_for_a_password(
    bad: Bad, monkeypatch: pytest.MonkeyPatch, outside: str, problem: str
) -> None:
    monkeypatch.delenv("SFUMATO_PASSWORD", raising=False)
    assert bad("studio", "--outside", outside, "--port", "0").startswith(f"error: outside: {problem}")


def test_a_password_in_an_address_is_not_repeated(bad: Bad) -> None:
    said = bad("studio", "--outside", "https://sfumato:hidden@pictures.example.org", "--port", "0")
    assert said.startswith("error: outside: has a user or a password in it. ")
    assert "hidden" not in said


@pytest.mark.parametrize("listen", ["[::1]:7860", "[::1", "::1]", "http://127.0.0.1"])
def test_what_is_no_address_to_listen_at_is_said(bad: Bad, listen: str) -> None:
    assert bad("studio", "--listen", listen, "--port", "0").startswith("error: listen: is no address (got ")


def test_names_of_hosts_are_written_as_in_an_address(bad: Bad) -> None:
    said = bad("studio", "--name", "2001:db8::5", "--port", "0")
    assert said.startswith("error: name: is no name of a host (got '2001:db8::5'). ")
    assert said.strip().endswith("[2001:db8::5]")


def test_a_folder_without_a_look_is_named(bad: Bad, here: Path) -> None:
    (here / "empty").mkdir()
    for folder in ("empty", "nothing"):
        said = bad("studio", "--theme", folder)
        assert said.startswith(f"error: theme: there is no studio.toml in it (got '{folder}')")
        assert f"sfumato studio theme new {folder}" in said
        assert "there is no studio.toml in it" in bad("studio", "theme", "preview", folder)


def test_a_look_that_cannot_be_read_is_named_with_its_line(bad: Bad, here: Path) -> None:
    (here / "studio.toml").write_text('title = "Mine"\naccent = #2f6f5e\n')
    said = bad("studio", "theme", "check", ".")
    assert "studio.toml" in said
    assert "line 2" in said


def test_names_that_were_mistyped_are_no_folders_to_begin(bad: Bad, here: Path) -> None:
    for typed, meant in (("softt", "soft"), ("nigth", "night")):
        said = bad("studio", "--theme", typed)
        assert f"Did you mean {meant}?" in said
        assert "theme new" not in said


def test_looks_that_are_not_ours_are_named(bad: Bad) -> None:
    assert "Did you mean night?" in bad("studio", "--look", "nigt")


@pytest.mark.parametrize("port", ["-1", "65536", "web"])
def test_ports_are_numbers(sfumato: Command, port: str) -> None:
    ran = sfumato("studio", "--port", port)
    assert ran.code == 2
    assert "port" in ran.err.lower()


def test_languages_that_are_not_here_are_named(bad: Bad) -> None:
    said = bad("studio", "--language", "tlh", "--port", "0")
    assert said.startswith("error: language: is not known here (got 'tlh')")
    assert "en, de, nl, es, fr" in said
