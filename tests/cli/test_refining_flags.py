import re
from dataclasses import fields
from typing import Any, get_args

import pytest

from sfumato.cli import refining_flags
from sfumato.cli.flags import OPTIONS, Flags

NAMES = [name for name, option in OPTIONS.items() if option in list(vars(refining_flags).values())]


def test_every_option_of_the_file_belongs_to_a_flag() -> None:
    written = [one for name, one in vars(refining_flags).items() if name[0].isupper() and get_args(one)]
    assert len([one for one in written if hasattr(get_args(one)[-1], "help")]) == len(NAMES) == 2
    assert set(NAMES) <= {one.name for one in fields(Flags)}


@pytest.mark.parametrize("command", ["generate", "redo", "grid", "morph"])
def test_the_help_names_them(command: str, sfumato: Any) -> None:
    text = " ".join(sfumato(command, "--help").out.replace("│", " ").split())
    for name in NAMES:
        assert re.search(rf"--{name.replace('_', '-')}\b", text), name
