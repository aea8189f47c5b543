import json
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from sfumato.errors import PictureError
from sfumato.imaging.io import encode_picture, save_picture
from sfumato.imaging.metadata import (
    COMPOSITE,
    TRAINED,
    PictureMetadata,
    has_settings,
    jpeg_options,
    read_metadata,
    read_parameters,
)

PICTURE = np.zeros((16, 16, 3), np.uint8)
SUFFIXES = [".png", ".jpg", ".webp"]
PROMPT = 'a fr\u00f6g \U0001f438 on a "beach" <b>&amp; ]]>\ttab\r\nline'
SOFTWARE = "Sfumato 0.1.0"
BACKEND = "openvino cpu bfloat16"
METADATA = PictureMetadata(
    json.dumps({"version": 1, "prompt": PROMPT}, ensure_ascii=False),
    f"{PROMPT}\nNegative prompt: blurry\nSteps: 20, Sampler: Euler a",
    SOFTWARE,
)
ANY_TEXT = st.text(st.characters(codec=None))  # lone surrogates and controls included


def saved(folder: Path, suffix: str, metadata: PictureMetadata) -> Path:
    path = folder / f"a{suffix}"
    save_picture(PICTURE, path, metadata)
    return path


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("source", [TRAINED, COMPOSITE])
def test_round_trip(tmp_path: Path, suffix: str, source: str) -> None:
    metadata = PictureMetadata(METADATA.resolved_json, METADATA.parameters, SOFTWARE, source, BACKEND)
    path = saved(tmp_path, suffix, metadata)
    assert read_metadata(path) == metadata
    assert read_parameters(path) == metadata.parameters


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_drew_it_is_there_or_empty(tmp_path: Path, suffix: str) -> None:
    assert read_metadata(saved(tmp_path, suffix, METADATA)).backend == ""
    # Long enough for extended XMP in a JPEG.
    long = PictureMetadata(json.dumps({"p": "x" * 200_000}), "", SOFTWARE, backend='a "<\x00>&')
    assert read_metadata(saved(tmp_path, suffix, long)).backend == 'a "<\ufffd>&'


@given(st.sampled_from(SUFFIXES), ANY_TEXT)
def test_any_prompt_comes_back(tmp_path_factory: pytest.TempPathFactory, suffix: str, prompt: str) -> None:
    for ascii_only in (True, False):
        text = json.dumps({"prompt": prompt}, ensure_ascii=ascii_only)
        path = saved(tmp_path_factory.getbasetemp(), suffix, PictureMetadata(text, prompt, SOFTWARE))
        assert json.loads(read_metadata(path).resolved_json) == {"prompt": prompt}


@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"])), st.sampled_from(SUFFIXES))
def test_ordinary_parameters_come_back_exactly(
    tmp_path_factory: pytest.TempPathFactory, text: str, suffix: str
) -> None:
    path = saved(tmp_path_factory.getbasetemp(), suffix, PictureMetadata("{}", text, SOFTWARE))
    assert read_parameters(path) == text


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("size", [20_000, 33_000, 70_000, 1_000_000])
def test_long_prompts_cross_every_segment_limit(tmp_path: Path, suffix: str, size: int) -> None:
    prompt = "\u00e4b" * (size // 2)
    metadata = PictureMetadata(json.dumps({"prompt": prompt}, ensure_ascii=False), prompt, SOFTWARE)
    assert read_metadata(saved(tmp_path, suffix, metadata)) == metadata


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_other_programs_find_the_parameters(tmp_path: Path, suffix: str) -> None:
    with Image.open(saved(tmp_path, suffix, METADATA)) as image:
        if suffix == ".png":
            text = image.info["parameters"]
        else:
            comment = image.getexif().get_ifd(0x8769)[0x9286]
            assert comment[:8] == b"UNICODE\0"
            text = comment[8:].decode("utf-16-be")
        assert image.getexif().get(0x0131) in (SOFTWARE, None)
    assert text == METADATA.parameters


def test_the_user_comment_has_the_exif_type(tmp_path: Path) -> None:
    exif = jpeg_options(METADATA)["exif"]
    assert exif.startswith(b"Exif\0\0MM\0*")
    assert b"\x92\x86\x00\x07" in exif  # tag UserComment, type UNDEFINED, as piexif and A1111 expect


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_xmp_says_that_it_was_generated(tmp_path: Path, suffix: str) -> None:
    with Image.open(saved(tmp_path, suffix, METADATA)) as image:
        packet = image.info.get("xmp", image.info.get("XML:com.adobe.xmp"))
        text = packet.decode() if isinstance(packet, bytes) else packet
    uri = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    assert f'Iptc4xmpExt:DigitalSourceType="{uri}"' in text
    assert f'xmp:CreatorTool="{SOFTWARE}"' in text


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_picture_without_metadata_says_so(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    save_picture(PICTURE, path)
    with pytest.raises(PictureError, match="no Sfumato recipe"):
        read_metadata(path)
    assert read_parameters(path) == ""
    assert not has_settings(path)


def test_parameters_of_other_programs_are_readable(tmp_path: Path) -> None:
    info = PngInfo()
    info.add_text("parameters", "a cat\nSteps: 3")
    Image.fromarray(PICTURE).save(tmp_path / "a.png", pnginfo=info)
    assert read_parameters(tmp_path / "a.png") == "a cat\nSteps: 3"
    assert has_settings(tmp_path / "a.png")
    with pytest.raises(PictureError, match="no Sfumato recipe"):
        read_metadata(tmp_path / "a.png")


@pytest.mark.parametrize("text", ["{", "[1]", "null", "[" * 100_000, '{"a": ' + "9" * 10_000 + "}"])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_json_that_is_not_an_object_is_damaged(tmp_path: Path, text: str, suffix: str) -> None:
    with pytest.raises(PictureError, match="damaged"):
        read_metadata(saved(tmp_path, suffix, PictureMetadata(text, "", SOFTWARE)))


@pytest.mark.parametrize(
    "packet",
    [
        b"<not xml",
        b"\xff\xfe<\0x\0",
        b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaa">]><x>&a;</x>',
        b"<x/>",
        b"",
    ],
)
def test_hostile_xmp_is_refused(tmp_path: Path, packet: bytes) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(PICTURE).save(path, xmp=packet)
    with pytest.raises(PictureError, match=r"damaged|no Sfumato recipe"):
        read_metadata(path)


def test_a_lost_part_of_extended_xmp_is_damage(tmp_path: Path) -> None:
    long = PictureMetadata(json.dumps({"p": "x" * 200_000}), "", SOFTWARE)
    options = jpeg_options(long)
    second = options["extra"].index(b"\xff\xe1", 100)
    buffer = BytesIO()
    Image.fromarray(PICTURE).save(buffer, "JPEG", **{**options, "extra": options["extra"][:second]})
    path = tmp_path / "a.jpg"
    path.write_bytes(buffer.getvalue())
    with pytest.raises(PictureError, match="damaged"):
        read_metadata(path)


@given(st.sampled_from(SUFFIXES), st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 255)), max_size=8))
@hypothesis_settings(max_examples=100)
def test_changed_bytes_never_raise_anything_else(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, changes: list[tuple[int, int]]
) -> None:
    data = bytearray(encode_picture(PICTURE, suffix, METADATA))
    for place, value in changes:
        data[place % len(data)] = value
    path = tmp_path_factory.getbasetemp() / "changed"
    path.write_bytes(data)
    with suppress(PictureError):
        read_metadata(path)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_what_is_not_known_is_left_out(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    save_picture(np.zeros((8, 8, 3), np.uint8), path, PictureMetadata("", "", "Sfumato 0"))
    assert read_parameters(path) == ""
    with pytest.raises(PictureError, match="no Sfumato recipe"):
        read_metadata(path)
    data = path.read_bytes()
    assert b"iTXtsfumato" not in data
    assert b"iTXtparameters" not in data
    assert b"sfumato:resolved" not in data
    assert b"digitalsourcetype" in data
