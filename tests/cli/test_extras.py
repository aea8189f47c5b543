from typing import Any

import pytest

from sfumato.cli.crossing import CROSSED
from sfumato.cli.describing import described
from sfumato.cli.extras import with_extras
from sfumato.cli.flags import Flags
from sfumato.cli.recipes import with_flags
from sfumato.errors import RecipeError
from sfumato.recipe.extras import Apg, ExtrasPart, FreeU
from sfumato.recipe.image import Recipe
from sfumato.recipe.parts import TextPart, VariationPart, WindowsPart
from sfumato.recipe.resolve import resolve
from tiny_models import tiny_bundle

FROG = Recipe(parts=(TextPart(prompt="a frog"),))
EVERYTHING = Flags(
    clip_skip="2", tiling="both", apg="0.2,0,-0.75", threshold="0.99", pag="2.5", freeu="1.2, 1.4,0.9,0.2"
)
PART = ExtrasPart(
    clip_skip=2,
    tiling="both",
    apg=Apg(eta=0.2, norm=0.0, momentum=-0.75),
    threshold=0.99,
    pag=2.5,
    freeu=FreeU(b1=1.2, b2=1.4, s1=0.9, s2=0.2),
)


def test_every_flag_lands_in_its_field() -> None:
    assert with_flags(FROG, EVERYTHING).extras == PART
    assert with_flags(FROG, EVERYTHING).text == FROG.text
    assert with_flags(FROG, Flags(apg="0")).extras == ExtrasPart(apg=Apg())
    assert with_flags(FROG, Flags(apg="0.5,0.1")).extras == ExtrasPart(apg=Apg(eta=0.5, norm=0.1))


def test_what_is_not_asked_stays() -> None:
    base = with_flags(FROG, EVERYTHING)
    assert with_flags(base, Flags()) == base
    assert with_flags(base, Flags(pag="0")).extras == PART.model_copy(update={"pag": 0.0})
    assert with_extras({}, Flags()) == {}


def test_everything_can_be_switched_off() -> None:
    base = with_flags(FROG, EVERYTHING)
    off = Flags(tiling="off", apg="Off", threshold="off", pag="off", freeu="off", clip_skip="1")
    assert with_flags(base, off).extras == ExtrasPart(clip_skip=1)
    assert resolve(with_flags(base, off), tiny_bundle().defaults).extras is None


def test_they_stay_without_a_prompt() -> None:
    base = Recipe(parts=(TextPart(prompt="a frog"), VariationPart(strength=0.2), PART))
    assert with_flags(base, Flags(unconditional=True)).extras == PART


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        ({"clip_skip": "two"}, "clip-skip: "),
        ({"clip_skip": "0"}, "clip-skip: must be at least 1 (got 0)"),
        ({"tiling": "z"}, "tiling: must be 'x', 'y' or 'both' (got 'z')"),
        ({"apg": "0,1,2,3"}, "apg: must be numbers for eta, norm, momentum"),
        ({"apg": "0,1,2"}, "apg: must be below 1.0"),
        ({"apg": ""}, "apg: "),
        ({"threshold": "0.2"}, "threshold: must be at least 0.5"),
        ({"pag": "-1"}, "pag: must be at least 0.0"),
        ({"pag": "nan"}, "pag: "),
        ({"freeu": "1.2"}, "freeu: must be numbers for b1, b2, s1, s2"),
        ({"freeu": "1,1,0,1"}, "freeu: must be above 0.0"),
    ],
)
def test_mistakes_name_the_option(flags: dict[str, Any], line: str) -> None:
    with pytest.raises(RecipeError) as caught:
        with_flags(FROG, Flags(**flags))
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)


def test_tiles_and_windows_are_refused_in_one_line() -> None:
    base = Recipe(parts=(TextPart(prompt="a frog"), WindowsPart()))
    with pytest.raises(RecipeError, match="tiling does not go together with a part windows"):
        with_flags(base, Flags(tiling="x"))


def test_they_can_be_crossed() -> None:
    assert {"pag", "apg", "threshold", "freeu", "clip_skip", "tiling"} <= set(CROSSED)


def test_they_are_shown_in_words() -> None:
    resolved = resolve(with_flags(FROG, EVERYTHING), tiny_bundle().defaults)
    lines = described(resolved)
    assert lines["clip skip"] == "2"
    assert lines["apg"] == "eta 0.2, norm 0, momentum -0.75"
    assert lines["freeu"] == "b1 1.2, b2 1.4, s1 0.9, s2 0.2"
    assert "pag" not in described(resolve(FROG, tiny_bundle().defaults))


def test_a_picture_is_drawn_again_with_them(sfumato: Any) -> None:
    sfumato("generate", "a frog", "--steps", "2", "--seed", "1", "--pag", "2", "--apg", "0", "-o", "a.png")
    assert "pag" in sfumato("show", "a.png").out
    assert "identical" in sfumato("verify", "a.png").out
