"""What the pages say is true: their Python runs, their commands are taken, their links lead somewhere."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

import help_page
from sfumato.cli.app import run
from sfumato.samplers.solvers import SOLVERS
from sfumato.samplers.spacings import SPACINGS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
CURRENT = [page for page in PAGES if "decisions" not in page.parts]  # decisions are history

# What draws and looks, in the order a reader would run it; training and scoring take longer and have tests of
# their own.
RUNNABLE = {"generate", "redo", "verify", "show", "models", "samplers"}
WALKED = [ROOT / "README.md", ROOT / "docs" / "tutorial.md"]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, *languages: str) -> list[tuple[int, str]]:
    """Return the fenced blocks in one of `languages` ("" for none), each with its first line's number."""
    found: list[tuple[int, str]] = []
    opened: tuple[str, int] | None = None
    inside: list[str] = []
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.startswith("```"):
            inside.append(line)
        elif opened is None:
            opened, inside = (line[3:].strip(), number + 1), []
        else:
            if opened[0] in languages:
                found.append((opened[1], "\n".join(inside)))
            opened = None
    assert opened is None, "a fence is not closed"
    return found


def commands(page: Path) -> list[list[str]]:
    """Return the `sfumato` commands of a page's blocks as words; what follows a pipe or ">" is kept."""
    lines = [line for _, block in blocks(page, "", "sh") for line in block.splitlines()]
    split = [shlex.split(line, comments=True) for line in lines]
    return [words for words in split if words and words[0] == "sfumato"]


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in that has the repository's recipes, as a reader's has."""
    folder = tmp_path / "reader"
    folder.mkdir()
    (folder / "recipes").symlink_to(ROOT / "recipes")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("SFUMATO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SFUMATO_MODELS", "")
    monkeypatch.setenv("SFUMATO_DEVICE", "cpu")
    monkeypatch.setenv("NO_COLOR", "1")
    return folder


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=name_of)
def test_python_runs_from_the_top_of_a_page_to_its_end(page: Path, reader: Path) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    for number, code in blocks(page, "python"):
        # Blank lines in front, so that a traceback names the line of the page.
        exec(compile("\n" * (number - 1) + code, str(page), "exec"), names)


@pytest.mark.parametrize("page", WALKED, ids=name_of)
def test_the_commands_of_a_page_run_in_its_order(
    page: Path, reader: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in commands(page):
        words, target = (words[: words.index(">")], words[-1]) if ">" in words else (words, None)
        if words[1] not in RUNNABLE or any(word.startswith("runs/") for word in words):
            continue
        quick = ["--steps", "1"] if words[1] in ("generate", "redo") else []
        capsys.readouterr()
        code = run([*words[1:], *quick])  # a repeated option counts the last time
        said = capsys.readouterr()
        assert code == 0, (words, said.err)
        if target is not None:
            (reader / target).write_text(said.out, encoding="utf-8")


@pytest.mark.parametrize("page", [page for page in CURRENT if commands(page)], ids=name_of)
def test_the_command_line_takes_every_command(page: Path) -> None:
    known = help_page.commands()
    for words in commands(page):
        for stop in ("|", ">"):
            words = words[: words.index(stop)] if stop in words else words
        if words[1].startswith("-"):
            continue
        command = known[words[1]]
        if "--help" not in words:
            command.make_context(words[1], words[2:])  # parses, and runs nothing


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", text):
        path, _, anchor = link.partition("#")
        target = page if not path else (page.parent / path).resolve()
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        if anchor:
            assert anchor in anchors(target), link


@pytest.mark.parametrize("page", CURRENT, ids=name_of)
def test_paths_named_in_a_page_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"(?<![\w/.-])(?:src|tests|docs|recipes|examples)/[\w./-]*\w", text)
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_samplers_are_as_the_page_says() -> None:
    page = (ROOT / "docs" / "reference" / "samplers.md").read_text(encoding="utf-8")
    for row in SOLVERS.values():
        order = "" if row.order is None else f"{row.order} "
        facts = f"| `{row.name}` | {row.label} | {row.evaluations} | {row.noise} | {order}|"
        assert facts in page
    for spacing in SPACINGS.values():
        assert f"| `{spacing.name}` | {spacing.label} |" in page


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
