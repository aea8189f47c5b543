"""Drawings of the tab Learn as JSON, and back: what is shown of them, and those pictures that are kept."""

import base64
import io
from collections.abc import Collection
from dataclasses import asdict
from typing import Any, Final, Literal

import numpy as np
from PIL import Image

from sfumato.engine.attention import WordMap
from sfumato.engine.compass import Bearing
from sfumato.engine.trace import TraceRow
from sfumato.imaging.io import encode_picture
from sfumato.recipe.codec import from_json, to_json
from sfumato.recipe.image import Resolved
from sfumato.serving.studio.learn_drawing import Bytes, Drawn, Frame, Spoken, Token
from sfumato.serving.studio.traces import MOST_PIXELS

Picture = Literal["pixels", "noisy", "channels", "clean"]
OF_STEPS: Final[tuple[Picture, ...]] = ("noisy", "channels", "clean")
#: What stands for a picture that was not kept.
BLANK: Final[Bytes] = np.zeros((1, 1, 3), np.uint8)


def told_of(drawn: Drawn, pictures: Collection[Picture]) -> dict[str, Any]:
    """Return `drawn` as JSON can hold it, with no other pictures than `pictures`: "pixels" are the result,
    the others those of each step. Where none of these is asked for, steps are left out.
    """
    steps = drawn.frames if any(one in pictures for one in OF_STEPS) else ()
    return {
        "resolved": to_json(drawn.resolved),
        "backend": drawn.backend,
        "pixels": _written(drawn.pixels) if "pixels" in pictures else None,
        "spoken": None if drawn.spoken is None else asdict(drawn.spoken),
        "words": [{"word": one.word, "heat": one.heat.tolist()} for one in drawn.words],
        "frames": [
            {
                "row": asdict(one.row),
                "bearing": None if one.bearing is None else asdict(one.bearing),
                "noisy": _written(one.noisy) if "noisy" in pictures else None,
                "channels": _written(one.channels) if "channels" in pictures else None,
                "clean": _written(one.clean) if "clean" in pictures else None,
            }
            for one in steps
        ],
    }


def drawn_of(told: dict[str, Any]) -> Drawn:
    """Return what `told_of` told, with `BLANK` for pictures that were left out.

    Raises KeyError, OSError, TypeError, ValueError or an SfumatoError for what it cannot have told.
    """
    spoken = None
    if told["spoken"] is not None:
        tokens = tuple(Token(**one) for one in told["spoken"]["tokens"])
        spoken = Spoken(**{**told["spoken"], "tokens": tokens})
    return Drawn(
        from_json(told["resolved"], Resolved),
        str(told["backend"]),
        _read(told["pixels"]),
        tuple(_frame_of(one) for one in told["frames"]),
        spoken,
        tuple(_map_of(one) for one in told["words"]),
    )


def _frame_of(told: dict[str, Any]) -> Frame:
    bearing = None if told["bearing"] is None else Bearing(**told["bearing"])
    row = TraceRow(**{name: _tuple(value) for name, value in told["row"].items()})
    return Frame(_read(told["noisy"]), _read(told["channels"]), _read(told["clean"]), row, bearing)


def _map_of(told: dict[str, Any]) -> WordMap:
    heat = np.asarray(told["heat"], np.float32)
    if heat.ndim != 2 or heat.size == 0 or not np.isfinite(heat).all():
        raise ValueError("is no map")
    return WordMap(str(told["word"]), heat)


def _written(picture: Bytes) -> str:
    return base64.b64encode(encode_picture(picture, ".png")).decode("ascii")


def _read(written: str | None) -> Bytes:
    if written is None:
        return BLANK
    try:
        with Image.open(io.BytesIO(base64.b64decode(written)), formats=["PNG"]) as image:
            if image.width * image.height > MOST_PIXELS:
                raise ValueError("is too large")
            return np.asarray(image.convert("RGB"))
    except (Image.DecompressionBombError, SyntaxError) as error:  # Pillow's, of a PNG that is none
        raise ValueError("is no picture") from error


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
