"""Where a film is shown, and in which format it is taken along."""

from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest

from sfumato.engine.keeping import metadata_of
from sfumato.imaging.animation import Frames
from sfumato.recipe.resolve import resolve
from sfumato.serving.reels import FRAMES, Reel, keep_reel
from sfumato.serving.studio import film_box
from sfumato.serving.studio.film_box import FilmBox
from sfumato.serving.studio.look import Look
from sfumato.serving.studio.words import words_of
from tiny_models import tiny_bundle
from tiny_studio import frog, handler

WORDS = words_of(Look())


@pytest.fixture
def page() -> tuple[gr.Blocks, FilmBox]:
    with gr.Blocks(analytics_enabled=False) as blocks:
        made = film_box.build(WORDS, "some", "film_shown", "film_save")
    return blocks, made


@pytest.fixture
def reel(tmp_path: Path) -> Reel:
    with Frames() as frames:
        for value in (0, 128, 255):
            frames.add(np.full((24, 24, 3), value, np.uint8))
        metadata = metadata_of(resolve(frog(), tiny_bundle().defaults), "tests")
        return keep_reel(tmp_path, "a-frog", frames, (100, 100, 500), metadata)


def file_of(part: Any) -> Path:
    return Path(part.value["path"] if isinstance(part.value, dict) else str(part.value))


def test_it_is_shown_as_webp_and_taken_along_as_chosen(page: tuple[gr.Blocks, FilmBox], reel: Reel) -> None:
    blocks, box = page
    assert not box.box.visible
    news = box.shown(reel, "GIF")
    assert set(news) == set(box.outputs)
    assert news[box.box].visible
    assert news[box.moving].alt_text == "The film"
    assert file_of(news[box.moving]).suffix == ".webp"
    assert file_of(news[box.save]).name == "a-frog.gif"
    assert news[box.save].label == "Download the film (GIF)"  # whoever is quick sees what it is
    assert news[box.reel] is reel
    other = handler(blocks, box.format, "change")(reel, "MP4")
    assert file_of(other[box.save]).name == "a-frog.mp4"
    assert other[box.trouble] == ""


def test_a_film_that_made_way_is_said(page: tuple[gr.Blocks, FilmBox], reel: Reel) -> None:
    blocks, box = page
    box.shown(reel, "WebP")
    (reel.folder / FRAMES).unlink()
    news = handler(blocks, box.format, "change")(reel, "GIF")
    assert news[box.save].value is None
    assert "made way for newer ones" in news[box.trouble]
    assert handler(blocks, box.format, "change")(None, "GIF") == {box.trouble: ""}


def test_nothing_takes_it_away(page: tuple[gr.Blocks, FilmBox]) -> None:
    box = page[1]
    news = box.nothing()
    assert set(news) == set(box.outputs)
    assert (news[box.box].visible, news[box.reel], news[box.save].value) == (False, None, None)


@pytest.mark.parametrize("video", [True, False])
def test_what_is_missing_for_mp4_is_said(monkeypatch: pytest.MonkeyPatch, video: bool) -> None:
    monkeypatch.setattr(film_box, "find_spec", lambda name: object() if video else None)
    with gr.Blocks(analytics_enabled=False) as blocks:
        chosen = film_box.format_of(WORDS, "some")
    assert [value for _, value in chosen.choices] == ["WebP", "GIF", *(["MP4"] if video else [])]
    said = [one.value for one in blocks.blocks.values() if isinstance(one, gr.HTML)]
    assert bool(said) is not video
    assert all("sfumato[video]" in one for one in said)
    scripts = [one.js for one in blocks.fns.values()]
    assert all(isinstance(one, str) and '"sfumato-film"' in one for one in scripts)
    assert any(('"MP4"' in str(one)) is video and "getItem" in str(one) for one in scripts)
