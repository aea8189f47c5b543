"""Plans: weights that sum to one, windows, AND, mixes, and the equality with nested evaluation."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import rescale_noise_cfg
from hypothesis import given
from hypothesis import strategies as st

from sfumato.engine.conditions import EVERYWHERE, GuidanceRescale, compile_plan, reusing_steps
from sfumato.engine.plan import UNCONDITIONAL, Conditioning, Guided, Plan
from sfumato.engine.regions import band_maps, region_maps, share_maps
from sfumato.imaging.inputs import NO_INPUTS
from sfumato.recipe.image import Resolved
from sfumato.recipe.parts import MixMode, MixPrompt
from sfumato.recipe.resolved_parts import ResolvedMix, ResolvedRegion, ResolvedRegions, ResolvedText
from sfumato.samplers.schedule import to_x0

prompts = st.sampled_from(
    ["", "frog", "frog AND snow", "frog AND snow :0.3 AND sea :-0.5", "[frog:snow:0.5]", "[a|b|c]", "a :-2"]
)


def resolved(
    prompt: str | None = "frog",
    *,
    negative: str = "",
    mix: tuple[tuple[str, float], ...] = (),
    mode: MixMode = "branches",
    regions: tuple[str, ...] = (),
    steps: int = 10,
    guidance: float = 5.0,
    rescale: float = 0.0,
    window: tuple[float, float] = (0.0, 1.0),
    interval: int = 1,
) -> Resolved:
    parts: list[ResolvedText | ResolvedMix | ResolvedRegions] = []
    if prompt is not None:
        parts.append(
            ResolvedText(
                prompt=prompt,
                negative=negative,
                guidance_rescale=rescale,
                guidance_start=window[0],
                guidance_stop=window[1],
            )
        )
    if mix:
        others = tuple(MixPrompt(prompt=text, ratio=share) for text, share in mix)
        parts.append(ResolvedMix(prompts=others, ratio=1 - sum(share for _, share in mix), mode=mode))
    if regions:
        places = tuple(
            ResolvedRegion(prompt=text, box=(0.5, 0.0, 0.5, 1 / (1 + number)), ratio=0.8)
            for number, text in enumerate(regions)
        )
        parts.append(ResolvedRegions(regions=places, feather=0.1))
    return Resolved(
        model="m",
        model_digest="d",
        width=64,
        height=64,
        steps=steps,
        sampler="ddim",
        spacing="trailing",
        guidance=guidance,
        cache_interval=interval,
        seed=0,
        count=1,
        parts=tuple(parts),
    )


def only(text: str) -> Conditioning:
    return Conditioning(((1.0, (((text, 1.0),),)),))


def weights(plan: Plan, step: int) -> dict[Conditioning, float]:
    return {branch.conditioning: branch.weight for branch in plan.branches if step in branch.steps}


def predicted(plan: Plan, step: int, table: Mapping[Conditioning, Any]) -> Any:
    return sum(table[conditioning] * weight for conditioning, weight in weights(plan, step).items())


@given(prompts, prompts, prompts, st.floats(0, 30), st.floats(0.01, 0.9), st.sampled_from([0.0, 0.7]))
def test_weights_and_references_sum_to_one_at_every_step(
    prompt: str, other: str, negative: str, guidance: float, share: float, rescale: float
) -> None:
    for mode in ("branches", "embeddings"):
        recipe = resolved(
            prompt, negative=negative, mix=((other, share),), mode=mode, guidance=guidance, rescale=rescale
        )
        plan = compile_plan(recipe)
        for step in range(10):
            active = [branch for branch in plan.branches if step in branch.steps]
            assert sum(branch.weight for branch in active) == pytest.approx(1, abs=1e-9)
            if rescale > 0:
                assert sum(branch.reference for branch in active) == pytest.approx(1, abs=1e-9)
            assert len({branch.conditioning for branch in active}) == len(active)


def test_no_parts_draw_unconditionally() -> None:
    plan = compile_plan(resolved(None))
    assert weights(plan, 0) == {UNCONDITIONAL: 1.0}
    assert plan.start == 0
    assert not plan.project


def test_guidance_gives_s_and_one_minus_s() -> None:
    assert weights(compile_plan(resolved(guidance=5)), 3) == {only("frog"): 5, UNCONDITIONAL: -4}
    assert weights(compile_plan(resolved(guidance=5, negative="snow")), 3) == {
        only("frog"): 5,
        only("snow"): -4,
    }


@pytest.mark.parametrize(("guidance", "left"), [(1.0, only("frog")), (0.0, UNCONDITIONAL)])
def test_guidance_one_and_zero_need_one_branch(guidance: float, left: Conditioning) -> None:
    assert weights(compile_plan(resolved(guidance=guidance)), 0) == {left: 1.0}


def test_outside_the_window_there_is_no_unconditional_branch() -> None:
    plan = compile_plan(resolved(window=(0.2, 0.5)))
    guided = {only("frog"): 5, UNCONDITIONAL: -4}
    expected = [guided if 2 <= step < 5 else {only("frog"): 1} for step in range(10)]
    assert [weights(plan, step) for step in range(10)] == expected


def test_and_is_composition_inside_the_window_and_an_average_outside() -> None:
    plan = compile_plan(resolved("frog AND snow :3", guidance=2, window=(0, 0.5)))
    inside, outside = weights(plan, 0), weights(plan, 9)
    assert sorted(inside.values()) == pytest.approx([-7, 2, 6])
    assert sorted(outside.values()) == pytest.approx([0.25, 0.75])


def test_a_schedule_switches_branches() -> None:
    plan = compile_plan(resolved("[frog:snow:0.4]", guidance=1))
    words = [next(iter(weights(plan, step))).blend[0][1] for step in range(10)]
    assert words[:4] == [words[0]] * 4
    assert words[4:] == [words[9]] * 6
    assert words[0] != words[9]


def test_mixed_branches_share_the_unconditional_one() -> None:
    plan = compile_plan(resolved("frog", mix=(("rabbit", 0.25),), guidance=4))
    assert weights(plan, 0) == pytest.approx({only("frog"): 3, only("rabbit"): 1, UNCONDITIONAL: -3})


def test_mixing_a_prompt_with_itself_changes_nothing() -> None:
    plan = compile_plan(resolved("frog", mix=(("frog", 0.25),), guidance=4))
    assert weights(plan, 0) == pytest.approx({only("frog"): 4, UNCONDITIONAL: -3})


def test_mixed_embeddings_are_one_branch() -> None:
    plan = compile_plan(resolved("frog", mix=(("rabbit", 0.25),), mode="embeddings", guidance=4))
    (blend,) = [one for one in weights(plan, 0) if one != UNCONDITIONAL]
    assert dict((prompt[0][0][0], share) for share, prompt in blend.blend) == {"frog": 0.75, "rabbit": 0.25}
    assert weights(plan, 0)[blend] == 4


def everywhere(recipe: Resolved, step: int, table: Mapping[Conditioning, Any]) -> Any:
    """What the branches of a recipe predict at each of 8x8 places, each branch one number in all of them."""
    plan, maps = compile_plan(recipe), share_maps(recipe, 8, 8, NO_INPUTS)[:, 0, 0].astype(np.float64)
    total = np.zeros((8, 8))
    for branch in plan.branches:
        if step in branch.steps:
            own = sum(
                (maps[k] * weight for k, (weight, _) in enumerate(branch.maps)),
                np.full((8, 8), branch.weight),
            )
            total += own * table[branch.conditioning]
    return total


@pytest.mark.parametrize("regions", [(), ("a region", "[one:other:0.5]")])
@pytest.mark.parametrize(
    "mix", [(("rabbit", 0.5),), (("rabbit AND snow", 0.3), ("frog", 0.2), ("[a|b]", 0.1))]
)
@pytest.mark.parametrize("step", [0, 3, 9])
def test_a_mix_in_bands_equals_nested_evaluation(
    mix: tuple[tuple[str, float], ...], regions: tuple[str, ...], step: int
) -> None:
    whole = resolved("frog", mix=mix, mode="bands", regions=regions, window=(0.2, 0.7))
    texts = [text for text, _ in (("frog", 0.0), *mix)]
    alone = [resolved(text, window=(0.2, 0.7)) for text in (*texts, *regions)]
    random = np.random.default_rng(1)
    table = {
        branch.conditioning: random.standard_normal()
        for recipe in (whole, *alone)
        for branch in compile_plan(recipe).branches
    }
    single = [everywhere(recipe, step, table) for recipe in alone]
    shares = whole.bands
    assert shares is not None
    bands = band_maps(shares, 8, 8)[:, 0, 0]
    nested = sum(
        ((1 - EVERYWHERE) * band + EVERYWHERE * share) * one
        for band, share, one in zip(bands, shares, single, strict=False)
    )
    if regions:
        assert whole.regions is not None
        places = region_maps(whole.regions, 8, 8, NO_INPUTS)[:, 0, 0]
        there = sum(place * one for place, one in zip(places, single[len(texts) :], strict=True))
        nested = nested * (1 - places.sum(axis=0)) + there
    assert np.abs(everywhere(whole, step, table) - nested).max() < 1e-5


def test_bands_of_one_prompt_are_that_prompt() -> None:
    table = {only("frog"): 1.0, UNCONDITIONAL: -2.0}
    mixed = everywhere(resolved("frog", mix=(("frog", 0.25),), mode="bands"), 0, table)
    assert np.allclose(mixed, 5 * 1.0 - 4 * -2.0, atol=1e-5)


@given(prompts, prompts, st.floats(0, 12), st.floats(0.05, 0.95), st.integers(0, 9))
def test_a_mix_equals_nested_evaluation(
    prompt: str, other: str, guidance: float, share: float, step: int
) -> None:
    window = (0.2, 0.7)
    mixed = compile_plan(resolved(prompt, mix=((other, share),), guidance=guidance, window=window))
    first = compile_plan(resolved(prompt, guidance=guidance, window=window))
    second = compile_plan(resolved(other, guidance=guidance, window=window))
    random = np.random.default_rng(1)
    everyone = [branch.conditioning for plan in (mixed, first, second) for branch in plan.branches]
    table = {one: random.standard_normal(16) for one in dict.fromkeys(everyone)}
    nested = predicted(first, step, table) * (1 - share) + predicted(second, step, table) * share
    assert np.abs(predicted(mixed, step, table) - nested).max() < 1e-6


@pytest.mark.parametrize("prediction", ["eps", "v", "x0"])
def test_guidance_rescale_equals_diffusers(prediction: Any) -> None:
    generator = torch.Generator().manual_seed(0)
    x, uncond, cond = (torch.randn(3, 4, 8, 8, generator=generator) for _ in range(3))
    output = uncond + 7 * (cond - uncond)
    guided = Guided(x, 2.0, output, cond, prediction)
    ours = GuidanceRescale(0.7).after(to_x0(output, x, 2.0, prediction), guided)
    theirs = to_x0(rescale_noise_cfg(output, cond, guidance_rescale=0.7), x, 2.0, prediction)
    assert torch.allclose(ours, theirs, atol=1e-5)
    assert GuidanceRescale(0.7).before(x, 2.0) is x


def test_guidance_rescale_runs_on_numpy_and_survives_a_flat_output() -> None:
    flat = np.zeros((1, 4, 8, 8), np.float32)
    result = GuidanceRescale(1.0).after(flat, Guided(flat, 1.0, flat, flat, "x0"))
    assert np.isfinite(result).all()


def test_rescale_keeps_what_it_measures_against() -> None:
    plan = compile_plan(resolved(guidance=0, rescale=0.5))
    assert {branch.conditioning: branch.reference for branch in plan.branches}[only("frog")] == 1
    assert plan.project == (GuidanceRescale(0.5),)


def full_steps(recipe: Resolved) -> list[int]:
    return [step for step in range(recipe.steps) if step not in compile_plan(recipe).reusing]


def test_every_nth_step_runs_in_full() -> None:
    assert full_steps(resolved()) == list(range(10))
    assert full_steps(resolved(interval=2)) == [0, 2, 4, 6, 8]
    assert full_steps(resolved(interval=3)) == [0, 3, 6, 9]
    assert full_steps(resolved(interval=16)) == [0]
    assert full_steps(resolved(None, interval=4)) == [0, 4, 8]


def test_a_branch_that_ends_changes_nothing_and_one_that_comes_is_run_in_full() -> None:
    assert full_steps(resolved(interval=3, window=(0.0, 0.5))) == [0, 3, 6, 9]
    assert full_steps(resolved(interval=3, window=(0.2, 1.0))) == [0, 2, 5, 8]
    assert full_steps(resolved("[frog:snow:0.4]", interval=3)) == [0, 3, 4, 7]
    assert full_steps(resolved("[frog:snow:0.6]", interval=3)) == [0, 3, 6, 9]


def test_turns_reuse_only_what_is_recent() -> None:
    assert full_steps(resolved("[frog|snow]", interval=2)) == list(range(10))
    assert full_steps(resolved("[frog|snow]", interval=3)) == [0, 1, 4, 5, 8, 9]


def test_a_plan_that_starts_later_begins_with_a_full_step() -> None:
    plan = replace(compile_plan(resolved()), start=4)
    assert reusing_steps(plan, 10, 3) == {5, 6, 8, 9}


@given(prompts, prompts, st.integers(1, 16), st.floats(0, 1), st.floats(0, 1))
def test_features_are_always_there_and_never_too_old(
    prompt: str, negative: str, interval: int, start: float, stop: float
) -> None:
    window = min(start, stop), max(start, stop)
    plan = compile_plan(resolved(prompt, negative=negative, window=window, interval=interval))
    made: dict[Conditioning, int] = {}
    for step in range(10):
        for one in weights(plan, step):
            if step in plan.reusing:
                assert step - made[one] < interval
            else:
                made[one] = step
