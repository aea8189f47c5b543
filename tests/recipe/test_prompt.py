import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recipe.strategies import any_text, quick
from sfumato.recipe.prompt import MAX_PLAN_SIZE, PromptPlan, compile_prompt, escape
from sfumato.recipe.syntax import MAX_WEIGHT, clean_text


def said(plan: PromptPlan) -> list[str]:
    """The bare words of each step."""
    readings = [
        " AND ".join(
            " BREAK ".join("".join(text for text, _ in chunk) for chunk in prompt) for _, prompt in composite
        )
        for composite in plan.variants
    ]
    return [readings[plan.index_at(step)] for step in range(plan.num_steps)]


def test_plain_prompt_has_one_reading():
    assert compile_prompt("a red fox", 4) == PromptPlan((((1.0, ((("a red fox", 1.0),),)),),), (0, 0, 0, 0))


def test_empty_prompt_is_one_empty_chunk():
    assert compile_prompt("", 2).variants == (((1.0, ((),)),),)


def test_weights_multiply_and_neighbours_join():
    (((_, (chunk,)),),) = compile_prompt("a (b (c:2) d)(e) [f]", 1).variants
    assert [text for text, _ in chunk] == ["a ", "b ", "c", " de", " ", "f"]
    assert [weight for _, weight in chunk] == pytest.approx([1, 1.1, 2.2, 1.1, 1, 1 / 1.1])


def test_edit_switches_after_its_share_of_the_steps():
    assert said(compile_prompt("[cat:dog:0.4]", 5)) == ["cat", "cat", "dog", "dog", "dog"]
    assert said(compile_prompt("[cat:dog:3]", 5)) == ["cat", "cat", "cat", "dog", "dog"]
    assert said(compile_prompt("[cat:0.5]", 4)) == ["", "", "cat", "cat"]
    assert said(compile_prompt("[cat::1]", 3)) == ["cat", "", ""]


@pytest.mark.parametrize(
    ("prompt", "num_cats"),
    [("0", 0), ("0.0", 0), ("-3", 0), ("1.0", 10), ("1", 1), ("10", 10), ("99", 10), ("0.25", 2), ("0.7", 7)],
)
def test_ends_of_an_edit(prompt, num_cats):
    assert said(compile_prompt(f"[cat:dog:{prompt}]", 10)).count("cat") == num_cats


@pytest.mark.parametrize("num_steps", [7, 20, 100])
def test_edit_at_every_step(num_steps):
    for k in range(num_steps):
        plan = compile_prompt(f"[cat:dog:{k / num_steps:.9f}]", num_steps)
        assert said(plan).count("cat") == k


def test_options_take_turns():
    assert said(compile_prompt("a [b|c|d] e", 5)) == ["a b e", "a c e", "a d e", "a b e", "a c e"]
    plan = compile_prompt("[a|b] [c|d|e]", 12)
    assert len(plan.variants) == 6
    assert plan.order == (0, 1, 2, 3, 4, 5) * 2


def test_nested_options():
    assert said(compile_prompt("[x:[a|b]:0.5]", 4)) == ["x", "x", "a", "b"]
    assert said(compile_prompt("[[x:y:1]|b]", 4)) == ["x", "b", "y", "b"]


def test_equal_readings_are_shared():
    plan = compile_prompt("[a|a] [b:b:0.5]", 6)
    assert len(plan.variants) == 1


def test_parts_and_blocks():
    (composite,) = compile_prompt("(a:1.5) BREAK b AND c :0.6", 1).variants
    assert composite == ((1.0, ((("a", 1.5),), (("b", 1.0),))), (0.6, ((("c", 1.0),),)))


def test_break_in_an_option_not_taken_does_nothing():
    assert said(compile_prompt("[a BREAK b:c:1]", 2)) == ["a BREAK b", "c"]


def test_nested_weights_stay_finite():
    (((_, (chunk,)),),) = compile_prompt("(" * 20_000 + "fox" + ")" * 20_000, 1).variants
    assert chunk == (("fox", MAX_WEIGHT),)
    (((_, (chunk,)),),) = compile_prompt("(((fox:0):999):999)", 1).variants
    assert chunk == (("fox", 0.0),)


def test_wrong_steps():
    with pytest.raises(ValueError, match="at least 1"):
        compile_prompt("fox", 0)
    plan = compile_prompt("fox", 3)
    for step in (-1, 3):
        with pytest.raises(IndexError):
            plan.index_at(step)


@quick
@given(any_text, st.integers(1, 30))
def test_every_string_compiles(text, num_steps):
    plan = compile_prompt(text, num_steps)
    assert len(plan.order) == num_steps
    assert sorted(set(plan.order)) == list(range(len(plan.variants)))
    for composite in plan.variants:
        assert composite
        for part_weight, prompt in composite:
            assert math.isfinite(part_weight)
            assert prompt
            for chunk in prompt:
                for piece, weight in chunk:
                    assert piece
                    assert piece.encode()  # valid Unicode, whatever came in
                    assert abs(weight) <= MAX_WEIGHT


@quick
@given(any_text)
def test_escaped_text_draws_literally(text):
    (((_, prompt),),) = compile_prompt(escape(text), 3).variants
    assert prompt == (((clean_text(text), 1.0),) if text else (),)


@pytest.mark.parametrize("unit", ["fox ", "(!!!"])
def test_a_megabyte_draws(unit):
    plan = compile_prompt(unit * 250_000, 20)
    (((_, (((text, _),),)),),) = plan.variants
    assert len(text) == 1_000_000


def test_a_prompt_that_changes_all_the_time_is_bounded():
    prompt = "".join(f"[{'a' * 5_000}:{'b' * 5_000}:{k}]" for k in range(100))
    plan = compile_prompt(prompt, 100)
    assert len(plan.variants) > 1
    for (_, (chunk,)), *_ in plan.variants:
        assert 0 < sum(len(text) for text, _ in chunk) <= MAX_PLAN_SIZE // 100
