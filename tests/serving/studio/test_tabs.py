"""The table of tabs."""

from pathlib import Path

import pytest

from sfumato.errors import RecipeError
from sfumato.serving.studio.build import builder_of
from sfumato.serving.studio.look import FILE, Look, read_look
from sfumato.serving.studio.tabs import TABS
from sfumato.serving.studio.words import ENGLISH


@pytest.mark.parametrize("name", TABS)
def test_each_has_what_builds_it_and_a_word(name: str) -> None:
    assert builder_of(name).__module__.endswith(TABS[name])
    assert f"tab_{name}" in ENGLISH


def test_looks_have_all_of_them_and_name_no_other(tmp_path: Path) -> None:
    assert Look().tabs == tuple(TABS)
    (tmp_path / FILE).write_text('tabs = ["galery"]')
    with pytest.raises(RecipeError, match="Did you mean gallery"):
        read_look(tmp_path)
