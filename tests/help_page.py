"""The page docs/reference/command-line.md, made from the command line's own help.

Run this file to write the page again: `.venv/bin/python tests/help_page.py`.
"""

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.text import Text
from typer.main import get_command

from sfumato.cli.app import app

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "command-line.md"
INTRODUCTION = """\
# The command line

Results go to standard output; progress, warnings and errors go to standard error. Progress bars appear on a
terminal only, and `NO_COLOR` turns colours off. `python -m sfumato` is the same command.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | it failed, or `verify` found a difference |
| 2 | bad input, or a place that cannot be written: one line says what, with a hint |
| 130 | stopped with Ctrl-C: finished pictures stay, and no half file is left |

This page repeats what `sfumato COMMAND --help` says. A test compares them; to write the page again, run
`.venv/bin/python tests/help_page.py` in the repository.
"""


def page() -> str:
    """Return the whole page as Markdown."""
    root = get_command(app)
    blocks = [INTRODUCTION.rstrip(), "## sfumato", *_about(root, "sfumato [OPTIONS] COMMAND [ARGS]...")]
    for name, command in commands().items():
        words = [
            _metavar(one) if one.required else f"[{_metavar(one)}]"
            for one in command.params
            if not one.opts[0].startswith("-")
        ]
        blocks += [f"## {name}", *_about(command, " ".join(["sfumato", name, "[OPTIONS]", *words]))]
    return "\n\n".join(blocks) + "\n"


def commands() -> dict[str, Any]:
    """Return the subcommands by name."""
    found: dict[str, Any] = vars(get_command(app))["commands"]
    return found


def _about(command: Any, usage: str) -> Iterator[str]:
    yield f"```text\n{usage}\n```"
    yield from (_wrapped(_plain(part)) for part in command.help.split("\n\n"))
    panels: dict[str, list[str]] = {}
    for one in command.params:
        panels.setdefault(one.rich_help_panel or "", []).append(_parameter(one))
    for title, lines in panels.items():
        yield (f"**{title}**\n\n" if title else "") + "\n".join(lines)
    examples = [line[2:] for line in _plain(command.epilog or "").splitlines() if line.startswith("$ ")]
    if examples:
        yield "```sh\n" + "\n".join(examples) + "\n```"


def _parameter(one: Any) -> str:
    if one.opts[0].startswith("-"):
        names = sorted(one.opts, key=len, reverse=True)
        value = "" if one.is_flag else f" {_metavar(one)}"
        title = ", ".join(f"`{name}{value}`" for name in names)
    else:
        title = f"`{_metavar(one)}`"
    default = one.default
    # Flags and options that stay open have no default worth a word.
    said = "" if default in (None, False, ()) or callable(default) else f" Default: `{default}`."
    return _wrapped(f"- {title}: {_plain(one.help)}{said}", "  ")


def _metavar(one: Any) -> str:
    return str(one.metavar or one.name.upper())


def _plain(markup: str) -> str:
    return Text.from_markup(markup).plain


def _wrapped(text: str, indent: str = "") -> str:
    # Never inside a word, and never at a hyphen: options keep their names whole.
    return textwrap.fill(
        " ".join(text.split()),
        width=118,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
