"""The canvas of the tab Edit, which looks at what it is given before it decodes any of it."""

import warnings
from abc import ABCMeta
from io import BytesIO
from pathlib import Path
from typing import Final

import gradio as gr
import numpy as np
from gradio.components.base import server
from gradio.components.image_editor import AcceptBlobs, EditorDataBlobs
from gradio.data_classes import FileData
from numpy.typing import NDArray
from PIL import Image

from sfumato.errors import PictureError
from sfumato.imaging.decode import FORMATS, opened
from sfumato.serving.studio.toasts import refusal

MOST: Final = 16_777_216  # pixels, where nothing else is said
MOST_LAYERS: Final = 16  # of one canvas
MOST_CANVASES: Final = 100  # that were sent and that nobody has drawn with yet
MOST_BYTES: Final = 2**28  # of them all


def _checked(
    self: gr.ImageEditor, file: FileData | bytes | None, flatten_on_white: bool = False
) -> NDArray[np.uint8] | Image.Image | str | None:
    """Return the picture as the editor gives it on. Raises gradio's Error for what is refused."""
    if file is not None:
        try:
            check_canvas(Path(file.path) if isinstance(file, FileData) else file, MOST)
        except PictureError as error:
            raise refusal(error) from None
    try:
        # Gradio leaves a file open whose picture it cannot read.
        data = Path(file.path).read_bytes() if isinstance(file, FileData) else file
        return gr.ImageEditor.convert_and_format_image(self, data, flatten_on_white)
    except Exception as error:  # the bytes may be hostile: see `opened`
        hint = "Put it on the canvas again."
        damaged = PictureError("is damaged", field="picture", hint=hint)
        raise refusal(damaged) from error


@server
def accept_blobs(self: gr.ImageEditor, data: AcceptBlobs) -> None:
    """Keep one picture of a canvas until somebody draws with it. Raises gradio's Error for a layer that no
    canvas has, and for a canvas of more than `MOST_BYTES`, which is forgotten.

    Gradio makes room for as many layers as somebody says there are, and keeps what is never drawn with: here
    the oldest go.
    """
    place = str(data.data.get("index") or "null")
    # Gradio takes all of it for the number.
    is_layer = len(place) <= 2 and place.isascii() and place.isdigit() and int(place) < MOST_LAYERS
    if place != "null" and not is_layer:
        raise refusal(f"layer: no canvas has so many (got {place[:20]}).")
    gr.ImageEditor.accept_blobs(self, data)
    waiting = self.blob_storage
    name = data.data["id"]
    newest = waiting.pop(name, None)
    if newest is None:  # it was drawn with at the same moment
        return
    if (size := _bytes_of(newest)) > MOST_BYTES:
        raise refusal(f"canvas: more than {MOST_BYTES} bytes (got {size}).")
    waiting[name] = newest
    for oldest in [*waiting][:-1]:  # the one that was just sent stays
        if len(waiting) <= MOST_CANVASES and sum(map(_bytes_of, [*waiting.values()])) <= MOST_BYTES:
            break
        waiting.pop(oldest, None)


def _bytes_of(canvas: EditorDataBlobs) -> int:
    pictures = [canvas.background, canvas.composite, *canvas.layers]
    return sum(len(one) for one in pictures if isinstance(one, bytes))


#: Gradio's editor of pictures. It takes PNG, JPEG and WebP of up to `MOST` pixels, and says of all else, in
#: one line, what is wrong with it: Gradio's own decodes whatever Pillow can read, of any size. No class
#: statement makes it, as Gradio would write a file of stubs beside this one whenever it is imported.
Canvas: type[gr.ImageEditor] = ABCMeta.__new__(
    type(gr.ImageEditor),
    "Canvas",
    (gr.ImageEditor,),
    {
        "__module__": __name__,
        "is_template": True,  # to the page it is the editor that it is made of
        "convert_and_format_image": _checked,
        "accept_blobs": accept_blobs,
    },
)


def check_canvas(picture: Path | bytes, max_pixels: int) -> None:
    """Raise PictureError, which tells nothing of where a file is, for what a canvas does not take."""
    try:
        if isinstance(picture, Path):
            with opened(picture) as image:
                width, height = image.size
        else:
            with warnings.catch_warnings():
                # What Pillow warns of is refused below.
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)
                image = Image.open(BytesIO(picture), formats=FORMATS)
            with image:
                width, height = image.size
    # The bytes may be hostile: see `opened`.
    except Exception as error:
        if isinstance(picture, Path) and not picture.exists():
            hint = "Put it on the canvas again."
            raise PictureError("is not kept any more", field="picture", hint=hint) from error
        raise PictureError(
            "is none that can be read", field="picture", hint="Give a PNG, JPEG or WebP file."
        ) from error
    if width * height > max_pixels:
        raise PictureError(
            f"more than {max_pixels} pixels",
            field="picture",
            value=f"{width}x{height}",
            hint="Make it smaller first.",
        )
