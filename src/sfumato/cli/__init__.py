"""The command line: builds a recipe, iterates events, prints. Only this package prints.

Results go to stdout, everything else to stderr. Modules are imported by the command that needs them, so that
help and listings never wait for torch.
"""

import gc
import os
import sys
from contextlib import suppress
from typing import NoReturn

__all__ = ["command", "main"]


def command() -> NoReturn:
    """Be the installed command `sfumato`: `main`, and then leave at once."""
    try:
        main()
    except SystemExit as stop:
        code = stop.code
    # Everything is written. Python would give back every weight and every compiled kernel one by one first: a
    # fifth of the time that drawing a picture takes.
    for stream in (sys.stdout, sys.stderr):
        # A pipe that nobody reads any more; a stream that was closed, or was never there.
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)


def main() -> NoReturn:
    """Run the command `sfumato` with the process's arguments, and exit."""
    # What is imported is no garbage: looking through it again and again takes a tenth of the whole import.
    # Who waits for a picture would notice; who trains would notice what is never given back.
    gc.set_threshold(500_000 if sys.argv[1:2] in (["generate"], ["redo"]) else 20_000, 20, 20)
    # pydantic would look for plugins in every installed package, and run what it finds.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        from sfumato.cli.early import begin_early

        ahead = begin_early(sys.argv[1:])
        from sfumato.cli.app import run

        code = run(sys.argv[1:], ahead)
    except KeyboardInterrupt:  # while modules are still being imported
        code = 130
    sys.exit(code)
