"""Scored reports: how often a model draws what it was asked for, in the eyes of a judge that never met it."""

from sfumato.evaluation.grid import draw_grid
from sfumato.evaluation.prompts import FULL, QUICK, Budget
from sfumato.evaluation.report import Report, TableRow, table_rows, to_json
from sfumato.evaluation.run import EvaluationEvent, EvaluationStarted, Judged, evaluate

__all__ = [
    "FULL",
    "QUICK",
    "Budget",
    "EvaluationEvent",
    "EvaluationStarted",
    "Judged",
    "Report",
    "TableRow",
    "draw_grid",
    "evaluate",
    "table_rows",
    "to_json",
]
