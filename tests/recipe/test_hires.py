"""What the parts for larger pictures may hold."""

from typing import Any

import pytest
from pydantic import ValidationError

from sfumato.errors import RecipeError
from sfumato.recipe.hires import RANGES, HiresPart, ResolvedHires, WindowsPart, usual_passes
from sfumato.recipe.image import Recipe
from sfumato.recipe.resolve import recipe_from_mapping

WHOLE: dict[str, Any] = {
    "scale": 4.0,
    "sizes": ((256, 256), (512, 512)),
    "strength": 0.25,
    "method": "learned",
    "steps": 20,
    "keep": 1.0,
    "window": 128,
    "overlap": 0.5,
}


@pytest.mark.parametrize(
    ("scale", "passes"), [(1.1, 1), (2.0, 1), (2.01, 2), (4.0, 2), (5.0, 3), (8.0, 3), (16.0, 4)]
)
def test_no_usual_pass_enlarges_by_more_than_two(scale: float, passes: int) -> None:
    assert usual_passes(scale) == passes


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("scale", value) for value in (1.0, 0.5, 16.1, -2.0, float("nan"), "2")),
        *(("strength", value) for value in (-0.1, 1.1)),
        *(("keep", value) for value in (-0.1, 1.1)),
        *(("method", value) for value in ("", "esrgan")),
        *(("passes", value) for value in (0, 5, 1.5)),
        *(("overlap", value) for value in (-0.1, 0.8)),
        *(("window", value) for value in (0, 20_000)),
        *(("steps", value) for value in (0, 1001)),
        ("colour", 1),
    ],
)
def test_bad_values_are_one_line_with_a_hint(field: str, value: object) -> None:
    part = {"kind": "hires", "scale": 2.0, field: value}
    with pytest.raises(RecipeError) as caught:
        recipe_from_mapping({"parts": [part]})
    assert "\n" not in str(caught.value)
    assert field in str(caught.value)


def test_every_range_names_a_field() -> None:
    for path in RANGES:
        kind, field = path.split(".")
        assert field in {"hires": HiresPart, "windows": WindowsPart}[kind].model_fields


@pytest.mark.parametrize("kind", ["mask", "extend"])
def test_what_keeps_a_part_of_a_picture_is_not_drawn_again(kind: str) -> None:
    keeping = {"mask": {"kind": "mask", "area": "left"}, "extend": {"kind": "extend", "left": 8}}[kind]
    parts = [{"kind": "image", "source": "a.png"}, keeping, {"kind": "hires", "scale": 2.0}]
    with pytest.raises(RecipeError, match="draw one after the other"):
        recipe_from_mapping({"parts": parts})


def test_what_a_part_leaves_open_stays_open() -> None:
    assert Recipe(parts=(HiresPart(scale=2.0),)).hires == HiresPart(scale=2.0)
    assert HiresPart(scale=2.0).model_dump(exclude_none=True) == {"kind": "hires", "scale": 2.0}
    assert WindowsPart().model_dump(exclude_none=True) == {"kind": "windows"}


@pytest.mark.parametrize(
    ("steps", "strength", "drawn"),
    [(20, 0.25, 5), (20, 0.2, 4), (20, 0.0, 0), (7, 1.0, 7), (10, 0.3, 3), (3, 0.3, 0)],
)
def test_the_strength_is_a_share_of_the_steps(steps: int, strength: float, drawn: int) -> None:
    part = ResolvedHires.model_validate({**WHOLE, "steps": steps, "strength": strength})
    assert (part.num_steps, part.first_step) == (drawn, steps - drawn)


def test_passes_do_not_shrink() -> None:
    with pytest.raises(ValidationError, match="smaller"):
        ResolvedHires.model_validate({**WHOLE, "sizes": ((256, 256), (512, 128))})
    with pytest.raises(ValidationError):
        ResolvedHires.model_validate({**WHOLE, "sizes": ()})
