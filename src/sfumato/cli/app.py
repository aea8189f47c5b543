"""The command `sfumato`: its subcommands, and how every way to fail ends."""

import io
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Annotated

import typer
from typer.exceptions import TyperException

from sfumato import __version__
from sfumato.cli import (
    bench,
    compile,
    convert,
    evaluate,
    evaluate_edits,
    generate,
    grid,
    info,
    merge,
    models,
    morph,
    redo,
    studio,
    train,
    upscale,
)
from sfumato.cli.console import examples, result, silence_stdout, talk
from sfumato.errors import InputError, InterruptedRun, SfumatoError
from sfumato.models.ahead import Ahead

INTERRUPTED = 130


def _empty() -> typer.Typer:
    return typer.Typer(
        name="sfumato",
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )


app = _empty()


def _show_version(wanted: bool) -> None:
    if wanted:
        result(f"sfumato {__version__}")
        raise typer.Exit


@app.callback(
    epilog=examples(
        'sfumato generate "a frog on a beach"',
        "sfumato show a-frog-on-a-beach-7.png",
        "sfumato redo a-frog-on-a-beach-7.png --steps 50",
        "sfumato generate --help",
    )
)
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Draw pictures from words, with a model that came along."""


app.command(epilog=generate.EXAMPLES)(generate.generate)
app.command(epilog=grid.EXAMPLES)(grid.grid)
app.command(epilog=morph.EXAMPLES)(morph.morph)
app.command(epilog=redo.REDO_EXAMPLES)(redo.redo)
app.command(epilog=redo.VERIFY_EXAMPLES)(redo.verify)
app.command(epilog=redo.SHOW_EXAMPLES)(redo.show)
app.command(epilog=upscale.EXAMPLES)(upscale.upscale)
app.command(epilog=compile.EXAMPLES)(compile.compile)
app.command(epilog=convert.EXAMPLES)(convert.convert)
app.command(epilog=merge.EXAMPLES)(merge.merge)
app.command(epilog=train.EXAMPLES)(train.train)
app.command(epilog=evaluate.EXAMPLES)(evaluate.evaluate)
app.command(epilog=evaluate_edits.EXAMPLES)(evaluate_edits.evaluate_edits)
app.command(epilog=models.EXAMPLES)(models.models)
app.command(epilog=studio.EXAMPLES)(studio.studio)
app.command(epilog=info.SAMPLERS_EXAMPLES)(info.samplers)
app.command(epilog=info.DOCTOR_EXAMPLES)(info.doctor)
app.command(epilog=bench.EXAMPLES)(bench.bench)


def run(arguments: Sequence[str], ahead: Ahead | None = None) -> int:
    """Run one command line, with the model it was begun with, and return its exit code.

    0 done, 1 it failed or did not verify, 2 bad input (nothing was written), 130 stopped with Ctrl-C.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a prompt in a narrow locale must not crash
    try:
        code = _with_command(arguments)(
            list(arguments) or ["--help"], prog_name="sfumato", standalone_mode=False, obj=ahead
        )
        return code if isinstance(code, int) else 0
    except InterruptedRun as stop:
        talk(f"stopped: {stop}")
        return stop.exit_code
    except SfumatoError as error:
        talk(f"error: {error}")
        return error.exit_code
    except TyperException as error:
        talk(f"error: {_usage_error(error, arguments)}")
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        talk("stopped")
        return INTERRUPTED
    except SystemExit:
        silence_stdout()  # typer leaves like this when nobody reads the help any more
        return 0
    except Exception as fault:
        talk("".join(traceback.format_exception(fault)).rstrip())
        talk(
            "error: this is a fault in Sfumato. Please report it with the lines above, the command you ran "
            "and the output of: sfumato doctor"
        )
        return 1


def _with_command(arguments: Sequence[str]) -> typer.Typer:
    """Return `app` with the one command that is asked for; all of it when none is. typer makes parsers of all
    that is registered, at each start: a hundredth of a second.
    """
    named = [one for one in app.registered_commands if one.callback and _name(one.callback) in arguments[:1]]
    if not named:
        return app
    only = _empty()
    only.registered_callback = app.registered_callback
    only.registered_commands = named
    return only


def _name(command: Callable[..., object]) -> str:
    """Return what typer calls a command."""
    return command.__name__.replace("_", "-")


def _usage_error(error: TyperException, arguments: Sequence[str]) -> str:
    names = [_name(command.callback) for command in app.registered_commands if command.callback]
    command = next((f"{word} " for word in arguments if word in names), "")
    message = error.format_message().strip().rstrip(".")
    stop = "" if message.endswith("?") else "."
    return str(InputError(f"{message}{stop} See: sfumato {command}--help"))
