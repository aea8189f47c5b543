"""The command line: builds a recipe, iterates events, prints. Only this package prints.

Results go to stdout, everything else to stderr. Modules are imported by the command that needs them, so that
help and listings never wait for torch.
"""

import sys
from typing import NoReturn

__all__ = ["main"]


def main() -> NoReturn:
    """Run the command `sfumato` with the process's arguments, and exit."""
    try:
        from sfumato.cli.app import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:  # while modules are still being imported
        code = 130
    sys.exit(code)
