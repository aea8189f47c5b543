import time

import pytest
from hypothesis import given

from recipe.strategies import any_text, quick
from sfumato.recipe.syntax import (
    MAX_PARTS,
    MAX_WEIGHT,
    Alternate,
    And,
    Break,
    Close,
    Edit,
    Next,
    ParsedPrompt,
    Text,
    Weight,
    clean_text,
    escape,
    parse,
    render,
)


def marks(text):
    return list(parse(text).marks)


def test_plain_text_is_one_text():
    assert parse("a red fox") == ParsedPrompt((Text("a red fox"),), (1.0,))
    assert parse("") == ParsedPrompt((), (1.0,))


@pytest.mark.parametrize(
    ("text", "factor"),
    [
        ("(fox)", 1.1),
        ("(fox:1.3)", 1.3),
        ("(fox : 1.3 )", 1.3),
        ("(fox:.5)", 0.5),
        ("(fox:-2)", -2.0),
        ("(fox:0)", 0.0),
        ("[fox]", 1 / 1.1),
        ("(fox:99999)", MAX_WEIGHT),
    ],
)
def test_weights(text, factor):
    weight, inner, close = marks(text)
    assert weight == Weight(factor)
    assert inner.text.strip() == "fox"
    assert close == Close()


def test_only_the_last_number_is_a_weight():
    assert marks("(at 12:30:1.2)") == [Weight(1.2), Text("at 12:30"), Close()]
    assert marks("(at 12:30 sharp)") == [Weight(1.1), Text("at 12:30 sharp"), Close()]
    assert marks("(fox:1.2.3)") == [Weight(1.1), Text("fox:1.2.3"), Close()]
    assert marks("(fox:nan)") == [Weight(1.1), Text("fox:nan"), Close()]


def test_edits():
    assert marks("[a:b:0.4]") == [Edit(0.4, False), Text("a"), Next(), Text("b"), Close()]
    assert marks("[a:b:8]") == [Edit(8.0, True), Text("a"), Next(), Text("b"), Close()]
    assert marks("[a:0.4]") == [Edit(0.4, False), Next(), Text("a"), Close()]
    assert marks("[a::0.4]") == [Edit(0.4, False), Text("a"), Next(), Close()]
    # More than two colons, or no number at the end: less attention, as in A1111.
    assert marks("[a:b:c:0.4]") == [Weight(1 / 1.1), Text("a:b:c:0.4"), Close()]
    assert marks("[a:b]") == [Weight(1 / 1.1), Text("a:b"), Close()]


def test_alternation():
    assert marks("[a|b|]") == [Alternate(3), Text("a"), Next(), Text("b"), Next(), Close()]
    assert marks("a|b") == [Text("a|b")]
    assert marks("(a|b)") == [Weight(1.1), Text("a|b"), Close()]


def test_groups_nest():
    assert marks("[(a:2):[b|c]:0.5]") == [
        Edit(0.5, False),
        *(Weight(2.0), Text("a"), Close()),
        Next(),
        *(Alternate(2), Text("b"), Next(), Text("c"), Close()),
        Close(),
    ]


@pytest.mark.parametrize("text", ["(fox", "fox)", "((fox", ":)", "[fox", "fox]", ")fox(", "a ( b [ c"])
def test_a_bracket_without_its_partner_is_a_character(text):
    assert marks(text) == [Text(text)]


def test_a_closing_bracket_finds_its_kind():
    assert marks("(a [b) c]") == [Weight(1.1), Text("a [b"), Close(), Text(" c]")]
    assert marks("[a (b|c]") == [Alternate(2), Text("a (b"), Next(), Text("c"), Close()]


def test_and_separates_parts_outside_groups():
    assert parse("a cat :0.5 AND  a dog AND sky:-1.5 ") == ParsedPrompt(
        (Text("a cat"), And(), Text("a dog"), And(), Text("sky")), (0.5, 1.0, -1.5)
    )
    assert marks("(a AND b)") == [Weight(1.1), Text("a AND b"), Close()]
    assert marks("SAND and ANDES") == [Text("SAND and ANDES")]
    # Without AND a number at the end is part of the text.
    assert parse("at 12:30") == ParsedPrompt((Text("at 12:30"),), (1.0,))


def test_parts_are_bounded():
    parsed = parse(" AND ".join("x" * (MAX_PARTS + 5)))
    assert len(parsed.weights) == MAX_PARTS
    assert parsed.marks[-1] == Text("x AND x AND x AND x AND x AND x")


def test_break_starts_a_block_everywhere():
    assert marks("a  BREAK\nb") == [Text("a"), Break(), Text("b")]
    assert marks("(a BREAK b:1.5)") == [Weight(1.5), Text("a"), Break(), Text("b"), Close()]


def test_escapes():
    assert marks(r"\(a\) \[b\] \\ \: \| \AND \BREAK") == [Text(r"(a) [b] \ : | AND BREAK")]
    assert marks(r"(a\):1.2)") == [Weight(1.2), Text("a)"), Close()]
    assert marks(r"\n \ANDY") == [Text(r"\n \ANDY")]


def test_surrogates_become_valid_text():
    assert clean_text("\ud83e\udd8a") == "🦊"
    assert clean_text("a\ud800b") == "a\ufffdb"
    assert clean_text("é\x00") == "é\x00"
    assert marks("(\udfff)") == [Weight(1.1), Text("\ufffd"), Close()]


@quick
@given(any_text)
def test_normal_form_means_the_same(text):
    parsed = parse(text)
    assert parse(render(parsed)) == parsed
    assert render(parse(render(parsed))) == render(parsed)


@quick
@given(any_text)
def test_escaped_text_is_taken_literally(text):
    expected = (Text(clean_text(text)),) if text else ()
    assert parse(escape(text)) == ParsedPrompt(expected, (1.0,))


@quick
@given(any_text)
def test_groups_are_balanced(text):
    open_groups = []
    for mark in parse(text).marks:
        match mark:
            case Weight():
                open_groups.append(0)
            case Edit():
                open_groups.append(1)
            case Alternate(count):
                open_groups.append(count - 1)
            case Next():
                open_groups[-1] -= 1
            case Close():
                assert open_groups.pop() == 0
            case And():
                assert not open_groups
    assert not open_groups


HOSTILE = {
    "open": "(",
    "square": "[",
    "pairs": "()",
    "interleaved": "([)]",
    "edits": "[a:b:0.3]",
    "bars": "[a|",
    "colons": "(:",
    "numbers": "(a:1",
    "spaces": " ",
    "breaks": " BREAK",
    "ands": " AND a:1",
    "escapes": "\\",
    "digits": "(1:9",
}


@pytest.mark.parametrize("unit", HOSTILE.values(), ids=HOSTILE)
def test_time_is_linear(unit):
    """Eight times the text takes about eight times as long, not sixty-four."""

    def seconds(length):
        text = unit * (length // len(unit))
        started = time.process_time()
        parse(text)
        return time.process_time() - started

    small = min(seconds(4_000) for _ in range(3))
    large = min(seconds(32_000) for _ in range(2))
    assert large < 30 * max(small, 0.002)


def test_deep_nesting_needs_no_recursion():
    parsed = parse("(" * 20_000 + "fox" + ")" * 20_000)
    assert len(parsed.marks) == 40_001
    assert hash(parsed) == hash(parse(render(parsed)))
