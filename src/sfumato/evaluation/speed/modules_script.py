"""Run the command `sfumato` and write down which modules it has loaded at the end: run by its path.

The first argument is the file to write, a JSON list; the others are the command's own.
"""

import json
import sys
from importlib import import_module


def main() -> None:
    """Run the command line, and write the names of top-level modules whatever it does."""
    path = sys.argv.pop(1)
    try:
        import_module("sfumato.cli").main()  # the installed command, but for its way to leave
    finally:
        with open(path, "w", encoding="ascii") as file:
            json.dump(sorted({name.partition(".")[0] for name in sys.modules}), file)


if __name__ == "__main__":
    main()
