"""Drawing a finished picture again, larger: enlarged, noised, and denoised in windows with the same prompt.

Each pass is a drawing like any other, at its own size and from a step of its own on, by the same loop. What
is of a picture's final size is made in tiles, one picture at a time, so that memory hardly grows with it.
"""

import collections.abc
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sfumato.engine.coarse import KeepCoarse, smoothing
from sfumato.engine.conditions import compile_plan
from sfumato.engine.denoiser import Denoiser
from sfumato.engine.edits import encode
from sfumato.engine.features import Features
from sfumato.engine.loop import Step, denoise
from sfumato.engine.noise import noise_source
from sfumato.engine.plan import Plan, Projection
from sfumato.engine.regions import has_maps, share_maps
from sfumato.engine.steering import Steering
from sfumato.engine.windows import Windows, windows_of
from sfumato.imaging.inputs import Inputs
from sfumato.imaging.resize import lanczos
from sfumato.imaging.tiles import plan as plan_tiles
from sfumato.models.backends.base import Array
from sfumato.models.bundle import ModelBundle, rows_within
from sfumato.models.controlnets import ControlFiles
from sfumato.models.upscalers import Upscaler, load_upscaler, upscale
from sfumato.recipe.hires import ResolvedHires
from sfumato.recipe.image import Resolved
from sfumato.samplers.arrays import array_namespace
from sfumato.samplers.noise import Generator
from sfumato.samplers.schedule import grid
from sfumato.samplers.solvers import Solver

Steps: TypeAlias = collections.abc.Generator[Step, None, None]
Pixels = NDArray[np.uint8]
GREY: Final = 128
AT_ONCE: Final = 256  # pixels a side that are enlarged by a network at once
SHARED: Final = 48  # of them with a neighbour: twice as far as the bundled network reaches, and more


@dataclass(frozen=True, eq=False)
class Enlarged:
    """What a pass begins with: `latents (1,C,h,w)` of its own size, and the `pixels (H,W,3)` they are of,
    None where latents were enlarged.
    """

    latents: Array
    pixels: Pixels | None


@dataclass(frozen=True, eq=False)
class Pass:
    """One more drawing of a picture. `resolved` is the pass as a drawing of its own, `before` the height and
    width of the latents that it follows.
    """

    resolved: Resolved
    part: ResolvedHires
    plan: Plan
    steering: tuple[Steering, ...]
    windows: Windows
    before: tuple[int, int]
    bundle: ModelBundle
    upscaler: Upscaler | None

    @property
    def num_steps(self) -> int:
        """The steps that are drawn, of `resolved.steps`."""
        return self.resolved.steps - self.plan.start

    @property
    def shape(self) -> tuple[int, int, int]:
        """The latents' `(C,h,w)`."""
        factor = self.bundle.downsample
        return self.bundle.latent_channels, self.resolved.height // factor, self.resolved.width // factor

    @property
    def takes_pixels(self) -> bool:
        """Whether pixels are enlarged, and not latents."""
        return self.part.method != "latent"

    def enlarge(self, latents: Array, pixels: Pixels | None) -> Enlarged:
        """Return what this pass begins with, of the picture before in `latents (1,C,h,w)` and, where it takes
        pixels, `pixels (H,W,3)`.
        """
        width, height = self.resolved.width, self.resolved.height
        if not self.takes_pixels or pixels is None:
            _, high, wide = self.shape
            numbers = self.bundle.backend.to_numpy(latents)[0]
            larger = [
                np.asarray(Image.fromarray(one).resize((wide, high), Image.Resampling.BICUBIC))
                for one in numbers
            ]
            return Enlarged(self.bundle.backend.asarray(np.stack(larger)[None]), None)
        picture = Image.fromarray(pixels)
        if self.upscaler is None:
            made = lanczos(picture, width, height)
        else:
            made = learned(picture, width, height, self.upscaler)
        larger = np.asarray(made)
        return Enlarged(encode(self.bundle, larger, tiled=True), larger)

    def steps(
        self, shared: Denoiser, begun: Enlarged, solver: Solver, seed: int, generator: Generator, rows: int
    ) -> Steps:
        """Return the steps of this pass, of one picture. `shared` denoises drawings of this recipe, and
        `generator` is the picture's, with `seed`. At most `rows` windows are in one call: as many as the
        first drawing had, for which a compiled backend is ready.
        """
        first = self.plan.start
        sigmas = grid(self.bundle.schedule, self.resolved.steps, self.resolved.spacing)
        fresh = self.bundle.backend.asarray(generator.randn(self.shape)[None])
        noise = noise_source(solver, self.bundle, (seed,), (generator,), self.shape)
        denoiser = self._denoiser(shared, begun, sigmas[first:-1], rows)
        return denoise(denoiser, solver, sigmas, begun.latents + fresh * sigmas[first], noise, first)

    def _denoiser(self, shared: Denoiser, begun: Enlarged, levels: Sequence[float], rows: int) -> Denoiser:
        most = rows_within(self.bundle, *self.windows.size(*self.shape[1:]))
        return replace(
            shared,
            plan=replace(self.plan, project=(*self.plan.project, *self._keeping(begun, levels))),
            max_rows=min(rows, most),
            features=Features(),
            controls=self.steering,
            attending=None,
            windows=self.windows,
        )

    def _keeping(self, begun: Enlarged, levels: Sequence[float]) -> tuple[Projection, ...]:
        if self.part.keep == 0 or not levels:
            return ()
        _, height, width = self.shape
        asarray = self.bundle.backend.asarray
        down = asarray(smoothing(height, self.before[0]))
        across = asarray(np.ascontiguousarray(smoothing(width, self.before[1]).T))
        return (KeepCoarse(begun.latents, down, across, tuple(levels), self.part.keep),)


def prepare_passes(
    resolved: Resolved,
    bundle: ModelBundle,
    inputs: Inputs,
    files: tuple[ControlFiles, ...],
    looking: tuple[Projection, ...],
) -> tuple[Pass, ...]:
    """Return the passes that follow the drawing of a recipe, none without a hires part.

    `files` are those of its ControlNets. Raises PictureError for a picture that is missing, ModelFileError
    and MissingExtraError as `load_upscaler` does.
    """
    part = resolved.hires
    if part is None:
        return ()
    upscaler = load_upscaler() if part.method == "learned" else None
    windows = windows_of(part.window, part.overlap, bundle.downsample)
    passes: list[Pass] = []
    factor = bundle.downsample
    before = resolved.height // factor, resolved.width // factor
    for width, height in part.sizes:
        own = resolved.model_copy(update={"width": width, "height": height, "steps": part.steps})
        plan = compile_plan(own, part.first_step)
        plan = replace(plan, project=(*plan.project, *looking))
        size = height // factor, width // factor
        if has_maps(own):
            plan = replace(plan, maps=bundle.backend.asarray(share_maps(own, *size, inputs)))
        if bundle.inpaints:
            plan = replace(plan, channels=_all_new(bundle, *size))
        if bundle.shown is not None:
            from sfumato.engine.instructing import shown_larger

            plan = replace(plan, channels=shown_larger(own, bundle, inputs))
        steering: tuple[Steering, ...] = ()
        if files and part.num_steps > 0:
            from sfumato.engine.controls import prepare_controls

            steering = prepare_controls(own, bundle, inputs, files, None)
        passes.append(Pass(own, part, plan, steering, windows, before, bundle, upscaler))
        before = size
    return tuple(passes)


def _all_new(bundle: ModelBundle, height: int, width: int) -> Array:
    """Return what an inpainting UNet is given when all of `height` x `width` latents is drawn."""
    grey = np.full((height * bundle.downsample, width * bundle.downsample, 3), GREY, np.uint8)
    hidden = encode(bundle, grey, tiled=True)
    marked = bundle.backend.asarray(np.ones((1, 1, height, width), np.float32))
    return array_namespace(hidden).concat([marked, hidden], axis=1)


def learned(picture: Image.Image, width: int, height: int, upscaler: Upscaler) -> Image.Image:
    """Return `picture` at `width` x `height` by the network: in parts where that is a whole number of times
    as large, as the network makes all of it larger than is asked for first.
    """
    times = width // picture.width
    if (times * picture.width, times * picture.height) != (width, height):
        return _at_once(picture, width, height, upscaler)
    tiles = plan_tiles(picture.height, picture.width, AT_ONCE, AT_ONCE, SHARED)
    if len(tiles.tiles()) == 1:
        return _at_once(picture, width, height, upscaler)
    result = np.empty((height, width, 3), np.uint8)
    for tile in tiles.tiles():
        right, bottom = tile.left + tile.width, tile.top + tile.height
        part = picture.crop((tile.left, tile.top, right, bottom))
        larger = np.asarray(_at_once(part, times * tile.width, times * tile.height, upscaler))
        rows = _own(tiles.tops, tile.top, tile.height, picture.height)
        columns = _own(tiles.lefts, tile.left, tile.width, picture.width)
        place = tuple(slice(times * one.start, times * one.stop) for one in (rows, columns))
        result[place] = larger[
            times * (rows.start - tile.top) : times * (rows.stop - tile.top),
            times * (columns.start - tile.left) : times * (columns.stop - tile.left),
        ]
    return Image.fromarray(result)


def _own(starts: tuple[int, ...], start: int, length: int, size: int) -> slice:
    """Return what a tile that begins at `start` has to itself: up to the middle of what it shares."""
    number = starts.index(start)
    first = 0 if number == 0 else (starts[number - 1] + length + start) // 2
    last = size if number == len(starts) - 1 else (start + length + starts[number + 1]) // 2
    return slice(first, last)


def _at_once(picture: Image.Image, width: int, height: int, upscaler: Upscaler) -> Image.Image:
    larger = picture
    for report in upscale(picture, width, height, upscaler):
        larger = larger if report.picture is None else report.picture
    return larger
