"""Inpainting: what lies outside the mask comes back bit for bit, and no border is seen."""

from collections.abc import Generator
from typing import Final

import numpy as np
from numpy.random import Generator as Random
from numpy.typing import NDArray

from sfumato.evaluation.edits.desk import Desk, given
from sfumato.evaluation.edits.scenes import replaced
from sfumato.evaluation.edits.task import Case, Row, Shown, Task
from sfumato.recipe.parts import ImagePart, MaskPart, TextPart
from sfumato.scenes.scene import caption

SAMPLERS: Final = ("ddim", "euler_a", "dpmpp_2m", "unipc")

Pixels = NDArray[np.uint8]
Bits = NDArray[np.bool_]

KEPT: Final = "kept"
DIFFERING: Final = "differing"
SEAM: Final = "seam"
SEAM_BEFORE: Final = "seam before"


def cases(desk: Desk, scenes: int) -> Generator[Case]:
    """Draw another object into each of `scenes` pairs under a random mask, with each of the samplers."""
    for number in range(scenes):
        rng = desk.rng(TASK.name, number)
        scene, wanted = replaced(rng)
        old = desk.rendered(scene, rng)
        mask = random_mask(rng, desk.side)
        white = np.repeat(mask[..., None], 3, axis=2).astype(np.uint8) * np.uint8(255)
        image, place = given(old, "before.png"), given(white, "mask.png")
        for sampler in SAMPLERS:
            new = desk.draw(
                TextPart(prompt=caption(wanted)),
                ImagePart(source=image.source),
                MaskPart(source=place.source),
                seed=desk.seed_of(number),
                given=(image, place),
                sampler=sampler,
                eta=None,  # which one sampler alone takes
            )
            shown = Shown("before", old), Shown("mask", white), Shown("after", new)
            yield Case(caption(wanted), values(old, new, mask), shown, sampler)


def values(old: Pixels, new: Pixels, mask: Bits) -> dict[str, float]:
    """Return what became of `old` outside `mask (H,W)`, and how large steps over its border are."""
    differing = int((new[~mask] != old[~mask]).any(axis=-1).sum())
    return {
        KEPT: float(differing == 0),
        DIFFERING: float(differing),
        SEAM: seam(new, mask),
        SEAM_BEFORE: seam(old, mask),
    }


def random_mask(rng: Random, side: int) -> Bits:
    """Return a mask `(side,side)` of one to three rectangles, each a sixteenth to a half of a side long; it
    leaves something outside.
    """
    mask = np.zeros((side, side), np.bool_)
    for _ in range(int(rng.integers(1, 4))):
        top, left = rng.integers(0, side * 3 // 4, 2)
        height, width = rng.integers(side // 16, side // 2, 2)
        mask[top : top + height, left : left + width] = True
    return mask


def seam(picture: Pixels, mask: Bits) -> float:
    """Return how much larger the steps of `picture` over the border of `mask (H,W)` are than those beside it,
    in levels of 255.
    """
    over_border: list[NDArray[np.float64]] = []
    beside: list[NDArray[np.float64]] = []
    for axis in (0, 1):
        apart = np.abs(np.diff(picture.astype(np.float64), axis=axis)).mean(axis=-1)
        before, after = (mask[:-1], mask[1:]) if axis == 0 else (mask[:, :-1], mask[:, 1:])
        over = before != after
        near = np.zeros_like(over)
        for shift in (-2, -1, 1, 2):
            near |= np.roll(over, shift, axis=axis)
        over_border.append(apart[over])
        beside.append(apart[near & ~over])
    return float(np.concatenate(over_border).mean() - np.concatenate(beside).mean())


TASK: Final = Task(
    name="outside",
    about="another object under a random mask, with ddim, euler_a, dpmpp_2m and unipc",
    scenes=50,
    rows=(
        Row("every pixel outside the mask is kept", KEPT),
        Row("pixels outside that differ", DIFFERING, "pixels"),
        Row("step over the border, beyond those beside it", SEAM, "levels", None, SEAM_BEFORE, "before"),
        Row("the same, 95th percentile", SEAM, "levels", None, SEAM_BEFORE, "before", statistic="percentile"),
    ),
    cases=cases,
    each=len(SAMPLERS),
    judged=False,
)
