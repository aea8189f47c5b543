"""Open pictures that nobody vouches for: damaged, hostile, rotated, transparent, 16 bit."""

import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageOps

from sfumato.errors import PictureError

FORMATS: Final = ("PNG", "JPEG", "WEBP")  # Pillow's many rare decoders are where its bugs live
MAX_FILE_BYTES: Final = 512_000_000
_TRANSPARENT_MODES = ("LA", "PA", "La", "RGBA", "RGBa")
_WHITE = (255, 255, 255, 255)


@contextmanager
def opened(path: Path) -> Generator[Image.Image]:
    """Open the header of a PNG, JPEG or WebP file; the pixels are not decoded yet.

    Raises PictureError when the file does not exist, cannot be read, or is none of the three.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise PictureError("the file is too large", field="picture", value=str(path))
        with warnings.catch_warnings():
            # A picture that large is refused by the caller's own, lower limit; the warning is only noise.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(path, formats=FORMATS)
    except PictureError:
        raise
    except FileNotFoundError as error:
        raise PictureError("no such file", field="picture", value=str(path)) from error
    except (IsADirectoryError, PermissionError) as error:
        raise PictureError("the file cannot be read", field="picture", value=str(path)) from error
    except Image.DecompressionBombError as error:
        raise PictureError("the picture is too large", field="picture", value=str(path)) from error
    # The bytes may be hostile, and Pillow's readers raise SyntaxError, struct.error, OverflowError and more.
    except Exception as error:
        raise PictureError(
            "not a picture that can be read",
            field="picture",
            value=str(path),
            hint="Give a PNG, JPEG or WebP file.",
        ) from error
    with image:
        yield image


def open_picture(path: Path, max_pixels: int) -> Image.Image:
    """Return the picture at `path` as 8-bit RGB, turned upright, on white where it was transparent.

    The first frame of an animation is taken. `max_pixels` bounds width * height before anything is decoded.

    Raises PictureError when the file is missing, damaged, too large, or neither PNG, JPEG nor WebP.
    """
    return open_layers(path, max_pixels)[0]


def open_layers(path: Path, max_pixels: int) -> tuple[Image.Image, Image.Image | None]:
    """Return the picture at `path` as `open_picture` does, and how opaque it is: 8-bit grey, None where it
    cannot be transparent. Raises PictureError as there.
    """
    with opened(path) as image:
        if image.width * image.height > max_pixels:
            raise PictureError(
                f"more than {max_pixels} pixels",
                field="picture",
                value=f"{image.width}x{image.height}",
                hint="Make it smaller first.",
            )
        try:
            upright = ImageOps.exif_transpose(image)
            clear = upright.mode in _TRANSPARENT_MODES or "transparency" in upright.info
            if not clear or upright.mode.startswith("I"):  # 16-bit grey has no alpha that Pillow could read
                return _rgb(upright), None
            layer = upright.convert("RGBA")
            white = Image.new("RGBA", layer.size, _WHITE)
            return Image.alpha_composite(white, layer).convert("RGB"), layer.getchannel("A")
        # See `opened`: a decoder fed with damaged bytes may raise anything.
        except Exception as error:
            raise PictureError(
                "the picture is damaged",
                field="picture",
                value=str(path),
                hint="The file is cut short or its bytes were changed.",
            ) from error


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        # 16-bit grey: Pillow's own conversion clips at 255 instead of scaling.
        deep = np.clip(np.asarray(image, dtype=np.int64), 0, 65535)
        return Image.fromarray((deep >> 8).astype(np.uint8)).convert("RGB")
    return image.convert("RGB")
