"""Frames to an animation: GIF, animated WebP, and MP4 where the extra `video` is installed.

Frames go through one at a time, to a temporary file and from there into the animation, so that memory does
not grow with their number. A GIF has one palette for all frames and a fixed pattern of dots: colours that do
not change do not flicker.
"""

import errno
import math
import tempfile
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from io import BytesIO
from itertools import chain, pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.GifImagePlugin import getdata, getheader

from sfumato.errors import MissingExtraError, OutputError, closest
from sfumato.imaging.io import QUALITY, check_output
from sfumato.imaging.metadata import PictureMetadata, webp_options
from sfumato.imaging.writing import output_error, replacing

Frame = NDArray[np.uint8]

ANIMATED: Final = (".gif", ".webp", ".mp4")
INSTALL_VIDEO: Final = 'Run: pip install "sfumato[video]"; or end the name in .gif or .webp.'
SHORTEST: Final = 20  # milliseconds; what is shorter, browsers show for 100
TICK: Final = 10  # a GIF counts in hundredths of a second
VIDEO_RATE: Final = 25  # frames a second of an MP4, in which longer ones are repeated
VIDEO_QUALITY: Final = "16"  # x264's constant rate factor: 0 is lossless, 18 is said to be transparent
MAX_SIDE: Final = 16_383  # WebP's; a GIF could have more
_IN_MEMORY: Final = 64_000_000  # bytes of frames that do not need a file yet
_COLOURS: Final = 256
_SAMPLES: Final = 12  # frames that the palette of a GIF is made for, beside the last
_SAMPLE_SIDE: Final = 128
_SHADE: Final = 4  # of 256: what is nearer than this is one colour, when colours are counted
_MOVES: Final = 2
_DOTS: Final = 10  # how far apart the dots of a GIF may be: about the distance of two of its colours
_WEBP_ANIMATED: Final = 0b10  # VP8X, the flag "animation"
_WEBP_TEXTS: Final = 0b1100  # VP8X, the flags "EXIF" and "XMP"
_WEBP_OPAQUE: Final = 0b10  # ANMF, "do not blend"


class Frames:
    """Pictures of one size, uint8 `(H,W,3)`, kept in a temporary file; a context manager."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - it lives as long as this
        self._shape: tuple[int, ...] | None = None
        self._count = 0

    def add(self, frame: Frame) -> None:
        """Keep one more frame. Raises ValueError for another size or type than the first has."""
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
            raise ValueError(f"a frame is uint8 (H,W,3), not {frame.dtype} {frame.shape}")
        if self._shape is None:
            self._shape = frame.shape
        if frame.shape != self._shape:
            raise ValueError(f"all frames must be {self._shape}, not {frame.shape}")
        self._file.seek(0, 2)
        self._file.write(np.ascontiguousarray(frame).tobytes())
        self._count += 1

    @property
    def shape(self) -> tuple[int, ...] | None:
        """The shape that all frames have; None as long as there are none."""
        return self._shape

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Frame:
        if self._shape is None or not 0 <= index < self._count:
            raise IndexError(index)
        num_bytes = math.prod(self._shape)
        self._file.seek(index * num_bytes)
        return np.frombuffer(self._file.read(num_bytes), np.uint8).reshape(self._shape)

    def __iter__(self) -> Iterator[Frame]:
        return (self[index] for index in range(self._count))

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> "Frames":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def check_animation(path: Path) -> None:
    """Raise OutputError when no animation can be written to `path`, and MissingExtraError when its format
    needs what is not installed: ask before the work of drawing it.
    """
    suffix = path.suffix.lower()
    if suffix not in ANIMATED:
        near = closest(suffix, ANIMATED)
        guess = f"Did you mean {near}? " if near is not None else ""
        hint = f"{guess}Use one of {', '.join(ANIMATED)}."
        raise OutputError("unknown format of animations", field="animate", value=path.name, hint=hint)
    try:
        check_output(path.with_name("animation.png"))  # about the folder
        if path.is_dir():
            raise output_error(path, errno.EISDIR)
    except OSError as error:  # a name longer than the system takes
        raise output_error(path, error.errno) from error
    if suffix == ".mp4":
        _need_video()


def eased(num_frames: int, *, seconds: float = 3.0, first: float = 0.5, last: float = 2.0) -> tuple[int, ...]:
    """Return how many milliseconds each of `num_frames` is shown: slow at both ends, fast between.

    The frames share `seconds` so that progress follows `3 p^2 - 2 p^3`; the first and the last are held for
    `first` and `last` seconds more. All are multiples of 10, as a GIF counts, and at least 20: many frames
    take longer than `seconds`.
    """
    if num_frames < 1:
        raise ValueError("an animation needs a frame")
    seconds = max(seconds, 1.5 * num_frames * SHORTEST / 1000)  # the middle goes by 1.5 times as fast
    # The inverse of 3 p^2 - 2 p^3: when has this much of the way been gone?
    ends = [0.5 - math.sin(math.asin(1 - 2 * place / num_frames) / 3) for place in range(num_frames + 1)]
    times = [seconds * end for end in ends]
    shown = [after - before for before, after in pairwise(times)]
    shown[0] += first
    shown[-1] += last
    whole: list[int] = []
    owed = 0.0  # what rounding took away or gave; the sum stays right
    for time in shown:
        exact = 1000 * time + owed
        whole.append(max(SHORTEST, TICK * round(exact / TICK)))
        owed = exact - whole[-1]
    return tuple(whole)


def write_animation(
    path: Path,
    frames: Iterable[Frame],
    durations: Sequence[int],
    metadata: PictureMetadata | None = None,
    *,
    loop: int = 0,
) -> None:
    """Write `frames`, uint8 `(H,W,3)` each and all of one size, to `path` at once; the suffix says how.

    `durations` are milliseconds, one a frame; in an MP4 they are rounded to 25ths of a second. `metadata` is
    what a picture carries; a WebP has all of it, a GIF its XMP, an MP4 the A1111 text as a comment and the
    morph as its description. `loop` is how often it plays, 0 for ever; an MP4 leaves that to the player.

    Raises OutputError when it cannot be written, MissingExtraError for an MP4 without the extra `video`;
    ValueError for no frames, or for another number of them than durations. Then `path` is as it was before.
    """
    check_animation(path)
    with _kept(frames) as kept:
        if not len(kept) or len(kept) != len(durations):
            raise ValueError(f"{len(kept)} frames and {len(durations)} durations")
        if max(kept[0].shape) > MAX_SIDE:
            raise OutputError("the frames are too large", field="animate", value=max(kept[0].shape))
        with replacing(path) as file:
            match path.suffix.lower():
                case ".gif":
                    _write_gif(file, kept, durations, metadata, loop)
                case ".webp":
                    _write_webp(file, kept, durations, metadata, loop)
                case _:
                    _write_mp4(file, kept, durations, metadata)


@contextmanager
def _kept(frames: Iterable[Frame]) -> Generator[Frames]:
    if isinstance(frames, Frames):
        yield frames
        return
    with Frames() as kept:
        for frame in frames:
            kept.add(frame)
        yield kept


def _write_gif(
    file: BinaryIO, frames: Frames, durations: Sequence[int], metadata: PictureMetadata | None, loop: int
) -> None:
    palette = _palette(frames)
    dots = _dots(*frames[0].shape[:2])
    for index, (frame, duration) in enumerate(zip(frames, durations, strict=True)):
        shifted = np.clip(frame + dots, 0, 255).astype(np.uint8)
        image = Image.fromarray(shifted).quantize(palette=palette, dither=Image.Dither.NONE)
        if index == 0:
            header, _ = getheader(image, info={"loop": loop, "duration": duration})
            file.writelines(header)
            if metadata is not None:
                # XMP Specification Part 3, section 1.1.2: the trailer leads readers of blocks back into step.
                packet = webp_options(metadata)["xmp"]
                file.write(b"!\xff\x0bXMP DataXMP" + packet + b"\x01" + bytes(range(255, -1, -1)) + b"\0")
        file.writelines(getdata(image, duration=duration))
    file.write(b";")


def _palette(frames: Frames) -> Image.Image:
    """Return a picture with the palette that suits all frames. The last one is looked at longest, so a
    quarter of what the palette is made for is the last one.

    A colour counts by the root of how often it is there: a sky has few shades and many pixels, and would
    leave none for a small red mouth. The palette is moved to the middle of what it stands for, twice (Lloyd
    1982, "Least squares quantization in PCM").
    """
    count = min(_SAMPLES, len(frames))
    some = [frames[round(place)] for place in np.linspace(0, len(frames) - 1, count)]
    step = -(-max(frames[0].shape[:2]) // _SAMPLE_SIDE)
    samples = [frame[::step, ::step].reshape(-1, 3) for frame in chain(some, [some[-1]] * (count // 3))]
    shades, often = np.unique(np.concatenate(samples) // _SHADE, axis=0, return_counts=True)
    counted = np.repeat(shades * _SHADE + _SHADE // 2, np.sqrt(often).astype(np.intp), axis=0)
    return Image.fromarray(counted[None]).quantize(_COLOURS, method=Image.Quantize.MEDIANCUT, kmeans=_MOVES)


def _dots(height: int, width: int) -> NDArray[np.int16]:
    """Return what to add to a frame's colours, `(height,width,1)`, so that areas between two colours become
    dots of both: Bayer's matrix (Bayer 1973, "An optimum method for two-level rendition of continuous-tone
    pictures"), the same for every frame.
    """
    matrix = np.zeros((1, 1))
    for _ in range(3):
        matrix = np.block([[4 * matrix, 4 * matrix + 2], [4 * matrix + 3, 4 * matrix + 1]])
    side = len(matrix)
    centred = ((matrix + 0.5) / side**2 - 0.5) * _DOTS
    tiled = np.tile(centred, (-(-height // side), -(-width // side)))[:height, :width, None]
    return tiled.round().astype(np.int16)


def _write_webp(
    file: BinaryIO, frames: Frames, durations: Sequence[int], metadata: PictureMetadata | None, loop: int
) -> None:
    """Write an animated WebP frame by frame (WebP Container Specification, "Animation"): Pillow's own writer
    would hold all frames at once, and joins equal ones.
    """
    height, width = frames[0].shape[:2]
    file.write(b"RIFF\0\0\0\0WEBP")
    canvas = _three(width - 1) + _three(height - 1)
    texts = {} if metadata is None else webp_options(metadata)
    file.write(_chunk(b"VP8X", bytes([_WEBP_ANIMATED | (_WEBP_TEXTS if texts else 0), 0, 0, 0]) + canvas))
    file.write(_chunk(b"ANIM", bytes(4) + loop.to_bytes(2, "little")))
    for frame, duration in zip(frames, durations, strict=True):
        still = BytesIO()
        Image.fromarray(frame).save(still, "WEBP", quality=QUALITY)
        place = bytes(6) + canvas + _three(duration) + bytes([_WEBP_OPAQUE])
        file.write(_chunk(b"ANMF", place + still.getvalue()[12:]))  # without "RIFF", size and "WEBP"
    if texts:
        file.write(_chunk(b"EXIF", texts["exif"].removeprefix(b"Exif\0\0")))
        file.write(_chunk(b"XMP ", texts["xmp"]))
    num_bytes = file.tell()
    file.seek(4)
    file.write((num_bytes - 8).to_bytes(4, "little"))
    file.seek(0, 2)


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + len(data).to_bytes(4, "little") + data + bytes(len(data) % 2)


def _three(number: int) -> bytes:
    return number.to_bytes(3, "little")


def _need_video() -> None:
    if find_spec("av") is None:
        raise MissingExtraError("MP4 needs PyAV (av)", field="animate", hint=INSTALL_VIDEO)


def _write_mp4(
    file: BinaryIO, frames: Frames, durations: Sequence[int], metadata: PictureMetadata | None
) -> None:
    import av  # a large library, and an optional one

    height, width = frames[0].shape[:2]
    # Players expect colours at half the resolution (yuv420p), which takes even sides.
    margin = ((0, height % 2), (0, width % 2), (0, 0))
    container: Any = av.open(file, "w", format="mp4")  # its types say little
    with container as video:
        if metadata is not None:
            text = metadata.parameters.replace("\0", " ")  # FFmpeg's texts are C's
            video.metadata["comment"] = text.encode("utf-8", "replace").decode()
            if metadata.morph_json:
                video.metadata["description"] = metadata.morph_json.encode("utf-8", "replace").decode()
        stream = video.add_stream("libx264", VIDEO_RATE, options={"crf": VIDEO_QUALITY})
        stream.width, stream.height, stream.pix_fmt = width + width % 2, height + height % 2, "yuv420p"
        time, written = 0, 0
        for frame, duration in zip(frames, durations, strict=True):
            time += duration
            padded = np.pad(frame, margin, "edge")
            while written < max(1, round(time * VIDEO_RATE / 1000)):
                video.mux(stream.encode(av.VideoFrame.from_ndarray(padded, format="rgb24")))
                written += 1
        video.mux(stream.encode())
