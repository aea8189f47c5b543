"""What the steps of a run look like: the events of the engine pass through, and watchers see pictures.

A watcher keeps what it needs (a trace, an animation) and writes its files when the run has ended well; when
it is interrupted, nothing of it is left.
"""

import math
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sfumato.engine.events import Done, Event, Events, Picture, Started, StepDone, SteppedDown
from sfumato.engine.loop import Step
from sfumato.engine.preview import fit_previewer
from sfumato.models import tiling
from sfumato.models.bundle import ModelBundle

Latents = NDArray[np.float32]
Pixels = NDArray[np.float32]
View: TypeAlias = Callable[[Latents], Pixels]


@dataclass(frozen=True, eq=False)
class Look:
    """One step of the pictures `indices`, to be looked at.

    `x` and `x0` are latents `(B,C,h,w)` as in `Step`; `noisy` and `clean` are what they look like,
    `(B,H,W,3)`, about [-1, 1] and not clipped. `noisy` is seen as the network sees it: scaled to a variance
    of about one. `before`, on the first step of a batch, is `noisy` before that step. Of pictures that are
    drawn window by window, pixels are those of the whole picture, latents those of the window.
    """

    step: Step
    indices: tuple[int, ...]
    x: Latents
    x0: Latents
    noisy: Pixels
    clean: Pixels
    before: Pixels | None


class Watcher(Protocol):
    """Sees a run from its start to its end. A context manager, as it may keep temporary files."""

    def start(self, started: Started, /) -> None: ...

    def look(self, look: Look, /) -> None: ...

    def picture(self, picture: Picture, /) -> None: ...

    def again(self, indices: tuple[int, ...], /) -> None:
        """Forget the steps of pictures that are not finished: they come again."""
        ...

    def finish(self) -> tuple[Path, ...]:
        """Write what was asked for, and return where it is. Raises OutputError."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, eq=False)
class Watched:
    """A file or folder was written by a watcher: the events that follow the engine's last one."""

    path: Path


def watched(
    events: Events, bundle: ModelBundle, watchers: Sequence[Watcher], *, exact: bool = False
) -> Generator[Event | Watched, None, None]:
    """Pass on `events` and show every step to `watchers`; yield a Watched for all they write at the end.

    Steps are previewed, or, when `exact`, decoded in full, twice each. Closing it closes `events`. Raises
    what `events` raises, and OutputError.
    """
    view = exact_view_of(bundle) if exact else view_of(bundle)
    with closing(events), ExitStack() as stack:
        for watcher in watchers:
            stack.callback(watcher.close)
        first: int | None = None
        for event in events:
            match event:
                case Started():
                    for watcher in watchers:
                        watcher.start(event)
                case StepDone() if watchers:
                    first = event.step.index if first is None else first
                    look = look_at(event, bundle, view, is_first=event.step.index == first)
                    for watcher in watchers:
                        watcher.look(look)
                case Picture():
                    for watcher in watchers:
                        watcher.picture(event)
                case SteppedDown():
                    first = None
                    for watcher in watchers:
                        watcher.again(event.indices)
                case _:
                    pass
            yield event
            if isinstance(event, Done):
                for watcher in watchers:
                    for path in watcher.finish():
                        yield Watched(path)


def look_at(event: StepDone, bundle: ModelBundle, view: View, *, is_first: bool) -> Look:
    """Return what a step looks like through `view`; `is_first` says that it is the first of its batch."""
    step, around = event.step, event.surroundings
    x, x0, before = (bundle.backend.to_numpy(latents) for latents in (step.x, step.x0, step.before))

    def seen(latents: Latents) -> Pixels:
        return view(latents) if around is None else around.around(view(latents))

    return Look(
        step=step,
        indices=event.indices,
        x=x,
        x0=x0,
        noisy=seen(unit_variance(x, step.sigma_next)),
        clean=seen(x0),
        before=seen(unit_variance(before, step.sigma)) if is_first else None,
    )


def unit_variance(x: Latents, sigma: float) -> Latents:
    """Return `x / sqrt(1 + sigma^2)`: the variance-preserving latent, of variance about one."""
    return x * np.float32(1 / math.sqrt(1 + sigma * sigma))


def view_of(bundle: ModelBundle) -> View:
    """Return what shows latents `(B,C,h,w)` as pixels `(B,H,W,3)` in about [-1, 1], not clipped: as
    `engine.preview` does, by the tiny decoder or the linear fit, which is made when it is first needed.
    """
    backend = bundle.backend

    def tiny(latents: Latents) -> Pixels:
        # One at a time, so that a batch needs no more memory.
        pixels = [tiling.decode_tiny(backend, backend.asarray(one[None])) for one in latents]
        return np.moveaxis(np.concatenate(pixels), 1, -1)

    fitted: list[Callable[[Latents], Pixels]] = []

    def linear(latents: Latents) -> Pixels:
        if not fitted:
            fit = fit_previewer(backend, bundle.latent_channels, bundle.downsample)

            def show(z: Latents) -> Pixels:
                colours = np.moveaxis(z, 1, -1) @ fit.matrix + fit.offset
                return colours.repeat(fit.downsample, axis=1).repeat(fit.downsample, axis=2)

            fitted.append(show)
        return fitted[0](latents)

    return tiny if backend.has_tiny_decoder else linear


def exact_view_of(bundle: ModelBundle) -> View:
    """Return what decodes latents `(B,C,h,w)` in full, as finished pictures are: pixels `(B,H,W,3)` in about
    [-1, 1], not clipped.
    """
    backend = bundle.backend

    def decoded(latents: Latents) -> Pixels:
        # One at a time, so that a batch needs no more memory.
        pixels = [
            tiling.decode(backend, backend.asarray(one[None]), bundle.downsample, bundle.max_latents)
            for one in latents
        ]
        return np.moveaxis(np.concatenate(pixels), 1, -1)

    return decoded
