"""The table of a grid, and the form as the page fills it."""

import pytest

from sfumato.errors import RecipeError
from sfumato.imaging.sheet import Labels, Layout
from sfumato.serving.studio.forms import Create
from sfumato.serving.studio.grid_forms import Direction, Grid
from sfumato.serving.studio.grid_tab import FORM, form_of, table_of

EMPTY = dict.fromkeys(FORM) | {"style": "as it is", "model": "bundled"}


def test_labels_stand_over_columns_and_before_rows() -> None:
    layout = Layout("a frog", "seed 7", Labels("steps", ("2", "4")), Labels("seed", ("1", "2")))
    table = table_of(layout, {(0, 1, 0): "<img>"})
    assert table.count("<td><img></td>") == 1
    assert table.index("seed </span>2") < table.index("<img>")
    column, row = (f'<th scope="{scope}"><span>' for scope in ("col", "row"))
    for one in (f"{column}steps </span>4</th>", f"{row}seed </span>1</th>", "<caption>a frog<br>seed 7"):
        assert one in table
    assert "<tr><td></td><th" in table
    assert 'scope="row"' not in table_of(Layout("a", "b", Labels("steps", ("2",))), {})


def test_nothing_that_was_typed_is_markup() -> None:
    bad = "<img src=x onerror=alert(1)>"
    table = table_of(Layout(bad, bad, Labels("prompt", (bad,)), Labels("style", (bad,))), {})
    assert "<img" not in table
    assert "&lt;img" in table


def test_the_form_leaves_open_what_is_empty() -> None:
    assert form_of(EMPTY) == Grid(Create(), Direction(), Direction())
    filled = EMPTY | {
        "prompt": "a frog",
        "steps": "4",
        "seed": "7",
        "across": "seed",
        "across_values": "1..2",
    }
    assert form_of(filled) == Grid(Create(prompt="a frog", steps=4, seed=7), Direction("seed", "1..2"))
    with pytest.raises(RecipeError, match="seed: is no whole number"):
        form_of(EMPTY | {"seed": "seven"})
