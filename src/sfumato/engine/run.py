"""The one entry of every front end: a recipe in, events out.

Consumers that may stop early hold the iterator in `contextlib.closing`; closing it at any event is clean, as
nothing outside the iterator was changed.
"""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sfumato.engine.conditions import Conditioning, Plan, Projection, compile_plan
from sfumato.engine.denoiser import Attending, Denoiser
from sfumato.engine.events import Done, Events, Picture, Started, StepDone
from sfumato.engine.features import Features
from sfumato.engine.loop import advice, denoise
from sfumato.engine.noise import noise_source, picture_seeds, starting_noise
from sfumato.engine.preview import Previewer, previewer_of, to_uint8
from sfumato.engine.steering import NO_CONTROLS, Controls, Steering
from sfumato.errors import NumericalError, RecipeError
from sfumato.imaging.inputs import NO_INPUTS, Inputs, read_inputs
from sfumato.models import tiling
from sfumato.models.backends.base import Array, Work
from sfumato.models.bundle import ModelBundle
from sfumato.models.controlnets import ControlFiles
from sfumato.models.load import find_model, load
from sfumato.models.text import Tokens, encode_equal_length, tokenise
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.prompt import Prompt
from sfumato.recipe.resolve import resolve
from sfumato.samplers.noise import picture_noise
from sfumato.samplers.schedule import grid
from sfumato.samplers.solvers import solver_of
from sfumato.settings import Settings

if TYPE_CHECKING:  # see _begin
    from sfumato.engine.edits import Edit

MAX_BATCH = 8  # larger batches gain little speed, and make the first picture wait
STAGES = ("import", "load", "encode", "steps", "preview", "decode")
TILED = (
    "Decoded in tiles, which may differ a little in tone: all of a picture of this size could exceed the "
    "memory limit. SFUMATO_MAX_MEMORY sets another."
)


def run(recipe: Recipe, settings: Settings, *, preview_every: int = 0) -> Events:
    """Load the recipe's model, resolve the recipe, and draw it.

    Yields what `draw` yields; the seconds of `Done` include importing and loading. Raises RecipeError,
    PictureError and ModelFileError before the first event, NumericalError while drawing.
    """
    found = find_model(recipe.model, settings)
    inputs = read_inputs(recipe, settings)
    controls, digests = NO_CONTROLS, dict[str, str]()
    if recipe.control is not None:
        from sfumato.engine.controls import digests_of, find_controls

        controls = find_controls(recipe, found.files, settings)
        digests = digests_of(controls)
    # Before the seconds that loading takes.
    resolved = resolve(recipe, found.defaults, settings=settings, sources=inputs.facts, controls=digests)
    bundle = load(found, settings)
    with closing(
        draw(resolved, bundle, inputs=inputs, controls=controls, preview_every=preview_every)
    ) as events:
        for event in events:
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
    looking: tuple[Projection, ...] = (),
    attending: Attending | None = None,
) -> Events:
    """Draw the pictures `indices` of a resolved recipe (default: all `count` of them) with a loaded model.

    Picture k has the noise of seed + k, whatever else is drawn with it. `inputs` and `controls` are the
    pictures and the ControlNets that the recipe names. `preview_every` n sends an approximate picture with
    every n-th step, 0 none. `looking` are projections that measure and change nothing, `attending`
    watches the network's attention. Yields Started, then per batch StepDone for every step and Picture for
    every picture, then Done. Raises NumericalError when a latent or a pixel is not finite, PictureError for a
    picture that is missing or a mask that cannot be used.
    """
    if resolved.model_digest != bundle.digest:
        raise RecipeError(
            "is not the model this recipe was resolved for",
            field="model",
            value=bundle.name,
            hint="Find that model, or resolve the recipe again.",
        )
    clock = _Clock()
    known = {*bundle.notes, *bundle.backend.notes}
    wanted = tuple(range(resolved.count)) if indices is None else tuple(indices)
    sigmas = grid(bundle.schedule, resolved.steps, resolved.spacing)
    solver = solver_of(resolved.sampler).with_eta(resolved.eta)
    with clock("encode"):
        edit, steering, wanted_controls = _begin(resolved, bundle, inputs, controls)
    plan = _with_arrays(compile_plan(resolved), resolved, bundle, inputs, edit)
    plan = replace(plan, project=(*plan.project, *looking))
    shape = _latent_shape(resolved, bundle)
    tile = tiling.tile_within(*shape[1:], bundle.max_latents)
    max_rows = bundle.backend.max_rows(*shape[1:])
    batches = _batches(wanted, _batch_size(plan, max_rows))
    with clock("encode"):
        tokens = tokenise_plan(plan, bundle)
        ids = (max(len(one.ids) for one in tokens.values()), bundle.tokenizer.max_length)
        rows = min(plan.max_branches * max(map(len, batches), default=1), max_rows)
        bundle.backend.prepare(Work(ids, rows, *shape[1:], bool(plan.reusing), tile, wanted_controls))
        contexts, warnings = encode_plan(plan, tokens, bundle)
    if tile is not None:
        warnings = (*warnings, TILED)
    shared = Denoiser(
        bundle.backend, bundle.schedule, plan, contexts, max_rows, controls=steering, attending=attending
    )
    steps_each = resolved.steps - plan.start
    total_steps = steps_each * len(batches)
    yield Started(resolved, wanted, total_steps, bundle.backend.name, (*bundle.notes, *warnings))

    previewer: Previewer | None = None
    finished = 0
    for batch in batches:
        if attending is not None:
            attending.begin(batch)
        seeds = picture_seeds(resolved, batch)
        generators = tuple(picture_noise(seed) for seed in seeds)
        sigma = sigmas[plan.start]
        start = bundle.backend.asarray(starting_noise(resolved, batch, generators, shape))
        noise = noise_source(solver, bundle, seeds, generators, shape)
        denoiser = replace(shared, features=Features())
        if edit is None:
            # For the network, noise of variance one and no signal: latents have variance one themselves.
            x = start * math.sqrt(1 + sigma * sigma)
        else:
            x = edit.begin(start, sigma, first=plan.start == 0)
            keeping = edit.keeping(start, sigmas[plan.start : -1])
            denoiser = replace(denoiser, plan=replace(plan, project=(*plan.project, *keeping)))
        with closing(denoise(denoiser, solver, sigmas, x, noise, plan.start)) as steps:
            for step in steps:
                clock.add("steps", step.seconds)
                finished += 1
                x = step.x
                preview: NDArray[np.uint8] | None = None
                if preview_every > 0 and finished % preview_every == 0:
                    with clock("preview"):
                        if previewer is None:
                            previewer = previewer_of(
                                bundle.backend, bundle.latent_channels, bundle.downsample
                            )
                        preview = previewer(bundle.backend.to_numpy(step.x0))
                yield StepDone(step, batch, finished, total_steps, preview)
        for row, index in enumerate(batch):
            with clock("decode"):
                # Without a step, there is nothing that a decoder could add to the picture.
                pixels = None if edit is not None and steps_each == 0 else _decode(bundle, x[row : row + 1])
                pixels = pixels if edit is None else edit.finish(pixels)
                assert pixels is not None  # without an image, all steps are drawn
            yield Picture(index, resolved.model_copy(update={"index": index}), pixels)
    late = tuple(note for note in bundle.backend.notes if note not in known)
    yield Done(clock.seconds(), late)


def tokenise_plan(plan: Plan, bundle: ModelBundle) -> dict[Prompt, Tokens]:
    """Return the tokens of every prompt of `plan`."""
    prompts = (prompt for branch in plan.branches for _, prompt in branch.conditioning.blend)
    return {prompt: tokenise(bundle.tokenizer, prompt) for prompt in dict.fromkeys(prompts)}


def encode_plan(
    plan: Plan, tokens: Mapping[Prompt, Tokens], bundle: ModelBundle
) -> tuple[dict[Conditioning, Array], tuple[str, ...]]:
    """Return the context `(1,T,D)` of every conditioning of `plan`, all of one length T, and warnings.

    `tokens` are those of `tokenise_plan`.
    """
    conditionings = dict.fromkeys(branch.conditioning for branch in plan.branches)
    texts = encode_equal_length(bundle.backend, bundle.tokenizer, list(tokens.values()))
    encoded = dict(zip(tokens, texts, strict=True))
    contexts = {one: sum(encoded[prompt] * share for share, prompt in one.blend) for one in conditionings}
    if any(one.truncated for one in tokens.values()):
        limit = max(len(one.ids) for one in tokens.values()) * (bundle.tokenizer.max_length - 2)
        return contexts, (f"A prompt is longer than {limit} tokens; the rest was left out.",)
    return contexts, ()


def batch_of(resolved: Resolved, bundle: ModelBundle, index: int) -> tuple[int, ...]:
    """Return the pictures that `draw` draws in one batch with picture `index` when it draws the whole run: a
    network rounds differently in batches of another size.
    """
    max_rows = bundle.backend.max_rows(*_latent_shape(resolved, bundle)[1:])
    size = _batch_size(compile_plan(resolved), max_rows)
    first = index - index % size
    return tuple(range(first, min(first + size, resolved.count)))


def _latent_shape(resolved: Resolved, bundle: ModelBundle) -> tuple[int, int, int]:
    factor = bundle.downsample
    return bundle.latent_channels, resolved.height // factor, resolved.width // factor


def _batch_size(plan: Plan, max_rows: int) -> int:
    return min(MAX_BATCH, max(1, max_rows // plan.max_branches))


def _batches(indices: tuple[int, ...], size: int) -> list[tuple[int, ...]]:
    return [indices[at : at + size] for at in range(0, len(indices), size)]


def _begin(
    resolved: Resolved, bundle: ModelBundle, inputs: Inputs, controls: Controls
) -> tuple["Edit | None", tuple[Steering, ...], tuple[ControlFiles, ...]]:
    """Return what a drawing begins with and what steers it. Imported when it is asked for, as pictures from
    words alone are drawn in half a second.
    """
    edit: Edit | None = None
    if resolved.image is not None:
        from sfumato.engine.edits import prepare

        edit = prepare(resolved, bundle, inputs)
    if resolved.control is None:
        return edit, (), ()
    from sfumato.engine.controls import chosen, prepare_controls

    files = chosen(resolved, controls)
    return edit, prepare_controls(resolved, bundle, inputs, files, edit), files


def _with_arrays(
    plan: Plan, resolved: Resolved, bundle: ModelBundle, inputs: Inputs, edit: "Edit | None"
) -> Plan:
    """Return `plan` with the arrays that belong to it at the drawing's size."""
    if resolved.regions is not None:
        from sfumato.engine.regions import region_maps

        maps = region_maps(resolved.regions, *_latent_shape(resolved, bundle)[1:], inputs)
        plan = replace(plan, maps=bundle.backend.asarray(maps))
    if bundle.inpaints:
        channels = None if edit is None else edit.channels
        if channels is None:
            from sfumato.engine.edits import nothing_kept

            channels = nothing_kept(bundle, resolved.width, resolved.height)
        plan = replace(plan, channels=channels)
    return plan


def _decode(bundle: ModelBundle, latent: Array) -> NDArray[np.uint8]:
    """Return the pixels `(H,W,3)` of one latent `(1,C,h,w)`: one at a time, so that a batch needs no more
    memory, and in tiles where even one exceeds the limit.
    """
    pixels = tiling.decode(bundle.backend, latent, bundle.downsample, bundle.max_latents)[0]
    if not np.isfinite(pixels).all():
        raise NumericalError(
            "the decoded picture is not finite",
            field="pixels",
            hint=advice(bundle.backend.name, "The model's autoencoder is damaged."),
        )
    return to_uint8(np.moveaxis(pixels, 0, -1))


class _Clock:
    """Adds up the seconds of named stages."""

    def __init__(self) -> None:
        self._spent = {stage: 0.0 for stage in STAGES}

    def add(self, stage: str, seconds: float) -> None:
        self._spent[stage] += seconds

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.add(stage, time.perf_counter() - started)

    def seconds(self) -> dict[str, float]:
        return {**self._spent, "total": sum(self._spent.values())}
