"""A plan and the networks, as the one function a solver needs: D(x, sigma) -> x0."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from array_api_compat import array_namespace

from sfumato.engine.conditions import Branch, Conditioning, Guided, Plan
from sfumato.models.backends.base import Array, Backend
from sfumato.samplers.schedule import Schedule, scale_in, to_x0


@dataclass(frozen=True, eq=False)
class Denoiser:
    """Runs the branches of `plan` that are active at a step as one batch, and takes their weighted sum.

    `contexts` holds the encoded text `(1,T,D)` of every conditioning, all of one length; `max_rows` bounds
    the rows of one network call, and with them its memory.
    """

    backend: Backend
    schedule: Schedule
    plan: Plan
    contexts: Mapping[Conditioning, Array]
    max_rows: int

    def at(self, step: int) -> Callable[[Array, float], Array]:
        """Return D for step `step`, which may call it several times (Heun) at levels of its own choice."""
        active = [branch for branch in self.plan.branches if step in branch.steps]
        return partial(self._x0, active)

    def _x0(self, active: Sequence[Branch], x: Array, sigma: float) -> Array:
        for projection in self.plan.project:
            x = projection.before(x, sigma)
        outputs = self._outputs(active, x, sigma)
        # Weights sum to one and x0 is affine in the output, so summing outputs is summing x0, with one
        # conversion.
        output = _weighted([branch.weight for branch in active], outputs)
        reference = _weighted([branch.reference for branch in active], outputs)
        prediction = self.schedule.prediction
        x0 = to_x0(output, x, sigma, prediction)
        guided = Guided(x, sigma, output, reference, prediction)
        for projection in self.plan.project:
            x0 = projection.after(x0, guided)
        return x0

    def _outputs(self, active: Sequence[Branch], x: Array, sigma: float) -> list[Array]:
        """Return the network output `(B,C,h,w)` of every active branch."""
        xp = array_namespace(x)
        num_pictures = x.shape[0]
        t = self.schedule.t_of(sigma)
        contexts = [self.contexts[branch.conditioning] for branch in active]
        rows = xp.concat([scale_in(x, sigma)] * len(active), axis=0)
        context = xp.concat([xp.tile(one, (num_pictures, 1, 1)) for one in contexts], axis=0)
        parts = [
            self.backend.predict(rows[at : at + self.max_rows], t, context[at : at + self.max_rows])
            for at in range(0, rows.shape[0], self.max_rows)
        ]
        output = parts[0] if len(parts) == 1 else xp.concat(parts, axis=0)
        return [output[k * num_pictures : (k + 1) * num_pictures] for k in range(len(active))]


def _weighted(weights: Sequence[float], outputs: Sequence[Array]) -> Array:
    total = outputs[0] * weights[0]
    for weight, output in zip(weights[1:], outputs[1:], strict=True):
        total = total + output * weight
    return total
