import json
import subprocess
import sys
from contextlib import suppress
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recipe.strategies import DEFAULTS, quick, recipes, resolveds
from sfumato.errors import RecipeError
from sfumato.recipe.codec import digest, from_json, from_toml, schema, schema_text, to_json, to_toml
from sfumato.recipe.image import Recipe, Resolved
from sfumato.recipe.parts import MixPart, MixPrompt, TextPart
from sfumato.recipe.resolve import resolve

FROG = Recipe(
    seed=1,
    count=2,
    parts=(
        TextPart(prompt="a (frog:1.2), 🐸", negative="blur"),
        MixPart(prompts=(MixPrompt(prompt="rabbit", ratio=0.5),)),
    ),
)


@quick
@given(recipes)
def test_recipe_json_round_trip(recipe):
    text = to_json(recipe)
    assert from_json(text, Recipe) == recipe
    assert from_json(text.encode(), Recipe) == recipe
    assert to_json(from_json(text, Recipe)) == text


@quick
@given(resolveds())
def test_resolved_json_round_trip(resolved):
    text = to_json(resolved)
    assert from_json(text, Resolved) == resolved
    assert to_json(from_json(text, Resolved)) == text
    assert digest(from_json(text, Resolved)) == digest(resolved)


@quick
@given(recipes)
def test_recipe_toml_round_trip(recipe):
    assert from_toml(to_toml(recipe), Recipe) == recipe
    assert from_toml(to_toml(recipe).encode(), Recipe) == recipe


@quick
@given(resolveds())
def test_resolved_toml_round_trip(resolved):
    assert from_toml(to_toml(resolved), Resolved) == resolved


def test_json_is_canonical():
    """Key order, white space and the spelling of numbers in the source do not matter."""
    a = from_json('{"steps": 3, "guidance": 7, "parts": []}', Recipe)
    b = from_json('{"parts":[],"guidance":7.0e0,"steps":3}', Recipe)
    assert to_json(a) == to_json(b)
    assert to_json(a).startswith('{"cache_interval":null,"count":1,"eta":null,"fast":false,"guidance":7.0,')


def test_digest_is_stable():
    """This digest names jobs and caches of earlier versions: it may change only with the recipe version."""
    resolved = resolve(FROG, DEFAULTS)
    assert to_json(resolved) == (
        '{"count":2,"guidance":4.0,"height":128,"index":0,"model":"bundled","model_digest":"'
        + "0123456789abcdef" * 4
        + '","parts":[{"guidance_rescale":0.7,"guidance_start":0.0,"guidance_stop":1.0,"kind":"text",'
        '"negative":"blur","prompt":"a (frog:1.2), 🐸"},{"kind":"mix","mode":"branches",'
        '"prompts":[{"prompt":"rabbit","ratio":0.5}],"ratio":0.5}],"sampler":"ddim","seed":1,'
        '"spacing":"trailing","steps":20,"version":1,"width":128}'
    )
    assert digest(resolved) == ("b4427ff082f786762cbbb4939ee84449d3bc463be57fdfc0611dcbe2fa8c7dd7")


def test_digests_differ():
    resolved = resolve(FROG, DEFAULTS)
    changed = [
        resolved,
        resolved.model_copy(update={"index": 1}),
        resolved.model_copy(update={"seed": 2}),
        resolved.model_copy(update={"guidance": 4.000001}),
        resolved.model_copy(update={"model_digest": "f" * 64}),
        resolved.model_copy(update={"cache_interval": 2}),
    ]
    assert len({digest(item) for item in changed}) == len(changed)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "recipe: is not JSON"),
        ("{", "recipe: is not JSON"),
        ("[]", "recipe: must be a table"),
        (b"\xff", "recipe: is not JSON"),
        ('{"guidance": NaN}', "recipe: is not JSON: NaN"),
        ('{"guidance": 1e999}', "guidance: must be a finite number"),
        ('{"steps": ' + "9" * 5000 + "}", "recipe: is not JSON"),
        ("[" * 200_000, "recipe: is nested too deeply"),
        ('{"version": 99, "new": 1}', "version: made by a newer version of Sfumato (got 99)"),
        ('{"version": 1, "new": 1}', "new: no such field"),
    ],
    ids=lambda value: str(value[:20]),
)
def test_bad_json_is_one_line(text, expected):
    with pytest.raises(RecipeError) as caught:
        from_json(text, Recipe)
    assert str(caught.value).startswith(expected)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("steps =", "recipe: is not TOML"),
        (b"\xff", "recipe: is not TOML"),
        ("a = " + "[" * 50_000, "recipe: is nested too deeply"),
        ("guidance = nan", "guidance: must be a finite number (got nan)"),
        ("version = 2", "version: made by a newer version of Sfumato (got 2)"),
        ("steps = 2020-01-01", "steps: must be a whole number"),
    ],
    ids=lambda value: str(value[:20]),
)
def test_bad_toml_is_one_line(text, expected):
    with pytest.raises(RecipeError) as caught:
        from_toml(text, Recipe)
    assert str(caught.value).startswith(expected)


values = st.none() | st.integers() | st.floats() | st.text(max_size=5)


@quick
@given(
    values | st.lists(values, max_size=2) | st.dictionaries(st.sampled_from([*Resolved.model_fields]), values)
)
def test_any_json_reads_or_is_a_recipe_error(data):
    with suppress(RecipeError):
        from_json(json.dumps(data), Resolved)


@quick
@given(resolveds(), st.data())
def test_damaged_metadata_reads_or_is_a_recipe_error(resolved, data):
    fields = json.loads(to_json(resolved))
    key = data.draw(st.sampled_from(sorted(fields)))
    fields[key] = data.draw(st.none() | st.integers() | st.floats() | st.text() | st.lists(st.integers()))
    with suppress(RecipeError):
        from_json(json.dumps(fields), Resolved)


def test_toml_is_readable():
    assert to_toml(FROG) == (
        'version = 1\nmodel = "bundled"\nfast = false\nseed = 1\ncount = 2\n\n'
        '[[parts]]\nkind = "text"\nprompt = "a (frog:1.2), 🐸"\nnegative = "blur"\n\n'
        '[[parts]]\nkind = "mix"\n\n[[parts.prompts]]\nprompt = "rabbit"\nratio = 0.5\n'
    )


def test_the_committed_schema_is_current():
    committed = files("sfumato.recipe").joinpath("recipe.schema.json").read_text(encoding="utf-8")
    assert committed == schema_text(), "run: python -m sfumato.recipe.codec --schema > .../recipe.schema.json"


def test_schema_describes_every_field_and_bound():
    properties = schema()["properties"]
    assert set(properties) == set(Recipe.model_fields)
    assert properties["count"]["minimum"] == 1
    guidance = next(option for option in properties["guidance"]["anyOf"] if option["type"] == "number")
    assert (guidance["minimum"], guidance["maximum"]) == (0.0, 100.0)


def test_recipes_import_nothing_heavy_and_print_their_schema():
    code = (
        "import runpy, sys; sys.argv[1:] = ['--schema']\n"
        "try: runpy.run_module('sfumato.recipe.codec', run_name='__main__')\n"
        "except SystemExit as end: assert not end.code\n"
        "assert not {'torch', 'numpy', 'PIL'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == schema_text()
