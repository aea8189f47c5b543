import re
from pathlib import Path
from typing import Any

import pytest

from interrupts import ctrl_c_after
from sfumato.cli.train import duration

RECIPE = """
name = "words"
[task]
stage = "text"
vocabulary = 520
captions = 200
width = 16
layers = 1
heads = 2
[optimisation]
steps = {steps}
batch_size = 4
learning_rate = 1e-3
[reporting]
every = 2
checkpoint = 4
"""


@pytest.fixture
def recipe(here: Path) -> Path:
    (here / "words.toml").write_text(RECIPE.format(steps=4))
    return here / "words.toml"


def test_a_run_reports_and_a_finished_one_changes_nothing(recipe: Path, sfumato: Any) -> None:
    ran = sfumato("train", recipe, "--runs", "out", "--device", "cpu")
    assert (ran.code, ran.out) == (0, "out/words\n"), ran.err
    lines = [line for line in ran.err.splitlines() if line.startswith("words: step")]
    assert [re.sub(r"  loss .*", "", line) for line in lines] == ["words: step 2 of 4", "words: step 4 of 4"]
    assert re.search(r"loss [\d.]+  \d+ pictures/s  \d+ s left", lines[0])
    again = sfumato("train", recipe, "--runs", "out", "--json")
    assert again.err == "words: nothing left to do\n"
    assert again.json == {"folder": "out/words", "last": None}


def test_ctrl_c_says_how_to_go_on(here: Path, sfumato: Any) -> None:
    (here / "words.toml").write_text(RECIPE.format(steps=1_000_000))
    with ctrl_c_after(4):
        ran = sfumato("train", "words.toml")
    assert ran.code == 130
    last = ran.err.splitlines()[-1]
    assert last.startswith("stopped: the run words was interrupted. Run the same command again to go on.")


@pytest.mark.parametrize(
    ("text", "arguments", "said"),
    [
        ("seed = 4", [], "name: is missing"),
        (RECIPE.replace("heads = 2", "heads = 0").format(steps=4), [], "heads: must be at least 1 (got 0)"),
        (RECIPE.format(steps=4), ["--device", "gpu"], "device: unknown name (got 'gpu')"),
        ("=", [], "recipe: is not TOML"),
        (None, [], "no such file (got 'bad.toml'). The bundled model's are in recipes/train"),
    ],
)
def test_bad_recipes_are_one_line(
    text: str | None, arguments: list[str], said: str, here: Path, bad: Any
) -> None:
    if text is not None:
        (here / "bad.toml").write_text(text)
    assert said in bad("train", "bad.toml", *arguments)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.4, "59 s"), (200, "3:20 min"), (18_420, "5:07 h")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
