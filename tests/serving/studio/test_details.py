"""How a picture was made: every setting, a recipe that draws it again, commands, and nothing that acts."""

import shlex
from collections.abc import Iterator
from dataclasses import replace
from html import unescape

import pytest

from sfumato.models.load import find_model
from sfumato.recipe.again import single
from sfumato.recipe.codec import digest, from_toml
from sfumato.recipe.image import Recipe
from sfumato.recipe.resolve import resolve
from sfumato.serving.desk import Desk
from sfumato.serving.studio.details import copied_of, details_of, recipe_text
from sfumato.serving.studio.forms import varied
from sfumato.serving.studio.look import Look
from sfumato.serving.studio.words import words_of
from sfumato.serving.timing import Took
from tiny_studio import drawn, frog, open_tiny_desk

NASTY = "<img src=x onerror=alert(1)></textarea></pre><script>alert(1)</script>"
WORDS = words_of(Look())


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with open_tiny_desk(tmp_path_factory.mktemp("home")) as desk:
        yield desk


def test_it_tells_settings_seed_digests_model_time_and_commands(desk: Desk) -> None:
    kept = drawn(desk, varied(frog(steps=3, sampler="heun", guidance=4.5), 0.3))
    resolved = single(desk.gallery.resolved(kept))
    shown = unescape(details_of(desk, WORDS, kept))
    facts = {
        "Model": "tiny",
        "Digest of the model": resolved.model_digest[:16],
        "Size": "64 x 64",
        "Steps": "3",
        "Guidance": "4.5",
        "Seed": "7",
        "And also": "variation",
        "Digest of the recipe": digest(resolved),
    }
    for name, value in facts.items():
        assert f"<dt>{name}</dt><dd>{value}</dd>" in shown
    assert "<dt>Sampler</dt><dd>Heun, " in shown
    assert "<dt>Drawn by</dt><dd>torch cpu" in shown
    assert "<dt>Without</dt>" not in shown  # nothing is said of what there is not
    name = shlex.quote(kept.path.name)
    for command in (f"redo {name}", f"verify {name}", "generate --recipe recipe.toml"):
        assert f"<code>sfumato {command}</code>" in shown
    assert str(kept.path.parent) not in shown


def test_it_tells_how_long_a_picture_took_and_with_how_many_others(desk: Desk) -> None:
    alone, among = drawn(desk), drawn(desk, frog(count=3))
    assert alone.took is not None
    assert among.took is not None
    assert (alone.took.pictures, among.took.pictures) == (1, 3)
    assert 0 < alone.took.seconds < 60
    told = {
        alone: f"{alone.took.seconds:.2f} s",
        replace(alone, took=Took(12345.6)): "12,346 s",
        replace(among, took=Took(9.5, 3)): "9.50 s, 3 pictures together",
    }
    for kept, shown in told.items():
        assert f"<dt>Drawn in</dt><dd>{shown}</dd>" in details_of(desk, WORDS, kept)
    assert "Drawn in" not in details_of(desk, WORDS, replace(alone, took=None))


def test_the_recipe_that_is_copied_is_the_same_run(desk: Desk) -> None:
    kept = drawn(desk, varied(frog(count=2), 0.3))
    resolved = desk.gallery.resolved(kept)
    recipe = from_toml(recipe_text(resolved), Recipe)
    assert digest(resolve(recipe, find_model("tiny", desk.settings).defaults)) == digest(single(resolved))


def test_what_a_picture_says_of_itself_cannot_act(desk: Desk) -> None:
    kept = drawn(desk, frog(prompt=NASTY))
    shown = details_of(desk, WORDS, kept)
    copied = copied_of(recipe_text(desk.gallery.resolved(kept)), WORDS)
    for html in (shown, copied):
        assert "<img" not in html
        assert "<script" not in html
        assert "onerror=alert(1)" in unescape(html)
    assert (shown.count("</pre>"), copied.count("</textarea>")) == (1, 1)


def test_the_recipe_can_be_reached_and_read_where_nothing_is_copied() -> None:
    html = copied_of("steps = 3\nseed = 7\n", WORDS)
    assert "<label>" in html
    assert "readonly" in html
    assert "disabled" not in html
    assert 'role="status"' in html


def test_a_damaged_picture_is_told_as_far_as_it_is_known(desk: Desk) -> None:
    kept = drawn(desk)
    kept.path.write_bytes(b"no picture")
    shown = details_of(desk, WORDS, kept)
    assert "<dt>Seed</dt><dd>7</dd>" in shown
    assert "picture" in shown
    assert str(kept.path.parent) not in shown
