import pickle
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato import errors
from sfumato.errors import (
    InputError,
    InterruptedRun,
    MissingExtraError,
    ModelFileError,
    NumericalError,
    OutputError,
    PictureError,
    RecipeError,
    SfumatoError,
    closest,
    shown,
)

ANY_TEXT = st.text(st.characters(codec=None))  # lone surrogates included


def test_one_line_names_field_message_value_and_hint() -> None:
    error = RecipeError("must be at least 1", field="steps", value=0, hint="20 is a good start.")
    assert str(error) == "steps: must be at least 1 (got 0). 20 is a good start."


def test_absent_parts_leave_no_trace() -> None:
    assert str(SfumatoError("went wrong")) == "went wrong"
    assert str(SfumatoError("went wrong", field="size")) == "size: went wrong"
    assert str(SfumatoError("went wrong", hint="Try again.")) == "went wrong. Try again."


@given(ANY_TEXT, ANY_TEXT, ANY_TEXT, st.one_of(st.none(), ANY_TEXT))
def test_every_error_is_one_printable_line(message: str, field: str, value: str, hint: str | None) -> None:
    line = str(InputError(message, field=field, value=value, hint=hint))
    assert line.isprintable()
    line.encode("utf-8")


def test_a_huge_value_is_cut_and_measured() -> None:
    line = str(RecipeError("too long", field="prompt", value="a" * 1_000_000))
    assert len(line) < 300
    assert "1000000 characters" in line
    assert len(shown(list(range(10_000)))) < 300


def test_a_long_path_is_whole() -> None:
    path = "/srv/" + "deep/" * 30 + "frog.png"
    assert path in str(InputError("no such file", field="picture", value=path))


def test_terminal_escapes_are_shown_not_sent() -> None:
    assert "\x1b" not in str(InputError("bad\x1b[31m", value="\x1b[2J"))


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (SfumatoError, 1),
        (NumericalError, 1),
        (InputError, 2),
        (RecipeError, 2),
        (PictureError, 2),
        (ModelFileError, 2),
        (OutputError, 2),
        (MissingExtraError, 2),
        (InterruptedRun, 130),
    ],
)
def test_exit_codes(kind: type[SfumatoError], code: int) -> None:
    assert kind("x").exit_code == code


def test_no_error_is_deeper_than_input_error() -> None:
    for value in vars(errors).values():
        if isinstance(value, type) and issubclass(value, SfumatoError):
            assert len(value.__mro__) - len(SfumatoError.__mro__) <= 2


def test_an_error_survives_the_way_between_processes() -> None:
    # concurrent.futures and Ray send exceptions this way.
    error = RecipeError("unknown", field="sampler", value="euler_b", hint="Did you mean euler_a?")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is RecipeError
    assert str(again) == str(error)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("eulre", "euler"),
        ("EULER", "euler"),
        ("dpmpp2m", "dpmpp_2m"),
        ("  heun ", "heun"),
        ("zzz", None),
        ("", None),
    ],
)
def test_closest(name: str, expected: str | None) -> None:
    assert closest(name, ["euler", "heun", "dpmpp_2m", "ddim"]) == expected


@given(st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=10))
def test_closest_finds_each_name_itself(names: list[str]) -> None:
    near = closest(names[0], names)
    assert near is not None
    assert near.strip().casefold() == names[0].strip().casefold()


def test_closest_is_quick_on_a_huge_name() -> None:
    assert closest("x" * 1_000_000, ["euler"]) is None


def test_errors_import_nothing_heavy() -> None:
    assert not {"torch", "numpy", "PIL"} & set(vars(sys.modules["sfumato.errors"]))
