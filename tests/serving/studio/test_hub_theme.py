"""Themes that people share: fetched once from a hub on this machine, checked, and kept."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import huggingface_hub
import pytest

from loopback_hub import Hub, serving
from sfumato.errors import ModelFileError
from sfumato.serving.studio.hub_theme import FOLDER, MAX_BYTES, NEAR, checked, is_hub_name, with_theme
from sfumato.serving.studio.look import Dressed, Look
from sfumato.serving.studio.theme import theme_of
from sfumato.settings import Settings

NAME = "JohnSmith9982/small_and_pretty"
SPACE = f"spaces/{NAME}"
CLOSED = "http://127.0.0.1:9"  # where no hub is


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    with serving() as hub:
        yield hub


def theme_file(tmp_path: Path, **values: Any) -> bytes:
    """Return the file of a theme, as Gradio writes it for sharing."""
    path = tmp_path / "theme.json"
    fonts = [gr.themes.GoogleFont("Comic Neue"), "serif"]
    gr.themes.Base(font=fonts, primary_hue="red").set(body_text_color="#123456").dump(str(path))
    written = json.loads(path.read_text())
    return json.dumps({**written, "theme": {**written["theme"], **values}}).encode()


def worn(name: str, settings: Settings, endpoint: str) -> Dressed:
    return with_theme(Dressed(Look(theme=name), Path()), settings, endpoint)


def test_the_newest_version_is_fetched_once_and_kept(hub: Hub, settings: Settings, tmp_path: Path) -> None:
    old, new = theme_file(tmp_path, body_text_color="#111111"), theme_file(tmp_path)
    hub.put(
        SPACE,
        {
            "themes/theme_schema@0.0.9.json": old,
            "themes/theme_schema@0.0.10.json": new,
            "themes/theme_schema@9.json": b"",
            "app.py": b"import os",
        },
    )
    dressed = worn(NAME, settings, hub.url)
    assert dressed.notes == ()
    theme = theme_of(dressed)
    assert theme.to_dict()["theme"]["body_text_color"] == "#123456"
    sheet = theme._get_theme_css()
    assert theme._stylesheets == []
    assert "http" not in sheet.replace("http://www.w3.org", "")
    assert "'Comic Neue', 'serif'" not in sheet
    assert "'Comic Neue', serif" in sheet
    assert not any("app.py" in one for one in hub.asked)
    # From now on without the hub, and the same when there is a newer one.
    hub.put(SPACE, {"themes/theme_schema@2.0.0.json": old}, commit="b" * 40)
    before = len(hub.asked)
    assert worn(NAME, settings, hub.url) == dressed
    assert worn(NAME, replace(settings, offline=True), CLOSED) == dressed
    assert len(hub.asked) == before
    other = worn(f"{NAME}@2.0.0", settings, hub.url)
    assert theme_of(other).to_dict()["theme"]["body_text_color"] == "#111111"


def test_without_a_network_it_says_so_and_something_near_is_worn(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    for given in (settings, replace(settings, offline=True)):
        dressed = worn(NAME, given, CLOSED)
        (note,) = dressed.notes
        assert note.startswith("theme: is not kept here, and cannot be fetched")
        assert NAME in note
        assert note.endswith("The page wears one that comes near to it instead.")
        assert dressed.look.size == "small"
        assert theme_of(dressed).to_dict()["theme"]["button_primary_background_fill"] == "#06ae56"
    (note,) = worn("some/body", replace(settings, offline=True), CLOSED).notes
    assert note.endswith("The page wears its plain look, with the accent of this one, instead.")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"app.py": b""}, "holds no theme of Gradio"),
        ({"themes/theme_schema@1.0.0.json": b"{}"}, "holds no theme of Gradio that can be read"),
        ({"themes/theme_schema@1.0.0.json": bytes(MAX_BYTES + 1)}, "is larger than 1000 kB"),
        (None, "is not on http://127.0.0.1"),
    ],
)
def test_what_is_no_theme_is_said(
    hub: Hub, settings: Settings, files: dict[str, bytes] | None, said: str
) -> None:
    if files is not None:
        hub.put(SPACE, files)
    dressed = worn(NAME, settings, hub.url)
    assert said in dressed.notes[0]
    assert not list(settings.data_dir.rglob("*.json"))
    theme_of(dressed)


def test_versions_that_are_not_there_are_named(hub: Hub, settings: Settings, tmp_path: Path) -> None:
    hub.put(SPACE, {"themes/theme_schema@0.1.0.json": theme_file(tmp_path)})
    (note,) = worn(f"{NAME}@3.0.0", settings, hub.url).notes
    assert "has no version 3.0.0" in note
    assert "There are 0.1.0" in note


@pytest.mark.parametrize(
    "value",
    [
        "url(https://evil.example/a.png)",
        "URL('data:image/png;base64,AAAA')",
        "red; } body { display: none",
        "//evil.example",
        "</style><script>alert(1)</script>",
        "@import 'a'",
        "\\75rl(a)",
        "*body_text_color_dark",
        ["red"],
        {"a": "b"},
        7,
        "x" * 500,
    ],
)
def test_only_plain_values_are_taken(tmp_path: Path, value: object) -> None:
    values = checked(theme_file(tmp_path, block_shadow=value, body_text_color="#654321"), NAME)
    assert "block_shadow" not in values
    assert values["body_text_color"] == "#654321"
    theme = theme_of(Dressed(Look(theme=NAME), Path(), theme=values))
    assert "evil" not in theme._get_theme_css()


def test_style_sheets_and_what_is_private_are_left_out(tmp_path: Path) -> None:
    given = {"custom_css": "body { display: none }", "_stylesheets": ["https://evil.example/a.css"]}
    written = theme_file(tmp_path, **given, _font=[{"name": "x'; }", "__gradio_font__": True}, 7])
    values = checked(written, NAME)
    theme = theme_of(Dressed(Look(theme=NAME), Path(), theme=values))
    assert "display: none" not in theme._get_theme_css()
    assert theme._stylesheets == []
    assert values["font"] == ()


@pytest.mark.parametrize(
    "written", [b"", b"[]", b'{"theme": []}', b'{"theme": {"_font": 7}}', b"[" * 100_000, b"\xff"]
)
def test_what_cannot_be_read_is_no_theme(written: bytes) -> None:
    with pytest.raises(ModelFileError, match="holds no theme of Gradio"):
        checked(written, NAME)


def test_names_are_told_from_folders_and_from_themes_of_gradio() -> None:
    assert is_hub_name(NAME)
    assert is_hub_name(f"{NAME}@1.2.0")
    for name in ("soft", "a/b/c", "../a", "/etc/passwd", "a/..b/", "a b/c", "https://a/b", ""):
        assert not is_hub_name(name)


@pytest.mark.parametrize("name", sorted(NEAR))
def test_what_comes_near_can_be_worn(name: str) -> None:
    theme_of(Dressed(Look(**NEAR[name]), Path()))


def test_a_kept_theme_that_cannot_be_read_is_a_note_without_its_folder(
    settings: Settings,
) -> None:
    kept = settings.data_dir / "studio" / FOLDER / "ada--dusk.json"
    kept.parent.mkdir(parents=True)
    kept.symlink_to("/proc/self/mem")  # a file, of which nothing can be read at its beginning
    dressed = with_theme(Dressed(Look(theme="ada/dusk"), settings.data_dir), settings)
    (note,) = dressed.notes
    assert "cannot be read: Input/output error (got 'ada/dusk')" in note
    assert str(settings.data_dir) not in note
