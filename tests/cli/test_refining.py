"""A refiner on the command line: in files, drawn again, verified, crossed and in a morph."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from sfumato.cli.flags import Flags
from sfumato.cli.recipes import with_flags
from sfumato.cli.refining import refine_in_words, with_refining
from sfumato.errors import RecipeError
from sfumato.imaging.metadata import read_metadata, read_parameters
from sfumato.recipe.image import Recipe
from sfumato.recipe.micro import MicroPart
from sfumato.recipe.parts import TextPart
from sfumato.recipe.refining import RefinePart, ResolvedRefine
from tiny_models import tiny_folder, write_tiny_model

FROG = Recipe(parts=(TextPart(prompt="a frog"),))


@pytest.fixture
def two(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a model that refines the tiny one, "other"."""
    models = here.parent / "models"
    write_tiny_model(models / "other", seed=3)
    monkeypatch.setenv("SFUMATO_MODELS", os.pathsep.join(map(str, (tiny_folder().parent, models))))
    return models


def drawn(sfumato: Any, *more: str) -> Any:
    ran = sfumato("generate", "a frog", "--model", "tiny", "--seed", "7", "--steps", "4", *more)
    assert ran.code == 0, ran.err
    return ran


def pixels(path: Path | str) -> Any:
    return np.asarray(Image.open(path))


def test_flags_lie_over_what_was_there() -> None:
    made = with_flags(FROG, Flags(refiner="other"))
    assert made.refine == RefinePart(model="other")
    assert with_flags(made, Flags(refine_from="0.5")).refine == RefinePart(model="other", start=0.5)
    pinned = Recipe(parts=(*FROG.parts, RefinePart(model="other", start=0.6, digest="ab" * 32)))
    assert with_flags(pinned, Flags()) == pinned
    assert with_flags(pinned, Flags(refiner="new")).refine == RefinePart(model="new", start=0.6)
    assert with_flags(pinned, Flags(refiner=" OFF ")) == FROG
    assert with_refining({}, Flags()) == {}


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        ({"refine_from": "0.5"}, "refine-from: there is no refiner (got 0.5). Give --refiner NAME as well."),
        ({"refiner": "off", "refine_from": "0.5"}, "refine-from: there is no refiner"),
        ({"refiner": "x", "refine_from": "late"}, "refine-from: must be a number"),
        ({"refiner": "x", "refine_from": "1"}, "refine-from: must be below 1"),
        ({"refiner": "x", "hires": "2"}, "recipe: a refiner ends one drawing"),
        ({"refiner": ""}, "refiner: must not be empty"),
    ],
)
def test_mistakes_name_the_option(flags: dict[str, Any], line: str) -> None:
    with pytest.raises(RecipeError) as caught:
        with_flags(FROG, Flags(**flags))
    assert str(caught.value).startswith(line)


def test_words_for_people() -> None:
    part = ResolvedRefine(model="xl-refiner", digest="ab" * 32, start=0.8)
    line = "xl-refiner (abababababab), from 0.8 of the noise levels on"
    assert refine_in_words(part) == {"refiner": line}
    told = part.model_copy(update={"micro": MicroPart(score=6.0, negative_score=2.5)})
    assert refine_in_words(told) == {"refiner": f"{line}; score 6, negative 2.5"}


@pytest.mark.usefixtures("two")
def test_a_picture_carries_its_refiner_and_is_drawn_again(here: Path, sfumato: Any) -> None:
    drawn(sfumato, "--output", "plain.png")
    drawn(sfumato, "--output", "refined.png", "--refiner", "other", "--refine-from", "0.5")
    assert not np.array_equal(pixels("plain.png"), pixels("refined.png"))
    recipe = json.loads(read_metadata(here / "refined.png").resolved_json)
    (part,) = [one for one in recipe["parts"] if one["kind"] == "refine"]
    assert (part["model"], part["start"]) == ("other", 0.5)
    assert f"Refiner: other [{part['digest'][:10]}], Refiner switch at: 0.5" in read_parameters(
        here / "refined.png"
    )
    assert "from 0.5 of the noise levels on" in sfumato("show", "refined.png").out
    ran = sfumato("verify", "refined.png")
    assert (ran.code, ran.out) == (0, "refined.png: identical (largest difference 0/255)\n")
    for more, like in (((), "refined.png"), (("--refiner", "off"), "plain.png")):
        assert sfumato("redo", "refined.png", "--output", "again.png", *more).code == 0
        assert np.array_equal(pixels("again.png"), pixels(like))
    text = sfumato("show", "refined.png", "--toml").out
    (here / "frog.toml").write_text(text)
    assert sfumato("generate", "--recipe", "frog.toml", "--output", "file.png").code == 0
    assert np.array_equal(pixels("file.png"), pixels("refined.png"))


@pytest.mark.usefixtures("two")
def test_a_recipe_that_cannot_be_refined_is_refused(bad: Any) -> None:
    asked = "generate", "a frog", "--model", "tiny", "--steps", "4"
    line = bad(*asked, "--refiner", "other")
    assert line.startswith("error: refine-from: leaves the refiner none of 4 steps (got 0.8)")
    assert bad(*asked, "--refiner", "othr").startswith("error: refiner: ")
    assert 'Did you mean "other"?' in bad(*asked, "--refiner", "othr")


def test_other_weights_are_told_before_anything_is_drawn(two: Path, sfumato: Any, bad: Any) -> None:
    drawn(sfumato, "--output", "refined.png", "--refiner", "other", "--refine-from", "0.5")
    (two / "other").rename(two / "before")
    write_tiny_model(two / "other", seed=4)
    line = bad("redo", "refined.png")
    assert "refiner: has other weights than the refiner that is asked for" in line
    assert "refiner: has other weights" in bad("verify", "refined.png")
    assert sfumato("redo", "refined.png", "--refiner", "other", "--output", "new.png").code == 0
    assert sfumato("redo", "refined.png", "--refiner", "before", "--output", "old.png").code == 0
    assert np.array_equal(pixels("old.png"), pixels("refined.png"))


def test_a_picture_opens_no_refiner_of_its_choice(two: Path, sfumato: Any, bad: Any) -> None:
    hidden = two.parent / "elsewhere" / "hidden"
    hidden.parent.mkdir()
    (two / "other").rename(hidden)
    drawn(sfumato, "--output", "refined.png", "--refiner", str(hidden), "--refine-from", "0.5")
    # The picture names it as it calls itself; one that names a path was made by somebody else.
    picture: Any = Image.open("refined.png")
    said = {
        key: value.replace('"model":"hidden"', f'"model":"{hidden}"') for key, value in picture.text.items()
    }
    info = PngImagePlugin.PngInfo()
    for key, value in said.items():
        info.add_itxt(key, value)
    assert any(str(hidden) in value for value in said.values())
    picture.save("forged.png", pnginfo=info)
    assert str(hidden) in read_metadata(Path("forged.png")).resolved_json
    assert "refiner: " in bad("redo", "forged.png")
    assert "refiner: " in bad("redo", "forged.png", "--model", "tiny")
    assert "refiner: " in bad("verify", "forged.png")
    assert sfumato("redo", "forged.png", "--refiner", str(hidden), "--output", "again.png").code == 0


@pytest.mark.usefixtures("two")
def test_another_programs_refiner_is_taken_where_it_is_here(here: Path, sfumato: Any) -> None:
    for name, code in (("other [0123456789]", "drawn"), ("sd_xl_refiner_1.0 [7440042bbd]", "left out")):
        info = PngImagePlugin.PngInfo()
        numbers = "Steps: 4, Sampler: DDIM, CFG scale: 3, Seed: 1, Size: 64x64, Model: tiny"
        info.add_text("parameters", f"a frog\n{numbers}, Refiner: {name}, Refiner switch at: 0.5")
        Image.new("RGB", (64, 64)).save("foreign.png", pnginfo=info)
        ran = sfumato("redo", "foreign.png", "--output", "again.png")
        assert ran.code == 0, ran.err
        has = '"refine"' in read_metadata(here / "again.png").resolved_json
        assert has is (code == "drawn")
        assert ("there is no refiner 'sd_xl_refiner_1.0' here" in ran.err) is not has


@pytest.mark.usefixtures("two")
def test_a_grid_crosses_refiners_and_where_they_begin(here: Path, sfumato: Any) -> None:
    crossed = "--x", "refine-from=0.2,0.5", "--y", "refiner=tiny,other", "--output", "sheet"
    ran = sfumato("grid", "a frog", "--model", "tiny", "--steps", "4", "--seed", "7", *crossed, "--json")
    assert ran.code == 0, ran.err
    cells = ran.json["cells"]
    parts = [one for cell in cells for one in cell["recipe"]["parts"] if one["kind"] == "refine"]
    assert [(one["model"], one["start"]) for one in parts] == [
        ("tiny", 0.2),
        ("tiny", 0.5),
        ("other", 0.2),
        ("other", 0.5),
    ]
    plain, again, early, late = (pixels(here / cell["path"]) for cell in cells)
    assert np.array_equal(plain, again)
    assert not np.array_equal(early, late)


@pytest.mark.usefixtures("two")
def test_a_morph_has_its_frames_refined(here: Path, sfumato: Any) -> None:
    asked = "--model", "tiny", "--steps", "4", "--seed", "7", "--frames", "2"
    more = "--refiner", "other", "--refine-from", "0.5", "--frames-folder", "frames", "--output", "m.webp"
    ran = sfumato("morph", "a frog", "a rabbit", *asked, *more)
    assert ran.code == 0, ran.err
    drawn(sfumato, "--output", "refined.png", "--refiner", "other", "--refine-from", "0.5")
    assert np.array_equal(pixels(here / "frames" / "frame-0001.png"), pixels("refined.png"))
