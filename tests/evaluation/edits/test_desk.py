import numpy as np

from edit_desk import desk, rendered
from judged import needs_font
from sfumato.evaluation.edits.desk import given
from sfumato.recipe.parts import ImagePart, TextPart
from sfumato.scenes.scene import Scene

pytestmark = needs_font


def test_what_is_drawn_follows_from_the_seed_alone() -> None:
    text = TextPart(prompt="a frog on a beach")
    first, again, other = (desk().draw(text, seed=seed) for seed in (5, 5, 6))
    assert first.shape == (128, 128, 3)
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.1


def test_a_picture_without_a_file_is_an_input() -> None:
    picture = rendered(Scene(("dog",), "beach"))
    image = given(picture, "dog.png")
    kept = desk().draw(
        TextPart(prompt="a dog on a beach"),
        ImagePart(source=image.source, strength=0.0),
        seed=1,
        given=(image,),
    )
    np.testing.assert_array_equal(kept, picture)
    assert image.source != given(255 - picture, "dog.png").source
    assert image.picture.facts.width == 128


def test_changes_lie_over_the_base_and_leave_it_as_it_was() -> None:
    recipe = desk().recipe((TextPart(prompt="a frog"),), 3, sampler="unipc")
    assert (recipe.steps, recipe.sampler, recipe.seed) == (2, "unipc", 3)
    assert desk().recipe((), 3).sampler is None


def test_random_numbers_are_those_of_task_and_case() -> None:
    found = [desk().rng(*where).integers(0, 10**9) for where in (("a", 0), ("a", 0), ("a", 1), ("b", 0))]
    assert found[0] == found[1]
    assert len(set(found)) == 3
    assert desk().seed_of(4) == 5


def test_the_judge_sees_what_is_there() -> None:
    seen = desk().look(rendered(Scene(("frog",), "meadow", "night")))
    assert (seen.objects[0], seen.time, seen.style) == ("frog", "night", "plain")
    assert seen.objects[1] != "frog"
    assert desk().look(rendered(Scene(("castle",), style="pencil sketch"))).style == "pencil sketch"
