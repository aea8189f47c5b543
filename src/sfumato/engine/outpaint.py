"""An extension that is larger than what the model draws at once: in several passes, from the border outwards.

Every pass is a drawing of its own, in a window of the model's size that holds some of what is known and adds
a little to it; what it adds is known to the next. So the network never sees more than it was trained on.
Nothing that is known is changed any more, first of all the picture itself.
"""

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sfumato.engine.denoiser import Denoiser
from sfumato.engine.edits import Edit, edit_of
from sfumato.engine.features import Features
from sfumato.engine.loop import Step, denoise
from sfumato.engine.noise import noise_source, picture_seeds, starting_noise
from sfumato.engine.preview import to_uint8
from sfumato.imaging.fitting import Window, extend
from sfumato.imaging.inputs import Inputs
from sfumato.imaging.masks import fill_from_around
from sfumato.imaging.passes import plan_passes
from sfumato.models.backends.base import Array
from sfumato.models.bundle import ModelBundle
from sfumato.recipe.image import Resolved
from sfumato.samplers.arrays import array_namespace
from sfumato.samplers.noise import picture_noise
from sfumato.samplers.solvers import Solver

Pixels = NDArray[np.uint8]

# From a pass to the next, in seeds: beyond the seeds that the other pictures of a run have.
PASS_SEEDS: Final = 1_000_003


@dataclass(frozen=True, eq=False)
class Outpainting:
    """How an extension in passes goes: `canvas (H,W,3)` is the picture with its new sides filled from its
    edge, `inner` where the picture lies, `windows` what is drawn, in this order. Make it with `outpainting`.
    """

    resolved: Resolved
    bundle: ModelBundle
    canvas: Pixels
    inner: Window
    windows: tuple[Window, ...]

    def begin(self, batch: tuple[int, ...]) -> "Passes":
        """Return the drawing of the pictures `batch`, which is to be stepped through."""
        known = np.zeros(self.canvas.shape[:2], np.bool_)
        self.inner.of(known)[:] = True
        return Passes(self, batch, [self.canvas.copy() for _ in batch], known)


@dataclass(eq=False)
class Passes:
    """The pictures of a batch while they grow: `canvases (H,W,3)` each, of which `known (H,W)` will stay."""

    plan: Outpainting
    batch: tuple[int, ...]
    canvases: list[Pixels]
    known: NDArray[np.bool_]
    now: "Around | None" = field(default=None)

    def steps(
        self,
        denoiser: Denoiser,
        solver: Solver,
        sigmas: tuple[float, ...],
        shape: tuple[int, int, int],
        decode: Callable[[Array], Pixels],
    ) -> Generator[Step, None, None]:
        """Yield the steps of all passes, counted through, for latents of `shape (C,h,w)`; `decode` makes the
        pixels `(H,W,3)` of one latent `(1,C,h,w)`. After the last, `canvases` are the pictures.
        """
        first, windows = denoiser.plan.start, self.plan.windows
        each = len(sigmas) - 1 - first
        for number, window in enumerate(windows if each else ()):
            edits = [self._edit(canvas, window) for canvas in self.canvases]
            self.now = Around(tuple(self.canvases), window, window.of(self.known).copy())
            x, run = self._begun(number, edits, denoiser, solver, sigmas, shape)
            with closing(run) as steps:
                for step in steps:
                    x = step.x
                    counted = number * each + step.index
                    yield replace(step, index=counted, num_steps=first + each * len(windows))
            for row, edit in enumerate(edits):
                self.canvases[row] = edit.finish(decode(x[row : row + 1]))
            window.of(self.known)[:] = True

    def whole(self, previews: Pixels) -> Pixels:
        """Return the pictures `(B,H,W,3)` as they are now, with `previews (B,h,w,3)` in the window."""
        assert self.now is not None  # a step was drawn
        return to_uint8(self.now.around(previews.astype(np.float32) / np.float32(127.5) - np.float32(1)))

    def _edit(self, canvas: Pixels, window: Window) -> Edit:
        """Return the edit that draws what is not known in `window`."""
        resolved = self.plan.resolved
        assert resolved.extend is not None  # see `outpainting`
        new = (~window.of(self.known)).astype(np.float32)
        begun = canvas.copy()
        window.of(begun)[:] = fill_from_around(window.of(canvas), new)
        mask = np.zeros(canvas.shape[:2], np.float32)
        window.of(mask)[:] = new
        return edit_of(resolved, self.plan.bundle, begun, mask, window, resolved.extend.fill)

    def _begun(
        self,
        number: int,
        edits: list[Edit],
        denoiser: Denoiser,
        solver: Solver,
        sigmas: tuple[float, ...],
        shape: tuple[int, int, int],
    ) -> tuple[Array, Generator[Step, None, None]]:
        """Return what pass `number` begins with, and its steps."""
        bundle, plan = self.plan.bundle, denoiser.plan
        resolved = _shifted(self.plan.resolved, number)
        seeds = picture_seeds(resolved, self.batch)
        generators = tuple(picture_noise(seed) for seed in seeds)
        start = bundle.backend.asarray(starting_noise(resolved, self.batch, generators, shape))
        noise = noise_source(solver, bundle, seeds, generators, shape)
        xp = array_namespace(start)
        channels = [edit.channels for edit in edits if edit.channels is not None]
        edit = replace(
            edits[0],
            latents=xp.concat([one.latents for one in edits], axis=0),
            channels=xp.concat(channels, axis=0) if channels else None,
        )
        keeping = edit.keeping(start, sigmas[plan.start : -1])
        plan = replace(plan, project=(*plan.project, *keeping), channels=edit.channels)
        x = edit.begin(start, sigmas[plan.start], first=plan.start == 0)
        own = replace(denoiser, plan=plan, features=Features())
        return x, denoise(own, solver, sigmas, x, noise, plan.start)


@dataclass(frozen=True, eq=False)
class Around:
    """The pictures that a window is drawn into: `known (h,w)` is what stays of it."""

    canvases: tuple[Pixels, ...]
    window: Window
    known: NDArray[np.bool_]

    def around(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return whole pictures `(B,H,W,3)` in about [-1, 1] with what `pixels (B,h,w,3)` show of them."""
        whole = np.stack(self.canvases).astype(np.float32) / np.float32(127.5) - np.float32(1)
        for picture, drawn in zip(whole, pixels, strict=True):
            place = self.window.of(picture)
            place[:] = np.where(self.known[..., None], place, _resized(drawn, self.window))
        return whole


def outpainting(resolved: Resolved, bundle: ModelBundle, inputs: Inputs) -> Outpainting | None:
    """Return how the extension of a recipe is drawn in passes; None when it has none, or is drawn at once.

    Raises PictureError when the picture is not among `inputs`.
    """
    part, more = resolved.image, resolved.extend
    if part is None or more is None or more.reach == 0:
        return None
    pixels = inputs.picture(part.source.sha256, part.source.name).pixels
    canvas = extend(pixels, more.left, more.right, more.top, more.bottom)
    inner = Window(more.left, more.top, more.left + pixels.shape[1], more.top + pixels.shape[0])
    size = canvas.shape[1], canvas.shape[0]
    windows = plan_passes(size, inner, (resolved.width, resolved.height), more.reach)
    return Outpainting(resolved, bundle, canvas, inner, windows)


def _shifted(resolved: Resolved, number: int) -> Resolved:
    """Return a recipe with noise of its own for the pass `number`: the first has that of the recipe."""
    more, variation = number * PASS_SEEDS, resolved.variation
    changes: dict[str, object] = {"seed": resolved.seed + more}
    if variation is not None:
        moved = variation.model_copy(update={"seed": variation.seed + more})
        changes["parts"] = tuple(moved if part is variation else part for part in resolved.parts)
    return resolved.model_copy(update=changes)


def _resized(drawn: NDArray[np.float32], window: Window) -> NDArray[np.float32]:
    """Return `drawn (h,w,3)` at the size of `window`."""
    size = window.width, window.height
    if drawn.shape[:2] == size[::-1]:
        return drawn
    bands = [
        np.asarray(Image.fromarray(np.ascontiguousarray(band)).resize(size, Image.Resampling.BILINEAR))
        for band in np.moveaxis(drawn, -1, 0)
    ]
    return np.stack(bands, axis=-1)
