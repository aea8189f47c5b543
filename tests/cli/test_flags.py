from dataclasses import fields
from inspect import signature

from sfumato.cli.flags import Flags
from sfumato.cli.generate import generate
from sfumato.cli.redo import redo


def test_generate_and_redo_take_every_flag() -> None:
    names = {field.name for field in fields(Flags)}
    for command in (generate, redo):
        parameters = signature(command).parameters
        assert names <= set(parameters)
        # Nothing asked for means nothing changed: `redo` counts on it.
        assert all(parameters[name].default in (None, False) for name in names)
