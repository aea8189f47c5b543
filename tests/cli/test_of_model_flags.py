import re
from dataclasses import fields
from typing import Any, get_args

import pytest

from sfumato.cli import of_model_flags
from sfumato.cli.flags import OPTIONS, Flags

NAMES = [name for name, option in OPTIONS.items() if option in list(vars(of_model_flags).values())]


def test_every_option_of_the_file_belongs_to_a_flag() -> None:
    written = [one for name, one in vars(of_model_flags).items() if name[0].isupper() and get_args(one)]
    assert len([one for one in written if hasattr(get_args(one)[-1], "help")]) == len(NAMES) == 3
    assert set(NAMES) <= {field.name for field in fields(Flags)}


@pytest.mark.parametrize("command", ["generate", "redo", "grid"])
def test_the_help_names_them(command: str, sfumato: Any) -> None:
    text = " ".join(sfumato(command, "--help").out.replace("│", " ").split())
    for name in NAMES:
        assert re.search(rf"--{name.replace('_', '-')}\b", text), name
