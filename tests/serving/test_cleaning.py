"""What is uploaded is written anew, through the routes that a page uses, and nothing that came is left."""

import io
import json
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms
from starlette.testclient import TestClient

from sfumato.errors import PictureError
from sfumato.imaging.io import encode_picture
from sfumato.imaging.metadata import PictureMetadata, read_metadata, read_parameters
from sfumato.serving import cleaning
from sfumato.serving.cleaning import CleanUploads, clean
from sfumato.serving.desk import Desk
from sfumato.serving.guard import Receive, Scope, Send
from sfumato.serving.server import Address, application
from sfumato.serving.studio.build import build
from sfumato.serving.studio.canvas import MOST, check_canvas
from sfumato.serving.studio.look import built_in
from sfumato.serving.uploads import read_upload
from sfumato.settings import Settings
from tiny_studio import open_tiny_desk

HERE = "http://127.0.0.1:7860"
PIXELS = np.random.default_rng(1).integers(0, 255, (40, 64, 3), np.uint8)
NORTH = ((52.0, 22.0, 11.5), (4.0, 53.0, 37.25))  # degrees, minutes, seconds
SECRET = b"Grandmother's garden"
Answer = Callable[[str, bytes], str]


def photo(kind: str, turned: int = 1) -> bytes:
    """Return a photo as phones write it: with its place, its maker, a comment and bytes at the end."""
    exif = Image.Exif()
    exif[0x0112] = turned
    exif[0x010E] = SECRET.decode()
    exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + SECRET.decode().encode("utf-16-be")
    gps = exif.get_ifd(0x8825)
    gps[1], gps[2], gps[3], gps[4] = "N", NORTH[0], "E", NORTH[1]
    written = io.BytesIO()
    more = {"comment": SECRET} if kind == "JPEG" else {}
    Image.fromarray(PIXELS).save(written, kind, exif=exif, xmp=SECRET, lossless=True, quality=95, **more)
    assert SECRET in written.getvalue()
    return written.getvalue() + SECRET


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("everything")
        patch.setenv("GRADIO_TEMP_DIR", str(folder / "gradio"))
        patch.setattr("tempfile.tempdir", str(folder))
        yield folder


@pytest.fixture(scope="module")
def desk(folder: Path) -> Iterator[Desk]:
    with open_tiny_desk(folder / "home") as desk:
        yield desk


@pytest.fixture(scope="module")
def client(desk: Desk) -> Iterator[TestClient]:
    with TestClient(application(desk, built_in("paper"), Address()), base_url=HERE) as client:
        yield client


def upload(client: TestClient, name: str, content: bytes) -> Path:
    answer = client.post("/gradio_api/upload", files={"files": (name, content, "image/jpeg")})
    assert answer.status_code == 200, answer.text
    (path,) = answer.json()
    return Path(path)


def holding(folder: Path, what: bytes) -> list[Path]:
    return [one for one in folder.rglob("*") if one.is_file() and what in one.read_bytes()]


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "PNG"])
def test_what_a_photo_says_is_nowhere(client: TestClient, folder: Path, kind: str) -> None:
    sent = photo(kind)
    for old in (folder / "gradio").rglob("garden.png"):
        old.unlink()
    path = upload(client, f"garden.{kind.lower()}", sent)
    assert path.name == "garden.png"
    assert holding(folder, SECRET) == []
    assert holding(folder, sent[:400]) == []
    assert [*(folder / "gradio").rglob(f"garden.{kind.lower()}")] == ([path] if kind == "PNG" else [])
    answer = client.get(f"/gradio_api/file={path}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/png"
    with Image.open(io.BytesIO(answer.content)) as shown, Image.open(io.BytesIO(sent)) as came:
        assert not shown.getexif()
        assert set(shown.info) == set()
        assert np.array_equal(np.asarray(shown), np.asarray(came.convert("RGB")))


def test_a_photo_is_upright(client: TestClient) -> None:
    with Image.open(upload(client, "turned.jpg", photo("PNG", turned=6))) as shown:
        assert shown.size == (40, 64)
        assert np.array_equal(np.asarray(shown), np.rot90(PIXELS, -1))


def test_the_same_has_the_same_place(client: TestClient) -> None:
    """A canvas that is told of another place takes it for a change, and uploads it again."""
    first = upload(client, "same.jpg", photo("JPEG"))
    assert upload(client, "same.jpg", photo("JPEG")) == first
    other = upload(client, "same.jpg", photo("PNG"))
    assert other != first
    assert first.is_file()


def test_the_same_is_uploaded_many_times_at_once(client: TestClient) -> None:
    pixels = np.random.default_rng(2).integers(0, 255, (400, 400, 3), np.uint8)
    written = io.BytesIO()
    Image.fromarray(pixels).save(written, "JPEG", quality=95)

    def one(_: int) -> Path:
        return upload(client, "a.jpg", written.getvalue())

    for _ in range(5):
        with ThreadPoolExecutor(8) as pool:
            paths = [*pool.map(one, range(8))]
        assert len({*paths}) == 1
        assert read_upload(paths[0], Settings(Path())).shape == pixels.shape


def test_what_a_canvas_sends_stays_as_it_is(client: TestClient) -> None:
    sent = encode_picture(PIXELS, ".png")
    path = upload(client, "background.png", sent)
    assert path.read_bytes() == sent
    assert upload(client, "background.png", sent) == path
    for hidden in (
        sent + SECRET,
        sent.replace(b"IEND", b"tEXt"),
        sent[:8] + sent[8:].replace(b"IDAT", b"eXIf"),
    ):
        assert upload(client, "background.png", hidden) != path


def swapped(profile: bytes) -> bytes:
    """Return a profile whose red and blue are those of `profile` swapped, and that names a device."""
    assert profile.count(b"rXYZ") == profile.count(b"bXYZ") == 1
    other = profile.replace(b"rXYZ", b"????").replace(b"bXYZ", b"rXYZ").replace(b"????", b"bXYZ")
    return other + SECRET


SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_colours_of_a_profile_are_told_without_it(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "a.png"
    red = (255, 0, 0, 90)[: len(mode)]
    Image.new(mode, (8, 8), red).save(path, "PNG", icc_profile=swapped(SRGB))
    assert SECRET not in path.read_bytes()  # it is deflated
    path.write_bytes(clean(path, MOST) or b"")
    with Image.open(path) as shown:
        assert shown.info == {}
        assert shown.mode == mode
        pixel = np.asarray(shown)[0, 0]
        assert pixel[2] > 250 > 5 > pixel[0]
        assert [*pixel[3:]] == [*red[3:]]


@pytest.mark.parametrize(
    "profile",
    [SECRET, SRGB[:200], SRGB[:128] + bytes(400), SRGB + bytes(2**14), SRGB.replace(b"RGB ", b"CMYK")],
)
def test_profiles_that_say_nothing_leave_pixels_as_they_are(tmp_path: Path, profile: bytes) -> None:
    for mode in ("RGB", "RGBA", "L", "CMYK"):
        path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
        image = Image.new(mode, (8, 8), 90 if mode == "L" else (90, 20, 200, 30)[: len(mode)])
        image.save(path, icc_profile=profile)
        with Image.open(path) as came:
            pixels = np.asarray(came.convert("RGBA" if mode == "RGBA" else "RGB"))
        path.write_bytes(clean(path, MOST) or b"")
        with Image.open(path) as shown:
            assert shown.info == {}
            assert np.array_equal(np.asarray(shown), pixels)


def test_what_is_transparent_stays_so(client: TestClient) -> None:
    mask = np.zeros((16, 16, 4), np.uint8)
    mask[:8] = (255, 0, 0, 200)
    written = io.BytesIO()
    Image.fromarray(mask).save(written, "PNG")
    with Image.open(upload(client, "mask.png", written.getvalue())) as shown:
        assert np.array_equal(np.asarray(shown), mask)


def test_recipes_and_parameters_go_along(client: TestClient) -> None:
    metadata = PictureMetadata(
        '{"seed": 7}', "a frog\nSteps: 4, Sampler: Euler", "Sfumato 1", backend="numpy"
    )
    for suffix in (".png", ".jpg", ".webp"):
        path = upload(client, f"ours{suffix}", encode_picture(PIXELS, suffix, metadata))
        assert read_metadata(path) == metadata
    theirs = PictureMetadata("", "a toad\nSteps: 5, Sampler: Heun", "")
    path = upload(client, "theirs.jpg", encode_picture(PIXELS, ".jpg", theirs))
    assert read_parameters(path) == theirs.parameters


@pytest.mark.parametrize(
    "content",
    [b"", b"GIF89a" + SECRET, b"<svg>" + SECRET, photo("JPEG")[:300], b"\x89PNG\r\n\x1a\n" + SECRET],
)
def test_what_is_none_leaves_nothing_and_is_refused_when_asked_for(
    client: TestClient, desk: Desk, folder: Path, content: bytes
) -> None:
    path = upload(client, "odd.jpg", content)
    assert holding(folder, SECRET) == []
    with pytest.raises(PictureError):
        read_upload(path, desk.settings)


def test_of_what_is_too_large_the_size_and_the_recipe_are_kept(tmp_path: Path) -> None:
    large = Image.new("RGB", (5000, 4000))
    path = tmp_path / "large.png"
    metadata = PictureMetadata('{"seed": 7}', "a frog", "Sfumato 1")
    path.write_bytes(encode_picture(large, ".png", metadata))
    short = clean(path, MOST)
    assert short is not None
    assert len(short) < 2000
    path.write_bytes(short)
    with pytest.raises(PictureError, match="more than 16777216 pixels \\(got '5000x4000'\\)"):
        check_canvas(path, MOST)
    assert read_metadata(path) == metadata


def test_parts_of_somebodys_own_take_files_as_they_come(desk: Desk, folder: Path) -> None:
    dressed = built_in("paper")
    with TestClient(application(desk, dressed, Address(), build(desk, dressed)), base_url=HERE) as client:
        path = upload(client, "table.csv", b"a,b\n1,2\n")
        assert (path.name, path.read_bytes()) == ("table.csv", b"a,b\n1,2\n")
        evil = client.get(f"/gradio_api/file={upload(client, 'evil.svg', b'<svg onload=alert(1)/>')}")
        assert evil.headers["content-disposition"].startswith("attachment")
        assert evil.headers["x-content-type-options"] == "nosniff"
        assert upload(client, "garden.jpg", photo("JPEG")).name == "garden.png"
        assert holding(folder, SECRET) == []


@pytest.mark.parametrize("damage", ["too large", "far too large", "torn", "cut short"])
def test_pictures_that_cannot_be_had_are_not_left_as_they_came_there(
    desk: Desk, folder: Path, damage: str
) -> None:
    sent = photo("JPEG")
    frame = sent.index(b"\xff\xc0")  # it says the size
    side = {"too large": b"\x20\x00", "far too large": b"\xff\xff"}.get(damage)
    if side is not None:
        sent = sent[: frame + 5] + 2 * side + sent[frame + 9 :]
    else:
        sent = sent[: 300 if damage == "torn" else len(sent) // 2]
    assert SECRET in sent
    dressed = built_in("paper")
    with TestClient(application(desk, dressed, Address(), build(desk, dressed)), base_url=HERE) as client:
        path = upload(client, "garden.jpg", sent)
        assert path.is_file()
        assert holding(folder, SECRET) == []
        with pytest.raises(PictureError):
            read_upload(path, desk.settings)


def test_files_of_somebodys_own_go_with_the_studio(desk: Desk) -> None:
    dressed = built_in("paper")
    with TestClient(application(desk, dressed, Address(), build(desk, dressed)), base_url=HERE) as client:
        path = upload(client, "table.csv", b"c,d\n1,2\n")
        assert path.is_file()
    assert not path.exists()


def test_what_lies_there_goes_with_the_studio(desk: Desk, folder: Path) -> None:
    with TestClient(application(desk, built_in("paper"), Address()), base_url=HERE) as client:
        path = upload(client, "garden.jpg", photo("JPEG"))
        assert path.is_file()
    assert not path.parent.exists()


def files_in(folder: Path) -> list[Path]:
    return [one for one in folder.rglob("*") if one.is_file()]


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def uploading(folder: Path, name: str = "photo.jpg") -> Callable[[Scope, Receive, Send], object]:
    """Return an application that keeps uploads as Gradio does: the body, in a folder named by it."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        if scope["path"].endswith("/upload"):
            sent = (await receive())["body"]
            path = folder / f"{hash(sent):x}" / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(sent)
            body = b'["' + str(path).encode() + b'"]'
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    return app


def test_old_ones_make_room_and_what_was_broken_off_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    monkeypatch.setattr(cleaning, "MOST", 3)
    clock = Clock()
    client = TestClient(CleanUploads(uploading(tmp_path), 10_000, now=clock))  # type: ignore[arg-type]

    def sent(shade: int) -> Path:
        data = encode_picture(np.full((8, 8, 3), shade, np.uint8), ".jpg")
        return Path(client.post("/gradio_api/upload", content=data).json()[0])

    first, *others = [sent(shade) for shade in range(4)]
    assert not first.exists()
    assert all(one.is_file() for one in others)
    partial = tmp_path / "tmpabcd_123"
    partial.write_bytes(SECRET)
    clock.seconds += 90
    client.get("/config")
    assert partial.exists()  # it may still be coming
    long_ago = time.time() - cleaning.STALE - 1
    os.utime(partial, (long_ago, long_ago))
    clock.seconds += 90
    client.get("/config")
    assert not partial.exists()
    assert all(one.is_file() for one in others)
    clock.seconds += cleaning.LIFE
    client.get("/config")
    assert files_in(tmp_path) == []
    for one in tmp_path.iterdir():
        os.utime(one, (long_ago, long_ago))
    clock.seconds += 90
    client.get("/config")
    assert [*tmp_path.iterdir()] == []


def test_of_junk_that_becomes_the_same_the_newest_is_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    monkeypatch.setattr(cleaning, "MOST", 3)
    clean = CleanUploads(uploading(tmp_path), 10_000)  # type: ignore[arg-type]
    client = TestClient(clean)
    places = {client.post("/gradio_api/upload", content=b"junk %d" % one).json()[0] for one in range(9)}
    assert len(places) == 1
    assert clean.remembered == 3


def test_what_cannot_be_written_is_said_and_nothing_is_left_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    app = uploading(tmp_path, "x" * 253)  # with ".png" that is more than a file system names
    answer = TestClient(CleanUploads(app, 10_000)).post("/gradio_api/upload", content=photo("PNG"))  # type: ignore[arg-type]
    assert (answer.status_code, answer.text) == (507, "The upload cannot be kept: File name too long.")
    assert files_in(tmp_path) == []


def test_where_one_file_cannot_be_kept_those_of_others_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    named: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(named).encode()})

    client = TestClient(CleanUploads(app, 10_000))  # type: ignore[arg-type]
    paths = [tmp_path / "a" / "canvas.png", tmp_path / "b" / ("x" * 253)]
    for path, content in zip(paths, (encode_picture(PIXELS, ".png"), photo("PNG")), strict=True):
        path.parent.mkdir()
        path.write_bytes(content)
    for some, status in ((paths[:1], 200), (paths, 507)):
        named[:] = map(str, some)
        assert client.post("/gradio_api/upload", content=b"").status_code == status
    assert files_in(tmp_path) == [paths[0]]


def test_a_canvas_says_that_its_picture_is_gone(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=r"is not kept any more\. Put it on the canvas again"):
        check_canvas(tmp_path / "gone.png", MOST)
    assert Settings(tmp_path).max_pixels == MOST
