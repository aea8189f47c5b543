import time

import pytest

from sfumato.engine.clock import Clock

NAP = 0.02


def test_the_seconds_of_a_stage_add_up() -> None:
    clock = Clock(("denoise", "decode"))
    for _ in range(2):
        with clock("denoise"):
            time.sleep(NAP)
    clock.add("decode", 0.5)
    spent = clock.seconds()
    assert spent["denoise"] >= 2 * NAP
    assert spent["decode"] == 0.5
    assert spent["total"] == pytest.approx(spent["denoise"] + 0.5)


def test_other_stages_are_mistakes() -> None:
    with pytest.raises(KeyError, match="sleep"):
        Clock(("denoise",)).add("sleep", 1.0)
