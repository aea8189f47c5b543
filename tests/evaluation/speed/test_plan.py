import pytest

from sfumato.errors import InputError
from sfumato.evaluation.speed.plan import FULL, QUICK, SECTIONS, sections_of


def test_a_section_or_all() -> None:
    assert sections_of("all") == SECTIONS
    assert sections_of("warm") == ("warm",)
    with pytest.raises(InputError, match=r"section: unknown name \(got 'wram'\)\. Did you mean warm\?"):
        sections_of("wram")


def test_rounds_can_be_chosen() -> None:
    chosen = FULL.with_rounds(2)
    assert (chosen.cold, chosen.warm, chosen.large) == (2, 2, 2)
    assert chosen.peak == FULL.peak


def test_quick_is_less_of_everything() -> None:
    assert QUICK.cold < FULL.cold
    assert QUICK.warm < FULL.warm
    assert QUICK.large < FULL.large
    assert not QUICK.whole_pictures
