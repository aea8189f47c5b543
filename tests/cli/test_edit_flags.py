import re
from dataclasses import fields
from typing import Any, get_args

import pytest

from sfumato.cli import edit_flags
from sfumato.cli.flags import OPTIONS, Flags

NAMES = {
    name: option for name, option in OPTIONS.items() if option in list(vars(edit_flags).values())
}  # annotated types have no hash that could be relied on


def option_of(name: str) -> Any:
    return get_args(OPTIONS[name])[1]


def test_every_option_of_the_file_belongs_to_a_flag() -> None:
    written = [one for name, one in vars(edit_flags).items() if name[0].isupper() and get_args(one)]
    written = [one for one in written if hasattr(get_args(one)[-1], "help")]
    assert len(written) == len(NAMES)
    assert set(NAMES) <= {field.name for field in fields(Flags)}


@pytest.mark.parametrize("name", NAMES)
def test_every_option_has_its_help_and_its_place(name: str) -> None:
    option = option_of(name)
    assert option.help.endswith((".", "1.", "32."))
    assert option.rich_help_panel in (edit_flags.FROM, edit_flags.WHERE)


@pytest.mark.parametrize("command", [["generate"], ["redo"]])
def test_the_help_names_them(command: list[str], sfumato: Any) -> None:
    text = " ".join(sfumato(*command, "--help").out.replace("│", " ").split())
    for name in NAMES:
        assert re.search(rf"--{name.replace('_', '-')}\b", text), name
    for panel in (edit_flags.FROM, edit_flags.WHERE):
        assert panel in text
