"""A morph that is interrupted keeps what is drawn."""

from pathlib import Path

import pytest
from PIL import Image

from interrupts import ctrl_c_after
from sfumato.cli.flags import Flags
from sfumato.cli.morphing import Going, Planned, draw_morph_to_file, planned_morph
from sfumato.errors import InterruptedRun
from tiny_models import tiny_folder, tiny_settings


def planned(*prompts: str, frames: int, steps: int) -> Planned:
    asked = Flags(model=str(tiny_folder()), seed="7", steps=str(steps))
    return planned_morph(Going(prompts, frames=str(frames)), asked, None, tiny_settings())


def once() -> None:
    """Draw something, so that what is interrupted afterwards is the drawing, not an import."""
    plan = planned("a frog", "a rabbit", frames=2, steps=1)
    draw_morph_to_file(plan, tiny_settings(), output=Path("a.gif"))


def test_ctrl_c_leaves_a_shorter_animation(here: Path) -> None:
    once()
    plan = planned("a frog", "a rabbit", "a frog", frames=1000, steps=5)
    with ctrl_c_after(2.5), pytest.raises(InterruptedRun, match=r"\d+ of 1000 frames .*; out.webp has"):
        draw_morph_to_file(plan, tiny_settings(), output=Path("out.webp"), frames_folder=Path("frames"))
    kept = len(list(Path("frames").iterdir()))
    assert 2 <= kept < 1000
    with Image.open("out.webp") as image:
        assert getattr(image, "n_frames", 1) in (kept - 1, kept)  # a frame is kept before it is added


def test_ctrl_c_at_the_beginning_writes_nothing(here: Path) -> None:
    once()
    plan = planned("a frog", "a rabbit", frames=2, steps=1000)
    with ctrl_c_after(0.5), pytest.raises(InterruptedRun, match="0 of 2 frames were finished; nothing"):
        draw_morph_to_file(plan, tiny_settings(), output=Path("out.gif"))
    assert [path.name for path in here.iterdir()] == ["a.gif"]
