import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import sfumato as package
from sfumato.cli.app import app, run

COMMANDS = [
    "generate",
    "grid",
    "morph",
    "redo",
    "verify",
    "show",
    "upscale",
    "compile",
    "convert",
    "merge",
    "train",
    "evaluate",
    "evaluate-edits",
    "models",
    "studio",
    "samplers",
    "doctor",
    "bench",
]


def test_every_command_is_there_and_shows_examples_in_its_help(sfumato: Any) -> None:
    names = [command.callback.__name__ for command in app.registered_commands if command.callback]
    assert [name.replace("_", "-") for name in names] == COMMANDS
    ran = sfumato("--help")
    assert ran.code == 0
    for command in COMMANDS:
        assert command in ran.out
        text = sfumato(command, "--help").out
        examples = text.partition("Examples")[2]
        assert f"$ sfumato {command}" in examples
        assert "--json" in text


def test_no_arguments_are_a_question_for_help(sfumato: Any) -> None:
    assert sfumato() == sfumato("-h") == sfumato("--help")


def test_version(sfumato: Any) -> None:
    assert sfumato("--version").out == f"sfumato {package.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["generat"], "Did you mean 'generate'? See: sfumato --help"),
        (["generate", "x", "--step", "3"], "--steps"),
        (["generate", "x", "--seed"], "See: sfumato generate --help"),
        (["redo"], "PICTURE"),
        (["show", "a.png", "b.png"], "b.png"),
    ],
)
def test_a_wrong_command_line_is_one_line(arguments: list[str], said: str, bad: Any) -> None:
    assert said in bad(*arguments)


def test_a_fault_of_ours_keeps_its_traceback(sfumato: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # A file of ours that does not import is as broken as a program can be.
    monkeypatch.setitem(sys.modules, "sfumato.samplers.spacings", None)
    ran = sfumato("samplers")
    assert ran.code == 1
    assert "Traceback" in ran.err
    assert "report" in ran.err.splitlines()[-1]


def test_a_reader_that_has_enough_ends_it_quietly(here: Path) -> None:
    script = f"{sys.executable} -m sfumato samplers | head -n 1"
    ran = subprocess.run(["sh", "-c", script], capture_output=True, text=True)
    assert ran.stdout.startswith("SAMPLER")
    assert ran.stderr == ""


def test_a_reader_that_left_does_not_stop_the_drawing(here: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "sfumato", "generate", "x", "--model", "tiny", "--steps", "1"]
    try:
        ran = subprocess.run([*command, "--count", "3"], stdout=writing, stderr=subprocess.PIPE, text=True)
        listed = subprocess.run([*command[:3], "samplers"], stdout=writing, stderr=subprocess.PIPE, text=True)
    finally:
        os.close(writing)
    assert ran.returncode == 0, ran.stderr
    assert len(list(here.glob("x-*.png"))) == 3
    assert (listed.returncode, listed.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux only")
def test_a_full_disk_behind_stdout_is_one_line(here: Path) -> None:
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(
            [sys.executable, "-m", "sfumato", "samplers"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert ran.returncode == 2
    assert ran.stderr.startswith("error: stdout: cannot be written: No space left on device.")
    assert ran.stderr.count("\n") == 1


def test_a_closed_stderr_leaves_stdout_alone(here: Path) -> None:
    script = f"{sys.executable} -m sfumato show missing.png 2>&-"
    ran = subprocess.run(["sh", "-c", script], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (2, "")


def test_no_stdout_at_all_is_no_fault(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert run(["samplers"]) == 0


def test_looking_around_loads_no_torch(here: Path) -> None:
    code = (
        "import sys\nfrom sfumato.cli.app import run\n"
        "commands = ['samplers'], ['models'], ['show', 'missing.png'], ['show', '--help']\n"
        "assert [run(command) for command in commands] == [0, 0, 2, 0]\n"
        "assert not {'torch', 'diffusers', 'transformers'} & set(sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
