"""`sfumato grid` from the command line."""

from pathlib import Path
from typing import Any

import pytest

MODEL = ("--model", "tiny")


def test_a_grid_from_the_command_line(sfumato: Any, here: Path) -> None:
    ran = sfumato("grid", "a frog", *MODEL, "--seed", "7", "--x", "steps=1,2", "--y", "sampler=ddim,euler")
    assert ran.code == 0, ran.err
    assert ran.out == "grid-a-frog/grid.png\ngrid-a-frog/index.html\n"
    assert len(list((here / "grid-a-frog").iterdir())) == 4 + 3


def test_prompts_can_be_crossed_and_a_recipe_begun_with(sfumato: Any, here: Path) -> None:
    (here / "frog.toml").write_text('model = "tiny"\nsteps = 1\nseed = 3\n')
    arguments = ("--recipe", "frog.toml", "--x", "prompt=a frog,a rabbit", "--output", "out", "--json")
    ran = sfumato("grid", *arguments)
    assert ran.code == 0, ran.err
    assert [cell["recipe"]["parts"][0]["prompt"] for cell in ran.json["cells"]] == ["a frog", "a rabbit"]
    assert ran.json["cells"][0]["recipe"]["seed"] == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("a frog",), "error: x: is missing. For example: --x steps=4,8,20"),
        (("a frog", "--x", "steps=1,2", "--z", "seed=1,2"), "error: z: needs --y as well"),
        (("--x", "steps=1,2"), "error: prompt: is missing"),
        (("a frog", "--x", "stepps=1,2"), "Did you mean steps?"),
        (("a frog", "--x", "steps=1,nine"), "error: steps: must be a whole number (got 'nine')"),
        (("a frog", "--x", "prompt=a,b"), "error: prompt: is crossed already"),
        (("a frog", "--x", "seed=1..2000"), "1..4"),
        (("a frog", "--x", "steps=1,2", "--output", "frog.toml"), "this is no folder of a grid"),
    ],
)
def test_mistakes_are_one_line_and_write_nothing(
    arguments: tuple[str, ...], words: str, bad: Any, here: Path
) -> None:
    (here / "frog.toml").write_text('model = "tiny"\n')
    assert words in bad("grid", *arguments, *MODEL)
