"""What a task of the evaluation of edits is: how its cases are made, and what is asked of them.

A task draws cases one after another, each with named values; its rows say which values make which figure.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sfumato.evaluation.edits.desk import Desk

Pixels: TypeAlias = NDArray[np.uint8]
Unit: TypeAlias = Literal["share", "points", "times", "dB", "levels", "pixels"]
Statistic: TypeAlias = Literal["mean", "percentile"]

ALONE: Final = "prompt alone"


@dataclass(frozen=True, eq=False)
class Shown:
    """A picture `pixels (H,W,3)` uint8 of a case, with a word on what it is."""

    label: str
    pixels: Pixels


@dataclass(frozen=True, eq=False)
class Case:
    """One edit: its `title` (the prompt), what was found, and the pictures, the one before first.

    `values` are figures by name; of what is right or wrong, 1 and 0. `group` tells cases of a task apart.
    """

    title: str
    values: Mapping[str, float]
    pictures: tuple[Shown, ...] = ()
    group: str = ""


@dataclass(frozen=True)
class Row:
    """One figure of a task: the mean, or the 95th percentile, of `value` over the cases of `group` (None: of
    all). `beside` is the value that it is read against, which `beside_what` explains; `ratio` says that the
    one divided by the other means something.

    Units: "share" and "points" lie in 0..1, and a share is of cases that are right; "levels" are of 255.
    """

    what: str
    value: str
    unit: Unit = "share"
    group: str | None = None
    beside: str | None = None
    beside_what: str = ""
    ratio: bool = False
    statistic: Statistic = "mean"


@dataclass(frozen=True, eq=False)
class Task:
    """A kind of edit that is scored. `cases(desk, scenes)` yields `each` cases for every scene, `scenes` of
    them by default; those of fewer scenes are the first of those of more. `judged` tasks need the judge;
    only `usual` ones run unless they are named. `check(desk)` raises, before anything is drawn, what would
    stop the task.
    """

    name: str
    about: str
    scenes: int
    rows: tuple[Row, ...]
    cases: Callable[[Desk, int], Generator[Case]]
    each: int = 1
    check: Callable[[Desk], None] | None = None
    judged: bool = True
    usual: bool = True
