"""The one entry of every front end: a recipe in, events out.

Consumers that may stop early hold the iterator in `contextlib.closing`; closing it at any event is clean, as
nothing outside the iterator was changed.
"""

import math
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sfumato.engine.clock import Clock
from sfumato.engine.conditions import compile_plan
from sfumato.engine.denoiser import Attending, Denoiser
from sfumato.engine.events import Done, Events, Picture, Started, StepDone
from sfumato.engine.features import Features
from sfumato.engine.gathering import TRUSTED, Trust, gather
from sfumato.engine.loop import Step, advice, denoise
from sfumato.engine.noise import noise_source, picture_seeds, starting_noise
from sfumato.engine.plan import Projection
from sfumato.engine.preparing import (
    batch_size,
    batches_of,
    edit_and_steering,
    encode_plan,
    latent_shape,
    low_res_for,
    outpainting_for,
    tokenise_plan,
    unread,
    windows_for,
    with_arrays,
)
from sfumato.engine.preview import Pace, Previewer, previewer_of, to_uint8
from sfumato.engine.steering import NO_CONTROLS, Controls
from sfumato.engine.stepping_down import Stairs
from sfumato.engine.windows import ROWS
from sfumato.errors import NumericalError, OutOfMemoryError, RecipeError
from sfumato.imaging.inputs import NO_INPUTS, Inputs
from sfumato.models import tiling
from sfumato.models.backends.base import Array, Work
from sfumato.models.bundle import ModelBundle, rows_within, tiles_alike
from sfumato.models.load import find_model
from sfumato.recipe.extras import Axes
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.of_model import brought
from sfumato.samplers.noise import picture_noise
from sfumato.samplers.schedule import grid
from sfumato.samplers.solvers import solver_of
from sfumato.settings import Settings

if TYPE_CHECKING:  # imported when asked for: see sfumato.engine.preparing
    from sfumato.engine.hires import Pass
    from sfumato.engine.outpaint import Passes
    from sfumato.engine.refining import Refining
    from sfumato.models.cache import ModelCache

STAGES = ("import", "load", "encode", "steps", "preview", "decode")
TILED = (
    "Decoded in tiles, which may differ a little in tone: all of a picture of this size could exceed the "
    "memory limit. SFUMATO_MAX_MEMORY sets another."
)


def run(
    recipe: Recipe,
    settings: Settings,
    *,
    preview_every: int = 0,
    preview_pause: float = 0.0,
    cache: "ModelCache | None" = None,
    trust: Trust = TRUSTED,
) -> Events:
    """Load the recipe's model, resolve the recipe, and draw it; a model that is in `cache`, or shall stay
    there for the next recipe, is taken from it. The recipe opens no more than `trust` allows.

    Yields what `draw` yields; the seconds of `Done` include importing and loading. Raises RecipeError,
    PictureError and ModelFileError before the first event, NumericalError while drawing.
    """
    found = find_model(recipe.model, settings, paths=trust.model_paths)
    gathered = gather(recipe, found, settings, trust=trust)
    resolved = gathered.resolved(recipe, settings)  # before the seconds that loading takes
    inputs, controls = gathered.inputs, gathered.controls
    with ExitStack() as stack:
        if cache is None:
            bundle = gathered.load(resolved, settings)
        else:
            bundle = stack.enter_context(gathered.leased(resolved, settings, cache))
        drawing = draw(
            resolved,
            bundle,
            inputs=inputs,
            controls=controls,
            preview_every=preview_every,
            preview_pause=preview_pause,
        )
        for event in stack.enter_context(closing(drawing)):
            if isinstance(event, Done):
                seconds = {**event.seconds, **bundle.seconds}
                total = sum(seconds[stage] for stage in STAGES)
                yield Done({**seconds, "total": total}, event.warnings)
            else:
                yield event


def draw(
    resolved: Resolved,
    bundle: ModelBundle,
    *,
    indices: Sequence[int] | None = None,
    inputs: Inputs = NO_INPUTS,
    controls: Controls = NO_CONTROLS,
    preview_every: int = 0,
    preview_pause: float = 0.0,
    looking: tuple[Projection, ...] = (),
    attending: Attending | None = None,
) -> Events:
    """Draw the pictures `indices` of a resolved recipe (default: all `count` of them) with a loaded model.

    Picture k has the noise of seed + k, whatever else is drawn with it. `inputs` and `controls` are the
    pictures and the ControlNets that the recipe names. `preview_every` n sends an approximate picture with
    every n-th step, 0 none; a `preview_pause` above 0 leaves out those that come too soon, as
    `sfumato.engine.preview.Pace` says. `looking` are projections that measure and change nothing, `attending`
    watches the network's attention. Yields Started, then per batch StepDone for every step and Picture for
    every picture, then Done. Where memory runs out, SteppedDown, and from the batch that was begun on the
    same with less at a time: see `sfumato.engine.stepping_down`. Raises NumericalError when a latent or a
    pixel is not finite, PictureError for a picture that is missing or a mask that cannot be used,
    OutOfMemoryError when less cannot be asked for.
    """
    wanted = tuple(range(resolved.count)) if indices is None else tuple(indices)
    stairs = Stairs(resolved, bundle, wanted, may_offload=attending is None)
    pace = Pace(preview_every, preview_pause)
    while True:
        try:
            drawing = _draw(resolved, stairs.bundle, stairs.left, inputs, controls, pace, looking, attending)
            with closing(drawing) as events:
                for event in events:
                    passed = stairs.passed(event)
                    if passed is not None:
                        yield passed
            return
        except OutOfMemoryError as error:
            down = stairs.down(error)
        yield down


def _draw(
    resolved: Resolved,
    bundle: ModelBundle,
    wanted: tuple[int, ...],
    inputs: Inputs,
    controls: Controls,
    pace: Pace,
    looking: tuple[Projection, ...],
    attending: Attending | None,
) -> Events:
    """Do what `draw` does, with the memory that there is."""
    if resolved.model_digest != bundle.digest:
        raise RecipeError(
            "is not the model this recipe was resolved for",
            field="model",
            value=bundle.name,
            hint="Find that model, or resolve the recipe again.",
        )
    if (brought(resolved.vae), resolved.schedule) != (brought(bundle.defaults.vae), bundle.defaults.schedule):
        raise RecipeError(
            "the model has not the autoencoder and the schedule of this recipe",
            field="model",
            value=bundle.name,
            hint="Call sfumato.models.given.with_given before it is loaded.",
        )
    if resolved.adapters != bundle.adapters:
        raise RecipeError(
            "the model has not the adapters of this recipe over its weights",
            field="lora",
            hint="Call sfumato.engine.adapters.laid_over first.",
        )
    wants, has = (None if one is None else one.digest for one in (resolved.refine, bundle.refiner))
    if wants != has:
        raise RecipeError(
            "the model has not the refiner of this recipe beside it",
            field="refiner",
            hint="Call sfumato.engine.refining.with_refiner first.",
        )
    clock = Clock(STAGES)
    backends = [one.backend for one in (bundle, bundle.refiner) if one is not None]
    known = {*bundle.notes, *(note for one in backends for note in one.notes)}
    sigmas = grid(bundle.schedule, resolved.steps, resolved.spacing)
    solver = solver_of(resolved.sampler).with_eta(resolved.eta)
    with clock("encode"):
        edit, steering, wanted_controls = edit_and_steering(resolved, bundle, inputs, controls)
        outpainting = outpainting_for(resolved, bundle, inputs)
    low_res = low_res_for(resolved, bundle, inputs)
    plan = with_arrays(compile_plan(resolved), resolved, bundle, inputs, edit)
    plan = replace(plan, project=(*plan.project, *looking))
    shape = latent_shape(resolved, bundle)
    windows = windows_for(resolved, bundle)
    seen = shape[1:] if windows is None else windows.size(*shape[1:])
    most = bundle.max_latents
    tile = tiling.tile_within(*shape[1:], most)
    in_tiles = tile is not None and windows is None
    if windows is not None:
        tiles = tiles_alike(bundle, *shape[1:])
        tile = tiles.tile_height, tiles.tile_width
    if plan.tiling is not None:
        from sfumato.engine.wrapping import continued

        plan, steering, seen, tile = continued(plan, steering, shape[1:], most, bundle.downsample)
    max_rows = rows_within(bundle, *seen)
    finer: tuple[Pass, ...] = ()
    if resolved.hires is not None:
        from sfumato.engine.hires import prepare_passes

        with clock("encode"):
            finer = prepare_passes(resolved, bundle, inputs, wanted_controls, looking)
    batches = batches_of(wanted, batch_size(plan, max_rows))
    with clock("encode"):
        spoken = replace(plan, branches=sum((one.plan.branches for one in finer), plan.branches))
        tokens = tokenise_plan(spoken, bundle)
        ids = (max(len(one.ids) for one in tokens.values()), bundle.tokenizer.max_length)
        rows = min(plan.max_branches * max(map(len, batches), default=1), max_rows)
        rows = rows if windows is None else min(ROWS, max_rows)
        work = Work(ids, rows, *seen, bool(plan.reusing), tile, wanted_controls)
        skipped = 0
        if resolved.extras is not None:
            from sfumato.engine.extras import extra_work

            skipped = resolved.extras.skipped_layers
            work = extra_work(work, plan, skipped)
        bundle.backend.prepare(work)
        texts, warnings = encode_plan(spoken, tokens, bundle, skipped)
        refining: Refining | None = None
        if bundle.refiner is not None:
            from sfumato.engine.refining import prepare_refining

            refining, more = prepare_refining(resolved, bundle, inputs, looking)
            warnings = (*warnings, *(one for one in more if one not in warnings))
    warnings = (*warnings, *unread(resolved), *((TILED,) if in_tiles else ()))
    shared = Denoiser(
        bundle.backend,
        bundle.schedule,
        plan,
        texts,
        max_rows,
        controls=steering,
        attending=attending,
        windows=windows,
    )
    steps_each = resolved.steps - plan.start
    total_steps = steps_each * len(batches) * (1 if outpainting is None else len(outpainting.windows))
    steps_finer = sum(one.num_steps for one in finer)
    total_steps += steps_finer * len(wanted)
    yield Started(resolved, wanted, total_steps, bundle.backend.name, (*bundle.notes, *warnings))

    def decoded(latent: Array) -> NDArray[np.uint8]:
        with clock("decode"):
            return decode_latent(bundle, latent, most, alike=windows is not None or bool(finer))

    previewer: Previewer | None = None
    finished = 0

    def seen_of(step: Step, passes: "Passes | None" = None) -> NDArray[np.uint8] | None:
        """Count a step, and return what is to be seen of it, if anything is."""
        nonlocal finished, previewer
        clock.add("steps", step.seconds)
        finished += 1
        if not pace.is_due(finished):
            return None
        with clock("preview"), pace:
            if previewer is None:
                previewer = previewer_of(bundle.backend, bundle.latent_channels, bundle.downsample)
            preview = previewer(bundle.backend.to_numpy(step.x0))
            return preview if passes is None else passes.whole(preview)

    for batch in batches:
        if attending is not None:
            attending.begin(batch)
        seeds = picture_seeds(resolved, batch)
        generators = tuple(picture_noise(seed) for seed in seeds)
        sigma = sigmas[plan.start]
        shown = None if low_res is None else low_res.channels(generators)  # before the starting noise
        start = bundle.backend.asarray(starting_noise(resolved, batch, generators, shape))
        noise = noise_source(solver, bundle, seeds, generators, shape)
        denoiser = replace(shared, features=Features())
        if low_res is not None and shown is not None:
            denoiser = replace(denoiser, plan=low_res.planned(plan, bundle.backend.asarray(shown)))
        if edit is None:
            # For the network, noise of variance one and no signal: latents have variance one themselves.
            x = start * math.sqrt(1 + sigma * sigma)
        else:
            x = edit.begin(start, sigma, first=plan.start == 0)
            keeping = edit.keeping(start, sigmas[plan.start : -1])
            denoiser = replace(denoiser, plan=replace(plan, project=(*plan.project, *keeping)))
        stepping, passes = denoise(denoiser, solver, sigmas, x, noise, plan.start), None
        if refining is not None:
            kept = refining.kept(edit, start, sigmas[plan.start : -1])
            stepping = refining.steps(stepping, solver, sigmas, seeds, generators, kept)
        if outpainting is not None:
            passes = outpainting.begin(batch)
            stepping = passes.steps(shared, solver, sigmas, shape, decoded)
        with closing(stepping) as steps:
            for step in steps:
                x = step.x
                preview = seen_of(step, passes)
                around = None if passes is None else passes.now
                step = replace(step, num_steps=step.num_steps + steps_finer)
                yield StepDone(step, batch, finished, total_steps, preview, around)
        for row, index in enumerate(batch):
            if passes is not None:
                yield Picture(index, resolved.model_copy(update={"index": index}), passes.canvases[row])
                continue
            latent, drawn = x[row : row + 1], steps_each > 0
            # Without a step, there is nothing that a decoder could add to the picture.
            pixels = None if edit is None or drawn else edit.drawn
            before = resolved.steps
            for one in finer:
                if pixels is None and one.takes_pixels:
                    pixels = decoded(latent)
                with clock("decode"):
                    begun = one.enlarge(latent, pixels)
                latent, pixels, drawn = begun.latents, begun.pixels, True
                with closing(one.steps(shared, begun, solver, seeds[row], generators[row], rows)) as steps:
                    for step in steps:
                        latent, pixels = step.x, None
                        preview = seen_of(step)
                        place = before + step.index - one.plan.start
                        step = replace(step, index=place, num_steps=resolved.steps + steps_finer)
                        yield StepDone(step, (index,), finished, total_steps, preview)
                before += one.num_steps
            with clock("decode"):
                if pixels is None:
                    alike = windows is not None or bool(finer)
                    pixels = decode_latent(bundle, latent, most, plan.tiling, alike=alike)
                if edit is not None:
                    pixels = edit.finish(pixels if drawn else None)
                assert pixels is not None  # without an image, all steps are drawn
            yield Picture(index, resolved.model_copy(update={"index": index}), pixels)
    late = tuple(note for one in backends for note in one.notes if note not in known)
    yield Done(clock.seconds(), late)


def decode_latent(
    bundle: ModelBundle,
    latent: Array,
    max_latents: int | None,
    axes: Axes | None = None,
    *,
    alike: bool = False,
) -> NDArray[np.uint8]:
    """Return the pixels `(H,W,3)` of one latent `(1,C,h,w)`: one at a time, so that a batch needs no more
    memory, and in tiles where even one exceeds `max_latents`; or, `alike`, in those of `tiles_alike`. Along
    `axes` it goes on around its sides.
    """
    if axes is not None:
        from sfumato.engine.wrapping import around, decoder_margin, within_picture

        margin = decoder_margin(axes, *latent.shape[2:])
        pixels = decode_latent(bundle, around(latent, margin), max_latents)
        return within_picture(pixels, margin, bundle.downsample)
    _, _, height, width = latent.shape
    if alike:
        tiles = tiles_alike(bundle, height, width)
    else:
        limit = height * width if max_latents is None else max_latents
        tiles = tiling.tiles_within(height, width, limit)
    pixels = np.empty((height * bundle.downsample, width * bundle.downsample, 3), np.uint8)
    for rows, band in tiling.decode_bands(bundle.backend, latent, bundle.downsample, tiles):
        if not np.isfinite(band).all():
            raise NumericalError(
                "the decoded picture is not finite",
                field="pixels",
                hint=advice(
                    bundle.backend.name,
                    "The model's autoencoder is damaged; see where: sfumato models info MODEL --check",
                ),
            )
        pixels[rows] = to_uint8(np.moveaxis(band, 0, -1))
    return pixels
