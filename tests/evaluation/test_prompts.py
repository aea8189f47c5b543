import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.errors import InputError
from sfumato.evaluation.prompts import FULL, QUICK, SECTIONS, Asked, Budget, ask
from sfumato.recipe.values import MAX_SEED
from sfumato.scenes import vocabulary as words
from sfumato.scenes.scene import Scene, caption, held_out


@pytest.fixture(scope="module")
def asked() -> tuple[Asked, ...]:
    return ask(1, FULL)


def _section(asked: tuple[Asked, ...], name: str) -> list[Scene]:
    return [one.scene for one in asked if one.section == name]


def test_the_default_budget_is_the_promised_one(asked: tuple[Asked, ...]) -> None:
    sizes = {section.name: len(_section(asked, section.name)) for section in SECTIONS}
    assert sizes == {
        "plain": 156,
        "styled": 156,
        "pairs": 100,
        "held_out_backgrounds": 75,
        "held_out_styles": 75,
        "held_out_pairs": 50,
        "diversity": 48,
    }
    assert len(asked) == FULL.pictures == 660
    assert Budget.of(312) == FULL


def test_every_object_is_asked_for_once_plain_and_once_in_a_style(asked: tuple[Asked, ...]) -> None:
    for section in ("plain", "styled"):
        assert sorted(scene.objects[0] for scene in _section(asked, section)) == sorted(words.OBJECT_NAMES)
    assert {scene.style for scene in _section(asked, "plain")} == {"plain"}
    assert {scene.style for scene in _section(asked, "styled")} == set(words.STYLE_NAMES[1:])


def test_held_out_sections_hold_only_what_training_never_saw_and_others_none(
    asked: tuple[Asked, ...],
) -> None:
    for one in asked:
        assert held_out(one.scene) == one.section.startswith("held_out"), one


def test_held_out_styles_are_new_in_nothing_but_the_style(asked: tuple[Asked, ...]) -> None:
    for scene in _section(asked, "held_out_styles"):
        assert not held_out(Scene(scene.objects, scene.background))


def test_held_out_pairs_are_new_in_nothing_but_the_pair(asked: tuple[Asked, ...]) -> None:
    for scene in _section(asked, "held_out_pairs"):
        assert not any(held_out(Scene((name,), scene.background)) for name in scene.objects)
        assert held_out(Scene(scene.objects))


def test_pairs_are_two_objects_in_every_relation(asked: tuple[Asked, ...]) -> None:
    pairs = _section(asked, "pairs")
    assert all(len(set(scene.objects)) == 2 for scene in pairs)
    assert all(scene.objects[1] in words.MOUNTS for scene in pairs if scene.relation == "riding")
    assert {scene.relation for scene in pairs} == set(words.RELATIONS)


def test_backgrounds_and_times_are_asked_often_enough(asked: tuple[Asked, ...]) -> None:
    singles = [*_section(asked, "plain"), *_section(asked, "styled")]
    coloured = [scene for scene in singles if scene.style not in words.COLOURLESS_STYLES]
    timed = [scene for scene in coloured if scene.background in words.TIMED_PLACES]
    assert len(coloured) > 200
    assert len(timed) > 100
    assert {scene.background for scene in coloured} == set(words.BACKGROUNDS)
    assert {scene.time for scene in timed} == set(words.TIMES)
    assert all(scene.said for scene in singles)


def test_prompts_are_the_plainest_captions_and_numbers_count_up(asked: tuple[Asked, ...]) -> None:
    for number, one in enumerate(asked):
        assert one.number == number
        assert one.prompt == caption(one.scene)
        assert one.seed == 1 + number


def test_diversity_repeats_plain_prompts_with_other_seeds(asked: tuple[Asked, ...]) -> None:
    repeats = [one for one in asked if one.section == "diversity"]
    for one in repeats:
        assert one.repeats is not None
        assert asked[one.repeats].section == "plain"
        assert asked[one.repeats].prompt == one.prompt
    assert len({one.repeats for one in repeats}) == FULL.diversity_prompts


def test_prompts_never_change() -> None:
    """Scores are compared between versions: other prompts are another test, and another report version."""
    text = "\n".join(one.prompt for one in ask(1, FULL))
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "14d842d41991eaed"


@settings(max_examples=15)
@given(st.integers(0, MAX_SEED), st.integers(4, 60))
def test_any_seed_and_size_gives_a_legal_list_that_depends_on_nothing_else(seed: int, scenes: int) -> None:
    budget = Budget.of(scenes)
    asked = ask(seed, budget)
    assert asked == ask(seed, budget)
    assert len(asked) == budget.pictures
    assert budget.plain + budget.styled == scenes
    assert len({one.seed for one in asked}) == len(asked)
    assert all(0 <= one.seed <= MAX_SEED for one in asked)


def test_another_seed_asks_for_other_scenes() -> None:
    first, second = ask(1, QUICK), ask(2, QUICK)
    assert sum(a.prompt == b.prompt for a, b in zip(first, second, strict=True)) < len(first) / 4


@pytest.mark.parametrize("scenes", [-1, 3, 10_001])
def test_a_silly_number_of_scenes_is_refused(scenes: int) -> None:
    with pytest.raises(InputError, match=f"scenes: .*got {scenes}"):
        Budget.of(scenes)


@pytest.mark.parametrize("wrong", [{"plain": 3}, {"diversity_seeds": 1}])
def test_a_budget_without_anything_to_compare_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="diversity"):
        Budget(**wrong)
