"""The encoded texts of a plan, and what else the network is told with each of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from sfumato.engine.plan import Conditioning, Plan
from sfumato.models.backends.base import Array, Backend, Extra
from sfumato.samplers.arrays import array_namespace


@dataclass(frozen=True, eq=False)
class Texts:
    """What every conditioning says: `contexts (1,T,D)`, all of one length, and the `pooled (1,P)` texts of
    models that are told them.
    """

    contexts: Mapping[Conditioning, Array]
    pooled: Mapping[Conditioning, Array] = field(default_factory=dict[Conditioning, Array])


@dataclass(frozen=True, eq=False)
class Added:
    """What rows of a call are told beside the context: `pooled (R,P)`, and `time_ids (R,6)` in models that
    are told sizes.
    """

    pooled: Array
    time_ids: Array | None

    def told(self, told: Extra, chosen: Callable[[Array], Array]) -> Extra:
        """Return `told` with what belongs to the rows that `chosen` takes."""
        time_ids = None if self.time_ids is None else chosen(self.time_ids)
        return replace(told, pooled=chosen(self.pooled), time_ids=time_ids)


def added_to(
    plan: Plan, texts: Texts, asked: Sequence[Conditioning], num_pictures: int, backend: Backend
) -> Added | None:
    """Return what the network is told in a call that asks every conditioning of `asked` for each picture;
    None where it is told nothing.
    """
    if not texts.pooled:
        return None
    each = [for_each(texts.pooled[one], num_pictures) for one in asked]
    pooled = array_namespace(each[0]).concat(each, axis=0)
    if plan.sizes is None:
        return Added(pooled, None)
    positive, negative = plan.sizes
    ids = [negative if one.negative else positive for one in asked for _ in range(num_pictures)]
    return Added(pooled, backend.asarray(np.asarray(ids, np.float32)))


def for_each(one: Array, num_pictures: int) -> Array:
    """Return `one (1,...)` once for each picture; as it is when every picture has its own."""
    if one.shape[0] == num_pictures:
        return one
    return array_namespace(one).tile(one, (num_pictures, *(1,) * (one.ndim - 1)))
