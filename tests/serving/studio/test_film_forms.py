"""From the page to a film: the recipes are those of the command line."""

from pathlib import Path
from typing import Any

import pytest

from sfumato.cli.flags import Flags
from sfumato.cli.morphing import Going, planned_morph
from sfumato.engine.gathering import gather
from sfumato.engine.morph import resolved_frames
from sfumato.errors import RecipeError
from sfumato.models.load import find_model
from sfumato.recipe.codec import digest
from sfumato.serving.studio.edit_forms import Edit
from sfumato.serving.studio.film_forms import MOST, Film, wish_of
from tiny_models import tiny_folder, tiny_settings

MODEL = str(tiny_folder())


def edit(**fields: Any) -> Edit:
    return Edit(
        **{"task": "mix", "prompt": "a frog", "other": "a rabbit", "model": MODEL, "seed": 7, **fields}
    )


CASES: dict[str, tuple[Film, Going, dict[str, Any]]] = {
    "two prompts": (
        Film(edit(negative="snow")),
        Going(("a frog", "a rabbit")),
        {"seed": "7", "negative": "snow"},
    ),
    "three prompts": (
        Film(edit(third=" an owl ", sampler="euler_a"), frames="7", fps=20, hold=1.2, loop=True),
        Going(("a frog", "a rabbit", "an owl"), frames="7", fps="20", hold="1.2", loop=True),
        {"seed": "7", "sampler": "euler_a"},
    ),
    "meanings": (
        Film(edit(mix_mode="embeddings", size=(96, 64), steps=9, guidance=3.5, count=4), frames=" 5 "),
        Going(("a frog", "a rabbit"), frames="5"),
        {"seed": "7", "mix_mode": "embeddings", "size": "96x64", "steps": "9", "guidance": "3.5"},
    ),
    "seed to seed": (
        Film(edit(other="", seed=None), seeds="1..3"),
        Going(("a frog",), seeds="1..3"),
        {},
    ),
    "both": (
        Film(edit(seed=None), seeds="3,1", frames="2", hold=0),
        Going(("a frog", "a rabbit"), seeds="3,1", frames="2", hold="0"),
        {},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_it_is_what_the_command_line_draws(name: str) -> None:
    film, going, flags = CASES[name]
    settings = tiny_settings()
    wish = wish_of(film)
    found = find_model(MODEL, settings)
    gathered = gather(wish.frames[0], found, settings, frames=wish.frames)
    plan = planned_morph(going, Flags(model=MODEL, **flags), None, settings)
    assert wish.morph == plan.morph
    assert wish.durations == plan.durations
    mine = resolved_frames(wish.frames, gathered, settings)
    assert [digest(one) for one in mine] == [digest(one) for one in plan.frames]


@pytest.mark.parametrize(
    ("film", "reason"),
    [
        (Film(edit(other="")), "other prompt: is missing"),
        (Film(edit(other=""), seeds="1"), "other prompt: is missing"),
        (Film(edit(), seeds="1,2"), "seed: is one of the seeds"),
        (Film(edit(), frames=str(MOST + 1)), "pictures: are too many"),
        (Film(edit(), frames="many"), "frames: "),
        (Film(edit(), frames="1"), "frames"),
        (Film(edit(seed=None), seeds="1,2,3"), "2 prompts and 3 seeds"),
        (Film(edit(seed=None), seeds="x"), "seeds: "),
        (Film(edit(mix_mode="bands")), "mode"),
        (Film(edit(), fps=0), "fps: cannot be shown"),
        (Film(edit(), fps=float("nan")), "fps: cannot be shown"),
        (Film(edit(), hold=1e9), "hold: cannot be held so long"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_is_said_before_anything_waits(film: Film, reason: str) -> None:
    with pytest.raises(RecipeError, match=reason):
        wish_of(film)


def test_a_film_without_a_seed_has_one_for_all_its_frames(tmp_path: Path) -> None:
    first, second = (wish_of(Film(edit(seed=None), frames="4")) for _ in range(2))
    assert {one.seed for one in first.frames} == {first.frames[0].seed}
    assert first.frames[0].seed != second.frames[0].seed
