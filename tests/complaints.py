"""What options that a recipe cannot take are refused with."""

from typing import Any

import pytest

from sfumato.cli.flags import Flags
from sfumato.cli.recipes import with_flags
from sfumato.errors import RecipeError
from sfumato.recipe.image import Recipe


def complaint(base: Recipe, **asked: Any) -> str:
    """Return the one line that options over `base` are refused with."""
    with pytest.raises(RecipeError) as caught:
        with_flags(base, Flags(**asked))
    assert "\n" not in str(caught.value)
    return str(caught.value)
