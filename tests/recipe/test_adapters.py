import pytest
from pydantic import ValidationError

from sfumato.errors import RecipeError
from sfumato.recipe.adapters import (
    BLOCK_LISTS,
    Adapter,
    AdaptersPart,
    Embedding,
    ResolvedAdapter,
    ResolvedAdapters,
    ResolvedEmbedding,
    asked_adapters,
    has_marks,
    mark,
    read_mark,
    taken_out,
    word_pattern,
    words_of,
)

DIGEST = "ab" * 32
FOO = ResolvedAdapter(name="foo", digest=DIGEST, hash=DIGEST[:12], weight=0.6, text_weight=0.8)


@pytest.mark.parametrize(
    ("text", "left", "weights"),
    [
        ("a frog <lora:foo>", "a frog", (1.0, None)),
        ("a frog <lora:foo:0.8>", "a frog", (0.8, None)),
        # A1111 weighs the text encoder first.
        ("<lora:foo:0.8:0.6> a frog", "a frog", (0.6, 0.8)),
        ("a<LORA:foo:-1>frog", "afrog", (-1.0, None)),
        ("a frog <lyco:foo:te=0.5:unet=2>", "a frog", (2.0, 0.5)),
        ("a frog <lora:foo:0.8:unet=0.6>", "a frog", (0.6, 0.8)),
    ],
)
def test_a_mark_is_no_part_of_the_prompt(text, left, weights):
    clean, (found,) = taken_out(text)
    assert (clean, found.name, (found.weight, found.text_weight)) == (left, "foo", weights)


def test_a_prompt_without_marks_is_left_alone():
    for text in ("", "  a < b ", "<foo> <lora> <lora:>", "<hypernet:foo:1>", "<lora:foo\n:1>", "lora:foo"):
        assert not has_marks(text)
        assert taken_out(text) == (text, ())


def test_what_falls_together_only_then_is_text():
    clean, found = taken_out("a <lo<lora:x>ra:y> frog")
    assert [one.name for one in found] == ["x"]
    assert clean == "a < lora:y> frog"
    assert taken_out(clean) == (clean, ())


@pytest.mark.parametrize(
    "written", ["foo:x", "foo:1:2:3", " :1", "foo:11", "foo:nan", "foo:lbw=1,2", "foo:lbw=x", "foo:start=2"]
)
def test_what_cannot_be_read_is_said(written):
    with pytest.raises(RecipeError, match="an adapter cannot be read") as error:
        taken_out(f"a frog <lora:{written}>")
    assert error.value.field == "prompt"
    with pytest.raises(RecipeError, match="--lora NAME"):
        read_mark(written, "lora")


def test_lists_of_blocks_are_names():
    numbers = [0.5, 1, 0, *[1] * 9]
    listed = Adapter(name="foo", blocks=numbers)
    assert listed.blocks == {"BASE": 0.5, "IN05": 0.0}
    assert read_mark("foo:1:lbw=" + ",".join(map(str, numbers))) == listed
    assert Adapter(name="foo", blocks={"base": 0.5, "in05": 0.0, "m00": 1.0}).blocks == listed.blocks
    assert {count: len(set(names)) for count, names in BLOCK_LISTS.items()} == {
        17: 17,
        12: 12,
        26: 26,
        20: 20,
    }


@pytest.mark.parametrize("blocks", [[1.0] * 5, {"IN4": 1.0}, {"OUT04": 11.0}, {"MID": "1"}, "IN04"])
def test_other_blocks_are_refused(blocks):
    with pytest.raises(ValidationError):
        Adapter(name="foo", blocks=blocks)


def test_weights_have_bounds():
    for field in ("weight", "text_weight"):
        for value in (10.5, -10.5, float("nan"), True, "1"):
            with pytest.raises(ValidationError):
                Adapter.model_validate({"name": "foo", field: value})
    for digest in ("abc", "g" * 12, "a" * 65):
        with pytest.raises(ValidationError):
            Embedding(name="foo", digest=digest)


def test_marks_say_the_weights():
    assert mark(FOO) == "<lora:foo:0.8:0.6>"
    assert mark(FOO.model_copy(update={"weight": 0.8})) == "<lora:foo:0.8>"
    assert mark(FOO.model_copy(update={"name": "a:b"})) is None
    assert read_mark("foo:0.8:0.6") == Adapter(name="foo", weight=0.6, text_weight=0.8)


def test_what_was_asked_for_can_be_asked_for_again():
    word = ResolvedEmbedding(name="bad", digest=DIGEST, hash=DIGEST[:12])
    asked = asked_adapters(ResolvedAdapters(adapters=(FOO,), embeddings=(word,)))
    assert asked == AdaptersPart(
        adapters=(Adapter(name="foo", weight=0.6, text_weight=0.8, digest=DIGEST),),
        embeddings=(Embedding(name="bad", digest=DIGEST),),
    )
    with pytest.raises(ValidationError):
        ResolvedAdapters()
    assert "blocks" not in FOO.model_dump()


def test_words_are_whole_words():
    names = ["BadHand", "bad", "über", "a-b", "not there"]
    assert words_of("a (badhand:1.2), <ÜBER> and a-b, badly", names) == ["BadHand", "über", "a-b"]
    assert words_of("bad hand", names) == ["bad"]
    assert words_of("<lora:bad:1>", names) == []
    assert words_of("anything", []) == []


def test_a_word_in_angles_is_found_with_them():
    pattern = word_pattern(["cat", "cat-toy"])
    found = [(match.group(), match[1]) for match in pattern.finditer("<cat-toy> cat, <cat <concat>")]
    assert found == [("<cat-toy>", "cat-toy"), ("cat", "cat"), ("<cat", "cat")]
