"""What helps who has no mouse; tests/serving/browser/test_reach.py presses the keys."""

import re

from sfumato.serving.studio.build import style
from sfumato.serving.studio.look import Look
from sfumato.serving.studio.reach import STYLE, skip_link
from sfumato.serving.studio.words import words_of


def test_the_words_of_a_look_cannot_act() -> None:
    link = skip_link(words_of(Look(words={"skip": "<b onclick=x>"})))
    assert "&lt;b onclick=x&gt;" in link
    assert re.findall(r"<(\w+)", link) == ["a"]


def test_the_rules_are_whole_and_on_the_page() -> None:
    assert STYLE.count("{") == STYLE.count("}")
    assert STYLE in style()
