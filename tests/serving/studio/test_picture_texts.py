"""The words of pictures, presets and adapters."""

import pytest

from page_texts import is_said
from sfumato.serving.studio.picture_texts import PICTURES
from sfumato.serving.studio.preset_forms import BUILT_IN
from sfumato.serving.studio.words import ENGLISH


@pytest.mark.parametrize("name", PICTURES)
def test_the_page_says_each_of_them_somewhere(name: str) -> None:
    assert ENGLISH[name] == PICTURES[name]
    assert is_said(name)


def test_every_preset_of_ours_has_a_name() -> None:
    assert {f"preset_{one}" for one in BUILT_IN} <= PICTURES.keys()
