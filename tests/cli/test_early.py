import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sfumato.cli.app import run
from sfumato.cli.early import begin_early
from sfumato.models.ahead import Ahead
from sfumato.models.backends.base import Work
from sfumato.models.backends.openvino.backend import OpenVinoBackend
from tiny_models import tiny_folder

TINY = ("generate", "a frog", "--model", "tiny", "--precision=f32", "--backend", "openvino")


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch) -> list[Work]:
    """What is made ready ahead, in order; it is made ready for real as well."""
    works: list[Work] = []
    prepare = OpenVinoBackend.prepare

    def noting(backend: OpenVinoBackend, work: Work) -> None:
        works.append(work)
        prepare(backend, work)

    monkeypatch.setattr(OpenVinoBackend, "prepare", noting)
    return works


def begun(*arguments: str) -> Ahead:
    ahead = begin_early(arguments)
    assert ahead is not None
    return ahead


def test_a_plain_picture_is_prepared_for(here: Path, prepared: list[Work]) -> None:
    ahead = begun(*TINY)
    assert ahead.files.folder == tiny_folder()
    assert (ahead.settings.backend, ahead.settings.dtype) == ("openvino", "float32")
    begun(*TINY, "--fast")
    assert prepared == [Work((1, 16), 2, 8, 8), Work((1, 16), 2, 8, 8, reusing=True)]


@pytest.mark.parametrize(
    "words",
    [
        ("--size", "32"),
        ("--count=2",),
        ("--mix", "a cat"),
        ("--guidance", "1"),
        ("--lora", "foo"),
        ("--negative", "a <lora:foo:1>"),
    ],
)
def test_other_shapes_wait_until_they_are_known(
    words: tuple[str, ...], here: Path, prepared: list[Work]
) -> None:
    begun(*TINY, *words)
    assert prepared == []


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("models",),
        ("generate", "--help"),
        ("generate", "--recipe", "a.toml"),
        ("generate", "a frog", "--model"),
        ("generate", "a frog", "--precision", "f33"),
        ("generate", "a frog", "--model", "nobody"),
        ("redo", "a.png"),
    ],
)
def test_nothing_is_begun_for_anything_else(arguments: tuple[str, ...], here: Path) -> None:
    assert begin_early(arguments) is None


def test_a_picture_is_the_same_with_and_without(here: Path) -> None:
    from PIL import Image

    for name, ahead in (("with.png", begun(*TINY)), ("without.png", None)):
        assert run([*TINY, "--seed", "7", "--steps", "2", "--output", name], ahead) == 0
    first, second = (np.asarray(Image.open(name)) for name in ("with.png", "without.png"))
    np.testing.assert_array_equal(first, second)


def test_the_installed_command_ends_with_the_code_and_all_its_words(here: Path) -> None:
    """It leaves without Python's own way of ending; what was said must be out by then."""
    script = (
        "import sys; from sfumato.cli import command\n"
        f"sys.argv = ['sfumato', *{list(TINY)}, '--steps', STEPS, '--output', 'a.png']\n"
        "command()"
    )
    good, bad = (
        subprocess.run(
            [sys.executable, "-c", script.replace("STEPS", repr(steps))], capture_output=True, text=True
        )
        for steps in ("1", "0")
    )
    assert (good.returncode, good.stdout) == (0, "a.png\n"), good.stderr
    assert (bad.returncode, bad.stdout) == (2, "")
    assert "steps: must be at least 1" in bad.stderr
