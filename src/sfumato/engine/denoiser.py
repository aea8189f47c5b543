"""A plan and the networks, as the one function a solver needs: D(x, sigma) -> x0."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from sfumato.engine.conditions import Branch, Conditioning, Guided, Plan
from sfumato.engine.features import Features, Known
from sfumato.engine.steering import Steering, steer
from sfumato.models.backends.base import NOTHING, Array, Backend, Extra
from sfumato.samplers.arrays import array_namespace
from sfumato.samplers.schedule import Schedule, scale_in, to_x0


class Attending(Protocol):
    """Watches what the network attends to while it predicts."""

    def begin(self, batch: tuple[int, ...], /) -> None:
        """Be told that the pictures `batch` are drawn next."""
        ...

    def during(self, asked: Sequence[Conditioning], size: tuple[int, int], /) -> AbstractContextManager[None]:
        """Watch one evaluation: of every conditioning of `asked` a row for each picture of the batch, at
        latents of `size (h,w)`.
        """
        ...


@dataclass(frozen=True, eq=False)
class Denoiser:
    """Runs the branches of `plan` that are active at a step as one batch, and takes their weighted sum.

    `contexts` holds the encoded text `(1,T,D)` of every conditioning, all of one length; `max_rows` bounds
    the rows of one network call, and with them its memory. `features` is for plans with steps that reuse:
    those must be taken in order, as a step that reuses needs the full one before it. `controls` are the
    ControlNets that steer it, and `attending` watches every evaluation.
    """

    backend: Backend
    schedule: Schedule
    plan: Plan
    contexts: Mapping[Conditioning, Array]
    max_rows: int
    features: Features = field(default_factory=Features)
    controls: tuple[Steering, ...] = ()
    attending: Attending | None = None

    def at(self, step: int) -> Callable[[Array, float], Array]:
        """Return D for step `step`, which may call it several times (Heun) at levels of its own choice."""
        return partial(self._x0, step)

    def _x0(self, step: int, x: Array, sigma: float) -> Array:
        active = [branch for branch in self.plan.branches if step in branch.steps]
        for projection in self.plan.project:
            x = projection.before(x, sigma)
        asked = [branch.conditioning for branch in active]
        watching = self.attending is not None and self.attending.during(asked, tuple(x.shape[2:]))
        with watching or nullcontext():
            outputs = self._outputs(asked, step, x, sigma)
        # Weights sum to one and x0 is affine in the output, so summing outputs is summing x0, with one
        # conversion.
        output = _weighted([self._weight(branch, 0) for branch in active], outputs)
        reference = _weighted([self._weight(branch, 1) for branch in active], outputs)
        prediction = self.schedule.prediction
        x0 = to_x0(output, x, sigma, prediction)
        guided = Guided(x, sigma, output, reference, prediction)
        for projection in self.plan.project:
            x0 = projection.after(x0, guided)
        return x0

    def _weight(self, branch: Branch, which: int) -> Array:
        """Return a branch's weight (`which` 0) or reference (1): a number, or `(1,1,h,w)` with regions."""
        total = (branch.weight, branch.reference)[which]
        for number, weights in enumerate(branch.maps):
            if weights[which] != 0:
                assert self.plan.maps is not None  # made for every drawing with regions
                total = total + self.plan.maps[number] * weights[which]
        return total

    def _outputs(self, asked: Sequence[Conditioning], step: int, x: Array, sigma: float) -> list[Array]:
        """Return the network output `(B,C,h,w)` for every conditioning of `asked`."""
        xp = array_namespace(x)
        num_pictures = x.shape[0]
        t = self.schedule.t_of(sigma)
        latents = picture = scale_in(x, sigma)
        if self.plan.channels is not None:
            picture = xp.concat([picture, xp.tile(self.plan.channels, (num_pictures, 1, 1, 1))], axis=1)
        rows = xp.concat([picture] * len(asked), axis=0)
        steering = [one for one in self.controls if step in one.steps]
        steered = xp.concat([latents] * len(asked), axis=0) if steering else rows
        context = xp.concat([xp.tile(self.contexts[one], (num_pictures, 1, 1)) for one in asked], axis=0)
        chunks = [slice(at, at + self.max_rows) for at in range(0, rows.shape[0], self.max_rows)]

        def by_branch(parts: Sequence[Array]) -> list[Array]:
            whole = parts[0] if len(parts) == 1 else xp.concat(parts, axis=0)
            return [whole[k * num_pictures : (k + 1) * num_pictures] for k in range(len(asked))]

        def extra(chunk: slice) -> Extra:
            return steer(steering, steered[chunk], t, context[chunk]) if steering else NOTHING

        if not self.plan.reusing:
            parts = [self.backend.predict(rows[one], t, context[one], extra(one)) for one in chunks]
            return by_branch(parts)
        reuse = step in self.plan.reusing
        kept = xp.concat([self.features.at(one, sigma) for one in asked], axis=0) if reuse else None
        made = [
            self.backend.predict_reusing(
                rows[one], t, context[one], None if kept is None else kept[one], extra(one)
            )
            for one in chunks
        ]
        if not reuse:
            for one, features in zip(asked, by_branch([features for _, features in made]), strict=True):
                self.features.keep(one, Known(step, sigma, features))
        return by_branch([output for output, _ in made])


def _weighted(weights: Sequence[Array], outputs: Sequence[Array]) -> Array:
    total = outputs[0] * weights[0]
    for weight, output in zip(weights[1:], outputs[1:], strict=True):
        total = total + output * weight
    return total
