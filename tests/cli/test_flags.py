from collections.abc import Callable
from dataclasses import fields
from inspect import signature
from pathlib import Path
from typing import Any, get_args

import pytest

from sfumato.cli.bench import bench
from sfumato.cli.evaluate import evaluate
from sfumato.cli.flags import OPTIONS, Flags, describes_a_picture, settings_with
from sfumato.cli.generate import generate
from sfumato.cli.info import doctor
from sfumato.cli.redo import redo, verify


def test_settings_take_what_was_asked(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SFUMATO_BACKEND", "openvino")
    monkeypatch.setenv("SFUMATO_DTYPE", "f32")
    assert (settings_with(None, None).backend, settings_with(None, None).dtype) == ("openvino", "float32")
    asked = settings_with("torch", "bf16")
    assert (asked.backend, asked.dtype, asked.device) == ("torch", "bfloat16", "cpu")


@pytest.mark.parametrize("command", [generate, redo, verify, evaluate, bench, doctor])
def test_whatever_draws_takes_a_backend_and_a_precision(command: Callable[..., None]) -> None:
    parameters = signature(command).parameters
    assert [parameters[name].default for name in ("backend", "precision")] == [None, None]


@pytest.mark.parametrize(
    "words",
    [["generate", "x"], ["redo", "x.png"], ["verify", "x.png"], ["evaluate"], ["bench"], ["doctor"]],
    ids=lambda words: words[0],
)
def test_an_unknown_backend_or_precision_is_one_line(words: list[str], bad: Any) -> None:
    said = bad(*words, "--backend", "trch")
    assert said.startswith("error: backend: unknown name (got 'trch'). Did you mean torch?")
    assert "error: precision: unknown name (got 'f64')" in bad(*words, "--precision", "f64")


def test_there_is_an_option_for_every_flag_in_the_order_of_the_help() -> None:
    assert ["prompt", *OPTIONS] == [field.name for field in fields(Flags)]
    switches = {field.name for field in fields(Flags) if field.default is False}
    for name, option in OPTIONS.items():
        of, about = get_args(option)
        assert (of is bool) == (name in switches), name
        assert about.help, name


def test_a_command_gets_what_was_asked_as_one_value() -> None:
    seen: list[tuple[str, Flags, bool]] = []

    @describes_a_picture
    def command(picture: str, *, asked: Flags, loud: bool = False) -> None:
        """Say it."""
        seen.append((picture, asked, loud))

    assert (command.__name__, command.__doc__) == ("command", "Say it.")
    assert list(signature(command).parameters) == ["picture", *OPTIONS, "loud"]
    given: dict[str, Any] = {name: one.default for name, one in signature(command).parameters.items()}
    command(**{**given, "picture": "a.png"})
    command(
        **{**given, "picture": "b.png", "mask": "left", "region": ["a@left"], "mix": ["b:1"], "loud": True}
    )
    assert seen == [
        ("a.png", Flags(), False),
        ("b.png", Flags(mask="left", region=("a@left",), mix=("b:1",)), True),
    ]


def test_generate_and_redo_take_every_flag() -> None:
    names = {field.name for field in fields(Flags)}
    for command in (generate, redo):
        parameters = signature(command).parameters
        assert names <= set(parameters)
        # Nothing asked for means nothing changed: `redo` counts on it.
        assert all(parameters[name].default in (None, False) for name in names)
