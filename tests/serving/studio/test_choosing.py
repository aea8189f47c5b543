"""Several pictures chosen at once: what the page says, and what its script tells, which anybody may send."""

from types import SimpleNamespace
from typing import Any

import pytest

from sfumato.serving.studio.choosing import MOST_MARKED, clicked, found_line, marks_of, with_all
from sfumato.serving.studio.look import Look
from sfumato.serving.studio.words import words_of

WORDS = words_of(Look())
PAGE = (50, 40, 30)


def event(**said: Any) -> Any:
    return SimpleNamespace(**said)


def test_a_click_says_all_of_its_page_and_leaves_other_pages_alone() -> None:
    assert clicked(event(places=[0, 2], sent=4), PAGE, (99, 40)) == ((99, 50, 30), 4)
    assert clicked(event(places=[], sent=5), PAGE, (99, 40)) == ((99,), 5)


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"places": None, "sent": 1},
        {"places": ["<img>"], "sent": 1},
        {"places": [[1]], "sent": 1},
        {"places": [1], "sent": "x"},
        {"sent": 1},
    ],
)
def test_what_no_script_of_ours_says_does_nothing(said: dict[str, Any]) -> None:
    assert clicked(event(**said), PAGE, (99, 40)) == ((99, 40), 0)


def test_places_that_there_are_not_are_left_out_and_never_too_many() -> None:
    assert clicked(event(places=[-1, 3, 10**9, 1], sent=1), PAGE, ()) == ((40,), 1)
    full = tuple(range(1000, 1000 + MOST_MARKED))
    assert clicked(event(places=[0, 1, 2], sent=1), PAGE, full)[0] == full
    assert with_all((1, 2, 1), (2, 3)) == (2, 3, 1)
    assert WORDS("several_most") in marks_of(PAGE, full, WORDS)


def test_the_marks_say_how_many_and_which_of_the_page() -> None:
    shown = marks_of(PAGE, (99, 30), WORDS, sent=7)
    assert 'data-marked="[2]"' in shown
    assert 'data-sent="7"' in shown
    assert "Chosen: 2" in shown
    assert 'role="status"' in shown
    nothing = marks_of(PAGE, (), WORDS)
    assert 'data-marked="[]"' in nothing
    assert "data-sent" not in nothing
    assert WORDS("several_about") in nothing


@pytest.mark.parametrize(
    ("total", "page", "asked", "line"),
    [
        (0, 1, False, "Nothing here yet."),
        (0, 1, True, "No picture is like that."),
        (1, 1, True, "1 picture"),
        (48, 1, False, "48 pictures"),
        (4545, 3, False, "4,545 pictures · page 3 of 95"),
        (49, 3, False, "49 pictures · page 3 of 3"),  # some are gone meanwhile
    ],
)
def test_it_is_said_how_many_there_are(total: int, page: int, asked: bool, line: str) -> None:
    assert f">{line}</p>" in found_line(total, page, 48, WORDS, asked=asked)
