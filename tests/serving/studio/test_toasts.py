"""What toasts say is text, and nothing else of the studio makes one."""

import ast
from pathlib import Path

import gradio as gr
import pytest

import sfumato.serving
from sfumato.errors import RecipeError
from sfumato.serving.studio.toasts import refusal, tell

SOURCES = Path(sfumato.serving.__file__).parent
#: Of Gradio: what makes a toast.
MAKERS = {"Error", "Info", "Success", "Warning"}


def toasts_in(source: str) -> list[int]:
    """Return the lines in which a toast of Gradio's is named, whatever Gradio is called there."""
    nodes = [*ast.walk(ast.parse(source))]
    imported = [name for one in nodes if isinstance(one, ast.Import) for name in one.names]
    called = {name.asname or "gradio" for name in imported if name.name.split(".")[0] == "gradio"}
    found: list[int] = []
    for one in nodes:
        if isinstance(one, ast.Attribute) and one.attr in MAKERS:
            if ast.unparse(one).split(".")[0] in called:
                found.append(one.lineno)
        elif isinstance(one, ast.ImportFrom) and (one.module or "").split(".")[0] == "gradio":
            found += [one.lineno for name in one.names if name.name in MAKERS]
    return found


def test_nothing_else_makes_a_toast() -> None:
    files = sorted(SOURCES.rglob("*.py"))
    found = {one.relative_to(SOURCES).as_posix(): toasts_in(one.read_text("utf-8")) for one in files}
    assert [name for name, lines in found.items() if lines] == ["studio/toasts.py"]


@pytest.mark.parametrize(
    "source",
    [
        "import gradio as gr\nraise gr.Error('a')",
        "import gradio\ngradio.Info('a')",
        "import gradio as g\nsay = g.Warning",
        "import gradio as gr\ngr.exceptions.Error('a')",
        "x = 1\nfrom gradio.exceptions import Error as Wrong",
    ],
)
def test_whoever_does_is_found(source: str) -> None:
    assert toasts_in(source) == [2]


def test_what_is_wrong_is_text() -> None:
    error = refusal(RecipeError("is no number", field="steps", value="<b>&amp;</b>"))
    assert error.message == "steps: is no number (got '&lt;b&gt;&amp;amp;&lt;/b&gt;')"
    assert isinstance(error, gr.Error)
    assert not error.print_exception


def test_what_is_told_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    tell("left out: <img src=x>, “it's”")  # where there is no page, Gradio prints it
    assert capsys.readouterr().out.strip() == "left out: &lt;img src=x&gt;, “it's”"
