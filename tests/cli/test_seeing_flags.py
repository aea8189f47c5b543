"""The options parse as they say."""

from pathlib import Path

import typer
from typer.testing import CliRunner

from sfumato.cli import seeing_flags

app = typer.Typer()


@app.command()
def draw(
    trace: seeing_flags.Trace = None,
    animate: seeing_flags.Animate = None,
    shows: seeing_flags.AnimateShows = None,
    attention: seeing_flags.Attention = None,
) -> None:
    print([trace, animate, shows, attention])


def test_options_are_paths_and_a_name() -> None:
    arguments = ["--trace", "folder", "--animate", "frog.gif", "--animate-shows", "noisy"]
    ran = CliRunner().invoke(app, [*arguments, "--attention", "maps"])
    assert ran.stdout.strip() == repr([Path("folder"), Path("frog.gif"), "noisy", Path("maps")])
    assert CliRunner().invoke(app, []).stdout.strip() == "[None, None, None, None]"
