"""What stands before the first step: how much is drawn at once, and the texts."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from recording import Recorder
from sfumato.engine.conditions import compile_plan
from sfumato.engine.events import StepDone
from sfumato.engine.preparing import (
    MAX_BATCH,
    batch_of,
    batch_size,
    batches_of,
    encode_plan,
    latent_shape,
    tokenise_plan,
    windows_for,
)
from sfumato.engine.run import draw
from sfumato.recipe.extras import ExtrasPart
from sfumato.recipe.hires import WindowsPart
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.parts import MixPart, MixPrompt, Part, TextPart
from sfumato.recipe.resolve import resolve
from tiny_models import tiny_bundle

FROG = TextPart(prompt="a frog")


def resolved(*parts: Part, **fields: Any) -> Resolved:
    return resolve(Recipe(seed=7, parts=parts, **fields), tiny_bundle().defaults)


@pytest.mark.parametrize(
    ("parts", "width"),
    [((), 64), ((ExtrasPart(tiling="x"),), 64), ((WindowsPart(size=64),), 96)],
    ids=["plain", "tiling", "windows"],
)
def test_the_batch_of_a_picture_is_the_one_it_is_drawn_in(parts: tuple[Part, ...], width: int) -> None:
    recipe = resolved(FROG, *parts, width=width, height=64, steps=1, count=5, guidance=3.0)
    bundle = replace(tiny_bundle(), backend=Recorder(tiny_bundle().backend, limit=4))
    batches = [event.indices for event in draw(recipe, bundle) if isinstance(event, StepDone)]
    assert batches == [(0, 1), (2, 3), (4,)]
    for batch in batches:
        for index in batch:
            assert batch_of(recipe, bundle, index) == batch


def test_a_batch_has_a_picture_at_least_and_a_bounded_number_at_most() -> None:
    plan = compile_plan(resolved(FROG, guidance=3.0))
    assert plan.max_branches == 2
    assert [batch_size(plan, rows) for rows in (1, 2, 5, 1000)] == [1, 1, 2, MAX_BATCH]
    assert batches_of((3, 4, 5), 2) == [(3, 4), (5,)]
    assert batches_of((), 2) == []


def test_windows_are_for_what_is_larger_than_one() -> None:
    bundle = tiny_bundle()
    larger = resolved(FROG, WindowsPart(size=64), width=96, height=64)
    assert latent_shape(larger, bundle) == (4, 8, 12)
    windows = windows_for(larger, bundle)
    assert windows is not None
    assert windows.size(8, 12) == (8, 8)
    assert windows_for(resolved(FROG, WindowsPart(size=64), width=64, height=64), bundle) is None
    assert windows_for(resolved(FROG, width=96, height=64), bundle) is None


def test_every_conditioning_has_a_context_of_one_length() -> None:
    bundle = tiny_bundle()
    long = TextPart(prompt="a frog and a rabbit " * 10, negative="snow")
    plan = compile_plan(resolved(long, guidance=3.0))
    texts, warnings = encode_plan(plan, tokenise_plan(plan, bundle), bundle)
    contexts = texts.contexts
    assert set(contexts) == {branch.conditioning for branch in plan.branches}
    assert len({tuple(context.shape) for context in contexts.values()}) == 1
    assert warnings == ()


def test_mixed_texts_are_the_sum_of_their_shares() -> None:
    bundle = tiny_bundle()

    def context(*parts: Part) -> Any:
        plan = compile_plan(resolved(*parts, guidance=1.0))
        texts, _ = encode_plan(plan, tokenise_plan(plan, bundle), bundle)
        (found,) = texts.contexts.values()
        return bundle.backend.to_numpy(found)

    mix = MixPart(prompts=(MixPrompt(prompt="a rabbit", ratio=0.25),), mode="embeddings")
    expected = 0.75 * context(FROG) + 0.25 * context(TextPart(prompt="a rabbit"))
    np.testing.assert_allclose(context(FROG, mix), expected, atol=1e-6)


def test_what_is_left_out_of_a_long_prompt_is_told() -> None:
    bundle = tiny_bundle()
    plan = compile_plan(resolved(TextPart(prompt="a frog and a rabbit " * 50_000)))
    _, (warning,) = encode_plan(plan, tokenise_plan(plan, bundle), bundle)
    assert "the rest was left out" in warning
