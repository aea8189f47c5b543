"""The tab Edit makes the recipes that the command line would."""

from dataclasses import replace

import pytest

from sfumato.cli.flags import Flags
from sfumato.cli.recipes import with_flags
from sfumato.errors import RecipeError
from sfumato.recipe.image import Recipe
from sfumato.serving.studio.edit_forms import TASKS, Edit, Place, Task, recipe_of_edit

PICTURE = "sha256:" + "0" * 64 + "/picture.png"
MASK = "sha256:" + "1" * 64 + "/mask.png"
FULL = Edit(
    "change",
    prompt="a frog",
    size=(160, 104),
    image=PICTURE,
    mask=MASK,
    strength=0.6,
    feather=4,
    only_masked=True,
    right=32,
    top=16,
    annotator="canny",
    weight=0.8,
    places=(Place("a rocket", 0.5, 0, 0.5, 1), Place("snow", 0, 0, 0.25, 1)),
    other="a rabbit",
    share=0.25,
    seed=7,
)
FLAGS = {
    "change": Flags(image=PICTURE, strength="0.6"),
    "repaint": Flags(image=PICTURE, strength="0.6", mask=MASK, mask_feather="4", masked_only=True),
    "extend": Flags(image=PICTURE, outpaint="right=32,top=16"),
    "follow": Flags(
        control=(PICTURE,), control_annotator=("canny",), control_weight=("0.8",), size="160x104"
    ),
    "place": Flags(region=("a rocket@0.5,0,0.5,1", "snow@0,0,0.25,1"), size="160x104"),
    "mix": Flags(mix=("a rabbit:0.25",)),
}


@pytest.mark.parametrize("task", [task for task in TASKS if task not in ("repaint", "mix")])
def test_each_task_is_what_the_flags_say(task: Task) -> None:
    asked = replace(FLAGS[task], prompt="a frog", seed="7")
    assert recipe_of_edit(replace(FULL, task=task)) == with_flags(Recipe(), asked)


def test_a_painted_mask_and_a_mixture() -> None:
    painted = recipe_of_edit(replace(FULL, task="repaint"))
    assert painted.mask is not None
    assert (painted.mask.source, painted.mask.feather, painted.mask.extent) == (MASK, 4, "masked")
    mixed = recipe_of_edit(replace(FULL, task="mix"))
    assert mixed.mix is not None
    assert (mixed.mix.ratio, mixed.mix.prompts[0].ratio) == (0.75, 0.25)


def test_places_on_a_picture_are_what_the_flags_say() -> None:
    asked = Flags(image=PICTURE, strength="0.6", region=FLAGS["place"].region, prompt="a frog", seed="7")
    assert recipe_of_edit(replace(FULL, task="place", begin=True)) == with_flags(Recipe(), asked)


def test_a_mixture_of_three_in_a_way_of_its_own() -> None:
    mixed = recipe_of_edit(
        replace(FULL, task="mix", third=" a cat ", third_share=0.25, mix_mode="embeddings")
    ).mix
    assert mixed is not None
    assert [(one.prompt, one.ratio) for one in mixed.prompts] == [("a rabbit", 0.25), ("a cat", 0.25)]
    assert (mixed.ratio, mixed.mode) == (0.5, "embeddings")
    alone = recipe_of_edit(replace(FULL, task="mix", other="", third="a cat", third_share=0.25)).mix
    assert alone is not None
    assert (alone.ratio, len(alone.prompts)) == (0.75, 1)


@pytest.mark.parametrize(
    ("task", "changes", "words"),
    [
        ("change", {"image": None}, "picture: is missing"),
        ("follow", {"image": None}, "picture: is missing"),
        ("repaint", {"mask": None}, "mask: is empty"),
        ("extend", {"right": 0, "top": 0}, "sides: adds nothing"),
        ("extend", {"left": -4}, "extend.left"),
        ("place", {"places": ()}, "places: are missing"),
        ("place", {"places": (Place("a", 0.5, 0, 0.9, 1),)}, "outside"),
        ("place", {"places": (Place("a", 0, 0, 1, 1), Place(" ", 0, 0, 1, 1))}, "box 2: has no words"),
        ("place", {"places": (Place("a", 0, 0, 0, 1),)}, "is empty"),
        ("place", {"places": (Place("a", float("nan"), 0, 1, 1),)}, "is no rectangle"),
        ("place", {"begin": True, "image": None}, "picture: is missing"),
        ("mix", {"other": " "}, "other prompt: is missing"),
        ("mix", {"third": "a cat", "share": 0.5, "third_share": 0.5}, "nothing is left"),
        ("mix", {"mix_mode": "magic"}, "mode"),
        ("follow", {"annotator": "x" * 2000}, "annotator"),
        ("change", {"strength": 2.0}, "strength"),
    ],
)
def test_what_is_missing_is_named(task: Task, changes: dict[str, object], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        recipe_of_edit(replace(FULL, task=task, **changes))
