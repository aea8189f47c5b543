"""Two pictures, and what differs in their settings."""

from collections.abc import Iterator
from html import unescape

import pytest

from sfumato.errors import PictureError
from sfumato.serving.desk import Desk
from sfumato.serving.gallery import Kept
from sfumato.serving.studio.comparing import NOTHING, compared_of, differences_of, waiting_of
from sfumato.serving.studio.forms import varied
from sfumato.serving.studio.look import Look
from sfumato.serving.studio.words import words_of
from tiny_studio import drawn, frog, open_tiny_desk

NASTY = '"><img src=x onerror=alert(1)><script>alert(1)</script>'
WORDS = words_of(Look())


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with open_tiny_desk(tmp_path_factory.mktemp("home")) as desk:
        yield desk


def between(desk: Desk, first: Kept, second: Kept) -> dict[str, tuple[str, str]]:
    rows = differences_of(desk.gallery.resolved(first), desk.gallery.resolved(second))
    return {name: (one, other) for name, one, other in rows}


def test_only_what_differs_is_told_with_both_values(desk: Desk) -> None:
    first = drawn(desk, frog(steps=2, guidance=4.5))
    second = drawn(desk, frog(prompt="a fox", steps=3, guidance=4.5, seed=9))
    assert between(desk, first, second) == {
        "steps": ("2", "3"),
        "seed": ("7", "9"),
        "text.prompt": ("a frog", "a fox"),
    }


def test_a_part_that_one_has_alone_stands_beside_nothing(desk: Desk) -> None:
    found = between(desk, drawn(desk), drawn(desk, varied(frog(), 0.3)))
    assert found["variation.strength"] == (NOTHING, "0.3")
    assert set(found) == {"variation.strength", "variation.seed"}


def test_pictures_of_one_run_differ_in_their_seeds_alone(desk: Desk) -> None:
    drawn(desk, frog(count=2))
    second, first = desk.gallery.search("me", limit=2)
    assert between(desk, first, second) == {"seed": ("7", "8")}


def test_two_that_are_the_same_say_so(desk: Desk) -> None:
    html = compared_of(desk, WORDS, drawn(desk), drawn(desk))
    assert WORDS("compare_same") in html
    assert "<table" not in html


def test_pictures_of_one_shape_lie_over_each_other(desk: Desk) -> None:
    html = compared_of(desk, WORDS, drawn(desk), drawn(desk, frog(seed=8)))
    assert html.count("<img ") == 2
    assert 'type="range"' in html
    assert 'aria-pressed="true"' in html
    assert '<th scope="row">seed</th><td>7</td><td>8</td>' in html


def test_pictures_of_other_shapes_stand_side_by_side(desk: Desk) -> None:
    html = compared_of(desk, WORDS, drawn(desk), drawn(desk, frog(width=96)))
    assert html.count("<img ") == 2
    assert 'type="range"' not in html
    assert "sf-over" not in html
    assert '<th scope="row">width</th><td>64</td><td>96</td>' in html


def test_nothing_of_a_prompt_can_act(desk: Desk) -> None:
    html = compared_of(desk, WORDS, drawn(desk, frog(prompt=NASTY)), drawn(desk))
    assert "<script" not in html
    assert "<img src=x" not in html
    assert NASTY in unescape(html)


def test_long_values_are_cut(desk: Desk) -> None:
    html = compared_of(desk, WORDS, drawn(desk, frog(prompt="x" * 50_000)), drawn(desk))
    assert "x" * 600 in html
    assert "x" * 601 not in html


def test_a_damaged_picture_is_an_error_of_ours(desk: Desk) -> None:
    whole, damaged = drawn(desk), drawn(desk)
    damaged.path.write_bytes(b"no picture")
    with pytest.raises(PictureError):
        compared_of(desk, WORDS, whole, damaged)


def test_it_is_said_that_one_is_still_missing() -> None:
    assert WORDS("compare_choose") in waiting_of(WORDS)
