"""Uploaded files are written anew before anybody is told where they are: their pixels, and nothing else.

Gradio keeps what is uploaded as it came, with the place where a photo was taken, until it closes. Here,
around its application, each picture becomes a PNG of its pixels, with the recipe or the parameters that it
carries, as a file that is dropped on the page is asked for them; what came is removed in the same request.
The page shows the PNG. Files that have nothing but pixels, as the page's own canvas sends, stay as they are.
They all go after a while, the oldest first where there is no room.
"""

import asyncio
import hmac
import json
import os
import re
import secrets
import struct
import threading
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np
from gradio.utils import get_upload_folder
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps
from PIL.PngImagePlugin import PngInfo

from sfumato.errors import PictureError
from sfumato.imaging.decode import open_picture, opened
from sfumato.imaging.metadata import PictureMetadata, png_info, read_metadata, read_parameters
from sfumato.serving.guard import Application, Message, Receive, Scope, Send

PATH: Final = "/upload"
LIFE: Final = 6 * 3600.0  # seconds that a clean file lies at most: somebody may draw on a canvas for long
MOST: Final = 5000  # clean files: each stroke on a canvas is three
MOST_BYTES: Final = 2 * 2**30  # of all of them
STALE: Final = 600.0  # seconds without a byte, after which an upload that was broken off is removed
_OFTEN: Final = 60.0  # seconds between two looks at what is old
_MAX_PROFILE: Final = 16_384  # bytes of a colour profile; those of cameras and screens have 500 to 4000
_PARTIAL: Final = "tmp????????"  # what Gradio calls a file that is still coming
#: The line that every text of A1111 has.
_DRAWN: Final = re.compile(r"^Steps: \d+(,|$)", re.MULTILINE)
_TRANSPARENT: Final = ("LA", "PA", "La", "RGBA", "RGBa")
_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
#: Chunks of a PNG that are pixels, or say what their numbers mean.
_PLAIN: Final = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"gAMA", b"cHRM", b"sRGB", b"sBIT", b"pHYs"})
_MAX_PLAIN: Final = 768  # bytes of one but IDAT: a palette


@dataclass(frozen=True)
class _Kept:
    size: int
    since: float


class CleanUploads:
    """An ASGI application around `app`, in which Gradio takes uploads.

    Pictures have up to `max_pixels`. What is none that can be read is emptied, and of one that is too large
    or damaged the size alone is kept, so that who asks for it can say why it is refused; with `others`, where
    somebody's own parts may take files of any kind, what is no picture is left as it came. `now` tells
    seconds.
    """

    def __init__(
        self,
        app: Application,
        max_pixels: int,
        *,
        others: bool = False,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app, self._max_pixels, self._others, self._now = app, max_pixels, others, now
        self._seed = secrets.token_bytes(32)
        self._lock = threading.Lock()  # one is decoded at a time: each takes memory
        self._kept: dict[Path, _Kept] = {}
        self._became: dict[Path, Path] = {}  # the oldest first, `MOST` at most
        self._looked = now()

    @property
    def remembered(self) -> int:
        """Uploads of which it is known what became of them."""
        return len(self._became)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            try:
                await self._app(scope, receive, send)
            finally:
                for path in [*self._kept]:
                    self._forget(path)
                    with suppress(OSError):
                        path.parent.rmdir()
        elif scope["type"] == "http" and scope["method"] == "POST" and scope["path"].endswith(PATH):
            await self._take(scope, receive, send)
        else:
            if self._now() - self._looked > _OFTEN:
                self._looked = self._now()
                await asyncio.to_thread(self._tidy)
            await self._app(scope, receive, send)

    async def _take(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Have a file uploaded, and name what became of it instead."""
        said: list[Message] = []

        async def held(message: Message) -> None:
            said.append(message)

        await self._app(scope, receive, held)
        paths = _paths_in(said)
        if not paths:
            for message in said:
                await send(message)
            return
        status, kind = 200, b"application/json"
        try:
            body = json.dumps(await asyncio.to_thread(self._written_anew, paths)).encode()
        except OSError as error:  # the disk is full
            status, kind = 507, b"text/plain; charset=utf-8"
            body = f"The upload cannot be kept: {error.strerror or 'try again'}.".encode()
        headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _written_anew(self, paths: list[Path]) -> list[str]:
        """Return where files are that stand for those at `paths`, which are gone then. Raises OSError."""
        # The same file has one place, whoever uploads it: nobody may remove it while another reads it.
        with self._lock:
            left = {*self._kept}  # of others, who may have sent the same
            try:
                new = [self._one(path) for path in paths]
                left |= {*new}
            finally:
                for path in paths:
                    if path not in left:
                        _remove(path)
        return [str(path) for path in new]

    def _one(self, path: Path) -> Path:
        before = self._became.get(path)
        if before is not None and before.exists() and not path.exists():
            return self._keep(before)  # somebody uploaded the same at the same moment
        if has_only_pixels(path):
            return self._keep(path)
        data = clean(path, self._max_pixels, left=self._others)
        if data is None:
            return self._keep(path)
        # The same file has the same place each time, as with Gradio: its canvas takes another for a change.
        name = hmac.digest(self._seed, data, "sha256").hex()
        new = path.parent.parent / name / f"{path.stem or 'picture'}.png"
        new.parent.mkdir(exist_ok=True)
        temporary = new.parent / secrets.token_hex(8)
        try:
            temporary.write_bytes(data)
            os.replace(temporary, new)
        except OSError:
            _remove(temporary)
            raise
        self._became.pop(path, None)
        self._became[path] = new
        if len(self._became) > MOST:
            del self._became[next(iter(self._became))]
        return self._keep(new)

    def _keep(self, path: Path) -> Path:
        """Return `path`, which is the newest now."""
        self._kept.pop(path, None)
        size = path.stat().st_size
        self._make_room(1, size)
        self._kept[path] = _Kept(size, self._now())
        return path

    def _tidy(self) -> None:
        with self._lock:
            self._make_room(0, 0)
            # Not as a file goes: Gradio may be about to put the same one there again.
            for folder in Path(get_upload_folder()).glob("*/"):
                with suppress(OSError):  # it is not empty
                    if _is_stale(folder):
                        folder.rmdir()
        for path in Path(get_upload_folder()).glob(_PARTIAL):
            with suppress(OSError):
                if path.is_file() and _is_stale(path):
                    path.unlink()

    def _make_room(self, more: int, more_bytes: int) -> None:
        """Remove what is old, and then the oldest until there is room."""
        young = self._now() - LIFE
        size = more_bytes + sum(one.size for one in self._kept.values())
        for path, one in [*self._kept.items()]:
            if one.since > young and len(self._kept) + more <= MOST and size <= MOST_BYTES:
                break
            self._forget(path)
            size -= one.size

    def _forget(self, path: Path) -> None:
        del self._kept[path]
        _remove(path)


def has_only_pixels(path: Path) -> bool:
    """Tell whether a file is a PNG as browsers write what is painted: nothing in it but pixels, from its
    first byte to its last. Nothing is decoded.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        if file.read(8) != _SIGNATURE:
            return False
        while (head := file.read(8)) and len(head) == 8:
            (length,), name = struct.unpack(">I", head[:4]), head[4:]
            if name == b"IEND":
                return length == 0 and file.tell() + 4 == size
            if name not in _PLAIN or (name != b"IDAT" and length > _MAX_PLAIN):
                return False
            file.seek(length + 4, os.SEEK_CUR)
    return False


def clean(path: Path, max_pixels: int, *, left: bool = False) -> bytes | None:
    """Return the bytes of a PNG with the pixels of the picture at `path`, upright, and the recipe or the
    parameters in it; for one that cannot be had, of a PNG that has nothing but its size. For what is no
    picture no bytes, and None with `left`.
    """
    try:
        with opened(path) as image:
            width, height = image.size
            profile: object = image.info.get("icc_profile")
    except PictureError:
        return None if left and not _begins_as_picture(path) else b""
    texts = _texts_of(path)
    try:
        pixels = _pixels_of(path, max_pixels)
    except PictureError:
        return _only_size(width, height, texts)
    # Made of its array, as a picture takes along what its file said.
    fresh = Image.fromarray(pixels)
    if isinstance(profile, bytes) and 0 < len(profile) <= _MAX_PROFILE:
        fresh = _in_srgb(fresh, profile)
    buffer = BytesIO()
    fresh.save(buffer, "PNG", compress_level=1, pnginfo=texts, icc_profile=None)
    return buffer.getvalue()


def _in_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Return the same colours without a profile, which names the device: `image` where that says nothing of
    RGB, or nothing that can be read.
    """
    try:
        source, ours = ImageCms.ImageCmsProfile(BytesIO(profile)), ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, source, ours) or image
    except Exception:  # the bytes may be hostile
        return image


def _begins_as_picture(path: Path) -> bool:
    """Tell whether a file that cannot be read is a picture all the same: damaged, or far too large."""
    with path.open("rb") as file:
        head = file.read(12)
    return head.startswith((b"\xff\xd8\xff", _SIGNATURE)) or (head[:4] == b"RIFF" and head[8:] == b"WEBP")


def _pixels_of(path: Path, max_pixels: int) -> NDArray[np.uint8]:
    """Return the pixels uint8 `(H,W,3)`, or `(H,W,4)` where they can be transparent: masks come here too."""
    flat = open_picture(path, max_pixels)
    try:
        with opened(path) as image:
            if image.mode not in _TRANSPARENT and "transparency" not in image.info:
                return np.asarray(flat)
            return np.asarray(ImageOps.exif_transpose(image).convert("RGBA"))
    except PictureError:
        raise
    except Exception:  # 16-bit grey with a transparent value: Pillow has no way for it
        return np.asarray(flat)


def _texts_of(path: Path) -> PngInfo | None:
    """Return how the picture says that it was drawn: texts that say something else are not kept, as cameras
    have them in the same place.
    """
    try:
        return png_info(read_metadata(path))
    except PictureError:
        pass
    try:
        parameters = read_parameters(path)
    except PictureError:
        return None
    return png_info(PictureMetadata("", parameters, "")) if _DRAWN.search(parameters) else None


def _only_size(width: int, height: int, texts: PngInfo | None) -> bytes:
    """Return a PNG that says how large it is, and has no pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [] if texts is None else [(name, data) for name, data, *_ in texts.chunks]
    every = [(b"IHDR", header), *chunks, (b"IDAT", b""), (b"IEND", b"")]
    return _SIGNATURE + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in every
    )


def _paths_in(said: list[Message]) -> list[Path]:
    """Return the files that Gradio says it keeps, none where it refused."""
    if not said or said[0].get("status") != 200:
        return []
    try:
        named = json.loads(b"".join(one.get("body", b"") for one in said[1:]))
    except ValueError:
        return []
    return [Path(one) for one in named if isinstance(one, str)] if isinstance(named, list) else []


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


def _is_stale(path: Path) -> bool:
    return time.time() - path.stat().st_mtime > STALE
