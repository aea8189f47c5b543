"""What goes with the rows of a call, beside the contexts."""

import numpy as np
import torch

from sfumato.engine.plan import Branch, Conditioning, Plan
from sfumato.engine.texts import Texts, added_to, for_each
from sfumato.models.backends.base import Extra, FreeU
from tiny_models import tiny_bundle

FROG = Conditioning(((1.0, ((("frog", 1.0),),)),))
LESS = Conditioning(FROG.blend, negative=True)
SIZES = (8.0, 4.0, 0.0, 0.0, 8.0, 4.0), (2.0, 1.0, 0.0, 0.0, 8.0, 4.0)


def test_every_row_is_told_its_own_text_and_its_own_sizes() -> None:
    texts = Texts({}, {FROG: torch.ones(1, 3), LESS: torch.stack([torch.zeros(3), torch.full((3,), 2.0)])})
    plan = Plan((Branch(FROG, 1.0, 1.0, frozenset({0})),), sizes=SIZES)
    added = added_to(plan, texts, [FROG, LESS], 2, tiny_bundle().backend)
    assert added is not None
    assert added.pooled[:, 0].tolist() == [1, 1, 0, 2]
    assert added.time_ids.tolist() == [[*SIZES[0]]] * 2 + [[*SIZES[1]]] * 2
    freeu = FreeU(1.2, 1.4, 0.9, 0.2)
    told = added.told(Extra(freeu=freeu), lambda whole: whole[1:3])
    assert told.pooled is not None
    assert told.time_ids is not None
    assert (told.pooled[:, 0].tolist(), told.freeu) == ([1, 0], freeu)
    assert told.time_ids.tolist() == [[*SIZES[0]], [*SIZES[1]]]


def test_models_that_are_told_nothing_are_told_nothing() -> None:
    plan = Plan((Branch(FROG, 1.0, 1.0, frozenset({0})),))
    assert added_to(plan, Texts({}), [FROG], 2, tiny_bundle().backend) is None


def test_one_for_all_becomes_one_for_each() -> None:
    one = np.arange(3.0)[None]
    assert for_each(one, 2).tolist() == [[0, 1, 2]] * 2
    assert for_each(np.zeros((2, 3)), 2).shape == (2, 3)
