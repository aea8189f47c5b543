"""The options parse as they say."""

import typer
from typer.testing import CliRunner

from sfumato.cli import larger_flags

app = typer.Typer()


@app.command()
def draw(
    hires: larger_flags.Hires = None,
    strength: larger_flags.HiresStrength = None,
    method: larger_flags.HiresMethod = None,
    steps: larger_flags.HiresSteps = None,
    passes: larger_flags.HiresPasses = None,
    keep: larger_flags.HiresKeep = None,
    tiles: larger_flags.Windows = None,
    window_overlap: larger_flags.WindowOverlap = None,
) -> None:
    print([hires, strength, method, steps, passes, keep, tiles, window_overlap])


def test_options_are_text_as_it_was_written() -> None:
    given = ["--hires", "2", "--strength", "0.3", "--method", "latent", "--steps", "9", "--passes", "1"]
    ran = CliRunner().invoke(app, [*given, "--keep", "0", "--windows", "auto", "--window-overlap", "0.25"])
    assert ran.stdout.strip() == repr(["2", "0.3", "latent", "9", "1", "0", "auto", "0.25"])
    assert CliRunner().invoke(app, []).stdout.strip() == repr([None] * 8)
