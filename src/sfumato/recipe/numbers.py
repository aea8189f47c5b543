"""Numbers out of options, each mistake named by its option."""

import re

from sfumato.errors import RecipeError


def whole(field: str, text: str) -> int:
    """Return the whole number in `text`, of up to 40 digits. Raises RecipeError."""
    # int() takes "1_000" as well, and refuses thousands of digits with a remark about Python.
    if re.fullmatch(r"\s*[+-]?\d{1,40}\s*", text) is None:
        raise RecipeError("must be a whole number", field=field, value=text, hint="For example 20.")
    return int(text)


def number_of(field: str, text: str) -> int:
    """Return the number in `text`, from 1 to 1000. Raises RecipeError."""
    number = whole(field, text)
    if not 1 <= number <= 1000:
        raise RecipeError("must be between 1 and 1000", field=field, value=number, hint="For example 3.")
    return number


def real(field: str, text: str) -> float:
    """Return the number in `text`. Raises RecipeError."""
    try:
        return float(text)
    except ValueError:
        hint = "Write it with a point." if "," in text else "For example 0.5."
        raise RecipeError("must be a number", field=field, value=text, hint=hint) from None


def optional_whole(field: str, text: str | None) -> int | None:
    """Return the whole number in `text`, None for None. Raises RecipeError."""
    return None if text is None else whole(field, text)


def optional_real(field: str, text: str | None) -> float | None:
    """Return the number in `text`, None for None. Raises RecipeError."""
    return None if text is None else real(field, text)
