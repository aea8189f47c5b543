import random
import struct
import zlib
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sfumato.errors import PictureError
from sfumato.imaging.decode import open_layers, open_picture

LIMIT = 1_000_000
RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (24, 40, 3), dtype=np.uint8)


def saved(image: Image.Image, path: Path, **options: object) -> Path:
    image.save(path, **options)
    return path


def encoded(suffix: str) -> bytes:
    buffer = BytesIO()
    Image.fromarray(PIXELS).save(buffer, suffix)
    return buffer.getvalue()


SAMPLES = {name: encoded(name) for name in ("PNG", "JPEG", "WEBP")}


def png_claiming(width: int, height: int) -> bytes:
    """A tiny PNG whose header promises a large picture."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n"
    return start + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def test_pixels_come_back(tmp_path: Path) -> None:
    image = open_picture(saved(Image.fromarray(PIXELS), tmp_path / "a.png"), LIMIT)
    assert image.mode == "RGB"
    assert np.array_equal(np.asarray(image), PIXELS)


@pytest.mark.parametrize("suffix", ["jpg", "webp", "png"])
def test_exif_orientation_turns_the_picture_upright(tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it rotated by 90 degrees clockwise
    wide = Image.new("RGB", (40, 24))
    wide.paste((255, 0, 0), (0, 0, 40, 4))  # a red edge that belongs on the right
    image = open_picture(saved(wide, tmp_path / f"a.{suffix}", exif=exif), LIMIT)
    assert image.size == (24, 40)
    assert image.getpixel((23, 20))[0] > 200
    assert image.getpixel((1, 20))[0] < 50


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_becomes_white(tmp_path: Path, mode: str) -> None:
    clear = Image.new("RGBA", (8, 8), (200, 30, 30, 0))
    clear.paste((200, 200, 200, 255), (0, 0, 4, 8))
    image = open_picture(saved(clear.convert(mode), tmp_path / "a.png"), LIMIT)
    assert image.getpixel((7, 7)) == (255, 255, 255)
    assert abs(image.getpixel((0, 0))[0] - 200) <= 3  # a palette may round


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_how_opaque_a_picture_is_comes_beside_it(tmp_path: Path, mode: str) -> None:
    clear = Image.new("RGBA", (8, 6), (200, 30, 30, 0))
    clear.paste((200, 200, 200, 255), (0, 0, 4, 6))
    if mode != "P":  # a palette knows only all or nothing
        clear.putpixel((7, 5), (200, 200, 200, 128))
    image, alpha = open_layers(saved(clear.convert(mode), tmp_path / "a.png"), LIMIT)
    assert alpha is not None
    assert (image.mode, alpha.mode, alpha.size) == ("RGB", "L", (8, 6))
    assert [alpha.getpixel(at) for at in ((0, 0), (4, 0))] == [255, 0]
    assert alpha.getpixel((7, 5)) == (0 if mode == "P" else 128)
    assert image.getpixel((4, 0)) == (255, 255, 255)
    assert np.array_equal(np.asarray(image), np.asarray(open_picture(tmp_path / "a.png", LIMIT)))


@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P", "I;16"])
def test_where_nothing_can_be_transparent_nothing_is_said(tmp_path: Path, mode: str) -> None:
    image, alpha = open_layers(
        saved(Image.new("RGB", (8, 6)).convert("L").convert(mode), tmp_path / "a.png"), LIMIT
    )
    assert (image.mode, alpha) == ("RGB", None)


def test_one_colour_may_stand_for_transparent(tmp_path: Path) -> None:
    path = saved(Image.fromarray(PIXELS), tmp_path / "a.png", transparency=tuple(map(int, PIXELS[3, 5])))
    _, alpha = open_layers(path, LIMIT)
    assert alpha is not None
    assert np.array_equal(np.asarray(alpha) == 0, (PIXELS[3, 5] == PIXELS).all(axis=-1))


def test_picture_and_opacity_are_turned_alike(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    wide = Image.new("RGBA", (40, 24), (0, 0, 0, 255))
    wide.paste((0, 0, 0, 0), (0, 0, 40, 4))
    image, alpha = open_layers(saved(wide, tmp_path / "a.png", exif=exif), LIMIT)
    assert alpha is not None
    assert image.size == alpha.size == (24, 40)
    assert [alpha.getpixel((column, 20)) for column in (0, 19, 20, 23)] == [255, 255, 0, 0]


def test_sixteen_bits_are_scaled_not_clipped(tmp_path: Path) -> None:
    deep = (np.arange(256, dtype=np.uint16) * 257).reshape(16, 16)
    image = open_picture(saved(Image.fromarray(deep), tmp_path / "a.png"), LIMIT)
    assert np.array_equal(np.asarray(image)[..., 0].ravel(), np.arange(256))


@pytest.mark.parametrize("mode", ["L", "1", "CMYK", "P"])
def test_other_modes_become_rgb(tmp_path: Path, mode: str) -> None:
    suffix = "jpg" if mode == "CMYK" else "png"
    path = saved(Image.fromarray(PIXELS).convert(mode), tmp_path / f"a.{suffix}")
    assert open_picture(path, LIMIT).mode == "RGB"


def test_an_animation_gives_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime")]
    path = saved(frames[0], tmp_path / "a.webp", save_all=True, append_images=frames[1:], lossless=True)
    assert open_picture(path, LIMIT).getpixel((4, 4)) == (255, 0, 0)


@pytest.mark.parametrize("side", [2000, 9000, 12_000, 20_000, 2**31 - 1])
def test_bombs_are_refused_before_decoding(tmp_path: Path, side: int) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png_claiming(side, side))
    with pytest.raises(PictureError, match=r"pixels|too large"):
        open_picture(path, LIMIT)


def test_a_text_bomb_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    body = b"parameters\0\0" + zlib.compress(bytes(80_000_000), 1)
    chunk = struct.pack(">I", len(body)) + b"zTXt" + body + struct.pack(">I", zlib.crc32(b"zTXt" + body))
    good = SAMPLES["PNG"]
    path.write_bytes(good[:33] + chunk + good[33:])  # right after the header chunk
    with pytest.raises(PictureError):
        open_picture(path, LIMIT)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_file_cut_short_is_damaged(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a"
    data = SAMPLES[name]
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(PictureError):
        open_picture(path, LIMIT)


@given(st.sampled_from(sorted(SAMPLES)), st.integers(0, 2**32), st.integers(1, 20))
def test_changed_bytes_never_raise_anything_else(
    tmp_path_factory: pytest.TempPathFactory, name: str, seed: int, changes: int
) -> None:
    data = bytearray(SAMPLES[name])
    rng = random.Random(seed)
    for _ in range(changes):
        data[rng.randrange(len(data))] = rng.randrange(256)
    path = tmp_path_factory.getbasetemp() / "changed"
    path.write_bytes(data)
    with suppress(PictureError):
        assert open_picture(path, LIMIT).mode == "RGB"


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"GIF89a" + bytes(50)]
)
def test_other_files_are_not_pictures(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(data)
    with pytest.raises(PictureError, match="PNG, JPEG or WebP"):
        open_picture(path, LIMIT)


def test_formats_with_rare_decoders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="not a picture that can be read"):
        open_picture(saved(Image.fromarray(PIXELS), tmp_path / "a.tiff"), LIMIT)


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=r"no such file \(got .*nothing\.png"):
        open_picture(tmp_path / "nothing.png", LIMIT)
    with pytest.raises(PictureError, match="cannot be read"):
        open_picture(tmp_path, LIMIT)


def test_a_huge_file_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    with open(path, "wb") as file:
        file.truncate(600_000_000)  # sparse: takes no space
    with pytest.raises(PictureError, match="too large"):
        open_picture(path, LIMIT)
