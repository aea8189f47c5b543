"""Names of pictures, and what is written into them."""

from pathlib import Path
from typing import Any

import pytest

from sfumato import __version__
from sfumato.engine.keeping import free_path, metadata_of, slug
from sfumato.recipe.codec import from_json
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.parts import TextPart
from sfumato.recipe.resolve import resolve
from tiny_models import tiny_bundle


def resolved(prompt: str | None = "a frog", **fields: Any) -> Resolved:
    parts = () if prompt is None else (TextPart(prompt=prompt),)
    return resolve(Recipe(parts=parts, seed=7, **fields), tiny_bundle().defaults)


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("A frog, on a beach!", "a-frog-on-a-beach"),
        ("a (red:1.3) house [in snow:at night:0.4]", "a-red-house-in-snow-at-night"),
        ("ein schöner Frosch", "ein-schöner-frosch"),
        ("../../etc/passwd\x00", "etc-passwd"),
        ("one two three four five six seven eight nine ten", "one-two-three-four-five-six-seven-eight"),
        ("x" * 1000, "x" * 40),
        ("🐸", "picture"),
        ("", "picture"),
        (None, "picture"),
    ],
)
def test_names_tell_the_prompt(prompt: str | None, name: str) -> None:
    assert slug(resolved(prompt)) == name


def test_a_name_that_is_taken_gets_a_number(tmp_path: Path) -> None:
    for name in ("a.png", "a-2.png"):
        (tmp_path / name).touch()
    assert free_path(tmp_path / "a.png") == tmp_path / "a-3.png"
    assert free_path(tmp_path / "b.png") == tmp_path / "b.png"


def test_a_picture_carries_its_recipe_twice_and_who_drew_it() -> None:
    run = resolved("a frog", steps=3)
    metadata = metadata_of(run, "torch cpu float32")
    assert from_json(metadata.resolved_json, Resolved) == run
    assert metadata.parameters.startswith("a frog\nSteps: 3,")
    assert (metadata.software, metadata.backend) == (f"Sfumato {__version__}", "torch cpu float32")
