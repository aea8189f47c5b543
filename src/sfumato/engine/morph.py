"""Many recipes that are alike, drawn together: the frames of a morph.

Frames that differ in nothing but the shares of a mix and in their noise go through the network in one batch:
they ask it the same number of questions at the same steps. Other frames are drawn one after the other.
"""

import math
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final

import numpy as np

from sfumato.engine.conditions import compile_plan
from sfumato.engine.denoiser import Denoiser
from sfumato.engine.events import Done, Events, Picture, Started, StepDone, SteppedDown
from sfumato.engine.gathering import Gathered
from sfumato.engine.loop import denoise
from sfumato.engine.noise import noise_source, picture_seeds, starting_noise
from sfumato.engine.plan import Branch, Conditioning, Plan
from sfumato.engine.preparing import batch_size, encode_plan, latent_shape, tokenise_plan
from sfumato.engine.regions import has_maps
from sfumato.engine.run import STAGES, decode_latent, draw
from sfumato.engine.steering import NO_CONTROLS, Controls
from sfumato.engine.texts import Texts
from sfumato.errors import RecipeError
from sfumato.imaging.inputs import NO_INPUTS, Inputs
from sfumato.models import tiling
from sfumato.models.backends.base import Array, Backend, Work
from sfumato.models.bundle import ModelBundle, rows_within
from sfumato.recipe.image import Recipe, Resolved
from sfumato.samplers.arrays import array_namespace
from sfumato.samplers.noise import picture_noise
from sfumato.samplers.schedule import grid
from sfumato.samplers.solvers import solver_of
from sfumato.settings import Settings

_PLAIN: Final = frozenset(("text", "mix", "variation"))  # parts that draw from words alone


@dataclass(frozen=True, eq=False)
class _Frame:
    """A frame: its number, its recipe, and its plan where it may be drawn with others."""

    number: int
    resolved: Resolved
    plan: Plan | None


def resolved_frames(frames: Sequence[Recipe], gathered: Gathered, settings: Settings) -> tuple[Resolved, ...]:
    """Return `frames`, which `gathered` was made for, ready to be drawn. Raises RecipeError for frames that
    differ in their adapters, for more than may be drawn, and what resolving raises.
    """
    resolved = tuple(gathered.resolved(one, settings) for one in frames)
    if any(one.adapters != resolved[0].adapters for one in resolved):
        hint = "Name the same ones, with the same weights, in all prompts; or give --lora."
        raise RecipeError("all frames have the same adapters", field="lora", hint=hint)
    if len(resolved) > settings.max_count:
        hint = f"Give {settings.max_count} or fewer."
        raise RecipeError("these are too many", field="frames", value=len(resolved), hint=hint)
    return resolved


def draw_frames(
    frames: Sequence[Resolved],
    bundle: ModelBundle,
    *,
    inputs: Inputs = NO_INPUTS,
    controls: Controls = NO_CONTROLS,
    together: bool = True,
) -> Events:
    """Draw `frames`, each a recipe of one picture, with a loaded model, in their order.

    A network rounds differently in batches of another size: what is not drawn `together` is bit by bit what
    each recipe draws alone, and slower.

    Yields what `sfumato.engine.run.draw` does; `indices`, and the `index` of a Picture, are numbers of
    frames. Raises what `draw` raises, and ValueError for no frames.
    """
    if not frames:
        raise ValueError("there are no frames")
    wrong = next((one for one in frames if one.model_digest != bundle.digest), None)
    if wrong is not None:
        hint = "Find that model, or resolve the recipes again."
        raise RecipeError("is not the model of this recipe", field="model", value=wrong.model, hint=hint)
    seconds: dict[str, float] = dict.fromkeys(STAGES, 0.0)
    total_steps = sum(one.steps - one.first_step for one in frames)
    warnings: list[str] = [*bundle.notes]
    batches = [batch for group in _groups(frames, bundle, together) for batch in _batches(group, bundle)]
    started = Started(frames[0], tuple(range(len(frames))), total_steps, bundle.backend.name, tuple(warnings))
    yield started
    finished = 0
    late: list[str] = []
    for batch in batches:
        if batch[0].plan is None:
            ((number, resolved),) = ((one.number, one.resolved) for one in batch)
            events = draw(resolved, bundle, inputs=inputs, controls=controls)
        else:
            number, events = None, _together(batch, bundle)
        done = 0
        with closing(events) as drawing:
            for event in drawing:
                match event:
                    case Started():
                        late += [one for one in event.warnings if one not in (*warnings, *late)]
                    case StepDone():
                        done = min(done + len(batch), len(batch) * (event.step.num_steps))
                        indices = event.indices if number is None else (number,)
                        yield replace(
                            event,
                            indices=indices,
                            finished_steps=min(finished + done, total_steps),
                            total_steps=total_steps,
                        )
                    case Picture():
                        yield event if number is None else replace(event, index=number)
                    case SteppedDown():
                        yield event if number is None else replace(event, indices=(number,))
                    case Done():
                        late += [one for one in event.warnings if one not in (*warnings, *late)]
                        seconds = {stage: seconds[stage] + event.seconds[stage] for stage in STAGES}
        finished += sum(one.resolved.steps - one.resolved.first_step for one in batch)
    yield Done({**seconds, "total": sum(seconds.values())}, tuple(late))


def _groups(frames: Sequence[Resolved], bundle: ModelBundle, together: bool) -> list[list[_Frame]]:
    """Return the frames, in order, in groups that can be drawn together."""
    made: list[_Frame] = []
    for number, one in enumerate(frames):
        plain = together and not bundle.inpaints and _PLAIN.issuperset(part.kind for part in one.parts)
        plain = plain and not has_maps(one)
        made.append(_Frame(number, one, compile_plan(one) if plain else None))
    return [[*group] for _, group in groupby(made, key=_likeness)]


def _likeness(frame: _Frame) -> object:
    """Return what frames that are drawn together have in common."""
    plan, resolved = frame.plan, frame.resolved
    if plan is None:
        return frame.number
    others = resolved.model_copy(update={"seed": 0, "parts": ()})
    asked = tuple((branch.steps, branch.maps) for branch in plan.branches)
    repeated = tuple(_first_place(plan, branch.conditioning) for branch in plan.branches)
    return others, asked, repeated, plan.project, plan.reusing


def _first_place(plan: Plan, conditioning: Conditioning) -> int:
    return next(at for at, one in enumerate(plan.branches) if one.conditioning == conditioning)


def _batches(group: list[_Frame], bundle: ModelBundle) -> list[list[_Frame]]:
    plan = group[0].plan
    if plan is None:
        return [[one] for one in group]
    max_rows = rows_within(bundle, *latent_shape(group[0].resolved, bundle)[1:])
    size = batch_size(plan, max_rows)
    return [group[at : at + size] for at in range(0, len(group), size)]


def _together(batch: list[_Frame], bundle: ModelBundle) -> Events:
    """Draw frames of one group in one batch."""
    seconds = dict.fromkeys(STAGES, 0.0)
    first = batch[0].resolved
    plans = [one.plan for one in batch if one.plan is not None]
    shape = latent_shape(first, bundle)
    max_rows = rows_within(bundle, *shape[1:])
    tile = tiling.tile_within(*shape[1:], bundle.max_latents)
    began = time.perf_counter()
    spoken = replace(plans[0], branches=tuple(branch for plan in plans for branch in plan.branches))
    tokens = tokenise_plan(spoken, bundle)
    ids = (max(len(one.ids) for one in tokens.values()), bundle.tokenizer.max_length)
    rows = min(plans[0].max_branches * len(batch), max_rows)
    bundle.backend.prepare(Work(ids, rows, *shape[1:], bool(plans[0].reusing), tile))
    encoded, warnings = encode_plan(spoken, tokens, bundle)
    plan = joined(plans, bundle.backend)
    texts = Texts(_contexts(plans, encoded.contexts))
    seconds["encode"] = time.perf_counter() - began
    numbers = tuple(one.number for one in batch)
    yield Started(first, numbers, first.steps, bundle.backend.name, warnings)
    sigmas = grid(bundle.schedule, first.steps, first.spacing)
    solver = solver_of(first.sampler).with_eta(first.eta)
    seeds = tuple(seed for one in batch for seed in picture_seeds(one.resolved, (0,)))
    generators = tuple(picture_noise(seed) for seed in seeds)
    start = np.concatenate(
        [
            starting_noise(one.resolved, (0,), (generator,), shape)
            for one, generator in zip(batch, generators, strict=True)
        ]
    )
    noise = noise_source(solver, bundle, seeds, generators, shape)
    x = bundle.backend.asarray(start) * math.sqrt(1 + sigmas[0] * sigmas[0])
    denoiser = Denoiser(bundle.backend, bundle.schedule, plan, texts, max_rows)
    with closing(denoise(denoiser, solver, sigmas, x, noise)) as steps:
        for number, step in enumerate(steps, start=1):
            seconds["steps"] += step.seconds
            x = step.x
            yield StepDone(step, numbers, number, first.steps, None)
    for row, one in enumerate(batch):
        began = time.perf_counter()
        pixels = decode_latent(bundle, x[row : row + 1], bundle.max_latents)
        seconds["decode"] += time.perf_counter() - began
        yield Picture(one.number, one.resolved, pixels)
    yield Done({**seconds, "total": sum(seconds.values())})


def joined(plans: Sequence[Plan], backend: Backend) -> Plan:
    """Return one plan for as many pictures as there are `plans`, which ask the same at the same steps.

    A weight that differs from picture to picture becomes a map, as those of regions are: `(B,1,1,1)`, what
    it has beyond the first picture's.
    """
    maps: list[tuple[float, ...]] = []
    places: list[list[tuple[int, int]]] = []  # of each branch, its maps: the number, and weight or reference
    for alike in zip(*(plan.branches for plan in plans), strict=True):
        own: list[tuple[int, int]] = []
        for which, values in enumerate(
            ([one.weight for one in alike], [one.reference for one in alike]),
        ):
            if any(value != values[0] for value in values):
                own.append((len(maps), which))
                maps.append(tuple(value - values[0] for value in values))
        places.append(own)
    if not maps:
        return plans[0]
    branches = tuple(
        _with_maps(branch, own, len(maps)) for branch, own in zip(plans[0].branches, places, strict=True)
    )
    array = np.asarray(maps, np.float32).reshape(len(maps), len(plans), 1, 1, 1)
    return replace(plans[0], branches=branches, maps=backend.asarray(array))


def _with_maps(branch: Branch, own: list[tuple[int, int]], count: int) -> Branch:
    shares = [[0.0, 0.0] for _ in range(count)]
    for number, which in own:
        shares[number][which] = 1.0
    return replace(branch, maps=tuple((weight, reference) for weight, reference in shares) if own else ())


def _contexts(plans: Sequence[Plan], encoded: Mapping[Conditioning, Array]) -> dict[Conditioning, Array]:
    """Return the context of each conditioning of the first plan: `(1,T,D)`, or `(B,T,D)` where the pictures
    differ in it.
    """
    contexts: dict[Conditioning, Array] = {}
    for alike in zip(*(plan.branches for plan in plans), strict=True):
        each = [encoded[one.conditioning] for one in alike]
        same = all(one.conditioning == alike[0].conditioning for one in alike)
        contexts[alike[0].conditioning] = each[0] if same else array_namespace(each[0]).concat(each, axis=0)
    return contexts
