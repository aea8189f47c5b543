"""The words of the tab Edit."""

import pytest

from page_texts import is_said
from sfumato.serving.studio.edit_texts import EDIT
from sfumato.serving.studio.words import ENGLISH


@pytest.mark.parametrize("name", EDIT)
def test_the_page_says_each_of_them_somewhere(name: str) -> None:
    assert ENGLISH[name] == EDIT[name]
    assert is_said(name)
    assert not is_said(f"{name}x".replace("_", ""))
