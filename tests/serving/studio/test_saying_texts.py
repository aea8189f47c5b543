"""The words of what the page says to be helpful."""

import pytest

from page_texts import is_said
from sfumato.serving.studio.saying_texts import SAYING


@pytest.mark.parametrize("name", SAYING)
def test_every_word_is_said_somewhere(name: str) -> None:
    assert is_said(name)
