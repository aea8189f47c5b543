import numpy as np
import pytest

from edit_desk import tiny_desk
from judged import needs_font
from sfumato.evaluation.edits import outside
from sfumato.evaluation.edits.outside import DIFFERING, KEPT, SEAM, SEAM_BEFORE


def test_a_single_pixel_outside_is_found_and_those_inside_do_not_count() -> None:
    old = np.full((64, 64, 3), 100, np.uint8)
    mask = np.zeros((64, 64), bool)
    mask[10:30, 10:30] = True
    new = old.copy()
    new[mask] = 103
    assert outside.values(old, new, mask) == {KEPT: 1.0, DIFFERING: 0.0, SEAM: 3.0, SEAM_BEFORE: 0.0}
    new[40, 40, 2] = 101
    found = outside.values(old, new, mask)
    assert (found[KEPT], found[DIFFERING]) == (0.0, 1.0)


def test_a_seam_is_what_steps_are_more_than_around_it() -> None:
    slope = np.repeat(np.arange(0, 192, 3, dtype=np.uint8)[None, :, None], 64, axis=0).repeat(3, axis=2)
    mask = np.zeros((64, 64), bool)
    mask[:, 32:] = True
    assert outside.seam(slope, mask) == pytest.approx(0)
    slope[:, 32:] += 20
    assert outside.seam(slope, mask) == pytest.approx(20)


def test_masks_are_neither_empty_nor_all_there_is() -> None:
    areas = [outside.random_mask(np.random.default_rng(seed), 128).mean() for seed in range(200)]
    assert 0 < min(areas) < 0.02
    assert 0.4 < max(areas) < 1


@needs_font
def test_each_sampler_draws_under_the_same_mask() -> None:
    cases = list(outside.cases(tiny_desk(), 1))
    assert [case.group for case in cases] == list(outside.SAMPLERS)
    assert len({case.pictures[1].pixels.tobytes() for case in cases}) == 1
    for case in cases:
        before, mask, after = (one.pixels for one in case.pictures)
        assert case.values[KEPT] == 1
        assert (before != after)[mask.astype(bool)].mean() > 0.1
