"""`sfumato merge` as a command."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from sfumato.models.merging import ENTRY

NAME = "model.diffusion_model.out.2.weight"


@pytest.fixture(autouse=True)
def models(here: Path) -> None:
    for number, name in enumerate("abc"):
        tensors = {
            ENTRY: np.full((2, 4, 3, 3), number, np.float32),
            NAME: np.full((2, 2), 10 * number, np.float32),
        }
        save_file(tensors, here / f"{name}.safetensors")


def test_two_models_become_one_and_again_from_what_was_written(sfumato: Any) -> None:
    ran = sfumato("merge", "a.safetensors", "b.safetensors", "--part", "base=1", "--output", "m.safetensors")
    assert (ran.code, ran.out) == (0, "m.safetensors\n")
    assert ran.err == "2 tensors merged; the recipe is in m.toml\n"
    made = load_file("m.safetensors")
    assert set(made[ENTRY].flat) == {0.5}
    assert set(made[NAME].flat) == {10.0}
    first = Path("m.safetensors").read_bytes()
    for number, recipe in enumerate(("m.toml", "m.safetensors")):
        again = f"again{number}.safetensors"
        ran = sfumato("merge", "--recipe", recipe, "--output", again)
        assert ran.code == 0, ran.err
        assert Path(again).read_bytes() == first


def test_a_difference_and_a_recipe_that_flags_change(sfumato: Any) -> None:
    three = ("a.safetensors", "b.safetensors", "c.safetensors")
    ran = sfumato("merge", *three, "--method", "difference", "--weight", "1", "-o", "m.safetensors", "--json")
    assert ran.code == 0, ran.err
    assert ran.json["merged"] == 2
    assert set(load_file("m.safetensors")[NAME].flat) == {-10.0}
    ran = sfumato(
        "merge", "--recipe", "m.toml", "--weight", "0.5", "--dtype", "float16", "-o", "n.safetensors"
    )
    assert ran.code == 0, ran.err
    found = load_file("n.safetensors")[NAME]
    assert found.dtype == np.float16
    assert set(found.flat) == {-5.0}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-o", "m.safetensors"), "models: names no models"),
        (("a.safetensors", "-o", "m.safetensors"), "models: takes two or three models (got 1)"),
        (("a.safetensors", "b.safetensors", "-o", "m.ckpt"), "output: merged models are safetensors files"),
        (("a.safetensors", "b.safetensors", "c.safetensors", "-o", "m.safetensors"), "takes no third model"),
        (("a.safetensors", "no.safetensors", "-o", "m.safetensors"), "no.safetensors is missing"),
        (
            ("a.safetensors", "b.safetensors", "--weight", "x", "-o", "m.safetensors"),
            "weight: must be a number",
        ),
        (("a.safetensors", "b.safetensors", "--part", "IN00", "-o", "m.safetensors"), "part: has no weight"),
        (("a.safetensors", "b.safetensors", "--part", "IN13=1", "-o", "m.safetensors"), "'IN13' is no part"),
        (("a.safetensors", "a.safetensors", "-o", "a.safetensors"), "this is one of the models to merge"),
        (("--recipe", "a.safetensors", "-o", "m.safetensors"), "recipe: is no merged model"),
        (("--recipe", "no.toml", "-o", "m.safetensors"), "recipe: cannot be read"),
    ],
)
def test_bad_input_is_told_in_one_line_and_writes_nothing(
    sfumato: Any, here: Path, arguments: tuple[str, ...], said: str
) -> None:
    before = {path: path.read_bytes() for path in here.glob("*.*") if path.is_file()}
    ran = sfumato("merge", *arguments)
    assert ran.code == 2
    assert said in ran.err
    assert "Traceback" not in ran.err
    assert {path: path.read_bytes() for path in here.glob("*.*") if path.is_file()} == before


def test_a_recipe_does_not_lead_elsewhere(sfumato: Any) -> None:
    Path("r.toml").write_text('[a]\nname = "../a.safetensors"\n[b]\nname = "b.safetensors"\n')
    ran = sfumato("merge", "--recipe", "r.toml", "--output", "m.safetensors")
    assert ran.code == 2
    assert "is no file name" in ran.err
