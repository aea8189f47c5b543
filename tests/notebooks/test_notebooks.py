"""The notebooks: valid, without anybody's outputs, and every cell runs that needs no network."""

import ast
import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
NETWORK = "network"  # the tag of cells that are for people alone


def cells(notebook: Path) -> list[dict[str, Any]]:
    return json.loads(notebook.read_text(encoding="utf-8"))["cells"]


def source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, value in (
        ("SFUMATO_HOME", str(tmp_path / "home")),
        ("SFUMATO_MODELS", ""),
        ("SFUMATO_DEVICE", "cpu"),
        ("SFUMATO_OFFLINE", "1"),
        ("GRADIO_TEMP_DIR", str(tmp_path / "gradio")),
        ("TMPDIR", str(tmp_path)),
    ):
        monkeypatch.setenv(name, value)
    return tmp_path


def test_there_are_two() -> None:
    assert [one.name for one in NOTEBOOKS] == ["how_diffusion_works.ipynb", "sfumato_colab.ipynb"]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.name)
def test_it_is_a_notebook_of_format_4_5(notebook: Path) -> None:
    """What nbformat's schema of 4.5 asks for, and no outputs."""
    book = json.loads(notebook.read_text(encoding="utf-8"))
    assert set(book) == {"cells", "metadata", "nbformat", "nbformat_minor"}
    assert (book["nbformat"], book["nbformat_minor"]) == (4, 5)
    assert set(book["metadata"]["kernelspec"]) == {"display_name", "language", "name"}
    names = [cell["id"] for cell in book["cells"]]
    assert len({*names}) == len(names)
    for cell in book["cells"]:
        fields = {"cell_type", "id", "metadata", "source"}
        assert 1 <= len(cell["id"]) <= 64
        assert set(cell["id"]) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_")
        assert cell["cell_type"] in ("markdown", "code")
        if cell["cell_type"] == "code":
            fields |= {"execution_count", "outputs"}
            assert (cell["execution_count"], cell["outputs"]) == (None, [])
        assert set(cell) == fields
        assert all(isinstance(line, str) for line in cell["source"])
        assert all(line.endswith("\n") for line in cell["source"][:-1])


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.name)
def test_what_needs_a_network_says_so(notebook: Path) -> None:
    for cell in cells(notebook):
        if cell["cell_type"] == "code":
            fetches = any(line.startswith(("%pip", "!")) for line in source(cell).splitlines())
            assert fetches is (NETWORK in cell["metadata"].get("tags", ()))


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.name)
def test_every_other_cell_runs(notebook: Path, reader: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    shown: list[str] = []
    for number, cell in enumerate(cells(notebook)):
        if cell["cell_type"] != "code" or NETWORK in cell["metadata"].get("tags", ()):
            continue
        run(source(cell), f"{notebook.name}[{number}]", names, shown)
    assert shown
    if "studio" in names:
        assert sum("<iframe" in one for one in shown) == 2
        assert names["studio"].dressed.look.title == "By the sea"
    else:
        assert any("data:image/gif;base64,R0lGOD" in one for one in shown)


def test_the_look_of_the_notebook_has_twelve_lines_and_can_be_read(reader: Path) -> None:
    from sfumato.serving.studio.check import problems_of
    from sfumato.serving.studio.look import read_look

    (code,) = [
        source(one)
        for one in cells(ROOT / "notebooks" / "sfumato_colab.ipynb")
        if "write_text" in source(one)
    ]
    toml = next(
        node.value
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "[words]" in node.value
    )
    assert len(toml.strip().splitlines()) == 12
    (reader / "studio.toml").write_text(toml, encoding="utf-8")
    (reader / "sea.png").write_bytes((ROOT / "docs" / "images" / "first-weights.png").read_bytes())
    assert problems_of(read_look(reader)) == ()


def run(code: str, name: str, names: dict[str, Any], shown: list[str]) -> None:
    """Run a cell as a notebook does, whose last expression is shown, and keep what it shows as HTML."""
    tree = ast.parse(code, name)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, name, "exec"), names)
    if isinstance(last, ast.Expr):
        value = eval(compile(ast.Expression(last.value), name, "eval"), names)
        if hasattr(value, "_repr_html_"):
            shown.append(value._repr_html_())
