"""The drawing of a picture as an animation: from noise through every step to the picture, which is held."""

from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import numpy as np
from PIL import Image

from sfumato import __version__
from sfumato.engine.events import Picture, Started
from sfumato.engine.preview import to_uint8
from sfumato.engine.seeing import Look, Pixels
from sfumato.imaging.animation import Frame, Frames, check_animation, eased, write_animation
from sfumato.imaging.metadata import PictureMetadata
from sfumato.recipe.codec import to_json, to_parameters

MAX_FRAMES: Final = 150  # of more steps some are left out
SECONDS: Final = 3.0  # of the way, between the noise at its beginning and the picture at its end

Shown = Literal["x0", "noisy"]


@dataclass(eq=False)
class Animator:
    """A watcher that makes an animation of every picture: in `path`, or, when there are several, in a file
    for each, with its seed at the end of the name.

    `shown` says what is seen on the way: "x0", what the network expects to come out, or "noisy", the latent
    itself. Frames wait in temporary files; nothing is written before a picture is finished.
    """

    path: Path
    shown: Shown = "x0"
    seconds: float = SECONDS
    _frames: dict[int, list[Frames]] = field(default_factory=dict[int, list[Frames]])  # of each size
    _paths: list[Path] = field(default_factory=list[Path])
    _stack: ExitStack = field(default_factory=ExitStack)
    _started: Started | None = None

    def start(self, started: Started) -> None:
        self._started = started
        for index in started.indices:
            check_animation(self._path(index))

    def look(self, look: Look) -> None:
        every = _every(look.step.num_steps)
        last = look.step.num_steps - 1
        pixels = look.noisy if self.shown == "noisy" else look.clean
        for place, index in enumerate(look.indices):
            if index not in self._frames:
                self._frames[index] = []
                if look.before is not None:
                    self._add(index, look.before[place])
            # The last step's is the picture itself, which comes in full quality.
            if look.step.index != last and look.step.index % every == 0:
                self._add(index, pixels[place])

    def picture(self, picture: Picture) -> None:
        path = self._path(picture.index)
        with Frames() as frames:
            for steps in self._frames.pop(picture.index, []):
                for frame in steps:
                    frames.add(_resized(frame, picture.pixels.shape))
                steps.close()
            frames.add(picture.pixels)
            durations = eased(len(frames), seconds=self.seconds)
            self.write(path, frames, durations, self._metadata(picture))
        self._paths.append(path)

    def write(
        self, path: Path, frames: Frames, durations: tuple[int, ...], metadata: PictureMetadata
    ) -> None:
        """Write a picture's animation to `path`; who wants something else of the frames says so here."""
        write_animation(path, frames, durations, metadata)

    def again(self, indices: tuple[int, ...]) -> None:
        for index in indices:
            for steps in self._frames.pop(index, []):
                steps.close()

    def finish(self) -> tuple[Path, ...]:
        return tuple(self._paths)

    def close(self) -> None:
        self._stack.close()

    def _metadata(self, picture: Picture) -> PictureMetadata:
        assert self._started is not None
        software = f"Sfumato {__version__}"
        return PictureMetadata(
            resolved_json=to_json(picture.resolved),
            parameters=to_parameters(picture.resolved, software=software),
            software=software,
            backend=self._started.backend,
        )

    def _path(self, index: int) -> Path:
        assert self._started is not None
        if len(self._started.indices) == 1:
            return self.path
        seed = self._started.resolved.seed + index
        return self.path.with_name(f"{self.path.stem}-{seed}{self.path.suffix}")

    def _add(self, index: int, pixels: Pixels) -> None:
        several = self._frames[index]
        if not several or several[-1].shape != pixels.shape:  # the first, or those of a larger pass
            several.append(self._stack.enter_context(Frames()))
        several[-1].add(to_uint8(np.nan_to_num(pixels)))


def frames_of(started: Started) -> int:
    """Return how many frames the animation of each picture of a run has: of a run whose pictures are drawn
    in one batch.
    """
    resolved, others = started.resolved, len(started.indices) - 1
    finer = 0 if resolved.hires is None else resolved.hires.num_steps * len(resolved.hires.sizes)
    drawn = started.total_steps - finer * others  # larger passes are drawn one picture after another
    if drawn == 0:
        return 1
    first, num_steps = resolved.first_step, resolved.first_step + drawn
    every = _every(num_steps)
    return len(range(-(-first // every) * every, num_steps - 1, every)) + 2  # the noise and the picture


def _every(num_steps: int) -> int:
    """Return of how many steps one is shown."""
    return -(-num_steps // MAX_FRAMES)


def _resized(frame: Frame, shape: tuple[int, ...]) -> Frame:
    """Return a step in the size of the picture: an edit may end in another than it is drawn in."""
    if frame.shape == shape:
        return frame
    size = shape[1], shape[0]
    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BICUBIC))
