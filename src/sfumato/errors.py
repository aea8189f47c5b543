"""The exception tree. Whatever a user can cause is a `SfumatoError` that prints as one clear line.

The line has the shape ``field: message (got value). hint``; parts that are not given are left out. Whoever
catches one at the outside (the command line, the server) shows ``str(error)`` and leaves with
``error.exit_code``; no traceback is needed to act on it.
"""

import difflib
from collections.abc import Iterable
from typing import ClassVar

MAX_VALUE_CHARS = 240  # a value may be a 1 MB prompt; so much of it identifies it, and holds most paths


class SfumatoError(Exception):
    """Base of every error Sfumato raises on purpose.

    `field` names what was wrong (a flag, a recipe field, a path's role), `value` is what was given, `hint` is
    a full sentence on what to do next. `value=None` means "no value to show".
    """

    exit_code: ClassVar[int] = 1

    def __init__(
        self, message: str, *, field: str | None = None, value: object = None, hint: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.value = value
        self.hint = hint

    def __str__(self) -> str:
        line = _one_line(self.message)
        if self.field is not None:
            line = f"{_one_line(self.field)}: {line}"
        if self.value is not None:
            line = f"{line} (got {shown(self.value)})"
        if self.hint is not None:
            line = f"{line}. {_one_line(self.hint)}"
        return line

    def __reduce__(self) -> tuple[object, ...]:
        # The default rebuilds from `args` and so loses the keyword-only fields; errors cross processes.
        return (_rebuild, (type(self), self.message, self.field, self.value, self.hint))


class InputError(SfumatoError):
    """Something the user gave cannot be used. Nothing was written."""

    exit_code = 2


class RecipeError(InputError):
    """A recipe, flag or prompt setting is out of range, unknown or contradictory."""


class PictureError(InputError):
    """A picture file cannot be read, or does not carry the metadata asked for."""


class ModelFileError(InputError):
    """A model is missing, damaged, or in a format that is refused (a pickle)."""


class BusyError(SfumatoError):
    """The server has too much to do already; nothing was accepted. The same may work a little later."""


class NotFoundError(InputError):
    """What was asked for by its number or name is not there, or belongs to somebody else."""


class OutputError(InputError):
    """The result cannot be written: missing or read-only folder, full disk, unknown format."""


class NumericalError(SfumatoError):
    """The numbers left the finite range while drawing or training."""


class OutOfMemoryError(SfumatoError):
    """The memory of the processor or the GPU ran out; `field` says what was being done."""


class MissingExtraError(SfumatoError):
    """An optional dependency is needed and not installed."""

    exit_code = 2


class InterruptedRun(SfumatoError):
    """The user stopped the run (Ctrl-C); the exit code is the shell's 128 + SIGINT."""

    exit_code = 130


def closest(name: str, names: Iterable[str]) -> str | None:
    """Return the entry of `names` that `name` was probably meant to be, or None when nothing is near.

    Case and surrounding spaces do not count as a difference. The first entry wins among equals.
    """
    by_folded: dict[str, str] = {}
    for candidate in names:
        by_folded.setdefault(_folded(candidate), candidate)
    # difflib is quadratic in the length; real names are short.
    near = difflib.get_close_matches(_folded(name[:MAX_VALUE_CHARS]), by_folded, n=1, cutoff=0.6)
    return by_folded[near[0]] if near else None


def shown(value: object) -> str:
    """Return `value` as short printable text on one line: strings quoted, controls escaped, long ones cut."""
    if isinstance(value, str):
        cut = value[:MAX_VALUE_CHARS]
        text = _printable(repr(cut))
        return text if len(value) <= MAX_VALUE_CHARS else f"{text}... {len(value)} characters"
    text = _one_line(str(value))
    return text if len(text) <= MAX_VALUE_CHARS else f"{text[:MAX_VALUE_CHARS]}..."


def _one_line(text: str) -> str:
    return _printable(" ".join(text.split()))


def _printable(text: str) -> str:
    # Terminal escapes and lone surrogates must neither reach the screen nor break the encoder of stderr.
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _folded(name: str) -> str:
    return name.strip().casefold()


def _rebuild(
    kind: type[SfumatoError], message: str, field: str | None, value: object, hint: str | None
) -> SfumatoError:
    return kind(message, field=field, value=value, hint=hint)
