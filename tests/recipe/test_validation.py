import math

import pytest
from pydantic import BaseModel

from sfumato.errors import RecipeError
from sfumato.recipe.image import RECIPE_VERSION, Recipe
from sfumato.recipe.validation import UPGRADES, read_mapping


def complaint(data):
    with pytest.raises(RecipeError) as caught:
        read_mapping(data, Recipe)
    line = str(caught.value)
    assert "\n" not in line
    assert len(line) < 400
    return line


def test_reads_a_mapping():
    assert read_mapping({"steps": 3, "parts": []}, Recipe) == Recipe(steps=3)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"steps": 0}, "steps: must be at least 1 (got 0). Give 1 to 1000."),
        ({"steps": 5000}, "steps: must be at most 1000 (got 5000). Give 1 to 1000."),
        ({"steps": "7"}, "steps: must be a whole number (got '7'). Give 1 to 1000."),
        ({"steps": 7.5}, "steps: must be a whole number (got 7.5). Give 1 to 1000."),
        ({"guidance": math.nan}, "guidance: must be a finite number (got nan). Give 0 to 100."),
        ({"guidance": math.inf}, "guidance: must be a finite number (got inf). Give 0 to 100."),
        ({"guidance": "x"}, "guidance: must be a number (got 'x'). Give 0 to 100."),
        ({"model": ""}, "model: must not be empty (got ''). Give a name from: sfumato models."),
        ({"model": 3}, "model: must be text (got 3). Give a name from: sfumato models."),
        ({"stesp": 3}, "stesp: no such field (got 3). Did you mean steps?"),
        ({"parts": 3}, "parts: must be a list (got 3)"),
        ({"parts": [{"kind": "text"}]}, "text.prompt: is missing"),
        ({"parts": [{"prompt": "a"}]}, "parts[0].kind: is missing"),
        (
            {"parts": [{"kind": "text", "promt": "a"}]},
            "text.promt: no such field (got 'a'). Did you mean prompt?",
        ),
        (
            {"parts": [{"kind": "mix", "prompts": [{"prompt": "a", "ratio": -1}]}]},
            "mix.prompts[0].ratio: must be above 0.0 (got -1). Give above 0 and up to 1000.",
        ),
        (
            {"parts": [{"kind": "mix", "prompts": [{"prompt": "a", "ratio": 1}], "mode": "soup"}]},
            "mix.mode: must be 'branches', 'embeddings' or 'bands' (got 'soup')",
        ),
        (
            {"parts": [{"kind": "text", "prompt": "a", "guidance_start": 1.0, "guidance_stop": 0.5}]},
            "text: guidance_start 1.0 lies after guidance_stop 0.5",
        ),
        (
            {"parts": [{"kind": "image", "source": "a", "strength": 1.5}]},
            "image.strength: must be at most 1.0 (got 1.5). "
            "Give 0 to 1: 0 gives the image back, 1 keeps almost nothing of it.",
        ),
        (
            {"parts": [{"kind": "image", "source": "a", "strength": 0.5, "start_step": 1}]},
            "image: strength and start_step say the same; give one of them",
        ),
        (
            {"parts": [{"kind": "image", "source": "a"}, {"kind": "mask", "alpha": True, "feather": -1}]},
            "mask.feather: must be at least 0 (got -1). Give 0 to 16384 pixels.",
        ),
        (
            {"parts": [{"kind": "mask", "area": "lft"}]},
            "mask.area: is no rectangle: 'lft' (Did you mean left? Write a name (left, top-right, center), "
            '"LEFT,TOP,WIDTHxHEIGHT" in pixels, or four fractions)',
        ),
        (
            {"parts": [{"kind": "regions", "regions": [{"prompt": "a", "area": "left"}], "feather": 2.0}]},
            "regions.feather: must be at most 1.0 (got 2.0). Give 0 to 1, a fraction of the shorter side.",
        ),
        (
            {"parts": [{"kind": "regions", "regions": [{"prompt": "a", "area": "left", "ratio": 2.0}]}]},
            "regions.regions[0].ratio: must be at most 1.0 (got 2.0). Give above 0 and up to 1.",
        ),
        (
            {"parts": [{"kind": "mask", "alpha": True}]},
            "recipe: a mask or an extension needs an image to work on",
        ),
        (
            {"parts": [{"kind": "text", "prompt": "a"}] * 2},
            "recipe: only one part of kind text is possible",
        ),
    ],
    ids=str,
)
def test_mistakes_are_one_line(data, expected):
    assert complaint(data) == expected


def test_unknown_part():
    assert complaint({"parts": [{"kind": "txet"}]}).startswith("parts[0]: no such kind of part")


def test_long_and_huge_values_are_cut():
    assert "is too long" in complaint({"parts": [{"kind": "text", "prompt": "x" * 2_000_001}]})
    assert "bits" in complaint({"steps": 10**5000})
    assert "bits" in complaint({"version": 10**5000})


def test_every_number_of_a_recipe_has_a_hint_with_its_whole_range():
    for field, schema in Recipe.model_json_schema()["properties"].items():
        if field != "version" and ("number" in str(schema) or "integer" in str(schema)):
            assert ". " in complaint({field: -1}), field


@pytest.mark.parametrize("data", [None, 3, "recipe", [1], {1: 2}], ids=str)
def test_anything_else_is_no_recipe(data):
    complaint(data)


@pytest.mark.parametrize("version", [0, -1, True, "1", 1.0, None], ids=str)
def test_a_version_is_a_whole_number(version):
    assert complaint({"version": version}).startswith("version: must be a whole number")


def test_a_newer_version_says_so():
    line = complaint({"version": RECIPE_VERSION + 1, "what": "ever"})
    assert (
        line == "version: made by a newer version of Sfumato (got 2). This one reads up to 1: update Sfumato."
    )


class Third(BaseModel):
    version: int = 3
    number: int
    name: str


def test_old_versions_are_upgraded_step_by_step():
    upgrades = {
        ("Third", 1): lambda fields: {"number": fields["count"]},
        ("Third", 2): lambda fields: {**fields, "name": "none"},
    }
    expected = Third(number=7, name="none")
    assert read_mapping({"version": 1, "count": 7}, Third, upgrades=upgrades) == expected
    assert read_mapping({"version": 2, "number": 7}, Third, upgrades=upgrades) == expected
    assert read_mapping({"number": 7, "name": "none"}, Third, upgrades=upgrades) == expected


def test_every_old_version_has_an_upgrade():
    for old in range(1, RECIPE_VERSION):
        assert ("Recipe", old) in UPGRADES
        assert ("Resolved", old) in UPGRADES
