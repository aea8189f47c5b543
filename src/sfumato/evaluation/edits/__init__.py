"""Scored edits: what the model makes of pictures, masks, outlines and mixes, in the eyes of the judge."""

from sfumato.evaluation.edits.report import (
    EditsReport,
    EditsRow,
    Tally,
    about_lines,
    edits_rows,
    edits_to_data,
    settings_line,
)
from sfumato.evaluation.edits.run import Edited, EditsEvent, EditsStarted, evaluate_edits
from sfumato.evaluation.edits.sheet import draw_edits
from sfumato.evaluation.edits.table import TASKS

__all__ = [
    "TASKS",
    "Edited",
    "EditsEvent",
    "EditsReport",
    "EditsRow",
    "EditsStarted",
    "Tally",
    "about_lines",
    "draw_edits",
    "edits_rows",
    "edits_to_data",
    "evaluate_edits",
    "settings_line",
]
