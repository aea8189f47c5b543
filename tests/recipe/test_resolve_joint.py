from typing import Any

import pytest

from sfumato.errors import RecipeError
from sfumato.recipe.adapters import AdaptersPart
from sfumato.recipe.extras import Apg, ExtrasPart, FreeU
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import Control, ControlPart
from sfumato.recipe.resolve_joint import check_joint


@pytest.mark.parametrize(
    ("field", "asked"),
    [
        ("cache_interval", {"cache_interval": 2}),
        ("control", {"parts": (ControlPart(controls=(Control(model="canny", source="x.png"),)),)}),
        ("lora", {"parts": (AdaptersPart.model_validate({"adapters": [{"name": "ink"}]}),)}),
        ("freeu", {"parts": (ExtrasPart(freeu=FreeU(b1=1.2, b2=1, s1=1, s2=1)),)}),
        ("pag", {"parts": (ExtrasPart(pag=1.0),)}),
    ],
)
def test_what_is_made_for_unets_is_refused_by_name(field: str, asked: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match="SD3 is a transformer") as error:
        check_joint(Recipe(**asked), "SD3")
    assert error.value.field == field
    assert error.value.hint


def test_the_rest_is_not() -> None:
    check_joint(Recipe(cache_interval=1, parts=(ExtrasPart(pag=0.0, clip_skip=2, apg=Apg()),)), "SD3")
