"""How fast Sfumato is, beside stock diffusers on the same machine, measured side by side.

Everything that is measured runs in processes of its own; this one only counts, and imports neither torch nor
openvino.
"""

from sfumato.evaluation.speed.events import Advanced
from sfumato.evaluation.speed.plan import FULL, QUICK, Effort, Plan, sections_of
from sfumato.evaluation.speed.report import Report, to_data
from sfumato.evaluation.speed.run import SpeedEvent, measure

__all__ = [
    "FULL",
    "QUICK",
    "Advanced",
    "Effort",
    "Plan",
    "Report",
    "SpeedEvent",
    "measure",
    "sections_of",
    "to_data",
]
