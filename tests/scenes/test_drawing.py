from pathlib import Path

import numpy as np
import pytest
from numpy.random import default_rng
from PIL import Image

from judged import needs_font
from sfumato.errors import InputError
from sfumato.scenes import drawing
from sfumato.scenes import vocabulary as words


def _picture() -> Image.Image:
    """A place with a bright disc on it, as colourful as a scene."""
    picture = drawing.background("meadow", "day", 128, default_rng(0))
    disc = Image.new("L", (50, 50), 255)
    picture.paste((220, 40, 60), (40, 50), disc)
    return picture


def _array(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture, np.float32)


def test_a_font_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"font: .*none\.ttf.*fonts-noto-color-emoji"):
        drawing.find_font(tmp_path / "none.ttf")


def test_a_font_given_by_path_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "emoji.ttf"
    path.write_bytes(b"")
    assert drawing.find_font(path) == path


@pytest.mark.parametrize("name", words.BACKGROUNDS)
def test_backgrounds_are_full_pictures_that_depend_on_the_generator_alone(name: str) -> None:
    time = "sunset" if name in words.TIMED_PLACES else "day"
    first, again, other = (drawing.background(name, time, 64, default_rng(seed)) for seed in (1, 1, 2))
    assert (first.mode, first.size) == ("RGB", (64, 64))
    assert first.tobytes() == again.tobytes()
    assert (first.tobytes() == other.tobytes()) == (name in words.COLOURS)


def test_backgrounds_look_different_from_each_other() -> None:
    pictures = {
        name: _array(drawing.background(name, "day", 64, default_rng(3))) for name in words.BACKGROUNDS
    }
    names = list(pictures)
    for index, name in enumerate(names):
        for other in names[:index]:
            assert np.abs(pictures[name] - pictures[other]).mean() > 4, (name, other)


def test_plain_colours_are_exactly_that() -> None:
    for name, colour in words.COLOURS.items():
        assert drawing.background(name, "day", 16, default_rng(0)).getcolors() == [(256, colour)]


@pytest.mark.parametrize("place", words.TIMED_PLACES)
def test_nights_are_darker_than_sunsets_and_days(place: str) -> None:
    light = {time: _array(drawing.background(place, time, 64, default_rng(4))).mean() for time in words.TIMES}
    assert light["night"] < light["sunset"] < light["day"]


def test_an_unknown_background_is_refused() -> None:
    with pytest.raises(ValueError, match="no such background: moon"):
        drawing.background("moon", "day", 64, default_rng(0))


def test_light_keeps_the_shape_of_a_stamp_and_can_be_halved() -> None:
    stamp = Image.new("RGBA", (4, 4), (200, 200, 200, 77))
    assert drawing.lit(stamp, "day") is stamp
    night, half = drawing.lit(stamp, "night"), drawing.lit(stamp, "night", amount=0.5)
    assert night.getpixel((0, 0)) == (72, 84, 132, 77)
    assert half.getpixel((0, 0)) == (136, 142, 166, 77)
    assert drawing.lit(stamp, "night", amount=0).getpixel((0, 0)) == (200, 200, 200, 77)


def test_the_plain_style_is_the_picture_itself() -> None:
    picture = _picture()
    assert drawing.in_style(picture, "plain", default_rng(0)) is picture


@pytest.mark.parametrize("style", words.STYLE_NAMES[1:])
def test_styles_change_a_picture_each_in_its_way(style: str) -> None:
    picture = _picture()
    first, again = (drawing.in_style(picture, style, default_rng(5)) for _ in range(2))
    assert (first.mode, first.size) == ("RGB", picture.size)
    assert first.tobytes() == again.tobytes()
    assert np.abs(_array(first) - _array(picture)).mean() > 5
    for other in words.STYLE_NAMES[1:]:
        if other != style:
            changed = drawing.in_style(picture, other, default_rng(5))
            assert np.abs(_array(first) - _array(changed)).mean() > 5, other


def test_styles_have_colour_or_not_as_the_vocabulary_says() -> None:
    for style in words.STYLE_NAMES:
        pixels = _array(drawing.in_style(_picture(), style, default_rng(6)))
        grey = np.ptp(pixels, axis=2).max() == 0
        assert grey == (style in words.COLOURLESS_STYLES), style


def test_pixel_art_is_made_of_blocks() -> None:
    pixels = _array(drawing.in_style(_picture(), "pixel art", default_rng(7)))
    blocks = pixels.reshape(32, 4, 32, 4, 3)
    assert (blocks == blocks[:, :1, :, :1]).all()
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) <= 24


@needs_font
def test_glyphs_are_cropped_and_scaled_to_their_longer_side() -> None:
    font = drawing.find_font()
    picture = drawing.glyph("frog", font)
    assert picture.mode == "RGBA"
    assert picture.getbbox() == (0, 0, *picture.size)
    for side in (20.0, 78.4, 200.0):
        scaled = drawing.sized_glyph("pencil", font, side)
        assert max(scaled.size) == round(side)
    shape = picture.width / picture.height
    scaled = drawing.sized_glyph("frog", font, 100)
    assert scaled.width / scaled.height == pytest.approx(shape, rel=0.02)


def test_a_moved_picture_repeats_its_border() -> None:
    picture = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)
    np.testing.assert_array_equal(drawing.moved(picture, 0, 0), picture)
    result = drawing.moved(picture, 2, -1)
    np.testing.assert_array_equal(result[2:, :3], picture[:3, 1:])
    np.testing.assert_array_equal(result[0, :3], picture[0, 1:])
    np.testing.assert_array_equal(result[:, 3], result[:, 2])
