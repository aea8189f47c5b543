"""`sfumato upscale --model`, from the command line to the file."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from interrupts import ctrl_c_after
from sfumato.imaging.io import save_picture
from sfumato.imaging.metadata import read_metadata, read_parameters
from sfumato.imaging.resize import lanczos
from tiny_low_res import tiny_upscaler
from tiny_models import tiny_folder
from tiny_upscaler import waves

X4 = ("--model", "tiny-x4", "--steps", "2", "--seed", "5")


@pytest.fixture
def photo(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SFUMATO_MODELS", f"{tiny_folder().parent}:{tiny_upscaler().parent}")
    save_picture(waves(16, 12), here / "photo.png")
    return here / "photo.png"


def pixels(path: str | Path) -> Any:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def test_a_drawing_that_can_be_drawn_again_and_verified(photo: Path, sfumato: Any) -> None:
    ran = sfumato("upscale", "photo.png", *X4, "--prompt", "a frog", "--noise-level", "40")
    assert (ran.code, ran.out) == (0, "photo-4x.png\n"), ran.err
    assert ran.err.startswith("seed 5; ")
    assert pixels("photo-4x.png").shape == (48, 64, 3)
    assert '"noise_level":40' in read_metadata(Path("photo-4x.png")).resolved_json
    assert sfumato("verify", "photo-4x.png").code == 0
    photo.unlink()  # a copy is kept
    again = sfumato("redo", "photo-4x.png", "--output", "again.png")
    assert again.code == 0, again.err
    assert np.array_equal(pixels("again.png"), pixels("photo-4x.png"))
    assert sfumato("redo", "photo-4x.png", "--prompt", "a cat", "--output", "cat.png").code == 0
    assert not np.array_equal(pixels("cat.png"), pixels("photo-4x.png"))


def test_lanczos_does_the_rest_and_the_recipe_stays_out(photo: Path, sfumato: Any) -> None:
    assert sfumato("upscale", photo, *X4, "--output", "whole.png").code == 0
    ran = sfumato("upscale", photo, *X4, "--factor", "3", "--output", "a.png", "--json")
    assert ran.code == 0, ran.err
    (row,) = ran.json["pictures"]
    assert (row["width"], row["height"], row["seed"]) == (48, 36, 5)
    assert row["recipe"]["width"] == 64
    assert np.array_equal(
        pixels("a.png"), np.asarray(lanczos(Image.open("whole.png").convert("RGB"), 48, 36))
    )
    assert read_parameters(Path("a.png")).endswith("Postprocess upscale by: 3, Postprocess upscaler: Lanczos")
    assert "no Sfumato recipe" in sfumato("verify", "a.png").err


def test_several_pictures_are_drawn_one_after_the_other(photo: Path, sfumato: Any) -> None:
    save_picture(waves(8, 8), Path("small.png"))
    ran = sfumato("upscale", "photo.png", "small.png", *X4)
    assert ran.out == "photo-4x.png\nsmall-4x.png\n"
    assert pixels("small-4x.png").shape == (32, 32, 3)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--model", "tiny"], "model: is no upscaler: it takes no small picture to make larger (got 'tiny')"),
        (["--model", "x5"], "model: unknown model (got 'x5')"),
        (["--prompt", "a frog"], "prompt: is for a diffusion model (got 'a frog'). Name one with --model"),
        (["--noise-level", "3"], "noise-level: is for a diffusion model"),
        (["--backend", "torch"], "backend: is for a diffusion model"),
        ([*X4, "--noise-level", "351"], "noise-level: must be at most 350"),
        ([*X4, "--noise-level", "1000"], "noise-level: must be between 0 and 999"),
        ([*X4, "--noise-level", "some"], "noise-level: must be a whole number"),
        ([*X4, "--guidance", "-1"], "guidance"),
        ([*X4, "--method", "lanczos"], "method: cannot be chosen beside --model"),
        ([*X4, "--network", "a.safetensors"], "network: cannot be chosen beside --model"),
        ([*X4, "--backend", "openvino"], "backend: cannot draw this model"),
        (["large.png", *X4], "large.png: picture: would become 1200x40, and this model draws 1024 pixels"),
    ],
    ids=str,
)
def test_what_cannot_be_is_one_line(arguments: list[str], said: str, photo: Path, bad: Any) -> None:
    save_picture(waves(300, 10), Path("large.png"))
    assert said in bad("upscale", "photo.png", *arguments)


def test_an_upscaler_draws_nothing_from_words_alone(photo: Path, bad: Any) -> None:
    said = bad("generate", "a frog", "--model", "tiny-x4")
    assert (
        "model: is an upscaler, and needs a small picture to make larger (got 'tiny-x4'). Run: sfumato"
        in said
    )


def test_ctrl_c_leaves_nothing_unfinished(photo: Path, sfumato: Any) -> None:
    save_picture(waves(60, 60), Path("second.png"))
    assert sfumato("upscale", photo, *X4).code == 0  # everything is imported
    with ctrl_c_after(1.0):
        ran = sfumato("upscale", "second.png", "--model", "tiny-x4", "--steps", "1000")
    assert ran.code == 130
    assert "stopped: 0 of 1 pictures were finished" in ran.err
    assert sorted(path.name for path in Path().iterdir()) == ["photo-4x.png", "photo.png", "second.png"]
