"""The notebooks: valid, with small pictures alone, and every cell runs that needs no network."""

import ast
import json
import re
import subprocess
import sys
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
        ("IPYTHONDIR", str(tmp_path / "ipython")),
        ("JUPYTER_CONFIG_DIR", str(tmp_path / "jupyter")),
        ("JUPYTER_RUNTIME_DIR", str(tmp_path / "jupyter")),
        ("PYTHONPATH", str(ROOT / "tests")),
    ):
        monkeypatch.setenv(name, value)
    return tmp_path


def test_there_are_two_small_ones() -> None:
    assert [one.name for one in NOTEBOOKS] == ["how_diffusion_works.ipynb", "sfumato_colab.ipynb"]
    assert sum(one.stat().st_size for one in NOTEBOOKS) < 500_000


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.name)
def test_it_is_a_notebook_of_format_4_5(notebook: Path) -> None:
    """What nbformat's schema of 4.5 asks for, and of outputs what a reader wants: see notebook_kernel."""
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
            assert cell["execution_count"] is None
            for shown in cell["outputs"]:
                assert shown["output_type"] in ("stream", "display_data")
                assert {*shown.get("data", {})} <= {"image/jpeg", "text/html"}
                assert shown.get("name", "stdout") == "stdout"
                assert not re.search(r"/(tmp|home|root|work)/|127\.0\.0\.1|<iframe", json.dumps(shown))
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
def test_every_other_cell_runs_in_jupyters_kernel(notebook: Path, reader: Path) -> None:
    out = reader / "out.ipynb"
    command = [sys.executable, "-m", "notebook_kernel", str(notebook), "--to", str(out)]
    done = subprocess.run(command, cwd=reader, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    shown = [
        "".join(one.get("data", {}).get("text/html", ()))
        for cell in cells(out)
        if cell["cell_type"] == "code"
        for one in cell["outputs"]
    ]
    if notebook.name.startswith("sfumato"):
        assert sum("<iframe" in one for one in shown) == 2
        assert any("data:image/webp;base64,UklGR" in one for one in shown)
    else:
        assert any("data:image/gif;base64,R0lGOD" in one for one in shown)


def test_the_cells_that_open_the_studio_may_be_run_again(reader: Path) -> None:
    """Then one studio is open, and one queue draws."""
    book = json.loads((ROOT / "notebooks" / "sfumato_colab.ipynb").read_text(encoding="utf-8"))
    codes = [one for one in book["cells"] if one["cell_type"] == "code"]
    first, restyled = (one for one in codes if "studio.show(" in source(one))
    begin = "import os\nfrom pathlib import Path\nfrom PIL import Image\nimport sfumato\n"
    begin += "settings = sfumato.Settings.from_environment(os.environ)\npicture = Image.new('RGB', (8, 8))\n"
    names = '{"sfumato-studio", "sfumato-drawing"}'
    count = (
        f"import threading\nprint(sorted(one.name for one in threading.enumerate() if one.name in {names}))"
    )

    def cell(code: str, number: int) -> dict[str, Any]:
        return {**first, "id": f"again-{number}", "source": code}

    run = [source(first), source(first), count, source(restyled), source(restyled), count]
    codes = [begin, *run, source(first), count, "studio.close()", count]
    again = reader / "again.ipynb"
    again.write_text(json.dumps({**book, "cells": [cell(one, at) for at, one in enumerate(codes)]}))
    out = reader / "out.ipynb"
    command = [sys.executable, "-m", "notebook_kernel", str(again), "--to", str(out)]
    done = subprocess.run(command, cwd=reader, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    shown = [one["outputs"] for one in cells(out) if source(one) == count]
    said = ["".join(one["text"]) for (one,) in shown]
    assert said == ["['sfumato-drawing', 'sfumato-studio']\n"] * 3 + ["[]\n"]


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


def test_what_the_studio_says_when_it_does_not_show_is_what_the_notebook_explains() -> None:
    import sfumato

    text = "".join(source(one) for one in cells(ROOT / "notebooks" / "sfumato_colab.ipynb"))
    package = Path(sfumato.__file__).parent
    said = "".join((package / one).read_text(encoding="utf-8") for one in ("studio.py", "serving/guard.py"))
    sentences = re.findall(r"\*((?:This|Colab)[^*]+)\*", text)
    assert len(sentences) == 3
    assert all(sentence in said for sentence in sentences)
