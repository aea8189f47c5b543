"""From what stands on the tab Learn to recipes: that of the picture, and those of the experiments with it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from sfumato.errors import RecipeError
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import ImagePart, MixPart, MixPrompt, TextPart
from sfumato.recipe.resolve import random_seed
from sfumato.serving.studio.forms import Create, recipe_of_create

MOST_STEPS: Final = 60  # whose frames a page holds without growing slow
SHARES: Final = (0.0, 0.25, 0.5, 0.75, 1.0)
OTHER: Final = "learn_compare_other"  # the field for what a picture is put beside, as the page names it
Compared = Literal["prompt", "sampler", "steps"]
COMPARED: Final[tuple[Compared, ...]] = ("prompt", "sampler", "steps")
#: Prompts to begin with, in words that the bundled model knows.
EXAMPLES: Final = ("a red sailboat on the sea at night", "two rabbits in the snow", "a lighthouse at sunset")


@dataclass(frozen=True)
class Learn:
    """The form of the tab Learn. None stands for what the bundled model likes; without a seed one is drawn,
    so that experiments can begin with the same noise.
    """

    prompt: str = ""
    steps: int | None = None
    guidance: float | None = None
    sampler: str | None = None
    seed: int | None = None


def recipe_of_learn(form: Learn) -> Recipe:
    """Return the recipe that the form asks for, with a seed. Raises RecipeError."""
    if form.steps is not None:
        _check_steps(form.steps)
    if not form.prompt.strip():
        raise RecipeError("is empty", field="prompt", hint="Write what is to be drawn, such as: a frog")
    return recipe_of_create(
        Create(
            prompt=form.prompt,
            steps=form.steps,
            guidance=form.guidance,
            sampler=form.sampler,
            seed=random_seed() if form.seed is None else form.seed,
        )
    )


def begun_at(recipe: Recipe, picture: Path, step: int, prompt: str) -> Recipe:
    """Return a recipe that begins with `picture` at `step` and goes on to `prompt`, or to the same one where
    that is empty. Raises RecipeError.
    """
    text = _text(recipe)
    if prompt.strip():
        text = text.model_copy(update={"prompt": prompt.strip()})
    image = ImagePart(source=str(picture), start_step=step)
    return recipe.model_copy(update={"parts": (text, image)})


def mixed(recipe: Recipe, other: str) -> tuple[Recipe, ...]:
    """Return five recipes that lead from the prompt of `recipe` to `other`, by the shares `SHARES` of its
    predictions, all with one noise. Raises RecipeError.
    """
    if not other.strip():
        raise RecipeError("is missing", field="other prompt", hint="Say what is to be mixed in.")
    text, last = _text(recipe), other.strip()
    recipes: list[Recipe] = []
    for share in SHARES:
        if share in (0.0, 1.0):
            prompt = text.prompt if share == 0 else last
            parts = (text.model_copy(update={"prompt": prompt}),)
        else:
            mix = MixPart(prompts=(MixPrompt(prompt=last, ratio=share),), ratio=1 - share, mode="branches")
            parts = (text, mix)
        recipes.append(recipe.model_copy(update={"parts": parts}))
    return tuple(recipes)


def compared(recipe: Recipe, what: Compared, other: str) -> Recipe:
    """Return `recipe` with another prompt, sampler or number of steps, and the same seed. Raises RecipeError
    for what is none.
    """
    given = other.strip()
    if not given:
        raise RecipeError("is empty", field=OTHER, hint="Say what the picture is to be put beside.")
    if what == "prompt":
        text = _text(recipe).model_copy(update={"prompt": given})
        return recipe.model_copy(update={"parts": (text,)})
    if what == "sampler":
        return recipe.model_copy(update={"sampler": given})
    if not (given.isascii() and given.isdecimal() and len(given) < 10):
        hint = f"Give a whole number from 1 to {MOST_STEPS}."
        raise RecipeError("is no number of steps", field=OTHER, value=other, hint=hint)
    return recipe.model_copy(update={"steps": _check_steps(int(given))})


def _check_steps(steps: int) -> int:
    if steps < 1:
        raise RecipeError("must be at least 1", field="steps", value=steps)
    if steps > MOST_STEPS:
        hint = "Every step has pictures on this page; the tab Create draws more."
        raise RecipeError(f"must be at most {MOST_STEPS}", field="steps", value=steps, hint=hint)
    return steps


def _text(recipe: Recipe) -> TextPart:
    return TextPart(prompt="") if recipe.text is None else recipe.text
