"""`sfumato morph` from the command line: the animation, its frames, and what it keeps."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

MODEL = ("--model", "tiny", "--steps", "2")


def frames_of(path: Path) -> list[Any]:
    with Image.open(path) as image:
        frames = []
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            frames.append(np.asarray(image.convert("RGB")))
        return frames


@pytest.mark.parametrize("suffix", [".webp", ".gif"])
def test_from_prompt_to_prompt(suffix: str, sfumato: Any, here: Path) -> None:
    ran = sfumato(
        *("morph", "a frog", "a rabbit", "an owl", *MODEL, "--seed", "7", "--frames", "5"),
        *("--output", f"out{suffix}", "--frames-folder", "frames", "--fps", "10", "--hold", "1", "--json"),
    )
    assert ran.code == 0, ran.err
    assert ran.json["path"] == f"out{suffix}"
    assert [one["milliseconds"] for one in ran.json["frames"]] == [1100, 100, 1100, 100, 1100]
    names = [f"frames/frame-{number:04d}.png" for number in range(1, 6)]
    assert [one["path"] for one in ran.json["frames"]] == names
    assert sorted(str(path) for path in Path("frames").iterdir()) == names
    assert len(frames_of(here / f"out{suffix}")) == 5


def test_a_frame_is_a_picture_with_its_recipe(sfumato: Any, here: Path) -> None:
    prompts = ("morph", "a frog", "a rabbit", *MODEL, "--seed", "7", "--frames", "4")
    ran = sfumato(*prompts, "--output", "out.webp", "--frames-folder", "frames")
    assert ran.code == 0, ran.err
    assert ran.out == "out.webp\n"
    assert "4 frames" in ran.err
    assert "mix" in sfumato("show", "frames/frame-0002.png").out
    verified = sfumato("verify", "frames/frame-0002.png")
    assert verified.code == 0, verified.out


def test_a_morph_can_be_drawn_again_with_anything_changed(sfumato: Any, here: Path) -> None:
    first = sfumato("morph", "a frog", *MODEL, "--seeds", "3..5", "--frames", "4", "--loop", "--json")
    assert first.code == 0, first.err
    assert first.json["path"] == "a-frog-morph.webp"
    assert [one["recipe"]["seed"] for one in first.json["frames"]] == [3, 3, 4, 5]
    shown = sfumato("show", "a-frog-morph.webp").out
    assert "seeds     3, 4, 5" in shown
    assert "back to the first" in shown
    again = sfumato("morph", "--recipe", "a-frog-morph.webp", "--output", "again.webp", "--json")
    assert again.code == 0, again.err
    assert again.json["morph"] == first.json["morph"]
    assert (here / "again.webp").read_bytes() == (here / "a-frog-morph.webp").read_bytes()
    more = ("--recipe", "a-frog-morph.webp", "--frames", "6", "--output", "more.webp", "--json")
    assert len(sfumato("morph", *more).json["frames"]) == 6


def test_without_a_number_there_are_twelve_frames_a_way(sfumato: Any, here: Path) -> None:
    ran = sfumato("morph", "a frog", "a rabbit", "--model", "tiny", "--steps", "1", "--json")
    assert len(ran.json["frames"]) == 13
    assert len({one["recipe"]["seed"] for one in ran.json["frames"]}) == 1
    loop = sfumato("morph", "a frog", "a rabbit", "--model", "tiny", "--steps", "1", "--json", "--loop")
    assert len(loop.json["frames"]) == 24


def test_mixes_as_it_is_told(sfumato: Any, here: Path) -> None:
    prompts = ("morph", "a frog", "a rabbit", *MODEL, "--frames", "3", "--json", "--mix-mode", "embeddings")
    middle = sfumato(*prompts).json["frames"][1]["recipe"]["parts"]
    assert next(part["mode"] for part in middle if part["kind"] == "mix") == "embeddings"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("a frog",), "error: prompt: a morph needs two prompts or two seeds"),
        ((), "error: prompt: a morph needs two prompts or two seeds"),
        (("a frog", "--seeds", "1"), "error: seeds: a morph needs two prompts or two seeds"),
        (("a frog", "--seeds", "1,two"), "error: seeds: must be a whole number (got 'two')"),
        (("a frog", "--seeds", "4..1"), "error: seeds: is no range of seeds"),
        (("a frog", "--seeds", "1,2", "--seed", "3"), "error: seed: is one of --seeds"),
        (("a", "b", "c", "--seeds", "1,2"), "3 prompts and 2 seeds"),
        (("a", "b", "--frames", "1"), "error: frames: must be at least 2"),
        (("a", "b", "--frames", "1000000"), "error: frames: must be at most"),
        (("a", "b", "--fps", "0"), "error: fps: cannot be shown"),
        (("a", "b", "--hold", "-1"), "error: hold: cannot be held so long"),
        (("a", "b", "--count", "2"), "error: count: a morph has one picture a frame"),
        (("a", "b", "--mix", "c:0.5"), "error: mix: is what a morph is made of"),
        (("a", "b", "--mix-mode", "average"), "error: mix-mode:"),
        (("a", "b", "--output", "out.avi"), "unknown format of animations"),
        (("a", "b", "--frames-folder", "full"), "frames-folder: this folder holds other things"),
        (("--seeds", "1,2", "--recipe", "frog.toml", "--variation", "0.2"), "error: variation: is what"),
    ],
)
def test_mistakes_are_one_line_and_write_nothing(
    arguments: tuple[str, ...], words: str, bad: Any, here: Path
) -> None:
    (here / "full").mkdir()
    (here / "full" / "letter.txt").write_text("dear")
    (here / "frog.toml").write_text('model = "tiny"\n')
    assert words in bad("morph", *arguments, *MODEL)


def test_a_damaged_morph_is_named(bad: Any, sfumato: Any, here: Path) -> None:
    assert sfumato("morph", "a frog", "a rabbit", *MODEL, "--frames", "2", "--output", "m.webp").code == 0
    data = (here / "m.webp").read_bytes()
    assert data.count(b'"frames":2') == 1
    (here / "m.webp").write_bytes(data.replace(b'"frames":2', b'"frames":1'))
    assert "m.webp: frames: must be at least 2" in bad("morph", "--recipe", "m.webp")
    assert "m.webp: frames: must be at least 2" in bad("show", "m.webp")


def test_json_holds_every_recipe(sfumato: Any, here: Path) -> None:
    ran = sfumato("morph", "a frog", "a rabbit", *MODEL, "--frames", "3", "--json", "--seed", "7")
    parts = [[part["kind"] for part in one["recipe"]["parts"]] for one in ran.json["frames"]]
    assert parts == [["text"], ["text", "mix"], ["text"]]
    assert json.loads(ran.out)["morph"]["prompts"] == ["a frog", "a rabbit"]
    assert all(one["path"] is None for one in ran.json["frames"])
