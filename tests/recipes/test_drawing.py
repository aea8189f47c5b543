"""The drawing recipes that ship: each is read, resolved and drawn, with the tiny model as the bundled one."""

from contextlib import closing
from pathlib import Path

import pytest

from sfumato.cli.recipes import read_recipe
from sfumato.engine.events import Picture
from sfumato.engine.run import draw
from sfumato.imaging.inputs import read_inputs
from sfumato.recipe.again import recipe_of
from sfumato.recipe.resolve import resolve
from sfumato.recipe.sources import sources_of
from tiny_models import tiny_bundle, tiny_settings

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "recipes").glob("*.toml"))


def test_there_are_recipes() -> None:
    assert {"frog-and-rabbit", "night-house", "unconditional"} <= {path.stem for path in RECIPES}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_draws(path: Path) -> None:
    recipe = read_recipe(path)
    assert recipe.model == "bundled"
    assert recipe.seed is not None
    bundle = tiny_bundle()
    inputs = read_inputs(recipe, tiny_settings())
    resolved = resolve(recipe, bundle.defaults, sources=inputs.facts)
    again = recipe_of(resolved)
    facts = {one: inputs.by_digest[one.split(":")[1][:64]].facts for one in sources_of(again)}
    assert resolve(again, bundle.defaults, sources=facts) == resolved
    with closing(draw(resolved, bundle, inputs=inputs)) as events:
        drawn = [event.pixels for event in events if isinstance(event, Picture)]
    assert len(drawn) == recipe.count
    assert all(pixels.std() > 0 for pixels in drawn)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_says_how_to_draw_it(path: Path) -> None:
    command = f"# sfumato generate --recipe {path.relative_to(ROOT).as_posix()}"
    assert command in path.read_text(encoding="utf-8").splitlines()
