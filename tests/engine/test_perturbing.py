"""Perturbed branches: weights still sum to one, and references stay."""

from typing import Any

import pytest

from sfumato.engine.conditions import compile_plan
from sfumato.engine.plan import Conditioning, Plan
from sfumato.recipe.extras import ExtrasPart
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import MixPart, MixPrompt, Part, Region, RegionsPart, TextPart
from sfumato.recipe.resolve import resolve
from tiny_models import tiny_bundle

FROG = TextPart(prompt="frog")
PAG = ExtrasPart(pag=2.5)


def plan_of(*parts: Part, guidance: float = 4.0) -> Plan:
    recipe = Recipe(seed=0, steps=10, guidance=guidance, parts=parts)
    return compile_plan(resolve(recipe, tiny_bundle().defaults))


def weights(plan: Plan, step: int) -> dict[tuple[str, bool], Any]:
    def text(one: Conditioning) -> str:
        return " ".join(words for _, prompt in one.blend for part in prompt for words, _ in part)

    return {
        (text(one.conditioning), one.conditioning.perturbed): pytest.approx(one.weight)
        for one in plan.branches
        if step in one.steps
    }


def test_one_prompt() -> None:
    assert weights(plan_of(FROG, PAG), 3) == {("frog", False): 6.5, ("", False): -3, ("frog", True): -2.5}


def test_it_acts_outside_of_the_guidance_window_and_without_guidance() -> None:
    inside_later = FROG.model_copy(update={"guidance_start": 0.5})
    expected = {("frog", False): 3.5, ("frog", True): -2.5}
    assert weights(plan_of(inside_later, PAG), 0) == expected
    assert weights(plan_of(FROG, PAG, guidance=1.0), 0) == expected
    assert weights(plan_of(PAG), 0) == {("", False): 3.5, ("", True): -2.5}


def test_with_guidance_zero_the_prompt_is_asked_for_its_structure() -> None:
    expected = {("frog", False): 2.5, ("", False): 1, ("frog", True): -2.5}
    assert weights(plan_of(FROG, PAG, guidance=0.0), 0) == expected


def test_a_mix_of_several_steps_sums_to_one_and_keeps_its_references() -> None:
    mix = MixPart(prompts=(MixPrompt(prompt="[snow:sea:0.5]", ratio=0.4),))
    plain, pag = plan_of(FROG, mix), plan_of(FROG, mix, PAG)
    assert pag.max_branches == plain.max_branches + 2
    for step in range(10):
        active = [one for one in pag.branches if step in one.steps]
        assert sum(one.weight for one in active) == pytest.approx(1)
        assert sum(one.reference for one in active) == pytest.approx(1)
        assert all(one.reference == 0 for one in active if one.conditioning.perturbed)


def test_regions_are_perturbed_in_their_places() -> None:
    regions = RegionsPart(regions=(Region(prompt="snow", area="left"),))
    active = [one for one in plan_of(FROG, regions, PAG).branches if 0 in one.steps]
    assert sum(one.weight for one in active) == pytest.approx(1)
    for which in (0, 1):
        assert sum(one.maps[0][which] for one in active if one.maps) == pytest.approx(0)
    perturbed = [one.maps for one in active if one.conditioning.perturbed]
    assert perturbed == [((2.5, 0.0),), ((-2.5, 0.0),)]


def test_without_it_there_is_no_perturbed_branch() -> None:
    for parts in ((FROG,), (FROG, ExtrasPart(pag=0.0)), (FROG, ExtrasPart(threshold=0.9))):
        assert not any(one.conditioning.perturbed for one in plan_of(*parts).branches)
