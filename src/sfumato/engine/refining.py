"""A drawing that one model begins and another, the refiner, ends.

Latents are handed over as they are, noise and all, in the coordinates of the solvers, `x = x0 + sigma *
noise`: so the two models may have been trained on other timesteps, and may predict other things. Noise levels
and pictures are those of the recipe's model; of the refiner only its text encoders and its UNet are used.

The step at which the refiner takes over is the first whose timestep lies below `N - round(start N)`, of N
timesteps of the recipe's model, as in diffusers' `denoising_end` and `denoising_start`. A solver that learns
from earlier steps begins anew there, as diffusers' does: what it knows was said by another model.
"""

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final, TypeAlias

from sfumato.engine.conditions import compile_plan
from sfumato.engine.denoiser import Denoiser
from sfumato.engine.edits import Edit, KeepKnown, prepare
from sfumato.engine.features import Features
from sfumato.engine.loop import Step, denoise
from sfumato.engine.noise import noise_source
from sfumato.engine.plan import Projection
from sfumato.engine.preparing import encode_plan, latent_shape, tokenise_plan, windows_for, with_arrays
from sfumato.engine.wrapping import continued
from sfumato.errors import RecipeError
from sfumato.imaging.inputs import Inputs
from sfumato.models.backends.base import Array
from sfumato.models.bundle import ModelBundle, rows_within
from sfumato.models.load import FoundModel, load
from sfumato.recipe.image import Resolved
from sfumato.recipe.resolved_parts import ResolvedPart
from sfumato.samplers import noise as noises
from sfumato.samplers.schedule import Schedule, grid
from sfumato.samplers.solvers import Solver
from sfumato.settings import Settings

Steps: TypeAlias = Generator[Step, None, None]
SLACK: Final = 1.01  # how far a noise level may lie outside those that the refiner was trained on
ALONE: Final = "The refiner draws without the {} of this recipe, which belong to its model."


def with_refiner(
    resolved: Resolved, bundle: ModelBundle, found: FoundModel | None, settings: Settings
) -> ModelBundle:
    """Return `bundle` with the refiner of a resolved recipe, `found`, loaded beside it; without one where the
    recipe has none. One that is there already is kept. Raises as `sfumato.models.load.load` does.
    """
    if resolved.refine is None or found is None:
        return bundle if bundle.refiner is None else replace(bundle, refiner=None)
    if bundle.refiner is not None and bundle.refiner.digest == resolved.refine.digest:
        return bundle
    alike = settings if bundle.settings is None else bundle.settings  # there was to be room for both
    refiner = load(found, alike, size=(resolved.width, resolved.height))
    seconds = {stage: spent + refiner.seconds[stage] for stage, spent in bundle.seconds.items()}
    return replace(bundle, refiner=refiner, seconds=seconds)


def hand_over(resolved: Resolved, schedule: Schedule, refiner: Schedule) -> int:
    """Return the step at which the refiner of a recipe takes over, in (first step, steps), for the schedules
    of the recipe's model and of the refiner.

    Raises RecipeError where one of the two would draw nothing, where the refiner would have to draw noise
    levels that it was not trained on, and for a model of EDM, whose timesteps have no shares.
    """
    part = resolved.refine
    assert part is not None  # whoever asks has a refiner
    if schedule.data is not None:
        raise RecipeError(
            f"has no timesteps to take over at: {resolved.model} was trained in the way of EDM",
            field="refiner",
            value=part.model,
            hint="Leave it out; such a model may refine others.",
        )
    trained = len(schedule.alphas_cumprod)
    cutoff = round(trained - part.start * trained)
    sigmas = grid(schedule, resolved.steps, resolved.spacing)[:-1]
    # Noise levels fall, and timesteps with them: all that are before the cut come first.
    first = sum(schedule.t_of(sigma) >= cutoff for sigma in sigmas)
    begun, steps = resolved.first_step, resolved.steps
    if first == steps:
        raise RecipeError(
            f"leaves the refiner none of {steps} steps",
            field="refine-from",
            value=part.start,
            hint="Give less, or more steps.",
        )
    if first <= begun:
        drawn = f"{steps} steps" if begun == 0 else f"the {steps - begun} steps that are drawn"
        raise RecipeError(
            f"leaves {resolved.model} none of {drawn}",
            field="refine-from",
            value=part.start,
            hint="Give more, or draw with the refiner alone: --model." if begun == 0 else "Give more.",
        )
    lowest, highest = sigmas[-1], sigmas[first]
    if highest > SLACK * refiner.sigma_max or lowest * SLACK < refiner.sigma_min:
        raise RecipeError(
            f"would draw noise levels from {highest:.3g} to {lowest:.3g}, and was trained on those from "
            f"{refiner.sigma_max:.3g} to {refiner.sigma_min:.3g}",
            field="refiner",
            value=part.model,
            hint="Give a later --refine-from, another --spacing, or another refiner.",
        )
    return first


@dataclass(frozen=True, eq=False)
class Refining:
    """The end of a drawing. `denoiser` is the refiner's, `first` the step at which it takes over. Make it
    with `prepare_refining`.
    """

    base: ModelBundle
    refiner: ModelBundle
    denoiser: Denoiser
    first: int
    start: int
    shape: tuple[int, int, int]

    def steps(
        self,
        before: Steps,
        solver: Solver,
        sigmas: Sequence[float],
        seeds: tuple[int, ...],
        generators: tuple[noises.Generator, ...],
        kept: Sequence[KeepKnown] = (),
    ) -> Steps:
        """Yield the steps of `before`, which are those of the recipe's model, and from `first` on the
        refiner's own, all with arrays of the recipe's backend.

        `seeds` and `generators` are those of the batch, whose noise goes on, and `kept` what of its pictures
        is to stay.
        """
        x: Array = None
        with closing(before) as steps:
            for step in islice(steps, self.first - self.start):
                x = step.x
                yield step
        # A path of noise is that of the levels of the whole drawing.
        levels = replace(self.refiner, schedule=self.base.schedule)
        noise = noise_source(solver, levels, seeds, generators, self.shape)
        keeping = tuple(
            replace(one, known=self._over(one.known), noise=self._over(one.noise), free=self._over(one.free))
            for one in kept
        )
        plan = replace(self.denoiser.plan, project=(*self.denoiser.plan.project, *keeping))
        denoiser = replace(self.denoiser, plan=plan, features=Features())
        with closing(denoise(denoiser, solver, sigmas, self._over(x), noise, self.first)) as steps:
            for step in steps:
                x, x0, past = (self._back(one) for one in (step.x, step.x0, step.before))
                yield replace(step, x=x, x0=x0, before=past)

    def kept(self, edit: Edit | None, noise: Array, levels: Sequence[float]) -> tuple[KeepKnown, ...]:
        """Return what the refiner keeps of a picture in which not all is drawn anew: as `Edit.keeping`, but
        for a refiner, which may be shown less than the recipe's model.
        """
        if edit is None or edit.free is None or self.refiner.inpaints:
            return ()
        return (KeepKnown(edit.latents, noise, edit.free, tuple(levels)),)

    def _over(self, x: Array) -> Array:
        return self.refiner.backend.asarray(self.base.backend.to_numpy(x))

    def _back(self, x: Array) -> Array:
        return self.base.backend.asarray(self.refiner.backend.to_numpy(x))


def prepare_refining(
    resolved: Resolved,
    bundle: ModelBundle,
    inputs: Inputs,
    looking: tuple[Projection, ...],
) -> tuple[Refining, tuple[str, ...]]:
    """Return how the end of a recipe is drawn by the refiner of `bundle`, and warnings.

    Raises RecipeError as `hand_over` does, and PictureError for a picture that is missing.
    """
    refiner = bundle.refiner
    assert refiner is not None  # see `sfumato.engine.run.draw`
    first = hand_over(resolved, bundle.schedule, refiner.schedule)
    own = _own(resolved, refiner)
    plan = compile_plan(own, first)
    last = tuple(branch for branch in plan.branches if any(step >= first for step in branch.steps))
    edit = prepare(own, refiner, inputs) if refiner.inpaints else None
    plan = with_arrays(replace(plan, branches=last), own, refiner, inputs, edit)
    plan = replace(plan, project=(*plan.project, *looking))
    shape = latent_shape(resolved, bundle)
    windows = windows_for(resolved, bundle)
    plan, _, seen, _ = continued(plan, (), shape[1:], None, bundle.downsample)
    seen = seen if windows is None else windows.size(*shape[1:])
    skipped = 0 if resolved.extras is None else resolved.extras.skipped_layers
    texts, warnings = encode_plan(plan, tokenise_plan(plan, refiner), refiner, skipped)
    max_rows = rows_within(refiner, *seen)
    denoiser = Denoiser(refiner.backend, refiner.schedule, plan, texts, max_rows, windows=windows)
    refining = Refining(bundle, refiner, denoiser, first, resolved.first_step, shape)
    notes = (note for note in refiner.notes if note not in bundle.notes)
    alone = {"adapters": resolved.adapters, "ControlNets": resolved.control}
    named = " and ".join(what for what, part in alone.items() if part is not None)
    return refining, (*notes, *warnings, *((ALONE.format(named),) if named else ()))


def _own(resolved: Resolved, refiner: ModelBundle) -> Resolved:
    """Return a recipe as the refiner draws it: with what it is told, and nothing that steers the model."""
    assert resolved.refine is not None
    micro = resolved.refine.micro
    parts: list[ResolvedPart] = [part for part in resolved.parts if part.kind not in ("control", "micro")]
    if micro is not None:
        parts.append(micro)
    told = {"embedded": refiner.defaults.told.guidance, "parts": tuple(parts)}
    return resolved.model_copy(update=told)
