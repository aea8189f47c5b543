import json

import numpy as np

from sfumato.evaluation.edits.report import (
    SAMPLES,
    Tally,
    about_lines,
    edits_rows,
    edits_to_data,
    settings_line,
)
from sfumato.evaluation.edits.table import TASKS
from sfumato.evaluation.edits.task import Case, Shown
from sfumato.evaluation.report import Setup

SETUP = Setup("tiny", "0" * 64, "torch", 64, 64, 4, "ddim", "trailing", 3.0, 0.0, 0.0, 1.0, 1, 7, "1" * 64)
BLUE = Shown("before", np.full((8, 8, 3), 200, np.uint8))


def tally(number: int) -> Tally:
    """Every second replacement worked; by itself the new object is always seen."""
    found = Tally(SETUP, ("A note.",))
    for index in range(number):
        values = {
            "new": float(index % 2),
            "new, from the prompt alone": 1.0,
            "other": 1.0,
            "other, before": 1.0,
        }
        found.add(TASKS["replace"], Case(f"case {index}", values, (BLUE,)))
    return found


def test_rows_say_figure_interval_number_and_what_to_read_it_against() -> None:
    rows = edits_rows(tally(10).report(complete=True))
    assert [row.what for row in rows] == ["the new object is seen", "the other object is seen"]
    first = rows[0]
    assert (first.task, first.value, first.n, first.beside) == ("replace", "50.0 %", 10, "100.0 % by itself")
    assert first.interval == "23.7 to 76.3 %"
    assert first.ratio.startswith("0.50 (0.")
    assert edits_rows(tally(1).report(complete=True))[0].ratio == "0.00"


def test_groups_levels_and_decibels_have_their_own_words() -> None:
    found = Tally(SETUP)
    for value in (0.5, 1.5):
        found.add(TASKS["upscale"], Case("a bus", {"clean": 30 + value, "clean by Lanczos": 29.0}))
        found.add(TASKS["outside"], Case("a bus", {"seam": -value, "seam before": 0.25}, (), "ddim"))
        found.add(TASKS["restyle"], Case("a bus", {"look": 1.0, "look, alone": 0.0}, (), "pixel art"))
        found.add(TASKS["control"], Case("a bus", {"f1": value / 2, "f1 without": 0.25}))
    rows = {(row.task, row.what): row for row in edits_rows(found.report(complete=True))}
    assert rows["upscale", "PSNR"].value == "31.00 dB"
    assert rows["upscale", "PSNR"].beside == "29.00 dB Lanczos"
    assert rows["outside", "step over the border, beyond those beside it"].value == "-1.00 of 255"
    assert rows["outside", "the same, 95th percentile"].value == "-0.55 of 255"
    assert rows["restyle", "pixel art: the style is seen"].ratio == ""
    assert rows["control", "outlines followed (F1)"].value == "0.500"
    assert rows["control", "outlines followed (F1)"].ratio.startswith("2.00")


def test_data_hold_every_case_and_are_equal_for_equal_cases() -> None:
    data, again = (edits_to_data(tally(30).report(complete=False)) for _ in range(2))
    assert json.dumps(data, allow_nan=False) == json.dumps(again)
    assert data["complete"] is False
    (task,) = data["tasks"]
    assert len(task["cases"]) == 30
    assert task["figures"][0]["measure"]["n"] == 30
    assert task["figures"][0]["ratio"]["value"] == 0.5
    assert data["setup"]["seed"] == 7


def test_only_the_first_cases_keep_their_pictures() -> None:
    (scored,) = tally(SAMPLES + 3).report(complete=True).tasks
    assert [bool(case.pictures) for case in scored.cases] == [True] * SAMPLES + [False] * 3
    assert len(scored.cases) == SAMPLES + 3


def test_the_settings_are_one_line_and_each_task_says_what_it_does() -> None:
    assert settings_line(SETUP) == "tiny, torch, 64x64, 4 steps of ddim (trailing), guidance 3, seed 7"
    (line,) = about_lines(tally(1).report(complete=True).tasks)
    assert line.startswith("replace: the left object")
