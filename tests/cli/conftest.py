"""A command line to call in this process: in an empty folder, with the tiny model under the name "tiny"."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sfumato.cli.app import run
from tiny_models import tiny_folder


@dataclass(frozen=True)
class Ran:
    """How a command ended, and what it wrote to stdout and stderr."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("SFUMATO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SFUMATO_MODELS", str(tiny_folder().parent))
    monkeypatch.setenv("SFUMATO_BACKEND", "torch")
    monkeypatch.setenv("SFUMATO_DEVICE", "cpu")
    monkeypatch.setenv("NO_COLOR", "1")
    return folder


@pytest.fixture
def sfumato(here: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Run one command line: `sfumato("show", "frog.png")`."""

    def command(*arguments: str | Path) -> Ran:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return Ran(code, said.out, said.err)

    return command


@pytest.fixture
def frog(sfumato: Callable[..., Ran], here: Path) -> Path:
    """A picture of the tiny model, number 1 of a run of 2."""
    ran = sfumato(
        *("generate", "a frog", "--model", "tiny", "--seed", "7", "--count", "2", "--steps", "2"),
        *("--negative", "snow", "--mix", "a rabbit:0.25"),
    )
    assert ran.code == 0, ran.err
    assert ran.out == "a-frog-7.png\na-frog-8.png\n"
    return here / "a-frog-8.png"


@pytest.fixture
def photo(here: Path) -> Path:
    """A smooth picture of the tiny model's size, half of it red."""
    rows, columns = np.mgrid[:64, :64] / 63
    pixels = np.stack([200 * (columns < 0.5) + 30, 60 + 120 * rows, 80 + 90 * columns], axis=-1)
    Image.fromarray(pixels.astype(np.uint8)).save(here / "photo.png")
    return here / "photo.png"


@pytest.fixture
def bad(sfumato: Callable[..., Ran], here: Path) -> Callable[..., str]:
    """Run a command that must be refused: exit code 2, one line, nothing on stdout, nothing written."""

    def refused(*arguments: str | Path) -> str:
        before = sorted(here.rglob("*"))
        ran = sfumato(*arguments)
        assert ran.code == 2, ran
        assert ran.out == ""
        assert ran.err.startswith("error: ")
        assert ran.err.count("\n") == 1
        assert sorted(here.rglob("*")) == before
        return ran.err

    return refused
