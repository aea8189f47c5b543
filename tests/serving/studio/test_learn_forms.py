"""The tab Learn makes the recipes that the tab Create and the command line would."""

from pathlib import Path

import pytest

from sfumato.errors import RecipeError
from sfumato.recipe.codec import digest
from sfumato.recipe.image import Recipe
from sfumato.recipe.resolve import resolve
from sfumato.serving.studio.forms import Create, recipe_of_create
from sfumato.serving.studio.learn_forms import (
    MOST_STEPS,
    OTHER,
    SHARES,
    Learn,
    begun_at,
    compared,
    mixed,
    recipe_of_learn,
)
from tiny_models import tiny_bundle

FORM = Learn(prompt="a frog", steps=9, guidance=3.0, sampler="heun", seed=7)


def recipe() -> Recipe:
    return recipe_of_learn(FORM)


def test_the_same_recipe_as_in_create() -> None:
    same = recipe_of_create(Create(prompt="a frog", steps=9, guidance=3.0, sampler="heun", seed=7))
    defaults = tiny_bundle().defaults
    assert digest(resolve(recipe(), defaults)) == digest(resolve(same, defaults))


def test_there_is_always_a_seed() -> None:
    seeds = {recipe_of_learn(Learn(prompt="a frog")).seed for _ in range(4)}
    assert None not in seeds
    assert len(seeds) == 4


@pytest.mark.parametrize("steps", [0, MOST_STEPS + 1])
def test_no_more_steps_than_a_page_holds(steps: int) -> None:
    with pytest.raises(RecipeError, match="steps"):
        recipe_of_learn(Learn(prompt="a frog", steps=steps))
    with pytest.raises(RecipeError, match="steps"):
        compared(recipe(), "steps", str(steps))


def test_an_empty_prompt_is_asked_for_kindly() -> None:
    with pytest.raises(RecipeError, match=r"prompt: .*is empty"):
        recipe_of_learn(Learn(prompt=" "))


def test_beginning_at_a_step() -> None:
    made = begun_at(recipe(), Path("/folder/final.png"), 4, " a rabbit ")
    assert made.image is not None
    assert (made.image.source, made.image.start_step) == ("/folder/final.png", 4)
    assert made.text is not None
    assert (made.text.prompt, made.seed, made.steps) == ("a rabbit", 7, 9)
    same = begun_at(recipe(), Path("/folder/final.png"), 4, " ")
    assert same.text is not None
    assert same.text.prompt == "a frog"


def test_a_mix_leads_from_one_prompt_to_the_other() -> None:
    made = mixed(recipe(), "a rabbit")
    texts = [one.text for one in made]
    assert [one.prompt for one in texts if one is not None] == [*["a frog"] * 4, "a rabbit"]
    shares = [0.0 if one.mix is None else one.mix.prompts[0].ratio for one in made]
    assert shares == [0.0, *SHARES[1:4], 0.0]
    assert {one.seed for one in made} == {7}
    assert {one.mix.mode for one in made if one.mix is not None} == {"branches"}
    with pytest.raises(RecipeError, match="other prompt: is missing"):
        mixed(recipe(), " ")


def test_comparing_changes_one_thing() -> None:
    other = compared(recipe(), "prompt", "a rabbit")
    assert other.text is not None
    assert other.text.prompt == "a rabbit"
    assert compared(recipe(), "sampler", "euler") == recipe().model_copy(update={"sampler": "euler"})
    assert compared(recipe(), "steps", " 12 ") == recipe().model_copy(update={"steps": 12})


@pytest.mark.parametrize("given", ["", "many", "1.5", "²", "-3", "9" * 30])
def test_what_is_no_number_of_steps(given: str) -> None:
    with pytest.raises(RecipeError, match=f"{OTHER}: is (empty|no number of steps)"):
        compared(recipe(), "steps", given)
