import math

import numpy as np

from sfumato.cli.verifying import difference

GREY = np.full((4, 6, 3), 100, np.uint8)


def test_equal_pictures() -> None:
    same = difference(GREY, GREY)
    assert same.identical
    assert math.isinf(same.psnr)
    assert same.report()["psnr"] is None
    assert str(same) == "identical (largest difference 0/255)"
    assert difference(GREY + 1, GREY).identical


def test_one_pixel_is_enough() -> None:
    other = GREY.copy()
    other[0, 0, 0] = 98
    found = difference(other, GREY)
    assert not found.identical
    assert (found.largest, found.share) == (2, 1 / 24)
    assert found.mean == 2 / 72
    assert math.isclose(found.psnr, 10 * math.log10(255**2 / (4 / 72)))
    assert "largest difference 2/255" in str(found)
    assert difference(GREY, other) == found


def test_another_size_is_another_picture() -> None:
    found = difference(GREY, GREY[:2])
    assert not found.identical
    assert str(found) == "different: the file has another size, 6x2"
    assert found.report() == {
        "identical": False,
        "size": "6x2",
        "largest": None,
        "mean": None,
        "share": None,
        "psnr": None,
    }
