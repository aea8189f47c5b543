from edit_desk import desk, rendered, tiny_desk
from judged import needs_font
from sfumato.evaluation.edits import mix
from sfumato.evaluation.edits.desk import Seen
from sfumato.evaluation.edits.mix import BOTH, FIRST, KNOWN, NEVER, ONE, REAL, SINGLE
from sfumato.recipe.parts import MixPart, TextPart
from sfumato.scenes.scene import Scene, held_out


def seen(*objects: str) -> Seen:
    return Seen((objects[0], objects[1]), "day", "plain")


def test_both_are_the_two_likeliest_in_either_order_or_only_one_is() -> None:
    singles = [seen("frog", "key"), seen("dog", "rabbit")]
    found = mix.values(seen("rabbit", "frog"), seen("key", "ring"), singles, FIRST)
    assert found == {BOTH: 1.0, ONE: 1.0, SINGLE: 0.5, REAL: 0.0}
    found = mix.values(seen("key", "frog"), seen("frog", "rabbit"), singles, FIRST)
    assert found == {BOTH: 0.0, ONE: 1.0, SINGLE: 0.5, REAL: 1.0}
    assert mix.values(seen("key", "ring"), seen("key", "ring"), singles, FIRST)[ONE] == 0.0


@needs_font
def test_two_things_beside_each_other_are_both_seen_and_one_alone_is_not_two() -> None:
    pair = desk().look(rendered(Scene(("frog", "rabbit"), "white", relation="left of")))
    frog = desk().look(rendered(Scene(("frog",), "white")))
    assert mix.values(pair, pair, [frog, frog], FIRST) == {BOTH: 1.0, ONE: 1.0, SINGLE: 0.5, REAL: 1.0}
    assert mix.values(frog, frog, [frog, frog], FIRST)[BOTH] == 0.0


def test_each_mode_is_a_recipe_of_its_own() -> None:
    texts = [TextPart(prompt="a frog"), TextPart(prompt="a rabbit")]
    (text,) = mix.parts_of(FIRST, texts, "words")
    assert text == TextPart(prompt="a frog mixed with a rabbit on a white background")
    for mode in ("branches", "embeddings"):
        first, part = mix.parts_of(FIRST, texts, mode)
        assert first == texts[0]
        assert isinstance(part, MixPart)
        assert (part.mode, part.prompts[0].prompt, part.prompts[0].ratio) == (mode, "a rabbit", 0.5)
    _, part = mix.parts_of(FIRST, texts, "best")
    assert isinstance(part, MixPart)
    assert part.mode is None


@needs_font
def test_half_of_the_pairs_were_never_trained_on_and_modes_have_the_same_ones() -> None:
    found = {mode: list(mix.cases(tiny_desk(), 1, mode=mode)) for mode in ("branches", "embeddings", "words")}
    titles = [[case.title for case in cases] for cases in found.values()]
    assert titles[0][0] == "frog + rabbit"
    assert titles[0] == titles[1] == titles[2]
    for cases in found.values():
        assert [case.group for case in cases] == [KNOWN, NEVER]
        names = cases[1].title.split(" + ")
        assert held_out(Scene((names[0], names[1]), "white"))
    mixed = {mode: cases[0].pictures[1].pixels.tobytes() for mode, cases in found.items()}
    assert len(set(mixed.values())) == 3
