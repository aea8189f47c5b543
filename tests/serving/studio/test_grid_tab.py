"""The table of a grid, and the form as the page fills it."""

from dataclasses import replace
from pathlib import Path

import pytest

from sfumato.errors import RecipeError
from sfumato.imaging.sheet import Labels, Layout
from sfumato.serving.studio.forms import Create
from sfumato.serving.studio.grid_forms import Direction, Grid, cells_of_grid
from sfumato.serving.studio.grid_tab import FORM, form_of, nothing_yet, shape_of, table_of
from sfumato.serving.studio.look import Look
from sfumato.serving.studio.words import words_of
from tiny_models import tiny_folder, tiny_settings

WORDS = words_of(Look())
EMPTY = dict.fromkeys(FORM) | {"style": "as it is", "model": "bundled"}


def test_labels_stand_over_columns_and_before_rows() -> None:
    layout = Layout("a frog", "seed 7", Labels("steps", ("2", "4")), Labels("seed", ("1", "2")))
    table = table_of(layout, {(0, 1, 0): "<img>"})
    assert table.count("<td><div><img></div></td>") == 1
    assert table.index("seed </span>2") < table.index("<img>")
    column, row = (f'<th scope="{scope}"><span>' for scope in ("col", "row"))
    for one in (f"{column}steps </span>4</th>", f"{row}seed </span>1</th>", "<caption>a frog<br>seed 7"):
        assert one in table
    assert "<tr><td></td><th" in table
    assert 'scope="row"' not in table_of(Layout("a", "b", Labels("steps", ("2",))), {})


def test_every_cell_has_its_place_before_its_picture() -> None:
    layout = Layout("a frog", "seed 7", Labels("steps", ("2", "4", "8")), Labels("seed", ("1", "2")))
    empty = table_of(layout, {}, "128 / 64")
    assert empty.count("<td><div></div></td>") == 6
    assert '--sf-columns: 3; --sf-head: 7rem; --sf-shape: 128 / 64"' in empty
    assert '<col class="sf-head"><col span="3">' in empty
    one = table_of(Layout("a", "b", Labels("steps", ("2",))), {})
    assert "--sf-head: 0rem" in one
    assert 'class="sf-head"' not in one
    assert WORDS("grid_nothing") in nothing_yet(WORDS)


def test_cells_have_room_for_the_largest_picture(tmp_path: Path) -> None:
    form = Grid(Create("a frog", seed=1), Direction("model", "bundled,tiny"))
    _, cells = cells_of_grid(form, replace(tiny_settings(tiny_folder().parent), data_dir=tmp_path))
    sizes = [(one.resolved.width, one.resolved.height) for one in cells]
    assert shape_of(cells) == " / ".join(str(max(one)) for one in zip(*sizes, strict=True))


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
