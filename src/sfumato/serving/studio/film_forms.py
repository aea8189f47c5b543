"""From the task "Mix two prompts" to a film: what `sfumato morph` makes of the same words and seeds."""

from dataclasses import dataclass, replace
from typing import Any, Final

from sfumato.errors import RecipeError
from sfumato.recipe.image import Recipe
from sfumato.recipe.morph import FPS, HOLD, Morph, check_pace, durations_of, frames_of, seeds_of, usual_frames
from sfumato.recipe.numbers import whole
from sfumato.recipe.resolve import random_seed
from sfumato.recipe.validation import read_mapping
from sfumato.serving.studio.edit_forms import Edit, recipe_of_edit

MOST: Final = 120  # pictures of a film that is drawn for a page


@dataclass(frozen=True)
class Film:
    """What is asked beside the form of the tab, as it was typed: `seeds` and the number of `frames` are empty
    where nobody says. `fps` pictures a second, and each stop is held for `hold` seconds.
    """

    edit: Edit
    seeds: str = ""
    frames: str = ""
    fps: float = FPS
    hold: float = HOLD
    loop: bool = False


@dataclass(frozen=True)
class Wish:
    """A film that can be drawn: `frames` are its recipes, `durations` milliseconds, one a frame."""

    morph: Morph
    frames: tuple[Recipe, ...]
    durations: tuple[int, ...]


def wish_of(film: Film) -> Wish:
    """Return the film that the form asks for. Raises RecipeError naming what is missing, or too much."""
    edit = film.edit
    others = [one.strip() for one in (edit.other, edit.third) if one.strip()]
    seeds = seeds_of(film.seeds) if film.seeds.strip() else ()
    if not others and len(seeds) < 2:
        hint = "Say what the film leads to, or give two seeds."
        raise RecipeError("is missing", field="other prompt", hint=hint)
    if seeds and edit.seed is not None:
        hint = "Leave it out, or the seeds of the film."
        raise RecipeError("is one of the seeds of the film", field="seed", value=edit.seed, hint=hint)
    prompts = (edit.prompt.strip(), *others)
    stops = max(len(prompts), len(seeds))
    asked: dict[str, Any] = {"prompts": prompts, "seeds": seeds, "loop": film.loop}
    asked["frames"] = (
        whole("frames", film.frames) if film.frames.strip() else usual_frames(stops, loop=film.loop)
    )
    if asked["frames"] > MOST:
        hint = f"Give {MOST} or fewer; sfumato morph draws more."
        raise RecipeError("are too many here", field="pictures", value=asked["frames"], hint=hint)
    if edit.mix_mode is not None:
        asked["mode"] = edit.mix_mode
    check_pace(film.fps, film.hold)
    morph = read_mapping(asked, Morph)
    seed = random_seed() if edit.seed is None and not seeds else edit.seed
    base = _base(replace(edit, prompt=prompts[0], seed=seed))
    return Wish(morph, frames_of(morph, base), durations_of(morph, fps=film.fps, hold=film.hold))


def _base(edit: Edit) -> Recipe:
    """Return what all frames have in common: all that the tab asks for but the mix."""
    mixed = recipe_of_edit(replace(edit, task="mix", other="-", share=0.5, third="", mix_mode=None, count=1))
    return mixed.model_copy(update={"parts": tuple(one for one in mixed.parts if one.kind != "mix")})
