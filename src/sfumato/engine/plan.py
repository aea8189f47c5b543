"""A plan: what the network is asked at every step, as plain data that can be compared and merged."""

from collections import Counter
from dataclasses import dataclass
from typing import Protocol

from sfumato.models.backends.base import NOTHING as NO_EXTRA
from sfumato.models.backends.base import Array, Extra
from sfumato.recipe.extras import Axes
from sfumato.recipe.prompt import Prompt
from sfumato.recipe.resolved_parts import ResolvedText
from sfumato.samplers.schedule import Prediction


@dataclass(frozen=True)
class Conditioning:
    """What a branch attends to: prompts blended as encoded text, `sum(share * encode(prompt))`. A `perturbed`
    one is asked of the network without the self-attention of its middle, see `sfumato.engine.perturbing`; a
    `negative` one is told the sizes of what guidance leads away from, see `Plan`. A `blind` one is not shown
    the picture that is beside x, see `sfumato.engine.instructing`.
    """

    blend: tuple[tuple[float, Prompt], ...]
    perturbed: bool = False
    negative: bool = False
    blind: bool = False


UNCONDITIONAL = Conditioning(((1.0, ((),)),))


@dataclass(frozen=True, eq=False)
class Branch:
    """One weighted prediction, made at the given `steps` only.

    `reference` is the weight it would have with guidance one: what guidance rescale measures against. With
    regions, what the k-th map of a drawing holds at a place adds `maps[k]` times that to both, as (weight,
    reference). At every step and place the weights of the branches sum to one, and so do the references.
    """

    conditioning: Conditioning
    weight: float
    reference: float
    steps: frozenset[int]
    maps: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, eq=False)
class Guided:
    """What a projection may know of one evaluation; arrays are `(B,C,h,w)`.

    `output` is the weighted network output and `reference` the same at guidance one; `prediction` says what
    an output means, for the input `x` at noise level `sigma` in step `step`.
    """

    x: Array
    sigma: float
    output: Array
    reference: Array
    prediction: Prediction
    step: int = 0


class Combining(Protocol):
    """Another way to put the predictions of a step together: returns the `output` to go on with."""

    def __call__(self, guided: Guided, /) -> Array: ...


class Projection(Protocol):
    """A map on `x` before the network and on `x0` after it."""

    def before(self, x: Array, sigma: float, /) -> Array: ...

    def after(self, x0: Array, guided: Guided, /) -> Array: ...


@dataclass(frozen=True, eq=False)
class Plan:
    """`start`: the index on the sigma grid where drawing begins. `project` is applied in order.

    At the steps `reusing` the network reuses its deep features of an earlier step; at all others it runs in
    full. `maps (R,1,1,h,w)` are what the branches' weights of maps belong to, `channels (1 or B,E,h,w)` what
    the network is given beside x, and `label` the class it is told, where it takes such; they are added when
    the drawing's size is known. `combine` changes the guided output, in order, before `project` sees it.
    `extra` goes with every call of the network, and along the axes `tiling` the network sees the latents go
    on around their sides. `sizes` are the time ids that go with every conditioning, and with every negative
    one, see `sfumato.recipe.micro`.
    """

    branches: tuple[Branch, ...]
    project: tuple[Projection, ...] = ()
    start: int = 0
    reusing: frozenset[int] = frozenset()
    maps: Array | None = None
    channels: Array | None = None
    label: int | None = None
    combine: tuple[Combining, ...] = ()
    extra: Extra = NO_EXTRA
    tiling: Axes | None = None
    sizes: tuple[tuple[float, ...], tuple[float, ...]] | None = None

    @property
    def max_branches(self) -> int:
        """The most branches that are active at one step."""
        return max(Counter(step for branch in self.branches for step in branch.steps).values())


@dataclass(frozen=True)
class Context:
    """What every part may need: the number of steps, the guidance, and the recipe's text part, if any.
    `references` tells that branches are needed which have a weight with guidance one alone, and `sided` that
    the network is told something else in a negative conditioning. `picture` is how strictly a picture is
    followed that the network is shown, 1 without one.
    """

    num_steps: int
    guidance: float
    text: ResolvedText | None
    references: bool = False
    sided: bool = False
    picture: float = 1.0
