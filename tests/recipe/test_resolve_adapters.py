import pytest

from recipe.strategies import ADAPTERS, DEFAULTS
from sfumato.errors import RecipeError
from sfumato.recipe.adapters import Adapter, AdaptersPart, Embedding
from sfumato.recipe.again import recipe_of
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import MixPart, MixPrompt, Region, RegionsPart, TextPart
from sfumato.recipe.resolve import resolve
from sfumato.recipe.resolve_adapters import AdapterFacts, AdapterTable, prompts_of, texts_of, without_marks


def resolved(*parts, table=ADAPTERS):
    return resolve(Recipe(seed=1, parts=parts), DEFAULTS, adapters=table)


def test_adapters_come_out_of_every_prompt():
    run = resolved(
        TextPart(prompt="a frog <lora:foo:0.5>"),
        MixPart(prompts=(MixPrompt(prompt="a rabbit <lora:foo:0.5>", ratio=0.5),)),
        RegionsPart(regions=(Region(prompt="<lora:foo:2> a cat", area="left"),)),
        AdaptersPart(adapters=(Adapter(name="loras/bär: x", weight=0.25),)),
    )
    assert run.text is not None
    assert run.text.prompt == "a frog"
    assert run.mix is not None
    assert run.mix.prompts[0].prompt == "a rabbit"
    assert run.regions is not None
    assert run.regions.regions[0].prompt == "a cat"
    assert run.adapters is not None
    # What is listed goes first; what two prompts say alike is meant once.
    assert [(one.name, one.weight) for one in run.adapters.adapters] == [
        ("bär: x", 0.25),
        ("foo", 0.5),
        ("foo", 2.0),
    ]


def test_a_weight_is_for_both_unless_the_text_has_its_own():
    (one,) = resolved(AdaptersPart(adapters=(Adapter(name="foo", weight=0.5),))).adapters.adapters
    assert (one.weight, one.text_weight, one.blocks, one.digest, one.hash) == (
        0.5,
        0.5,
        {},
        "1" * 64,
        "1" * 12,
    )


def test_none_is_no_part():
    for parts in ((), (AdaptersPart(),)):
        run = resolved(TextPart(prompt="a"), *parts)
        assert run.adapters is None
        assert run == resolved(TextPart(prompt="a"))


def test_an_adapter_in_the_negative_prompt_is_refused():
    with pytest.raises(RecipeError, match="Name it in the prompt") as error:
        resolved(TextPart(prompt="a", negative="b <lora:foo:1>"))
    assert error.value.field == "negative"


def test_one_that_was_not_found_is_said():
    with pytest.raises(RecipeError, match="was not found"):
        resolved(TextPart(prompt="a <lora:other>"))
    with pytest.raises(RecipeError, match="was not found"):
        resolved(AdaptersPart(embeddings=(Embedding(name="other"),)))


def test_words_are_embeddings_of_the_prompts_that_say_them():
    table = AdapterTable(words={"BadHand": AdapterFacts("BadHand", "4" * 64, "4" * 12)})
    run = resolved(TextPart(prompt="a frog", negative="(badhand:1.2)"), table=table)
    assert run.adapters is not None
    assert [one.name for one in run.adapters.embeddings] == ["BadHand"]
    assert resolved(TextPart(prompt="a frog"), table=table).adapters is None
    # One that is listed has the name, whatever else is known by it.
    named = AdapterTable({}, ADAPTERS.embeddings, {"Badhand": AdapterFacts("Badhand", "4" * 64, "4" * 12)})
    part = AdaptersPart(embeddings=(Embedding(name="badhand"),))
    run = resolved(TextPart(prompt="badhand"), part, table=named)
    assert run.adapters is not None
    assert [one.digest for one in run.adapters.embeddings] == ["3" * 64]


def test_again_is_the_same():
    run = resolved(
        TextPart(prompt="a <lora:foo:0.5:0.25>"), AdaptersPart(embeddings=(Embedding(name="badhand"),))
    )
    assert resolve(recipe_of(run), DEFAULTS, adapters=ADAPTERS) == run


def test_prompts_are_found():
    recipe = Recipe(
        parts=(TextPart(prompt="a", negative="b"), MixPart(prompts=(MixPrompt(prompt="c", ratio=1),)))
    )
    assert (list(prompts_of(recipe)), list(texts_of(recipe))) == (["a", "c"], ["a", "c", "b"])
    assert without_marks(recipe) is recipe
    assert list(texts_of(Recipe())) == []
