"""What the canvas of the tab Edit takes, and what it refuses before it is decoded."""

import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import gradio as gr
import numpy as np
import pytest
from gradio.components.image_editor import AcceptBlobs, EditorData
from gradio.data_classes import DataWithFiles, FileData
from PIL import Image

from sfumato.errors import PictureError
from sfumato.serving.studio import canvas as canvas_module
from sfumato.serving.studio.canvas import MOST_CANVASES, MOST_LAYERS, Canvas, check_canvas


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def bomb(width: int, height: int) -> bytes:
    """Return a PNG of a few hundred bytes that says it is this large."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def encoded(kind: str, mode: str = "RGBA") -> bytes:
    written = BytesIO()
    Image.new(mode, (32, 24), 90 if mode == "I;16" else None).save(written, kind)
    return written.getvalue()


def kept(tmp_path: Path, data: bytes) -> FileData:
    path = tmp_path / "a secret folder.png"
    path.write_bytes(data)
    return FileData(path=str(path), orig_name="a.png")


@pytest.mark.parametrize(("kind", "mode"), [("PNG", "RGBA"), ("WEBP", "RGBA"), ("PNG", "P"), ("JPEG", "L")])
def test_pictures_are_given_on_as_gradio_does(kind: str, mode: str, tmp_path: Path) -> None:
    data = encoded(kind, mode)
    canvas = Canvas(type="numpy", image_mode="RGBA")
    for one in (kept(tmp_path, data), data):
        pixels = canvas.convert_and_format_image(one)
        assert isinstance(pixels, np.ndarray)
        assert pixels.shape == (24, 32, 4)
    assert canvas.convert_and_format_image(None) is None
    assert canvas.get_block_name() == gr.ImageEditor().get_block_name()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (bomb(10_000, 10_000), "more than 16777216 pixels"),
        (bomb(20_000, 20_000), "picture: "),
        (bomb(2**31 - 1, 2**31 - 1), "picture: "),
        (encoded("PNG")[:20], "none that can be read"),
        (encoded("GIF", "P"), "none that can be read"),
        (b"SIMPLE  =                    T" + bytes(2880), "none that can be read"),
        (b"8BPS" + bytes(60), "none that can be read"),
        (b"<svg onload=alert(1)>", "none that can be read"),
        (b"", "none that can be read"),
    ],
    ids=["100 megapixels", "400", "4e18", "torn", "gif", "fits", "psd", "svg", "empty"],
)
def test_all_else_is_one_line_that_tells_no_folder(data: bytes, words: str, tmp_path: Path) -> None:
    canvas = Canvas(type="numpy", image_mode="RGBA")
    for one in (kept(tmp_path, data), data):
        with pytest.raises(gr.Error) as caught:
            canvas.convert_and_format_image(one)
        assert words in str(caught.value)
        assert "secret" not in str(caught.value)
        assert caught.value.print_exception is False


def test_the_limit_is_the_one_that_is_given(tmp_path: Path) -> None:
    data = encoded("PNG")
    check_canvas(data, 32 * 24)
    with pytest.raises(PictureError, match="more than 767 pixels"):
        check_canvas(data, 32 * 24 - 1)


def test_a_picture_that_is_damaged_further_in_is_said_to_be(tmp_path: Path) -> None:
    written = BytesIO()
    Image.effect_noise((64, 64), 80).save(written, "PNG")
    data = written.getvalue()
    canvas = Canvas(type="numpy", image_mode="RGBA")
    for one in (kept(tmp_path, data[: len(data) // 2]), data[: len(data) // 2]):
        with pytest.raises(gr.Error, match="picture: is damaged") as found:
            canvas.convert_and_format_image(one)
        assert "secret" not in str(found.value)


def sent(
    canvas: gr.ImageEditor, name: str, data: bytes, kind: str = "background", index: Any = "null"
) -> None:
    """Give the canvas what Gradio's route for it makes of a request."""
    what = {"type": kind, "index": index, "id": name}
    canvas.accept_blobs(cast(AcceptBlobs, DataWithFiles(data=what, files=[("file", data)])))


def test_pictures_of_a_canvas_wait_until_it_is_drawn_with() -> None:
    canvas = Canvas(type="numpy", image_mode="RGBA")
    assert [one.__name__ for one in canvas.server_fns] == ["accept_blobs"]
    sent(canvas, "a", encoded("PNG"))
    sent(canvas, "a", encoded("PNG"), "layer", "0")
    given = canvas.preprocess(EditorData(background=None, layers=[], composite=None, id="a"))
    assert given is not None
    assert isinstance(given["background"], np.ndarray)
    assert len(given["layers"]) == 1
    assert not canvas.blob_storage


@pytest.mark.parametrize(
    "index", [str(MOST_LAYERS), "1000000000", "9" * 5000, "00000000099999", "-1", "x", "٣", "1e9"]
)
def test_a_layer_that_no_canvas_has_takes_no_memory(index: str) -> None:
    canvas = Canvas(type="numpy")
    with pytest.raises(gr.Error, match="layer: no canvas has so many"):
        sent(canvas, "a", encoded("PNG"), "layer", index)
    assert not canvas.blob_storage


def test_canvases_that_nobody_draws_with_go() -> None:
    canvas = Canvas(type="numpy")
    for number in range(MOST_CANVASES + 5):
        sent(canvas, str(number), b"a picture")
    assert [*canvas.blob_storage] == [str(number) for number in range(5, MOST_CANVASES + 5)]
    large = bytes(60 * 2**20)
    for name in "abcdef":
        sent(canvas, name, large)
    assert [*canvas.blob_storage] == [*"cdef"]


def test_a_canvas_that_is_sent_again_is_the_newest() -> None:
    canvas = Canvas(type="numpy")
    for number in range(MOST_CANVASES):
        sent(canvas, str(number), b"a picture")
    sent(canvas, "0", b"a layer", "layer", "0")
    sent(canvas, "new", b"a picture")
    assert [*canvas.blob_storage] == [*map(str, range(2, MOST_CANVASES)), "0", "new"]
    assert canvas.blob_storage["0"].background == b"a picture"


def test_one_canvas_alone_has_no_more_than_all_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canvas_module, "MOST_BYTES", 1000)
    canvas = Canvas(type="numpy")
    sent(canvas, "other", bytes(200))
    sent(canvas, "large", bytes(600))
    with pytest.raises(gr.Error, match=r"canvas: more than 1000 bytes \(got 1001\)"):
        sent(canvas, "large", bytes(401), "layer", "0")
    assert [*canvas.blob_storage] == ["other"]
