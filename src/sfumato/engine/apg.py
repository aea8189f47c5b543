"""Adaptive projected guidance: strong guidance without burnt colours.

Sadat et al. 2024 (arXiv 2410.02416), Algorithm 1: what guidance adds to the prediction is averaged over the
steps, bounded in size, and divided into a part along the prediction, which mostly raises contrast and
saturation, and one at right angles to it, which brings in what the prompt asks for. The first counts `eta`.
"""

from dataclasses import dataclass, field, replace

from sfumato.engine.plan import Guided
from sfumato.models.backends.base import Array
from sfumato.samplers.arrays import array_namespace
from sfumato.samplers.schedule import to_x0


@dataclass(eq=False)
class Memory:
    """The average `now` after step `step`, and that `before` it: a solver may ask several times in a step."""

    step: int = -1
    before: Array | None = None
    now: Array | None = None

    def at(self, step: int) -> Array | None:
        """Return the average of the steps before `step`; None where steps do not follow each other, as when
        the next pictures begin.
        """
        if step == self.step + 1:
            self.before = self.now
        elif step != self.step:
            self.before = None
        self.step = step
        return self.before


@dataclass(frozen=True, eq=False)
class Projected:
    """Guidance of the strength `scale`, the factor of what it adds, with the three numbers of the recipe.

    Everything is done in clean predictions. What is not guided by itself (mixes, regions, AND, perturbed
    attention) goes through it together: the sum of what it adds takes the place of the paper's difference.
    It remembers the steps of a drawing, so a plan with it draws one batch at a time.
    """

    eta: float
    norm: float
    momentum: float
    scale: float
    memory: Memory = field(default_factory=Memory)

    def __call__(self, guided: Guided) -> Array:
        """Return the output `(B,C,h,w)`; as it is where nothing guides, as outside of a window."""
        xp = array_namespace(guided.output)
        over = tuple(range(1, guided.output.ndim))
        if self.scale == 0 or not bool(xp.any(guided.output != guided.reference)):
            return guided.output
        clean = to_x0(guided.reference, guided.x, guided.sigma, guided.prediction)
        # x0 is affine in the output; so much of it is one of the output.
        slope = float(to_x0(1.0, 0.0, guided.sigma, guided.prediction))
        difference = (guided.output - guided.reference) * (slope / self.scale)
        average = self.memory.at(guided.step)
        if average is not None:
            difference = difference + average * self.momentum
        self.memory.now = difference
        if self.norm > 0:
            size = xp.sqrt(xp.mean(difference * difference, axis=over, keepdims=True))
            too_large = size > self.norm
            bounded = self.norm / xp.where(too_large, size, xp.ones_like(size))
            difference = difference * xp.where(too_large, bounded, xp.ones_like(size))
        along = xp.sum(difference * clean, axis=over, keepdims=True)
        square = xp.sum(clean * clean, axis=over, keepdims=True)
        share = xp.where(square > 0, along / xp.where(square > 0, square, xp.ones_like(square)), 0 * along)
        difference = difference - clean * (share * (1 - self.eta))
        return guided.reference + difference * (self.scale / slope)


def fresh(one: Projected) -> Projected:
    """Return the same guidance without what it remembers."""
    return replace(one, memory=Memory())
